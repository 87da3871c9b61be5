"""Rows of a table by index: the first layer of models over words and categories.

The gradient of the table is dense, or holds only the rows used (sparse=True).
"""

from libc.stdint cimport int64_t
from libc.string cimport memcpy

from fastnn._core.autograd cimport (
    Node, attach, begin_inplace, edge, give, give_rows, needs_graph, new_node, save0, saved0,
)
from fastnn._core.checks cimport check_float, shape_text
from fastnn._core.layout cimport contiguous
from fastnn._core.sparse cimport new_sparse_rows
from fastnn._core.storage cimport scratch_give, scratch_take
from fastnn._core.tensor cimport (
    INT32, INT64, MAX_NDIM, Tensor, as_tensor, copy_into, dtype_of, new_tensor,
)
from fastnn._kernels.embedding cimport (
    Grouping, RowSums, embedding_first_bad, embedding_gather, embedding_group, embedding_renorm,
    embedding_rows, embedding_scatter, embedding_scratch_bytes, embedding_threads,
)

from fastnn._core.autograd import no_grad
from fastnn.ops.registry import op


cdef Tensor checked_indices(object input, long V):
    """The indices, contiguous and within the table."""
    cdef Tensor x = as_tensor(input, "input")
    cdef long bad
    if x.dtype_ != INT64 and x.dtype_ != INT32:
        raise TypeError(f"input must hold int64 or int32 indices, got {dtype_of(x.dtype_).name}")
    x = contiguous(x)
    bad = embedding_first_bad(x.ptr, x.dtype_ == INT64, x.size_, V)
    if bad >= 0:
        value = (<long long*>x.ptr)[bad] if x.dtype_ == INT64 else (<int*>x.ptr)[bad]
        raise IndexError(f"index {value} (element {bad} of input {shape_text(x)}) is out of range "
                         f"for a table of {V} rows")
    return x


cdef Tensor checked_table(object weight, bint sparse):
    cdef Tensor w = as_tensor(weight, "weight")
    check_float(w, "weight")
    if w.ndim_ != 2:
        raise ValueError(f"weight must have shape (rows, columns), got {shape_text(w)}")
    if sparse and w.node is not None and needs_graph(w):
        raise ValueError("sparse=True needs a weight that is a leaf: its gradient cannot pass "
                         f"through {w.node!r}")
    return w


cdef long checked_padding(object padding_idx, long V) except -2:
    """The row without a gradient, or -1."""
    cdef long padding
    if padding_idx is None:
        return -1
    padding = padding_idx.__index__()
    if not -V <= padding < V:
        raise ValueError(f"padding_idx {padding} is out of range for a table of {V} rows")
    return padding + V if padding < 0 else padding


cdef int renorm(Tensor w, Tensor x, object max_norm, object norm_type) except -1:
    cdef double limit, p = norm_type
    cdef int threads
    cdef size_t nbytes = embedding_scratch_bytes(x.size_)
    cdef Tensor table
    cdef char* scratch
    cdef Grouping g
    if max_norm is None:
        return 0
    limit = max_norm
    if not limit >= 0:
        raise ValueError(f"max_norm must not be negative, got {max_norm}")
    if not p > 0:
        raise ValueError(f"norm_type must be greater than 0, got {norm_type}")
    with no_grad():
        begin_inplace(w, False)
    table = contiguous(w)
    threads = embedding_threads(2 * x.size_, w.shape_[1], w.dtype_)
    scratch = <char*>scratch_take(nbytes)
    with nogil:
        g = embedding_group(x.ptr, x.dtype_ == INT64, x.size_, w.shape_[0], -1, scratch)
        embedding_renorm(w.dtype_, g, w.shape_[1], p, limit, table.ptr, threads)
    scratch_give(scratch, nbytes)
    if table is not w:
        copy_into(w, table)
    return 0


cdef int check_unchanged(Tensor x, long V) except -1:
    """The array that from_numpy() shares may have changed without a version to tell."""
    cdef long bad = embedding_first_bad(x.ptr, x.dtype_ == INT64, x.size_, V)
    if bad >= 0:
        raise IndexError(f"element {bad} of the indices of an embedding was changed, to one out of "
                         f"range for a table of {V} rows")
    return 0


def embedding(input, weight, padding_idx=None, max_norm=None, norm_type=2.0,
              scale_grad_by_freq=False, sparse=False):
    """weight[input]: for each index the row of weight (V, D), shape (*input.shape, D).

    The row padding_idx gets no gradient. With max_norm, rows used whose norm (norm_type: its p)
    is larger are first scaled down to it, in place. With scale_grad_by_freq, the gradient of a
    row is divided by how often it was used. With sparse=True the gradient of weight, a leaf,
    holds only the rows used.

    >>> table = fastnn.tensor([[0.0, 1.0], [2.0, 3.0]])
    >>> fastnn.nn.functional.embedding(fastnn.tensor([1, 0, 1]), table).tolist()
    [[2.0, 3.0], [0.0, 1.0], [2.0, 3.0]]
    """
    cdef Tensor w = checked_table(weight, sparse), x, y, table
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef long V = w.shape_[0], D = w.shape_[1], padding = checked_padding(padding_idx, V)
    cdef int d, threads
    cdef Node node
    x = checked_indices(input, V)
    if x.ndim_ == MAX_NDIM:
        raise ValueError(f"input may have at most {MAX_NDIM - 1} dimensions, got {x.ndim_}")
    renorm(w, x, max_norm, norm_type)
    for d in range(x.ndim_):
        shape[d] = x.shape_[d]
    shape[x.ndim_] = D

    y = new_tensor(w.dtype_, x.ndim_ + 1, shape)
    table = contiguous(w)
    threads = embedding_threads(x.size_, D, w.dtype_)
    with nogil:
        embedding_gather(w.dtype_, x.ptr, x.dtype_ == INT64, x.size_, table.ptr, D, y.ptr, threads)
    if needs_graph(w):
        node = new_node(embedding_backward, "embedding")
        node.input0 = edge(w)
        node.i[0], node.i[1], node.i[2], node.i[3] = V, D, padding, sparse
        node.p[0] = bool(scale_grad_by_freq)
        save0(node, x)
        attach(y, node)
    return y


cdef int embedding_backward(Node node, Tensor dy) except -1:
    cdef Tensor x = saved0(node)
    cdef long V = node.i[0], padding = node.i[2]
    cdef size_t nbytes = embedding_scratch_bytes(x.size_)
    cdef char* scratch
    cdef RowSums sums
    cdef Grouping g
    check_unchanged(x, V)
    dy = contiguous(dy)
    scratch = <char*>scratch_take(nbytes)
    try:
        with nogil:
            g = embedding_group(x.ptr, x.dtype_ == INT64, x.size_, V, padding, scratch)
        sums.x, sums.which, sums.scale, sums.order, sums.taps = dy.ptr, g.place, NULL, NULL, NULL
        sums.dtype, sums.D, sums.mean = dy.dtype_, node.i[1], node.p[0] != 0
        give_table(node.input0, sums, g, V, node.i[3], x.size_)
    finally:
        scratch_give(scratch, nbytes)
    return 0


cdef int give_table(object where, RowSums sums, Grouping g, long V, bint sparse,
                    long n) except -1:
    """Add up the gradient of a table (V, D) and hand it on, sparse or dense."""
    cdef Py_ssize_t[2] shape = [g.rows if sparse else V, sums.D]
    cdef Tensor dw = new_tensor(sums.dtype, 2, shape), index
    cdef int threads = embedding_threads(n + shape[0], sums.D, sums.dtype)
    if not sparse:
        with nogil:
            embedding_scatter(sums, g, V, dw.ptr, threads)
        give(where, dw)
        return 0
    index = new_tensor(INT64, 1, shape)
    memcpy(index.ptr, g.row, g.rows * sizeof(int64_t))
    with nogil:
        embedding_rows(sums, g, dw.ptr, threads)
    give_rows(<Tensor>where, new_sparse_rows(index, dw, V))
    return 0


OPS = [
    op("embedding", embedding, cases="embedding", public=False),
]
