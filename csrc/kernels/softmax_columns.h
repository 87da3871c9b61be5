/* Softmax, its logarithm and logsumexp over columns of n numbers, `step` apart.
 *
 * The formulas are those of softmax.h; a vector holds the same place of VL columns. A few
 * vectors of columns are taken at a time, and stay in cache from the pass for the maximum
 * to those for the sum and the result. Short rows are turned into columns first.
 * Called by _kernels/softmax.pyx. */

enum { SOFTMAX_TALL = 64 }; /* of a sum: no chain of additions is long */

/* nv vectors of columns: cols of them exist */
INLINE void softmax_column_max(const real *x, long n, long step, vec *max, const int nv, long cols)
{
    UNROLL for (int k = 0; k < nv; k++) max[k] = v_set1(-(real)INFINITY);
    for (long j = 0; j < n; j++, x += step)
        UNROLL for (int k = 0; k < nv; k++)
            max[k] = reduce_join(REDUCE_MAX, max[k], v_load_n(x + k * VL, cols - k * VL));
}

/* sum[k] = sum_j exp(x_j - shift); keep: also e_j = exp(x_j - shift) */
INLINE void softmax_column_sum(const int keep, const real *x, long n, long step, const vec *shift,
                               real *e, vec *sum, const int nv, long cols)
{
    UNROLL for (int k = 0; k < nv; k++) sum[k] = v_zero();
    for (long start = 0; start < n; start += SOFTMAX_TALL) {
        vec part[4];
        UNROLL for (int k = 0; k < nv; k++) part[k] = v_zero();
        for (long j = start; j < at_most(start + SOFTMAX_TALL, n); j++)
            UNROLL for (int k = 0; k < nv; k++) {
                const long at = j * step + k * VL, left = cols - k * VL;
                vec v = softmax_exp(v_load_n(x + at, left) - shift[k]);
                if (keep) v_store_n(e + at, v, left);
                part[k] = part[k] + v;
            }
        UNROLL for (int k = 0; k < nv; k++) sum[k] = sum[k] + part[k];
    }
}

/* sum[k] = sum_j a_j b_j, or sum_j a_j without b */
INLINE void softmax_column_dot(const real *a, const real *b, long n, long step, vec *sum,
                               const int nv, long cols)
{
    UNROLL for (int k = 0; k < nv; k++) sum[k] = v_zero();
    for (long start = 0; start < n; start += SOFTMAX_TALL) {
        vec part[4];
        UNROLL for (int k = 0; k < nv; k++) part[k] = v_zero();
        for (long j = start; j < at_most(start + SOFTMAX_TALL, n); j++)
            UNROLL for (int k = 0; k < nv; k++) {
                const long at = j * step + k * VL, left = cols - k * VL;
                vec v = v_load_n(a + at, left);
                if (b) part[k] = v_fma(v, v_load_n(b + at, left), part[k]);
                else part[k] = part[k] + v;
            }
        UNROLL for (int k = 0; k < nv; k++) sum[k] = sum[k] + part[k];
    }
}

INLINE void softmax_column(const softmax_args *t, long c, const int nv, long cols)
{
    real *y = (real *)t->out + c;
    vec max[4], sum[4];
    softmax_column_max((const real *)t->x + c, t->n, t->step, max, nv, cols);
    softmax_column_sum(1, (const real *)t->x + c, t->n, t->step, max, y, sum, nv, cols);
    UNROLL for (int k = 0; k < nv; k++) sum[k] = v_set1(1) / sum[k];
    for (long j = 0; j < t->n; j++, y += t->step)
        UNROLL for (int k = 0; k < nv; k++)
            v_store_n(y + k * VL, v_load_n(y + k * VL, cols - k * VL) * sum[k], cols - k * VL);
}

INLINE void log_softmax_column(const softmax_args *t, long c, const int nv, long cols)
{
    const real *x = (const real *)t->x + c;
    real *y = (real *)t->out + c;
    vec max[4], sum[4];
    softmax_column_max(x, t->n, t->step, max, nv, cols);
    softmax_column_sum(0, x, t->n, t->step, max, 0, sum, nv, cols);
    UNROLL for (int k = 0; k < nv; k++) sum[k] = v_log(sum[k]);
    for (long j = 0; j < t->n; j++, x += t->step, y += t->step)
        UNROLL for (int k = 0; k < nv; k++) {
            const long left = cols - k * VL;
            v_store_n(y + k * VL, v_load_n(x + k * VL, left) - max[k] - sum[k], left);
        }
}

/* columns of nothing but -inf give -inf, columns with inf give inf */
INLINE void logsumexp_column(const softmax_args *t, long c, const int nv, long cols)
{
    const real *x = (const real *)t->x + c;
    real *y = (real *)t->out + c;
    const vec infinite = v_set1((real)INFINITY);
    vec max[4], shift[4], sum[4];
    softmax_column_max(x, t->n, t->step, max, nv, cols);
    UNROLL for (int k = 0; k < nv; k++)
        shift[k] = v_select(v_eq(v_abs(max[k]), infinite), v_zero(), max[k]);
    softmax_column_sum(0, x, t->n, t->step, shift, 0, sum, nv, cols);
    UNROLL for (int k = 0; k < nv; k++) {
        const vec total = shift[k] + v_log(sum[k]);
        v_store_n(y + k * VL, v_select(v_eq(max[k], infinite), infinite, total), cols - k * VL);
    }
}

/* dx = y (dy - sum_j dy_j y_j) */
INLINE void softmax_backward_column(const softmax_args *t, long c, const int nv, long cols)
{
    const real *dy = (const real *)t->dy + c, *y = (const real *)t->y + c;
    real *dx = (real *)t->out + c;
    vec dot[4];
    softmax_column_dot(dy, y, t->n, t->step, dot, nv, cols);
    for (long j = 0; j < t->n; j++, dy += t->step, y += t->step, dx += t->step)
        UNROLL for (int k = 0; k < nv; k++) {
            const long left = cols - k * VL;
            vec g = v_load_n(dy + k * VL, left) - dot[k];
            v_store_n(dx + k * VL, v_load_n(y + k * VL, left) * g, left);
        }
}

/* dx = dy - exp(y) sum_j dy_j */
INLINE void log_softmax_backward_column(const softmax_args *t, long c, const int nv, long cols)
{
    const real *dy = (const real *)t->dy + c, *y = (const real *)t->y + c;
    real *dx = (real *)t->out + c;
    vec sum[4];
    softmax_column_dot(dy, 0, t->n, t->step, sum, nv, cols);
    for (long j = 0; j < t->n; j++, dy += t->step, y += t->step, dx += t->step)
        UNROLL for (int k = 0; k < nv; k++) {
            const long left = cols - k * VL;
            vec p = softmax_exp(v_load_n(y + k * VL, left));
            v_store_n(dx + k * VL, v_fnma(p, sum[k], v_load_n(dy + k * VL, left)), left);
        }
}

/* dx = dy exp(x - y), one dy and one y for each column */
INLINE void logsumexp_backward_column(const softmax_args *t, long c, const int nv, long cols)
{
    const real *x = (const real *)t->x + c;
    real *dx = (real *)t->out + c;
    vec slope[4], shift[4];
    UNROLL for (int k = 0; k < nv; k++) {
        slope[k] = v_load_n((const real *)t->dy + c + k * VL, cols - k * VL);
        shift[k] = v_load_n((const real *)t->y + c + k * VL, cols - k * VL);
    }
    for (long j = 0; j < t->n; j++, x += t->step, dx += t->step)
        UNROLL for (int k = 0; k < nv; k++) {
            const long left = cols - k * VL;
            v_store_n(dx + k * VL, slope[k] * softmax_exp(v_load_n(x + k * VL, left) - shift[k]),
                      left);
        }
}

#define SOFTMAX_COLUMNS(NAME)                                         \
    static void NAME##_columns(const softmax_args *t)                 \
    {                                                                 \
        long c = 0;                                                   \
        for (; c + 4 * VL <= t->count; c += 4 * VL)                   \
            NAME##_column(t, c, 4, 4 * VL);                           \
        for (; c < t->count; c += VL)                                 \
            NAME##_column(t, c, 1, at_most(VL, t->count - c));        \
    }
SOFTMAX_COLUMNS(softmax)
SOFTMAX_COLUMNS(log_softmax)
SOFTMAX_COLUMNS(logsumexp)
SOFTMAX_COLUMNS(softmax_backward)
SOFTMAX_COLUMNS(log_softmax_backward)
SOFTMAX_COLUMNS(logsumexp_backward)

/* --- short rows --- */

/* turned are rows of so few numbers, unless there are hardly any, so many at a time */
enum { SOFTMAX_FEW = 40, SOFTMAX_ALONE = 4, SOFTMAX_WIDE = 4 * VL };

/* which arrays have n numbers for each row; the others have one */
enum { TURN_X = 1, TURN_Y = 2, TURN_DY = 4, TURN_OUT = 8 };

INLINE const real *softmax_turn(int turned, const void *x_, long i, long n, long rows, real *to)
{
    const real *x = x_;
    if (!x) return 0;
    if (!turned) return x + i;
    copy_transposed(x + i * n, n, to, SOFTMAX_WIDE, n, rows);
    return to;
}

/* Rows that would leave most of a vector empty are turned into columns, some at a time. */
static void softmax_short_rows(softmax_fn columns, int turned, const softmax_args *t)
{
    real x[SOFTMAX_FEW * SOFTMAX_WIDE], y[SOFTMAX_FEW * SOFTMAX_WIDE];
    real dy[SOFTMAX_FEW * SOFTMAX_WIDE], out[SOFTMAX_FEW * SOFTMAX_WIDE];
    const long n = t->n;
    softmax_args part = *t;
    part.step = SOFTMAX_WIDE;
    for (long i = 0; i < t->count; i += SOFTMAX_WIDE) {
        part.count = at_most(SOFTMAX_WIDE, t->count - i);
        part.x = softmax_turn(turned & TURN_X, t->x, i, n, part.count, x);
        part.y = softmax_turn(turned & TURN_Y, t->y, i, n, part.count, y);
        part.dy = softmax_turn(turned & TURN_DY, t->dy, i, n, part.count, dy);
        part.out = turned & TURN_OUT ? out : (real *)t->out + i;
        columns(&part);
        if (turned & TURN_OUT)
            copy_transposed(out, SOFTMAX_WIDE, (real *)t->out + i * n, n, part.count, n);
    }
}

#define SOFTMAX_ANY_ROWS(NAME, TURNED)                                      \
    static void NAME##_any_rows(const softmax_args *t)                      \
    {                                                                       \
        if (VL > 1 && t->n <= SOFTMAX_FEW && t->count > SOFTMAX_ALONE)      \
            softmax_short_rows(NAME##_columns, TURNED, t);                  \
        else                                                                \
            NAME##_rows(t);                                                 \
    }
SOFTMAX_ANY_ROWS(softmax, TURN_X | TURN_OUT)
SOFTMAX_ANY_ROWS(log_softmax, TURN_X | TURN_OUT)
SOFTMAX_ANY_ROWS(logsumexp, TURN_X)
SOFTMAX_ANY_ROWS(softmax_backward, TURN_Y | TURN_DY | TURN_OUT)
SOFTMAX_ANY_ROWS(log_softmax_backward, TURN_Y | TURN_DY | TURN_OUT)
SOFTMAX_ANY_ROWS(logsumexp_backward, TURN_X | TURN_OUT)

#define SOFTMAX_ALL(SUFFIX)                                                       \
    {softmax_##SUFFIX, log_softmax_##SUFFIX, logsumexp_##SUFFIX,                  \
     softmax_backward_##SUFFIX, log_softmax_backward_##SUFFIX,                    \
     logsumexp_backward_##SUFFIX}
#define SOFTMAX_ROWS .softmax_rows = SOFTMAX_ALL(any_rows), .softmax_columns = SOFTMAX_ALL(columns),
