"""Max unpooling: the numbers that a max pooling chose, back at their places among zeros."""

from fastnn._core.autograd cimport Node, attach, edge, give, needs_graph, new_node, save0, saved0
from fastnn._core.checks cimport shape_text
from fastnn._core.layout cimport channels_last, new_channels_last
from fastnn._core.tensor cimport INT64, Tensor, as_tensor, dtype_of, same_shape
from fastnn._kernels.unpool cimport (
    unpool_backward, unpool_forward, unpool_indices_fit, unpool_threads,
)
from fastnn.ops.volume cimport (
    VOLUME, as_volume, reshape_as_given, sizes_of, spatial_dim, spatial_input,
)

from fastnn.ops.registry import op

ctypedef const char* c_string
cdef c_string[4] labels = [b"", b"max_unpool1d", b"max_unpool2d", b"max_unpool3d"]


cdef long positions_of(Tensor volume) noexcept:
    return volume.shape_[2] * volume.shape_[3] * volume.shape_[4]


cdef int check_indices(Tensor indices, long positions, int threads) except -1:
    """Channels-last indices of a volume; only checked ones may go to a kernel."""
    cdef const long long* index = <long long*>indices.ptr
    cdef bint fit
    cdef long k
    with nogil:
        fit = unpool_indices_fit(index, indices.size_, positions, threads)
    if not fit:
        for k in range(indices.size_):
            if not 0 <= index[k] < positions:
                raise IndexError(f"index {index[k]} is outside of an output of {positions} "
                                 "positions")
    return 0


cdef Tensor indices_of(object given, Tensor input, int dims):
    cdef Tensor indices = as_tensor(given, "indices")
    if indices.dtype_ != INT64:
        raise TypeError(f"indices must be int64, got {dtype_of(indices.dtype_).name}")
    if not same_shape(indices, input):
        raise ValueError(f"indices must have the shape of input, {shape_text(input)}, got "
                         f"{shape_text(indices)}")
    return channels_last(as_volume(indices, dims))


cdef int output_shape(Tensor x, int dims, object kernel_size, object stride, object padding,
                      object output_size, Py_ssize_t* shape) except -1:
    """The given size, if a pooling with these windows may have come from it, or the usual one."""
    cdef long[VOLUME] k, s, p
    cdef int first = spatial_dim(dims), d
    cdef long usual
    cdef list sizes = None if output_size is None else list(output_size)
    sizes_of(kernel_size, "kernel_size", dims, 1, 1, k)
    sizes_of(kernel_size if stride is None or stride == () else stride, "stride", dims, 1, 1, s)
    sizes_of(padding, "padding", dims, 0, 0, p)
    if sizes is not None and len(sizes) == dims + 2:
        sizes = sizes[2:]
    if sizes is not None and len(sizes) != dims:
        raise ValueError(f"output_size must have {dims} or {dims + 2} entries, got {output_size!r}")
    shape[0], shape[1], shape[2], shape[4] = x.shape_[0], x.shape_[1], 1, 1
    for d in range(first, first + dims):
        usual = (x.shape_[d] - 1) * s[d] + k[d] - 2 * p[d]
        shape[d] = usual if sizes is None else sizes[d - first].__index__()
        if not usual - s[d] < shape[d] < usual + s[d]:
            raise ValueError(f"output_size {output_size!r}: dimension {d - first} must be between "
                             f"{usual - s[d]} and {usual + s[d]}")
        if shape[d] < 1:
            raise ValueError(f"kernel_size {kernel_size!r}, stride {stride!r} and padding "
                             f"{padding!r} leave nothing of an output of size {shape[d]}")
    return 0


cdef object max_unpool(object given, object given_indices, int dims, object kernel_size,
                       object stride, object padding, object output_size):
    cdef Tensor input = spatial_input(given, dims)
    cdef Tensor x = channels_last(as_volume(input, dims))
    cdef Tensor indices = indices_of(given_indices, input, dims), y
    cdef Py_ssize_t[VOLUME] shape
    cdef long N = x.shape_[0], C = x.shape_[1], P = positions_of(x), Q
    cdef int threads
    cdef Node node
    output_shape(x, dims, kernel_size, stride, padding, output_size, shape)
    y = new_channels_last(x.dtype_, shape, VOLUME)
    Q = positions_of(y)
    threads = unpool_threads(x.dtype_, N, P, Q, C)
    check_indices(indices, Q, threads)
    with nogil:
        unpool_forward(x.dtype_, N, P, Q, C, x.ptr, <long long*>indices.ptr, y.ptr, threads)
    reshape_as_given(y, dims, input.ndim_ == dims + 2)
    if needs_graph(input):
        node = new_node(max_unpool_backward, labels[dims])
        node.input0 = edge(input)
        node.i[0], node.i[1] = dims, input.ndim_ == dims + 2
        save0(node, indices)
        attach(y, node)
    return y


cdef int max_unpool_backward(Node node, Tensor dy) except -1:
    cdef Tensor indices = saved0(node), dx
    cdef int dims = <int>node.i[0], threads
    cdef long N = indices.shape_[0], C = indices.shape_[1], P = positions_of(indices), Q
    if node.input0 is None:
        return 0
    dy = channels_last(as_volume(dy, dims))
    Q = positions_of(dy)
    threads = unpool_threads(dy.dtype_, N, P, Q, C)
    # the array that from_numpy() shares may have changed without a version to tell
    check_indices(indices, Q, threads)
    dx = new_channels_last(dy.dtype_, indices.shape_, VOLUME)
    with nogil:
        unpool_backward(dy.dtype_, N, P, Q, C, dy.ptr, <long long*>indices.ptr, dx.ptr, threads)
    reshape_as_given(dx, dims, node.i[1])
    give(node.input0, dx)
    return 0


# --- public -------------------------------------------------------------------

def max_unpool1d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """max_unpool2d() of sequences (N, C, L) or (C, L).

    >>> x = fastnn.tensor([[[2.0, 9.0, 4.0, 3.0]]])
    >>> y, where = fastnn.nn.functional.max_pool1d(x, 2, return_indices=True)
    >>> fastnn.nn.functional.max_unpool1d(y, where, 2).tolist()
    [[[0.0, 9.0, 4.0, 0.0]]]
    """
    return max_unpool(input, indices, 1, kernel_size, stride, padding, output_size)


def max_unpool2d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Zeros, but input (N, C, H, W) or (C, H, W) at the positions that max_pool2d() with
    return_indices gave; of equal positions the last one counts.

    The windows are those of the pooling. As several sizes are pooled to the same one,
    output_size, or the shape of the pooling's input, may name another than
    (H - 1) * stride + kernel_size - 2 * padding. IndexError: an index outside of it.

    >>> x = fastnn.tensor([[[[2.0, 9.0], [4.0, 3.0]]]])
    >>> y, where = fastnn.nn.functional.max_pool2d(x, 2, return_indices=True)
    >>> fastnn.nn.functional.max_unpool2d(y, where, 2).tolist()
    [[[[0.0, 9.0], [0.0, 0.0]]]]
    """
    return max_unpool(input, indices, 2, kernel_size, stride, padding, output_size)


def max_unpool3d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """max_unpool2d() of volumes (N, C, D, H, W) or (C, D, H, W).

    >>> x = fastnn.arange(8.0).reshape(1, 1, 2, 2, 2)
    >>> y, where = fastnn.nn.functional.max_pool3d(x, 2, return_indices=True)
    >>> fastnn.nn.functional.max_unpool3d(y, where, 2).sum().item()
    7.0
    """
    return max_unpool(input, indices, 3, kernel_size, stride, padding, output_size)


OPS = [
    op("max_unpool1d", max_unpool1d, cases="max_unpool1d", public=False),
    op("max_unpool2d", max_unpool2d, cases="max_unpool2d", public=False),
    op("max_unpool3d", max_unpool3d, cases="max_unpool3d", public=False),
]
