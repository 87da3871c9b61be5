"""Max and average pooling over the last two dimensions of (N, C, H, W) or (C, H, W).

Results and gradients lie channels-last in memory. What a pooling's windows are,
whichever function asked, is one object with the tables that the kernels read;
the node of the graph keeps it, and of the input nothing but where the maxima stood.
"""

from fastnn._core.autograd cimport Node, attach, edge, give, needs_graph, new_node, save0, saved0
from fastnn._core.checks cimport check_float, shape_text
from fastnn._core.layout cimport channels_last, new_channels_last
from fastnn._core.storage cimport Storage, new_storage, scratch_give, scratch_take
from fastnn._core.tensor cimport (
    INT32, INT64, UINT8, Tensor, alias, as_tensor, is_channels_last, new_tensor,
)
from fastnn._kernels.pool cimport (
    pool_axis, pool_axis_bytes, pool_axis_even, pool_axis_sliding, pool_backward, pool_forward,
    pool_positions, pool_scratch_bytes, pool_threads,
)
from fastnn._kernels.runtime cimport pool_args
from fastnn.ops.registry import op


# --- arguments ----------------------------------------------------------------

cdef int pair(object value, str name, long least, long* out) except -1:
    """An int, or one for the rows and one for the columns."""
    cdef tuple entries = (value,) if isinstance(value, int) else tuple(value)
    if len(entries) not in (1, 2):
        raise ValueError(f"{name} must be one int or two, got {value!r}")
    out[0] = entries[0].__index__()
    out[1] = entries[len(entries) - 1].__index__()
    if out[0] < least or out[1] < least:
        raise ValueError(f"{name} must be at least {least}, got {value!r}")
    return 0


cdef Tensor images(object input):
    """The input with its four dimensions: a single image becomes a batch of one."""
    cdef Tensor x = as_tensor(input, "input")
    cdef int d
    check_float(x, "input")
    if x.ndim_ == 3:
        x = with_batch(x)
    if x.ndim_ != 4:
        raise ValueError(f"input must have shape (N, C, H, W) or (C, H, W), got {shape_text(x)}")
    for d in range(1, 4):
        if x.shape_[d] == 0:
            raise ValueError(f"only the batch may be empty, got shape {shape_text(x)}")
    return x


cdef Tensor with_batch(Tensor image):
    cdef Tensor x = alias(image)
    cdef int d
    for d in range(3, 0, -1):
        x.shape_[d] = x.shape_[d - 1]
        x.strides_[d] = x.strides_[d - 1]
    x.ndim_ = 4
    x.shape_[0] = 1
    x.strides_[0] = x.size_
    return x


cdef Tensor without_batch(Tensor x):
    cdef Tensor image = alias(x)
    cdef int d
    for d in range(3):
        image.shape_[d] = image.shape_[d + 1]
        image.strides_[d] = image.strides_[d + 1]
    image.ndim_ = 3
    return image


# --- windows ------------------------------------------------------------------

cdef class Windows:
    cdef pool_args p
    cdef Storage tables
    cdef Py_ssize_t[4] x_shape, y_shape
    cdef int dtype
    cdef bint batched
    cdef bint average

    cdef int take_tables(self, Tensor x, long OH, long OW, bint batched) except -1:
        cdef int d
        for d in range(4):
            self.x_shape[d] = self.y_shape[d] = x.shape_[d]
        self.y_shape[2], self.y_shape[3] = OH, OW
        self.dtype = x.dtype_
        self.batched = batched
        self.p.channels = x.shape_[1]
        self.tables = new_storage(pool_axis_bytes(x.shape_[2], OH)
                                  + pool_axis_bytes(x.shape_[3], OW))
        return 0

    cdef void* tables_of(self, int d) noexcept:
        cdef long rows = pool_axis_bytes(self.x_shape[2], self.y_shape[2])
        return self.tables.data + (0 if d == 2 else rows)

    cdef int count_taps(self) except -1:
        cdef long o, rows = 0
        self.p.tap_row = 0
        for o in range(self.p.w.windows):
            self.p.tap_row = max(self.p.tap_row, <long>self.p.w.count[o])
        for o in range(self.p.h.windows):
            rows = max(rows, <long>self.p.h.count[o])
        if rows * self.p.tap_row > <long>1 << 31:
            raise ValueError(f"windows of {rows} x {self.p.tap_row} are too large")
        self.p.tap_bytes = 1 if rows * self.p.tap_row <= 256 else 4
        return 0


cdef long windows_along(long size, long kernel, long stride, long padding, long dilation,
                        bint ceil_mode) except -1:
    cdef long room = size + 2 * padding - dilation * (kernel - 1) - 1, windows
    if 2 * padding > kernel:
        raise ValueError("padding must be at most half of the kernel size, "
                         f"got {padding} for {kernel}")
    if room < 0:
        raise ValueError(f"a window of {dilation * (kernel - 1) + 1} is larger than the image: "
                         f"{size} with padding {padding} on both sides")
    windows = (room + (stride - 1 if ceil_mode else 0)) // stride + 1
    if ceil_mode and (windows - 1) * stride >= size + padding:
        windows -= 1        # it would begin in the padding behind the image
    return windows


cdef Windows sliding(Tensor x, bint batched, object kernel_size, object stride, object padding,
                     object dilation, bint ceil_mode, bint count_padding):
    cdef Windows windows = Windows.__new__(Windows)
    cdef long[2] k, s, p, dil, out
    cdef int d
    pair(kernel_size, "kernel_size", 1, k)
    pair(kernel_size if stride is None or stride == () else stride, "stride", 1, s)
    pair(padding, "padding", 0, p)
    pair(dilation, "dilation", 1, dil)
    for d in range(2):
        if max(k[d], s[d], p[d], dil[d]) >= <long>1 << 31 or k[d] * dil[d] >= <long>1 << 31:
            raise ValueError(f"kernel_size {kernel_size!r}, stride {stride!r}, padding {padding!r} "
                             f"or dilation {dilation!r} is too large")
        out[d] = windows_along(x.shape_[2 + d], k[d], s[d], p[d], dil[d], ceil_mode)
    windows.take_tables(x, out[0], out[1], batched)
    for d in range(2):
        pool_axis_sliding(&windows.p.h if d == 0 else &windows.p.w, windows.tables_of(2 + d),
                          x.shape_[2 + d], out[d], k[d], s[d], p[d], dil[d], count_padding)
    windows.count_taps()
    return windows


cdef Windows evenly(Tensor x, bint batched, object output_size):
    cdef Windows windows = Windows.__new__(Windows)
    cdef long[2] out
    cdef tuple entries = (output_size,)
    cdef int d
    if isinstance(output_size, (tuple, list)):
        entries = tuple(output_size)
    if len(entries) == 1:
        entries *= 2
    pair([x.shape_[2 + k] if size is None else size for k, size in enumerate(entries)],
         "output_size", 1, out)
    windows.take_tables(x, out[0], out[1], batched)
    for d in range(2):
        pool_axis_even(&windows.p.h if d == 0 else &windows.p.w, windows.tables_of(2 + d),
                       x.shape_[2 + d], out[d])
    windows.count_taps()
    return windows


# --- forward and backward -------------------------------------------------------

cdef int run_forward(Windows windows, Tensor x, Tensor y, Tensor taps) except -1:
    cdef const pool_args* p = &windows.p
    cdef bint direct = is_channels_last(x), average = windows.average
    cdef int threads = pool_threads(p, x.dtype_, x.shape_[0])
    cdef size_t nbytes = 0 if direct else threads * pool_scratch_bytes(p, x.dtype_)
    cdef void* scratch = scratch_take(nbytes)
    cdef char* taps_data = NULL if taps is None else taps.ptr
    if threads > 1:
        with nogil:
            pool_forward(p, x.dtype_, average, x.shape_[0], x.ptr, x.strides_, direct,
                         y.ptr, taps_data, <char*>scratch, threads)
    else:
        pool_forward(p, x.dtype_, average, x.shape_[0], x.ptr, x.strides_, direct,
                     y.ptr, taps_data, <char*>scratch, 1)
    scratch_give(scratch, nbytes)
    return 0


cdef int backward_into(Node node, Tensor taps, Tensor dy) except -1:
    cdef Windows windows = <Windows>node.extra
    cdef const pool_args* p = &windows.p
    cdef Tensor dx = new_channels_last(windows.dtype, windows.x_shape)
    cdef char* taps_data = NULL if taps is None else taps.ptr
    cdef bint average = windows.average
    cdef long N = windows.x_shape[0]
    cdef int threads = pool_threads(p, windows.dtype, N)
    dy = channels_last(dy if windows.batched else with_batch(dy))
    if threads > 1:
        with nogil:
            pool_backward(p, windows.dtype, average, N, dy.ptr, taps_data, dx.ptr, threads)
    else:
        pool_backward(p, windows.dtype, average, N, dy.ptr, taps_data, dx.ptr, 1)
    if not windows.batched:
        dx = without_batch(dx)
    give(node.input0, dx)
    return 0


cdef object max_pool(Tensor input, Tensor x, Windows windows, bint return_indices):
    cdef Tensor y = new_channels_last(x.dtype_, windows.y_shape), taps = None, indices = None
    cdef Node node
    cdef bint graph = needs_graph(input)
    if graph or return_indices:
        taps = new_tensor(UINT8 if windows.p.tap_bytes == 1 else INT32, 1, &y.size_)
    else:
        windows.p.tap_bytes = 0
    run_forward(windows, x, y, taps)
    if return_indices:
        indices = new_channels_last(INT64, windows.y_shape)
        pool_positions(&windows.p, x.shape_[0], taps.ptr, <long long*>indices.ptr)
        if not windows.batched:
            indices = without_batch(indices)
    if not windows.batched:
        y = without_batch(y)
    if graph:
        node = new_node(max_pool2d_backward, "max_pool2d")
        node.input0 = edge(input)
        node.extra = windows
        save0(node, taps)
        attach(y, node)
    return (y, indices) if return_indices else y


cdef int max_pool2d_backward(Node node, Tensor dy) except -1:
    if node.input0 is not None:
        backward_into(node, saved0(node), dy)
    return 0


cdef object avg_pool(Tensor input, Tensor x, Windows windows):
    cdef Tensor y = new_channels_last(x.dtype_, windows.y_shape)
    cdef Node node
    windows.average = True
    run_forward(windows, x, y, None)
    if not windows.batched:
        y = without_batch(y)
    if needs_graph(input):
        node = new_node(avg_pool2d_backward, "avg_pool2d")
        node.input0 = edge(input)
        node.extra = windows
        attach(y, node)
    return y


cdef int avg_pool2d_backward(Node node, Tensor dy) except -1:
    if node.input0 is not None:
        backward_into(node, None, dy)
    return 0


# --- public -------------------------------------------------------------------

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
    cdef Tensor x = images(input)
    return max_pool(input, x, sliding(x, (<Tensor>input).ndim_ == 4, kernel_size, stride, padding,
                                      dilation, ceil_mode, False), return_indices)


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
    cdef Tensor x = images(input)
    cdef Windows windows = sliding(x, (<Tensor>input).ndim_ == 4, kernel_size, stride, padding, 1,
                                   ceil_mode, count_include_pad)
    if divisor_override is not None:
        if divisor_override == 0:
            raise ValueError("divisor_override must not be 0")
        override(&windows.p.h, 1.0 / divisor_override)
        override(&windows.p.w, 1.0)
    return avg_pool(input, x, windows)


cdef void override(pool_axis* axis, double share) noexcept:
    cdef long o
    for o in range(axis.windows):
        (<double*>axis.share)[o] = share


def adaptive_avg_pool2d(input, output_size):
    """The mean of each of output_size (rows, columns; None: as many as there are) even
    parts of (N, C, H, W) or (C, H, W); parts share their borders where they must.

    >>> x = fastnn.arange(16.0).reshape(1, 1, 4, 4)
    >>> fastnn.nn.functional.adaptive_avg_pool2d(x, 1).item()
    7.5
    """
    cdef Tensor x = images(input)
    return avg_pool(input, x, evenly(x, (<Tensor>input).ndim_ == 4, output_size))


def adaptive_max_pool2d(input, output_size, return_indices=False):
    """The largest number in each of output_size (rows, columns) even parts of
    (N, C, H, W) or (C, H, W); parts share their borders where they must.

    >>> x = fastnn.arange(16.0).reshape(1, 1, 4, 4)
    >>> fastnn.nn.functional.adaptive_max_pool2d(x, 2).tolist()
    [[[[5.0, 7.0], [13.0, 15.0]]]]
    """
    cdef Tensor x = images(input)
    return max_pool(input, x, evenly(x, (<Tensor>input).ndim_ == 4, output_size), return_indices)


OPS = [
    op("max_pool2d", max_pool2d, cases="max_pool2d", public=False),
    op("avg_pool2d", avg_pool2d, cases="avg_pool2d", public=False),
    op("adaptive_max_pool2d", adaptive_max_pool2d, cases="adaptive_pool2d", public=False),
    op("adaptive_avg_pool2d", adaptive_avg_pool2d, cases="adaptive_pool2d", public=False),
]
