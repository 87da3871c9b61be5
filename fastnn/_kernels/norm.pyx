"""Normalisation of the channels of x, which are columns (N, S, C) or lines (N, C, S).

An item is a chunk of positions, and of lines a block of them, of one sample; the shape
alone decides its extent. Whatever is summed over positions is summed within each item,
and the results, parts (N, chunks, 3, C), are merged in double in rising order, channels
shared out among threads: the bits do not depend on their number. A set of channels that
is normalised together then combines what its channels have. Small samples that do not
depend on each other go through all stages one by one. Called by ops/norm.pyx.
"""

from libc.string cimport memset

from fastnn._kernels.runtime cimport (
    NORM_COLUMNS, NORM_LINES, ceil_div, fastnn_kernels, item_task, itemsize, kernels, parallel_for,
    team_size,
)

cdef enum:
    CHUNK = 32768            # numbers in an item: it stays in the second-level cache
    LINE = 8192              # of a line at most
    COLUMNS = 256            # channels merged, or sets combined, at a time
    SAMPLE = 1 << 16         # numbers of a sample that stays in cache from stage to stage
    PARTS = 3                # numbers that a chunk yields for each channel

cdef struct Norm:
    Channels s
    const fastnn_kernels* table
    int way                  # NORM_COLUMNS or NORM_LINES
    long size                # bytes of a number
    long step                # numbers from a row of x to the next
    long chunk, chunks       # positions of an item; of a sample
    long block, blocks       # channels of an item; of a sample
    bint training, relu
    double eps
    const char* x
    const char* dy
    const char* w
    const char* b
    char* constants
    char* slopes             # offset, slope in x - mean (set_samples, 2, C)
    char* y
    char* dw
    char* db
    char* parts
    double* first            # means or sums (N, C)
    double* second           # variances or dots (N, C)
    double* mean             # of each set
    double* var


cdef long chunk_rows(long width) noexcept nogil:
    return min(max(CHUNK // max(width, <long>1), <long>4), <long>512)


cdef long set_samples(const Channels* s) noexcept nogil:
    return 1 if s.pooled else s.N


cdef long set_size(const Channels* s) noexcept nogil:
    return s.S * (s.N if s.pooled else s.C // s.groups)


cdef long chunk_of(const Channels* s) noexcept nogil:
    return min(max(s.S, <long>1), <long>LINE) if s.lines else chunk_rows(s.C)


cdef size_t channel_parts_bytes(const Channels* s) noexcept nogil:
    return s.N * ceil_div(s.S, chunk_of(s)) * PARTS * s.C * itemsize(s.dtype)


cdef int channel_threads(const Channels* s) noexcept nogil:
    # and 10 ns for each channel
    return team_size((0.05 * itemsize(s.dtype) * s.S + 10) * <double>s.N * s.C)


cdef Norm problem(const Channels* s, const char* x) noexcept nogil:
    cdef Norm c
    memset(&c, 0, sizeof(c))
    c.s, c.x = s[0], x
    c.size, c.table = itemsize(s.dtype), kernels(s.dtype)
    c.way = NORM_LINES if s.lines else NORM_COLUMNS
    c.step = s.S if s.lines else s.C
    c.chunk = chunk_of(s)
    c.chunks = ceil_div(s.S, c.chunk)
    c.block = max(CHUNK // c.chunk, <long>1) if s.lines else max(s.C, <long>1)
    c.blocks = ceil_div(s.C, c.block)
    return c


# --- items of x ---------------------------------------------------------------

cdef struct Item:
    long sample, chunk
    long channel             # the first
    long rows, n             # of x, as the kernels see it
    long at                  # where x begins, in bytes


cdef inline Item item_of(const Norm* c, long item) noexcept nogil:
    cdef Item i
    cdef long position, positions, channels
    i.channel = item % c.blocks * c.block
    i.chunk = item // c.blocks % c.chunks
    i.sample = item // c.blocks // c.chunks
    position = i.chunk * c.chunk
    positions = min(c.chunk, c.s.S - position)
    channels = min(c.block, c.s.C - i.channel)
    i.rows = channels if c.s.lines else positions
    i.n = positions if c.s.lines else channels
    i.at = (i.sample * c.s.S * c.s.C + position * (1 if c.s.lines else c.s.C)
            + i.channel * (c.s.S if c.s.lines else 1)) * c.size
    return i


cdef inline char* part(const Norm* c, long sample, long chunk, long k, long channel) noexcept nogil:
    return c.parts + (((sample * c.chunks + chunk) * PARTS + k) * c.s.C + channel) * c.size


cdef inline char* constant(const Norm* c, long sample, long k, long channel) noexcept nogil:
    return c.constants + ((0 if c.s.pooled else sample * CONSTANTS * c.s.C) + k * c.s.C
                          + channel) * c.size


cdef inline char* slope(const Norm* c, long sample, long k, long channel) noexcept nogil:
    return c.slopes + ((0 if c.s.pooled else sample * 2 * c.s.C) + k * c.s.C + channel) * c.size


cdef inline double constant_number(const Norm* c, long sample, long k, long channel) noexcept nogil:
    return number(c.s.dtype, constant(c, sample, k, channel), 0)


cdef inline char* relu_shift(const Norm* c, long sample, long channel) noexcept nogil:
    return constant(c, sample, SHIFT, channel) if c.relu else NULL


# --- blocks of channels of a sample -------------------------------------------

cdef inline long channels_of(const Norm* c, long item, long* sample, long* channel) noexcept nogil:
    cdef long blocks = ceil_div(c.s.C, COLUMNS)
    sample[0], channel[0] = item // blocks, item % blocks * COLUMNS
    return min(<long>COLUMNS, c.s.C - channel[0])


# --- sets of channels ---------------------------------------------------------

cdef struct Set:
    long first, count, step  # its entries among the N * C


cdef inline Set set_of(const Norm* c, long k) noexcept nogil:
    cdef Set e
    e.count = c.s.N if c.s.pooled else c.s.C // c.s.groups
    e.first = k if c.s.pooled else k * e.count
    e.step = c.s.C if c.s.pooled else 1
    return e


cdef inline long set_channels(const Channels* s) noexcept nogil:
    """Channels that have the same statistics, side by side."""
    return 1 if s.pooled else s.C // s.groups


cdef inline long sets_of_sample(const Channels* s) noexcept nogil:
    return s.C if s.pooled else s.groups


cdef inline long set_blocks(const Channels* s) noexcept nogil:
    return ceil_div(sets_of_sample(s), COLUMNS)


cdef inline long sets_of_item(const Norm* c, long item, long* first) noexcept nogil:
    cdef long blocks = set_blocks(&c.s), sets = sets_of_sample(&c.s), start
    start = item % blocks * COLUMNS
    first[0] = item // blocks * sets + start
    return min(<long>COLUMNS, sets - start)


# --- stages -------------------------------------------------------------------

# One task after the other, each over some items of every sample (of all samples, for sets
# that are pooled).
cdef struct Stage:
    item_task task
    Norm* c
    long samples
    long items               # of a sample

cdef struct Stages:
    Stage[5] stage
    int count


cdef void add_stage(Stages* stages, item_task task, Norm* c, long samples,
                    long items) noexcept nogil:
    cdef Stage* stage = &stages.stage[stages.count]
    stage.task, stage.c, stage.samples, stage.items = task, c, samples, items
    stages.count += 1


cdef void stage_of_items(Stages* stages, item_task task, Norm* c) noexcept nogil:
    add_stage(stages, task, c, c.s.N, c.chunks * c.blocks)


cdef void stage_of_channels(Stages* stages, item_task task, Norm* c) noexcept nogil:
    add_stage(stages, task, c, c.s.N, ceil_div(c.s.C, COLUMNS))


cdef void stage_of_sets(Stages* stages, item_task task, Norm* c) noexcept nogil:
    add_stage(stages, task, c, set_samples(&c.s), set_blocks(&c.s))


cdef void sample_item(void* context, long sample, int thread) noexcept nogil:
    """All stages of one sample, which stays in cache."""
    cdef Stages* stages = <Stages*>context
    cdef Stage* stage
    cdef long k
    cdef int turn
    for turn in range(stages.count):
        stage = &stages.stage[turn]
        for k in range(sample * stage.items, (sample + 1) * stage.items):
            stage.task(stage.c, k, thread)


cdef void run_stages(Stages* stages, const Channels* s, int threads) noexcept nogil:
    cdef Stage* stage
    cdef int turn
    if not s.pooled and s.N >= 2 * threads and s.S * s.C <= SAMPLE:
        parallel_for(sample_item, stages, s.N, threads)
        return
    for turn in range(stages.count):
        stage = &stages.stage[turn]
        parallel_for(stage.task, stage.c, stage.samples * stage.items, threads)


# --- forward ------------------------------------------------------------------

cdef void statistics_item(void* context, long item, int thread) noexcept nogil:
    cdef Norm* c = <Norm*>context
    cdef Item i = item_of(c, item)
    c.table.norm_stats[c.way](c.x + i.at, i.rows, c.step, i.n,
                              part(c, i.sample, i.chunk, 0, i.channel),
                              part(c, i.sample, i.chunk, 1, i.channel),
                              part(c, i.sample, i.chunk, 2, i.channel))


cdef void merge_item(void* context, long item, int thread) noexcept nogil:
    cdef Norm* c = <Norm*>context
    cdef long sample, channel, n = channels_of(c, item, &sample, &channel)
    cdef long at = sample * c.s.C + channel
    c.table.norm_merge(part(c, sample, 0, 0, channel), PARTS * c.s.C, c.s.C, c.s.S, c.chunk, n,
                       c.first + at, c.second + at)


cdef void combine_item(void* context, long item, int thread) noexcept nogil:
    """Mean and variance of sets, of those of their channels, which have S numbers each."""
    cdef Norm* c = <Norm*>context
    cdef Set e
    cdef double mean, var, d
    cdef long first = 0, count = sets_of_item(c, item, &first), k, j, at
    for k in range(first, first + count):
        e = set_of(c, k)
        mean = var = 0
        for j in range(e.count):
            mean += c.first[e.first + j * e.step]
        mean /= e.count
        for j in range(e.count):
            at = e.first + j * e.step
            d = c.first[at] - mean
            var += c.second[at] + d * d
        var /= e.count
        c.mean[k], c.var[k] = mean, var


cdef Channels sets_as_channels(const Channels* s) noexcept nogil:
    """The channels of a set lie one after the other in lines: there the set is one channel."""
    cdef Channels whole = s[0]
    if s.lines and not s.pooled:
        whole.S *= s.C // s.groups
        whole.C = s.groups
    return whole


cdef void constants_item(void* context, long item, int thread) noexcept nogil:
    """The constants of the channels of some sets of a sample."""
    cdef Norm* c = <Norm*>context
    cdef long first = 0, count = sets_of_item(c, item, &first), width = set_channels(&c.s)
    cdef long sample = first // sets_of_sample(&c.s)
    cdef long channel = first % sets_of_sample(&c.s) * width
    c.table.norm_constants(c.mean + first, c.var + first, count, width, c.eps,
                           c.w if c.w == NULL else c.w + channel * c.size,
                           c.b if c.b == NULL else c.b + channel * c.size, c.s.C,
                           constant(c, sample, 0, channel))


cdef void forward_item(void* context, long item, int thread) noexcept nogil:
    cdef Norm* c = <Norm*>context
    cdef Item i = item_of(c, item)
    c.table.norm_apply[c.way](c.x + i.at, constant(c, i.sample, MEAN, i.channel),
                              constant(c, i.sample, SCALE, i.channel),
                              constant(c, i.sample, SHIFT, i.channel), c.relu, c.y + i.at, i.rows,
                              c.step, i.n)


cdef size_t channel_forward_bytes(const Channels* s) noexcept nogil:
    cdef Channels whole = sets_as_channels(s)
    return 2 * s.N * s.C * sizeof(double) + channel_parts_bytes(&whole)


cdef void channel_forward(const Channels* s, const char* x, bint training, double* mean,
                          double* var, double eps, const char* w, const char* b, bint relu,
                          char* constants, char* y, char* scratch, int threads) noexcept nogil:
    cdef Channels whole = sets_as_channels(s)
    cdef Norm stats = problem(&whole, x), c = problem(s, x)
    cdef Stages stages
    stages.count = 0
    stats.mean, stats.var = mean, var
    stats.first = <double*>scratch
    stats.second = stats.first + s.N * s.C
    stats.parts = <char*>(stats.second + s.N * s.C)
    c.mean, c.var, c.eps, c.w, c.b, c.relu = mean, var, eps, w, b, relu
    c.constants, c.y = constants, y
    if training:
        stage_of_items(&stages, statistics_item, &stats)
        stage_of_channels(&stages, merge_item, &stats)
        stage_of_sets(&stages, combine_item, &stats)
    stage_of_sets(&stages, constants_item, &c)
    if y != NULL:
        stage_of_items(&stages, forward_item, &c)
    run_stages(&stages, s, threads)


# --- backward -----------------------------------------------------------------

cdef void sums_item(void* context, long item, int thread) noexcept nogil:
    cdef Norm* c = <Norm*>context
    cdef Item i = item_of(c, item)
    c.table.norm_sums[c.way](c.dy + i.at, c.x + i.at, constant(c, i.sample, MEAN, i.channel),
                             constant(c, i.sample, SCALE, i.channel),
                             relu_shift(c, i.sample, i.channel), i.rows, c.step, i.n,
                             part(c, i.sample, i.chunk, 0, i.channel),
                             part(c, i.sample, i.chunk, 1, i.channel))


cdef void total_item(void* context, long item, int thread) noexcept nogil:
    """The sums of dy and of dy times the deviation, of each channel of a sample."""
    cdef Norm* c = <Norm*>context
    cdef long sample, channel, n = channels_of(c, item, &sample, &channel), k
    cdef long at = sample * c.s.C + channel, stride = PARTS * c.s.C
    c.table.norm_total(part(c, sample, 0, 0, channel), c.chunks, stride, n, c.first + at)
    c.table.norm_total(part(c, sample, 0, 1, channel), c.chunks, stride, n, c.second + at)
    for k in range(n):
        c.second[at + k] -= constant_number(c, sample, SLIP, channel + k) * c.first[at + k]


cdef void slopes_item(void* context, long item, int thread) noexcept nogil:
    """What dx = scale * dy - offset - slope * (x - mean) needs, of sets."""
    cdef Norm* c = <Norm*>context
    cdef double sum, dot, scale, rstd, share = 1.0 / set_size(&c.s) if c.training else 0.0
    cdef Set e
    cdef long first = 0, count = sets_of_item(c, item, &first), k, j, at, sample, channel
    for k in range(first, first + count):
        e = set_of(c, k)
        sample, channel = e.first // c.s.C, e.first % c.s.C
        sum = dot = 0
        for j in range(e.count):
            at = e.first + j * e.step
            scale = constant_number(c, sample, SCALE, channel + (0 if c.s.pooled else j))
            sum += scale * c.first[at]
            dot += scale * c.second[at]
        rstd = constant_number(c, sample, RSTD, channel)
        dot *= rstd * rstd * share
        sum = sum * share - dot * constant_number(c, sample, SLIP, channel)
        for j in range(channel, channel + (1 if c.s.pooled else e.count)):
            put(c.s.dtype, slope(c, sample, 0, j), 0, sum)
            put(c.s.dtype, slope(c, sample, 1, j), 0, dot)


cdef void weights_item(void* context, long item, int thread) noexcept nogil:
    """The gradients of weight and bias, over all samples."""
    cdef Norm* c = <Norm*>context
    cdef double[COLUMNS] sum
    cdef double[COLUMNS] dot
    cdef long none, channel, n = channels_of(c, item, &none, &channel), k, sample, at
    for k in range(n):
        sum[k] = dot[k] = 0
    for sample in range(c.s.N):
        at = sample * c.s.C + channel
        for k in range(n):
            sum[k] += c.first[at + k]
            dot[k] += c.second[at + k] * constant_number(c, sample, RSTD, channel + k)
    for k in range(n):
        put(c.s.dtype, c.db, channel + k, sum[k])
        put(c.s.dtype, c.dw, channel + k, dot[k])


cdef void backward_item(void* context, long item, int thread) noexcept nogil:
    cdef Norm* c = <Norm*>context
    cdef Item i = item_of(c, item)
    c.table.norm_back[c.way](c.dy + i.at, c.x + i.at, constant(c, i.sample, MEAN, i.channel),
                             constant(c, i.sample, SCALE, i.channel),
                             relu_shift(c, i.sample, i.channel),
                             slope(c, i.sample, 0, i.channel), slope(c, i.sample, 1, i.channel),
                             c.y + i.at, i.rows, c.step, i.n)


cdef void channel_backward(const Channels* s, const char* dy, const char* x, const char* constants,
                           bint training, bint relu, char* parts, double* sums, char* slopes,
                           char* dw, char* db, char* dx, int threads) noexcept nogil:
    cdef Norm c = problem(s, x)
    cdef Stages stages
    c.dy, c.constants, c.parts = dy, <char*>constants, parts
    c.training, c.relu = training, relu
    c.slopes, c.dw, c.db, c.y = slopes, dw, db, dx
    c.first, c.second = sums, sums + s.N * s.C
    stages.count = 0
    stage_of_items(&stages, sums_item, &c)
    stage_of_channels(&stages, total_item, &c)
    if dx != NULL:
        stage_of_sets(&stages, slopes_item, &c)
        stage_of_items(&stages, backward_item, &c)
    run_stages(&stages, s, threads)
    if dw != NULL:
        parallel_for(weights_item, &c, ceil_div(s.C, COLUMNS), threads)
