/* Pooling of channels-last images, a row at a time, vectors along the channels.
 *
 *   max:  y[oh, ow] = the largest x[h, w] of the window; taps[oh, ow] = where it
 *         stands, row * tap_row + column within the window (first of equals, last NaN)
 *   avg:  y[oh, ow] = share * sum of x[h, w]
 *
 * x, dx (h w c) and y, dy, taps (oh ow c) are dense. The windows of each axis come
 * in tables, so that stride, padding, ceil_mode and adaptive sizes are one case.
 * Backward: _spread where the windows tile the image writes each dx once from its
 * window; _gather sums for each pixel, in rising order, the windows it lies in.
 * Called by _kernels/pool.pyx. */

INLINE veci pool_taps_load(const void *taps, long at, long n, const int bytes)
{
    return bytes == 1 ? i_load_u8((const uint8_t *)taps + at, n)
                      : i_load_i32((const int32_t *)taps + at, n);
}

INLINE void pool_taps_store(void *taps, long at, veci tap, long n, const int bytes)
{
    if (bytes == 1) i_store_u8((uint8_t *)taps + at, tap, n);
    if (bytes == 4) i_store_i32((int32_t *)taps + at, tap, n);
}

/* --- forward --- */

INLINE void pool_max_block(const real *x, long x_row, long x_col, long rows, long cols,
                           long tap_row, real *y, void *taps, long at, const int bytes,
                           const int nv, long n)
{
    vec best[4];
    veci tap[4];
    UNROLL for (int k = 0; k < nv; k++) {
        best[k] = v_set1(-INFINITY);
        tap[k] = i_set1(0);
    }
    for (long i = 0; i < rows; i++)
        for (long j = 0; j < cols; j++) {
            const real *from = x + i * x_row + j * x_col;
            veci here = i_set1((intr)(i * tap_row + j));
            UNROLL for (int k = 0; k < nv; k++) {
                vec v = v_load_n(from + k * VL, n - k * VL);
                mask larger = m_or(v_gt(v, best[k]), v_isnan(v));
                best[k] = v_select(larger, v, best[k]);
                if (bytes) tap[k] = i_select(larger, here, tap[k]);
            }
        }
    UNROLL for (int k = 0; k < nv; k++) {
        v_store_n(y + at + k * VL, best[k], n - k * VL);
        pool_taps_store(taps, at + k * VL, tap[k], n - k * VL, bytes);
    }
}

INLINE void pool_max_row(const pool_args *p, const real *x, long oh, real *y, void *taps,
                         const int bytes)
{
    const long C = p->channels, rows = p->h.count[oh];
    const long x_col = C * p->w.dilation, x_row = C * p->w.size * p->h.dilation;
    for (long ow = 0; ow < p->w.windows; ow++) {
        const real *from = x + p->w.begin[ow] * C;
        const long cols = p->w.count[ow], at = ow * C;
#define POOL_2X2(nv, n) \
    pool_max_block(from + c, x_row, x_col, 2, 2, 2, y, taps, at + c, bytes, nv, n)
#define POOL_ANY(nv, n) \
    pool_max_block(from + c, x_row, x_col, rows, cols, p->tap_row, y, taps, at + c, bytes, nv, n)
        if (rows == 2 && cols == 2 && p->tap_row == 2) V_BLOCKS(C, POOL_2X2);
        else V_BLOCKS(C, POOL_ANY);
#undef POOL_2X2
#undef POOL_ANY
    }
}

/* row oh of y and taps; x is the row of the image that the window begins with */
static void pool_max(const pool_args *p, const void *x, long oh, void *y, void *taps)
{
    if (p->tap_bytes == 1) pool_max_row(p, x, oh, y, taps, 1);
    else if (p->tap_bytes == 4) pool_max_row(p, x, oh, y, taps, 4);
    else pool_max_row(p, x, oh, y, taps, 0);
}

/* rows are summed first and added up then: large windows keep their accuracy */
INLINE void pool_avg_block(const real *x, long x_row, long x_col, long rows, long cols, vec share,
                           real *y, const int nv, long n)
{
    vec total[4];
    UNROLL for (int k = 0; k < nv; k++) total[k] = v_zero();
    for (long i = 0; i < rows; i++) {
        vec sum[4];
        UNROLL for (int k = 0; k < nv; k++) sum[k] = v_zero();
        for (long j = 0; j < cols; j++)
            UNROLL for (int k = 0; k < nv; k++)
                sum[k] = sum[k] + v_load_n(x + i * x_row + j * x_col + k * VL, n - k * VL);
        UNROLL for (int k = 0; k < nv; k++) total[k] = total[k] + sum[k];
    }
    UNROLL for (int k = 0; k < nv; k++) v_store_n(y + k * VL, total[k] * share, n - k * VL);
}

static void pool_avg(const pool_args *p, const void *x_, long oh, void *y_)
{
    const long C = p->channels, rows = p->h.count[oh];
    for (long ow = 0; ow < p->w.windows; ow++) {
        const real *x = (const real *)x_ + p->w.begin[ow] * C;
        real *y = (real *)y_ + ow * C;
        const long cols = p->w.count[ow];
        const vec share = v_set1((real)(p->h.share[oh] * p->w.share[ow]));
#define POOL_AVG(nv, n) \
    pool_avg_block(x + c, C * p->w.size, C, rows, cols, share, y + c, nv, n)
        V_BLOCKS(C, POOL_AVG);
#undef POOL_AVG
    }
}

/* --- backward where the windows tile the image --- */

INLINE void pool_spread_block(const real *dy, const void *taps, long at, vec share, long rows,
                              long cols, long tap_row, real *dx, long x_row, long x_col,
                              const int bytes, const int nv, long n)
{
    vec g[4];
    veci tap[4];
    UNROLL for (int k = 0; k < nv; k++) {
        g[k] = v_load_n(dy + at + k * VL, n - k * VL);
        if (bytes) tap[k] = pool_taps_load(taps, at + k * VL, n - k * VL, bytes);
        else g[k] = g[k] * share;
    }
    for (long i = 0; i < rows; i++)
        for (long j = 0; j < cols; j++) {
            const veci here = i_set1((intr)(i * tap_row + j));
            real *to = dx + i * x_row + j * x_col;
            UNROLL for (int k = 0; k < nv; k++) {
                vec v = bytes ? v_select(i_eq(tap[k], here), g[k], v_zero()) : g[k];
                v_store_n(to + k * VL, v, n - k * VL);
            }
        }
}

/* the rows of dx, from dx on, under row oh of the windows; bytes 0: average */
INLINE void pool_spread(const pool_args *p, const void *taps, const real *dy, long oh, real *dx,
                        const int bytes)
{
    const long C = p->channels, rows = p->h.count[oh], x_row = C * p->w.size;
    for (long ow = 0; ow < p->w.windows; ow++) {
        real *to = dx + p->w.begin[ow] * C;
        const long cols = p->w.count[ow], at = ow * C;
        const vec share = v_set1(bytes ? 0 : (real)(p->h.share[oh] * p->w.share[ow]));
#define POOL_2X2(nv, n) \
    pool_spread_block(dy, taps, at + c, share, 2, 2, 2, to + c, x_row, C, bytes, nv, n)
#define POOL_ANY(nv, n) \
    pool_spread_block(dy, taps, at + c, share, rows, cols, p->tap_row, to + c, x_row, C, bytes, \
                      nv, n)
        if (rows == 2 && cols == 2 && p->tap_row == 2) V_BLOCKS(C, POOL_2X2);
        else V_BLOCKS(C, POOL_ANY);
#undef POOL_2X2
#undef POOL_ANY
    }
    const long last = p->w.windows - 1, end = p->w.begin[last] + p->w.count[last];
    if (end < p->w.size)
        for (long i = 0; i < rows; i++)
            memset(dx + i * x_row + end * C, 0, (p->w.size - end) * C * sizeof(real));
}

static void pool_max_spread(const pool_args *p, const void *taps, const void *dy, long oh, void *dx)
{
    if (p->tap_bytes == 1) pool_spread(p, taps, dy, oh, dx, 1);
    else pool_spread(p, taps, dy, oh, dx, 4);
}

static void pool_avg_spread(const pool_args *p, const void *taps, const void *dy, long oh, void *dx)
{
    pool_spread(p, taps, dy, oh, dx, 0);
}

/* --- backward where windows overlap or leave gaps --- */

/* the tap of window o that stands at i, or -1 */
INLINE long pool_tap(const pool_axis *axis, long o, long i)
{
    const long t = i - axis->begin[o];
    if (axis->dilation == 1) return t;
    return t % axis->dilation ? -1 : t / axis->dilation;
}

INLINE void pool_gather_block(const pool_args *p, const real *dy, const void *taps, long h, long w,
                              long c, real *dx, const int bytes, const int nv, long n)
{
    vec sum[4];
    UNROLL for (int k = 0; k < nv; k++) sum[k] = v_zero();
    for (long oh = p->h.first[h]; oh < p->h.last[h]; oh++) {
        const long th = pool_tap(&p->h, oh, h);
        for (long ow = p->w.first[w]; ow < p->w.last[w]; ow++) {
            const long tw = pool_tap(&p->w, ow, w);
            const long at = (oh * p->w.windows + ow) * p->channels + c;
            if (th < 0 || tw < 0) continue;
            const veci here = i_set1((intr)(th * p->tap_row + tw));
            const vec share = v_set1(bytes ? 0 : (real)(p->h.share[oh] * p->w.share[ow]));
            UNROLL for (int k = 0; k < nv; k++) {
                vec g = v_load_n(dy + at + k * VL, n - k * VL);
                if (bytes) {
                    veci tap = pool_taps_load(taps, at + k * VL, n - k * VL, bytes);
                    sum[k] = sum[k] + v_select(i_eq(tap, here), g, v_zero());
                } else {
                    sum[k] = v_fma(g, share, sum[k]);
                }
            }
        }
    }
    UNROLL for (int k = 0; k < nv; k++) v_store_n(dx + k * VL, sum[k], n - k * VL);
}

/* row h of dx, from all rows of dy and taps; bytes 0: average */
INLINE void pool_gather(const pool_args *p, const void *taps, const real *dy, long h, real *dx,
                        const int bytes)
{
    const long C = p->channels;
    for (long w = 0; w < p->w.size; w++) {
        real *to = dx + w * C;
#define POOL_GATHER(nv, n) pool_gather_block(p, dy, taps, h, w, c, to + c, bytes, nv, n)
        V_BLOCKS(C, POOL_GATHER);
#undef POOL_GATHER
    }
}

static void pool_max_gather(const pool_args *p, const void *taps, const void *dy, long h, void *dx)
{
    if (p->tap_bytes == 1) pool_gather(p, taps, dy, h, dx, 1);
    else pool_gather(p, taps, dy, h, dx, 4);
}

static void pool_avg_gather(const pool_args *p, const void *taps, const void *dy, long h, void *dx)
{
    pool_gather(p, taps, dy, h, dx, 0);
}

#define POOL_ROWS                                                                   \
    .pool_max = pool_max, .pool_avg = pool_avg,                                     \
    .pool_max_spread = pool_max_spread, .pool_avg_spread = pool_avg_spread,         \
    .pool_max_gather = pool_max_gather, .pool_avg_gather = pool_avg_gather,
