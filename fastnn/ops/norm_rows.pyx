"""Layer norm and RMS norm, over the last dimensions of each sample.

Layer norm keeps its input and, of each row, the mean, what rounding it lost, and
1 / deviation.
"""

from fastnn._core.autograd cimport (
    Node, attach, edge, give, needs_graph, new_node, save0, save1, save2, saved0, saved1, saved2,
)
from fastnn._core.checks cimport check_float, check_same_dtype, parse_shape, shape_text
from fastnn._core.layout cimport contiguous
from fastnn._core.storage cimport scratch_give, scratch_take
from fastnn._core.tensor cimport FLOAT32, MAX_NDIM, Tensor, as_tensor, new_tensor
from fastnn._kernels.norm_rows cimport (
    layer_backward, layer_forward, row_parts_bytes, row_threads,
)
from fastnn.ops.activation import sqrt, square
from fastnn.ops.pointwise import add, div, mul
from fastnn.ops.reduce import mean as mean_of
from fastnn.ops.registry import op


cdef char* data(Tensor x) noexcept:
    return NULL if x is None else x.ptr


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
    stats_shape[0], stats_shape[1] = 3, R
    stats = new_tensor(x.dtype_, 2, stats_shape)
    w_data, b_data = data(w), data(b)
    threads = row_threads(R, D, x.dtype_)
    with nogil:
        layer_forward(x.dtype_, x.ptr, R, D, w_data, b_data, epsilon, y.ptr, stats.ptr, threads)
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
    cdef int dtype = x.dtype_, ndim = node.i[2], threads = row_threads(R, D, dtype)
    cdef bint affine = node.input1 is not None or node.input2 is not None
    cdef size_t nbytes = 2 * D * sizeof(double) + row_parts_bytes(R, D, dtype) if affine else 0
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
        layer_backward(dtype, dy.ptr, x.ptr, R, D, w_data, stats.ptr, <char*>(sums + 2 * D), sums,
                       dx_data, dw_data, db_data, threads)
    scratch_give(sums, nbytes)
    if dx is not None:
        give(node.input0, dx)
    if affine:
        give(node.input1, dw)
        give(node.input2, db)
    return 0


# --- RMS norm --------------------------------------------------------------------

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
    op("layer_norm", layer_norm, cases="layer_norm", public=False),
    op("rms_norm", rms_norm, cases="rms_norm", public=False),
]
