"""The weight and bias gradients of convolution.

  dw[kh][kw * C + c][o] = sum over n, oh, ow of
    x[n, oh * sh + kh * dh, ow * sw + kw * dw, c] * dy[n, oh, ow, o]

The same register tile as forward: its rows are (kw, c), its sum runs over the output
pixels of a block of rows, for which a block of dy stays in the first-level cache.
Bands of rows, and groups of small images, are dealt into fixed sums that work in
parallel, each a partial one, added up in a tree; where these would take too much
memory, items share out the panels or the blocks of channels too. With few input
channels the KH rows of a kernel are gathered side by side, which gives the tile more
rows; with few output channels the roles in the tile change. Called by ops/conv.pyx.
"""

from libc.string cimport memcpy, memset

from fastnn._kernels.conv_depthwise cimport (
    clips_in_place, depthwise_weight_item, plan_depthwise_weight, should_clip,
)
from fastnn._kernels.conv_gather cimport (
    GROUP_BYTES, band_start, gather, items_wanted, set_bands, set_source, should_spread, team_for,
    usable_in_place,
)
from fastnn._kernels.conv_winograd_weight cimport (
    plan_winograd_weight, winograd_weight_item, winograd_weight_side,
)
from fastnn._kernels.panels cimport (
    cut_panels, panel_columns, panel_end, panel_start, panel_width,
)
from fastnn._kernels.runtime cimport (
    aligned, ceil_div, gemm_tile_args, item_task, itemsize, kernels, no_epilogue, parallel_for,
    team_size,
)

cdef enum:
    # of dy that one tile of dw walks over. One core of a Xeon (48 KB first-level cache),
    # (4,64,32,32)->64 3x3: 16 KB 90 %, 12 KB 94 %, 8 KB 89 % of the forward pass's speed; twice
    # as much where channels are in blocks: (8,28,28) 128->128 81 -> 85 %
    BLOCK_BYTES = 12 << 10
    SUMS = 8                     # most partial sums,
    PARTIAL_BYTES = 8 << 20      # and bytes of all of them
    BLOCK_CHANNELS = 128         # from so many on, channels are gathered in blocks, a tile each
    SUM_CHUNK = 4096
    PLACE_BLOCK = 32


cdef bint takes_gradient(const ConvShape* s, const Py_ssize_t* dy_strides) noexcept:
    return ((s.OD == 1 or s.OD == s.N or dy_strides[0] == s.OD * dy_strides[4])
            and dy_strides[2] == s.OW * dy_strides[3] and dy_strides[3] > 0
            and (dy_strides[1] == 1 or dy_strides[3] == 1))


cdef size_t plan_backward_weight(Correlation* c, const ConvShape* s, const Py_ssize_t* x_strides,
                                 const Py_ssize_t* dy_strides, bint want_dw, bint want_db) noexcept:
    cdef long item = itemsize(s.dtype), wanted = min(items_wanted(s), <long>SUMS), cuts, most = 1
    c.s = s[0]
    c.K = kernels(s.dtype)
    c.threads = team_for(s)
    c.want_dw, c.want_db = want_dw, want_db
    set_source(c, x_strides)
    c.dy_n, c.dy_c, c.dy_w = dy_strides[0], dy_strides[1], dy_strides[3]
    if s.OD > 1:
        c.dy_n = dy_strides[4]
    c.weight_rows = s.KH * s.KW * s.C if want_dw else 0
    c.clipped = should_clip(c)
    c.tiling.side = winograd_weight_side(s) if want_dw and c.dy_c == 1 else 0
    if c.tiling.side:
        return plan_winograd_weight(c, wanted)
    c.fold = s.KH > 1 and s.KD == 1 and s.KW * s.X < 8 and not c.clipped
    c.panels = cut_panels(c.K, s.C * s.KW * (s.KH if c.fold else 1), s.O)
    c.planar, c.turned = False, should_turn(c)
    c.blocks = 1
    if s.C >= BLOCK_CHANNELS and not c.turned:
        c.blocks = ceil_div(s.C, c.K.gemm_rows[c.panels.width])
    if c.clipped:
        c.in_place = clips_in_place(c)
    else:
        c.in_place = not c.fold and c.blocks == 1 and usable_in_place(c)
    c.spread = should_spread(c)
    c.partial = s.G * (c.weight_rows + 1) * s.O
    while most < wanted and 2 * most * c.partial * item <= PARTIAL_BYTES:
        most *= 2
    c.parts = min(c.blocks, ceil_div(wanted, most * s.G))
    set_bands(c, ceil_div(most, s.N), s.N // most, GROUP_BYTES * c.parts)
    c.sums = min(c.groups * c.bands, most)
    if s.depthwise:
        return plan_depthwise_weight(c)
    c.kernel_parts = 1
    if c.blocks == 1:
        wanted = ceil_div(wanted, c.sums * s.G)
        c.parts = max(min(c.panels.count, wanted), <long>1)
        c.kernel_parts = s.KH if not c.fold and 2 * c.parts < wanted else 1
    cuts = BLOCK_BYTES if c.blocks == 1 else 2 * BLOCK_BYTES
    cuts = max((c.band * s.OW * c.panels.nr * item + cuts // 2) // cuts, <long>1)
    c.dy_rows = c.band if c.images > 1 else ceil_div(c.band, cuts)
    # channels last, rows a power of two apart would share few cache sets
    c.copy_dy = c.dy_c != 1 or (want_dw and not c.turned and c.weight_rows >= 64
                                and c.dy_w > c.panels.nr)
    c.dy_offset = c.scratch_step
    if c.copy_dy:
        c.scratch_step += aligned(c.images * c.dy_rows * s.OW * c.panels.nr * item)
    c.packed_bytes = aligned(c.sums * c.partial * item)
    return c.packed_bytes + c.threads * c.scratch_step


cdef void weight_block(const Correlation* c, gemm_tile_args* t, int width, const char* a,
                       char* dw, const long* kh, const long* blocks) noexcept nogil:
    """dw[kh][kw * C + k][panel] += over some output rows, whose first pixel a is: for kernel
    rows kh[0]..kh[1] and, where the channels are in blocks, for blocks[0]..blocks[1]."""
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype), runs = 1, kernel_row = s.KW * s.C * s.O
    cdef long length = s.KW * s.C * (s.KH if c.fold else 1), h, w, m, i, tiles
    cdef long first = 0, end
    cdef const char* tap
    if c.spread or c.blocks > 1 or s.dw > 1:
        runs, length = s.KW, length // s.KW
    tiles = end = ceil_div(length, c.K.gemm_rows[width])
    if c.blocks > 1:
        tiles, first, end = c.blocks, blocks[0], blocks[1]
    for h in range(kh[0], kh[1]):
        for w in range(runs):
            tap = a + (h * c.tap_h + w * c.tap_w) * item
            for i in range(first, end):
                m = length * i // tiles
                t.a = tap + (i * c.block if c.blocks > 1 else m) * item
                t.c = dw + (h * kernel_row + (w * length + m) * s.O) * item
                c.K.gemm_tile[width][length * (i + 1) // tiles - m](t)


cdef bint should_turn(const Correlation* c) noexcept nogil:
    """With few output channels the terms of a kernel row fill vectors better than these. Of
    (64,1,28,28)->6 5x5 on 2 cores of a Xeon: 290 -> 190 us."""
    cdef const ConvShape* s = &c.s
    cdef long terms = s.C * (s.KH if c.fold else 1) * (s.KW if s.dw == 1 else 1)
    return 2 * s.O <= c.K.vl and terms > s.O and not s.depthwise


cdef void turned_block(const Correlation* c, const gemm_tile_args* dy, const char* a, char* dw,
                       const long* kh) noexcept nogil:
    """The same with the roles exchanged: dw[o][kh][kw * C + k] += sum of dy[o] x[kw * C + k]."""
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype), runs = 1, length = s.KW * s.C * (s.KH if c.fold else 1)
    cdef long kernel_row = s.KW * s.C, h, w, m, vl = c.K.vl
    cdef int width
    cdef gemm_tile_args t = dy[0]
    t.a, t.a_row, t.a_k, t.a_batch = dy.b, 1, dy.b_k, dy.b_batch
    t.b_k, t.b_batch, t.c_row = dy.a_k, dy.a_batch, c.weight_rows
    if s.dw > 1:
        runs, length = s.KW, length // s.KW
    for h in range(kh[0], kh[1]):
        for w in range(runs):
            m = 0
            while m < length:
                width = <int>min(ceil_div(length - m, vl), 4)
                while c.K.gemm_rows[width] < s.O:
                    width -= 1
                t.n = min(width * vl, length - m)
                t.b = a + (h * c.tap_h + w * c.tap_w + m) * item
                t.c = dw + (h * kernel_row + w * length + m) * item
                c.K.gemm_tile[width][s.O](&t)
                m += t.n


cdef void set_runs(const Correlation* c, gemm_tile_args* t, long images, long rows) noexcept nogil:
    """What a tile sums over: runs of adjacent pixels."""
    if c.spread:
        t.k, t.batches = rows * c.s.OW, images
        t.a_batch, t.b_batch = c.image, c.dy_n
    else:
        t.k, t.batches = c.s.OW, rows
        t.a_batch, t.b_batch = (1 if c.fold else c.s.sh) * c.row, c.s.OW * c.dy_w


cdef void copy_gradient(const Correlation* c, gemm_tile_args* t, const char* dy, long images,
                        long rows, char* to) noexcept nogil:
    """Copies the columns of a panel, channels last, and lets t.b look at them."""
    cdef long i, pixels = rows * c.s.OW, item = itemsize(c.s.dtype)
    t.b, t.b_batch = to, t.k * t.b_k
    for i in range(images):
        c.K.copy_2d(dy + i * c.dy_n * item, c.dy_w, c.dy_c, to + i * pixels * t.b_k * item,
                    t.b_k, 1, pixels, t.n)


cdef void add_columns(const Correlation* c, const gemm_tile_args* t, char* db) noexcept nogil:
    cdef long i, item = itemsize(c.s.dtype)
    if t.b_batch == t.k * t.b_k:
        c.K.conv_column_sum(t.b, t.b_k, db, t.batches * t.k, t.n)
        return
    for i in range(t.batches):
        c.K.conv_column_sum(<const char*>t.b + i * t.b_batch * item, t.b_k, db, t.k, t.n)


cdef inline void share(long* bounds, long count, long part, long parts) noexcept nogil:
    bounds[0], bounds[1] = count * part // parts, count * (part + 1) // parts


cdef void weight_item(void* context, long item_index, int thread) noexcept nogil:
    cdef const Correlation* c = <const Correlation*>context
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype)
    cdef long kernel_part = item_index % c.kernel_parts
    cdef long part = item_index // c.kernel_parts % c.parts
    cdef long g = item_index // (c.kernel_parts * c.parts) % s.G
    cdef long group = item_index // (c.kernel_parts * c.parts * s.G)
    cdef long weight_rows = c.weight_rows, n, oh0, oh, end, o, o_end, images, rows, i
    cdef long unit0 = c.groups * c.bands * group // c.sums, unit, panel
    cdef long[2] kh = [kernel_part, kernel_part + 1]
    cdef long[2] blocks = [0, 1]
    cdef long[2] panels = [0, c.panels.count]
    cdef bint sums_dy = c.want_db and kernel_part == 0
    cdef int width
    cdef char* dw = c.dw + (group * c.partial + g * (weight_rows + 1) * s.O) * item
    cdef char* copied = c.scratch + thread * c.scratch_step + c.dy_offset
    cdef char* db = dw + weight_rows * s.O * item
    cdef char* a
    cdef const char* x
    cdef const char* dy
    cdef gemm_tile_args t
    if c.kernel_parts == 1:
        kh[0], kh[1] = 0, 1 if c.fold else s.KH
    if c.blocks > 1:
        share(blocks, c.blocks, part, c.parts)
        sums_dy = c.want_db and part == 0
    else:
        share(panels, c.panels.count, part, c.parts)
    t.after = no_epilogue()
    t.a_row, t.a_k, t.c_row = 1, c.out_pixel, s.O
    if sums_dy:
        o, o_end = panel_start(&c.panels, panels[0]), panel_end(&c.panels, panels[1] - 1)
        memset(db + o * item, 0, (o_end - o) * item)
    for unit in range(unit0, c.groups * c.bands * (group + 1) // c.sums):
        n, oh0 = unit // c.bands * c.images, unit % c.bands * c.band
        end, images = min(oh0 + c.band, s.OH), min(c.images, s.N - n)
        a = band_start(c, n, g, oh0, 0, thread)
        oh = oh0
        while oh < end:
            rows = min(c.dy_rows, end - oh)
            if c.want_dw:
                for i in range(images):
                    gather(c, n + i, g, oh0, oh, oh + rows, blocks[0], blocks[1],
                           a + i * c.image * item, thread)
            t.accumulate = unit > unit0 or oh > oh0
            for panel in range(panels[0], panels[1]):
                o, width = panel_start(&c.panels, panel), panel_width(&c.panels, panel)
                t.n = panel_end(&c.panels, panel) - o
                dy = c.dy + (n * c.dy_n + oh * s.OW * c.dy_w + (g * s.O + o) * c.dy_c) * item
                t.b, t.b_k = dy, c.dy_w
                set_runs(c, &t, images, rows)
                if c.copy_dy:
                    t.b_k = panel_columns(&c.panels, panel)
                    copy_gradient(c, &t, dy, images, rows, copied)
                x = a + (oh - oh0) * (1 if c.fold else s.sh) * c.row * item
                if c.want_dw and c.turned:
                    turned_block(c, &t, x, dw, kh)
                elif c.want_dw:
                    weight_block(c, &t, width, x, dw + o * item, kh, blocks)
                if sums_dy:
                    add_columns(c, &t, db + o * item)
            oh += rows


cdef void sum_item(void* context, long item_index, int thread) noexcept nogil:
    """Adds up the partial sums of one chunk, in a tree."""
    cdef const Correlation* c = <const Correlation*>context
    cdef long item = itemsize(c.s.dtype), first = item_index * SUM_CHUNK
    cdef long n = min(c.partial - first, <long>SUM_CHUNK), step = 1, i
    while step < c.sums:
        i = 0
        while i + step < c.sums:
            c.K.conv_add(c.dw + ((i + step) * c.partial + first) * item,
                         c.dw + (i * c.partial + first) * item, n)
            i += 2 * step
        step *= 2


cdef void place_turned(const Correlation* c, long g, long o, long n, char* dw) noexcept nogil:
    """Some output channels of a group, from [o][kh][kw][kd][x] or [o][kw][kh][c]."""
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype), taps = s.KH * s.KW, kh, kd, _
    cdef const char* sums = c.dw + (g * (c.weight_rows + 1) * s.O + o * c.weight_rows) * item
    for _ in range(n):
        if c.fold:
            for kh in range(s.KH):
                c.K.copy_2d(sums + kh * s.C * item, 1, s.KH * s.C, dw + kh * s.KW * item, taps, 1,
                            s.C, s.KW)
        else:
            for kd in range(s.KD):
                c.K.copy_2d(sums + kd * s.X * item, 1, s.C, dw + kd * taps * item, s.KD * taps, 1,
                            s.X, taps)
        sums += c.weight_rows * item
        dw += c.weight_rows * item


cdef void place_item(void* context, long item_index, int thread) noexcept nogil:
    """A block of output channels of a group, from [kh][kw][kd][x][o] to [o][x][kd][kh][kw]."""
    cdef const Correlation* c = <const Correlation*>context
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype), taps = s.KH * s.KW, X = s.C // s.KD, k, kh, kd
    cdef long blocks = ceil_div(s.O, PLACE_BLOCK), g = item_index // blocks
    cdef long o = item_index % blocks * PLACE_BLOCK, n = min(s.O - o, <long>PLACE_BLOCK)
    cdef const char* sums = c.dw + (g * (taps * s.C + 1) * s.O + o) * item
    cdef char* dw = c.y + (g * s.O + o) * s.C * taps * item
    if c.turned:
        place_turned(c, g, o, n, dw)
        return
    if taps == 1:
        for kd in range(s.KD):
            c.K.copy_2d(sums + kd * X * s.O * item, s.O, 1, dw + kd * item, s.KD, s.C, X, n)
        return
    for k in range(s.C):
        if c.fold:
            for kh in range(s.KH):
                c.K.copy_2d(sums + (kh * s.C + k) * s.O * item, s.KH * s.C * s.O, 1,
                            dw + (k * taps + kh * s.KW) * item, 1, s.C * taps, s.KW, n)
        else:
            c.K.copy_2d(sums + k * s.O * item, s.C * s.O, 1,
                        dw + (k % X * s.KD + k // X) * taps * item, 1, s.C * taps, taps, n)


cdef void conv_backward_weight(Correlation* c, const char* x, const char* dy, char* dw, char* db,
                               char* scratch) noexcept nogil:
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype), g
    cdef int threads = 1 if c.threads == 1 else team_size(<double>c.packed_bytes * 0.1)
    cdef item_task task = weight_item
    if c.tiling.side:
        task = winograd_weight_item
    elif s.depthwise:
        task = depthwise_weight_item
    c.x, c.dy, c.dw, c.y = x, dy, scratch, dw
    c.scratch = scratch + c.packed_bytes
    parallel_for(task, c, c.sums * s.G * c.parts * c.kernel_parts, c.threads)
    parallel_for(sum_item, c, ceil_div(c.partial, SUM_CHUNK), threads)
    if c.want_dw:
        parallel_for(place_item, c, s.G * ceil_div(s.O, PLACE_BLOCK), threads)
    if c.want_db:
        for g in range(s.G):
            memcpy(db + g * s.O * item,
                   c.dw + (g * (c.weight_rows + 1) + c.weight_rows) * s.O * item, s.O * item)
