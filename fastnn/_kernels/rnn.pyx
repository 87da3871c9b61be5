"""Recurrent layers over whole sequences: RNN, LSTM and GRU, in one direction or both.

One parallel region spans all steps. In it a thread takes some steps at a time: the input's
part of their gates is one matrix product; then, step by step and panel by panel, the state's
part, another product, and at once the mathematics of the gates, while both are in cache. Gates
lie in slots and panels of hidden units, see csrc/kernels/rnn.h and RnnShape: a layout in which
they are C of the products forward, A of those backward, and B of the weight gradients.

Threads take directions and blocks of batch rows through all steps, with no barrier; the
units of a small batch are split, with one barrier a step. Rows and units do not depend on each
other, so the split does not touch the bits. Where the batch shrinks from step to step
(packed sequences), a step computes the rows that there are: a row's state stays where
its last step left it, and in the other direction where its first one finds it.
Called by ops/rnn.pyx.
"""

from libc.string cimport memcpy, memset

from fastnn._kernels.rnn_pack cimport (
    Matrix, at, has_middle, is_gru, is_projected, matrix_ih, padded, rows_of, start_of, weave,
)
from fastnn._kernels.rnn_product cimport Product, multiply
from fastnn._kernels.runtime cimport (
    ceil_div, few_sets, itemsize, kernels, parallel_for, parallel_team, rnn_gates_args,
    team_barrier, team_size,
)

cdef enum:
    FEW_ROWS = 7             # of so many batch rows, or fewer, threads split the hidden units;
    BLOCK_ROWS = 16          # of more, blocks of these go through all steps on one thread
    LARGE_BYTES = 262143     # w_hh is larger: each thread had better read a part of it. There,
    LARGE_FEW_ROWS = 128     # the same two
    LARGE_BLOCK_ROWS = 32
    GROUP = 4                # tiles of the state's part of gates computed at once
    CHUNK_BYTES = 131072     # of gates made at a time, or of
    CHUNK_STEPS = 4          # so many steps: they share one reading of w_ih

cdef double NS_PER_FLOP = 0.01
cdef double NS_PER_BYTE = 0.015      # of weights, when few rows use them
# A step shorter than this is not worth a barrier.
cdef double STEP_NS = 1_500.0


# --- shape ------------------------------------------------------------------------------

cdef int set_shape(RnnShape* s) noexcept nogil:
    cdef bint large
    s.size, s.vl = itemsize(s.dtype), kernels(s.dtype).vl
    s.tile = 2 * s.vl
    s.panels, s.h_panels = ceil_div(s.D, s.tile), ceil_div(s.P, s.tile)
    s.gates = 4 if s.kind == RNN_LSTM else 3 if is_gru(s) else 1
    s.slots = 4 if s.kind == RNN_GRU else s.gates
    s.h_slot = 1 if is_gru(s) else 0
    s.db_rows = s.slots + (3 if s.peephole else 0)
    large = s.gates * s.D * s.P * s.size > LARGE_BYTES
    s.blocks = max(<long>2, ceil_div(s.N, LARGE_BLOCK_ROWS if large else BLOCK_ROWS))
    if s.N <= (LARGE_FEW_ROWS if large else FEW_ROWS):
        s.blocks = 0
    s.threads = team_size(1e18)
    return 0


cdef inline long most_rows(const RnnShape* s) noexcept nogil:
    """Batch rows of the largest part."""
    return ceil_div(s.N, s.blocks) if s.blocks else s.N


cdef inline long chunk_of(const RnnShape* s) noexcept nogil:
    """Steps whose gates are made at a time."""
    cdef long step = most_rows(s) * s.gates * s.panels * s.tile * s.size
    return min(s.T, max(<long>CHUNK_STEPS, CHUNK_BYTES // step))


cdef inline long group_of(const RnnShape* s) noexcept nogil:
    """Panels whose gates fed by the state are computed at once."""
    return GROUP if s.gates == 1 else 1


cdef long row_length(const RnnShape* s, long panels) noexcept nogil:
    """Of a state in whole panels: rows must not meet in the same sets of the cache."""
    return panels * s.tile + (s.tile if few_sets(panels * s.tile * s.size) else 0)


cdef long kept_numbers(const RnnShape* s) noexcept nogil:
    cdef long gates = (s.slots + (s.kind == RNN_LSTM)) * s.panels * s.tile
    return s.rows * (gates + s.P + (row_length(s, s.panels) if has_middle(s) else 0))


cdef void lay_out_kept(Direction* d, char* kept) noexcept nogil:
    cdef const RnnShape* s = d.s
    cdef long panels = s.panels * s.rows * s.tile
    d.gates = at(kept, d.number * kept_numbers(s), s)
    d.c_prev = at(d.gates, s.slots * panels, s)
    d.h_prev = at(d.c_prev, panels if s.kind == RNN_LSTM else 0, s)
    d.m = at(d.h_prev, s.rows * s.P, s)


# --- parts ------------------------------------------------------------------------------

cdef void block_item(void* context, long item, int thread) noexcept nogil:
    """A block of rows of one direction."""
    cdef Steps* steps = <Steps*>context
    cdef const RnnShape* s = steps.s
    cdef long block = item % s.blocks
    cdef Part part = Part(block, s.N * block // s.blocks, s.N * (block + 1) // s.blocks,
                          0, s.panels, 0, s.h_panels, False, thread)
    steps.task(steps.job, <int>(item // s.blocks), &part)


cdef void unit_task(void* context, int thread, int team) noexcept nogil:
    """Some units of all rows: a thread has one direction, or all of them if it is alone."""
    cdef Steps* steps = <Steps*>context
    cdef const RnnShape* s = steps.s
    cdef int direction
    cdef long first, last, share = 0, shares = 1
    cdef Part part
    for direction in range(s.directions):
        if team > 1:
            first, last = team * direction // s.directions, team * (direction + 1) // s.directions
            if not first <= thread < last:
                continue
            share, shares = thread - first, last - first
        part = Part(0, 0, s.N, s.panels * share // shares, s.panels * (share + 1) // shares,
                    s.h_panels * share // shares, s.h_panels * (share + 1) // shares,
                    team > s.directions, thread)
        steps.task(steps.job, direction, &part)


cdef double step_ns(const RnnShape* s) noexcept nogil:
    cdef double weights = s.gates * s.D * (s.P + s.I)
    return max(2.0 * s.N * weights * NS_PER_FLOP, weights * s.size * NS_PER_BYTE) * s.directions


cdef void run_parts(Steps* steps) noexcept nogil:
    cdef const RnnShape* s = steps.s
    cdef double step = step_ns(s)
    cdef int threads = min(s.threads, team_size(s.T * step))
    if s.blocks > 0:
        parallel_for(block_item, steps, s.directions * s.blocks, threads)
        return
    if step < STEP_NS:
        threads = min(threads, s.directions)
    parallel_team(unit_task, steps, threads)


# --- forward ----------------------------------------------------------------------------

cdef struct Forward:
    Direction[2] d
    char* gates              # for each thread, those of a chunk, where they are not kept
    char* recurrent          # for each thread, the state's part of a group of panels


cdef inline long chunk_numbers(const RnnShape* s) noexcept nogil:
    return chunk_of(s) * most_rows(s) * s.gates * s.panels * s.tile


cdef inline long recurrent_numbers(const RnnShape* s) noexcept nogil:
    return s.gates * group_of(s) * most_rows(s) * s.tile


# the gates of a thread, as far as they are there
cdef struct Place:
    char* first              # of the panel and slot 0, the part's first row at time 0
    long rows                # from one panel to the next


cdef Place gates_of(const Forward* f, const Direction* d, const Part* part, long k) noexcept nogil:
    """In whose rows those of time t lie at start + t * (n1 - n0), or in sequence if kept."""
    cdef const RnnShape* s = d.s
    cdef long steps = chunk_of(s), k0 = k - k % steps, k1 = min(k0 + steps, s.T)
    cdef long earliest = k0 if d.number == 0 else s.T - k1
    if d.a.kept != NULL:
        return Place(at(d.gates, part.n0 * s.tile, s), s.rows)
    return Place(
        at(f.gates, part.thread * chunk_numbers(s)
           - earliest * (part.n1 - part.n0) * s.tile, s), steps * (part.n1 - part.n0))


cdef inline long row_at(const Direction* d, const Part* part, long t) noexcept nogil:
    return start_of(d.s, t) if d.a.kept != NULL else t * (part.n1 - part.n0)


cdef void project(const Forward* f, const Direction* d, const Part* part, long k) noexcept nogil:
    """The input's part of the gates of a chunk: x w_ih' + biases."""
    cdef const RnnShape* s = d.s
    cdef long steps = min(chunk_of(s), s.T - k), slot, t, rows, i
    cdef long earliest = k if d.number == 0 else s.T - k - steps
    cdef bint whole = part.n0 == 0 and part.n1 == s.N and (d.a.kept != NULL or s.batch == NULL)
    cdef Place gates = gates_of(f, d, part, k)
    cdef Product p
    p.s, p.a_row, p.a_batch, p.batches, p.k = s, s.I, 0, 1, s.I
    p.b, p.b_tile = d.a.w[d.number].w_ih, s.I * s.tile
    p.c_row, p.c_tile = s.tile, gates.rows * s.tile
    p.accumulate, p.bias, p.columns = False, d.bias, 0
    for i in range(1 if whole else steps):
        t = earliest + i
        rows = min(part.n1, rows_of(s, t)) - part.n0
        if whole:
            rows = start_of(s, t + steps - 1) + rows_of(s, t + steps - 1) - start_of(s, t)
        p.a = at(d.a.x, (start_of(s, t) + part.n0) * s.I, s)
        p.c = at(gates.first, row_at(d, part, t) * s.tile, s)
        if part.panel1 - part.panel0 == s.panels:
            multiply(&p, rows, 0, s.gates * s.panels)
        else:
            for slot in range(s.gates):
                multiply(&p, rows, slot * s.panels + part.panel0, slot * s.panels + part.panel1)


cdef void keep_state(const Direction* d, const Part* part, long t, const char* h,
                     long rows) noexcept nogil:
    """The part's numbers of h before the step, for the gradient of w_hh."""
    cdef const RnnShape* s = d.s
    cdef long column = part.tile0 * s.tile, columns = min(part.tile1 * s.tile, s.P) - column
    if columns > 0:
        kernels(s.dtype).copy_2d(
            at(h, column, s), row_length(s, s.h_panels), 1,
            at(d.h_prev, (start_of(s, t) + part.n0) * s.P + column, s), s.P, 1, rows, columns)


cdef void step_forward(const Forward* f, const Direction* d, const Part* part,
                       long k) noexcept nogil:
    """The k-th step of the part's rows and units."""
    cdef const RnnShape* s = d.s
    cdef long t = time_of(d, k), rows = min(part.n1, rows_of(s, t)) - part.n0
    cdef long h_row = row_length(s, s.h_panels), row = start_of(s, t) + part.n0
    cdef char* h = at(d.h, (k % 2 * s.N + part.n0) * h_row, s)
    cdef char* h_next = at(d.h, ((k + 1) % 2 * s.N + part.n0) * h_row, s)
    cdef char* y = at(d.a.y, row * s.directions * s.P + d.number * s.P, s)
    if rows > 0 and d.a.kept != NULL:
        keep_state(d, part, t, h, rows)
    if rows > 0:
        gates_forward(f, d, part, k, first_half(s), h, h_next, NULL if has_middle(s) else y)
    if has_middle(s):
        if part.sync:
            team_barrier()
        if rows > 0 and is_projected(s):
            project_state(d, part, row, rows, h_next, y)
        elif rows > 0:
            gates_forward(f, d, part, k, Half(s.kind, 2, 1, True), h, h_next, y)
    if part.sync:
        team_barrier()


# A kernel, and the gates fed by the state that it needs. A step has one, or two of them.
cdef struct Half:
    int kernel
    long gate0, gates
    bint takes_m             # are they fed by m instead?


cdef inline Half first_half(const RnnShape* s) noexcept nogil:
    if s.kind == RNN_GRU_BEFORE:
        return Half(RNN_RESET, 0, 2, False)
    return Half(s.kind, 0, s.gates, False)


cdef void gates_forward(const Forward* f, const Direction* d, const Part* part, long k, Half half,
                        const char* h, char* h_next, char* y) noexcept nogil:
    """Panel by panel, the state's part of the gates and at once their kernel, which writes
    h_next and y or, where there is no y, m."""
    cdef const RnnShape* s = d.s
    cdef long group = group_of(s), t = time_of(d, k), tile_rows = most_rows(s) * s.tile
    cdef long row = start_of(s, t) + part.n0, m_row = row_length(s, s.panels), panel, panels, i
    cdef Place gates = gates_of(f, d, part, k)
    cdef char* recurrent = at(f.recurrent, part.thread * recurrent_numbers(s), s)
    cdef char* m = at(d.m, (row if d.a.kept != NULL else part.n0) * m_row, s)
    cdef Product p
    cdef rnn_gates_args g
    memset(&g, 0, sizeof(g))
    g.rows = min(part.n1, rows_of(s, t)) - part.n0
    p.s, p.a, p.a_row = s, h, row_length(s, s.h_panels)
    if half.takes_m:
        p.a, p.a_row = m, m_row
    p.a_batch, p.batches, p.k = 0, 1, s.P
    p.b_tile = s.P * s.tile * (1 if s.gates == 1 else s.panels)
    p.c, p.c_row, p.c_tile = recurrent, s.tile, tile_rows
    p.accumulate, p.bias, p.columns = False, NULL, 0
    g.h_row, g.y_row = m_row, s.directions * s.P
    g.slot, g.recurrent_slot = gates.rows * s.panels * s.tile, tile_rows
    panel = part.panel0
    while panel < part.panel1:
        panels = min(group, part.panel1 - panel)
        if k == 0 and d.a.h0 == NULL:
            memset(recurrent, 0, half.gates * panels * tile_rows * s.size)
        else:
            p.b = at(d.a.w[d.number].w_hh, (half.gate0 * s.panels + panel) * s.P * s.tile, s)
            multiply(&p, g.rows, 0, half.gates * panels)
        for i in range(panel, panel + panels):
            g.units = min(s.tile, s.D - i * s.tile)
            g.gates = at(gates.first, (i * gates.rows + row_at(d, part, t)) * s.tile, s)
            g.recurrent = at(recurrent, (i - panel) * tile_rows, s)
            g.bias, g.h_prev = at(d.bias_n, i * s.tile, s), at(h, i * s.tile, s)
            g.peephole = at(d.peephole, i * 3 * s.tile, s) if s.peephole else NULL
            g.c = at(d.c, (i * s.N + part.n0) * s.tile, s)
            if d.a.kept != NULL:
                g.kept = at(d.c_prev, (i * s.rows + row) * s.tile, s)
            g.h = at(m if y == NULL else h_next, i * s.tile, s)
            g.y = NULL if y == NULL else at(y, i * s.tile, s)
            kernels(s.dtype).rnn_forward[half.kernel](&g)
        panel += panels


cdef void project_state(const Direction* d, const Part* part, long row, long rows, char* h,
                        char* y) noexcept nogil:
    """h = m w_hr', and the same to y."""
    cdef const RnnShape* s = d.s
    cdef long m_row = row_length(s, s.panels), column = part.tile0 * s.tile
    cdef long columns = min(part.tile1 * s.tile, s.P) - column
    cdef Product p = Product(
        s, at(d.m, (row if d.a.kept != NULL else part.n0) * m_row, s), m_row, 0, 1, s.D,
        d.a.w[d.number].w_hr, s.D * s.tile, h, row_length(s, s.h_panels), s.tile, False, NULL, 0)
    if columns > 0:
        multiply(&p, rows, part.tile0, part.tile1)
        kernels(s.dtype).copy_2d(at(h, column, s), p.c_row, 1, at(y, column, s),
                                 s.directions * s.P, 1, rows, columns)


cdef void forward_part(void* job, int direction, const Part* part) noexcept nogil:
    cdef Forward* f = <Forward*>job
    cdef const RnnShape* s = f.d[0].s
    cdef long k
    for k in range(s.T):
        if k % chunk_of(s) == 0:
            project(f, &f.d[direction], part, k)
        step_forward(f, &f.d[direction], part, k)


# --- states, from the first to the last -------------------------------------------------------

cdef void to_panels(const RnnShape* s, const void* c, int direction, char* panels) noexcept nogil:
    """Of a direction, c [directions, N, D] as [panels, N, tile]; zero where there is none."""
    cdef long panel
    memset(panels, 0, s.panels * s.N * s.tile * s.size)
    for panel in range(s.panels if c != NULL else 0):
        kernels(s.dtype).copy_2d(
            at(c, direction * s.N * s.D + panel * s.tile, s), s.D, 1,
            at(panels, panel * s.N * s.tile, s), s.tile, 1,
            s.N, min(s.tile, s.D - panel * s.tile))


cdef void from_panels(const RnnShape* s, const char* panels, void* c, int direction) noexcept nogil:
    cdef long panel
    for panel in range(s.panels):
        kernels(s.dtype).copy_2d(
            at(panels, panel * s.N * s.tile, s), s.tile, 1,
            at(c, direction * s.N * s.D + panel * s.tile, s), s.D, 1,
            s.N, min(s.tile, s.D - panel * s.tile))


cdef void start_states(const Direction* d) noexcept nogil:
    cdef const RnnShape* s = d.s
    cdef long h_row = row_length(s, s.h_panels), copy
    memset(d.h, 0, 2 * s.N * h_row * s.size)
    if d.a.h0 != NULL:
        for copy in range(2):
            kernels(s.dtype).copy_2d(at(d.a.h0, d.number * s.N * s.P, s), s.P, 1,
                                     at(d.h, copy * s.N * h_row, s), h_row, 1, s.N, s.P)
    if s.kind == RNN_LSTM:
        to_panels(s, d.a.c0, d.number, d.c)


cdef void end_states(const Direction* d) noexcept nogil:
    """A row's last step wrote one of the two buffers of h."""
    cdef const RnnShape* s = d.s
    cdef long h_row = row_length(s, s.h_panels), t, row0 = 0, row1
    for t in range(s.T - 1, -1, -1):
        row1 = rows_of(s, t)
        if row1 > row0:
            kernels(s.dtype).copy_2d(
                at(d.h, (((t if d.number == 0 else s.T - 1) + 1) % 2 * s.N + row0) * h_row, s),
                h_row, 1, at(d.a.h_n, (d.number * s.N + row0) * s.P, s), s.P, 1,
                row1 - row0, s.P)
            row0 = row1
    if s.kind == RNN_LSTM:
        from_panels(s, d.c, d.a.c_n, d.number)


cdef void weave_biases(const Direction* d) noexcept nogil:
    """b_ih + b_hh; but a GRU's n takes that of the state apart."""
    cdef const RnnShape* s = d.s
    cdef const RnnWeights* w = &d.a.w[d.number]
    cdef Matrix m = matrix_ih(s, NULL)
    memset(d.bias, 0, s.gates * s.panels * s.tile * s.size)
    memset(d.bias_n, 0, s.panels * s.tile * s.size)
    weave(&m, w.b_ih, 0, s.gates, d.bias)
    weave(&m, w.b_hh, 0, 2 if s.kind == RNN_GRU else s.gates, d.bias)
    if s.kind == RNN_GRU and w.b_hh != NULL:
        memcpy(d.bias_n, at(w.b_hh, 2 * s.D, s), s.D * s.size)
    if s.peephole:
        weave_peephole(d, d.peephole)


cdef void weave_peephole(const Direction* d, char* woven) noexcept nogil:
    """[3, D] as [panels, 3, tile]."""
    cdef const RnnShape* s = d.s
    cdef long panel
    memset(woven, 0, 3 * s.panels * s.tile * s.size)
    for panel in range(s.panels):
        kernels(s.dtype).copy_2d(
            at(d.a.w[d.number].peephole, panel * s.tile, s), s.D, 1,
            at(woven, panel * 3 * s.tile, s), s.tile, 1, 3, min(s.tile, s.D - panel * s.tile))


# --- all of it --------------------------------------------------------------------------

cdef size_t lay_out(const RnnShape* s, bint kept, Forward* f, char* scratch) noexcept nogil:
    """Sets the pointers; returns the end of the scratch."""
    cdef size_t used = 0
    cdef Direction* d
    cdef int i
    for i in range(s.directions):
        d = &f.d[i]
        d.h = scratch + used
        used += padded(s, 2 * s.N * row_length(s, s.h_panels))
        d.c = scratch + used
        used += padded(s, s.panels * s.N * s.tile)
        d.bias = scratch + used
        used += padded(s, s.gates * s.panels * s.tile)
        d.bias_n = scratch + used
        used += padded(s, s.panels * s.tile)
        d.peephole = scratch + used
        used += padded(s, 3 * s.panels * s.tile)
        if not kept:
            d.m = scratch + used
            used += padded(s, s.N * row_length(s, s.panels))
    f.recurrent = scratch + used
    used += padded(s, s.threads * recurrent_numbers(s))
    f.gates = scratch + used
    if not kept:
        used += padded(s, s.threads * chunk_numbers(s))
    return used


cdef size_t rnn_forward_scratch_bytes(const RnnShape* s, bint kept) noexcept nogil:
    cdef Forward f
    return lay_out(s, kept, &f, NULL)


cdef void rnn_forward(const RnnShape* s, const RnnArrays* a, char* scratch) noexcept nogil:
    cdef Forward f
    cdef Steps steps = Steps(s, forward_part, &f)
    cdef int i
    for i in range(s.directions):
        f.d[i].s, f.d[i].a, f.d[i].number = s, a, i
        if a.kept != NULL:
            lay_out_kept(&f.d[i], <char*>a.kept)
    lay_out(s, a.kept != NULL, &f, scratch)
    for i in range(s.directions):
        start_states(&f.d[i])
        weave_biases(&f.d[i])
    run_parts(&steps)
    for i in range(s.directions):
        end_states(&f.d[i])
