/* One optimiser step over a stretch of one parameter: x is the parameter, dx its
 * gradient, the rest its state, all updated in one pass. r is the rule.
 *
 * All:       g = sign dx + weight_decay x
 * SGD:       buf = decay1 buf + gain1 g;  g = buf, or g + decay1 buf (Nesterov);  x -= step g
 * Adam:      x *= shrink (decoupled decay);  m += gain1 (g - m);  v = decay2 v + gain2 g^2
 *            vmax = v = max(vmax, v) (AMSGrad)
 *            x -= step m / (sqrt(v) root + eps), or step m (plain: RAdam's first steps);
 *            NAdam: (step m + ahead g) / (...)
 * Adamax:    m += gain1 (g - m);  u = max(decay2 u, |g| + eps);  x -= step m / u
 * RMSprop:   v = decay2 v + gain2 g^2;  mean += gain2 (g - mean) (centered)
 *            d = g / (sqrt(v - mean^2) + eps);  buf = decay1 buf + d (momentum)
 *            x -= step buf, or step d
 * Adagrad:   sum += g^2;  x -= step g / (sqrt(sum) + eps)
 * Adadelta:  v = decay2 v + gain2 g^2;  d = g sqrt(u + eps) / sqrt(v + eps)
 *            u = decay2 u + gain2 d^2;  x -= step d
 * Rprop:     size *= decay1 where g turned round since the last step, gain1 where it did not,
 *            within [low, high];  g = 0 where it turned;  x -= sign(g) size
 * ASGD:      x = shrink x - step g;  ax += gain1 (x - ax), or ax = x (plain)
 *
 * Each number is computed alone, so chunks may be cut anywhere. Called by
 * _kernels/optim.pyx, which shares the chunks of all parameters out among threads. */

/* n is the constant VL in a main loop, where the test vanishes */
INLINE vec optim_load(const real *p, long n) { return n >= VL ? v_load(p) : v_load_n(p, n); }
INLINE void optim_store(real *p, vec x, long n)
{
    if (n >= VL) v_store(p, x);
    else v_store_n(p, x, n);
}

INLINE vec optim_gradient(const real *dx, vec x, const optim_rule *r, long n)
{
    vec g = v_set1((real)r->sign) * optim_load(dx, n);
    return r->weight_decay != 0 ? v_fma(v_set1((real)r->weight_decay), x, g) : g;
}

/* mean += gain (g - mean) */
INLINE vec optim_mean(real *mean_, double gain, vec g, long n)
{
    vec mean = optim_load(mean_, n);
    mean = v_fma(v_set1((real)gain), g - mean, mean);
    optim_store(mean_, mean, n);
    return mean;
}

/* v = decay2 v + gain2 g^2 */
INLINE vec optim_squares(real *v_, vec g, const optim_rule *r, long n)
{
    vec v = optim_load(v_, n);
    v = v_fma(v_set1((real)r->gain2) * g, g, v_set1((real)r->decay2) * v);
    optim_store(v_, v, n);
    return v;
}

/* s0: momentum buffer or NULL, holding nothing yet at the first step */
INLINE void sgd_vector(real *x_, const real *dx, real *s0, real *s1, real *s2,
                       const optim_rule *r, long n)
{
    vec x = optim_load(x_, n), g = optim_gradient(dx, x, r, n);
    if (s0) {
        vec momentum = v_set1((real)r->decay1), buf = g;
        if (!r->first) buf = v_fma(v_set1((real)r->gain1), g, momentum * optim_load(s0, n));
        optim_store(s0, buf, n);
        g = r->nesterov ? v_fma(momentum, buf, g) : buf;
    }
    optim_store(x_, v_fnma(v_set1((real)r->step), g, x), n);
}

/* s0: m, s1: v, s2: vmax or NULL */
INLINE void adam_vector(real *x_, const real *dx, real *s0, real *s1, real *s2,
                        const optim_rule *r, long n)
{
    vec x = v_set1((real)r->shrink) * optim_load(x_, n), g = optim_gradient(dx, x, r, n);
    vec m = optim_mean(s0, r->gain1, g, n), v = optim_squares(s1, g, r, n);
    if (s2) {
        v = v_max(optim_load(s2, n), v);
        optim_store(s2, v, n);
    }
    vec root = v_fma(v_sqrt(v), v_set1((real)r->root), v_set1((real)r->eps)), step;
    if (r->plain) root = v_set1(1);
    step = v_set1((real)r->step);
    if (r->ahead != 0) {
        m = v_fma(v_set1((real)r->ahead), g, step * m);
        step = v_set1(1);
    }
    optim_store(x_, v_fnma(step, m / root, x), n);
}

/* s0: m, s1: u */
INLINE void adamax_vector(real *x_, const real *dx, real *s0, real *s1, real *s2,
                          const optim_rule *r, long n)
{
    vec x = optim_load(x_, n), g = optim_gradient(dx, x, r, n), m = optim_mean(s0, r->gain1, g, n);
    vec u = v_set1((real)r->decay2) * optim_load(s1, n);
    u = v_select(v_isnan(u), u, v_max(u, v_abs(g) + v_set1((real)r->eps)));
    optim_store(s1, u, n);
    optim_store(x_, v_fnma(v_set1((real)r->step), m / u, x), n);
}

/* s0: v, s1: mean or NULL, s2: buf or NULL */
INLINE void rmsprop_vector(real *x_, const real *dx, real *s0, real *s1, real *s2,
                           const optim_rule *r, long n)
{
    vec x = optim_load(x_, n), g = optim_gradient(dx, x, r, n), v = optim_squares(s0, g, r, n);
    if (s1) {
        vec mean = optim_mean(s1, r->gain2, g, n);
        v = v_fnma(mean, mean, v);
    }
    vec d = g / (v_sqrt(v) + v_set1((real)r->eps));
    if (s2) {
        d = v_fma(v_set1((real)r->decay1), optim_load(s2, n), d);
        optim_store(s2, d, n);
    }
    optim_store(x_, v_fnma(v_set1((real)r->step), d, x), n);
}

/* s0: sum */
INLINE void adagrad_vector(real *x_, const real *dx, real *s0, real *s1, real *s2,
                           const optim_rule *r, long n)
{
    vec x = optim_load(x_, n), g = optim_gradient(dx, x, r, n);
    vec sum = v_fma(g, g, optim_load(s0, n));
    optim_store(s0, sum, n);
    vec d = g / (v_sqrt(sum) + v_set1((real)r->eps));
    optim_store(x_, v_fnma(v_set1((real)r->step), d, x), n);
}

/* s0: v, s1: u */
INLINE void adadelta_vector(real *x_, const real *dx, real *s0, real *s1, real *s2,
                            const optim_rule *r, long n)
{
    const vec eps = v_set1((real)r->eps);
    vec x = optim_load(x_, n), g = optim_gradient(dx, x, r, n), v = optim_squares(s0, g, r, n);
    vec d = v_sqrt(optim_load(s1, n) + eps) / v_sqrt(v + eps) * g;
    optim_squares(s1, d, r, n);
    optim_store(x_, v_fnma(v_set1((real)r->step), d, x), n);
}

/* s0: g of the last step, s1: size */
INLINE void rprop_vector(real *x_, const real *dx, real *s0, real *s1, real *s2,
                         const optim_rule *r, long n)
{
    const vec zero = v_zero();
    vec x = optim_load(x_, n), g = optim_gradient(dx, x, r, n), size = optim_load(s1, n);
    vec turn = g * optim_load(s0, n);
    vec factor = v_select(v_gt(turn, zero), v_set1((real)r->gain1), v_set1(1));
    factor = v_select(v_lt(turn, zero), v_set1((real)r->decay1), factor);
    size = v_clamp(size * factor, (real)r->low, (real)r->high);
    g = v_select(v_lt(turn, zero), zero, g);
    optim_store(s0, g, n);
    optim_store(s1, size, n);
    optim_store(x_, v_fnma(v_sign(g), size, x), n);
}

/* s0: ax */
INLINE void asgd_vector(real *x_, const real *dx, real *s0, real *s1, real *s2,
                        const optim_rule *r, long n)
{
    vec x = optim_load(x_, n), g = optim_gradient(dx, x, r, n);
    x = v_fnma(v_set1((real)r->step), g, v_set1((real)r->shrink) * x);
    optim_store(x_, x, n);
    if (r->plain) optim_store(s0, x, n);
    else optim_mean(s0, r->gain1, x, n);
}

#define OPTIM_AT(p, i) ((p) ? (p) + (i) : 0)
#define OPTIM(NAME)                                                                            \
    static void NAME##_step(void *x_, const void *dx_, void *const *state, long n,             \
                            const optim_rule *r)                                               \
    {                                                                                          \
        real *x = x_, *s0 = state[0], *s1 = state[1], *s2 = state[2];                          \
        const real *dx = dx_;                                                                  \
        long i = 0;                                                                            \
        for (; i + VL <= n; i += VL)                                                           \
            NAME##_vector(x + i, dx + i, OPTIM_AT(s0, i), OPTIM_AT(s1, i), OPTIM_AT(s2, i), r, \
                          VL);                                                                 \
        if (i < n)                                                                             \
            NAME##_vector(x + i, dx + i, OPTIM_AT(s0, i), OPTIM_AT(s1, i), OPTIM_AT(s2, i), r, \
                          n - i);                                                              \
    }

OPTIM(sgd)
OPTIM(adam)
OPTIM(adamax)
OPTIM(rmsprop)
OPTIM(adagrad)
OPTIM(adadelta)
OPTIM(rprop)
OPTIM(asgd)

#define OPTIM_ROWS                                                                       \
    .optim = {sgd_step, adam_step, adamax_step, rmsprop_step, adagrad_step, adadelta_step, \
              rprop_step, asgd_step},
