/* Which variants this build holds and this CPU can run. FASTNN_LEVELS is the
 * list of levels compiled in, best first, as LEVEL(name) entries. */
#include <string.h>

#include "kernels.h"

#define LEVEL(name) extern const fastnn_kernels fastnn_##name##_f32, fastnn_##name##_f64;
FASTNN_LEVELS
#undef LEVEL

static int cpu_runs(const char *level)
{
#if defined(__x86_64__)
    if (!strcmp(level, "avx512"))
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
            && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")
            && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (!strcmp(level, "avx2"))
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
            && __builtin_cpu_supports("bmi2");
#endif
    return !strcmp(level, "scalar") || !strcmp(level, "neon");
}

typedef struct {
    const char *name;
    const fastnn_kernels *f32, *f64;
} level;

#define LEVEL(name) {#name, &fastnn_##name##_f32, &fastnn_##name##_f64},
static const level levels[] = {FASTNN_LEVELS};
#undef LEVEL

int fastnn_levels(const char **names, int capacity)
{
    int count = 0;
    for (unsigned i = 0; i < sizeof levels / sizeof *levels; i++)
        if (count < capacity && cpu_runs(levels[i].name)) names[count++] = levels[i].name;
    return count;
}

const fastnn_kernels *fastnn_table(const char *name, int real_bits)
{
    for (unsigned i = 0; i < sizeof levels / sizeof *levels; i++)
        if (!strcmp(levels[i].name, name) && cpu_runs(name))
            return real_bits == 32 ? levels[i].f32 : levels[i].f64;
    return 0;
}
