"""Losses number by number: mse, l1, huber, smooth l1, quantile, binary cross entropy,
Kullback-Leibler, hinge, contrastive.

One pass for the sum, one for the gradient. Input and target have one shape; torch
broadcasts them with a warning, and here that is an error. Weights are multiplied on
as operations of their own.
"""

from fastnn._core.autograd cimport (
    Node, attach, edge, give, needs_graph, new_node, save0, save1, saved0, saved1,
)
from fastnn._core.checks cimport check_float, check_same_dtype, shape_text
from fastnn._core.layout cimport laid_out_as
from fastnn._core.storage cimport scratch_give, scratch_take
from fastnn._core.tensor cimport (
    FLOAT64, Tensor, as_tensor, hot_operators, new_like, new_tensor, same_shape,
)
from fastnn._kernels.loss cimport (
    LOSS_BCE, LOSS_BCE_LOGITS, LOSS_CONTRASTIVE, LOSS_HINGE, LOSS_HUBER, LOSS_KL, LOSS_L1, LOSS_MSE,
    LOSS_QUANTILE, is_of_difference, loss_gradient, loss_scratch_bytes, loss_total, loss_values,
)
from fastnn._kernels.reduce cimport REDUCE_MAX, REDUCE_MIN
from fastnn.ops.reduce cimport reduce_dims

from fastnn.ops.activation import softplus
from fastnn.ops.join import stack
from fastnn.ops.reduce import mean, sum
from fastnn.ops.registry import op


# --- reductions ---------------------------------------------------------------

cdef int reduction_of(object reduction) except -1:
    if reduction == "mean":
        return MEAN
    if reduction == "sum":
        return SUM
    if reduction == "none":
        return NONE
    raise ValueError(f"reduction must be 'none', 'mean' or 'sum', got {reduction!r}")


cdef double number_of(Tensor x) noexcept:
    return (<double*>x.ptr)[0] if x.dtype_ == FLOAT64 else (<float*>x.ptr)[0]


# --- the one mechanism --------------------------------------------------------

cdef Tensor elementwise_loss(int kind, object input, object target, int how, double p, str what):
    cdef Tensor x = as_tensor(input, "input"), t = as_tensor(target, "target"), y
    cdef Node node
    cdef char* scratch
    cdef double total
    check_float(x, f"the input of {what}()")
    if not same_shape(x, t):
        raise ValueError(f"{what}() needs input and target of one shape, got {shape_text(x)} and "
                         f"{shape_text(t)}")
    check_same_dtype(t, x, f"the input and the target of {what}()")
    if not is_of_difference(kind) and kind != LOSS_BCE_LOGITS and needs_graph(t):
        raise ValueError(f"{what}() has no gradient for its target; use target.detach()")
    x = laid_out_as(x, x)
    t = laid_out_as(t, x)
    if how == NONE:
        y = new_like(x, x.dtype_)
        with nogil:
            loss_values(kind, x.dtype_, x.size_, p, x.ptr, t.ptr, y.ptr)
    else:
        y = new_tensor(x.dtype_, 0, NULL)
        scratch = <char*>scratch_take(loss_scratch_bytes(x.size_))
        with nogil:
            total = loss_total(kind, x.dtype_, x.size_, p, x.ptr, t.ptr, scratch)
        scratch_give(scratch, loss_scratch_bytes(x.size_))
        if how == MEAN:
            total /= x.size_
        if x.dtype_ == FLOAT64:
            (<double*>y.ptr)[0] = total
        else:
            (<float*>y.ptr)[0] = <float>total
    if needs_graph(<Tensor>input) or needs_graph(<Tensor>target):
        node = new_node(elementwise_loss_backward, "loss")
        node.input0 = edge(<Tensor>input)
        node.input1 = edge(<Tensor>target)
        node.i[0], node.i[1] = kind, how
        node.p[0] = p
        save0(node, x)
        save1(node, t)
        attach(y, node)
    return y


cdef int elementwise_loss_backward(Node node, Tensor dy) except -1:
    cdef Tensor x = saved0(node), t = saved1(node), dx
    cdef int kind = <int>node.i[0]
    cdef bint each = node.i[1] == NONE
    cdef double scale = 1.0 / x.size_ if node.i[1] == MEAN else 1, p = node.p[0]
    dy = laid_out_as(dy, x) if each else dy
    if node.input0 is not None or is_of_difference(kind):
        dx = new_like(x, x.dtype_)
        with nogil:
            loss_gradient(kind, x.dtype_, x.size_, p, x.ptr, t.ptr, dy.ptr, each, scale, dx.ptr)
        give(node.input0, dx)
        if node.input1 is not None and is_of_difference(kind):
            give(node.input1, <Tensor>hot_operators().neg(dx))
    if node.input1 is not None and kind == LOSS_BCE_LOGITS:
        give(node.input1, <Tensor>hot_operators().mul(hot_operators().mul(x, dy), -scale))
    return 0


def reduced(losses, reduction):
    """Losses, composed of other operations, as the user asked for them."""
    cdef int how = reduction_of(reduction)
    return losses if how == NONE else mean(losses) if how == MEAN else sum(losses)


# --- losses of differences ----------------------------------------------------

def mse_loss(input, target, reduction="mean"):
    """(input - target) squared.

    >>> fastnn.mse_loss(fastnn.tensor([1.0, 2.0]), fastnn.tensor([1.0, 4.0]))
    tensor(2.)
    """
    return elementwise_loss(LOSS_MSE, input, target, reduction_of(reduction), 0, "mse_loss")


def l1_loss(input, target, reduction="mean"):
    """The absolute value of input - target; its gradient at 0 is 0."""
    return elementwise_loss(LOSS_L1, input, target, reduction_of(reduction), 0, "l1_loss")


def huber_loss(input, target, reduction="mean", delta=1.0):
    """Half the squared difference within delta, beyond it delta (|difference| - delta / 2)
    (Huber, 1964)."""
    if not delta > 0:
        raise ValueError(f"the delta of huber_loss() must be greater than 0, got {delta}")
    return elementwise_loss(LOSS_HUBER, input, target, reduction_of(reduction), delta, "huber_loss")


def smooth_l1_loss(input, target, reduction="mean", beta=1.0):
    """The Huber loss with delta = beta over beta; the absolute difference for beta = 0."""
    if not beta >= 0:
        raise ValueError(f"the beta of smooth_l1_loss() must not be negative, got {beta}")
    if beta == 0:
        return l1_loss(input, target, reduction)
    loss = elementwise_loss(LOSS_HUBER, input, target, reduction_of(reduction), beta,
                            "smooth_l1_loss")
    return loss if beta == 1 else loss / beta


cdef object quantile_losses(object x, object target, object quantiles, object reduction):
    """The losses of columns, one for each quantile, against one target."""
    shape = (as_tensor(x, "input")).shape
    if len(shape) == 0 or shape[len(shape) - 1] != len(quantiles):
        raise ValueError(f"quantile_loss() of {len(quantiles)} quantiles needs an input with as "
                         f"many columns, got shape {shape}")
    columns = [elementwise_loss(LOSS_QUANTILE, x.select(-1, k), target, NONE, q, "quantile_loss")
               for k, q in enumerate(quantiles)]
    return reduced(stack(columns, -1), reduction)


def quantile_loss(input, target, quantile=0.5, reduction="mean"):
    """The pinball loss: quantile * d where the target is d above the input, (1 - quantile) * d
    where it is d below. It is least where the input is that quantile of the targets
    (Koenker and Bassett, 1978).

    quantile: a number within (0, 1), or several; then input (..., Q) holds a column for each
    and target has the shape (...).

    >>> fastnn.quantile_loss(fastnn.tensor([1.0, 1.0]), fastnn.tensor([2.0, 0.0]), 0.9, "none")
    tensor([0.9000, 0.1000])
    """
    cdef int how = reduction_of(reduction)
    several = isinstance(quantile, (tuple, list))
    for q in quantile if several else (quantile,):
        if not 0 < q < 1:
            raise ValueError(f"a quantile must lie between 0 and 1, got {q}")
    if several:
        return quantile_losses(input, target, quantile, reduction)
    return elementwise_loss(LOSS_QUANTILE, input, target, how, quantile, "quantile_loss")


# --- binary cross entropy -----------------------------------------------------

def binary_cross_entropy_with_logits(input, target, weight=None, reduction="mean", pos_weight=None):
    """The binary cross entropy of sigmoid(input) and target, safe for large inputs.

    weight multiplies each loss, pos_weight the part of it that target = 1 adds;
    both broadcast.
    """
    cdef int how = reduction_of(reduction)
    cdef str what = "binary_cross_entropy_with_logits"
    if weight is None and pos_weight is None:
        return elementwise_loss(LOSS_BCE_LOGITS, input, target, how, 0, what)
    losses = elementwise_loss(LOSS_BCE_LOGITS, input, target, NONE, 0, what)
    if pos_weight is not None:
        losses = losses + (pos_weight - 1) * target * softplus(-input)
    if weight is not None:
        losses = losses * weight
    return reduced(losses, reduction)


def binary_cross_entropy(input, target, weight=None, reduction="mean"):
    """The binary cross entropy of probabilities input, from 0 to 1, and target."""
    cdef Tensor x = as_tensor(input, "input")
    cdef int how = reduction_of(reduction)
    cdef unsigned int every = (1u << x.ndim_) - 1
    cdef double low, high
    check_float(x, "the input of binary_cross_entropy()")
    if x.size_ > 0:
        low = number_of(reduce_dims(REDUCE_MIN, x, every, False))
        high = number_of(reduce_dims(REDUCE_MAX, x, every, False))
        if not (low >= 0 and high <= 1):
            raise ValueError("the input of binary_cross_entropy() must lie from 0 to 1, it reaches "
                             f"from {low} to {high}; for scores use "
                             "binary_cross_entropy_with_logits()")
    if weight is None:
        return elementwise_loss(LOSS_BCE, input, target, how, 0, "binary_cross_entropy")
    losses = elementwise_loss(LOSS_BCE, input, target, NONE, 0, "binary_cross_entropy")
    return reduced(losses * weight, reduction)


# --- distributions and classes ------------------------------------------------

def kl_div(input, target, reduction="mean", log_target=False):
    """The divergence of exp(input) from target: target (log target - input), where input holds
    log-probabilities and target probabilities, or their logarithms with log_target (Kullback and
    Leibler, 1951).

    reduction: also "batchmean", the sum over the number of rows: the divergence itself.
    """
    cdef bint by_rows = reduction == "batchmean"
    loss = elementwise_loss(LOSS_KL, input, target, reduction_of("sum" if by_rows else reduction),
                            bool(log_target), "kl_div")
    if not by_rows:
        return loss
    if input.ndim == 0:
        raise ValueError("kl_div() with reduction='batchmean' needs an input with rows")
    return loss / input.shape[0]


def hinge_loss(input, target, margin=1.0, reduction="mean"):
    """max(0, margin - target * input) of scores input and targets -1 or 1: the loss of support
    vector machines (Cortes and Vapnik, 1995); with margin 0 that of the perceptron.

    >>> fastnn.hinge_loss(fastnn.tensor([2.0, 0.5]), fastnn.tensor([1.0, -1.0]), reduction="none")
    tensor([0.0000, 1.5000])
    """
    return elementwise_loss(LOSS_HINGE, input, target, reduction_of(reduction), margin,
                            "hinge_loss")


def contrastive_loss(distance, target, margin=1.0, reduction="mean"):
    """Half of distance^2 of a pair that belongs together (target 1), half of
    max(0, margin - distance)^2 of one that does not (target 0): Hadsell, Chopra and LeCun, 2006,
    whose Y is 1 - target.

    distance: of two embeddings each, pairwise_distance(a, b).
    """
    if not margin > 0:
        raise ValueError(f"the margin of contrastive_loss() must be greater than 0, got {margin}")
    return elementwise_loss(LOSS_CONTRASTIVE, distance, target, reduction_of(reduction), margin,
                            "contrastive_loss")


OPS = [
    op("mse_loss", mse_loss, cases="pair_loss"),
    op("l1_loss", l1_loss, cases="pair_loss"),
    op("huber_loss", huber_loss, cases="huber_loss"),
    op("smooth_l1_loss", smooth_l1_loss, cases="smooth_l1_loss"),
    op("quantile_loss", quantile_loss, cases="quantile_loss"),
    op("kl_div", kl_div, cases="kl_div"),
    op("hinge_loss", hinge_loss, cases="hinge_loss"),
    op("contrastive_loss", contrastive_loss, cases="contrastive_loss"),
    op("binary_cross_entropy", binary_cross_entropy, cases="bce"),
    op("binary_cross_entropy_with_logits", binary_cross_entropy_with_logits, cases="bce_logits"),
]
