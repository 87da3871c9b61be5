"""Transposed convolution: conv_transpose1d to conv_transpose3d and their gradients.

The gradient of a correlation with respect to its input is the forward pass here, and
the other way round; in the gradient of the weight, input and dy change places.
"""

from libc.string cimport memcpy

from fastnn._core.autograd cimport Node, give, saved0, saved1
from fastnn._core.layout cimport new_view
from fastnn._core.tensor cimport Tensor, new_tensor
from fastnn._kernels.conv_shape cimport ConvShape
from fastnn._kernels.reduce cimport REDUCE_SUM
from fastnn._kernels.runtime cimport epilogue, no_epilogue
from fastnn.ops.broadcast cimport add_into
from fastnn.ops.conv cimport (
    correlate, correlate_backward_data, correlate_backward_weight, record_conv, summable,
)
from fastnn.ops.conv_shape cimport (
    Geometry, as_images, correlation_of, from_images, operand, parse_conv_transpose,
)
from fastnn.ops.reduce cimport reduce_dims

from fastnn.ops.registry import op


cdef Tensor per_channel(Tensor bias):
    """(C,) seen as (C, 1, 1)."""
    cdef Py_ssize_t[3] shape = [bias.size_, 1, 1]
    cdef Py_ssize_t[3] strides = [bias.strides_[0], 0, 0]
    return new_view(bias, 3, shape, strides, bias.ptr)


cdef Tensor conv_transpose(int dims, object input, object weight, object bias, object stride,
                           object padding, object output_padding, object groups, object dilation,
                           str name, const char* label):
    cdef Tensor x = operand(input, name, "input"), w = operand(weight, name, "weight")
    cdef Tensor b = <Tensor>bias if isinstance(bias, Tensor) else None, y
    cdef Geometry g
    cdef ConvShape s
    cdef Node node
    parse_conv_transpose(&g, name, dims, x, w, bias, stride, padding, output_padding, groups,
                         dilation)
    s = correlation_of(&g, True)
    y = correlate_backward_data(&s, as_images(x, dims), as_images(w, dims))
    if b is not None:
        add_into(y, per_channel(b))
    y = from_images(y, dims, g.batched, s.D)
    node = record_conv(y, x, w, b, conv_transpose_backward, label)
    if node is not None:
        node.i[0] = dims
        node.extra = (<const char*>&s)[:sizeof(s)]
    return y


cdef int conv_transpose_backward(Node node, Tensor dy) except -1:
    cdef Tensor x = saved0(node), w = saved1(node), dw
    cdef int dims = <int>node.i[0]
    cdef epilogue after = no_epilogue()
    cdef ConvShape s
    memcpy(&s, <const char*>node.extra, sizeof(s))
    dy = as_images(dy, dims)
    if node.input0 is not None:
        give(node.input0, from_images(correlate(&s, dy, as_images(w, dims), &after), dims,
                                      x.ndim_ == dims + 2, s.OD))
    if node.input1 is not None:
        dw = new_tensor(w.dtype_, w.ndim_, w.shape_)
        correlate_backward_weight(&s, dy, summable(&s, as_images(x, dims)), dw, None)
        give(node.input1, dw)
    if node.input2 is not None:
        give(node.input2, reduce_dims(REDUCE_SUM, dy, (1 << dy.ndim_) - 1 & ~2, False))
    return 0


def conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1,
                     dilation=1):
    """Transposed convolution of sequences: what the gradient of conv1d does to its input.

    input (N, C, L) or (C, L), weight (C, O / groups, K), bias (O,) give (N, O, OL) or (O, OL)
    with OL = (L - 1) * stride - 2 * padding + dilation * (K - 1) + output_padding + 1.
    ValueError where the shapes do not fit.

    >>> conv_transpose1d(fastnn.ones(1, 1, 2), fastnn.ones(1, 1, 2), stride=2).tolist()
    [[[1.0, 1.0, 1.0, 1.0]]]
    """
    return conv_transpose(1, input, weight, bias, stride, padding, output_padding, groups,
                          dilation, "conv_transpose1d", "conv_transpose1d")


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1,
                     dilation=1):
    """Transposed convolution of images: what the gradient of conv2d does to its input.

    input (N, C, H, W) or (C, H, W), weight (C, O / groups, KH, KW), bias (O,) give
    (N, O, OH, OW) with OH = (H - 1) * stride - 2 * padding + dilation * (KH - 1) +
    output_padding + 1 and OW alike; all but groups are ints or pairs. The result lies
    channels-last in memory. ValueError where the shapes do not fit.

    >>> conv_transpose2d(fastnn.ones(1, 4, 8, 8), fastnn.ones(4, 2, 2, 2), stride=2).shape
    (1, 2, 16, 16)
    """
    return conv_transpose(2, input, weight, bias, stride, padding, output_padding, groups,
                          dilation, "conv_transpose2d", "conv_transpose2d")


def conv_transpose3d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1,
                     dilation=1):
    """Transposed convolution of volumes: what the gradient of conv3d does to its input.

    input (N, C, D, H, W) or (C, D, H, W), weight (C, O / groups, KD, KH, KW), bias (O,) give
    (N, O, OD, OH, OW) or (O, OD, OH, OW), of sizes as in conv_transpose2d; all but groups are
    ints or three ints. The result lies channels-last in memory. ValueError where the shapes
    do not fit.

    >>> conv_transpose3d(fastnn.ones(1, 4, 3, 8, 8), fastnn.ones(4, 2, 2, 2, 2), stride=2).shape
    (1, 2, 6, 16, 16)
    """
    return conv_transpose(3, input, weight, bias, stride, padding, output_padding, groups,
                          dilation, "conv_transpose3d", "conv_transpose3d")


OPS = [
    op("conv_transpose1d", conv_transpose1d, cases="conv_transpose1d"),
    op("conv_transpose2d", conv_transpose2d, cases="conv_transpose2d"),
    op("conv_transpose3d", conv_transpose3d, cases="conv_transpose3d"),
]
