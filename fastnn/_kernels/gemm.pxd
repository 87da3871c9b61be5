# Matrix multiply: C[M, N] = A[M, K] B[K, N], one or a batch of them.
#
#     cdef Gemm g = gemm_job(FLOAT32, M, N, K)       # one problem, everything else zero
#     g.a, g.a_row, g.a_k = ...                      # strides in elements, any for A and B
#     cdef Prepared p
#     gemm_prepare(&p, &g, True)
#     gemm_run(&p, scratch)                          # of p.scratch_bytes

from fastnn._kernels.panels cimport Panels
from fastnn._kernels.runtime cimport epilogue, fastnn_kernels, itemsize

cdef struct Gemm:
    int dtype                 # FLOAT32 or FLOAT64
    long M, N, K
    const void* a
    long a_row, a_k
    const void* b
    long b_k, b_col
    const void* image         # of B, packed; or NULL
    void* c                   # columns are contiguous
    long c_row
    bint accumulate           # C += A B; else C = A B and the old C is not read
    epilogue after            # for the N columns of C
    long batches
    long a_batch, b_batch, c_batch
    const long* a_offsets     # [batches] used in place of batch * a_batch, or NULL
    const long* b_offsets

cdef inline bint is_large(const Gemm* g) noexcept nogil:
    """Does B drive other things out of a second-level cache?"""
    return g.N * g.K * itemsize(g.dtype) > 256 << 10

cdef Gemm gemm_job(int dtype, long M, long N, long K) noexcept nogil

cdef enum Path:
    DIRECT = 0
    PACKED = 1
    DOT = 2
    COLUMNS = 3
    SPLIT = 4
    TURNED = 5
    NOTHING = 6

cdef enum Copy:                  # of A
    IN_PLACE = 0
    TILES = 1                    # a tile's rows, just before their use
    BLOCKS = 2                   # a chunk's, [k][row], block of k by block of k

cdef struct Plan:
    Path path                    # DIRECT or PACKED
    Copy copy_a
    Panels panels
    long row_tiles
    long k_blocks
    long block_panels            # panels whose block of B stays in cache
    long row_chunks, col_chunks, group, groups   # an item is a chunk of `group` problems
    bint rows_first              # items follow each other along columns, not along rows
    double ns                    # estimated, on one thread

cdef struct Prepared:
    Gemm job
    const fastnn_kernels* table
    Path path
    Plan plan                    # of DIRECT and PACKED
    long splits                  # of SPLIT
    bint team
    int threads
    double ns
    size_t scratch_bytes         # may be 0

# team: False for callers inside a parallel region, same bits
cdef void gemm_prepare(Prepared* p, const Gemm* g, bint team) noexcept nogil
cdef void gemm_run(const Prepared* p, char* scratch) noexcept nogil

# B packed as this product wants it, for products to come: how many bytes, with the key that
# tells images of one B apart (from key[1] on); 0 where it is not packed
cdef size_t gemm_image_bytes(Prepared* p, long* key) noexcept nogil
# asked for that, take B from an image; and, before the run, fill it
cdef void gemm_use_image(Prepared* p, char* image) noexcept nogil
cdef void gemm_pack_image(const Prepared* p) noexcept nogil
