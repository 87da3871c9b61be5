# Matrix products with long sums, cut along K.

from fastnn._kernels.gemm cimport Gemm
from fastnn._kernels.runtime cimport fastnn_kernels

# into how many parts K is cut, of a product that takes so many ns; 0: it is not
cdef long splits_of(const Gemm* g, const fastnn_kernels* table, double ns) noexcept nogil

# bytes of the partial results, [parts][M][N]
cdef size_t partial_bytes(const Gemm* g, long splits) noexcept nogil

# the parts as a batch of equal problems; what K % splits leaves over, added to the first
cdef Gemm part_of(const Gemm* g, long splits) noexcept nogil
cdef Gemm rest_of(const Gemm* g, long splits) noexcept nogil

# g's C (+)= the sum of `count` partial results, then g's epilogue
cdef void sum_parts(const Gemm* g, const char* parts, long count) noexcept nogil
