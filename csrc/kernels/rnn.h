/* Recurrent layers: the mathematics of their gates, forward and backward, and products of
 * few rows.
 *
 * s is the logistic function; x_ and h_ mark what comes from the input and from the state:
 *   tanh, relu   h = f(x_h + h_h)
 *   LSTM         c = s(f) c_prev + s(i) tanh(g)        h = s(o) tanh(c)
 *   GRU          n = tanh(x_n + s(r) h_n)              h = n + s(z) (h_prev - n)
 *   reset before n = tanh(x_n + part of s(r) h_prev)   the same: a step of two halves
 * A call handles one panel, PANEL hidden units, of some batch rows. Its gates lie in slots,
 * rows of PANEL numbers each: LSTM i f g o; GRU n r z, and h_n, whose gradient is not that
 * of x_n, unless the reset comes before. So the gates fed by the input stand side by side, and those fed by the state.
 * With peepholes an LSTM's i and f see c_prev and its o sees c, each times a weight.
 * Called by _kernels/rnn.pyx and rnn_product.pyx. */

enum { PANEL = 2 * VL };

static void lstm_forward(const rnn_gates_args *s)
{
    for (long col = 0; col < s->units; col += VL) {
        const real *recurrent = (const real *)s->recurrent + col;
        const real *peep = s->peephole ? (const real *)s->peephole + col : 0;
        real *gates = (real *)s->gates + col, *c = (real *)s->c + col, *h = (real *)s->h + col;
        for (long row = 0; row < s->rows; row++) {
            real *gate = gates + row * PANEL;
            const real *part = recurrent + row * PANEL;
            vec c_prev = v_load(c + row * PANEL);
            vec i = v_load(gate) + v_load(part);
            vec f = v_load(gate + s->slot) + v_load(part + s->recurrent_slot);
            vec g = v_load(gate + 2 * s->slot) + v_load(part + 2 * s->recurrent_slot);
            vec o = v_load(gate + 3 * s->slot) + v_load(part + 3 * s->recurrent_slot);
            if (peep) {
                i = v_fma(v_load(peep), c_prev, i);
                f = v_fma(v_load(peep + PANEL), c_prev, f);
            }
            i = v_sigmoid(i);
            f = v_sigmoid(f);
            g = v_tanh(g);
            vec cell = v_fma(f, c_prev, i * g);
            if (peep) o = v_fma(v_load(peep + 2 * PANEL), cell, o);
            o = v_sigmoid(o);
            vec out = o * v_tanh(cell);
            if (s->kept) {
                v_store(gate, i);
                v_store(gate + s->slot, f);
                v_store(gate + 2 * s->slot, g);
                v_store(gate + 3 * s->slot, o);
                v_store((real *)s->kept + row * PANEL + col, c_prev);
            }
            v_store(c + row * PANEL, cell);
            v_store(h + row * s->h_row, out);
            if (s->y) v_store_n((real *)s->y + row * s->y_row + col, out, s->units - col);
        }
    }
}

/* The gradient of h: what came back through time, and that of the output. */
INLINE vec output_gradient(const rnn_gates_args *s, long row, long col)
{
    vec d = v_load((const real *)s->h + row * s->h_row + col);
    if (!s->y) return d;
    return d + v_load_n((const real *)s->y + row * s->y_row + col, s->units - col);
}

/* Products read whole panels. */
INLINE void clear_padding(const rnn_gates_args *s, int slots)
{
    if (s->units > VL) return;
    for (int slot = 0; slot < slots; slot++)
        for (long row = 0; row < s->rows; row++)
            v_store((real *)s->dgates + slot * s->slot + row * PANEL + VL, v_zero());
}

INLINE void add_to(real *sum, vec x) { v_store(sum, v_load(sum) + x); }

/* From there: dgates, the gradient of the gates before their activation, and s->c, the gradient
 * of the cell state, in place from that of c to that of c_prev. db gathers the sums of dgates
 * over rows, slot by slot, and those of the peepholes. */
static void lstm_backward(const rnn_gates_args *s)
{
    const long slot = s->slot;
    const vec one = v_set1(1);
    for (long col = 0; col < s->units; col += VL) {
        const real *kept = (const real *)s->kept + col;
        const real *peep = s->peephole ? (const real *)s->peephole + col : 0;
        real *db = (real *)s->db + col;
        vec sum_i = v_zero(), sum_f = v_zero(), sum_g = v_zero(), sum_o = v_zero();
        for (long row = 0; row < s->rows; row++) {
            const real *gate = (const real *)s->gates + row * PANEL + col;
            real *dgate = (real *)s->dgates + row * PANEL + col;
            real *dc = (real *)s->c + row * PANEL + col;
            vec i = v_load(gate), f = v_load(gate + slot);
            vec g = v_load(gate + 2 * slot), o = v_load(gate + 3 * slot);
            vec c_prev = v_load(kept + row * PANEL), cell = v_fma(f, c_prev, i * g);
            vec tanh_c = v_tanh(cell), d_h = output_gradient(s, row, col);
            vec d_o = d_h * tanh_c * v_fnma(o, o, o);
            vec d_c = v_fma(d_h * o, v_fnma(tanh_c, tanh_c, one), v_load(dc));
            if (peep) d_c = v_fma(d_o, v_load(peep + 2 * PANEL), d_c);
            vec d_i = d_c * g * v_fnma(i, i, i);
            vec d_f = d_c * c_prev * v_fnma(f, f, f);
            vec d_g = d_c * i * v_fnma(g, g, one);
            vec d_prev = d_c * f;
            if (peep) {
                d_prev = v_fma(d_f, v_load(peep + PANEL), v_fma(d_i, v_load(peep), d_prev));
                add_to(db + 4 * PANEL, d_i * c_prev);
                add_to(db + 5 * PANEL, d_f * c_prev);
                add_to(db + 6 * PANEL, d_o * cell);
            }
            v_store(dc, d_prev);
            v_store(dgate, d_i);
            v_store(dgate + slot, d_f);
            v_store(dgate + 2 * slot, d_g);
            v_store(dgate + 3 * slot, d_o);
            sum_i = sum_i + d_i;
            sum_f = sum_f + d_f;
            sum_g = sum_g + d_g;
            sum_o = sum_o + d_o;
        }
        add_to(db, sum_i);
        add_to(db + PANEL, sum_f);
        add_to(db + 2 * PANEL, sum_g);
        add_to(db + 3 * PANEL, sum_o);
    }
    clear_padding(s, 4);
}

static void gru_forward(const rnn_gates_args *s)
{
    const long slot = s->slot;
    for (long col = 0; col < s->units; col += VL) {
        const real *recurrent = (const real *)s->recurrent + col;
        vec bias = v_load((const real *)s->bias + col);
        for (long row = 0; row < s->rows; row++) {
            real *gate = (real *)s->gates + row * PANEL + col;
            const real *part = recurrent + row * PANEL;
            vec h_prev = v_load((const real *)s->h_prev + row * s->h_row + col);
            vec r = v_sigmoid(v_load(gate + slot) + v_load(part));
            vec z = v_sigmoid(v_load(gate + 2 * slot) + v_load(part + s->recurrent_slot));
            vec h_n = v_load(part + 2 * s->recurrent_slot) + bias;
            vec n = v_tanh(v_fma(r, h_n, v_load(gate)));
            vec out = v_fma(z, h_prev - n, n);
            if (s->kept) {
                v_store(gate, n);
                v_store(gate + slot, r);
                v_store(gate + 2 * slot, z);
                v_store(gate + 3 * slot, h_n);
            }
            v_store((real *)s->h + row * s->h_row + col, out);
            if (s->y) v_store_n((real *)s->y + row * s->y_row + col, out, s->units - col);
        }
    }
}

/* dgates in the slots of x_n r z h_n, and s->h in place to the part of the gradient of h_prev
 * that passes by the gates. */
static void gru_backward(const rnn_gates_args *s)
{
    const long slot = s->slot;
    const vec one = v_set1(1);
    for (long col = 0; col < s->units; col += VL) {
        real *db = (real *)s->db + col;
        vec sum_n = v_zero(), sum_r = v_zero(), sum_z = v_zero(), sum_h = v_zero();
        for (long row = 0; row < s->rows; row++) {
            const real *gate = (const real *)s->gates + row * PANEL + col;
            const real *prev = (const real *)s->h_prev + row * s->h_prev_row + col;
            real *dgate = (real *)s->dgates + row * PANEL + col;
            vec n = v_load(gate), r = v_load(gate + slot);
            vec z = v_load(gate + 2 * slot), h_n = v_load(gate + 3 * slot);
            vec d_h = output_gradient(s, row, col);
            vec d_n = v_fnma(d_h, z, d_h) * v_fnma(n, n, one);
            vec d_z = d_h * (v_load_n(prev, s->units - col) - n) * v_fnma(z, z, z);
            vec d_hn = d_n * r;
            vec d_r = d_n * h_n * v_fnma(r, r, r);
            v_store(dgate, d_n);
            v_store(dgate + slot, d_r);
            v_store(dgate + 2 * slot, d_z);
            v_store(dgate + 3 * slot, d_hn);
            v_store((real *)s->h + row * s->h_row + col, d_h * z);
            sum_n = sum_n + d_n;
            sum_r = sum_r + d_r;
            sum_z = sum_z + d_z;
            sum_h = sum_h + d_hn;
        }
        add_to(db, sum_n);
        add_to(db + PANEL, sum_r);
        add_to(db + 2 * PANEL, sum_z);
        add_to(db + 3 * PANEL, sum_h);
    }
    clear_padding(s, 4);
}

/* A GRU that resets before the product with the state: the first half of a step makes r, z and,
 * for that product, r h_prev. */
static void gru_reset_forward(const rnn_gates_args *s)
{
    const long slot = s->slot;
    for (long col = 0; col < s->units; col += VL)
        for (long row = 0; row < s->rows; row++) {
            real *gate = (real *)s->gates + row * PANEL + col;
            const real *part = (const real *)s->recurrent + row * PANEL + col;
            vec r = v_sigmoid(v_load(gate + slot) + v_load(part));
            v_store(gate + slot, r);
            v_store(gate + 2 * slot,
                    v_sigmoid(v_load(gate + 2 * slot) + v_load(part + s->recurrent_slot)));
            v_store((real *)s->h + row * s->h_row + col,
                    r * v_load((const real *)s->h_prev + row * s->h_row + col));
        }
}

static void gru_before_forward(const rnn_gates_args *s)
{
    for (long col = 0; col < s->units; col += VL)
        for (long row = 0; row < s->rows; row++) {
            real *gate = (real *)s->gates + row * PANEL + col;
            vec n = v_tanh(v_load(gate) + v_load((const real *)s->recurrent + row * PANEL + col));
            vec h_prev = v_load((const real *)s->h_prev + row * s->h_row + col);
            vec out = v_fma(v_load(gate + 2 * s->slot), h_prev - n, n);
            if (s->kept) v_store(gate, n);
            v_store((real *)s->h + row * s->h_row + col, out);
            if (s->y) v_store_n((real *)s->y + row * s->y_row + col, out, s->units - col);
        }
}

/* The second half backward: dgates of n and z, and s->h as in gru_backward. */
static void gru_before_backward(const rnn_gates_args *s)
{
    const long slot = s->slot;
    for (long col = 0; col < s->units; col += VL) {
        vec sum_n = v_zero(), sum_z = v_zero();
        for (long row = 0; row < s->rows; row++) {
            const real *gate = (const real *)s->gates + row * PANEL + col;
            const real *prev = (const real *)s->h_prev + row * s->h_prev_row + col;
            real *dgate = (real *)s->dgates + row * PANEL + col;
            vec n = v_load(gate), z = v_load(gate + 2 * slot);
            vec d_h = output_gradient(s, row, col);
            vec d_n = v_fnma(d_h, z, d_h) * v_fnma(n, n, v_set1(1));
            vec d_z = d_h * (v_load_n(prev, s->units - col) - n) * v_fnma(z, z, z);
            v_store(dgate, d_n);
            v_store(dgate + 2 * slot, d_z);
            v_store((real *)s->h + row * s->h_row + col, d_h * z);
            sum_n = sum_n + d_n;
            sum_z = sum_z + d_z;
        }
        add_to((real *)s->db + col, sum_n);
        add_to((real *)s->db + 2 * PANEL + col, sum_z);
    }
    clear_padding(s, 3);
}

/* The first half backward: from s->recurrent, the gradient of r h_prev, that of r, and what
 * passes on to s->h. */
static void gru_reset_backward(const rnn_gates_args *s)
{
    for (long col = 0; col < s->units; col += VL) {
        vec sum = v_zero();
        for (long row = 0; row < s->rows; row++) {
            const real *prev = (const real *)s->h_prev + row * s->h_prev_row + col;
            real *dh = (real *)s->h + row * s->h_row + col;
            vec d = v_load((const real *)s->recurrent + row * s->h_row + col);
            vec r = v_load((const real *)s->gates + s->slot + row * PANEL + col);
            vec d_r = d * v_load_n(prev, s->units - col) * v_fnma(r, r, r);
            v_store((real *)s->dgates + s->slot + row * PANEL + col, d_r);
            v_store(dh, v_fma(d, r, v_load(dh)));
            sum = sum + d_r;
        }
        add_to((real *)s->db + PANEL + col, sum);
    }
}

enum { PLAIN_TANH, PLAIN_RELU, PLAIN_LINEAR };

INLINE void plain_forward(const int kind, const rnn_gates_args *s)
{
    for (long col = 0; col < s->units; col += VL)
        for (long row = 0; row < s->rows; row++) {
            real *gate = (real *)s->gates + row * PANEL + col;
            vec out = v_load(gate) + v_load((const real *)s->recurrent + row * PANEL + col);
            out = kind == PLAIN_RELU ? v_max(v_zero(), out) : v_tanh(out);
            if (s->kept) v_store(gate, out);
            v_store((real *)s->h + row * s->h_row + col, out);
            if (s->y) v_store_n((real *)s->y + row * s->y_row + col, out, s->units - col);
        }
}

/* Linear: h comes from a projection, dgates is its gradient, and there is no bias. */
INLINE void plain_backward(const int kind, const rnn_gates_args *s)
{
    for (long col = 0; col < s->units; col += VL) {
        vec sum = v_zero();
        for (long row = 0; row < s->rows; row++) {
            vec d = output_gradient(s, row, col);
            if (kind != PLAIN_LINEAR) {
                vec h = v_load((const real *)s->gates + row * PANEL + col);
                if (kind == PLAIN_RELU) d = v_select(v_gt(h, v_zero()), d, v_zero());
                else d = d * v_fnma(h, h, v_set1(1));
            }
            v_store((real *)s->dgates + row * PANEL + col, d);
            sum = sum + d;
        }
        if (kind != PLAIN_LINEAR) add_to((real *)s->db + col, sum);
    }
    clear_padding(s, 1);
}

static void rnn_tanh_forward(const rnn_gates_args *s) { plain_forward(PLAIN_TANH, s); }
static void rnn_tanh_backward(const rnn_gates_args *s) { plain_backward(PLAIN_TANH, s); }
static void rnn_relu_forward(const rnn_gates_args *s) { plain_forward(PLAIN_RELU, s); }
static void rnn_relu_backward(const rnn_gates_args *s) { plain_backward(PLAIN_RELU, s); }
static void rnn_linear_backward(const rnn_gates_args *s) { plain_backward(PLAIN_LINEAR, s); }

/* ROWS rows times TILES tiles of PANEL packed columns at once. With so few rows, one tile would
 * wait for its own sums; several make chains enough. The sums are those of gemm_tile. */
INLINE void rnn_thin_tiles(const int ROWS, const int TILES, const rnn_thin_args *t)
{
    vec acc[3][8];
    const real *b[4];
    UNROLL for (int q = 0; q < TILES; q++) {
        b[q] = (const real *)t->b + q * t->b_tile;
        UNROLL for (int i = 0; i < ROWS; i++)
            UNROLL for (int w = 0; w < 2; w++)
                acc[i][2 * q + w] = t->accumulate
                    ? v_load((real *)t->c + q * t->c_tile + i * t->c_row + w * VL) : v_zero();
    }
    for (long batch = 0; batch < t->batches; batch++) {
        const real *a = (const real *)t->a + batch * t->a_batch;
        for (long k = 0; k < t->k; k++) {
            vec av[3];
            UNROLL for (int i = 0; i < ROWS; i++) av[i] = v_set1(a[i * t->a_row + k]);
            UNROLL for (int q = 0; q < TILES; q++) {
                UNROLL for (int w = 0; w < 2; w++) {
                    vec bv = v_load(b[q] + w * VL);
                    UNROLL for (int i = 0; i < ROWS; i++)
                        acc[i][2 * q + w] = v_fma(av[i], bv, acc[i][2 * q + w]);
                }
                b[q] += PANEL;
            }
        }
    }
    UNROLL for (int q = 0; q < TILES; q++)
        UNROLL for (int i = 0; i < ROWS; i++)
            UNROLL for (int w = 0; w < 2; w++) {
                vec sum = acc[i][2 * q + w];
                if (t->bias) sum = sum + v_load((const real *)t->bias + q * PANEL + w * VL);
                v_store((real *)t->c + q * t->c_tile + i * t->c_row + w * VL, sum);
            }
}

/* All tiles of up to three rows, some at a time. */
static void rnn_thin(const rnn_thin_args *args)
{
    rnn_thin_args t = *args;
    const long step = t.rows == 1 ? 4 : 2;
    for (long left = t.tiles; left > 0; left -= step) {
        const long tiles = at_most(left, step);
        if (t.rows == 1) {
            if (tiles == 4) rnn_thin_tiles(1, 4, &t);
            else if (tiles == 3) rnn_thin_tiles(1, 3, &t);
            else if (tiles == 2) rnn_thin_tiles(1, 2, &t);
            else rnn_thin_tiles(1, 1, &t);
        } else if (t.rows == 2) {
            if (tiles == 2) rnn_thin_tiles(2, 2, &t);
            else rnn_thin_tiles(2, 1, &t);
        } else {
            if (tiles == 2) rnn_thin_tiles(3, 2, &t);
            else rnn_thin_tiles(3, 1, &t);
        }
        t.b = (const real *)t.b + step * t.b_tile;
        t.c = (real *)t.c + step * t.c_tile;
        if (t.bias) t.bias = (const real *)t.bias + step * PANEL;
    }
}

#define RNN_ROWS                                                                    \
    .rnn_forward = {                                                                \
        [RNN_TANH] = rnn_tanh_forward, [RNN_RELU] = rnn_relu_forward,               \
        [RNN_LSTM] = lstm_forward, [RNN_GRU] = gru_forward,                         \
        [RNN_GRU_BEFORE] = gru_before_forward, [RNN_RESET] = gru_reset_forward,     \
    },                                                                              \
    .rnn_backward = {                                                               \
        [RNN_TANH] = rnn_tanh_backward, [RNN_RELU] = rnn_relu_backward,             \
        [RNN_LSTM] = lstm_backward, [RNN_GRU] = gru_backward,                       \
        [RNN_GRU_BEFORE] = gru_before_backward, [RNN_RESET] = gru_reset_backward,   \
        [RNN_LINEAR] = rnn_linear_backward,                                         \
    },                                                                              \
    .rnn_thin = rnn_thin,
