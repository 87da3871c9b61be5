# Matrix multiply: C[M, N] = A[M, K] B[K, N], one or a batch of them.
#
#     cdef Gemm g = gemm_job(FLOAT32, M, N, K)       # one problem, everything else zero
#     g.a, g.a_row, g.a_k = ...                      # strides in elements, any for A and B
#     threads = gemm_threads(&g)
#     nbytes = gemm_scratch_bytes(&g, threads)       # may be 0
#     gemm(&g, scratch, threads)

from fastnn._kernels.runtime cimport epilogue

cdef struct Gemm:
    int dtype                 # FLOAT32 or FLOAT64
    long M, N, K
    const void* a
    long a_row, a_k
    const void* b
    long b_k, b_col
    const void* image         # of B, packed by gemm_pack_image() before; or NULL
    void* c                   # columns are contiguous
    long c_row
    bint accumulate           # C += A B; else C = A B and the old C is not read
    epilogue after            # for the N columns of C
    long batches
    long a_batch, b_batch, c_batch
    const long* a_offsets     # [batches] used in place of batch * a_batch, or NULL
    const long* b_offsets

cdef Gemm gemm_job(int dtype, long M, long N, long K) noexcept nogil
cdef int gemm_threads(const Gemm* g) noexcept nogil
cdef size_t gemm_scratch_bytes(const Gemm* g, int threads) noexcept nogil
cdef void gemm(const Gemm* g, char* scratch, int threads) noexcept nogil

# for callers inside a parallel region: runs on the calling thread, same bits;
# scratch as of gemm_scratch_bytes(g, 1)
cdef void gemm_serial(const Gemm* g, char* scratch) noexcept nogil

# estimated nanoseconds on one thread
cdef double gemm_ns(const Gemm* g) noexcept nogil

# B packed as this product wants it, for products to come: how many bytes, with the key that
# tells images of one B apart (from key[1] on); 0 where it is not packed
cdef size_t gemm_image_bytes(const Gemm* g, long* key) noexcept nogil
cdef void gemm_pack_image(const Gemm* g, char* image, int threads) noexcept nogil
