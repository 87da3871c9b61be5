# The three passes of a 2-D correlation, outside the graph, on tensors of four dimensions.

from fastnn._core.tensor cimport Tensor
from fastnn._kernels.conv_shape cimport ConvShape

cdef Tensor correlate(const ConvShape* s, Tensor x, Tensor w, Tensor bias)
cdef Tensor correlate_backward_data(const ConvShape* s, Tensor dy, Tensor w)
# dy: as summable() returns it; dw and db contiguous or None
cdef int correlate_backward_weight(const ConvShape* s, Tensor x, Tensor dy, Tensor dw,
                                   Tensor db) except -1
cdef Tensor summable(Tensor dy)
