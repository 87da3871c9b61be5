"""Batch norm and layer norm.

Batch norm sees a matrix (R, C): (N, C) as it is, images and sequences channels-last.
Its node keeps that matrix and four constants a channel, layer norm's the input and
mean and 1 / deviation a row.
"""

from fastnn._core.autograd cimport (
    Node, attach, begin_inplace, edge, give, needs_graph, new_node, save0, save1, save2, saved0,
    saved1, saved2,
)
from fastnn._core.checks cimport check_float, check_same_dtype, parse_shape, shape_text
from fastnn._core.layout cimport channels_last, contiguous, new_channels_last
from fastnn._core.storage cimport scratch_give, scratch_take
from fastnn._core.tensor cimport FLOAT32, MAX_NDIM, Tensor, alias, as_tensor, itemsize, new_tensor
from fastnn._kernels.norm cimport (
    batch_backward, batch_constants, batch_forward, batch_statistics, layer_backward,
    layer_forward, norm_parts_bytes, norm_threads,
)
from fastnn.ops.activation import sqrt, square
from fastnn.ops.pointwise import add, div, mul
from fastnn.ops.reduce import mean as mean_of
from fastnn.ops.registry import op


cdef char* data(Tensor x) noexcept:
    return NULL if x is None else x.ptr


# --- batch norm: what it sees ----------------------------------------------------

cdef Tensor with_height(Tensor x):
    """(N, C, L) as (N, C, 1, L)."""
    cdef Tensor y = alias(x)
    y.ndim_ = 4
    y.shape_[3], y.strides_[3] = x.shape_[2], x.strides_[2]
    y.shape_[2], y.strides_[2] = 1, 1
    return y


cdef Tensor without_height(Tensor x):
    cdef Tensor y = alias(x)
    y.ndim_ = 3
    y.shape_[2], y.strides_[2] = x.shape_[3], x.strides_[3]
    return y


cdef Tensor as_matrix(Tensor x):
    """x, or a copy, that lies in memory as a matrix (R, C)."""
    if x.ndim_ == 2:
        return contiguous(x)
    return channels_last(x if x.ndim_ == 4 else with_height(x))


cdef Tensor new_matrix(Tensor like):
    if like.ndim_ == 2:
        return new_tensor(like.dtype_, 2, like.shape_)
    return new_channels_last(like.dtype_, like.shape_)


cdef Tensor channel_numbers(object given, Tensor x, str what):
    """One number a channel, or None."""
    cdef Tensor v
    if given is None:
        return None
    v = as_tensor(given, what)
    check_float(v, what)
    if v.ndim_ != 1 or v.shape_[0] != x.shape_[1]:
        raise ValueError(f"{what} must have shape ({x.shape_[1]},), a number for each channel of "
                         f"input {shape_text(x)}, got {shape_text(v)}")
    return v


cdef double get(Tensor v, Py_ssize_t k) noexcept:
    if v.dtype_ == FLOAT32:
        return (<float*>v.ptr)[k * v.strides_[0]]
    return (<double*>v.ptr)[k * v.strides_[0]]


cdef int follow(Tensor running, double momentum, const double* values, double factor) except -1:
    """running = (1 - momentum) * running + momentum * factor * values, in place."""
    cdef Py_ssize_t k
    cdef double value
    begin_inplace(running, False)
    for k in range(running.shape_[0]):
        value = (1 - momentum) * get(running, k) + momentum * factor * values[k]
        if running.dtype_ == FLOAT32:
            (<float*>running.ptr)[k * running.strides_[0]] = <float>value
        else:
            (<double*>running.ptr)[k * running.strides_[0]] = value
    return 0


# --- batch norm ------------------------------------------------------------------

cdef Tensor constants_of(Tensor matrix, long R, Tensor running_mean, Tensor running_var, Tensor w,
                         Tensor b, bint training, double momentum, double eps):
    """mean, 1 / deviation, scale and shift of each channel (4, C)."""
    cdef long C = matrix.shape_[1], k
    cdef Py_ssize_t[2] shape = [4, C]
    cdef Tensor constants = new_tensor(matrix.dtype_, 2, shape)
    cdef size_t parts = norm_parts_bytes(R, C, matrix.dtype_) if training else 0
    cdef size_t nbytes = 2 * C * sizeof(double) + parts
    cdef double* mean = <double*>scratch_take(nbytes)
    cdef double* var = mean + C
    cdef int threads = norm_threads(R, C, matrix.dtype_)
    if training:
        with nogil:
            batch_statistics(matrix.dtype_, matrix.ptr, R, C, <char*>(var + C), mean, var, threads)
    else:
        for k in range(C):
            mean[k], var[k] = get(running_mean, k), get(running_var, k)
    batch_constants(matrix.dtype_, C, mean, var, eps, data(w), data(b), constants.ptr)
    try:
        if training and R > 1:
            if running_mean is not None:
                follow(running_mean, momentum, mean, 1.0)
            if running_var is not None:
                follow(running_var, momentum, var, R / (R - 1.0))
    finally:
        scratch_give(mean, nbytes)
    return constants


def batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False,
               momentum=0.1, eps=1e-5):
    """(input - mean) / sqrt(var + eps) * weight + bias, channel by channel.

    input: (N, C), (N, C, L) or (N, C, H, W); all else (C,) or None. In training, mean and
    variance are those of the batch, and the running ones move towards them by
    momentum, in place, the variance unbiased; otherwise the running ones are used.
    Ioffe and Szegedy, 2015.

    >>> x = fastnn.tensor([[1.0], [3.0]])
    >>> fastnn.nn.functional.batch_norm(x, None, None, training=True, eps=0.0).tolist()
    [[-1.0], [1.0]]
    """
    cdef Tensor x = as_tensor(input, "input"), matrix, constants, y, w, b, mean, var
    cdef Node node
    cdef long R, C
    cdef int threads, d
    check_float(x, "input")
    if not 2 <= x.ndim_ <= 4:
        raise ValueError("input must have shape (N, C), (N, C, L) or (N, C, H, W), "
                         f"got {shape_text(x)}")
    w, b = channel_numbers(weight, x, "weight"), channel_numbers(bias, x, "bias")
    mean = channel_numbers(running_mean, x, "running_mean")
    var = channel_numbers(running_var, x, "running_var")
    R, C = x.shape_[0], x.shape_[1]
    for d in range(2, x.ndim_):
        R *= x.shape_[d]
    if training and R == 1:
        raise ValueError("Expected more than 1 value per channel when training, "
                         f"got input size {shape_text(x)}")
    if not training and (mean is None or var is None):
        raise ValueError("running_mean and running_var must be given when training is False")
    if w is not None:
        check_same_dtype(w, x, "weight")
        w = contiguous(w)
    if b is not None:
        check_same_dtype(b, x, "bias")
        b = contiguous(b)

    matrix = as_matrix(x)
    constants = constants_of(matrix, R, mean, var, w, b, training, momentum, eps)
    y = new_matrix(matrix)
    threads = norm_threads(R, C, x.dtype_)
    with nogil:
        batch_forward(x.dtype_, matrix.ptr, R, C, constants.ptr, y.ptr, threads)
    if x.ndim_ == 3:
        y = without_height(y)
    if needs_graph(x) or (w is not None and needs_graph(<Tensor>weight)) or (
            b is not None and needs_graph(<Tensor>bias)):
        node = new_node(batch_norm_backward, "batch_norm")
        node.input0 = edge(x)
        node.input1 = None if w is None else edge(<Tensor>weight)
        node.input2 = None if b is None else edge(<Tensor>bias)
        node.i[0], node.i[1] = R, training
        save0(node, matrix)
        save1(node, constants)
        attach(y, node)
    return y


cdef int batch_norm_backward(Node node, Tensor dy) except -1:
    cdef Tensor x = saved0(node), constants = saved1(node), dx = None, dw, db
    cdef long R = node.i[0], C = x.shape_[1]
    cdef bint training = node.i[1], sequences = dy.ndim_ == 3
    cdef int dtype = x.dtype_, threads = norm_threads(R, C, dtype)
    cdef size_t parts = norm_parts_bytes(R, C, dtype)
    cdef size_t nbytes = 2 * C * (sizeof(double) + itemsize(dtype)) + parts
    cdef Py_ssize_t[1] shape = [C]
    cdef double* sums = <double*>scratch_take(nbytes)
    cdef char* slopes = <char*>(sums + 2 * C)
    cdef char* dx_data = NULL
    dy = as_matrix(dy)
    dw, db = new_tensor(dtype, 1, shape), new_tensor(dtype, 1, shape)
    if node.input0 is not None:
        dx = new_matrix(x)
        dx_data = dx.ptr
    with nogil:
        batch_backward(dtype, dy.ptr, x.ptr, R, C, constants.ptr, training,
                       slopes + 2 * C * itemsize(dtype), sums, slopes, dw.ptr, db.ptr, dx_data,
                       threads)
    scratch_give(sums, nbytes)
    if dx is not None and sequences:
        dx = without_height(dx)
    if dx is not None:
        give(node.input0, dx)
    give(node.input1, dw)
    give(node.input2, db)
    return 0


# --- layer norm ------------------------------------------------------------------

cdef Tensor row_numbers(object given, Tensor x, int ndim, const Py_ssize_t* shape, str what):
    """weight or bias, one number for each of a row, contiguous; or None."""
    cdef Tensor v
    cdef int d
    cdef bint fits
    if given is None:
        return None
    v = as_tensor(given, what)
    check_same_dtype(v, x, what)
    fits = v.ndim_ == ndim
    for d in range(ndim):
        fits = fits and v.shape_[d] == shape[d]
    if not fits:
        raise ValueError(f"{what} must have the shape {tuple([shape[d] for d in range(ndim)])} "
                         f"that is normalised, got {shape_text(v)}")
    return contiguous(v)


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    """(input - mean) / sqrt(var + eps) * weight + bias over the last dimensions.

    normalized_shape: those dimensions (an int: the last one), also the shape of weight
    and bias. Ba, Kiros and Hinton, 2016.

    >>> fastnn.nn.functional.layer_norm(fastnn.tensor([[1.0, 3.0]]), 2, eps=0.0).tolist()
    [[-1.0, 1.0]]
    """
    cdef Tensor x = as_tensor(input, "input"), y, w, b, stats
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef Py_ssize_t[2] stats_shape
    cdef Node node
    cdef int ndim, d, threads
    cdef long R = 1, D = 1
    cdef double epsilon = eps
    cdef char* w_data
    cdef char* b_data
    check_float(x, "input")
    ndim = parse_shape(normalized_shape, shape)
    if ndim == 0 or ndim > x.ndim_:
        raise ValueError(f"normalized_shape {normalized_shape!r} must be the last dimensions of "
                         f"input {shape_text(x)}")
    for d in range(ndim):
        if shape[d] != x.shape_[x.ndim_ - ndim + d]:
            raise ValueError(f"normalized_shape {normalized_shape!r} must be the last dimensions "
                             f"of input {shape_text(x)}")
        D *= shape[d]
    for d in range(x.ndim_ - ndim):
        R *= x.shape_[d]
    w = row_numbers(weight, x, ndim, shape, "weight")
    b = row_numbers(bias, x, ndim, shape, "bias")

    x = contiguous(x)
    y = new_tensor(x.dtype_, x.ndim_, x.shape_)
    stats_shape[0], stats_shape[1] = 2, R
    stats = new_tensor(x.dtype_, 2, stats_shape)
    w_data, b_data = data(w), data(b)
    threads = norm_threads(R, D, x.dtype_)
    with nogil:
        layer_forward(x.dtype_, x.ptr, R, D, w_data, b_data, epsilon, y.ptr, stats.ptr,
                      stats.ptr + R * itemsize(x.dtype_), threads)
    if needs_graph(<Tensor>input) or (w is not None and needs_graph(<Tensor>weight)) or (
            b is not None and needs_graph(<Tensor>bias)):
        node = new_node(layer_norm_backward, "layer_norm")
        node.input0 = edge(<Tensor>input)
        node.input1 = None if w is None else edge(<Tensor>weight)
        node.input2 = None if b is None else edge(<Tensor>bias)
        node.i[0], node.i[1], node.i[2] = R, D, ndim
        save0(node, x)
        save1(node, stats)
        if w is not None:
            save2(node, w)
        attach(y, node)
    return y


cdef int layer_norm_backward(Node node, Tensor dy) except -1:
    cdef Tensor x = saved0(node), stats = saved1(node), w = saved2(node)
    cdef Tensor dx = None, dw = None, db = None
    cdef long R = node.i[0], D = node.i[1]
    cdef int dtype = x.dtype_, ndim = node.i[2], threads = norm_threads(R, D, dtype)
    cdef bint affine = node.input1 is not None or node.input2 is not None
    cdef size_t nbytes = 2 * D * sizeof(double) + norm_parts_bytes(R, D, dtype) if affine else 0
    cdef double* sums
    dy = contiguous(dy)
    if node.input0 is not None:
        dx = new_tensor(dtype, x.ndim_, x.shape_)
    if affine:
        dw = new_tensor(dtype, ndim, &x.shape_[x.ndim_ - ndim])
        db = new_tensor(dtype, ndim, &x.shape_[x.ndim_ - ndim])
    sums = <double*>scratch_take(nbytes)
    cdef char* w_data = data(w)
    cdef char* dx_data = data(dx)
    cdef char* dw_data = data(dw)
    cdef char* db_data = data(db)
    with nogil:
        layer_backward(dtype, dy.ptr, x.ptr, R, D, w_data, stats.ptr,
                       stats.ptr + R * itemsize(dtype), <char*>(sums + 2 * D), sums, dx_data,
                       dw_data, db_data, threads)
    scratch_give(sums, nbytes)
    if dx is not None:
        give(node.input0, dx)
    if affine:
        give(node.input1, dw)
        give(node.input2, db)
    return 0


def rms_norm(input, normalized_shape, weight=None, eps=None):
    """input over the root of its mean square in the last dimensions, times weight.

    normalized_shape: the sizes of those dimensions. eps: added to the mean square,
    by default the spacing of numbers at 1 (Zhang and Sennrich, 2019).
    """
    cdef Tensor x = as_tensor(input, "input")
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not shape or x.shape[-len(shape):] != shape:
        raise ValueError(f"normalized_shape {shape} does not end the input's shape {x.shape}")
    if eps is None:
        eps = 2.0 ** (-23 if x.dtype_ == FLOAT32 else -52)
    power = mean_of(square(x), tuple(range(-len(shape), 0)), keepdim=True)
    y = div(x, sqrt(add(power, eps)))
    return y if weight is None else mul(y, weight)


OPS = [
    op("batch_norm", batch_norm, cases="batch_norm", public=False),
    op("layer_norm", layer_norm, cases="layer_norm", public=False),
    op("rms_norm", rms_norm, cases="rms_norm", public=False),
]
