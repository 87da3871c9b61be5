"""The products of a recurrent layer over all its steps, with gates in panels (rnn.pyx).

Gates lie as [gates / tile][rows][tile], tile by tile of columns. A product that
makes gates, x w', writes them so; one that takes them, dgates w, sums over their
tiles as batches; in a weight gradient, dgates' x, they are B, and x is copied
block by block into the tiles of A. Items of rows, or of panels, are dealt out to
threads; each element is one chain of fused multiply-adds whatever the split.
"""

from libc.string cimport memset

from fastnn._kernels.runtime cimport ceil_div, gemm_tile_args, kernels, parallel_for, team_size

cdef enum:
    K_BLOCK_BYTES = 1024     # a tile of B this high, 32 KiB, stays in the L1 cache
    PRODUCT_TILES = 4        # row tiles in one item of a product over all steps
    GROUP_PANELS = 4         # at most, in one item of a weight gradient,
    GROUP_ROWS = 256         # and columns of x
    FEW_ITEMS = 4            # a weight gradient with fewer items than this is cut finer
    GEMM_MR_MAX = 16         # rows of the highest tile

cdef double NS_PER_FLOP = 0.01


# --- packed weights --------------------------------------------------------------------

cdef struct Pack:
    const fastnn_kernels* table
    const LstmShape* s
    const char* w            # [4D, length]
    long length
    char* packed


cdef void pack_columns_item(void* context, long item, int thread) noexcept nogil:
    """One gate of one panel as columns of w', for a product that makes gates."""
    cdef Pack* p = <Pack*>context
    cdef const LstmShape* s = p.s
    cdef long panel = item // 4, gate = item % 4, column = item * s.vl, k
    cdef long units = min(s.vl, s.D - panel * s.vl)
    cdef char* packed = at(p.packed, column // s.tile * p.length * s.tile + column % s.tile, s)
    if units < s.vl:
        for k in range(p.length):
            memset(at(packed, k * s.tile, s), 0, s.vl * s.size)
    p.table.copy_2d(at(p.w, (gate * s.D + panel * s.vl) * p.length, s), 1, p.length,
                    packed, s.tile, 1, p.length, units)


cdef void pack_rows_item(void* context, long item, int thread) noexcept nogil:
    """One gate of one panel as rows of w, for a product that takes gates."""
    cdef Pack* p = <Pack*>context
    cdef const LstmShape* s = p.s
    cdef long panel = item // 4, gate = item % 4, q, columns
    cdef long units = min(s.vl, s.D - panel * s.vl)
    cdef char* packed
    for q in range(ceil_div(p.length, s.tile)):
        columns = min(s.tile, p.length - q * s.tile)
        packed = at(p.packed, (q * s.gates + item * s.vl) * s.tile, s)
        if units < s.vl or columns < s.tile:
            memset(packed, 0, s.vl * s.tile * s.size)
        p.table.copy_2d(at(p.w, (gate * s.D + panel * s.vl) * p.length + q * s.tile, s),
                        p.length, 1, packed, s.tile, 1, units, columns)


cdef void pack_all(item_task task, const LstmShape* s, const void* w, long length,
                   char* packed) noexcept nogil:
    cdef Pack p = Pack(kernels(s.dtype), s, <const char*>w, length, packed)
    parallel_for(task, &p, 4 * s.panels, min(s.threads, team_size(0.3 * s.gates * length)))


cdef void pack_columns(const LstmShape* s, const void* w, long length, char* packed) noexcept nogil:
    pack_all(pack_columns_item, s, w, length, packed)


cdef void pack_rows(const LstmShape* s, const void* w, long length, char* packed) noexcept nogil:
    pack_all(pack_rows_item, s, w, length, packed)


# --- biases: b_ih + b_hh in panels going in, sums over the blocks coming out ----------

ctypedef fused real:
    float
    double


cdef void weave(const LstmShape* s, const real* b, real* woven) noexcept nogil:
    cdef long gate, unit
    for gate in range(4):
        for unit in range(s.D):
            woven[(unit // s.vl * 4 + gate) * s.vl + unit % s.vl] += b[gate * s.D + unit]


cdef void unweave(const LstmShape* s, const real* woven, real* b) noexcept nogil:
    cdef long gate, unit, block
    for gate in range(4):
        for unit in range(s.D):
            b[gate * s.D + unit] = 0
    for block in range(max(s.blocks, <long>1)):
        for gate in range(4):
            for unit in range(s.D):
                b[gate * s.D + unit] += woven[
                    block * s.gates + (unit // s.vl * 4 + gate) * s.vl + unit % s.vl]


cdef void weave_bias(const LstmShape* s, const void* b, void* woven) noexcept nogil:
    if b == NULL:
        return
    if s.size == 4:
        weave(s, <const float*>b, <float*>woven)
    else:
        weave(s, <const double*>b, <double*>woven)


cdef void unweave_bias(const LstmShape* s, const void* woven, void* b) noexcept nogil:
    if s.size == 4:
        unweave(s, <const float*>woven, <float*>b)
    else:
        unweave(s, <const double*>woven, <double*>b)


# --- a product of rows with a packed weight ----------------------------------------------

cdef void multiply(const Product* p, long row0, long row1, long tile0, long tile1) noexcept nogil:
    """Some rows and tiles of columns of c (+)= a b + bias, in blocks of k."""
    cdef const LstmShape* s = p.s
    cdef long length = p.k if p.batches > 1 else 1, parts = p.batches * p.k // max(length, <long>1)
    cdef long blocks = ceil_div(p.batches * p.k * s.size, K_BLOCK_BYTES), b, part, q
    cdef gemm_tile_args tile
    blocks = max(<long>1, min(parts, blocks))
    memset(&tile, 0, sizeof(tile))
    tile.a_row, tile.a_k, tile.a_batch = p.a_row, 1, p.a_batch
    tile.b_k, tile.b_batch, tile.c_row = s.tile, p.k * s.tile, p.c_row
    for b in range(blocks):
        part = parts * b // blocks
        tile.batches, tile.k = 1, parts * (b + 1) // blocks - part
        if p.batches > 1:
            tile.batches, tile.k = tile.k, p.k
        tile.accumulate = p.accumulate or b > 0
        for q in range(tile0, tile1):
            tile.b = at(p.b, (q * p.batches * p.k + part * length) * s.tile, s)
            if p.bias != NULL and b == blocks - 1:
                tile.after.bias = at(p.bias, q * s.tile, s)
            multiply_column(p, &tile, row0, row1, part * (p.a_batch if p.batches > 1 else 1), q)


cdef void multiply_column(const Product* p, gemm_tile_args* tile, long row0, long row1,
                          long a_first, long q) noexcept nogil:
    """All rows of tile q of the columns; the last one may be narrower."""
    cdef const LstmShape* s = p.s
    cdef long rows = row1 - row0, tiles, i, r0
    cdef int width
    tile.n = min(s.tile, p.columns - q * s.tile)
    width = <int>ceil_div(tile.n, s.vl)
    tiles = ceil_div(rows, p.table.gemm_rows[width])
    for i in range(tiles):
        r0 = row0 + rows * i // tiles
        tile.a = at(p.a, r0 * p.a_row + a_first, s)
        tile.c = at(p.c, r0 * p.c_row + q * p.c_tile, s)
        p.table.gemm_tile[width][row0 + rows * (i + 1) // tiles - r0](tile)


cdef inline long product_item_rows(const Product* p) noexcept nogil:
    return PRODUCT_TILES * p.table.gemm_rows[p.s.width]


cdef void multiply_item(void* context, long item, int thread) noexcept nogil:
    cdef Product* p = <Product*>context
    cdef long items = ceil_div(p.rows, product_item_rows(p))
    multiply(p, p.rows * item // items, p.rows * (item + 1) // items,
             0, ceil_div(p.columns, p.s.tile))


cdef void multiply_all(Product* p) noexcept nogil:
    cdef double ns = 2.0 * p.rows * p.columns * p.batches * p.k * NS_PER_FLOP
    parallel_for(multiply_item, p, ceil_div(p.rows, product_item_rows(p)),
                 min(p.s.threads, team_size(ns)))


# --- weight gradients ----------------------------------------------------------------------

cdef inline long block_bytes() noexcept nogil:
    return K_BLOCK_BYTES * (GROUP_ROWS + GEMM_MR_MAX)


cdef void weight_item(void* context, long item, int thread) noexcept nogil:
    cdef Weight* w = <Weight*>context
    if item >= w.groups * w.chunks:
        item -= w.groups * w.chunks
        w += 1
    cdef const LstmShape* s = w.s
    cdef const fastnn_kernels* table = kernels(s.dtype)
    cdef long panel0 = item // w.chunks * GROUP_PANELS, chunk = item % w.chunks
    cdef long panel1 = min(panel0 + GROUP_PANELS, s.panels)
    cdef long i0 = w.length * chunk // w.chunks, i1 = w.length * (chunk + 1) // w.chunks
    cdef long rows = s.rows - w.first
    cdef long per_panel = 4 * s.vl // s.tile, tiles = ceil_div(i1 - i0, table.gemm_rows[s.width])
    cdef long blocks = ceil_div(rows * s.size, K_BLOCK_BYTES), block, k0, q, i, r0
    cdef long high = ceil_div(i1 - i0, tiles)
    cdef char* x = w.packed + thread * block_bytes()
    cdef gemm_tile_args tile
    memset(&tile, 0, sizeof(tile))
    tile.batches, tile.n = 1, s.tile
    tile.a_row, tile.a_k, tile.b_k, tile.c_row = 1, high, s.tile, s.tile
    for block in range(blocks):
        k0 = rows * block // blocks
        tile.k = rows * (block + 1) // blocks - k0
        tile.accumulate = block > 0
        table.gemm_pack(at(w.x, k0 * w.length + i0, s), w.length, 1, x, tile.k, i1 - i0, high)
        for q in range(panel0 * per_panel, panel1 * per_panel):
            tile.b = at(w.dgates, (q * s.rows + w.first + k0) * s.tile, s)
            for i in range(ceil_div(i1 - i0, high)):
                r0 = i0 + i * high
                tile.a = at(x, i * tile.k * high, s)
                tile.c = at(w.woven, (q * w.length + r0) * s.tile, s)
                table.gemm_tile[s.width][min(high, i1 - r0)](&tile)
    unweave_weight(w, panel0, panel1, i0, i1)


cdef void unweave_weight(const Weight* w, long panel0, long panel1,
                         long i0, long i1) noexcept nogil:
    """The columns of woven as rows of dw."""
    cdef const LstmShape* s = w.s
    cdef const fastnn_kernels* table = kernels(s.dtype)
    cdef long item, column, place
    for item in range(4 * panel0, 4 * panel1):
        column = item * s.vl
        place = (column // s.tile * w.length + i0) * s.tile + column % s.tile
        table.copy_2d(
            at(w.woven, place, s), 1, s.tile,
            at(w.dw, (item % 4 * s.D + item // 4 * s.vl) * w.length + i0, s), w.length, 1,
            min(s.vl, s.D - item // 4 * s.vl), i1 - i0)


cdef void cut(Weight* w) noexcept nogil:
    """Into items, by the shape alone."""
    cdef const LstmShape* s = w.s
    cdef long high = kernels(s.dtype).gemm_rows[s.width]
    w.groups, w.chunks = ceil_div(s.panels, GROUP_PANELS), ceil_div(w.length, GROUP_ROWS)
    w.chunks = max(w.chunks, min(ceil_div(FEW_ITEMS, w.groups), ceil_div(w.length, 2 * high)))
    if w.dw != NULL and w.first == s.rows:
        memset(w.dw, 0, 4 * s.D * w.length * s.size)
    if w.dw == NULL or w.first == s.rows:
        w.groups = 0


cdef size_t weight_scratch_bytes(const LstmShape* s) noexcept nogil:
    return s.threads * block_bytes()


cdef void weight_gradients(Weight* two) noexcept nogil:
    """Both in one parallel region."""
    cdef const LstmShape* s = two.s
    cdef double ns = 2.0 * s.rows * s.gates * (two[0].length + two[1].length) * NS_PER_FLOP
    cut(&two[0])
    cut(&two[1])
    parallel_for(weight_item, two, two[0].groups * two[0].chunks + two[1].groups * two[1].chunks,
                 min(s.threads, team_size(ns)))
