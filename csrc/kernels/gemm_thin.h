/* Matrix products with few rows, where packing B would cost more than it saves.
 *
 *   gemm_dot      C[i, j] (+)= sum_k A[i, k] B[k, j], k contiguous in A and in B: each
 *                 element is VL running sums along k, folded at the end in a fixed tree
 *   gemm_columns  one row, columns of B contiguous: B is read row by row, eight rows at
 *                 a time, as long streams; each element is one chain in ascending k
 *
 * Both end with an epilogue.
 * Called by _kernels/gemm_thin.pyx. */

enum { DOT_SUMS = 16 }; /* most running sums of a tile */

/* stores the sums of the lanes of count vectors; sums has room for a multiple of VL */
INLINE void fold_lanes(const int count, vec *x, real *sums)
{
    UNROLL for (int g = 0; g < count; g += VL) {
        vec t[VL];
        UNROLL for (int l = 0; l < VL; l++) t[l] = g + l < count ? x[g + l] : v_zero();
        UNROLL for (int level = 1; level <= VL_LOG2; level++)
            UNROLL for (int l = 0; l < VL >> level; l++) {
                const int other = l + (VL >> level);
                t[l] = v_zip_low(t[l], t[other]) + v_zip_high(t[l], t[other]);
            }
        v_store(sums + g, t[0]);
    }
}

INLINE void gemm_dot_finish(const gemm_thin_args *t, long i, long j, real sum)
{
    real *c = (real *)t->c + i * t->c_row + j * t->c_col;
    if (t->accumulate) sum += *c;
    *c = epilogue_one(&t->after, sum, j * t->after_col);
}

INLINE void gemm_dot_tile(const int MR, const int NR, const gemm_thin_args *t, long i, long j)
{
    const real *a = (const real *)t->a + i * t->a_row;
    const real *b = (const real *)t->b + j * t->b_col;
    const long k = t->k, whole = k / VL * VL;
    vec acc[DOT_SUMS];
    UNROLL for (int s = 0; s < MR * NR; s++) acc[s] = v_zero();
    for (long p = 0; p < whole; p += VL) {
        vec bv[8];
        UNROLL for (int c = 0; c < NR; c++) bv[c] = v_load(b + c * t->b_col + p);
        UNROLL for (int r = 0; r < MR; r++) {
            vec av = v_load(a + r * t->a_row + p);
            UNROLL for (int c = 0; c < NR; c++) acc[r * NR + c] = v_fma(av, bv[c], acc[r * NR + c]);
        }
    }
    if (whole < k) {
        UNROLL for (int r = 0; r < MR; r++) {
            vec av = v_load_n(a + r * t->a_row + whole, k - whole);
            UNROLL for (int c = 0; c < NR; c++) {
                vec bv = v_load_n(b + c * t->b_col + whole, k - whole);
                acc[r * NR + c] = v_fma(av, bv, acc[r * NR + c]);
            }
        }
    }
    real sums[DOT_SUMS];
    fold_lanes(MR * NR, acc, sums);
    for (int r = 0; r < MR; r++)
        for (int c = 0; c < NR; c++) gemm_dot_finish(t, i + r, j + c, sums[r * NR + c]);
}

/* a single element: eight sums side by side hide the latency of the multiply-add */
INLINE void gemm_dot_one(const gemm_thin_args *t, long i, long j)
{
    const real *a = (const real *)t->a + i * t->a_row;
    const real *b = (const real *)t->b + j * t->b_col;
    const long k = t->k;
    long p = 0;
    vec acc[8];
    UNROLL for (int s = 0; s < 8; s++) acc[s] = v_zero();
    for (; p + 8 * VL <= k; p += 8 * VL)
        UNROLL for (int s = 0; s < 8; s++)
            acc[s] = v_fma(v_load(a + p + s * VL), v_load(b + p + s * VL), acc[s]);
    for (; p < k; p += VL) acc[0] = v_fma(v_load_n(a + p, k - p), v_load_n(b + p, k - p), acc[0]);
    UNROLL for (int half = 4; half > 0; half /= 2)
        UNROLL for (int s = 0; s < half; s++) acc[s] = acc[s] + acc[s + half];
    gemm_dot_finish(t, i, j, v_sum(acc[0]));
}

static void gemm_dot(const gemm_thin_args *t)
{
    const long m = t->m, n = t->n;
    long j = 0, i;
    if (m == 1)
        for (; j + 8 <= n; j += 8) gemm_dot_tile(1, 8, t, 0, j);
    else
        for (; j + DOT_NR <= n; j += DOT_NR) {
            for (i = 0; i + 4 <= m; i += 4) gemm_dot_tile(4, DOT_NR, t, i, j);
            if (i + 2 <= m) {
                gemm_dot_tile(2, DOT_NR, t, i, j);
                i += 2;
            }
            if (i < m) gemm_dot_tile(1, DOT_NR, t, i, j);
        }
    for (; j < n; j++) {
        for (i = 0; i + 4 <= m; i += 4) gemm_dot_tile(4, 1, t, i, j);
        for (; i < m; i++) gemm_dot_one(t, i, j);
    }
}

/* C += rows k .. k + KR of B, weighted; the first of them starts C, the last finishes it */
INLINE void gemm_columns_step(const int KR, const gemm_thin_args *t, long k)
{
    const real *a = (const real *)t->a + k * t->a_k;
    const real *b = (const real *)t->b + k * t->b_k;
    const int fresh = k == 0 && !t->accumulate, final = k + KR == t->k;
    real *c = t->c;
    vec av[8];
    UNROLL for (int r = 0; r < KR; r++) av[r] = v_set1(a[r * t->a_k]);
    for (long j = 0; j < t->n; j += VL) {
        const long left = t->n - j;
        vec acc = fresh ? v_zero() : v_load_n(c + j, left);
        UNROLL for (int r = 0; r < KR; r++)
            acc = v_fma(av[r], v_load_n(b + r * t->b_k + j, left), acc);
        if (final) acc = epilogue_all(&t->after, acc, j, left, t->after_col);
        v_store_n(c + j, acc, left);
    }
}

static void gemm_columns(const gemm_thin_args *t)
{
    long k = 0;
    for (; k + 8 <= t->k; k += 8) gemm_columns_step(8, t, k);
    if (k + 4 <= t->k) {
        gemm_columns_step(4, t, k);
        k += 4;
    }
    for (; k < t->k; k++) gemm_columns_step(1, t, k);
}

#define GEMM_THIN_ROWS .gemm_dot = gemm_dot, .gemm_columns = gemm_columns,
