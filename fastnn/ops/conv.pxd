# The three passes of a correlation, outside the graph, on tensors as as_images() makes them;
# results have four dimensions.

from fastnn._core.autograd cimport Node, backward_fn
from fastnn._core.tensor cimport Tensor
from fastnn._kernels.conv_shape cimport ConvShape
from fastnn._kernels.runtime cimport epilogue

cdef Tensor correlate(const ConvShape* s, Tensor x, Tensor w, const epilogue* after)
cdef Tensor correlate_backward_data(const ConvShape* s, Tensor dy, Tensor w)
# dy: as summable() returns it; dw and db contiguous or None
cdef int correlate_backward_weight(const ConvShape* s, Tensor x, Tensor dy, Tensor dw,
                                   Tensor db) except -1
cdef Tensor summable(const ConvShape* s, Tensor dy)

# The node of y, which saves x and w; None where no gradient is needed.
cdef Node record_conv(Tensor y, Tensor x, Tensor w, Tensor bias, backward_fn backward,
                      const char* label)
# hands on those of the gradients of w and the bias that are wanted
cdef int give_weight_gradients(Node node, const ConvShape* s, Tensor x, Tensor dy,
                               Tensor w) except -1
