"""The products of a recurrent layer, between rows and packed weights (rnn.pyx).

Gates lie in tiles of columns, all rows of one tile after another. A product that makes
gates, x w', writes them so; one that takes them, dgates w, sums over their tiles as
batches; in a weight gradient, dgates' x, they are B, and x is copied block by block
into the tiles of A. Each element is one chain of fused multiply-adds in rising order,
whatever the split into threads, tiles and blocks.
"""

from libc.string cimport memset

from fastnn._kernels.rnn_pack cimport at, gate_of
from fastnn._kernels.runtime cimport (
    ceil_div, fastnn_kernels, gemm_tile_args, kernels, parallel_for, rnn_thin_args, team_size,
)

cdef enum:
    THIN_ROWS = 3            # as many rows, or fewer, take several tiles at once
    K_BLOCK_BYTES = 1024     # a tile of B this high stays in the L1 cache
    PRODUCT_TILES = 8        # row tiles in one item of a product over all steps
    GROUP_TILES = 32         # tiles of gates in one item of a weight gradient,
    GROUP_ROWS = 256         # and at most so many columns of x
    FEW_ITEMS = 4            # a weight gradient with fewer items than this is cut finer
    GEMM_MR_MAX = 16         # rows of the highest tile

cdef double NS_PER_FLOP = 0.01


# --- products of rows ---------------------------------------------------------------------

cdef void multiply_thin(const Product* p, long rows, long q0, long q1) noexcept nogil:
    cdef const RnnShape* s = p.s
    cdef rnn_thin_args t
    t.rows, t.tiles, t.batches, t.k = rows, q1 - q0, p.batches, p.k
    t.a, t.a_row, t.a_batch = p.a, p.a_row, p.a_batch
    t.b, t.b_tile = at(p.b, q0 * p.b_tile, s), p.b_tile
    t.c, t.c_row, t.c_tile = at(p.c, q0 * p.c_tile, s), p.c_row, p.c_tile
    t.bias = NULL if p.bias == NULL else at(p.bias, q0 * s.tile, s)
    t.accumulate = p.accumulate
    kernels(s.dtype).rnn_thin(&t)


cdef void multiply(const Product* p, long rows, long q0, long q1) noexcept nogil:
    """In blocks of k, so that a tile of B is read from the first cache by all rows."""
    cdef const RnnShape* s = p.s
    cdef const fastnn_kernels* table = kernels(s.dtype)
    cdef long length = p.k if p.batches > 1 else 1, parts = p.batches * p.k // max(length, <long>1)
    cdef long blocks = ceil_div(p.batches * p.k * s.size, K_BLOCK_BYTES), b, part, q
    cdef gemm_tile_args tile
    if rows <= 0:
        return
    if rows <= THIN_ROWS and p.columns == 0:
        multiply_thin(p, rows, q0, q1)
        return
    blocks = 1 if rows <= table.gemm_rows[2] else max(<long>1, min(parts, blocks))
    memset(&tile, 0, sizeof(tile))
    tile.a_row, tile.a_k, tile.a_batch = p.a_row, 1, p.a_batch
    tile.b_k, tile.b_batch, tile.c_row = s.tile, p.k * s.tile, p.c_row
    for b in range(blocks):
        part = parts * b // blocks
        tile.batches, tile.k = 1, parts * (b + 1) // blocks - part
        if p.batches > 1:
            tile.batches, tile.k = tile.k, p.k
        tile.accumulate = p.accumulate or b > 0
        for q in range(q0, q1):
            tile.b = at(p.b, q * p.b_tile + part * length * s.tile, s)
            if p.bias != NULL and b == blocks - 1:
                tile.after.bias = at(p.bias, q * s.tile, s)
            multiply_column(p, &tile, rows, part * (p.a_batch if p.batches > 1 else 1), q)


cdef void multiply_column(const Product* p, gemm_tile_args* tile, long rows, long a_first,
                          long q) noexcept nogil:
    """All rows of tile q."""
    cdef const RnnShape* s = p.s
    cdef const fastnn_kernels* table = kernels(s.dtype)
    cdef long tiles, i, row
    cdef int width
    tile.n = min(s.tile, p.columns - q * s.tile) if p.columns else s.tile
    width = <int>ceil_div(tile.n, s.vl)
    tiles = ceil_div(rows, table.gemm_rows[width])
    for i in range(tiles):
        row = rows * i // tiles
        tile.a = at(p.a, row * p.a_row + a_first, s)
        tile.c = at(p.c, row * p.c_row + q * p.c_tile, s)
        table.gemm_tile[width][rows * (i + 1) // tiles - row](tile)


cdef struct Products:
    const Product* p
    int count
    long rows, items


cdef void multiply_item(void* context, long item, int thread) noexcept nogil:
    cdef Products* all = <Products*>context
    cdef const RnnShape* s = all.p.s
    cdef long row0 = all.rows * item // all.items, row1 = all.rows * (item + 1) // all.items
    cdef Product p
    cdef int i
    for i in range(all.count):
        p = all.p[i]
        p.a = at(p.a, row0 * p.a_row, s)
        p.c = at(p.c, row0 * p.c_row, s)
        multiply(&p, row1 - row0, 0, ceil_div(p.columns, s.tile))


cdef void multiply_all(const Product* p, int count, long rows) noexcept nogil:
    cdef const RnnShape* s = p.s
    cdef double ns = 2.0 * rows * p.columns * p.batches * p.k * count * NS_PER_FLOP
    cdef Products all = Products(
        p, count, rows, ceil_div(rows, PRODUCT_TILES * kernels(s.dtype).gemm_rows[2]))
    parallel_for(multiply_item, &all, all.items, min(s.threads, team_size(ns)))


# --- weight gradients ----------------------------------------------------------------------

cdef inline long block_bytes() noexcept nogil:
    return K_BLOCK_BYTES * (GROUP_ROWS + GEMM_MR_MAX)


cdef void weight_item(void* context, long item, int thread) noexcept nogil:
    cdef Weight* w = <Weight*>context
    while item >= w.groups * w.chunks:
        item -= w.groups * w.chunks
        w += 1
    cdef const RnnShape* s = w.m.s
    cdef const fastnn_kernels* table = kernels(s.dtype)
    cdef long tiles = w.m.gates * w.m.panels, group = item // w.chunks, chunk = item % w.chunks
    cdef long q0 = tiles * group // w.groups, q1 = tiles * (group + 1) // w.groups
    cdef long i0 = w.m.length * chunk // w.chunks, i1 = w.m.length * (chunk + 1) // w.chunks
    cdef long high = ceil_div(i1 - i0, ceil_div(i1 - i0, table.gemm_rows[2]))
    cdef long blocks = ceil_div(s.rows * s.size, K_BLOCK_BYTES), block, k0, q, i, r0
    cdef char* x = w.packed + thread * block_bytes()
    cdef gemm_tile_args tile
    memset(&tile, 0, sizeof(tile))
    tile.batches, tile.n = 1, s.tile
    tile.a_row, tile.a_k, tile.b_k, tile.c_row = 1, high, s.tile, s.tile
    for block in range(blocks):
        k0 = s.rows * block // blocks
        tile.k = s.rows * (block + 1) // blocks - k0
        tile.accumulate = block > 0
        table.gemm_pack(at(w.x, k0 * w.x_row + i0, s), w.x_row, 1, x, tile.k, i1 - i0, high)
        for q in range(q0, q1):
            tile.b = at(w.dgates, (q * s.rows + k0) * s.tile, s)
            for i in range(ceil_div(i1 - i0, high)):
                r0 = i0 + i * high
                tile.a = at(x, i * tile.k * high, s)
                tile.c = at(w.woven, (q * w.m.length + r0) * s.tile, s)
                table.gemm_tile[2][min(high, i1 - r0)](&tile)
    unweave_weight(w, q0, q1, i0, i1)


cdef void unweave_weight(const Weight* w, long q0, long q1, long i0, long i1) noexcept nogil:
    """The columns of woven as rows of dw."""
    cdef const RnnShape* s = w.m.s
    cdef long q, unit
    for q in range(q0, q1):
        unit = q % w.m.panels * s.tile
        kernels(s.dtype).copy_2d(
            at(w.woven, (q * w.m.length + i0) * s.tile, s), 1, s.tile,
            at(w.dw, (gate_of(&w.m, q // w.m.panels) * w.m.units + unit) * w.m.length + i0, s),
            w.m.length, 1, min(s.tile, w.m.units - unit), i1 - i0)


cdef void cut(Weight* w) noexcept nogil:
    """Into items, by the shape alone."""
    cdef const RnnShape* s = w.m.s
    cdef long high = kernels(s.dtype).gemm_rows[2], finer
    w.groups = ceil_div(w.m.gates * w.m.panels, GROUP_TILES)
    w.chunks = ceil_div(w.m.length, GROUP_ROWS)
    finer = min(ceil_div(FEW_ITEMS, w.groups), ceil_div(w.m.length, 2 * high))
    w.chunks = max(w.chunks, finer)


cdef size_t weight_scratch_bytes(const RnnShape* s) noexcept nogil:
    return s.threads * block_bytes()


cdef void weight_gradients(Weight* weights, int count) noexcept nogil:
    """All in one parallel region."""
    cdef const RnnShape* s = weights.m.s
    cdef double ns = 0
    cdef long items = 0
    cdef int i
    for i in range(count):
        cut(&weights[i])
        items += weights[i].groups * weights[i].chunks
        ns += 2.0 * s.rows * weights[i].m.gates * weights[i].m.units * weights[i].m.length
    parallel_for(weight_item, weights, items, min(s.threads, team_size(ns * NS_PER_FLOP)))
