"""Rows of a table w (V, D) by index, y[i] = w[indices[i]], and its gradient.

Forward: an item is a run of indices. Backward: the places are grouped by the row that
they name (a radix sort, stable, over as many digits as V has), then an item is a run of
rows of dw, each written once: zero, or the sum of its dy rows by rising place; or only
the rows named, and then time and memory do not depend on V. So no two threads meet, and
the bits do not depend on their number. Called by ops/embedding.pyx and embedding_bag.pyx.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy, memset

from fastnn._kernels.clip cimport norm_kind, norm_root
from fastnn._kernels.runtime cimport (
    ceil_div, fastnn_kernels, itemsize, kernels, parallel_for, team_size,
)

cdef enum:
    ITEM_BYTES = 1 << 15      # read or written by an item
    DIGIT_BITS = 11           # of a row's number, most, in a pass of the sort

cdef struct Gather:
    const char* indices
    bint wide
    long n, row_bytes
    long run                  # indices of an item
    const char* w
    char* y

cdef struct Scatter:
    const fastnn_kernels* table
    RowSums sums
    Grouping g
    long V, row_bytes
    long run                  # rows of an item
    char* y


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


cdef void gather_item(void* context, long item, int thread) noexcept nogil:
    cdef Gather* c = <Gather*>context
    cdef long i
    for i in range(item * c.run, min((item + 1) * c.run, c.n)):
        memcpy(c.y + i * c.row_bytes, c.w + index_at(c.indices, c.wide, i) * c.row_bytes,
               c.row_bytes)


cdef void embedding_gather(int dtype, const char* indices, bint wide, long n, const char* w,
                           long D, char* y, int threads) noexcept nogil:
    cdef Gather c
    c.indices, c.wide, c.n, c.w, c.y = indices, wide, n, w, y
    c.row_bytes = D * itemsize(dtype)
    c.run = run_of(c.row_bytes)
    parallel_for(gather_item, &c, ceil_div(n, c.run), threads)


# --- grouping -----------------------------------------------------------------

cdef long embedding_scratch_bytes(long n) noexcept nogil:
    return (3 * n + 1) * sizeof(int64_t)


cdef void starts_of_digits(int64_t* count, long digits) noexcept nogil:
    """Counts become the places where their digits begin."""
    cdef long d
    cdef int64_t total = 0, here
    for d in range(digits):
        here = count[d]
        count[d] = total
        total += here


cdef long sort_places(const char* indices, bint wide, long n, long padding, int bits, int passes,
                      int64_t* even, int64_t* odd) noexcept nogil:
    """Sorts by index, stably, from the lowest digit up; passes 1, 3, ... write to `odd`, the
    others to `even`. Returns how many places there are without those of the padding."""
    cdef int64_t[1 << DIGIT_BITS] count
    cdef int64_t* source
    cdef int64_t* target
    cdef long digits = 1L << bits, k, i, v, kept = n
    cdef int turn, shift
    for turn in range(passes):
        shift = turn * bits
        source, target = (odd, even) if turn % 2 else (even, odd)
        memset(count, 0, digits * sizeof(int64_t))
        if turn == 0:
            kept = 0
            for i in range(n):
                v = index_at(indices, wide, i)
                if v != padding:
                    count[v & (digits - 1)] += 1
                    kept += 1
            starts_of_digits(count, digits)
            for i in range(n):
                v = index_at(indices, wide, i)
                if v != padding:
                    target[count[v & (digits - 1)]] = i
                    count[v & (digits - 1)] += 1
            continue
        for k in range(kept):
            count[index_at(indices, wide, source[k]) >> shift & (digits - 1)] += 1
        starts_of_digits(count, digits)
        for k in range(kept):
            v = index_at(indices, wide, source[k]) >> shift & (digits - 1)
            target[count[v]] = source[k]
            count[v] += 1
    return kept


cdef Grouping embedding_group(const char* indices, bint wide, long n, long V, long padding,
                              char* scratch) noexcept nogil:
    cdef Grouping g
    cdef int64_t* other = <int64_t*>scratch + n      # later the rows
    cdef long kept, k, v, last = -1
    cdef int length = 1, passes, bits
    while length < 62 and V > 1L << length:
        length += 1
    passes = <int>ceil_div(length, DIGIT_BITS)
    bits = <int>ceil_div(length, passes)
    g.place, g.row, g.start, g.rows = <int64_t*>scratch, other, other + n, 0
    if passes % 2:
        kept = sort_places(indices, wide, n, padding, bits, passes, other, g.place)
    else:
        kept = sort_places(indices, wide, n, padding, bits, passes, g.place, other)
    for k in range(kept):
        v = index_at(indices, wide, g.place[k])
        if v != last:
            g.row[g.rows] = last = v
            g.start[g.rows] = k
            g.rows += 1
    g.start[g.rows] = kept
    return g


# --- sums ---------------------------------------------------------------------

cdef void sum_row(const Scatter* c, long k, char* y) noexcept nogil:
    """Row k of the grouping."""
    cdef const RowSums* s = &c.sums
    cdef long start = c.g.start[k], count = c.g.start[k + 1] - start
    cdef double divisor = count if s.mean else 1
    if s.taps != NULL:
        c.table.rows_max_back(s.x, s.which + start, s.order + start, s.taps, count, s.D, y)
    elif s.scale != NULL:
        c.table.rows_sum(s.x, s.which + start, s.scale + start * itemsize(s.dtype), count,
                         divisor, s.D, y)
    else:
        c.table.rows_sum(s.x, s.which + start, NULL, count, divisor, s.D, y)


cdef void rows_item(void* context, long item, int thread) noexcept nogil:
    cdef Scatter* c = <Scatter*>context
    cdef long k
    for k in range(item * c.run, min((item + 1) * c.run, c.g.rows)):
        sum_row(c, k, c.y + k * c.row_bytes)


cdef long first_from(const Grouping* g, long v) noexcept nogil:
    """The first row of the grouping from row v on, by bisection."""
    cdef long low = 0, high = g.rows, middle
    while low < high:
        middle = (low + high) // 2
        if g.row[middle] < v:
            low = middle + 1
        else:
            high = middle
    return low


cdef void scatter_item(void* context, long item, int thread) noexcept nogil:
    cdef Scatter* c = <Scatter*>context
    cdef long v = item * c.run, end = min(v + c.run, c.V), k = first_from(&c.g, v), named
    while v < end:
        named = min(<long>c.g.row[k], end) if k < c.g.rows else end
        memset(c.y + v * c.row_bytes, 0, (named - v) * c.row_bytes)
        if named < end:
            sum_row(c, k, c.y + named * c.row_bytes)
            k += 1
        v = named + 1


cdef void embedding_scatter(RowSums sums, Grouping g, long V, char* dw,
                            int threads) noexcept nogil:
    cdef Scatter c
    c.table, c.sums, c.g, c.V, c.y = kernels(sums.dtype), sums, g, V, dw
    c.row_bytes = sums.D * itemsize(sums.dtype)
    c.run = run_of(c.row_bytes)
    parallel_for(scatter_item, &c, ceil_div(V, c.run), threads)


cdef void embedding_rows(RowSums sums, Grouping g, char* y, int threads) noexcept nogil:
    cdef Scatter c
    c.table, c.sums, c.g, c.y = kernels(sums.dtype), sums, g, y
    c.row_bytes = sums.D * itemsize(sums.dtype)
    c.run = run_of(c.row_bytes)
    parallel_for(rows_item, &c, ceil_div(g.rows, c.run), threads)


# --- norms --------------------------------------------------------------------

cdef struct Renorm:
    const fastnn_kernels* table
    Grouping g
    long D, row_bytes
    long run                  # rows of an item
    int kind
    double p, max_norm
    char* w


cdef void renorm_item(void* context, long item, int thread) noexcept nogil:
    cdef Renorm* c = <Renorm*>context
    cdef char* row
    cdef double norm
    cdef long k
    for k in range(item * c.run, min((item + 1) * c.run, c.g.rows)):
        row = c.w + c.g.row[k] * c.row_bytes
        norm = norm_root(c.kind, c.p, c.table.clip_norm[c.kind](row, c.D, c.p))
        if norm > c.max_norm:
            c.table.clip_scale(row, c.D, c.max_norm / (norm + 1e-7))


cdef void embedding_renorm(int dtype, Grouping g, long D, double p, double max_norm, char* w,
                           int threads) noexcept nogil:
    cdef Renorm c
    c.table, c.g, c.D, c.w = kernels(dtype), g, D, w
    c.kind, c.p, c.max_norm = norm_kind(p), p, max_norm
    c.row_bytes = D * itemsize(dtype)
    c.run = run_of(c.row_bytes)
    parallel_for(renorm_item, &c, ceil_div(g.rows, c.run), threads)
