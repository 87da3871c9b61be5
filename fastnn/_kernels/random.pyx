"""Random arrays. An element is a function of (seed, call, position), so an array is cut
into chunks of fixed length that any thread may draw. Called by ops/random.pyx."""

from libc.string cimport memset

from fastnn._kernels.runtime cimport (
    FLOAT32, ceil_div, dropout_rule, fastnn_kernels, itemsize, kernels, parallel_for, team_size,
)

cdef extern from *:
    """
    /* bits, uniform below 2^63, scaled to below `bound` */
    static inline uint64_t scaled_below(int64_t bits, uint64_t bound)
    { return (uint64_t)((unsigned __int128)bits * bound >> 63); }
    """
    uint64_t scaled_below(int64_t bits, uint64_t bound) noexcept nogil

cdef enum:
    CHUNK = 8192           # elements; a multiple of the kernels' groups
    SHUFFLE = 256          # random numbers that a permutation draws at a time

# Nanoseconds for one element on one core, avx512: 8192 numbers in a loop, Xeon 2.6 GHz.
# In float64 the transcendental functions of random_normal are libm's.
cdef double UNIFORM_NS = 0.5
cdef double NORMAL_NS = 0.8
cdef double NORMAL_F64_NS = 20
cdef double INTEGER_NS = 1.6

cdef enum Kind:
    UNIFORM, NORMAL, BERNOULLI, DROPOUT, RRELU, INTEGERS

cdef struct Draw:
    Kind kind
    int dtype
    random_stream stream
    long n
    double a                # low or mean
    double b                # high or standard deviation
    dropout_rule rule
    int64_t low
    uint64_t range_
    const char* x
    const char* scaled      # what the slopes of rrelu multiply
    char* y
    bint outside            # some probability is not from 0 to 1


cdef void draw_chunk(void* context, long item, int thread) noexcept nogil:
    cdef Draw* d = <Draw*>context
    cdef const fastnn_kernels* k = kernels(d.dtype)
    cdef const random_stream* s = &d.stream
    cdef long first = item * CHUNK
    cdef long n = min(d.n - first, <long>CHUNK)
    cdef long size = 8 if d.kind == INTEGERS else itemsize(d.dtype)
    cdef char* y = d.y + first * size
    if d.kind == UNIFORM:
        k.random_uniform(s, first, n, d.a, d.b, y)
    elif d.kind == NORMAL:
        k.random_normal(s, first, n, d.a, d.b, y)
    elif d.kind == BERNOULLI:
        if not k.random_bernoulli(s, first, n, d.x + first * size, y):
            d.outside = True
    elif d.kind == DROPOUT:
        k.random_dropout(s, first, n, &d.rule, d.x + first * size, y)
    elif d.kind == RRELU:
        k.random_rrelu(s, first, n, d.a, d.b, d.x + first * size, d.scaled + first * size, y)
    else:
        k.random_integers(s, first, n, d.low, d.range_, <int64_t*>y)


cdef void draw(Draw* d, double ns) noexcept nogil:
    parallel_for(draw_chunk, d, ceil_div(d.n, CHUNK), team_size(d.n * ns))


cdef Draw new_draw(Kind kind, int dtype, random_stream stream, long n, void* y) noexcept nogil:
    cdef Draw d
    memset(&d, 0, sizeof(d))
    d.kind, d.dtype, d.stream, d.n, d.y = kind, dtype, stream, n, <char*>y
    return d


cdef void random_uniform(int dtype, random_stream stream, long n, double low, double high,
                         void* y) noexcept nogil:
    cdef Draw d = new_draw(UNIFORM, dtype, stream, n, y)
    d.a, d.b = low, high
    draw(&d, UNIFORM_NS)


cdef void random_normal(int dtype, random_stream stream, long n, double mean, double std,
                        void* y) noexcept nogil:
    cdef Draw d = new_draw(NORMAL, dtype, stream, n, y)
    d.a, d.b = mean, std
    draw(&d, NORMAL_NS if dtype == FLOAT32 else NORMAL_F64_NS)


cdef bint random_bernoulli(int dtype, random_stream stream, long n, const void* p,
                           void* y) noexcept nogil:
    cdef Draw d = new_draw(BERNOULLI, dtype, stream, n, y)
    d.x = <const char*>p
    draw(&d, UNIFORM_NS)
    return not d.outside


cdef void random_dropout(int dtype, random_stream stream, long n, dropout_rule rule, const void* x,
                         void* y) noexcept nogil:
    cdef Draw d = new_draw(DROPOUT, dtype, stream, n, y)
    d.rule, d.x = rule, <const char*>x
    draw(&d, UNIFORM_NS)


cdef void random_rrelu(int dtype, random_stream stream, long n, double low, double high,
                       const void* x, const void* a, void* y) noexcept nogil:
    cdef Draw d = new_draw(RRELU, dtype, stream, n, y)
    d.a, d.b, d.x, d.scaled = low, high, <const char*>x, <const char*>a
    draw(&d, UNIFORM_NS)


cdef void random_integers(random_stream stream, long n, int64_t low, uint64_t range_,
                          int64_t* y) noexcept nogil:
    cdef Draw d = new_draw(INTEGERS, FLOAT32, stream, n, y)
    d.low, d.range_ = low, range_
    draw(&d, INTEGER_NS)


cdef void random_permutation(random_stream stream, long n, int64_t* y) noexcept nogil:
    """Fisher and Yates, from the end; serial, for a step depends on the one before."""
    cdef int64_t[SHUFFLE] bits
    cdef int64_t kept
    cdef long i, j, drawn = 0
    for i in range(n):
        y[i] = i
    for i in range(n - 1, 0, -1):
        if drawn % SHUFFLE == 0:
            kernels(FLOAT32).random_integers(&stream, drawn, SHUFFLE, 0, <uint64_t>1 << 63, bits)
        j = <long>scaled_below(bits[drawn % SHUFFLE], <uint64_t>(i + 1))
        drawn += 1
        kept = y[i]
        y[i] = y[j]
        y[j] = kept
