/* Copies between layouts, for numbers as wide as `real` whatever their type.
 * Called by _kernels/copy.pyx, and by convolution and pooling to gather rows. */

/* transposes a block of at most VL x VL numbers in registers */
INLINE void copy_block(const int whole, const real *src, long s_col, real *dst, long d_row,
                       long rows, long cols)
{
    vec v[VL];
    UNROLL for (int j = 0; j < VL; j++)
        v[j] = whole      ? v_load(src + j * s_col)
               : j < cols ? v_load_n(src + j * s_col, rows)
                          : v_zero();
    v_transpose(v);
    UNROLL for (int i = 0; i < VL; i++) {
        if (whole) v_store(dst + i * d_row, v[i]);
        else if (i < rows) v_store_n(dst + i * d_row, v[i], cols);
    }
}

static void copy_block_whole(const real *src, long s_col, real *dst, long d_row)
{
    copy_block(1, src, s_col, dst, d_row, VL, VL);
}

static void copy_block_part(const real *src, long s_col, real *dst, long d_row, long rows,
                            long cols)
{
    copy_block(0, src, s_col, dst, d_row, rows, cols);
}

enum { COPY_ROWS_AT_ONCE = 128, COPY_AHEAD = 128 / (int)sizeof(real) };

/* the same for at most VL columns: as few streams as the hardware follows, their next lines
 * asked for. Cold (64,32,28,28) to channels last, one core of Zen 4, avx512: 670 -> 490 us */
static void copy_strip(const real *src, long s_col, real *dst, long d_row, long rows, long cols)
{
    for (long i = 0; i < rows; i += VL, src += VL, dst += VL * d_row) {
        for (long j = 0; j < cols; j++) __builtin_prefetch(src + j * s_col + COPY_AHEAD);
        if (rows - i >= VL && cols == VL) copy_block_whole(src, s_col, dst, d_row);
        else copy_block_part(src, s_col, dst, d_row, at_most(rows - i, VL), cols);
    }
}

/* dst[i * d_row + j] = src[i + j * s_col] */
static void copy_transposed(const real *src, long s_col, real *dst, long d_row, long rows,
                            long cols)
{
    if (VL > 1 && rows * cols >= 4 * VL && rows >= VL / 2 && cols >= VL / 4) {
        for (long first = 0; first < rows; first += COPY_ROWS_AT_ONCE)
            for (long j = 0; j < cols; j += VL)
                copy_strip(src + first + j * s_col, s_col, dst + first * d_row + j, d_row,
                           at_most(rows - first, COPY_ROWS_AT_ONCE), at_most(cols - j, VL));
        return;
    }
    if (cols == 3) { /* pixels of three colours, kernels of three rows */
        for (long i = 0; i < rows; i++) {
            real x = src[i], y = src[s_col + i], z = src[2 * s_col + i];
            dst[i * d_row] = x;
            dst[i * d_row + 1] = y;
            dst[i * d_row + 2] = z;
        }
        return;
    }
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
            long j = 0;
            for (; j <= cols - VL; j += VL) v_store(to + j, v_load(from + j));
            v_store_n(to + j, v_load_n(from + j, cols - j), cols - j);
        }
    } else if (s_row == 1 && d_col == 1) {
        copy_transposed(src, s_col, dst, d_row, rows, cols);
    } else if (s_col == 1 && d_row == 1) {
        copy_transposed(src, s_row, dst, d_col, cols, rows);
    } else {
        for (long i = 0; i < rows; i++)
            for (long j = 0; j < cols; j++) dst[i * d_row + j * d_col] = src[i * s_row + j * s_col];
    }
}

#define COPY_ROWS .copy_2d = copy_2d,
