"""LSTM over a whole sequence, forward and backward through time.

The input projection of all steps is one matrix product; so are, after the loop
backward through time, the gradients of input and weights. Between them one
parallel region spans all steps. In it a tile of the recurrent product starts
from the projection, and the gates are computed while its block is in cache.
Gates lie in panels of vl units, [i f g o] of vl lanes each, cut into tiles, all
steps and rows of one tile after another: that is the layout in which they are C
of the projection, A of dh and dx, and B of the weight gradients without a copy.
Threads take blocks of batch rows through all steps, with no barrier; a small
batch is split by hidden units, with one barrier a step. Rows and units do not
depend on each other, so the split does not touch the bits. Called by ops/rnn.pyx.
"""

from libc.string cimport memcpy, memset

from fastnn._kernels.runtime cimport (
    fastnn_kernels, gemm_tile_args, item_task, itemsize, kernels, lstm_gates_args,
    parallel_for, parallel_team, team_barrier, team_size, team_task,
)

cdef enum:
    UNIT_SPLIT = 8           # below this many batch rows, threads split the hidden units
    BLOCK_ROWS = 16          # of a block of batch rows that one thread takes through all steps
    K_BLOCK_BYTES = 1024     # a tile of B this high, 32 KiB, stays in the L1 cache
    PRODUCT_TILES = 4        # row tiles in one item of a product over all steps
    GROUP_PANELS = 2         # panels in one item of a weight gradient,
    GROUP_ROWS = 256         # and columns of x

cdef double NS_PER_FLOP = 0.01
# A step shorter than this is not worth a barrier.
cdef double STEP_NS = 4_000.0

cdef struct Run:
    const fastnn_kernels* table
    const LstmShape* s
    const LstmArrays* a
    const LstmGradients* g
    char* w_hh           # packed: forward [gates / tile][D][tile], backward [D / tile][gates][tile]
    char* w_ih           # the same with I for D
    char* bias           # [gates]
    char* dgates         # like gates
    char* dh             # [N, state_row]
    char* dc             # [N, state_row]
    char* db             # [blocks, gates]
    char* dw             # [gates / tile][I + D][tile]


cdef inline char* at(const void* base, long index, const LstmShape* s) noexcept nogil:
    return <char*>base + index * s.size


cdef inline long divide_up(long n, long by) noexcept nogil:
    return (n + by - 1) // by


cdef inline size_t padded(const LstmShape* s, long n) noexcept nogil:
    return <size_t>(n * s.size + 63) // 64 * 64


cdef LstmShape lstm_shape(int dtype, long T, long N, long I, long D) noexcept nogil:
    cdef const fastnn_kernels* table = kernels(dtype)
    cdef LstmShape s
    s.dtype, s.size = dtype, itemsize(dtype)
    s.T, s.N, s.I, s.D, s.rows = T, N, I, D, T * N
    s.vl, s.panels = table.vl, divide_up(D, table.vl)
    s.gates = 4 * s.vl * s.panels
    s.width = 2 if N <= table.gemm_rows[2] else 1
    s.tile = s.vl << s.width
    s.state_row = divide_up(D, s.tile) * s.tile
    s.blocks = 0 if N < UNIT_SPLIT else max(<long>2, divide_up(N, BLOCK_ROWS))
    s.threads = team_size(1e18)
    return s


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
    for q in range(divide_up(p.length, s.tile)):
        columns = min(s.tile, p.length - q * s.tile)
        packed = at(p.packed, (q * s.gates + item * s.vl) * s.tile, s)
        if units < s.vl or columns < s.tile:
            memset(packed, 0, s.vl * s.tile * s.size)
        p.table.copy_2d(at(p.w, (gate * s.D + panel * s.vl) * p.length + q * s.tile, s), p.length, 1,
                        packed, s.tile, 1, units, columns)


cdef void pack(item_task task, const LstmShape* s, const void* w, long length,
               char* packed) noexcept nogil:
    cdef Pack p = Pack(kernels(s.dtype), s, <const char*>w, length, packed)
    parallel_for(task, &p, 4 * s.panels, min(s.threads, team_size(0.3 * s.gates * length)))


# --- biases: b_ih + b_hh in panels going in, sums over the blocks coming out ----------

ctypedef fused real:
    float
    double


cdef void weave_bias(const LstmShape* s, const real* b, real* woven) noexcept nogil:
    """woven += b, or nothing where b is NULL"""
    cdef long gate, unit
    if b != NULL:
        for gate in range(4):
            for unit in range(s.D):
                woven[(unit // s.vl * 4 + gate) * s.vl + unit % s.vl] += b[gate * s.D + unit]


cdef void unweave_bias(const LstmShape* s, const real* woven, real* b) noexcept nogil:
    cdef long gate, unit, block
    for gate in range(4):
        for unit in range(s.D):
            b[gate * s.D + unit] = 0
    for block in range(max(s.blocks, <long>1)):
        for gate in range(4):
            for unit in range(s.D):
                b[gate * s.D + unit] += woven[
                    block * s.gates + (unit // s.vl * 4 + gate) * s.vl + unit % s.vl]


# --- a product of rows with a packed weight ----------------------------------------------

cdef struct Product:
    const fastnn_kernels* table
    const LstmShape* s
    long rows, columns
    const char* a            # [batches] of [rows, k]
    long a_row, a_batch, batches, k
    const char* b            # [columns / tile][batches * k][tile]
    char* c
    long c_row, c_tile       # c_tile: from one tile of columns to the next
    bint accumulate
    const char* bias


cdef void multiply(const Product* p, long row0, long row1, long tile0, long tile1) noexcept nogil:
    """Some rows and tiles of columns of c (+)= a b + bias, in blocks of k."""
    cdef const LstmShape* s = p.s
    cdef long length = p.k if p.batches > 1 else 1, parts = p.batches * p.k // max(length, <long>1)
    cdef long blocks = divide_up(p.batches * p.k * s.size, K_BLOCK_BYTES), b, part, q
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
                tile.bias = at(p.bias, q * s.tile, s)
            multiply_column(p, &tile, row0, row1, part * (p.a_batch if p.batches > 1 else 1), q)


cdef void multiply_column(const Product* p, gemm_tile_args* tile, long row0, long row1,
                          long a_first, long q) noexcept nogil:
    """All rows of tile q of the columns; the last tile by the narrower ones that it fills."""
    cdef const LstmShape* s = p.s
    cdef long columns = min(s.tile, p.columns - q * s.tile), done = 0, rest, rows, tiles, i, r0
    cdef int width
    while done < columns:
        rest = columns - done
        width = s.width if rest >= s.tile else 2 if rest > 3 * s.vl else 1 if rest > s.vl else 0
        tile.n = min(rest, s.vl << width)
        rows = row1 - row0
        tiles = divide_up(rows, p.table.gemm_rows[width])
        for i in range(tiles):
            r0 = row0 + rows * i // tiles
            tile.a = at(p.a, r0 * p.a_row + a_first, s)
            tile.c = at(p.c, r0 * p.c_row + q * p.c_tile + done, s)
            p.table.gemm_tile[width][row0 + rows * (i + 1) // tiles - r0](tile)
        done += tile.n
        tile.b = at(tile.b, tile.n, s)


cdef inline long product_item_rows(const Product* p) noexcept nogil:
    return PRODUCT_TILES * p.table.gemm_rows[p.s.width]


cdef void multiply_item(void* context, long item, int thread) noexcept nogil:
    cdef Product* p = <Product*>context
    cdef long items = divide_up(p.rows, product_item_rows(p))
    multiply(p, p.rows * item // items, p.rows * (item + 1) // items,
             0, divide_up(p.columns, p.s.tile))


cdef void multiply_all(Product* p) noexcept nogil:
    cdef double ns = 2.0 * p.rows * p.columns * p.batches * p.k * NS_PER_FLOP
    parallel_for(multiply_item, p, divide_up(p.rows, product_item_rows(p)),
                 min(p.s.threads, team_size(ns)))


cdef void project(Run* run) noexcept nogil:
    """gates = x w_ih' + b_ih + b_hh, for all steps."""
    cdef const LstmShape* s = run.s
    cdef Product p = Product(
        run.table, s, s.rows, s.gates, <const char*>run.a.x, s.I, 0, 1, s.I, run.w_ih,
        <char*>run.a.gates, s.tile, s.rows * s.tile, False, run.bias)
    multiply_all(&p)


cdef void give_dx(Run* run) noexcept nogil:
    """dx = dgates w_ih, for all steps."""
    cdef const LstmShape* s = run.s
    cdef Product p = Product(
        run.table, s, s.rows, s.I, run.dgates, s.tile, s.rows * s.tile, s.gates // s.tile, s.tile,
        run.w_ih, <char*>run.g.dx, s.I, s.tile, False, NULL)
    multiply_all(&p)


# --- forward ---------------------------------------------------------------------------

cdef void step_forward(Run* run, long t, long n0, long n1, long panel0, long panel1) noexcept nogil:
    """Step t of some batch rows and panels of units."""
    cdef const LstmShape* s = run.s
    cdef const LstmArrays* a = run.a
    cdef long row = t * s.N, steps = s.T + 1 if a.keep_c else 1, tiles = 4 * s.vl // s.tile, panel
    cdef char* h = at(a.h, row * s.D, s)
    cdef Product p = Product(
        run.table, s, s.N, s.gates, h, s.D, 0, 1, s.D, run.w_hh,
        at(a.gates, row * s.tile, s), s.tile, s.rows * s.tile, True, NULL)
    cdef lstm_gates_args gate
    memset(&gate, 0, sizeof(gate))
    gate.rows = n1 - n0
    gate.gates_row, gate.half = s.tile, s.rows * s.tile if s.width == 1 else 2 * s.vl
    gate.next_step = s.N * s.tile if t + 1 < s.T else 0
    gate.h_row = s.D
    for panel in range(panel0, panel1):
        if t > 0 or a.h0 != NULL:
            multiply(&p, n0, n1, panel * tiles, (panel + 1) * tiles)
        gate.units = min(s.vl, s.D - panel * s.vl)
        gate.gates = at(a.gates, 4 * s.vl * panel * s.rows + (row + n0) * s.tile, s)
        gate.c_prev = at(a.c, ((panel * steps + t % steps) * s.N + n0) * s.vl, s)
        gate.c = at(gate.c_prev, s.N * s.vl if a.keep_c else 0, s)
        gate.h = at(h, (s.N + n0) * s.D + s.vl * panel, s)
        run.table.lstm_gates_forward(&gate)


cdef void forward_block(void* context, long block, int thread) noexcept nogil:
    cdef Run* run = <Run*>context
    cdef const LstmShape* s = run.s
    cdef long n0 = s.N * block // s.blocks, n1 = s.N * (block + 1) // s.blocks, t
    for t in range(s.T):
        step_forward(run, t, n0, n1, 0, s.panels)


cdef void forward_units(void* context, int thread, int team) noexcept nogil:
    cdef Run* run = <Run*>context
    cdef const LstmShape* s = run.s
    cdef long t
    for t in range(s.T):
        step_forward(run, t, 0, s.N, s.panels * thread // team, s.panels * (thread + 1) // team)
        if team > 1:
            team_barrier()


cdef void run_steps(Run* run, item_task block, team_task units) noexcept nogil:
    cdef const LstmShape* s = run.s
    cdef double step = 2.0 * s.N * s.gates * s.D * NS_PER_FLOP
    cdef int threads = min(s.threads, team_size(s.T * step))
    if s.blocks > 0:
        parallel_for(block, run, s.blocks, threads)
    else:
        parallel_team(units, run, threads if step >= STEP_NS else 1)


cdef void start_forward(Run* run) noexcept nogil:
    cdef const LstmShape* s = run.s
    cdef const LstmArrays* a = run.a
    cdef long steps = s.T + 1 if a.keep_c else 1, panel
    if a.h0 != NULL:
        memcpy(a.h, a.h0, s.N * s.D * s.size)
    else:
        memset(a.h, 0, s.N * s.D * s.size)
    for panel in range(s.panels):
        memset(at(a.c, panel * steps * s.N * s.vl, s), 0, s.N * s.vl * s.size)
    if a.c0 != NULL:
        for panel in range(s.panels):
            run.table.copy_2d(at(a.c0, panel * s.vl, s), s.D, 1,
                              at(a.c, panel * steps * s.N * s.vl, s), s.vl, 1,
                              s.N, min(s.vl, s.D - panel * s.vl))
    memset(run.bias, 0, s.gates * s.size)
    if s.size == 4:
        weave_bias(s, <const float*>a.b_ih, <float*>run.bias)
        weave_bias(s, <const float*>a.b_hh, <float*>run.bias)
    else:
        weave_bias(s, <const double*>a.b_ih, <double*>run.bias)
        weave_bias(s, <const double*>a.b_hh, <double*>run.bias)


cdef size_t lstm_forward_scratch_bytes(const LstmShape* s) noexcept nogil:
    return padded(s, s.gates * s.D) + padded(s, s.gates * s.I) + padded(s, s.gates)


cdef void lstm_forward(const LstmShape* s, const LstmArrays* a, char* scratch) noexcept nogil:
    cdef Run run
    cdef long steps = s.T + 1 if a.keep_c else 1, panel
    memset(&run, 0, sizeof(run))
    run.table, run.s, run.a = kernels(s.dtype), s, a
    run.w_hh = scratch
    run.w_ih = run.w_hh + padded(s, s.gates * s.D)
    run.bias = run.w_ih + padded(s, s.gates * s.I)
    start_forward(&run)
    pack(pack_columns_item, s, a.w_ih, s.I, run.w_ih)
    pack(pack_columns_item, s, a.w_hh, s.D, run.w_hh)
    project(&run)
    run_steps(&run, forward_block, forward_units)
    for panel in range(s.panels):
        run.table.copy_2d(at(a.c, ((panel + 1) * steps - 1) * s.N * s.vl, s), s.vl, 1,
                          at(a.c_n, panel * s.vl, s), s.D, 1,
                          s.N, min(s.vl, s.D - panel * s.vl))


# --- backward --------------------------------------------------------------------------

cdef void step_backward_gates(Run* run, long t, long block, long n0, long n1,
                              long panel0, long panel1) noexcept nogil:
    """From dh and dc of step t: its dgates, and dc of the step before."""
    cdef const LstmShape* s = run.s
    cdef const LstmArrays* a = run.a
    cdef long panel, row = t * s.N + n0, first, where
    cdef lstm_gates_args gate
    gate.rows = n1 - n0
    gate.gates_row, gate.half = s.tile, s.rows * s.tile if s.width == 1 else 2 * s.vl
    gate.next_step = -s.N * s.tile if t > 0 else 0
    gate.h_row = s.state_row
    gate.dy, gate.dy_row = NULL, s.D
    for panel in range(panel0, panel1):
        first, where = panel * s.vl, 4 * s.vl * panel * s.rows + row * s.tile
        gate.units = min(s.vl, s.D - first)
        gate.gates, gate.dgates = at(a.gates, where, s), at(run.dgates, where, s)
        gate.c_prev = at(a.c, (panel * (s.rows + s.N) + row) * s.vl, s)
        gate.c = at(gate.c_prev, s.N * s.vl, s)
        gate.h = at(run.dh, n0 * s.state_row + first, s)
        gate.dc = at(run.dc, n0 * s.state_row + first, s)
        gate.db = at(run.db, block * s.gates + 4 * first, s)
        if run.g.dy != NULL:
            gate.dy = at(run.g.dy, row * s.D + first, s)
        run.table.lstm_gates_backward(&gate)


cdef Product dh_product(Run* run, long t) noexcept nogil:
    """dh of the step before = dgates of step t, times w_hh"""
    cdef const LstmShape* s = run.s
    return Product(
        run.table, s, s.N, s.state_row, at(run.dgates, t * s.N * s.tile, s), s.tile,
        s.rows * s.tile, s.gates // s.tile, s.tile, run.w_hh, run.dh, s.state_row, s.tile, False, NULL)


cdef void backward_block(void* context, long block, int thread) noexcept nogil:
    cdef Run* run = <Run*>context
    cdef const LstmShape* s = run.s
    cdef long n0 = s.N * block // s.blocks, n1 = s.N * (block + 1) // s.blocks, t
    cdef Product p
    for t in range(s.T - 1, -1, -1):
        step_backward_gates(run, t, block, n0, n1, 0, s.panels)
        if t > 0 or run.g.dh0 != NULL:
            p = dh_product(run, t)
            multiply(&p, n0, n1, 0, s.state_row // s.tile)


cdef void backward_units(void* context, int thread, int team) noexcept nogil:
    """A thread has the same units in both halves of a step: one barrier is enough."""
    cdef Run* run = <Run*>context
    cdef const LstmShape* s = run.s
    cdef long tiles = s.state_row // s.tile, tile0 = tiles * thread // team, t
    cdef long tile1 = tiles * (thread + 1) // team, panels = s.tile // s.vl
    cdef Product p
    for t in range(s.T - 1, -1, -1):
        step_backward_gates(run, t, 0, 0, s.N, tile0 * panels, min(tile1 * panels, s.panels))
        if team > 1:
            team_barrier()
        if t > 0 or run.g.dh0 != NULL:
            p = dh_product(run, t)
            multiply(&p, 0, s.N, tile0, tile1)


cdef struct Weight:          # gradient of one weight: dw = dgates' x over the rows of all steps
    Run* run
    const char* x            # [rows, length]
    long rows, length, first # first: of the rows of dgates
    char* woven              # [gates / tile][length][tile]
    char* dw                 # [4D, length]
    long groups, chunks      # items: groups of panels times chunks of columns of x


cdef void weight_item(void* context, long item, int thread) noexcept nogil:
    cdef Weight* w = <Weight*>context
    if item >= w.groups * w.chunks:
        item -= w.groups * w.chunks
        w += 1
    cdef const LstmShape* s = w.run.s
    cdef const fastnn_kernels* table = w.run.table
    cdef long panel0 = item // w.chunks * GROUP_PANELS, chunk = item % w.chunks
    cdef long panel1 = min(panel0 + GROUP_PANELS, s.panels)
    cdef long i0 = w.length * chunk // w.chunks, i1 = w.length * (chunk + 1) // w.chunks
    cdef long per_panel = 4 * s.vl // s.tile, tiles = divide_up(i1 - i0, table.gemm_rows[s.width])
    cdef long blocks = divide_up(w.rows * s.size, K_BLOCK_BYTES), block, k0, q, i, r0, r1
    cdef gemm_tile_args tile
    memset(&tile, 0, sizeof(tile))
    tile.batches, tile.n = 1, s.tile
    tile.a_row, tile.a_k, tile.b_k, tile.c_row = 1, w.length, s.tile, s.tile
    for block in range(blocks):
        k0 = w.rows * block // blocks
        tile.k = w.rows * (block + 1) // blocks - k0
        tile.accumulate = block > 0
        for q in range(panel0 * per_panel, panel1 * per_panel):
            tile.b = at(w.run.dgates, (q * s.rows + w.first + k0) * s.tile, s)
            for i in range(tiles):
                r0, r1 = i0 + (i1 - i0) * i // tiles, i0 + (i1 - i0) * (i + 1) // tiles
                tile.a = at(w.x, k0 * w.length + r0, s)
                tile.c = at(w.woven, (q * w.length + r0) * s.tile, s)
                table.gemm_tile[s.width][r1 - r0](&tile)
    unweave_weight(w, panel0, panel1, i0, i1)


cdef void unweave_weight(const Weight* w, long panel0, long panel1, long i0, long i1) noexcept nogil:
    """The columns of woven as rows of dw."""
    cdef const LstmShape* s = w.run.s
    cdef long item, column
    for item in range(4 * panel0, 4 * panel1):
        column = item * s.vl
        w.run.table.copy_2d(
            at(w.woven, (column // s.tile * w.length + i0) * s.tile + column % s.tile, s), 1, s.tile,
            at(w.dw, (item % 4 * s.D + item // 4 * s.vl) * w.length + i0, s), w.length, 1,
            min(s.vl, s.D - item // 4 * s.vl), i1 - i0)


cdef Weight weight_gradient(Run* run, const void* x, long first, long length, char* woven,
                            void* dw) noexcept nogil:
    cdef const LstmShape* s = run.s
    cdef Weight w
    w.run, w.woven, w.dw, w.length, w.first = run, woven, <char*>dw, length, first
    w.x, w.rows = at(x, first * length, s), s.rows - first
    w.groups, w.chunks = divide_up(s.panels, GROUP_PANELS), divide_up(length, GROUP_ROWS)
    if w.rows == 0 and dw != NULL:
        memset(dw, 0, 4 * s.D * length * s.size)
    if w.rows == 0 or dw == NULL:
        w.groups = 0
    return w


cdef void give_dw(Run* run) noexcept nogil:
    """Both weights in one region. The first step saw no hidden state but h0."""
    cdef const LstmShape* s = run.s
    cdef const LstmArrays* a = run.a
    cdef Weight[2] w
    w[0] = weight_gradient(run, a.x, 0, s.I, run.dw, run.g.dw_ih)
    w[1] = weight_gradient(run, a.h, s.N if a.h0 == NULL else 0, s.D,
                           run.dw + padded(s, s.gates * s.I), run.g.dw_hh)
    cdef long items = w[0].groups * w[0].chunks + w[1].groups * w[1].chunks
    cdef double ns = 2.0 * s.rows * s.gates * (s.I + s.D) * NS_PER_FLOP
    parallel_for(weight_item, w, items, min(s.threads, team_size(ns)))


cdef void start_state(Run* run, char* state, const void* last) noexcept nogil:
    """dh or dc after the last step."""
    cdef const LstmShape* s = run.s
    memset(state, 0, s.N * s.state_row * s.size)
    if last != NULL:
        run.table.copy_2d(last, s.D, 1, state, s.state_row, 1, s.N, s.D)


cdef void end_state(Run* run, const char* state, void* first) noexcept nogil:
    if first != NULL:
        run.table.copy_2d(state, run.s.state_row, 1, first, run.s.D, 1, run.s.N, run.s.D)


cdef size_t lstm_backward_scratch_bytes(const LstmShape* s) noexcept nogil:
    return (padded(s, s.gates * s.state_row) + padded(s, s.gates * divide_up(s.I, s.tile) * s.tile)
            + padded(s, s.gates * s.rows) + 2 * padded(s, s.N * s.state_row)
            + padded(s, max(s.blocks, <long>1) * s.gates)
            + padded(s, s.gates * s.I) + padded(s, s.gates * s.D))


cdef void lstm_backward(const LstmShape* s, const LstmArrays* a, const LstmGradients* g,
                        char* scratch) noexcept nogil:
    cdef Run run
    run.table, run.s, run.a, run.g = kernels(s.dtype), s, a, g
    run.w_hh = scratch
    run.w_ih = run.w_hh + padded(s, s.gates * s.state_row)
    run.dgates = run.w_ih + padded(s, s.gates * divide_up(s.I, s.tile) * s.tile)
    run.dh = run.dgates + padded(s, s.gates * s.rows)
    run.dc = run.dh + padded(s, s.N * s.state_row)
    run.db = run.dc + padded(s, s.N * s.state_row)
    run.dw = run.db + padded(s, max(s.blocks, <long>1) * s.gates)

    pack(pack_rows_item, s, a.w_hh, s.D, run.w_hh)
    start_state(&run, run.dh, g.dh_n)
    start_state(&run, run.dc, g.dc_n)
    memset(run.db, 0, max(s.blocks, <long>1) * s.gates * s.size)
    run_steps(&run, backward_block, backward_units)
    end_state(&run, run.dh, g.dh0)
    end_state(&run, run.dc, g.dc0)
    if g.dx != NULL:
        pack(pack_rows_item, s, a.w_ih, s.I, run.w_ih)
        give_dx(&run)
    if g.db != NULL:
        if s.size == 4:
            unweave_bias(s, <const float*>run.db, <float*>g.db)
        else:
            unweave_bias(s, <const double*>run.db, <double*>g.db)
    if g.dw_ih != NULL or g.dw_hh != NULL:
        give_dw(&run)
