"""The norm of many gradients taken as one, and their clipping: they are laid end to end and
cut into chunks, which are shared out among threads in one parallel region. Sums of chunks
are added up in their order. Called by ops/clip.pyx."""

from libc.math cimport INFINITY, sqrt

from fastnn._kernels.chunks cimport CHUNK, part_of
from fastnn._kernels.runtime cimport (
    NORM_ABS, NORM_LARGEST, NORM_POWER, NORM_SQUARES, ceil_div, itemsize, kernels, parallel_for,
    team_size,
)

cdef enum Work:
    WORK_NORM
    WORK_SCALE
    WORK_VALUE

cdef struct Clip:
    Piece* pieces
    long count
    Work work
    int kind
    double p
    double* sums
    double factor, low, high


cdef int norm_kind(double p) noexcept nogil:
    if p == 2:
        return NORM_SQUARES
    if p == 1:
        return NORM_ABS
    return NORM_LARGEST if p == INFINITY else NORM_POWER


cdef double norm_root(int kind, double p, double total) noexcept nogil:
    if kind == NORM_SQUARES:
        return sqrt(total)
    return total ** (1 / p) if kind == NORM_POWER else total


cdef long clip_chunks(Piece* pieces, long count) noexcept nogil:
    cdef long k, chunks = 0
    for k in range(count):
        pieces[k].first_chunk = chunks
        chunks += ceil_div(pieces[k].n, CHUNK)
    return chunks


cdef void clip_item(void* context, long item, int thread) noexcept nogil:
    cdef Clip* c = <Clip*>context
    cdef Piece* piece = &c.pieces[part_of(&c.pieces[0].first_chunk, sizeof(Piece), c.count, item)]
    cdef long start = (item - piece.first_chunk) * CHUNK, n = min(piece.n - start, <long>CHUNK)
    cdef char* x = <char*>piece.x + start * itemsize(piece.dtype)
    if c.work == WORK_NORM:
        c.sums[item] = kernels(piece.dtype).clip_norm[c.kind](x, n, c.p)
    elif c.work == WORK_SCALE:
        kernels(piece.dtype).clip_scale(x, n, c.factor)
    else:
        kernels(piece.dtype).clip_value(x, n, c.low, c.high)


cdef void run(Clip* c, Piece* pieces, long count, long chunks, double ns) noexcept nogil:
    c.pieces, c.count = pieces, count
    parallel_for(clip_item, c, chunks, team_size(chunks * CHUNK * ns))


cdef double clip_norm(Piece* pieces, long count, long chunks, int kind, double p,
                      double* sums) noexcept nogil:
    cdef Clip c
    cdef double total = 0
    cdef long k
    c.work, c.kind, c.p, c.sums = WORK_NORM, kind, p, sums
    run(&c, pieces, count, chunks, 20 if kind == NORM_POWER else 0.1)
    for k in range(chunks):
        if kind != NORM_LARGEST:
            total += sums[k]
        elif not sums[k] <= total and total == total:     # keeps NaN
            total = sums[k]
    return total


cdef void clip_scale(Piece* pieces, long count, long chunks, double factor) noexcept nogil:
    cdef Clip c
    c.work, c.factor = WORK_SCALE, factor
    run(&c, pieces, count, chunks, 0.2)


cdef void clip_value(Piece* pieces, long count, long chunks, double low,
                     double high) noexcept nogil:
    cdef Clip c
    c.work, c.low, c.high = WORK_VALUE, low, high
    run(&c, pieces, count, chunks, 0.2)
