# Recurrent layers over whole sequences, backward through time.

from fastnn._kernels.rnn cimport RnnArrays
from fastnn._kernels.rnn_pack cimport RnnShape

# each may be NULL: not needed (a result), zero (dy, dh_n, dc_n)
cdef struct RnnWeightGradients:
    void* w_ih
    void* w_hh
    void* b_ih
    void* b_hh
    void* w_hr
    void* peephole

cdef struct RnnGradients:
    const void* dy               # like y
    const void* dh_n             # like h_n
    const void* dc_n             # like c_n
    void* dgates                 # [directions, gate_numbers()]; NULL: in place of the kept gates
    void* dx
    void* dh0
    void* dc0
    RnnWeightGradients[2] w

cdef long gate_numbers(const RnnShape* s) noexcept nogil         # of dgates, each direction
cdef size_t rnn_backward_scratch_bytes(const RnnShape* s) noexcept nogil
cdef void rnn_backward(const RnnShape* s, const RnnArrays* a, const RnnGradients* g,
                       char* scratch) noexcept nogil
