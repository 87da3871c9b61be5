/* The register tile that matrix multiply, convolution and recurrence are made of.
 *
 *   C[MR x W*VL] (+)= sum_b sum_k  A[i, k] * B[k, j]
 *
 * A is broadcast number by number through general strides, so A, A transposed,
 * pixels and overlapping windows need no copy; rows of B are vectors. Each
 * element of C is one chain of fused multiply-adds in ascending (b, k): tiles of
 * every size, and sums cut into blocks of k, give the same bits.
 * Called by _kernels/gemm.pyx, conv.pyx and rnn.pyx. */

#if REAL_BITS == 32 && VL > 1
#define GEMM_UNROLL _Pragma("GCC unroll 2")
#else
#define GEMM_UNROLL /* the wheel stays small */
#endif

INLINE void gemm_tile(const int MR, const int W, const int tail, const gemm_tile_args *t)
{
    const long last = t->n - (W - 1) * VL; /* columns in the last vector */
    assert(0 < last && last <= VL && t->k >= 0 && t->batches >= 0);
    vec acc[GEMM_MR_MAX][GEMM_WIDTHS];

    real *c = t->c;
    if (t->accumulate) {
        UNROLL for (int i = 0; i < MR; i++)
            UNROLL for (int w = 0; w < W; w++) {
                const real *p = c + i * t->c_row + w * VL;
                acc[i][w] = tail && w == W - 1 ? v_load_n(p, last) : v_load(p);
            }
    } else {
        UNROLL for (int i = 0; i < MR; i++)
            UNROLL for (int w = 0; w < W; w++) acc[i][w] = v_zero();
    }

    const long row = t->a_row, a_k = t->a_k, b_k = t->b_k;
    for (long batch = 0; batch < t->batches; batch++) {
        const real *a[(GEMM_MR_MAX + 2) / 3]; /* one pointer for three rows spares registers */
        UNROLL for (int g = 0; g < (MR + 2) / 3; g++)
            a[g] = (const real *)t->a + batch * t->a_batch + 3 * g * row;
        const real *b = (const real *)t->b + batch * t->b_batch;
        /* twice, and one prefetch a cache line: beside a busy sibling thread the instructions
         * that are no arithmetic decide (6x2 tiles, Zen 3, avx2: 66 -> 75 GFLOP/s) */
        GEMM_UNROLL for (long k = 0; k < t->k; k++) {
            vec bv[GEMM_WIDTHS];
            UNROLL for (int w = 0; w < W; w++)
                bv[w] = tail && w == W - 1 ? v_load_n(b + w * VL, last) : v_load(b + w * VL);
            /* rows ahead: B in place beyond the second-level cache gains 30 % (64x1024x1024:
             * 115 -> 150 GFLOP/s, Xeon avx512); tiles one vector wide are bound by loads */
            if (W > 1)
                UNROLL for (int w = 0; w < W; w++)
                    if (w * sizeof(vec) % 64 == 0) __builtin_prefetch(b + 12 * b_k + w * VL);
            UNROLL for (int i = 0; i < MR; i++) {
                vec av = v_set1(a[i / 3][i % 3 * row]);
                UNROLL for (int w = 0; w < W; w++) acc[i][w] = v_fma(av, bv[w], acc[i][w]);
            }
            UNROLL for (int g = 0; g < (MR + 2) / 3; g++) a[g] += a_k;
            b += b_k;
        }
    }

    const epilogue *e = &t->after;
    if (e->bias) {
        UNROLL for (int w = 0; w < W; w++) {
            const real *p = (const real *)e->bias + w * VL;
            vec bias = tail && w == W - 1 ? v_load_n(p, last) : v_load(p);
            UNROLL for (int i = 0; i < MR; i++) acc[i][w] = acc[i][w] + bias;
        }
    }
    if (e->norm) {
        UNROLL for (int w = 0; w < W; w++) {
            const long n = tail && w == W - 1 ? last : VL;
            const real *p = (const real *)e->norm + w * VL;
            vec mean = v_load_n(p, n), scale = v_load_n(p + e->norm_row, n);
            vec shift = v_load_n(p + 2 * e->norm_row, n);
            UNROLL for (int i = 0; i < MR; i++)
                acc[i][w] = norm_value(0, acc[i][w] - mean, scale, shift);
        }
    }
    if (e->relu) {
        UNROLL for (int i = 0; i < MR; i++)
            UNROLL for (int w = 0; w < W; w++) acc[i][w] = v_max(v_zero(), acc[i][w]);
    }
    UNROLL for (int i = 0; i < MR; i++)
        UNROLL for (int w = 0; w < W; w++) {
            real *p = c + i * t->c_row + w * VL;
            if (tail && w == W - 1) v_store_n(p, acc[i][w], last);
            else v_store(p, acc[i][w]);
        }
}

#define GEMM_TILE(MR, W)                                            \
    static void gemm_tile_##MR##x##W(const gemm_tile_args *t)       \
    {                                                               \
        if (t->n == W * VL) gemm_tile(MR, W, 0, t);                 \
        else gemm_tile(MR, W, 1, t);                                \
    }

#define GEMM_EACH(W, LIMIT, DO)                                                          \
    GEMM_EACH_##LIMIT(W, DO)
#define GEMM_EACH_3(W, DO) DO(1, W) DO(2, W) DO(3, W)
#define GEMM_EACH_4(W, DO) GEMM_EACH_3(W, DO) DO(4, W)
#define GEMM_EACH_6(W, DO) GEMM_EACH_4(W, DO) DO(5, W) DO(6, W)
#define GEMM_EACH_8(W, DO) GEMM_EACH_6(W, DO) DO(7, W) DO(8, W)
#define GEMM_EACH_12(W, DO) \
    GEMM_EACH_8(W, DO) DO(9, W) DO(10, W) DO(11, W) DO(12, W)
#define GEMM_EACH_14(W, DO) GEMM_EACH_12(W, DO) DO(13, W) DO(14, W)
#define GEMM_EACH_16(W, DO) GEMM_EACH_14(W, DO) DO(15, W) DO(16, W)
#define GEMM_EACH_EXPANDED(W, LIMIT, DO) GEMM_EACH(W, LIMIT, DO)

GEMM_EACH_EXPANDED(1, GEMM_MR1, GEMM_TILE)
GEMM_EACH_EXPANDED(2, GEMM_MR2, GEMM_TILE)
GEMM_EACH_EXPANDED(3, GEMM_MR3, GEMM_TILE)
GEMM_EACH_EXPANDED(4, GEMM_MR4, GEMM_TILE)

/* dst[i * nr + j] = src[i + j * sj] for i < k, j < cols; zero for cols <= j < nr */
INLINE void gemm_pack_transposed(const real *src, long sj, real *dst, long k, long cols, long nr)
{
    for (long i = 0; i < k; i += VL)
        for (long j = 0; j < nr; j += VL) {
            const real *from = src + i + j * sj;
            real *to = dst + i * nr + j;
            vec row[VL];
            if (i + VL <= k && j + VL <= cols) {
                UNROLL for (int l = 0; l < VL; l++) row[l] = v_load(from + l * sj);
            } else {
                UNROLL for (int l = 0; l < VL; l++)
                    row[l] = j + l < cols ? v_load_n(from + l * sj, k - i) : v_zero();
            }
            v_transpose(row);
            if (i + VL <= k && j + VL <= nr) {
                UNROLL for (int l = 0; l < VL; l++) v_store(to + l * nr, row[l]);
            } else {
                UNROLL for (int l = 0; l < VL; l++)
                    if (i + l < k) v_store_n(to + l * nr, row[l], nr - j);
            }
        }
}

/* dst[i * nr + j] = src[i * si + j] for i < k, j < cols; zero for cols <= j < nr */
INLINE void gemm_pack_rows(const real *src, long si, real *dst, long k, long cols, long nr)
{
    if (cols == 2 * VL && nr == cols) {
        for (long i = 0; i < k; i++, src += si, dst += 2 * VL) {
            v_store(dst, v_load(src));
            v_store(dst + VL, v_load(src + VL));
        }
        return;
    }
    long i = 0;
    /* in whole vectors: what a row reads too much is the next one's, which overwrites the rest */
    if (cols == nr && 2 * nr >= VL && nr + VL <= si)
        for (; i + 2 < k; i++, src += si, dst += nr)
            for (long j = 0; j < nr; j += VL) v_store(dst + j, v_load(src + j));
    for (; i < k; i++, src += si, dst += nr)
        for (long j = 0; j < nr; j += VL) v_store_n(dst + j, v_load_n(src + j, cols - j), nr - j);
}

static void gemm_pack(const void *src_, long si, long sj, void *dst_, long k, long n, long nr)
{
    for (long j0 = 0; j0 < n; j0 += nr) {
        const real *src = (const real *)src_ + j0 * sj;
        real *dst = (real *)dst_ + j0 * k;
        long cols = at_most(n - j0, nr);
        if (sj == 1) gemm_pack_rows(src, si, dst, k, cols, nr);
        else if (si == 1) gemm_pack_transposed(src, sj, dst, k, cols, nr);
        else
            for (long i = 0; i < k; i++)
                for (long j = 0; j < nr; j++) dst[i * nr + j] = j < cols ? src[i * si + j * sj] : 0;
    }
}

#define GEMM_ENTRY(MR, W) [MR] = gemm_tile_##MR##x##W,
#define GEMM_ROWS                                              \
    .gemm_rows = {0, GEMM_MR1, GEMM_MR2, GEMM_MR3, GEMM_MR4},  \
    .gemm_tile = {                                             \
        {0},                                                   \
        {GEMM_EACH_EXPANDED(1, GEMM_MR1, GEMM_ENTRY)},         \
        {GEMM_EACH_EXPANDED(2, GEMM_MR2, GEMM_ENTRY)},         \
        {GEMM_EACH_EXPANDED(3, GEMM_MR3, GEMM_ENTRY)},         \
        {GEMM_EACH_EXPANDED(4, GEMM_MR4, GEMM_ENTRY)},         \
    },                                                         \
    .gemm_pack = gemm_pack,
