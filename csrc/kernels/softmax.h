/* Softmax, its logarithm and logsumexp over contiguous rows of n numbers; columns are in
 * softmax_columns.h.
 *
 *   softmax          y_j = exp(x_j - m) / s,  m = max_j x_j,  s = sum_j exp(x_j - m)
 *   log_softmax      y_j = (x_j - m) - log s
 *   logsumexp        y   = m + log s
 *
 * A row stays in cache between its
 * passes. Called by _kernels/softmax.pyx. */

enum { SOFTMAX_BLOCK = 1024 }; /* of a sum: no chain of additions is long */

/* lanes beyond the first n become -inf */
INLINE vec softmax_load(const real *x, long n)
{
    if (n >= VL) return v_load(x);
    mask inside = v_lt(v_load(reduce_lane), v_set1((real)n));
    return v_select(inside, v_load_n(x, n), v_set1(-(real)INFINITY));
}

/* exp(x) for x <= 0, and 0 where it would be subnormal: CPUs are slow to make those */
INLINE vec softmax_exp(vec x)
{
    const vec least = v_set1(REAL_BITS == 32 ? -87 : -708);
    return v_select(v_lt(x, least), v_zero(), v_exp_normal(v_max(least, x)));
}

INLINE real softmax_max(const real *x, long n)
{
    return reduce_fold(REDUCE_MAX, reduce_row(REDUCE_MAX, x, n, 0));
}

INLINE vec softmax_term(const int keep, const real *x, long left, vec shift, real *e)
{
    vec v = softmax_exp(softmax_load(x, left) - shift);
    if (keep) v_store_n(e, v, left);
    return v;
}

/* sum_j exp(x_j - shift); keep: also e_j = exp(x_j - shift) */
INLINE real softmax_sum(const int keep, const real *x, long n, real shift, real *e)
{
    const vec s = v_set1(shift);
    real total = 0;
    for (long start = 0; start < n; start += SOFTMAX_BLOCK) {
        long end = at_most(start + SOFTMAX_BLOCK, n);
        vec sum[4] = {v_zero(), v_zero(), v_zero(), v_zero()};
        long j = start;
        for (; j + 4 * VL <= end; j += 4 * VL)
            UNROLL for (int k = 0; k < 4; k++)
                sum[k] = sum[k] + softmax_term(keep, x + j + k * VL, VL, s, e + j + k * VL);
        UNROLL for (int k = 0; k < 4; k++) {
            long at = j + k * VL;
            if (at >= end) break;
            sum[k] = sum[k] + softmax_term(keep, x + at, end - at, s, e + at);
        }
        total += v_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
    }
    return total;
}

static void softmax_rows(const softmax_args *t)
{
    const long n = t->n;
    const real *x = t->x;
    real *y = t->out;
    for (long i = 0; i < t->count; i++, x += n, y += n) {
        real sum = softmax_sum(1, x, n, softmax_max(x, n), y);
        vec scale = v_set1(1 / sum);
        for (long j = 0; j < n; j += VL) v_store_n(y + j, v_load_n(y + j, n - j) * scale, n - j);
    }
}

static void log_softmax_rows(const softmax_args *t)
{
    const long n = t->n;
    const real *x = t->x;
    real *y = t->out;
    for (long i = 0; i < t->count; i++, x += n, y += n) {
        real max = softmax_max(x, n), sum = softmax_sum(0, x, n, max, 0);
        vec m = v_set1(max), log_sum = v_set1(REAL_FN(log)(sum));
        for (long j = 0; j < n; j += VL)
            v_store_n(y + j, v_load_n(x + j, n - j) - m - log_sum, n - j);
    }
}

/* rows of nothing but -inf give -inf, rows with inf give inf */
static void logsumexp_rows(const softmax_args *t)
{
    const long n = t->n;
    const real *x = t->x;
    real *y = t->out;
    for (long i = 0; i < t->count; i++, x += n) {
        const real max = softmax_max(x, n), shift = max == -(real)INFINITY ? 0 : max;
        const int infinite = max == (real)INFINITY;
        y[i] = infinite ? max : shift + REAL_FN(log)(softmax_sum(0, x, n, shift, 0));
    }
}

/* sum_j a_j b_j, or sum_j a_j without b */
INLINE real softmax_dot(const real *a, const real *b, long n)
{
    real total = 0;
    for (long start = 0; start < n; start += SOFTMAX_BLOCK) {
        long end = at_most(start + SOFTMAX_BLOCK, n);
        vec sum[4] = {v_zero(), v_zero(), v_zero(), v_zero()};
        for (long j = start; j < end; j += 4 * VL)
            UNROLL for (int k = 0; k < 4; k++) {
                long at = j + k * VL;
                if (at >= end) break;
                vec v = v_load_n(a + at, end - at);
                if (b) sum[k] = v_fma(v, v_load_n(b + at, end - at), sum[k]);
                else sum[k] = sum[k] + v;
            }
        total += v_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
    }
    return total;
}

/* dx = y (dy - sum_j dy_j y_j) */
static void softmax_backward_rows(const softmax_args *t)
{
    const long n = t->n;
    const real *dy = t->dy, *y = t->y;
    real *dx = t->out;
    for (long i = 0; i < t->count; i++, dy += n, y += n, dx += n) {
        vec dot = v_set1(softmax_dot(dy, y, n));
        for (long j = 0; j < n; j += VL)
            v_store_n(dx + j, v_load_n(y + j, n - j) * (v_load_n(dy + j, n - j) - dot), n - j);
    }
}

/* dx = dy - exp(y) sum_j dy_j */
static void log_softmax_backward_rows(const softmax_args *t)
{
    const long n = t->n;
    const real *dy = t->dy, *y = t->y;
    real *dx = t->out;
    for (long i = 0; i < t->count; i++, dy += n, y += n, dx += n) {
        vec sum = v_set1(softmax_dot(dy, 0, n));
        for (long j = 0; j < n; j += VL) {
            vec p = softmax_exp(v_load_n(y + j, n - j));
            v_store_n(dx + j, v_fnma(p, sum, v_load_n(dy + j, n - j)), n - j);
        }
    }
}

/* dx = dy exp(x - y), one dy and one y for each row */
static void logsumexp_backward_rows(const softmax_args *t)
{
    const long n = t->n;
    const real *dy = t->dy, *y = t->y, *x = t->x;
    real *dx = t->out;
    for (long i = 0; i < t->count; i++, x += n, dx += n) {
        vec slope = v_set1(dy[i]), shift = v_set1(y[i]);
        for (long j = 0; j < n; j += VL)
            v_store_n(dx + j, slope * softmax_exp(v_load_n(x + j, n - j) - shift), n - j);
    }
}
