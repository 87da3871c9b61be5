/* One optimiser step over a stretch of one parameter: x is the parameter, dx its
 * gradient, the rest its state; all [n], all updated in one pass.
 *
 * SGD:   g = dx + decay x;  buf = momentum buf + damp g;  g = buf, or g + momentum buf (Nesterov)
 *        x -= lr g
 * Adam:  g = dx + decay x (Adam) or x *= shrink (AdamW)
 *        m += (1 - beta1)(g - m);  v = beta2 v + (1 - beta2) g g;  vmax = max(vmax, v) (amsgrad)
 *        x -= step m / (sqrt(v) * root + eps)
 * Each number is computed alone, so chunks may be cut anywhere. Called by
 * _kernels/optim.pyx, which shares the chunks of all parameters out among threads. */

/* n is the constant VL in a main loop, where the test vanishes */
INLINE vec optim_load(const real *p, long n) { return n >= VL ? v_load(p) : v_load_n(p, n); }
INLINE void optim_store(real *p, vec x, long n)
{
    if (n >= VL) v_store(p, x);
    else v_store_n(p, x, n);
}

INLINE void sgd_vector(real *x_, const real *dx, real *buf_, const sgd_rule *rule, long n)
{
    vec x = optim_load(x_, n);
    vec g = v_set1((real)rule->sign) * optim_load(dx, n);
    if (rule->weight_decay != 0) g = v_fma(v_set1((real)rule->weight_decay), x, g);
    if (buf_) {
        vec momentum = v_set1((real)rule->momentum), buf = g;
        if (!rule->first)
            buf = v_fma(v_set1((real)rule->damp), g, momentum * optim_load(buf_, n));
        optim_store(buf_, buf, n);
        g = rule->nesterov ? v_fma(momentum, buf, g) : buf;
    }
    optim_store(x_, v_fnma(v_set1((real)rule->lr), g, x), n);
}

/* buf is NULL without momentum; rule->first: buf holds nothing yet */
static void sgd_step(void *x_, const void *dx_, void *buf_, long n, const sgd_rule *rule)
{
    real *x = x_, *buf = buf_;
    const real *dx = dx_;
    long i = 0;
    for (; i + VL <= n; i += VL) sgd_vector(x + i, dx + i, buf ? buf + i : 0, rule, VL);
    if (i < n) sgd_vector(x + i, dx + i, buf ? buf + i : 0, rule, n - i);
}

INLINE void adam_vector(real *x_, const real *dx, real *m_, real *v_, real *vmax_,
                        const adam_rule *rule, long n)
{
    vec x = v_set1((real)rule->shrink) * optim_load(x_, n);
    vec g = v_set1((real)rule->sign) * optim_load(dx, n);
    vec m = optim_load(m_, n), v = optim_load(v_, n);
    if (rule->weight_decay != 0) g = v_fma(v_set1((real)rule->weight_decay), x, g);
    m = v_fma(v_set1((real)rule->m_gain), g - m, m);
    v = v_fma(v_set1((real)rule->v_gain) * g, g, v_set1((real)rule->beta2) * v);
    optim_store(m_, m, n);
    optim_store(v_, v, n);
    if (vmax_) {
        v = v_max(optim_load(vmax_, n), v);
        optim_store(vmax_, v, n);
    }
    vec root = v_fma(v_sqrt(v), v_set1((real)rule->root), v_set1((real)rule->eps));
    optim_store(x_, v_fnma(v_set1((real)rule->step), m / root, x), n);
}

/* vmax is NULL without amsgrad */
static void adam_step(void *x_, const void *dx_, void *m_, void *v_, void *vmax_, long n,
                      const adam_rule *rule)
{
    real *x = x_, *m = m_, *v = v_, *vmax = vmax_;
    const real *dx = dx_;
    long i = 0;
    for (; i + VL <= n; i += VL)
        adam_vector(x + i, dx + i, m + i, v + i, vmax ? vmax + i : 0, rule, VL);
    if (i < n) adam_vector(x + i, dx + i, m + i, v + i, vmax ? vmax + i : 0, rule, n - i);
}

#define OPTIM_ROWS .sgd_step = sgd_step, .adam_step = adam_step,
