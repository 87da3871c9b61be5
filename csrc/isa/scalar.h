/* Instruction-set level "scalar": one number per vector, plain C. It is the
 * specification that the other levels are tested against. */
#define ISA_NAME "scalar"
#define VL 1

typedef real vec;
typedef intr veci;
typedef int mask;

#define GEMM_MR1 4 /* rows of a register tile 1, 2, 3 and 4 vectors wide */
#define GEMM_MR2 4
#define GEMM_MR3 4
#define GEMM_MR4 4
#define DOT_NR 2

static inline vec v_load(const real *p) { return *p; }
static inline void v_store(real *p, vec x) { *p = x; }
static inline vec v_load_n(const real *p, long n) { return n > 0 ? *p : 0; }
static inline void v_store_n(real *p, vec x, long n) { if (n > 0) *p = x; }
static inline vec v_set1(real x) { return x; }
static inline vec v_fma(vec a, vec b, vec c) { return a * b + c; }
static inline vec v_fnma(vec a, vec b, vec c) { return c - a * b; }
static inline vec v_min(vec a, vec b) { return a < b ? a : b; }
static inline vec v_max(vec a, vec b) { return a > b ? a : b; }
static inline vec v_sqrt(vec x) { return REAL_FN(sqrt)(x); }
static inline vec v_round(vec x) { return REAL_FN(nearbyint)(x); }

static inline mask v_lt(vec a, vec b) { return a < b; }
static inline mask v_le(vec a, vec b) { return a <= b; }
static inline mask v_eq(vec a, vec b) { return a == b; }
static inline mask v_unordered(vec a, vec b) { return a != a || b != b; }
static inline mask m_and(mask a, mask b) { return a & b; }
static inline mask m_or(mask a, mask b) { return a | b; }
static inline mask m_not(mask a) { return !a; }
static inline vec v_select(mask m, vec a, vec b) { return m ? a : b; }

static inline veci i_set1(intr x) { return x; }
static inline veci i_select(mask m, veci a, veci b) { return m ? a : b; }
static inline mask i_eq(veci a, veci b) { return a == b; }
static inline veci v_as_int(vec x) { veci i; memcpy(&i, &x, sizeof i); return i; }
static inline vec v_as_real(veci i) { vec x; memcpy(&x, &i, sizeof x); return x; }
static inline veci v_to_int(vec x) { return (veci)x; }
static inline vec v_to_real(veci i) { return (vec)i; }
static inline veci i_add(veci a, veci b) { return (veci)((uintr)a + (uintr)b); }
static inline veci i_sub(veci a, veci b) { return (veci)((uintr)a - (uintr)b); }
static inline veci i_shl(veci i, int s) { return (veci)((uintr)i << s); }
static inline veci i_shr(veci i, int s) { return i >> s; }

static inline veci i_load_u8(const uint8_t *p, long n) { return n > 0 ? *p : 0; }
static inline veci i_load_i32(const int32_t *p, long n) { return n > 0 ? *p : 0; }
static inline void i_store_u8(uint8_t *p, veci i, long n) { if (n > 0) *p = (uint8_t)i; }
static inline void i_store_i32(int32_t *p, veci i, long n) { if (n > 0) *p = (int32_t)i; }
static inline mask m_load_u8(const uint8_t *p, long n) { return n > 0 && *p != 0; }
static inline void m_store_u8(uint8_t *p, mask m, long n) { if (n > 0) *p = m != 0; }

/* w_*: unsigned 64-bit lanes, for random bits; w_mul takes the low halves of its operands */
typedef uint64_t wide;
#define WIDE_VL 1
static inline wide w_set1(uint64_t x) { return x; }
static inline wide w_load(const uint64_t *p) { return *p; }
static inline wide w_mul(wide a, wide b) { return (uint64_t)(uint32_t)a * (uint32_t)b; }
static inline wide w_high(wide a) { return a >> 32; }
static inline void w_store_low(uint32_t *p, wide a) { *p = (uint32_t)a; }
