# Matrix products of few rows that need no packing.

from fastnn._kernels.gemm cimport Gemm, is_large
from fastnn._kernels.runtime cimport fastnn_kernels

# is this a problem for gemm_thin()?
cdef bint is_thin(const Gemm* g, const fastnn_kernels* table) noexcept nogil

# one that goes along the columns of B, for a vector?
cdef bint reads_columns(const Gemm* g, const fastnn_kernels* table) noexcept nogil

# team: share out among `threads`; else run on the calling thread
cdef void gemm_thin(const Gemm* g, const fastnn_kernels* table, double ns,
                    bint team, int threads) noexcept nogil
