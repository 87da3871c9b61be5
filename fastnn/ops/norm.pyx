"""Batch, group and instance norm, and local response norm.

The first three normalise sets of channels by one mechanism: a channel over the batch, a
group of channels of one sample, a channel of one sample. It takes x as it lies in memory,
channels innermost (channels-last images, (N, C)) or each channel in one piece. The node
keeps x and five constants a channel.
"""

from fastnn._core.autograd cimport (
    Node, attach, begin_inplace, edge, give, grad_enabled, needs_graph, new_node, save0, save1,
    saved0, saved1,
)
from fastnn._core.checks cimport check_float, check_same_dtype, shape_text
from fastnn._core.layout cimport contiguous, laid_out_as, lies_innermost
from fastnn._core.storage cimport scratch_give, scratch_take
from fastnn._core.tensor cimport (
    FLOAT32, Tensor, as_tensor, is_contiguous, itemsize, new_like, new_tensor,
)
from fastnn._kernels.norm cimport (
    CONSTANTS, MEAN, Channels, channel_backward, channel_forward, channel_forward_bytes,
    channel_parts_bytes, channel_threads, set_samples, set_size,
)
from fastnn._kernels.runtime cimport no_epilogue
from fastnn.ops.activation import square
from fastnn.ops.creation import zeros
from fastnn.ops.join import cat
from fastnn.ops.part import narrow
from fastnn.ops.registry import op


cdef char* data(Tensor x) noexcept:
    return NULL if x is None else x.ptr


# --- what is given ------------------------------------------------------------------

cdef Tensor image(object input, str what):
    """The input, of at least two dimensions and at most five."""
    cdef Tensor x = as_tensor(input, "input")
    check_float(x, "input")
    if not 2 <= x.ndim_ <= 5:
        raise ValueError(f"the input of {what}() must have shape (N, C) or (N, C, ...) of up to 5 "
                         f"dimensions, got {shape_text(x)}")
    return x


cdef Tensor channel_numbers(object given, long C, str what):
    """One number a channel, or None."""
    cdef Tensor v
    if given is None:
        return None
    v = as_tensor(given, what)
    check_float(v, what)
    if v.ndim_ != 1 or v.shape_[0] != C:
        raise ValueError(f"{what} must have shape ({C},), a number for each channel of the input, "
                         f"got {shape_text(v)}")
    return v


cdef Tensor parameter(object given, Tensor x, long C, str what):
    """Weight or bias, contiguous and of x's dtype, or None."""
    cdef Tensor v = channel_numbers(given, C, what)
    if v is None:
        return None
    check_same_dtype(v, x, what)
    return contiguous(v)


cdef double get(Tensor v, Py_ssize_t k) noexcept:
    if v.dtype_ == FLOAT32:
        return (<float*>v.ptr)[k * v.strides_[0]]
    return (<double*>v.ptr)[k * v.strides_[0]]


cdef int follow(Tensor running, double momentum, const double* values, long samples,
                double factor) except -1:
    """running = (1 - momentum) * running + momentum * factor * mean of values (samples, C)."""
    cdef Py_ssize_t k, n, C
    cdef double value
    if running is None or samples == 0:
        return 0
    begin_inplace(running, False)
    C = running.shape_[0]
    for k in range(C):
        value = 0
        for n in range(samples):
            value += values[n * C + k]
        value = (1 - momentum) * get(running, k) + momentum * factor * value / samples
        if running.dtype_ == FLOAT32:
            (<float*>running.ptr)[k * running.strides_[0]] = <float>value
        else:
            (<double*>running.ptr)[k * running.strides_[0]] = value
    return 0


# --- the one mechanism --------------------------------------------------------------

cdef Channels channels_of(Tensor x, bint pooled, long groups) noexcept:
    """How x, dense, lies in memory; pooled samples of columns are one long sample."""
    cdef Channels s
    cdef int d
    s.dtype, s.pooled, s.groups = x.dtype_, pooled, groups
    s.N, s.C, s.S = x.shape_[0], x.shape_[1], 1
    for d in range(2, x.ndim_):
        s.S *= x.shape_[d]
    s.lines = s.S > 1 and is_contiguous(x)
    if pooled and not s.lines:
        s.N, s.S = 1, s.N * s.S
    return s


cdef int forward(const Channels* s, Tensor x, Tensor running_mean, Tensor running_var, Tensor w,
                 Tensor b, bint training, double momentum, double eps, bint relu,
                 Tensor constants, Tensor y) except -1:
    """Fills the constants of the channels and, unless it is None, y; in training the running
    numbers follow."""
    cdef long C = s.C, samples = set_samples(s), size = set_size(s), k, n
    cdef size_t nbytes = 2 * s.N * C * sizeof(double) + channel_forward_bytes(s)
    cdef double* mean = <double*>scratch_take(nbytes)
    cdef double* var = mean + s.N * C
    cdef char* w_data = data(w)
    cdef char* b_data = data(b)
    cdef char* x_data = data(x)
    cdef char* y_data = data(y)
    cdef int threads = channel_threads(s)
    try:
        if not training:
            for n in range(samples):
                for k in range(C):
                    mean[n * C + k], var[n * C + k] = get(running_mean, k), get(running_var, k)
        with nogil:
            channel_forward(s, x_data, training, mean, var, eps, w_data, b_data, relu,
                            constants.ptr, y_data, <char*>(var + s.N * C), threads)
        if training and size > 1:
            follow(running_mean, momentum, mean, samples, 1.0)
            follow(running_var, momentum, var, samples, size / (size - 1.0))
    finally:
        scratch_give(mean, nbytes)
    return 0


cdef Tensor normalized(Tensor x, object weight, object bias, Tensor running_mean,
                       Tensor running_var, bint pooled, long groups, bint training,
                       double momentum, double eps, bint relu, const char* label):
    cdef Tensor w = parameter(weight, x, x.shape_[1], "weight")
    cdef Tensor b = parameter(bias, x, x.shape_[1], "bias")
    cdef Tensor source = x if lies_innermost(x, 1) else contiguous(x), constants, y
    cdef Channels s = channels_of(source, pooled, groups)
    cdef Py_ssize_t[3] shape = [set_samples(&s), CONSTANTS, s.C]
    cdef Node node
    constants = new_tensor(s.dtype, 3, shape)
    y = new_like(source, x.dtype_)
    forward(&s, source, running_mean, running_var, w, b, training, momentum, eps, relu, constants,
            y)
    if needs_graph(x) or (w is not None and needs_graph(<Tensor>weight)) or (
            b is not None and needs_graph(<Tensor>bias)):
        node = new_node(normalized_backward, label)
        node.input0 = edge(x)
        node.input1 = None if w is None else edge(<Tensor>weight)
        node.input2 = None if b is None else edge(<Tensor>bias)
        node.i[0], node.i[1], node.i[2], node.i[3] = pooled, groups, training, relu
        save0(node, source)
        save1(node, constants)
        attach(y, node)
    return y


cdef int normalized_backward(Node node, Tensor dy) except -1:
    cdef Tensor x = saved0(node), constants = saved1(node), dx = None, dw = None, db = None
    cdef Channels s = channels_of(x, node.i[0], node.i[1])
    cdef bint training = node.i[2], relu = node.i[3]
    cdef int threads = channel_threads(&s)
    cdef long sums = 2 * s.N * s.C, slopes = 2 * set_samples(&s) * s.C
    cdef size_t nbytes = sums * sizeof(double) + slopes * itemsize(s.dtype)
    cdef Py_ssize_t[1] shape = [s.C]
    cdef double* scratch
    cdef char* slopes_data
    dy = laid_out_as(dy, x)
    if node.input1 is not None or node.input2 is not None:
        dw, db = new_tensor(s.dtype, 1, shape), new_tensor(s.dtype, 1, shape)
    if node.input0 is not None:
        dx = new_like(x, s.dtype)
    cdef char* dx_data = data(dx)
    cdef char* dw_data = data(dw)
    cdef char* db_data = data(db)
    nbytes += channel_parts_bytes(&s)
    scratch = <double*>scratch_take(nbytes)
    slopes_data = <char*>(scratch + sums)
    with nogil:
        channel_backward(&s, dy.ptr, x.ptr, constants.ptr, training, relu,
                         slopes_data + slopes * itemsize(s.dtype), scratch, slopes_data, dw_data,
                         db_data, dx_data, threads)
    scratch_give(scratch, nbytes)
    if dx is not None:
        give(node.input0, dx)
    if dw is not None:
        give(node.input1, dw)
        give(node.input2, db)
    return 0


cdef long positions(Tensor x) noexcept:
    """Numbers of one channel of one sample."""
    return x.size_ // (x.shape_[0] * x.shape_[1]) if x.size_ else 0


# --- batch norm at the end of another operation -----------------------------------------

cdef int refuse_missing(Tensor mean, Tensor var) except -1:
    if mean is None or var is None:
        raise ValueError("running_mean and running_var must be given when training is False")
    return 0


cdef Tensor fixed_constants(object norm, Tensor x, long C):
    cdef Py_ssize_t[3] shape = [1, CONSTANTS, C]
    cdef Tensor mean, var, w, b, constants
    cdef Channels s
    if norm is None:
        return None
    if grad_enabled():
        raise RuntimeError("batch norm joins another operation only where no graph is recorded: "
                           "under no_grad()")
    running_mean, running_var, weight, bias, eps = norm
    mean = channel_numbers(running_mean, C, "running_mean")
    var = channel_numbers(running_var, C, "running_var")
    refuse_missing(mean, var)
    w, b = parameter(weight, x, C, "weight"), parameter(bias, x, C, "bias")
    s.dtype, s.lines, s.pooled = x.dtype_, False, True
    s.N, s.S, s.C, s.groups = 1, 1, C, C
    constants = new_tensor(s.dtype, 3, shape)
    forward(&s, None, mean, var, w, b, False, 0, eps, False, constants, None)
    return constants


cdef epilogue epilogue_of(Tensor bias, Tensor constants, bint relu) noexcept:
    cdef epilogue e = no_epilogue()
    e.bias, e.relu = data(bias), relu
    if constants is not None:
        e.norm_row = constants.shape_[2]
        e.norm = constants.ptr + MEAN * e.norm_row * itemsize(constants.dtype_)
    return e


# --- batch, group and instance norm ---------------------------------------------------

cdef Tensor batch_normalized(object input, object running_mean, object running_var, object weight,
                             object bias, bint training, double momentum, double eps, bint relu):
    cdef Tensor x = image(input, "batch_norm")
    mean = channel_numbers(running_mean, x.shape_[1], "running_mean")
    var = channel_numbers(running_var, x.shape_[1], "running_var")
    if training and x.shape_[0] * positions(x) == 1:
        raise ValueError("Expected more than 1 value per channel when training, "
                         f"got input size {shape_text(x)}")
    if not training:
        refuse_missing(mean, var)
    return normalized(x, weight, bias, mean, var, True, x.shape_[1], training, momentum, eps,
                      relu, "batch_norm_relu" if relu else "batch_norm")


def batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False,
               momentum=0.1, eps=1e-5):
    """(input - mean) / sqrt(var + eps) * weight + bias, channel by channel.

    input: (N, C) or (N, C, ...) of up to 5 dimensions; all else (C,) or None. In training,
    mean and variance are those of the batch, and the running ones move towards them by
    momentum, in place, the variance unbiased; otherwise the running ones are used.
    Ioffe and Szegedy, 2015.

    >>> x = fastnn.tensor([[1.0], [3.0]])
    >>> fastnn.nn.functional.batch_norm(x, None, None, training=True, eps=0.0).tolist()
    [[-1.0], [1.0]]
    """
    return batch_normalized(input, running_mean, running_var, weight, bias, training, momentum,
                            eps, False)


def batch_norm_relu(input, running_mean, running_var, weight=None, bias=None, training=False,
                    momentum=0.1, eps=1e-5):
    """ReLU of batch_norm(), in one pass."""
    return batch_normalized(input, running_mean, running_var, weight, bias, training, momentum,
                            eps, True)


def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5):
    """(input - mean) / sqrt(var + eps) * weight + bias, by groups of channels of each sample.

    input: (N, C) or (N, C, ...) of up to 5 dimensions; num_groups divides C; weight and
    bias: (C,) or None. Wu and He, 2018.

    >>> x = fastnn.tensor([[1.0, 3.0, 2.0, 6.0]])
    >>> fastnn.nn.functional.group_norm(x, 2, eps=0.0).tolist()
    [[-1.0, 1.0, -1.0, 1.0]]
    """
    cdef Tensor x = image(input, "group_norm")
    cdef long groups = num_groups
    if groups < 1 or x.shape_[1] % groups:
        raise ValueError(f"num_groups must divide the {x.shape_[1]} channels of input "
                         f"{shape_text(x)}, got {num_groups}")
    if x.size_ == groups:
        raise ValueError("Expected more than 1 value per channel when training, "
                         f"got input size {shape_text(x)} in {num_groups} groups")
    return normalized(x, weight, bias, None, None, False, groups, True, 0, eps, False,
                      "group_norm")


def instance_norm(input, running_mean=None, running_var=None, weight=None, bias=None,
                  use_input_stats=True, momentum=0.1, eps=1e-5):
    """(input - mean) / sqrt(var + eps) * weight + bias, by channels of each sample.

    input: (N, C, ...) of up to 5 dimensions; all else (C,) or None. With use_input_stats,
    mean and variance are those of the channel, and the running ones move towards their
    means over the samples; otherwise the running ones are used. Ulyanov et al., 2016.

    >>> x = fastnn.tensor([[[1.0, 3.0], [2.0, 6.0]]])
    >>> fastnn.nn.functional.instance_norm(x, eps=0.0).tolist()
    [[[-1.0, 1.0], [-1.0, 1.0]]]
    """
    cdef Tensor x = image(input, "instance_norm")
    mean = channel_numbers(running_mean, x.shape_[1], "running_mean")
    var = channel_numbers(running_var, x.shape_[1], "running_var")
    if use_input_stats and positions(x) == 1 or x.ndim_ == 2:
        raise ValueError("Expected more than 1 spatial element when training, "
                         f"got input size {shape_text(x)}")
    if not use_input_stats and (mean is None or var is None):
        raise ValueError("running_mean and running_var must be given when use_input_stats is "
                         "False")
    return normalized(x, weight, bias, mean, var, not use_input_stats, x.shape_[1],
                      use_input_stats, momentum, eps, False, "instance_norm")


# --- local response norm --------------------------------------------------------------

def local_response_norm(input, size, alpha=1e-4, beta=0.75, k=1.0):
    """input / (k + alpha * mean of squares)^beta, the mean over `size` channels around each.

    Channels beyond the ends count as 0. input: (N, C, ...) (Krizhevsky et al., 2012).

    >>> x = fastnn.tensor([[[3.0], [4.0]]])
    >>> fastnn.nn.functional.local_response_norm(x, 3, alpha=3.0, beta=1.0, k=0.0).tolist()
    [[[0.11999999731779099], [0.1599999964237213]]]
    """
    cdef Tensor x = image(input, "local_response_norm")
    if x.ndim_ < 3:
        raise ValueError("the input of local_response_norm() must have shape (N, C, ...), got "
                         f"{shape_text(x)}")
    if size < 1:
        raise ValueError(f"the size of local_response_norm() must be at least 1, got {size}")
    before, after = size // 2, (size - 1) // 2
    ends = [zeros((x.shape[0], width, *x.shape[2:]), dtype=x.dtype) for width in (before, after)]
    squares = cat([ends[0], square(x), ends[1]], 1)
    total = narrow(squares, 1, 0, x.shape_[1])
    for start in range(1, size):
        total = total + narrow(squares, 1, start, x.shape_[1])
    return x / (total * (alpha / size) + k) ** beta


OPS = [
    op("batch_norm", batch_norm, cases="batch_norm", public=False),
    op("batch_norm_relu", batch_norm_relu, cases="batch_norm", public=False),
    op("group_norm", group_norm, cases="group_norm", public=False),
    op("instance_norm", instance_norm, cases="instance_norm", public=False),
    op("local_response_norm", local_response_norm, cases="local_response_norm", public=False),
]
