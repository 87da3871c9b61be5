"""The weight and bias gradients of 2-D convolution.

  dw[kh][kw * C + c][o] = sum over n, oh, ow of
    x[n, oh * sh + kh * dh, ow * sw + kw * dw, c] * dy[n, oh, ow, o]

The same register tile as forward: its rows are (kw, c), its sum runs over the
output pixels of a block of rows, for which a block of dy stays in the first-level
cache. Bands of rows are dealt into fixed groups that work in parallel, each on
partial sums of its own, added up in a tree. With few channels the KH rows of a kernel are
gathered side by side, which gives the tile more rows. Called by ops/conv.pyx.
"""

from libc.string cimport memcpy, memset

from fastnn._kernels.conv_depthwise cimport depthwise_weight_item, plan_depthwise_weight
from fastnn._kernels.conv_gather cimport (
    band_start, gather, items_wanted, set_bands, set_source, team_for, usable_in_place,
)
from fastnn._kernels.conv_shape cimport is_depthwise
from fastnn._kernels.panels cimport (
    cut_panels, panel_columns, panel_end, panel_start, panel_width,
)
from fastnn._kernels.runtime cimport (
    aligned, ceil_div, gemm_tile_args, itemsize, kernels, parallel_for, team_size,
)

cdef enum:
    # of dy that one tile of dw walks over. One core of a Xeon (48 KB first-level cache),
    # (4,64,32,32)->64 3x3: 16 KB 90 %, 12 KB 94 %, 8 KB 89 % of the forward pass's speed
    BLOCK_BYTES = 12 << 10
    SUMS = 8                     # most partial sums
    PARTIAL_BYTES = 8 << 20      # all of them
    SUM_CHUNK = 4096
    PLACE_BLOCK = 32


cdef bint takes_gradient(const Py_ssize_t* dy_strides, long OW) noexcept:
    return (dy_strides[2] == OW * dy_strides[3] and dy_strides[3] > 0
            and (dy_strides[1] == 1 or dy_strides[3] == 1))


cdef size_t plan_backward_weight(Correlation* c, const ConvShape* s, const Py_ssize_t* x_strides,
                                 const Py_ssize_t* dy_strides, bint want_dw, bint want_db) noexcept:
    cdef long item = itemsize(s.dtype), wanted = min(items_wanted(s), <long>SUMS), blocks, most
    c.s = s[0]
    c.K = kernels(s.dtype)
    c.threads = team_for(s)
    c.want_dw, c.want_db = want_dw, want_db
    set_source(c, x_strides)
    c.dy_n, c.dy_c, c.dy_w = dy_strides[0], dy_strides[1], dy_strides[3]
    c.fold = s.KH > 1 and s.KW * s.X < 8
    c.in_place = not c.fold and usable_in_place(c)
    c.panels = cut_panels(c.K, s.C * s.KW * (s.KH if c.fold else 1), s.O)
    c.weight_rows = s.KH * s.KW * s.C if want_dw else 0
    c.partial = s.G * (c.weight_rows + 1) * s.O
    most = min(wanted, max(PARTIAL_BYTES // (c.partial * item), <long>1))
    set_bands(c, ceil_div(most, s.N))
    c.sums = min(s.N * c.bands, most)
    if is_depthwise(s):
        return plan_depthwise_weight(c)
    wanted = ceil_div(wanted, c.sums * s.G)
    c.parts = max(min(c.panels.count, wanted), <long>1)
    c.kernel_parts = s.KH if not c.fold and 2 * c.parts < wanted else 1
    blocks = max((c.band * s.OW * c.panels.nr * item + BLOCK_BYTES // 2) // BLOCK_BYTES, <long>1)
    c.block = ceil_div(c.band, blocks)
    # channels last, rows a power of two apart would share few cache sets
    c.copy_dy = c.dy_c != 1 or (want_dw and c.weight_rows >= 64 and c.dy_w > c.panels.nr)
    c.dy_offset = c.scratch_step
    if c.copy_dy:
        c.scratch_step += aligned(c.block * s.OW * c.panels.nr * item)
    c.packed_bytes = aligned(c.sums * c.partial * item)
    return c.packed_bytes + c.threads * c.scratch_step


cdef void weight_block(const Correlation* c, gemm_tile_args* t, int width, const char* a,
                       char* dw, long kh0, long kh1) noexcept nogil:
    """dw[kh][kw * C + k][panel] += over a block of output rows, whose first pixel a is."""
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype), runs = 1, kernel_row = s.KW * s.C * s.O
    cdef long length = s.KW * s.C * (s.KH if c.fold else 1), kh, kw, m, i, tiles
    cdef const char* tap
    if s.dw > 1 and s.KW > 1:
        runs, length = s.KW, length // s.KW
    tiles = ceil_div(length, c.K.gemm_rows[width])
    for kh in range(kh0, kh1):
        for kw in range(runs):
            tap = a + (kh * s.dh * c.row + kw * s.dw * c.pixel) * item
            for i in range(tiles):
                m = length * i // tiles
                t.a = tap + m * item
                t.c = dw + (kh * kernel_row + (kw * length + m) * s.O) * item
                c.K.gemm_tile[width][length * (i + 1) // tiles - m](t)


cdef void weight_item(void* context, long item_index, int thread) noexcept nogil:
    cdef const Correlation* c = <const Correlation*>context
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype)
    cdef long kernel_part = item_index % c.kernel_parts
    cdef long part = item_index // c.kernel_parts % c.parts
    cdef long g = item_index // (c.kernel_parts * c.parts) % s.G
    cdef long group = item_index // (c.kernel_parts * c.parts * s.G)
    cdef long kh0 = kernel_part, kh1 = kernel_part + 1
    cdef long rows = c.weight_rows, n, oh0, oh, end, o, o_end
    cdef long unit0 = s.N * c.bands * group // c.sums, unit
    cdef long panel0 = c.panels.count * part // c.parts
    cdef long panel1 = c.panels.count * (part + 1) // c.parts, panel
    cdef int width
    cdef char* dw = c.dw + (group * c.partial + g * (rows + 1) * s.O) * item
    cdef char* a
    cdef const char* dy
    cdef gemm_tile_args t
    if c.kernel_parts == 1:
        kh0, kh1 = 0, 1 if c.fold else s.KH
    t.relu, t.bias = False, NULL
    t.k, t.a_row, t.a_k, t.a_batch = s.OW, 1, s.sw * c.pixel, (1 if c.fold else s.sh) * c.row
    t.b_k, t.c_row = c.dy_w, s.O
    if c.want_db and kernel_part == 0:
        o, o_end = panel_start(&c.panels, panel0), panel_end(&c.panels, panel1 - 1)
        memset(dw + (rows * s.O + o) * item, 0, (o_end - o) * item)
    for unit in range(unit0, s.N * c.bands * (group + 1) // c.sums):
        n, oh0 = unit // c.bands, unit % c.bands * c.band
        end = min(oh0 + c.band, s.OH)
        a = band_start(c, n, g, oh0, thread)
        oh = oh0
        while oh < end:
            t.batches = min(c.block, end - oh)
            if c.want_dw:
                gather(c, n, g, oh0, oh, oh + t.batches, a)
            t.accumulate = unit > unit0 or oh > oh0
            for panel in range(panel0, panel1):
                o, width = panel_start(&c.panels, panel), panel_width(&c.panels, panel)
                t.n = panel_end(&c.panels, panel) - o
                dy = c.dy + (n * c.dy_n + oh * s.OW * c.dy_w + (g * s.O + o) * c.dy_c) * item
                t.b = dy
                if c.copy_dy:
                    t.b = c.scratch + thread * c.scratch_step + c.dy_offset
                    t.b_k = panel_columns(&c.panels, panel)
                    c.K.copy_2d(dy, c.dy_w, c.dy_c, <char*>t.b, t.b_k, 1, t.batches * s.OW, t.n)
                t.b_batch = s.OW * t.b_k
                if c.want_dw:
                    weight_block(c, &t, width, a + (oh - oh0) * t.a_batch * item,
                                 dw + o * item, kh0, kh1)
                if c.want_db and kernel_part == 0:
                    c.K.conv_column_sum(t.b, t.b_k, dw + (rows * s.O + o) * item,
                                        t.batches * s.OW, t.n)
            oh += t.batches


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


cdef void place_item(void* context, long item_index, int thread) noexcept nogil:
    """A block of output channels of a group, from [kh][kw][c][o] to [o][c][kh][kw]."""
    cdef const Correlation* c = <const Correlation*>context
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype), taps = s.KH * s.KW, k, kh
    cdef long blocks = ceil_div(s.O, PLACE_BLOCK), g = item_index // blocks
    cdef long o = item_index % blocks * PLACE_BLOCK, n = min(s.O - o, <long>PLACE_BLOCK)
    cdef const char* sums = c.dw + (g * (taps * s.C + 1) * s.O + o) * item
    cdef char* dw = c.y + (g * s.O + o) * s.C * taps * item
    if taps == 1:
        c.K.copy_2d(sums, s.O, 1, dw, 1, s.C, s.C, n)
        return
    for k in range(s.C):
        if c.fold:
            for kh in range(s.KH):
                c.K.copy_2d(sums + (kh * s.C + k) * s.O * item, s.KH * s.C * s.O, 1,
                            dw + (k * taps + kh * s.KW) * item, 1, s.C * taps, s.KW, n)
        else:
            c.K.copy_2d(sums + k * s.O * item, s.C * s.O, 1, dw + k * taps * item, 1, s.C * taps,
                        taps, n)


cdef void conv_backward_weight(Correlation* c, const char* x, const char* dy, char* dw, char* db,
                               char* scratch) noexcept nogil:
    cdef const ConvShape* s = &c.s
    cdef long item = itemsize(s.dtype), g
    cdef int threads = 1 if c.threads == 1 else team_size(<double>c.packed_bytes * 0.1)
    c.x, c.dy, c.dw, c.y = x, dy, scratch, dw
    c.scratch = scratch + c.packed_bytes
    parallel_for(depthwise_weight_item if is_depthwise(s) else weight_item, c,
                 c.sums * s.G * c.parts * c.kernel_parts, c.threads)
    parallel_for(sum_item, c, ceil_div(c.partial, SUM_CHUNK), threads)
    if c.want_dw:
        parallel_for(place_item, c, s.G * ceil_div(s.O, PLACE_BLOCK), threads)
    if c.want_db:
        for g in range(s.G):
            memcpy(db + g * s.O * item,
                   c.dw + (g * (c.weight_rows + 1) + c.weight_rows) * s.O * item, s.O * item)
