"""Variance, standard deviation and Euclidean norm: sums of squares about a centre.

The variance takes two passes, the mean and then the squares about it, so numbers far
from zero lose no accuracy.
"""

from libc.math cimport sqrt

from fastnn._core.autograd cimport Node, give, needs_graph, save0, save1, saved0, saved1
from fastnn._core.checks cimport check_float
from fastnn._core.layout cimport contiguous
from fastnn._core.tensor cimport FLOAT64, Tensor, alias, as_tensor, copy_into, hot_operators
from fastnn._kernels.reduce cimport REDUCE_SQUARES, REDUCE_SUM
from fastnn.ops.reduce cimport (
    Plan, divided, finish, new_reduction, new_result, parse_dims, planned, reduced_size, run,
    with_reduced_dims,
)

from fastnn.ops.extreme import amax
from fastnn.ops.reduce import sum
from fastnn.ops.registry import op


cdef int take_roots(Tensor y) except -1:
    cdef Py_ssize_t i
    for i in range(y.size_):
        if y.dtype_ == FLOAT64:
            (<double*>y.ptr)[i] = sqrt((<double*>y.ptr)[i])
        else:
            (<float*>y.ptr)[i] = <float>sqrt((<float*>y.ptr)[i])
    return 0


cdef int check_correction(object unbiased, object correction, double* degrees) except -1:
    """What is taken off the number of values: 1 by default."""
    if unbiased is not None and correction is not None:
        raise ValueError("give unbiased or correction, not both")
    if correction is not None:
        degrees[0] = correction
    else:
        degrees[0] = 0 if unbiased is not None and not unbiased else 1
    return 0


cdef Tensor deviation(object input, object dim, object unbiased, bint keepdim, object correction,
                      bint root):
    """Variance or standard deviation: squares about the mean, in two passes."""
    cdef Tensor x = as_tensor(input, "input"), from_x, total, centre, y
    cdef Plan p
    cdef Node node
    cdef unsigned int mask
    cdef double degrees, n
    if isinstance(dim, bool):          # var(input, unbiased)
        unbiased, dim = dim, None
    mask = parse_dims(dim, x.ndim_)
    check_correction(unbiased, correction, &degrees)
    check_float(x, "the input of var() and std()")
    from_x = planned(x, mask, &p)
    n = <double>reduced_size(x, mask)
    total = run(REDUCE_SUM, from_x, mask, &p, None)
    centre = new_result(from_x, mask, &p, x.dtype_)
    copy_into(centre, divided(total, n))
    y = run(REDUCE_SQUARES, from_x, mask, &p, centre)
    degrees = n - degrees if n > degrees else 0
    y = finish(divided(y, degrees), mask, keepdim)
    if root:
        take_roots(y)
    if needs_graph(x):
        node = new_reduction(std_backward if root else var_backward, "std" if root else "var",
                             x, y, mask)
        save0(node, x)
        node.saved1 = centre
        node.version1 = centre.storage.version
        if root:
            node.extra = alias(y)
        node.p[0] = degrees
    return y


def var(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """The variance over dim: squares about the mean over (number - correction), by default 1."""
    return deviation(input, dim, unbiased, keepdim, correction, False)


cdef int var_backward(Node node, Tensor dy) except -1:
    cdef Tensor x = saved0(node)
    cdef Tensor slope
    if node.input0 is not None:
        slope = with_reduced_dims(divided(dy, node.p[0] / 2), x, <unsigned int>node.i[0])
        give(node.input0, hot_operators().mul(hot_operators().sub(x, saved1(node)), slope))
    return 0


def std(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """The standard deviation over dim: the square root of var()."""
    return deviation(input, dim, unbiased, keepdim, correction, True)


cdef int std_backward(Node node, Tensor dy) except -1:
    cdef Tensor x = saved0(node), slope
    if node.input0 is not None:
        slope = divided(quotient(dy, <Tensor>node.extra), node.p[0])
        slope = with_reduced_dims(slope, x, <unsigned int>node.i[0])
        give(node.input0, hot_operators().mul(hot_operators().sub(x, saved1(node)), slope))
    return 0


cdef Tensor quotient(Tensor dy, Tensor y):
    """dy / y, and 0 where y is 0: the slope of a square root, as PyTorch has it there."""
    cdef Tensor q = divided(dy, 1)
    cdef double root
    cdef Py_ssize_t i
    y = contiguous(y)
    for i in range(q.size_):
        if q.dtype_ == FLOAT64:
            root = (<double*>y.ptr)[i]
            (<double*>q.ptr)[i] = (<double*>q.ptr)[i] / root if root else 0
        else:
            root = (<float*>y.ptr)[i]
            (<float*>q.ptr)[i] = <float>((<float*>q.ptr)[i] / root) if root else 0
    return q


def norm_of_powers(input, p, dim, keepdim):
    """The p-norm for any p from 1 to infinity, of several operations."""
    size = abs(input)
    if p == float("inf"):
        return amax(size, () if dim is None else dim, keepdim)
    if p == 1:
        return sum(size, dim, keepdim)
    return sum(size ** p, dim, keepdim) ** (1 / p)


def norm(input, p=2, dim=None, keepdim=False):
    """The p-norm over dim (None: of all elements), p from 1 to infinity; "fro" is 2."""
    cdef Tensor x = as_tensor(input, "input"), from_x, y
    cdef unsigned int mask = parse_dims(dim, x.ndim_)
    cdef Plan plan
    cdef Node node
    check_float(x, "the input of norm()")
    if p != 2 and p != "fro":
        if isinstance(p, str) or not p >= 1:
            raise ValueError(f"the p of norm() must be a number from 1 on, or 'fro', got {p!r}")
        return norm_of_powers(x, p, dim, keepdim)
    from_x = planned(x, mask, &plan)
    y = finish(run(REDUCE_SQUARES, from_x, mask, &plan, None), mask, keepdim)
    take_roots(y)
    if needs_graph(x):
        node = new_reduction(norm_backward, "norm", x, y, mask)
        save0(node, x)
        save1(node, alias(y))
    return y


cdef int norm_backward(Node node, Tensor dy) except -1:
    cdef Tensor x = saved0(node)
    if node.input0 is not None:
        dy = with_reduced_dims(quotient(dy, saved1(node)), x, <unsigned int>node.i[0])
        give(node.input0, hot_operators().mul(x, dy))
    return 0


OPS = [
    op("var", var, method=True, cases="deviation"),
    op("std", std, method=True, cases="deviation"),
    op("norm", norm, method=True, cases="norm"),
]
