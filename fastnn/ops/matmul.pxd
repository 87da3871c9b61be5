# Matrix products for other operations.

from fastnn._core.tensor cimport Tensor
from fastnn._kernels.gemm cimport Gemm

# runs one problem with its scratch, the GIL released where it is worth it
cdef int run_gemm(const Gemm* g) except -1

# y[N] = the sum of x[.., N] over all but the last dimension, outside the graph
cdef Tensor sum_columns(Tensor x)
