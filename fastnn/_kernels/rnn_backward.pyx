"""Recurrent layers, backward through time (see rnn.pyx).

One parallel region goes through all steps, split as forward: from the gradient of h and c
come those of the gates, in place of the activations, and from these, by a product with w_hh, that
of the h before. The gradients of input and weights are products over all steps after it.
"""

from libc.string cimport memset

from fastnn._kernels.rnn cimport (
    Direction, Part, Steps, from_panels, lay_out_kept, row_length, run_parts, time_of, to_panels,
    weave_peephole,
)
from fastnn._kernels.rnn_pack cimport (
    Matrix, at, has_middle, is_gru, is_projected, matrix_hh, matrix_hr, matrix_ih, padded, rows_of,
    start_of, unweave,
)
from fastnn._kernels.rnn_product cimport (
    Product, Weight, multiply, multiply_all, weight_gradients, weight_scratch_bytes,
)
from fastnn._kernels.runtime cimport (
    RNN_GRU_BEFORE, RNN_LINEAR, RNN_LSTM, RNN_RESET, kernels, rnn_gates_args, team_barrier,
)

cdef enum:
    MATRICES = 3             # w_ih, w_hh in one part or two, w_hr

cdef struct Backward:
    const RnnGradients* g
    Direction[2] d
    char* dgates[2]          # [slots, panels, rows, tile]
    char* dm[2]              # [N, m_row], the gradient of m
    char* dh_sum[2]          # [h_panels, rows, tile], that of a projected h, from the output too
    char* db[2]              # [blocks, panels, db_rows, tile]
    char* woven              # weight gradients as they are computed
    char* packed


# --- a step ---------------------------------------------------------------------------------

cdef void sum_dh(const Backward* b, const Direction* d, const Part* part, long t,
                 long rows) noexcept nogil:
    """dh_sum = dh + dy: what the projection's gradients are made of."""
    cdef const RnnShape* s = d.s
    cdef long tile, row = start_of(s, t) + part.n0
    cdef rnn_gates_args g
    memset(&g, 0, sizeof(g))
    g.rows, g.h_row, g.y_row = rows, row_length(s, s.h_panels), s.directions * s.P
    for tile in range(part.tile0, part.tile1):
        g.units = min(s.tile, s.P - tile * s.tile)
        g.h = at(d.h, part.n0 * g.h_row + tile * s.tile, s)
        if b.g.dy != NULL:
            g.y = at(b.g.dy, (row * s.directions + d.number) * s.P + tile * s.tile, s)
        g.dgates = at(b.dh_sum[d.number], (tile * s.rows + row) * s.tile, s)
        kernels(s.dtype).rnn_backward[RNN_LINEAR](&g)


cdef Product product_of(const Direction* d, const char* tiles, const Part* part, long t, long count,
                        const char* w, long gates) noexcept nogil:
    """The rows of time t in `count` tiles of gradients, times a weight packed by rows for `gates`
    tiles; where it goes is still to be said."""
    cdef const RnnShape* s = d.s
    cdef Product p
    p.s, p.a = s, at(tiles, (start_of(s, t) + part.n0) * s.tile, s)
    p.a_row, p.a_batch, p.batches, p.k = s.tile, s.rows * s.tile, count, s.tile
    p.b, p.b_tile = w, gates * s.tile * s.tile
    p.c_tile, p.bias, p.columns = s.tile, NULL, 0
    return p


cdef void give_dm(const Backward* b, const Direction* d, const Part* part, Product p,
                  long rows) noexcept nogil:
    """dm = p, of the part's hidden units"""
    p.c_row, p.accumulate = row_length(d.s, d.s.panels), False
    p.c = at(b.dm[d.number], part.n0 * p.c_row, d.s)
    multiply(&p, rows, part.panel0, part.panel1)


cdef void unproject(const Backward* b, const Direction* d, const Part* part, long t,
                    long rows) noexcept nogil:
    """dm = dh_sum w_hr"""
    cdef const RnnShape* s = d.s
    give_dm(b, d, part, product_of(d, b.dh_sum[d.number], part, t, s.h_panels,
                                   d.a.w[d.number].w_hr, s.h_panels), rows)


cdef void gates_backward(const Backward* b, const Direction* d, const Part* part, long t,
                         long rows, int kernel) noexcept nogil:
    """From dh and dc of the step: its dgates, and dc of the step before."""
    cdef const RnnShape* s = d.s
    cdef long panel, row = start_of(s, t) + part.n0
    cdef char* h = b.dm[d.number] if is_projected(s) else d.h
    cdef rnn_gates_args g
    memset(&g, 0, sizeof(g))
    g.rows, g.slot = rows, s.panels * s.rows * s.tile
    g.h_row = row_length(s, s.panels)
    g.y_row, g.h_prev_row = s.directions * s.P, s.P
    for panel in range(part.panel0, part.panel1):
        g.units = min(s.tile, s.D - panel * s.tile)
        g.gates = at(d.gates, (panel * s.rows + row) * s.tile, s)
        g.dgates = at(b.dgates[d.number], (panel * s.rows + row) * s.tile, s)
        g.kept = at(d.c_prev, (panel * s.rows + row) * s.tile, s)
        g.h_prev = at(d.h_prev, row * s.P + panel * s.tile, s)
        g.c = at(d.c, (panel * s.N + part.n0) * s.tile, s)
        g.h = at(h, part.n0 * g.h_row + panel * s.tile, s)
        g.db = at(b.db[d.number], (part.block * s.panels + panel) * s.db_rows * s.tile, s)
        g.recurrent = at(b.dm[d.number], part.n0 * g.h_row + panel * s.tile, s)
        if b.g.dy != NULL and not is_projected(s):
            g.y = at(b.g.dy, (row * s.directions + d.number) * s.P + panel * s.tile, s)
        if s.peephole:
            g.peephole = at(d.peephole, panel * 3 * s.tile, s)
        kernels(s.dtype).rnn_backward[kernel](&g)


cdef void states_backward(const Backward* b, const Direction* d, const Part* part, long t,
                          long rows) noexcept nogil:
    """dh of the step before (+)= dgates w_hh; what fed m does not belong to it."""
    cdef const RnnShape* s = d.s
    cdef long gates = 2 if s.kind == RNN_GRU_BEFORE else s.gates
    cdef Product p = product_of(
        d, at(b.dgates[d.number], s.h_slot * s.panels * s.rows * s.tile, s), part, t,
        gates * s.panels, d.a.w[d.number].w_hh, s.gates * s.panels)
    p.c_row, p.accumulate = row_length(s, s.h_panels), is_gru(s)
    p.c = at(d.h, part.n0 * p.c_row, s)
    multiply(&p, rows, part.tile0, part.tile1)


cdef void middle_backward(const Backward* b, const Direction* d, const Part* part, long t,
                          long rows) noexcept nogil:
    """Of a GRU that resets before: dm = dgates of n, times its rows of w_hh; from it, those of r"""
    cdef const RnnShape* s = d.s
    give_dm(b, d, part, product_of(
        d, b.dgates[d.number], part, t, s.panels,
        at(d.a.w[d.number].w_hh, 2 * s.panels * s.tile * s.tile, s), s.gates * s.panels), rows)
    gates_backward(b, d, part, t, rows, RNN_RESET)


cdef void backward_part(void* job, int direction, const Part* part) noexcept nogil:
    """A thread has the same units in both halves of a step: one barrier is enough."""
    cdef Backward* b = <Backward*>job
    cdef const Direction* d = &b.d[direction]
    cdef const RnnShape* s = d.s
    cdef long k, t, rows
    for k in range(s.T - 1, -1, -1):
        t = time_of(d, k)
        rows = min(part.n1, rows_of(s, t)) - part.n0
        if is_projected(s):
            if rows > 0:
                sum_dh(b, d, part, t, rows)
            if part.sync:
                team_barrier()
            if rows > 0:
                unproject(b, d, part, t, rows)
        if rows > 0:
            gates_backward(b, d, part, t, rows, s.kind)
        if part.sync:
            team_barrier()
        if s.kind == RNN_GRU_BEFORE:
            if rows > 0:
                middle_backward(b, d, part, t, rows)
            if part.sync:
                team_barrier()
        if rows > 0 and (k > 0 or b.g.dh0 != NULL):
            states_backward(b, d, part, t, rows)


# --- states, from the last to the first -------------------------------------------------------

cdef void start_gradients(const Backward* b, const Direction* d) noexcept nogil:
    """dh and dc after the last step."""
    cdef const RnnShape* s = d.s
    cdef long h_row = row_length(s, s.h_panels)
    memset(d.h, 0, s.N * h_row * s.size)
    if b.g.dh_n != NULL:
        kernels(s.dtype).copy_2d(at(b.g.dh_n, d.number * s.N * s.P, s), s.P, 1, d.h, h_row, 1,
                                 s.N, s.P)
    if s.kind == RNN_LSTM:
        to_panels(s, b.g.dc_n, d.number, d.c)


cdef void end_gradients(const Backward* b, const Direction* d) noexcept nogil:
    """dh0 and dc0: what the first step left."""
    cdef const RnnShape* s = d.s
    if b.g.dh0 != NULL:
        kernels(s.dtype).copy_2d(d.h, row_length(s, s.h_panels), 1,
                                 at(b.g.dh0, d.number * s.N * s.P, s), s.P, 1, s.N, s.P)
    if b.g.dc0 != NULL:
        from_panels(s, d.c, b.g.dc0, d.number)


# --- after the steps --------------------------------------------------------------------------

cdef void give_dx(const Backward* b) noexcept nogil:
    """dx = dgates w_ih, of all steps and both directions."""
    cdef const RnnShape* s = b.d[0].s
    cdef Product[2] p
    cdef int i
    for i in range(s.directions):
        p[i] = Product(
            s, b.dgates[i], s.tile, s.rows * s.tile, s.gates * s.panels, s.tile,
            b.d[i].a.w[i].w_ih, s.gates * s.panels * s.tile * s.tile,
            <char*>b.g.dx, s.I, s.tile, i > 0, NULL, s.I)
    multiply_all(p, s.directions, s.rows)


cdef size_t woven_bytes(const RnnShape* s) noexcept nogil:
    """Of the weight gradients of one direction."""
    cdef long of_h = s.h_panels * s.D if is_projected(s) else 0
    return padded(s, (s.gates * s.panels * (s.I + s.P) + of_h) * s.tile)


cdef void give_dw(const Backward* b) noexcept nogil:
    cdef const RnnShape* s = b.d[0].s
    cdef const RnnWeightGradients* w
    cdef Weight[2 * MATRICES] weights
    cdef Matrix hh
    cdef int count = 0, i
    cdef long after_ih = s.gates * s.panels * s.I * s.tile
    cdef char* woven
    for i in range(s.directions):
        w, woven = &b.g.w[i], b.woven + i * woven_bytes(s)
        if w.w_ih != NULL:
            weights[count] = Weight(
                matrix_ih(s, NULL), b.dgates[i], <const char*>b.d[i].a.x, s.I, woven, b.packed,
                <char*>w.w_ih, 0, 0)
            count += 1
        woven = at(woven, after_ih, s)
        if w.w_hh != NULL:
            hh = matrix_hh(s, NULL)
            if s.kind == RNN_GRU_BEFORE:
                hh.gates = 1
                weights[count] = Weight(
                    hh, b.dgates[i], b.d[i].m, row_length(s, s.panels),
                    at(woven, 2 * s.panels * s.P * s.tile, s), b.packed,
                    at(w.w_hh, 2 * s.D * s.P, s), 0, 0)
                count += 1
                hh.gates = 2
            weights[count] = Weight(
                hh, at(b.dgates[i], s.h_slot * s.panels * s.rows * s.tile, s),
                b.d[i].h_prev, s.P, woven, b.packed, <char*>w.w_hh, 0, 0)
            count += 1
        woven = at(woven, s.gates * s.panels * s.P * s.tile, s)
        if w.w_hr != NULL:
            weights[count] = Weight(
                matrix_hr(s, NULL), b.dh_sum[i], b.d[i].m, row_length(s, s.panels), woven,
                b.packed, <char*>w.w_hr, 0, 0)
            count += 1
    if count:
        weight_gradients(weights, count)


cdef void give_db(const Backward* b, int i) noexcept nogil:
    """Biases and peepholes of one direction."""
    cdef const RnnShape* s = b.d[0].s
    cdef const RnnWeightGradients* w = &b.g.w[i]
    cdef Matrix ih = matrix_ih(s, NULL), hh = matrix_hh(s, NULL), peep
    if w.b_ih != NULL:
        unweave(&ih, b.db[i], 0, w.b_ih)
    if w.b_hh != NULL and s.kind == RNN_GRU_BEFORE:
        unweave(&ih, b.db[i], 0, w.b_hh)
    elif w.b_hh != NULL:
        unweave(&hh, b.db[i], s.h_slot, w.b_hh)
    if w.peephole != NULL:
        peep = hh
        peep.gates = 3
        unweave(&peep, b.db[i], s.slots, w.peephole)


# --- all of it ----------------------------------------------------------------------------

cdef long gate_numbers(const RnnShape* s) noexcept nogil:
    return s.slots * s.panels * s.rows * s.tile


cdef size_t lay_out(const RnnShape* s, Backward* b, char* scratch) noexcept nogil:
    """Sets the pointers; returns the end of the scratch."""
    cdef size_t used = 0
    cdef int i
    for i in range(s.directions):
        b.d[i].h = scratch + used
        used += padded(s, s.N * row_length(s, s.h_panels))
        b.d[i].c = scratch + used
        used += padded(s, s.panels * s.N * s.tile if s.kind == RNN_LSTM else 0)
        b.d[i].peephole = scratch + used
        used += padded(s, 3 * s.panels * s.tile)
        b.dm[i] = scratch + used
        used += padded(s, s.N * row_length(s, s.panels) if has_middle(s) else 0)
        b.dh_sum[i] = scratch + used
        used += padded(s, s.h_panels * s.rows * s.tile if is_projected(s) else 0)
        b.db[i] = scratch + used
        used += padded(s, max(s.blocks, <long>1) * s.panels * s.db_rows * s.tile)
    b.woven = scratch + used
    b.packed = b.woven + s.directions * woven_bytes(s)
    return used + s.directions * woven_bytes(s) + weight_scratch_bytes(s)


cdef size_t rnn_backward_scratch_bytes(const RnnShape* s) noexcept nogil:
    cdef Backward b
    return lay_out(s, &b, NULL)


cdef void rnn_backward(const RnnShape* s, const RnnArrays* a, const RnnGradients* g,
                       char* scratch) noexcept nogil:
    cdef Backward b
    cdef Steps steps = Steps(s, backward_part, &b)
    cdef int i
    b.g = g
    lay_out(s, &b, scratch)
    for i in range(s.directions):
        b.d[i].s, b.d[i].a, b.d[i].number = s, a, i
        lay_out_kept(&b.d[i], <char*>a.kept)
        b.dgates[i] = b.d[i].gates
        if g.dgates != NULL:
            b.dgates[i] = at(g.dgates, i * gate_numbers(s), s)
        start_gradients(&b, &b.d[i])
        memset(b.db[i], 0, max(s.blocks, <long>1) * s.panels * s.db_rows * s.tile * s.size)
        if s.peephole:
            weave_peephole(&b.d[i], b.d[i].peephole)
    run_parts(&steps)
    for i in range(s.directions):
        end_gradients(&b, &b.d[i])
        give_db(&b, i)
    if g.dx != NULL:
        give_dx(&b)
    give_dw(&b)
