/* The contract between the hot loops (fastnn/_kernels) and the micro-kernels.
 *
 * A table holds every micro-kernel of one variant: one instruction-set level at
 * one precision. All tables have this one type, so the hot loops are written
 * once for both precisions: data pointers are void *, and every stride, offset
 * and count is in elements of the table's precision. A kernel computes on the
 * calling thread, allocates nothing and keeps no state. */
#ifndef FASTNN_KERNELS_H
#define FASTNN_KERNELS_H

#include <stdint.h>

enum { GEMM_MR_MAX = 16, GEMM_WIDTHS = 4 };

/* What becomes of a finished sum, of each step what there is: a bias is added, then the
 * column is normalised, (y - mean) * scale + shift, then comes ReLU. */
typedef struct {
    const void *bias; /* a number a column, or NULL */
    const void *norm; /* rows of mean, scale and shift, norm_row numbers apart; or NULL */
    long norm_row;
    int relu;
} epilogue;

/* One register tile, m rows by up to w vectors (w = 1 to 4):
 *   C[i, j] (+)= sum_batch sum_k A[i, k] * B[k, j]   for j < n
 * with every element of A and B at base + batch, row and k strides. The last
 * block of k has an epilogue. */
typedef struct {
    long batches, k;
    const void *a;
    long a_row, a_k, a_batch;
    const void *b;
    long b_k, b_batch; /* the columns of B and C are contiguous */
    void *c;
    long c_row;
    long n;         /* columns computed, at most w * vl */
    int accumulate; /* start from C instead of zero */
    epilogue after;
} gemm_tile_args;

typedef void (*gemm_tile_fn)(const gemm_tile_args *);

/* A product of few rows; which strides must be 1 is said in gemm_thin.h. */
typedef struct {
    long m, n, k;
    const void *a;
    long a_row, a_k;
    const void *b;
    long b_k, b_col;
    void *c;
    long c_row, c_col;
    int accumulate;
    epilogue after;
    long after_col; /* 1, or 0: the first column's for all */
} gemm_thin_args;

/* Depthwise convolution: one row of output columns, or their part of the weight
 * gradient; x is where the first column's first tap reads. */
typedef struct {
    long columns, channels, taps_h, taps_w;
    const void *x;
    long x_row, x_tap, x_col; /* to the next row of taps, the next tap, the next column */
    void *w;
    long w_row, w_tap;
    epilogue after;           /* of the row */
    void *y;                  /* of the weight gradient: dy */
    long y_col;
} depthwise_args;

typedef void (*depthwise_fn)(const depthwise_args *row);

/* Winograd's tiles along a row of an image, n channels of each, and what they are in planes
 * [value][tile][n]; tiles are `step` apart in the image, `tile` in a plane. */
typedef struct {
    long tiles, n;
    void *pixels;
    long row, col, step;
    void *planes; /* rows of whole vectors */
    long plane, tile;
    /* of winograd_output and winograd_dw: */
    long rows, cols; /* pixels that exist, of all tiles together */
    epilogue after;
} winograd_args;
typedef void (*winograd_fn)(const winograd_args *);

/* y[i] = f(a[i * sa], b[i * sb], c[i * sc]) for i < n, strides 0 or 1; p holds
 * the operation's constants (a slope, a bound, ...). Operands that an operation
 * does not have are not read. */
typedef void (*pointwise_fn)(const void *a, long sa, const void *b, long sb,
                             const void *c, long sc, void *y, long n, const double *p);

/* pad.h: a row of `size` positions of `unit` numbers, and of `length` when padded */
typedef struct {
    long unit, before, size, length;
    const int64_t *source; /* [length]: the position that each one shows; -1: the constant */
    const void *value;     /* the constant, or NULL: there is none */
} pad_row;

/* reduce.h: rows or columns of x[i * row_step + j], i < rows, j < n, to y[rows] or y[n];
 * shift has one number for each y, or is NULL */
enum {
    REDUCE_SUM, REDUCE_MAX, REDUCE_MIN, REDUCE_PROD, REDUCE_SQUARES, REDUCE_COUNT, REDUCE_KINDS
};
typedef void (*reduce_fn)(const void *x, long rows, long row_step, long n, const void *shift,
                          void *y);
typedef void (*arg_fn)(const void *x, long rows, long row_step, long n, int64_t *index,
                       void *value);

/* softmax.h: rows of n numbers, one after the other without gaps; or columns, side by side,
 * whose numbers lie `step` apart. y and dy of logsumexp have one number for each. */
enum {
    SOFTMAX, LOG_SOFTMAX, LOGSUMEXP,
    SOFTMAX_BACKWARD, LOG_SOFTMAX_BACKWARD, LOGSUMEXP_BACKWARD, SOFTMAX_KINDS
};
typedef struct {
    long count, n; /* count: of rows or columns */
    long step;
    const void *x, *y, *dy;
    void *out;     /* y or dx */
} softmax_args;
typedef void (*softmax_fn)(const softmax_args *);

/* cross_entropy.h: the losses of samples with n class scores, and their gradients */
typedef struct {
    long count, n;
    long step;               /* from a class to the next; 1: samples are rows of n */
    const void *x;
    const int64_t *target;   /* [count]: from 0 to n - 1, or ignore_index; */
    const void *probability; /* or, like x, those of all classes; NULL: target counts */
    int64_t ignore_index;
    const void *weight;      /* [n], or NULL for ones */
    double weight_sum;
    double smoothing;
    double scale;            /* what the gradient is multiplied by */
    void *loss;              /* [count] */
    void *dx;                /* like x, or NULL: no gradient */
    void *scratch;           /* 8 * n vectors */
} cross_entropy_args;

/* norm.h: of each channel, a column or a row of x, one number in every array. With relu, and
 * backward where a shift is given, y went through ReLU. */
enum { NORM_COLUMNS, NORM_LINES, NORM_WAYS };
typedef void (*norm_stats_fn)(const void *x, long rows, long step, long n, void *mean, void *slip,
                              void *m2);
typedef void (*norm_apply_fn)(const void *x, const void *mean, const void *scale,
                              const void *shift, int relu, void *y, long rows, long step, long n);
typedef void (*norm_sums_fn)(const void *dy, const void *x, const void *mean, const void *scale,
                             const void *shift, long rows, long step, long n, void *sum, void *dot);
typedef void (*norm_back_fn)(const void *dy, const void *x, const void *mean, const void *scale,
                             const void *shift, const void *offset, const void *slope, void *dx,
                             long rows, long step, long n);

/* peak.h: streams of n numbers, from a and b to c */
enum { PEAK_READ, PEAK_COPY, PEAK_ADD, PEAK_KINDS };
typedef void (*peak_fn)(const void *a, const void *b, void *c, long n);

/* loss.h */
enum {
    LOSS_MSE, LOSS_L1, LOSS_HUBER, LOSS_QUANTILE,    /* functions of x - t */
    LOSS_BCE_LOGITS, LOSS_BCE, LOSS_KL, LOSS_HINGE, LOSS_CONTRASTIVE, LOSS_KINDS
};

#include "kernels/pointwise_list.h"

#define POINTWISE_ENUM(name, ...) PW_##name,
enum { POINTWISE_LIST(POINTWISE_ENUM) PW_COUNT };

/* random.h: what the numbers of one call depend on, beside their positions */
typedef struct {
    uint64_t seed, call;
} random_stream;

typedef struct {
    uint32_t threshold;  /* over 2^32: the probability to be dropped */
    double scale, shift; /* of what is kept */
    double dropped;      /* what takes the place of the rest */
} dropout_rule;

/* optim.h: the rules of optimisers, and the constants of one step, the same for every
 * number of a parameter. An optimiser reads those that its formula there names. */
enum {
    OPTIM_SGD, OPTIM_ADAM, OPTIM_ADAMAX, OPTIM_RMSPROP, OPTIM_ADAGRAD, OPTIM_ADADELTA,
    OPTIM_RPROP, OPTIM_ASGD, OPTIM_KINDS, OPTIM_STATES = 3
};

typedef struct {
    double sign;         /* -1 to maximise */
    double weight_decay; /* added to the gradient */
    double shrink;       /* what the parameter is multiplied by first: decoupled weight decay */
    double step;         /* what the direction is multiplied by: the learning rate, corrected */
    double ahead;        /* NAdam: the same for the gradient itself */
    double decay1, gain1, decay2, gain2; /* of the running means: new = decay old + gain g */
    double eps, root;
    double low, high;    /* Rprop: bounds of the step sizes */
    int nesterov, first, plain;
} optim_rule;

typedef void (*optim_fn)(void *x, const void *dx, void *const *state, long n,
                         const optim_rule *rule);

/* clip.h: the sum over n numbers of x^2, of |x| or of |x|^p, or the largest |x| */
enum { NORM_SQUARES, NORM_ABS, NORM_POWER, NORM_LARGEST, NORM_KINDS };

/* The windows of a pooling along one axis. Window o has count[o] taps, the first
 * at begin[o], `dilation` apart, all inside; share[o] is what an average weighs
 * each by. Position i lies within no windows but first[i] <= o < last[i]. */
typedef struct {
    long size, windows, dilation;
    const int64_t *begin, *count, *first, *last;
    const double *share;
} pool_axis;

typedef struct {
    pool_axis d, h, w; /* planes, rows, columns; images have one plane */
    long channels;
    long tap_plane, tap_row; /* tap number = plane * tap_plane + row * tap_row + column */
    int tap_bytes;           /* of the tap number of a maximum: 1 or 4; 0: not wanted */
} pool_args;

typedef void (*pool_backward_fn)(const pool_args *, const void *taps, const void *dy, long plane,
                                 long row, long end, void *dx);

/* rnn.h: one panel of gates, some batch rows. Forward, gates hold what comes from the input, and
 * on return, where there is `kept`, their activations; backward these. */
enum {
    RNN_TANH, RNN_RELU, RNN_LSTM, RNN_GRU, RNN_GRU_BEFORE,
    RNN_RESET,  /* not a layer: the first half of a step of RNN_GRU_BEFORE */
    RNN_LINEAR, /* nor this: h as a projection makes it, backward only */
    RNN_KINDS
};
typedef struct {
    long rows, units;      /* units: columns of the panel that exist, at most 2 * vl */
    void *gates;           /* slots of rows of 2 * vl */
    long slot;             /* from a slot to the next */
    const void *recurrent; /* forward: what comes from the state, likewise; RNN_RESET backward:
                            * the gradient of r h_prev, rows of h_row */
    long recurrent_slot;
    const void *bias;      /* [2 * vl], GRU: of h_n */
    const void *peephole;  /* [3, 2 * vl], LSTM: of i, f and o; or NULL */
    void *kept;            /* rows of 2 * vl: LSTM: c_prev. NULL forward: there is no backward */
    void *c;               /* rows of 2 * vl: forward c, backward its gradient, both in place */
    const void *h_prev;    /* GRU: rows, forward of h_row, backward of h_prev_row */
    long h_prev_row;
    void *h;               /* rows of whole panels: forward h, backward its gradient */
    long h_row;
    void *y;               /* rows of `units`: forward h once more, backward dy; or NULL */
    long y_row;
    void *dgates;          /* like gates */
    void *db;              /* [slots, 2 * vl], and [3, 2 * vl] of peepholes */
} rnn_gates_args;
typedef void (*rnn_gates_fn)(const rnn_gates_args *panel);

/* One to three rows of a times packed tiles of 2 * vl columns, [batches * k][2 * vl] each */
typedef struct {
    long rows, tiles;
    long batches, k;
    const void *a;
    long a_row, a_batch;
    const void *b;
    long b_tile;
    void *c;
    long c_row, c_tile;
    const void *bias; /* [tiles, 2 * vl] or NULL */
    int accumulate;
} rnn_thin_args;

typedef struct {
    const char *isa;
    int real_bits;
    int vl;                         /* numbers in a vector */
    int gemm_rows[GEMM_WIDTHS + 1]; /* most rows of a tile 1, 2, 3 and 4 vectors wide */

    /* gemm.h; gemm_tile[width][rows], the width in vectors */
    gemm_tile_fn gemm_tile[GEMM_WIDTHS + 1][GEMM_MR_MAX + 1];
    /* dst[j / nr][i][j % nr] = src[i * si + j * sj] for i < k, j < n, zero beyond n */
    void (*gemm_pack)(const void *src, long si, long sj, void *dst, long k, long n, long nr);
    void (*gemm_dot)(const gemm_thin_args *);
    void (*gemm_columns)(const gemm_thin_args *);

    /* copy.h: dst[i * d_row + j * d_col] = src[i * s_row + j * s_col] for i < rows, j < cols */
    void (*copy_2d)(const void *src, long s_row, long s_col, void *dst, long d_row, long d_col,
                    long rows, long cols);

    /* pad.h: rows of y from rows of x, and of dx from rows of dy */
    void (*pad_rows)(const pad_row *t, const void *x, long x_step, const int64_t *from, long rows,
                     void *y);
    void (*pad_fold)(const pad_row *t, const void *dy, long dy_step, const int64_t *start,
                     const int64_t *taker, long rows, int add, void *dx);

    /* reduce.h */
    reduce_fn reduce_rows[REDUCE_KINDS];
    reduce_fn reduce_columns[REDUCE_KINDS];

    /* arg.h: largest, smallest */
    arg_fn arg_rows[2];
    arg_fn arg_columns[2];
    /* conv_depthwise.h: a row of y = bias + sum of taps; w += a row of taps times dy */
    depthwise_fn depthwise_row, depthwise_weight;
    /* conv_winograd.h: pixels to planes and back; of tiles of 2 x 2 outputs by 3 taps, 4 x 4 by 3,
     * 2 x 2 by 5 */
    winograd_fn winograd_input[3], winograd_taps[3], winograd_output[3];
    winograd_fn winograd_dy[2], winograd_dw[2];
    /* conv.h: y[j] += x[j]; y[j] += sum over rows of x[i * x_row + j] */
    void (*conv_add)(const void *x, void *y, long n);
    void (*conv_column_sum)(const void *x, long x_row, void *y, long rows, long n);

    /* softmax.h */
    softmax_fn softmax_rows[SOFTMAX_KINDS];
    softmax_fn softmax_columns[SOFTMAX_KINDS];
    /* cross_entropy.h */
    void (*cross_entropy)(const cross_entropy_args *);
    double (*target_weight)(const int64_t *target, long n, int64_t classes, int64_t ignore_index,
                            const void *weight, long *bad);

    /* loss.h: of n numbers x against targets t, with a constant p of the loss:
     * their sum; each of them; dx = slope * dy[i * dy_step] * scale, dy_step 0 or 1 */
    double (*loss_sum[LOSS_KINDS])(const void *x, const void *t, long n, double p);
    void (*loss_each[LOSS_KINDS])(const void *x, const void *t, long n, double p, void *y);
    void (*loss_backward[LOSS_KINDS])(const void *x, const void *t, long n, double p,
                                      const void *dy, long dy_step, double scale, void *dx);
    /* norm.h: x[i * step + j], i < rows, j < n, whose channels are columns or rows */
    norm_stats_fn norm_stats[NORM_WAYS];
    norm_apply_fn norm_apply[NORM_WAYS];
    norm_sums_fn norm_sums[NORM_WAYS];
    norm_back_fn norm_back[NORM_WAYS];
    void (*norm_constants)(const double *mean, const double *var, long sets, long count,
                           double eps, const void *weight, const void *bias, long apart,
                           void *constants);
    void (*norm_merge)(const void *parts, long stride, long offset, long rows, long chunk, long n,
                       double *mean, double *var);
    void (*norm_total)(const void *parts, long chunks, long stride, long n, double *total);
    /* norm_rows.h: each row of x [rows, n] for itself; weight and bias may be NULL */
    void (*norm_rows)(const void *x, const void *weight, const void *bias, double eps, void *y,
                      void *mean, void *slip, void *rstd, long rows, long n);
    void (*norm_rows_back)(const void *dy, const void *x, const void *mean, const void *slip,
                           const void *rstd, const void *weight, void *dx, long rows, long n);
    void (*norm_rows_sums)(const void *dy, const void *x, const void *mean, const void *slip,
                           const void *rstd, long rows, long n, void *sum, void *dot);

    /* pool.h: some rows of a plane; of y, or of the gradient (windows, or positions of x) */
    void (*pool_max)(const pool_args *, const void *x, long x_plane, long od, long oh, long end,
                     void *y, void *taps);
    void (*pool_avg)(const pool_args *, const void *x, long x_plane, long od, long oh, long end,
                     void *y);
    pool_backward_fn pool_max_spread, pool_avg_spread, pool_max_gather, pool_avg_gather;

    /* pointwise.h */
    pointwise_fn pointwise[PW_COUNT];

    /* optim.h: n numbers of a parameter, its gradient and its state */
    optim_fn optim[OPTIM_KINDS];

    /* clip.h; clip_scale: x *= factor; clip_value: x held within [low, high] */
    double (*clip_norm[NORM_KINDS])(const void *x, long n, double p);
    void (*clip_scale)(void *x, long n, double factor);
    void (*clip_value)(void *x, long n, double low, double high);

    /* embedding.h: rows of n numbers */
    void (*rows_sum)(const void *x, const int64_t *which, const void *scale, long count,
                     double divisor, long n, void *y);
    void (*rows_max)(const void *x, const int64_t *which, long count, long n, void *y,
                     int32_t *tap);
    void (*rows_max_back)(const void *dy, const int64_t *which, const int64_t *order,
                          const int32_t *tap, long count, long n, void *y);
    void (*rows_dot)(const void *x, const void *w, const int64_t *which, long count, long n,
                     void *y);
    void (*rows_add)(const void *x, double alpha, void *y, long n);

    /* random.h: elements first .. first + n - 1 of the stream */
    void (*random_uniform)(const random_stream *s, long first, long n, double low, double high,
                           void *y);
    void (*random_normal)(const random_stream *s, long first, long n, double mean, double std,
                          void *y);
    /* whether all p are from 0 to 1 */
    int (*random_bernoulli)(const random_stream *s, long first, long n, const void *p, void *y);
    void (*random_dropout)(const random_stream *s, long first, long n, const dropout_rule *rule,
                           const void *x, void *y);
    void (*random_rrelu)(const random_stream *s, long first, long n, double low, double high,
                         const void *x, const void *a, void *y);
    void (*random_integers)(const random_stream *s, long first, long n, int64_t low,
                            uint64_t range, int64_t *y);
    /* peak.h: 24 * vl operations a round; a stream of n numbers, a multiple of 8 * vl */
    void (*peak_fma)(long rounds, void *y);
    peak_fn peak_stream[PEAK_KINDS];

    /* rnn.h */
    rnn_gates_fn rnn_forward[RNN_KINDS], rnn_backward[RNN_KINDS];
    void (*rnn_thin)(const rnn_thin_args *);
} fastnn_kernels;

/* dispatch.c: the levels compiled into this build that this CPU can run, best first */
int fastnn_levels(const char **names, int capacity);
/* the table of one of them (NULL: unknown name), at 32 or 64 bits */
const fastnn_kernels *fastnn_table(const char *level, int real_bits);

#endif
