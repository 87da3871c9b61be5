/* Normalisation: batch norm over columns of x [rows, n], layer norm over its rows.
 *
 *   y = (x - mean) * scale + shift, scale = weight / sqrt(variance + eps)
 *
 * Statistics of a chunk of rows are taken in two passes while it is in cache, the
 * second about the first's mean and correcting it; chunks are merged in double, in
 * rising order. The deviation x - mean is formed before it is scaled, so a mean
 * far from zero costs no digits. Sums over rows are kept a few columns at a time
 * in registers; what only maps x goes along the rows as they lie in memory.
 * Called by _kernels/norm.pyx. */

/* --- columns --- */

INLINE void norm_stats_block(const real *x, long rows, long x_row, real *mean, real *m2,
                             const int nv, long n)
{
    const vec share = v_set1((real)(1.0 / (double)rows));
    vec m[4], slip[4], squares[4];
    UNROLL for (int k = 0; k < nv; k++) m[k] = slip[k] = squares[k] = v_zero();
    for (long i = 0; i < rows; i++)
        UNROLL for (int k = 0; k < nv; k++)
            m[k] = m[k] + v_load_n(x + i * x_row + k * VL, n - k * VL);
    UNROLL for (int k = 0; k < nv; k++) m[k] = m[k] * share;
    for (long i = 0; i < rows; i++)
        UNROLL for (int k = 0; k < nv; k++) {
            vec d = v_load_n(x + i * x_row + k * VL, n - k * VL) - m[k];
            slip[k] = slip[k] + d;
            squares[k] = v_fma(d, d, squares[k]);
        }
    UNROLL for (int k = 0; k < nv; k++) {
        v_store_n(mean + k * VL, v_fma(slip[k], share, m[k]), n - k * VL);
        v_store_n(m2 + k * VL, v_fnma(slip[k] * slip[k], share, squares[k]), n - k * VL);
    }
}

/* mean[n] and the sum of squared deviations m2[n] of the columns of one chunk */
static void norm_stats(const void *x_, long rows, long n, void *mean_, void *m2_)
{
    const real *x = x_;
    real *mean = mean_, *m2 = m2_;
#define NORM_STATS(nv, left) norm_stats_block(x + c, rows, n, mean + c, m2 + c, nv, left)
    V_BLOCKS(n, NORM_STATS);
#undef NORM_STATS
}

/* mean[n] and var[n] over all rows, of chunks whose mean stands at parts + k * stride
 * and m2 `offset` later; each has `chunk` rows, the last the rest */
static void norm_merge(const void *parts_, long stride, long offset, long rows, long chunk, long n,
                       double *mean, double *var)
{
    const real *parts = parts_;
    for (long c = 0; c < n; c++) mean[c] = var[c] = 0;
    for (long row = 0; row < rows; row += chunk) {
        const real *m = parts + row / chunk * stride;
        const double share = (double)at_most(chunk, rows - row) / (double)rows;
        for (long c = 0; c < n; c++) mean[c] += share * (double)m[c];
    }
    for (long row = 0; row < rows; row += chunk) {
        const real *m = parts + row / chunk * stride, *m2 = m + offset;
        const double share = (double)at_most(chunk, rows - row) / (double)rows;
        for (long c = 0; c < n; c++) {
            const double d = (double)m[c] - mean[c];
            var[c] += share * d * d + (double)m2[c] / (double)rows;
        }
    }
    for (long c = 0; c < n; c++)
        if (var[c] < 0) var[c] = 0; /* by rounding; a NaN stays */
}

/* total[c] = sum over k of parts[k * stride + c] */
static void norm_total(const void *parts_, long chunks, long stride, long n, double *total)
{
    const real *parts = parts_;
    for (long c = 0; c < n; c++) total[c] = 0;
    for (long k = 0; k < chunks; k++)
        for (long c = 0; c < n; c++) total[c] += (double)parts[k * stride + c];
}

static void norm_apply(const void *x_, const void *mean_, const void *scale_, const void *shift_,
                       void *y_, long rows, long n)
{
    const real *x = x_, *mean = mean_, *scale = scale_, *shift = shift_;
    real *y = y_;
    for (long i = 0; i < rows; i++, x += n, y += n)
        for (long c = 0; c < n; c += VL) {
            vec d = v_load_n(x + c, n - c) - v_load_n(mean + c, n - c);
            d = v_fma(d, v_load_n(scale + c, n - c), v_load_n(shift + c, n - c));
            v_store_n(y + c, d, n - c);
        }
}

INLINE void norm_sums_block(const real *dy, const real *x, const real *mean, long rows, long x_row,
                            real *sum, real *dot, const int nv, long n)
{
    vec m[4], s[4], d[4];
    UNROLL for (int k = 0; k < nv; k++) {
        m[k] = v_load_n(mean + k * VL, n - k * VL);
        s[k] = d[k] = v_zero();
    }
    for (long i = 0; i < rows; i++)
        UNROLL for (int k = 0; k < nv; k++) {
            vec g = v_load_n(dy + i * x_row + k * VL, n - k * VL);
            s[k] = s[k] + g;
            d[k] = v_fma(g, v_load_n(x + i * x_row + k * VL, n - k * VL) - m[k], d[k]);
        }
    UNROLL for (int k = 0; k < nv; k++) {
        v_store_n(sum + k * VL, s[k], n - k * VL);
        v_store_n(dot + k * VL, d[k], n - k * VL);
    }
}

/* sum[n] of dy and dot[n] of dy * (x - mean) over the rows of one chunk */
static void norm_sums(const void *dy_, const void *x_, const void *mean_, long rows, long n,
                      void *sum_, void *dot_)
{
    const real *dy = dy_, *x = x_, *mean = mean_;
    real *sum = sum_, *dot = dot_;
#define NORM_SUMS(nv, left) \
    norm_sums_block(dy + c, x + c, mean + c, rows, n, sum + c, dot + c, nv, left)
    V_BLOCKS(n, NORM_SUMS);
#undef NORM_SUMS
}

/* dx = scale * (dy - offset - slope * (x - mean)) */
static void norm_back(const void *dy_, const void *x_, const void *mean_, const void *scale_,
                      const void *offset_, const void *slope_, void *dx_, long rows, long n)
{
    const real *dy = dy_, *x = x_, *mean = mean_;
    const real *scale = scale_, *offset = offset_, *slope = slope_;
    real *dx = dx_;
    for (long i = 0; i < rows; i++, dy += n, x += n, dx += n)
        for (long c = 0; c < n; c += VL) {
            vec d = v_load_n(x + c, n - c) - v_load_n(mean + c, n - c);
            vec g = v_load_n(dy + c, n - c) - v_load_n(offset + c, n - c);
            g = v_fnma(d, v_load_n(slope + c, n - c), g);
            v_store_n(dx + c, g * v_load_n(scale + c, n - c), n - c);
        }
}

/* --- rows --- */

/* sum of the row; with m2, also of the squared deviations from `about` */
INLINE double norm_row_sum(const real *x, long n, vec about, double *m2)
{
    vec sum[4], squares[4];
    UNROLL for (int k = 0; k < 4; k++) sum[k] = squares[k] = v_zero();
    long c = 0;
    for (; c + 4 * VL <= n; c += 4 * VL)
        UNROLL for (int k = 0; k < 4; k++) {
            vec d = v_load(x + c + k * VL) - about;
            sum[k] = sum[k] + d;
            if (m2) squares[k] = v_fma(d, d, squares[k]);
        }
    for (; c + VL <= n; c += VL) {
        vec d = v_load(x + c) - about;
        sum[0] = sum[0] + d;
        if (m2) squares[0] = v_fma(d, d, squares[0]);
    }
    double tail = 0, tail2 = 0;
    if (c < n) {
        real lane[VL];
        v_store(lane, v_load_n(x + c, n - c) - about);
        for (long l = 0; l < n - c; l++) {
            tail += (double)lane[l];
            tail2 += (double)lane[l] * (double)lane[l];
        }
    }
    if (m2) *m2 = (double)v_sum((squares[0] + squares[1]) + (squares[2] + squares[3])) + tail2;
    return (double)v_sum((sum[0] + sum[1]) + (sum[2] + sum[3])) + tail;
}

/* y = (x - mean) * rstd * weight + bias by rows; weight, bias [n] or NULL; mean, rstd [rows] */
static void norm_rows(const void *x_, const void *weight_, const void *bias_, double eps, void *y_,
                      void *mean_, void *rstd_, long rows, long n)
{
    const real *x = x_, *weight = weight_, *bias = bias_;
    real *y = y_, *mean = mean_, *rstd = rstd_;
    for (long i = 0; i < rows; i++, x += n, y += n) {
        double m2;
        real m = (real)(norm_row_sum(x, n, v_zero(), 0) / (double)n);
        const double slip = norm_row_sum(x, n, v_set1(m), &m2) / (double)n;
        const double var = m2 / (double)n - slip * slip;
        mean[i] = (real)((double)m + slip);
        rstd[i] = (real)(1.0 / sqrt((var < 0 ? 0 : var) + eps));
        const vec about = v_set1(mean[i]), scale = v_set1(rstd[i]);
        for (long c = 0; c < n; c += VL) {
            vec v = (v_load_n(x + c, n - c) - about) * scale;
            if (weight) v = v * v_load_n(weight + c, n - c);
            if (bias) v = v + v_load_n(bias + c, n - c);
            v_store_n(y + c, v, n - c);
        }
    }
}

/* with g = dy * weight, x^ = (x - mean) * rstd:
 * dx = rstd * (g - mean of g - x^ * mean of g * x^), by rows */
static void norm_rows_back(const void *dy_, const void *x_, const void *mean_, const void *rstd_,
                           const void *weight_, void *dx_, long rows, long n)
{
    const real *dy = dy_, *x = x_, *mean = mean_, *rstd = rstd_, *weight = weight_;
    real *dx = dx_;
    for (long i = 0; i < rows; i++, dy += n, x += n, dx += n) {
        const vec about = v_set1(mean[i]), scale = v_set1(rstd[i]);
        vec sum[2] = {v_zero(), v_zero()}, dot[2] = {v_zero(), v_zero()};
        for (long c = 0; c < n; c += 2 * VL)
            UNROLL for (int k = 0; k < 2; k++) {
                const long at = c + k * VL, left = n - at;
                if (left <= 0) break;
                vec g = v_load_n(dy + at, left);      /* zero beyond the end: adds nothing */
                if (weight) g = g * v_load_n(weight + at, left);
                sum[k] = sum[k] + g;
                dot[k] = v_fma(g, v_load_n(x + at, left) - about, dot[k]);
            }
        const double r = (double)rstd[i];
        const vec offset = v_set1((real)((double)v_sum(sum[0] + sum[1]) / (double)n));
        const vec slope = v_set1((real)((double)v_sum(dot[0] + dot[1]) * r * r / (double)n));
        for (long c = 0; c < n; c += VL) {
            vec g = v_load_n(dy + c, n - c);
            if (weight) g = g * v_load_n(weight + c, n - c);
            g = v_fnma(v_load_n(x + c, n - c) - about, slope, g - offset);
            v_store_n(dx + c, g * scale, n - c);
        }
    }
}

INLINE void norm_rows_sums_block(const real *dy, const real *x, const real *mean, const real *rstd,
                                 long rows, long x_row, real *sum, real *dot, const int nv, long n)
{
    vec s[4], d[4];
    UNROLL for (int k = 0; k < nv; k++) s[k] = d[k] = v_zero();
    for (long i = 0; i < rows; i++) {
        const vec about = v_set1(mean[i]), scale = v_set1(rstd[i]);
        UNROLL for (int k = 0; k < nv; k++) {
            vec g = v_load_n(dy + i * x_row + k * VL, n - k * VL);
            s[k] = s[k] + g;
            d[k] = v_fma(g * scale, v_load_n(x + i * x_row + k * VL, n - k * VL) - about, d[k]);
        }
    }
    UNROLL for (int k = 0; k < nv; k++) {
        v_store_n(sum + k * VL, s[k], n - k * VL);
        v_store_n(dot + k * VL, d[k], n - k * VL);
    }
}

/* sum[n] of dy and dot[n] of dy * (x - mean) * rstd over the rows of one chunk */
static void norm_rows_sums(const void *dy_, const void *x_, const void *mean_, const void *rstd_,
                           long rows, long n, void *sum_, void *dot_)
{
    const real *dy = dy_, *x = x_, *mean = mean_, *rstd = rstd_;
    real *sum = sum_, *dot = dot_;
#define NORM_SUMS(nv, left) \
    norm_rows_sums_block(dy + c, x + c, mean, rstd, rows, n, sum + c, dot + c, nv, left)
    V_BLOCKS(n, NORM_SUMS);
#undef NORM_SUMS
}

#define NORM_ROWS                                                              \
    .norm_stats = norm_stats, .norm_merge = norm_merge, .norm_total = norm_total, \
    .norm_apply = norm_apply, .norm_sums = norm_sums, .norm_back = norm_back,  \
    .norm_rows = norm_rows, .norm_rows_back = norm_rows_back,                  \
    .norm_rows_sums = norm_rows_sums,
