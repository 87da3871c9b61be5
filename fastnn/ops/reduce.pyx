"""Reductions over any dimensions: how they are planned and run; sums, means, products, truth.

Dimensions are sorted by stride and merged. Where the reduced ones form one group and
the innermost step is 1 the kernels work on the tensor as it lies in memory, channels
last or not; several groups are reduced one after the other; all else is copied first.
"""

from libc.stdint cimport int64_t

from fastnn._core.autograd cimport (
    Node, attach, backward_fn, edge, give, needs_graph, new_node, save0, saved0,
)
from fastnn._core.checks cimport check_float
from fastnn._core.layout cimport cast, contiguous, new_view, shape_only
from fastnn._core.storage cimport scratch_give, scratch_take
from fastnn._core.tensor cimport (
    BOOL, FLOAT32, FLOAT64, INT64, MAX_NDIM, Tensor, as_tensor, copy_into, dtype_code, new_tensor,
    normal_dim,
)
from fastnn._kernels.reduce cimport (
    REDUCE_MAX, REDUCE_MIN, REDUCE_PROD, REDUCE_SUM, Reduction, product_backward, reduce_integers,
    reduce_scratch_bytes, reduce_strided,
)
from fastnn.ops.registry import op

cdef enum:
    TINY = 4096              # elements: releasing the GIL would cost more than it gives

# --- planning -----------------------------------------------------------------

cdef void make_plan(Tensor x, unsigned int mask, Plan* p) noexcept:
    cdef long[MAX_NDIM] length
    cdef long[MAX_NDIM] step
    cdef unsigned int[MAX_NDIM] dims
    cdef int[MAX_NDIM] sorted_dims
    cdef int d, k, n = 0, groups = 0
    cdef bint reduced
    # dimensions of more than one element by falling stride; expanded ones lie outermost
    for d in range(x.ndim_):
        if x.shape_[d] != 1:
            k = n
            while k > 0 and x.strides_[d] != 0 and (
                    0 < x.strides_[sorted_dims[k - 1]] < x.strides_[d]):
                sorted_dims[k] = sorted_dims[k - 1]
                k -= 1
            if x.strides_[d] == 0:
                while k > 0 and x.strides_[sorted_dims[k - 1]] != 0:
                    sorted_dims[k] = sorted_dims[k - 1]
                    k -= 1
            sorted_dims[k] = d
            n += 1
    # neighbours of one kind that step through memory as one
    p.kept = 0
    for k in range(n):
        d = sorted_dims[k]
        reduced = mask >> d & 1
        if not reduced:
            p.order[p.kept] = d
            p.kept += 1
        if (groups > 0 and (dims[groups - 1] & mask != 0) == reduced
                and step[groups - 1] == x.strides_[d] * x.shape_[d]):
            length[groups - 1] *= x.shape_[d]
            step[groups - 1] = x.strides_[d]
            dims[groups - 1] |= 1u << d
        else:
            length[groups], step[groups], dims[groups] = x.shape_[d], x.strides_[d], 1u << d
            groups += 1
    assign_groups(p, mask, groups, length, step, dims)


cdef void assign_groups(Plan* p, unsigned int mask, int groups, const long* length,
                        const long* step, const unsigned int* dims) noexcept:
    """The groups' parts in the reduction: what is reduced, the columns, the outer dimensions."""
    cdef int k
    p.groups = 0
    p.inner = 0
    p.r.ndim, p.r.length, p.r.length_step, p.r.cols = 0, 1, 1, 1
    p.direct = groups == 0 or step[groups - 1] == 1
    for k in range(groups):
        if dims[k] & mask:
            p.r.length, p.r.length_step = length[k], step[k]
            p.groups += 1
            p.inner = dims[k]
        elif k == groups - 1:
            p.r.cols = length[k]
        else:
            p.r.shape[p.r.ndim], p.r.step[p.r.ndim] = length[k], step[k]
            p.r.ndim += 1
    if p.groups > 1:
        p.direct = False


cdef Tensor rearranged(Tensor x, unsigned int mask):
    """A copy of x in which the reduced dimensions lie innermost; x's shape and other strides."""
    cdef Py_ssize_t[MAX_NDIM] strides
    cdef Py_ssize_t stride = 1
    cdef Tensor y = new_tensor(x.dtype_, x.ndim_, x.shape_)
    cdef int d
    cdef bint inner
    for inner in (True, False):
        for d in range(x.ndim_ - 1, -1, -1):
            if <bint>(mask >> d & 1) == inner:
                strides[d] = stride
                stride *= x.shape_[d]
    for d in range(x.ndim_):
        y.strides_[d] = strides[d]
    copy_into(y, x)
    return y


cdef Tensor planned(Tensor x, unsigned int mask, Plan* p):
    """x, or a copy of it that can be reduced, and the plan for it."""
    make_plan(x, mask, p)
    if not p.direct:
        x = rearranged(x, mask)
        make_plan(x, mask, p)
    return x


cdef Tensor new_result(Tensor x, unsigned int mask, const Plan* p, int dtype):
    """Uninitialised, reduced dimensions kept with one element, in the plan's order in memory."""
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef Py_ssize_t stride = 1
    cdef Tensor y
    cdef int d, k
    for d in range(x.ndim_):
        shape[d] = 1 if mask >> d & 1 else x.shape_[d]
    y = new_tensor(dtype, x.ndim_, shape)
    for k in range(p.kept - 1, -1, -1):
        y.strides_[p.order[k]] = stride
        stride *= shape[p.order[k]]
    return y


cdef Tensor finish(Tensor y, unsigned int mask, bint keepdim):
    """The result as the user gets it: row-major, without the reduced dimensions or with them."""
    cdef Py_ssize_t stride = 1
    cdef int d, k = 0
    y = contiguous(y)
    if not keepdim:
        for d in range(y.ndim_):
            if not mask >> d & 1:
                y.shape_[k] = y.shape_[d]
                k += 1
        y.ndim_ = k
    for d in range(y.ndim_ - 1, -1, -1):
        y.strides_[d] = stride
        stride *= y.shape_[d]
    return y


cdef unsigned int parse_dims(object dim, int ndim) except? 0xffffffff:
    cdef unsigned int mask = 0, bit
    if dim is None:
        return (1u << ndim) - 1
    if isinstance(dim, int):
        return 1u << normal_dim(dim, ndim)
    if not isinstance(dim, (tuple, list)):
        raise TypeError(f"dim must be an int, a tuple of ints or None, got {type(dim).__name__}")
    if not dim:
        return (1u << ndim) - 1
    for one in dim:
        bit = 1u << normal_dim(one, ndim)
        if mask & bit:
            raise ValueError(f"dim {one} appears more than once in {tuple(dim)}")
        mask |= bit
    return mask


cdef Py_ssize_t reduced_size(Tensor x, unsigned int mask) noexcept:
    cdef Py_ssize_t n = 1
    cdef int d
    for d in range(x.ndim_):
        if mask >> d & 1:
            n *= x.shape_[d]
    return n


# --- running ------------------------------------------------------------------

cdef int fill(Tensor y, double value) except -1:
    cdef Py_ssize_t i
    for i in range(y.size_):
        if y.dtype_ == FLOAT64:
            (<double*>y.ptr)[i] = value
        elif y.dtype_ == FLOAT32:
            (<float*>y.ptr)[i] = <float>value
        else:
            (<int64_t*>y.ptr)[i] = <int64_t>value
    return 0


cdef Tensor run(int kind, Tensor x, unsigned int mask, const Plan* p, Tensor shift):
    """The reduction of a tensor that its plan fits, as new_result() has it; so shift."""
    cdef bint exact = x.dtype_ < FLOAT32
    cdef Tensor y = new_result(x, mask, p, INT64 if exact else x.dtype_)
    cdef size_t nbytes
    cdef char* scratch = NULL
    cdef char* about = NULL
    cdef const Reduction* r = &p.r
    if x.size_ == 0:
        fill(y, 1 if kind == REDUCE_PROD or kind == REDUCE_MIN else 0)
        return y
    if exact:
        with nogil:
            reduce_integers(kind, x.dtype_, r, x.ptr, <int64_t*>y.ptr)
        return y
    if shift is not None:
        about = shift.ptr
    nbytes = reduce_scratch_bytes(r, x.dtype_)
    if nbytes:
        scratch = <char*>scratch_take(nbytes)
    if x.size_ <= TINY:
        reduce_strided(kind, x.dtype_, r, x.ptr, about, y.ptr, scratch)
    else:
        with nogil:
            reduce_strided(kind, x.dtype_, r, x.ptr, about, y.ptr, scratch)
    if nbytes:
        scratch_give(scratch, nbytes)
    return y


cdef Tensor reduce_dims(int kind, Tensor x, unsigned int mask, bint keepdim):
    cdef Plan p
    cdef unsigned int part
    make_plan(x, mask, &p)
    while p.groups > 1 and x.size_ > 0:
        # one group after the other; each result is smaller, and row-major
        part = p.inner
        x = planned(x, part, &p)
        x = run(kind, x, part, &p, None)
        make_plan(x, mask, &p)
    if not p.direct:
        x = planned(x, mask, &p)
    return finish(run(kind, x, mask, &p, None), mask, keepdim)


cdef Tensor sum_to_shape(Tensor dy, int ndim, const Py_ssize_t* shape):
    cdef int lead = dy.ndim_ - ndim, d
    cdef unsigned int mask = (1u << lead) - 1
    for d in range(ndim):
        if shape[d] == 1 and dy.shape_[lead + d] != 1:
            mask |= 1u << (lead + d)
    if mask == 0:
        return dy
    return finish(reduce_dims(REDUCE_SUM, dy, mask, True), (1u << lead) - 1, False)


cdef Tensor with_reduced_dims(Tensor y, Tensor like, unsigned int mask):
    """A view of y, a result over x, that has the reduced dimensions, of one element."""
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef Py_ssize_t[MAX_NDIM] strides
    cdef int d, k = 0
    if y.ndim_ == like.ndim_:
        return y
    for d in range(like.ndim_):
        shape[d], strides[d] = 1, 0
        if not mask >> d & 1:
            shape[d], strides[d] = y.shape_[k], y.strides_[k]
            k += 1
    return new_view(y, like.ndim_, shape, strides, y.ptr)


cdef Tensor spread(Tensor dy, Tensor like, unsigned int mask):
    """dy as a view of the shape that was reduced, equal along the reduced dimensions."""
    cdef Py_ssize_t[MAX_NDIM] strides
    cdef int d
    dy = with_reduced_dims(dy, like, mask)
    for d in range(like.ndim_):
        strides[d] = 0 if mask >> d & 1 else dy.strides_[d]
    return new_view(dy, like.ndim_, like.shape_, strides, dy.ptr)


cdef Node new_reduction(backward_fn backward, const char* label, Tensor x, Tensor y,
                        unsigned int mask):
    cdef Node node = new_node(backward, label)
    node.input0 = edge(x)
    node.i[0] = mask
    attach(y, node)
    return node


# --- sum and mean -------------------------------------------------------------

cdef Tensor divided(Tensor y, double divisor):
    """y / divisor, row-major."""
    cdef Tensor q = new_tensor(y.dtype_, y.ndim_, y.shape_)
    cdef Py_ssize_t i
    y = contiguous(y)
    for i in range(y.size_):
        if y.dtype_ == FLOAT64:
            (<double*>q.ptr)[i] = (<double*>y.ptr)[i] / divisor
        else:
            (<float*>q.ptr)[i] = (<float*>y.ptr)[i] / <float>divisor
    return q


def sum(input, dim=None, keepdim=False, *, dtype=None):
    """The sum over dim (an int, a tuple of ints; None: all). Integers add up in int64.

    >>> fastnn.tensor([[1.0, 2.0], [3.0, 4.0]]).sum(dim=1)
    tensor([3., 7.])
    """
    cdef Tensor x = as_tensor(input, "input"), y
    cdef unsigned int mask = parse_dims(dim, x.ndim_)
    cdef Node node
    y = reduce_dims(REDUCE_SUM, x if dtype is None else cast(x, dtype_code(dtype)), mask, keepdim)
    if needs_graph(x) and y.dtype_ >= FLOAT32:
        node = new_reduction(sum_backward, "sum", x, y, mask)
        node.saved0 = shape_only(x)
    return y


cdef int sum_backward(Node node, Tensor dy) except -1:
    cdef Tensor like = node.saved0
    if node.input0 is not None:
        give(node.input0, spread(cast(dy, like.dtype_), like, <unsigned int>node.i[0]))
    return 0


def mean(input, dim=None, keepdim=False, *, dtype=None):
    """The mean over dim (an int, a tuple of ints; None: all)."""
    cdef Tensor x = as_tensor(input, "input"), y
    cdef unsigned int mask = parse_dims(dim, x.ndim_)
    cdef Node node
    y = x if dtype is None else cast(x, dtype_code(dtype))
    check_float(y, "the input of mean()")
    y = divided(reduce_dims(REDUCE_SUM, y, mask, keepdim), <double>reduced_size(x, mask))
    if needs_graph(x) and y.dtype_ >= FLOAT32:
        node = new_reduction(mean_backward, "mean", x, y, mask)
        node.saved0 = shape_only(x)
    return y


cdef int mean_backward(Node node, Tensor dy) except -1:
    cdef Tensor like = node.saved0
    cdef unsigned int mask = <unsigned int>node.i[0]
    if node.input0 is not None:
        dy = divided(dy, <double>reduced_size(like, mask))
        give(node.input0, spread(cast(dy, like.dtype_), like, mask))
    return 0


# --- product ------------------------------------------------------------------

def prod(input, dim=None, keepdim=False, *, dtype=None):
    """The product over one dim (None: of all elements). Integers multiply in int64."""
    cdef Tensor x = as_tensor(input, "input"), factors, y
    cdef unsigned int mask
    cdef Node node
    if dim is not None and not isinstance(dim, int):
        raise TypeError(f"the dim of prod() must be an int or None, got {type(dim).__name__}")
    mask = parse_dims(dim, x.ndim_)
    factors = x if dtype is None else cast(x, dtype_code(dtype))
    y = reduce_dims(REDUCE_PROD, factors, mask, keepdim)
    if needs_graph(x) and y.dtype_ >= FLOAT32:
        node = new_reduction(prod_backward, "prod", x, y, mask)
        save0(node, factors)
        node.i[1] = -1 if dim is None else normal_dim(dim, x.ndim_)
        node.i[2] = x.dtype_
    return y


cdef int prod_backward(Node node, Tensor dy) except -1:
    cdef Tensor x = contiguous(saved0(node)), dx
    cdef long outer = 1, length = x.size_, cols = 1
    if node.input0 is not None:
        dx = new_tensor(x.dtype_, x.ndim_, x.shape_)
        dy = contiguous(dy)
        if node.i[1] >= 0 and x.ndim_ > 0:
            split_at(x, <int>node.i[1], &outer, &length, &cols)
        with nogil:
            product_backward(x.dtype_, outer, length, cols, x.ptr, dy.ptr, dx.ptr)
        dx = cast(dx, <int>node.i[2])
        give(node.input0, dx)
    return 0


cdef void split_at(Tensor x, int dim, long* outer, long* length, long* cols) noexcept:
    """The shape (outer, length, cols) of a row-major x around one dimension."""
    cdef int d
    outer[0], length[0], cols[0] = 1, 1, 1
    for d in range(x.ndim_):
        if d < dim:
            outer[0] *= x.shape_[d]
        elif d == dim:
            length[0] = x.shape_[d]
        else:
            cols[0] *= x.shape_[d]


# --- truth --------------------------------------------------------------------

cdef Tensor truth(int kind, object input, object dim, bint keepdim):
    cdef Tensor x = as_tensor(input, "input")
    return cast(reduce_dims(kind, cast(x, BOOL), parse_dims(dim, x.ndim_), keepdim), BOOL)


def any(input, dim=None, keepdim=False):
    """Is any element over dim true (not zero)?"""
    return truth(REDUCE_MAX, input, dim, keepdim)


def all(input, dim=None, keepdim=False):
    """Are all elements over dim true (not zero)?"""
    return truth(REDUCE_MIN, input, dim, keepdim)


OPS = [
    op("sum", sum, method=True, cases="reduction"),
    op("mean", mean, method=True, cases="reduction"),
    op("prod", prod, method=True, cases="prod"),
    op("any", any, method=True, cases="truth", differentiable=False),
    op("all", all, method=True, cases="truth", differentiable=False),
]
