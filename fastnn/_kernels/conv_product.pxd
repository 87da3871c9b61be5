# The gradients of convolutions that are one matrix product.

from fastnn._kernels.conv_shape cimport ConvShape
from fastnn._kernels.gemm cimport Gemm

# is it one, for an x or a dy of these strides?
cdef bint is_product(const ConvShape* s, const Py_ssize_t* strides) noexcept nogil

# dx is contiguous, channels last
cdef Gemm product_backward_data(const ConvShape* s, const char* dy, const Py_ssize_t* dy_strides,
                                const char* w, const Py_ssize_t* w_strides,
                                char* dx) noexcept nogil
# dw is contiguous
cdef Gemm product_backward_weight(const ConvShape* s, const char* x, const Py_ssize_t* x_strides,
                                  const char* dy, const Py_ssize_t* dy_strides,
                                  char* dw) noexcept nogil
