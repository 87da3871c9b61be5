"""Convolution to few output channels, which would leave most lanes of a vector empty.

The roles change: a row of the register tile is an output channel, its vectors are
pixels of a row, and the weights are what is broadcast. A band of input is gathered as
planes [row][c][padded width]: for each kw the sum over (kh, c) runs at one step. The
tile comes out as planes too, starts from the bias, and is turned as it is stored. Called
by conv.pyx.
"""

from libc.string cimport memcpy, memset

from fastnn._kernels.conv_gather cimport inner_rows, source_row
from fastnn._kernels.conv_shape cimport ConvShape, result_image
from fastnn._kernels.runtime cimport (
    NORM_LINES, aligned, ceil_div, epilogue, epilogue_from, gemm_tile_args, itemsize, no_epilogue,
)

cdef enum:
    LEAST_TERMS = 24             # of a sum: below, turning the result costs too much
    BAND_BYTES = 64 << 10        # of planes that are gathered at once


cdef inline long width_of(const ConvShape* s) noexcept nogil:
    return (s.OW - 1) + (s.KW - 1) * s.dw + 1


cdef inline int tile_width(const Correlation* c) noexcept nogil:
    """In vectors: as wide as the tile of O rows can be and the image is."""
    cdef int width = 4
    while width > 1 and (c.K.gemm_rows[width] < c.s.O or (width - 1) * c.K.vl >= c.s.OW):
        width -= 1
    return width


cdef bint should_run_planar(const Correlation* c) noexcept nogil:
    """On 2 cores of a Xeon: backward-data of (64,6,14,14)->16 5x5 591 -> 340 us, forward of
    (32,32,32,32)->3 3x3 1145 -> 540, of (64,1,28,28)->6 5x5 205 -> 150."""
    cdef const ConvShape* s = &c.s
    return (2 * s.O <= c.K.vl and 2 * s.OW >= c.K.vl and s.sw == 1 and (s.dh == 1 or s.KH == 1)
            and not s.depthwise and s.KH * s.KW * s.C >= LEAST_TERMS)


cdef size_t plan_planar(Correlation* c, long wanted) noexcept nogil:
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype), most
    c.row, c.run = width_of(s) * s.C, 1
    most = max((BAND_BYTES // (c.row * item) - s.KH) // s.sh + 1, <long>1)
    c.bands = min(max(ceil_div(s.OH, most), wanted), s.OH)
    c.band = ceil_div(s.OH, c.bands)
    c.bands = ceil_div(s.OH, c.band)
    c.image = aligned(((c.band - 1) * s.sh + s.KH) * c.row * item) // item
    c.scratch_step = (c.image + 2 * s.O * 4 * c.K.vl) * item
    c.packed_bytes = aligned(s.G * s.O * s.KH * s.KW * s.C * item)
    return c.packed_bytes + c.threads * aligned(c.scratch_step)


cdef void pack_planar(const Packing* p) noexcept nogil:
    """packed[g][o][kw][kh][c]"""
    cdef const ConvShape* s = &p.c.s
    cdef long item = itemsize(s.dtype), terms = s.KH * s.C, g, o, kw, kd
    cdef const char* w
    cdef char* packed = p.packed
    for g in range(s.G):
        for o in range(s.O):
            w = p.w + (g * p.group + o * p.column) * item
            for kw in range(s.KW):
                for kd in range(s.KD):
                    p.c.K.copy_2d(w + (kw * p.tap_w + kd * p.tap_d) * item, p.tap_h, p.k,
                                  packed + kd * s.X * item, s.C, 1, s.KH, s.X)
                packed += terms * item


cdef void gather_planes(const Correlation* c, long n, long g, long h, char* dst) noexcept nogil:
    """Input row h of all channels, padded."""
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype), width = width_of(s), k, kd
    cdef const char* x
    cdef long first = min(max(s.left, <long>0), width)
    cdef long last = max(min(s.W + s.left, width), first)
    for kd in range(s.KD):
        x = source_row(c, n, g, kd * s.X, h)
        if x == NULL:
            memset(dst, 0, width * s.X * item)
        else:
            for k in range(s.X):
                memset(dst + k * width * item, 0, first * item)
                memset(dst + (k * width + last) * item, 0, (width - last) * item)
            c.K.copy_2d(x + (first - s.left) * c.x_w * item, c.x_c, c.x_w, dst + first * item,
                        width, 1, s.X, last - first)
        dst += width * s.X * item


cdef void fill_bias(const Correlation* c, long g, long columns, char* tile) noexcept nogil:
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype), o, j
    for o in range(s.O):
        for j in range(columns):
            memcpy(tile + (o * columns + j) * item,
                   <const char*>c.after.bias + (g * s.O + o) * item, item)


cdef void normalise(const Correlation* c, long g, long columns, long n, char* tile) noexcept nogil:
    cdef epilogue e = epilogue_from(&c.after, g * c.s.O, itemsize(c.s.dtype))
    cdef long row = e.norm_row * itemsize(c.s.dtype)
    cdef const char* mean = <const char*>e.norm
    c.K.norm_apply[NORM_LINES](tile, mean, mean + row, mean + 2 * row, e.relu, tile, c.s.O,
                               columns, n)


cdef void planar_item(void* context, long item_index, int thread) noexcept nogil:
    cdef const Correlation* c = <const Correlation*>context
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype), width = width_of(s), oh, ow, r, kh, taps_h
    cdef long terms = s.KH * s.C
    cdef long oh0 = item_index % c.bands * c.band, end = min(oh0 + c.band, s.OH)
    cdef long g = item_index // c.bands % s.G, n = item_index // (c.bands * s.G)
    cdef int vectors = tile_width(c)
    cdef long columns = vectors * c.K.vl
    cdef char* band = c.scratch + thread * aligned(c.scratch_step)
    cdef char* tile = band + c.image * item
    cdef char* start = tile + s.O * columns * item      # what a tile starts from: the bias
    cdef char* y
    cdef gemm_tile_args t
    for r in range((end - oh0 - 1) * s.sh + s.KH):
        gather_planes(c, n, g, oh0 * s.sh - s.top + r, band + r * c.row * item)
    t.batches, t.accumulate, t.after = s.KW, c.after.bias != NULL, no_epilogue()
    t.after.relu = c.after.relu and c.after.norm == NULL
    t.a_k, t.a_batch, t.a_row = 1, terms, s.KW * terms
    t.b_k, t.b_batch = width, s.dw
    t.c, t.c_row = tile, columns
    if t.accumulate:
        fill_bias(c, g, columns, start)
    for oh in range(oh0, end):
        y = result_image(c, n) + (oh * c.y_h + g * s.O) * item
        inner_rows(c, oh, &kh, &taps_h)
        t.k = taps_h * s.C
        t.a = c.w + (g * s.O * t.a_row + kh * s.C) * item
        ow = 0
        while ow < s.OW:
            t.b = band + ((oh - oh0) * s.sh * c.row + kh * s.C * width + ow) * item
            t.n = min(columns, s.OW - ow)
            if t.accumulate:
                memcpy(tile, start, s.O * columns * item)
            c.K.gemm_tile[(t.n + c.K.vl - 1) // c.K.vl][s.O](&t)
            if c.after.norm != NULL:
                normalise(c, g, columns, t.n, tile)
            c.K.copy_2d(tile, 1, columns, y + ow * c.y_w * item, c.y_w, 1, t.n, s.O)
            ow += t.n
