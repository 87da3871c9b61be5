# Matrix products of few rows that need no packing.

from fastnn._kernels.gemm cimport Gemm
from fastnn._kernels.runtime cimport fastnn_kernels

# is this a problem for gemm_thin()?
cdef bint is_thin(const Gemm* g, const fastnn_kernels* table) noexcept nogil

# team: share out among `threads`, as gemm() does; else run on the calling thread.
# Returns True for the path along columns, False for dot products.
cdef bint gemm_thin(const Gemm* g, const fastnn_kernels* table, double ns,
                    bint team, int threads) noexcept nogil

# y[j] = (y[j] if accumulate) + sum_i x[i, j] + bias[j], then ReLU: the sum of partial results
cdef void sum_rows(int dtype, const char* x, long rows, long row_step, const Gemm* like,
                   char* y, long cols, bint one_bias, const char* bias) noexcept nogil
