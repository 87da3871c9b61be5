/* Pointwise operations: y[i] = f(a[i], b[i], c[i]; p) for i < n.
 *
 * Operands step by 0 (one value for all) or 1; comparisons write and `where`
 * reads bytes 0 and 1. Backward rows take dy as `a` and what the operation saved
 * as `b` and `c`. Called by _kernels/pointwise.pyx, which turns every layout,
 * dtype and broadcast into such runs. */

/* one operand: a vector of the run, or its one value */
INLINE vec pw_load(const real *x, long step, long i, long left)
{
    if (!step) return v_set1(*x);
    return left >= VL ? v_load(x + i) : v_load_n(x + i, left);
}

/* POINTWISE(name, expression of a, b, c): the expression is a vec. Constants of
 * the operation are p0 and p1. Operands that it does not name are not read. */
#define POINTWISE(name, READ_B, READ_C, expression)                                     \
    static void pw_##name(const void *a_, long sa, const void *b_, long sb,             \
                          const void *c_, long sc, void *y_, long n, const double *p)   \
    {                                                                                   \
        const real *ap = a_, *bp = b_, *cp = c_;                                        \
        real *y = y_;                                                                   \
        const vec p0 = v_set1(p ? (real)p[0] : 0), p1 = v_set1(p ? (real)p[1] : 0);     \
        (void)p0, (void)p1, (void)bp, (void)cp, (void)sb, (void)sc;                     \
        for (long i = 0; i < n; i += VL) {                                              \
            const long left = n - i;                                                    \
            const vec a = pw_load(ap, sa, i, left);                                     \
            const vec b = READ_B ? pw_load(bp, sb, i, left) : a;                        \
            const vec c = READ_C ? pw_load(cp, sc, i, left) : a;                        \
            (void)b, (void)c;                                                           \
            const vec result = expression;                                              \
            if (left >= VL) v_store(y + i, result);                                     \
            else v_store_n(y + i, result, left);                                        \
        }                                                                               \
    }
#define UNARY(name, expression) POINTWISE(name, 0, 0, expression)
#define BINARY(name, expression) POINTWISE(name, 1, 0, expression)
#define TERNARY(name, expression) POINTWISE(name, 1, 1, expression)

#define COMPARE_OP(name, expression)                                                    \
    static void pw_##name(const void *a_, long sa, const void *b_, long sb,             \
                          const void *c_, long sc, void *y_, long n, const double *p)   \
    {                                                                                   \
        uint8_t *y = y_;                                                                \
        (void)c_, (void)sc, (void)p;                                                    \
        for (long i = 0; i < n; i += VL) {                                              \
            const vec a = pw_load(a_, sa, i, n - i), b = pw_load(b_, sb, i, n - i);     \
            m_store_u8(y + i, expression, n - i);                                       \
        }                                                                               \
    }

#define ONE v_set1(1)
#define HALF v_set1((real)0.5)

/* x where the condition fails, including for NaN in the comparison */
INLINE vec v_where_positive(vec x, vec yes, vec no) { return v_select(v_lt(v_zero(), x), yes, no); }

/* |x| <= limit; false for NaN */
INLINE mask v_within(vec x, vec limit) { return v_le(v_abs(x), limit); }

INLINE vec v_sign(vec x)
{
    vec s = v_select(v_lt(x, v_zero()), v_set1(-1), v_zero());
    s = v_select(v_lt(v_zero(), x), ONE, s);
    return v_select(v_isnan(x), x, s);
}

INLINE vec v_floor(vec x)
{
    vec nearest = v_round(x);
    return nearest - v_select(v_lt(x, nearest), ONE, v_zero());
}
INLINE vec v_trunc(vec x)
{
    return v_copy_sign(v_floor(v_abs(x)), x);
}

/* what Python calls a % b and a // b: the remainder has the sign of b */
INLINE real remainder_of(real a, real b)
{
    real rest = REAL_FN(fmod)(a, b);
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}
INLINE real floor_divided(real a, real b)
{
    if (b == 0) return a / b;
    return REAL_FN(nearbyint)((a - remainder_of(a, b)) / b);
}

/* lane by lane: the C library has every special case, pow half an ULP */
#define EACH_PAIR(name, expression)                                  \
    INLINE vec name(vec v, vec w)                                    \
    {                                                                \
        real x[VL], y[VL];                                           \
        v_store(x, v);                                               \
        v_store(y, w);                                               \
        for (int l = 0; l < VL; l++) {                               \
            real a = x[l], b = y[l];                                 \
            x[l] = expression;                                       \
        }                                                            \
        return v_load(x);                                            \
    }
EACH_PAIR(v_pow, REAL_FN(pow)(a, b))
EACH_PAIR(v_remainder, remainder_of(a, b))
EACH_PAIR(v_floor_divide, floor_divided(a, b))

INLINE vec v_normal_cdf(vec x)
{
    return HALF * (ONE + v_erf(x * v_set1((real)0.70710678118654752440)));
}
INLINE vec v_normal_pdf(vec x)
{
    return v_exp(x * x * v_set1((real)-0.5)) * v_set1((real)0.39894228040143267794);
}
/* the argument of tanh in the approximate GELU, and its derivative */
INLINE vec v_gelu_inner(vec x)
{
    return v_set1((real)0.79788456080286535588) * v_fma(v_set1((real)0.044715) * x * x, x, x);
}
INLINE vec v_gelu_inner_slope(vec x)
{
    return v_set1((real)0.79788456080286535588) * v_fma(v_set1((real)0.134145) * x, x, ONE);
}
/* log(1 + exp(x)) without overflow */
INLINE vec v_softplus(vec x)
{
    return v_max(v_zero(), x) + v_log1p(v_exp(-v_abs(x)));
}

UNARY(neg, -a)
UNARY(abs, v_abs(a))
UNARY(sign, v_sign(a))
UNARY(exp, v_exp(a))
UNARY(expm1, v_expm1(a))
UNARY(log, v_log(a))
UNARY(log1p, v_log1p(a))
UNARY(sqrt, v_sqrt(a))
UNARY(square, a * a)
UNARY(reciprocal, ONE / a)
UNARY(erf, v_erf(a))
UNARY(sin, v_sin(a))
UNARY(cos, v_cos(a))
UNARY(floor, v_floor(a))
UNARY(ceil, -v_floor(-a))
UNARY(round, v_round(a)) /* halves to even numbers */
UNARY(trunc, v_trunc(a))
UNARY(relu, v_max(v_zero(), a))
UNARY(leaky_relu, v_where_positive(a, a, p0 * a))
/* p0 = slope at 0 from below, p1 = slope above */
UNARY(elu, v_where_positive(a, p1 * a, p0 * v_expm1(a)))
UNARY(celu, v_where_positive(a, a, p0 * v_expm1(a / p0)))
UNARY(sigmoid, v_sigmoid(a))
UNARY(tanh, v_tanh(a))
UNARY(gelu, a * v_normal_cdf(a))
UNARY(gelu_tanh, HALF * a * (ONE + v_tanh(v_gelu_inner(a))))
UNARY(silu, a * v_sigmoid(a))
UNARY(mish, a * v_tanh(v_softplus(a)))
/* p0 = beta, p1 = threshold */
UNARY(softplus, v_select(v_lt(p1, p0 * a), a, v_softplus(p0 * a) / p0))
UNARY(clamp, v_min(p1, v_max(p0, a)))
UNARY(hardsigmoid, v_clamp(a + v_set1(3), 0, 6) / v_set1(6))
UNARY(hardswish, a * (v_clamp(a + v_set1(3), 0, 6) / v_set1(6)))
UNARY(hardshrink, v_select(v_within(a, p0), v_zero(), a))
UNARY(softshrink, v_select(v_within(a, p0), v_zero(), a - v_copy_sign(p0, a)))
UNARY(tanhshrink, a - v_tanh(a))
UNARY(softsign, a / (ONE + v_abs(a)))
UNARY(logsigmoid, -v_softplus(-a))
/* p0 = threshold, p1 = value */
UNARY(threshold, v_select(v_le(a, p0), p1, a))

BINARY(add, a + b)
BINARY(sub, a - b)
BINARY(mul, a * b)
BINARY(div, a / b)
BINARY(remainder, v_remainder(a, b))
BINARY(floor_divide, v_floor_divide(a, b))
BINARY(pow, v_pow(a, b))
BINARY(maximum, v_select(v_isnan(a), a, v_max(a, b)))
BINARY(minimum, v_select(v_isnan(a), a, v_min(a, b)))
BINARY(prelu, v_where_positive(a, a, b * a))
BINARY(glu, a * v_sigmoid(b))

COMPARE_OP(lt, v_lt(a, b))
COMPARE_OP(le, v_le(a, b))
COMPARE_OP(gt, v_lt(b, a))
COMPARE_OP(ge, v_le(b, a))
COMPARE_OP(eq, v_eq(a, b))
COMPARE_OP(ne, m_not(v_eq(a, b)))

BINARY(abs_backward, a * v_sign(b))              /* b = x */
BINARY(sign_backward, v_zero())
BINARY(sin_backward, a * v_cos(b)) /* b = x */
BINARY(cos_backward, -a * v_sin(b))
BINARY(sqrt_backward, a / (b + b))               /* b = y */
BINARY(square_backward, a * (b + b))             /* b = x */
BINARY(reciprocal_backward, -a * b * b)         /* b = y */
BINARY(erf_backward, a * v_exp(-b * b) * v_set1((real)1.12837916709551257390)) /* b = x */
BINARY(relu_backward, v_where_positive(b, a, v_zero()))   /* b = y */
BINARY(leaky_relu_backward, v_where_positive(b, a, p0 * a))         /* b = x */
BINARY(elu_backward, v_where_positive(b, a * p1, a * p0 * v_exp(b))) /* b = x */
BINARY(celu_backward, v_where_positive(b, a, a * v_exp(b / p0)))    /* b = x */
BINARY(sigmoid_backward, a * b * (ONE - b))      /* b = y */
BINARY(tanh_backward, a * v_fnma(b, b, ONE))     /* b = y */
BINARY(gelu_backward, a * v_fma(b, v_normal_pdf(b), v_normal_cdf(b)))       /* b = x */
INLINE vec v_gelu_tanh_slope(vec x)
{
    x = v_clamp(x, -32, 32); /* beyond, the slope is 0 or 1 and the cube may be infinite */
    vec t = v_tanh(v_gelu_inner(x));
    return HALF * v_fma(x * v_fnma(t, t, ONE), v_gelu_inner_slope(x), ONE + t);
}
BINARY(gelu_tanh_backward, a * v_gelu_tanh_slope(b))                /* b = x */
INLINE vec v_silu_slope(vec x)
{
    vec s = v_sigmoid(x);
    return s * v_fma(x, ONE - s, ONE);
}
BINARY(silu_backward, a * v_silu_slope(b))       /* b = x */
INLINE vec v_mish_slope(vec x)
{
    vec t = v_tanh(v_softplus(x));
    return v_fma(x * v_sigmoid(x), v_fnma(t, t, ONE), t);
}
BINARY(mish_backward, a * v_mish_slope(b))       /* b = x */
BINARY(softplus_backward, v_select(v_lt(p1, p0 * b), a, a * v_sigmoid(p0 * b)))     /* b = x */
BINARY(clamp_backward, v_select(m_and(v_le(p0, b), v_le(b, p1)), a, v_zero()))      /* b = x */
/* unlike clamp's, 0 at the bounds */
BINARY(hardtanh_backward, v_select(m_and(v_lt(p0, b), v_lt(b, p1)), a, v_zero()))   /* b = x */
BINARY(hardsigmoid_backward, v_select(v_lt(v_abs(b), v_set1(3)), a / v_set1(6), v_zero()))
INLINE vec v_hardswish_slope(vec x)
{
    vec slope = v_select(v_lt(x, v_set1(3)), v_fma(x, v_set1((real)(1.0 / 3)), HALF), ONE);
    return v_select(v_le(x, v_set1(-3)), v_zero(), slope);
}
BINARY(hardswish_backward, a * v_hardswish_slope(b))                /* b = x */
BINARY(shrink_backward, v_select(v_within(b, p0), v_zero(), a))     /* b = x */
BINARY(tanhshrink_backward, a * v_tanh(b) * v_tanh(b))              /* b = x */
BINARY(softsign_backward, a / ((ONE + v_abs(b)) * (ONE + v_abs(b)))) /* b = x */
BINARY(logsigmoid_backward, a * v_sigmoid(-b))                      /* b = x */
BINARY(threshold_backward, v_select(v_le(b, p0), v_zero(), a))      /* b = x */
BINARY(expm1_backward, v_fma(a, b, a))           /* b = y */
BINARY(log1p_backward, a / (ONE + b))            /* b = x */
BINARY(prelu_backward_weight, v_where_positive(b, v_zero(), a * b)) /* b = x */

TERNARY(div_backward_divisor, -a * (b / c))     /* b = y, c = divisor */
/* b = base, c = exponent */
TERNARY(pow_backward_base, v_select(v_eq(c, v_zero()), v_zero(), a * c * v_pow(b, c - ONE)))
/* b = base, c = y; the limit for base 0 is 0 */
TERNARY(pow_backward_exponent, v_select(v_eq(b, v_zero()), v_zero(), a * c * v_log(b)))
/* b, c = the two operands; ties share the gradient; the other operand's share is dy less this */
TERNARY(maximum_backward, v_select(v_lt(c, b), a, v_select(v_eq(b, c), HALF * a, v_zero())))
TERNARY(minimum_backward, v_select(v_lt(b, c), a, v_select(v_eq(b, c), HALF * a, v_zero())))
TERNARY(prelu_backward, v_where_positive(b, a, c * a))    /* b = x, c = weight */
/* b, c = the two halves; with respect to c, the gate; the other half's gradient is glu(a, c) */
TERNARY(glu_backward_gate, a * b * v_sigmoid(c) * v_sigmoid(-c))

/* y = c ? a : b, with bytes for c */
static void pw_where(const void *a_, long sa, const void *b_, long sb, const void *c_, long sc,
                     void *y_, long n, const double *p)
{
    const uint8_t *c = c_;
    real *y = y_;
    (void)p;
    for (long i = 0; i < n; i += VL) {
        const long left = n - i;
        const vec a = pw_load(a_, sa, i, left), b = pw_load(b_, sb, i, left);
        const vec result = sc ? v_select(m_load_u8(c + i, left), a, b) : *c ? a : b;
        v_store_n(y + i, result, left);
    }
}

#define POINTWISE_ENTRY(name) [PW_##name] = pw_##name,
#define POINTWISE_ROWS .pointwise = {POINTWISE_LIST(POINTWISE_ENTRY)},
