"""Convolution: conv2d and its gradients, on channels-last activations."""

from libc.string cimport memcpy, memset

from fastnn._core.autograd cimport (
    Node, attach, edge, give, needs_graph, new_node, save0, save1, saved0, saved1,
)
from fastnn._core.checks cimport check_float, check_same_dtype, shape_text
from fastnn._core.layout cimport channels_last, contiguous, new_channels_last, new_view
from fastnn._core.storage cimport (
    CONV_IMAGE, PACK_KEY, Packed, packed_done, packed_image, scratch_give, scratch_take,
)
from fastnn._core.tensor cimport Tensor, alias, as_tensor, itemsize, new_tensor
from fastnn._kernels.conv cimport (
    conv_backward_data, conv_forward, conv_image_key, conv_pack, plan_backward_data, plan_forward,
)
from fastnn._kernels.conv_shape cimport ConvShape, Correlation
from fastnn._kernels.conv_weight cimport (
    conv_backward_weight, plan_backward_weight, takes_gradient,
)

cdef enum:
    MAX_SIZE = 1 << 30           # of a stride, padding, dilation

cdef double MAX_ELEMENTS = 2.0**40


cdef int parse_pair(object value, str what, long least, long* first, long* second) except -1:
    """An int, or one or two of them."""
    if isinstance(value, (tuple, list)):
        if not 1 <= len(value) <= 2:
            raise ValueError(f"conv2d: {what} must be an int or a pair of ints, got {value!r}")
        numbers = value[0], value[len(value) - 1]
    else:
        numbers = value, value
    for number in numbers:
        if not hasattr(number, "__index__"):
            raise TypeError(f"conv2d: {what} must be an int or a pair of ints, got {value!r}")
        if not least <= number < MAX_SIZE:
            bound = "negative" if least == 0 else "less than 1"
            raise ValueError(f"conv2d: {what} must not be {bound} or too large, got {value!r}")
    first[0], second[0] = numbers[0].__index__(), numbers[1].__index__()
    return 0


cdef int parse_padding(ConvShape* s, object padding, long* bottom, long* right) except -1:
    """Sets top and left; bottom and right may be one more with 'same'."""
    cdef long total_h = s.dh * (s.KH - 1), total_w = s.dw * (s.KW - 1)
    if not isinstance(padding, str):
        parse_pair(padding, "padding", 0, &s.top, &s.left)
        bottom[0], right[0] = s.top, s.left
    elif padding == "valid":
        s.top = s.left = bottom[0] = right[0] = 0
    elif padding == "same":
        if s.sh != 1 or s.sw != 1:
            raise ValueError(f"conv2d: padding='same' needs stride 1, got {(s.sh, s.sw)}")
        s.top, s.left = total_h // 2, total_w // 2
        bottom[0], right[0] = total_h - s.top, total_w - s.left
    else:
        raise ValueError(f"conv2d: padding must be 'same', 'valid' or ints, got {padding!r}")
    return 0


cdef int parse_shape(ConvShape* s, Tensor x, Tensor w, object bias, object stride, object padding,
                     object dilation, object groups) except -1:
    cdef int batched = x.ndim_ == 4
    cdef long channels, bottom = 0, right = 0
    cdef Tensor b
    check_float(x, "conv2d: input")
    check_same_dtype(w, x, "conv2d: input and weight")
    if x.ndim_ != 3 and x.ndim_ != 4:
        raise ValueError("conv2d: input must have shape (N, C, H, W) or (C, H, W), "
                         f"got {shape_text(x)}")
    if w.ndim_ != 4:
        raise ValueError("conv2d: weight must have shape (out channels, in channels / groups, "
                         f"KH, KW), got {shape_text(w)}")
    if not isinstance(groups, int) or isinstance(groups, bool):
        raise TypeError(f"conv2d: groups must be an int, got {groups!r}")
    if not 1 <= groups < MAX_SIZE:
        raise ValueError(f"conv2d: groups must be at least 1, got {groups}")
    s.dtype, s.G = x.dtype_, groups
    s.N = x.shape_[0] if batched else 1
    channels = x.shape_[x.ndim_ - 3]
    s.H, s.W = x.shape_[x.ndim_ - 2], x.shape_[x.ndim_ - 1]
    s.C, s.KH, s.KW = w.shape_[1], w.shape_[2], w.shape_[3]
    if w.shape_[0] == 0 or w.shape_[0] % s.G != 0:
        raise ValueError(f"conv2d: weight of shape {shape_text(w)} has {w.shape_[0]} out channels, "
                         f"which {groups} groups cannot share")
    s.O = w.shape_[0] // s.G
    if s.C == 0 or channels != s.C * s.G:
        raise ValueError(f"conv2d: input of shape {shape_text(x)} has {channels} channels, but "
                         f"weight of shape {shape_text(w)} with {groups} groups needs {s.C * s.G}")
    parse_pair(stride, "stride", 1, &s.sh, &s.sw)
    parse_pair(dilation, "dilation", 1, &s.dh, &s.dw)
    parse_padding(s, padding, &bottom, &right)
    s.OH = s.H + s.top + bottom - s.dh * (s.KH - 1) - 1
    s.OW = s.W + s.left + right - s.dw * (s.KW - 1) - 1
    if s.KH == 0 or s.KW == 0 or s.OH < 0 or s.OW < 0:
        raise ValueError(f"conv2d: a kernel of {s.KH}x{s.KW} with dilation {(s.dh, s.dw)} does not "
                         f"fit into input of shape {shape_text(x)} padded by {padding!r}")
    s.OH, s.OW = s.OH // s.sh + 1, s.OW // s.sw + 1
    if <double>s.N * s.G * s.O * s.OH * s.OW > MAX_ELEMENTS:
        raise ValueError(f"conv2d: a result of shape {(s.N, s.G * s.O, s.OH, s.OW)} is too large")
    if bias is not None:
        b = as_tensor(bias, "conv2d: bias")
        check_same_dtype(b, x, "conv2d: input and bias")
        if b.ndim_ != 1 or b.shape_[0] != w.shape_[0]:
            raise ValueError(f"conv2d: bias must have shape ({w.shape_[0]},) for weight of shape "
                             f"{shape_text(w)}, got {shape_text(b)}")
    s.X = s.C
    if s.G > 1 and s.C == 1 and s.O == 1:
        s.X, s.O, s.G = s.G, s.G, 1
    return 0


cdef Tensor with_batch(Tensor x):
    """(C, H, W) seen as (1, C, H, W), outside the graph."""
    cdef Py_ssize_t[4] shape
    cdef Py_ssize_t[4] strides
    cdef int d
    if x.ndim_ == 4:
        return x
    shape[0], strides[0] = 1, x.size_
    for d in range(3):
        shape[d + 1], strides[d + 1] = x.shape_[d], x.strides_[d]
    return new_view(x, 4, shape, strides, x.ptr)


cdef Tensor without_batch(Tensor y):
    """(1, C, H, W) as (C, H, W): a tensor of its own, not a view."""
    cdef Tensor z = alias(y)
    cdef int d
    z.ndim_ = 3
    for d in range(3):
        z.shape_[d], z.strides_[d] = y.shape_[d + 1], y.strides_[d + 1]
    return z


cdef int run_forward(Correlation* c, Tensor x, Tensor w, const char* bias, Tensor y,
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
        conv_forward(c, x.ptr, packed, bias, False, y.ptr, scratch + c.packed_bytes)
    if image is not None:
        packed_done(image)
    scratch_give(scratch, nbytes)
    return 0


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlation of images with a bank of filters.

    input (N, C, H, W) or (C, H, W), weight (O, C / groups, KH, KW), bias (O,) give
    (N, O, OH, OW). stride, padding and dilation are ints or pairs; padding may be
    'valid' or 'same'. The result lies channels-last in memory. ValueError where
    the shapes do not fit.

    >>> conv2d(fastnn.ones(1, 1, 4, 4), fastnn.ones(2, 1, 3, 3), padding=1).shape
    (1, 2, 4, 4)
    """
    cdef Tensor x = as_tensor(input, "conv2d: input"), w = as_tensor(weight, "conv2d: weight")
    cdef Tensor b = None, x4, y
    cdef ConvShape s
    cdef Correlation c
    cdef Node node
    cdef Py_ssize_t[4] shape
    cdef const char* bias_data = NULL
    cdef size_t nbytes
    parse_shape(&s, x, w, bias, stride, padding, dilation, groups)
    if bias is not None:
        b = contiguous(<Tensor>bias)
        bias_data = b.ptr
    shape[0], shape[1], shape[2], shape[3] = s.N, s.G * s.O, s.OH, s.OW
    y = new_channels_last(s.dtype, shape)
    if s.N > 0:
        x4 = with_batch(x)
        nbytes = plan_forward(&c, &s, x4.strides_)
        run_forward(&c, x4, w, bias_data, y, nbytes)
    if x.ndim_ == 3:
        y = without_batch(y)
    if needs_graph(x) or needs_graph(w) or (b is not None and needs_graph(<Tensor>bias)):
        node = new_node(conv2d_backward, "conv2d")
        node.input0 = edge(x)
        node.input1 = edge(w)
        node.input2 = None if b is None else edge(<Tensor>bias)
        save0(node, x)
        save1(node, w)
        node.extra = (<const char*>&s)[:sizeof(s)]
        attach(y, node)
    return y


cdef int conv2d_backward(Node node, Tensor dy) except -1:
    cdef Tensor x = saved0(node), w = saved1(node), x4 = with_batch(x), dx
    cdef ConvShape s
    memcpy(&s, <const char*>node.extra, sizeof(s))
    dy = with_batch(dy)
    if not takes_gradient(dy.strides_, s.OW):
        dy = channels_last(dy)
    if node.input0 is not None:
        dx = input_gradient(&s, x4, w, dy)
        if x.ndim_ == 3:
            dx = without_batch(dx)
        give(node.input0, dx)
    if node.input1 is not None or node.input2 is not None:
        weight_gradients(node, &s, x4, w, dy)
    return 0


cdef Tensor input_gradient(const ConvShape* s, Tensor x, Tensor w, Tensor dy):
    cdef Tensor dx = new_channels_last(x.dtype_, x.shape_)
    cdef Correlation c
    cdef char* scratch
    cdef size_t nbytes
    if dx.size_ == 0:
        return dx
    nbytes = plan_backward_data(&c, s, dy.strides_)
    scratch = <char*>scratch_take(nbytes)
    with nogil:
        conv_backward_data(&c, s, dy.ptr, dy.strides_, w.ptr, w.strides_, dx.ptr, scratch)
    scratch_give(scratch, nbytes)
    return dx


cdef int weight_gradients(Node node, const ConvShape* s, Tensor x, Tensor w, Tensor dy) except -1:
    cdef Tensor dw = None, db = None
    cdef Py_ssize_t channels = s.G * s.O
    cdef bint want_dw = node.input1 is not None, want_db = node.input2 is not None
    cdef Correlation c
    cdef char* scratch
    cdef char* dw_data = NULL
    cdef char* db_data = NULL
    cdef size_t nbytes
    if want_dw:
        dw = new_tensor(w.dtype_, 4, w.shape_)
        dw_data = dw.ptr
    if want_db:
        db = new_tensor(w.dtype_, 1, &channels)
        db_data = db.ptr
    if s.N == 0:
        if want_dw:
            memset(dw_data, 0, dw.size_ * itemsize(dw.dtype_))
        if want_db:
            memset(db_data, 0, db.size_ * itemsize(db.dtype_))
    else:
        nbytes = plan_backward_weight(&c, s, x.strides_, dy.strides_, want_dw, want_db)
        scratch = <char*>scratch_take(nbytes)
        with nogil:
            conv_backward_weight(&c, x.ptr, dy.ptr, dw_data, db_data, scratch)
        scratch_give(scratch, nbytes)
    give(node.input1, dw)
    give(node.input2, db)
    return 0


from fastnn.ops.registry import op

OPS = [op("conv2d", conv2d, cases="conv2d")]
