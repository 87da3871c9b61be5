# LSTM over a whole sequence. Arrays are contiguous.

from fastnn._kernels.rnn_product cimport LstmShape

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
    void* dgates                 # like gates, which may be overwritten: then the same
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
