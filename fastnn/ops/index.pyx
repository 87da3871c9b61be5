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
from fastnn._core.checks cimport shape_text
from fastnn._core.layout cimport cast, contiguous, shape_only
from fastnn._core.tensor cimport (
    BOOL, FLOAT32, INT32, INT64, MAX_NDIM, HotOperators, Tensor, alias, copy_into, hot_operators,
    is_contiguous, itemsize, new_tensor,
)
from fastnn._kernels.index cimport *
from fastnn.ops.creation cimport copy_of, fill_with
from fastnn.ops.part cimport Part, part_drop, part_of, part_step, part_view, whole
from fastnn.ops.reduce cimport sum_to_shape
from fastnn.ops.view cimport with_shape

from fastnn.ops.view import expand


# --- what an index means ----------------------------------------------------------

cdef class Selection:
    """Which elements of a tensor an index names, in which order."""


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
    if (<Tensor>entry).dtype_ not in (BOOL, INT32, INT64):
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


cdef int take_one(Part* part, int dim, object entry, int axis) except -1:
    cdef Py_ssize_t at = entry, size = part.shape[dim]
    if at < -size or at >= size:
        raise IndexError(f"index {at} is out of range for dimension {axis} of size {size}")
    part_step(part, dim, at + size if at < 0 else at, 1, 1)
    part_drop(part, dim)
    return 0


cdef Selection parse(Tensor x, object index):
    cdef Selection s = Selection.__new__(Selection)
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
            take_one(&s.part, d, entry, axis)
            axis += 1
        else:
            indices = [entry]
            if (<Tensor>entry).dtype_ == BOOL:
                mask = <Tensor>entry
                for k in range(mask.ndim_):
                    if mask.shape_[k] != s.part.shape[d + k]:
                        raise IndexError(f"a mask of shape {shape_text(mask)} does not fit "
                                         f"dimension {axis + k} of shape {shape_text(x)}")
                indices = coordinates(mask)
            for places in indices:
                s.dims.append(d)
                s.indices.append(cast(<Tensor>places, INT64))
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


cdef int find_places(Selection s, int ndim, const Py_ssize_t* spread,
                     bint row_major_already) except -1:
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
    cdef Selection s
    cdef Part part
    if type(index) is int and x.ndim_ > 0:        # the most frequent index, without detours
        part = whole(x)
        take_one(&part, 0, index, 0)
        return part_view(x, &part, "getitem")
    s = parse(x, index)
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


cdef HotOperators* hot = hot_operators()
hot.getitem, hot.setitem = getitem_forward, setitem_forward

OPS = []      # the operators; gather.pyx has the functions
