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
from fastnn._core.tensor cimport (
    MAX_NDIM, Tensor, as_tensor, itemsize, new_like, normal_dim,
)
from fastnn._kernels.pointwise cimport *
from fastnn.ops.broadcast cimport (
    as_real, pointwise_binary, pointwise_into, pointwise_ternary, unary,
)
from fastnn.ops.reduce cimport sum_to_shape

from fastnn.ops.pointwise import masked_fill, maximum, minimum, neg, pow
from fastnn.ops.registry import inplace_of, op, over


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


def sin(input):
    """The sine of angles in radians, elementwise."""
    return unary(PW_sin, PW_sin_backward, False, as_real(input), "sin")


def cos(input):
    """The cosine of angles in radians, elementwise."""
    return unary(PW_cos, PW_cos_backward, False, as_real(input), "cos")


def floor(input):
    """The largest whole number not above input, elementwise; its gradient is 0."""
    return unary(PW_floor, PW_sign_backward, False, input, "floor")


def ceil(input):
    """The smallest whole number not below input, elementwise; its gradient is 0."""
    return unary(PW_ceil, PW_sign_backward, False, input, "ceil")


def round(input):
    """The whole number nearest to input, elementwise, halves to even ones; its gradient is 0."""
    return unary(PW_round, PW_sign_backward, False, input, "round")


def trunc(input):
    """input without its fraction, elementwise; its gradient is 0."""
    return unary(PW_trunc, PW_sign_backward, False, input, "trunc")


def clamp(input, min=None, max=None):
    """input held within [min, max], elementwise; a bound may be None, a number or a tensor."""
    if min is None and max is None:
        raise ValueError("clamp() needs min, max or both")
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        input = input if min is None else maximum(input, min)
        return input if max is None else minimum(input, max)
    return clamped(input, min, max, False)


def clamp_(input, min=None, max=None):
    """clamp(), in place; returns the tensor."""
    if isinstance(min, Tensor) or isinstance(max, Tensor) or (min is None and max is None):
        return write(input, clamp(input, min, max))
    return clamped(input, min, max, True)


cdef object clamped(object input, object min, object max, bint inplace):
    return unary(PW_clamp, PW_clamp_backward, False, input, "clamp",
                 -INFINITY if min is None else min, INFINITY if max is None else max, inplace)


# --- activations --------------------------------------------------------------

cdef double SELU_ALPHA = 1.6732632423543772848170429916717
cdef double SELU_SCALE = 1.0507009873554804934193349852946


cdef object activation(int forward, int backward, object input, const char* label, bint inplace,
                       double p0=0, double p1=0):
    """One that is defined for numbers with a fraction, and saves its input."""
    check_float(as_tensor(input, "input"), "input")
    return unary(forward, backward, False, input, label, p0, p1, inplace)


def relu(input, inplace=False):
    """max(input, 0), elementwise."""
    return unary(PW_relu, PW_relu_backward, True, input, "relu", 0, 0, inplace)


def relu6(input, inplace=False):
    """min(max(input, 0), 6), elementwise.

    >>> fastnn.nn.functional.relu6(fastnn.tensor([-1.0, 7.0])).tolist()
    [0.0, 6.0]
    """
    return hardtanh(input, 0.0, 6.0, inplace)


def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):
    """input held within [min_val, max_val]; its gradient is 0 at the bounds.

    >>> fastnn.nn.functional.hardtanh(fastnn.tensor([-3.0, 0.5])).tolist()
    [-1.0, 0.5]
    """
    if min_val > max_val:
        raise ValueError(f"min_val must not exceed max_val, got {min_val} and {max_val}")
    return activation(PW_clamp, PW_hardtanh_backward, input, "hardtanh", inplace, min_val, max_val)


def hardsigmoid(input, inplace=False):
    """min(max(input + 3, 0), 6) / 6, elementwise.

    >>> fastnn.nn.functional.hardsigmoid(fastnn.tensor([-3.0, 0.0])).tolist()
    [0.0, 0.5]
    """
    return activation(PW_hardsigmoid, PW_hardsigmoid_backward, input, "hardsigmoid", inplace)


def hardswish(input, inplace=False):
    """input * hardsigmoid(input), elementwise (Howard et al., 2019).

    >>> fastnn.nn.functional.hardswish(fastnn.tensor([-4.0, 3.0])).tolist()
    [-0.0, 3.0]
    """
    return activation(PW_hardswish, PW_hardswish_backward, input, "hardswish", inplace)


def leaky_relu(input, negative_slope=0.01, inplace=False):
    """input where positive, negative_slope * input elsewhere."""
    return activation(PW_leaky_relu, PW_leaky_relu_backward, input, "leaky_relu", inplace,
                      negative_slope)


def elu(input, alpha=1.0, inplace=False):
    """input where positive, alpha * (exp(input) - 1) elsewhere (Clevert et al., 2015)."""
    return activation(PW_elu, PW_elu_backward, input, "elu", inplace, alpha, 1)


def selu(input, inplace=False):
    """1.0507 * elu(input, 1.6733), which keeps mean 0 and variance 1 (Klambauer et al., 2017).

    >>> round(fastnn.nn.functional.selu(fastnn.tensor(1.0)).item(), 4)
    1.0507
    """
    return activation(PW_elu, PW_elu_backward, input, "selu", inplace, SELU_SCALE * SELU_ALPHA,
                      SELU_SCALE)


def celu(input, alpha=1.0, inplace=False):
    """input where positive, alpha * (exp(input / alpha) - 1) elsewhere (Barron, 2017).

    >>> fastnn.nn.functional.celu(fastnn.tensor([-800.0, 3.0]), 2.0).tolist()
    [-2.0, 3.0]
    """
    if alpha == 0:
        raise ValueError("the alpha of celu() must not be 0")
    return activation(PW_celu, PW_celu_backward, input, "celu", inplace, alpha)


def threshold(input, threshold, value, inplace=False):
    """input where it is above threshold, value elsewhere.

    >>> fastnn.nn.functional.threshold(fastnn.tensor([1.0, 3.0]), 1.0, -5.0).tolist()
    [-5.0, 3.0]
    """
    return activation(PW_threshold, PW_threshold_backward, input, "threshold", inplace, threshold,
                      value)


def hardshrink(input, lambd=0.5):
    """input where it is beyond [-lambd, lambd], 0 elsewhere.

    >>> fastnn.nn.functional.hardshrink(fastnn.tensor([0.5, -2.0])).tolist()
    [0.0, -2.0]
    """
    return activation(PW_hardshrink, PW_shrink_backward, input, "hardshrink", False, lambd)


def softshrink(input, lambd=0.5):
    """input moved towards 0 by lambd, and 0 within [-lambd, lambd].

    >>> fastnn.nn.functional.softshrink(fastnn.tensor([0.5, -2.0])).tolist()
    [0.0, -1.5]
    """
    if not lambd >= 0:
        raise ValueError(f"the lambd of softshrink() must not be negative, got {lambd}")
    return activation(PW_softshrink, PW_shrink_backward, input, "softshrink", False, lambd)


def tanhshrink(input):
    """input - tanh(input), elementwise.

    >>> fastnn.nn.functional.tanhshrink(fastnn.tensor([0.0, 100.0])).tolist()
    [0.0, 99.0]
    """
    return activation(PW_tanhshrink, PW_tanhshrink_backward, input, "tanhshrink", False)


def softsign(input):
    """input / (1 + |input|), elementwise.

    >>> fastnn.nn.functional.softsign(fastnn.tensor([1.0, -3.0])).tolist()
    [0.5, -0.75]
    """
    return activation(PW_softsign, PW_softsign_backward, input, "softsign", False)


def logsigmoid(input):
    """The logarithm of sigmoid(input), without its underflow.

    >>> fastnn.nn.functional.logsigmoid(fastnn.tensor([-200.0])).tolist()
    [-200.0]
    """
    return activation(PW_logsigmoid, PW_logsigmoid_backward, input, "log_sigmoid", False)


def sigmoid(input):
    """1 / (1 + exp(-input)), elementwise."""
    return unary(PW_sigmoid, PW_sigmoid_backward, True, as_real(input), "sigmoid")


def tanh(input):
    """The hyperbolic tangent, elementwise."""
    return unary(PW_tanh, PW_tanh_backward, True, as_real(input), "tanh")


def gelu(input, approximate="none"):
    """input times the normal distribution function of input (Hendrycks and Gimpel, 2016);
    approximate="tanh" uses the paper's approximation by tanh."""
    if approximate == "none":
        return activation(PW_gelu, PW_gelu_backward, input, "gelu", False)
    if approximate == "tanh":
        return activation(PW_gelu_tanh, PW_gelu_tanh_backward, input, "gelu", False)
    raise ValueError(f"approximate must be 'none' or 'tanh', got {approximate!r}")


def silu(input, inplace=False):
    """input * sigmoid(input), elementwise."""
    return activation(PW_silu, PW_silu_backward, input, "silu", inplace)


def mish(input, inplace=False):
    """input * tanh(softplus(input)), elementwise (Misra, 2019)."""
    return activation(PW_mish, PW_mish_backward, input, "mish", inplace)


def softplus(input, beta=1.0, threshold=20.0):
    """log(1 + exp(beta * input)) / beta; input itself where beta * input > threshold."""
    if beta == 0:
        raise ValueError("beta must not be 0")
    return activation(PW_softplus, PW_softplus_backward, input, "softplus", False, beta, threshold)


def glu(input, dim=-1):
    """The first half of input along dim times sigmoid of the second (Dauphin et al., 2016).

    >>> fastnn.nn.functional.glu(fastnn.tensor([3.0, 0.0])).tolist()
    [1.5]
    """
    cdef Tensor x = as_tensor(input, "input"), y
    cdef Node node
    cdef int d
    check_float(x, "input")
    if x.ndim_ == 0:
        raise ValueError("glu() halves a dimension, and an input of shape () has none")
    d = normal_dim(dim, x.ndim_)
    if x.shape_[d] % 2:
        raise ValueError(f"glu() halves dimension {d}, whose size in shape {shape_text(x)} is odd")
    y = pointwise_binary(PW_glu, half(x, d, 0), half(x, d, 1))
    if needs_graph(x):
        node = new_node(glu_backward, "glu")
        node.input0 = edge(x)
        node.i[0] = d
        save0(node, x)
        attach(y, node)
    return y


cdef Tensor half(Tensor x, int dim, int which):
    """A view of the first (0) or the second (1) half of x along dim."""
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef int d
    for d in range(x.ndim_):
        shape[d] = x.shape_[d] // 2 if d == dim else x.shape_[d]
    return new_view(x, x.ndim_, shape, x.strides_,
                    x.ptr + which * shape[dim] * x.strides_[dim] * itemsize(x.dtype_))


cdef int glu_backward(Node node, Tensor dy) except -1:
    cdef Tensor x = saved0(node), dx
    cdef int d = <int>node.i[0]
    if node.input0 is not None:
        dx = new_like(x, x.dtype_)
        pointwise_into(half(dx, d, 0), PW_glu, (dy, half(x, d, 1)))
        pointwise_into(half(dx, d, 1), PW_glu_backward_gate, (dy, half(x, d, 0), half(x, d, 1)))
        give(node.input0, dx)
    return 0


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
    op("sin", sin, method=True, cases="unary"),
    op("cos", cos, method=True, cases="unary"),
    op("floor", floor, method=True, cases="between_whole"),
    op("ceil", ceil, method=True, cases="between_whole"),
    op("round", round, method=True, cases="between_whole"),
    op("trunc", trunc, method=True, cases="between_whole"),
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
    op("glu", glu, cases="glu", public=False),
    op("relu6", relu6, cases="clamped", public=False),
    op("hardtanh", hardtanh, cases="hardtanh", public=False),
    op("hardsigmoid", hardsigmoid, cases="clamped", public=False),
    op("hardswish", hardswish, cases="clamped", public=False),
    op("selu", selu, cases="unary"),
    op("celu", celu, cases="elu"),
    op("threshold", threshold, cases="threshold"),
    op("hardshrink", hardshrink, method=True, cases="shrink"),
    op("softshrink", softshrink, cases="shrink", public=False),
    op("tanhshrink", tanhshrink, cases="unary", public=False),
    op("softsign", softsign, cases="unary", public=False),
    op("logsigmoid", logsigmoid, cases="unary", public=False),
]
OPS += [
    op(f"{function.__name__}_", inplace_of(function), method=True, public=False)
    for function in (neg, pow, masked_fill, abs, exp, log, sqrt, square, reciprocal, sigmoid, tanh)
]
relu_, leaky_relu_, elu_, selu_, celu_, hardtanh_, threshold_ = [
    over(function) for function in (relu, leaky_relu, elu, selu, celu, hardtanh, threshold)
]
OPS += [
    op("clamp_", clamp_, method=True, public=False),
    op("relu_", relu_, method=True, public=False),
]
