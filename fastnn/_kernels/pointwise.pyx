"""Pointwise operations over any layouts, dtypes and broadcasts.

The dimensions are ordered by the result's strides and merged where all operands
allow it. Along the innermost, operands that step by 0 or 1 in the kernel's dtype
are used where they lie; any other is converted, some hundred elements at a time,
through a small buffer. Short rows are taken many at a time, operands that do not run on
from row to row being spread in the buffer. Blocks of rows are shared out among threads."""

from fastnn._kernels.runtime cimport (
    INT64, ceil_div, convert, integer_kernels, itemsize, kernels, parallel_for, pointwise_fn,
    team_size,
)

ctypedef const void* const_pointer
ctypedef char* byte_pointer

cdef enum:
    BUFFER = 256              # elements converted at a time
    ITEM = 8192               # elements of one task, about
    SHORT = 32                # elements of a row that is taken together with others
    SHORT_REPEATED = 128      # the same where what is spread is one row for all

# On one thread, for a byte of the result, about. 2-thread crossover on 2 cores of a Xeon, of any
# operation on its own or in a chain: 40,000 floats. What one thread wrote is slow to read for
# another, so that dear operations (tanh from 20,000 on) must not part from cheap ones.
cdef double BYTE_NS = 0.06

cdef pointwise_fn pointwise_kernel(int op, int dtype) noexcept nogil:
    if dtype == INT64:
        return integer_kernels()[op]
    return kernels(dtype).pointwise[op]


cdef inline bint is_direct(const Operand* x, int inner) noexcept nogil:
    return x.dtype == x.expected and (x.step[inner] == 1 or x.step[inner] == 0)


cdef void run_row(const Pointwise* job, char** at, char* out, long n) noexcept nogil:
    """One run along the innermost dimension, n elements from at[k] to out."""
    cdef double[3][BUFFER] buffers
    cdef double[BUFFER] result
    cdef const_pointer[3] source
    cdef long[3] step
    cdef long done = 0, part
    cdef int inner = job.ndim - 1, k
    cdef bint direct_out = job.out.dtype == job.out.expected and job.out.step[inner] == 1
    cdef bint all_direct = direct_out
    source[0] = source[1] = source[2] = NULL
    step[0] = step[1] = step[2] = 0
    for k in range(job.arity):
        all_direct = all_direct and is_direct(&job.operand[k], inner)
    while done < n:
        part = n - done if all_direct else min(n - done, <long>BUFFER)
        for k in range(job.arity):
            source[k] = at[k] + done * job.operand[k].step[inner] * itemsize(job.operand[k].dtype)
            step[k] = job.operand[k].step[inner]
            if not is_direct(&job.operand[k], inner):
                convert(job.operand[k].dtype, source[k], step[k],
                        job.operand[k].expected, buffers[k], 1, part if step[k] else 1)
                source[k] = buffers[k]
                step[k] = 1 if step[k] else 0
        if direct_out:
            job.fn(source[0], step[0], source[1], step[1], source[2], step[2],
                   out + done * itemsize(job.out.dtype), part, job.p)
        else:
            job.fn(source[0], step[0], source[1], step[1], source[2], step[2], result, part, job.p)
            convert(job.out.expected, result, 1, job.out.dtype,
                    out + done * job.out.step[inner] * itemsize(job.out.dtype),
                    job.out.step[inner], part)
        done += part


ctypedef fused element:
    unsigned char
    int
    long


cdef inline void spread_as(const element* x, long row_step, long step, long rows, long n,
                           element* y) noexcept nogil:
    cdef long row, j
    for row in range(rows):
        for j in range(n):
            y[row * n + j] = x[row * row_step + j * step]


cdef void spread(int size, const char* x, long row_step, long step, long rows, long n,
                 void* y) noexcept nogil:
    """Elements of `size` bytes of rows that step by row_step, side by side."""
    if size == 1:
        spread_as(<const unsigned char*>x, row_step, step, rows, n, <unsigned char*>y)
    elif size == 4:
        spread_as(<const int*>x, row_step, step, rows, n, <int*>y)
    else:
        spread_as(<const long*>x, row_step, step, rows, n, <long*>y)


cdef struct Spread:             # what the buffers of run_rows hold
    double buffers[3][BUFFER]
    char* source[3]
    long rows[3]


cdef bint has_short_rows(const Pointwise* job) noexcept nogil:
    """Rows that run on in the result, too short for vectors, and nothing to convert."""
    cdef int inner = job.ndim - 1, k
    cdef long n = job.shape[inner], row_step
    if (inner == 0 or n > SHORT_REPEATED or job.out.dtype != job.out.expected
            or job.out.step[inner] != 1 or job.out.step[inner - 1] != n):
        return False
    for k in range(job.arity):
        row_step = job.operand[k].step[inner - 1]
        if job.operand[k].dtype != job.operand[k].expected:
            return False
        if n > SHORT and row_step and row_step != n * job.operand[k].step[inner]:
            return False
    return True


cdef void run_rows(const Pointwise* job, char** at, char* out, long rows,
                   Spread* held) noexcept nogil:
    """`rows` short rows from at[k] to out, where they are one run."""
    cdef const_pointer[3] source
    cdef long[3] step
    cdef long n = job.shape[job.ndim - 1], row_step, inner_step
    cdef int k
    source[0] = source[1] = source[2] = NULL
    step[0] = step[1] = step[2] = 0
    for k in range(job.arity):
        row_step = job.operand[k].step[job.ndim - 2]
        inner_step = job.operand[k].step[job.ndim - 1]
        source[k] = at[k]
        step[k] = inner_step
        if row_step == n * inner_step and inner_step <= 1:
            continue
        if row_step or held.source[k] != at[k] or held.rows[k] < rows:
            spread(<int>itemsize(job.operand[k].dtype), at[k], row_step, inner_step, rows, n,
                   held.buffers[k])
            held.source[k], held.rows[k] = at[k], rows
        source[k] = held.buffers[k]
        step[k] = 1
    job.fn(source[0], step[0], source[1], step[1], source[2], step[2], out, rows * n, job.p)


cdef void pointwise_item(void* context, long item, int thread) noexcept nogil:
    cdef Pointwise* job = <Pointwise*>context
    cdef int inner = job.ndim - 1, d, k
    cdef long first = item // job.row_blocks * job.rows_per_item
    cdef long column = item % job.row_blocks * job.block
    cdef long n = min(job.shape[inner] - column, job.block)
    cdef long rows = 1, row = first, last, rest, index, out_at, count = 1
    cdef long[3] offset
    cdef byte_pointer[3] at
    cdef bint short_rows = has_short_rows(job)
    cdef Spread held
    held.source[0] = held.source[1] = held.source[2] = NULL
    for d in range(inner):
        rows *= job.shape[d]
    last = min(first + job.rows_per_item, rows)
    while row < last:
        rest = row
        out_at = column * job.out.step[inner]
        for k in range(job.arity):
            offset[k] = column * job.operand[k].step[inner]
        for d in range(inner - 1, -1, -1):
            index = rest % job.shape[d]
            rest //= job.shape[d]
            out_at += index * job.out.step[d]
            for k in range(job.arity):
                offset[k] += index * job.operand[k].step[d]
        for k in range(job.arity):
            at[k] = job.operand[k].ptr + offset[k] * itemsize(job.operand[k].dtype)
        if short_rows:
            count = min(min(BUFFER // n, last - row),
                        job.shape[inner - 1] - row % job.shape[inner - 1])
            run_rows(job, at, job.out.ptr + out_at * itemsize(job.out.dtype), count, &held)
        else:
            run_row(job, at, job.out.ptr + out_at * itemsize(job.out.dtype), n)
        row += count


cdef void move_dim(Pointwise* job, int source, int target) noexcept nogil:
    cdef int k
    job.shape[target] = job.shape[source]
    job.out.step[target] = job.out.step[source]
    for k in range(job.arity):
        job.operand[k].step[target] = job.operand[k].step[source]


cdef void order_dims(Pointwise* job) noexcept nogil:
    """Sort by falling stride of the result, without the dimensions of one element."""
    cdef int d, k, m, n = 0
    cdef Pointwise held
    for d in range(job.ndim):
        if job.shape[d] == 1:
            continue
        held.shape[0], held.out.step[0] = job.shape[d], job.out.step[d]
        for k in range(job.arity):
            held.operand[k].step[0] = job.operand[k].step[d]
        k = n
        while k > 0 and job.out.step[k - 1] < held.out.step[0]:
            move_dim(job, k - 1, k)
            k -= 1
        job.shape[k], job.out.step[k] = held.shape[0], held.out.step[0]
        for m in range(job.arity):
            job.operand[m].step[k] = held.operand[m].step[0]
        n += 1
    job.ndim = n


cdef void merge_dims(Pointwise* job) noexcept nogil:
    """Join neighbours that every operand steps through as one."""
    cdef int d, k, n = 0
    cdef bint joined
    for d in range(1, job.ndim):
        joined = job.out.step[n] == job.out.step[d] * job.shape[d]
        for k in range(job.arity):
            joined = joined and job.operand[k].step[n] == job.operand[k].step[d] * job.shape[d]
        if joined:
            job.shape[d] *= job.shape[n]
        else:
            n += 1
        move_dim(job, d, n)
    job.ndim = min(job.ndim, n + 1)


cdef void pointwise(Pointwise* job) noexcept nogil:
    cdef long rows = 1, inner
    cdef int d, k
    for d in range(job.ndim):
        rows *= job.shape[d]
    if rows == 0:
        return
    order_dims(job)
    merge_dims(job)
    if job.ndim == 0:
        job.ndim = 1
        job.shape[0] = 1
        job.out.step[0] = 1
        for k in range(job.arity):
            job.operand[k].step[0] = 0
    inner = job.shape[job.ndim - 1]
    rows //= inner
    job.row_blocks = ceil_div(inner, ITEM)
    job.block = ceil_div(ceil_div(inner, job.row_blocks), 64) * 64      # whole cache lines
    job.row_blocks = ceil_div(inner, job.block)
    job.rows_per_item = max(ITEM // inner, <long>1)
    parallel_for(pointwise_item, job,
                 ceil_div(rows, job.rows_per_item) * job.row_blocks,
                 team_size(<double>rows * inner * BYTE_NS * itemsize(job.out.expected)))
