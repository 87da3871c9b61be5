"""Parts of a tensor: views of some of its elements.

A part carries the strides that a row-major tensor would have beside those in
memory, so its gradient is zeros with dy put in its place, whatever the layout.
Called by indexing, join and split as well.
"""

from libc.string cimport memset

from fastnn._core.autograd cimport Node, attach, edge, give, needs_graph, new_node
from fastnn._core.checks cimport shape_text
from fastnn._core.layout cimport new_view, shape_only
from fastnn._core.tensor cimport Tensor, as_tensor, itemsize, new_tensor, normal_dim, row_major
from fastnn._kernels.copy cimport copy_strided

from fastnn.ops.registry import op


cdef Part whole(Tensor x) noexcept:
    cdef Part part
    cdef int d
    part.ndim = x.ndim_
    part.offset = part.place = 0
    for d in range(x.ndim_):
        part.shape[d], part.strides[d] = x.shape_[d], x.strides_[d]
    row_major(x.ndim_, x.shape_, part.places)
    return part


cdef void part_step(Part* part, int dim, Py_ssize_t start, Py_ssize_t step,
                    Py_ssize_t length) noexcept:
    if length > 0:
        part.offset += start * part.strides[dim]
        part.place += start * part.places[dim]
    part.shape[dim] = length
    part.strides[dim] *= step
    part.places[dim] *= step


cdef void part_drop(Part* part, int dim) noexcept:
    cdef int d
    part.ndim -= 1
    for d in range(dim, part.ndim):
        part.shape[d] = part.shape[d + 1]
        part.strides[d] = part.strides[d + 1]
        part.places[d] = part.places[d + 1]


cdef Tensor part_of(Tensor x, const Part* part):
    return new_view(x, part.ndim, part.shape, part.strides,
                    x.ptr + part.offset * itemsize(x.dtype_))


cdef Tensor part_view(Tensor x, const Part* part, const char* label):
    cdef Tensor y = part_of(x, part), places
    cdef Node node
    cdef int d
    if needs_graph(x):
        places = shape_only(y)
        for d in range(part.ndim):
            places.strides_[d] = part.places[d]
        node = new_node(part_backward, label)
        node.input0 = edge(x)
        node.saved0 = shape_only(x)
        node.saved1 = places
        node.i[0] = part.place
        attach(y, node)
    return y


cdef int part_backward(Node node, Tensor dy) except -1:
    cdef Tensor like = node.saved0, places = node.saved1, dx
    if node.input0 is not None:
        dx = new_tensor(like.dtype_, like.ndim_, like.shape_)
        memset(dx.ptr, 0, dx.size_ * itemsize(dx.dtype_))
        copy_strided(dy.ndim_, dy.shape_, dy.ptr, dy.strides_, dy.dtype_,
                     dx.ptr + node.i[0] * itemsize(dx.dtype_), places.strides_, dx.dtype_)
        give(node.input0, dx)
    return 0


def narrow(input, dim, start, length):
    """`length` elements from `start` on along dim; a view.

    >>> fastnn.arange(5).narrow(0, 1, 3).tolist()
    [1, 2, 3]
    """
    cdef Tensor x = as_tensor(input, "input")
    cdef int d = normal_dim(dim, x.ndim_)
    cdef Py_ssize_t first = start, count = length
    cdef Part part = whole(x)
    if x.ndim_ == 0:
        raise IndexError("narrow() of a tensor of no dimensions")
    if first < 0:
        first += x.shape_[d]
    if count < 0 or first < 0 or first > x.shape_[d] - count:
        raise IndexError(f"narrow() of {length} elements from {start} reaches beyond dimension "
                         f"{dim} of shape {shape_text(x)}")
    part_step(&part, d, first, 1, count)
    return part_view(x, &part, "narrow")


def select(input, dim, index):
    """The slice at `index` along dim, which disappears; a view.

    >>> fastnn.zeros(2, 3).select(1, 0).shape
    (2,)
    """
    cdef Tensor x = as_tensor(input, "input")
    cdef int d = normal_dim(dim, x.ndim_)
    cdef Py_ssize_t at = index
    cdef Part part = whole(x)
    if x.ndim_ == 0:
        raise IndexError("select() of a tensor of no dimensions")
    if at < -x.shape_[d] or at >= x.shape_[d]:
        raise IndexError(f"index {index} is out of range for dimension {dim} of shape "
                         f"{shape_text(x)}")
    part_step(&part, d, at + x.shape_[d] if at < 0 else at, 1, 1)
    part_drop(&part, d)
    return part_view(x, &part, "select")


def diagonal(input, offset=0, dim1=0, dim2=1):
    """The diagonal of two dimensions, as a last dimension in their stead; a view.

    >>> fastnn.eye(3).diagonal().tolist()
    [1.0, 1.0, 1.0]
    """
    cdef Tensor x = as_tensor(input, "input")
    cdef int a = normal_dim(dim1, x.ndim_), b = normal_dim(dim2, x.ndim_)
    cdef Py_ssize_t shift = offset, length, stride, place
    cdef Part part = whole(x)
    if x.ndim_ < 2 or a == b:
        raise ValueError(f"diagonal() needs two dimensions of shape {shape_text(x)}, "
                         f"got {dim1} and {dim2}")
    length = max(0, min(x.shape_[a] + min(shift, 0), x.shape_[b] - max(shift, 0)))
    part_step(&part, a, max(-shift, 0), 1, length)
    part_step(&part, b, max(shift, 0), 1, length)
    stride = part.strides[a] + part.strides[b]
    place = part.places[a] + part.places[b]
    part_drop(&part, max(a, b))
    part_drop(&part, min(a, b))
    part.shape[part.ndim], part.strides[part.ndim], part.places[part.ndim] = length, stride, place
    part.ndim += 1
    return part_view(x, &part, "diagonal")


OPS = [
    op("narrow", narrow, method=True, cases="narrow"),
    op("select", select, method=True, cases="select"),
    op("diagonal", diagonal, method=True, cases="diagonal"),
]
