# Softmax over any dimension, cross entropy over contiguous rows of n numbers; formulas in
# csrc/kernels/softmax.h.

from fastnn._kernels.runtime cimport cross_entropy_args, softmax_args

# Any of the operations of softmax_args on arrays (outer, n, inner); its pointers are those of
# whole arrays, and those of logsumexp's y and dy of arrays (outer, inner). What an operation
# reads: x; with _BACKWARD dy and y; LOGSUMEXP_BACKWARD dy, y and x.
cdef void softmax(int kind, int dtype, long outer, long n, long inner,
                  const softmax_args* arrays) noexcept nogil
cdef void cross_entropy_forward(int dtype, const cross_entropy_args* all_rows) noexcept nogil

# the first row whose target is neither a class nor ignore_index; -1: none
cdef long first_bad_target(const long long* target, long rows, long classes,
                           long long ignore_index) noexcept nogil

# loss[i] = -weight[t] x[i, t], t = target[i]; returns the sum of the weights used
cdef double nll_forward(int dtype, long rows, long n, const char* x, const long long* target,
                        long long ignore_index, const char* weight, char* loss) noexcept nogil
# dx[i, t] = -weight[t] dy[i * dy_step], zero elsewhere
cdef void nll_backward(int dtype, long rows, long n, const long long* target,
                       long long ignore_index, const char* weight,
                       const char* dy, long dy_step, char* dx) noexcept nogil
# the sum of the weights of the targets (of ones: their number), those to ignore left out
cdef double target_weight(int dtype, long rows, const long long* target, long long ignore_index,
                          const char* weight) noexcept nogil
# dx[i, j] = dy[i * dy_step] * slope[i, j]
cdef void scale_rows(int dtype, long rows, long n, const char* slope, const char* dy, long dy_step,
                     char* dx) noexcept nogil
