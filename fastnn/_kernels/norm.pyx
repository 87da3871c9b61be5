"""Normalisation of the channels of x, which are columns (N, S, C) or lines (N, C, S).

An item is a chunk of positions, and of lines a block of them, of one sample; the shape
alone decides its extent. Whatever is summed over positions is summed within each item,
and the results, parts (N, chunks, 3, C), are merged in double in rising order, channels
shared out among threads: the bits do not depend on their number. A set of channels that
is normalised together then combines what its channels have. Called by ops/norm.pyx.
"""

from libc.math cimport sqrt
from libc.string cimport memset

from fastnn._kernels.runtime cimport (
    NORM_COLUMNS, NORM_LINES, ceil_div, fastnn_kernels, item_task, itemsize, kernels, parallel_for,
    team_size,
)

cdef enum:
    CHUNK = 32768            # numbers in an item: it stays in the second-level cache
    LINE = 8192              # of a line at most
    COLUMNS = 256            # channels merged, or sets combined, at a time
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
    return team_size(0.05 * itemsize(s.dtype) * <double>s.N * s.S * s.C)


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


cdef void for_items(item_task task, Norm* c, int threads) noexcept nogil:
    parallel_for(task, c, c.s.N * c.chunks * c.blocks, threads)


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

cdef void for_channels(item_task task, Norm* c, long samples, int threads) noexcept nogil:
    parallel_for(task, c, samples * ceil_div(c.s.C, COLUMNS), threads)


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


cdef inline long sets(const Norm* c) noexcept nogil:
    return c.s.C if c.s.pooled else c.s.N * c.s.groups


cdef void for_sets(item_task task, Norm* c, int threads) noexcept nogil:
    parallel_for(task, c, ceil_div(sets(c), COLUMNS), threads)


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
    cdef long k, j, at
    for k in range(item * COLUMNS, min((item + 1) * COLUMNS, sets(c))):
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
        for j in range(1 if c.s.pooled else e.count):
            c.first[e.first + j], c.second[e.first + j] = mean, var


cdef void channel_statistics(const Channels* s, const char* x, char* parts, double* mean,
                             double* var, int threads) noexcept nogil:
    cdef Norm c = problem(s, x)
    c.parts, c.first, c.second = parts, mean, var
    for_items(statistics_item, &c, threads)
    for_channels(merge_item, &c, s.N, threads)
    for_sets(combine_item, &c, threads)


cdef void constants_item(void* context, long item, int thread) noexcept nogil:
    cdef Norm* c = <Norm*>context
    cdef int dtype = c.s.dtype
    cdef double mean, slip, rstd, scale
    cdef long k, channel, sample
    cdef Set e
    for k in range(item * COLUMNS, min((item + 1) * COLUMNS, sets(c))):
        e = set_of(c, k)
        sample = e.first // c.s.C
        mean = c.first[e.first]
        rstd = 1.0 / sqrt(c.second[e.first] + c.eps)
        for channel in range(e.first % c.s.C, e.first % c.s.C + (1 if c.s.pooled else e.count)):
            put(dtype, constant(c, sample, MEAN, channel), 0, mean)
            slip = mean - constant_number(c, sample, MEAN, channel)
            scale = rstd * (1.0 if c.w == NULL else number(dtype, c.w, channel))
            put(dtype, constant(c, sample, SLIP, channel), 0, slip)
            put(dtype, constant(c, sample, RSTD, channel), 0, rstd)
            put(dtype, constant(c, sample, SCALE, channel), 0, scale)
            put(dtype, constant(c, sample, SHIFT, channel), 0,
                (0.0 if c.b == NULL else number(dtype, c.b, channel)) - slip * scale)


cdef void channel_constants(const Channels* s, const double* mean, const double* var, double eps,
                            const char* w, const char* b, char* constants,
                            int threads) noexcept nogil:
    cdef Norm c = problem(s, NULL)
    c.first, c.second, c.eps = <double*>mean, <double*>var, eps
    c.w, c.b, c.constants = w, b, constants
    for_sets(constants_item, &c, threads)


cdef void forward_item(void* context, long item, int thread) noexcept nogil:
    cdef Norm* c = <Norm*>context
    cdef Item i = item_of(c, item)
    c.table.norm_apply[c.way](c.x + i.at, constant(c, i.sample, MEAN, i.channel),
                              constant(c, i.sample, SCALE, i.channel),
                              constant(c, i.sample, SHIFT, i.channel), c.relu, c.y + i.at, i.rows,
                              c.step, i.n)


cdef void channel_forward(const Channels* s, const char* x, const char* constants, bint relu,
                          char* y, int threads) noexcept nogil:
    cdef Norm c = problem(s, x)
    c.constants, c.relu, c.y = <char*>constants, relu, y
    for_items(forward_item, &c, threads)


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
    cdef long k, j, at, sample, channel
    for k in range(item * COLUMNS, min((item + 1) * COLUMNS, sets(c))):
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
    c.dy, c.constants, c.parts = dy, <char*>constants, parts
    c.training, c.relu = training, relu
    c.slopes, c.dw, c.db, c.y = slopes, dw, db, dx
    c.first, c.second = sums, sums + s.N * s.C
    for_items(sums_item, &c, threads)
    for_channels(total_item, &c, s.N, threads)
    for_channels(weights_item, &c, 1, threads)
    if dx != NULL:
        for_sets(slopes_item, &c, threads)
        for_items(backward_item, &c, threads)
