/* Rows around which something is put, and their gradients. Numbers are only moved by
 * pad_rows, so they are as wide as `real` whatever their type.
 *
 * A row of x is `size` positions of `unit` numbers, one of y `length`: x from position `before`
 * on, and around it the positions of x that `source` names (-1: the constant).
 * Called by _kernels/pad.pyx. */

/* y[j] = x[j], or += */
INLINE void pad_vector(const int add, const real *x, real *y, long n)
{
    vec v = v_load_n(x, n);
    if (add) v = v + v_load_n(y, n);
    v_store_n(y, v, n);
}

INLINE void pad_move(const int add, const real *x, real *y, long n)
{
    long j = 0;
    for (; j + VL <= n; j += VL) pad_vector(add, x + j, y + j, VL);
    if (j < n) pad_vector(add, x + j, y + j, n - j);
}

INLINE void pad_fill(real value, real *y, long n)
{
    const vec v = v_set1(value);
    long j = 0;
    for (; j + VL <= n; j += VL) v_store(y + j, v);
    if (j < n) v_store_n(y + j, v, n - j);
}

/* the positions from first to before last of y, outside x */
INLINE void pad_border(const pad_row *t, const real *x, real *y, long first, long last)
{
    const long unit = t->unit;
    if (t->value) {
        pad_fill(*(const real *)t->value, y + first * unit, (last - first) * unit);
    } else if (unit == 1) {
        for (long o = first; o < last; o++) y[o] = x[t->source[o]];
    } else {
        for (long o = first; o < last; o++)
            pad_move(0, x + t->source[o] * unit, y + o * unit, unit);
    }
}

/* y[rows]: row i from row from[i] of x, all constant where that is -1 or there is no x */
static void pad_rows(const pad_row *t, const void *x_, long x_step, const int64_t *from, long rows,
                     void *y_)
{
    const long unit = t->unit, end = t->before + t->size;
    real *y = y_;
    for (long i = 0; i < rows; i++, y += t->length * unit) {
        if (!x_ || from[i] < 0) {
            pad_fill(*(const real *)t->value, y, t->length * unit);
            continue;
        }
        const real *x = (const real *)x_ + from[i] * x_step;
        pad_border(t, x, y, 0, t->before);
        pad_move(0, x, y + t->before * unit, t->size * unit);
        pad_border(t, x, y, end, t->length);
    }
}

/* dx gets what the positions from first to before last of dy took from it */
INLINE void pad_fold_border(const pad_row *t, const real *dy, real *dx, long first, long last)
{
    const long unit = t->unit;
    for (long o = first; o < last; o++) {
        if (unit == 1) dx[t->source[o]] += dy[o];
        else pad_move(1, dy + o * unit, dx + t->source[o] * unit, unit);
    }
}

/* dx[rows]: row i is the sum of rows taker[k] of dy, start[i] <= k < start[i + 1], folded;
 * add: more of it than there is */
static void pad_fold(const pad_row *t, const void *dy_, long dy_step, const int64_t *start,
                     const int64_t *taker, long rows, int add, void *dx_)
{
    const long unit = t->unit;
    real *dx = dx_;
    for (long i = 0; i < rows; i++, dx += t->size * unit)
        for (long k = start[i]; k < start[i + 1]; k++) {
            const real *dy = (const real *)dy_ + taker[k] * dy_step;
            if (add || k > start[i]) pad_move(1, dy + t->before * unit, dx, t->size * unit);
            else pad_move(0, dy + t->before * unit, dx, t->size * unit);
            pad_fold_border(t, dy, dx, 0, t->before);
            pad_fold_border(t, dy, dx, t->before + t->size, t->length);
        }
}

#define PAD_ROWS .pad_rows = pad_rows, .pad_fold = pad_fold,
