/* Elementary functions of a vector: v_exp, v_exp_normal, v_expm1, v_log, v_log1p, v_tanh,
 * v_sigmoid, v_erf, v_sin, v_cos, and v_sincos_2pi for random.h. All other kernels use them.
 *
 * At 32 bits, branch-free: a reduction of the argument, then a minimax polynomial.
 * Worst errors over all floats and levels: log 0.9, exp 1.2, log1p 1.3, expm1 1.7,
 * sigmoid 2.5, tanh 2.5, erf 3.3 ULP.
 * Infinities, NaN, -0 and subnormal arguments and results are as in C's <math.h>.
 * At 64 bits, and for v_sin and v_cos at both: libm, lane by lane. */

#define EACH_LANE(name, expression)                          \
    INLINE vec name(vec v)                                   \
    {                                                        \
        real lane[VL];                                       \
        v_store(lane, v);                                    \
        for (int l = 0; l < VL; l++) {                       \
            real x = lane[l];                                \
            lane[l] = expression;                            \
        }                                                    \
        return v_load(lane);                                 \
    }

EACH_LANE(v_sin, REAL_FN(sin)(x))
EACH_LANE(v_cos, REAL_FN(cos)(x))

#if REAL_BITS == 32

#define LOG2_E 0x1.715476p0f
#define LN2_HIGH 0.693359375f /* 9 bits: its product with an exponent is exact */
#define LN2_LOW -2.12194440e-4f
#define TO_WHOLE 0x1.8p23f /* added to a small number, it rounds it to a whole one */

/* q in exp(r) = 1 + r + r^2 q, for |r| <= ln(2) / 2 */
INLINE vec exp_polynomial(vec r)
{
    vec q = v_set1(0.00138703233f);
    q = v_fma(q, r, v_set1(0.00836625602f));
    q = v_fma(q, r, v_set1(0.041667439f));
    q = v_fma(q, r, v_set1(0.166665465f));
    return v_fma(q, r, v_set1(0.49999997f));
}

/* x = n ln 2 + r; returns n + to_whole, rounded to the whole number n by that sum */
INLINE vec exp_reduce(vec x, real to_whole, vec *n, vec *r)
{
    vec t = v_fma(x, v_set1(LOG2_E), v_set1(to_whole));
    *n = t - v_set1(to_whole);
    *r = v_fnma(*n, v_set1(LN2_LOW), v_fnma(*n, v_set1(LN2_HIGH), x));
    return t;
}

INLINE vec exp_clamped(vec x)
{
    vec n, r;
    exp_reduce(x, TO_WHOLE, &n, &r);
    return v_scale(v_fma(v_fma(exp_polynomial(r), r, v_set1(1)), r, v_set1(1)), n);
}

/* beyond the clamp, 0 and infinity */
INLINE vec v_exp(vec x) { return exp_clamped(v_clamp(x, -104, 89)); }

/* exp(x) for -87 <= x <= 88, where it is a normal number: 2^n is made of its bits at once */
INLINE vec v_exp_normal(vec x)
{
    vec n, r, t = exp_reduce(x, TO_WHOLE + 127, &n, &r);
    vec s = v_as_real(i_shl(v_as_int(t), 23));
    return s * v_fma(v_fma(exp_polynomial(r), r, v_set1(1)), r, v_set1(1));
}

/* (exp(x) - 1) * 2^shift for x >= -80; a zero may have the wrong sign */
INLINE vec expm1_clamped(vec x, int shift)
{
    vec n, r, t = exp_reduce(x, TO_WHOLE + 127 + shift, &n, &r);
    vec p = v_fma(r * r, exp_polynomial(r), r);
    vec s = v_as_real(i_shl(v_as_int(t), 23)); /* 2^(n + shift), whose exponent t's low bits are */
    return v_fma(s, p, s - v_set1(shift ? 0.5f : 1));
}

INLINE vec v_expm1(vec x)
{
    vec half = expm1_clamped(v_clamp(x, -20, 89), -1); /* 2^128 is no number */
    return v_select(v_lt(v_abs(x), v_set1(0x1p-26f)), x, half + half);
}

/* f + k ln 2 + log(1 + f) - f, for -1/4 <= f < 1/2 */
INLINE vec log_reduced(vec f, vec k)
{
    vec p = v_set1(-0.0451478995f);
    p = v_fma(p, f, v_set1(0.104726367f));
    p = v_fma(p, f, v_set1(-0.13164565f));
    p = v_fma(p, f, v_set1(0.144779518f));
    p = v_fma(p, f, v_set1(-0.166468933f));
    p = v_fma(p, f, v_set1(0.199908286f));
    p = v_fma(p, f, v_set1(-0.250001073f));
    p = v_fma(p, f, v_set1(0.333334506f));
    vec f2 = f * f;
    vec y = v_fma(f2 * f, p, k * v_set1(LN2_LOW));
    y = v_fnma(f2, v_set1(0.5f), y) + f;
    return v_fma(k, v_set1(LN2_HIGH), y);
}

/* y = log(x), put right where x is 0, negative, infinite or NaN */
INLINE vec log_special(vec y, vec x)
{
    vec pole = v_select(v_eq(x, v_zero()), v_set1(-INFINITY), v_set1(NAN));
    y = v_select(v_le(x, v_zero()), pole, y);
    return v_select(v_lt(x, v_set1(INFINITY)), y, x);
}

INLINE vec v_log(vec x)
{
    vec k, m = v_split(x, &k);
    return log_special(log_reduced(m - v_set1(1), k), x);
}

INLINE vec v_log1p(vec x)
{
    vec k, u = x + v_set1(1);
    v_split(u, &k);
    /* (1 + x) / 2^k - 1 from x itself, free of the rounding of u */
    vec s = v_scale(v_set1(1), v_zero() - k);
    vec y = log_reduced(v_fma(s, x, s - v_set1(1)), k);
    return v_copy_sign(log_special(y, u), x);
}

/* exp overflows before the quotient turns from 1 */
INLINE vec v_sigmoid(vec x)
{
    vec e = exp_clamped(v_clamp(x, -104, 60));
    return e / (e + v_set1(1));
}

/* (1 - exp(-2|x|)) / (1 + exp(-2|x|)) */
INLINE vec v_tanh(vec x)
{
    vec u = expm1_clamped(v_max(v_set1(-20), v_set1(-2) * v_abs(x)), 0);
    return v_copy_sign(u / (u + v_set1(2)), x);
}

/* 1 - exp(-|x| g), where g = -log(erfc|x|) / |x| is nearly linear: no cancellation, no division */
INLINE vec v_erf(vec x)
{
    vec a = v_min(v_set1(3.93f), v_abs(x));
    vec g = v_set1(-3.886375e-06f);
    g = v_fma(g, a, v_set1(-7.7138402e-06f));
    g = v_fma(g, a, v_set1(0.000270622171f));
    g = v_fma(g, a, v_set1(-0.00106562255f));
    g = v_fma(g, a, v_set1(-0.000373676681f));
    g = v_fma(g, a, v_set1(0.0194011014f));
    g = v_fma(g, a, v_set1(-0.102832176f));
    g = v_fma(g, a, v_set1(-0.636615038f));
    g = v_fma(g, a, v_set1(-1.12837923f));
    return v_copy_sign(expm1_clamped(g * a, 0), x);
}

/* sine and cosine of 2 pi u, for 0 <= u <= 1 */
INLINE void v_sincos_2pi(vec u, vec *sine, vec *cosine)
{
    vec t = v_fma(u, v_set1(4), v_set1(TO_WHOLE));
    vec f = v_fnma(t - v_set1(TO_WHOLE), v_set1(0.25f), u); /* exact, |f| <= 1/8 */
    vec z = f * f;
    vec s = v_fma(v_set1(-76.726059f), z, v_set1(81.6246719f));
    s = v_fma(s, z, v_set1(-41.3418617f));
    s = v_fma(s, z, v_set1(6.28318548f)) * f;
    vec c = v_fma(v_set1(58.6202126f), z, v_set1(-85.4245148f));
    c = v_fma(c, z, v_set1(64.9391479f));
    c = v_fma(c, z, v_set1(-19.7392082f));
    c = v_fma(c, z, v_set1(1));
    veci quarter = v_as_int(t);
    mask even = i_eq(quarter & i_set1(1), i_set1(0));
    veci s_sign = i_shl(quarter & i_set1(2), 30);
    veci c_sign = i_shl(i_add(quarter, i_set1(1)) & i_set1(2), 30);
    *sine = v_as_real(v_as_int(v_select(even, s, c)) ^ s_sign);
    *cosine = v_as_real(v_as_int(v_select(even, c, s)) ^ c_sign);
}

#else

INLINE real sigmoid_of_exp(real e) { return e / (1 + e); }

EACH_LANE(v_exp, exp(x))
EACH_LANE(v_exp_normal, exp(x))
EACH_LANE(v_expm1, expm1(x))
EACH_LANE(v_log, log(x))
EACH_LANE(v_log1p, log1p(x))
EACH_LANE(v_tanh, tanh(x))
EACH_LANE(v_sigmoid, sigmoid_of_exp(exp(x > 60 ? 60 : x)))
EACH_LANE(v_erf, erf(x))

#define TWO_PI 6.283185307179586476925
EACH_LANE(sin_2pi, sin(TWO_PI * x))
EACH_LANE(cos_2pi, cos(TWO_PI * x))

INLINE void v_sincos_2pi(vec u, vec *sine, vec *cosine)
{
    *sine = sin_2pi(u);
    *cosine = cos_2pi(u);
}

#endif
