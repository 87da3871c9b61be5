"""Cross entropy and negative log-likelihood of classes, as the scores lie in memory.

The classes may lie innermost, as in (N, C) and in channels-last images, or further out, as in
contiguous images: neither is copied. Cross entropy computes its gradient in the pass that
computes the loss.
"""

from libc.stdint cimport int64_t
from libc.string cimport memset

from fastnn._core.autograd cimport (
    Node, attach, edge, give, needs_graph, new_node, save0, save1, save2, saved0, saved1, saved2,
)
from fastnn._core.checks cimport check_float, check_same_dtype, shape_text
from fastnn._core.layout cimport cast, contiguous, laid_out_as, new_view, shape_only
from fastnn._core.storage cimport scratch_give, scratch_take
from fastnn._core.tensor cimport (
    FLOAT32, FLOAT64, INT64, MAX_NDIM, UINT8, Tensor, as_tensor, dtype_of, hot_operators, itemsize,
    new_like, new_tensor, same_shape,
)
from fastnn._kernels.cross_entropy cimport (
    cross_entropy_forward, cross_entropy_scratch_bytes, cross_entropy_threads,
    nll_backward as nll_backward_kernels, nll_forward, target_parts_bytes, target_total,
)
from fastnn._kernels.reduce cimport REDUCE_SUM
from fastnn._kernels.runtime cimport cross_entropy_args
from fastnn.ops.loss cimport MEAN, NONE, number_of, reduction_of
from fastnn.ops.reduce cimport reduce_dims
from fastnn.ops.softmax cimport Place, placed

from fastnn.ops.registry import op
from fastnn.ops.softmax import log_softmax


# --- arguments ----------------------------------------------------------------

cdef int classes_dim(Tensor x) noexcept:
    return 1 if x.ndim_ > 1 else 0


cdef Tensor checked_scores(object input, str what):
    cdef Tensor x = as_tensor(input, "input")
    check_float(x, f"the input of {what}()")
    if x.ndim_ == 0:
        raise ValueError(f"the input of {what}() must have shape (C,) or (N, C, ...), got ()")
    return x


cdef Tensor checked_target(Tensor x, object target, str what):
    """The classes as int64, row by row; their shape fits the scores x (N, C, ...)."""
    cdef Tensor t = as_tensor(target, "target")
    cdef int d
    cdef bint fits
    if not UINT8 <= t.dtype_ <= INT64:
        raise TypeError(f"target must hold class indices in int64, got {dtype_of(t.dtype_).name}")
    fits = t.ndim_ == x.ndim_ - 1
    for d in range(t.ndim_):
        fits = fits and t.shape_[d] == x.shape_[d if d == 0 else d + 1]
    if not fits:
        raise ValueError(f"target of shape {shape_text(t)} does not fit input of shape "
                         f"{shape_text(x)}: the input has one more dimension, the classes, "
                         "in place 1 (place 0 if alone)")
    return contiguous(cast(t, INT64))


cdef Tensor checked_weight(Tensor x, object weight, str what):
    cdef Tensor w
    cdef long classes = x.shape_[classes_dim(x)]
    if weight is None:
        return None
    w = as_tensor(weight, "weight")
    check_same_dtype(w, x, f"the input and the weight of {what}()")
    if w.ndim_ != 1 or w.shape_[0] != classes:
        raise ValueError(f"weight must have shape ({classes},), one for each class, "
                         f"got {shape_text(w)}")
    return contiguous(w)


cdef double weight_of_targets(Tensor x, Tensor t, int64_t ignore_index,
                              const char* weight) except? -1:
    """The sum of the weights of the targets; IndexError for one that is no class."""
    cdef long classes = x.shape_[classes_dim(x)], bad = -1, nbytes = target_parts_bytes(t.size_)
    cdef char* parts = <char*>scratch_take(nbytes)
    cdef double total
    with nogil:
        total = target_total(x.dtype_, <int64_t*>t.ptr, t.size_, classes, ignore_index, weight,
                             parts, &bad)
    scratch_give(parts, nbytes)
    if bad >= 0:
        raise IndexError(f"target {(<int64_t*>t.ptr)[bad]} (element {bad}) is not a class: there "
                         f"are {classes}, and ignore_index is {ignore_index}")
    return total


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


# --- cross entropy --------------------------------------------------------------

def cross_entropy(input, target, weight=None, ignore_index=-100, reduction="mean",
                  label_smoothing=0.0):
    """The cross entropy of softmax(input) and the target classes.

    input: scores (N, C), (C,) or (N, C, d1, ...). target: classes, int64, of the
    input's shape without C; or probabilities of the input's shape. weight: (C,).
    The mean is over the weights of the targets that are not ignore_index; with
    probabilities, over the samples.

    >>> scores = fastnn.tensor([[0.0, 200.0]])
    >>> fastnn.nn.functional.cross_entropy(scores, fastnn.tensor([0])).item()
    200.0
    """
    cdef Tensor x = checked_scores(input, "cross_entropy"), t, w
    cdef int how = reduction_of(reduction)
    cdef int64_t ignored = ignore_index
    cdef bint soft = isinstance(target, Tensor) and (<Tensor>target).dtype_ >= FLOAT32
    cdef const char* weights = NULL
    cdef double share = 1
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must be from 0 to 1, got {label_smoothing}")
    if soft:
        t = checked_probabilities(x, <Tensor>target)
    else:
        t = checked_target(x, target, "cross_entropy")
    w = checked_weight(x, weight, "cross_entropy")
    if soft:
        share = x.size_ // max(x.shape_[classes_dim(x)], <Py_ssize_t>1)
    else:
        if w is not None:
            weights = w.ptr
        share = weight_of_targets(x, t, ignored, weights)
    # without a target: 0 * inf = nan, as in PyTorch
    return record_cross_entropy(x, t, w, ignored, how, 1 / share if how == MEAN else 1,
                                label_smoothing, soft)


cdef Tensor checked_probabilities(Tensor x, Tensor t):
    if not same_shape(x, t):
        raise ValueError(f"target probabilities of shape {shape_text(t)} do not fit input of shape "
                         f"{shape_text(x)}")
    check_same_dtype(t, x, "input and target probabilities")
    return t


cdef Tensor new_losses(Tensor x, int dim):
    """Uninitialised, of x's shape without dim."""
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef int d
    for d in range(x.ndim_ - 1):
        shape[d] = x.shape_[d if d < dim else d + 1]
    return new_tensor(x.dtype_, x.ndim_ - 1, shape)


cdef Tensor record_cross_entropy(Tensor x, Tensor t, Tensor w, int64_t ignore_index, int how,
                                 double share, double smoothing, bint soft):
    cdef int dim = classes_dim(x), threads
    cdef Place place
    cdef Tensor source = placed(x, dim, True, &place), loss = new_losses(x, dim), slope = None, y
    cdef bint learned = soft and needs_graph(t)
    cdef Tensor goal = laid_out_as(t, source) if soft else t
    cdef cross_entropy_args a
    cdef char* scratch
    cdef size_t nbytes
    cdef Node node
    memset(&a, 0, sizeof(a))
    a.x, a.ignore_index, a.loss = source.ptr, ignore_index, loss.ptr
    if soft:
        a.probability = goal.ptr
    else:
        a.target = <int64_t*>goal.ptr
    if w is not None:
        a.weight = w.ptr
    a.weight_sum, a.smoothing, a.scale = total_of(w, place.n), smoothing, share
    if needs_graph(x):
        slope = new_like(source, x.dtype_)
        a.dx = slope.ptr
    if x.size_ > 0:
        threads = cross_entropy_threads(x.dtype_, place.outer, place.n, place.inner)
        nbytes = cross_entropy_scratch_bytes(x.dtype_, place.n, threads)
        scratch = <char*>scratch_take(nbytes)
        with nogil:
            cross_entropy_forward(x.dtype_, place.outer, place.n, place.inner, &a, scratch,
                                  threads)
        scratch_give(scratch, nbytes)
    else:
        memset(loss.ptr, 0, loss.size_ * itemsize(loss.dtype_))
    y = reduced_loss(loss, how, share)
    if slope is not None or learned:
        node = new_node(cross_entropy_backward, "cross_entropy")
        node.input0 = edge(x)
        node.i[0], node.i[1] = how, dim
        if slope is not None:
            save0(node, slope)
        if learned:
            node.input1 = edge(t)
            node.p[0] = -share * (1 - smoothing)
            save1(node, x)
            if w is not None:
                save2(node, w)
        attach(y, node)
    return y


cdef int cross_entropy_backward(Node node, Tensor dy) except -1:
    cdef bint each = node.i[0] == NONE
    cdef int dim = <int>node.i[1]
    cdef object slope
    if node.input0 is not None:
        slope = saved0(node)
        if each or number_of(dy) != 1:
            slope = hot_operators().mul(slope, along(dy, dim) if each else dy)
        give(node.input0, <Tensor>slope)
    if node.input1 is not None:
        slope = hot_operators().mul(log_softmax(saved1(node), dim), node.p[0])
        if saved2(node) is not None:
            slope = hot_operators().mul(slope, along_classes(saved2(node), slope.dim() - dim))
        give(node.input1, <Tensor>hot_operators().mul(slope, along(dy, dim) if each else dy))
    return 0


cdef Tensor along(Tensor dy, int dim):
    """A view with one more dimension, of size 1, at dim."""
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef Py_ssize_t[MAX_NDIM] strides
    cdef int d
    for d in range(dy.ndim_ + 1):
        if d == dim:
            shape[d], strides[d] = 1, 1
        else:
            shape[d], strides[d] = dy.shape_[d - (d > dim)], dy.strides_[d - (d > dim)]
    return new_view(dy, dy.ndim_ + 1, shape, strides, dy.ptr)


cdef Tensor along_classes(Tensor w, int ndim):
    """The weights as a view of shape (C, 1, ...)."""
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef Py_ssize_t[MAX_NDIM] strides
    cdef int d
    for d in range(ndim):
        shape[d] = w.size_ if d == 0 else 1
        strides[d] = 1
    return new_view(w, ndim, shape, strides, w.ptr)


# --- negative log-likelihood ----------------------------------------------------

def nll_loss(input, target, weight=None, ignore_index=-100, reduction="mean"):
    """Minus the log-probabilities (N, C), (C,) or (N, C, d1, ...) of the target classes.

    >>> fastnn.nll_loss(fastnn.tensor([[-1.0, -3.0]]), fastnn.tensor([1])).item()
    3.0
    """
    cdef Tensor x = checked_scores(input, "nll_loss"), t, w, loss, y, source
    cdef int how = reduction_of(reduction), dim = classes_dim(x)
    cdef int64_t ignored = ignore_index
    cdef const char* weights = NULL
    cdef double total, share = 1
    cdef Place place
    cdef Node node
    t = checked_target(x, target, "nll_loss")
    w = checked_weight(x, weight, "nll_loss")
    if w is not None:
        weights = w.ptr
    total = weight_of_targets(x, t, ignored, weights)
    if how == MEAN:
        share = 1 / total
    source = placed(x, dim, True, &place)
    loss = new_losses(x, dim)
    if x.size_ > 0:
        with nogil:
            nll_forward(x.dtype_, place.outer, place.n, place.inner, source.ptr,
                        <int64_t*>t.ptr, ignored, weights, loss.ptr)
    y = reduced_loss(loss, how, share)
    if needs_graph(x):
        node = new_node(nll_loss_backward, "nll_loss")
        node.input0 = edge(x)
        node.saved0 = layout_only(source)
        save1(node, t)
        node.extra = w
        node.i[0], node.i[1], node.i[2] = how, dim, ignored
        node.p[0] = share
        attach(y, node)
    return y


cdef Tensor layout_only(Tensor x):
    """What a node keeps that needs x's shape and strides, but no values."""
    cdef Tensor y = shape_only(x)
    cdef int d
    for d in range(x.ndim_):
        y.strides_[d] = x.strides_[d]
    y.engine_layout = x.engine_layout
    return y


cdef int nll_loss_backward(Node node, Tensor dy) except -1:
    cdef Tensor x = node.saved0, t = saved1(node), w = <Tensor>node.extra, dx
    cdef bint each = node.i[0] == NONE
    cdef const char* weights = NULL
    cdef Place place
    if node.input0 is None:
        return 0
    if w is not None:
        weights = w.ptr
    x = placed(x, <int>node.i[1], True, &place)
    dx = new_like(x, x.dtype_)
    dy = contiguous(dy) if each else reduced_loss(contiguous(dy), MEAN, node.p[0])
    if dx.size_ > 0:
        with nogil:
            nll_backward_kernels(x.dtype_, place.outer, place.n, place.inner,
                                 <int64_t*>t.ptr, node.i[2], weights, dy.ptr, each, dx.ptr)
    give(node.input0, dx)
    return 0


OPS = [
    op("cross_entropy", cross_entropy, cases="cross_entropy"),
    op("nll_loss", nll_loss, cases="nll_loss"),
]
