"""Optimiser steps: the parameters are laid end to end and cut into chunks, which are
shared out among threads in one parallel region. A chunk lies within one parameter
and begins at a multiple of CHUNK, so that vectors are cut at the same places for
any number of threads. Called by ops/optim.pyx."""

from fastnn._kernels.runtime cimport ceil_div, itemsize, kernels, parallel_for, team_size

cdef enum:
    CHUNK = 8192

cdef struct Step:
    Update* updates
    long count


cdef Update* owner_of(Step* step, long chunk) noexcept nogil:
    """The last parameter that begins at or before this chunk, by bisection."""
    cdef long low = 0, high = step.count, middle
    while high - low > 1:
        middle = (low + high) // 2
        if step.updates[middle].first_chunk <= chunk:
            low = middle
        else:
            high = middle
    return &step.updates[low]


cdef void sgd_item(void* context, long item, int thread) noexcept nogil:
    cdef Update* u = owner_of(<Step*>context, item)
    cdef long start = (item - u.first_chunk) * CHUNK, at = start * itemsize(u.dtype)
    kernels(u.dtype).sgd_step(
        <char*>u.x + at, <const char*>u.dx + at,
        <char*>u.state0 + at if u.state0 != NULL else NULL,
        min(u.n - start, <long>CHUNK), &u.sgd)


cdef void adam_item(void* context, long item, int thread) noexcept nogil:
    cdef Update* u = owner_of(<Step*>context, item)
    cdef long start = (item - u.first_chunk) * CHUNK, at = start * itemsize(u.dtype)
    kernels(u.dtype).adam_step(
        <char*>u.x + at, <const char*>u.dx + at, <char*>u.state0 + at, <char*>u.state1 + at,
        <char*>u.state2 + at if u.state2 != NULL else NULL,
        min(u.n - start, <long>CHUNK), &u.adam)


cdef long lay_out(Update* updates, long count, double* bytes) noexcept nogil:
    """Number the chunks of all parameters; every parameter has at least one element."""
    cdef long u, chunks = 0
    bytes[0] = 0
    for u in range(count):
        updates[u].first_chunk = chunks
        chunks += ceil_div(updates[u].n, CHUNK)
        bytes[0] += <double>updates[u].n * itemsize(updates[u].dtype)
    return chunks


cdef void sgd_update(Update* updates, long count) noexcept nogil:
    cdef Step step
    cdef double bytes
    cdef long chunks = lay_out(updates, count, &bytes)
    step.updates, step.count = updates, count
    parallel_for(sgd_item, &step, chunks, team_size(bytes * 0.08 + count * 10))


cdef void adam_update(Update* updates, long count) noexcept nogil:
    cdef Step step
    cdef double bytes
    cdef long chunks = lay_out(updates, count, &bytes)
    step.updates, step.count = updates, count
    parallel_for(adam_item, &step, chunks, team_size(bytes * 0.2 + count * 20))
