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

from fastnn._kernels.rnn_product cimport (
    LstmShape, Product, Weight, at, multiply, multiply_all, pack_columns, pack_rows, padded,
    unweave_bias, weave_bias, weight_gradients, weight_scratch_bytes,
)
from fastnn._kernels.runtime cimport (
    ceil_div, fastnn_kernels, item_task, itemsize, kernels, lstm_gates_args, parallel_for,
    parallel_team, team_barrier, team_size, team_task,
)

cdef enum:
    UNIT_SPLIT = 8           # below this many batch rows, threads split the hidden units
    BLOCK_ROWS = 16          # of a block of batch rows that one thread takes through all steps

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
    char* dw             # working memory of the weight gradients


cdef LstmShape lstm_shape(int dtype, long T, long N, long I, long D) noexcept nogil:
    cdef const fastnn_kernels* table = kernels(dtype)
    cdef LstmShape s
    s.dtype, s.size = dtype, itemsize(dtype)
    s.T, s.N, s.I, s.D, s.rows = T, N, I, D, T * N
    s.vl, s.panels = table.vl, ceil_div(D, table.vl)
    s.gates = 4 * s.vl * s.panels
    s.width = 4 if N <= table.gemm_rows[4] else 2
    s.tile = s.vl * s.width
    s.state_row = ceil_div(D, s.tile) * s.tile
    s.blocks = 0 if N < UNIT_SPLIT else max(<long>2, ceil_div(N, BLOCK_ROWS))
    s.threads = team_size(1e18)
    return s


# --- forward ---------------------------------------------------------------------------

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
    gate.gates_row, gate.half = s.tile, s.rows * s.tile if s.width == 2 else 2 * s.vl
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
    weave_bias(s, a.b_ih, run.bias)
    weave_bias(s, a.b_hh, run.bias)


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
    pack_columns(s, a.w_ih, s.I, run.w_ih)
    pack_columns(s, a.w_hh, s.D, run.w_hh)
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
    gate.gates_row, gate.half = s.tile, s.rows * s.tile if s.width == 2 else 2 * s.vl
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
        s.rows * s.tile, s.gates // s.tile, s.tile,
        run.w_hh, run.dh, s.state_row, s.tile, False, NULL)


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


cdef void give_dw(Run* run) noexcept nogil:
    """The first step saw no hidden state but h0."""
    cdef const LstmShape* s = run.s
    cdef long first = s.N if run.a.h0 == NULL else 0
    cdef char* woven = run.dw + padded(s, s.gates * s.I)
    cdef char* packed = woven + padded(s, s.gates * s.D)
    cdef Weight[2] w
    w[0] = Weight(s, run.dgates, 0, <const char*>run.a.x, s.I, run.dw, packed,
                  <char*>run.g.dw_ih, 0, 0)
    w[1] = Weight(s, run.dgates, first, at(run.a.h, first * s.D, s), s.D, woven, packed,
                  <char*>run.g.dw_hh, 0, 0)
    weight_gradients(w)


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
    return (padded(s, s.gates * s.state_row) + padded(s, s.gates * ceil_div(s.I, s.tile) * s.tile)
            + 2 * padded(s, s.N * s.state_row)
            + padded(s, max(s.blocks, <long>1) * s.gates)
            + padded(s, s.gates * s.I) + padded(s, s.gates * s.D) + weight_scratch_bytes(s))


cdef void lstm_backward(const LstmShape* s, const LstmArrays* a, const LstmGradients* g,
                        char* scratch) noexcept nogil:
    cdef Run run
    run.table, run.s, run.a, run.g = kernels(s.dtype), s, a, g
    run.w_hh = scratch
    run.w_ih = run.w_hh + padded(s, s.gates * s.state_row)
    run.dgates = <char*>g.dgates
    run.dh = run.w_ih + padded(s, s.gates * ceil_div(s.I, s.tile) * s.tile)
    run.dc = run.dh + padded(s, s.N * s.state_row)
    run.db = run.dc + padded(s, s.N * s.state_row)
    run.dw = run.db + padded(s, max(s.blocks, <long>1) * s.gates)

    pack_rows(s, a.w_hh, s.D, run.w_hh)
    start_state(&run, run.dh, g.dh_n)
    start_state(&run, run.dc, g.dc_n)
    memset(run.db, 0, max(s.blocks, <long>1) * s.gates * s.size)
    run_steps(&run, backward_block, backward_units)
    end_state(&run, run.dh, g.dh0)
    end_state(&run, run.dc, g.dc0)
    if g.dx != NULL:
        pack_rows(s, a.w_ih, s.I, run.w_ih)
        give_dx(&run)
    if g.db != NULL:
        unweave_bias(s, run.db, g.db)
    if g.dw_ih != NULL or g.dw_hh != NULL:
        give_dw(&run)
