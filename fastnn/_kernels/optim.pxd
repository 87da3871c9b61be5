# Optimiser steps over all parameters at once.

from fastnn._kernels.runtime cimport adam_rule, sgd_rule

# One parameter, its gradient and its state: n numbers each, in the same order in memory.
cdef struct Update:
    void* x
    const void* dx
    void* state0               # SGD: momentum buffer or NULL; Adam: m
    void* state1               # Adam: v
    void* state2               # Adam: vmax or NULL
    long n
    long first_chunk           # filled in by the driver
    int dtype
    sgd_rule sgd               # one of the two is used
    adam_rule adam

cdef void sgd_update(Update* updates, long count) noexcept nogil
cdef void adam_update(Update* updates, long count) noexcept nogil
