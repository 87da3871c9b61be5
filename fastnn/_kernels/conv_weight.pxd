# The weight and bias gradients of 2-D convolution.

from fastnn._kernels.conv cimport ConvShape, Correlation

# returns the bytes of scratch that the pass needs
cdef size_t plan_backward_weight(Correlation* c, const ConvShape* s, const Py_ssize_t* x_strides,
                                 bint want_dw, bint want_db) noexcept

# dy is channels-last, dw and db contiguous; x may have any strides
cdef void conv_backward_weight(Correlation* c, const char* x, const char* dy, char* dw, char* db,
                               char* scratch) noexcept nogil
