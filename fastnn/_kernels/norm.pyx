"""Batch norm over the columns of x (R, C), layer norm over the rows of x (R, D).

An item is a chunk of rows whose extent the shape alone decides. Whatever is summed
over rows, statistics and the gradients of weight and bias, is summed within each
chunk, and the chunks' results, parts (chunks, 2, C), are merged in double in rising
order, columns shared out among threads: the bits do not depend on their number.
Called by ops/norm.pyx.
"""

from libc.math cimport sqrt

from fastnn._kernels.runtime cimport (
    FLOAT32, ceil_div, fastnn_kernels, itemsize, kernels, parallel_for, team_size,
)

cdef enum:
    CHUNK = 32768            # numbers in a chunk: it stays in the second-level cache
    COLUMNS = 256            # merged at a time

cdef struct Norm:
    const fastnn_kernels* table
    int dtype
    long size                # bytes of a number
    long R, C, chunk
    const char* x
    const char* dy
    const char* w
    const char* b
    const char* constants    # mean, rstd, scale, shift (4, C)
    const char* slopes       # mean of dy, slope in x - mean (2, C)
    char* y
    char* parts              # (chunks, 2, C)
    double* first            # merged: means or sums (C)
    double* second           # variances or dots (C)
    double eps
    char* mean               # of the rows
    char* rstd


cdef long chunk_rows(long width) noexcept nogil:
    return min(max(CHUNK // max(width, <long>1), <long>4), <long>512)


cdef long chunks_of(long rows, long width) noexcept nogil:
    cdef long chunk = chunk_rows(width)
    return ceil_div(rows, chunk)


cdef long norm_parts_bytes(long rows, long width, int dtype) noexcept nogil:
    return chunks_of(rows, width) * 2 * width * itemsize(dtype)


cdef int norm_threads(long rows, long width, int dtype) noexcept nogil:
    return team_size(0.05 * itemsize(dtype) * <double>rows * width)


cdef Norm problem(int dtype, const char* x, long R, long C) noexcept nogil:
    cdef Norm c
    c.dtype, c.size, c.table = dtype, itemsize(dtype), kernels(dtype)
    c.x, c.R, c.C = x, R, C
    c.chunk = chunk_rows(C)
    return c


cdef inline long first_row(const Norm* c, long item) noexcept nogil:
    return item * c.chunk


cdef inline long rows_of(const Norm* c, long item) noexcept nogil:
    return min(c.chunk, c.R - item * c.chunk)


cdef inline char* part(const Norm* c, long item) noexcept nogil:
    return c.parts + item * 2 * c.C * c.size


cdef inline double number(int dtype, const char* x, long i) noexcept nogil:
    return (<const float*>x)[i] if dtype == FLOAT32 else (<const double*>x)[i]


cdef inline void put(int dtype, char* x, long i, double value) noexcept nogil:
    if dtype == FLOAT32:
        (<float*>x)[i] = <float>value
    else:
        (<double*>x)[i] = value


# --- batch norm: forward ------------------------------------------------------

cdef void statistics_item(void* context, long item, int thread) noexcept nogil:
    cdef Norm* c = <Norm*>context
    c.table.norm_stats(c.x + first_row(c, item) * c.C * c.size, rows_of(c, item), c.C,
                       part(c, item), part(c, item) + c.C * c.size)


cdef void merge_item(void* context, long item, int thread) noexcept nogil:
    cdef Norm* c = <Norm*>context
    cdef long column = item * COLUMNS
    c.table.norm_merge(c.parts + column * c.size, 2 * c.C, c.C, c.R, c.chunk,
                       min(<long>COLUMNS, c.C - column), c.first + column, c.second + column)


cdef void batch_statistics(int dtype, const char* x, long R, long C, char* parts,
                           double* mean, double* var, int threads) noexcept nogil:
    cdef Norm c = problem(dtype, x, R, C)
    c.parts, c.first, c.second = parts, mean, var
    parallel_for(statistics_item, &c, chunks_of(R, C), threads)
    parallel_for(merge_item, &c, ceil_div(C, COLUMNS), threads)


cdef void batch_constants(int dtype, long C, const double* mean, const double* var, double eps,
                          const char* w, const char* b, char* constants) noexcept nogil:
    cdef long c
    cdef double rstd
    for c in range(C):
        rstd = 1.0 / sqrt(var[c] + eps)
        put(dtype, constants, c, mean[c])
        put(dtype, constants, C + c, rstd)
        put(dtype, constants, 2 * C + c, rstd * (1.0 if w == NULL else number(dtype, w, c)))
        put(dtype, constants, 3 * C + c, 0.0 if b == NULL else number(dtype, b, c))


cdef void forward_item(void* context, long item, int thread) noexcept nogil:
    cdef Norm* c = <Norm*>context
    cdef long at = first_row(c, item) * c.C * c.size, row = c.C * c.size
    c.table.norm_apply(c.x + at, c.constants, c.constants + 2 * row, c.constants + 3 * row,
                       c.y + at, rows_of(c, item), c.C)


cdef void batch_forward(int dtype, const char* x, long R, long C, const char* constants, char* y,
                        int threads) noexcept nogil:
    cdef Norm c = problem(dtype, x, R, C)
    c.constants, c.y = constants, y
    parallel_for(forward_item, &c, chunks_of(R, C), threads)


# --- batch norm: backward -----------------------------------------------------

cdef void sums_item(void* context, long item, int thread) noexcept nogil:
    cdef Norm* c = <Norm*>context
    cdef long at = first_row(c, item) * c.C * c.size
    c.table.norm_sums(c.dy + at, c.x + at, c.constants, rows_of(c, item), c.C,
                      part(c, item), part(c, item) + c.C * c.size)


cdef void total_item(void* context, long item, int thread) noexcept nogil:
    cdef Norm* c = <Norm*>context
    cdef long column = item * COLUMNS, n = min(<long>COLUMNS, c.C - column)
    cdef long chunks = chunks_of(c.R, c.C)
    c.table.norm_total(c.parts + column * c.size, chunks, 2 * c.C, n, c.first + column)
    c.table.norm_total(c.parts + (c.C + column) * c.size, chunks, 2 * c.C, n, c.second + column)


cdef void backward_item(void* context, long item, int thread) noexcept nogil:
    cdef Norm* c = <Norm*>context
    cdef long at = first_row(c, item) * c.C * c.size, row = c.C * c.size
    c.table.norm_back(c.dy + at, c.x + at, c.constants, c.constants + 2 * row, c.slopes,
                      c.slopes + row, c.y + at, rows_of(c, item), c.C)


cdef void batch_backward(int dtype, const char* dy, const char* x, long R, long C,
                         const char* constants, bint training, char* parts, double* sums,
                         char* slopes, char* dw, char* db, char* dx, int threads) noexcept nogil:
    cdef Norm c = problem(dtype, x, R, C)
    cdef double rstd
    cdef long k
    c.dy, c.constants, c.parts, c.slopes, c.y = dy, constants, parts, slopes, dx
    c.first, c.second = sums, sums + C
    parallel_for(sums_item, &c, chunks_of(R, C), threads)
    parallel_for(total_item, &c, ceil_div(C, COLUMNS), threads)
    for k in range(C):
        rstd = number(dtype, constants, C + k)
        put(dtype, db, k, c.first[k])
        put(dtype, dw, k, c.second[k] * rstd)
        put(dtype, slopes, k, c.first[k] / R if training else 0.0)
        put(dtype, slopes, C + k, c.second[k] * rstd * rstd / R if training else 0.0)
    if dx != NULL:
        parallel_for(backward_item, &c, chunks_of(R, C), threads)


# --- layer norm ---------------------------------------------------------------

cdef void layer_forward_item(void* context, long item, int thread) noexcept nogil:
    cdef Norm* c = <Norm*>context
    cdef long row = first_row(c, item), at = row * c.C * c.size
    c.table.norm_rows(c.x + at, c.w, c.b, c.eps, c.y + at, c.mean + row * c.size,
                      c.rstd + row * c.size, rows_of(c, item), c.C)


cdef void layer_forward(int dtype, const char* x, long R, long D, const char* w, const char* b,
                        double eps, char* y, char* mean, char* rstd, int threads) noexcept nogil:
    cdef Norm c = problem(dtype, x, R, D)
    c.w, c.b, c.eps, c.y, c.mean, c.rstd = w, b, eps, y, mean, rstd
    parallel_for(layer_forward_item, &c, chunks_of(R, D), threads)


cdef void layer_backward_item(void* context, long item, int thread) noexcept nogil:
    cdef Norm* c = <Norm*>context
    cdef long row = first_row(c, item), rows = rows_of(c, item), at = row * c.C * c.size
    cdef const char* mean = c.mean + row * c.size
    cdef const char* rstd = c.rstd + row * c.size
    if c.parts != NULL:
        c.table.norm_rows_sums(c.dy + at, c.x + at, mean, rstd, rows, c.C,
                               part(c, item), part(c, item) + c.C * c.size)
    if c.y != NULL:
        c.table.norm_rows_back(c.dy + at, c.x + at, mean, rstd, c.w, c.y + at, rows, c.C)


cdef void layer_backward(int dtype, const char* dy, const char* x, long R, long D, const char* w,
                         const char* mean, const char* rstd, char* parts, double* sums,
                         char* dx, char* dw, char* db, int threads) noexcept nogil:
    cdef Norm c = problem(dtype, x, R, D)
    cdef long k
    c.dy, c.w, c.y, c.mean, c.rstd = dy, w, dx, <char*>mean, <char*>rstd
    c.parts = NULL if dw == NULL else parts
    c.first, c.second = sums, sums + D
    parallel_for(layer_backward_item, &c, chunks_of(R, D), threads)
    if dw != NULL:
        parallel_for(total_item, &c, ceil_div(D, COLUMNS), threads)
        for k in range(D):
            put(dtype, db, k, c.first[k])
            put(dtype, dw, k, c.second[k])
