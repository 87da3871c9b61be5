"""Copies: in another memory order or dtype, repeated, mirrored, cut to a triangle,
and written into a tensor that is already there.

Casts between float32 and float64 are differentiable. Writes in place follow the
rules of begin_inplace(): what would falsify the graph raises.
"""

from libc.string cimport memset

from fastnn._core.autograd cimport (
    Node, attach, begin_inplace, edge, give, needs_graph, new_node,
)
from fastnn._core.checks cimport shape_text
from fastnn._core.layout cimport cast, new_channels_last, shape_only
from fastnn._core.tensor cimport (
    BOOL, FLOAT32, FLOAT64, INT32, INT64, MAX_NDIM, UINT8, DType, Tensor, as_tensor, copy_into,
    dtype_code, is_channels_last, is_contiguous, itemsize, new_like, new_tensor, normal_dim,
)
from fastnn._kernels.copy cimport copy_strided
from fastnn.ops.creation cimport check_device, fill_with
from fastnn.ops.reduce cimport sum_to_shape

from fastnn.ops.creation import zeros_like
from fastnn.ops.join import cat
from fastnn.ops.registry import op
from fastnn.ops.view import expand

contiguous_format = "contiguous_format"
channels_last = "channels_last"
channels_last_3d = "channels_last_3d"
preserve_format = "preserve_format"


# --- the same values, elsewhere ---------------------------------------------------

cdef Tensor copied(Tensor x, Tensor y, const char* label):
    """y takes x's values; the gradient passes as it is, in x's dtype."""
    cdef Node node
    copy_into(y, x)
    if needs_graph(x) and y.dtype_ >= FLOAT32:
        node = new_node(copied_backward, label)
        node.input0 = edge(x)
        node.i[0] = x.dtype_
        attach(y, node)
    return y


cdef int copied_backward(Node node, Tensor dy) except -1:
    if node.input0 is not None:
        give(node.input0, cast(dy, <int>node.i[0]))
    return 0


cdef int check_rank(Tensor x, object memory_format) except -1:
    """For channels_last and channels_last_3d."""
    cdef int ndim
    if memory_format != channels_last and memory_format != channels_last_3d:
        raise ValueError(f"unknown memory format {memory_format!r}")
    ndim = 4 if memory_format == channels_last else 5
    if x.ndim_ != ndim:
        raise ValueError(f"{memory_format} needs {ndim} dimensions, got shape {shape_text(x)}")
    return 0


cdef Tensor room_for(Tensor x, object memory_format):
    """Uninitialised memory for a copy of x."""
    cdef Tensor y
    if memory_format is None or memory_format == preserve_format:
        return new_like(x, x.dtype_)
    if memory_format == contiguous_format:
        return new_tensor(x.dtype_, x.ndim_, x.shape_)
    check_rank(x, memory_format)
    y = new_channels_last(x.dtype_, x.shape_, x.ndim_)
    y.engine_layout = False       # the user's choice
    return y


def clone(input, *, memory_format=None):
    """A copy, through which gradients pass.

    >>> fastnn.tensor([1.0, 2.0]).clone().tolist()
    [1.0, 2.0]
    """
    cdef Tensor x = as_tensor(input, "input")
    return copied(x, room_for(x, memory_format), "clone")


def contiguous(input, memory_format=contiguous_format):
    """The tensor itself if its memory is in that order (row-major, or channels-last), else a copy.

    >>> fastnn.zeros(2, 3).t().contiguous().stride()
    (2, 1)
    """
    cdef Tensor x = as_tensor(input, "input")
    cdef bint done = True
    if memory_format == contiguous_format:
        done = is_contiguous(x)
    elif memory_format != preserve_format:
        check_rank(x, memory_format)
        done = is_channels_last(x)
    return x if done else copied(x, room_for(x, memory_format), "contiguous")


# --- other dtypes -----------------------------------------------------------------

cdef Tensor cast_to(Tensor x, int dtype, bint copy):
    if x.dtype_ == dtype and not copy:
        return x
    return copied(x, new_like(x, dtype), "to")


def to(self, *target, dtype=None, device=None, copy=False, non_blocking=False, memory_format=None):
    """In another dtype: to(dtype), to(other tensor); to("cpu") changes nothing.

    The tensor itself if it is so already. Gradients pass between float32 and float64.

    >>> fastnn.ones(2).to(fastnn.int64).dtype
    fastnn.int64
    """
    cdef Tensor x = as_tensor(self, "self")
    for entry in target:
        if isinstance(entry, Tensor):
            dtype = entry.dtype
        elif isinstance(entry, DType) or entry in (float, int, bool):
            dtype = entry
        elif entry is not None:
            check_device(entry)
    check_device(device)
    x = cast_to(x, x.dtype_ if dtype is None else dtype_code(dtype), copy)
    return x if memory_format is None else contiguous(x, memory_format)


def type_as(input, other):
    """In the dtype of another tensor."""
    return cast_to(as_tensor(input, "input"), as_tensor(other, "other").dtype_, False)


def to_float(input):
    """As float32."""
    return cast_to(as_tensor(input, "input"), FLOAT32, False)


def to_double(input):
    """As float64."""
    return cast_to(as_tensor(input, "input"), FLOAT64, False)


def to_long(input):
    """As int64, fractions cut off."""
    return cast_to(as_tensor(input, "input"), INT64, False)


def to_int(input):
    """As int32, fractions cut off."""
    return cast_to(as_tensor(input, "input"), INT32, False)


def to_byte(input):
    """As uint8, fractions cut off."""
    return cast_to(as_tensor(input, "input"), UINT8, False)


def to_bool(input):
    """As bool: what is not zero."""
    return cast_to(as_tensor(input, "input"), BOOL, False)


def cpu(input):
    """The tensor itself: the CPU is where all tensors are."""
    return as_tensor(input, "input")


# --- repeated, mirrored, cut ------------------------------------------------------

def repeat(input, *repeats):
    """The whole repeated along each dimension, new ones in front.

    >>> fastnn.tensor([1, 2]).repeat(2, 2).tolist()
    [[1, 2, 1, 2], [1, 2, 1, 2]]
    """
    cdef Tensor x = as_tensor(input, "input")
    counts = repeats[0] if len(repeats) == 1 and isinstance(repeats[0], (tuple, list)) else repeats
    if len(counts) < x.ndim_ or any([n < 0 for n in counts]):
        raise ValueError(f"repeat() of shape {shape_text(x)} needs a count of at least 0 for each "
                         f"dimension, got {tuple(counts)}")
    y = expand(x, (1,) * (len(counts) - x.ndim_) + x.shape)
    for d, n in enumerate(counts):
        if n != 1:
            y = cat([y] * n, d) if n else y.narrow(d, 0, 0)
    return y.clone() if y.data_ptr() == x.data_ptr() else y


def tile(input, *dims):
    """Like repeat(); missing counts in front are 1.

    >>> fastnn.eye(2).tile(2).shape
    (2, 4)
    """
    cdef Tensor x = as_tensor(input, "input")
    counts = tuple(dims[0] if len(dims) == 1 and isinstance(dims[0], (tuple, list)) else dims)
    return repeat(x, (1,) * (x.ndim_ - len(counts)) + counts)


cdef Tensor mirrored(Tensor x, unsigned int mask):
    """x with the dimensions in the mask back to front; outside the graph."""
    cdef Tensor y = new_tensor(x.dtype_, x.ndim_, x.shape_)
    cdef Py_ssize_t[MAX_NDIM] strides
    cdef Py_ssize_t offset = 0
    cdef int d
    if x.size_ == 0:
        return y
    for d in range(x.ndim_):
        strides[d] = x.strides_[d]
        if mask >> d & 1:
            offset += (x.shape_[d] - 1) * x.strides_[d]
            strides[d] = -strides[d]
    copy_strided(x.ndim_, x.shape_, x.ptr + offset * itemsize(x.dtype_), strides, x.dtype_,
                 y.ptr, y.strides_, y.dtype_)
    return y


def flip(input, *dims):
    """The dimensions named, back to front; a copy.

    >>> fastnn.arange(3).flip(0).tolist()
    [2, 1, 0]
    """
    cdef Tensor x = as_tensor(input, "input"), y
    cdef Node node
    cdef unsigned int mask = 0
    for dim in (dims[0] if len(dims) == 1 and isinstance(dims[0], (tuple, list)) else dims):
        mask |= 1u << normal_dim(dim, x.ndim_)
    y = mirrored(x, mask)
    if needs_graph(x):
        node = new_node(flip_backward, "flip")
        node.input0 = edge(x)
        node.i[0] = mask
        attach(y, node)
    return y


cdef int flip_backward(Node node, Tensor dy) except -1:
    if node.input0 is not None:
        give(node.input0, mirrored(dy, <unsigned int>node.i[0]))
    return 0


cdef Tensor triangle(Tensor x, long diagonal, bint upper):
    """The last two dimensions with zeros above (upper: below) the diagonal; outside the graph."""
    cdef Tensor y = new_tensor(x.dtype_, x.ndim_, x.shape_)
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef Py_ssize_t i, rows, cols, first, last
    cdef int d, r = x.ndim_ - 2
    cdef long size = itemsize(x.dtype_)
    memset(y.ptr, 0, y.size_ * size)
    rows, cols = x.shape_[r], x.shape_[r + 1]
    for d in range(x.ndim_):
        shape[d] = x.shape_[d]
    shape[r] = 1
    for i in range(rows):         # row i of all matrices at once
        first = min(max(i + diagonal, 0), cols) if upper else 0
        last = cols if upper else min(max(i + diagonal + 1, 0), cols)
        shape[r + 1] = last - first
        copy_strided(x.ndim_, shape,
                     x.ptr + (i * x.strides_[r] + first * x.strides_[r + 1]) * size,
                     x.strides_, x.dtype_,
                     y.ptr + (i * cols + first) * size, y.strides_, y.dtype_)
    return y


cdef Tensor triangle_to(object input, object diagonal, bint upper, const char* label):
    cdef Tensor x = as_tensor(input, "input"), y
    cdef Node node
    if x.ndim_ < 2:
        raise ValueError(f"{label.decode()}() needs at least 2 dimensions, "
                         f"got shape {shape_text(x)}")
    y = triangle(x, diagonal, upper)
    if needs_graph(x):
        node = new_node(triangle_backward, label)
        node.input0 = edge(x)
        node.i[0], node.i[1] = diagonal, upper
        attach(y, node)
    return y


cdef int triangle_backward(Node node, Tensor dy) except -1:
    if node.input0 is not None:
        give(node.input0, triangle(dy, node.i[0], node.i[1]))
    return 0


def tril(input, diagonal=0):
    """The matrices with zeros above the diagonal.

    >>> fastnn.ones(2, 2).tril().tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """
    return triangle_to(input, diagonal, False, "tril")


def triu(input, diagonal=0):
    """The matrices with zeros below the diagonal.

    >>> fastnn.ones(2, 2).triu().tolist()
    [[1.0, 1.0], [0.0, 1.0]]
    """
    return triangle_to(input, diagonal, True, "triu")


# --- in place ---------------------------------------------------------------------

def copy_(self, src, non_blocking=False):
    """Overwrite the tensor with src, broadcast and converted; gradients go to src.

    >>> fastnn.zeros(2).copy_(fastnn.tensor([1, 2])).tolist()
    [1.0, 2.0]
    """
    cdef Tensor x = as_tensor(self, "self"), source = as_tensor(src, "src"), values
    cdef bint tracked = needs_graph(source) and x.dtype_ >= FLOAT32
    cdef Node node
    values = expand(source.detach(), x.shape)
    if values.storage is x.storage:
        values = values.clone()
    node = overwriting(x, source if tracked else None, "copy_")
    begin_inplace(x, tracked)
    if node is not None:
        attach(x, node)
    copy_into(x, values)
    return x


cdef Node overwriting(Tensor x, Tensor source, const char* label):
    """The node of a write into all of x; of a source that is in the graph, if any."""
    cdef Node node = None
    if source is not None or needs_graph(x):
        node = new_node(overwrite_backward, label)
        node.input0 = edge(x)
        node.saved0 = shape_only(x)
        if source is not None:
            node.input1 = edge(source)
            node.saved1 = shape_only(source)
    return node


cdef int overwrite_backward(Node node, Tensor dy) except -1:
    cdef Tensor source = node.saved1
    if node.input0 is not None:      # of what was overwritten
        give(node.input0, zeros_like(node.saved0))
    if node.input1 is not None:
        give(node.input1, cast(sum_to_shape(dy, source.ndim_, source.shape_), source.dtype_))
    return 0


def fill_(self, value):
    """Overwrite every element with one value.

    >>> fastnn.zeros(2).fill_(3).tolist()
    [3.0, 3.0]
    """
    cdef Tensor x = as_tensor(self, "self")
    cdef Node node
    if isinstance(value, Tensor):
        if value.ndim > 0:
            raise ValueError(f"fill_() needs one value, got a tensor of shape {value.shape}")
        return copy_(x, value)
    if not isinstance(value, (int, float)):
        value = value.item() if hasattr(value, "item") else float(value)
    node = overwriting(x, None, "fill_")
    begin_inplace(x, False)
    if node is not None:
        attach(x, node)
    fill_with(x, value)
    return x


def zero_(self):
    """Overwrite every element with zero."""
    return fill_(self, 0)


def detach_(self):
    """Take the tensor out of the graph."""
    cdef Tensor x = as_tensor(self, "self")
    if x.base is not None and x.tracked:
        raise RuntimeError("a view cannot be taken out of the graph in place; use detach()")
    x.node = None
    x.tracked = False
    return x


OPS = [
    op("clone", clone, method=True, cases="copy"),
    op("contiguous", contiguous, method=True, cases="copy", public=False),
    op("to", to, method=True, public=False),
    op("type_as", type_as, method=True, public=False),
    op("float", to_float, method=True, public=False),
    op("double", to_double, method=True, public=False),
    op("long", to_long, method=True, public=False),
    op("int", to_int, method=True, public=False),
    op("byte", to_byte, method=True, public=False),
    op("bool", to_bool, method=True, public=False),
    op("cpu", cpu, method=True, public=False),
    op("repeat", repeat, method=True, cases="repeat", public=False),
    op("tile", tile, method=True, cases="tile"),
    op("flip", flip, method=True, cases="flip"),
    op("tril", tril, method=True, cases="tril"),
    op("triu", triu, method=True, cases="tril"),
    op("copy_", copy_, method=True, public=False),
    op("fill_", fill_, method=True, public=False),
    op("zero_", zero_, method=True, public=False),
    op("detach_", detach_, method=True, public=False),
]
