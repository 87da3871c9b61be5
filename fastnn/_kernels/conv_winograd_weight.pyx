"""The weight gradient of a convolution with 3x3 taps by Winograd's tiles.

The forward pass (conv_winograd.pyx) turned round: the tiles of x and of dy are spread to
planes, each plane of the weights is a product summed over tiles, and its values are gathered
to taps. An item takes the tiles of one partial sum for a block of input channels and
some panels of output channels: its sums stay in the second-level cache. Called by
conv_weight.pyx, which adds up the partial sums and puts them in place.
"""

from libc.string cimport memset

from fastnn._kernels.conv_shape cimport Tiling
from fastnn._kernels.conv_winograd cimport (
    Run, Tiles, best_side, edge_bytes, has_tiles, padded, run_at, set_tiling, spread_run,
    tiles_at_once, tiles_of,
)
from fastnn._kernels.panels cimport (
    cut_panels, panel_columns, panel_end, panel_start, panel_width,
)
from fastnn._kernels.runtime cimport (
    aligned, ceil_div, gemm_tile_args, itemsize, no_epilogue, winograd_args,
)

cdef enum:
    BLOCK_CHANNELS = 64          # of input and of output that an item takes, about
    SUMS = 8                     # least items wanted
    # Short sums are so exact in the direct way that tiles would be far behind: with fewer
    # than these, of 4 x 4 pixels, the error is 4 times the direct way's, or more
    LEAST_TILES_4 = 48
    LEAST_TILES_2 = 4

    SUM_COST = 18                # a number of a partial sum, in multiply-adds

cdef double DIRECT_COST = 1.2    # of a multiply-add of the direct way


cdef inline long blocks_of(long channels) noexcept nogil:
    return ceil_div(channels, BLOCK_CHANNELS)


cdef int winograd_weight_side(const ConvShape* s) noexcept nogil:
    cdef long blocks = blocks_of(s.C), shares = blocks_of(s.O)
    cdef double sums = SUM_COST * ceil_div(SUMS, blocks * shares * s.G)
    cdef double spread = s.C * shares + s.O * blocks
    cdef double direct = DIRECT_COST * 9 * s.C * s.O * s.N * s.OH * s.OW
    cdef double tiles = tiles_of(s, 4)
    if not has_tiles(s) or s.KH != 3 or tiles < LEAST_TILES_2:
        return 0
    return best_side(s, direct, spread, sums, tiles >= LEAST_TILES_4)


cdef size_t plan_winograd_weight(Correlation* c, long wanted) noexcept nogil:
    cdef const ConvShape* s = &c.s
    cdef Tiling* t = &c.tiling
    cdef long item = itemsize(s.dtype), columns, most
    set_tiling(c, t.side)
    c.panels = cut_panels(c.K, s.C, s.O)
    c.in_place = c.spread = c.fold = c.turned = c.copy_dy = False
    c.images = c.bands = c.kernel_parts = 1
    c.blocks = blocks_of(s.C)
    c.parts = c.blocks * blocks_of(s.O)
    columns = ceil_div(c.panels.count * c.blocks, c.parts) * c.panels.nr
    most = tiles_at_once(c, ceil_div(s.C, c.blocks), columns)
    c.groups = ceil_div(t.count, most)
    c.sums = max(min(wanted // (c.parts * s.G), c.groups), <long>1)
    most = ceil_div(ceil_div(t.count, c.sums), most)
    t.block = ceil_div(ceil_div(t.count, c.sums), most)
    t.w_plane = padded(c, ceil_div(s.C, c.blocks) * t.y_tile)
    t.x_plane = t.block * t.x_tile + c.K.vl
    t.y_plane = t.block * t.y_tile + c.K.vl
    c.partial = s.G * (c.weight_rows + 1) * s.O
    c.dy_offset = aligned(t.values * (t.x_plane + t.y_plane) * item)
    c.row_offset = c.dy_offset + aligned(t.values * t.w_plane * item)
    c.scratch_step = c.row_offset + edge_bytes(c, max(ceil_div(s.C, c.blocks), columns))
    c.packed_bytes = aligned(c.sums * c.partial * item)
    return c.packed_bytes + c.threads * c.scratch_step


cdef Correlation gradient_images(const Correlation* c, long channels) noexcept nogil:
    """dy as the images that tiles are read from."""
    cdef Correlation d = c[0]
    d.x, d.x_n, d.x_c, d.x_h, d.x_w = c.dy, c.dy_n, c.dy_c, c.s.OW * c.dy_w, c.dy_w
    d.s.D, d.s.OD, d.s.KD, d.s.front, d.s.C, d.s.X = 1, 1, 1, 0, c.s.O, c.s.O
    d.s.H, d.s.W, d.s.top, d.s.left = c.s.OH, c.s.OW, 0, 0
    d.pixel = channels
    return d


cdef void add_bias(const Correlation* d, const Run* r, long k, long n, char* db) noexcept nogil:
    """db[n] += the pixels of dy under a run of tiles."""
    cdef const ConvShape* s = &d.s
    cdef long item = itemsize(s.dtype), side = d.tiling.side, _
    cdef long h = r.top + r.h * side * s.dh, w = r.left + r.w * side * s.dw
    cdef long pixels = min((r.w_end - r.w) * side, ceil_div(s.W - w, s.dw))
    for _ in range(side):
        if h < s.H and pixels > 0:
            d.K.conv_column_sum(d.x + (r.n * d.x_n + h * d.x_h + w * d.x_w + k * d.x_c) * item,
                                s.dw * d.x_w, db, pixels, n)
        h += s.dh


cdef void multiply(const Correlation* c, long tiles, bint accumulate, long first, long last,
                   long channels, char* planes, char* sums) noexcept nogil:
    """Plane by plane: channels x tiles by tiles x the columns of some panels."""
    cdef const Tiling* t = &c.tiling
    cdef long item = itemsize(c.s.dtype), value, panel, i, low, blocks, o, m
    cdef long o0 = panel_start(&c.panels, first)
    cdef char* y_planes = planes + t.values * t.x_plane * item
    cdef int width
    cdef gemm_tile_args a
    a.batches, a.k, a.a_row, a.a_k, a.a_batch, a.b_batch = 1, tiles, 1, t.x_tile, 0, 0
    a.b_k = a.c_row = t.y_tile
    a.accumulate, a.after = accumulate, no_epilogue()
    for value in range(t.values):
        for panel in range(first, last):
            o, width = panel_start(&c.panels, panel) - o0, panel_width(&c.panels, panel)
            a.n = panel_columns(&c.panels, panel)
            a.b = y_planes + (value * t.y_plane + o) * item
            blocks = ceil_div(channels, c.K.gemm_rows[width])
            for i in range(blocks):
                low = channels * i // blocks
                m = channels * (i + 1) // blocks - low
                a.a = planes + (value * t.x_plane + low) * item
                a.c = sums + (value * t.w_plane + low * t.y_tile + o) * item
                c.K.gemm_tile[width][m](&a)


cdef void winograd_weight_item(void* context, long item_index, int thread) noexcept nogil:
    cdef const Correlation* c = <const Correlation*>context
    cdef const ConvShape* s = &c.s
    cdef const Tiling* t = &c.tiling
    cdef long item = itemsize(s.dtype), part = item_index % c.parts
    cdef long g = item_index // c.parts % s.G, sum_index = item_index // (c.parts * s.G)
    cdef long block = part % c.blocks, share = part // c.blocks, shares = c.parts // c.blocks
    cdef long k = s.C * block // c.blocks, channels = s.C * (block + 1) // c.blocks - k
    cdef long first = c.panels.count * share // shares
    cdef long last = c.panels.count * (share + 1) // shares
    cdef long o = panel_start(&c.panels, first), n = panel_end(&c.panels, last - 1) - o
    cdef long start = t.count * sum_index // c.sums, end = t.count * (sum_index + 1) // c.sums
    cdef long low = start, high, tile
    cdef char* planes = c.scratch + thread * c.scratch_step
    cdef char* sums = planes + c.dy_offset
    cdef char* room = planes + c.row_offset
    cdef char* dw = c.dw + (sum_index * c.partial + g * (c.weight_rows + 1) * s.O + o) * item
    cdef char* db = dw + c.weight_rows * s.O * item
    cdef bint sums_dy = c.want_db and block == 0
    cdef Correlation x_images = c[0], dy_images = gradient_images(c, n)
    cdef Run r
    cdef Tiles x, dy
    cdef winograd_args a
    x_images.pixel = channels
    x.c, x.spread, x.extent = &x_images, c.K.winograd_input[t.kind], t.edge
    x.plane, x.tile = t.x_plane, t.x_tile
    dy.c, dy.spread, dy.extent = &dy_images, c.K.winograd_dy[t.kind], t.side
    dy.plane, dy.tile = t.y_plane, t.y_tile
    if sums_dy:
        memset(db, 0, n * item)
    while low < end:
        high = min(low + t.block, end)
        tile = low
        while tile < high:
            r = run_at(c, tile, high)
            spread_run(&x, &r, g, k, channels, planes + (tile - low) * t.x_tile * item, room)
            spread_run(&dy, &r, g, o, n,
                       planes + (t.values * t.x_plane + (tile - low) * t.y_tile) * item, room)
            if sums_dy:
                add_bias(&dy_images, &r, g * s.O + o, n, db)
            tile += r.w_end - r.w
        multiply(c, high - low, low > start, first, last, channels, planes, sums)
        low = high
    a.tiles, a.n, a.after = channels, n, no_epilogue()
    a.planes, a.plane, a.tile = sums, t.w_plane, t.y_tile
    a.pixels, a.row, a.col, a.step = dw + k * s.O * item, s.KW * s.C * s.O, s.C * s.O, s.O
    a.rows, a.cols = s.KH, s.KW * channels
    c.K.winograd_dw[t.kind](&a)
