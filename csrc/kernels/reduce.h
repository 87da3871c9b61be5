/* Reductions of many rows to one number each, or of many columns.
 *
 *   rows:     y[i] = x[i, 0] o x[i, 1] o ... o x[i, n - 1]           for i < rows
 *   columns:  y[j] = x[0, j] o x[1, j] o ... o x[rows - 1, j]        for j < n
 *
 * with x[i, j] at x[i * row_step + j], and o one of sum, max, min and product, or
 * the sum of (x - shift)^2 or of (x == shift), with one shift for each y (NULL: 0).
 * The order of combination depends on n and rows alone: short chains in several
 * accumulators, joined in trees, so that sums stay accurate. Max and min give NaN
 * where there is one. Called by _kernels/reduce.pyx. */

enum {
    REDUCE_BLOCK = 256 * VL, /* of a row, before the accumulators are folded */
    REDUCE_STRIP = 512,      /* columns at a time; their accumulators stay in L1 */
    REDUCE_GROUP = 8,        /* rows joined in registers before memory is touched */
    REDUCE_TALL = 128,       /* rows joined before they are added to the total */
};

static const real reduce_lane[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

INLINE real reduce_identity(const int kind)
{
    if (kind == REDUCE_MAX) return -(real)INFINITY;
    if (kind == REDUCE_MIN) return (real)INFINITY;
    return kind == REDUCE_PROD;
}

INLINE vec reduce_take(const int kind, vec x, vec shift)
{
    if (kind == REDUCE_SQUARES) return (x - shift) * (x - shift);
    if (kind == REDUCE_COUNT) return v_select(v_eq(x, shift), v_set1(1), v_zero());
    return x;
}

INLINE vec reduce_join(const int kind, vec a, vec b)
{
    if (kind == REDUCE_MAX) return v_select(v_isnan(a), a, v_max(a, b));
    if (kind == REDUCE_MIN) return v_select(v_isnan(a), a, v_min(a, b));
    if (kind == REDUCE_PROD) return a * b;
    return a + b;
}

/* the last n < VL numbers of a row, identities in the lanes beyond */
INLINE vec reduce_tail(const int kind, const real *x, long n, vec shift)
{
    mask inside = v_lt(v_load(reduce_lane), v_set1((real)n));
    vec v = reduce_take(kind, v_load_n(x, n), shift);
    return v_select(inside, v, v_set1(reduce_identity(kind)));
}

/* n >= 1 numbers, at most REDUCE_BLOCK, to one vector */
INLINE vec reduce_block(const int kind, const real *x, long n, vec shift)
{
    vec acc[8];
    long j = VL;
    if (n < VL) return reduce_tail(kind, x, n, shift);
    acc[0] = reduce_take(kind, v_load(x), shift);
    if (n >= 8 * VL) {
        UNROLL for (int k = 1; k < 8; k++) acc[k] = reduce_take(kind, v_load(x + k * VL), shift);
        for (j = 8 * VL; j + 8 * VL <= n; j += 8 * VL)
            UNROLL for (int k = 0; k < 8; k++) {
                vec v = reduce_take(kind, v_load(x + j + k * VL), shift);
                acc[k] = reduce_join(kind, acc[k], v);
            }
        UNROLL for (int half = 4; half > 0; half /= 2)
            UNROLL for (int k = 0; k < half; k++) acc[k] = reduce_join(kind, acc[k], acc[k + half]);
    }
    for (; j + VL <= n; j += VL)
        acc[0] = reduce_join(kind, acc[0], reduce_take(kind, v_load(x + j), shift));
    return j < n ? reduce_join(kind, acc[0], reduce_tail(kind, x + j, n - j, shift)) : acc[0];
}

INLINE vec reduce_row(const int kind, const real *x, long n, real shift_)
{
    const vec shift = v_set1(shift_);
    vec partial[64], total = v_zero(); /* partial[l]: the join of 2^l blocks */
    long blocks = 0;
    if (n <= REDUCE_BLOCK) return reduce_block(kind, x, n, shift);
    for (long j = 0; j < n; j += REDUCE_BLOCK, blocks++) {
        vec v = reduce_block(kind, x + j, at_most(n - j, REDUCE_BLOCK), shift);
        int l = 0;
        for (long full = blocks; full & 1; full >>= 1) v = reduce_join(kind, partial[l++], v);
        partial[l] = v;
    }
    for (int l = 0, found = 0; blocks >> l; l++)
        if (blocks >> l & 1) {
            total = found ? reduce_join(kind, partial[l], total) : partial[l];
            found = 1;
        }
    return total;
}

/* low and high halves joined, those of a in the even and those of b in the odd lanes */
INLINE vec reduce_halve(const int kind, vec a, vec b)
{
    return reduce_join(kind, v_zip_low(a, b), v_zip_high(a, b));
}

/* all lanes joined to one number */
INLINE real reduce_fold(const int kind, vec x)
{
    UNROLL for (int round = 0; round < VL_LOG2; round++) x = reduce_halve(kind, x, x);
    return v_first(x);
}

/* VL rows are folded together, each by the tree of reduce_fold: lane i is the fold of row[i] */
INLINE vec reduce_fold_rows(const int kind, vec row[VL])
{
    UNROLL for (int half = VL / 2; half > 0; half /= 2)
        UNROLL for (int i = 0; i < half; i++) row[i] = reduce_halve(kind, row[i], row[i + half]);
    return row[0];
}

INLINE void reduce_rows(const int kind, const real *x, long rows, long row_step, long n,
                        const real *shift, real *y)
{
    long i = 0;
    for (; i + VL <= rows; i += VL) {
        vec row[VL];
        for (int k = 0; k < VL; k++)
            row[k] = reduce_row(kind, x + (i + k) * row_step, n, shift ? shift[i + k] : 0);
        v_store(y + i, reduce_fold_rows(kind, row));
    }
    for (; i < rows; i++)
        y[i] = reduce_fold(kind, reduce_row(kind, x + i * row_step, n, shift ? shift[i] : 0));
}

/* `count` <= REDUCE_GROUP numbers of each of the VL columns at x, joined in a tree */
INLINE vec reduce_group(const int kind, const real *x, long row_step, long count, long cols,
                        vec shift)
{
    vec v[REDUCE_GROUP];
    if (count == REDUCE_GROUP) {
        UNROLL for (int k = 0; k < REDUCE_GROUP; k++)
            v[k] = reduce_take(kind, v_load_n(x + k * row_step, cols), shift);
        UNROLL for (int half = REDUCE_GROUP / 2; half > 0; half /= 2)
            UNROLL for (int k = 0; k < half; k++) v[k] = reduce_join(kind, v[k], v[k + half]);
        return v[0];
    }
    v[0] = reduce_take(kind, v_load_n(x, cols), shift);
    for (long k = 1; k < count; k++)
        v[0] = reduce_join(kind, v[0], reduce_take(kind, v_load_n(x + k * row_step, cols), shift));
    return v[0];
}

INLINE void reduce_strip(const int kind, const real *x, long rows, long row_step, long n,
                         const real *shift, real *y)
{
    real part[REDUCE_STRIP + 16], total[REDUCE_STRIP + 16];
    for (long i = 0; i < rows; i += REDUCE_GROUP) {
        long count = at_most(rows - i, REDUCE_GROUP), at = i % REDUCE_TALL;
        for (long j = 0; j < n; j += VL) {
            vec s = shift ? v_load_n(shift + j, n - j) : v_zero();
            vec v = reduce_group(kind, x + i * row_step + j, row_step, count, n - j, s);
            v_store(part + j, at ? reduce_join(kind, v_load(part + j), v) : v);
        }
        if (at + REDUCE_GROUP == REDUCE_TALL || i + REDUCE_GROUP >= rows)
            for (long j = 0; j < n; j += VL) {
                vec v = v_load(part + j);
                v_store(total + j, i >= REDUCE_TALL ? reduce_join(kind, v_load(total + j), v) : v);
            }
    }
    for (long j = 0; j < n; j += VL) v_store_n(y + j, v_load(total + j), n - j);
}

INLINE void reduce_columns(const int kind, const real *x, long rows, long row_step, long n,
                           const real *shift, real *y)
{
    for (long j = 0; j < n; j += REDUCE_STRIP)
        reduce_strip(kind, x + j, rows, row_step, at_most(n - j, REDUCE_STRIP),
                     shift ? shift + j : 0, y + j);
}

#define REDUCE(NAME, KIND)                                                                  \
    static void reduce_##NAME##_rows(const void *x, long rows, long row_step, long n,       \
                            const void *shift, void *y)                                     \
    {                                                                                       \
        reduce_rows(KIND, x, rows, row_step, n, shift, y);                                  \
    }                                                                                       \
    static void reduce_##NAME##_columns(const void *x, long rows, long row_step, long n,    \
                               const void *shift, void *y)                                  \
    {                                                                                       \
        reduce_columns(KIND, x, rows, row_step, n, shift, y);                               \
    }

REDUCE(sum, REDUCE_SUM)
REDUCE(max, REDUCE_MAX)
REDUCE(min, REDUCE_MIN)
REDUCE(prod, REDUCE_PROD)
REDUCE(squares, REDUCE_SQUARES)
REDUCE(count, REDUCE_COUNT)

#define REDUCE_ALL(SUFFIX)                                                \
    {reduce_sum_##SUFFIX,  reduce_max_##SUFFIX,     reduce_min_##SUFFIX,  \
     reduce_prod_##SUFFIX, reduce_squares_##SUFFIX, reduce_count_##SUFFIX}
#define REDUCE_ROWS                  \
    .reduce_rows = REDUCE_ALL(rows), \
    .reduce_columns = REDUCE_ALL(columns),
