"""Rows of a table w (V, D) by index, y[i] = w[indices[i]], and its gradient.

Forward: an item is a run of indices. Backward: the positions are sorted by the row
they name (a counting sort, stable), then an item is a run of rows of dw, each written
once: zero, or the sum of its dy rows by rising position. So no two threads meet,
and the bits do not depend on their number. Called by ops/embedding.pyx.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy, memset

from fastnn._kernels.runtime cimport (
    ceil_div, fastnn_kernels, itemsize, kernels, parallel_for, team_size,
)

cdef enum:
    ITEM_BYTES = 1 << 15      # read or written by an item

cdef struct Embedding:
    const fastnn_kernels* table
    const char* indices
    bint wide
    long n, V, row_bytes, D, padding
    long run                  # indices, or rows, of an item
    const char* x             # w forward, dy backward
    char* y                   # y forward, dw backward
    const long* start         # [V + 1]: the positions of row v are
    const long* position      # [n]     position[start[v]:start[v + 1]]


cdef inline long index_at(const char* indices, bint wide, long i) noexcept nogil:
    return (<const int64_t*>indices)[i] if wide else (<const int32_t*>indices)[i]


cdef long run_of(long row_bytes) noexcept nogil:
    return max(<long>ITEM_BYTES // max(row_bytes, <long>1), <long>1)


cdef long embedding_first_bad(const char* indices, bint wide, long n, long V) noexcept nogil:
    cdef long i
    for i in range(n):
        if not 0 <= index_at(indices, wide, i) < V:
            return i
    return -1


cdef int embedding_threads(long n, long D, int dtype) noexcept nogil:
    return team_size(n * (5.0 + 0.1 * D * itemsize(dtype)))


cdef void forward_item(void* context, long item, int thread) noexcept nogil:
    cdef Embedding* c = <Embedding*>context
    cdef long i
    for i in range(item * c.run, min((item + 1) * c.run, c.n)):
        memcpy(c.y + i * c.row_bytes, c.x + index_at(c.indices, c.wide, i) * c.row_bytes,
               c.row_bytes)


cdef void embedding_gather(int dtype, const char* indices, bint wide, long n, const char* w,
                           long D, char* y, int threads) noexcept nogil:
    cdef Embedding c
    c.indices, c.wide, c.n, c.x, c.y = indices, wide, n, w, y
    c.row_bytes = D * itemsize(dtype)
    c.run = run_of(c.row_bytes)
    parallel_for(forward_item, &c, ceil_div(n, c.run), threads)


cdef long embedding_scratch_bytes(long n, long V) noexcept nogil:
    return (V + 1 + n) * sizeof(long)


cdef void sort_positions(const Embedding* c, long* start, long* position) noexcept nogil:
    """Fills start and position; counts first stand one row further, then move on as they fill."""
    cdef long i, v
    memset(start, 0, (c.V + 1) * sizeof(long))
    for i in range(c.n):
        start[index_at(c.indices, c.wide, i) + 1] += 1
    for v in range(c.V):
        start[v + 1] += start[v]
    for i in range(c.n):
        v = index_at(c.indices, c.wide, i)
        position[start[v]] = i
        start[v] += 1
    for v in range(c.V, 0, -1):      # each start has become the next one's
        start[v] = start[v - 1]
    start[0] = 0


cdef void backward_item(void* context, long item, int thread) noexcept nogil:
    cdef Embedding* c = <Embedding*>context
    cdef long v, k
    cdef char* row
    for v in range(item * c.run, min((item + 1) * c.run, c.V)):
        row = c.y + v * c.row_bytes
        if v == c.padding or c.start[v] == c.start[v + 1]:
            memset(row, 0, c.row_bytes)
            continue
        memcpy(row, c.x + c.position[c.start[v]] * c.row_bytes, c.row_bytes)
        for k in range(c.start[v] + 1, c.start[v + 1]):
            c.table.conv_add(c.x + c.position[k] * c.row_bytes, row, c.D)


cdef void embedding_scatter(int dtype, const char* indices, bint wide, long n, const char* dy,
                            long V, long D, long padding, char* scratch, char* dw,
                            int threads) noexcept nogil:
    cdef Embedding c
    cdef long* start = <long*>scratch
    c.table = kernels(dtype)
    c.indices, c.wide, c.n, c.V, c.D, c.padding = indices, wide, n, V, D, padding
    c.x, c.y, c.start, c.position = dy, dw, start, start + V + 1
    c.row_bytes = D * itemsize(dtype)
    c.run = run_of(c.row_bytes)
    sort_positions(&c, start, start + V + 1)
    parallel_for(backward_item, &c, ceil_div(V, c.run), threads)
