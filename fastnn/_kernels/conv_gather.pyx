"""The rows of input that a convolution reads, gathered into scratch.

A band of output rows reads a band of input rows, which is copied, padded and laid
out channels-last, a few rows before they are needed; or used as it lies where that
serves. Called by conv.pyx, conv_weight.pyx and conv_depthwise.pyx.
"""

from libc.string cimport memset

from fastnn._kernels.conv_shape cimport is_depthwise
from fastnn._kernels.runtime cimport aligned, ceil_div, itemsize, prefetch, team_size

cdef enum:
    BAND_BYTES = 256 << 10       # a gathered band stays in the second-level cache,
    STEP_BYTES = 8 << 10         # what is gathered at once in the first

cdef double ITEM_FLOPS = 1e6     # work worth an item of its own


cdef double flops(const ConvShape* s) noexcept nogil:
    return 2.0 * s.N * s.G * s.OH * s.OW * s.O * s.C * s.KH * s.KW


cdef long items_wanted(const ConvShape* s) noexcept nogil:
    """How many items the whole is worth; of the shape alone."""
    return <long>min(32.0, 1 + flops(s) / ITEM_FLOPS)


cdef int team_for(const ConvShape* s) noexcept nogil:
    cdef double moved = <double>s.N * s.G * (s.H * s.W * s.X + s.OH * s.OW * s.O)
    return team_size(flops(s) / (20 if is_depthwise(s) else 100) + moved * 0.2)


cdef inline long rows_read(const ConvShape* s, long rows) noexcept nogil:
    """How many input rows so many output rows read."""
    return (rows - 1) * s.sh + (s.KH - 1) * s.dh + 1 if rows > 0 else 0


cdef void set_bands(Correlation* c, long wanted) noexcept nogil:
    """Cut the output rows into bands, so that a gathered band stays in cache and
    there are at least `wanted` of them if possible."""
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype), most
    cdef long width = max((s.OW - 1) * s.sw + (s.KW - 1) * s.dw + 1, <long>1)
    if c.in_place:
        c.pixel, c.row = c.x_w, c.x_h
    else:
        c.pixel = s.X * s.KH if c.fold else s.X
        c.row = width * c.pixel
    most = BAND_BYTES // max(width * s.X * (s.KH if c.fold else 1) * item, <long>1)
    if not c.fold:
        most = (most - rows_read(s, 1)) // s.sh + 1
    c.bands = min(max(ceil_div(s.OH, max(most, <long>1)), wanted), s.OH)
    c.band = ceil_div(s.OH, max(c.bands, <long>1))
    c.bands = ceil_div(s.OH, max(c.band, <long>1))
    c.step = max(STEP_BYTES // max(c.row * (1 if c.fold else s.sh) * item, <long>1), <long>1)
    c.scratch_step = 0
    if not c.in_place:
        c.scratch_step = aligned(c.row * (c.band if c.fold else rows_read(s, c.band)) * item)


cdef bint usable_in_place(const Correlation* c) noexcept nogil:
    cdef const ConvShape* s = &c.s
    return (s.top <= 0 and s.left <= 0
            and (s.OH - 1) * s.sh - s.top + (s.KH - 1) * s.dh < s.H
            and (s.OW - 1) * s.sw - s.left + (s.KW - 1) * s.dw < s.W
            and (c.x_c == 1 or s.X == 1) and (s.KW == 1 or s.dw > 1 or c.x_w == s.X))


cdef void set_source(Correlation* c, const Py_ssize_t* strides) noexcept nogil:
    c.x_n, c.x_c, c.x_h, c.x_w = strides[0], strides[1], strides[2], strides[3]


cdef void zero_pixels(char* dst, long pitch, long n, long pixels, long item) noexcept nogil:
    cdef long p
    if n == pitch:
        memset(dst, 0, n * pixels * item)
        return
    for p in range(pixels):
        memset(dst + p * pitch * item, 0, n * item)


cdef void gather_row(const Correlation* c, const char* src, long channels, long step,
                     char* dst) noexcept nogil:
    """One padded input row of so many channels, which lie `step` apart: src, the row's
    pixel 0, or NULL for a row of zeros."""
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype)
    cdef long width = (s.OW - 1) * s.sw + (s.KW - 1) * s.dw + 1
    cdef long first = min(max(s.left, <long>0), width)
    cdef long last = max(min(s.W + s.left, width), first)
    if src == NULL:
        zero_pixels(dst, c.pixel, channels, width, item)
        return
    zero_pixels(dst, c.pixel, channels, first, item)
    zero_pixels(dst + last * c.pixel * item, c.pixel, channels, width - last, item)
    src += (first - s.left) * c.x_w * item
    dst += first * c.pixel * item
    if c.pixel == channels and c.x_w == channels and (step == 1 or channels == 1):
        c.K.copy_2d(src, 0, 1, dst, 0, 1, 1, (last - first) * channels)
    else:
        c.K.copy_2d(src, c.x_w, step, dst, c.pixel, 1, last - first, channels)


cdef void gather_folded(const Correlation* c, const char* x, long h, char* dst) noexcept nogil:
    """The KH input rows from h on, side by side as KH * C channels of one row."""
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype), kh
    if s.C == 1 and h >= 0 and h + (s.KH - 1) * s.dh < s.H:
        gather_row(c, x + h * c.x_h * item, s.KH, s.dh * c.x_h, dst)
        return
    for kh in range(s.KH):
        gather_row(c, x + h * c.x_h * item if 0 <= h < s.H else NULL, s.C, c.x_c,
                   dst + kh * s.C * item)
        h += s.dh


cdef char* band_start(const Correlation* c, long n, long g, long oh, int thread) noexcept nogil:
    """The first pixel of the band of input for output rows oh and on."""
    cdef const ConvShape* s = &c.s
    if not c.in_place:
        return c.scratch + thread * c.scratch_step
    return <char*>c.x + itemsize(s.dtype) * (
        n * c.x_n + g * s.X * c.x_c + (oh * s.sh - s.top) * c.x_h - s.left * c.x_w)


cdef void fetch(const Correlation* c, long n, long h, long end) noexcept nogil:
    """Prefetches input rows h..end: forward of (32,64,32,32)->64 3x3 on 2 cores of a Xeon,
    306 -> 317 GFLOP/s. Only where a row is all of use."""
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype), k
    if s.G > 1 or (c.x_c != 1 and c.x_w != 1):
        return
    for h in range(max(h, <long>0), min(end, s.H)):
        for k in range(1 if c.x_c == 1 else s.X):
            prefetch(c.x + (n * c.x_n + h * c.x_h + k * c.x_c) * item, s.W * c.x_w * item)


cdef void gather(const Correlation* c, long n, long g, long oh0, long oh, long end,
                 char* band) noexcept nogil:
    """Gathers what output rows oh..end read and those from oh0 on before them did not,
    and asks for what as many further ones will."""
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype), h0 = oh0 * s.sh - s.top, r, h
    cdef long last = rows_read(s, end - oh0)
    cdef const char* x = c.x + (n * c.x_n + g * s.X * c.x_c) * item
    if c.fold:
        for r in range(oh - oh0, end - oh0):
            gather_folded(c, x, h0 + r * s.sh, band + r * c.row * item)
    elif not c.in_place:
        for r in range(rows_read(s, oh - oh0), last):
            h = h0 + r
            gather_row(c, x + h * c.x_h * item if 0 <= h < s.H else NULL, s.X, c.x_c,
                       band + r * c.row * item)
    fetch(c, n, h0 + last, h0 + last + (end - oh) * s.sh)
