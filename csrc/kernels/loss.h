/* Losses of one number x against one target t, and their slopes in x.
 *
 *   mse         (x - t)^2                                    2 (x - t)
 *   l1          |x - t|                                      sign(x - t)
 *   huber       d^2 / 2 where |d| < p, else p (|d| - p / 2)  d held within [-p, p];  d = x - t
 *   quantile    (1 - p) d where d > 0, else -p d             1 - p, -p, and 0 where d is 0
 *   bce_logits  max(x, 0) - x t + log(1 + exp(-|x|))         sigmoid(x) - t
 *   bce         -t log x - (1 - t) log(1 - x)                (x - t) / (x (1 - x))
 *   kl          t (log t - x), or e^t (t - x) if p is 1      -t, or -e^t
 *   hinge       max(0, p - t x)                              -t where t x < p, else 0
 *   contrastive (t x^2 + (1 - t) max(0, p - x)^2) / 2        t x - (1 - t) max(0, p - x)
 *
 * Logarithms in bce end at -100 and its denominator at 1e-12, as in PyTorch; 0 log 0
 * is 0. The sum of a block is taken in the pass that computes the losses.
 * Called by _kernels/loss.pyx. */

enum { LOSS_BLOCK = 1024 };

INLINE vec loss_value(const int kind, vec x, vec t, vec p)
{
    if (kind == LOSS_BCE_LOGITS) {
        vec rest = v_log1p(v_exp(v_zero() - v_abs(x)));
        return v_max(v_zero(), x) - x * t + rest;
    }
    if (kind == LOSS_BCE) {
        const vec least = v_set1(-100);
        vec one = v_max(least, v_log(x)), zero = v_max(least, v_log1p(v_zero() - x));
        return (t - v_set1(1)) * zero - t * one;
    }
    if (kind == LOSS_KL) {
        const mask logs = v_lt(v_zero(), p);
        vec share = v_select(logs, v_exp(t), t);
        vec loss = share * (v_select(logs, t, v_log(t)) - x);
        return v_select(v_eq(share, v_zero()), v_zero(), loss);
    }
    if (kind == LOSS_HINGE) return v_max(v_zero(), p - t * x);
    if (kind == LOSS_CONTRASTIVE) {
        vec short_of = v_max(v_zero(), p - x);
        return v_set1(0.5) * (t * x * x + (v_set1(1) - t) * short_of * short_of);
    }
    vec d = x - t, size = v_abs(d);
    if (kind == LOSS_L1) return size;
    if (kind == LOSS_MSE) return d * d;
    if (kind == LOSS_QUANTILE) return v_max((v_set1(1) - p) * d, v_zero() - p * d);
    return v_select(v_lt(size, p), v_set1(0.5) * d * d, p * (size - v_set1(0.5) * p));
}

INLINE vec loss_slope(const int kind, vec x, vec t, vec p)
{
    if (kind == LOSS_BCE_LOGITS) return v_sigmoid(x) - t;
    if (kind == LOSS_BCE) return (x - t) / v_max(v_set1((real)1e-12), x * (v_set1(1) - x));
    if (kind == LOSS_KL) return v_zero() - v_select(v_lt(v_zero(), p), v_exp(t), t);
    if (kind == LOSS_HINGE) {
        vec rest = p - t * x;
        return v_select(v_lt(v_zero(), rest), v_zero() - t, v_select(v_isnan(rest), rest, v_zero()));
    }
    if (kind == LOSS_CONTRASTIVE) return t * x - (v_set1(1) - t) * v_max(v_zero(), p - x);
    vec d = x - t;
    if (kind == LOSS_MSE) return d + d;
    if (kind == LOSS_QUANTILE) {
        vec side = v_select(v_lt(v_zero(), d), v_set1(1) - p, v_zero() - p);
        return v_select(v_eq(d, v_zero()), d, v_select(v_isnan(d), d, side));
    }
    if (kind == LOSS_L1)
        return v_select(v_eq(d, v_zero()), d, v_select(v_isnan(d), d, v_copy_sign(v_set1(1), d)));
    return v_min(p, v_max(v_zero() - p, d));
}

/* in blocks, so that no chain of additions is long */
INLINE double loss_sum(const int kind, const real *x, const real *t, long n, double p_)
{
    const vec p = v_set1((real)p_);
    vec acc[4] = {v_zero(), v_zero(), v_zero(), v_zero()};
    double total = 0;
    long j = 0;
    for (long end = at_most(n, LOSS_BLOCK); j < n; end = at_most(end + LOSS_BLOCK, n)) {
        for (; j + 4 * VL <= end; j += 4 * VL)
            UNROLL for (int k = 0; k < 4; k++) {
                long at = j + k * VL;
                acc[k] = acc[k] + loss_value(kind, v_load(x + at), v_load(t + at), p);
            }
        for (; j < end; j += VL) {
            vec v = loss_value(kind, v_load_n(x + j, end - j), v_load_n(t + j, end - j), p);
            mask inside = v_lt(v_load(reduce_lane), v_set1((real)at_most(end - j, VL)));
            acc[0] = acc[0] + v_select(inside, v, v_zero());
        }
        total += v_sum((acc[0] + acc[1]) + (acc[2] + acc[3]));
        UNROLL for (int k = 0; k < 4; k++) acc[k] = v_zero();
    }
    return total;
}

INLINE void loss_each(const int kind, const real *x, const real *t, long n, double p_, real *y)
{
    const vec p = v_set1((real)p_);
    for (long j = 0; j < n; j += VL) {
        vec v = loss_value(kind, v_load_n(x + j, n - j), v_load_n(t + j, n - j), p);
        v_store_n(y + j, v, n - j);
    }
}

/* dx = slope * dy * scale; dy_step 0: one dy for all */
INLINE void loss_backward(const int kind, const real *x, const real *t, long n, double p_,
                          const real *dy, long dy_step, double scale_, real *dx)
{
    const vec p = v_set1((real)p_), scale = v_set1((real)(dy_step ? scale_ : scale_ * dy[0]));
    for (long j = 0; j < n; j += VL) {
        vec v = loss_slope(kind, v_load_n(x + j, n - j), v_load_n(t + j, n - j), p) * scale;
        if (dy_step) v = v * v_load_n(dy + j, n - j);
        v_store_n(dx + j, v, n - j);
    }
}

#define LOSS(NAME, KIND)                                                                       \
    static double NAME##_sum(const void *x, const void *t, long n, double p)                   \
    {                                                                                          \
        return loss_sum(KIND, x, t, n, p);                                                     \
    }                                                                                          \
    static void NAME##_each(const void *x, const void *t, long n, double p, void *y)           \
    {                                                                                          \
        loss_each(KIND, x, t, n, p, y);                                                        \
    }                                                                                          \
    static void NAME##_backward(const void *x, const void *t, long n, double p,                \
                                const void *dy, long dy_step, double scale, void *dx)          \
    {                                                                                          \
        loss_backward(KIND, x, t, n, p, dy, dy_step, scale, dx);                               \
    }

LOSS(loss_mse, LOSS_MSE)
LOSS(loss_l1, LOSS_L1)
LOSS(loss_huber, LOSS_HUBER)
LOSS(loss_quantile, LOSS_QUANTILE)
LOSS(loss_bce_logits, LOSS_BCE_LOGITS)
LOSS(loss_bce, LOSS_BCE)
LOSS(loss_kl, LOSS_KL)
LOSS(loss_hinge, LOSS_HINGE)
LOSS(loss_contrastive, LOSS_CONTRASTIVE)

#define LOSS_ALL(SUFFIX)                                                                \
    {loss_mse_##SUFFIX, loss_l1_##SUFFIX, loss_huber_##SUFFIX, loss_quantile_##SUFFIX,  \
     loss_bce_logits_##SUFFIX, loss_bce_##SUFFIX, loss_kl_##SUFFIX, loss_hinge_##SUFFIX, \
     loss_contrastive_##SUFFIX}
#define LOSS_ROWS                     \
    .loss_sum = LOSS_ALL(sum),        \
    .loss_each = LOSS_ALL(each),      \
    .loss_backward = LOSS_ALL(backward),
