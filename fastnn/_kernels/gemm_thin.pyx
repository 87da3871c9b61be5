"""Products of a vector and a matrix, and of few rows with a transposed matrix.

Nothing is packed. A product of one column is turned round to one of one row. The
columns are cut into chunks that the threads share out, chosen from the shape alone.
"""

from fastnn._kernels.runtime cimport (
    ceil_div, epilogue_from, fastnn_kernels, gemm_thin_args, itemsize, parallel_for,
)

cdef enum:
    DOT_ROWS = 48                # above, packing pays
    ITEM_NS = 8000
    MOST_ITEMS = 32
    COLUMN_BYTES = 16384         # of a row of C that stays in the first-level cache

cdef enum Kind:
    NONE = 0
    DOT = 1
    COLUMNS = 2

cdef struct Thin:
    const Gemm* g
    const fastnn_kernels* table
    gemm_thin_args t             # of the first problem, all columns
    Kind kind
    long chunk, chunks           # columns of an item, items of a problem


cdef bint turned_round(const Gemm* g) noexcept nogil:
    """Is C a single column, computed as the row C^T = b^T A^T?"""
    return g.N == 1 and g.M > 1


cdef bint dot_pays(const Gemm* g, long vl) noexcept nogil:
    """Against packing B. Measured (Xeon, avx512, f32): even at K = 64 for 10 rows, at
    K = 128 for 24, at K = 512 for 64. A large B is turned round, or packed and kept (Zen 3, avx2,
    f32, 2 threads): 32x1024x1024 970 -> 560 and 520 us, 16x784x256 96 -> 91 and 56; but of 8 rows
    254 -> 289 where it is not kept."""
    if g.M <= 8:
        return g.K >= 2 * vl or g.M * g.N == 1
    return g.M <= DOT_ROWS and g.M * vl <= 2 * g.K and not is_large(g)


cdef Kind kind_of(const Gemm* g, const fastnn_kernels* table) noexcept nogil:
    if g.K == 0:
        return NONE
    if turned_round(g):
        if g.a_k == 1 and g.b_k == 1 and g.K >= table.vl:
            return DOT
        return COLUMNS if g.a_row == 1 and g.c_row == 1 else NONE
    if g.M == 1 and g.N > 1 and g.b_col == 1:
        return COLUMNS
    if g.a_k == 1 and g.b_k == 1 and dot_pays(g, table.vl):
        return DOT
    return NONE


cdef bint is_thin(const Gemm* g, const fastnn_kernels* table) noexcept nogil:
    return kind_of(g, table) != NONE


cdef bint reads_columns(const Gemm* g, const fastnn_kernels* table) noexcept nogil:
    return kind_of(g, table) == COLUMNS


cdef void describe(const Gemm* g, gemm_thin_args* t) noexcept nogil:
    t.k, t.accumulate, t.after, t.c = g.K, g.accumulate, g.after, g.c
    if turned_round(g):
        t.m, t.n = 1, g.M
        t.a, t.a_row, t.a_k = g.b, 0, g.b_k
        t.b, t.b_k, t.b_col = g.a, g.a_k, g.a_row
        t.c_row, t.c_col, t.after_col = 0, g.c_row, 0
    else:
        t.m, t.n = g.M, g.N
        t.a, t.a_row, t.a_k = g.a, g.a_row, g.a_k
        t.b, t.b_k, t.b_col = g.b, g.b_k, g.b_col
        t.c_row, t.c_col, t.after_col = g.c_row, 1, 1


cdef void thin_item(void* context, long item, int thread) noexcept nogil:
    cdef Thin* run = <Thin*>context
    cdef const Gemm* g = run.g
    cdef gemm_thin_args t = run.t
    cdef long size = itemsize(g.dtype), batch = item // run.chunks
    cdef long start = item % run.chunks * run.chunk
    cdef long a = batch * g.a_batch if g.a_offsets == NULL else g.a_offsets[batch]
    cdef long b = batch * g.b_batch if g.b_offsets == NULL else g.b_offsets[batch]
    if turned_round(g):
        a, b = b, a
    t.n = min(run.chunk, t.n - start)
    t.a = <const char*>t.a + a * size
    t.b = <const char*>t.b + (b + start * t.b_col) * size
    t.c = <char*>t.c + (batch * g.c_batch + start * t.c_col) * size
    t.after = epilogue_from(&g.after, start * t.after_col, size)
    if run.kind == DOT:
        run.table.gemm_dot(&t)
    else:
        run.table.gemm_columns(&t)


cdef void gemm_thin(const Gemm* g, const fastnn_kernels* table, double ns,
                    bint team, int threads) noexcept nogil:
    cdef Thin run
    cdef long item, wanted, step = 4 * table.vl
    run.g, run.table, run.kind = g, table, kind_of(g, table)
    describe(g, &run.t)
    if run.kind == DOT:
        step = 8
    wanted = min(<long>(ns / (<double>ITEM_NS * g.batches)) + 1, <long>MOST_ITEMS)
    run.chunk = ceil_div(ceil_div(run.t.n, wanted), step) * step
    if run.kind == COLUMNS:
        run.chunk = min(run.chunk, COLUMN_BYTES // itemsize(g.dtype))
    run.chunks = ceil_div(run.t.n, run.chunk)
    if team:
        parallel_for(thin_item, &run, g.batches * run.chunks, threads)
    else:
        for item in range(g.batches * run.chunks):
            thin_item(&run, item, 0)
