# LSTM over a whole sequence. Arrays are contiguous.

cdef struct LstmShape:
    int dtype
    long size                    # bytes in a number
    long T, N, I, D              # steps, batch rows, inputs, hidden units
    long rows                    # T * N
    long vl, panels              # a panel is the gates of vl hidden units
    long gates                   # 4 * vl * panels, the columns of all panels
    int width                    # index of the register tile in use (gemm_tile)
    long tile                    # its columns: half a panel or a whole one
    long state_row               # row length of dh and dc: D in whole tiles
    long blocks                  # of batch rows; 0: the hidden units are split instead
    int threads                  # at most

cdef struct LstmArrays:
    const void* x                # [T, N, I]
    const void* h0               # [N, D], NULL: zero
    const void* c0               # [N, D], NULL: zero (forward only)
    const void* w_ih             # [4D, I]
    const void* w_hh             # [4D, D]
    const void* b_ih             # [4D], NULL: zero
    const void* b_hh             # [4D], NULL: zero
    void* gates                  # [gates / tile, T, N, tile], activated on return
    void* h                      # [T + 1, N, D], step 0 is h0
    void* c                      # [panels, T + 1, N, vl], step 0 is c0; or [panels, 1, N, vl],
    bint keep_c                  # the last step only, if not kept
    void* c_n                    # [N, D] (forward only)

# each may be NULL: not needed (a result), zero (dy, dh_n, dc_n)
cdef struct LstmGradients:
    const void* dy               # [T, N, D]
    const void* dh_n             # [N, D]
    const void* dc_n             # [N, D]
    void* dx
    void* dh0
    void* dc0
    void* dw_ih
    void* dw_hh
    void* db

cdef LstmShape lstm_shape(int dtype, long T, long N, long I, long D) noexcept nogil
cdef size_t lstm_forward_scratch_bytes(const LstmShape* s) noexcept nogil
cdef size_t lstm_backward_scratch_bytes(const LstmShape* s) noexcept nogil
cdef void lstm_forward(const LstmShape* s, const LstmArrays* a, char* scratch) noexcept nogil
cdef void lstm_backward(const LstmShape* s, const LstmArrays* a, const LstmGradients* g,
                        char* scratch) noexcept nogil
