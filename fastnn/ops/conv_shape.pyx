"""What the arguments of a convolution come to.

One parser serves 1 to 3 dimensions and both directions: a transposed convolution has
the sizes of input and result the other way round.
"""

from fastnn._core.checks cimport check_float, check_same_dtype, shape_text
from fastnn._core.layout cimport new_view
from fastnn._core.tensor cimport FLOAT32, Tensor, alias, as_tensor

cdef enum:
    MAX_SIZE = 1 << 30           # of a stride, padding, dilation

cdef double MAX_ELEMENTS = 2.0**40

cdef tuple INPUT_SHAPES = (
    None, "(N, C, L) or (C, L)", "(N, C, H, W) or (C, H, W)", "(N, C, D, H, W) or (C, D, H, W)")
cdef tuple KERNEL_SHAPES = (None, "K", "KH, KW", "KD, KH, KW")
cdef tuple NUMBERS = (None, "an int", "an int or a pair of ints", "an int or three ints")


cdef tuple spatial(const Geometry* g, const long* sizes):
    """The entries of the dimensions that there are, for error texts."""
    return tuple([sizes[d] for d in range(3 - g.dims, 3)])


# --- arguments --------------------------------------------------------------------

cdef Tensor operand(object x, str name, str what):
    return <Tensor>x if isinstance(x, Tensor) else as_tensor(x, f"{name}: {what}")


cdef int parse_numbers(const Geometry* g, str name, str what, object value, long least,
                       long* out) except -1:
    """An int, or one for each dimension; `least` is what a missing dimension gets."""
    cdef int d
    numbers = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if len(numbers) not in (1, g.dims):
        raise ValueError(f"{name}: {what} must be {NUMBERS[g.dims]}, got {value!r}")
    for number in numbers:
        if not hasattr(number, "__index__"):
            raise TypeError(f"{name}: {what} must be {NUMBERS[g.dims]}, got {value!r}")
        if not least <= number < MAX_SIZE:
            bound = "negative" if least == 0 else "less than 1"
            raise ValueError(f"{name}: {what} must not be {bound} or too large, got {value!r}")
    if len(numbers) == 1:
        numbers *= g.dims
    for d in range(3):
        out[d] = least if d < 3 - g.dims else numbers[d - 3 + g.dims].__index__()
    return 0


cdef int parse_padding(Geometry* g, str name, object padding) except -1:
    """`after` may be one more than `before` with 'same'."""
    cdef int d
    cdef long total
    if not isinstance(padding, str):
        parse_numbers(g, name, "padding", padding, 0, g.before)
        for d in range(3):
            g.after[d] = g.before[d]
        return 0
    if padding not in ("valid", "same"):
        raise ValueError(f"{name}: padding must be 'same', 'valid' or ints, got {padding!r}")
    for d in range(3):
        if padding == "same" and g.stride[d] != 1:
            raise ValueError(f"{name}: padding='same' needs stride 1, "
                             f"got {spatial(g, g.stride)}")
        total = g.dilation[d] * (g.kernel[d] - 1) if padding == "same" else 0
        g.before[d], g.after[d] = total // 2, total - total // 2
    return 0


cdef int parse_operands(Geometry* g, str name, int dims, bint transposed, Tensor x, Tensor w,
                        object bias, object groups) except -1:
    """Ranks, dtypes, channels and groups."""
    cdef long channels, per_group
    cdef Tensor b
    cdef int d
    if x.dtype_ < FLOAT32:
        check_float(x, f"{name}: input")
    if w.dtype_ != x.dtype_:
        check_same_dtype(w, x, f"{name}: input and weight")
    if x.ndim_ != dims + 1 and x.ndim_ != dims + 2:
        raise ValueError(f"{name}: input must have shape {INPUT_SHAPES[dims]}, "
                         f"got {shape_text(x)}")
    if w.ndim_ != dims + 2:
        names = "in channels, out channels" if transposed else "out channels, in channels"
        raise ValueError(f"{name}: weight must have shape ({names} / groups, "
                         f"{KERNEL_SHAPES[dims]}), got {shape_text(w)}")
    if not isinstance(groups, int) or isinstance(groups, bool):
        raise TypeError(f"{name}: groups must be an int, got {groups!r}")
    if not 1 <= groups < MAX_SIZE:
        raise ValueError(f"{name}: groups must be at least 1, got {groups}")
    g.dtype, g.dims, g.G = x.dtype_, dims, groups
    g.batched = x.ndim_ == dims + 2
    g.N = x.shape_[0] if g.batched else 1
    channels, per_group = w.shape_[0], w.shape_[1]
    if channels == 0 or channels % g.G != 0:
        raise ValueError(f"{name}: weight of shape {shape_text(w)} has {channels} "
                         f"{'in' if transposed else 'out'} channels, which {groups} groups "
                         "cannot share")
    g.C, g.O = per_group * g.G, channels
    if transposed:
        g.C, g.O = g.O, g.C
    channels = x.shape_[x.ndim_ - dims - 1]
    if per_group == 0 or channels != g.C:
        raise ValueError(f"{name}: input of shape {shape_text(x)} has {channels} channels, but "
                         f"weight of shape {shape_text(w)} with {groups} groups needs {g.C}")
    for d in range(3):
        g.size[d] = g.kernel[d] = 1
        if d >= 3 - dims:
            g.size[d] = x.shape_[x.ndim_ - 3 + d]
            g.kernel[d] = w.shape_[dims - 1 + d]
    if bias is not None:
        b = operand(bias, name, "bias")
        if b.dtype_ != x.dtype_:
            check_same_dtype(b, x, f"{name}: input and bias")
        if b.ndim_ != 1 or b.shape_[0] != g.O:
            raise ValueError(f"{name}: bias must have shape ({g.O},) for weight of shape "
                             f"{shape_text(w)}, got {shape_text(b)}")
    return 0


cdef int check_size(const Geometry* g, str name) except -1:
    cdef double elements = <double>g.N * g.O
    cdef int d
    for d in range(3):
        elements *= g.out[d]
    if elements > MAX_ELEMENTS:
        raise ValueError(f"{name}: a result of shape {(g.N, g.O, *spatial(g, g.out))} is too "
                         "large")
    return 0


cdef int parse_conv(Geometry* g, str name, int dims, Tensor x, Tensor w, object bias,
                    object stride, object padding, object dilation, object groups) except -1:
    cdef int d
    cdef bint fits = True
    parse_operands(g, name, dims, False, x, w, bias, groups)
    parse_numbers(g, name, "stride", stride, 1, g.stride)
    parse_numbers(g, name, "dilation", dilation, 1, g.dilation)
    parse_padding(g, name, padding)
    for d in range(3):
        g.out[d] = g.size[d] + g.before[d] + g.after[d] - g.dilation[d] * (g.kernel[d] - 1) - 1
        fits = fits and g.kernel[d] > 0 and g.out[d] >= 0
        g.out[d] = g.out[d] // g.stride[d] + 1
    if not fits:
        kernel = "x".join([str(n) for n in spatial(g, g.kernel)])
        raise ValueError(f"{name}: a kernel of {kernel} with dilation "
                         f"{spatial(g, g.dilation)} does not fit into input of shape "
                         f"{shape_text(x)} padded by {padding!r}")
    return check_size(g, name)


cdef int parse_conv_transpose(Geometry* g, str name, int dims, Tensor x, Tensor w, object bias,
                              object stride, object padding, object output_padding,
                              object groups, object dilation) except -1:
    cdef int d
    cdef long[3] extra
    cdef bint fits = True
    parse_operands(g, name, dims, True, x, w, bias, groups)
    parse_numbers(g, name, "stride", stride, 1, g.stride)
    parse_numbers(g, name, "padding", padding, 0, g.before)
    parse_numbers(g, name, "output_padding", output_padding, 0, extra)
    parse_numbers(g, name, "dilation", dilation, 1, g.dilation)
    for d in range(3):
        if extra[d] >= max(g.stride[d], g.dilation[d]):
            raise ValueError(f"{name}: output_padding must be smaller than stride or dilation, "
                             f"got {output_padding!r} for stride {spatial(g, g.stride)} and "
                             f"dilation {spatial(g, g.dilation)}")
        g.after[d] = g.before[d]
        g.out[d] = ((g.size[d] - 1) * g.stride[d] - 2 * g.before[d]
                    + g.dilation[d] * (g.kernel[d] - 1) + extra[d] + 1)
        fits = fits and g.kernel[d] > 0 and g.size[d] > 0 and g.out[d] > 0
    if not fits:
        raise ValueError(f"{name}: input of shape {shape_text(x)} with weight of shape "
                         f"{shape_text(w)}, stride {spatial(g, g.stride)} and padding "
                         f"{spatial(g, g.before)} gives an image of {spatial(g, g.out)}: there "
                         "must be at least one element each way")
    return check_size(g, name)


# --- the problem of the drivers ------------------------------------------------------

cdef ConvShape correlation_of(const Geometry* g, bint transposed) noexcept:
    cdef ConvShape s
    s.dtype, s.G, s.depthwise = g.dtype, g.G, False
    s.X, s.D, s.H, s.W = g.C // g.G, g.size[0], g.size[1], g.size[2]
    s.O, s.OD, s.OH, s.OW = g.O // g.G, g.out[0], g.out[1], g.out[2]
    if transposed:
        s.X, s.O = s.O, s.X
        s.D, s.H, s.W, s.OD, s.OH, s.OW = s.OD, s.OH, s.OW, s.D, s.H, s.W
    s.KD, s.KH, s.KW = g.kernel[0], g.kernel[1], g.kernel[2]
    s.sd, s.sh, s.sw = g.stride[0], g.stride[1], g.stride[2]
    s.dd, s.dh, s.dw = g.dilation[0], g.dilation[1], g.dilation[2]
    s.front, s.top, s.left = g.before[0], g.before[1], g.before[2]
    s.N, s.C = g.N * s.OD, s.KD * s.X
    if s.G > 1 and s.C == 1 and s.O == 1:
        s.X, s.O, s.G, s.depthwise = s.G, s.G, 1, True
    return s


cdef Tensor as_images(Tensor x, int dims):
    cdef Py_ssize_t[5] shape
    cdef Py_ssize_t[5] strides
    cdef int at = x.ndim_ - dims, d
    if x.ndim_ == 4 and dims == 2:
        return x
    shape[0], strides[0] = 1, x.size_
    if x.ndim_ == dims + 2:
        shape[0], strides[0] = x.shape_[0], x.strides_[0]
    shape[1], strides[1] = x.shape_[at - 1], x.strides_[at - 1]
    for d in range(dims):                # rows and columns, then the depth
        shape[(d + 4 - dims) if dims < 3 else (d + 2) % 3 + 2] = x.shape_[at + d]
        strides[(d + 4 - dims) if dims < 3 else (d + 2) % 3 + 2] = x.strides_[at + d]
    if dims == 1:                        # one row of images
        shape[2], strides[2] = 1, shape[3] * strides[3]
    return new_view(x, max(dims + 2, 4), shape, strides, x.ptr)


cdef Tensor from_images(Tensor y, int dims, bint batched, long depth):
    """A tensor of its own, not a view."""
    cdef Tensor z
    cdef Py_ssize_t* image = y.strides_
    cdef Py_ssize_t[5] shape = [y.shape_[0] // depth, y.shape_[1], depth, y.shape_[2], y.shape_[3]]
    cdef Py_ssize_t[5] strides = [depth * image[0], image[1], image[0], image[2], image[3]]
    cdef int d, at = 0
    if dims == 2 and batched:
        return y
    z = alias(y)
    for d in range(5):
        if d == 1 or d >= 5 - dims or (d == 0 and batched):
            z.shape_[at], z.strides_[at] = shape[d], strides[d]
            at += 1
    z.ndim_ = at
    return z
