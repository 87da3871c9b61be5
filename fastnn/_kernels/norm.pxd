# Batch norm of a matrix x (R, C), layer norm of its rows (R, D).

# what the sums of partial results take
cdef long norm_parts_bytes(long rows, long width, int dtype) noexcept nogil
cdef int norm_threads(long rows, long width, int dtype) noexcept nogil

# mean and biased variance of the columns
cdef void batch_statistics(int dtype, const char* x, long R, long C, char* parts,
                           double* mean, double* var, int threads) noexcept nogil
# the rows `mean`, `rstd`, `scale` = rstd * w, `shift` = b of constants (4, C); w, b may be NULL
cdef void batch_constants(int dtype, long C, const double* mean, const double* var, double eps,
                          const char* w, const char* b, char* constants) noexcept nogil
# y = (x - mean) * scale + shift
cdef void batch_forward(int dtype, const char* x, long R, long C, const char* constants, char* y,
                        int threads) noexcept nogil
# the gradients of w and b, and, with dx, that of x; `sums` holds 2 * C doubles and
# `slopes` 2 * C numbers. training: the statistics are those of x itself
cdef void batch_backward(int dtype, const char* dy, const char* x, long R, long C,
                         const char* constants, bint training, char* parts, double* sums,
                         char* slopes, char* dw, char* db, char* dx, int threads) noexcept nogil

# w, b (D) may be NULL; mean, rstd (R)
cdef void layer_forward(int dtype, const char* x, long R, long D, const char* w, const char* b,
                        double eps, char* y, char* mean, char* rstd, int threads) noexcept nogil
# dx may be NULL; so may dw and db, together; `sums` holds 2 * D doubles
cdef void layer_backward(int dtype, const char* dy, const char* x, long R, long D, const char* w,
                         const char* mean, const char* rstd, char* parts, double* sums,
                         char* dx, char* dw, char* db, int threads) noexcept nogil
