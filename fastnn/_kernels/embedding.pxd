# Rows of a table by index, and the gradient of the table.

from libc.stdint cimport int32_t, int64_t

# the first of n indices (int64 if wide, else int32) outside 0..V-1, or -1
cdef long embedding_first_bad(const char* indices, bint wide, long n, long V) noexcept nogil

# y (n, D) = rows of w (V, D)
cdef int embedding_threads(long n, long D, int dtype) noexcept nogil
cdef void embedding_gather(int dtype, const char* indices, bint wide, long n, const char* w,
                           long D, char* y, int threads) noexcept nogil

# The rows that n indices name, rising, each once. Row row[k] is named at the places
# place[start[k]:start[k + 1]], rising too.
cdef struct Grouping:
    long rows
    int64_t* row
    int64_t* start
    int64_t* place

# Indices that name row `padding` are left out (-1: none). `scratch` holds the result.
cdef long embedding_scratch_bytes(long n) noexcept nogil
cdef Grouping embedding_group(const char* indices, bint wide, long n, long V, long padding,
                              char* scratch) noexcept nogil

# What the gradient of a row is the sum of: rows of x (*, D), namely which[start[k]:start[k + 1]]
# for row k of a grouping, each times its scale; or, given taps (*, D), of these rows the
# elements whose tap is the order of the place.
cdef struct RowSums:
    const char* x
    const int64_t* which
    const char* scale          # NULL: ones
    const int64_t* order       # for taps
    const int32_t* taps        # NULL: everything counts
    int dtype
    long D
    bint mean                  # divided by their number

# dw (V, D), zero but in the rows of the grouping; or only these, y (rows, D)
cdef void embedding_scatter(RowSums sums, Grouping g, long V, char* dw, int threads) noexcept nogil
cdef void embedding_rows(RowSums sums, Grouping g, char* y, int threads) noexcept nogil

# Rows of w (V, D) whose p-norm is above max_norm are scaled down to it
cdef void embedding_renorm(int dtype, Grouping g, long D, double p, double max_norm, char* w,
                           int threads) noexcept nogil
