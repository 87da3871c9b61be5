# Matrix products that are computed as C^T = B^T A^T.

from fastnn._kernels.gemm cimport Gemm
from fastnn._kernels.runtime cimport fastnn_kernels

# does that pay for this product, which packs B? of the shape alone
cdef bint should_turn(const Gemm* g, const fastnn_kernels* table) noexcept nogil

# the product that computes C^T [N][M] into c, without the epilogue
cdef Gemm turned_of(const Gemm* g, char* c) noexcept nogil
cdef size_t turned_bytes(const Gemm* g) noexcept nogil
# then g's C from it, with the epilogue; team as for gemm_thin()
cdef void turn_back(const Gemm* g, const fastnn_kernels* table, const char* turned, bint team,
                    int threads) noexcept nogil
