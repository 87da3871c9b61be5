"""Rows of a table by index: the first layer of models over words and categories."""

from fastnn._core.autograd cimport Node, attach, edge, give, needs_graph, new_node, save0, saved0
from fastnn._core.checks cimport check_float, shape_text
from fastnn._core.layout cimport contiguous
from fastnn._core.storage cimport scratch_give, scratch_take
from fastnn._core.tensor cimport INT32, INT64, MAX_NDIM, Tensor, as_tensor, dtype_of, new_tensor
from fastnn._kernels.embedding cimport (
    embedding_first_bad, embedding_gather, embedding_scatter, embedding_scratch_bytes,
    embedding_threads,
)
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


def embedding(input, weight, padding_idx=None, max_norm=None, norm_type=2.0,
              scale_grad_by_freq=False, sparse=False):
    """weight[input]: for each index the row of weight (V, D), shape (*input.shape, D).

    The row padding_idx gets no gradient. max_norm, scale_grad_by_freq and sparse are
    not supported.

    >>> table = fastnn.tensor([[0.0, 1.0], [2.0, 3.0]])
    >>> fastnn.nn.functional.embedding(fastnn.tensor([1, 0, 1]), table).tolist()
    [[2.0, 3.0], [0.0, 1.0], [2.0, 3.0]]
    """
    cdef Tensor w = as_tensor(weight, "weight"), x, y, table
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef long V, D, padding = -1
    cdef int d, threads
    cdef Node node
    check_float(w, "weight")
    if w.ndim_ != 2:
        raise ValueError(f"weight must have shape (rows, columns), got {shape_text(w)}")
    if max_norm is not None or scale_grad_by_freq or sparse:
        raise NotImplementedError("max_norm, scale_grad_by_freq and sparse are not supported")
    V, D = w.shape_[0], w.shape_[1]
    if padding_idx is not None:
        padding = padding_idx.__index__()
        if not -V <= padding < V:
            raise ValueError(f"padding_idx {padding} is out of range for a table of {V} rows")
        padding += V if padding < 0 else 0
    x = checked_indices(input, V)
    if x.ndim_ == MAX_NDIM:
        raise ValueError(f"input may have at most {MAX_NDIM - 1} dimensions, got {x.ndim_}")
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
        node.i[0], node.i[1], node.i[2] = V, D, padding
        save0(node, x)
        attach(y, node)
    return y


cdef int embedding_backward(Node node, Tensor dy) except -1:
    cdef Tensor x = saved0(node), dw
    cdef long V = node.i[0], D = node.i[1], padding = node.i[2], bad
    cdef Py_ssize_t[2] shape = [V, D]
    cdef int threads
    cdef size_t nbytes = embedding_scratch_bytes(x.size_, V)
    cdef char* scratch
    # the array that from_numpy() shares may have changed without a version to tell
    bad = embedding_first_bad(x.ptr, x.dtype_ == INT64, x.size_, V)
    if bad >= 0:
        raise IndexError(f"element {bad} of the indices of an embedding was changed, to one out of "
                         f"range for a table of {V} rows")
    dy = contiguous(dy)
    dw = new_tensor(dy.dtype_, 2, shape)
    threads = embedding_threads(x.size_ + V, D, dy.dtype_)
    scratch = <char*>scratch_take(nbytes)
    with nogil:
        embedding_scatter(dy.dtype_, x.ptr, x.dtype_ == INT64, x.size_, dy.ptr, V, D, padding,
                          scratch, dw.ptr, threads)
    scratch_give(scratch, nbytes)
    give(node.input0, dw)
    return 0


OPS = [
    op("embedding", embedding, cases="embedding", public=False),
]
