# The losses of classes, of scores x (outer, n, inner) in memory; formulas in
# csrc/kernels/cross_entropy.h.

from libc.stdint cimport int64_t

from fastnn._kernels.runtime cimport cross_entropy_args

# The sum of the weights (of ones: the number) of all targets but those to ignore; bad is the
# first that is neither a class nor ignored, or -1. `parts` has target_parts_bytes().
cdef long target_parts_bytes(long count) noexcept nogil
cdef double target_total(int dtype, const int64_t* target, long count, long classes,
                         int64_t ignore_index, const char* weight, char* parts,
                         long* bad) noexcept nogil

# count, step and scratch of the arguments are filled in here
cdef int cross_entropy_threads(int dtype, long outer, long n, long inner) noexcept nogil
cdef long cross_entropy_scratch_bytes(int dtype, long n, int threads) noexcept nogil
cdef void cross_entropy_forward(int dtype, long outer, long n, long inner,
                                const cross_entropy_args* arrays, char* scratch,
                                int threads) noexcept nogil

# loss[i, k] = -weight[t] x[i, t, k], t = target[i, k]
cdef void nll_forward(int dtype, long outer, long n, long inner, const char* x,
                      const int64_t* target, int64_t ignore_index, const char* weight,
                      char* loss) noexcept nogil
# dx[i, t, k] = -weight[t] dy[dy_step * (i, k)], zero elsewhere
cdef void nll_backward(int dtype, long outer, long n, long inner, const int64_t* target,
                       int64_t ignore_index, const char* weight, const char* dy, long dy_step,
                       char* dx) noexcept nogil
