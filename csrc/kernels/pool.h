/* Pooling of channels-last volumes, some rows of a plane at a time, vectors along
 * the channels. Images are volumes of one plane, sequences have rows of one column.
 *
 *   max:  y[od, oh, ow] = the largest x[d, h, w] of the window; taps[od, oh, ow] =
 *         where it stands, as a tap number (first of equals, last NaN)
 *   avg:  y[od, oh, ow] = share * sum of x[d, h, w]
 *
 * x, dx (d h w c) and y, dy, taps (od oh ow c) are dense, but for the planes of x,
 * x_plane apart. Pointers are to row 0 of a plane: of the first one under the window
 * or of the window; gather takes all of dy and taps. The windows of each axis come
 * in tables, so that stride, padding, ceil_mode and adaptive sizes are one case.
 * Backward: _spread where the windows tile the volume writes each dx once from its
 * window; _gather sums for each position, in rising order, the windows it lies in.
 * Called by _kernels/pool.pyx. */

/* the taps of a window, and how far apart they are in x and in tap numbers */
typedef struct {
    long planes, rows, cols;
    long x_plane, x_row, x_col;
    long tap_plane, tap_row;
} pool_window;

/* of a row of windows, cols still unset */
INLINE pool_window pool_windows_of(const pool_args *p, long x_plane, long od, long oh)
{
    const long C = p->channels;
    return (pool_window){p->d.count[od], p->h.count[oh], 0,
                         x_plane * p->d.dilation, C * p->w.size * p->h.dilation,
                         C * p->w.dilation, p->tap_plane, p->tap_row};
}

/* the most usual window, whose loops the compiler may unroll */
INLINE int pool_is_2x2(pool_window w)
{
    return w.planes == 1 && w.rows == 2 && w.cols == 2 && w.tap_row == 2;
}

INLINE pool_window pool_2x2(pool_window w)
{
    w.planes = 1;
    w.rows = w.cols = w.tap_row = 2;
    return w;
}

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

INLINE void pool_max_block(const real *x, pool_window w, real *y, void *taps, long at,
                           const int bytes, const int nv, long n)
{
    vec best[4];
    veci tap[4];
    UNROLL for (int k = 0; k < nv; k++) {
        best[k] = v_set1(-INFINITY);
        tap[k] = i_set1(0);
    }
    for (long l = 0; l < w.planes; l++)
        for (long i = 0; i < w.rows; i++)
            for (long j = 0; j < w.cols; j++) {
                const real *from = x + l * w.x_plane + i * w.x_row + j * w.x_col;
                veci here = i_set1((intr)(l * w.tap_plane + i * w.tap_row + j));
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

INLINE void pool_max_rows(const pool_args *p, const real *x, long x_plane, long od, long oh,
                          long end, real *y, void *taps, const int bytes)
{
    const long C = p->channels;
    for (; oh < end; oh++) {
        pool_window any = pool_windows_of(p, x_plane, od, oh);
        const real *row = x + p->h.begin[oh] * p->w.size * C;
        long at = oh * p->w.windows * C;
        for (long ow = 0; ow < p->w.windows; ow++, at += C) {
            const real *from = row + p->w.begin[ow] * C;
            any.cols = p->w.count[ow];
#define POOL_2X2(nv, n) \
    pool_max_block(from + c, pool_2x2(any), y, taps, at + c, bytes, nv, n)
#define POOL_ANY(nv, n) pool_max_block(from + c, any, y, taps, at + c, bytes, nv, n)
            if (pool_is_2x2(any)) V_BLOCKS(C, POOL_2X2);
            else V_BLOCKS(C, POOL_ANY);
#undef POOL_2X2
#undef POOL_ANY
        }
    }
}

static void pool_max(const pool_args *p, const void *x, long x_plane, long od, long oh, long end,
                     void *y, void *taps)
{
    if (p->tap_bytes == 1) pool_max_rows(p, x, x_plane, od, oh, end, y, taps, 1);
    else if (p->tap_bytes == 4) pool_max_rows(p, x, x_plane, od, oh, end, y, taps, 4);
    else pool_max_rows(p, x, x_plane, od, oh, end, y, taps, 0);
}

/* rows are summed first and added up then: large windows keep their accuracy */
INLINE void pool_avg_block(const real *x, pool_window w, vec share, real *y, const int nv, long n)
{
    vec total[4];
    UNROLL for (int k = 0; k < nv; k++) total[k] = v_zero();
    for (long l = 0; l < w.planes; l++)
        for (long i = 0; i < w.rows; i++) {
            const real *from = x + l * w.x_plane + i * w.x_row;
            vec sum[4];
            UNROLL for (int k = 0; k < nv; k++) sum[k] = v_zero();
            for (long j = 0; j < w.cols; j++)
                UNROLL for (int k = 0; k < nv; k++)
                    sum[k] = sum[k] + v_load_n(from + j * w.x_col + k * VL, n - k * VL);
            UNROLL for (int k = 0; k < nv; k++) total[k] = total[k] + sum[k];
        }
    UNROLL for (int k = 0; k < nv; k++) v_store_n(y + k * VL, total[k] * share, n - k * VL);
}

static void pool_avg(const pool_args *p, const void *x, long x_plane, long od, long oh, long end,
                     void *y)
{
    const long C = p->channels;
    for (; oh < end; oh++) {
        pool_window any = pool_windows_of(p, x_plane, od, oh);
        const double row_share = p->d.share[od] * p->h.share[oh];
        const real *row = (const real *)x + p->h.begin[oh] * p->w.size * C;
        real *to = (real *)y + oh * p->w.windows * C;
        for (long ow = 0; ow < p->w.windows; ow++, to += C) {
            const real *from = row + p->w.begin[ow] * C;
            const vec share = v_set1((real)(row_share * p->w.share[ow]));
            any.cols = p->w.count[ow];
#define POOL_AVG(nv, n) pool_avg_block(from + c, any, share, to + c, nv, n)
            V_BLOCKS(C, POOL_AVG);
#undef POOL_AVG
        }
    }
}

/* --- backward where the windows tile the volume --- */

INLINE void pool_spread_block(const real *dy, const void *taps, long at, vec share, pool_window w,
                              real *dx, const int bytes, const int nv, long n)
{
    vec g[4];
    veci tap[4];
    UNROLL for (int k = 0; k < nv; k++) {
        g[k] = v_load_n(dy + at + k * VL, n - k * VL);
        if (bytes) tap[k] = pool_taps_load(taps, at + k * VL, n - k * VL, bytes);
        else g[k] = g[k] * share;
    }
    for (long l = 0; l < w.planes; l++)
        for (long i = 0; i < w.rows; i++)
            for (long j = 0; j < w.cols; j++) {
                const veci here = i_set1((intr)(l * w.tap_plane + i * w.tap_row + j));
                real *to = dx + l * w.x_plane + i * w.x_row + j * w.x_col;
                UNROLL for (int k = 0; k < nv; k++) {
                    vec v = bytes ? v_select(i_eq(tap[k], here), g[k], v_zero()) : g[k];
                    v_store_n(to + k * VL, v, n - k * VL);
                }
            }
}

/* dx under the rows from oh to before end of the windows; bytes 0: average */
INLINE void pool_spread(const pool_args *p, const void *taps, const real *dy, long od, long oh,
                        long end, real *dx, const int bytes)
{
    const long C = p->channels, x_row = C * p->w.size, x_plane = x_row * p->h.size;
    const long last = p->w.windows - 1, reached = p->w.begin[last] + p->w.count[last];
    for (; oh < end; oh++) {
        pool_window any = pool_windows_of(p, x_plane, od, oh);
        const double row_share = p->d.share[od] * p->h.share[oh];
        real *row = dx + p->h.begin[oh] * x_row;
        long at = oh * p->w.windows * C;
        for (long ow = 0; ow < p->w.windows; ow++, at += C) {
            real *to = row + p->w.begin[ow] * C;
            const vec share = v_set1(bytes ? 0 : (real)(row_share * p->w.share[ow]));
            any.cols = p->w.count[ow];
#define POOL_2X2(nv, n) \
    pool_spread_block(dy, taps, at + c, share, pool_2x2(any), to + c, bytes, nv, n)
#define POOL_ANY(nv, n) pool_spread_block(dy, taps, at + c, share, any, to + c, bytes, nv, n)
            if (pool_is_2x2(any)) V_BLOCKS(C, POOL_2X2);
            else V_BLOCKS(C, POOL_ANY);
#undef POOL_2X2
#undef POOL_ANY
        }
        if (reached == p->w.size) continue;
        for (long l = 0; l < p->d.count[od]; l++)
            for (long i = 0; i < p->h.count[oh]; i++)
                memset(row + l * x_plane + i * x_row + reached * C, 0,
                       (p->w.size - reached) * C * sizeof(real));
    }
}

static void pool_max_spread(const pool_args *p, const void *taps, const void *dy, long od, long oh,
                            long end, void *dx)
{
    if (p->tap_bytes == 1) pool_spread(p, taps, dy, od, oh, end, dx, 1);
    else pool_spread(p, taps, dy, od, oh, end, dx, 4);
}

static void pool_avg_spread(const pool_args *p, const void *taps, const void *dy, long od, long oh,
                            long end, void *dx)
{
    pool_spread(p, taps, dy, od, oh, end, dx, 0);
}

/* --- backward where windows overlap or leave gaps --- */

/* the tap of window o that stands at i, or -1 */
INLINE long pool_tap(const pool_axis *axis, long o, long i)
{
    const long t = i - axis->begin[o];
    if (axis->dilation == 1) return t;
    return t % axis->dilation ? -1 : t / axis->dilation;
}

INLINE void pool_gather_block(const pool_args *p, const real *dy, const void *taps, long d, long h,
                              long w, long c, real *dx, const int bytes, const int flat,
                              const int nv, long n)
{
    const long od_end = flat ? 1 : p->d.last[d];
    vec sum[4];
    UNROLL for (int k = 0; k < nv; k++) sum[k] = v_zero();
    for (long od = flat ? 0 : p->d.first[d]; od < od_end; od++) {
        const long td = flat ? 0 : pool_tap(&p->d, od, d);
        for (long oh = p->h.first[h]; oh < p->h.last[h]; oh++) {
            const long th = pool_tap(&p->h, oh, h);
            const long tap_row = td * p->tap_plane + th * p->tap_row;
            const long row = (od * p->h.windows + oh) * p->w.windows;
            const double row_share = p->d.share[od] * p->h.share[oh];
            if (td < 0 || th < 0) continue;
            for (long ow = p->w.first[w]; ow < p->w.last[w]; ow++) {
                const long tw = pool_tap(&p->w, ow, w);
                const long at = (row + ow) * p->channels + c;
                if (tw < 0) continue;
                const veci here = i_set1((intr)(tap_row + tw));
                const vec share = v_set1(bytes ? 0 : (real)(row_share * p->w.share[ow]));
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
    }
    UNROLL for (int k = 0; k < nv; k++) v_store_n(dx + k * VL, sum[k], n - k * VL);
}

/* the rows from h to before end of plane d of dx; bytes 0: average */
INLINE void pool_gather(const pool_args *p, const void *taps, const real *dy, long d, long h,
                        long end, real *dx, const int bytes)
{
    const long C = p->channels;
    /* images are spared a loop */
    const int flat = p->d.size == 1 && p->d.windows == 1 && p->d.count[0] == 1;
    for (; h < end; h++)
        for (long w = 0; w < p->w.size; w++) {
            real *to = dx + (h * p->w.size + w) * C;
#define POOL_FLAT(nv, n) pool_gather_block(p, dy, taps, d, h, w, c, to + c, bytes, 1, nv, n)
#define POOL_DEEP(nv, n) pool_gather_block(p, dy, taps, d, h, w, c, to + c, bytes, 0, nv, n)
            if (flat) V_BLOCKS(C, POOL_FLAT);
            else V_BLOCKS(C, POOL_DEEP);
#undef POOL_FLAT
#undef POOL_DEEP
        }
}

static void pool_max_gather(const pool_args *p, const void *taps, const void *dy, long d, long h,
                            long end, void *dx)
{
    if (p->tap_bytes == 1) pool_gather(p, taps, dy, d, h, end, dx, 1);
    else pool_gather(p, taps, dy, d, h, end, dx, 4);
}

static void pool_avg_gather(const pool_args *p, const void *taps, const void *dy, long d, long h,
                            long end, void *dx)
{
    pool_gather(p, taps, dy, d, h, end, dx, 0);
}

#define POOL_ROWS                                                                   \
    .pool_max = pool_max, .pool_avg = pool_avg,                                     \
    .pool_max_spread = pool_max_spread, .pool_avg_spread = pool_avg_spread,         \
    .pool_max_gather = pool_max_gather, .pool_avg_gather = pool_avg_gather,
