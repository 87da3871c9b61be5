"""Optimiser steps: the parameters are laid end to end and cut into chunks, which are
shared out among threads in one parallel region. A chunk lies within one parameter
and begins at a multiple of CHUNK, so that vectors are cut at the same places for
any number of threads; of a gradient by rows it is a run of rows. Called by ops/optim.pyx."""

from fastnn._kernels.chunks cimport CHUNK, part_of
from fastnn._kernels.runtime cimport (
    OPTIM_ASGD, OPTIM_SGD, ceil_div, itemsize, kernels, optim_fn, parallel_for, team_size,
)

cdef struct Step:
    Update* updates
    long count
    int kind


cdef void step_at(optim_fn kernel, Update* u, long at, long from_, long n) noexcept nogil:
    """n numbers of the parameter from `at` on, with those of the gradient from `from_` on."""
    cdef long size = itemsize(u.dtype)
    cdef void* state[3]
    cdef int s
    for s in range(3):
        state[s] = <char*>u.state[s] + at * size if u.state[s] != NULL else NULL
    kernel(<char*>u.x + at * size, <const char*>u.dx + from_ * size, state, n, &u.rule)


cdef inline long chunk_rows(const Update* u) noexcept nogil:
    return max(<long>CHUNK // u.row, <long>1)


cdef void optim_item(void* context, long item, int thread) noexcept nogil:
    cdef Step* step = <Step*>context
    cdef Update* u = &step.updates[part_of(&step.updates[0].first_chunk, sizeof(Update),
                                           step.count, item)]
    cdef optim_fn kernel = kernels(u.dtype).optim[step.kind]
    cdef long start = item - u.first_chunk, k
    if u.rows == NULL:
        start *= CHUNK
        step_at(kernel, u, start, start, min(u.n - start, <long>CHUNK))
        return
    start *= chunk_rows(u)
    for k in range(start, min(start + chunk_rows(u), u.n // u.row)):
        step_at(kernel, u, u.rows[k] * u.row, k * u.row, u.row)


cdef void optim_update(int kind, Update* updates, long count) noexcept nogil:
    cdef Step step
    cdef Update* u
    cdef double ns = 0, ns_per_byte = 0.08 if kind == OPTIM_SGD or kind == OPTIM_ASGD else 0.2
    cdef long k, chunks = 0
    for k in range(count):
        u = &updates[k]
        u.first_chunk = chunks
        if u.rows == NULL:
            chunks += ceil_div(u.n, CHUNK)
        else:
            chunks += ceil_div(u.n // u.row, chunk_rows(u))
            ns += u.n // u.row * 20.0
        ns += 20 + <double>u.n * itemsize(u.dtype) * ns_per_byte
    step.updates, step.count, step.kind = updates, count, kind
    parallel_for(optim_item, &step, chunks, team_size(ns))
