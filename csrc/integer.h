/* Pointwise operations on int64, under the contract of pointwise.h. Arithmetic
 * wraps around. NULL where an operation has no meaning for integers. */
#ifndef FASTNN_INTEGER_H
#define FASTNN_INTEGER_H

#include "kernels.h"

extern const pointwise_fn fastnn_integer[PW_COUNT];

#endif
