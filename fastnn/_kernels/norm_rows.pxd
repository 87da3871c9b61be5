# Layer norm of the rows of x (R, D).

# what the sums of partial results take
cdef size_t row_parts_bytes(long rows, long width, int dtype) noexcept nogil
cdef int row_threads(long rows, long width, int dtype) noexcept nogil

# w, b (D) may be NULL; stats (3, R): the mean, what it lacks, and 1 / deviation
cdef void layer_forward(int dtype, const char* x, long R, long D, const char* w, const char* b,
                        double eps, char* y, char* stats, int threads) noexcept nogil
# dx may be NULL; so may dw and db, together; `sums` holds 2 * D doubles
cdef void layer_backward(int dtype, const char* dy, const char* x, long R, long D, const char* w,
                         const char* stats, char* parts, double* sums, char* dx, char* dw,
                         char* db, int threads) noexcept nogil
