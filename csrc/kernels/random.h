/* Random numbers by counter: Philox4x32-10 (Salmon et al., Parallel random numbers:
 * as easy as 1, 2, 3, SC 2011), keyed by the seed; the counter is (block, call).
 *
 * A number depends on seed, call and its position alone, so any part of an array
 * can be drawn by any thread, and drawn again. LANES blocks of four 32-bit words
 * are computed side by side and make a group of consecutive elements: words w of
 * blocks 0..LANES-1, then words w + 1. An element of type float, and one of a
 * mask, takes a word; a double and an integer take two. `first`, where a call
 * begins, is a multiple of 4 * LANES. Called by _kernels/random.pyx. */

enum { LANES = 64, REAL_SLOTS = 128 / REAL_BITS, WIDE_SLOTS = 2 };

typedef uint32_t random_words[4][LANES];

/* a word is the low half of a 64-bit lane; what lies above it is left as it comes */
static void philox(const random_stream *s, uint64_t block, random_words word)
{
    const wide factor0 = w_set1(0xD2511F53u), factor2 = w_set1(0xCD9E8D57u);
    wide key0[10], key1[10];
    uint64_t index[LANES];
    for (int l = 0; l < LANES; l++) index[l] = block + (uint64_t)l;
    for (int round = 0; round < 10; round++) {
        key0[round] = w_set1((uint32_t)s->seed + (uint32_t)round * 0x9E3779B9u);
        key1[round] = w_set1((uint32_t)(s->seed >> 32) + (uint32_t)round * 0xBB67AE85u);
    }
    for (int l = 0; l < LANES; l += WIDE_VL) {
        wide c0 = w_load(index + l), c1 = w_high(c0);
        wide c2 = w_set1(s->call), c3 = w_high(c2);
        UNROLL for (int round = 0; round < 10; round++) {
            wide p0 = w_mul(c0, factor0), p2 = w_mul(c2, factor2);
            c0 = w_high(p2) ^ c1 ^ key0[round];
            c2 = w_high(p0) ^ c3 ^ key1[round];
            c1 = p2;
            c3 = p0;
        }
        w_store_low(word[0] + l, c0);
        w_store_low(word[1] + l, c1);
        w_store_low(word[2] + l, c2);
        w_store_low(word[3] + l, c3);
    }
}

/* slot j as reals in [0, 1), of 24 or 53 random bits */
INLINE void uniform_slot(random_words word, int j, real *u)
{
    for (int l = 0; l < LANES; l++) {
#if REAL_BITS == 32
        u[l] = (float)(int32_t)(word[j][l] >> 8) * 0x1p-24f;
#else
        int32_t high = (int32_t)(word[2 * j][l] >> 5), low = (int32_t)(word[2 * j + 1][l] >> 6);
        u[l] = (high * 0x1p26 + low) * 0x1p-53;
#endif
    }
}

/* slot j as reals in (0, 1], for a logarithm: down to 2^-32 or 2^-53 */
INLINE void positive_slot(random_words word, int j, real *u)
{
#if REAL_BITS == 32
    for (int l = 0; l < LANES; l++)
        u[l] = ((float)(int32_t)(word[j][l] >> 1) + 0.5f) * 0x1p-31f;
#else
    uniform_slot(word, j, u);
    for (int l = 0; l < LANES; l++) u[l] = 1 - u[l];
#endif
}

/* y[i] in [low, high) */
static void random_uniform(const random_stream *s, long first, long n, double low, double high,
                           void *y_)
{
    const real last = REAL_FN(nextafter)((real)high, (real)low);
    random_words word;
    real u[LANES], *y = y_;
    for (long i = 0; i < n; i += REAL_SLOTS * LANES) {
        philox(s, (uint64_t)(first + i) / REAL_SLOTS, word);
        for (int j = 0; j < REAL_SLOTS; j++) {
            uniform_slot(word, j, u);
            for (long l = 0, at = i + j * LANES; l < LANES && at < n; l += VL, at += VL) {
                vec x = v_fma(v_load(u + l), v_set1((real)(high - low)), v_set1((real)low));
                v_store_n(y + at, v_min(x, v_set1(last)), n - at);
            }
        }
    }
}

/* Box and Muller: slots j and j + 1 make two normal numbers */
static void random_normal(const random_stream *s, long first, long n, double mean, double std,
                          void *y_)
{
    random_words word;
    real u[LANES], angle[LANES], *y = y_;
    for (long i = 0; i < n; i += REAL_SLOTS * LANES) {
        philox(s, (uint64_t)(first + i) / REAL_SLOTS, word);
        for (int j = 0; j < REAL_SLOTS; j += 2) {
            positive_slot(word, j, u);
            uniform_slot(word, j + 1, angle);
            for (long l = 0, at = i + j * LANES; l < LANES && at < n; l += VL, at += VL) {
                vec radius = v_sqrt(v_set1(-2) * v_log(v_load(u + l))) * v_set1((real)std);
                vec sine, cosine;
                v_sincos_2pi(v_load(angle + l), &sine, &cosine);
                v_store_n(y + at, v_fma(radius, cosine, v_set1((real)mean)), n - at);
                v_store_n(y + at + LANES, v_fma(radius, sine, v_set1((real)mean)), n - at - LANES);
            }
        }
    }
}

/* y[i] = 1 with probability p[i], else 0 */
static int random_bernoulli(const random_stream *s, long first, long n, const void *p_, void *y_)
{
    const real *p = p_;
    random_words word;
    real u[LANES], *y = y_;
    vec inside = v_set1(1);
    for (long i = 0; i < n; i += REAL_SLOTS * LANES) {
        philox(s, (uint64_t)(first + i) / REAL_SLOTS, word);
        for (int j = 0; j < REAL_SLOTS; j++) {
            uniform_slot(word, j, u);
            for (long l = 0, at = i + j * LANES; l < LANES && at < n; l += VL, at += VL) {
                vec chance = v_load_n(p + at, n - at);
                mask hit = v_lt(v_load(u + l), chance);
                v_store_n(y + at, v_select(hit, v_set1(1), v_zero()), n - at);
                mask valid = m_and(v_le(v_zero(), chance), v_le(chance, v_set1(1)));
                inside = v_select(valid, inside, v_zero());
            }
        }
    }
    return v_sum(inside) == VL;
}

/* y[i] = x[i] * scale + shift, or `dropped` with probability threshold / 2^32 */
static void random_dropout(const random_stream *s, long first, long n, const dropout_rule *rule,
                           const void *x_, void *y_)
{
    const uint32_t threshold = rule->threshold;
    const real scale = (real)rule->scale, shift = (real)rule->shift;
    const real dropped = (real)rule->dropped, *x = x_;
    random_words word;
    real *y = y_;
    for (long i = 0; i < n; i += 4 * LANES) {
        philox(s, (uint64_t)(first + i) / 4, word);
        for (int w = 0; w < 4; w++) {
            long at = i + w * LANES, count = at_most(n - at, LANES);
            for (long l = 0; l < count; l++) {
                real kept = x[at + l] * scale + shift;
                y[at + l] = word[w][l] >= threshold ? kept : dropped;
            }
        }
    }
}

/* y[i] = a[i] where x[i] > 0, elsewhere a[i] times a slope in [low, high) */
static void random_rrelu(const random_stream *s, long first, long n, double low, double high,
                         const void *x_, const void *a_, void *y_)
{
    const real *x = x_, *a = a_;
    random_words word;
    real u[LANES], *y = y_;
    for (long i = 0; i < n; i += REAL_SLOTS * LANES) {
        philox(s, (uint64_t)(first + i) / REAL_SLOTS, word);
        for (int j = 0; j < REAL_SLOTS; j++) {
            uniform_slot(word, j, u);
            for (long l = 0, at = i + j * LANES; l < LANES && at < n; l += VL, at += VL) {
                vec slope = v_fma(v_load(u + l), v_set1((real)(high - low)), v_set1((real)low));
                vec v = v_load_n(a + at, n - at);
                v = v_select(v_le(v_load_n(x + at, n - at), v_zero()), v * slope, v);
                v_store_n(y + at, v, n - at);
            }
        }
    }
}

/* y[i] = low + a whole number below range (0: below 2^64), all equally likely to 2^-64 */
static void random_integers(const random_stream *s, long first, long n, int64_t low,
                            uint64_t range, int64_t *y)
{
    random_words word;
    for (long i = 0; i < n; i += WIDE_SLOTS * LANES) {
        philox(s, (uint64_t)(first + i) / WIDE_SLOTS, word);
        for (int j = 0; j < WIDE_SLOTS; j++) {
            long at = i + j * LANES, count = at_most(n - at, LANES);
            for (long l = 0; l < count; l++) {
                uint64_t bits = (uint64_t)word[2 * j][l] << 32 | word[2 * j + 1][l];
                if (range) bits = (uint64_t)((unsigned __int128)bits * range >> 64);
                y[at + l] = (int64_t)((uint64_t)low + bits);
            }
        }
    }
}

#define RANDOM_ROWS                       \
    .random_uniform = random_uniform,     \
    .random_normal = random_normal,       \
    .random_bernoulli = random_bernoulli, \
    .random_dropout = random_dropout,     \
    .random_rrelu = random_rrelu,         \
    .random_integers = random_integers,
