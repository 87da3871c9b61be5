"""Tensors put together along a dimension, and taken apart.

cat and stack copy every tensor into its part of the result; split, chunk and
unbind are views with one node for all parts, so that the gradient of the whole
is written once, however many parts there are.
"""

from libc.string cimport memset

from fastnn._core.autograd cimport Node, attach, attach_many, edge, give, needs_graph, new_node
from fastnn._core.checks cimport shape_text
from fastnn._core.layout cimport cast, new_channels_last, shape_only
from fastnn._core.tensor cimport (
    BOOL, MAX_NDIM, Tensor, as_tensor, copy_into, is_channels_last, is_contiguous, itemsize,
    new_tensor, normal_dim,
)
from fastnn.ops.part cimport Part, part_drop, part_of, part_step, whole

from fastnn.ops.registry import op


# --- together -------------------------------------------------------------------

cdef list tensors_of(object tensors, str what):
    cdef list xs = list(tensors) if not isinstance(tensors, Tensor) else None
    if xs is None or not xs:
        raise ValueError(f"{what}() needs a list of at least one tensor")
    for x in xs:
        as_tensor(x, f"every entry of the list given to {what}()")
    return xs


cdef Tensor joined(list xs, int dtype, int ndim, const Py_ssize_t* shape):
    """Memory for the result, channels-last where every part is so."""
    cdef Tensor x, y
    cdef bint last = True, rows = True, chosen = False
    for x in xs:
        last = last and x.ndim_ == ndim and is_channels_last(x)
        rows = rows and is_contiguous(x)
        chosen = chosen or x.engine_layout
    if not last or rows:
        return new_tensor(dtype, ndim, shape)
    y = new_channels_last(dtype, shape, ndim)
    y.engine_layout = chosen or ndim == 3       # of which the user has no channels-last
    return y


cdef Tensor join(Tensor y, list xs, int dim, bint stacked, const char* label):
    """Copies each x into its part of y; a part is one index long if stacked."""
    cdef Part part
    cdef Tensor x
    cdef Node node
    cdef Py_ssize_t start = 0, length
    cdef bint graph = False
    for x in xs:
        length = 1 if stacked else x.shape_[dim]
        part = whole(y)
        part_step(&part, dim, start, 1, length)
        if stacked:
            part_drop(&part, dim)
        copy_into(part_of(y, &part), x)
        start += length
        graph = graph or needs_graph(x)
    if graph:
        node = new_node(join_backward, label)
        node.inputs = tuple([edge(<Tensor>entry) for entry in xs])
        node.extra = [(0 if stacked else (<Tensor>x).shape_[dim], (<Tensor>x).dtype_) for x in xs]
        node.i[0], node.i[1] = dim, stacked
        attach(y, node)
    return y


cdef int join_backward(Node node, Tensor dy) except -1:
    cdef int dim = <int>node.i[0], k
    cdef bint stacked = node.i[1]
    cdef Py_ssize_t start = 0, length
    cdef Part part
    for k in range(len(node.inputs)):
        size, dtype = node.extra[k]
        length = 1 if stacked else size
        if node.inputs[k] is not None:
            part = whole(dy)
            part_step(&part, dim, start, 1, length)
            if stacked:
                part_drop(&part, dim)
            give(node.inputs[k], cast(part_of(dy, &part), dtype))
        start += length
    return 0


def cat(tensors, dim=0):
    """The tensors one after the other along dim; their other sizes must agree.

    >>> fastnn.cat([fastnn.zeros(2, 3), fastnn.ones(1, 3)]).shape
    (3, 3)
    """
    cdef list xs = tensors_of(tensors, "cat"), parts
    cdef Tensor x, first
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef Py_ssize_t total = 0
    cdef int axis, d, dtype = BOOL
    # an empty vector is nothing to add to anything
    parts = [entry for entry in xs if (<Tensor>entry).ndim_ != 1 or (<Tensor>entry).size_ > 0]
    parts = parts or xs[:1]
    first = <Tensor>parts[0]
    if first.ndim_ == 0:
        raise ValueError("cat() of tensors of no dimensions; use stack()")
    axis = normal_dim(dim, first.ndim_)
    for x in xs:
        dtype = max(dtype, x.dtype_)
    for x in parts:
        if x.ndim_ != first.ndim_:
            raise ValueError(f"cat() needs equal numbers of dimensions, got {shape_text(first)} "
                             f"and {shape_text(x)}")
        for d in range(x.ndim_):
            if d != axis and x.shape_[d] != first.shape_[d]:
                raise ValueError(f"cat() along dimension {dim} needs equal sizes elsewhere, got "
                                 f"{shape_text(first)} and {shape_text(x)}")
        total += x.shape_[axis]
    for d in range(first.ndim_):
        shape[d] = total if d == axis else first.shape_[d]
    return join(joined(parts, dtype, first.ndim_, shape), parts, axis, False, "cat")


def stack(tensors, dim=0):
    """The tensors, all of one shape, along a new dimension.

    >>> fastnn.stack([fastnn.zeros(3), fastnn.ones(3)], 1).shape
    (3, 2)
    """
    cdef list xs = tensors_of(tensors, "stack")
    cdef Tensor first = <Tensor>xs[0], x
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef int axis, d, dtype = BOOL
    if first.ndim_ == MAX_NDIM:
        raise ValueError(f"shape {shape_text(first)} already has the {MAX_NDIM} dimensions "
                         "supported")
    axis = normal_dim(dim, first.ndim_ + 1)
    for x in xs:
        if x.shape != first.shape:
            raise ValueError(f"stack() needs equal shapes, got {shape_text(first)} and "
                             f"{shape_text(x)}")
        dtype = max(dtype, x.dtype_)
    for d in range(first.ndim_ + 1):
        shape[d] = <Py_ssize_t>len(xs) if d == axis else first.shape_[d if d < axis else d - 1]
    return join(new_tensor(dtype, first.ndim_ + 1, shape), xs, axis, True, "stack")


# --- apart ------------------------------------------------------------------------

cdef tuple parts_of(Tensor x, int dim, list lengths, bint drop, const char* label):
    """Views of x that follow one another along dim; of one index, without dim, if `drop`."""
    cdef Part part
    cdef Py_ssize_t start = 0, length
    cdef Node node
    cdef list ys = []
    for length in lengths:
        part = whole(x)
        part_step(&part, dim, start, 1, length)
        if drop:
            part_drop(&part, dim)
        ys.append(part_of(x, &part))
        start += length
    if needs_graph(x) and ys:
        node = new_node(parts_backward, label)
        node.input0 = edge(x)
        node.saved0 = shape_only(x)
        node.i[0], node.i[1] = dim, drop
        node.extra = lengths
        attach_many(ys, node)
    return tuple(ys)


cdef int parts_backward(Node node, Tensor dy) except -1:
    cdef Tensor like = node.saved0, dx
    cdef Part part
    cdef Py_ssize_t start = 0, length
    gradients, lengths = node.extra
    if node.input0 is None:
        return 0
    dx = new_tensor(like.dtype_, like.ndim_, like.shape_)
    if None in gradients:
        memset(dx.ptr, 0, dx.size_ * itemsize(dx.dtype_))
    for k in range(len(lengths)):
        length = lengths[k]
        if gradients[k] is not None:
            part = whole(dx)
            part_step(&part, <int>node.i[0], start, 1, length)
            if node.i[1]:
                part_drop(&part, <int>node.i[0])
            copy_into(part_of(dx, &part), <Tensor>gradients[k])
        start += length
    give(node.input0, dx)
    return 0


def split(tensor, split_size_or_sections, dim=0):
    """Views of a length each (the last may be shorter), or of the lengths in a list.

    >>> [part.tolist() for part in fastnn.arange(5).split(2)]
    [[0, 1], [2, 3], [4]]
    """
    cdef Tensor x = as_tensor(tensor, "tensor")
    cdef int d = normal_dim(dim, x.ndim_)
    cdef Py_ssize_t size, start
    if x.ndim_ == 0:
        raise ValueError("split() of a tensor of no dimensions")
    if isinstance(split_size_or_sections, int):
        size = split_size_or_sections
        if size < 0 or (size == 0 and x.shape_[d] != 0):
            raise ValueError(f"split() needs a length of at least 1, got {size}")
        starts = range(0, x.shape_[d], max(size, 1))
        lengths = [min(size, x.shape_[d] - start) for start in starts] or [0]
    else:
        lengths = [int(n) for n in split_size_or_sections]
        if sum(lengths) != x.shape_[d] or any([n < 0 for n in lengths]):
            raise ValueError(f"split() lengths {lengths} do not add up to dimension {dim} of shape "
                             f"{shape_text(x)}")
    return parts_of(x, d, lengths, False, "split")


def chunk(input, chunks, dim=0):
    """At most `chunks` views of equal length along dim, the last maybe shorter.

    >>> [part.tolist() for part in fastnn.arange(5).chunk(2)]
    [[0, 1, 2], [3, 4]]
    """
    cdef Tensor x = as_tensor(input, "input")
    cdef int d = normal_dim(dim, x.ndim_)
    cdef Py_ssize_t n = chunks
    if n < 1:
        raise ValueError(f"chunk() needs at least 1 chunk, got {n}")
    if x.ndim_ == 0:
        raise ValueError("chunk() of a tensor of no dimensions")
    if x.shape_[d] == 0:
        return parts_of(x, d, [0] * n, False, "chunk")
    return split(x, (x.shape_[d] + n - 1) // n, d)


def unbind(input, dim=0):
    """The slices along dim, without it: a tuple of views.

    >>> [row.tolist() for row in fastnn.eye(2).unbind()]
    [[1.0, 0.0], [0.0, 1.0]]
    """
    cdef Tensor x = as_tensor(input, "input")
    cdef int d = normal_dim(dim, x.ndim_)
    if x.ndim_ == 0:
        raise ValueError("unbind() of a tensor of no dimensions")
    return parts_of(x, d, [1] * x.shape_[d], True, "unbind")


OPS = [
    op("cat", cat),
    op("concat", cat),
    op("stack", stack),
    op("split", split, method=True, cases="split"),
    op("chunk", chunk, method=True, cases="chunk"),
    op("unbind", unbind, method=True, cases="unbind"),
]
