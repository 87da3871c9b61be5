/* Instruction-set level "neon" (arm64): 128-bit vectors. */
#include <arm_neon.h>

#define ISA_NAME "neon"
#define VL (128 / REAL_BITS)

#if REAL_BITS == 32
typedef float32x4_t vec;
typedef int32x4_t veci;
typedef uint32x4_t mask;
#define V(op) op##_f32
#else
typedef float64x2_t vec;
typedef int64x2_t veci;
typedef uint64x2_t mask;
#define V(op) op##_f64
#endif

#define GEMM_MR1 16
#define GEMM_MR2 12
#define GEMM_MR3 8
#define GEMM_MR4 6
#define DOT_NR 4

static inline vec v_load(const real *p) { return V(vld1q)(p); }
static inline void v_store(real *p, vec x) { V(vst1q)(p, x); }
static inline vec v_load_n(const real *p, long n)
{
    if (n >= VL) return v_load(p);
    vec r = {0};
    for (int l = 0; l < VL && l < n; l++) r[l] = p[l];
    return r;
}
static inline void v_store_n(real *p, vec x, long n)
{
    if (n >= VL) v_store(p, x);
    else for (int l = 0; l < VL && l < n; l++) p[l] = x[l];
}
static inline vec v_set1(real x) { return V(vdupq_n)(x); }
static inline vec v_fma(vec a, vec b, vec c) { return V(vfmaq)(c, a, b); }
static inline vec v_fnma(vec a, vec b, vec c) { return V(vfmsq)(c, a, b); }
/* as on x86, the second operand is returned where either is NaN */
static inline vec v_select(mask m, vec a, vec b) { return V(vbslq)(m, a, b); }
static inline vec v_min(vec a, vec b) { return v_select((mask)(a < b), a, b); }
static inline vec v_max(vec a, vec b) { return v_select((mask)(a > b), a, b); }
static inline vec v_sqrt(vec x) { return V(vsqrtq)(x); }
static inline vec v_round(vec x) { return V(vrndnq)(x); }

static inline mask v_lt(vec a, vec b) { return (mask)(a < b); }
static inline mask v_le(vec a, vec b) { return (mask)(a <= b); }
static inline mask v_eq(vec a, vec b) { return (mask)(a == b); }
static inline mask v_unordered(vec a, vec b) { return ~((mask)(a == a) & (mask)(b == b)); }
static inline mask m_and(mask a, mask b) { return a & b; }
static inline mask m_or(mask a, mask b) { return a | b; }
static inline mask m_not(mask a) { return ~a; }

static inline veci i_set1(intr x) { veci r = {0}; return r + x; }
static inline veci i_select(mask m, veci a, veci b)
{
    return (veci)((m & (mask)a) | (~m & (mask)b));
}
static inline mask i_eq(veci a, veci b) { return (mask)(a == b); }
static inline veci v_as_int(vec x) { return (veci)x; }
static inline vec v_as_real(veci i) { return (vec)i; }
static inline veci v_to_int(vec x) { return __builtin_convertvector(x, veci); }
static inline vec v_to_real(veci i) { return __builtin_convertvector(i, vec); }
static inline veci i_add(veci a, veci b) { return (veci)((mask)a + (mask)b); }
static inline veci i_sub(veci a, veci b) { return (veci)((mask)a - (mask)b); }
static inline veci i_shl(veci i, int s) { return i << s; }
static inline veci i_shr(veci i, int s) { return i >> s; }

static inline veci i_load_u8(const uint8_t *p, long n)
{
    veci r = {0};
    for (int l = 0; l < VL && l < n; l++) r[l] = p[l];
    return r;
}
static inline veci i_load_i32(const int32_t *p, long n)
{
    veci r = {0};
    for (int l = 0; l < VL && l < n; l++) r[l] = p[l];
    return r;
}
static inline void i_store_u8(uint8_t *p, veci i, long n)
{
    for (int l = 0; l < VL && l < n; l++) p[l] = (uint8_t)i[l];
}
static inline void i_store_i32(int32_t *p, veci i, long n)
{
    for (int l = 0; l < VL && l < n; l++) p[l] = (int32_t)i[l];
}
static inline mask m_load_u8(const uint8_t *p, long n) { return ~i_eq(i_load_u8(p, n), i_set1(0)); }
static inline void m_store_u8(uint8_t *p, mask m, long n)
{
    i_store_u8(p, (veci)(m & (mask)i_set1(1)), n);
}

/* w_*: unsigned 64-bit lanes, for random bits; w_mul takes the low halves of its operands */
typedef uint64x2_t wide;
#define WIDE_VL 2
static inline wide w_set1(uint64_t x) { return vdupq_n_u64(x); }
static inline wide w_load(const uint64_t *p) { return vld1q_u64(p); }
static inline wide w_mul(wide a, wide b) { return vmull_u32(vmovn_u64(a), vmovn_u64(b)); }
static inline wide w_high(wide a) { return vshrq_n_u64(a, 32); }
static inline void w_store_low(uint32_t *p, wide a) { vst1_u32(p, vmovn_u64(a)); }
