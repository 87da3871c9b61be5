"""Matrix products turned round, C^T = B^T A^T, so that A is packed and not B.

A batch of samples is often much smaller than the weight it is multiplied with. Turned
round, the weight is read once, as it lies, and the samples are packed; what it costs is
to turn the result back, with the epilogue on the way. Every element is the same chain
of multiply-adds, so the bits do not depend on the way. Called by gemm.pyx.
"""

from fastnn._kernels.runtime cimport (
    aligned, ceil_div, epilogue_from, gemm_tile_args, itemsize, no_epilogue, parallel_for,
    team_size,
)

cdef enum:
    LEAST_RATIO = 4              # of the columns of C to its rows
    LEAST_BYTES = 2 << 20        # of B

cdef double PACK_NS = 0.3        # of a number, on one thread
cdef double TURN_NS = 0.5

cdef struct Turn:
    const Gemm* g
    const fastnn_kernels* table
    const char* turned


cdef inline double cost(const fastnn_kernels* table, double M, long N, double K) noexcept nogil:
    """Nanoseconds of a product that packs B, by tiles two vectors wide."""
    cdef long columns = ceil_div(N, 2 * table.vl) * 2 * table.vl
    return M * columns * K / (4 * table.vl) + PACK_NS * N * K


cdef bint should_turn(const Gemm* g, const fastnn_kernels* table) noexcept nogil:
    """Within a training step, on 2 cores of a Xeon, avx512, f32: 64x784 by 784x1024
    450 -> 355 us; but 64x784 by 784x256, where B fits in a second-level cache, 120 -> 160."""
    if g.N < LEAST_RATIO * g.M or g.N * g.K * itemsize(g.dtype) < LEAST_BYTES:
        return False
    if (g.image != NULL or g.batches > 1 or g.accumulate or g.a_k != 1 or g.b_k != 1
            or g.b_col == 1):
        return False
    return (cost(table, g.N, g.M, g.K) + TURN_NS * g.M * g.N) < cost(table, g.M, g.N, g.K)


cdef Gemm turned_of(const Gemm* g, char* c) noexcept nogil:
    cdef Gemm t = g[0]
    t.M, t.N = g.N, g.M
    t.a, t.a_row, t.a_k = g.b, g.b_col, g.b_k
    t.b, t.b_k, t.b_col = g.a, g.a_k, g.a_row
    t.c, t.c_row = c, g.M
    t.after = no_epilogue()
    return t


cdef size_t turned_bytes(const Gemm* g) noexcept nogil:
    return aligned(g.M * g.N * itemsize(g.dtype))


cdef void turn_item(void* context, long item, int thread) noexcept nogil:
    """Two vectors of columns of C."""
    cdef const Turn* run = <const Turn*>context
    cdef const Gemm* g = run.g
    cdef long size = itemsize(g.dtype), start = item * 2 * run.table.vl, row = 0, rows
    cdef int width
    cdef char* c = <char*>g.c + start * size
    cdef gemm_tile_args t
    t.n = min(2 * run.table.vl, g.N - start)
    width = <int>ceil_div(t.n, run.table.vl)
    run.table.copy_2d(run.turned + start * g.M * size, 1, g.M, c, g.c_row, 1, g.M, t.n)
    t.batches, t.k, t.accumulate, t.c_row = 0, 0, True, g.c_row      # the epilogue alone
    t.after = epilogue_from(&g.after, start, size)
    while row < g.M:
        rows = min(<long>run.table.gemm_rows[width], g.M - row)
        t.c = c + row * g.c_row * size
        run.table.gemm_tile[width][rows](&t)
        row += rows


cdef void turn_back(const Gemm* g, const fastnn_kernels* table, const char* turned, bint team,
                    int threads) noexcept nogil:
    cdef Turn run
    cdef long item, items = ceil_div(g.N, 2 * table.vl)
    run.g, run.table, run.turned = g, table, turned
    if team:
        parallel_for(turn_item, &run, items, min(threads, team_size(TURN_NS * g.M * g.N)))
    else:
        for item in range(items):
            turn_item(&run, item, 0)
