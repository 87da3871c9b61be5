"""Tables of which a list holds some rows: united and added. No two rows of a list are the
same, so threads do not meet. Called by _core/sparse.pyx."""

from libc.stdint cimport int64_t

from fastnn._kernels.runtime cimport (
    ceil_div, fastnn_kernels, itemsize, kernels, parallel_for, team_size,
)

cdef enum:
    ITEM_BYTES = 1 << 15

cdef struct Addition:
    const fastnn_kernels* table
    const int64_t* at
    const char* x
    char* y
    double alpha
    long n, D, row_bytes
    long run                  # rows of an item


cdef long sparse_union(const int64_t* x, long nx, const int64_t* y, long ny, int64_t* rows,
                       int64_t* at_x, int64_t* at_y) noexcept nogil:
    cdef long i = 0, j = 0, count = 0
    while i < nx or j < ny:
        rows[count] = x[i] if j == ny or (i < nx and x[i] < y[j]) else y[j]
        if i < nx and x[i] == rows[count]:
            at_x[i] = count
            i += 1
        if j < ny and y[j] == rows[count]:
            at_y[j] = count
            j += 1
        count += 1
    return count


cdef void add_item(void* context, long item, int thread) noexcept nogil:
    cdef Addition* c = <Addition*>context
    cdef long k
    for k in range(item * c.run, min((item + 1) * c.run, c.n)):
        c.table.rows_add(c.x + k * c.row_bytes, c.alpha, c.y + c.at[k] * c.row_bytes, c.D)


cdef void sparse_add(int dtype, const int64_t* at, long n, const char* x, double alpha, long D,
                     char* y) noexcept nogil:
    cdef Addition c
    c.table, c.at, c.x, c.y, c.alpha, c.n, c.D = kernels(dtype), at, x, y, alpha, n, D
    c.row_bytes = D * itemsize(dtype)
    c.run = max(<long>ITEM_BYTES // max(c.row_bytes, <long>1), <long>1)
    parallel_for(add_item, &c, ceil_div(n, c.run), team_size(n * (10 + 0.2 * c.row_bytes)))
