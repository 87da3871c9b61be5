"""The losses of classes: cross entropy, negative log-likelihood, and a look at the targets.

A sample is computed by one thread, and sums over targets run over pieces of a fixed length,
added in their order, so the bits do not depend on the number of threads. Called by
ops/cross_entropy.pyx.
"""

from libc.stdint cimport int64_t
from libc.string cimport memset

from fastnn._kernels.runtime cimport (
    FLOAT64, ceil_div, cross_entropy_args, itemsize, kernels, parallel_for, team_size,
)
from fastnn._kernels.softmax cimport (
    Cut, cut_column, cut_columns, cut_first, cut_last, cut_of, softmax_threads,
)

cdef enum:
    PIECE = 8192                 # targets looked at by an item
    WIDE = 8                     # vectors of scratch for each class

ctypedef fused floating:
    float
    double


# --- targets ------------------------------------------------------------------

cdef struct TargetPart:
    double weight
    long bad

cdef struct Targets:
    int dtype
    const int64_t* target
    long count, classes
    int64_t ignore_index
    const char* weight
    TargetPart* parts


cdef void targets_item(void* context, long item, int thread) noexcept nogil:
    cdef Targets* t = <Targets*>context
    cdef long at = item * PIECE
    cdef TargetPart* part = &t.parts[item]
    part.weight = kernels(t.dtype).target_weight(
        t.target + at, min(t.count - at, <long>PIECE), t.classes, t.ignore_index, t.weight,
        &part.bad)
    if part.bad >= 0:
        part.bad += at


cdef long target_parts_bytes(long count) noexcept nogil:
    return ceil_div(count, PIECE) * sizeof(TargetPart)


cdef double target_total(int dtype, const int64_t* target, long count, long classes,
                         int64_t ignore_index, const char* weight, char* parts,
                         long* bad) noexcept nogil:
    cdef Targets t
    cdef double total = 0
    cdef long k
    t.dtype, t.target, t.count, t.classes = dtype, target, count, classes
    t.ignore_index, t.weight, t.parts = ignore_index, weight, <TargetPart*>parts
    parallel_for(targets_item, &t, ceil_div(count, PIECE), team_size(0.3 * count))
    bad[0] = -1
    for k in range(ceil_div(count, PIECE)):
        total += t.parts[k].weight
        if bad[0] < 0:
            bad[0] = t.parts[k].bad
    return total


# --- cross entropy --------------------------------------------------------------

cdef struct CrossEntropy:
    int dtype
    Cut cut
    const cross_entropy_args* arrays
    char* scratch
    long scratch_bytes


cdef void samples(const CrossEntropy* c, long i, long column, long count,
                  char* scratch) noexcept nogil:
    """The losses of rows from i on, or of columns of row i."""
    cdef cross_entropy_args a = c.arrays[0]
    cdef long size = itemsize(c.dtype), n = c.cut.n, inner = c.cut.inner
    cdef long whole = (i * n * inner + column) * size, one = i * inner + column
    a.count, a.n, a.step, a.scratch = count, n, inner, scratch
    a.x = <const char*>a.x + whole
    a.loss = <char*>a.loss + one * size
    if a.probability != NULL:
        a.probability = <const char*>a.probability + whole
    else:
        a.target += one
    if a.dx != NULL:
        a.dx = <char*>a.dx + whole
    kernels(c.dtype).cross_entropy(&a)


cdef void cross_entropy_item(void* context, long item, int thread) noexcept nogil:
    cdef CrossEntropy* c = <CrossEntropy*>context
    cdef char* scratch = c.scratch + thread * c.scratch_bytes
    cdef long first = cut_first(&c.cut, item), last = cut_last(&c.cut, item), i
    if c.cut.inner == 1:
        samples(c, first, 0, last - first, scratch)
        return
    for i in range(first, last):
        samples(c, i, cut_column(&c.cut, item), cut_columns(&c.cut, item), scratch)


cdef int cross_entropy_threads(int dtype, long outer, long n, long inner) noexcept nogil:
    return softmax_threads(dtype, outer * inner, n)


cdef long cross_entropy_scratch_bytes(int dtype, long n, int threads) noexcept nogil:
    return threads * WIDE * kernels(dtype).vl * n * itemsize(dtype)


cdef void cross_entropy_forward(int dtype, long outer, long n, long inner,
                                const cross_entropy_args* arrays, char* scratch,
                                int threads) noexcept nogil:
    cdef CrossEntropy c
    c.dtype, c.arrays, c.cut = dtype, arrays, cut_of(outer, n, inner)
    c.scratch, c.scratch_bytes = scratch, cross_entropy_scratch_bytes(dtype, n, 1)
    parallel_for(cross_entropy_item, &c, c.cut.items, threads)


# --- negative log-likelihood ----------------------------------------------------

cdef struct Likelihood:
    int dtype
    long outer, n, inner
    const int64_t* target
    int64_t ignore_index
    const char* weight
    const char* x
    const char* dy
    long dy_step
    char* out                    # losses, or dx


cdef Likelihood likelihood(int dtype, long outer, long n, long inner, const int64_t* target,
                           int64_t ignore_index, const char* weight) noexcept nogil:
    cdef Likelihood c
    memset(&c, 0, sizeof(Likelihood))
    c.dtype, c.outer, c.n, c.inner, c.target = dtype, outer, n, inner, target
    c.ignore_index, c.weight = ignore_index, weight
    return c


cdef inline long place_of(const Likelihood* c, long i) noexcept nogil:
    """Where the score of the target of sample i stands."""
    return (i // c.inner * c.n + c.target[i]) * c.inner + i % c.inner


cdef void pick(const Likelihood* c, const floating* weight, const floating* x, long first,
               long last, floating* loss) noexcept nogil:
    cdef long i
    for i in range(first, last):
        if c.target[i] == c.ignore_index:
            loss[i] = 0
        else:
            loss[i] = -x[place_of(c, i)] * (1 if weight == NULL else weight[c.target[i]])


cdef void put_back(const Likelihood* c, const floating* weight, const floating* dy, long first,
                   long last, floating* dx) noexcept nogil:
    cdef long i
    for i in range(first, last):
        if c.target[i] != c.ignore_index:
            dx[place_of(c, i)] = -dy[i * c.dy_step] * (1 if weight == NULL
                                                       else weight[c.target[i]])


cdef void nll_forward_item(void* context, long item, int thread) noexcept nogil:
    cdef Likelihood* c = <Likelihood*>context
    cdef long first = item * PIECE, last = min(first + PIECE, c.outer * c.inner)
    if c.dtype == FLOAT64:
        pick(c, <const double*>c.weight, <const double*>c.x, first, last, <double*>c.out)
    else:
        pick(c, <const float*>c.weight, <const float*>c.x, first, last, <float*>c.out)


cdef void nll_forward(int dtype, long outer, long n, long inner, const char* x,
                      const int64_t* target, int64_t ignore_index, const char* weight,
                      char* loss) noexcept nogil:
    cdef Likelihood c = likelihood(dtype, outer, n, inner, target, ignore_index, weight)
    c.x, c.out = x, loss
    parallel_for(nll_forward_item, &c, ceil_div(outer * inner, PIECE),
                 team_size(5.0 * outer * inner))


cdef void nll_backward_item(void* context, long item, int thread) noexcept nogil:
    """The samples of one of outer, or of some where they are rows."""
    cdef Likelihood* c = <Likelihood*>context
    cdef long rows = max(PIECE // (c.n * c.inner), <long>1), begin = item * rows
    cdef long end = min(begin + rows, c.outer), row_bytes = c.n * c.inner * itemsize(c.dtype)
    cdef long first = begin * c.inner, last = end * c.inner
    memset(c.out + begin * row_bytes, 0, (end - begin) * row_bytes)
    if c.dtype == FLOAT64:
        put_back(c, <const double*>c.weight, <const double*>c.dy, first, last, <double*>c.out)
    else:
        put_back(c, <const float*>c.weight, <const float*>c.dy, first, last, <float*>c.out)


cdef void nll_backward(int dtype, long outer, long n, long inner, const int64_t* target,
                       int64_t ignore_index, const char* weight, const char* dy, long dy_step,
                       char* dx) noexcept nogil:
    cdef Likelihood c = likelihood(dtype, outer, n, inner, target, ignore_index, weight)
    cdef long rows = max(PIECE // (n * inner), <long>1)
    c.dy, c.dy_step, c.out = dy, dy_step, dx
    parallel_for(nll_backward_item, &c, ceil_div(outer, rows),
                 team_size(outer * inner * (3.0 + 0.1 * n * itemsize(dtype))))
