"""Softmax, log-softmax, logsumexp over a dimension of (outer, n, inner); cross entropy of rows.

Every row, and every column where inner is not 1, is computed by one thread, and an item
holds a fixed number of them, so the bits do not depend on the number of threads. Losses
work on row-major (rows, n). Called by ops/softmax.pyx.
"""

from libc.string cimport memset

from fastnn._kernels.runtime cimport (
    FLOAT64, LOGSUMEXP, LOGSUMEXP_BACKWARD, ceil_div, cross_entropy_args, itemsize, kernels,
    parallel_for, softmax_args, team_size,
)

cdef enum:
    BLOCK = 1 << 13              # elements of one task, about
    STRIP = 64                   # columns, or a multiple of it: whole vectors at every level

# Measured on one core of a Xeon (avx512), softmax of (300, 1000): 0.39 ns a float; float64, whose
# exponentials are libm's, 5.3 ns.
cdef double ELEMENT_NS = 0.4
cdef double ELEMENT_NS_F64 = 5.0


cdef int team_for(int dtype, long rows, long n) noexcept nogil:
    return team_size(<double>rows * n * (ELEMENT_NS_F64 if dtype == FLOAT64 else ELEMENT_NS))


# --- softmax ------------------------------------------------------------------

cdef struct Softmax:
    int kind
    int dtype
    long outer, n, inner
    long block                   # of outer, in one task
    long strip, strips           # columns of one task; strips in all of inner
    const softmax_args* arrays


cdef inline softmax_args part_of(const Softmax* t, long i, long column, long count) noexcept nogil:
    """The arrays from row i, or its columns from `column` on."""
    cdef softmax_args a = t.arrays[0]
    cdef long size = itemsize(t.dtype)
    cdef long whole = (i * t.n * t.inner + column) * size     # in arrays (outer, n, inner)
    cdef long one = (i * t.inner + column) * size             # in arrays (outer, inner)
    a.count, a.n, a.step = count, t.n, t.inner
    a.x = <const char*>a.x + whole
    a.y = <const char*>a.y + (one if t.kind == LOGSUMEXP_BACKWARD else whole)
    a.dy = <const char*>a.dy + (one if t.kind == LOGSUMEXP_BACKWARD else whole)
    a.out = <char*>a.out + (one if t.kind == LOGSUMEXP else whole)
    return a


cdef void softmax_task(void* context, long item, int thread) noexcept nogil:
    cdef Softmax* t = <Softmax*>context
    cdef long first = item // t.strips * t.block, column = item % t.strips * t.strip, i
    cdef long last = min(first + t.block, t.outer)
    cdef softmax_args a
    if t.inner == 1:
        a = part_of(t, first, 0, last - first)
        kernels(t.dtype).softmax_rows[t.kind](&a)
        return
    for i in range(first, last):
        a = part_of(t, i, column, min(t.strip, t.inner - column))
        kernels(t.dtype).softmax_columns[t.kind](&a)


cdef void softmax(int kind, int dtype, long outer, long n, long inner,
                  const softmax_args* arrays) noexcept nogil:
    cdef Softmax t
    t.kind, t.dtype, t.outer, t.n, t.inner, t.arrays = kind, dtype, outer, n, inner, arrays
    t.strip = max(BLOCK // n // STRIP, <long>1) * STRIP
    t.strips = ceil_div(inner, t.strip)
    t.block = max(BLOCK // (n * min(inner, t.strip)), <long>1)
    parallel_for(softmax_task, &t, ceil_div(outer, t.block) * t.strips,
                 team_for(dtype, outer * inner, n))


# --- losses of class indices --------------------------------------------------

cdef struct CrossEntropy:
    const cross_entropy_args* all_rows
    int dtype
    long block


cdef void cross_entropy_task(void* context, long item, int thread) noexcept nogil:
    cdef CrossEntropy* c = <CrossEntropy*>context
    cdef cross_entropy_args t = c.all_rows[0]
    cdef long size = itemsize(c.dtype)
    cdef long first = item * c.block
    t.rows = min(c.block, t.rows - first)
    t.x = <const char*>t.x + first * t.n * size
    t.target += first
    t.loss = <char*>t.loss + first * size
    if t.dx != NULL:
        t.dx = <char*>t.dx + first * t.n * size
    kernels(c.dtype).cross_entropy(&t)


cdef void cross_entropy_forward(int dtype, const cross_entropy_args* all_rows) noexcept nogil:
    cdef CrossEntropy c
    c.all_rows, c.dtype = all_rows, dtype
    c.block = max(BLOCK // all_rows.n, <long>1)
    parallel_for(cross_entropy_task, &c, ceil_div(all_rows.rows, c.block),
                 team_for(dtype, all_rows.rows, all_rows.n))


cdef long first_bad_target(const long long* target, long rows, long classes,
                           long long ignore_index) noexcept nogil:
    cdef long i
    for i in range(rows):
        if (target[i] < 0 or target[i] >= classes) and target[i] != ignore_index:
            return i
    return -1


cdef inline double weight_of(int dtype, const char* weight, long long target) noexcept nogil:
    if weight == NULL:
        return 1
    return (<const double*>weight)[target] if dtype == FLOAT64 else (<const float*>weight)[target]


cdef double target_weight(int dtype, long rows, const long long* target, long long ignore_index,
                          const char* weight) noexcept nogil:
    cdef double total = 0
    cdef long i
    for i in range(rows):
        if target[i] != ignore_index:
            total += weight_of(dtype, weight, target[i])
    return total


cdef double nll_forward(int dtype, long rows, long n, const char* x, const long long* target,
                        long long ignore_index, const char* weight, char* loss) noexcept nogil:
    cdef double total = 0, w
    cdef long i
    for i in range(rows):
        w = 0
        if target[i] != ignore_index:
            w = weight_of(dtype, weight, target[i])
        total += w
        if dtype == FLOAT64:
            (<double*>loss)[i] = 0
            if target[i] != ignore_index:
                (<double*>loss)[i] = -w * (<const double*>x)[i * n + target[i]]
        else:
            (<float*>loss)[i] = 0
            if target[i] != ignore_index:
                (<float*>loss)[i] = -<float>w * (<const float*>x)[i * n + target[i]]
    return total


cdef void nll_backward(int dtype, long rows, long n, const long long* target,
                       long long ignore_index, const char* weight,
                       const char* dy, long dy_step, char* dx) noexcept nogil:
    cdef double w
    cdef long i
    memset(dx, 0, rows * n * itemsize(dtype))
    for i in range(rows):
        if target[i] == ignore_index:
            continue
        w = weight_of(dtype, weight, target[i])
        if dtype == FLOAT64:
            (<double*>dx)[i * n + target[i]] = -w * (<const double*>dy)[i * dy_step]
        else:
            (<float*>dx)[i * n + target[i]] = -<float>w * (<const float*>dy)[i * dy_step]


ctypedef fused floating:
    float
    double


cdef void scale_row(const floating* slope, floating dy, long n, floating* dx) noexcept nogil:
    cdef long j
    for j in range(n):
        dx[j] = slope[j] * dy


cdef struct Rows:
    int dtype
    long rows, n
    long block                   # rows of one task
    const char* x
    const char* dy
    long dy_step
    char* out


cdef void scale_rows_task(void* context, long item, int thread) noexcept nogil:
    cdef Rows* t = <Rows*>context
    cdef long i, at
    for i in range(item * t.block, min((item + 1) * t.block, t.rows)):
        at = i * t.n
        if t.dtype == FLOAT64:
            scale_row(<const double*>t.x + at, (<const double*>t.dy)[i * t.dy_step], t.n,
                      <double*>t.out + at)
        else:
            scale_row(<const float*>t.x + at, (<const float*>t.dy)[i * t.dy_step], t.n,
                      <float*>t.out + at)


cdef void scale_rows(int dtype, long rows, long n, const char* slope, const char* dy, long dy_step,
                     char* dx) noexcept nogil:
    cdef Rows t
    t.dtype, t.rows, t.n, t.block = dtype, rows, n, max(BLOCK // n, <long>1)
    t.x, t.dy, t.dy_step, t.out = slope, dy, dy_step, dx
    parallel_for(scale_rows_task, &t, ceil_div(rows, t.block), team_size(<double>rows * n * 0.4))
