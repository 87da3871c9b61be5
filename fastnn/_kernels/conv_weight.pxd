# The weight and bias gradients of convolution.

from fastnn._kernels.conv_shape cimport ConvShape, Correlation

# returns the bytes of scratch that the pass needs
cdef size_t plan_backward_weight(Correlation* c, const ConvShape* s, const Py_ssize_t* x_strides,
                                 const Py_ssize_t* dy_strides, bint want_dw, bint want_db) noexcept

# may dy be summed over as it lies? Its rows, and its images, follow upon each other
cdef bint takes_gradient(const ConvShape* s, const Py_ssize_t* dy_strides) noexcept

# such a dy; x may have any strides; dw and db are contiguous
cdef void conv_backward_weight(Correlation* c, const char* x, const char* dy, char* dw, char* db,
                               char* scratch) noexcept nogil
