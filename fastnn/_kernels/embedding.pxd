# Rows of a table by index, and the gradient of the table.

# the first of n indices (int64 if wide, else int32) outside 0..V-1, or -1
cdef long embedding_first_bad(const char* indices, bint wide, long n, long V) noexcept nogil

# y (n, D) = rows of w (V, D)
cdef int embedding_threads(long n, long D, int dtype) noexcept nogil
cdef void embedding_gather(int dtype, const char* indices, bint wide, long n, const char* w,
                           long D, char* y, int threads) noexcept nogil

# dw (V, D): each row the sum of the rows of dy (n, D) it was taken for; zero for row `padding`
cdef long embedding_scratch_bytes(long n, long V) noexcept nogil
cdef void embedding_scatter(int dtype, const char* indices, bint wide, long n, const char* dy,
                            long V, long D, long padding, char* scratch, char* dw,
                            int threads) noexcept nogil
