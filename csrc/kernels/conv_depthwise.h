/* Depthwise convolution, channels-last: every channel has a filter of its own, so
 * vectors run along the channels and nothing is summed across them.
 *
 *   depthwise_row      y[ow, c] = bias[c] + sum over kh, kw of x[kh, kw, ow, c] * w[kh, kw, c]
 *   depthwise_weight   w[kh, kw, c] += sum over ow of x[kh, kw, ow, c] * y[ow, c]
 *
 * A few columns are taken together, all their channels in turn: of the row, so that
 * a weight is loaded once for them; of the weight gradient, so that what they read
 * of x stays in the first-level cache. Called by _kernels/conv_depthwise.pyx. */

enum { DEPTHWISE_COLUMNS = 4, DEPTHWISE_WEIGHT_COLUMNS = 8 };

INLINE void depthwise_row_block(const int cols, const int nv, const depthwise_args *d, long ow,
                                long c, long n)
{
    const real *bias = d->after.bias;
    vec acc[DEPTHWISE_COLUMNS][2];
    UNROLL for (int k = 0; k < nv; k++) {
        vec start = bias ? v_load_n(bias + c + k * VL, n - k * VL) : v_zero();
        UNROLL for (int j = 0; j < cols; j++) acc[j][k] = start;
    }
    for (long kh = 0; kh < d->taps_h; kh++) {
        const real *x = (const real *)d->x + kh * d->x_row + ow * d->x_col + c;
        const real *w = (const real *)d->w + kh * d->taps_w * d->w_tap + c;
        for (long kw = 0; kw < d->taps_w; kw++, x += d->x_tap, w += d->w_tap)
            UNROLL for (int k = 0; k < nv; k++) {
                vec tap = v_load_n(w + k * VL, n - k * VL);
                UNROLL for (int j = 0; j < cols; j++)
                    acc[j][k] = v_fma(v_load_n(x + j * d->x_col + k * VL, n - k * VL), tap,
                                      acc[j][k]);
            }
    }
    real *y = (real *)d->y + ow * d->y_col + c;
    UNROLL for (int j = 0; j < cols; j++)
        UNROLL for (int k = 0; k < nv; k++)
            v_store_n(y + j * d->y_col + k * VL,
                      epilogue_rest(&d->after, acc[j][k], c + k * VL, n - k * VL, 1), n - k * VL);
}

INLINE void depthwise_columns(const int cols, const depthwise_args *d, long ow)
{
    const long C = d->channels;
    long c = 0;
    for (; c + 2 * VL <= C; c += 2 * VL) depthwise_row_block(cols, 2, d, ow, c, 2 * VL);
    for (; c + VL <= C; c += VL) depthwise_row_block(cols, 1, d, ow, c, VL);
    if (c < C) depthwise_row_block(cols, 1, d, ow, c, C - c);
}

static void depthwise_row(const depthwise_args *d)
{
    long ow = 0;
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
    real *w = (real *)d->w + (kh * d->taps_w + kw) * d->w_tap + c;
    vec acc[3][5];
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int j = 0; j < cols; j++)
            acc[i][j] = v_load_n(w + (i * d->taps_w + j) * d->w_tap, n);
    for (long k = 0; k < columns; k++, x += d->x_col, y += d->y_col) {
        vec g = v_load_n(y, n);
        UNROLL for (int i = 0; i < rows; i++)
            UNROLL for (int j = 0; j < cols; j++)
                acc[i][j] = v_fma(v_load_n(x + i * d->x_row + j * d->x_tap, n), g, acc[i][j]);
    }
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int j = 0; j < cols; j++)
            v_store_n(w + (i * d->taps_w + j) * d->w_tap, acc[i][j], n);
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
