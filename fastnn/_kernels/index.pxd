# Rows at computed places of a tensor: read, written, added to.

cdef enum:
    INDEX_READ = 0       # y = x[...]
    INDEX_WRITE = 1      # x[...] = y; of equal places the last one stays
    INDEX_ADD = 2        # x[...] += y
    INDEX_TAKE = 3       # y = x[...], then x[...] = 0, from the last place to the first

# x is walked through strided outer dimensions, then the places, then strided
# inner dimensions; y is row-major in that order. Steps and places in elements.
cdef struct IndexJob:
    int mode
    int dtype
    char* x
    char* y
    long count                # of places
    const long long* places
    int outer_ndim
    long[8] outer_shape
    long[8] outer_step
    int inner_ndim
    long[8] inner_shape
    long[8] inner_step

cdef void index_run(IndexJob* job) noexcept nogil

# places[i] += index[i] * step, negative indices counted from the end of `size`;
# returns the position of the first index out of range, or -1
cdef long index_places(long long* places, const long long* index, long n, long long size,
                       long long step) noexcept nogil

# the coordinates of the bytes that are not zero in a row-major mask: coordinate d
# of the k-th goes to out[d][k]; returns how many there are (out NULL: only that)
cdef long index_nonzero(const unsigned char* mask, int ndim, const Py_ssize_t* shape,
                        long long** out) noexcept nogil
