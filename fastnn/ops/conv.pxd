# conv2d: what its arguments come to.

from fastnn._core.tensor cimport Tensor
from fastnn._kernels.conv_shape cimport ConvShape

# Checks everything and fills s; x may lack the batch dimension.
cdef int parse_shape(ConvShape* s, Tensor x, Tensor w, object bias, object stride, object padding,
                     object dilation, object groups) except -1
