"""Softmax, log-softmax, logsumexp: along any dimension of a tensor without gaps, as it lies in
memory."""

from fastnn._core.autograd cimport (
    Node, attach, backward_fn, edge, give, needs_graph, new_node, save0, save1, saved0, saved1,
)
from fastnn._core.checks cimport check_float, shape_text
from fastnn._core.layout cimport contiguous, laid_out_as, lies_innermost
from fastnn._core.tensor cimport (
    MAX_NDIM, Tensor, alias, as_tensor, is_contiguous, is_dense, new_like, new_tensor, normal_dim,
)
from fastnn._kernels.runtime cimport (
    LOG_SOFTMAX, LOG_SOFTMAX_BACKWARD, LOGSUMEXP, LOGSUMEXP_BACKWARD, SOFTMAX, SOFTMAX_BACKWARD,
    softmax_args,
)
from fastnn._kernels.softmax cimport softmax as softmax_kernels
from fastnn.ops.reduce cimport finish, new_reduction

from fastnn.ops.registry import op


# --- the dimension ------------------------------------------------------------

cdef Tensor placed(Tensor x, int dim, bint in_order, Place* place):
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


OPS = [
    op("softmax", softmax, method=True, cases="softmax"),
    op("log_softmax", log_softmax, method=True, cases="softmax"),
    op("softmin", softmin, cases="softmax", public=False),
    op("logsumexp", logsumexp, method=True, cases="logsumexp"),
]
