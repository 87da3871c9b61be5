"""Softmax, log-softmax, logsumexp and cross entropy, rows shared out in blocks.

Every row is computed by one thread, and a block holds a fixed number of rows, so
the bits do not depend on the number of threads. Arrays are row-major (rows, n).
Called by ops/softmax.pyx.
"""

from libc.string cimport memset

from fastnn._kernels.runtime cimport (
    FLOAT64, ceil_div, cross_entropy_args, itemsize, kernels, parallel_for, team_size,
)

cdef enum:
    BLOCK = 1 << 13              # elements in the rows of one task

# Measured on one core of a Xeon (avx512), softmax of (300, 1000): 0.39 ns a float; float64, whose
# exponentials are libm's, 5.3 ns.
cdef double ELEMENT_NS = 0.4
cdef double ELEMENT_NS_F64 = 5.0

cdef struct Rows:
    RowOperation op
    int dtype
    long rows
    long n
    long block               # rows of one task
    const char* x
    const char* y
    const char* dy
    char* out
    long dy_step


cdef void start(Rows* t, int dtype, long rows, long n) noexcept nogil:
    t.dtype, t.rows, t.n = dtype, rows, n
    t.block = max(BLOCK // n, <long>1)


cdef inline long tasks(const Rows* t) noexcept nogil:
    return ceil_div(t.rows, t.block)


cdef int team_for(int dtype, long rows, long n) noexcept nogil:
    return team_size(<double>rows * n * (ELEMENT_NS_F64 if dtype == FLOAT64 else ELEMENT_NS))


cdef void rows_task(void* context, long item, int thread) noexcept nogil:
    cdef Rows* t = <Rows*>context
    cdef long size = itemsize(t.dtype)
    cdef long first = item * t.block
    cdef long rows = min(t.block, t.rows - first)
    cdef long whole = first * t.n * size           # where the rows start in arrays (rows, n)
    cdef long one = first * size                   # and in arrays (rows,)
    if t.op == SOFTMAX:
        kernels(t.dtype).softmax(t.x + whole, rows, t.n, t.out + whole)
    elif t.op == LOG_SOFTMAX:
        kernels(t.dtype).log_softmax(t.x + whole, rows, t.n, t.out + whole)
    elif t.op == LOGSUMEXP:
        kernels(t.dtype).logsumexp(t.x + whole, rows, t.n, t.out + one)
    elif t.op == SOFTMAX_BACKWARD:
        kernels(t.dtype).softmax_backward(t.dy + whole, t.y + whole, rows, t.n, t.out + whole)
    elif t.op == LOG_SOFTMAX_BACKWARD:
        kernels(t.dtype).log_softmax_backward(t.dy + whole, t.y + whole, rows, t.n, t.out + whole)
    else:
        kernels(t.dtype).logsumexp_backward(t.dy + one, t.y + one, t.x + whole, rows, t.n,
                                            t.out + whole)


cdef void softmax_forward(RowOperation op, int dtype, long rows, long n,
                          const char* x, char* y) noexcept nogil:
    cdef Rows t
    start(&t, dtype, rows, n)
    t.op, t.x, t.out = op, x, y
    parallel_for(rows_task, &t, tasks(&t), team_for(dtype, rows, n))


cdef void softmax_backward(RowOperation op, int dtype, long rows, long n, const char* dy,
                           const char* y, const char* x, char* dx) noexcept nogil:
    cdef Rows t
    start(&t, dtype, rows, n)
    t.op, t.dy, t.y, t.x, t.out = op, dy, y, x, dx
    parallel_for(rows_task, &t, tasks(&t), team_for(dtype, rows, n))


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
    start(&t, dtype, rows, n)
    t.x, t.dy, t.dy_step, t.out = slope, dy, dy_step, dx
    parallel_for(scale_rows_task, &t, tasks(&t), team_size(<double>rows * n * 0.4))
