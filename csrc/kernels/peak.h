/* What the benchmark measures the machine with: fused multiply-adds in registers,
 * and copying. Called by _kernels/peak.pyx. */

enum { PEAK_CHAINS = 12 }; /* independent, to hide the latency of an FMA on two ports */

/* 2 * PEAK_CHAINS * VL floating-point operations a round; y keeps the result alive */
static void peak_fma(long rounds, void *y)
{
    vec chain[PEAK_CHAINS];
    vec a = v_set1((real)0.999), b = v_set1((real)0.001);
    UNROLL for (int i = 0; i < PEAK_CHAINS; i++) chain[i] = v_set1((real)i);
    for (long r = 0; r < rounds; r++) {
        UNROLL for (int i = 0; i < PEAK_CHAINS; i++) chain[i] = v_fma(chain[i], a, b);
    }
    vec sum = v_zero();
    UNROLL for (int i = 0; i < PEAK_CHAINS; i++) sum = sum + chain[i];
    *(real *)y = v_sum(sum);
}

static void peak_copy(const void *src_, void *dst_, long n)
{
    const real *src = src_;
    real *dst = dst_;
    for (long i = 0; i + 4 * VL <= n; i += 4 * VL) {
        UNROLL for (int w = 0; w < 4; w++) v_store(dst + i + w * VL, v_load(src + i + w * VL));
    }
}

#define PEAK_ROWS .peak_fma = peak_fma, .peak_copy = peak_copy,
