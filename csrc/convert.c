#include "convert.h"

#include <stdint.h>

#define TO_NUMBER(TO, x) ((TO)(x))
#define TO_BOOL(TO, x) ((x) != 0)
/* a real out of the integer's range has no defined cast in C: it goes through int64 */
#define TO_SMALL_INT(TO, x) ((TO)(int64_t)(x))

#define CONVERT(NAME, FROM, TO, CAST)                                                     \
    static void NAME(const FROM *src, long src_step, TO *dst, long dst_step, long n)      \
    {                                                                                     \
        if (src_step == 1 && dst_step == 1)                                               \
            for (long i = 0; i < n; i++) dst[i] = CAST(TO, src[i]);                       \
        else                                                                              \
            for (long i = 0; i < n; i++) dst[i * dst_step] = CAST(TO, src[i * src_step]); \
    }

/* the six sources of one destination */
#define CONVERT_TO(TO_NAME, TO, CAST)                     \
    CONVERT(bool_to_##TO_NAME, uint8_t, TO, CAST)         \
    CONVERT(uint8_to_##TO_NAME, uint8_t, TO, CAST)        \
    CONVERT(int32_to_##TO_NAME, int32_t, TO, CAST)        \
    CONVERT(int64_to_##TO_NAME, int64_t, TO, CAST)        \
    CONVERT(float32_to_##TO_NAME, float, TO, CAST)        \
    CONVERT(float64_to_##TO_NAME, double, TO, CAST)

CONVERT_TO(bool, uint8_t, TO_BOOL)
CONVERT_TO(uint8, uint8_t, TO_SMALL_INT)
CONVERT_TO(int32, int32_t, TO_SMALL_INT)
CONVERT_TO(int64, int64_t, TO_NUMBER)
CONVERT_TO(float32, float, TO_NUMBER)
CONVERT_TO(float64, double, TO_NUMBER)

typedef void (*convert_fn)(const void *, long, void *, long, long);

#define ROW(FROM_NAME)                                                             \
    {(convert_fn)FROM_NAME##_to_bool, (convert_fn)FROM_NAME##_to_uint8,            \
     (convert_fn)FROM_NAME##_to_int32, (convert_fn)FROM_NAME##_to_int64,           \
     (convert_fn)FROM_NAME##_to_float32, (convert_fn)FROM_NAME##_to_float64}

static const convert_fn table[6][6] = {
    ROW(bool), ROW(uint8), ROW(int32), ROW(int64), ROW(float32), ROW(float64),
};

void fastnn_convert(int src_dtype, const void *src, long src_step,
                    int dst_dtype, void *dst, long dst_step, long n)
{
    table[src_dtype][dst_dtype](src, src_step, dst, dst_step, n);
}
