# Normalisation of the channels of x: batch, group and instance norm.

from fastnn._kernels.runtime cimport FLOAT32

# What is normalised together is a set: a channel over all samples, or a group of
# channels of one sample.
cdef struct Channels:
    int dtype
    bint lines       # is x (N, C, S) in memory, else (N, S, C)
    bint pooled      # over all samples; then groups = C
    long N, S, C     # samples, positions, channels
    long groups

# rows of the constants of a channel: y = (x - MEAN) * SCALE + SHIFT, three rows in turn as an
# epilogue has them; SLIP is what MEAN lacks
cdef enum:
    SLIP, RSTD, MEAN, SCALE, SHIFT, CONSTANTS

cdef long set_samples(const Channels* s) noexcept nogil      # with constants of their own
cdef long set_size(const Channels* s) noexcept nogil         # numbers in a set
cdef size_t channel_parts_bytes(const Channels* s) noexcept nogil     # partial results
cdef int channel_threads(const Channels* s) noexcept nogil

# y and the constants (set_samples, CONSTANTS, C) from the mean and the biased variance of each
# set, which are worked out in training and given otherwise; w and b (C) may be NULL, and y where
# the constants are all that is wanted
cdef size_t channel_forward_bytes(const Channels* s) noexcept nogil
cdef void channel_forward(const Channels* s, const char* x, bint training, double* mean,
                          double* var, double eps, const char* w, const char* b, bint relu,
                          char* constants, char* y, char* scratch, int threads) noexcept nogil
# the gradients of w and b, unless they are NULL, and with dx that of x; `sums` holds 2 * N * C
# doubles and `slopes` 2 * set_samples * C numbers. training: the statistics are those of x itself;
# relu: so ended the forward pass
cdef void channel_backward(const Channels* s, const char* dy, const char* x, const char* constants,
                           bint training, bint relu, char* parts, double* sums, char* slopes,
                           char* dw, char* db, char* dx, int threads) noexcept nogil

# --- for layer norm ---

cdef long chunk_rows(long width) noexcept nogil       # rows that stay in the second-level cache

cdef inline double number(int dtype, const char* x, long i) noexcept nogil:
    return (<const float*>x)[i] if dtype == FLOAT32 else (<const double*>x)[i]

cdef inline void put(int dtype, char* x, long i, double value) noexcept nogil:
    if dtype == FLOAT32:
        (<float*>x)[i] = <float>value
    else:
        (<double*>x)[i] = value
