# Convolution: the plan of one pass, made under the GIL, and the passes.

from fastnn._kernels.conv_shape cimport ConvShape, Correlation
from fastnn._kernels.runtime cimport epilogue

# The packed weights of forward, c.packed_bytes, with the key that tells them apart (from key[1]
# on); valid for every x of the same panels.
cdef void conv_image_key(const Correlation* c, const Py_ssize_t* w_strides,
                         long* key) noexcept nogil
cdef void conv_pack(Correlation* c, const char* w, const Py_ssize_t* w_strides,
                    char* image) noexcept nogil

# A plan returns the bytes of scratch that its pass needs.
cdef size_t plan_forward(Correlation* c, const ConvShape* s, const Py_ssize_t* x_strides) noexcept
cdef size_t plan_backward_data(Correlation* c, const ConvShape* s,
                               const Py_ssize_t* dy_strides) noexcept

# y and dx are channels-last; x, w and dy may have any strides; image: packed weights
cdef void conv_forward(Correlation* c, const char* x, const char* image, const epilogue* after,
                       char* y, char* scratch) noexcept nogil
cdef void conv_backward_data(Correlation* c, const ConvShape* s, const char* dy,
                             const Py_ssize_t* dy_strides, const char* w,
                             const Py_ssize_t* w_strides, char* dx, char* scratch) noexcept nogil
