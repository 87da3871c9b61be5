"""Max unpooling, channels-last: numbers to the places that indices name, and back.

An item is one image, or a cache line of its channels where images are few: it owns
its places and goes through the positions in order, so the bits do not depend on the
number of threads.
The indices were checked before. Called by ops/unpool.pyx.
"""

from libc.string cimport memset

from fastnn._kernels.runtime cimport (
    FLOAT32, ceil_div, itemsize, parallel_for, team_size,
)

cdef enum:
    FEW = 16                  # images that are shared out by channels
    CHANNELS = 16             # of an item then
    CHUNK = 1 << 15           # indices that are checked by an item

ctypedef fused number:
    float
    double

cdef struct Unpool:
    long P, Q, C, width       # width: channels of an item
    long blocks               # items of an image
    bint narrow               # float32
    char* small               # x or dx, (N P C)
    char* large               # y or dy, (N Q C)
    const long long* indices


cdef struct Check:
    const long long* indices
    long n
    unsigned long long limit
    bint failed               # only ever set: no matter by whom


cdef int unpool_threads(int dtype, long N, long P, long Q, long C) noexcept nogil:
    return team_size(<double>N * C * (P + 0.05 * Q * itemsize(dtype)))


cdef void check_item(void* context, long item, int thread) noexcept nogil:
    cdef Check* c = <Check*>context
    cdef bint failed = False
    cdef long i
    for i in range(item * CHUNK, min((item + 1) * CHUNK, c.n)):
        failed |= <unsigned long long>c.indices[i] >= c.limit
    if failed:
        c.failed = True


cdef bint unpool_indices_fit(const long long* indices, long n, long Q, int threads) noexcept nogil:
    cdef Check c
    c.indices, c.n, c.limit, c.failed = indices, n, Q, False
    parallel_for(check_item, &c, ceil_div(n, CHUNK), threads)
    return not c.failed


cdef void place(const Unpool* c, number* x, number* y, long image, long first) noexcept nogil:
    cdef long end = min(first + c.width, c.C), p, q, k
    cdef const long long* indices = c.indices + image * c.P * c.C
    x += image * c.P * c.C
    y += image * c.Q * c.C
    if c.width == c.C:
        memset(y, 0, c.Q * c.C * sizeof(number))
    else:
        for q in range(c.Q):
            memset(y + q * c.C + first, 0, (end - first) * sizeof(number))
    for p in range(c.P):
        for k in range(first, end):
            y[indices[p * c.C + k] * c.C + k] = x[p * c.C + k]


cdef void fetch(const Unpool* c, number* dx, number* dy, long image, long first) noexcept nogil:
    cdef long end = min(first + c.width, c.C), p, k
    cdef const long long* indices = c.indices + image * c.P * c.C
    dx += image * c.P * c.C
    dy += image * c.Q * c.C
    for p in range(c.P):
        for k in range(first, end):
            dx[p * c.C + k] = dy[indices[p * c.C + k] * c.C + k]


cdef void forward_item(void* context, long item, int thread) noexcept nogil:
    cdef Unpool* c = <Unpool*>context
    cdef long image = item // c.blocks, first = item % c.blocks * c.width
    if c.narrow:
        place(c, <float*>c.small, <float*>c.large, image, first)
    else:
        place(c, <double*>c.small, <double*>c.large, image, first)


cdef void backward_item(void* context, long item, int thread) noexcept nogil:
    cdef Unpool* c = <Unpool*>context
    cdef long image = item // c.blocks, first = item % c.blocks * c.width
    if c.narrow:
        fetch(c, <float*>c.small, <float*>c.large, image, first)
    else:
        fetch(c, <double*>c.small, <double*>c.large, image, first)


cdef void describe(Unpool* c, int dtype, long N, long P, long Q, long C, const char* small,
                   const char* large, const long long* indices) noexcept nogil:
    c.P, c.Q, c.C, c.width = P, Q, C, CHANNELS if N < FEW else C
    c.blocks = ceil_div(C, c.width)
    c.narrow = dtype == FLOAT32
    c.small, c.large, c.indices = <char*>small, <char*>large, indices


cdef void unpool_forward(int dtype, long N, long P, long Q, long C, const char* x,
                         const long long* indices, char* y, int threads) noexcept nogil:
    cdef Unpool c
    describe(&c, dtype, N, P, Q, C, x, y, indices)
    parallel_for(forward_item, &c, N * c.blocks, threads)


cdef void unpool_backward(int dtype, long N, long P, long Q, long C, const char* dy,
                          const long long* indices, char* dx, int threads) noexcept nogil:
    cdef Unpool c
    describe(&c, dtype, N, P, Q, C, dx, dy, indices)
    parallel_for(backward_item, &c, N * c.blocks, threads)
