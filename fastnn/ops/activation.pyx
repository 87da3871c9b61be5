"""Functions of one tensor: elementary functions and activations.

Each is a pair of rows of csrc/kernels/pointwise_list.h: forward(x), and
backward(dy, y) where the output suffices, else backward(dy, x). The mechanism that
runs both and makes the node is unary() of the pointwise family.
"""

from libc.math cimport INFINITY

from fastnn._core.autograd cimport (
    Node, attach, edge, give, needs_graph, new_node, save0, save1, saved0, saved1,
)
from fastnn._core.checks cimport check_float, check_same_dtype, shape_text
from fastnn._core.layout cimport contiguous, new_view
from fastnn._core.tensor cimport MAX_NDIM, Tensor, as_tensor
from fastnn._kernels.pointwise cimport *
from fastnn.ops.broadcast cimport as_real, pointwise_binary, pointwise_ternary, unary
from fastnn.ops.reduce cimport sum_to_shape

from fastnn.ops.pointwise import add, div, masked_fill, maximum, minimum, mul, neg, pow, sub
from fastnn.ops.registry import inplace_of, op


# --- elementary functions -----------------------------------------------------

def abs(input):
    """The absolute value, elementwise; its gradient at 0 is 0."""
    return unary(PW_abs, PW_abs_backward, False, input, "abs")


def sign(input):
    """-1, 0 or 1, elementwise; its gradient is 0."""
    return unary(PW_sign, PW_sign_backward, False, input, "sign")


def exp(input):
    """e to the power of input, elementwise."""
    return unary(PW_exp, PW_mul, True, as_real(input), "exp")


def expm1(input):
    """exp(input) - 1, accurate near 0, elementwise."""
    return unary(PW_expm1, PW_expm1_backward, True, as_real(input), "expm1")


def log(input):
    """The natural logarithm, elementwise."""
    return unary(PW_log, PW_div, False, as_real(input), "log")


def log1p(input):
    """log(1 + input), accurate near 0, elementwise."""
    return unary(PW_log1p, PW_log1p_backward, False, as_real(input), "log1p")


def sqrt(input):
    """The square root, elementwise."""
    return unary(PW_sqrt, PW_sqrt_backward, True, as_real(input), "sqrt")


def square(input):
    """input * input, elementwise."""
    return unary(PW_square, PW_square_backward, False, input, "square")


def reciprocal(input):
    """1 / input, elementwise."""
    return unary(PW_reciprocal, PW_reciprocal_backward, True, as_real(input), "reciprocal")


def erf(input):
    """The error function, elementwise."""
    return unary(PW_erf, PW_erf_backward, False, as_real(input), "erf")


def clamp(input, min=None, max=None):
    """input held within [min, max], elementwise; a bound may be None, a number or a tensor."""
    if min is None and max is None:
        raise ValueError("clamp() needs min, max or both")
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        input = input if min is None else maximum(input, min)
        return input if max is None else minimum(input, max)
    return unary(PW_clamp, PW_clamp_backward, False, input, "clamp",
                 -INFINITY if min is None else min, INFINITY if max is None else max)


# --- activations --------------------------------------------------------------

cdef object applied(object input, object result, bint inplace):
    """The result of an activation, written into input where the caller asked for that."""
    return write(input, result) if inplace else result


def relu(input, inplace=False):
    """max(input, 0), elementwise."""
    return applied(input, unary(PW_relu, PW_relu_backward, True, input, "relu"), inplace)


def leaky_relu(input, negative_slope=0.01, inplace=False):
    """input where positive, negative_slope * input elsewhere."""
    check_float(as_tensor(input, "input"), "input")
    return applied(input, unary(PW_leaky_relu, PW_leaky_relu_backward, False, input, "leaky_relu",
                                negative_slope), inplace)


def elu(input, alpha=1.0, inplace=False):
    """input where positive, alpha * (exp(input) - 1) elsewhere (Clevert et al., 2015)."""
    check_float(as_tensor(input, "input"), "input")
    return applied(input, unary(PW_elu, PW_elu_backward, False, input, "elu", alpha), inplace)


def sigmoid(input):
    """1 / (1 + exp(-input)), elementwise."""
    return unary(PW_sigmoid, PW_sigmoid_backward, True, as_real(input), "sigmoid")


def tanh(input):
    """The hyperbolic tangent, elementwise."""
    return unary(PW_tanh, PW_tanh_backward, True, as_real(input), "tanh")


def gelu(input, approximate="none"):
    """input times the normal distribution function of input (Hendrycks and Gimpel, 2016);
    approximate="tanh" uses the paper's approximation by tanh."""
    check_float(as_tensor(input, "input"), "input")
    if approximate == "none":
        return unary(PW_gelu, PW_gelu_backward, False, input, "gelu")
    if approximate == "tanh":
        return unary(PW_gelu_tanh, PW_gelu_tanh_backward, False, input, "gelu")
    raise ValueError(f"approximate must be 'none' or 'tanh', got {approximate!r}")


def silu(input, inplace=False):
    """input * sigmoid(input), elementwise."""
    check_float(as_tensor(input, "input"), "input")
    return applied(input, unary(PW_silu, PW_silu_backward, False, input, "silu"), inplace)


def mish(input, inplace=False):
    """input * tanh(softplus(input)), elementwise (Misra, 2019)."""
    check_float(as_tensor(input, "input"), "input")
    return applied(input, unary(PW_mish, PW_mish_backward, False, input, "mish"), inplace)


def softplus(input, beta=1.0, threshold=20.0):
    """log(1 + exp(beta * input)) / beta; input itself where beta * input > threshold."""
    check_float(as_tensor(input, "input"), "input")
    if beta == 0:
        raise ValueError("beta must not be 0")
    return unary(PW_softplus, PW_softplus_backward, False, input, "softplus", beta, threshold)


def prelu(input, weight):
    """input where positive, weight * input elsewhere (He et al., 2015).

    weight has one element, or one per channel (dimension 1 of input).
    """
    cdef Tensor x = as_tensor(input, "input"), w = as_tensor(weight, "weight"), wide, y
    cdef Node node
    check_float(x, "input")
    check_same_dtype(w, x, "input and weight")
    wide = per_channel(x, w)
    y = pointwise_binary(PW_prelu, x, wide)
    if needs_graph(x) or needs_graph(w):
        node = new_node(prelu_backward, "prelu")
        node.input0 = edge(x)
        node.input1 = edge(w)
        save0(node, x)
        save1(node, w)
        attach(y, node)
    return y


cdef Tensor per_channel(Tensor x, Tensor w):
    """The weight as a view that broadcasts along dimension 1 of x."""
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef Py_ssize_t[MAX_NDIM] strides
    cdef Py_ssize_t channels = x.shape_[1] if x.ndim_ > 1 else 1
    cdef int d, ndim = x.ndim_ if x.ndim_ > 1 else 1
    if w.ndim_ > 1 or (w.size_ != 1 and w.size_ != channels):
        raise ValueError(f"weight must have 1 or {channels} elements for input of shape "
                         f"{shape_text(x)}, got shape {shape_text(w)}")
    for d in range(ndim):
        shape[d] = 1
        strides[d] = 1
    if x.ndim_ > 1:
        shape[1] = w.size_
        strides[1] = w.strides_[0] if w.ndim_ else 1
    return new_view(w, ndim if x.ndim_ > 0 else 0, shape, strides, w.ptr)


cdef int prelu_backward(Node node, Tensor dy) except -1:
    cdef Tensor x = saved0(node), w = saved1(node), wide, dw
    wide = per_channel(x, w)
    if node.input0 is not None:
        give(node.input0, pointwise_ternary(PW_prelu_backward, dy, x, wide))
    if node.input1 is not None:
        dw = pointwise_binary(PW_prelu_backward_weight, dy, x)
        dw = sum_to_shape(dw, wide.ndim_, wide.shape_)
        give(node.input1, flat_like(contiguous(dw), w))
    return 0


cdef Tensor flat_like(Tensor x, Tensor like):
    """x, contiguous, with the shape of `like`, of as many elements."""
    cdef Tensor y = Tensor.__new__(Tensor)
    cdef int d
    y.storage, y.ptr, y.dtype_, y.size_, y.ndim_ = x.storage, x.ptr, x.dtype_, x.size_, like.ndim_
    for d in range(like.ndim_):
        y.shape_[d] = like.shape_[d]
        y.strides_[d] = 1
    return y


from fastnn._core.autograd import write

OPS = [
    op("abs", abs, method=True, cases="unary"),
    op("sign", sign, method=True, cases="unary"),
    op("exp", exp, method=True, cases="unary"),
    op("expm1", expm1, method=True, cases="unary"),
    op("log", log, method=True, cases="unary_positive"),
    op("log1p", log1p, method=True, cases="unary_positive"),
    op("sqrt", sqrt, method=True, cases="unary_positive"),
    op("square", square, method=True, cases="unary"),
    op("reciprocal", reciprocal, method=True, cases="unary_positive"),
    op("erf", erf, method=True, cases="unary"),
    op("clamp", clamp, method=True, cases="clamp"),
    op("relu", relu, method=True, cases="unary"),
    op("leaky_relu", leaky_relu, cases="leaky_relu"),
    op("elu", elu, cases="elu"),
    op("sigmoid", sigmoid, method=True, cases="unary"),
    op("tanh", tanh, method=True, cases="unary"),
    op("gelu", gelu, cases="gelu"),
    op("silu", silu, cases="unary"),
    op("mish", mish, cases="unary"),
    op("softplus", softplus, cases="softplus"),
    op("prelu", prelu, cases="prelu"),
]
OPS += [
    op(f"{function.__name__}_", inplace_of(function), method=True, public=False)
    for function in (add, sub, mul, div, neg, pow, masked_fill, abs, exp, log, sqrt, square,
                     reciprocal, clamp, relu, sigmoid, tanh)
]
