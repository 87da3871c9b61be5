/* What the benchmark measures the machine with: fused multiply-adds in registers, and streams
 * of numbers that are read, copied or added. Called by _kernels/peak.pyx. */

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

/* c[0] = the sum of a */
static void peak_read(const void *a, const void *b, void *c, long n)
{
    const real *x = a;
    vec sum[8];
    (void)b;
    UNROLL for (int w = 0; w < 8; w++) sum[w] = v_zero();
    for (long i = 0; i + 8 * VL <= n; i += 8 * VL) {
        UNROLL for (int w = 0; w < 8; w++) sum[w] = sum[w] + v_load(x + i + w * VL);
    }
    UNROLL for (int w = 1; w < 8; w++) sum[0] = sum[0] + sum[w];
    *(real *)c = v_sum(sum[0]);
}

/* c = a */
static void peak_copy(const void *a, const void *b, void *c, long n)
{
    const real *x = a;
    real *y = c;
    (void)b;
    for (long i = 0; i + 8 * VL <= n; i += 8 * VL) {
        UNROLL for (int w = 0; w < 8; w++) v_store(y + i + w * VL, v_load(x + i + w * VL));
    }
}

/* c = a + b */
static void peak_add(const void *a, const void *b, void *c, long n)
{
    const real *x = a, *z = b;
    real *y = c;
    for (long i = 0; i + 8 * VL <= n; i += 8 * VL) {
        UNROLL for (int w = 0; w < 8; w++) {
            v_store(y + i + w * VL, v_load(x + i + w * VL) + v_load(z + i + w * VL));
        }
    }
}

#define PEAK_ROWS                                                                                  \
    .peak_fma = peak_fma,                                                                          \
    .peak_stream = {[PEAK_READ] = peak_read, [PEAK_COPY] = peak_copy, [PEAK_ADD] = peak_add},
