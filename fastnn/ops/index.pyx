"""x[...]: reading and assignment.

Integers, slices, None and ... give views (a Part of the tensor). Index arrays and
masks become places: offsets from the first element, one for each entry of the
arrays broadcast together, once as they are in memory and once as they would be
were the tensor row-major; the second are where gradients go. As in PyTorch an
integer takes its dimension away before index arrays are looked at.
"""

from libc.string cimport memset

import numpy as np

from fastnn._core.autograd cimport (
    Node, attach, begin_inplace, edge, give, needs_graph, new_node,
)
from fastnn._core.tensor cimport (
    BOOL, FLOAT32, INT32, INT64, MAX_NDIM, HotOperators, Tensor, alias, as_tensor, cast,
    check_same_dtype, contiguous, copy_into, dtype_of, hot_operators, is_contiguous, itemsize, new_tensor,
    normal_dim, same_shape, shape_only, shape_text,
)
from fastnn._kernels.index cimport *
from fastnn.ops.creation cimport copy_of, fill_with
from fastnn.ops.reduce cimport sum_to_shape
from fastnn.ops.view cimport Part, part_drop, part_of, part_step, part_view, whole, with_shape

from fastnn.ops.creation import arange, empty
from fastnn.ops.join import stack
from fastnn.ops.registry import inplace_of, op
from fastnn.ops.view import expand


# --- what an index means ----------------------------------------------------------

cdef class Selection:
    """Which elements of a tensor an index names, in which order."""
    cdef Part part                   # after integers, slices and None
    cdef list dims                   # of the part, those with an index array, rising
    cdef list indices                # their int64 tensors
    cdef list axes                   # the dimensions of the tensor they stand for
    cdef Tensor offsets              # places in memory, of the shape of the arrays; None: a view
    cdef Tensor places               # row-major places
    cdef int ndim                    # of the result
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef int outer                   # result dimensions in front of the arrays'
    cdef int spread                  # result dimensions of the arrays


cdef object as_index(object entry):
    """An index array or mask as a tensor; a number, slice, None or ... as it is."""
    if entry is None or entry is Ellipsis or isinstance(entry, (int, slice)):
        return entry
    if not isinstance(entry, Tensor):
        if isinstance(entry, (np.bool_, np.integer)):
            return entry.item()
        if hasattr(entry, "__index__") and not hasattr(entry, "__len__"):
            return entry.__index__()
        entry = copy_of(entry if isinstance(entry, np.ndarray) else list(entry), -1)
        if (<Tensor>entry).size_ == 0 and (<Tensor>entry).dtype_ == FLOAT32:
            entry = cast(<Tensor>entry, INT64)
    if (<Tensor>entry).dtype_ != BOOL and (<Tensor>entry).dtype_ != INT32 and (<Tensor>entry).dtype_ != INT64:
        raise IndexError(f"an index must be int64, int32 or bool, got {entry.dtype.name}")
    return entry.item() if (<Tensor>entry).ndim_ == 0 else entry


cdef tuple entries_of(Tensor x, object index):
    """The index as a tuple that names every dimension, without an ellipsis."""
    cdef int named = 0, ellipses = 0
    cdef list entries = []
    for entry in (index if type(index) is tuple else (index,)):
        entry = as_index(entry)
        entries.append(entry)
        if entry is Ellipsis:
            ellipses += 1
        elif isinstance(entry, Tensor):
            named += (<Tensor>entry).ndim_ if (<Tensor>entry).dtype_ == BOOL else 1
        elif entry is not None and not isinstance(entry, bool):
            named += 1
    if ellipses > 1:
        raise IndexError("an index can have only one ellipsis (...)")
    if named > x.ndim_:
        raise IndexError(f"{named} indices are too many for shape {shape_text(x)}")
    at = len(entries)
    for k in range(len(entries)):       # not index(): that would compare tensors
        if entries[k] is Ellipsis:
            at = k
    entries[at:at + ellipses] = [slice(None)] * (x.ndim_ - named)
    return tuple(entries)


cdef list coordinates(Tensor mask):
    """Where the mask is true: an int64 tensor for each of its dimensions."""
    cdef Tensor flags = contiguous(mask), index
    cdef long long* out[MAX_NDIM]
    cdef Py_ssize_t[1] count
    cdef list indices = []
    cdef int d
    count[0] = index_nonzero(<unsigned char*>flags.ptr, flags.ndim_, flags.shape_, NULL)
    for d in range(flags.ndim_):
        index = new_tensor(INT64, 1, count)
        out[d] = <long long*>index.ptr
        indices.append(index)
    index_nonzero(<unsigned char*>flags.ptr, flags.ndim_, flags.shape_, out)
    return indices


cdef int insert_dim(Part* part, int dim, Py_ssize_t length) except -1:
    cdef int d
    if part.ndim == MAX_NDIM:
        raise IndexError(f"the index gives more than {MAX_NDIM} dimensions")
    for d in range(part.ndim, dim, -1):
        part.shape[d] = part.shape[d - 1]
        part.strides[d] = part.strides[d - 1]
        part.places[d] = part.places[d - 1]
    part.shape[dim], part.strides[dim], part.places[dim] = length, 0, 0
    part.ndim += 1
    return 0


cdef int slice_dim(Part* part, int dim, object entry) except -1:
    cdef Py_ssize_t start, stop, step
    if entry.start is None and entry.stop is None and entry.step is None:
        return 0
    if entry.step is not None and entry.step <= 0:
        raise ValueError(f"a slice must step forwards, got a step of {entry.step}; use flip()")
    start, stop, step = entry.indices(part.shape[dim])
    part_step(part, dim, start, step, max(0, (stop - start + step - 1) // step))
    return 0


cdef Selection parse(Tensor x, object index):
    cdef Selection s = Selection.__new__(Selection)
    cdef Py_ssize_t at
    cdef int d = 0, axis = 0, k        # dimension of the part, of x
    cdef Tensor mask
    s.part = whole(x)
    s.dims, s.indices, s.axes = [], [], []
    for entry in entries_of(x, index):
        if entry is None or isinstance(entry, bool):
            insert_dim(&s.part, d, 0 if entry is False else 1)
            d += 1
        elif isinstance(entry, slice):
            slice_dim(&s.part, d, entry)
            d += 1
            axis += 1
        elif not isinstance(entry, Tensor):
            at = entry
            if at < -s.part.shape[d] or at >= s.part.shape[d]:
                raise IndexError(f"index {at} is out of range for dimension {axis} of size "
                                 f"{s.part.shape[d]}")
            part_step(&s.part, d, at + s.part.shape[d] if at < 0 else at, 1, 1)
            part_drop(&s.part, d)
            axis += 1
        else:
            indices = [entry]
            if (<Tensor>entry).dtype_ == BOOL:
                mask = <Tensor>entry
                for k in range(mask.ndim_):
                    if mask.shape_[k] != s.part.shape[d + k]:
                        raise IndexError(f"a mask of shape {shape_text(mask)} does not fit dimension "
                                         f"{axis + k} of shape {shape_text(x)}")
                indices = coordinates(mask)
            for entry in indices:
                s.dims.append(d)
                s.indices.append(cast(<Tensor>entry, INT64))
                s.axes.append(axis)
                d += 1
                axis += 1
    resolve(x, s)
    return s


cdef int resolve(Tensor x, Selection s) except -1:
    """The result's shape, and the places of the index arrays."""
    cdef Py_ssize_t[MAX_NDIM] spread
    cdef Tensor index
    cdef int d, k, ndim = 0
    cdef unsigned int mask = 0
    if not s.dims:
        return 0
    for k in range(MAX_NDIM):
        spread[k] = 1
    for index in s.indices:           # broadcast, aligned to the right
        ndim = max(ndim, index.ndim_)
        for k in range(index.ndim_):
            d = MAX_NDIM - index.ndim_ + k
            if spread[d] == 1:
                spread[d] = index.shape_[k]
            elif index.shape_[k] != 1 and index.shape_[k] != spread[d]:
                raise IndexError("index arrays of shapes "
                                 + ", ".join([shape_text(i) for i in s.indices])
                                 + " do not broadcast together")
    for d in s.dims:
        mask |= 1u << d
    s.spread = ndim
    # side by side the arrays' dimensions stand in their place, else in front
    s.outer = s.dims[0] if max(s.dims) - s.dims[0] == len(s.dims) - 1 else 0
    s.ndim = s.part.ndim - len(s.dims) + ndim
    if s.ndim > MAX_NDIM:
        raise IndexError(f"the index gives more than {MAX_NDIM} dimensions")
    k = 0
    for d in range(s.part.ndim):
        if not mask >> d & 1:
            s.shape[k if k < s.outer else k + ndim] = s.part.shape[d]
            k += 1
    for k in range(ndim):
        s.shape[s.outer + k] = spread[MAX_NDIM - ndim + k]
    find_places(s, ndim, spread + MAX_NDIM - ndim, is_contiguous(x))
    return 0


cdef int find_places(Selection s, int ndim, const Py_ssize_t* spread, bint row_major_already) except -1:
    cdef Tensor index
    cdef long bad
    cdef int k, d
    s.offsets = new_tensor(INT64, ndim, spread)
    memset(s.offsets.ptr, 0, s.offsets.size_ * sizeof(long long))
    s.places = s.offsets
    if not row_major_already:
        s.places = new_tensor(INT64, ndim, spread)
        memset(s.places.ptr, 0, s.places.size_ * sizeof(long long))
    for k in range(len(s.dims)):
        d = s.dims[k]
        index = contiguous(expand(s.indices[k], s.offsets.shape))
        bad = index_places(<long long*>s.offsets.ptr, <long long*>index.ptr, index.size_,
                           s.part.shape[d], s.part.strides[d])
        if bad >= 0:
            raise IndexError(f"index {(<long long*>index.ptr)[bad]} is out of range for dimension "
                             f"{s.axes[k]} of size {s.part.shape[d]}")
        if not row_major_already:
            index_places(<long long*>s.places.ptr, <long long*>index.ptr, index.size_,
                         s.part.shape[d], s.part.places[d])
    return 0


cdef int run(Selection s, int mode, Tensor x, Tensor y, bint gradient) except -1:
    """y is row-major of the result's shape; a gradient is row-major itself."""
    cdef IndexJob job
    cdef Tensor places = s.places if gradient else s.offsets
    cdef long step
    cdef int d, k = 0
    cdef Py_ssize_t offset = s.part.place if gradient else s.part.offset
    job.mode, job.dtype = mode, x.dtype_
    job.x = x.ptr + offset * itemsize(x.dtype_)
    job.y = y.ptr
    job.count = places.size_
    job.places = <long long*>places.ptr
    job.outer_ndim = job.inner_ndim = 0
    for d in range(s.part.ndim):
        if d in s.dims:
            continue
        step = s.part.places[d] if gradient else s.part.strides[d]
        if k < s.outer:
            job.outer_shape[job.outer_ndim], job.outer_step[job.outer_ndim] = s.part.shape[d], step
            job.outer_ndim += 1
        else:
            job.inner_shape[job.inner_ndim], job.inner_step[job.inner_ndim] = s.part.shape[d], step
            job.inner_ndim += 1
        k += 1
    with nogil:
        index_run(&job)
    return 0


# --- reading ----------------------------------------------------------------------

cdef object getitem_forward(object input, object index):
    cdef Tensor x = <Tensor>input
    cdef Selection s = parse(x, index)
    if s.offsets is None:
        return part_view(x, &s.part, "getitem")
    return read(x, s, "getitem")


cdef Tensor read(Tensor x, Selection s, const char* label):
    cdef Tensor y = new_tensor(x.dtype_, s.ndim, s.shape)
    cdef Node node
    run(s, INDEX_READ, x, y, False)
    if needs_graph(x):
        node = new_node(read_backward, label)
        node.input0 = edge(x)
        node.saved0 = shape_only(x)
        node.extra = s
        attach(y, node)
    return y


cdef int read_backward(Node node, Tensor dy) except -1:
    cdef Tensor dx
    if node.input0 is not None:
        dx = zeros_of(node.saved0)
        run(node.extra, INDEX_ADD, dx, contiguous(dy), True)
        give(node.input0, dx)
    return 0


cdef Tensor zeros_of(Tensor like):
    cdef Tensor y = new_tensor(like.dtype_, like.ndim_, like.shape_)
    memset(y.ptr, 0, y.size_ * itemsize(y.dtype_))
    return y


# --- assignment -------------------------------------------------------------------

cdef object setitem_forward(object input, object index, object value):
    cdef Tensor x = <Tensor>input, v, values
    cdef Selection s = parse(x, index)
    cdef Node node = None
    cdef bint tracked
    if isinstance(value, Tensor):
        v = <Tensor>value
    else:
        v = copy_of(value, x.dtype_)
    tracked = needs_graph(v) and x.dtype_ >= FLOAT32
    values = values_for(x, v, s)
    if tracked or needs_graph(x):
        node = new_node(write_backward, "setitem")
        node.input0 = edge(x)
        if tracked:
            node.input1 = edge(v)
        node.saved0 = shape_only(v)
        node.extra = s
    begin_inplace(x, tracked)
    if s.offsets is None:
        copy_into(part_of(x, &s.part), values)
    else:
        run(s, INDEX_WRITE, x, values, False)
    if node is not None:
        attach(x, node)


cdef Tensor values_for(Tensor x, Tensor v, Selection s):
    """v broadcast to what the index names; in x's dtype and row-major if it goes to places."""
    cdef Tensor y = alias(v)
    cdef tuple shape
    cdef int d
    if s.offsets is None:
        shape = tuple([s.part.shape[d] for d in range(s.part.ndim)])
    else:
        shape = tuple([s.shape[d] for d in range(s.ndim)])
    while y.ndim_ > len(shape) and y.shape_[0] == 1:
        y = alias(y.select(0, 0))
    try:
        y = expand(y, shape)
    except ValueError:
        raise ValueError(f"a value of shape {shape_text(v)} does not fit what the index names, "
                         f"of shape {shape}") from None
    if y.storage is x.storage:
        y = y.clone()
    return y if s.offsets is None else contiguous(cast(y, x.dtype_))


cdef int write_backward(Node node, Tensor dy) except -1:
    """Takes the gradient of what was written out of dy; what remains is that of the rest."""
    cdef Selection s = node.extra
    cdef Tensor dx = new_tensor(dy.dtype_, dy.ndim_, dy.shape_), dv, part
    cdef Tensor like = node.saved0
    cdef Part rows
    cdef int lead
    copy_into(dx, dy)
    if s.offsets is None:
        rows = s.part
        rows.strides, rows.offset = rows.places, rows.place      # dx is row-major
        part = part_of(dx, &rows)
        dv = new_tensor(dx.dtype_, part.ndim_, part.shape_)
        copy_into(dv, part)
        fill_with(part, 0)
    else:
        dv = new_tensor(dx.dtype_, s.ndim, s.shape)
        run(s, INDEX_TAKE, dx, dv, True)
    if node.input1 is not None:
        lead = max(0, like.ndim_ - dv.ndim_)          # ones in front of v's shape
        dv = sum_to_shape(dv, like.ndim_ - lead, like.shape_ + lead)
        give(node.input1, cast(with_shape(dv, like.ndim_, like.shape_), like.dtype_))
    if node.input0 is not None:
        give(node.input0, dx)
    return 0


# --- by name ----------------------------------------------------------------------

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
                         f"{shape_text(x)}, got {dtype_of(index.dtype_).name} of shape {shape_text(index)}")
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
        raise ValueError(f"take_along_dim() needs indices of {x.ndim_} dimensions, got {shape_text(i)}")
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
        raise ValueError(f"{what} needs a src at least as large as the index, got {shape_text(v)} and "
                         f"{shape_text(index)}")
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
    shape = np.broadcast_shapes(x.shape, m.shape)
    return expand(x, shape)[expand(m, shape)] if shape else x.reshape(1)[m.reshape(1)]


cdef HotOperators* hot = hot_operators()
hot.getitem, hot.setitem = getitem_forward, setitem_forward

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
