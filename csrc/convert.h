/* Strided copies between any two dtypes; codes as in _kernels/runtime.pxd. */
#ifndef FASTNN_CONVERT_H
#define FASTNN_CONVERT_H

/* dst[i * dst_step] = (dst type)src[i * src_step] for i < n, steps in elements.
 * To bool: whether it is not zero. From real to integer: towards zero. */
void fastnn_convert(int src_dtype, const void *src, long src_step,
                    int dst_dtype, void *dst, long dst_step, long n);

#endif
