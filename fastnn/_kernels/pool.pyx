"""Pooling of images, channels-last inside: x (N H W C), y (N OH OW C).

Forward: an item is a band of rows of y of one image. The rows of x under it are
read where they lie, or, from any other layout, transposed into the thread's
scratch first. Backward: an item is a band of window rows where the windows tile
the image, of image rows otherwise. Every number is written by one item, so the
bits depend on nothing but the shape. Called by ops/pool.pyx.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset

from fastnn._kernels.runtime cimport (
    ceil_div, fastnn_kernels, itemsize, kernels, parallel_for, pool_args, pool_axis,
    pool_backward_fn, team_size,
)

cdef enum:
    BAND_BYTES = 1 << 16      # of x under a band; more where it is transposed, so that
    GATHER_BYTES = 1 << 18    # rows which two bands share are seldom transposed twice

cdef struct Pool:
    const pool_args* p
    const fastnn_kernels* table
    pool_backward_fn backward
    long size                  # bytes of a number
    bint average, tiles, channels_last
    long band, bands           # rows of an item; items of an image
    const char* x
    const Py_ssize_t* x_strides
    char* y
    char* taps
    const char* dy
    char* dx
    char* scratch
    long scratch_bytes


# --- windows ------------------------------------------------------------------

cdef long pool_axis_bytes(long size, long windows) noexcept nogil:
    return (2 * size + 3 * windows) * 8


cdef void lay_out(pool_axis* axis, void* tables, long size, long windows,
                  long dilation) noexcept nogil:
    axis.size, axis.windows, axis.dilation = size, windows, dilation
    axis.begin = <int64_t*>tables
    axis.count = axis.begin + windows
    axis.share = <double*>(axis.count + windows)
    axis.first = <int64_t*>(axis.share + windows)
    axis.last = axis.first + size


cdef void find_windows_of_positions(pool_axis* axis) noexcept nogil:
    cdef int64_t* first = <int64_t*>axis.first
    cdef int64_t* last = <int64_t*>axis.last
    cdef long o, i, k
    memset(first, 0, 2 * axis.size * sizeof(int64_t))
    for o in range(axis.windows):
        for k in range(axis.count[o]):
            i = axis.begin[o] + k * axis.dilation
            if last[i] == 0:
                first[i] = o
            last[i] = o + 1


cdef void pool_axis_sliding(pool_axis* axis, void* tables, long size, long windows, long kernel,
                            long stride, long padding, long dilation,
                            bint count_padding) noexcept nogil:
    lay_out(axis, tables, size, windows, dilation)
    cdef int64_t* begin = <int64_t*>axis.begin
    cdef int64_t* count = <int64_t*>axis.count
    cdef double* share = <double*>axis.share
    cdef long o, start, before, within, cells
    for o in range(windows):
        start = o * stride - padding
        before = (-start + dilation - 1) // dilation if start < 0 else 0      # taps in the padding
        within = (size - start + dilation - 1) // dilation if start < size else 0
        count[o] = max(min(within, kernel) - before, <long>0)
        begin[o] = start + before * dilation if count[o] > 0 else 0
        cells = min(start + kernel, size + padding) - start if count_padding else <long>count[o]
        share[o] = 1.0 / max(cells, <long>1)
    find_windows_of_positions(axis)


cdef void pool_axis_even(pool_axis* axis, void* tables, long size, long windows) noexcept nogil:
    lay_out(axis, tables, size, windows, 1)
    cdef int64_t* begin = <int64_t*>axis.begin
    cdef int64_t* count = <int64_t*>axis.count
    cdef double* share = <double*>axis.share
    cdef long o
    for o in range(windows):
        begin[o] = o * size // windows
        count[o] = ((o + 1) * size + windows - 1) // windows - begin[o]
        share[o] = 1.0 / count[o]
    find_windows_of_positions(axis)


cdef bint pool_tiles(const pool_axis* axis) noexcept nogil:
    cdef long o, end = 0
    if axis.dilation != 1:
        return False
    for o in range(axis.windows):
        if axis.begin[o] != end:
            return False
        end += axis.count[o]
    return True


# --- shared -------------------------------------------------------------------

cdef int pool_threads(const pool_args* p, int dtype, long N) noexcept nogil:
    # 0.1 ns a byte of x, and as much for every number that a window reads
    cdef double taps = <double>p.h.windows * p.h.count[p.h.windows // 2]
    taps *= p.w.windows * p.w.count[p.w.windows // 2]
    cdef double pixels = <double>p.h.size * p.w.size
    return team_size(0.05 * N * p.channels * itemsize(dtype) * (pixels + taps))


cdef long rows_within(long nbytes, long row_bytes) noexcept nogil:
    return max(nbytes // max(row_bytes, <long>1), <long>1)


cdef long reach(const pool_axis* axis, long o) noexcept nogil:
    """One past the last position of window o."""
    return axis.begin[o] + (axis.count[o] - 1) * axis.dilation + 1 if axis.count[o] > 0 else 0


cdef long top_row(const pool_axis* axis, long o, long end) noexcept nogil:
    """The first position of the windows from o to before `end` (with dilation not that of o)."""
    cdef long top = axis.begin[o], k
    for k in range(o + 1, end):
        top = min(top, <long>axis.begin[k])
    return top


cdef long span(const pool_axis* axis, long o, long end) noexcept nogil:
    """How many positions lie between the first and the last of these windows."""
    cdef long bottom = 0, k
    for k in range(o, end):
        bottom = max(bottom, reach(axis, k))
    return bottom - top_row(axis, o, end)


cdef long window_band(const pool_axis* axis, long row_bytes, long nbytes) noexcept nogil:
    """How many windows an item takes so that it reads about nbytes."""
    return rows_within(nbytes, row_bytes * max(axis.size // axis.windows, <long>1))


cdef long most_rows(const pool_axis* axis, long band) noexcept nogil:
    cdef long most = 1, o = 0
    while o < axis.windows:
        most = max(most, span(axis, o, min(o + band, axis.windows)))
        o += band
    return most


# --- forward ------------------------------------------------------------------

cdef long pool_scratch_bytes(const pool_args* p, int dtype) noexcept nogil:
    cdef long row_bytes = p.w.size * p.channels * itemsize(dtype)
    cdef long nbytes = row_bytes * most_rows(&p.h, window_band(&p.h, row_bytes, GATHER_BYTES))
    return (nbytes + 4095) // 4096 * 4096 + 64      # not all threads on the same cache sets


cdef const char* gather_rows(const Pool* c, const char* image, long row, long rows,
                             char* scratch) noexcept nogil:
    """Rows of one image, from any layout, as (rows, W, C)."""
    cdef long W = c.p.w.size, C = c.p.channels, i
    cdef long s_c = c.x_strides[1], s_h = c.x_strides[2], s_w = c.x_strides[3]
    cdef const char* src = image + row * s_h * c.size
    if s_h == W * s_w:
        c.table.copy_2d(src, s_w, s_c, scratch, C, 1, rows * W, C)
    else:
        for i in range(rows):
            c.table.copy_2d(src + i * s_h * c.size, s_w, s_c, scratch + i * W * C * c.size,
                            C, 1, W, C)
    return scratch


cdef void forward_item(void* context, long item, int thread) noexcept nogil:
    cdef Pool* c = <Pool*>context
    cdef const pool_args* p = c.p
    cdef long image = item // c.bands, row0 = item % c.bands * c.band
    cdef long end = min(row0 + c.band, p.h.windows), oh, at
    cdef long row_bytes = p.w.size * p.channels * c.size
    cdef long top = top_row(&p.h, row0, end)
    cdef const char* x = c.x + image * c.x_strides[0] * c.size
    if c.channels_last:
        x += top * row_bytes
    else:
        x = gather_rows(c, x, top, span(&p.h, row0, end), c.scratch + thread * c.scratch_bytes)
    for oh in range(row0, end):
        at = (image * p.h.windows + oh) * p.w.windows * p.channels
        if c.average:
            c.table.pool_avg(p, x + (p.h.begin[oh] - top) * row_bytes, oh, c.y + at * c.size)
        else:
            c.table.pool_max(p, x + (p.h.begin[oh] - top) * row_bytes, oh, c.y + at * c.size,
                             c.taps + at * p.tap_bytes)


cdef void pool_forward(const pool_args* p, int dtype, bint average, long N, const char* x,
                       const Py_ssize_t* x_strides, bint x_channels_last, char* y, char* taps,
                       char* scratch, int threads) noexcept nogil:
    cdef Pool c
    c.p, c.average, c.channels_last = p, average, x_channels_last
    c.table, c.size = kernels(dtype), itemsize(dtype)
    c.x, c.x_strides, c.y, c.taps, c.scratch = x, x_strides, y, taps, scratch
    c.scratch_bytes = 0 if x_channels_last else pool_scratch_bytes(p, dtype)
    c.band = window_band(&p.h, p.w.size * p.channels * c.size,
                         BAND_BYTES if x_channels_last else GATHER_BYTES)
    c.bands = ceil_div(p.h.windows, c.band)
    parallel_for(forward_item, &c, N * c.bands, threads)


# --- backward -----------------------------------------------------------------

cdef void backward_item(void* context, long item, int thread) noexcept nogil:
    cdef Pool* c = <Pool*>context
    cdef const pool_args* p = c.p
    cdef long rows = p.h.windows if c.tiles else p.h.size
    cdef long image = item // c.bands, row0 = item % c.bands * c.band, row, bottom
    cdef long x_row = p.w.size * p.channels * c.size, y_row = p.w.windows * p.channels
    cdef char* dx = c.dx + image * p.h.size * x_row
    cdef const char* dy = c.dy + image * p.h.windows * y_row * c.size
    cdef const char* taps = c.taps + image * p.h.windows * y_row * p.tap_bytes
    for row in range(row0, min(row0 + c.band, rows)):
        if c.tiles:
            c.backward(p, taps + row * y_row * p.tap_bytes, dy + row * y_row * c.size, row,
                       dx + p.h.begin[row] * x_row)
        else:
            c.backward(p, taps, dy, row, dx + row * x_row)
    if c.tiles and row0 + c.band >= rows:
        bottom = reach(&p.h, rows - 1)
        memset(dx + bottom * x_row, 0, (p.h.size - bottom) * x_row)


cdef void pool_backward(const pool_args* p, int dtype, bint average, long N, const char* dy,
                        const char* taps, char* dx, int threads) noexcept nogil:
    cdef Pool c
    cdef long rows
    c.p, c.average = p, average
    c.table, c.size = kernels(dtype), itemsize(dtype)
    c.dy, c.taps, c.dx = dy, <char*>taps, dx
    c.tiles = pool_tiles(&p.h) and pool_tiles(&p.w)
    if c.tiles:
        c.backward = c.table.pool_avg_spread if average else c.table.pool_max_spread
        rows = p.h.windows
    else:
        c.backward = c.table.pool_avg_gather if average else c.table.pool_max_gather
        rows = p.h.size
    c.band = rows_within(BAND_BYTES, p.h.size * p.w.size * p.channels * c.size // rows)
    c.bands = ceil_div(rows, c.band)
    parallel_for(backward_item, &c, N * c.bands, threads)


# --- positions of the maxima ----------------------------------------------------

cdef void pool_positions(const pool_args* p, long N, const char* taps,
                         long long* positions) noexcept nogil:
    cdef long row, ow, c, at, tap, oh
    for row in range(N * p.h.windows):
        oh = row % p.h.windows
        for ow in range(p.w.windows):
            at = (row * p.w.windows + ow) * p.channels
            for c in range(at, at + p.channels):
                tap = ((<const unsigned char*>taps)[c] if p.tap_bytes == 1
                       else (<const int32_t*>taps)[c])
                positions[c] = ((p.h.begin[oh] + tap // p.tap_row * p.h.dilation) * p.w.size
                                + p.w.begin[ow] + tap % p.tap_row * p.w.dilation)
