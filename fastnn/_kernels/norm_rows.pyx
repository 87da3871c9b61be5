"""Layer norm: every row of x (R, D) for itself.

An item is a chunk of rows whose extent the shape alone decides. The gradients of weight
and bias are summed within each chunk, and the chunks' results, parts (chunks, 2, D), are
added up in double in rising order, columns shared out among threads: the bits do not
depend on their number. Called by ops/norm_rows.pyx.
"""

from libc.string cimport memset

from fastnn._kernels.norm cimport chunk_rows, put
from fastnn._kernels.runtime cimport (
    ceil_div, fastnn_kernels, itemsize, kernels, parallel_for, team_size,
)

cdef enum:
    COLUMNS = 256            # added up at a time

cdef struct Rows:
    const fastnn_kernels* table
    int dtype
    long size                # bytes of a number
    long R, D, chunk
    const char* x
    const char* dy
    const char* w
    const char* b
    double eps
    char* stats              # mean, slip, rstd (3, R)
    char* y
    char* parts              # (chunks, 2, D)
    double* sums             # (2, D)
    char* dw
    char* db


cdef size_t row_parts_bytes(long rows, long width, int dtype) noexcept nogil:
    return ceil_div(rows, chunk_rows(width)) * 2 * width * itemsize(dtype)


cdef int row_threads(long rows, long width, int dtype) noexcept nogil:
    # and 10 ns for each row
    return team_size((0.05 * itemsize(dtype) * width + 10) * <double>rows)


cdef Rows problem(int dtype, const char* x, long R, long D) noexcept nogil:
    cdef Rows c
    memset(&c, 0, sizeof(c))
    c.dtype, c.size, c.table = dtype, itemsize(dtype), kernels(dtype)
    c.x, c.R, c.D = x, R, D
    c.chunk = chunk_rows(D)
    return c


cdef inline char* part(const Rows* c, long chunk, int k) noexcept nogil:
    return c.parts + (2 * chunk + k) * c.D * c.size


# --- forward ------------------------------------------------------------------

cdef void forward_item(void* context, long item, int thread) noexcept nogil:
    cdef Rows* c = <Rows*>context
    cdef long row = item * c.chunk, rows = min(c.chunk, c.R - row), at = row * c.D * c.size
    cdef char* mean = c.stats + row * c.size
    cdef long apart = c.R * c.size
    c.table.norm_rows(c.x + at, c.w, c.b, c.eps, c.y + at, mean, mean + apart, mean + 2 * apart,
                      rows, c.D)


cdef void layer_forward(int dtype, const char* x, long R, long D, const char* w, const char* b,
                        double eps, char* y, char* stats, int threads) noexcept nogil:
    cdef Rows c = problem(dtype, x, R, D)
    c.w, c.b, c.eps, c.y, c.stats = w, b, eps, y, stats
    parallel_for(forward_item, &c, ceil_div(R, c.chunk), threads)


# --- backward -----------------------------------------------------------------

cdef void backward_item(void* context, long item, int thread) noexcept nogil:
    cdef Rows* c = <Rows*>context
    cdef long row = item * c.chunk, rows = min(c.chunk, c.R - row), at = row * c.D * c.size
    cdef const char* mean = c.stats + row * c.size
    cdef const char* slip = mean + c.R * c.size
    cdef const char* rstd = slip + c.R * c.size
    if c.parts != NULL:
        c.table.norm_rows_sums(c.dy + at, c.x + at, mean, slip, rstd, rows, c.D,
                               part(c, item, 0), part(c, item, 1))
    if c.y != NULL:
        c.table.norm_rows_back(c.dy + at, c.x + at, mean, slip, rstd, c.w, c.y + at, rows, c.D)


cdef void weights_item(void* context, long item, int thread) noexcept nogil:
    cdef Rows* c = <Rows*>context
    cdef long column = item * COLUMNS, n = min(<long>COLUMNS, c.D - column), k
    cdef long chunks = ceil_div(c.R, c.chunk), at = column * c.size
    cdef double* sum = c.sums + column
    cdef double* dot = sum + c.D
    c.table.norm_total(part(c, 0, 0) + at, chunks, 2 * c.D, n, sum)
    c.table.norm_total(part(c, 0, 1) + at, chunks, 2 * c.D, n, dot)
    for k in range(n):
        put(c.dtype, c.db, column + k, sum[k])
        put(c.dtype, c.dw, column + k, dot[k])


cdef void layer_backward(int dtype, const char* dy, const char* x, long R, long D, const char* w,
                         const char* stats, char* parts, double* sums, char* dx, char* dw,
                         char* db, int threads) noexcept nogil:
    cdef Rows c = problem(dtype, x, R, D)
    c.dy, c.w, c.y, c.stats, c.sums, c.dw, c.db = dy, w, dx, <char*>stats, sums, dw, db
    c.parts = NULL if dw == NULL else parts
    parallel_for(backward_item, &c, ceil_div(R, c.chunk), threads)
    if dw != NULL:
        parallel_for(weights_item, &c, ceil_div(D, COLUMNS), threads)
