"""Sums, means and maxima of rows of a table, bag by bag, straight from the table.

An item is a run of bags, each computed by one thread in the order of its rows. Backward
groups the places by row, as an embedding does, and sums up rows of dy: those of the bags
that the places lie in. Called by ops/embedding_bag.pyx.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset

from fastnn._kernels.embedding cimport Grouping, RowSums, embedding_threads
from fastnn._kernels.runtime cimport (
    FLOAT32, ceil_div, fastnn_kernels, itemsize, kernels, parallel_for,
)

cdef enum:
    ITEM_BYTES = 1 << 15      # read by an item

cdef struct Run:
    const fastnn_kernels* table
    const Bags* bags
    long length               # bags of an item
    long row_bytes
    const char* w
    const char* dy
    char* y                   # or ds
    int32_t* taps


cdef long bag_without(const int64_t* indices, const int64_t* start, long bags, long padding,
                      int64_t* which, int64_t* new_start, int64_t* place) noexcept nogil:
    cdef long b, i, kept = 0
    for b in range(bags):
        new_start[b] = kept
        for i in range(start[b], start[b + 1]):
            if indices[i] != padding:
                which[kept] = indices[i]
                place[kept] = i
                kept += 1
    new_start[bags] = kept
    return kept


cdef int bag_threads(const Bags* bags) noexcept nogil:
    return embedding_threads(bags.start[bags.count] + bags.count, bags.D, bags.dtype)


cdef Run run_of(const Bags* bags) noexcept nogil:
    cdef Run c
    cdef long rows = ceil_div(bags.start[bags.count], max(bags.count, <long>1)) + 1   # of a bag
    memset(&c, 0, sizeof(Run))
    c.table, c.bags = kernels(bags.dtype), bags
    c.row_bytes = bags.D * itemsize(bags.dtype)
    c.length = max(<long>ITEM_BYTES // max(rows * c.row_bytes, <long>1), <long>1)
    return c


cdef void forward_item(void* context, long item, int thread) noexcept nogil:
    cdef Run* c = <Run*>context
    cdef const Bags* bags = c.bags
    cdef long b, start, rows
    cdef const char* scale
    for b in range(item * c.length, min((item + 1) * c.length, bags.count)):
        start = bags.start[b]
        rows = bags.start[b + 1] - start
        if bags.mode == BAG_MAX:
            c.table.rows_max(c.w, bags.which + start, rows, bags.D, c.y + b * c.row_bytes,
                             c.taps + b * bags.D if c.taps != NULL else NULL)
            continue
        scale = bags.scale + start * itemsize(bags.dtype) if bags.scale != NULL else NULL
        c.table.rows_sum(c.w, bags.which + start, scale, rows,
                         rows if bags.mode == BAG_MEAN and rows > 0 else 1, bags.D,
                         c.y + b * c.row_bytes)


cdef void bag_forward(const Bags* bags, const char* w, char* y, int32_t* taps,
                      int threads) noexcept nogil:
    cdef Run c = run_of(bags)
    c.w, c.y, c.taps = w, y, taps
    parallel_for(forward_item, &c, ceil_div(bags.count, c.length), threads)


cdef long bag_scratch_bytes(const Bags* bags) noexcept nogil:
    return 3 * bags.start[bags.count] * sizeof(int64_t)


cdef RowSums bag_backward(const Bags* bags, Grouping g, const char* dy, const int32_t* taps,
                          char* scratch) noexcept nogil:
    cdef RowSums sums
    cdef long n = bags.start[bags.count], b, k, place
    cdef int64_t* bag_of = <int64_t*>scratch
    cdef int64_t* order = bag_of + n
    cdef char* scale = <char*>(order + n)
    cdef double share
    for b in range(bags.count):
        for k in range(bags.start[b], bags.start[b + 1]):
            bag_of[k] = b
    for k in range(n):
        place = g.place[k]
        b = g.place[k] = bag_of[place]
        order[k] = place - bags.start[b]
        share = 1.0 / (bags.start[b + 1] - bags.start[b]) if bags.mode == BAG_MEAN else 1.0
        if bags.dtype == FLOAT32:
            (<float*>scale)[k] = share if bags.scale == NULL else (<float*>bags.scale)[place]
        else:
            (<double*>scale)[k] = share if bags.scale == NULL else (<double*>bags.scale)[place]
    sums.x, sums.which, sums.dtype, sums.D = dy, g.place, bags.dtype, bags.D
    sums.order, sums.taps, sums.scale, sums.mean = order, taps, NULL, False
    if bags.mode == BAG_MEAN or bags.scale != NULL:
        sums.scale = scale
    return sums


cdef void scale_item(void* context, long item, int thread) noexcept nogil:
    cdef Run* c = <Run*>context
    cdef const Bags* bags = c.bags
    cdef long b, start
    for b in range(item * c.length, min((item + 1) * c.length, bags.count)):
        start = bags.start[b]
        c.table.rows_dot(c.dy + b * c.row_bytes, c.w, bags.which + start,
                         bags.start[b + 1] - start, bags.D,
                         c.y + start * itemsize(bags.dtype))


cdef void bag_scale_backward(const Bags* bags, const char* dy, const char* w, char* ds,
                             int threads) noexcept nogil:
    cdef Run c = run_of(bags)
    c.dy, c.w, c.y = dy, w, ds
    parallel_for(scale_item, &c, ceil_div(bags.count, c.length), threads)
