/* What convolution needs beside the register tile and the copies: sums for the
 * gradients of bias and weight. Called by _kernels/conv_weight.pyx and conv_depthwise.pyx. */

/* y[j] += x[j] for j < n */
static void conv_add(const void *x_, void *y_, long n)
{
    const real *x = x_;
    real *y = y_;
    long j = 0;
    for (; j <= n - VL; j += VL) v_store(y + j, v_load(y + j) + v_load(x + j));
    v_store_n(y + j, v_load_n(y + j, n - j) + v_load_n(x + j, n - j), n - j);
}

/* y[j] += sum over i < rows of x[i * x_row + j], for j < n; four sums per column
 * take the rows in turn */
static void conv_column_sum(const void *x_, long x_row, void *y_, long rows, long n)
{
    for (long j = 0; j < n; j += VL) {
        const real *x = (const real *)x_ + j;
        real *y = (real *)y_ + j;
        vec sum[4];
        UNROLL for (int s = 0; s < 4; s++) sum[s] = v_zero();
        long i = 0;
        for (; i <= rows - 4; i += 4, x += 4 * x_row)
            UNROLL for (int s = 0; s < 4; s++) sum[s] = sum[s] + v_load_n(x + s * x_row, n - j);
        for (; i < rows; i++, x += x_row) sum[0] = sum[0] + v_load_n(x, n - j);
        v_store_n(y, v_load_n(y, n - j) + ((sum[0] + sum[1]) + (sum[2] + sum[3])), n - j);
    }
}

#define CONV_ROWS .conv_add = conv_add, .conv_column_sum = conv_column_sum,
