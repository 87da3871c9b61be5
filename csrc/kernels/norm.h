/* Normalisation of channels: batch, group and instance norm.
 *
 *   y = (x - mean) * scale + shift, scale = weight / sqrt(variance + eps)
 *
 * or ReLU of that; backward works out y anew to see where it was positive.
 * A channel is a column of x, or a row (a "line") of it; kernels of both kinds do the same
 * to x[i * step + j], i < rows, j < n. Statistics of a chunk are taken in two passes while
 * it is in cache, the second about the first's mean: a mean of many digits is held as two
 * numbers, `mean` and the small `slip` that is missing. Chunks are merged in double, in
 * rising order. The deviation x - mean is formed before it is scaled, so a mean far from
 * zero costs no digits; what the slip adds is folded into shift and offset by the caller.
 * Called by _kernels/norm.pyx. */

/* --- columns --- */

INLINE void norm_stats_block(const real *x, long rows, long x_row, real *mean, real *slip,
                             real *m2, const int nv, long n)
{
    const vec share = v_set1((real)(1.0 / (double)rows));
    vec m[4], sum[4], squares[4];
    UNROLL for (int k = 0; k < nv; k++) m[k] = sum[k] = squares[k] = v_zero();
    for (long i = 0; i < rows; i++)
        UNROLL for (int k = 0; k < nv; k++)
            m[k] = m[k] + v_load_n(x + i * x_row + k * VL, n - k * VL);
    UNROLL for (int k = 0; k < nv; k++) m[k] = m[k] * share;
    for (long i = 0; i < rows; i++)
        UNROLL for (int k = 0; k < nv; k++) {
            vec d = v_load_n(x + i * x_row + k * VL, n - k * VL) - m[k];
            sum[k] = sum[k] + d;
            squares[k] = v_fma(d, d, squares[k]);
        }
    UNROLL for (int k = 0; k < nv; k++) {
        v_store_n(mean + k * VL, m[k], n - k * VL);
        v_store_n(slip + k * VL, sum[k] * share, n - k * VL);
        v_store_n(m2 + k * VL, v_fnma(sum[k] * sum[k], share, squares[k]), n - k * VL);
    }
}

/* mean + slip, and the sum of squared deviations m2, of the channels of one chunk */
static void norm_stats_columns(const void *x_, long rows, long step, long n, void *mean_,
                               void *slip_, void *m2_)
{
    const real *x = x_;
    real *mean = mean_, *slip = slip_, *m2 = m2_;
#define NORM_STATS(nv, left) \
    norm_stats_block(x + c, rows, step, mean + c, slip + c, m2 + c, nv, left)
    V_BLOCKS(n, NORM_STATS);
#undef NORM_STATS
}

/* the gradient of the value before ReLU */
INLINE vec norm_gate(const int relu, vec dy, vec deviation, vec scale, vec shift)
{
    return relu ? v_where_positive(v_fma(deviation, scale, shift), dy, v_zero()) : dy;
}

INLINE void norm_apply_column_rows(const int relu, const real *x, const real *mean,
                                   const real *scale, const real *shift, real *y, long rows,
                                   long step, long n)
{
    for (long i = 0; i < rows; i++, x += step, y += step)
        for (long c = 0; c < n; c += VL) {
            vec d = v_load_n(x + c, n - c) - v_load_n(mean + c, n - c);
            d = norm_value(relu, d, v_load_n(scale + c, n - c), v_load_n(shift + c, n - c));
            v_store_n(y + c, d, n - c);
        }
}

static void norm_apply_columns(const void *x, const void *mean, const void *scale,
                               const void *shift, int relu, void *y, long rows, long step, long n)
{
    if (relu) norm_apply_column_rows(1, x, mean, scale, shift, y, rows, step, n);
    else norm_apply_column_rows(0, x, mean, scale, shift, y, rows, step, n);
}

INLINE void norm_sums_block(const int relu, const real *dy, const real *x, const real *mean,
                            const real *scale, const real *shift, long rows, long x_row,
                            real *sum, real *dot, const int nv, long n)
{
    vec m[4], f[4], h[4], s[4], d[4];
    UNROLL for (int k = 0; k < nv; k++) {
        m[k] = v_load_n(mean + k * VL, n - k * VL);
        f[k] = relu ? v_load_n(scale + k * VL, n - k * VL) : v_zero();
        h[k] = relu ? v_load_n(shift + k * VL, n - k * VL) : v_zero();
        s[k] = d[k] = v_zero();
    }
    for (long i = 0; i < rows; i++)
        UNROLL for (int k = 0; k < nv; k++) {
            vec deviation = v_load_n(x + i * x_row + k * VL, n - k * VL) - m[k];
            vec g = v_load_n(dy + i * x_row + k * VL, n - k * VL);
            g = norm_gate(relu, g, deviation, f[k], h[k]);
            s[k] = s[k] + g;
            d[k] = v_fma(g, deviation, d[k]);
        }
    UNROLL for (int k = 0; k < nv; k++) {
        v_store_n(sum + k * VL, s[k], n - k * VL);
        v_store_n(dot + k * VL, d[k], n - k * VL);
    }
}

/* the sum of dy and the dot of dy and x - mean, of the channels of one chunk */
static void norm_sums_columns(const void *dy_, const void *x_, const void *mean_,
                              const void *scale_, const void *shift_, long rows, long step, long n,
                              void *sum_, void *dot_)
{
    const real *dy = dy_, *x = x_, *mean = mean_, *scale = scale_, *shift = shift_;
    real *sum = sum_, *dot = dot_;
#define NORM_SUMS(nv, left) \
    norm_sums_block(0, dy + c, x + c, mean + c, 0, 0, rows, step, sum + c, dot + c, nv, left)
#define NORM_SUMS_RELU(nv, left)                                                           \
    norm_sums_block(1, dy + c, x + c, mean + c, scale + c, shift + c, rows, step, sum + c, \
                    dot + c, nv, left)
    if (shift) V_BLOCKS(n, NORM_SUMS_RELU);
    else V_BLOCKS(n, NORM_SUMS);
#undef NORM_SUMS
#undef NORM_SUMS_RELU
}

/* dx = scale * dy - offset - slope * (x - mean) */
INLINE vec norm_slope(const int relu, vec dy, vec deviation, vec scale, vec shift, vec offset,
                      vec slope)
{
    dy = norm_gate(relu, dy, deviation, scale, shift);
    return v_fnma(deviation, slope, v_fma(dy, scale, -offset));
}

INLINE void norm_back_column_rows(const int relu, const real *dy, const real *x, const real *mean,
                                  const real *scale, const real *shift, const real *offset,
                                  const real *slope, real *dx, long rows, long step, long n)
{
    for (long i = 0; i < rows; i++, dy += step, x += step, dx += step)
        for (long c = 0; c < n; c += VL) {
            const long left = n - c;
            vec g = norm_slope(relu, v_load_n(dy + c, left),
                               v_load_n(x + c, left) - v_load_n(mean + c, left),
                               v_load_n(scale + c, left),
                               relu ? v_load_n(shift + c, left) : v_zero(),
                               v_load_n(offset + c, left), v_load_n(slope + c, left));
            v_store_n(dx + c, g, left);
        }
}

static void norm_back_columns(const void *dy, const void *x, const void *mean, const void *scale,
                              const void *shift, const void *offset, const void *slope, void *dx,
                              long rows, long step, long n)
{
    if (shift)
        norm_back_column_rows(1, dy, x, mean, scale, shift, offset, slope, dx, rows, step, n);
    else norm_back_column_rows(0, dy, x, mean, scale, shift, offset, slope, dx, rows, step, n);
}

/* --- lines --- */

/* So many lines are summed together, a vector each, that they stay in the first-level cache. */
INLINE long norm_lines_of_block(long n, long left)
{
    const long fit = 8192 / VL < n ? (8192 < n ? 1 : 8192 / n) : VL;
    return at_most(fit, left);
}

/* x - about, zero beyond the first `left` lanes */
INLINE vec norm_from(const real *x, vec about, long left)
{
    if (left >= VL) return v_load(x) - about;
    const mask inside = v_lt(v_load(reduce_lane), v_set1((real)left));
    return v_select(inside, v_load_n(x, left) - about, v_zero());
}

/* the sum over a line of x - about, by lanes; with squares, also of its squares */
INLINE vec norm_line_sum(const real *x, long n, vec about, vec *squares)
{
    vec sum[4], square[4];
    UNROLL for (int k = 0; k < 4; k++) sum[k] = square[k] = v_zero();
    long c = 0;
    for (; c + 4 * VL <= n; c += 4 * VL)
        UNROLL for (int k = 0; k < 4; k++) {
            const vec d = v_load(x + c + k * VL) - about;
            sum[k] = sum[k] + d;
            if (squares) square[k] = v_fma(d, d, square[k]);
        }
    UNROLL for (int k = 0; k < 4; k++) {
        const long at = c + k * VL;
        if (at >= n) break;
        const vec d = norm_from(x + at, about, n - at);
        sum[k] = sum[k] + d;
        if (squares) square[k] = v_fma(d, d, square[k]);
    }
    if (squares) *squares = (square[0] + square[1]) + (square[2] + square[3]);
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

static void norm_stats_lines(const void *x_, long rows, long step, long n, void *mean_,
                             void *slip_, void *m2_)
{
    const vec share = v_set1((real)(1.0 / (double)n));
    const real *x = x_;
    real *mean = mean_, *slip = slip_, *m2 = m2_;
    vec sum[VL], squares[VL];
    UNROLL for (int l = 0; l < VL; l++) sum[l] = squares[l] = v_zero();
    for (long i = 0, lines; i < rows; i += lines, x += lines * step) {
        lines = norm_lines_of_block(n, rows - i);
        for (long l = 0; l < lines; l++) sum[l] = norm_line_sum(x + l * step, n, v_zero(), 0);
        v_store_n(mean + i, v_sums(sum) * share, lines);
        for (long l = 0; l < lines; l++)
            sum[l] = norm_line_sum(x + l * step, n, v_set1(mean[i + l]), &squares[l]);
        const vec missing = v_sums(sum);
        v_store_n(slip + i, missing * share, lines);
        v_store_n(m2 + i, v_fnma(missing * missing, share, v_sums(squares)), lines);
    }
}

static void norm_apply_lines(const void *x_, const void *mean_, const void *scale_,
                             const void *shift_, int relu, void *y_, long rows, long step, long n)
{
    const real *x = x_, *mean = mean_, *scale = scale_, *shift = shift_;
    real *y = y_;
    for (long i = 0; i < rows; i++, x += step, y += step) {
        const vec m = v_set1(mean[i]), f = v_set1(scale[i]), s = v_set1(shift[i]);
        const vec floor = v_set1(relu ? 0 : -INFINITY);
        for (long j = 0; j < n; j += VL)
            v_store_n(y + j, v_max(floor, norm_value(0, v_load_n(x + j, n - j) - m, f, s)), n - j);
    }
}

INLINE void norm_sums_line(const int relu, const real *dy, const real *x, vec m, vec f, vec h,
                           long n, vec *sum, vec *dot)
{
    vec s[4], d[4];
    UNROLL for (int k = 0; k < 4; k++) s[k] = d[k] = v_zero();
    for (long j = 0; j < n; j += 4 * VL)
        UNROLL for (int k = 0; k < 4; k++) {
            const long at = j + k * VL, left = n - at;
            if (left <= 0) break;
            vec deviation = v_load_n(x + at, left) - m;
            vec g = v_load_n(dy + at, left); /* zero beyond the end: adds nothing */
            g = norm_gate(relu, g, deviation, f, h);
            s[k] = s[k] + g;
            d[k] = v_fma(g, deviation, d[k]);
        }
    *sum = (s[0] + s[1]) + (s[2] + s[3]);
    *dot = (d[0] + d[1]) + (d[2] + d[3]);
}

static void norm_sums_lines(const void *dy_, const void *x_, const void *mean_,
                            const void *scale_, const void *shift_, long rows, long step, long n,
                            void *sum_, void *dot_)
{
    const real *dy = dy_, *x = x_, *mean = mean_, *scale = scale_, *shift = shift_;
    real *sum = sum_, *dot = dot_;
    vec s[VL], d[VL];
    UNROLL for (int l = 0; l < VL; l++) s[l] = d[l] = v_zero();
    for (long i = 0, lines; i < rows; i += lines) {
        lines = at_most(VL, rows - i);
        for (long l = 0; l < lines; l++, dy += step, x += step) {
            const vec m = v_set1(mean[i + l]);
            if (shift)
                norm_sums_line(1, dy, x, m, v_set1(scale[i + l]), v_set1(shift[i + l]), n, &s[l],
                               &d[l]);
            else norm_sums_line(0, dy, x, m, m, m, n, &s[l], &d[l]);
        }
        v_store_n(sum + i, v_sums(s), lines);
        v_store_n(dot + i, v_sums(d), lines);
    }
}

static void norm_back_lines(const void *dy_, const void *x_, const void *mean_,
                            const void *scale_, const void *shift_, const void *offset_,
                            const void *slope_, void *dx_, long rows, long step, long n)
{
    const real *dy = dy_, *x = x_, *mean = mean_;
    const real *scale = scale_, *shift = shift_, *offset = offset_, *slope = slope_;
    real *dx = dx_;
    for (long i = 0; i < rows; i++, dy += step, x += step, dx += step) {
        const vec m = v_set1(mean[i]), f = v_set1(scale[i]), h = v_set1(shift ? shift[i] : 0);
        const vec o = v_set1(offset[i]), s = v_set1(slope[i]);
        for (long j = 0; j < n; j += VL) {
            vec g = v_load_n(dy + j, n - j), d = v_load_n(x + j, n - j) - m;
            v_store_n(dx + j, shift ? norm_slope(1, g, d, f, h, o, s)
                                    : norm_slope(0, g, d, f, h, o, s), n - j);
        }
    }
}

/* --- constants --- */

/* the five rows of _kernels/norm.pxd, in their order, `apart` numbers from one to the next, of
 * sets of `count` channels; weight and bias may be NULL */
static void norm_constants(const double *mean, const double *var, long sets, long count,
                           double eps, const void *weight_, const void *bias_, long apart,
                           void *constants)
{
    const real *weight = weight_, *bias = bias_;
    real *slip = constants, *rstd = slip + apart, *about = rstd + apart;
    real *scale = about + apart, *shift = scale + apart;
    for (long k = 0, c = 0; k < sets; k++) {
        const real m = (real)mean[k], missing = (real)(mean[k] - (double)m);
        const double r = 1.0 / sqrt(var[k] + eps);
        for (long end = c + count; c < end; c++) {
            const real factor = (real)(weight ? r * (double)weight[c] : r);
            about[c] = m, slip[c] = missing, rstd[c] = (real)r, scale[c] = factor;
            shift[c] = (bias ? bias[c] : 0) - missing * factor;
        }
    }
}

/* --- chunks --- */

/* mean[n] and var[n] over all rows, of chunks: chunk k has its mean at
 * parts + k * stride, slip and m2 `offset` and 2 * offset later; it has `chunk` rows, the
 * last the rest */
static void norm_merge(const void *parts_, long stride, long offset, long rows, long chunk, long n,
                       double *mean, double *var)
{
    const real *parts = parts_;
    for (long c = 0; c < n; c++) mean[c] = var[c] = 0;
    for (long row = 0; row < rows; row += chunk) {
        const real *m = parts + row / chunk * stride;
        const double share = (double)at_most(chunk, rows - row) / (double)rows;
        for (long c = 0; c < n; c++) mean[c] += share * ((double)m[c] + (double)m[c + offset]);
    }
    for (long row = 0; row < rows; row += chunk) {
        const real *m = parts + row / chunk * stride, *slip = m + offset, *m2 = slip + offset;
        const double share = (double)at_most(chunk, rows - row) / (double)rows;
        for (long c = 0; c < n; c++) {
            const double d = (double)m[c] - mean[c] + (double)slip[c];
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

#define NORM_ROWS                                              \
    .norm_stats = {norm_stats_columns, norm_stats_lines},      \
    .norm_apply = {norm_apply_columns, norm_apply_lines},      \
    .norm_sums = {norm_sums_columns, norm_sums_lines},         \
    .norm_back = {norm_back_columns, norm_back_lines},         \
    .norm_constants = norm_constants,                          \
    .norm_merge = norm_merge, .norm_total = norm_total,
