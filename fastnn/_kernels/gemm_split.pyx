"""Matrix products with long sums: K is cut, and the parts are summed.

Where C is small there is too little of it to share out, and where a vector meets a large
matrix its columns are too short to be read well. The parts are a batch of equal problems,
cut from the shape alone; their sum carries the epilogue. Called by gemm.pyx.
"""

from fastnn._kernels.gemm_thin cimport reads_columns
from fastnn._kernels.runtime cimport (
    FLOAT64, aligned, fastnn_kernels, gemm_thin_args, itemsize, kernels, no_epilogue,
)

cdef enum:
    LEAST_NS = 16000             # work worth cutting
    SPLIT_K = 512                # least k of a part of a long sum
    MOST_SPLITS = 16
    # A vector times so large a matrix is cut along k, rather than along the columns, so that
    # a thread reads whole rows: 1x1024 @ 1024x1024 on 2 cores of a Xeon 112 -> 40 us
    LONG_BYTES = 1 << 20
    COLUMN_ROWS = 64             # least of a part
    COLUMN_SPLITS = 8

cdef float one_f32 = 1
cdef double one_f64 = 1


cdef long splits_of(const Gemm* g, const fastnn_kernels* table, double ns) noexcept nogil:
    """Into how many parts K is cut; 0: it is not."""
    if (g.batches == 1 and g.K >= 2 * COLUMN_ROWS and reads_columns(g, table)
            and g.M * g.N * g.K * itemsize(g.dtype) >= LONG_BYTES):
        return min(g.K // COLUMN_ROWS, <long>COLUMN_SPLITS)
    if (g.batches > 1 or g.K < 4 * SPLIT_K or g.K < 8 * max(g.M, g.N) or g.M * g.N > 4096
            or ns < LEAST_NS):
        return 0
    return min(g.K // SPLIT_K, <long>MOST_SPLITS)


cdef size_t partial_bytes(const Gemm* g, long splits) noexcept nogil:
    return aligned(splits * g.M * g.N * itemsize(g.dtype))


cdef Gemm part_of(const Gemm* g, long splits) noexcept nogil:
    """The parts as a batch of equal problems; K % splits is left over."""
    cdef Gemm part = g[0]
    part.K = g.K // splits
    part.batches = splits
    part.a_batch, part.b_batch, part.c_batch = part.K * g.a_k, part.K * g.b_k, g.M * g.N
    part.c_row = g.N
    part.accumulate = False
    part.after = no_epilogue()
    return part


cdef Gemm rest_of(const Gemm* g, long splits) noexcept nogil:
    """What is left over, to be added to the first part."""
    cdef Gemm rest = part_of(g, splits)
    cdef long size = itemsize(g.dtype), done = splits * rest.K
    rest.batches, rest.K, rest.accumulate = 1, g.K - done, True
    rest.a = <const char*>g.a + done * g.a_k * size
    rest.b = <const char*>g.b + done * g.b_k * size
    return rest


cdef void sum_parts(const Gemm* g, const char* parts, long count) noexcept nogil:
    """A product with a row of ones, for each row of C; a single column is taken as one row."""
    cdef long size = itemsize(g.dtype), i
    cdef bint one_row = g.N == 1 and g.c_row == 1
    cdef gemm_thin_args t
    t.m, t.n, t.k = 1, g.M if one_row else g.N, count
    t.a = <const void*>&one_f64 if g.dtype == FLOAT64 else <const void*>&one_f32
    t.a_row = t.a_k = 0
    t.b_k, t.b_col, t.c_row, t.c_col = g.M * g.N, 1, 0, 1
    t.accumulate, t.after, t.after_col = g.accumulate, g.after, not one_row
    for i in range(1 if one_row else g.M):
        t.b = parts + i * g.N * size
        t.c = <char*>g.c + i * g.c_row * size
        kernels(g.dtype).gemm_columns(&t)
