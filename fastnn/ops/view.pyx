"""Views: the same memory under another shape and other strides.

In the graph a view is one node, whose gradient is a view of dy. Where the engine
chose a layout that no row-major strides describe (engine_layout), view() and
flatten() copy where they must: only a layout that the user made himself makes
view() raise.
"""

from fastnn._core.autograd cimport Node, attach, backward_fn, edge, give, needs_graph, new_node
from fastnn._core.checks cimport parse_shape, shape_text
from fastnn._core.layout cimport new_view, shape_only
from fastnn._core.tensor cimport (
    MAX_NDIM, Tensor, as_tensor, is_contiguous, new_tensor, normal_dim, row_major,
)
from fastnn._kernels.copy cimport copy_strided
from fastnn.ops.reduce cimport sum_to_shape

from fastnn.ops.registry import op


cdef tuple listed(tuple sizes, object keyword, str what):
    """The sizes of f(2, 3), f((2, 3)) or f(keyword=(2, 3))."""
    if keyword is not None:
        if sizes:
            raise TypeError(f"{what} was given twice")
        sizes = (keyword,)
    if len(sizes) == 1 and not isinstance(sizes[0], int) and hasattr(sizes[0], "__len__"):
        return tuple(sizes[0])
    return sizes


cdef Tensor recorded(Tensor x, Tensor y, backward_fn backward, const char* label):
    """y as the result of a node over x that knows x's shape."""
    cdef Node node
    if needs_graph(x):
        node = new_node(backward, label)
        node.input0 = edge(x)
        node.saved0 = shape_only(x)
        attach(y, node)
    return y


# --- other shapes ---------------------------------------------------------------

cdef bint view_strides(Tensor x, int ndim, const Py_ssize_t* shape, Py_ssize_t* strides) noexcept:
    """Can strides alone give x the shape?"""
    cdef Py_ssize_t[MAX_NDIM] length
    cdef Py_ssize_t[MAX_NDIM] step
    cdef Py_ssize_t used = 1
    cdef int d, k, n = 0
    if x.size_ == 0:
        row_major(ndim, shape, strides)
        return True
    for d in range(x.ndim_):       # runs of memory: neighbours that step through it as one
        if x.shape_[d] == 1:
            continue
        if n > 0 and step[n - 1] == x.strides_[d] * x.shape_[d]:
            length[n - 1] *= x.shape_[d]
            step[n - 1] = x.strides_[d]
        else:
            length[n], step[n] = x.shape_[d], x.strides_[d]
            n += 1
    k = n - 1
    for d in range(ndim - 1, -1, -1):
        if shape[d] == 1:
            strides[d] = used * step[k] if k >= 0 else 1
            continue
        if used == length[k]:
            k -= 1
            used = 1
        if length[k] % (used * shape[d]):
            return False
        strides[d] = used * step[k]
        used *= shape[d]
    return True


cdef Tensor with_shape(Tensor x, int ndim, const Py_ssize_t* shape):
    cdef Py_ssize_t[MAX_NDIM] strides
    cdef Tensor y
    if view_strides(x, ndim, shape, strides):
        y = new_view(x, ndim, shape, strides, x.ptr)
        y.engine_layout = x.engine_layout and not is_contiguous(y)
    else:
        y = new_tensor(x.dtype_, ndim, shape)
        row_major(x.ndim_, x.shape_, strides)
        copy_strided(x.ndim_, x.shape_, x.ptr, x.strides_, x.dtype_, y.ptr, strides, x.dtype_)
    return y


cdef Tensor reshape_to(Tensor x, int ndim, const Py_ssize_t* shape):
    return recorded(x, with_shape(x, ndim, shape), reshape_backward, "reshape")


cdef int reshape_backward(Node node, Tensor dy) except -1:
    if node.input0 is not None:
        give(node.input0, with_shape(dy, node.saved0.ndim_, node.saved0.shape_))
    return 0


cdef int fit_shape(Tensor x, tuple sizes, Py_ssize_t* shape) except -1:
    """The sizes, of which one may be -1, checked against the elements of x."""
    cdef Py_ssize_t size = 1, rest = -1
    cdef int ndim, d
    sizes = tuple([int(n.__index__()) for n in sizes])
    for d in range(len(sizes)):
        if sizes[d] == -1:
            if rest >= 0:
                raise ValueError(f"only one size can be -1, got {sizes}")
            rest = d
    ndim = parse_shape([1 if n == -1 else n for n in sizes], shape)
    for d in range(ndim):
        size *= shape[d]
    if rest >= 0:
        if size == 0:
            raise ValueError(f"the size -1 of {sizes} is ambiguous for shape {shape_text(x)}")
        shape[rest] = x.size_ // size
        size *= shape[rest]
    if size != x.size_:
        raise ValueError(f"shape {shape_text(x)} of {x.size_} elements cannot become {sizes}")
    return ndim


def reshape(input, *shape_, shape=None):
    """The elements in row-major order under another shape; a view where strides allow it.

    One size may be -1.

    >>> fastnn.arange(6).reshape(2, -1).shape
    (2, 3)
    """
    cdef Tensor x = as_tensor(input, "input")
    cdef Py_ssize_t[MAX_NDIM] sizes
    cdef int ndim = fit_shape(x, listed(shape_, shape, "shape"), sizes)
    return reshape_to(x, ndim, sizes)


def view(input, *shape_, shape=None):
    """The same memory under another shape; ValueError where strides do not allow it.

    >>> fastnn.arange(6).view(3, 2).shape
    (3, 2)
    """
    cdef Tensor x = as_tensor(input, "input")
    cdef Py_ssize_t[MAX_NDIM] sizes
    cdef Py_ssize_t[MAX_NDIM] strides
    cdef tuple wanted = listed(shape_, shape, "shape")
    cdef int ndim = fit_shape(x, wanted, sizes)
    if not x.engine_layout and not view_strides(x, ndim, sizes, strides):
        raise ValueError(f"a tensor of shape {shape_text(x)} and strides {x.stride()} has no view "
                         f"of shape {wanted}; use reshape(), which copies where it must")
    return reshape_to(x, ndim, sizes)


def view_as(input, other):
    """view() in the shape of other."""
    return view(input, as_tensor(other, "other").shape)


def reshape_as(input, other):
    """reshape() in the shape of other."""
    return reshape(input, as_tensor(other, "other").shape)


def flatten(input, start_dim=0, end_dim=-1):
    """The dimensions from start_dim to end_dim as one.

    >>> fastnn.zeros(2, 3, 4).flatten(1).shape
    (2, 12)
    """
    cdef Tensor x = as_tensor(input, "input")
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef int first = normal_dim(start_dim, x.ndim_), last = normal_dim(end_dim, x.ndim_)
    cdef int d, ndim = 0
    if first > last:
        raise ValueError(f"flatten() from dimension {start_dim} to {end_dim} of shape "
                         f"{shape_text(x)}: the first comes after the last")
    if first == last and x.ndim_ > 0:
        return x
    if x.ndim_ == 0:
        shape[0] = 1
        return reshape_to(x, 1, shape)
    for d in range(x.ndim_):
        if first < d <= last:
            shape[ndim - 1] *= x.shape_[d]
        else:
            shape[ndim] = x.shape_[d]
            ndim += 1
    return reshape_to(x, ndim, shape)


def unflatten(input, dim, sizes):
    """The dimension dim as several, one of which may be -1.

    >>> fastnn.zeros(2, 12).unflatten(1, (3, -1)).shape
    (2, 3, 4)
    """
    cdef Tensor x = as_tensor(input, "input")
    cdef int d = normal_dim(dim, x.ndim_)
    sizes, shape = list(sizes), x.shape
    if -1 in sizes:
        known = 1
        for n in sizes:
            known *= n if n != -1 else 1
        if known > 0:
            sizes[sizes.index(-1)] = shape[d] // known
    product = 1
    for n in sizes:
        product *= n
    if product != shape[d]:
        raise ValueError(f"dimension {dim} of shape {shape} cannot become {tuple(sizes)}")
    return reshape(input, (*shape[:d], *sizes, *shape[d + 1:]))


def squeeze(input, dim=None):
    """Without its dimensions of one element: all of them, or those named by dim.

    >>> fastnn.zeros(1, 3, 1).squeeze().shape
    (3,)
    """
    cdef Tensor x = as_tensor(input, "input")
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef unsigned int mask = 0
    cdef int d, ndim = 0
    if dim is None:
        mask = (1u << MAX_NDIM) - 1
    else:
        for entry in (dim if isinstance(dim, (tuple, list)) else (dim,)):
            mask |= 1u << normal_dim(entry, x.ndim_)
    for d in range(x.ndim_):
        if x.shape_[d] != 1 or not mask >> d & 1:
            shape[ndim] = x.shape_[d]
            ndim += 1
    return reshape_to(x, ndim, shape)


def unsqueeze(input, dim):
    """With a dimension of one element inserted before dim.

    >>> fastnn.zeros(3).unsqueeze(-1).shape
    (3, 1)
    """
    cdef Tensor x = as_tensor(input, "input")
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef int d, at
    if x.ndim_ == MAX_NDIM:
        raise ValueError(f"shape {shape_text(x)} already has the {MAX_NDIM} dimensions supported")
    at = normal_dim(dim, x.ndim_ + 1)
    for d in range(x.ndim_ + 1):
        shape[d] = 1 if d == at else x.shape_[d if d < at else d - 1]
    return reshape_to(x, x.ndim_ + 1, shape)


# --- other orders of the dimensions ----------------------------------------------

cdef Tensor permuted(Tensor x, const int* order):
    """Dimension d of the result is dimension order[d] of x; outside the graph."""
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef Py_ssize_t[MAX_NDIM] strides
    cdef int d
    for d in range(x.ndim_):
        shape[d], strides[d] = x.shape_[order[d]], x.strides_[order[d]]
    return new_view(x, x.ndim_, shape, strides, x.ptr)


cdef Tensor permute_to(Tensor x, const int* order, const char* label):
    cdef Tensor y = permuted(x, order)
    cdef Node node
    cdef int d
    if needs_graph(x):
        node = new_node(permute_backward, label)
        node.input0 = edge(x)
        node.i[0] = 0
        for d in range(x.ndim_):       # the inverse, four bits a dimension
            node.i[0] |= <long>d << 4 * order[d]
        attach(y, node)
    return y


cdef int permute_backward(Node node, Tensor dy) except -1:
    cdef int[MAX_NDIM] order
    cdef int d
    if node.input0 is not None:
        for d in range(dy.ndim_):
            order[d] = node.i[0] >> 4 * d & 15
        give(node.input0, permuted(dy, order))
    return 0


def permute(input, *dims_, dims=None):
    """The dimensions in another order; a view.

    >>> fastnn.zeros(2, 3, 4).permute(2, 0, 1).shape
    (4, 2, 3)
    """
    cdef Tensor x = as_tensor(input, "input")
    cdef int[MAX_NDIM] order
    cdef unsigned int seen = 0
    cdef int d
    wanted = listed(dims_, dims, "dims")
    if len(wanted) != x.ndim_:
        raise ValueError(f"permute() of shape {shape_text(x)} needs {x.ndim_} dimensions, "
                         f"got {wanted}")
    for d in range(x.ndim_):
        order[d] = normal_dim(wanted[d], x.ndim_)
        if seen >> order[d] & 1:
            raise ValueError(f"permute() was given a dimension twice: {wanted}")
        seen |= 1u << order[d]
    return permute_to(x, order, "permute")


cdef Tensor transposed(Tensor x, int dim0, int dim1):
    cdef int[MAX_NDIM] order
    cdef int d
    for d in range(x.ndim_):
        order[d] = d
    if x.ndim_ > 0:
        order[dim0], order[dim1] = dim1, dim0
    return permute_to(x, order, "transpose")


def transpose(input, dim0, dim1):
    """Two dimensions exchanged; a view.

    >>> fastnn.zeros(2, 3, 4).transpose(0, -1).shape
    (4, 3, 2)
    """
    cdef Tensor x = as_tensor(input, "input")
    return transposed(x, normal_dim(dim0, x.ndim_), normal_dim(dim1, x.ndim_))


def t(input):
    """The transpose of a matrix; a vector or a scalar as it is.

    >>> fastnn.zeros(2, 3).t().shape
    (3, 2)
    """
    cdef Tensor x = as_tensor(input, "input")
    if x.ndim_ > 2:
        raise ValueError(f"t() needs at most 2 dimensions, got shape {shape_text(x)}")
    return transposed(x, 0, x.ndim_ - 1 if x.ndim_ > 0 else 0)


def T(self):
    """All dimensions in reverse order."""
    return permute(self, tuple(range(self.ndim - 1, -1, -1)))


def mT(self):
    """The last two dimensions exchanged."""
    if self.ndim < 2:
        raise ValueError(f"mT needs at least 2 dimensions, got shape {self.shape}")
    return transpose(self, -2, -1)


def movedim(input, source, destination):
    """Dimensions moved to other positions, the others in their order; a view.

    >>> fastnn.zeros(2, 3, 4).movedim(0, -1).shape
    (3, 4, 2)
    """
    cdef Tensor x = as_tensor(input, "input")
    sources = (source,) if isinstance(source, int) else tuple(source)
    targets = (destination,) if isinstance(destination, int) else tuple(destination)
    sources = [normal_dim(d, x.ndim_) for d in sources]
    targets = [normal_dim(d, x.ndim_) for d in targets]
    if not len({*sources}) == len(sources) == len(targets) == len({*targets}):
        raise ValueError(f"movedim() from {source} to {destination} of shape {shape_text(x)}: each "
                         "dimension goes to one place of its own")
    rest = iter([d for d in range(x.ndim_) if d not in sources])
    order = [sources[targets.index(d)] if d in targets else next(rest) for d in range(x.ndim_)]
    return permute(x, order)


# --- repeated without copying -----------------------------------------------------

def expand(input, *size_, size=None):
    """Dimensions of one element repeated without copying, new ones in front; -1 keeps a size.

    >>> fastnn.zeros(3, 1).expand(2, -1, 4).shape
    (2, 3, 4)
    """
    cdef Tensor x = as_tensor(input, "input"), y
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef Py_ssize_t[MAX_NDIM] strides
    cdef tuple wanted = listed(size_, size, "size")
    cdef int d, lead = <int>len(wanted) - x.ndim_, ndim
    if lead < 0:
        raise ValueError(f"shape {shape_text(x)} does not expand to {wanted}, which is shorter")
    ndim = parse_shape([x.shape_[d - lead] if d >= lead and wanted[d] == -1 else wanted[d]
                        for d in range(len(wanted))], shape)
    for d in range(ndim):
        if d < lead or (x.shape_[d - lead] == 1 and shape[d] != 1):
            strides[d] = 0
        elif x.shape_[d - lead] != shape[d]:
            raise ValueError(f"shape {shape_text(x)} does not expand to {wanted}")
        else:
            strides[d] = x.strides_[d - lead]
    y = new_view(x, ndim, shape, strides, x.ptr)
    return recorded(x, y, expand_backward, "expand")


cdef int expand_backward(Node node, Tensor dy) except -1:
    if node.input0 is not None:
        give(node.input0, sum_to_shape(dy, node.saved0.ndim_, node.saved0.shape_))
    return 0


def expand_as(input, other):
    """expand() to the shape of other."""
    return expand(input, as_tensor(other, "other").shape)


def broadcast_to(input, shape):
    """expand() to a shape.

    >>> fastnn.zeros(3).broadcast_to((2, 3)).shape
    (2, 3)
    """
    return expand(input, shape)


OPS = [
    op("reshape", reshape, method=True, cases="reshape"),
    op("view", view, method=True, public=False),
    op("view_as", view_as, method=True, public=False),
    op("reshape_as", reshape_as, method=True, public=False),
    op("flatten", flatten, method=True, cases="flatten"),
    op("unflatten", unflatten, method=True, cases="unflatten"),
    op("squeeze", squeeze, method=True, cases="squeeze"),
    op("unsqueeze", unsqueeze, method=True, cases="unsqueeze"),
    op("permute", permute, method=True, cases="permute"),
    op("transpose", transpose, method=True, cases="transpose"),
    op("t", t, method=True, cases="t"),
    op("T", property(T), method=True, public=False),
    op("mT", property(mT), method=True, public=False),
    op("movedim", movedim, method=True, cases="movedim"),
    op("expand", expand, method=True, cases="expand", public=False),
    op("expand_as", expand_as, method=True, public=False),
    op("broadcast_to", broadcast_to, method=True, cases="broadcast_to"),
]
