"""Convolution of volumes: conv3d and its gradients.

The depth taps of a kernel become channels: every output depth reads one image of
C * KD channels, gathered from the KD input depths, so that volumes are one 2-D problem of
N * OD images. The gathered images are made again in backward rather than kept.
"""

from libc.string cimport memcpy, memset

from fastnn._core.autograd cimport Node, give, save2, saved0, saved1
from fastnn._core.layout cimport contiguous, new_channels_last, new_view
from fastnn._core.tensor cimport Tensor, alias, copy_into, itemsize
from fastnn._kernels.conv_shape cimport ConvShape
from fastnn._kernels.pad cimport CONSTANT
from fastnn._kernels.runtime cimport epilogue
from fastnn.ops.broadcast cimport add_into, before_relu
from fastnn.ops.conv cimport (
    correlate, correlate_backward_data, give_weight_gradients, record_conv, summable,
)
from fastnn.ops.conv_shape cimport Geometry, correlation_of, operand, parse_conv
from fastnn.ops.norm cimport epilogue_of, fixed_constants
from fastnn.ops.pad cimport Padding, folded, padded

from fastnn.ops.registry import op


cdef ConvShape problem_of(const Geometry* g) noexcept:
    """Of N * OD images of C * KD channels."""
    cdef Geometry images = g[0]
    images.N *= g.out[0]
    images.C *= g.kernel[0]
    return correlation_of(&images, False)


cdef Padding depth_padding(const Geometry* g) noexcept:
    cdef Padding p
    memset(&p, 0, sizeof(p))
    p.before[2], p.after[2] = g.before[0], g.after[0]
    return p


# --- views --------------------------------------------------------------------------

cdef Tensor with_batch(Tensor x):
    """(C, D, H, W) seen as (1, C, D, H, W)."""
    cdef Py_ssize_t[5] shape
    cdef Py_ssize_t[5] strides
    cdef int d
    if x.ndim_ == 5:
        return x
    shape[0], strides[0] = 1, x.size_
    for d in range(4):
        shape[d + 1], strides[d + 1] = x.shape_[d], x.strides_[d]
    return new_view(x, 5, shape, strides, x.ptr)


cdef Tensor volumes_of(Tensor y, long N, long depth, bint batched):
    """(N * D, C, H, W) as (N, C, D, H, W), or without N: a tensor of its own."""
    cdef Tensor z = alias(y)
    cdef Py_ssize_t[5] shape = [N, y.shape_[1], depth, y.shape_[2], y.shape_[3]]
    cdef Py_ssize_t[5] strides = [depth * y.strides_[0], y.strides_[1], y.strides_[0],
                                  y.strides_[2], y.strides_[3]]
    cdef int d, first = 0 if batched else 1
    z.ndim_ = 5 - first
    for d in range(first, 5):
        z.shape_[d - first], z.strides_[d - first] = shape[d], strides[d]
    return z


cdef Tensor images_of(Tensor x):
    """(N, C, D, H, W) as (N * D, C, H, W): a view where strides allow it."""
    cdef Py_ssize_t[4] shape = [x.shape_[0] * x.shape_[2], x.shape_[1], x.shape_[3], x.shape_[4]]
    cdef Py_ssize_t[4] strides = [x.strides_[2], x.strides_[1], x.strides_[3], x.strides_[4]]
    cdef Tensor y
    if x.shape_[0] == 1 or x.strides_[0] == x.shape_[2] * x.strides_[2]:
        return new_view(x, 4, shape, strides, x.ptr)
    y = new_channels_last(x.dtype_, shape)
    copy_into(volumes_of(y, x.shape_[0], x.shape_[2], True), x)
    return y


cdef Tensor filters_of(Tensor w):
    """(O, C, KD, KH, KW) as (O, C * KD, KH, KW)."""
    cdef Py_ssize_t[4] shape = [w.shape_[0], w.shape_[1] * w.shape_[2], w.shape_[3], w.shape_[4]]
    cdef Py_ssize_t[4] strides
    if w.strides_[1] != w.shape_[2] * w.strides_[2]:
        w = contiguous(w)
    strides[0], strides[1], strides[2], strides[3] = (
        w.strides_[0], w.strides_[2], w.strides_[3], w.strides_[4])
    return new_view(w, 4, shape, strides, w.ptr)


# --- depth taps as channels ------------------------------------------------------------

cdef Tensor windows_of(Tensor y, const Geometry* g):
    """The gathered images (N * OD, C * KD, H, W) seen as (N, OD, C, KD, H, W)."""
    cdef Py_ssize_t[6] shape = [g.N, g.out[0], g.C, g.kernel[0], g.size[1], g.size[2]]
    cdef Py_ssize_t[6] strides = [g.out[0] * y.strides_[0], y.strides_[0],
                                  g.kernel[0] * y.strides_[1], y.strides_[1],
                                  y.strides_[2], y.strides_[3]]
    return new_view(y, 6, shape, strides, y.ptr)


cdef Tensor gathered(Tensor x, const Geometry* g):
    """The images that the output depths read, of x (N, C, D, H, W)."""
    cdef Py_ssize_t[4] shape = [g.N * g.out[0], g.C * g.kernel[0], g.size[1], g.size[2]]
    cdef Padding p = depth_padding(g)
    cdef Tensor y, windows, source
    if g.before[0] or g.after[0]:
        x = padded(x, &p, CONSTANT, 0)
    if g.kernel[0] == 1 and g.stride[0] == 1:
        return images_of(x)
    y = new_channels_last(x.dtype_, shape)
    windows = windows_of(y, g)
    source = new_view(x, 6, windows.shape_, [
        x.strides_[0], g.stride[0] * x.strides_[2], x.strides_[1],
        g.dilation[0] * x.strides_[2], x.strides_[3], x.strides_[4]], x.ptr)
    copy_into(windows, source)
    return y


cdef Tensor scattered(Tensor dy, const Geometry* g):
    """The gradient of gathered(): the taps are added up in order."""
    cdef Padding p = depth_padding(g)
    cdef Py_ssize_t depth = g.size[0] + g.before[0] + g.after[0]
    cdef Py_ssize_t[4] shape = [g.N * depth, g.C, g.size[1], g.size[2]]
    cdef Py_ssize_t[5] part = [g.N, g.out[0], g.C, g.size[1], g.size[2]]
    cdef Tensor sums = new_channels_last(dy.dtype_, shape), windows = windows_of(dy, g)
    cdef Tensor tap, dx = volumes_of(sums, g.N, depth, True)
    cdef long k, item = itemsize(dy.dtype_)
    memset(sums.ptr, 0, sums.size_ * item)
    for k in range(g.kernel[0]):
        tap = new_view(windows, 5, part, [
            windows.strides_[0], windows.strides_[1], windows.strides_[2], windows.strides_[4],
            windows.strides_[5]], windows.ptr + k * windows.strides_[3] * item)
        add_into(new_view(dx, 5, part, [
            dx.strides_[0], g.stride[0] * dx.strides_[2], dx.strides_[1], dx.strides_[3],
            dx.strides_[4]], dx.ptr + k * g.dilation[0] * dx.strides_[2] * item), tap)
    return folded(dx, &p, CONSTANT) if g.before[0] or g.after[0] else dx


# --- forward and backward -----------------------------------------------------------

cdef Tensor conv(object input, object weight, object bias, object stride, object padding,
                 object dilation, object groups, object norm, bint relu):
    cdef Tensor x = operand(input, "conv3d", "input"), w = operand(weight, "conv3d", "weight")
    cdef Tensor b = None, constants, y
    cdef epilogue after
    cdef Geometry g
    cdef ConvShape s
    cdef Node node
    parse_conv(&g, "conv3d", 3, x, w, bias, stride, padding, dilation, groups)
    s = problem_of(&g)
    if bias is not None:
        b = contiguous(<Tensor>bias)
    constants = fixed_constants(norm, x, g.O)
    after = epilogue_of(b, constants, relu)
    y = correlate(&s, gathered(with_batch(x), &g), filters_of(w), &after)
    y = volumes_of(y, g.N, g.out[0], g.batched)
    node = record_conv(y, x, w, bias, conv3d_backward, "conv3d_relu" if relu else "conv3d")
    if node is not None:
        node.extra = (<const char*>&g)[:sizeof(g)]
        if relu:
            save2(node, alias(y))
    return y


def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlation of volumes with a bank of filters.

    input (N, C, D, H, W) or (C, D, H, W), weight (O, C / groups, KD, KH, KW), bias (O,) give
    (N, O, OD, OH, OW). stride, padding and dilation are ints or three ints; padding may be
    'valid' or 'same'. The result lies channels-last in memory. ValueError where the shapes
    do not fit.

    >>> conv3d(fastnn.ones(1, 1, 4, 4, 4), fastnn.ones(2, 1, 3, 3, 3), padding=1).shape
    (1, 2, 4, 4, 4)
    """
    return conv(input, weight, bias, stride, padding, dilation, groups, None, False)


def conv3d_fused(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, norm=None,
                 relu=True):
    """conv3d(), batch norm with the numbers `norm` (see fixed_constants) and ReLU in one pass."""
    return conv(input, weight, bias, stride, padding, dilation, groups, norm, relu)


cdef int conv3d_backward(Node node, Tensor dy) except -1:
    cdef Tensor x = saved0(node), w = saved1(node), dx
    cdef Geometry g
    cdef ConvShape s
    memcpy(&g, <const char*>node.extra, sizeof(g))
    s = problem_of(&g)
    dy = summable(&s, images_of(with_batch(before_relu(node, dy))))
    if node.input0 is not None:
        dx = scattered(correlate_backward_data(&s, dy, filters_of(w)), &g)
        give(node.input0, dx if g.batched else first_of(dx))
    if node.input1 is not None or node.input2 is not None:
        give_weight_gradients(node, &s, gathered(with_batch(x), &g), dy, w)
    return 0


cdef Tensor first_of(Tensor x):
    """x[0]"""
    return new_view(x, x.ndim_ - 1, x.shape_ + 1, x.strides_ + 1, x.ptr)


OPS = [
    op("conv3d", conv3d, cases="conv3d"),
    op("conv3d_fused", conv3d_fused, cases="conv3d", public=False),
]
