/* Depthwise convolution, channels-last: every channel has a filter of its own, so
 * vectors run along the channels and nothing is summed across them.
 *
 *   depthwise_row      y[ow, c] = bias[c] + sum over kh, kw of x[kh, kw, ow, c] * w[kh, kw, c]
 *   depthwise_weight   w[kh, kw, c] += sum over ow of x[kh, kw, ow, c] * y[ow, c]
 *
 * A few columns are taken together, all their channels in turn: of the row, so that
 * a weight is loaded once for them, and a number of x too where their taps overlap; of
 * the weight gradient, so that what they read of x stays in the first-level cache.
 * Called by _kernels/conv_depthwise.pyx. */

enum { DEPTHWISE_COLUMNS = 4, DEPTHWISE_SLIDE_COLUMNS = 8, DEPTHWISE_WEIGHT_COLUMNS = 8 };

INLINE void depthwise_finish(const int cols, const depthwise_args *d, const vec *acc, long ow,
                             long c, long n)
{
    real *y = (real *)d->y + ow * d->y_col + c;
    UNROLL for (int j = 0; j < cols; j++)
        v_store_n(y + j * d->y_col, epilogue_rest(&d->after, acc[j], c, n, 1), n);
}

/* a vector of channels of some columns, whose taps overlap: columns a stride of S taps apart
 * and KW taps a row. A load for each multiply-add would be the bound (5x5 on (16,256,14,14),
 * one core of Zen 4, avx512: 1900 -> 790 us). From pixel to pixel it is far, so the channels that
 * come next are asked for */
INLINE void depthwise_slide(const int KW, const int S, const int cols, const depthwise_args *d,
                            long ow, long c)
{
    const real *bias = d->after.bias;
    vec acc[DEPTHWISE_SLIDE_COLUMNS], w[5];
    UNROLL for (int j = 0; j < cols; j++) acc[j] = bias ? v_load(bias + c) : v_zero();
    for (long kh = 0; kh < d->taps_h; kh++) {
        const real *x = (const real *)d->x + kh * d->x_row + ow * d->x_col + c;
        UNROLL for (int k = 0; k < KW; k++)
            w[k] = v_load((const real *)d->w + kh * d->w_row + k * d->w_tap + c);
        UNROLL for (int p = 0; p < (cols - 1) * S + KW; p++, x += d->x_tap) {
            vec xv = v_load(x);
            __builtin_prefetch(x + VL);
            UNROLL for (int k = 0; k < KW; k++)
                if (p >= k && (p - k) % S == 0 && (p - k) / S < cols)
                    acc[(p - k) / S] = v_fma(xv, w[k], acc[(p - k) / S]);
        }
    }
    depthwise_finish(cols, d, acc, ow, c, VL);
}

INLINE void depthwise_row_block(const int cols, const int nv, const depthwise_args *d, long ow,
                                long c, long n)
{
    const real *bias = d->after.bias;
    vec acc[2][DEPTHWISE_COLUMNS];
    UNROLL for (int k = 0; k < nv; k++) {
        vec start = bias ? v_load_n(bias + c + k * VL, n - k * VL) : v_zero();
        UNROLL for (int j = 0; j < cols; j++) acc[k][j] = start;
    }
    for (long kh = 0; kh < d->taps_h; kh++) {
        const real *x = (const real *)d->x + kh * d->x_row + ow * d->x_col + c;
        const real *w = (const real *)d->w + kh * d->w_row + c;
        for (long kw = 0; kw < d->taps_w; kw++, x += d->x_tap, w += d->w_tap)
            UNROLL for (int k = 0; k < nv; k++) {
                vec tap = v_load_n(w + k * VL, n - k * VL);
                UNROLL for (int j = 0; j < cols; j++)
                    acc[k][j] = v_fma(v_load_n(x + j * d->x_col + k * VL, n - k * VL), tap,
                                      acc[k][j]);
            }
    }
    UNROLL for (int k = 0; k < nv; k++)
        depthwise_finish(cols, d, acc[k], ow, c + k * VL, n - k * VL);
}

INLINE void depthwise_columns(const int cols, const depthwise_args *d, long ow)
{
    const long C = d->channels;
    long c = 0;
    for (; c + 2 * VL <= C; c += 2 * VL) depthwise_row_block(cols, 2, d, ow, c, 2 * VL);
    for (; c + VL <= C; c += VL) depthwise_row_block(cols, 1, d, ow, c, VL);
    if (c < C) depthwise_row_block(cols, 1, d, ow, c, C - c);
}

INLINE void depthwise_slide_columns(const int KW, const int S, const int cols,
                                    const depthwise_args *d, long ow)
{
    const long C = d->channels;
    long c = 0;
    for (; c + VL <= C; c += VL) depthwise_slide(KW, S, cols, d, ow, c);
    for (int j = 0; j < cols && c < C; j += DEPTHWISE_COLUMNS)
        depthwise_row_block(DEPTHWISE_COLUMNS, 1, d, ow + j, c, C - c);
}

/* at least DEPTHWISE_COLUMNS columns, the last of them perhaps twice, with the same bits */
INLINE void depthwise_slides(const int KW, const int S, const depthwise_args *d)
{
    const long columns = d->columns;
    long ow = 0;
    for (; ow + DEPTHWISE_SLIDE_COLUMNS <= columns; ow += DEPTHWISE_SLIDE_COLUMNS)
        depthwise_slide_columns(KW, S, DEPTHWISE_SLIDE_COLUMNS, d, ow);
    for (; ow < columns; ow += DEPTHWISE_COLUMNS)
        depthwise_slide_columns(KW, S, DEPTHWISE_COLUMNS, d,
                                at_most(ow, columns - DEPTHWISE_COLUMNS));
}

static void depthwise_row(const depthwise_args *d)
{
    const int stride = d->x_col == d->x_tap ? 1 : d->x_col == 2 * d->x_tap ? 2 : 0;
    long ow = 0;
    if (d->columns >= DEPTHWISE_COLUMNS) {
        if (stride == 1 && d->taps_w == 3) return depthwise_slides(3, 1, d);
        if (stride == 1 && d->taps_w == 5) return depthwise_slides(5, 1, d);
        if (stride == 2 && d->taps_w == 3) return depthwise_slides(3, 2, d);
        if (stride == 2 && d->taps_w == 5) return depthwise_slides(5, 2, d);
    }
    for (; ow + DEPTHWISE_COLUMNS <= d->columns; ow += DEPTHWISE_COLUMNS)
        depthwise_columns(DEPTHWISE_COLUMNS, d, ow);
    for (; ow < d->columns; ow++) depthwise_columns(1, d, ow);
}

/* rows x cols taps from (kh, kw) on, n channels from c on, of some columns */
INLINE void depthwise_weight_block(const int rows, const int cols, const depthwise_args *d,
                                   long ow, long columns, long kh, long kw, long c, long n)
{
    const real *x = (const real *)d->x + ow * d->x_col + kh * d->x_row + kw * d->x_tap + c;
    const real *y = (const real *)d->y + ow * d->y_col + c;
    real *w = (real *)d->w + kh * d->w_row + kw * d->w_tap + c;
    vec acc[3][5];
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int j = 0; j < cols; j++)
            acc[i][j] = v_load_n(w + i * d->w_row + j * d->w_tap, n);
    for (long k = 0; k < columns; k++, x += d->x_col, y += d->y_col) {
        vec g = v_load_n(y, n);
        UNROLL for (int i = 0; i < rows; i++)
            UNROLL for (int j = 0; j < cols; j++)
                acc[i][j] = v_fma(v_load_n(x + i * d->x_row + j * d->x_tap, n), g, acc[i][j]);
    }
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int j = 0; j < cols; j++)
            v_store_n(w + i * d->w_row + j * d->w_tap, acc[i][j], n);
}

INLINE void depthwise_weight_taps(const int rows, const int cols, const depthwise_args *d,
                                  long ow, long columns, long kh, long kw)
{
    const long C = d->channels;
    long c = 0;
    for (; c + VL <= C; c += VL) depthwise_weight_block(rows, cols, d, ow, columns, kh, kw, c, VL);
    if (c < C) depthwise_weight_block(rows, cols, d, ow, columns, kh, kw, c, C - c);
}

INLINE void depthwise_weight_rows(const int rows, const depthwise_args *d, long ow, long columns,
                                  long kh)
{
    long kw = 0;
    for (; kw + 5 <= d->taps_w; kw += 5) depthwise_weight_taps(rows, 5, d, ow, columns, kh, kw);
    for (; kw + 3 <= d->taps_w; kw += 3) depthwise_weight_taps(rows, 3, d, ow, columns, kh, kw);
    for (; kw < d->taps_w; kw++) depthwise_weight_taps(rows, 1, d, ow, columns, kh, kw);
}

static void depthwise_weight(const depthwise_args *d)
{
    for (long ow = 0; ow < d->columns; ow += DEPTHWISE_WEIGHT_COLUMNS) {
        const long columns = at_most(d->columns - ow, DEPTHWISE_WEIGHT_COLUMNS);
        long kh = 0;
        for (; kh + 3 <= d->taps_h; kh += 3) depthwise_weight_rows(3, d, ow, columns, kh);
        for (; kh < d->taps_h; kh++) depthwise_weight_rows(1, d, ow, columns, kh);
    }
}

#define CONV_DEPTHWISE_ROWS \
    .depthwise_row = depthwise_row, .depthwise_weight = depthwise_weight,
