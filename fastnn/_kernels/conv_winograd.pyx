"""Convolution with 3x3 or 5x5 taps by Winograd's tiles (conv_winograd.h): fewer products.

The tiles of all images stand in one row; an item takes a block of them, spreads each
to planes [value][tile][channel], multiplies plane by plane with the weights' planes,
packed [value][panel][C][its columns], and gathers the products to pixels. Tiles within
an image are read as they lie; those that reach over its edge, or whose channels are not
adjacent, through a copy. Parallel over blocks and parts of the panels. Called by conv.pyx
for the forward pass and for backward-data, which is one with flipped weights.

Error against float64, as a multiple of the direct way's: 0.6 to 0.9 with tiles of 2 x 2,
1.7 to 2.8 with 4 x 4, 1.2 to 1.9 with 5x5 taps (root of the mean square; normal and ReLU inputs,
16 to 512 channels). Speed, 2 cores of a Xeon: (16,64,32,32)->64 3400 -> 1240 us,
(16,128,14,14)->128 2500 -> 1070, (1,64,56,56)->64 650 -> 255, dilated (8,64,56,56)->64
5050 -> 1940, 5x5 (16,64,28,28)->64 6700 -> 3400.
"""

from fastnn._kernels.conv_gather cimport gather_pixels, run_of_channels, source_row
from fastnn._kernels.conv_pack cimport pack_channels
from fastnn._kernels.conv_shape cimport Tiling, result_image
from fastnn._kernels.panels cimport (
    cut_panels, padded_columns, panel_columns, panel_end, panel_start, panel_width,
)
from fastnn._kernels.runtime cimport (
    aligned, ceil_div, epilogue_from, few_sets, gemm_tile_args, itemsize, no_epilogue, parallel_for,
    team_size, winograd_args,
)

cdef enum:
    PLANE_BYTES = 640 << 10      # of a block's planes: they stay in the second-level cache
    PACK_CHANNELS = 8            # of the weights that are spread at once
    LEAST_CHANNELS = 16          # of input and of output

    # What other work costs, in multiply-adds of the products; 2 cores of a Xeon, avx512:
    SPREAD_COST = 13             # a number on its way to a plane or from it: 0.15 ns
    PACK_COST = 18               # a number of the weights' planes, which are often kept

cdef double LEAST_GAIN = 1.15
cdef bint allowed = True


cdef bint winograd_allowed() noexcept nogil:
    return allowed


cdef void allow_winograd(bint allow) noexcept nogil:
    global allowed
    allowed = allow


# --- the plan ---------------------------------------------------------------------

cdef bint has_tiles(const ConvShape* s) noexcept nogil:
    return (allowed and s.KH == s.KW and (s.KH == 3 or s.KH == 5) and s.sh == 1 and s.sw == 1
            and not s.depthwise and s.C >= LEAST_CHANNELS and s.O >= LEAST_CHANNELS)


cdef inline long tiles_along(long pixels, long dilation, long side) noexcept nogil:
    """Tiles of one of the images that a dilation makes."""
    return ceil_div(ceil_div(pixels, dilation), side)


cdef double tiles_of(const ConvShape* s, long side) noexcept nogil:
    return (<double>s.N * s.dh * s.dw * tiles_along(s.OH, s.dh, side)
            * tiles_along(s.OW, s.dw, side))


cdef double products(const ConvShape* s, long side, double spread, double packed) noexcept nogil:
    """The time of a group's tiles, as so many multiply-adds: with `spread` numbers that go to
    a plane or come from it for each tile, and `packed` sets of weights."""
    cdef double values = (side + s.KH - 1) * (side + s.KW - 1), channels = <double>s.C * s.O
    return values * (tiles_of(s, side) * (channels + SPREAD_COST * spread) + packed * channels)


cdef int best_side(const ConvShape* s, double direct, double spread, double packed,
                   bint allow_four) noexcept nogil:
    cdef double two = products(s, 2, spread, packed)
    cdef double four = products(s, 4, spread, packed) if s.KH == 3 and allow_four else 2 * two
    if direct < LEAST_GAIN * min(two, four):
        return 0
    return 4 if four < two else 2


cdef int winograd_side(const ConvShape* s) noexcept nogil:
    cdef double direct = <double>s.KH * s.KW * s.C * s.O * (<double>s.N * s.OH * s.OW + PACK_COST)
    return best_side(s, direct, s.C + s.O, PACK_COST, True) if has_tiles(s) else 0


cdef long padded(const Correlation* c, long n) noexcept nogil:
    """A pitch for rows or planes of so many numbers: whole vectors, not in few sets of a cache.
    The channels of each image of a volume are spread as whole vectors, over its end."""
    cdef long whole = ceil_div(n, c.K.vl) * c.K.vl, item = itemsize(c.s.dtype)
    return whole + 64 // item if c.s.KD > 1 or few_sets(whole * item) else whole


cdef void set_tiling(Correlation* c, long side) noexcept nogil:
    cdef const ConvShape* s = &c.s
    cdef Tiling* t = &c.tiling
    t.side, t.edge = side, side + s.KH - 1
    t.kind = 2 if s.KH == 5 else side == 4
    t.values = t.edge * t.edge
    t.rows, t.cols = tiles_along(s.OH, s.dh, side), tiles_along(s.OW, s.dw, side)
    t.count = s.N * s.dh * s.dw * t.rows * t.cols


cdef long tiles_at_once(Correlation* c, long x_channels, long y_channels) noexcept nogil:
    """How many tiles of so many channels a block has; sets the pitches of their planes."""
    cdef Tiling* t = &c.tiling
    cdef long rows = 2 * c.K.gemm_rows[2], bytes_each
    t.x_tile, t.y_tile = padded(c, x_channels), padded(c, y_channels)
    bytes_each = (t.x_tile + t.y_tile) * t.values * itemsize(c.s.dtype)
    return max(PLANE_BYTES // bytes_each // rows, <long>1) * rows


cdef size_t plan_winograd(Correlation* c, long wanted) noexcept nogil:
    cdef const ConvShape* s = &c.s
    cdef Tiling* t = &c.tiling
    cdef long item = itemsize(s.dtype)
    set_tiling(c, t.side)
    c.groups = ceil_div(t.count, tiles_at_once(c, s.C, s.O))
    t.block = ceil_div(t.count, c.groups)
    c.panels = cut_panels(c.K, t.block, s.O)
    c.packed_columns = padded_columns(c.K, s.O)
    c.in_place, c.spread, c.bands, c.pixel = False, False, 1, s.C
    c.parts = min(ceil_div(min(wanted, <long>8), c.groups * s.G), c.panels.count)
    t.x_plane = t.block * t.x_tile + c.K.vl
    t.y_plane = t.block * t.y_tile + c.K.vl
    t.w_plane = padded(c, c.packed_columns * s.C)
    c.packed_bytes = aligned(s.G * t.values * t.w_plane * item)
    c.row_offset = aligned(t.values * (t.x_plane + t.y_plane) * item)
    c.scratch_step = c.row_offset + edge_bytes(c, s.C)
    return c.packed_bytes + c.threads * c.scratch_step


cdef size_t edge_bytes(const Correlation* c, long channels) noexcept nogil:
    cdef const Tiling* t = &c.tiling
    cdef long pixels = min(t.cols, t.block) * t.side + t.edge - t.side
    return aligned(t.edge * pixels * channels * itemsize(c.s.dtype))


# --- the weights --------------------------------------------------------------------

cdef void pack_item(void* context, long item_index, int thread) noexcept nogil:
    """The planes of one panel of one group."""
    cdef const Packing* p = <const Packing*>context
    cdef const Correlation* c = p.c
    cdef const ConvShape* s = &c.s
    cdef char[25 * PACK_CHANNELS * 256] taps        # [kh][kw][k][at most 4 vectors]
    cdef long item = itemsize(s.dtype), k = 0
    cdef long g = item_index // c.panels.count, panel = item_index % c.panels.count
    cdef long columns = panel_columns(&c.panels, panel)
    cdef char* planes = p.packed + (g * c.tiling.values * c.tiling.w_plane
                                    + panel_start(&c.panels, panel) * s.C) * item
    cdef winograd_args w
    w.n = w.step = w.tile = columns
    w.pixels, w.plane = taps, c.tiling.w_plane
    while k < s.C:
        w.tiles = min(s.C - k, <long>PACK_CHANNELS)
        w.col = w.tiles * columns
        w.row = s.KW * w.col
        pack_channels(p, g, panel, k, k + w.tiles, taps, w.col)
        w.planes = planes + k * columns * item
        c.K.winograd_taps[c.tiling.kind](&w)
        k += w.tiles


cdef void pack_winograd(Packing* p) noexcept nogil:
    cdef const Correlation* c = p.c
    parallel_for(pack_item, p, c.s.G * c.panels.count,
                 1 if c.threads == 1 else team_size(<double>c.packed_bytes * 0.1))


# --- a block of tiles ---------------------------------------------------------------

cdef Run run_at(const Correlation* c, long tile, long end) noexcept nogil:
    cdef const ConvShape* s = &c.s
    cdef const Tiling* t = &c.tiling
    cdef long image = tile // (t.rows * t.cols)
    cdef Run r
    r.n, r.top, r.left = image // (s.dh * s.dw), image // s.dw % s.dh, image % s.dw
    r.h, r.w = tile // t.cols % t.rows, tile % t.cols
    r.w_end = min(t.cols, r.w + end - tile)
    return r


cdef void spread_edge(const Tiles* t, winograd_args* a, const char* x, long h, long w,
                      char* room) noexcept nogil:
    """a.tiles tiles, from input row h, column w on, through a padded copy."""
    cdef const Correlation* c = t.c
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype), i
    cdef long pixels = (a.tiles - 1) * c.tiling.side + t.extent
    cdef const char* row
    for i in range(t.extent):
        row = x + h * c.x_h * item if x != NULL and 0 <= h < s.H else NULL
        gather_pixels(c, row, a.n, c.x_c, c.x_w, w, s.dw, pixels,
                      room + i * pixels * c.pixel * item)
        h += s.dh
    a.pixels, a.row, a.col, a.step = room, pixels * c.pixel, c.pixel, c.tiling.side * c.pixel
    t.spread(a)


cdef void spread_image(const Tiles* t, const Run* r, const char* x, long n, char* planes,
                       char* room) noexcept nogil:
    """n channels of a run of tiles in the image at x; NULL: an image of zeros."""
    cdef const Correlation* c = t.c
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype), reach = t.extent - 1, step = c.tiling.side * s.dw, w
    cdef long h = r.top + r.h * c.tiling.side * s.dh - s.top, first = r.left - s.left
    cdef long inner = r.w_end, inner_end = r.w_end, last = s.W - 1 - reach * s.dw - first
    cdef winograd_args a
    a.n, a.plane, a.tile = n, t.plane, t.tile
    if x != NULL and c.x_c == 1 and h >= 0 and h + reach * s.dh < s.H:
        inner = min(max(r.w, ceil_div(max(-first, <long>0), step)), r.w_end)
        inner_end = min(max(last // step + 1 if last >= 0 else 0, inner), r.w_end)
    a.planes, a.tiles = planes, inner - r.w
    if a.tiles > 0:
        spread_edge(t, &a, x, h, first + r.w * step, room)
    a.planes, a.tiles = planes + (inner - r.w) * a.tile * item, inner_end - inner
    if a.tiles > 0:
        w = first + inner * step
        a.pixels = <void*>(x + (h * c.x_h + w * c.x_w) * item)
        a.row, a.col, a.step = s.dh * c.x_h, s.dw * c.x_w, step * c.x_w
        t.spread(&a)
    a.planes, a.tiles = planes + (inner_end - r.w) * a.tile * item, r.w_end - inner_end
    if a.tiles > 0:
        spread_edge(t, &a, x, h, first + inner_end * step, room)


cdef void spread_run(const Tiles* t, const Run* r, long g, long k, long n, char* planes,
                     char* room) noexcept nogil:
    cdef long end = k + n, run
    while k < end:
        run = run_of_channels(t.c, k, end)
        spread_image(t, r, source_row(t.c, r.n, g, k, 0), run, planes, room)
        planes += run * itemsize(t.c.s.dtype)
        k += run


cdef void multiply(const Correlation* c, long g, long tiles, long first, long last, char* x_planes,
                   char* y_planes) noexcept nogil:
    """Plane by plane: tiles x channels by channels x the columns of some panels."""
    cdef const ConvShape* s = &c.s
    cdef const Tiling* t = &c.tiling
    cdef long item = itemsize(s.dtype), value, panel, i, low, blocks, o, m
    cdef long o0 = panel_start(&c.panels, first)
    cdef int width
    cdef gemm_tile_args a
    a.batches, a.k, a.a_row, a.a_k, a.a_batch, a.b_batch = 1, s.C, t.x_tile, 1, 0, 0
    a.c_row, a.accumulate, a.after = t.y_tile, False, no_epilogue()
    for value in range(t.values):
        for panel in range(first, last):
            o, width = panel_start(&c.panels, panel), panel_width(&c.panels, panel)
            a.n = a.b_k = panel_columns(&c.panels, panel)
            a.b = c.w + ((g * t.values + value) * t.w_plane + o * s.C) * item
            blocks = ceil_div(tiles, c.K.gemm_rows[width])
            for i in range(blocks):
                low = tiles * i // blocks
                m = tiles * (i + 1) // blocks - low
                a.a = x_planes + (value * t.x_plane + low * t.x_tile) * item
                a.c = y_planes + (value * t.y_plane + low * t.y_tile + o - o0) * item
                c.K.gemm_tile[width][m](&a)


cdef void gather_run(const Correlation* c, const Run* r, long o, long n,
                     char* planes) noexcept nogil:
    """The pixels of output channels o..o + n."""
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype), side = c.tiling.side
    cdef long h = r.top + r.h * side * s.dh, w = r.left + r.w * side * s.dw
    cdef winograd_args a
    a.tiles, a.n = r.w_end - r.w, n
    a.planes, a.plane, a.tile = planes, c.tiling.y_plane, c.tiling.y_tile
    a.rows, a.cols = ceil_div(s.OH - h, s.dh), ceil_div(s.OW - w, s.dw)
    a.pixels = result_image(c, r.n) + (h * c.y_h + w * c.y_w + o) * item
    a.row, a.col, a.step = s.dh * c.y_h, s.dw * c.y_w, side * s.dw * c.y_w
    a.after = epilogue_from(&c.after, o, item)
    c.K.winograd_output[c.tiling.kind](&a)


cdef void winograd_item(void* context, long item_index, int thread) noexcept nogil:
    cdef const Correlation* c = <const Correlation*>context
    cdef const ConvShape* s = &c.s
    cdef const Tiling* t = &c.tiling
    cdef long item = itemsize(s.dtype), part = item_index % c.parts, tile
    cdef long g = item_index // c.parts % s.G, group = item_index // (c.parts * s.G)
    cdef long first = c.panels.count * part // c.parts
    cdef long last = c.panels.count * (part + 1) // c.parts
    cdef long start = t.count * group // c.groups, end = t.count * (group + 1) // c.groups
    cdef long o = panel_start(&c.panels, first), n = panel_end(&c.panels, last - 1) - o
    cdef char* x_planes = c.scratch + thread * c.scratch_step
    cdef char* y_planes = x_planes + t.values * t.x_plane * item
    cdef Run r
    cdef Tiles x
    x.c, x.spread, x.extent = c, c.K.winograd_input[t.kind], t.edge
    x.plane, x.tile = t.x_plane, t.x_tile
    tile = start
    while tile < end:
        r = run_at(c, tile, end)
        spread_run(&x, &r, g, 0, s.C, x_planes + (tile - start) * t.x_tile * item,
                   c.scratch + thread * c.scratch_step + c.row_offset)
        tile += r.w_end - r.w
    multiply(c, g, end - start, first, last, x_planes, y_planes)
    tile = start
    while tile < end:
        r = run_at(c, tile, end)
        gather_run(c, &r, g * s.O + o, n, y_planes + (tile - start) * t.y_tile * item)
        tile += r.w_end - r.w
