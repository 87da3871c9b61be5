/* The position of the largest or smallest number of each row, or of each column: the
 * first of equals, the first NaN where there is one.
 *
 * Vectors carry the best so far and its position, a whole number of type real counted
 * from the start of a block of at most ARG_BLOCK, which both precisions hold exactly.
 * Called by _kernels/reduce.pyx. */

enum { ARG_BLOCK = 1 << 20, ARG_NONE = 1 << 22 /* the position in a lane without a number */ };

/* x before best: better, or the first NaN */
INLINE mask arg_better(const int min, vec x, vec best)
{
    mask better = m_or(min ? v_lt(x, best) : v_lt(best, x), v_isnan(x));
    return m_and(better, v_eq(best, best));
}

/* the better of two candidates, the one further in front if they are equal */
INLINE void arg_join(const int min, vec x, vec at, vec *best, vec *where)
{
    mask tie = m_or(v_eq(x, *best), m_and(v_isnan(x), v_isnan(*best)));
    mask m = m_or(arg_better(min, x, *best), m_and(tie, v_lt(at, *where)));
    *best = v_select(m, x, *best);
    *where = v_select(m, at, *where);
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

INLINE void arg_step(const int min, vec x, vec at, vec *best, vec *where)
{
    mask m = arg_better(min, x, *best);
    *best = v_select(m, x, *best);
    *where = v_select(m, at, *where);
}

/* the best of a block of a row, at start + where */
INLINE void arg_block(const int min, const real *x, long n, long start, real *best1, long *index1)
{
    const vec lanes = v_load(reduce_lane), none = v_set1(ARG_NONE);
    const vec worst = v_set1(min ? (real)INFINITY : -(real)INFINITY);
    vec best[4], where[4], at = lanes;
    long j = 0;
    UNROLL for (int k = 0; k < 4; k++) best[k] = worst, where[k] = none;
    if (n >= 8 * VL) {
        for (; j + 4 * VL <= n; j += 4 * VL)
            UNROLL for (int k = 0; k < 4; k++) {
                arg_step(min, v_load(x + j + k * VL), at, &best[k], &where[k]);
                at = at + v_set1(VL);
            }
        UNROLL for (int k = 1; k < 4; k++) arg_join(min, best[k], where[k], &best[0], &where[0]);
    }
    for (; j < n; j += VL, at = at + v_set1(VL)) {
        mask inside = v_lt(lanes, v_set1((real)at_most(n - j, VL)));
        vec v = v_select(inside, v_load_n(x + j, n - j), worst);
        arg_join(min, v, v_select(inside, at, none), &best[0], &where[0]);
    }
    UNROLL for (int round = 0; round < VL_LOG2; round++) {
        vec high = v_zip_high(best[0], best[0]), high_at = v_zip_high(where[0], where[0]);
        best[0] = v_zip_low(best[0], best[0]);
        where[0] = v_zip_low(where[0], where[0]);
        arg_join(min, high, high_at, &best[0], &where[0]);
    }
    arg_keep(min, v_first(best[0]), start + (long)v_first(where[0]), best1, index1);
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

#define ARG_ROWS                            \
    .arg_rows = {argmax_rows, argmin_rows}, \
    .arg_columns = {argmax_columns, argmin_columns},
