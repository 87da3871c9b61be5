# Max and average pooling of images of few channels, a vector of images at a time.

from fastnn._kernels.runtime cimport pool_args

# Are N images better taken so?
cdef bint pool_grouped(const pool_args* p, int dtype, long N) noexcept nogil

# bytes of scratch for each thread, forward or backward
cdef long pool_group_bytes(const pool_args* p, int dtype, bint backward) noexcept nogil

# As pool_forward() and pool_backward(), but x and dy with any five strides, and taps in an
# order of their own.
cdef void pool_group_forward(const pool_args* p, int dtype, bint average, long N, const char* x,
                             const Py_ssize_t* x_strides, char* y, char* taps, char* scratch,
                             int threads) noexcept nogil
cdef void pool_group_backward(const pool_args* p, int dtype, bint average, long N, const char* dy,
                              const Py_ssize_t* dy_strides, const char* taps, char* dx,
                              char* scratch, int threads) noexcept nogil
