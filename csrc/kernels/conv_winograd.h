/* Winograd's convolution with 3x3 taps: a tile of SIDE x SIDE outputs (2 or 4) from
 * EDGE x EDGE inputs, EDGE = SIDE + 2, with EDGE^2 products instead of 9 * SIDE^2.
 *
 *   Y = A' [ (G g G') . (B' d B) ] A       (Lavin and Gray 2016, arXiv 1509.09308)
 *
 * Products of polynomials, by their values at EDGE - 1 points and infinity: 0, 1, -1
 * for SIDE 2; 0, 5/8, -5/8, 3/2, -3/2 for SIDE 4, whose numbers are exact and whose error is
 * half of that of the usual 0, 1, -1, 2, -2. The EDGE^2 values of a tile lie in planes:
 * [value][tile][channel]; vectors run along channels. The gradients take the same lines
 * transposed. Called by _kernels/conv_winograd.pyx. */

#define HALF ((real)0.5)
#define NEAR ((real)0.625) /* the points */
#define FAR ((real)1.5)
#define NEAR2 (NEAR * NEAR)
#define FAR2 (FAR * FAR)
/* what the taps' values are divided by: the product of a point's distances to the others */
#define AT_ZERO ((real)(1 / ((double)NEAR2 * FAR2)))
#define AT_NEAR ((real)(1 / (2 * (double)NEAR2 * (NEAR2 - FAR2))))
#define AT_FAR ((real)(1 / (2 * (double)FAR2 * (FAR2 - NEAR2))))

INLINE vec winograd_fma(real a, vec x, vec y) { return v_fma(v_set1(a), x, y); }
INLINE vec winograd_fnma(real a, vec x, vec y) { return v_fnma(v_set1(a), x, y); }
INLINE vec winograd_times(real a, vec x) { return v_set1(a) * x; }

/* --- one line of a tile: EDGE values of its inputs, of its taps; its outputs ---------- */

INLINE void winograd_input_2(const vec d[4], vec v[4])
{
    v[0] = d[0] - d[2];
    v[1] = d[1] + d[2];
    v[2] = d[2] - d[1];
    v[3] = d[3] - d[1];
}

INLINE void winograd_taps_2(const vec g[3], vec u[4])
{
    vec even = winograd_times(HALF, g[0] + g[2]);
    u[0] = g[0];
    u[1] = winograd_fma(HALF, g[1], even);
    u[2] = winograd_fnma(HALF, g[1], even);
    u[3] = g[2];
}

INLINE void winograd_output_2(const vec m[4], vec y[2])
{
    y[0] = m[0] + (m[1] + m[2]);
    y[1] = (m[1] - m[2]) + m[3];
}

INLINE void winograd_dy_2(const vec y[2], vec z[4])
{
    z[0] = y[0];
    z[1] = y[0] + y[1];
    z[2] = y[0] - y[1];
    z[3] = y[1];
}

INLINE void winograd_dw_2(const vec m[4], vec g[3])
{
    vec even = winograd_times(HALF, m[1] + m[2]);
    g[0] = m[0] + even;
    g[1] = winograd_times(HALF, m[1] - m[2]);
    g[2] = even + m[3];
}

INLINE void winograd_input_4(const vec d[6], vec v[6])
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

INLINE void winograd_taps_4(const vec g[3], vec u[6])
{
    vec even = winograd_times(AT_NEAR, winograd_fma(NEAR2, g[2], g[0]));
    u[0] = winograd_times(AT_ZERO, g[0]);
    u[1] = winograd_fma(AT_NEAR * NEAR, g[1], even);
    u[2] = winograd_fnma(AT_NEAR * NEAR, g[1], even);
    even = winograd_times(AT_FAR, winograd_fma(FAR2, g[2], g[0]));
    u[3] = winograd_fma(AT_FAR * FAR, g[1], even);
    u[4] = winograd_fnma(AT_FAR * FAR, g[1], even);
    u[5] = g[2];
}

INLINE void winograd_output_4(const vec m[6], vec y[4])
{
    vec near_even = m[1] + m[2], near_odd = m[1] - m[2];
    vec far_even = m[3] + m[4], far_odd = m[3] - m[4];
    y[0] = m[0] + (near_even + far_even);
    y[1] = winograd_fma(FAR, far_odd, winograd_times(NEAR, near_odd));
    y[2] = winograd_fma(FAR2, far_even, winograd_times(NEAR2, near_even));
    y[3] = winograd_fma(FAR2 * FAR, far_odd, winograd_fma(NEAR2 * NEAR, near_odd, m[5]));
}

INLINE void winograd_dy_4(const vec y[4], vec z[6])
{
    vec even = winograd_fma(NEAR2, y[2], y[0]), odd = winograd_fma(NEAR2, y[3], y[1]);
    z[0] = y[0];
    z[1] = winograd_fma(NEAR, odd, even);
    z[2] = winograd_fnma(NEAR, odd, even);
    even = winograd_fma(FAR2, y[2], y[0]), odd = winograd_fma(FAR2, y[3], y[1]);
    z[3] = winograd_fma(FAR, odd, even);
    z[4] = winograd_fnma(FAR, odd, even);
    z[5] = y[3];
}

INLINE void winograd_dw_4(const vec m[6], vec g[3])
{
    vec near_even = winograd_times(AT_NEAR, m[1] + m[2]);
    vec far_even = winograd_times(AT_FAR, m[3] + m[4]);
    g[0] = winograd_fma(AT_ZERO, m[0], near_even + far_even);
    g[1] = winograd_fma(AT_FAR * FAR, m[3] - m[4], winograd_times(AT_NEAR * NEAR, m[1] - m[2]));
    g[2] = winograd_fma(FAR2, far_even, winograd_fma(NEAR2, near_even, m[5]));
}

/* --- whole tiles: FROM x FROM pixels to EDGE x EDGE planes, or back to TO x TO pixels -- */

#define WINOGRAD_SPREAD(name, SIDE, FROM)                                                  \
    INLINE void winograd_##name##_##SIDE##_block(const winograd_args *t, const real *x,    \
                                                 real *v, long n)                          \
    {                                                                                      \
        enum { EDGE = SIDE + 2 };                                                          \
        vec half[FROM][EDGE];                                                              \
        UNROLL for (int j = 0; j < FROM; j++) {                                            \
            vec line[FROM];                                                                \
            UNROLL for (int i = 0; i < FROM; i++)                                          \
                line[i] = v_load_n(x + i * t->row + j * t->col, n);                        \
            winograd_##name##_##SIDE(line, half[j]);                                       \
        }                                                                                  \
        UNROLL for (int i = 0; i < EDGE; i++) {                                            \
            vec line[FROM], to[EDGE];                                                      \
            UNROLL for (int j = 0; j < FROM; j++) line[j] = half[j][i];                    \
            winograd_##name##_##SIDE(line, to);                                            \
            UNROLL for (int j = 0; j < EDGE; j++) v_store(v + (i * EDGE + j) * t->plane, to[j]); \
        }                                                                                  \
    }                                                                                      \
    static void winograd_##name##_##SIDE##_tiles(const winograd_args *t)                   \
    {                                                                                      \
        for (long tile = 0; tile < t->tiles; tile++) {                                     \
            const real *x = (const real *)t->pixels + tile * t->step;                      \
            real *v = (real *)t->planes + tile * t->tile;                                  \
            long c = 0;                                                                    \
            for (; c + VL <= t->n; c += VL)                                                \
                winograd_##name##_##SIDE##_block(t, x + c, v + c, VL);                     \
            if (c < t->n) winograd_##name##_##SIDE##_block(t, x + c, v + c, t->n - c);     \
        }                                                                                  \
    }

#define WINOGRAD_GATHER(name, SIDE, TO)                                                    \
    INLINE void winograd_##name##_##SIDE##_block(const winograd_args *t, const real *v,    \
                                                 real *y, long rows, long cols, long c)    \
    {                                                                                      \
        enum { EDGE = SIDE + 2 };                                                          \
        const long n = t->n - c;                                                           \
        vec half[EDGE][TO];                                                                \
        UNROLL for (int j = 0; j < EDGE; j++) {                                            \
            vec line[EDGE];                                                                \
            UNROLL for (int i = 0; i < EDGE; i++)                                          \
                line[i] = v_load(v + (i * EDGE + j) * t->plane + c);                       \
            winograd_##name##_##SIDE(line, half[j]);                                       \
        }                                                                                  \
        UNROLL for (int i = 0; i < TO; i++) {                                              \
            vec line[EDGE], to[TO];                                                        \
            UNROLL for (int j = 0; j < EDGE; j++) line[j] = half[j][i];                    \
            winograd_##name##_##SIDE(line, to);                                            \
            if (i < rows)                                                                  \
                UNROLL for (int j = 0; j < TO; j++)                                        \
                    if (j < cols)                                                          \
                        v_store_n(y + i * t->row + j * t->col + c,                         \
                                  epilogue_all(&t->after, to[j], c, n, 1), n);             \
        }                                                                                  \
    }                                                                                      \
    static void winograd_##name##_##SIDE##_tiles(const winograd_args *t)                   \
    {                                                                                      \
        for (long tile = 0; tile < t->tiles; tile++) {                                     \
            const real *v = (const real *)t->planes + tile * t->tile;                      \
            real *y = (real *)t->pixels + tile * t->step;                                  \
            for (long c = 0; c < t->n; c += VL)                                            \
                winograd_##name##_##SIDE##_block(t, v, y, t->rows, t->cols - tile * TO, c); \
        }                                                                                  \
    }

WINOGRAD_SPREAD(input, 2, 4)
WINOGRAD_SPREAD(input, 4, 6)
WINOGRAD_SPREAD(taps, 2, 3)
WINOGRAD_SPREAD(taps, 4, 3)
WINOGRAD_SPREAD(dy, 2, 2)
WINOGRAD_SPREAD(dy, 4, 4)
WINOGRAD_GATHER(output, 2, 2)
WINOGRAD_GATHER(output, 4, 4)
WINOGRAD_GATHER(dw, 2, 3)
WINOGRAD_GATHER(dw, 4, 3)

#undef HALF
#undef NEAR
#undef FAR
#undef NEAR2
#undef FAR2
#undef AT_ZERO
#undef AT_NEAR
#undef AT_FAR

#define CONV_WINOGRAD_PAIR(name) {winograd_##name##_2_tiles, winograd_##name##_4_tiles}
#define CONV_WINOGRAD_ROWS                                                               \
    .winograd_input = CONV_WINOGRAD_PAIR(input), .winograd_taps = CONV_WINOGRAD_PAIR(taps), \
    .winograd_output = CONV_WINOGRAD_PAIR(output), .winograd_dy = CONV_WINOGRAD_PAIR(dy), \
    .winograd_dw = CONV_WINOGRAD_PAIR(dw),
