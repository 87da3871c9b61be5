/* Instruction-set level "avx512" (x86-64-v4): 512-bit vectors, mask registers. */
#include <immintrin.h>

#define ISA_NAME "avx512"
#define VL (512 / REAL_BITS)

#if REAL_BITS == 32
typedef __m512 vec;
typedef __mmask16 mask;
#define V(op) _mm512_##op##_ps
#define I(op) _mm512_##op##_epi32
#define AS_INT _mm512_castps_si512
#define AS_REAL _mm512_castsi512_ps
#define TO_INT _mm512_cvttps_epi32
#define TO_REAL _mm512_cvtepi32_ps
#define COMPARE _mm512_cmp_ps_mask
#define I_COMPARE _mm512_cmp_epi32_mask
#else
typedef __m512d vec;
typedef __mmask8 mask;
#define V(op) _mm512_##op##_pd
#define I(op) _mm512_##op##_epi64
#define AS_INT _mm512_castpd_si512
#define AS_REAL _mm512_castsi512_pd
#define TO_INT _mm512_cvttpd_epi64
#define TO_REAL _mm512_cvtepi64_pd
#define COMPARE _mm512_cmp_pd_mask
#define I_COMPARE _mm512_cmp_epi64_mask
#endif
typedef __m512i veci;

#define GEMM_MR1 14
#define GEMM_MR2 14
#define GEMM_MR3 8
#define GEMM_MR4 6
#define DOT_NR 4

static inline mask m_tail(long n) { return (mask)(n >= VL ? ~0u : (1u << (n > 0 ? n : 0)) - 1u); }

static inline vec v_load(const real *p) { return V(loadu)(p); }
static inline void v_store(real *p, vec x) { V(storeu)(p, x); }
static inline vec v_load_n(const real *p, long n) { return V(maskz_loadu)(m_tail(n), p); }
static inline void v_store_n(real *p, vec x, long n) { V(mask_storeu)(p, m_tail(n), x); }
static inline vec v_set1(real x) { return V(set1)(x); }
static inline vec v_fma(vec a, vec b, vec c) { return V(fmadd)(a, b, c); }
static inline vec v_fnma(vec a, vec b, vec c) { return V(fnmadd)(a, b, c); }
static inline vec v_min(vec a, vec b) { return V(min)(a, b); }
static inline vec v_max(vec a, vec b) { return V(max)(a, b); }
static inline vec v_sqrt(vec x) { return V(sqrt)(x); }
static inline vec v_round(vec x)
{
    return V(roundscale)(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline mask v_lt(vec a, vec b) { return COMPARE(a, b, _CMP_LT_OQ); }
static inline mask v_le(vec a, vec b) { return COMPARE(a, b, _CMP_LE_OQ); }
static inline mask v_eq(vec a, vec b) { return COMPARE(a, b, _CMP_EQ_OQ); }
static inline mask v_unordered(vec a, vec b) { return COMPARE(a, b, _CMP_UNORD_Q); }
static inline mask m_and(mask a, mask b) { return a & b; }
static inline mask m_or(mask a, mask b) { return a | b; }
static inline mask m_not(mask a) { return (mask)~a; }
static inline vec v_select(mask m, vec a, vec b) { return V(mask_blend)(m, b, a); }

static inline veci i_set1(intr x) { return I(set1)(x); }
static inline veci i_select(mask m, veci a, veci b) { return I(mask_blend)(m, b, a); }
static inline mask i_eq(veci a, veci b) { return I_COMPARE(a, b, _MM_CMPINT_EQ); }
static inline veci v_as_int(vec x) { return AS_INT(x); }
static inline vec v_as_real(veci i) { return AS_REAL(i); }
static inline veci v_to_int(vec x) { return TO_INT(x); }
static inline vec v_to_real(veci i) { return TO_REAL(i); }
static inline veci i_add(veci a, veci b) { return I(add)(a, b); }
static inline veci i_sub(veci a, veci b) { return I(sub)(a, b); }
static inline veci i_shl(veci i, int s) { return I(sll)(i, _mm_cvtsi32_si128(s)); }
static inline veci i_shr(veci i, int s) { return I(sra)(i, _mm_cvtsi32_si128(s)); }

#define ISA_SCALES /* has the functions of simd.h that take numbers apart */
static inline vec v_scale(vec x, vec n) { return V(scalef)(x, n); }
static inline vec v_split(vec x, vec *k)
{
    vec m = V(getmant)(x, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_src);
    *k = V(getexp)(x) - V(getexp)(m);
    return m;
}

/* w_*: unsigned 64-bit lanes, for random bits; w_mul takes the low halves of its operands */
typedef __m512i wide;
#define WIDE_VL 8
static inline wide w_set1(uint64_t x) { return _mm512_set1_epi64((long long)x); }
static inline wide w_load(const uint64_t *p) { return _mm512_loadu_si512(p); }
static inline wide w_mul(wide a, wide b) { return _mm512_mul_epu32(a, b); }
static inline wide w_high(wide a) { return _mm512_srli_epi64(a, 32); }
static inline void w_store_low(uint32_t *p, wide a)
{
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi64_epi32(a));
}

#if REAL_BITS == 32
static inline veci i_load_u8(const uint8_t *p, long n)
{
    return _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(m_tail(n), p));
}
static inline veci i_load_i32(const int32_t *p, long n)
{
    return _mm512_maskz_loadu_epi32(m_tail(n), p);
}
static inline void i_store_u8(uint8_t *p, veci i, long n)
{
    _mm512_mask_cvtepi32_storeu_epi8(p, m_tail(n), i);
}
static inline void i_store_i32(int32_t *p, veci i, long n)
{
    _mm512_mask_storeu_epi32(p, m_tail(n), i);
}
#else
static inline veci i_load_u8(const uint8_t *p, long n)
{
    return _mm512_cvtepu8_epi64(_mm_maskz_loadu_epi8(m_tail(n), p));
}
static inline veci i_load_i32(const int32_t *p, long n)
{
    return _mm512_cvtepi32_epi64(_mm256_maskz_loadu_epi32(m_tail(n), p));
}
static inline void i_store_u8(uint8_t *p, veci i, long n)
{
    _mm512_mask_cvtepi64_storeu_epi8(p, m_tail(n), i);
}
static inline void i_store_i32(int32_t *p, veci i, long n)
{
    _mm512_mask_cvtepi64_storeu_epi32(p, m_tail(n), i);
}
#endif
static inline mask m_load_u8(const uint8_t *p, long n)
{
    __m128i bytes = _mm_maskz_loadu_epi8(m_tail(n), p);
    return (mask)_mm_mask_test_epi8_mask(m_tail(n), bytes, _mm_set1_epi8(-1));
}
static inline void m_store_u8(uint8_t *p, mask m, long n)
{
    _mm_mask_storeu_epi8(p, m_tail(n), _mm_maskz_set1_epi8(m, 1));
}
