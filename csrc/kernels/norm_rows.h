/* Layer norm: each row of x [rows, n] by its own mean and deviation.
 *
 * As in norm.h the mean is held as two numbers, `mean` and the small `slip` that it lacks, and
 * the deviation from both is formed before it is scaled. Called by _kernels/norm_rows.pyx. */

/* x - mean - slip */
INLINE vec norm_deviation(const real *x, vec mean, vec slip, long left)
{
    return v_load_n(x, left) - mean - slip;
}

/* `left` numbers of a row, from its c-th on */
INLINE void norm_row_vector(const real *x, long c, long left, vec about, vec rest, vec scale,
                            const real *weight, const real *bias, real *y)
{
    vec v = norm_deviation(x + c, about, rest, left) * scale;
    if (weight) v = v * v_load_n(weight + c, left);
    if (bias) v = v + v_load_n(bias + c, left);
    v_store_n(y + c, v, left);
}

/* y = (x - mean) * rstd * weight + bias by rows; weight, bias [n] or NULL */
static void norm_rows(const void *x_, const void *weight_, const void *bias_, double eps, void *y_,
                      void *mean_, void *slip_, void *rstd_, long rows, long n)
{
    const vec share = v_set1((real)(1.0 / (double)n)), least = v_set1((real)eps);
    const real *x = x_, *weight = weight_, *bias = bias_;
    real *y = y_, *mean = mean_, *slip = slip_, *rstd = rstd_;
    for (long i = 0, lines; i < rows; i += lines) {
        lines = norm_lines_of_block(n, rows - i);
        norm_stats_lines(x, lines, n, n, mean + i, slip + i, rstd + i);
        const vec var = v_max(v_zero(), v_load_n(rstd + i, lines)) * share;
        v_store_n(rstd + i, v_set1(1) / v_sqrt(var + least), lines);
        for (long l = i; l < i + lines; l++, x += n, y += n) {
            const vec about = v_set1(mean[l]), rest = v_set1(slip[l]), scale = v_set1(rstd[l]);
            long c = 0;
            for (; c + VL <= n; c += VL)
                norm_row_vector(x, c, VL, about, rest, scale, weight, bias, y);
            if (c < n) norm_row_vector(x, c, n - c, about, rest, scale, weight, bias, y);
        }
    }
}

/* the sums over a row of g = dy * weight and of g * (x - mean), by lanes */
INLINE void norm_row_sums(const real *dy, const real *x, vec about, vec rest, const real *weight,
                          long n, vec *total, vec *dots)
{
    vec sum[2] = {v_zero(), v_zero()}, dot[2] = {v_zero(), v_zero()};
    for (long c = 0; c < n; c += 2 * VL)
        UNROLL for (int k = 0; k < 2; k++) {
            const long at = c + k * VL, left = n - at;
            if (left <= 0) break;
            vec g = v_load_n(dy + at, left); /* zero beyond the end: adds nothing */
            if (weight) g = g * v_load_n(weight + at, left);
            sum[k] = sum[k] + g;
            dot[k] = v_fma(g, norm_deviation(x + at, about, rest, left), dot[k]);
        }
    *total = sum[0] + sum[1];
    *dots = dot[0] + dot[1];
}

/* with g = dy * weight, x^ = (x - mean) * rstd:
 * dx = rstd * (g - mean of g - x^ * mean of g * x^), by rows */
static void norm_rows_back(const void *dy_, const void *x_, const void *mean_, const void *slip_,
                           const void *rstd_, const void *weight_, void *dx_, long rows, long n)
{
    const vec share = v_set1((real)(1.0 / (double)n));
    const real *dy = dy_, *x = x_, *mean = mean_, *slip = slip_, *rstd = rstd_, *weight = weight_;
    real *dx = dx_, offset[VL], slope[VL];
    vec sum[VL], dot[VL];
    UNROLL for (int l = 0; l < VL; l++) sum[l] = dot[l] = v_zero();
    for (long i = 0, lines; i < rows; i += lines) {
        lines = norm_lines_of_block(2 * n, rows - i);
        for (long l = 0; l < lines; l++)
            norm_row_sums(dy + l * n, x + l * n, v_set1(mean[i + l]), v_set1(slip[i + l]), weight,
                          n, &sum[l], &dot[l]);
        const vec r = v_load_n(rstd + i, lines);
        v_store(offset, v_sums(sum) * share);
        v_store(slope, v_sums(dot) * r * r * share);
        for (long l = 0; l < lines; l++, dy += n, x += n, dx += n) {
            const vec about = v_set1(mean[i + l]), rest = v_set1(slip[i + l]);
            const vec scale = v_set1(rstd[i + l]), o = v_set1(offset[l]), s = v_set1(slope[l]);
            for (long c = 0; c < n; c += VL) {
                vec g = v_load_n(dy + c, n - c);
                if (weight) g = g * v_load_n(weight + c, n - c);
                g = v_fnma(norm_deviation(x + c, about, rest, n - c), s, g - o);
                v_store_n(dx + c, g * scale, n - c);
            }
        }
    }
}

INLINE void norm_rows_sums_block(const real *dy, const real *x, const real *mean, const real *slip,
                                 const real *rstd, long rows, long x_row, real *sum, real *dot,
                                 const int nv, long n)
{
    vec s[4], d[4];
    UNROLL for (int k = 0; k < nv; k++) s[k] = d[k] = v_zero();
    for (long i = 0; i < rows; i++) {
        const vec about = v_set1(mean[i]), rest = v_set1(slip[i]), scale = v_set1(rstd[i]);
        UNROLL for (int k = 0; k < nv; k++) {
            const long at = i * x_row + k * VL, left = n - k * VL;
            vec g = v_load_n(dy + at, left);
            s[k] = s[k] + g;
            d[k] = v_fma(g * scale, norm_deviation(x + at, about, rest, left), d[k]);
        }
    }
    UNROLL for (int k = 0; k < nv; k++) {
        v_store_n(sum + k * VL, s[k], n - k * VL);
        v_store_n(dot + k * VL, d[k], n - k * VL);
    }
}

/* sum[n] of dy and dot[n] of dy * (x - mean) * rstd over the rows of one chunk */
static void norm_rows_sums(const void *dy_, const void *x_, const void *mean_, const void *slip_,
                           const void *rstd_, long rows, long n, void *sum_, void *dot_)
{
    const real *dy = dy_, *x = x_, *mean = mean_, *slip = slip_, *rstd = rstd_;
    real *sum = sum_, *dot = dot_;
#define NORM_SUMS(nv, left) \
    norm_rows_sums_block(dy + c, x + c, mean, slip, rstd, rows, n, sum + c, dot + c, nv, left)
    V_BLOCKS(n, NORM_SUMS);
#undef NORM_SUMS
}

#define NORM_ROWS_ROWS                                         \
    .norm_rows = norm_rows, .norm_rows_back = norm_rows_back,  \
    .norm_rows_sums = norm_rows_sums,
