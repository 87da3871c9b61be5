"""Depthwise convolution: each channel is correlated with a filter of its own.

Bands of rows, gathering, phases of the stride, partial sums and packed weights
([KH][KW][all channels]) are those of every convolution; what differs is what is done
with a gathered row, a vector of channels at a time. Called by conv.pyx and
conv_weight.pyx.
"""

from libc.string cimport memset

from fastnn._kernels.conv_gather cimport band_start, gather
from fastnn._kernels.conv_shape cimport ConvShape, result_image
from fastnn._kernels.runtime cimport aligned, depthwise_args, epilogue_from, itemsize

cdef enum:
    BLOCK_BYTES = 32 << 10       # of dy that is copied, channels last, at once
    CACHE_BYTES = 20 << 10       # of the first-level cache, for rows of x


cdef void describe(const Correlation* c, depthwise_args* d) noexcept nogil:
    cdef const ConvShape* s = &c.s
    d.columns, d.channels, d.taps_h, d.taps_w = s.OW, s.O, s.KH, s.KW
    d.x_row, d.x_tap, d.x_col = c.tap_h, c.tap_w, c.out_pixel


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
    cdef depthwise_args d
    describe(c, &d)
    d.w_tap, d.y_col = c.packed_columns, c.y_w
    gather(c, n, 0, oh0, oh0, end, 0, 1, band, thread)
    while k < s.O:
        d.w, d.after = <char*>c.w + k * item, epilogue_from(&c.after, k, item)
        d.channels = min(block, s.O - k)
        for oh in range(oh0, end):
            d.x = band + ((oh - oh0) * s.sh * c.row + k) * item
            d.y = result_image(c, n) + (oh * c.y_h + k) * item
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
    cdef const char* dy
    cdef long dy_w
    cdef depthwise_args d
    describe(c, &d)
    d.w, d.w_tap = dw, s.O
    memset(dw, 0, c.partial * item)
    for unit in range(s.N * c.bands * item_index // c.sums,
                      s.N * c.bands * (item_index + 1) // c.sums):
        n, oh0 = unit // c.bands, unit % c.bands * c.band
        end = min(oh0 + c.band, s.OH)
        band = band_start(c, n, 0, oh0, 0, thread)
        oh = oh0
        while oh < end:
            rows = min(c.dy_rows, end - oh)
            if c.want_dw:
                gather(c, n, 0, oh0, oh, oh + rows, 0, 1, band, thread)
            dy, dy_w = c.dy + (n * c.dy_n + oh * s.OW * c.dy_w) * item, c.dy_w
            if c.copy_dy:
                d.y = c.scratch + thread * c.scratch_step + c.dy_offset
                c.K.copy_2d(dy, dy_w, c.dy_c, d.y, s.O, 1, rows * s.OW, s.O)
                dy, dy_w = <const char*>d.y, s.O
            d.y_col = dy_w
            if c.want_dw:
                for r in range(rows):
                    d.x = band + (oh + r - oh0) * s.sh * c.row * item
                    d.y = <void*>(dy + r * s.OW * dy_w * item)
                    c.K.depthwise_weight(&d)
            if c.want_db:
                c.K.conv_column_sum(dy, dy_w, dw + c.weight_rows * s.O * item, rows * s.OW, s.O)
            oh += rows
