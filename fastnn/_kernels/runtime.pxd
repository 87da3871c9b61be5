# The table of micro-kernels in use, and the one way to run anything in parallel.

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

cdef extern from "kernels.h" nogil:
    ctypedef struct epilogue:
        const void* bias
        const void* norm
        long norm_row
        int relu

    ctypedef struct gemm_tile_args:
        long batches, k
        const void* a
        long a_row, a_k, a_batch
        const void* b
        long b_k, b_batch
        void* c
        long c_row
        long n
        int accumulate
        epilogue after

    ctypedef struct gemm_thin_args:
        long m, n, k
        const void* a
        long a_row, a_k
        const void* b
        long b_k, b_col
        void* c
        long c_row, c_col
        int accumulate
        epilogue after
        long after_col

    ctypedef void (*gemm_tile_fn)(const gemm_tile_args* tile) noexcept nogil
    ctypedef void (*pointwise_fn)(const void* a, long sa, const void* b, long sb,
                                  const void* c, long sc, void* y, long n,
                                  const double* p) noexcept nogil

    ctypedef struct pad_row:
        long unit, before, size, length
        const int64_t* source
        const void* value

    enum:
        REDUCE_SUM, REDUCE_MAX, REDUCE_MIN, REDUCE_PROD, REDUCE_SQUARES, REDUCE_COUNT, REDUCE_KINDS
    ctypedef void (*reduce_fn)(const void* x, long rows, long row_step, long n,
                               const void* shift, void* y) noexcept nogil
    ctypedef void (*arg_fn)(const void* x, long rows, long row_step, long n,
                            int64_t* index, void* value) noexcept nogil
    enum:
        PEAK_READ, PEAK_COPY, PEAK_ADD, PEAK_KINDS
    ctypedef void (*peak_fn)(const void* a, const void* b, void* c, long n) noexcept nogil
    enum:
        LOSS_MSE, LOSS_L1, LOSS_HUBER, LOSS_QUANTILE
        LOSS_BCE_LOGITS, LOSS_BCE, LOSS_KL, LOSS_HINGE, LOSS_CONTRASTIVE, LOSS_KINDS
    ctypedef double (*loss_sum_fn)(const void* x, const void* t, long n, double p) noexcept nogil
    ctypedef void (*loss_each_fn)(const void* x, const void* t, long n, double p,
                                  void* y) noexcept nogil
    ctypedef void (*loss_backward_fn)(const void* x, const void* t, long n, double p,
                                      const void* dy, long dy_step, double scale,
                                      void* dx) noexcept nogil
    enum:
        SOFTMAX, LOG_SOFTMAX, LOGSUMEXP, SOFTMAX_BACKWARD, LOG_SOFTMAX_BACKWARD, LOGSUMEXP_BACKWARD
    ctypedef struct softmax_args:
        long count, n, step
        const void* x
        const void* y
        const void* dy
        void* out
    ctypedef void (*softmax_fn)(const softmax_args* t) noexcept nogil
    ctypedef struct cross_entropy_args:
        long count, n, step
        const void* x
        const int64_t* target
        const void* probability
        int64_t ignore_index
        const void* weight
        double weight_sum
        double smoothing
        double scale
        void* loss
        void* dx
        void* scratch

    enum:
        RNN_TANH, RNN_RELU, RNN_LSTM, RNN_GRU, RNN_GRU_BEFORE, RNN_RESET, RNN_LINEAR
    ctypedef struct rnn_gates_args:
        long rows, units
        void* gates
        long slot
        const void* recurrent
        long recurrent_slot
        const void* bias
        const void* peephole
        void* kept
        void* c
        const void* h_prev
        long h_prev_row
        void* h
        long h_row
        void* y
        long y_row
        void* dgates
        void* db
    ctypedef void (*rnn_gates_fn)(const rnn_gates_args* panel) noexcept nogil

    ctypedef struct rnn_thin_args:
        long rows, tiles, batches, k
        const void* a
        long a_row, a_batch
        const void* b
        long b_tile
        void* c
        long c_row, c_tile
        const void* bias
        int accumulate

    enum:
        OPTIM_SGD, OPTIM_ADAM, OPTIM_ADAMAX, OPTIM_RMSPROP, OPTIM_ADAGRAD, OPTIM_ADADELTA
        OPTIM_RPROP, OPTIM_ASGD, OPTIM_KINDS, OPTIM_STATES
    ctypedef struct optim_rule:
        double sign, weight_decay, shrink, step, ahead, decay1, gain1, decay2, gain2, eps, root
        double low, high
        int nesterov, first, plain
    ctypedef void (*optim_fn)(void* x, const void* dx, void** state, long n,
                              const optim_rule* rule) noexcept nogil

    enum:
        NORM_SQUARES, NORM_ABS, NORM_POWER, NORM_LARGEST
    ctypedef double (*clip_norm_fn)(const void* x, long n, double p) noexcept nogil

    ctypedef struct random_stream:
        uint64_t seed, call

    ctypedef struct dropout_rule:
        uint32_t threshold
        double scale, shift, dropped

    enum:
        NORM_COLUMNS, NORM_LINES
    ctypedef void (*norm_stats_fn)(const void* x, long rows, long step, long n, void* mean,
                                   void* slip, void* m2) noexcept nogil
    ctypedef void (*norm_apply_fn)(const void* x, const void* mean, const void* scale,
                                   const void* shift, int relu, void* y, long rows, long step,
                                   long n) noexcept nogil
    ctypedef void (*norm_sums_fn)(const void* dy, const void* x, const void* mean,
                                  const void* scale, const void* shift, long rows, long step,
                                  long n, void* sum, void* dot) noexcept nogil
    ctypedef void (*norm_back_fn)(const void* dy, const void* x, const void* mean,
                                  const void* scale, const void* shift, const void* offset,
                                  const void* slope, void* dx, long rows, long step,
                                  long n) noexcept nogil

    ctypedef struct pool_axis:
        long size, windows, dilation
        const int64_t* begin
        const int64_t* count
        const int64_t* first
        const int64_t* last
        const double* share

    ctypedef struct pool_args:
        pool_axis d, h, w
        long channels
        long tap_plane, tap_row
        int tap_bytes

    ctypedef void (*pool_backward_fn)(const pool_args* p, const void* taps, const void* dy,
                                      long plane, long row, long end,
                                      void* dx) noexcept nogil

    ctypedef struct depthwise_args:
        long columns, channels, taps_h, taps_w
        const void* x
        long x_row, x_tap, x_col
        void* w
        long w_row, w_tap
        epilogue after
        void* y
        long y_col
    ctypedef void (*depthwise_fn)(const depthwise_args* row) noexcept nogil

    ctypedef struct winograd_args:
        long tiles, n
        void* pixels
        long row, col, step
        void* planes
        long plane, tile
        long rows, cols
        epilogue after
    ctypedef void (*winograd_fn)(const winograd_args* t) noexcept nogil

    ctypedef struct fastnn_kernels:
        const char* isa
        int real_bits
        int vl
        int[5] gemm_rows
        gemm_tile_fn[5][17] gemm_tile
        void (*gemm_pack)(const void* src, long si, long sj, void* dst, long k, long n,
                          long nr) noexcept nogil
        void (*gemm_dot)(const gemm_thin_args* t) noexcept nogil
        void (*gemm_columns)(const gemm_thin_args* t) noexcept nogil
        void (*copy_2d)(const void* src, long s_row, long s_col, void* dst, long d_row, long d_col,
                        long rows, long cols) noexcept nogil
        void (*pad_rows)(const pad_row* t, const void* x, long x_step, const int64_t* from_,
                         long rows, void* y) noexcept nogil
        void (*pad_fold)(const pad_row* t, const void* dy, long dy_step, const int64_t* start,
                         const int64_t* taker, long rows, int add, void* dx) noexcept nogil
        reduce_fn[6] reduce_rows
        reduce_fn[6] reduce_columns
        arg_fn[2] arg_rows
        arg_fn[2] arg_columns
        depthwise_fn depthwise_row, depthwise_weight
        winograd_fn[3] winograd_input, winograd_taps, winograd_output
        winograd_fn[2] winograd_dy, winograd_dw
        void (*conv_add)(const void* x, void* y, long n) noexcept nogil
        void (*conv_column_sum)(const void* x, long x_row, void* y, long rows,
                                long n) noexcept nogil
        pointwise_fn* pointwise
        void (*peak_fma)(long rounds, void* y) noexcept nogil
        peak_fn peak_stream[PEAK_KINDS]
        softmax_fn[6] softmax_rows
        softmax_fn[6] softmax_columns
        void (*cross_entropy)(const cross_entropy_args* t) noexcept nogil
        double (*target_weight)(const int64_t* target, long n, int64_t classes,
                                int64_t ignore_index, const void* weight,
                                long* bad) noexcept nogil
        loss_sum_fn[9] loss_sum
        loss_each_fn[9] loss_each
        loss_backward_fn[9] loss_backward
        optim_fn[8] optim
        clip_norm_fn[4] clip_norm
        void (*clip_scale)(void* x, long n, double factor) noexcept nogil
        void (*clip_value)(void* x, long n, double low, double high) noexcept nogil
        void (*rows_sum)(const void* x, const int64_t* which, const void* scale, long count,
                         double divisor, long n, void* y) noexcept nogil
        void (*rows_max)(const void* x, const int64_t* which, long count, long n, void* y,
                         int32_t* tap) noexcept nogil
        void (*rows_max_back)(const void* dy, const int64_t* which, const int64_t* order,
                              const int32_t* tap, long count, long n, void* y) noexcept nogil
        void (*rows_dot)(const void* x, const void* w, const int64_t* which, long count, long n,
                         void* y) noexcept nogil
        void (*rows_add)(const void* x, double alpha, void* y, long n) noexcept nogil
        void (*random_uniform)(const random_stream* s, long first, long n, double low, double high,
                               void* y) noexcept nogil
        void (*random_normal)(const random_stream* s, long first, long n, double mean, double std,
                              void* y) noexcept nogil
        int (*random_bernoulli)(const random_stream* s, long first, long n, const void* p,
                                void* y) noexcept nogil
        void (*random_dropout)(const random_stream* s, long first, long n,
                               const dropout_rule* rule, const void* x, void* y) noexcept nogil
        void (*random_rrelu)(const random_stream* s, long first, long n, double low, double high,
                             const void* x, const void* a, void* y) noexcept nogil
        void (*random_integers)(const random_stream* s, long first, long n, int64_t low,
                                uint64_t range_, int64_t* y) noexcept nogil
        norm_stats_fn[2] norm_stats
        norm_apply_fn[2] norm_apply
        norm_sums_fn[2] norm_sums
        norm_back_fn[2] norm_back
        void (*norm_constants)(const double* mean, const double* var, long sets, long count,
                               double eps, const void* weight, const void* bias, long apart,
                               void* constants) noexcept nogil
        void (*norm_merge)(const void* parts, long stride, long offset, long rows, long chunk,
                           long n, double* mean, double* var) noexcept nogil
        void (*norm_total)(const void* parts, long chunks, long stride, long n,
                           double* total) noexcept nogil
        void (*norm_rows)(const void* x, const void* weight, const void* bias, double eps, void* y,
                          void* mean, void* slip, void* rstd, long rows, long n) noexcept nogil
        void (*norm_rows_back)(const void* dy, const void* x, const void* mean, const void* slip,
                               const void* rstd, const void* weight, void* dx, long rows,
                               long n) noexcept nogil
        void (*norm_rows_sums)(const void* dy, const void* x, const void* mean, const void* slip,
                               const void* rstd, long rows, long n, void* sum,
                               void* dot) noexcept nogil
        void (*pool_max)(const pool_args* p, const void* x, long x_plane, long od, long oh,
                         long end, void* y, void* taps) noexcept nogil
        void (*pool_avg)(const pool_args* p, const void* x, long x_plane, long od, long oh,
                         long end, void* y) noexcept nogil
        pool_backward_fn pool_max_spread, pool_avg_spread, pool_max_gather, pool_avg_gather
        rnn_gates_fn[7] rnn_forward, rnn_backward
        void (*rnn_thin)(const rnn_thin_args* t) noexcept nogil

# dtype codes, in the order of type promotion
cdef enum:
    BOOL = 0
    UINT8 = 1
    INT32 = 2
    INT64 = 3
    FLOAT32 = 4
    FLOAT64 = 5

cdef long itemsize(int dtype) noexcept nogil

# the table for FLOAT32 or FLOAT64
cdef const fastnn_kernels* kernels(int dtype) noexcept nogil

# the pointwise kernels on INT64; NULL where an operation has none
cdef const pointwise_fn* integer_kernels() noexcept nogil

# dst[i * dst_step] = (type of dst)src[i * src_step] for i < n, steps in elements
cdef void convert(int src_dtype, const void* src, long src_step,
                  int dst_dtype, void* dst, long dst_step, long n) noexcept nogil

cdef inline long ceil_div(long a, long b) noexcept nogil:
    return (a + b - 1) // b

cdef inline bint few_sets(long nbytes) noexcept nogil:
    """Do numbers so far apart, and so again and again, share few sets of a first-level cache?"""
    return nbytes % 1024 == 0

cdef inline size_t aligned(size_t nbytes) noexcept nogil:
    """As many bytes, in whole cache lines."""
    return (nbytes + 63) // 64 * 64

cdef extern from *:
    void __builtin_prefetch(const void* p) noexcept nogil

cdef inline void prefetch(const char* p, long nbytes) noexcept nogil:
    """Asks for the cache lines of these bytes."""
    cdef long i = 0
    while i < nbytes:
        __builtin_prefetch(p + i)
        i += 64

cdef inline epilogue no_epilogue() noexcept nogil:
    cdef epilogue e
    e.bias = e.norm = NULL
    e.norm_row = e.relu = 0
    return e

cdef inline epilogue epilogue_from(const epilogue* all, long column, long size) noexcept nogil:
    """For the columns from this one on, of numbers of `size` bytes."""
    cdef epilogue e = all[0]
    if e.bias != NULL:
        e.bias = <const char*>e.bias + column * size
    if e.norm != NULL:
        e.norm = <const char*>e.norm + column * size
    return e

# how many threads are worth starting for work that takes `ns` nanoseconds on one
cdef int team_size(double ns) noexcept nogil

# Runs task(context, item, thread) for every item < items, each once, in any
# order, on at most `threads` threads; thread < threads numbers the scratch to use.
ctypedef void (*item_task)(void* context, long item, int thread) noexcept nogil
cdef void parallel_for(item_task task, void* context, long items, int threads) noexcept nogil

# Runs task(context, thread, team) once on each of a team of at most `threads`
# threads, which may meet at team_barrier().
ctypedef void (*team_task)(void* context, int thread, int team) noexcept nogil
cdef void parallel_team(team_task task, void* context, int threads) noexcept nogil
cdef void team_barrier() noexcept nogil
