/* Copies between layouts, for numbers as wide as `real` whatever their type.
 * Called by _kernels/copy.pyx, and by convolution and pooling to gather rows. */

/* transposes a block of VL x VL numbers held in plain memory order */
INLINE void copy_block(const real *src, long s_col, real *dst, long d_row, long rows, long cols)
{
    for (long i = 0; i < rows; i++)
        for (long j = 0; j < cols; j++) dst[i * d_row + j] = src[j * s_col + i];
}

/* dst[i * d_row + j * d_col] = src[i * s_row + j * s_col] for i < rows, j < cols */
static void copy_2d(const void *src_, long s_row, long s_col, void *dst_, long d_row, long d_col,
                    long rows, long cols)
{
    const real *src = src_;
    real *dst = dst_;
    if (s_col == 1 && d_col == 1) {
        for (long i = 0; i < rows; i++) {
            const real *from = src + i * s_row;
            real *to = dst + i * d_row;
            for (long j = 0; j < cols; j += VL) v_store_n(to + j, v_load_n(from + j, cols - j), cols - j);
        }
    } else if (s_row == 1 && d_col == 1) {
        /* a transpose: blocks of 16 x 16 keep both sides within a few cache lines */
        for (long i = 0; i < rows; i += 16)
            for (long j = 0; j < cols; j += 16)
                copy_block(src + i + j * s_col, s_col, dst + i * d_row + j, d_row,
                           at_most(rows - i, 16), at_most(cols - j, 16));
    } else {
        for (long i = 0; i < rows; i++)
            for (long j = 0; j < cols; j++) dst[i * d_row + j * d_col] = src[i * s_row + j * s_col];
    }
}

#define COPY_ROWS .copy_2d = copy_2d,
