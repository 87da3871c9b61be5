"""The rows of input that a convolution reads, gathered into scratch.

A band of output rows reads a band of input rows, which is copied, padded and laid out
channels-last, a few rows before they are needed; or used as it lies where that serves.
Of volumes the images that the taps read come to lie side by side. Rows too short for a
tile are spread: copied once for each tap, shifted, so that all pixels of an image follow
upon each other. For the weight gradient the channels may be laid out in blocks. Called
by conv.pyx, conv_weight.pyx and conv_depthwise.pyx.
"""

from libc.string cimport memset

from fastnn._kernels.conv_shape cimport gathered_channels
from fastnn._kernels.runtime cimport (
    aligned, ceil_div, few_sets, itemsize, prefetch, team_size,
)

cdef enum:
    BAND_BYTES = 256 << 10       # a gathered band stays in the second-level cache,
    STEP_BYTES = 8 << 10         # what is gathered at once in the first
    SPREAD_CHANNELS = 128        # least channels whose pixels are spread

cdef double ITEM_FLOPS = 1e6     # work worth an item of its own


cdef double flops(const ConvShape* s) noexcept nogil:
    return 2.0 * s.N * s.G * s.OH * s.OW * s.O * s.C * s.KH * s.KW


cdef long items_wanted(const ConvShape* s) noexcept nogil:
    """How many items the whole is worth; of the shape alone."""
    return <long>min(32.0, 1 + flops(s) / ITEM_FLOPS)


cdef int team_for(const ConvShape* s) noexcept nogil:
    cdef double moved = <double>s.N * s.G * (s.H * s.W * s.X + s.OH * s.OW * s.O)
    return team_size(flops(s) / (20 if s.depthwise else 100) + moved * 0.2)


cdef inline long rows_read(const ConvShape* s, long rows) noexcept nogil:
    """How many input rows so many output rows read."""
    return (rows - 1) * s.sh + (s.KH - 1) * s.dh + 1 if rows > 0 else 0


cdef inline bint turns_rows(const Correlation* c) noexcept nogil:
    """Is a row first laid out channels-last, because its pieces would be too small for that?"""
    return c.x_c != 1 and (c.spread or c.blocks > 1)


cdef bint should_spread(const Correlation* c) noexcept nogil:
    """Where rows leave tiles half empty and the copies cost little beside the products. Forward
    3x3 on 2 cores of a Xeon: (16,512,7,7)->512 264 -> 318 GFLOP/s, (16,128,8,8)->128 6 % faster,
    but (64,64,8,8)->64 7 % slower."""
    cdef const ConvShape* s = &c.s
    cdef long rows = c.K.gemm_rows[2]
    if c.fold or s.sh > 1 or s.depthwise:
        return False
    if c.in_place:
        return s.KH * s.KW == 1 and s.sw == 1 and c.x_h == s.W * c.x_w and s.W == s.OW
    return (s.C >= SPREAD_CHANNELS and s.O >= SPREAD_CHANNELS
            and 5 * s.OW < 3 * rows * ceil_div(s.OW, rows))


cdef void set_bands(Correlation* c, long wanted, long images, long group_bytes) noexcept nogil:
    """Cut the output rows into bands, so that a gathered band stays in cache and there are
    at least `wanted` of them if possible; set the pitches of what is gathered; and take small
    images in groups, of at most so many images and bytes."""
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype), most, copies = s.KW if c.spread else 1
    cdef long channels = gathered_channels(s) * (s.KH if c.fold else 1)
    cdef long width = max((s.OW - 1) * s.sw + (s.KW - 1) * s.dw + 1, <long>1)
    if c.spread or c.clipped:
        width = s.OW if c.spread else s.W
    if c.in_place:
        c.pixel, c.row = c.x_w, c.x_h
    else:
        c.pixel = ceil_div(channels, c.blocks)
        if s.depthwise and few_sets(c.pixel * item):     # a vector of each of many pixels
            c.pixel += 64 // item
        c.row = width * c.pixel
    most = BAND_BYTES // max(width * channels * item, <long>1)
    if not c.fold:
        most = (most - rows_read(s, 1)) // s.sh + 1
    c.bands = min(max(ceil_div(s.OH, max(most, <long>1)), wanted), s.OH)
    c.band = ceil_div(s.OH, max(c.bands, <long>1))
    c.bands = ceil_div(s.OH, max(c.band, <long>1))
    c.run = c.band if c.spread else 1
    c.step = max(STEP_BYTES // max(c.row * (1 if c.fold else s.sh) * item, <long>1), c.run)
    c.out_pixel = c.pixel if c.spread else s.sw * c.pixel
    c.tap_h = s.dh * c.row
    c.tap_w = rows_read(s, c.band) * c.row if c.spread else s.dw * c.pixel
    c.block = c.row * (c.band if c.fold else rows_read(s, c.band)) * copies
    c.image = c.block * c.blocks
    if c.in_place:
        c.image = c.x_n if s.OD == 1 else s.sd * c.x_d
    c.images = 1
    if c.spread and c.bands == 1:
        c.images = max(min(images, group_bytes // max(c.block * c.blocks * item, <long>1)), <long>1)
    c.groups = ceil_div(s.N, max(c.images, <long>1))
    c.row_offset = c.scratch_step = 0
    if not c.in_place:
        c.row_offset = aligned(c.images * c.image * item)
        c.scratch_step = c.row_offset + (aligned(s.W * s.C * item) if turns_rows(c) else 0)


cdef bint usable_in_place(const Correlation* c) noexcept nogil:
    cdef const ConvShape* s = &c.s
    return (s.KD == 1 and (s.OD == 1 or (s.front == 0 and s.OD * s.sd == s.D))
            and (s.OD == 1 or s.N == s.OD or c.x_n == s.D * c.x_d) and s.top <= 0 and s.left <= 0
            and (s.OH - 1) * s.sh - s.top + (s.KH - 1) * s.dh < s.H
            and (s.OW - 1) * s.sw - s.left + (s.KW - 1) * s.dw < s.W
            and (c.x_c == 1 or s.X == 1) and (s.KW == 1 or s.dw > 1 or c.x_w == s.X))


cdef void set_source(Correlation* c, const Py_ssize_t* strides) noexcept nogil:
    c.x_n, c.x_c, c.x_h, c.x_w = strides[0], strides[1], strides[2], strides[3]
    c.x_d = strides[4] if c.s.D > 1 else 0


cdef void zero_pixels(char* dst, long pitch, long n, long pixels, long item) noexcept nogil:
    cdef long p
    if n == pitch:
        memset(dst, 0, n * pixels * item)
        return
    for p in range(pixels):
        memset(dst + p * pitch * item, 0, n * item)


cdef inline long pixels_before(long first, long step, long end) noexcept nogil:
    """How many of the positions first, first + step, ... lie before end."""
    return ceil_div(end - first, step) if first < end else 0


cdef void gather_pixels(const Correlation* c, const char* src, long channels, long step,
                        long x_w, long first, long pixel_step, long pixels,
                        char* dst) noexcept nogil:
    """So many channels, `step` apart, of the pixels first, first + pixel_step, ... of a row,
    zeros outside of it: src, the row's pixel 0, or NULL for a row of zeros."""
    cdef long item = itemsize(c.s.dtype)
    cdef long before = min(pixels_before(first, pixel_step, 0), pixels)
    cdef long end = max(min(pixels_before(first, pixel_step, c.s.W), pixels), before)
    if src == NULL:
        zero_pixels(dst, c.pixel, channels, pixels, item)
        return
    zero_pixels(dst, c.pixel, channels, before, item)
    zero_pixels(dst + end * c.pixel * item, c.pixel, channels, pixels - end, item)
    src += (first + before * pixel_step) * x_w * item
    dst += before * c.pixel * item
    pixel_step *= x_w
    if c.pixel == channels and pixel_step == channels and (step == 1 or channels == 1):
        c.K.copy_2d(src, 0, 1, dst, 0, 1, 1, (end - before) * channels)
    else:
        c.K.copy_2d(src, pixel_step, step, dst, c.pixel, 1, end - before, channels)


cdef void gather_row(const Correlation* c, const char* src, long channels, long step, long x_w,
                     char* dst) noexcept nogil:
    """A padded row, or where it is to be spread the pixels that each tap reads."""
    cdef const ConvShape* s = &c.s
    cdef long kw
    if not c.spread:
        gather_pixels(c, src, channels, step, x_w, -s.left, 1,
                      (s.OW - 1) * s.sw + (s.KW - 1) * s.dw + 1, dst)
        return
    for kw in range(s.KW):
        gather_pixels(c, src, channels, step, x_w, kw * s.dw - s.left, s.sw, s.OW,
                      dst + kw * c.tap_w * itemsize(s.dtype))


cdef const char* source_row(const Correlation* c, long n, long g, long k, long h) noexcept nogil:
    """Row h of the k-th channel that a group reads for image n, or NULL if it is outside."""
    cdef const ConvShape* s = &c.s
    cdef long d = n % s.OD * s.sd - s.front + k // s.X * s.dd
    if not (0 <= h < s.H and 0 <= d < s.D):
        return NULL
    return c.x + itemsize(s.dtype) * (n // s.OD * c.x_n + d * c.x_d
                                      + (g * s.X + k % s.X) * c.x_c + h * c.x_h)


cdef long run_of_channels(const Correlation* c, long k, long end) noexcept nogil:
    """How many of the channels k..end are of one image."""
    return min(end - k, c.s.X - k % c.s.X)


cdef void turn_row(const Correlation* c, long n, long g, long h, long k, long end,
                   char* row) noexcept nogil:
    """Lays the channels k..end of row h out channels-last."""
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype), run
    cdef const char* src
    while k < end:
        run = run_of_channels(c, k, end)
        src = source_row(c, n, g, k, h)
        if src != NULL:
            c.K.copy_2d(src, c.x_w, c.x_c, row + k * item, s.C, 1, s.W, run)
        k += run


cdef void gather_blocks(const Correlation* c, long n, long g, long h, char* row, long b0, long b1,
                        char* dst) noexcept nogil:
    """Some blocks of the channels of row h; `row` is room for it, channels-last."""
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype), step = c.x_c, x_w = c.x_w, b, k, run, first, end
    cdef const char* src
    if turns_rows(c):
        turn_row(c, n, g, h, block_start(c, b0), block_start(c, b1), row)
        step, x_w = 1, s.C
    for b in range(b0, b1):
        k = first = block_start(c, b)
        end = block_start(c, b + 1)
        while k < end:
            run = run_of_channels(c, k, end)
            src = source_row(c, n, g, k, h)
            if src != NULL and turns_rows(c):
                src = row + k * item
            gather_row(c, src, run, step, x_w, dst + (b * c.block + k - first) * item)
            k += run


cdef void gather_folded(const Correlation* c, long n, long g, long h, char* dst) noexcept nogil:
    """The KH input rows from h on, side by side as KH * C channels of one row."""
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype), kh
    cdef const char* x = source_row(c, n, g, 0, h)
    if s.C == 1 and x != NULL and h + (s.KH - 1) * s.dh < s.H:
        gather_row(c, x, s.KH, s.dh * c.x_h, c.x_w, dst)
        return
    for kh in range(s.KH):
        gather_row(c, source_row(c, n, g, 0, h + kh * s.dh), s.C, c.x_c, c.x_w,
                   dst + kh * s.C * item)


cdef char* band_start(const Correlation* c, long n, long g, long oh, long slot,
                      int thread) noexcept nogil:
    """The first pixel of the band of input for output rows oh and on; slot: which of the
    images of a group."""
    cdef const ConvShape* s = &c.s
    if not c.in_place:
        return c.scratch + thread * c.scratch_step + slot * c.image * itemsize(s.dtype)
    return <char*>c.x + itemsize(s.dtype) * (
        n // s.OD * c.x_n + n % s.OD * s.sd * c.x_d + g * s.X * c.x_c
        + (oh * s.sh - s.top) * c.x_h - s.left * c.x_w)


cdef void fetch(const Correlation* c, long n, long h, long end) noexcept nogil:
    """Prefetches input rows h..end: forward of (32,64,32,32)->64 3x3 on 2 cores of a Xeon,
    306 -> 317 GFLOP/s. Only where a row is all of use; of the last image that the taps read."""
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype), k
    cdef const char* x
    if s.G > 1 or (c.x_c != 1 and c.x_w != 1):
        return
    for h in range(max(h, <long>0), min(end, s.H)):
        x = source_row(c, n, 0, (s.KD - 1) * s.X, h)
        if x == NULL:
            return
        for k in range(1 if c.x_c == 1 else s.X):
            prefetch(x + k * c.x_c * item, s.W * c.x_w * item)


cdef void gather(const Correlation* c, long n, long g, long oh0, long oh, long end, long b0,
                 long b1, char* band, int thread) noexcept nogil:
    """Gathers what output rows oh..end read of the blocks b0..b1 and those from oh0 on before
    them did not, and asks for what as many further ones will."""
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype), h0 = oh0 * s.sh - s.top, r
    cdef long last = rows_read(s, end - oh0)
    cdef char* row = c.scratch + thread * c.scratch_step + c.row_offset
    if c.fold:
        for r in range(oh - oh0, end - oh0):
            gather_folded(c, n, g, h0 + r * s.sh, band + r * c.row * item)
    elif not c.in_place:
        for r in range(rows_read(s, oh - oh0), last):
            gather_blocks(c, n, g, h0 + r, row, b0, b1, band + r * c.row * item)
    fetch(c, n, h0 + last, h0 + last + (end - oh) * s.sh)


cdef void inner_rows(const Correlation* c, long oh, long* first, long* count) noexcept nogil:
    cdef const ConvShape* s = &c.s
    cdef long h = oh * s.sh - s.top, end
    first[0], count[0] = 0, s.KH
    if c.run == 1 and not c.in_place:
        end = min(ceil_div(s.H - h, s.dh), s.KH) if h < s.H else 0
        first[0] = min(ceil_div(-h, s.dh), s.KH) if h < 0 else 0
        count[0] = max(end - first[0], <long>0)
