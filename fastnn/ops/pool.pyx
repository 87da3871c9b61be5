"""Max and average pooling of sequences (N, C, L), images (N, C, H, W) and volumes
(N, C, D, H, W), or one of them without N.

All are volumes inside: missing dimensions have size 1. Results and gradients lie
channels-last in memory. What a pooling's windows are, whichever function asked, is
one object with the tables that the kernels read; the node of the graph keeps it, and
of the input nothing but where the maxima stood.
"""

from fastnn._core.autograd cimport Node, attach, edge, give, needs_graph, new_node, save0, saved0
from fastnn._core.layout cimport channels_last, new_channels_last
from fastnn._core.storage cimport Storage, new_storage, scratch_give, scratch_take
from fastnn._core.tensor cimport INT32, INT64, UINT8, Tensor, is_channels_last, new_tensor
from fastnn._kernels.pool cimport (
    pool_axis, pool_axis_bytes, pool_axis_even, pool_axis_sliding, pool_backward, pool_forward,
    pool_offsets, pool_positions, pool_scratch_bytes, pool_threads,
)
from fastnn._kernels.pool_group cimport (
    pool_group_backward, pool_group_bytes, pool_group_forward, pool_grouped,
)
from fastnn._kernels.runtime cimport pool_args
from fastnn.ops.volume cimport (
    VOLUME, as_volume, reshape_as_given, sizes_of, spatial_dim, spatial_input,
)

from fastnn.ops.activation import relu, sign
from fastnn.ops.registry import op


# --- windows ------------------------------------------------------------------

cdef class Windows:
    """The windows of a pooling of x, over `dims` dimensions of a volume."""
    cdef pool_args p
    cdef Storage tables
    cdef Py_ssize_t[VOLUME] x_shape, y_shape
    cdef int dtype, dims
    cdef bint batched, average
    cdef bint grouped                        # several images are taken as one
    cdef Py_ssize_t y_size
    cdef long most_planes, most_rows         # of a window

    cdef pool_axis* axis(self, int d) noexcept:
        return &self.p.d if d == 2 else &self.p.h if d == 3 else &self.p.w

    cdef int take_tables(self, Tensor x, Tensor input, int dims, const long* windows) except -1:
        cdef long nbytes = 0
        cdef int d
        for d in range(VOLUME):
            self.x_shape[d] = self.y_shape[d] = x.shape_[d]
        self.y_size = x.shape_[0] * x.shape_[1]
        for d in range(2, VOLUME):
            self.y_shape[d] = windows[d]
            self.y_size *= windows[d]
            nbytes += pool_axis_bytes(x.shape_[d], windows[d])
        self.dtype, self.dims = x.dtype_, dims
        self.batched = input.ndim_ == dims + 2
        self.p.channels = x.shape_[1]
        self.tables = new_storage(nbytes)
        return 0

    cdef void* tables_of(self, int d) noexcept:
        cdef char* table = self.tables.data
        cdef int before
        for before in range(2, d):
            table += pool_axis_bytes(self.x_shape[before], self.y_shape[before])
        return table

    cdef int count_taps(self) except -1:
        self.most_planes, self.most_rows = most_taps(&self.p.d), most_taps(&self.p.h)
        self.p.tap_row = most_taps(&self.p.w)
        self.p.tap_plane = self.most_rows * self.p.tap_row
        if self.most_planes * self.p.tap_plane > <long>1 << 31:
            raise ValueError(f"windows of {self.most_planes} x {self.most_rows} x "
                             f"{self.p.tap_row} are too large")
        self.p.tap_bytes = 1 if self.most_planes * self.p.tap_plane <= 256 else 4
        return 0


cdef long most_taps(const pool_axis* axis) noexcept:
    cdef long most = 0, o
    for o in range(axis.windows):
        most = max(most, <long>axis.count[o])
    return most


cdef long windows_along(long size, long kernel, long stride, long padding, long dilation,
                        bint ceil_mode) except -1:
    cdef long room = size + 2 * padding - dilation * (kernel - 1) - 1, windows
    if 2 * padding > kernel:
        raise ValueError("padding must be at most half of the kernel size, "
                         f"got {padding} for {kernel}")
    if room < 0:
        raise ValueError(f"a window of {dilation * (kernel - 1) + 1} is larger than the input: "
                         f"{size} with padding {padding} on both sides")
    windows = (room + (stride - 1 if ceil_mode else 0)) // stride + 1
    if ceil_mode and (windows - 1) * stride >= size + padding:
        windows -= 1        # it would begin in the padding behind the input
    return windows


cdef Windows sliding(Tensor x, Tensor input, int dims, object kernel_size, object stride,
                     object padding, object dilation, bint ceil_mode, bint count_padding):
    cdef Windows windows = Windows.__new__(Windows)
    cdef long[VOLUME] k, s, p, dil, out
    cdef int d
    sizes_of(kernel_size, "kernel_size", dims, 1, 1, k)
    sizes_of(kernel_size if stride is None or stride == () else stride, "stride", dims, 1, 1, s)
    sizes_of(padding, "padding", dims, 0, 0, p)
    sizes_of(dilation, "dilation", dims, 1, 1, dil)
    for d in range(2, VOLUME):
        if max(k[d], s[d], p[d], dil[d]) >= <long>1 << 31 or k[d] * dil[d] >= <long>1 << 31:
            raise ValueError(f"kernel_size {kernel_size!r}, stride {stride!r}, padding {padding!r} "
                             f"or dilation {dilation!r} is too large")
        out[d] = windows_along(x.shape_[d], k[d], s[d], p[d], dil[d], ceil_mode)
    windows.take_tables(x, input, dims, out)
    for d in range(2, VOLUME):
        pool_axis_sliding(windows.axis(d), windows.tables_of(d), x.shape_[d], out[d], k[d], s[d],
                          p[d], dil[d], count_padding)
    windows.count_taps()
    return windows


cdef Windows evenly(Tensor x, Tensor input, int dims, object output_size):
    cdef Windows windows = Windows.__new__(Windows)
    cdef long[VOLUME] out
    cdef tuple entries = (output_size,)
    cdef int d, first = spatial_dim(dims)
    if isinstance(output_size, (tuple, list)):
        entries = tuple(output_size)
    if len(entries) == 1:
        entries *= dims
    sizes_of([x.shape_[min(first + k, VOLUME - 1)] if size is None else size
              for k, size in enumerate(entries)], "output_size", dims, 1, 1, out)
    windows.take_tables(x, input, dims, out)
    for d in range(2, VOLUME):
        pool_axis_even(windows.axis(d), windows.tables_of(d), x.shape_[d], out[d])
    windows.count_taps()
    return windows


# --- forward and backward -------------------------------------------------------

cdef Tensor pooled(Windows windows, Tensor x, Tensor taps):
    cdef const pool_args* p = &windows.p
    cdef Tensor y = new_channels_last(x.dtype_, windows.y_shape, VOLUME)
    cdef bint direct = is_channels_last(x), average = windows.average
    cdef int threads = pool_threads(p, x.dtype_, x.shape_[0])
    cdef size_t nbytes = 0
    if windows.grouped:
        nbytes = threads * pool_group_bytes(p, x.dtype_, False)
    elif not direct:
        nbytes = threads * pool_scratch_bytes(p, x.dtype_)
    cdef void* scratch = scratch_take(nbytes)
    cdef char* taps_data = NULL if taps is None else taps.ptr
    if windows.grouped:
        with nogil:
            pool_group_forward(p, x.dtype_, average, x.shape_[0], x.ptr, x.strides_, y.ptr,
                               taps_data, <char*>scratch, threads)
    elif threads > 1:
        with nogil:
            pool_forward(p, x.dtype_, average, x.shape_[0], x.ptr, x.strides_, direct,
                         y.ptr, taps_data, <char*>scratch, threads)
    else:
        pool_forward(p, x.dtype_, average, x.shape_[0], x.ptr, x.strides_, direct,
                     y.ptr, taps_data, <char*>scratch, 1)
    scratch_give(scratch, nbytes)
    reshape_as_given(y, windows.dims, windows.batched)
    return y


cdef Tensor positions(Windows windows, Tensor taps):
    """Where in a plane or volume of x the maxima stand."""
    cdef const pool_args* p = &windows.p
    cdef Tensor y = new_channels_last(INT64, windows.y_shape, VOLUME)
    cdef size_t nbytes = windows.most_planes * p.tap_plane * sizeof(long long)
    cdef long long* offsets = <long long*>scratch_take(nbytes)
    cdef long N = windows.x_shape[0]
    cdef int threads = pool_threads(p, windows.dtype, N)
    with nogil:
        pool_offsets(p, windows.most_planes, windows.most_rows, offsets)
        pool_positions(p, N, taps.ptr, offsets, <long long*>y.ptr, threads)
    scratch_give(offsets, nbytes)
    reshape_as_given(y, windows.dims, windows.batched)
    return y


cdef int backward_into(Node node, Tensor taps, Tensor dy) except -1:
    cdef Windows windows = <Windows>node.extra
    cdef const pool_args* p = &windows.p
    cdef Tensor dx = new_channels_last(windows.dtype, windows.x_shape, VOLUME)
    cdef char* taps_data = NULL if taps is None else taps.ptr
    cdef bint average = windows.average
    cdef long N = windows.x_shape[0]
    cdef int threads = pool_threads(p, windows.dtype, N)
    cdef size_t nbytes = 0
    cdef void* scratch
    dy = as_volume(dy, windows.dims)
    if windows.grouped:
        nbytes = threads * pool_group_bytes(p, windows.dtype, True)
        scratch = scratch_take(nbytes)
        with nogil:
            pool_group_backward(p, windows.dtype, average, N, dy.ptr, dy.strides_, taps_data,
                                dx.ptr, <char*>scratch, threads)
        scratch_give(scratch, nbytes)
    elif threads > 1:
        dy = channels_last(dy)
        with nogil:
            pool_backward(p, windows.dtype, average, N, dy.ptr, taps_data, dx.ptr, threads)
    else:
        dy = channels_last(dy)
        pool_backward(p, windows.dtype, average, N, dy.ptr, taps_data, dx.ptr, 1)
    reshape_as_given(dx, windows.dims, windows.batched)
    give(node.input0, dx)
    return 0


ctypedef const char* c_string
cdef c_string[4] max_labels = [b"", b"max_pool1d", b"max_pool2d", b"max_pool3d"]
cdef c_string[4] avg_labels = [b"", b"avg_pool1d", b"avg_pool2d", b"avg_pool3d"]


cdef object max_over(Tensor input, Tensor x, Windows windows, bint return_indices):
    cdef Tensor y, taps = None
    cdef Node node
    cdef bint graph = needs_graph(input)
    # positions are those of taps in the order of y
    windows.grouped = not return_indices and pool_grouped(&windows.p, x.dtype_, x.shape_[0])
    if graph or return_indices:
        taps = new_tensor(UINT8 if windows.p.tap_bytes == 1 else INT32, 1, &windows.y_size)
    else:
        windows.p.tap_bytes = 0
    y = pooled(windows, x, taps)
    if graph:
        node = new_node(max_pool_backward, max_labels[windows.dims])
        node.input0 = edge(input)
        node.extra = windows
        save0(node, taps)
        attach(y, node)
    return (y, positions(windows, taps)) if return_indices else y


cdef int max_pool_backward(Node node, Tensor dy) except -1:
    if node.input0 is not None:
        backward_into(node, saved0(node), dy)
    return 0


cdef object avg_over(Tensor input, Tensor x, Windows windows):
    cdef Tensor y
    cdef Node node
    windows.average = True
    windows.grouped = pool_grouped(&windows.p, x.dtype_, x.shape_[0])
    y = pooled(windows, x, None)
    if needs_graph(input):
        node = new_node(avg_pool_backward, avg_labels[windows.dims])
        node.input0 = edge(input)
        node.extra = windows
        attach(y, node)
    return y


cdef int avg_pool_backward(Node node, Tensor dy) except -1:
    if node.input0 is not None:
        backward_into(node, None, dy)
    return 0


# --- of any number of dimensions ----------------------------------------------

cdef object max_pool(object given, int dims, object kernel_size, object stride, object padding,
                     object dilation, bint ceil_mode, bint return_indices):
    cdef Tensor input = spatial_input(given, dims), x = as_volume(input, dims)
    return max_over(input, x, sliding(x, input, dims, kernel_size, stride, padding, dilation,
                                      ceil_mode, False), return_indices)


cdef object avg_pool(object given, int dims, object kernel_size, object stride, object padding,
                     bint ceil_mode, bint count_include_pad, object divisor_override):
    cdef Tensor input = spatial_input(given, dims), x = as_volume(input, dims)
    cdef Windows windows = sliding(x, input, dims, kernel_size, stride, padding, 1, ceil_mode,
                                   count_include_pad)
    if divisor_override is not None:
        if divisor_override == 0:
            raise ValueError("divisor_override must not be 0")
        override(&windows.p.d, 1.0)
        override(&windows.p.h, 1.0 / divisor_override)
        override(&windows.p.w, 1.0)
    return avg_over(input, x, windows)


cdef void override(pool_axis* axis, double share) noexcept:
    cdef long o
    for o in range(axis.windows):
        (<double*>axis.share)[o] = share


cdef object adaptive_max_pool(object given, int dims, object output_size, bint return_indices):
    cdef Tensor input = spatial_input(given, dims), x = as_volume(input, dims)
    return max_over(input, x, evenly(x, input, dims, output_size), return_indices)


cdef object adaptive_avg_pool(object given, int dims, object output_size):
    cdef Tensor input = spatial_input(given, dims), x = as_volume(input, dims)
    return avg_over(input, x, evenly(x, input, dims, output_size))


cdef object lp_pool(object given, int dims, object norm_type, object kernel_size, object stride,
                    bint ceil_mode):
    """The gradient of a sum of 0 is 0: sign() and relu() stop the infinity of the root's."""
    cdef long[VOLUME] k
    cdef object mean
    if norm_type == 0:
        raise ValueError("norm_type must not be 0")
    sizes_of(kernel_size, "kernel_size", dims, 1, 1, k)
    spatial_input(given, dims)
    mean = avg_pool(given ** norm_type, dims, kernel_size, stride, 0, ceil_mode, True, None)
    return (sign(mean) * relu(mean.abs()) * (k[2] * k[3] * k[4])) ** (1.0 / norm_type)


# --- public -------------------------------------------------------------------

def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
               return_indices=False):
    """max_pool2d() of sequences (N, C, L) or (C, L).

    >>> x = fastnn.arange(6.0).reshape(1, 1, 6)
    >>> fastnn.nn.functional.max_pool1d(x, 2).tolist()
    [[[1.0, 3.0, 5.0]]]
    """
    return max_pool(input, 1, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
               return_indices=False):
    """The largest number in each window of (N, C, H, W) or (C, H, W).

    A window moves by stride (default: kernel_size); padding counts as minus
    infinity. With return_indices, also the position h * W + w of each maximum:
    the first of equal ones. A NaN in a window is its maximum.

    >>> x = fastnn.arange(16.0).reshape(1, 1, 4, 4)
    >>> fastnn.nn.functional.max_pool2d(x, 2).tolist()
    [[[[5.0, 7.0], [13.0, 15.0]]]]
    """
    return max_pool(input, 2, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
               return_indices=False):
    """max_pool2d() of volumes (N, C, D, H, W) or (C, D, H, W); positions are
    (d * H + h) * W + w.

    >>> x = fastnn.arange(8.0).reshape(1, 1, 2, 2, 2)
    >>> fastnn.nn.functional.max_pool3d(x, 2).item()
    7.0
    """
    return max_pool(input, 3, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False,
               count_include_pad=True):
    """avg_pool2d() of sequences (N, C, L) or (C, L).

    >>> x = fastnn.arange(6.0).reshape(1, 1, 6)
    >>> fastnn.nn.functional.avg_pool1d(x, 2).tolist()
    [[[0.5, 2.5, 4.5]]]
    """
    return avg_pool(input, 1, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False,
               count_include_pad=True, divisor_override=None):
    """The mean of each window of (N, C, H, W) or (C, H, W).

    A window moves by stride (default: kernel_size). The sum is divided by the
    window's size, padding (of zeros) included unless count_include_pad is false;
    or by divisor_override.

    >>> x = fastnn.arange(16.0).reshape(1, 1, 4, 4)
    >>> fastnn.nn.functional.avg_pool2d(x, 2).tolist()
    [[[[2.5, 4.5], [10.5, 12.5]]]]
    """
    return avg_pool(input, 2, kernel_size, stride, padding, ceil_mode, count_include_pad,
                    divisor_override)


def avg_pool3d(input, kernel_size, stride=None, padding=0, ceil_mode=False,
               count_include_pad=True, divisor_override=None):
    """avg_pool2d() of volumes (N, C, D, H, W) or (C, D, H, W).

    >>> x = fastnn.arange(8.0).reshape(1, 1, 2, 2, 2)
    >>> fastnn.nn.functional.avg_pool3d(x, 2).item()
    3.5
    """
    return avg_pool(input, 3, kernel_size, stride, padding, ceil_mode, count_include_pad,
                    divisor_override)


def adaptive_max_pool1d(input, output_size, return_indices=False):
    """adaptive_max_pool2d() of sequences (N, C, L) or (C, L).

    >>> x = fastnn.arange(6.0).reshape(1, 1, 6)
    >>> fastnn.nn.functional.adaptive_max_pool1d(x, 2).tolist()
    [[[2.0, 5.0]]]
    """
    return adaptive_max_pool(input, 1, output_size, return_indices)


def adaptive_max_pool2d(input, output_size, return_indices=False):
    """The largest number in each of output_size (rows, columns; None: as many as there
    are) even parts of (N, C, H, W) or (C, H, W); parts share their borders where they
    must. With return_indices, also their positions, as in max_pool2d().

    >>> x = fastnn.arange(16.0).reshape(1, 1, 4, 4)
    >>> fastnn.nn.functional.adaptive_max_pool2d(x, 2).tolist()
    [[[[5.0, 7.0], [13.0, 15.0]]]]
    """
    return adaptive_max_pool(input, 2, output_size, return_indices)


def adaptive_max_pool3d(input, output_size, return_indices=False):
    """adaptive_max_pool2d() of volumes (N, C, D, H, W) or (C, D, H, W).

    >>> x = fastnn.arange(8.0).reshape(1, 1, 2, 2, 2)
    >>> fastnn.nn.functional.adaptive_max_pool3d(x, (2, 1, 1)).flatten().tolist()
    [3.0, 7.0]
    """
    return adaptive_max_pool(input, 3, output_size, return_indices)


def adaptive_avg_pool1d(input, output_size):
    """adaptive_avg_pool2d() of sequences (N, C, L) or (C, L).

    >>> x = fastnn.arange(6.0).reshape(1, 1, 6)
    >>> fastnn.nn.functional.adaptive_avg_pool1d(x, 2).tolist()
    [[[1.0, 4.0]]]
    """
    return adaptive_avg_pool(input, 1, output_size)


def adaptive_avg_pool2d(input, output_size):
    """The mean of each of output_size (rows, columns; None: as many as there are) even
    parts of (N, C, H, W) or (C, H, W); parts share their borders where they must.

    >>> x = fastnn.arange(16.0).reshape(1, 1, 4, 4)
    >>> fastnn.nn.functional.adaptive_avg_pool2d(x, 1).item()
    7.5
    """
    return adaptive_avg_pool(input, 2, output_size)


def adaptive_avg_pool3d(input, output_size):
    """adaptive_avg_pool2d() of volumes (N, C, D, H, W) or (C, D, H, W).

    >>> x = fastnn.arange(8.0).reshape(1, 1, 2, 2, 2)
    >>> fastnn.nn.functional.adaptive_avg_pool3d(x, 1).item()
    3.5
    """
    return adaptive_avg_pool(input, 3, output_size)


def lp_pool1d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """lp_pool2d() of sequences (N, C, L) or (C, L).

    >>> x = fastnn.tensor([[[3.0, 4.0, 0.0, 2.0]]])
    >>> fastnn.nn.functional.lp_pool1d(x, 2, 2).tolist()
    [[[5.0, 2.0]]]
    """
    return lp_pool(input, 1, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """The root (sum of x ** norm_type) ** (1 / norm_type) over each window of
    (N, C, H, W) or (C, H, W); where ceil_mode cuts a window, its mean counts for the rest.

    >>> x = fastnn.tensor([[[[3.0, 4.0], [0.0, 0.0]]]])
    >>> fastnn.nn.functional.lp_pool2d(x, 2, 2).item()
    5.0
    """
    return lp_pool(input, 2, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """lp_pool2d() of volumes (N, C, D, H, W) or (C, D, H, W).

    >>> x = fastnn.tensor([3.0, 4.0, 0.0, 0.0]).reshape(1, 1, 1, 2, 2)
    >>> fastnn.nn.functional.lp_pool3d(x, 2, (1, 2, 2)).item()
    5.0
    """
    return lp_pool(input, 3, norm_type, kernel_size, stride, ceil_mode)


OPS = [
    op("max_pool1d", max_pool1d, cases="max_pool1d", public=False),
    op("max_pool2d", max_pool2d, cases="max_pool2d", public=False),
    op("max_pool3d", max_pool3d, cases="max_pool3d", public=False),
    op("avg_pool1d", avg_pool1d, cases="avg_pool1d", public=False),
    op("avg_pool2d", avg_pool2d, cases="avg_pool2d", public=False),
    op("avg_pool3d", avg_pool3d, cases="avg_pool3d", public=False),
    op("adaptive_max_pool1d", adaptive_max_pool1d, cases="adaptive_pool1d", public=False),
    op("adaptive_max_pool2d", adaptive_max_pool2d, cases="adaptive_pool2d", public=False),
    op("adaptive_max_pool3d", adaptive_max_pool3d, cases="adaptive_pool3d", public=False),
    op("adaptive_avg_pool1d", adaptive_avg_pool1d, cases="adaptive_pool1d", public=False),
    op("adaptive_avg_pool2d", adaptive_avg_pool2d, cases="adaptive_pool2d", public=False),
    op("adaptive_avg_pool3d", adaptive_avg_pool3d, cases="adaptive_pool3d", public=False),
    op("lp_pool1d", lp_pool1d, cases="lp_pool1d", public=False),
    op("lp_pool2d", lp_pool2d, cases="lp_pool2d", public=False),
    op("lp_pool3d", lp_pool3d, cases="lp_pool3d", public=False),
]
