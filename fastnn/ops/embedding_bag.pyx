"""Bags of embeddings: for each bag of indices the sum, mean or maximum of their rows.

The rows are never gathered: forward and backward read them where they lie.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset

from fastnn._core.autograd cimport (
    Node, attach, edge, give, needs_graph, new_node, save0, save1, save2, saved0, saved1, saved2,
)
from fastnn._core.checks cimport check_float, check_same_dtype, shape_text
from fastnn._core.layout cimport cast, contiguous
from fastnn._core.storage cimport scratch_give, scratch_take
from fastnn._core.tensor cimport (
    FLOAT32, INT32, INT64, Tensor, as_tensor, dtype_of, itemsize, new_tensor,
)
from fastnn._kernels.embedding cimport (
    Grouping, RowSums, embedding_group, embedding_scratch_bytes,
)
from fastnn._kernels.embedding_bag cimport (
    BAG_MAX, BAG_MEAN, BAG_SUM, Bags, bag_backward, bag_forward, bag_scale_backward,
    bag_scratch_bytes, bag_threads, bag_without,
)
from fastnn.ops.embedding cimport (
    check_unchanged, checked_indices, checked_padding, checked_table, give_table, renorm,
)
from fastnn.ops.registry import op

cdef dict modes = {"sum": BAG_SUM, "mean": BAG_MEAN, "max": BAG_MAX}


cdef Tensor vector(int dtype, Py_ssize_t n):
    return new_tensor(dtype, 1, &n)


cdef Tensor starts_of_offsets(object offsets, long n, bint include_last):
    """Where the bags begin, and the end of the last one."""
    cdef Tensor given = as_tensor(offsets, "offsets, where input has one dimension,"), start
    cdef int64_t* at
    cdef long count, k
    if given.dtype_ != INT64 and given.dtype_ != INT32:
        raise TypeError(f"offsets must be int64 or int32, got {dtype_of(given.dtype_).name}")
    if given.ndim_ != 1:
        raise ValueError(f"offsets must have one dimension, got shape {shape_text(given)}")
    given = contiguous(cast(given, INT64))
    at = <int64_t*>given.ptr
    count = given.size_ - include_last
    if count < 0 or (count == 0 and n > 0):
        raise ValueError(f"offsets of {given.size_} elements make no bag for {n} indices")
    if count > 0 and at[0] != 0:
        raise ValueError(f"offsets must begin with 0, got {at[0]}")
    start = vector(INT64, count + 1)
    for k in range(count):
        if at[k] > n or (k > 0 and at[k] < at[k - 1]):
            raise ValueError(f"offsets must rise, to {n} (the length of input) at most, got "
                             f"{at[k]} at {k}")
        (<int64_t*>start.ptr)[k] = at[k]
    if include_last and at[count] != n:
        raise ValueError(f"the last offset must be {n}, the length of input, got {at[count]}")
    (<int64_t*>start.ptr)[count] = n
    return start


cdef Tensor starts_of_rows(long bags, long n):
    """Bags of n indices each."""
    cdef Tensor start = vector(INT64, bags + 1)
    cdef long k
    for k in range(bags + 1):
        (<int64_t*>start.ptr)[k] = k * n
    return start


cdef Tensor picked(Tensor x, Tensor places):
    """The elements of x at these places of it, x being contiguous."""
    cdef Tensor y = vector(x.dtype_, places.size_)
    cdef int64_t* at = <int64_t*>places.ptr
    cdef long k
    for k in range(places.size_):
        if x.dtype_ == FLOAT32:
            (<float*>y.ptr)[k] = (<float*>x.ptr)[at[k]]
        else:
            (<double*>y.ptr)[k] = (<double*>x.ptr)[at[k]]
    return y


cdef Tensor put(Tensor y, Tensor places, Tensor like):
    """The twin of picked(): zeros in the shape of `like`, but y at these places."""
    cdef Tensor x = new_tensor(y.dtype_, like.ndim_, like.shape_)
    cdef int64_t* at = <int64_t*>places.ptr
    cdef long k
    memset(x.ptr, 0, x.size_ * itemsize(x.dtype_))
    for k in range(places.size_):
        if x.dtype_ == FLOAT32:
            (<float*>x.ptr)[at[k]] = (<float*>y.ptr)[k]
        else:
            (<double*>x.ptr)[at[k]] = (<double*>y.ptr)[k]
    return x


cdef Tensor checked_scale(object per_sample_weights, Tensor x, Tensor w, int mode):
    cdef Tensor scale
    if per_sample_weights is None:
        return None
    scale = as_tensor(per_sample_weights, "per_sample_weights")
    check_float(scale, "per_sample_weights")
    check_same_dtype(scale, w, "weight and per_sample_weights")
    if scale.shape != x.shape:
        raise ValueError(f"per_sample_weights must have the shape of input, {shape_text(x)}, got "
                         f"{shape_text(scale)}")
    if mode != BAG_SUM:
        raise NotImplementedError("per_sample_weights are supported with mode='sum' only")
    return scale


cdef Bags bags_of(int mode, Tensor y, Tensor which, Tensor start, Tensor scale):
    """What the driver needs; y is the output or its gradient."""
    cdef Bags bags
    bags.mode, bags.dtype, bags.count, bags.D = mode, y.dtype_, y.shape_[0], y.shape_[1]
    bags.which, bags.start = <int64_t*>which.ptr, <int64_t*>start.ptr
    bags.scale = scale.ptr if scale is not None else NULL
    return bags


def embedding_bag(input, weight, offsets=None, max_norm=None, norm_type=2.0,
                  scale_grad_by_freq=False, mode="mean", sparse=False, per_sample_weights=None,
                  include_last_offset=False, padding_idx=None):
    """The sum, mean or max of the rows of weight (V, D) that each bag names, shape (bags, D).

    input: (bags, n), or all bags end to end in one dimension, and then offsets say where each
    begins (with include_last_offset also where the last one ends). An empty bag gives zeros.
    per_sample_weights: what each row is multiplied by, for mode "sum". The row padding_idx
    counts as absent. max_norm, norm_type, scale_grad_by_freq and sparse: as for embedding(), the
    last two not for mode "max".

    >>> table = fastnn.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    >>> bags, offsets = fastnn.tensor([0, 2, 1]), fastnn.tensor([0, 2])
    >>> fastnn.nn.functional.embedding_bag(bags, table, offsets, mode="sum").tolist()
    [[4.0, 6.0], [2.0, 3.0]]
    """
    cdef Tensor w = checked_table(weight, sparse), table, x, which, start, scale, kept_scale, y
    cdef Tensor taps = None, place = None, new_start
    cdef long V = w.shape_[0], padding = checked_padding(padding_idx, V), kept
    cdef Py_ssize_t[2] shape
    cdef Bags bags
    cdef Node node
    cdef int32_t* tap
    cdef bint graph
    cdef int kind, threads
    if mode not in modes:
        raise ValueError(f"mode must be 'sum', 'mean' or 'max', got {mode!r}")
    kind = modes[mode]
    if kind == BAG_MAX and sparse:
        raise ValueError("mode 'max' does not support sparse gradients")
    if kind == BAG_MAX and scale_grad_by_freq:
        raise ValueError("mode 'max' does not support scale_grad_by_freq")
    x = checked_indices(input, V)
    if x.ndim_ == 2:
        if offsets is not None:
            raise ValueError("offsets must be None where input has two dimensions, got "
                             f"{offsets!r} for input {shape_text(x)}")
        start = starts_of_rows(x.shape_[0], x.shape_[1])
    elif x.ndim_ == 1:
        start = starts_of_offsets(offsets, x.size_, include_last_offset)
    else:
        raise ValueError(f"input must have one or two dimensions, got shape {shape_text(x)}")
    scale = checked_scale(per_sample_weights, x, w, kind)
    renorm(w, x, max_norm, norm_type)

    which = cast(x, INT64)
    graph = needs_graph(w) or (scale is not None and needs_graph(scale))
    kept_scale = contiguous(scale) if scale is not None else None
    if padding >= 0:
        place, new_start = vector(INT64, x.size_), vector(INT64, start.size_)
        x, which = which, vector(INT64, x.size_)
        kept = bag_without(<int64_t*>x.ptr, <int64_t*>start.ptr, start.size_ - 1, padding,
                           <int64_t*>which.ptr, <int64_t*>new_start.ptr, <int64_t*>place.ptr)
        start = new_start
        which.shape_[0] = which.size_ = place.shape_[0] = place.size_ = kept
        if kept_scale is not None:
            kept_scale = picked(kept_scale, place)

    shape[0], shape[1] = start.size_ - 1, w.shape_[1]
    y = new_tensor(w.dtype_, 2, shape)
    if kind == BAG_MAX and graph:
        taps = new_tensor(INT32, 2, shape)
    table = contiguous(w)
    bags = bags_of(kind, y, which, start, kept_scale)
    tap = <int32_t*>taps.ptr if taps is not None else NULL
    threads = bag_threads(&bags)
    with nogil:
        bag_forward(&bags, table.ptr, y.ptr, tap, threads)
    if graph:
        node = new_node(embedding_bag_backward, "embedding_bag")
        node.input0 = edge(w)
        node.i[0], node.i[1], node.i[2], node.i[3] = kind, sparse, V, bool(scale_grad_by_freq)
        save0(node, which)
        if scale is not None:
            node.input1 = edge(scale)
            save1(node, scale)
        if node.input1 is not None:
            save2(node, w)
        node.extra = (start, taps, place, kept_scale)
        attach(y, node)
    return y


cdef int embedding_bag_backward(Node node, Tensor dy) except -1:
    cdef Tensor which = saved0(node), scale = saved1(node), start, taps, place, kept_scale
    cdef Bags bags
    check_unchanged(which, node.i[2])
    start, taps, place, kept_scale = node.extra
    dy = contiguous(dy)
    bags = bags_of(node.i[0], dy, which, start, kept_scale)
    if node.input1 is not None:
        give(node.input1, scale_backward(&bags, dy, contiguous(saved2(node)), scale, place))
    if node.input0 is not None:
        table_backward(node, &bags, dy, taps)
    return 0


cdef Tensor scale_backward(const Bags* bags, Tensor dy, Tensor w, Tensor scale, Tensor place):
    """The gradient of per_sample_weights; that of an index of the padding is 0."""
    cdef Tensor ds
    cdef int threads = bag_threads(bags)
    if place is None:
        ds = new_tensor(dy.dtype_, scale.ndim_, scale.shape_)
    else:
        ds = vector(dy.dtype_, place.size_)
    with nogil:
        bag_scale_backward(bags, dy.ptr, w.ptr, ds.ptr, threads)
    return ds if place is None else put(ds, place, scale)


cdef int table_backward(Node node, const Bags* bags, Tensor dy, Tensor taps) except -1:
    cdef long V = node.i[2], n = bags.start[bags.count]
    cdef size_t group_bytes = embedding_scratch_bytes(n)
    cdef size_t nbytes = group_bytes + bag_scratch_bytes(bags)
    cdef int32_t* tap = <int32_t*>taps.ptr if taps is not None else NULL
    cdef char* scratch = <char*>scratch_take(nbytes)
    cdef RowSums sums
    cdef Grouping g
    try:
        with nogil:
            g = embedding_group(<const char*>bags.which, True, n, V, -1, scratch)
            sums = bag_backward(bags, g, dy.ptr, tap, scratch + group_bytes)
        sums.mean = node.i[3]
        give_table(node.input0, sums, g, V, node.i[1], n)
    finally:
        scratch_give(scratch, nbytes)
    return 0


OPS = [
    op("embedding_bag", embedding_bag, cases="embedding_bag", public=False),
]
