"""Softmax, log-softmax, logsumexp; cross entropy and negative log-likelihood.

Softmax and its kin run along any dimension of a tensor without gaps, as it lies in memory.
The losses work on rows along the classes, which lie innermost in memory in (N, C) and in
channels-last images, and are moved there by a copy in others. Cross entropy computes its
gradient in the pass that computes the loss.
"""

from libc.stdint cimport int64_t

from fastnn._core.autograd cimport (
    Node, attach, backward_fn, edge, give, needs_graph, new_node, save0, save1, saved0, saved1,
)
from fastnn._core.checks cimport check_float, check_same_dtype, shape_text
from fastnn._core.layout cimport (
    cast, contiguous, laid_out_as, lies_innermost, new_view, shape_only,
)
from fastnn._core.tensor cimport (
    FLOAT32, FLOAT64, INT64, MAX_NDIM, UINT8, Tensor, alias, as_tensor, dtype_of, is_contiguous,
    is_dense, new_like, new_tensor, normal_dim, same_shape,
)
from fastnn._kernels.reduce cimport REDUCE_SUM
from fastnn._kernels.runtime cimport (
    LOG_SOFTMAX, LOG_SOFTMAX_BACKWARD, LOGSUMEXP, LOGSUMEXP_BACKWARD, SOFTMAX, SOFTMAX_BACKWARD,
    cross_entropy_args, softmax_args,
)
from fastnn._kernels.softmax cimport (
    cross_entropy_forward, first_bad_target, nll_backward, nll_forward, scale_rows,
    softmax as softmax_kernels, target_weight,
)
from fastnn.ops.reduce cimport finish, new_reduction, rearranged, reduce_dims

from fastnn.ops.registry import op


# --- the dimension ------------------------------------------------------------

cdef struct Place:           # x as an array (outer, n, inner) in memory
    long outer, n, inner


cdef Tensor placed(Tensor x, int dim, bint in_order, Place* place):
    """x, or a copy of it, without gaps in memory; in_order: without dim, it lies row-major."""
    if not is_contiguous(x) and not (lies_innermost(x, dim) if in_order else is_dense(x)):
        x = contiguous(x)
    place.n = x.shape_[dim] if x.ndim_ else 1
    place.inner = x.strides_[dim] if place.n > 1 else 1
    place.outer = x.size_ // (place.n * place.inner) if x.size_ else 0
    return x


cdef void run(int kind, Place* place, int dtype, Tensor x, Tensor y, Tensor dy, Tensor out):
    cdef softmax_args arrays
    if out.size_ == 0:
        return
    arrays.x = NULL if x is None else x.ptr
    arrays.y = NULL if y is None else y.ptr
    arrays.dy = NULL if dy is None else dy.ptr
    arrays.out = out.ptr
    with nogil:
        softmax_kernels(kind, dtype, place.outer, place.n, place.inner, &arrays)


# --- softmax ------------------------------------------------------------------

cdef Tensor checked(object input, object dim, int* d, str what):
    cdef Tensor x = as_tensor(input, "input")
    check_float(x, f"the input of {what}()")
    if dim is None:
        raise TypeError(f"{what}() needs a dim, an int")
    d[0] = normal_dim(dim, x.ndim_)
    return x


cdef Tensor normalized(int kind, backward_fn backward, object input, object dim,
                       const char* label):
    """softmax or log_softmax, with its node: its gradient follows from its result."""
    cdef int d = 0
    cdef Tensor x = checked(input, dim, &d, label.decode()), source, y
    cdef Place place
    cdef Node node
    source = placed(x, d, False, &place)
    y = new_like(source, x.dtype_)
    run(kind, &place, x.dtype_, source, None, None, y)
    if needs_graph(x):
        node = new_node(backward, label)
        node.input0 = edge(x)
        node.i[0] = d
        save0(node, alias(y))
        attach(y, node)
    return y


cdef int normalized_backward(int kind, Node node, Tensor dy) except -1:
    cdef Tensor y = saved0(node), dx
    cdef Place place
    if node.input0 is not None:
        placed(y, <int>node.i[0], False, &place)
        dx = new_like(y, y.dtype_)
        run(kind, &place, y.dtype_, None, y, laid_out_as(dy, y), dx)
        give(node.input0, dx)
    return 0


def softmax(input, dim=None):
    """exp(input) / sum of exp(input) along dim, safe for large numbers.

    >>> fastnn.softmax(fastnn.tensor([0.0, 0.0]), dim=0)
    tensor([0.5000, 0.5000])
    """
    return normalized(SOFTMAX, softmax_backward, input, dim, "softmax")


cdef int softmax_backward(Node node, Tensor dy) except -1:
    return normalized_backward(SOFTMAX_BACKWARD, node, dy)


def log_softmax(input, dim=None):
    """The logarithm of softmax along dim, without its underflow."""
    return normalized(LOG_SOFTMAX, log_softmax_backward, input, dim, "log_softmax")


cdef int log_softmax_backward(Node node, Tensor dy) except -1:
    return normalized_backward(LOG_SOFTMAX_BACKWARD, node, dy)


def softmin(input, dim=None):
    """softmax(-input): the smallest number gets the largest share.

    >>> fastnn.nn.functional.softmin(fastnn.tensor([0.0, 200.0]), dim=0).tolist()
    [1.0, 0.0]
    """
    return softmax(-as_tensor(input, "input"), dim)


def logsumexp(input, dim=None, keepdim=False):
    """log(sum of exp(input)) along dim, an int, safe for large numbers."""
    cdef int d = 0
    cdef Tensor x = checked(input, dim, &d, "logsumexp"), source, y
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef Place place
    cdef int k
    cdef Node node
    if x.ndim_ and x.shape_[d] == 0:
        raise ValueError(f"logsumexp() of no elements: the input has shape {shape_text(x)}")
    for k in range(x.ndim_):
        shape[k] = 1 if k == d else x.shape_[k]
    y = new_tensor(x.dtype_, x.ndim_, shape)
    source = placed(x, d, True, &place)
    run(LOGSUMEXP, &place, x.dtype_, source, None, None, y)
    y = finish(y, 1u << d, keepdim)
    if needs_graph(x):
        node = new_reduction(logsumexp_backward, "logsumexp", x, y, 1u << d)
        node.i[1] = d
        save0(node, x)
        save1(node, alias(y))
    return y


cdef int logsumexp_backward(Node node, Tensor dy) except -1:
    cdef Tensor x = saved0(node), y = saved1(node), dx
    cdef Place place
    if node.input0 is not None:
        x = placed(x, <int>node.i[1], True, &place)
        dx = new_like(x, x.dtype_)
        run(LOGSUMEXP_BACKWARD, &place, x.dtype_, x, y, contiguous(dy), dx)
        give(node.input0, dx)
    return 0


# --- rows, for the losses -------------------------------------------------------

cdef Tensor rows_along(Tensor x, int dim):
    """x, or a copy of it, with dim innermost in memory."""
    return x if lies_innermost(x, dim) else rearranged(x, 1u << dim)


cdef Tensor new_rows(Tensor x, int dim):
    """Uninitialised, of x's shape and dtype, with dim innermost in memory."""
    cdef Tensor y = new_tensor(x.dtype_, x.ndim_, x.shape_)
    cdef Py_ssize_t stride = 1
    cdef int d, k
    for k in range(x.ndim_):
        d = dim if k == 0 else x.ndim_ - k - (x.ndim_ - k <= dim)
        y.strides_[d] = stride
        stride *= x.shape_[d]
    y.engine_layout = x.ndim_ == 4 and dim == 1      # channels last
    return y


cdef long row_length(Tensor x, int dim) noexcept:
    return x.shape_[dim] if x.ndim_ else 1


# --- losses -------------------------------------------------------------------

cdef int reduction_of(object reduction) except -1:
    if reduction == "mean":
        return MEAN
    if reduction == "sum":
        return SUM
    if reduction == "none":
        return NONE
    raise ValueError(f"reduction must be 'none', 'mean' or 'sum', got {reduction!r}")


cdef Tensor checked_target(Tensor x, object target, long long ignore_index, str what):
    """The classes as int64, row by row; their shape and range fit the scores x (N, C, ...)."""
    cdef Tensor t = as_tensor(target, "target")
    cdef int d
    cdef bint fits
    cdef long classes, bad
    if x.ndim_ == 0:
        raise ValueError(f"the input of {what}() must have shape (C,) or (N, C, ...), got ()")
    if not UINT8 <= t.dtype_ <= INT64:
        raise TypeError(f"target must hold class indices in int64, got {dtype_of(t.dtype_).name}")
    fits = t.ndim_ == x.ndim_ - 1
    for d in range(t.ndim_):
        fits = fits and t.shape_[d] == x.shape_[d if d == 0 else d + 1]
    if not fits:
        raise ValueError(f"target of shape {shape_text(t)} does not fit input of shape "
                         f"{shape_text(x)}: the input has one more dimension, the classes, "
                         "in place 1 (place 0 if alone)")
    t = contiguous(cast(t, INT64))
    classes = x.shape_[1 if x.ndim_ > 1 else 0]
    bad = first_bad_target(<long long*>t.ptr, t.size_, classes, ignore_index)
    if bad >= 0:
        raise IndexError(f"target {(<long long*>t.ptr)[bad]} (element {bad}) is not a class: there "
                         f"are {classes}, and ignore_index is {ignore_index}")
    return t


cdef Tensor checked_weight(Tensor x, object weight, str what):
    cdef Tensor w
    cdef long classes = x.shape_[1 if x.ndim_ > 1 else 0]
    if weight is None:
        return None
    w = as_tensor(weight, "weight")
    check_same_dtype(w, x, f"the input and the weight of {what}()")
    if w.ndim_ != 1 or w.shape_[0] != classes:
        raise ValueError(f"weight must have shape ({classes},), one for each class, "
                         f"got {shape_text(w)}")
    return contiguous(w)


cdef double total_of(Tensor w, long classes):
    cdef double total = 0
    cdef long k
    if w is None:
        return classes
    for k in range(classes):
        total += (<double*>w.ptr)[k] if w.dtype_ == FLOAT64 else (<float*>w.ptr)[k]
    return total


cdef Tensor reduced_loss(Tensor loss, int reduction, double share):
    """The sum of the losses of all rows, times share; the losses themselves for 'none'."""
    cdef Tensor y
    if reduction == NONE:
        return loss
    y = reduce_dims(REDUCE_SUM, loss, (1u << loss.ndim_) - 1, False)
    if y.dtype_ == FLOAT64:
        (<double*>y.ptr)[0] *= share
    else:
        (<float*>y.ptr)[0] *= <float>share
    return y


def cross_entropy(input, target, weight=None, ignore_index=-100, reduction="mean",
                  label_smoothing=0.0):
    """The cross entropy of softmax(input) and the target classes.

    input: scores (N, C), (C,) or (N, C, d1, ...). target: classes, int64, of the
    input's shape without C; or probabilities of the input's shape. weight: (C,).
    The mean is over the weights of the targets that are not ignore_index.
    """
    cdef Tensor x = as_tensor(input, "input"), w
    cdef int how = reduction_of(reduction)
    check_float(x, "the input of cross_entropy()")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must be from 0 to 1, got {label_smoothing}")
    if isinstance(target, Tensor) and (<Tensor>target).dtype_ >= FLOAT32:
        return probability_cross_entropy(x, <Tensor>target, weight, how, label_smoothing)
    target = checked_target(x, target, ignore_index, "cross_entropy")
    w = checked_weight(x, weight, "cross_entropy")
    return class_cross_entropy(x, <Tensor>target, w, ignore_index, how, label_smoothing)


cdef Tensor class_cross_entropy(Tensor x, Tensor t, Tensor w, long long ignore_index, int how,
                                double smoothing):
    cdef int dim = 1 if x.ndim_ > 1 else 0
    cdef Tensor rows = rows_along(x, dim), loss, slope = None, y
    cdef cross_entropy_args a
    cdef char* weight = NULL
    cdef double share = 1
    cdef Node node
    a.rows, a.n = t.size_, x.shape_[dim]
    if w is not None:
        weight = w.ptr
    if how == MEAN:
        share = target_weight(x.dtype_, a.rows, <long long*>t.ptr, ignore_index, weight)
        share = 1 / share          # without a target: 0 * inf = nan, as in PyTorch
    loss = new_tensor(x.dtype_, t.ndim_, t.shape_)
    a.x, a.target, a.ignore_index = rows.ptr, <int64_t*>t.ptr, ignore_index
    a.weight, a.weight_sum = weight, total_of(w, a.n)
    a.smoothing, a.share, a.loss, a.dx = smoothing, share, loss.ptr, NULL
    if needs_graph(x):
        slope = new_rows(x, dim)
        a.dx = slope.ptr
    if x.size_ > 0:
        with nogil:
            cross_entropy_forward(x.dtype_, &a)
    y = reduced_loss(loss, how, share)
    if slope is not None:
        node = new_node(cross_entropy_backward, "cross_entropy")
        node.input0 = edge(x)
        node.i[0] = how
        node.i[1] = dim
        save0(node, slope)
        attach(y, node)
    return y


cdef int cross_entropy_backward(Node node, Tensor dy) except -1:
    cdef Tensor slope = saved0(node), dx
    cdef long n = row_length(slope, <int>node.i[1])
    cdef bint each = node.i[0] == NONE
    if node.input0 is None:
        return 0
    if not each and number_of(dy) == 1:
        give(node.input0, slope)
        return 0
    dx = new_rows(slope, <int>node.i[1])
    dy = contiguous(dy)
    if slope.size_ > 0:
        with nogil:
            scale_rows(slope.dtype_, slope.size_ // n, n, slope.ptr, dy.ptr, each, dx.ptr)
    give(node.input0, dx)
    return 0


cdef double number_of(Tensor x) noexcept:
    return (<double*>x.ptr)[0] if x.dtype_ == FLOAT64 else (<float*>x.ptr)[0]


cdef Tensor along_classes(Tensor w, int ndim):
    """The weights as a view of shape (C, 1, ...)."""
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef Py_ssize_t[MAX_NDIM] strides
    cdef int d
    for d in range(ndim):
        shape[d] = w.size_ if d == 0 else 1
        strides[d] = 1
    return new_view(w, ndim, shape, strides, w.ptr)


cdef object probability_cross_entropy(Tensor x, Tensor t, object weight, int how, double smoothing):
    """Targets that are probabilities: composed of log_softmax, products and sums."""
    cdef int dim = 1 if x.ndim_ > 1 else 0
    cdef Tensor w = checked_weight(x, weight, "cross_entropy")
    cdef long classes = x.shape_[dim]
    if not same_shape(x, t):
        raise ValueError(f"target probabilities of shape {shape_text(t)} do not fit input of shape "
                         f"{shape_text(x)}")
    check_same_dtype(t, x, "input and target probabilities")
    target = t
    if smoothing:
        target = t * (1 - smoothing) + smoothing / classes
    if w is not None:
        target = target * along_classes(w, x.ndim_ - dim)
    losses = -(log_softmax(x, dim) * target).sum(dim)
    if how == NONE:
        return losses
    return losses.sum() / (x.size_ // classes) if how == MEAN else losses.sum()


def nll_loss(input, target, weight=None, ignore_index=-100, reduction="mean"):
    """Minus the log-probabilities (N, C), (C,) or (N, C, d1, ...) of the target classes."""
    cdef Tensor x = as_tensor(input, "input"), t, w, loss, y, rows
    cdef int how = reduction_of(reduction), dim
    cdef long n, count
    cdef long long ignored = ignore_index
    cdef char* weights = NULL
    cdef double share = 1, total
    cdef Node node
    check_float(x, "the input of nll_loss()")
    t = checked_target(x, target, ignored, "nll_loss")
    w = checked_weight(x, weight, "nll_loss")
    dim = 1 if x.ndim_ > 1 else 0
    n, count = x.shape_[dim], t.size_
    rows = rows_along(x, dim)
    loss = new_tensor(x.dtype_, t.ndim_, t.shape_)
    if w is not None:
        weights = w.ptr
    with nogil:
        total = nll_forward(x.dtype_, count, n, rows.ptr, <long long*>t.ptr, ignored, weights,
                            loss.ptr)
    if how == MEAN:
        share = 1 / total
    y = reduced_loss(loss, how, share)
    if needs_graph(x):
        node = new_node(nll_loss_backward, "nll_loss")
        node.input0 = edge(x)
        node.saved0 = shape_only(x)
        save1(node, t)
        node.extra = w
        node.i[0], node.i[1], node.i[2] = how, dim, ignored
        node.p[0] = share
        attach(y, node)
    return y


cdef int nll_loss_backward(Node node, Tensor dy) except -1:
    cdef Tensor like = node.saved0, t = saved1(node), w = <Tensor>node.extra, dx
    cdef int dim = <int>node.i[1]
    cdef long n = like.shape_[dim], count = t.size_
    cdef bint each = node.i[0] == NONE
    cdef char* weights = NULL
    if node.input0 is None:
        return 0
    if w is not None:
        weights = w.ptr
    dx = new_rows(like, dim)
    dy = contiguous(dy) if each else reduced_loss(contiguous(dy), MEAN, node.p[0])
    with nogil:
        nll_backward(like.dtype_, count, n, <long long*>t.ptr, node.i[2], weights,
                     dy.ptr, each, dx.ptr)
    give(node.input0, dx)
    return 0


OPS = [
    op("softmax", softmax, method=True, cases="softmax"),
    op("log_softmax", log_softmax, method=True, cases="softmax"),
    op("softmin", softmin, cases="softmax", public=False),
    op("logsumexp", logsumexp, method=True, cases="logsumexp"),
    op("cross_entropy", cross_entropy, cases="cross_entropy"),
    op("nll_loss", nll_loss, cases="nll_loss"),
]
