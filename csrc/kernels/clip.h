/* The sizes of gradients and their clipping. A norm is summed up in short chains of
 * vectors, whose sums are added up in double precision. Called by _kernels/clip.pyx. */

enum { CLIP_BLOCK = 1024 };

INLINE vec clip_take(const int kind, vec x, vec p)
{
    if (kind == NORM_SQUARES) return x * x;
    if (kind == NORM_POWER) return v_pow(v_abs(x), p);
    return v_abs(x);
}

/* the largest keeps NaN, as a sum does */
INLINE vec clip_join(const int kind, vec a, vec b)
{
    if (kind != NORM_LARGEST) return a + b;
    return v_select(v_isnan(a), a, v_max(a, b));
}

/* the lanes beyond n load as zero, which adds nothing to any norm */
INLINE double clip_norm(const int kind, const real *x, long n, double p_)
{
    const vec p = v_set1((real)p_);
    vec acc[4], largest = v_zero();
    double total = 0;
    long j = 0;
    for (long end = at_most(n, CLIP_BLOCK); j < n; end = at_most(end + CLIP_BLOCK, n)) {
        UNROLL for (int k = 0; k < 4; k++) acc[k] = v_zero();
        for (; j + 4 * VL <= end; j += 4 * VL)
            UNROLL for (int k = 0; k < 4; k++)
                acc[k] = clip_join(kind, acc[k], clip_take(kind, v_load(x + j + k * VL), p));
        for (; j < end; j += VL)
            acc[0] = clip_join(kind, acc[0], clip_take(kind, v_load_n(x + j, end - j), p));
        vec both = clip_join(kind, clip_join(kind, acc[0], acc[1]), clip_join(kind, acc[2], acc[3]));
        if (kind == NORM_LARGEST) largest = clip_join(kind, largest, both);
        else total += v_sum(both);
    }
    if (kind == NORM_LARGEST) {
        UNROLL for (int round = 0; round < VL_LOG2; round++)
            largest = clip_join(kind, v_zip_low(largest, largest), v_zip_high(largest, largest));
        total = v_first(largest);
    }
    return total;
}

#define CLIP_NORM(NAME, KIND)                                    \
    static double NAME(const void *x, long n, double p) { return clip_norm(KIND, x, n, p); }

CLIP_NORM(clip_squares, NORM_SQUARES)
CLIP_NORM(clip_abs, NORM_ABS)
CLIP_NORM(clip_power, NORM_POWER)
CLIP_NORM(clip_largest, NORM_LARGEST)

static void clip_scale(void *x_, long n, double factor)
{
    real *x = x_;
    for (long j = 0; j < n; j += VL)
        v_store_n(x + j, v_load_n(x + j, n - j) * v_set1((real)factor), n - j);
}

static void clip_value(void *x_, long n, double low, double high)
{
    real *x = x_;
    for (long j = 0; j < n; j += VL)
        v_store_n(x + j, v_clamp(v_load_n(x + j, n - j), (real)low, (real)high), n - j);
}

#define CLIP_ROWS                                                         \
    .clip_norm = {clip_squares, clip_abs, clip_power, clip_largest},      \
    .clip_scale = clip_scale, .clip_value = clip_value,
