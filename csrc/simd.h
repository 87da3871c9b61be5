/* The SIMD vocabulary that every kernel is written in.
 *
 * A variant is one instruction-set level at one precision. The compiler is told
 * REAL_BITS (32 or 64) and ISA_HEADER; the level's header defines the vector
 * types (`vec` of VL numbers of type `real`, `veci` of as many integers, `mask`)
 * and the primitives v_* (on vec), i_* (on veci), m_* (on mask). What is common
 * to all levels follows below. No other file may use an intrinsic.
 *
 * Tails: v_load_n/v_store_n touch only the first n of VL lanes (n >= VL: all);
 * the lanes beyond read as zero. Min and max return their SECOND operand where
 * either is NaN. */
#ifndef FASTNN_SIMD_H
#define FASTNN_SIMD_H

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#if REAL_BITS == 32
typedef float real;
typedef int32_t intr;
typedef uint32_t uintr;
#define REAL_FN(name) name##f
#elif REAL_BITS == 64
typedef double real;
typedef int64_t intr;
typedef uint64_t uintr;
#define REAL_FN(name) name
#else
#error "REAL_BITS must be 32 or 64"
#endif

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

#include ISA_HEADER

INLINE vec v_zero(void) { return v_set1(0); }
INLINE mask v_gt(vec a, vec b) { return v_lt(b, a); }
INLINE mask v_isnan(vec x) { return v_unordered(x, x); }
INLINE vec v_abs(vec x) { return v_as_real(v_as_int(x) & i_set1((intr)((uintr)-1 >> 1))); }
INLINE vec v_copy_sign(vec x, vec sign_of)
{
    const veci sign = i_set1((intr)((uintr)1 << (REAL_BITS - 1)));
    return v_as_real(v_as_int(v_abs(x)) | (v_as_int(sign_of) & sign));
}
/* keeps NaN */
INLINE vec v_clamp(vec x, real low, real high)
{
    return v_min(v_set1(high), v_max(v_set1(low), x));
}
INLINE long at_most(long n, long limit) { return n < limit ? n : limit; }

/* Numbers put together and taken apart; n and k are whole numbers held as reals. */
#ifndef ISA_SCALES
#if REAL_BITS == 32
enum { FRACTION_BITS = 23, EXPONENT_BIAS = 127 };
#else
enum { FRACTION_BITS = 52, EXPONENT_BIAS = 1023 };
#endif

INLINE vec i_power_of_2(veci n)
{
    return v_as_real(i_shl(i_add(n, i_set1(EXPONENT_BIAS)), FRACTION_BITS));
}

/* x * 2^n for x near 1, rounded once: to subnormals, 0 or infinity where it must */
INLINE vec v_scale(vec x, vec n)
{
    veci whole = v_to_int(n), half = i_shr(whole, 1);
    return x * i_power_of_2(half) * i_power_of_2(i_sub(whole, half));
}

/* x = m * 2^k with 0.75 <= m < 1.5, for finite x > 0; returns m */
INLINE vec v_split(vec x, vec *k)
{
    const real up = (real)((uintr)1 << FRACTION_BITS);
    mask tiny = v_lt(x, i_power_of_2(i_set1(1 - EXPONENT_BIAS)));
    veci bits = v_as_int(v_select(tiny, x * v_set1(up), x));
    veci whole = i_shr(i_sub(bits, v_as_int(v_set1((real)0.75))), FRACTION_BITS);
    *k = v_to_real(whole) - v_select(tiny, v_set1(FRACTION_BITS), v_zero());
    return v_as_real(i_sub(bits, i_shl(whole, FRACTION_BITS)));
}
#endif

/* shuffles of two vectors; AT(i): where element i comes from, those of b counted from VL on */
#if VL == 16
#define VL_LOG2 4
#define SHUFFLE(AT) AT(0), AT(1), AT(2), AT(3), AT(4), AT(5), AT(6), AT(7), \
                    AT(8), AT(9), AT(10), AT(11), AT(12), AT(13), AT(14), AT(15)
#elif VL == 8
#define VL_LOG2 3
#define SHUFFLE(AT) AT(0), AT(1), AT(2), AT(3), AT(4), AT(5), AT(6), AT(7)
#elif VL == 4
#define VL_LOG2 2
#define SHUFFLE(AT) AT(0), AT(1), AT(2), AT(3)
#elif VL == 2
#define VL_LOG2 1
#define SHUFFLE(AT) AT(0), AT(1)
#else
#define VL_LOG2 0
#endif

#if VL > 1
#define SHUFFLED(name, AT) \
    INLINE vec name(vec a, vec b) { return __builtin_shufflevector(a, b, SHUFFLE(AT)); }

/* interleaved halves: (a0 b0 a1 b1 ...) of the low halves and of the high halves */
#define ZIP_LOW(i) ((i) % 2 * VL + (i) / 2)
#define ZIP_HIGH(i) (ZIP_LOW(i) + VL / 2)
SHUFFLED(v_zip_low, ZIP_LOW)
SHUFFLED(v_zip_high, ZIP_HIGH)

/* the same within each part of 128 bits; and the even or the odd parts, first of a, then of b */
#define PART (128 / REAL_BITS)
#define PARTS (VL / PART)
#define PART_LOW(i) ((i) % 2 * VL + (i) / PART * PART + (i) % PART / 2)
#define PART_HIGH(i) (PART_LOW(i) + PART / 2)
#define EVEN_PARTS(i) ((i) / (VL / 2) * VL + (i) % (VL / 2) / PART * 2 * PART + (i) % PART)
#define ODD_PARTS(i) (EVEN_PARTS(i) + PART)
SHUFFLED(v_part_low, PART_LOW)
SHUFFLED(v_part_high, PART_HIGH)
#if PARTS > 1
SHUFFLED(v_even_parts, EVEN_PARTS)
SHUFFLED(v_odd_parts, ODD_PARTS)
#else
INLINE vec v_even_parts(vec a, vec b) { (void)b; return a; }
INLINE vec v_odd_parts(vec a, vec b) { (void)a; return b; }
#endif

/* lane j of row i becomes lane i of row j: by perfect shuffles within the parts of 128 bits,
 * then by those of whole parts, which are cheaper than shuffles of all numbers (8 x 8 numbers,
 * Zen 4, avx2: 5.9 -> 3.3 ns) */
INLINE void v_transpose(vec row[VL])
{
    vec t[VL];
    UNROLL for (int n = 1; n < PART; n *= 2) {
        UNROLL for (int i = 0; i < VL / 2; i++) {
            const int first = i / (PART / 2) * PART, j = i % (PART / 2);
            vec a = row[first + j], b = row[first + j + PART / 2];
            t[first + 2 * j] = v_part_low(a, b);
            t[first + 2 * j + 1] = v_part_high(a, b);
        }
        UNROLL for (int i = 0; i < VL; i++) row[i] = t[i];
    }
    UNROLL for (int n = 1; n < PARTS; n *= 2) {
        UNROLL for (int i = 0; i < VL / 2; i++) {
            const int pair = i / PART, j = i % PART;
            vec a = row[2 * pair * PART + j], b = row[(2 * pair + 1) * PART + j];
            t[pair * PART + j] = v_even_parts(a, b);
            t[(pair + PARTS / 2) * PART + j] = v_odd_parts(a, b);
        }
        UNROLL for (int i = 0; i < VL; i++) row[i] = t[i];
    }
}
#else
INLINE vec v_zip_low(vec a, vec b) { (void)b; return a; }
INLINE vec v_zip_high(vec a, vec b) { (void)a; return b; }
INLINE void v_transpose(vec row[VL]) { (void)row; }
#endif

#if VL > 1
INLINE real v_first(vec x) { return x[0]; }
#else
INLINE real v_first(vec x) { return x; }
#endif

/* lanes folded in a fixed tree, so that the bits depend on the level alone */
INLINE real v_sum(vec x)
{
    UNROLL for (int round = 0; round < VL_LOG2; round++) x = v_zip_low(x, x) + v_zip_high(x, x);
    return v_first(x);
}

/* v_sum of each of VL vectors, with the same bits; overwrites them */
INLINE vec v_sums(vec row[VL])
{
    UNROLL for (int half = VL / 2; half >= 1; half /= 2)
        UNROLL for (int i = 0; i < half; i++)
            row[i] = v_zip_low(row[i], row[i + half]) + v_zip_high(row[i], row[i + half]);
    return row[0];
}

/* n numbers by vectors: BLOCK(nv, left) for the `left` numbers from c on, in nv vectors */
#define V_BLOCKS(n, BLOCK)                                       \
    do {                                                         \
        long c = 0;                                              \
        for (; c + 4 * VL <= (n); c += 4 * VL) BLOCK(4, 4 * VL); \
        for (; c + VL <= (n); c += VL) BLOCK(1, VL);             \
        if (c < (n)) BLOCK(1, (n) - c);                          \
    } while (0)

#endif
