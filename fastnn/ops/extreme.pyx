"""The largest and smallest elements and where they are.

max and min over one dimension give the first of equals and send the gradient there;
over everything, and amax and amin over any dimensions, all equals share it evenly.
NaN counts as larger and smaller than anything. All as in PyTorch.
"""

from collections import namedtuple

from libc.stdint cimport int64_t

from fastnn._core.autograd cimport Node, give, needs_graph, save0, save1, saved0, saved1
from fastnn._core.checks cimport shape_text
from fastnn._core.layout cimport cast, contiguous, shape_only
from fastnn._core.tensor cimport (
    FLOAT32, INT64, Tensor, alias, as_tensor, copy_into, hot_operators, new_tensor, normal_dim,
)
from fastnn._kernels.reduce cimport (
    REDUCE_COUNT, REDUCE_MAX, REDUCE_MIN, arg_reduce_integers, arg_reduce_strided, scatter_selected,
)
from fastnn.ops.reduce cimport (
    Plan, finish, new_reduction, new_result, parse_dims, planned, reduce_dims, reduced_size, run,
    split_at, with_reduced_dims,
)

from fastnn.ops.pointwise import maximum, minimum
from fastnn.ops.registry import op

ValuesIndices = namedtuple("ValuesIndices", ["values", "indices"])


cdef int check_not_empty(Tensor x, unsigned int mask, str what) except -1:
    if reduced_size(x, mask) == 0:
        raise ValueError(f"{what}() of no elements has no value: the input has shape "
                         f"{shape_text(x)}")
    return 0


# --- over any dimensions ------------------------------------------------------

cdef Tensor extreme(int kind, Tensor x, unsigned int mask, bint keepdim, str what,
                    const char* label):
    cdef Tensor y
    cdef Node node
    check_not_empty(x, mask, what)
    y = cast(reduce_dims(kind, x, mask, keepdim), x.dtype_)
    if needs_graph(x):
        node = new_reduction(extreme_backward, label, x, y, mask)
        save0(node, x)
        save1(node, alias(y))
    return y


cdef int extreme_backward(Node node, Tensor dy) except -1:
    cdef Tensor x = saved0(node), y = saved1(node), from_x, wanted, count
    cdef unsigned int mask = <unsigned int>node.i[0]
    cdef Plan p
    cdef object share
    if node.input0 is None:
        return 0
    y = with_reduced_dims(y, x, mask)
    from_x = planned(x, mask, &p)
    wanted = new_result(from_x, mask, &p, x.dtype_)
    copy_into(wanted, y)
    count = run(REDUCE_COUNT, from_x, mask, &p, wanted)
    share = hot_operators().truediv(with_reduced_dims(dy, x, mask), count)
    give(node.input0, hot_operators().mul(hot_operators().eq(x, y), share))
    return 0


def amax(input, dim=(), keepdim=False):
    """The largest element over dim (an int, a tuple of ints, (): all)."""
    cdef Tensor x = as_tensor(input, "input")
    return extreme(REDUCE_MAX, x, parse_dims(dim, x.ndim_), keepdim, "amax", "amax")


def amin(input, dim=(), keepdim=False):
    """The smallest element over dim (an int, a tuple of ints, (): all)."""
    cdef Tensor x = as_tensor(input, "input")
    return extreme(REDUCE_MIN, x, parse_dims(dim, x.ndim_), keepdim, "amin", "amin")


# --- over one dimension, with positions ---------------------------------------

cdef tuple selected(bint smallest, Tensor x, unsigned int mask, bint keepdim):
    """(values, indices) along the dimension of the mask, or within a row-major x if all are."""
    cdef Plan p
    cdef Tensor from_x = planned(x, mask, &p)
    cdef Tensor values = new_result(from_x, mask, &p, x.dtype_ if x.dtype_ >= FLOAT32 else INT64)
    cdef Tensor indices = new_result(from_x, mask, &p, INT64)
    if x.size_ > 0:
        with nogil:
            if from_x.dtype_ >= FLOAT32:
                arg_reduce_strided(smallest, from_x.dtype_, &p.r, from_x.ptr,
                                   <int64_t*>indices.ptr, values.ptr)
            else:
                arg_reduce_integers(smallest, from_x.dtype_, &p.r, from_x.ptr,
                                    <int64_t*>indices.ptr, <int64_t*>values.ptr)
    return cast(finish(values, mask, keepdim), x.dtype_), finish(indices, mask, keepdim)


cdef object select(bint smallest, object input, object dim, bint keepdim):
    cdef Tensor x = as_tensor(input, "input"), y, indices
    cdef int d = normal_dim(dim, x.ndim_)
    cdef Node node
    check_not_empty(x, 1u << d, "min" if smallest else "max")
    y, indices = selected(smallest, x, 1u << d, keepdim)
    if needs_graph(x):
        node = new_reduction(select_backward, "min" if smallest else "max", x, y, 1u << d)
        node.saved0 = shape_only(x)
        node.i[1] = d
        save1(node, indices)
    return ValuesIndices(y, indices)


cdef int select_backward(Node node, Tensor dy) except -1:
    cdef Tensor like = node.saved0, indices = saved1(node), dx
    cdef long outer, length, cols
    if node.input0 is not None:
        split_at(like, <int>node.i[1], &outer, &length, &cols)
        dx = new_tensor(like.dtype_, like.ndim_, like.shape_)
        dy = contiguous(dy)
        with nogil:
            scatter_selected(like.dtype_, outer, length, cols, <int64_t*>indices.ptr,
                             dy.ptr, dx.ptr)
        give(node.input0, dx)
    return 0


def max(input, dim=None, keepdim=False, *, other=None):
    """The largest element; with dim, a named tuple (values, indices) along that dimension.

    max(input, other), with a tensor, is maximum(input, other).

    >>> fastnn.tensor([[1.0, 4.0], [3.0, 2.0]]).max(dim=1).indices
    tensor([1, 0])
    """
    cdef Tensor x = as_tensor(input, "input")
    if other is not None or isinstance(dim, Tensor):
        return maximum(x, dim if other is None else other)
    if dim is not None:
        return select(False, x, dim, keepdim)
    return extreme(REDUCE_MAX, x, parse_dims(None, x.ndim_), keepdim, "max", "max")


def min(input, dim=None, keepdim=False, *, other=None):
    """The smallest element; with dim, a named tuple (values, indices) along that dimension.

    min(input, other), with a tensor, is minimum(input, other).
    """
    cdef Tensor x = as_tensor(input, "input")
    if other is not None or isinstance(dim, Tensor):
        return minimum(x, dim if other is None else other)
    if dim is not None:
        return select(True, x, dim, keepdim)
    return extreme(REDUCE_MIN, x, parse_dims(None, x.ndim_), keepdim, "min", "min")


cdef Tensor position(bint smallest, object input, object dim, bint keepdim, str what):
    cdef Tensor x = as_tensor(input, "input")
    cdef unsigned int mask = parse_dims(None, x.ndim_)
    if dim is None:
        x = contiguous(x)        # positions count the elements row by row
    else:
        mask = 1u << normal_dim(dim, x.ndim_)
    check_not_empty(x, mask, what)
    return selected(smallest, x, mask, keepdim)[1]


def argmax(input, dim=None, keepdim=False):
    """The position of the largest element along dim, the first of equals (None: row by row)."""
    return position(False, input, dim, keepdim, "argmax")


def argmin(input, dim=None, keepdim=False):
    """The position of the smallest element along dim, the first of equals (None: row by row)."""
    return position(True, input, dim, keepdim, "argmin")


OPS = [
    op("max", max, method=True, cases="extreme"),
    op("min", min, method=True, cases="extreme"),
    op("amax", amax, method=True, cases="reduction"),
    op("amin", amin, method=True, cases="reduction"),
    op("argmax", argmax, method=True, cases="position", differentiable=False),
    op("argmin", argmin, method=True, cases="position", differentiable=False),
]
