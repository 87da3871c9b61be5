# Optimiser steps over all parameters at once.

from libc.stdint cimport int64_t

from fastnn._kernels.runtime cimport optim_rule

# One parameter, its gradient and its state, in the same order in memory. Where the
# gradient holds some rows only, only these of the parameter and its state are stepped.
cdef struct Update:
    void* x
    const void* dx
    void* state[3]             # as optim.h numbers them; NULL where there is none
    long n                     # elements of the gradient, 1 or more
    const int64_t* rows        # which rows of x the gradient holds, all different; NULL: all
    long row                   # their length
    long first_chunk           # filled in by the driver
    int dtype
    optim_rule rule

# `kind`: OPTIM_SGD, ... of runtime.pxd
cdef void optim_update(int kind, Update* updates, long count) noexcept nogil
