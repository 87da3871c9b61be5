"""Convolution: conv1d, conv2d, conv3d and their gradients, on channels-last activations.

All are one problem: a sequence is an image of a single row, a volume so many images, of
which a result reads several.
"""

from libc.string cimport memcpy, memset

from fastnn._core.autograd cimport (
    Node, attach, backward_fn, edge, give, needs_graph, new_node, save0, save1, save2, saved0,
    saved1,
)
from fastnn._core.layout cimport contiguous, new_channels_last
from fastnn._core.storage cimport (
    CONV_IMAGE, PACK_KEY, Packed, packed_done, packed_image, scratch_give, scratch_take,
)
from fastnn._core.tensor cimport Tensor, alias, copy_into, itemsize, new_tensor
from fastnn._kernels.conv cimport (
    conv_backward_data, conv_forward, conv_image_key, conv_pack, plan_backward_data, plan_forward,
)
from fastnn._kernels.conv_product cimport (
    is_product, product_backward_data, product_backward_weight,
)
from fastnn._kernels.conv_shape cimport ConvShape, Correlation
from fastnn._kernels.conv_weight cimport (
    conv_backward_weight, plan_backward_weight, takes_gradient,
)
from fastnn._kernels.conv_winograd cimport allow_winograd, has_tiles, winograd_allowed
from fastnn._kernels.gemm cimport Gemm
from fastnn._kernels.runtime cimport epilogue
from fastnn.ops.broadcast cimport before_relu
from fastnn.ops.conv_shape cimport (
    Geometry, as_images, correlation_of, from_images, operand, parse_conv,
)
from fastnn.ops.matmul cimport run_gemm
from fastnn.ops.norm cimport epilogue_of, fixed_constants

from fastnn.ops.registry import op


# --- the passes -------------------------------------------------------------------

cdef int run_forward(Correlation* c, Tensor x, Tensor w, const epilogue* after, Tensor y,
                     size_t nbytes) except -1:
    """The packed weights are kept with w, or else stand before the scratch."""
    cdef long[PACK_KEY] key
    cdef char* scratch = <char*>scratch_take(nbytes)
    cdef char* packed = scratch
    cdef bint filled = False
    cdef Packed image
    memset(key, 0, sizeof(key))
    conv_image_key(c, w.strides_, key)
    key[0], key[PACK_KEY - 1] = w.ptr - w.storage.data, CONV_IMAGE
    image = packed_image(w.storage, key, c.packed_bytes)
    if image is not None:
        packed, filled = image.data, image.valid
    with nogil:
        if not filled:
            conv_pack(c, w.ptr, w.strides_, packed)
        conv_forward(c, x.ptr, packed, after, y.ptr, scratch + c.packed_bytes)
    if image is not None:
        packed_done(image)
    scratch_give(scratch, nbytes)
    return 0


cdef Tensor correlate(const ConvShape* s, Tensor x, Tensor w, const epilogue* after):
    cdef Py_ssize_t[4] shape = [s.N, s.G * s.O, s.OH, s.OW]
    cdef Tensor y = new_channels_last(s.dtype, shape)
    cdef Correlation c
    cdef size_t nbytes
    if s.N > 0:
        nbytes = plan_forward(&c, s, x.strides_)
        run_forward(&c, x, w, after, y, nbytes)
    return y


cdef Tensor correlate_backward_data(const ConvShape* s, Tensor dy, Tensor w):
    cdef Py_ssize_t[4] shape = [s.N // s.OD * s.D, s.G * s.X, s.H, s.W]
    cdef Tensor dx = new_channels_last(s.dtype, shape)
    cdef Correlation c
    cdef Gemm g
    cdef char* scratch
    cdef size_t nbytes
    if dx.size_ == 0:
        return dx
    if is_product(s, dy.strides_):
        g = product_backward_data(s, dy.ptr, dy.strides_, w.ptr, w.strides_, dx.ptr)
        run_gemm(&g)
        return dx
    nbytes = plan_backward_data(&c, s, dy.strides_)
    scratch = <char*>scratch_take(nbytes)
    with nogil:
        conv_backward_data(&c, s, dy.ptr, dy.strides_, w.ptr, w.strides_, dx.ptr, scratch)
    scratch_give(scratch, nbytes)
    return dx


cdef Tensor summable(const ConvShape* s, Tensor dy):
    """dy, or a copy over whose pixels the weight gradient can be summed. What may go by tiles
    is copied once rather than tile by tile."""
    cdef Py_ssize_t[4] shape = [s.N, s.G * s.O, s.OH, s.OW]
    cdef Tensor copy
    if takes_gradient(s, dy.strides_) and (dy.strides_[1] == 1 or not has_tiles(s)):
        return dy
    copy = new_channels_last(dy.dtype_, shape)
    if dy.ndim_ == 5:
        copy = as_images(from_images(copy, 3, True, s.OD), 3)
    copy_into(copy, dy)
    return copy


cdef int correlate_backward_weight(const ConvShape* s, Tensor x, Tensor dy, Tensor dw,
                                   Tensor db) except -1:
    cdef Correlation c
    cdef Gemm g
    cdef char* scratch
    cdef char* dw_data = NULL if dw is None else dw.ptr
    cdef char* db_data = NULL if db is None else db.ptr
    cdef size_t nbytes
    if s.N == 0:
        if dw is not None:
            memset(dw_data, 0, dw.size_ * itemsize(dw.dtype_))
        if db is not None:
            memset(db_data, 0, db.size_ * itemsize(db.dtype_))
        return 0
    if dw is not None and is_product(s, x.strides_) and is_product(s, dy.strides_):
        g = product_backward_weight(s, x.ptr, x.strides_, dy.ptr, dy.strides_, dw_data)
        run_gemm(&g)
        dw = None                    # what is left to do is db
        if db is None:
            return 0
    nbytes = plan_backward_weight(&c, s, x.strides_, dy.strides_, dw is not None, db is not None)
    scratch = <char*>scratch_take(nbytes)
    with nogil:
        conv_backward_weight(&c, x.ptr, dy.ptr, dw_data, db_data, scratch)
    scratch_give(scratch, nbytes)
    return 0


# --- forward and backward -----------------------------------------------------------

cdef Node record_conv(Tensor y, Tensor x, Tensor w, Tensor bias, backward_fn backward,
                      const char* label):
    cdef Node node
    if not (needs_graph(x) or needs_graph(w) or (bias is not None and needs_graph(bias))):
        return None
    node = new_node(backward, label)
    node.input0 = edge(x)
    node.input1 = edge(w)
    node.input2 = None if bias is None else edge(bias)
    save0(node, x)
    save1(node, w)
    attach(y, node)
    return node


cdef int give_weight_gradients(Node node, const ConvShape* s, Tensor x, Tensor dy,
                               Tensor w) except -1:
    cdef Tensor dw = None, db = None
    cdef Py_ssize_t channels = s.G * s.O
    if node.input1 is not None:
        dw = new_tensor(w.dtype_, w.ndim_, w.shape_)
    if node.input2 is not None:
        db = new_tensor(w.dtype_, 1, &channels)
    correlate_backward_weight(s, x, dy, dw, db)
    give(node.input1, dw)
    give(node.input2, db)
    return 0


cdef Tensor conv(int dims, object input, object weight, object bias, object stride,
                 object padding, object dilation, object groups, object norm, bint relu,
                 str name, const char* label):
    cdef Tensor x = operand(input, name, "input"), w = operand(weight, name, "weight")
    cdef Tensor b = None, constants, y
    cdef epilogue after
    cdef Geometry g
    cdef ConvShape s
    cdef Node node
    parse_conv(&g, name, dims, x, w, bias, stride, padding, dilation, groups)
    s = correlation_of(&g, False)
    if bias is not None:
        b = contiguous(<Tensor>bias)
    constants = fixed_constants(norm, x, g.O)
    after = epilogue_of(b, constants, relu)
    y = from_images(correlate(&s, as_images(x, dims), as_images(w, dims), &after), dims,
                    g.batched, s.OD)
    node = record_conv(y, x, w, bias, conv_backward, label)
    if node is not None:
        node.i[0] = dims
        node.extra = (<const char*>&s)[:sizeof(s)]
        if relu:
            save2(node, alias(y))
    return y


cdef int conv_backward(Node node, Tensor dy) except -1:
    cdef Tensor x = saved0(node), w = saved1(node)
    cdef int dims = <int>node.i[0]
    cdef ConvShape s
    memcpy(&s, <const char*>node.extra, sizeof(s))
    dy = summable(&s, as_images(before_relu(node, dy), dims))
    if node.input0 is not None:
        give(node.input0, from_images(correlate_backward_data(&s, dy, as_images(w, dims)), dims,
                                      x.ndim_ == dims + 2, s.D))
    if node.input1 is not None or node.input2 is not None:
        give_weight_gradients(node, &s, as_images(x, dims), dy, w)
    return 0


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlation of sequences with a bank of filters.

    input (N, C, L) or (C, L), weight (O, C / groups, K), bias (O,) give (N, O, OL) or
    (O, OL). padding may be 'valid' or 'same'. The result lies channels-last in memory.
    ValueError where the shapes do not fit.

    >>> conv1d(fastnn.ones(1, 1, 5), fastnn.ones(1, 1, 3)).tolist()
    [[[3.0, 3.0, 3.0]]]
    """
    return conv(1, input, weight, bias, stride, padding, dilation, groups, None, False,
                "conv1d", "conv1d")


def conv1d_fused(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, norm=None,
                 relu=True):
    """conv1d(), batch norm with the numbers `norm` (see fixed_constants) and ReLU in one pass."""
    return conv(1, input, weight, bias, stride, padding, dilation, groups, norm, relu, "conv1d",
                "conv1d_relu")


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlation of images with a bank of filters.

    input (N, C, H, W) or (C, H, W), weight (O, C / groups, KH, KW), bias (O,) give
    (N, O, OH, OW). stride, padding and dilation are ints or pairs; padding may be
    'valid' or 'same'. The result lies channels-last in memory. ValueError where
    the shapes do not fit.

    >>> conv2d(fastnn.ones(1, 1, 4, 4), fastnn.ones(2, 1, 3, 3), padding=1).shape
    (1, 2, 4, 4)
    """
    return conv(2, input, weight, bias, stride, padding, dilation, groups, None, False,
                "conv2d", "conv2d")


def conv2d_fused(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, norm=None,
                 relu=True):
    """conv2d(), batch norm with the numbers `norm` (see fixed_constants) and ReLU in one pass."""
    return conv(2, input, weight, bias, stride, padding, dilation, groups, norm, relu, "conv2d",
                "conv2d_relu")


def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlation of volumes with a bank of filters.

    input (N, C, D, H, W) or (C, D, H, W), weight (O, C / groups, KD, KH, KW), bias (O,) give
    (N, O, OD, OH, OW). stride, padding and dilation are ints or three ints; padding may be
    'valid' or 'same'. The result lies channels-last in memory. ValueError where the shapes
    do not fit.

    >>> conv3d(fastnn.ones(1, 1, 4, 4, 4), fastnn.ones(2, 1, 3, 3, 3), padding=1).shape
    (1, 2, 4, 4, 4)
    """
    return conv(3, input, weight, bias, stride, padding, dilation, groups, None, False,
                "conv3d", "conv3d")


def conv3d_fused(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, norm=None,
                 relu=True):
    """conv3d(), batch norm with the numbers `norm` (see fixed_constants) and ReLU in one pass."""
    return conv(3, input, weight, bias, stride, padding, dilation, groups, norm, relu, "conv3d",
                "conv3d_relu")


def winograd_is_allowed():
    return winograd_allowed()


def set_winograd_allowed(bint allow):
    allow_winograd(allow)


OPS = [
    op("conv1d", conv1d, cases="conv1d"),
    op("conv1d_fused", conv1d_fused, cases="conv1d", public=False),
    op("conv2d", conv2d, cases="conv2d"),
    op("conv2d_fused", conv2d_fused, cases="conv2d", public=False),
    op("conv3d", conv3d, cases="conv3d"),
    op("conv3d_fused", conv3d_fused, cases="conv3d", public=False),
]
