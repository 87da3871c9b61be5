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
    REDUCE_BLOCK = 4096, /* of a row, before the accumulators are folded */
    REDUCE_STRIP = 512,  /* columns at a time; their accumulators stay in L1 */
    REDUCE_GROUP = 8,    /* rows joined in registers before memory is touched */
    REDUCE_TALL = 128,   /* rows joined before they are added to the total */
    ARG_BLOCK = 1 << 20, /* positions counted exactly by a number of type real */
};

static const real reduce_lane[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

INLINE real reduce_identity(const int kind)
{
    return kind == REDUCE_MAX ? -(real)INFINITY : kind == REDUCE_MIN ? (real)INFINITY : kind == REDUCE_PROD;
}

/* what stands in for the elements beyond the end of a row */
INLINE real reduce_pad(const int kind, real shift)
{
    return kind == REDUCE_SQUARES ? shift : kind == REDUCE_COUNT ? (real)NAN : reduce_identity(kind);
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

INLINE real reduce_join1(const int kind, real a, real b)
{
    if (kind == REDUCE_MAX) return a != a || a > b ? a : b;
    if (kind == REDUCE_MIN) return a != a || a < b ? a : b;
    if (kind == REDUCE_PROD) return a * b;
    return a + b;
}

INLINE real reduce_block(const int kind, const real *x, long n, real shift)
{
    const vec s = v_set1(shift);
    vec acc[8];
    real lane[VL];
    long j = 0;
    UNROLL for (int k = 0; k < 8; k++) acc[k] = v_set1(reduce_identity(kind));
    for (; j + 8 * VL <= n; j += 8 * VL)
        UNROLL for (int k = 0; k < 8; k++)
            acc[k] = reduce_join(kind, acc[k], reduce_take(kind, v_load(x + j + k * VL), s));
    for (int k = 0; j + VL <= n; j += VL, k++)
        acc[k % 2] = reduce_join(kind, acc[k % 2], reduce_take(kind, v_load(x + j), s));
    if (j < n) {
        mask inside = v_lt(v_load(reduce_lane), v_set1((real)(n - j)));
        vec last = v_select(inside, v_load_n(x + j, n - j), v_set1(reduce_pad(kind, shift)));
        acc[2] = reduce_join(kind, acc[2], reduce_take(kind, last, s));
    }
    UNROLL for (int half = 4; half > 0; half /= 2)
        UNROLL for (int k = 0; k < half; k++) acc[k] = reduce_join(kind, acc[k], acc[k + half]);
    v_store(lane, acc[0]);
    UNROLL for (int half = VL / 2; half > 0; half /= 2)
        UNROLL for (int l = 0; l < half; l++) lane[l] = reduce_join1(kind, lane[l], lane[l + half]);
    return lane[0];
}

INLINE void reduce_rows(const int kind, const real *x, long rows, long row_step, long n,
                        const real *shift, real *y)
{
    for (long i = 0; i < rows; i++) {
        real s = shift ? shift[i] : 0;
        real total = reduce_block(kind, x + i * row_step, at_most(n, REDUCE_BLOCK), s);
        for (long j = REDUCE_BLOCK; j < n; j += REDUCE_BLOCK)
            total = reduce_join1(kind, total,
                                 reduce_block(kind, x + i * row_step + j, at_most(n - j, REDUCE_BLOCK), s));
        y[i] = total;
    }
}

/* `count` <= REDUCE_GROUP numbers of each of the VL columns at x, joined in a tree */
INLINE vec reduce_group(const int kind, const real *x, long row_step, long count, long cols, vec shift)
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

/* --- the position of the largest or smallest, the first of equals, the first NaN --- */

INLINE mask arg_better(const int min, vec x, vec best)
{
    mask better = m_or(min ? v_lt(x, best) : v_lt(best, x), v_isnan(x));
    return m_and(better, v_eq(best, best));
}

INLINE void arg_keep(const int min, real x, long at, real *best, long *index)
{
    int tie = x == *best || (x != x && *best != *best);
    int better = (min ? x < *best : x > *best) || (x != x && *best == *best);
    if (better || (tie && at < *index)) {
        *best = x;
        *index = at;
    }
}

/* one more vector of candidates, at the positions `at`, of which those below limit count */
INLINE void arg_step(const int min, vec x, vec at, vec limit, vec *best, vec *where)
{
    mask m = m_and(arg_better(min, x, *best), v_lt(at, limit));
    *best = v_select(m, x, *best);
    *where = v_select(m, at, *where);
}

/* positions are counted from a block's start, in numbers of type real */
INLINE void arg_block(const int min, const real *x, long n, long start, real *best1, long *index1)
{
    const vec limit = v_set1((real)n);
    vec best[4], where[4], at = v_load(reduce_lane);
    real lane[VL], place[VL];
    long j = 0;
    UNROLL for (int k = 0; k < 4; k++) {
        best[k] = v_set1(min ? (real)INFINITY : -(real)INFINITY);
        where[k] = v_set1(2 * ARG_BLOCK);
    }
    for (; j + 4 * VL <= n; j += 4 * VL)
        UNROLL for (int k = 0; k < 4; k++) {
            arg_step(min, v_load(x + j + k * VL), at, limit, &best[k], &where[k]);
            at = at + v_set1(VL);
        }
    for (; j < n; j += VL) {
        arg_step(min, v_load_n(x + j, n - j), at, limit, &best[0], &where[0]);
        at = at + v_set1(VL);
    }
    for (int k = 0; k < 4; k++) {
        v_store(lane, best[k]);
        v_store(place, where[k]);
        for (int l = 0; l < VL; l++) arg_keep(min, lane[l], start + (long)place[l], best1, index1);
    }
}

INLINE void arg_rows(const int min, const real *x, long rows, long row_step, long n,
                     int64_t *index, real *value)
{
    for (long i = 0; i < rows; i++, x += row_step) {
        real best = x[0];
        long at = 0;
        for (long start = 0; start < n; start += ARG_BLOCK)
            arg_block(min, x + start, at_most(n - start, ARG_BLOCK), start, &best, &at);
        index[i] = at;
        value[i] = best;
    }
}

/* four vectors of columns, down all rows */
INLINE void arg_strip(const int min, const real *x, long rows, long row_step, long n,
                      int64_t *index, real *value)
{
    vec best[4], where[4];
    real lane[4 * VL], place[4 * VL];
    for (long start = 0; start < rows; start += ARG_BLOCK) {
        const real *block = x + start * row_step;
        long count = at_most(rows - start, ARG_BLOCK);
        UNROLL for (int k = 0; k < 4; k++) {
            best[k] = v_load_n(block + k * VL, n - k * VL);
            where[k] = v_zero();
        }
        for (long i = 1; i < count; i++) {
            vec at = v_set1((real)i);
            UNROLL for (int k = 0; k < 4; k++) {
                vec v = v_load_n(block + i * row_step + k * VL, n - k * VL);
                mask m = arg_better(min, v, best[k]);
                best[k] = v_select(m, v, best[k]);
                where[k] = v_select(m, at, where[k]);
            }
        }
        UNROLL for (int k = 0; k < 4; k++) {
            v_store(lane + k * VL, best[k]);
            v_store(place + k * VL, where[k]);
        }
        for (long j = 0; j < n; j++) {
            long at = start == 0 ? (long)place[j] : index[j];
            if (start == 0) value[j] = lane[j];
            else arg_keep(min, lane[j], start + (long)place[j], &value[j], &at);
            index[j] = at;
        }
    }
}

INLINE void arg_columns(const int min, const real *x, long rows, long row_step, long n,
                        int64_t *index, real *value)
{
    for (long j = 0; j < n; j += 4 * VL)
        arg_strip(min, x + j, rows, row_step, at_most(n - j, 4 * VL), index + j, value + j);
}

#define ARG(NAME, MIN)                                                                          \
    static void NAME##_rows(const void *x, long rows, long row_step, long n, int64_t *index,    \
                            void *value)                                                        \
    {                                                                                           \
        arg_rows(MIN, x, rows, row_step, n, index, value);                                      \
    }                                                                                           \
    static void NAME##_columns(const void *x, long rows, long row_step, long n, int64_t *index, \
                               void *value)                                                     \
    {                                                                                           \
        arg_columns(MIN, x, rows, row_step, n, index, value);                                   \
    }

ARG(argmax, 0)
ARG(argmin, 1)

#define REDUCE_ALL(SUFFIX)                                                \
    {reduce_sum_##SUFFIX,  reduce_max_##SUFFIX,     reduce_min_##SUFFIX,  \
     reduce_prod_##SUFFIX, reduce_squares_##SUFFIX, reduce_count_##SUFFIX}
#define REDUCE_ROWS                                    \
    .reduce_rows = REDUCE_ALL(rows),                   \
    .reduce_columns = REDUCE_ALL(columns),             \
    .arg_rows = {argmax_rows, argmin_rows},            \
    .arg_columns = {argmax_columns, argmin_columns},
