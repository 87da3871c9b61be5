/* Rows of a table x with n columns, named by number: their sums and maxima, which
 * are an embedding's gradient and a bag of embeddings, and what their gradients take.
 * A column's chain of additions runs by rising k, whatever the level and the width.
 * Called by _kernels/embedding.pyx, embedding_bag.pyx and sparse.pyx. */

INLINE void rows_sum_block(const real *x, const int64_t *which, const real *scale, long count,
                           double divisor, long row, real *y, const int nv, long n)
{
    vec sum[4];
    UNROLL for (int v = 0; v < nv; v++) sum[v] = v_zero();
    for (long k = 0; k < count; k++) {
        const real *at = x + which[k] * row;
        const vec s = v_set1(scale ? scale[k] : 1);
        UNROLL for (int v = 0; v < nv; v++)
            sum[v] = v_fma(s, v_load_n(at + v * VL, n - v * VL), sum[v]);
    }
    if (divisor != 1)
        UNROLL for (int v = 0; v < nv; v++) sum[v] = sum[v] / v_set1((real)divisor);
    UNROLL for (int v = 0; v < nv; v++) v_store_n(y + v * VL, sum[v], n - v * VL);
}

/* y[j] = sum over k < count of scale[k] x[which[k] * n + j], over `divisor`; NULL scale: ones */
static void rows_sum(const void *x_, const int64_t *which, const void *scale, long count,
                     double divisor, long n, void *y_)
{
    const real *x = x_;
    real *y = y_;
#define ROWS_SUM(nv, left) \
    rows_sum_block(x + c, which, scale, count, divisor, n, y + c, nv, left)
    V_BLOCKS(n, ROWS_SUM);
#undef ROWS_SUM
}

/* y[j] = the largest of x[which[k] * n + j]; tap[j] = its k, the first one of equals (or NULL) */
static void rows_max(const void *x_, const int64_t *which, long count, long n, void *y_,
                     int32_t *tap)
{
    const real *x = x_;
    real *y = y_;
    for (long c = 0; c < n; c += VL) {
        vec best = v_zero();
        veci at = i_set1(-1);
        if (count > 0) {
            best = v_load_n(x + which[0] * n + c, n - c);
            at = i_set1(0);
        }
        for (long k = 1; k < count; k++) {
            vec other = v_load_n(x + which[k] * n + c, n - c);
            mask more = v_lt(best, other);
            best = v_select(more, other, best);
            at = i_select(more, i_set1((intr)k), at);
        }
        v_store_n(y + c, best, n - c);
        if (tap) i_store_i32(tap + c, at, n - c);
    }
}

/* y[j] = sum over k < count of dy[which[k] * n + j] where tap[which[k] * n + j] is order[k] */
static void rows_max_back(const void *dy_, const int64_t *which, const int64_t *order,
                          const int32_t *tap, long count, long n, void *y_)
{
    const real *dy = dy_;
    real *y = y_;
    for (long c = 0; c < n; c += VL) {
        vec sum = v_zero();
        for (long k = 0; k < count; k++) {
            long at = which[k] * n + c;
            mask here = i_eq(i_load_i32(tap + at, n - c), i_set1((intr)order[k]));
            sum = sum + v_select(here, v_load_n(dy + at, n - c), v_zero());
        }
        v_store_n(y + c, sum, n - c);
    }
}

/* y[k] = the product of x[0 .. n - 1] with row which[k] of w */
static void rows_dot(const void *x_, const void *w_, const int64_t *which, long count, long n,
                     void *y_)
{
    const real *x = x_, *w = w_;
    real *y = y_;
    for (long k = 0; k < count; k++) {
        const real *row = w + which[k] * n;
        vec sum = v_zero();
        for (long c = 0; c < n; c += VL)
            sum = v_fma(v_load_n(x + c, n - c), v_load_n(row + c, n - c), sum);
        y[k] = v_sum(sum);
    }
}

/* y[j] += alpha x[j] */
static void rows_add(const void *x_, double alpha, void *y_, long n)
{
    const real *x = x_;
    real *y = y_;
    for (long j = 0; j < n; j += VL) {
        vec sum = v_fma(v_set1((real)alpha), v_load_n(x + j, n - j), v_load_n(y + j, n - j));
        v_store_n(y + j, sum, n - j);
    }
}

#define EMBEDDING_ROWS                                                          \
    .rows_sum = rows_sum, .rows_max = rows_max, .rows_max_back = rows_max_back, \
    .rows_dot = rows_dot, .rows_add = rows_add,
