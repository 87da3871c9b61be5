"""Pooling of images of few channels: a group of them is one image of many channels.

The pixels of one image would leave most of a vector empty. So an item takes a band of rows
of as many images as a vector has lanes, turns them into (rows, W, C, images) in the thread's
scratch, pools these, and turns the result back. The windows are the same, and so are the
bits. Taps stay as they are: (OH, OW, C, images) for each group. Called by ops/pool.pyx.
"""

from libc.string cimport memset

from fastnn._kernels.pool cimport (
    first_under, pool_backward_kernel, pool_windows_tile, reach, span, units_within,
)
from fastnn._kernels.runtime cimport (
    ceil_div, fastnn_kernels, itemsize, kernels, parallel_for, pool_args, pool_backward_fn,
)

cdef enum:
    BAND_BYTES = 1 << 17      # of x or dx in an item, about

cdef struct Group:
    const pool_args* p
    const fastnn_kernels* table
    pool_backward_fn backward
    bint average, tiles
    long size                  # bytes of a number
    long N, images             # images of a group, but the last
    long lines, bands          # rows of an item: windows, or positions where they do not tile
    const char* x              # or dy
    const Py_ssize_t* strides
    char* y                    # or dx
    char* taps
    char* scratch
    long scratch_bytes

# Rows of the output and of the input of an item, from `first` on.
cdef struct Band:
    long image, images
    long x_first, x_rows
    long y_first, y_rows


cdef bint pool_grouped(const pool_args* p, int dtype, long N) noexcept nogil:
    cdef long lanes = kernels(dtype).vl
    return 4 * p.channels <= lanes and 2 * N >= lanes and p.d.size == 1 and p.d.windows == 1


cdef Group group_of(const pool_args* p, int dtype, long N, bint backward) noexcept nogil:
    cdef Group c
    cdef long rows
    memset(&c, 0, sizeof(Group))
    c.p, c.table, c.size, c.N = p, kernels(dtype), itemsize(dtype), N
    c.images = c.table.vl
    c.tiles = pool_windows_tile(p)
    rows = p.h.size if backward and not c.tiles else p.h.windows
    c.lines = units_within(BAND_BYTES, p.h.size * p.w.size * p.channels * c.images * c.size // rows)
    c.bands = ceil_div(rows, c.lines)
    return c


# --- bands --------------------------------------------------------------------

cdef Band band_of(const Group* c, long item, bint backward) noexcept nogil:
    cdef Band b
    cdef const pool_args* p = c.p
    cdef long first = item % c.bands * c.lines, end, k
    b.image = item // c.bands * c.images
    b.images = min(c.images, c.N - b.image)
    if backward and not c.tiles:
        end = min(first + c.lines, p.h.size)
        b.x_first, b.x_rows = first, end - first
        b.y_first, b.y_rows = p.h.windows, 0
        for k in range(first, end):
            if p.h.last[k] > 0:
                b.y_first = min(b.y_first, <long>p.h.first[k])
                b.y_rows = max(b.y_rows, <long>p.h.last[k] - b.y_first)
        return b
    end = min(first + c.lines, p.h.windows)
    b.y_first, b.y_rows = first, end - first
    b.x_first, b.x_rows = first_under(&p.h, first, end), span(&p.h, first, end)
    if backward and end == p.h.windows:              # and the rows that no window reaches
        b.x_rows = p.h.size - b.x_first
    return b


cdef long x_bytes(const Group* c, const Band* b) noexcept nogil:
    return b.x_rows * c.p.w.size * c.p.channels * c.images * c.size


cdef long pool_group_bytes(const pool_args* p, int dtype, bint backward) noexcept nogil:
    cdef Group c = group_of(p, dtype, kernels(dtype).vl, backward)
    cdef Band b
    cdef long most = 0, k
    for k in range(c.bands):
        b = band_of(&c, k, backward)
        most = max(most, x_bytes(&c, &b)
                   + b.y_rows * p.w.windows * p.channels * c.images * c.size)
    return (most + 4095) // 4096 * 4096 + 64         # not all threads on the same cache sets


# --- turning ------------------------------------------------------------------

cdef void turn_in(const Group* c, const Band* b, long first, long rows, long width,
                  char* to) noexcept nogil:
    """Rows of the images, from any layout, as (rows, width, C, images)."""
    cdef long s_n = c.strides[0], s_c = c.strides[1], s_h = c.strides[3], s_w = c.strides[4]
    cdef long planes = c.p.channels, run = width, runs = rows, i, k
    cdef const char* src = c.x + (b.image * s_n + first * s_h) * c.size
    if s_w == planes and (s_c == 1 or planes == 1):      # channels innermost: one plane of numbers
        planes, s_w, run = 1, 1, width * planes
    if s_h == run * s_w:
        run, runs = run * rows, 1
    for i in range(runs):
        for k in range(planes):
            c.table.copy_2d(src + (i * s_h + k * s_c) * c.size, s_w, s_n,
                            to + (i * run * planes + k) * b.images * c.size,
                            planes * b.images, 1, run, b.images)


cdef void turn_out(const Group* c, const Band* b, long first, long rows, long height, long width,
                   const char* from_) noexcept nogil:
    """Rows (rows, width, C, images) into images (height, width, C)."""
    cdef long row = width * c.p.channels
    c.table.copy_2d(from_, 1, b.images, c.y + (b.image * height + first) * row * c.size,
                    height * row, 1, b.images, rows * row)


cdef inline pool_args one_image(const Group* c, const Band* b) noexcept nogil:
    cdef pool_args p = c.p[0]
    p.channels *= b.images
    return p


cdef inline char* taps_of(const Group* c, const Band* b) noexcept nogil:
    return c.taps + b.image * c.p.h.windows * c.p.w.windows * c.p.channels * c.p.tap_bytes


# --- forward and backward -------------------------------------------------------

cdef void forward_item(void* context, long item, int thread) noexcept nogil:
    cdef Group* c = <Group*>context
    cdef Band b = band_of(c, item, False)
    cdef pool_args p = one_image(c, &b)
    cdef char* x = c.scratch + thread * c.scratch_bytes
    cdef char* y = x + x_bytes(c, &b)
    cdef long end = b.y_first + b.y_rows
    cdef const char* x_origin = x - b.x_first * p.w.size * p.channels * c.size
    cdef char* y_origin = y - b.y_first * p.w.windows * p.channels * c.size
    turn_in(c, &b, b.x_first, b.x_rows, p.w.size, x)
    if c.average:
        c.table.pool_avg(&p, x_origin, 0, 0, b.y_first, end, y_origin)
    else:
        c.table.pool_max(&p, x_origin, 0, 0, b.y_first, end, y_origin, taps_of(c, &b))
    turn_out(c, &b, b.y_first, b.y_rows, p.h.windows, p.w.windows, y)


cdef void pool_group_forward(const pool_args* p, int dtype, bint average, long N, const char* x,
                             const Py_ssize_t* x_strides, char* y, char* taps, char* scratch,
                             int threads) noexcept nogil:
    cdef Group c = group_of(p, dtype, N, False)
    c.average, c.x, c.strides, c.y, c.taps = average, x, x_strides, y, taps
    c.scratch, c.scratch_bytes = scratch, pool_group_bytes(p, dtype, False)
    parallel_for(forward_item, &c, ceil_div(N, c.images) * c.bands, threads)


cdef void backward_item(void* context, long item, int thread) noexcept nogil:
    cdef Group* c = <Group*>context
    cdef Band b = band_of(c, item, True)
    cdef pool_args p = one_image(c, &b)
    cdef char* dx = c.scratch + thread * c.scratch_bytes
    cdef char* dy = dx + x_bytes(c, &b)
    cdef long row = p.w.size * p.channels * c.size, below
    cdef const char* dy_origin = dy - b.y_first * p.w.windows * p.channels * c.size
    cdef char* dx_origin = dx - b.x_first * row
    turn_in(c, &b, b.y_first, b.y_rows, p.w.windows, dy)
    if c.tiles:
        c.backward(&p, taps_of(c, &b), dy_origin, 0, b.y_first, b.y_first + b.y_rows, dx_origin)
        below = reach(&p.h, b.y_first + b.y_rows - 1) - b.x_first
        memset(dx + below * row, 0, (b.x_rows - below) * row)
    else:
        c.backward(&p, taps_of(c, &b), dy_origin, 0, b.x_first, b.x_first + b.x_rows, dx_origin)
    turn_out(c, &b, b.x_first, b.x_rows, p.h.size, p.w.size, dx)


cdef void pool_group_backward(const pool_args* p, int dtype, bint average, long N, const char* dy,
                              const Py_ssize_t* dy_strides, const char* taps, char* dx,
                              char* scratch, int threads) noexcept nogil:
    cdef Group c = group_of(p, dtype, N, True)
    c.average, c.x, c.strides, c.y, c.taps = average, dy, dy_strides, dx, <char*>taps
    c.scratch, c.scratch_bytes = scratch, pool_group_bytes(p, dtype, True)
    c.backward = pool_backward_kernel(c.table, average, c.tiles)
    parallel_for(backward_item, &c, ceil_div(N, c.images) * c.bands, threads)
