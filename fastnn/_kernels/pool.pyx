"""Pooling of volumes, channels-last inside: x (N D H W C), y (N OD OH OW C).

Images have D = 1, sequences D = W = 1. Forward: an item is a band of rows of y, or
of whole planes where they are small. What lies under it in x is read where it lies,
or, from any other layout, transposed into the thread's scratch first. Backward: an
item is a band of window rows where the windows tile the volume, of rows of x
otherwise. Every number is written by one item, so the bits depend on nothing but
the shape. Called by ops/pool.pyx.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t
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
    long planes, plane_bands   # forward: planes and rows of an item; items along each
    long rows, row_bands
    long lines, line_bands     # backward: rows of an item, counted through the planes; items
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
    """Do the windows cover the axis side by side (but for an end that none reaches)?"""
    cdef long o, end = 0
    if axis.dilation != 1:
        return False
    for o in range(axis.windows):
        if axis.begin[o] != end:
            return False
        end += axis.count[o]
    return True


cdef bint pool_windows_tile(const pool_args* p) noexcept nogil:
    return pool_tiles(&p.d) and pool_tiles(&p.h) and pool_tiles(&p.w)


# --- shared -------------------------------------------------------------------

cdef double middle_taps(const pool_axis* axis) noexcept nogil:
    return <double>axis.windows * axis.count[axis.windows // 2]


cdef int pool_threads(const pool_args* p, int dtype, long N) noexcept nogil:
    # 0.1 ns a byte of x, and as much for every number that a window reads
    cdef double taps = middle_taps(&p.d) * middle_taps(&p.h) * middle_taps(&p.w)
    cdef double pixels = <double>p.d.size * p.h.size * p.w.size
    return team_size(0.05 * N * p.channels * itemsize(dtype) * (pixels + taps))


cdef long x_row_bytes(const pool_args* p, int dtype) noexcept nogil:
    return p.w.size * p.channels * itemsize(dtype)


cdef long units_within(long nbytes, long unit_bytes) noexcept nogil:
    return max(nbytes // max(unit_bytes, <long>1), <long>1)


cdef long reach(const pool_axis* axis, long o) noexcept nogil:
    """One past the last position of window o."""
    return axis.begin[o] + (axis.count[o] - 1) * axis.dilation + 1 if axis.count[o] > 0 else 0


cdef long first_under(const pool_axis* axis, long o, long end) noexcept nogil:
    """The first position of the windows from o to before `end` (with dilation not that of o)."""
    cdef long first = axis.begin[o], k
    for k in range(o + 1, end):
        first = min(first, <long>axis.begin[k])
    return first


cdef long span(const pool_axis* axis, long o, long end) noexcept nogil:
    """How many positions lie between the first and the last of these windows."""
    cdef long bottom = 0, k
    for k in range(o, end):
        bottom = max(bottom, reach(axis, k))
    return bottom - first_under(axis, o, end)


cdef long window_band(const pool_axis* axis, long position_bytes, long nbytes) noexcept nogil:
    """How many windows an item takes so that it reads about nbytes."""
    return units_within(nbytes, position_bytes * max(axis.size // axis.windows, <long>1))


cdef long plane_band(const pool_args* p, long row_bytes, long nbytes) noexcept nogil:
    return window_band(&p.d, p.h.size * row_bytes, nbytes)


cdef long row_band(const pool_args* p, long row_bytes, long nbytes) noexcept nogil:
    return window_band(&p.h, row_bytes * max(p.d.size // p.d.windows, <long>1), nbytes)


cdef long widest_span(const pool_axis* axis, long band) noexcept nogil:
    cdef long widest = 1, o = 0
    while o < axis.windows:
        widest = max(widest, span(axis, o, min(o + band, axis.windows)))
        o += band
    return widest


# --- forward ------------------------------------------------------------------

cdef long pool_scratch_bytes(const pool_args* p, int dtype) noexcept nogil:
    cdef long row = x_row_bytes(p, dtype)
    cdef long nbytes = row * (widest_span(&p.d, plane_band(p, row, GATHER_BYTES))
                              * widest_span(&p.h, row_band(p, row, GATHER_BYTES)))
    return (nbytes + 4095) // 4096 * 4096 + 64      # not all threads on the same cache sets


cdef void gather_rows(const Pool* c, const char* plane, long row, long rows,
                      char* scratch) noexcept nogil:
    """Rows of one plane, from any layout, as (rows, W, C)."""
    cdef long W = c.p.w.size, C = c.p.channels, i
    cdef long s_c = c.x_strides[1], s_h = c.x_strides[3], s_w = c.x_strides[4]
    cdef const char* src = plane + row * s_h * c.size
    if s_h == W * s_w:
        c.table.copy_2d(src, s_w, s_c, scratch, C, 1, rows * W, C)
    else:
        for i in range(rows):
            c.table.copy_2d(src + i * s_h * c.size, s_w, s_c, scratch + i * W * C * c.size,
                            C, 1, W, C)


cdef void forward_item(void* context, long item, int thread) noexcept nogil:
    cdef Pool* c = <Pool*>context
    cdef const pool_args* p = c.p
    cdef long row_bytes = p.w.size * p.channels * c.size, x_plane = p.h.size, front = 0, top = 0
    cdef long oh = item % c.row_bands * c.rows, end = min(oh + c.rows, p.h.windows)
    cdef long image = item // c.row_bands // c.plane_bands, plane, k
    cdef long od = item // c.row_bands % c.plane_bands * c.planes
    cdef long od_end = min(od + c.planes, p.d.windows)
    cdef const char* x = c.x + image * c.x_strides[0] * c.size
    cdef char* gathered = c.scratch + thread * c.scratch_bytes
    if not c.channels_last:
        front, top = first_under(&p.d, od, od_end), first_under(&p.h, oh, end)
        x_plane = span(&p.h, oh, end)
        for k in range(span(&p.d, od, od_end)):
            gather_rows(c, x + (front + k) * c.x_strides[2] * c.size, top, x_plane,
                        gathered + k * x_plane * row_bytes)
        x = gathered - top * row_bytes
    for od in range(od, od_end):
        plane = ((image * p.d.windows + od) * p.h.windows) * p.w.windows * p.channels
        if c.average:
            c.table.pool_avg(p, x + (p.d.begin[od] - front) * x_plane * row_bytes,
                             x_plane * p.w.size * p.channels, od, oh, end, c.y + plane * c.size)
        else:
            c.table.pool_max(p, x + (p.d.begin[od] - front) * x_plane * row_bytes,
                             x_plane * p.w.size * p.channels, od, oh, end, c.y + plane * c.size,
                             c.taps + plane * p.tap_bytes)


cdef void pool_forward(const pool_args* p, int dtype, bint average, long N, const char* x,
                       const Py_ssize_t* x_strides, bint x_channels_last, char* y, char* taps,
                       char* scratch, int threads) noexcept nogil:
    cdef Pool c
    cdef long row = x_row_bytes(p, dtype), nbytes = BAND_BYTES if x_channels_last else GATHER_BYTES
    c.p, c.average, c.channels_last = p, average, x_channels_last
    c.table, c.size = kernels(dtype), itemsize(dtype)
    c.x, c.x_strides, c.y, c.taps, c.scratch = x, x_strides, y, taps, scratch
    c.scratch_bytes = 0 if x_channels_last else pool_scratch_bytes(p, dtype)
    c.planes, c.rows = plane_band(p, row, nbytes), row_band(p, row, nbytes)
    c.plane_bands, c.row_bands = ceil_div(p.d.windows, c.planes), ceil_div(p.h.windows, c.rows)
    parallel_for(forward_item, &c, N * c.plane_bands * c.row_bands, threads)


# --- backward -----------------------------------------------------------------

cdef void spread_rows(const Pool* c, const char* taps, const char* dy, char* dx, long od, long oh,
                      long end) noexcept nogil:
    """The gradient under some rows of windows of plane od, and what no window reaches beside."""
    cdef const pool_args* p = c.p
    cdef long x_row = p.w.size * p.channels * c.size, x_plane = p.h.size * x_row
    cdef long y_plane = od * p.h.windows * p.w.windows * p.channels, below, behind, d
    c.backward(p, taps + y_plane * p.tap_bytes, dy + y_plane * c.size, od, oh, end,
               dx + p.d.begin[od] * x_plane)
    if end < p.h.windows:
        return
    below, behind = reach(&p.h, end - 1), reach(&p.d, od)
    for d in range(p.d.begin[od], behind):
        memset(dx + d * x_plane + below * x_row, 0, (p.h.size - below) * x_row)
    if od == p.d.windows - 1:
        memset(dx + behind * x_plane, 0, (p.d.size - behind) * x_plane)


cdef void backward_item(void* context, long item, int thread) noexcept nogil:
    cdef Pool* c = <Pool*>context
    cdef const pool_args* p = c.p
    cdef long planes = p.d.windows if c.tiles else p.d.size
    cdef long rows = p.h.windows if c.tiles else p.h.size
    cdef long image = item // c.line_bands, line = item % c.line_bands * c.lines
    cdef long line_end = min(line + c.lines, planes * rows), plane, row, end
    cdef long y_image = p.d.windows * p.h.windows * p.w.windows * p.channels
    cdef long x_plane = p.h.size * p.w.size * p.channels
    cdef char* dx = c.dx + image * p.d.size * x_plane * c.size
    cdef const char* dy = c.dy + image * y_image * c.size
    cdef const char* taps = c.taps + image * y_image * p.tap_bytes
    while line < line_end:
        plane, row = line // rows, line % rows
        end = min(rows, row + line_end - line)
        if c.tiles:
            spread_rows(c, taps, dy, dx, plane, row, end)
        else:
            c.backward(p, taps, dy, plane, row, end, dx + plane * x_plane * c.size)
        line += end - row


cdef pool_backward_fn pool_backward_kernel(const fastnn_kernels* table, bint average,
                                           bint tiles) noexcept nogil:
    if tiles:
        return table.pool_avg_spread if average else table.pool_max_spread
    return table.pool_avg_gather if average else table.pool_max_gather


cdef void pool_backward(const pool_args* p, int dtype, bint average, long N, const char* dy,
                        const char* taps, char* dx, int threads) noexcept nogil:
    cdef Pool c
    cdef long rows
    c.p, c.average = p, average
    c.table, c.size = kernels(dtype), itemsize(dtype)
    c.dy, c.taps, c.dx = dy, <char*>taps, dx
    c.tiles = pool_windows_tile(p)
    c.backward = pool_backward_kernel(c.table, average, c.tiles)
    rows = p.d.windows * p.h.windows if c.tiles else p.d.size * p.h.size
    c.lines = units_within(BAND_BYTES, p.d.size * p.h.size * x_row_bytes(p, dtype) // rows)
    c.line_bands = ceil_div(rows, c.lines)
    parallel_for(backward_item, &c, N * c.line_bands, threads)


# --- positions of the maxima ----------------------------------------------------

cdef struct Positions:
    const pool_args* p
    const char* taps
    const long long* offsets
    long long* positions
    long lines, lines_total    # rows of windows of an item, counted through all planes


cdef void pool_offsets(const pool_args* p, long planes, long rows,
                       long long* offsets) noexcept nogil:
    cdef long d, h, w
    for d in range(planes):
        for h in range(rows):
            for w in range(p.tap_row):
                offsets[d * p.tap_plane + h * p.tap_row + w] = (
                    (d * p.d.dilation * p.h.size + h * p.h.dilation) * p.w.size + w * p.w.dilation)


cdef void row_positions(const Positions* job, long line) noexcept nogil:
    cdef const pool_args* p = job.p
    cdef long od = line // p.h.windows % p.d.windows, oh = line % p.h.windows, ow, c, begin
    cdef long at = line * p.w.windows * p.channels
    for ow in range(p.w.windows):
        begin = (p.d.begin[od] * p.h.size + p.h.begin[oh]) * p.w.size + p.w.begin[ow]
        if p.tap_bytes == 1:
            for c in range(at, at + p.channels):
                job.positions[c] = begin + job.offsets[(<const uint8_t*>job.taps)[c]]
        else:
            for c in range(at, at + p.channels):
                job.positions[c] = begin + job.offsets[(<const int32_t*>job.taps)[c]]
        at += p.channels


cdef void positions_item(void* context, long item, int thread) noexcept nogil:
    cdef Positions* job = <Positions*>context
    cdef long line
    for line in range(item * job.lines, min((item + 1) * job.lines, job.lines_total)):
        row_positions(job, line)


cdef void pool_positions(const pool_args* p, long N, const char* taps, const long long* offsets,
                         long long* positions, int threads) noexcept nogil:
    cdef Positions job
    job.p, job.taps, job.offsets, job.positions = p, taps, offsets, positions
    job.lines = units_within(BAND_BYTES, p.w.windows * p.channels * 8)
    job.lines_total = N * p.d.windows * p.h.windows
    parallel_for(positions_item, &job, ceil_div(job.lines_total, job.lines), threads)
