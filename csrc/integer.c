#include "integer.h"

#define INTEGER(name, RESULT, expression)                                                 \
    static void i64_##name(const void *a_, long sa, const void *b_, long sb,              \
                           const void *c_, long sc, void *y_, long n, const double *p)    \
    {                                                                                     \
        const int64_t *ap = a_, *bp = b_;                                                 \
        RESULT *y = y_;                                                                   \
        (void)bp, (void)sb, (void)c_, (void)sc, (void)p;                                  \
        for (long i = 0; i < n; i++) {                                                    \
            const int64_t a = ap[i * sa];                                                 \
            y[i] = expression;                                                            \
        }                                                                                 \
    }
#define B bp[i * sb]
#define WRAP(operator) (int64_t)((uint64_t)a operator (uint64_t)B)

static int64_t power(int64_t base, int64_t exponent)
{
    uint64_t result = 1, square = (uint64_t)base;
    if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent % 2 ? -1 : 1) : 0;
    for (; exponent; exponent /= 2, square *= square)
        if (exponent % 2) result *= square;
    return (int64_t)result;
}

/* as in Python, the remainder has the sign of b; b is not 0 */
static int64_t rest(int64_t a, int64_t b)
{
    if (b == 0 || b == -1) return 0;
    int64_t r = a % b;
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
static int64_t quotient(int64_t a, int64_t b)
{
    if (b == 0) return 0;
    if (b == -1) return (int64_t)(0 - (uint64_t)a);
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

INTEGER(neg, int64_t, (int64_t)(0 - (uint64_t)a))
INTEGER(abs, int64_t, a < 0 ? (int64_t)(0 - (uint64_t)a) : a)
INTEGER(sign, int64_t, (a > 0) - (a < 0))
INTEGER(square, int64_t, (int64_t)((uint64_t)a * (uint64_t)a))
INTEGER(relu, int64_t, a > 0 ? a : 0)
INTEGER(clamp, int64_t, a < p[0] ? (int64_t)p[0] : a > p[1] ? (int64_t)p[1] : a)
INTEGER(floor, int64_t, a)
INTEGER(ceil, int64_t, a)
INTEGER(round, int64_t, a)
INTEGER(trunc, int64_t, a)
INTEGER(remainder, int64_t, rest(a, B))
INTEGER(floor_divide, int64_t, quotient(a, B))
INTEGER(add, int64_t, WRAP(+))
INTEGER(sub, int64_t, WRAP(-))
INTEGER(mul, int64_t, WRAP(*))
INTEGER(pow, int64_t, power(a, B))
INTEGER(maximum, int64_t, a > B ? a : B)
INTEGER(minimum, int64_t, a < B ? a : B)
INTEGER(lt, uint8_t, a < B)
INTEGER(le, uint8_t, a <= B)
INTEGER(gt, uint8_t, a > B)
INTEGER(ge, uint8_t, a >= B)
INTEGER(eq, uint8_t, a == B)
INTEGER(ne, uint8_t, a != B)
INTEGER(where, int64_t, ((const uint8_t *)c_)[i * sc] ? a : B)

#define ROW(name) [PW_##name] = i64_##name
const pointwise_fn fastnn_integer[PW_COUNT] = {
    ROW(neg), ROW(abs), ROW(sign), ROW(square), ROW(relu), ROW(clamp), ROW(add), ROW(sub), ROW(mul),
    ROW(pow), ROW(maximum), ROW(minimum), ROW(lt), ROW(le), ROW(gt), ROW(ge), ROW(eq), ROW(ne),
    ROW(where), ROW(floor), ROW(ceil), ROW(round), ROW(trunc), ROW(remainder), ROW(floor_divide),
};
