"""Dropout of elements and of channels, and the leaky ReLU with random slopes.

Nothing that was drawn is kept: a node remembers the stream (see csrc/kernels/random.h), and
its backward draws the same numbers again. Of channels, the drawn numbers are a tensor
(N, C, 1, ...) of their own, by which the input is multiplied.
"""

from libc.math cimport ceil
from libc.stdint cimport uint32_t, uint64_t

from fastnn._core.autograd cimport (
    Node, attach, edge, give, needs_graph, new_node, save0, saved0, write_inplace,
)
from fastnn._core.checks cimport check_float, shape_text
from fastnn._core.layout cimport contiguous, laid_out_as, shape_only
from fastnn._core.tensor cimport MAX_NDIM, Tensor, as_tensor, is_dense, new_like, new_tensor
from fastnn._kernels.random cimport random_dropout, random_rrelu
from fastnn._kernels.runtime cimport dropout_rule, random_stream
from fastnn.ops.creation cimport fill_with
from fastnn.ops.random cimport next_stream

from fastnn.ops.activation import leaky_relu
from fastnn.ops.registry import inplace_of, op


cdef Tensor dense(Tensor x):
    """x, or a copy, without gaps: elements are drawn for in the order of memory."""
    return x if is_dense(x) else contiguous(x)


cdef void keep_stream(Node node, const random_stream* stream) noexcept:
    node.i[0], node.i[1] = <long>stream.seed, <long>stream.call


cdef random_stream kept_stream(Node node) noexcept:
    cdef random_stream stream
    stream.seed, stream.call = <uint64_t>node.i[0], <uint64_t>node.i[1]
    return stream


# --- dropout of elements --------------------------------------------------------

cdef int check_probability(object p) except -1:
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    return 0


cdef dropout_rule rule_of(double p) noexcept:
    """Zero with probability p, the others divided by 1 - p."""
    cdef dropout_rule rule
    rule.threshold = <uint32_t>min(ceil(p * 4294967296.0), 4294967295.0)
    rule.scale = 1 / (1 - p) if p < 1 else 0
    rule.shift = rule.dropped = 0
    return rule


cdef dropout_rule alpha_rule(double p) noexcept:
    """-1.7581, what SELU tends to, with probability p; then back to mean 0 and variance 1."""
    cdef dropout_rule rule = rule_of(p)
    cdef double limit = -1.7580993408473766
    if p < 1:
        rule.scale = 1 / ((1 - p) * (1 + p * limit * limit)) ** 0.5
        rule.shift = -rule.scale * limit * p
        rule.dropped = rule.scale * limit + rule.shift
    return rule


cdef Tensor dropped(Tensor x, random_stream stream, dropout_rule rule):
    """x, dense, by the rule."""
    cdef Tensor y = new_like(x, x.dtype_)
    with nogil:
        random_dropout(x.dtype_, stream, x.size_, rule, x.ptr, y.ptr)
    return y


cdef object drop_elements(object input, dropout_rule rule, object p, bint training, bint inplace,
                          const char* label):
    cdef Tensor x = as_tensor(input, "input"), source, y
    cdef Node node
    cdef random_stream stream
    check_float(x, "input")
    if not training:
        return x
    next_stream(None, &stream)
    source = dense(x)
    y = dropped(source, stream, rule)
    if needs_graph(x):
        node = new_node(dropout_backward, label)
        node.input0 = edge(x)
        node.p[0] = rule.scale
        node.p[1] = p
        keep_stream(node, &stream)
        node.saved0 = layout_only(y)
        attach(y, node)
    return write_inplace(x, y) if inplace else y


cdef Tensor layout_only(Tensor x):
    """What tells a backward how elements lay in memory, without holding them."""
    cdef Tensor y = shape_only(x)
    cdef int d
    for d in range(x.ndim_):
        y.strides_[d] = x.strides_[d]
    y.engine_layout = x.engine_layout
    return y


cdef int dropout_backward(Node node, Tensor dy) except -1:
    cdef dropout_rule rule = rule_of(node.p[1])
    if node.input0 is not None:
        rule.scale = node.p[0]
        give(node.input0, dropped(laid_out_as(dy, node.saved0), kept_stream(node), rule))
    return 0


def dropout(input, p=0.5, training=True, inplace=False):
    """Each element zeroed with probability p, the others divided by 1 - p.

    >>> fastnn.nn.functional.dropout(fastnn.ones(2), 0.5, training=False).tolist()
    [1.0, 1.0]
    """
    check_probability(p)
    return drop_elements(input, rule_of(p), p, training, inplace, "dropout")


def alpha_dropout(input, p=0.5, training=False, inplace=False):
    """Dropout that keeps mean 0 and variance 1, for use with selu (Klambauer et al., 2017).

    >>> fastnn.nn.functional.alpha_dropout(fastnn.ones(2), 0.5).tolist()
    [1.0, 1.0]
    """
    check_probability(p)
    return drop_elements(input, alpha_rule(p), p, training, inplace, "alpha_dropout")


# --- dropout of channels --------------------------------------------------------

cdef Tensor draws(Tensor x, int lead, dropout_rule rule):
    """The rule applied to ones of the first `lead` dimensions of x, (N, C, 1, ...)."""
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef Tensor ones
    cdef random_stream stream
    cdef int d
    for d in range(x.ndim_):
        shape[d] = x.shape_[d] if d < lead else 1
    ones = new_tensor(x.dtype_, x.ndim_, shape)
    fill_with(ones, 1)
    next_stream(None, &stream)
    return dropped(ones, stream, rule)


cdef object drop_channels(object input, object p, bint training, bint inplace, object ranks,
                          int batched, str what):
    """ranks: of inputs that are allowed; batched: from which on there is a batch."""
    cdef Tensor x = as_tensor(input, "input"), y
    check_probability(p)
    check_float(x, "input")
    if x.ndim_ not in ranks:
        raise ValueError(f"{what}() expects input of {ranks[0]} or {ranks[1]} dimensions, got "
                         f"shape {shape_text(x)}")
    if not training:
        return x
    y = <Tensor>(x * draws(x, 2 if x.ndim_ >= batched else 1, rule_of(p)))
    return write_inplace(x, y) if inplace else y


def dropout1d(input, p=0.5, training=True, inplace=False):
    """Each channel of (N, C, L) or (C, L) zeroed with probability p, the others divided by 1 - p.

    >>> fastnn.nn.functional.dropout1d(fastnn.ones(2, 3), 0.0).tolist()
    [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """
    return drop_channels(input, p, training, inplace, (2, 3), 3, "dropout1d")


def dropout2d(input, p=0.5, training=True, inplace=False):
    """Each channel of (N, C, H, W) or (N, C, L) zeroed with probability p, the others divided
    by 1 - p (Tompson et al., 2014).

    >>> fastnn.nn.functional.dropout2d(fastnn.ones(1, 1, 1, 2), 0.0).tolist()
    [[[[1.0, 1.0]]]]
    """
    return drop_channels(input, p, training, inplace, (3, 4), 3, "dropout2d")


def dropout3d(input, p=0.5, training=True, inplace=False):
    """Each channel of (N, C, D, H, W) or (C, D, H, W) zeroed with probability p, the others
    divided by 1 - p.

    >>> fastnn.nn.functional.dropout3d(fastnn.ones(1, 1, 1, 2), 0.0).tolist()
    [[[[1.0, 1.0]]]]
    """
    return drop_channels(input, p, training, inplace, (4, 5), 5, "dropout3d")


def feature_alpha_dropout(input, p=0.5, training=False, inplace=False):
    """alpha_dropout() of whole channels of (N, C, ...).

    >>> fastnn.nn.functional.feature_alpha_dropout(fastnn.ones(1, 2, 1), 0.5).tolist()
    [[[1.0], [1.0]]]
    """
    cdef Tensor x = as_tensor(input, "input"), kept, y
    cdef dropout_rule rule
    check_probability(p)
    check_float(x, "input")
    if x.ndim_ < 2:
        raise ValueError("feature_alpha_dropout() expects input (N, C, ...), got shape "
                         f"{shape_text(x)}")
    if not training:
        return x
    rule = rule_of(p)
    rule.scale = 1 if p < 1 else 0
    kept = draws(x, 2, rule)                    # 1 or 0
    rule = alpha_rule(p)
    y = <Tensor>(x * (kept * rule.scale)
                 + (kept * (rule.shift - rule.dropped) + rule.dropped))
    return write_inplace(x, y) if inplace else y


# --- the leaky ReLU with random slopes --------------------------------------------

def rrelu(input, lower=1.0 / 8, upper=1.0 / 3, training=False, inplace=False):
    """input where positive; elsewhere times a slope, in training drawn anew for each element
    from [lower, upper), otherwise their mean (Xu et al., 2015).

    >>> fastnn.nn.functional.rrelu(fastnn.tensor([3.0, -8.0]), 0.25, 0.25).tolist()
    [3.0, -2.0]
    """
    cdef Tensor x = as_tensor(input, "input"), source, y
    cdef Node node
    cdef random_stream stream
    check_float(x, "input")
    if not lower <= upper:
        raise ValueError(f"rrelu() needs lower <= upper, got {lower} and {upper}")
    if not training:
        return leaky_relu(x, (lower + upper) / 2, inplace)
    next_stream(None, &stream)
    source = dense(x)
    y = sloped(source, source, stream, lower, upper)
    if needs_graph(x):
        node = new_node(rrelu_backward, "rrelu")
        node.input0 = edge(x)
        node.p[0], node.p[1] = lower, upper
        keep_stream(node, &stream)
        save0(node, source)
        attach(y, node)
    return write_inplace(x, y) if inplace else y


cdef Tensor sloped(Tensor x, Tensor a, random_stream stream, double lower, double upper):
    """a, laid out as x, dense; times the slopes where x is not positive."""
    cdef Tensor y = new_like(x, x.dtype_)
    with nogil:
        random_rrelu(x.dtype_, stream, x.size_, lower, upper, x.ptr, a.ptr, y.ptr)
    return y


cdef int rrelu_backward(Node node, Tensor dy) except -1:
    cdef Tensor x = saved0(node)
    if node.input0 is not None:
        give(node.input0, sloped(x, laid_out_as(dy, x), kept_stream(node), node.p[0], node.p[1]))
    return 0


OPS = [
    op("dropout", dropout, public=False),
    op("alpha_dropout", alpha_dropout, public=False),
    op("dropout1d", dropout1d, public=False),
    op("dropout2d", dropout2d, public=False),
    op("dropout3d", dropout3d, public=False),
    op("feature_alpha_dropout", feature_alpha_dropout, public=False),
    op("rrelu", rrelu, public=False),
]

rrelu_ = inplace_of(rrelu)
