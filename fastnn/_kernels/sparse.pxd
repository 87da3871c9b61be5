# Tables of which a list holds some rows: rising numbers of rows, and their values.

from libc.stdint cimport int64_t

# the rows of either list, rising, each once; returns how many. The k-th of x stands at
# at_x[k] of them, the k-th of y at at_y[k].
cdef long sparse_union(const int64_t* x, long nx, const int64_t* y, long ny, int64_t* rows,
                       int64_t* at_x, int64_t* at_y) noexcept nogil

# y[at[k]] += alpha x[k] for k < n: rows of D numbers; all of `at` are different
cdef void sparse_add(int dtype, const int64_t* at, long n, const char* x, double alpha, long D,
                     char* y) noexcept nogil
