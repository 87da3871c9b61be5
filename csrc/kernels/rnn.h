/* The gate mathematics of recurrent layers, forward and backward.
 *
 * LSTM, gates in PyTorch's order, s the logistic function:
 *   c = s(f) * c_prev + s(i) * tanh(g)        h = s(o) * tanh(c)
 * Gates lie in panels: i, f, g and o of VL hidden units, so that the tiles that
 * compute one panel are all that a unit needs. A row has i f, and g o `half`
 * numbers further on. One call handles one panel of some batch rows. c is in
 * panels too, dh and dc have rows padded to whole vectors; of h and dy only the
 * first `units` columns exist. The gates of the step that comes next are
 * prefetched: they lie too far away for the hardware to see.
 * Called by _kernels/rnn.pyx. */

INLINE void prefetch_gates(const real *gates, long half)
{
    __builtin_prefetch(gates, 1, 2);
    __builtin_prefetch(gates + VL, 1, 2);
    __builtin_prefetch(gates + half, 1, 2);
    __builtin_prefetch(gates + half + VL, 1, 2);
}

static void lstm_gates_forward(const lstm_gates_args *s)
{
    real *gates = s->gates;
    const real *c_prev = s->c_prev;
    real *c = s->c, *h = s->h;
    const long half = s->half;
    for (long n = 0; n < s->rows; n++) {
        vec i = v_sigmoid(v_load(gates));
        vec f = v_sigmoid(v_load(gates + VL));
        vec g = v_tanh(v_load(gates + half));
        vec o = v_sigmoid(v_load(gates + half + VL));
        vec cell = v_fma(f, v_load(c_prev), i * g);
        v_store(gates, i);
        v_store(gates + VL, f);
        v_store(gates + half, g);
        v_store(gates + half + VL, o);
        v_store(c, cell);
        v_store_n(h, o * v_tanh(cell), s->units);
        prefetch_gates(gates + s->next_step, half);
        gates += s->gates_row;
        c_prev += VL;
        c += VL;
        h += s->h_row;
    }
}

/* From dh, the gradient of h that came through time, plus dy, that of the output:
 * dgates, the gradient of the gates before their activation, and dc in place from
 * that of c to that of c_prev. db gathers the column sums of dgates. */
static void lstm_gates_backward(const lstm_gates_args *s)
{
    const real *gates = s->gates, *c_prev = s->c_prev, *c = s->c, *dh = s->h, *dy = s->dy;
    real *dgates = s->dgates, *dc = s->dc, *db = s->db;
    const long half = s->half;
    const vec one = v_set1(1);
    vec sum_i = v_zero(), sum_f = v_zero(), sum_g = v_zero(), sum_o = v_zero();
    for (long n = 0; n < s->rows; n++) {
        vec i = v_load(gates), f = v_load(gates + VL);
        vec g = v_load(gates + half), o = v_load(gates + half + VL);
        vec tanh_c = v_tanh(v_load(c));
        vec d_h = v_load(dh);
        if (dy) d_h = d_h + v_load_n(dy, s->units);
        vec d_c = v_fma(d_h * o, v_fnma(tanh_c, tanh_c, one), v_load(dc));
        vec d_i = d_c * g * (v_fnma(i, i, i));
        vec d_f = d_c * v_load(c_prev) * (v_fnma(f, f, f));
        vec d_g = d_c * i * (v_fnma(g, g, one));
        vec d_o = d_h * tanh_c * (v_fnma(o, o, o));
        v_store(dc, d_c * f);
        v_store(dgates, d_i);
        v_store(dgates + VL, d_f);
        v_store(dgates + half, d_g);
        v_store(dgates + half + VL, d_o);
        sum_i = sum_i + d_i;
        sum_f = sum_f + d_f;
        sum_g = sum_g + d_g;
        sum_o = sum_o + d_o;
        prefetch_gates(gates + s->next_step, half);
        gates += s->gates_row;
        dgates += s->gates_row;
        c_prev += VL;
        c += VL;
        dh += s->h_row;
        dc += s->h_row;
        if (dy) dy += s->dy_row;
    }
    v_store(db, v_load(db) + sum_i);
    v_store(db + VL, v_load(db + VL) + sum_f);
    v_store(db + 2 * VL, v_load(db + 2 * VL) + sum_g);
    v_store(db + 3 * VL, v_load(db + 3 * VL) + sum_o);
}

#define RNN_ROWS                                \
    .lstm_gates_forward = lstm_gates_forward,   \
    .lstm_gates_backward = lstm_gates_backward,
