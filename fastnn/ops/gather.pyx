"""Elements and slices named by tensors of indices: gather, scatter and their kin.

Each is x[...] with index arrays that name one element or slice for each entry, so
reading, writing, adding and their gradients are those of indexing.
"""

from fastnn._core.autograd cimport Node, attach, edge, give, needs_graph, new_node
from fastnn._core.checks cimport check_same_dtype, shape_text
from fastnn._core.layout cimport cast, contiguous
from fastnn._core.tensor cimport (
    BOOL, INT32, INT64, Tensor, as_tensor, copy_into, dtype_of, new_tensor, normal_dim, same_shape,
)
from fastnn.ops.index cimport (
    INDEX_ADD, INDEX_READ, Selection, coordinates, getitem_forward, parse, run,
)
from fastnn.ops.view cimport with_shape

from fastnn.ops.creation import arange, empty
from fastnn.ops.join import stack
from fastnn.ops.registry import inplace_of, op
from fastnn.ops.view import expand


cdef Tensor index_vector(object index, str what):
    cdef Tensor i = as_tensor(index, what)
    if i.ndim_ > 1 or (i.dtype_ != INT64 and i.dtype_ != INT32):
        raise IndexError(f"{what} must be a vector of int64 or int32, got shape {shape_text(i)} of "
                         f"{dtype_of(i.dtype_).name}")
    return with_shape(i, 1, &i.size_)


cdef tuple along(int dim, Tensor index):
    return (slice(None),) * dim + (index,)


cdef tuple grid(Tensor x, int dim, Tensor index, str what):
    """For each element of index: its own coordinates, but along dim what index says."""
    cdef int d
    cdef list entries = []
    if index.ndim_ != x.ndim_ or x.ndim_ == 0 or (index.dtype_ != INT64 and index.dtype_ != INT32):
        raise IndexError(f"{what} needs an int64 index with the {x.ndim_} dimensions of shape "
                         f"{shape_text(x)}, got {dtype_of(index.dtype_).name} of shape "
                         f"{shape_text(index)}")
    for d in range(x.ndim_):
        if d == dim:
            entries.append(index)
            continue
        if index.shape_[d] > x.shape_[d]:
            raise IndexError(f"{what}: index of shape {shape_text(index)} reaches beyond shape "
                             f"{shape_text(x)} in dimension {d}")
        entries.append(arange(index.shape_[d]).view((-1,) + (1,) * (x.ndim_ - 1 - d)))
    return tuple(entries)


def index_select(input, dim, index):
    """The slices along dim that a vector of indices names.

    >>> fastnn.arange(4).index_select(0, fastnn.tensor([2, 0])).tolist()
    [2, 0]
    """
    cdef Tensor x = as_tensor(input, "input")
    return getitem_forward(x, along(normal_dim(dim, x.ndim_), index_vector(index, "index")))


def gather(input, dim, index):
    """y[i][j] = input[index[i][j]][j] for dim 0, and so on: one index for each element.

    >>> fastnn.tensor([[1, 2], [3, 4]]).gather(1, fastnn.tensor([[1], [0]])).tolist()
    [[2], [3]]
    """
    cdef Tensor x = as_tensor(input, "input"), i = as_tensor(index, "index")
    return getitem_forward(x, grid(x, normal_dim(dim, x.ndim_), i, "gather()"))


def take_along_dim(input, indices, dim=None):
    """gather() with the other dimensions broadcast; over the flattened tensor without dim.

    >>> x = fastnn.tensor([[3, 1], [2, 4]])
    >>> x.take_along_dim(fastnn.tensor([[1, 0], [0, 1]]), 1).tolist()
    [[1, 3], [2, 4]]
    """
    cdef Tensor x = as_tensor(input, "input"), i = as_tensor(indices, "indices")
    cdef int at, d
    if dim is None:
        return gather(x.reshape(-1), 0, i.reshape(-1))
    at = normal_dim(dim, x.ndim_)
    if i.ndim_ != x.ndim_:
        raise ValueError(f"take_along_dim() needs indices of {x.ndim_} dimensions, "
                         f"got {shape_text(i)}")
    sizes = [max(x.shape_[d], i.shape_[d]) for d in range(x.ndim_)]
    sizes[at] = x.shape_[at]
    x = expand(x, sizes)
    sizes[at] = i.shape_[at]
    return gather(x, at, expand(i, sizes))


cdef Tensor added(Tensor x, Selection s, Tensor source, const char* label):
    """x with source added at the places of s, in the order of s."""
    cdef Tensor y = new_tensor(x.dtype_, x.ndim_, x.shape_)
    cdef Node node
    copy_into(y, x)
    run(s, INDEX_ADD, y, contiguous(source), True)
    if needs_graph(x) or needs_graph(source):
        node = new_node(added_backward, label)
        node.input0, node.input1 = edge(x), edge(source)
        node.extra = s
        attach(y, node)
    return y


cdef int added_backward(Node node, Tensor dy) except -1:
    cdef Selection s = node.extra
    cdef Tensor dsource
    if node.input1 is not None:
        dsource = new_tensor(dy.dtype_, s.ndim, s.shape)
        run(s, INDEX_READ, contiguous(dy), dsource, True)
        give(node.input1, dsource)
    give(node.input0, dy)
    return 0


def index_add(input, dim, index, source, *, alpha=1):
    """input with alpha * source added to the slices along dim that index names.

    >>> fastnn.zeros(3).index_add(0, fastnn.tensor([1, 1]), fastnn.ones(2)).tolist()
    [0.0, 2.0, 0.0]
    """
    cdef Tensor x = as_tensor(input, "input"), v = as_tensor(source, "source")
    cdef Selection s = parse(x, along(normal_dim(dim, x.ndim_), index_vector(index, "index")))
    check_same_dtype(v, x, "input and source of index_add()")
    wanted = tuple([s.shape[d] for d in range(s.ndim)])
    if v.shape != wanted:
        raise ValueError(f"index_add() needs a source of shape {wanted}, got {shape_text(v)}")
    return added(x, s, v if alpha == 1 else v * alpha, "index_add")


def scatter_add(input, dim, index, src):
    """input with src added: input[index[i][j]][j] += src[i][j] for dim 0, and so on.

    >>> fastnn.zeros(3).scatter_add(0, fastnn.tensor([0, 0]), fastnn.ones(2)).tolist()
    [2.0, 0.0, 0.0]
    """
    cdef Tensor x = as_tensor(input, "input"), i = as_tensor(index, "index")
    cdef Tensor v = as_tensor(src, "src")
    cdef Selection s = parse(x, grid(x, normal_dim(dim, x.ndim_), i, "scatter_add()"))
    check_same_dtype(v, x, "input and src of scatter_add()")
    return added(x, s, cut_to(v, i, "scatter_add()"), "scatter_add")


cdef Tensor cut_to(Tensor v, Tensor index, str what):
    """v up to the sizes of index."""
    cdef int d
    if v.ndim_ != index.ndim_ or any([v.shape_[d] < index.shape_[d] for d in range(v.ndim_)]):
        raise ValueError(f"{what} needs a src at least as large as the index, "
                         f"got {shape_text(v)} and {shape_text(index)}")
    if same_shape(v, index):
        return v
    return v[tuple([slice(index.shape_[d]) for d in range(v.ndim_)])]


def scatter(input, dim, index, src):
    """input with src written: input[index[i][j]][j] = src[i][j] for dim 0; src may be a number.

    >>> fastnn.zeros(3).scatter(0, fastnn.tensor([2]), 5.0).tolist()
    [0.0, 0.0, 5.0]
    """
    cdef Tensor x = as_tensor(input, "input"), i = as_tensor(index, "index")
    where = grid(x, normal_dim(dim, x.ndim_), i, "scatter()")
    y = x.clone()
    y[where] = cut_to(src, i, "scatter()") if isinstance(src, Tensor) else src
    return y


def nonzero(input, as_tuple=False):
    """The indices of what is not zero, a row each; or a tensor for each dimension.

    >>> fastnn.tensor([0, 5, 7]).nonzero().tolist()
    [[1], [2]]
    """
    cdef Tensor x = as_tensor(input, "input")
    indices = coordinates(cast(x, BOOL))
    if as_tuple:
        return tuple(indices)
    if not indices:
        return empty(int(x.item() != 0), 0, dtype=int)
    return stack(indices, 1)


def masked_select(input, mask):
    """The elements where mask is true, as a vector; the two are broadcast.

    >>> fastnn.arange(3).masked_select(fastnn.tensor([True, False, True])).tolist()
    [0, 2]
    """
    cdef Tensor x = as_tensor(input, "input"), m = as_tensor(mask, "mask")
    if m.dtype_ != BOOL:
        raise TypeError(f"mask must be bool, got {dtype_of(m.dtype_).name}")
    shape = common_shape(x.shape, m.shape)
    return expand(x, shape)[expand(m, shape)] if shape else x.reshape(1)[m.reshape(1)]


cdef tuple common_shape(tuple a, tuple b):
    """What a and b broadcast to, if they do: expand() finds out."""
    cdef Py_ssize_t n = max(len(a), len(b))
    a, b = (1,) * (n - len(a)) + a, (1,) * (n - len(b)) + b
    return tuple([q if p == 1 else p for p, q in zip(a, b)])


OPS = [
    op("index_select", index_select, method=True, cases="index_select"),
    op("gather", gather, method=True, cases="gather"),
    op("take_along_dim", take_along_dim, method=True),
    op("index_add", index_add, method=True, cases="index_add"),
    op("index_add_", inplace_of(index_add), method=True, public=False),
    op("scatter_add", scatter_add, method=True, cases="scatter_add"),
    op("scatter_add_", inplace_of(scatter_add), method=True, public=False),
    op("scatter", scatter, method=True, cases="scatter"),
    op("scatter_", inplace_of(scatter), method=True, public=False),
    op("nonzero", nonzero, method=True, cases="mask", differentiable=False),
    op("masked_select", masked_select, method=True, cases="masked_select"),
]
