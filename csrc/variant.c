/* One variant: every kernel at one instruction-set level and one precision.
 * Compiled once for each with -DREAL_BITS, -DISA_HEADER and -DTABLE. All is
 * static but the table, so no two variants can be mixed up by the linker. */
#include "simd.h"
#include "kernels.h"

#include "kernels/vmath.h"
#include "kernels/epilogue.h"
#include "kernels/gemm.h"
#include "kernels/gemm_thin.h"
#include "kernels/copy.h"
#include "kernels/pad.h"
#include "kernels/conv.h"
#include "kernels/conv_depthwise.h"
#include "kernels/conv_winograd.h"
#include "kernels/pointwise.h"
#include "kernels/reduce.h"
#include "kernels/arg.h"
#include "kernels/optim.h"
#include "kernels/random.h"
#include "kernels/peak.h"
#include "kernels/softmax.h"
#include "kernels/softmax_columns.h"
#include "kernels/cross_entropy.h"
#include "kernels/loss.h"
#include "kernels/pool.h"
#include "kernels/rnn.h"
#include "kernels/norm.h"
#include "kernels/norm_rows.h"
#include "kernels/embedding.h"
#include "kernels/clip.h"

extern const fastnn_kernels TABLE;
const fastnn_kernels TABLE = {
    .isa = ISA_NAME,
    .real_bits = REAL_BITS,
    .vl = VL,
    GEMM_ROWS
    GEMM_THIN_ROWS
    COPY_ROWS
    PAD_ROWS
    PEAK_ROWS
    CONV_ROWS
    CONV_DEPTHWISE_ROWS
    CONV_WINOGRAD_ROWS
    POINTWISE_ROWS
    REDUCE_ROWS
    ARG_ROWS
    OPTIM_ROWS
    RANDOM_ROWS
    SOFTMAX_ROWS
    CROSS_ENTROPY_ROWS
    LOSS_ROWS
    POOL_ROWS
    RNN_ROWS
    NORM_ROWS
    NORM_ROWS_ROWS
    EMBEDDING_ROWS
    CLIP_ROWS
};
