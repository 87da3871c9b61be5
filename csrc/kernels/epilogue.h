/* What becomes of finished sums; see `epilogue` in kernels.h. Every step rounds as the
 * operation does that it stands for. For gemm.h, gemm_thin.h, conv_depthwise.h, norm.h. */

INLINE vec norm_value(const int relu, vec deviation, vec scale, vec shift)
{
    vec y = v_fma(deviation, scale, shift);
    return relu ? v_max(v_zero(), y) : y;
}

/* n numbers of a row from column j on; step 0: the first for all */
INLINE vec epilogue_row(const void *row_, long j, long n, long step)
{
    const real *row = row_;
    return step ? v_load_n(row + j, n) : v_set1(*row);
}

/* sums of n columns from j on that have their bias already */
INLINE vec epilogue_rest(const epilogue *e, vec y, long j, long n, long step)
{
    if (e->norm) {
        const real *mean = e->norm, *scale = mean + e->norm_row, *shift = scale + e->norm_row;
        y = norm_value(0, y - epilogue_row(mean, j, n, step), epilogue_row(scale, j, n, step),
                       epilogue_row(shift, j, n, step));
    }
    return e->relu ? v_max(v_zero(), y) : y;
}

INLINE vec epilogue_all(const epilogue *e, vec y, long j, long n, long step)
{
    if (e->bias) y = y + epilogue_row(e->bias, j, n, step);
    return epilogue_rest(e, y, j, n, step);
}

/* a single sum of column j */
INLINE real epilogue_one(const epilogue *e, real y, long j)
{
    if (e->bias) y += ((const real *)e->bias)[j];
    if (e->norm) {
        const real *mean = (const real *)e->norm + j, *scale = mean + e->norm_row;
        y = v_first(norm_value(0, v_set1(y - *mean), v_set1(*scale), v_set1(scale[e->norm_row])));
    }
    return e->relu && !(y > 0) && y == y ? 0 : y;
}
