/* Layer norm: each row of x [rows, n] by its own mean and deviation.
 *
 * As in norm.h the mean is held as two numbers, `mean` and the small `slip` that it lacks, and
 * the deviation from both is formed before it is scaled. Called by _kernels/norm_rows.pyx. */

/* x - mean - slip */
INLINE vec norm_deviation(const real *x, vec mean, vec slip, long left)
{
    return v_load_n(x, left) - mean - slip;
}

/* y = (x - mean) * rstd * weight + bias by rows; weight, bias [n] or NULL */
static void norm_rows(const void *x_, const void *weight_, const void *bias_, double eps, void *y_,
                      void *mean_, void *slip_, void *rstd_, long rows, long n)
{
    const real *x = x_, *weight = weight_, *bias = bias_;
    real *y = y_, *mean = mean_, *slip = slip_, *rstd = rstd_;
    for (long i = 0; i < rows; i++, x += n, y += n) {
        double m2;
        mean[i] = (real)(norm_row_sum(x, n, v_zero(), 0) / (double)n);
        const double missing = norm_row_sum(x, n, v_set1(mean[i]), &m2) / (double)n;
        const double var = m2 / (double)n - missing * missing;
        slip[i] = (real)missing;
        rstd[i] = (real)(1.0 / sqrt((var < 0 ? 0 : var) + eps));
        const vec about = v_set1(mean[i]), rest = v_set1(slip[i]), scale = v_set1(rstd[i]);
        for (long c = 0; c < n; c += VL) {
            vec v = norm_deviation(x + c, about, rest, n - c) * scale;
            if (weight) v = v * v_load_n(weight + c, n - c);
            if (bias) v = v + v_load_n(bias + c, n - c);
            v_store_n(y + c, v, n - c);
        }
    }
}

/* with g = dy * weight, x^ = (x - mean) * rstd:
 * dx = rstd * (g - mean of g - x^ * mean of g * x^), by rows */
static void norm_rows_back(const void *dy_, const void *x_, const void *mean_, const void *slip_,
                           const void *rstd_, const void *weight_, void *dx_, long rows, long n)
{
    const real *dy = dy_, *x = x_, *mean = mean_, *slip = slip_, *rstd = rstd_, *weight = weight_;
    real *dx = dx_;
    for (long i = 0; i < rows; i++, dy += n, x += n, dx += n) {
        const vec about = v_set1(mean[i]), rest = v_set1(slip[i]), scale = v_set1(rstd[i]);
        vec sum[2] = {v_zero(), v_zero()}, dot[2] = {v_zero(), v_zero()};
        for (long c = 0; c < n; c += 2 * VL)
            UNROLL for (int k = 0; k < 2; k++) {
                const long at = c + k * VL, left = n - at;
                if (left <= 0) break;
                vec g = v_load_n(dy + at, left);      /* zero beyond the end: adds nothing */
                if (weight) g = g * v_load_n(weight + at, left);
                sum[k] = sum[k] + g;
                dot[k] = v_fma(g, norm_deviation(x + at, about, rest, left), dot[k]);
            }
        const double r = (double)rstd[i];
        const vec offset = v_set1((real)((double)v_sum(sum[0] + sum[1]) / (double)n));
        const vec slope = v_set1((real)((double)v_sum(dot[0] + dot[1]) * r * r / (double)n));
        for (long c = 0; c < n; c += VL) {
            vec g = v_load_n(dy + c, n - c);
            if (weight) g = g * v_load_n(weight + c, n - c);
            g = v_fnma(norm_deviation(x + c, about, rest, n - c), slope, g - offset);
            v_store_n(dx + c, g * scale, n - c);
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
