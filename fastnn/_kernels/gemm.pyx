"""Matrix multiply: C[M, N] (+)= A[M, K] B[K, N] over the register tile of gemm.h.

C is cut into panels of columns (panels.pxd) and evenly high tiles of rows, K into
blocks that start from C, so every element is one chain of fused multiply-adds in
ascending k whatever the cut. B is used in place where its columns are contiguous and
it is small or used little, else it is packed into panels; A is copied where it lies so
that a cache holds little of it. Products of few rows go to gemm_thin.pyx; where C is
small and K long, K is cut and the parts are summed (gemm_split.pyx). Threads share out
chunks of C. Everything is chosen from the shape alone.
"""

from fastnn._kernels.gemm_split cimport part_of, partial_bytes, rest_of, splits_of, sum_parts
from fastnn._kernels.gemm_thin cimport gemm_thin, is_thin, reads_columns
from fastnn._kernels.gemm_turned cimport should_turn, turn_back, turned_bytes, turned_of
from fastnn._kernels.panels cimport (
    cut_panels, padded_columns, panel_columns, panel_end, panel_start, panel_width,
)
from fastnn._kernels.runtime cimport (
    aligned, ceil_div, epilogue_from, fastnn_kernels, few_sets, gemm_tile_args, itemsize, kernels,
    no_epilogue, parallel_for, team_size,
)

cdef enum:
    # A block of K, as bytes of a row of A. Long ones read and write C less often, short ones keep
    # A's tile in the first-level cache (1024 to 2048 cubed, 2 cores of Zen 4, avx512, share of
    # the peak: 1536 bytes 86 %, 2048 88 %, 4096 84 %); and the rows of B in place may be a power
    # of two apart, so that many of them share few sets of a cache.
    PACKED_K_BYTES = 2048
    DIRECT_K_BYTES = 1536
    B_BLOCK_BYTES = 640 << 10    # a block of K of some panels of B stays in the second-level cache
    CHUNK_TILES = 16             # most row tiles of a chunk
    ITEM_NS = 4000               # least work worth an item of its own
    # So that the rows of A that a thread reads are those that it wrote as the C before, rows are
    # cut before columns where there are tiles enough and B stays in a second-level cache. Three
    # linear layers of 256 samples and features on 2 cores of a Xeon: 285 -> 235 us
    ROWS_FIRST_BYTES = 1536 << 10
    ROWS_FIRST_TILES = 4
    ROW_CHUNKS = 8
    ITEMS = 8                    # enough to share out; more only if they stay this large:
    LARGE_ITEM_NS = 4000000      # large chunks read A and B less often
    COPY_ROWS = 16               # of A transposed that stay in the first-level cache
    PACKED_BYTES = 32 << 20      # most of B packed at a time

cdef struct Run:
    const Gemm* g
    const fastnn_kernels* table
    Plan plan
    char* packed_b               # [batch][panel][K][columns of the panel]
    long packed_batch            # elements of one problem's packed B; 0: shared
    char* packed_a               # of each thread
    size_t a_bytes


# --- the plan -----------------------------------------------------------------

cdef Gemm gemm_job(int dtype, long M, long N, long K) noexcept nogil:
    cdef Gemm g
    g.dtype, g.M, g.N, g.K = dtype, M, N, K
    g.a = g.b = g.c = g.image = NULL
    g.a_row = g.a_k = g.b_k = g.b_col = g.c_row = 0
    g.accumulate = False
    g.after = no_epilogue()
    g.batches = 1
    g.a_batch = g.b_batch = g.c_batch = 0
    g.a_offsets = g.b_offsets = NULL
    return g


cdef inline Gemm merged(const Gemm* g) noexcept nogil:
    """A batch that shares B and follows row after row is one higher problem."""
    cdef Gemm one = g[0]
    if (g.batches > 1 and g.b_batch == 0 and g.a_offsets == NULL and g.b_offsets == NULL
            and g.a_batch == g.M * g.a_row and g.c_batch == g.M * g.c_row):
        one.M *= g.batches
        one.batches = 1
    return one


cdef inline double estimate(const Gemm* g, const fastnn_kernels* table) noexcept nogil:
    """Nanoseconds on one thread: 4 multiply-adds a lane and 64 bytes of memory each."""
    return <double>g.batches * (<double>g.M * g.N * (g.K + 8) / (4 * table.vl)
                                + <double>(g.M + g.N) * g.K * (table.real_bits // 8) / 64)


cdef void cut_chunks(const Gemm* g, Plan* p) noexcept nogil:
    cdef long size = itemsize(g.dtype), wanted
    p.block_panels = max(1, B_BLOCK_BYTES // (ceil_div(g.K, p.k_blocks) * p.panels.nr * size + 1))
    p.row_chunks = ceil_div(p.row_tiles, CHUNK_TILES)
    p.col_chunks = ceil_div(p.panels.count, p.block_panels)
    p.rows_first = p.row_tiles >= ROWS_FIRST_TILES and g.N * g.K * size <= ROWS_FIRST_BYTES
    p.group = p.groups = 1
    if g.batches > 1:
        p.group = min(max(1, <long>(ITEM_NS * g.batches / (p.ns + 1))), g.batches)
        p.groups = ceil_div(g.batches, p.group)
    wanted = min(<long>(p.ns / ITEM_NS), ITEMS + <long>(p.ns / LARGE_ITEM_NS))
    if p.rows_first and wanted > 1:
        p.row_chunks = max(p.row_chunks, min(p.row_tiles, <long>ROW_CHUNKS))
    while p.groups * p.row_chunks * p.col_chunks < wanted:
        # the rows of A transposed are copied for each chunk of columns: rather cut the rows
        if p.row_chunks < p.row_tiles and (g.a_row == 1 or p.col_chunks >= p.panels.count
                                           or g.M * p.col_chunks > g.N * p.row_chunks):
            p.row_chunks = min(2 * p.row_chunks, p.row_tiles)
        elif p.col_chunks < p.panels.count:
            p.col_chunks = min(2 * p.col_chunks, p.panels.count)
        else:
            break


cdef bint should_pack_b(const Gemm* g) noexcept nogil:
    if g.image != NULL or (g.b_col != 1 and g.N > 1):
        return True
    return g.M >= 192 and is_large(g)


cdef Copy copy_of_a(const Gemm* g, const Plan* p) noexcept nogil:
    """Of A transposed, where each step along k would be to another page, again for each panel,
    block by block (Xeon, avx512, f32, 1024 cubed: 100 GFLOP/s against 74). Of rows that drive
    each other out of the first-level cache, tile by tile (Zen 4, 1024 cubed: 205 against 120)."""
    cdef long size = itemsize(g.dtype)
    if g.a_k == 1:
        if (few_sets(g.a_row * size // 2) and g.M > 1 and g.K * size >= 1024
                and p.panels.count >= 2 * p.col_chunks):
            return TILES
    elif (g.a_row == 1 and g.a_k * size >= 1024 and g.K >= 16
            and p.panels.count >= 4 * p.col_chunks):
        return BLOCKS
    return IN_PLACE


cdef inline long tile_pitch(const fastnn_kernels* table) noexcept nogil:
    """From k to k of a copied tile [k][row]: whole vectors."""
    return ceil_div(table.gemm_rows[1], table.vl) * table.vl


cdef inline long copied_row(long k) noexcept nogil:
    """From row to row of a copied tile: an odd number of cache lines, in floats."""
    return ceil_div(k, 32) * 32 + 16


cdef void make_plan(const Gemm* g, const fastnn_kernels* table, Plan* p) noexcept nogil:
    p.path = PACKED if should_pack_b(g) else DIRECT
    p.ns = estimate(g, table)
    p.panels = cut_panels(table, g.M, g.N)
    p.row_tiles = ceil_div(g.M, table.gemm_rows[p.panels.width])
    p.k_blocks = max(1, ceil_div(g.K * itemsize(g.dtype),
                                 PACKED_K_BYTES if p.path == PACKED else DIRECT_K_BYTES))
    cut_chunks(g, p)
    p.copy_a = copy_of_a(g, p)


# --- scratch ------------------------------------------------------------------

cdef size_t a_scratch(const Gemm* g, const Plan* p, const fastnn_kernels* table) noexcept nogil:
    """Bytes of one thread's copied tile or block of A, whatever the round."""
    cdef long k = ceil_div(g.K, p.k_blocks), size = itemsize(g.dtype)
    if p.copy_a == IN_PLACE:
        return 0
    if p.copy_a == TILES:
        return aligned(table.gemm_rows[1] * copied_row(k) * size)
    return aligned(min(<long>CHUNK_TILES, g.M) * tile_pitch(table) * k * size) + 64


cdef long round_batches(const Gemm* g, const fastnn_kernels* table) noexcept nogil:
    """How many problems of a batch are packed and computed at a time."""
    cdef size_t nbytes = padded_columns(table, g.N) * g.K * itemsize(g.dtype) + 1
    return min(g.batches, max(1, <long>(PACKED_BYTES // nbytes)))


cdef long round_columns(const Gemm* g, const fastnn_kernels* table) noexcept nogil:
    """How many columns are: a multiple of the widest panel."""
    cdef long widest = 4 * table.vl
    cdef long columns = PACKED_BYTES // (g.K * itemsize(g.dtype) + 1) // widest * widest
    return min(g.N, max(widest, columns))


cdef size_t b_scratch(const Gemm* g, const fastnn_kernels* table) noexcept nogil:
    cdef long batches = 1 if b_is_shared(g) else round_batches(g, table)
    cdef long columns = padded_columns(table, round_columns(g, table))
    return aligned(batches * columns * g.K * itemsize(g.dtype))


cdef inline bint b_is_shared(const Gemm* g) noexcept nogil:
    return g.batches == 1 or (g.b_batch == 0 and g.b_offsets == NULL)


cdef bint turns(const Gemm* g, const fastnn_kernels* table) noexcept nogil:
    cdef Gemm turned
    if not should_turn(g, table):
        return False
    turned = turned_of(g, NULL)
    return not is_thin(&turned, table)


cdef size_t plan_scratch(const Gemm* g, const Plan* p, const fastnn_kernels* table,
                         int threads) noexcept nogil:
    cdef size_t nbytes = threads * a_scratch(g, p, table)
    return nbytes + b_scratch(g, table) if p.path == PACKED and g.image == NULL else nbytes


cdef size_t whole_scratch(const Gemm* g, const fastnn_kernels* table, int threads) noexcept nogil:
    """Of run_whole()."""
    cdef Plan plan
    if is_thin(g, table):
        return 0
    make_plan(g, table, &plan)
    return plan_scratch(g, &plan, table, threads)


cdef void gemm_prepare(Prepared* p, const Gemm* g, bint team) noexcept nogil:
    cdef Gemm part, rest
    p.job, p.table, p.team = merged(g), kernels(g.dtype), team
    p.ns = estimate(&p.job, p.table)
    p.threads = team_size(p.ns) if team else 1
    p.scratch_bytes = 0
    p.path = NOTHING
    if g.M <= 0 or g.N <= 0 or g.batches <= 0:
        return
    p.splits = splits_of(&p.job, p.table, p.ns)
    if p.splits:
        p.path = SPLIT
        part, rest = part_of(&p.job, p.splits), rest_of(&p.job, p.splits)
        p.scratch_bytes = (partial_bytes(&p.job, p.splits)
                           + max(whole_scratch(&part, p.table, p.threads),
                                 whole_scratch(&rest, p.table, 1)))
    elif is_thin(&p.job, p.table):
        p.path = COLUMNS if reads_columns(&p.job, p.table) else DOT
    elif turns(&p.job, p.table):
        p.path = TURNED
        part = turned_of(&p.job, NULL)
        p.scratch_bytes = turned_bytes(&p.job) + whole_scratch(&part, p.table, p.threads)
    else:
        make_plan(&p.job, p.table, &p.plan)
        p.path = p.plan.path
        p.scratch_bytes = plan_scratch(&p.job, &p.plan, p.table, p.threads)


# --- the work -----------------------------------------------------------------

cdef inline const char* b_of(const Gemm* g, long batch, long size) noexcept nogil:
    cdef long offset = batch * g.b_batch if g.b_offsets == NULL else g.b_offsets[batch]
    return <const char*>g.b + offset * size


cdef inline const char* a_of(const Gemm* g, long batch, long size) noexcept nogil:
    cdef long offset = batch * g.a_batch if g.a_offsets == NULL else g.a_offsets[batch]
    return <const char*>g.a + offset * size


cdef void pack_item(void* context, long item, int thread) noexcept nogil:
    """Packs one panel of B."""
    cdef Run* run = <Run*>context
    cdef const Gemm* g = run.g
    cdef const Plan* p = &run.plan
    cdef long size = itemsize(g.dtype), batch = item // p.panels.count, q = item % p.panels.count
    cdef long start = panel_start(&p.panels, q), nr = panel_columns(&p.panels, q)
    run.table.gemm_pack(b_of(g, batch, size) + start * g.b_col * size, g.b_k, g.b_col,
                        run.packed_b + (batch * run.packed_batch + start * g.K) * size,
                        g.K, panel_end(&p.panels, q) - start, nr)


cdef void copy_block(const Run* run, const char* a, long first, long last, long k0, long k1,
                     char* to) noexcept nogil:
    """Copies a block of A transposed, whose rows are adjacent, tile by tile as [k][row]."""
    cdef const Gemm* g = run.g
    cdef const Plan* p = &run.plan
    cdef long size = itemsize(g.dtype), pitch = tile_pitch(run.table), k = k0, count, low, tile
    while k < k1:
        count = min(<long>COPY_ROWS, k1 - k)
        for tile in range(first, last):
            low = tile * g.M // p.row_tiles
            run.table.gemm_pack(
                a + (low + k * g.a_k) * size, g.a_k, 1,
                to + ((tile - first) * (k1 - k0) + k - k0) * pitch * size,
                count, (tile + 1) * g.M // p.row_tiles - low, pitch)
        k += count


cdef void chunk(const Run* run, long batch, long row_chunk, long col_chunk,
                int thread) noexcept nogil:
    """Computes one chunk of C, block of k by block of k."""
    cdef const Gemm* g = run.g
    cdef const Plan* p = &run.plan
    cdef long size = itemsize(g.dtype)
    cdef long first = row_chunk * p.row_tiles // p.row_chunks
    cdef long last = (row_chunk + 1) * p.row_tiles // p.row_chunks
    cdef long q_begin = col_chunk * p.panels.count // p.col_chunks
    cdef long q_end = (col_chunk + 1) * p.panels.count // p.col_chunks
    cdef long block, k0, k1, q0, q, tile, low, high, start, n
    cdef int width
    cdef const char* a = a_of(g, batch, size)
    cdef const char* b = b_of(g, batch, size)
    cdef char* c = <char*>g.c + batch * g.c_batch * size
    cdef char* copied = run.packed_a + thread * run.a_bytes
    cdef gemm_tile_args t
    t.batches, t.a_batch, t.b_batch, t.c_row = 1, 0, 0, g.c_row
    if run.packed_b != NULL:
        b = run.packed_b + batch * run.packed_batch * size
    for block in range(p.k_blocks):
        k0, k1 = block * g.K // p.k_blocks, (block + 1) * g.K // p.k_blocks
        t.k = k1 - k0
        t.accumulate = g.accumulate or block > 0
        t.after = no_epilogue()
        if p.copy_a == BLOCKS:
            copy_block(run, a, first, last, k0, k1, copied)
        q0 = q_begin
        while q0 < q_end:
            for tile in range(first, last):
                low, high = tile * g.M // p.row_tiles, (tile + 1) * g.M // p.row_tiles
                if p.copy_a == BLOCKS:
                    t.a = copied + (tile - first) * t.k * tile_pitch(run.table) * size
                    t.a_row, t.a_k = 1, tile_pitch(run.table)
                else:
                    t.a, t.a_row, t.a_k = a + (low * g.a_row + k0 * g.a_k) * size, g.a_row, g.a_k
                if p.copy_a == TILES:
                    t.a, t.a_row = copied, copied_row(t.k)
                    run.table.gemm_pack(a + (low * g.a_row + k0) * size, g.a_row, 1, copied,
                                        high - low, t.k, t.a_row)
                for q in range(q0, min(q_end, q0 + p.block_panels)):
                    start, width = panel_start(&p.panels, q), panel_width(&p.panels, q)
                    n = panel_columns(&p.panels, q)
                    if run.packed_b != NULL:
                        t.b, t.b_k = b + (start * g.K + k0 * n) * size, n
                    else:
                        t.b, t.b_k = b + (k0 * g.b_k + start) * size, g.b_k
                    t.n = panel_end(&p.panels, q) - start
                    t.c = c + (low * g.c_row + start) * size
                    if block == p.k_blocks - 1:
                        t.after = epilogue_from(&g.after, start, size)
                    run.table.gemm_tile[width][high - low](&t)
            q0 += p.block_panels


cdef void chunk_item(void* context, long item, int thread) noexcept nogil:
    cdef Run* run = <Run*>context
    cdef const Plan* p = &run.plan
    cdef long group = item // (p.row_chunks * p.col_chunks)
    cdef long rest = item % (p.row_chunks * p.col_chunks), batch
    for batch in range(group * p.group, min((group + 1) * p.group, run.g.batches)):
        if p.rows_first:
            chunk(run, batch, rest // p.col_chunks, rest % p.col_chunks, thread)
        else:
            chunk(run, batch, rest % p.row_chunks, rest // p.row_chunks, thread)


cdef void repeat(bint team, void (*task)(void*, long, int) noexcept nogil, Run* run, long items,
                 int threads) noexcept nogil:
    """parallel_for, or a plain loop for a caller who is within a parallel region."""
    cdef long item
    if team:
        parallel_for(task, run, items, threads)
    else:
        for item in range(items):
            task(run, item, 0)


cdef void pack_b(Run* run, bint team, int threads) noexcept nogil:
    cdef const Gemm* g = run.g
    cdef long packs = 1 if b_is_shared(g) else g.batches
    repeat(team, pack_item, run, packs * run.plan.panels.count,
           min(threads, team_size(0.3 * packs * g.N * g.K)) if team else 1)


cdef void run_chunks(Run* run, bint team, int threads) noexcept nogil:
    repeat(team, chunk_item, run,
           run.plan.groups * run.plan.row_chunks * run.plan.col_chunks, threads)


cdef void run_rounds(Run* run, const Gemm* job, bint team, int threads) noexcept nogil:
    """Packs and computes a range of columns, or of a batch, at a time; rarely more than one."""
    cdef Gemm part = job[0]
    cdef long size = itemsize(job.dtype), columns = round_columns(job, run.table)
    cdef long batches = job.batches if b_is_shared(job) else round_batches(job, run.table)
    cdef long j, batch = 0
    cdef Copy copy_a = run.plan.copy_a
    run.g = &part
    while batch < job.batches:
        part.batches = min(batches, job.batches - batch)
        part.a, part.b = job.a, job.b
        if job.a_offsets != NULL:
            part.a_offsets = job.a_offsets + batch
        else:
            part.a = a_of(job, batch, size)
        if job.b_offsets != NULL:
            part.b_offsets = job.b_offsets + batch
        else:
            part.b = b_of(job, batch, size)
        j = 0
        while j < job.N:
            part.N = min(columns, job.N - j)
            part.c = <char*>job.c + (batch * job.c_batch + j) * size
            part.after = epilogue_from(&job.after, j, size)
            make_plan(&part, run.table, &run.plan)
            if copy_a == IN_PLACE:                  # there is no room for a copy
                run.plan.copy_a = IN_PLACE
            run.packed_batch = 0 if b_is_shared(job) else padded_columns(run.table, part.N) * job.K
            pack_b(run, team, threads)
            run_chunks(run, team, threads)
            part.b = <const char*>part.b + columns * job.b_col * size
            j += columns
        batch += batches


cdef void run_planned(const Gemm* g, const fastnn_kernels* table, const Plan* plan, char* scratch,
                      bint team, int threads) noexcept nogil:
    cdef Run run
    run.g, run.table, run.plan = g, table, plan[0]
    run.a_bytes = a_scratch(g, plan, table)
    run.packed_a = scratch
    run.packed_b = <char*>g.image
    run.packed_batch = 0
    if team:
        note_copy(plan.copy_a)
    if plan.path == PACKED and g.image == NULL:
        run.packed_b = scratch + threads * run.a_bytes
        run_rounds(&run, g, team, threads)
    else:
        run_chunks(&run, team, threads)


cdef void run_whole(const Gemm* g, const fastnn_kernels* table, char* scratch, bint team,
                    int threads) noexcept nogil:
    """A part of a product, planned for itself."""
    cdef Plan plan
    if is_thin(g, table):
        gemm_thin(g, table, estimate(g, table), team, threads)
    else:
        make_plan(g, table, &plan)
        run_planned(g, table, &plan, scratch, team, threads)


# --- images of B ------------------------------------------------------------------

cdef size_t gemm_image_bytes(Prepared* p, long* key) noexcept nogil:
    """0: B is better read as it lies. A large B of few rows a product would not be packed for a
    single one, but is once it is used again (Zen 3, 64x1024x1024: 2.1 -> 1.1 ms)."""
    cdef const Gemm* g = &p.job
    if not (p.path == PACKED or p.path == TURNED or (p.path == DIRECT and is_large(g))):
        return 0
    if not b_is_shared(g) or round_columns(g, p.table) < g.N:
        return 0
    if p.path == TURNED:
        make_plan(g, p.table, &p.plan)
    key[1], key[2], key[3], key[4] = <long>p.table, g.N, g.K, g.b_k
    key[5], key[6] = g.b_col, p.plan.panels.width
    return b_scratch(g, p.table)


cdef void gemm_use_image(Prepared* p, char* image) noexcept nogil:
    p.job.image, p.path = image, PACKED
    make_plan(&p.job, p.table, &p.plan)
    p.scratch_bytes = plan_scratch(&p.job, &p.plan, p.table, p.threads)


cdef void gemm_pack_image(const Prepared* p) noexcept nogil:
    cdef Run run
    run.g, run.table, run.plan = &p.job, p.table, p.plan
    run.packed_b, run.packed_batch = <char*>p.job.image, 0
    pack_b(&run, p.team, p.threads)


# --- long sums ----------------------------------------------------------------

cdef void run_split(const Gemm* g, const fastnn_kernels* table, long splits, char* scratch,
                    bint team, int threads) noexcept nogil:
    cdef Gemm part = part_of(g, splits), rest = rest_of(g, splits)
    cdef char* inner = scratch + partial_bytes(g, splits)
    part.c = rest.c = scratch
    run_whole(&part, table, inner, team, threads)
    if rest.K > 0:
        run_whole(&rest, table, inner, False, 1)
    sum_parts(g, scratch, splits)


cdef void run_turned(const Gemm* g, const fastnn_kernels* table, char* scratch, bint team,
                     int threads) noexcept nogil:
    cdef Gemm turned = turned_of(g, scratch)
    run_whole(&turned, table, scratch + turned_bytes(g), team, threads)
    turn_back(g, table, scratch, team, threads)


cdef void gemm_run(const Prepared* p, char* scratch) noexcept nogil:
    cdef const Gemm* g = &p.job
    if p.path == NOTHING:
        return
    if p.path == SPLIT:
        run_split(g, p.table, p.splits, scratch, p.team, p.threads)
    elif p.path == TURNED:
        run_turned(g, p.table, scratch, p.team, p.threads)
    elif p.path == DOT or p.path == COLUMNS:
        gemm_thin(g, p.table, p.ns, p.team, p.threads)
    else:
        run_planned(g, p.table, &p.plan, scratch, p.team, p.threads)
    if p.team:
        note_path(p.path)


cdef int path_seen = 0
cdef int copy_seen = 0


cdef void note_path(int path) noexcept nogil:
    global path_seen
    path_seen = path


cdef void note_copy(int copy) noexcept nogil:
    global copy_seen
    copy_seen = copy


def last_path():
    """How the last product was computed, for tests."""
    return ("direct", "packed", "dot", "columns", "split", "turned")[path_seen]


def last_copy():
    """How the last product that was direct or packed, or a part of one, read A, for tests."""
    return ("in place", "tiles", "blocks")[copy_seen]
