"""Depthwise convolution: each channel is correlated with a filter of its own.

Bands of rows, gathering, phases of the stride, partial sums and packed weights
([KH][KW][all channels]) are those of every convolution; what differs is what is done
with a row, a vector of channels at a time. Images are clipped rather than padded: taps
beyond their edges are left out. Channels-last ones are read as they lie, others copied a
band at a time. Called by conv.pyx and conv_weight.pyx.
"""

from libc.string cimport memset

from fastnn._kernels.conv_gather cimport band_start, gather
from fastnn._kernels.conv_shape cimport ConvShape, result_image
from fastnn._kernels.runtime cimport (
    aligned, ceil_div, depthwise_args, depthwise_fn, epilogue_from, few_sets, itemsize,
)

cdef enum:
    BLOCK_BYTES = 32 << 10       # of dy that is copied, channels last, at once
    CACHE_BYTES = 20 << 10       # of the first-level cache, for rows of x
    FEW_TAPS = 9                 # find room in few sets of it


cdef bint should_clip(const Correlation* c) noexcept nogil:
    """Volumes are gathered and padded: what a result reads are several of their images."""
    cdef const ConvShape* s = &c.s
    return s.depthwise and s.D == 1 and s.KD == 1 and s.OD == 1


cdef bint clips_in_place(const Correlation* c) noexcept nogil:
    """2 cores of Zen 4, avx512: (16,64,56,56) 3x3 /2 557 -> 300 us, (1,96,56,56) 3x3 82 -> 61."""
    cdef const ConvShape* s = &c.s
    return c.x_c == 1 and (s.KH * s.KW <= FEW_TAPS or not few_sets(c.x_w * itemsize(s.dtype)))


cdef const char* rows_of(const Correlation* c, long n, long oh0, long end,
                         char* room) noexcept nogil:
    """Row 0 of image n: as it lies, or of a copy, channels last, that has of its rows those
    which output rows oh0..end read."""
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype), first = max(oh0 * s.sh - s.top, <long>0), h
    cdef long last = min((end - 1) * s.sh - s.top + (s.KH - 1) * s.dh + 1, s.H)
    cdef const char* x = c.x + n * c.x_n * item
    if c.in_place:
        return x
    if c.x_h == s.W * c.x_w and last > first:
        c.K.copy_2d(x + first * c.x_h * item, c.x_w, c.x_c, room, c.pixel, 1,
                    (last - first) * s.W, s.O)
    else:
        for h in range(first, last):
            c.K.copy_2d(x + h * c.x_h * item, c.x_w, c.x_c, room + (h - first) * c.row * item,
                        c.pixel, 1, s.W, s.O)
    return room - first * c.row * item


cdef void describe(const Correlation* c, depthwise_args* d, long w_tap) noexcept nogil:
    cdef const ConvShape* s = &c.s
    d.columns, d.channels, d.taps_h, d.taps_w = s.OW, s.O, s.KH, s.KW
    d.x_row, d.x_tap, d.x_col = c.tap_h, c.tap_w, c.out_pixel
    d.w_row, d.w_tap = s.KW * w_tap, w_tap


cdef long taps_inside(long first, long step, long size, long* taps) noexcept nogil:
    """Those of the taps at first, first + step, ... that are not beyond an edge: how many, in
    place of `taps`, and returns which is the first."""
    cdef long skipped = min(ceil_div(-first, step), taps[0]) if first < 0 else 0
    cdef long end = min(ceil_div(size - first, step), taps[0]) if first < size else 0
    taps[0] = max(end - skipped, <long>0)
    return skipped


cdef void clip_row(const Correlation* c, const depthwise_args* row, depthwise_fn run, long oh,
                   const char* x) noexcept nogil:
    """Output row oh of the image at x, in pieces that reach no edge: all inner columns, and
    each outer one."""
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype), h = oh * s.sh - s.top, w, kh, kw, ow = 0
    cdef long inner = ceil_div(max(s.left, <long>0), s.sw)
    cdef long inner_end = s.W - 1 + s.left - (s.KW - 1) * s.dw
    cdef depthwise_args d = row[0]
    inner_end = min(inner_end // s.sw + 1, s.OW) if inner_end >= 0 else 0
    kh = taps_inside(h, s.dh, s.H, &d.taps_h)
    while ow < s.OW:
        w, d.taps_w = ow * s.sw - s.left, s.KW
        kw = taps_inside(w, s.dw, s.W, &d.taps_w)
        d.columns = inner_end - ow if inner <= ow < inner_end else 1
        d.x = x + ((h + kh * s.dh) * c.row + (w + kw * s.dw) * c.pixel) * item
        d.w = <char*>row.w + (kh * d.w_row + kw * d.w_tap) * item
        d.y = <char*>row.y + ow * d.y_col * item
        run(&d)
        ow += d.columns


cdef long block_channels(const Correlation* c) noexcept nogil:
    """So many that the rows an output row reads stay in the first-level cache."""
    cdef const ConvShape* s = &c.s
    cdef long pixels = s.KH * ((s.OW - 1) * s.sw + (s.KW - 1) * s.dw + 1)    # 0: no taps
    cdef long most = CACHE_BYTES // (max(pixels, <long>1) * itemsize(s.dtype))
    return max(most // c.K.vl, <long>2) * c.K.vl


cdef void depthwise_item(void* context, long item_index, int thread) noexcept nogil:
    """A band of rows, block of channels by block."""
    cdef const Correlation* c = <const Correlation*>context
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype), n = item_index // c.bands, block = block_channels(c)
    cdef long oh0 = item_index % c.bands * c.band, end = min(oh0 + c.band, s.OH), oh, k = 0
    cdef char* band = band_start(c, n, 0, oh0, 0, thread)
    cdef const char* x = NULL
    cdef depthwise_args d
    describe(c, &d, c.packed_columns)
    d.y_col = c.y_w
    if c.clipped:
        x = rows_of(c, n, oh0, end, band)
    else:
        gather(c, n, 0, oh0, oh0, end, 0, 1, band, thread)
    while k < s.O:
        d.w, d.after = <char*>c.w + k * item, epilogue_from(&c.after, k, item)
        d.channels = min(block, s.O - k)
        for oh in range(oh0, end):
            d.y = result_image(c, n) + (oh * c.y_h + k) * item
            if c.clipped:
                clip_row(c, &d, c.K.depthwise_row, oh, x + k * item)
            else:
                d.x = band + ((oh - oh0) * s.sh * c.row + k) * item
                c.K.depthwise_row(&d)
        k += block


cdef size_t plan_depthwise_weight(Correlation* c) noexcept nogil:
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype)
    c.parts = c.kernel_parts = 1
    c.dy_rows = min(max(BLOCK_BYTES // (s.OW * s.O * item), <long>1), c.band)
    c.copy_dy = c.dy_c != 1
    c.dy_offset = c.scratch_step
    if c.copy_dy:
        c.scratch_step += aligned(c.dy_rows * s.OW * s.O * item)
    c.packed_bytes = aligned(c.sums * c.partial * item)
    return c.packed_bytes + c.threads * c.scratch_step


cdef void depthwise_weight_item(void* context, long item_index, int thread) noexcept nogil:
    cdef const Correlation* c = <const Correlation*>context
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype), unit, n, oh0, oh, end, rows, r
    cdef char* dw = c.dw + item_index * c.partial * item
    cdef char* band
    cdef const char* x = NULL
    cdef const char* dy
    cdef long dy_w
    cdef depthwise_args d
    describe(c, &d, s.O)
    d.w = dw
    memset(dw, 0, c.partial * item)
    for unit in range(s.N * c.bands * item_index // c.sums,
                      s.N * c.bands * (item_index + 1) // c.sums):
        n, oh0 = unit // c.bands, unit % c.bands * c.band
        end = min(oh0 + c.band, s.OH)
        band = band_start(c, n, 0, oh0, 0, thread)
        if c.want_dw and c.clipped:
            x = rows_of(c, n, oh0, end, band)
        oh = oh0
        while oh < end:
            rows = min(c.dy_rows, end - oh)
            if c.want_dw and not c.clipped:
                gather(c, n, 0, oh0, oh, oh + rows, 0, 1, band, thread)
            dy, dy_w = c.dy + (n * c.dy_n + oh * s.OW * c.dy_w) * item, c.dy_w
            if c.copy_dy:
                d.y = c.scratch + thread * c.scratch_step + c.dy_offset
                c.K.copy_2d(dy, dy_w, c.dy_c, d.y, s.O, 1, rows * s.OW, s.O)
                dy, dy_w = <const char*>d.y, s.O
            d.y_col = dy_w
            if c.want_dw:
                for r in range(rows):
                    d.y = <void*>(dy + r * s.OW * dy_w * item)
                    if c.clipped:
                        clip_row(c, &d, c.K.depthwise_weight, oh + r, x)
                    else:
                        d.x = band + (oh + r - oh0) * s.sh * c.row * item
                        c.K.depthwise_weight(&d)
            if c.want_db:
                c.K.conv_column_sum(dy, dy_w, dw + c.weight_rows * s.O * item, rows * s.OW, s.O)
            oh += rows
