/* Instruction-set level "avx2" (x86-64-v3): 256-bit vectors, masks are vectors. */
#include <immintrin.h>

#define ISA_NAME "avx2"
#define VL (256 / REAL_BITS)

#if REAL_BITS == 32
typedef __m256 vec;
#define V(op) _mm256_##op##_ps
#define I(op) _mm256_##op##_epi32
#define AS_INT _mm256_castps_si256
#define AS_REAL _mm256_castsi256_ps
#else
typedef __m256d vec;
#define V(op) _mm256_##op##_pd
#define I(op) _mm256_##op##_epi64
#define AS_INT _mm256_castpd_si256
#define AS_REAL _mm256_castsi256_pd
#endif
typedef __m256i veci;
typedef __m256i mask;
typedef intr lanes __attribute__((vector_size(32), may_alias));

#define GEMM_MR1 12
#define GEMM_MR2 6
#define GEMM_MR3 4
#define GEMM_MR4 3
#define DOT_NR 2

static inline mask m_tail(long n)
{
    static const intr window[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
    long lanes_on = n >= VL ? VL : (n > 0 ? n : 0);
    return _mm256_loadu_si256((const __m256i *)(window + 8 - lanes_on));
}

static inline vec v_load(const real *p) { return V(loadu)(p); }
static inline void v_store(real *p, vec x) { V(storeu)(p, x); }
/* a masked store of a whole vector is slow on some CPUs: masks are for true tails only */
static inline vec v_load_n(const real *p, long n)
{
    return n >= VL ? v_load(p) : V(maskload)(p, m_tail(n));
}
static inline void v_store_n(real *p, vec x, long n)
{
    if (n >= VL) v_store(p, x);
    else V(maskstore)(p, m_tail(n), x);
}
static inline vec v_set1(real x) { return V(set1)(x); }
static inline vec v_fma(vec a, vec b, vec c) { return V(fmadd)(a, b, c); }
static inline vec v_fnma(vec a, vec b, vec c) { return V(fnmadd)(a, b, c); }
static inline vec v_min(vec a, vec b) { return V(min)(a, b); }
static inline vec v_max(vec a, vec b) { return V(max)(a, b); }
static inline vec v_sqrt(vec x) { return V(sqrt)(x); }
static inline vec v_round(vec x)
{
    return V(round)(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline mask v_lt(vec a, vec b) { return AS_INT(V(cmp)(a, b, _CMP_LT_OQ)); }
static inline mask v_le(vec a, vec b) { return AS_INT(V(cmp)(a, b, _CMP_LE_OQ)); }
static inline mask v_eq(vec a, vec b) { return AS_INT(V(cmp)(a, b, _CMP_EQ_OQ)); }
static inline mask v_unordered(vec a, vec b) { return AS_INT(V(cmp)(a, b, _CMP_UNORD_Q)); }
static inline mask m_and(mask a, mask b) { return _mm256_and_si256(a, b); }
static inline mask m_or(mask a, mask b) { return _mm256_or_si256(a, b); }
static inline mask m_not(mask a) { return _mm256_xor_si256(a, _mm256_set1_epi8(-1)); }
static inline vec v_select(mask m, vec a, vec b) { return V(blendv)(b, a, AS_REAL(m)); }

static inline veci i_select(mask m, veci a, veci b) { return _mm256_blendv_epi8(b, a, m); }
static inline mask i_eq(veci a, veci b) { return I(cmpeq)(a, b); }
static inline veci v_as_int(vec x) { return AS_INT(x); }
static inline vec v_as_real(veci i) { return AS_REAL(i); }
static inline veci i_add(veci a, veci b) { return I(add)(a, b); }
static inline veci i_sub(veci a, veci b) { return I(sub)(a, b); }
static inline veci i_shl(veci i, int s) { return I(sll)(i, _mm_cvtsi32_si128(s)); }
static inline veci i_shr(veci i, int s) { return (veci)((lanes)i >> s); }

/* n bytes (n <= VL) as the low lanes of a register, without touching the byte after them */
static inline __m128i bytes_load(const uint8_t *p, long n)
{
    uint64_t word = 0;
    memcpy(&word, p, n < 0 ? 0 : n > VL ? VL : n);
    return _mm_cvtsi64_si128((long long)word);
}
static inline void bytes_store(uint8_t *p, uint64_t word, long n)
{
    memcpy(p, &word, n < 0 ? 0 : n > VL ? VL : n);
}

#if REAL_BITS == 32
static inline veci i_set1(intr x) { return _mm256_set1_epi32(x); }
static inline veci v_to_int(vec x) { return _mm256_cvttps_epi32(x); }
static inline vec v_to_real(veci i) { return _mm256_cvtepi32_ps(i); }
static inline veci i_load_u8(const uint8_t *p, long n)
{
    return _mm256_cvtepu8_epi32(bytes_load(p, n));
}
static inline veci i_load_i32(const int32_t *p, long n)
{
    return _mm256_maskload_epi32(p, m_tail(n));
}
static inline void i_store_i32(int32_t *p, veci i, long n)
{
    _mm256_maskstore_epi32(p, m_tail(n), i);
}
static inline void i_store_u8(uint8_t *p, veci i, long n)
{
    __m128i low = _mm_packs_epi32(_mm256_castsi256_si128(i), _mm256_extracti128_si256(i, 1));
    bytes_store(p, (uint64_t)_mm_cvtsi128_si64(_mm_packus_epi16(low, low)), n);
}
#else
static inline veci i_set1(intr x) { return _mm256_set1_epi64x(x); }
static inline veci v_to_int(vec x)
{
    lanes r;
    for (int l = 0; l < VL; l++) r[l] = (intr)x[l];
    return (veci)r;
}
static inline vec v_to_real(veci i)
{
    vec r = v_set1(0);
    for (int l = 0; l < VL; l++) r[l] = (real)((lanes)i)[l];
    return r;
}
static inline veci i_load_u8(const uint8_t *p, long n)
{
    return _mm256_cvtepu8_epi64(bytes_load(p, n));
}
static inline veci i_load_i32(const int32_t *p, long n)
{
    lanes r;
    for (int l = 0; l < VL; l++) r[l] = l < n ? p[l] : 0;
    return (veci)r;
}
static inline void i_store_i32(int32_t *p, veci i, long n)
{
    for (int l = 0; l < VL && l < n; l++) p[l] = (int32_t)((lanes)i)[l];
}
static inline void i_store_u8(uint8_t *p, veci i, long n)
{
    for (int l = 0; l < VL && l < n; l++) p[l] = (uint8_t)((lanes)i)[l];
}
#endif
static inline mask m_load_u8(const uint8_t *p, long n)
{
    return m_not(i_eq(i_load_u8(p, n), i_set1(0)));
}
static inline void m_store_u8(uint8_t *p, mask m, long n)
{
    i_store_u8(p, _mm256_and_si256(m, i_set1(1)), n);
}

/* w_*: unsigned 64-bit lanes, for random bits; w_mul takes the low halves of its operands */
typedef __m256i wide;
#define WIDE_VL 4
static inline wide w_set1(uint64_t x) { return _mm256_set1_epi64x((long long)x); }
static inline wide w_load(const uint64_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
static inline wide w_mul(wide a, wide b) { return _mm256_mul_epu32(a, b); }
static inline wide w_high(wide a) { return _mm256_srli_epi64(a, 32); }
static inline void w_store_low(uint32_t *p, wide a)
{
    __m256i low = _mm256_permutevar8x32_epi32(a, _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6));
    _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(low));
}
