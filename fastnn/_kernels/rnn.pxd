# Recurrent layers over whole sequences, forward. Arrays are contiguous.

from fastnn._kernels.rnn_pack cimport RnnShape, at, padded
from fastnn._kernels.runtime cimport RNN_GRU, RNN_GRU_BEFORE, RNN_LSTM, RNN_RESET

# of each direction; biases and peepholes may be NULL
cdef struct RnnWeights:
    const char* w_ih             # [gates * D, I], packed: forward by columns, backward by rows
    const char* w_hh             # [gates * D, P], likewise
    const char* w_hr             # [P, D], likewise; NULL without a projection
    const void* b_ih             # [gates * D]
    const void* b_hh             # [gates * D]
    const void* peephole         # [3, D]: of i, f and o

cdef struct RnnArrays:
    const void* x                # [rows, I]
    const void* h0               # [directions, N, P], NULL: zero
    const void* c0               # [directions, N, D], NULL: zero (LSTM)
    RnnWeights[2] w
    void* kept                   # [directions, kept_numbers()], for backward, or NULL
    void* y                      # [rows, directions * P]
    void* h_n                    # like h0
    void* c_n                    # like c0

cdef int set_shape(RnnShape* s) noexcept nogil        # what follows from the rest of it
cdef long kept_numbers(const RnnShape* s) noexcept nogil
cdef size_t rnn_forward_scratch_bytes(const RnnShape* s, bint kept) noexcept nogil
cdef void rnn_forward(const RnnShape* s, const RnnArrays* a, char* scratch) noexcept nogil

# --- shared with rnn_backward.pyx ----------------------------------------------------------

# One direction, and what its steps pass on. kept: [slots, panels, rows, tile] gates,
# [panels, rows, tile] c before each step, [rows, P] h before it, and [rows, m_row] m: what is
# projected, or what a GRU that resets before makes of h.
cdef struct Direction:
    const RnnShape* s
    const RnnArrays* a
    int number
    char* gates
    char* c_prev
    char* h_prev
    char* m
    char* c                  # [panels, N, tile], of the step at hand; backward its gradient
    char* h                  # [2, N, h_row], step by step in turn; backward [N, h_row]
    char* bias               # [gates, panels, tile]
    char* bias_n             # [panels, tile]
    char* peephole           # [panels, 3, tile]

# What one thread does of it: a block of rows, n0 to n1; panels of hidden units, and of h.
cdef struct Part:
    long block, n0, n1
    long panel0, panel1
    long tile0, tile1
    bint sync                # do other threads compute other units of these rows?
    int thread

ctypedef void (*part_task)(void* job, int direction, const Part* part) noexcept nogil

cdef struct Steps:
    const RnnShape* s
    part_task task
    void* job

cdef void run_parts(Steps* steps) noexcept nogil
cdef void lay_out_kept(Direction* d, char* kept) noexcept nogil
cdef long row_length(const RnnShape* s, long panels) noexcept nogil
cdef void to_panels(const RnnShape* s, const void* c, int direction, char* panels) noexcept nogil
cdef void from_panels(const RnnShape* s, const char* panels, void* c, int direction) noexcept nogil
cdef void weave_peephole(const Direction* d, char* woven) noexcept nogil

cdef inline long time_of(const Direction* d, long k) noexcept nogil:
    """The time of the k-th step."""
    return k if d.number == 0 else d.s.T - 1 - k
