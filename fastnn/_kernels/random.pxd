# Arrays of random numbers, drawn in parallel; the bits depend on the stream alone.

from libc.stdint cimport int64_t, uint64_t

from fastnn._kernels.runtime cimport dropout_rule, random_stream

cdef void random_uniform(int dtype, random_stream stream, long n, double low, double high,
                         void* y) noexcept nogil
cdef void random_normal(int dtype, random_stream stream, long n, double mean, double std,
                        void* y) noexcept nogil
# whether all p are from 0 to 1
cdef bint random_bernoulli(int dtype, random_stream stream, long n, const void* p,
                           void* y) noexcept nogil
# y = x * scale + shift, or `dropped` with probability threshold / 2^32
cdef void random_dropout(int dtype, random_stream stream, long n, dropout_rule rule, const void* x,
                         void* y) noexcept nogil
# y = a where x > 0, elsewhere a times a slope in [low, high)
cdef void random_rrelu(int dtype, random_stream stream, long n, double low, double high,
                       const void* x, const void* a, void* y) noexcept nogil
# low + a whole number below range; range 0 stands for 2^64
cdef void random_integers(random_stream stream, long n, int64_t low, uint64_t range_,
                          int64_t* y) noexcept nogil
# y = 0 .. n - 1 in random order
cdef void random_permutation(random_stream stream, long n, int64_t* y) noexcept nogil
