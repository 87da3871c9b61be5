/* Winograd's convolution: a tile of SIDE x SIDE outputs from EDGE x EDGE inputs and TAPS x TAPS
 * taps, EDGE = SIDE + TAPS - 1, with EDGE^2 products instead of SIDE^2 TAPS^2: tiles of 2 or 4 by
 * 3 taps, of 2 by 5; the weight gradient by the first two (by the third, its corners would have
 * 12 times the error of the direct way).
 *
 *   Y = A' [ (G g G') . (B' d B) ] A       (Lavin and Gray 2016, arXiv 1509.09308)
 *
 * Products of polynomials, by their values at EDGE - 1 points and infinity: 0, 1, -1 for
 * EDGE 4; 0, 5/8, -5/8, 3/2, -3/2 for EDGE 6, whose numbers are exact and whose error is half of
 * that of the usual 0, 1, -1, 2, -2. The EDGE^2 values of a tile lie in planes:
 * [value][tile][channel]; vectors run along channels. The gradients take the same lines
 * transposed. Called by _kernels/conv_winograd.pyx. */

#define NEAR ((real)0.625) /* the points */
#define FAR ((real)1.5)
#define NEAR2 (NEAR * NEAR)
#define FAR2 (FAR * FAR)

INLINE vec winograd_times(real a, vec x) { return v_set1(a) * x; }
INLINE vec winograd_fma(real a, vec x, vec y) { return v_fma(v_set1(a), x, y); }
INLINE vec winograd_fnma(real a, vec x, vec y) { return v_fnma(v_set1(a), x, y); }

/* --- one line of a tile: the EDGE values of its inputs ---------------------------------- */

INLINE void winograd_input_4(const vec d[4], vec v[4])
{
    v[0] = d[0] - d[2];
    v[1] = d[1] + d[2];
    v[2] = d[2] - d[1];
    v[3] = d[3] - d[1];
}

INLINE void winograd_input_6(const vec d[6], vec v[6])
{
    vec even = winograd_fnma(FAR2, d[2], d[4]), odd = winograd_fnma(FAR2, d[1], d[3]);
    v[0] = winograd_fma(NEAR2 * FAR2, d[0], winograd_fnma(NEAR2 + FAR2, d[2], d[4]));
    v[1] = winograd_fma(NEAR, odd, even);
    v[2] = winograd_fnma(NEAR, odd, even);
    even = winograd_fnma(NEAR2, d[2], d[4]), odd = winograd_fnma(NEAR2, d[1], d[3]);
    v[3] = winograd_fma(FAR, odd, even);
    v[4] = winograd_fnma(FAR, odd, even);
    v[5] = winograd_fma(NEAR2 * FAR2, d[1], winograd_fnma(NEAR2 + FAR2, d[3], d[5]));
}

/* --- the values of a polynomial of n coefficients, and the same lines transposed -------- */

/* at p and -p */
INLINE void winograd_values_at(const int n, real p, const vec *c, vec v[2])
{
    vec even = c[(n - 1) & ~1], odd = c[(n - 2) | 1];
    UNROLL for (int i = n - 3; i >= 0; i--)
        if (i & 1) odd = winograd_fma(p * p, odd, c[i]);
        else even = winograd_fma(p * p, even, c[i]);
    v[0] = winograd_fma(p, odd, even);
    v[1] = winograd_fnma(p, odd, even);
}

INLINE void winograd_values_4(const int n, const vec *c, vec v[4])
{
    v[0] = c[0];
    winograd_values_at(n, 1, c, v + 1);
    v[3] = c[n - 1];
}

INLINE void winograd_values_6(const int n, const vec *c, vec v[6])
{
    v[0] = c[0];
    winograd_values_at(n, NEAR, c, v + 1);
    winograd_values_at(n, FAR, c, v + 3);
    v[5] = c[n - 1];
}

/* what coefficient i takes from the values at p and -p */
INLINE vec winograd_both(int i, vec positive, vec negative)
{
    if (i & 1) return positive - negative;
    return positive + negative;
}

INLINE void winograd_sums_4(const int n, const vec m[4], vec *y)
{
    UNROLL for (int i = 0; i < n; i++) y[i] = winograd_both(i, m[1], m[2]);
    y[0] += m[0];
    y[n - 1] += m[3];
}

INLINE void winograd_sums_6(const int n, const vec m[6], vec *y)
{
    real near = 1, far = 1;
    UNROLL for (int i = 0; i < n; i++) {
        vec rest = winograd_times(near, winograd_both(i, m[1], m[2]));
        if (i == 0) rest += m[0];
        if (i == n - 1) rest += m[5];
        y[i] = winograd_fma(far, winograd_both(i, m[3], m[4]), rest);
        near *= NEAR, far *= FAR;
    }
}

/* of the taps: divided by the product of a point's distances to the others */
INLINE void winograd_divide_4(vec v[4])
{
    v[1] *= v_set1((real)0.5);
    v[2] *= v_set1((real)0.5);
}

INLINE void winograd_divide_6(vec v[6])
{
    const double near2 = NEAR2, far2 = FAR2;
    v[0] *= v_set1((real)(1 / (near2 * far2)));
    UNROLL for (int i = 1; i < 3; i++) v[i] *= v_set1((real)(1 / (2 * near2 * (near2 - far2))));
    UNROLL for (int i = 3; i < 5; i++) v[i] *= v_set1((real)(1 / (2 * far2 * (far2 - near2))));
}

/* --- whole tiles ------------------------------------------------------------------------- */

/* FROM x FROM pixels to EDGE x EDGE planes, by LINE(line, to) */
#define WINOGRAD_SPREAD(name, EDGE, FROM, LINE)                                            \
    INLINE void winograd_##name##_block(const winograd_args *t, const real *x, real *v, long n) \
    {                                                                                      \
        vec half[FROM][EDGE];                                                              \
        UNROLL for (int j = 0; j < FROM; j++) {                                            \
            vec line[FROM];                                                                \
            UNROLL for (int i = 0; i < FROM; i++)                                          \
                line[i] = v_load_n(x + i * t->row + j * t->col, n);                        \
            LINE(line, half[j]);                                                           \
        }                                                                                  \
        UNROLL for (int i = 0; i < EDGE; i++) {                                            \
            vec line[FROM], to[EDGE];                                                      \
            UNROLL for (int j = 0; j < FROM; j++) line[j] = half[j][i];                    \
            LINE(line, to);                                                                \
            UNROLL for (int j = 0; j < EDGE; j++) v_store(v + (i * EDGE + j) * t->plane, to[j]); \
        }                                                                                  \
    }                                                                                      \
    static void winograd_##name(const winograd_args *t)                                    \
    {                                                                                      \
        for (long tile = 0; tile < t->tiles; tile++) {                                     \
            const real *x = (const real *)t->pixels + tile * t->step;                      \
            real *v = (real *)t->planes + tile * t->tile;                                  \
            long c = 0;                                                                    \
            for (; c + VL <= t->n; c += VL) winograd_##name##_block(t, x + c, v + c, VL);  \
            if (c < t->n) winograd_##name##_block(t, x + c, v + c, t->n - c);              \
        }                                                                                  \
    }

/* EDGE x EDGE planes to TO x TO pixels, or those of them that exist */
#define WINOGRAD_GATHER(name, EDGE, TO, LINE)                                              \
    INLINE void winograd_##name##_block(const winograd_args *t, const real *v, real *y,    \
                                        long rows, long cols, long c)                      \
    {                                                                                      \
        const long n = t->n - c;                                                           \
        vec half[EDGE][TO];                                                                \
        UNROLL for (int j = 0; j < EDGE; j++) {                                            \
            vec line[EDGE];                                                                \
            UNROLL for (int i = 0; i < EDGE; i++)                                          \
                line[i] = v_load(v + (i * EDGE + j) * t->plane + c);                       \
            LINE(line, half[j]);                                                           \
        }                                                                                  \
        UNROLL for (int i = 0; i < TO; i++) {                                              \
            vec line[EDGE], to[TO];                                                        \
            UNROLL for (int j = 0; j < EDGE; j++) line[j] = half[j][i];                    \
            LINE(line, to);                                                                \
            if (i < rows)                                                                  \
                UNROLL for (int j = 0; j < TO; j++)                                        \
                    if (j < cols)                                                          \
                        v_store_n(y + i * t->row + j * t->col + c,                         \
                                  epilogue_all(&t->after, to[j], c, n, 1), n);             \
        }                                                                                  \
    }                                                                                      \
    static void winograd_##name(const winograd_args *t)                                    \
    {                                                                                      \
        for (long tile = 0; tile < t->tiles; tile++) {                                     \
            const real *v = (const real *)t->planes + tile * t->tile;                      \
            real *y = (real *)t->pixels + tile * t->step;                                  \
            for (long c = 0; c < t->n; c += VL)                                            \
                winograd_##name##_block(t, v, y, t->rows, t->cols - tile * TO, c);         \
        }                                                                                  \
    }

/* weights and results of tiles of SIDE x SIDE outputs by TAPS x TAPS taps */
#define WINOGRAD_FORWARD(EDGE, SIDE, TAPS)                                                 \
    INLINE void winograd_taps_line_##SIDE##_##TAPS(const vec *from, vec *to)               \
    {                                                                                      \
        winograd_values_##EDGE(TAPS, from, to);                                            \
        winograd_divide_##EDGE(to);                                                        \
    }                                                                                      \
    INLINE void winograd_output_line_##SIDE##_##TAPS(const vec *from, vec *to)             \
    {                                                                                      \
        winograd_sums_##EDGE(SIDE, from, to);                                              \
    }                                                                                      \
    WINOGRAD_SPREAD(taps_##SIDE##_##TAPS, EDGE, TAPS, winograd_taps_line_##SIDE##_##TAPS)  \
    WINOGRAD_GATHER(output_##SIDE##_##TAPS, EDGE, SIDE, winograd_output_line_##SIDE##_##TAPS)

/* gradients of results and weights */
#define WINOGRAD_BACKWARD(EDGE, SIDE, TAPS)                                                \
    INLINE void winograd_dy_line_##SIDE##_##TAPS(const vec *from, vec *to)                 \
    {                                                                                      \
        winograd_values_##EDGE(SIDE, from, to);                                            \
    }                                                                                      \
    INLINE void winograd_dw_line_##SIDE##_##TAPS(vec *from, vec *to)                       \
    {                                                                                      \
        winograd_divide_##EDGE(from);                                                      \
        winograd_sums_##EDGE(TAPS, from, to);                                              \
    }                                                                                      \
    WINOGRAD_SPREAD(dy_##SIDE##_##TAPS, EDGE, SIDE, winograd_dy_line_##SIDE##_##TAPS)      \
    WINOGRAD_GATHER(dw_##SIDE##_##TAPS, EDGE, TAPS, winograd_dw_line_##SIDE##_##TAPS)

WINOGRAD_SPREAD(input_tiles_4, 4, 4, winograd_input_4)
WINOGRAD_SPREAD(input_tiles_6, 6, 6, winograd_input_6)
WINOGRAD_FORWARD(4, 2, 3)
WINOGRAD_FORWARD(6, 4, 3)
WINOGRAD_FORWARD(6, 2, 5)
WINOGRAD_BACKWARD(4, 2, 3)
WINOGRAD_BACKWARD(6, 4, 3)

#undef NEAR
#undef FAR
#undef NEAR2
#undef FAR2

#define CONV_WINOGRAD_ROWS                                                                 \
    .winograd_input = {winograd_input_tiles_4, winograd_input_tiles_6, winograd_input_tiles_6}, \
    .winograd_taps = {winograd_taps_2_3, winograd_taps_4_3, winograd_taps_2_5},            \
    .winograd_output = {winograd_output_2_3, winograd_output_4_3, winograd_output_2_5},    \
    .winograd_dy = {winograd_dy_2_3, winograd_dy_4_3},                                     \
    .winograd_dw = {winograd_dw_2_3, winograd_dw_4_3},
