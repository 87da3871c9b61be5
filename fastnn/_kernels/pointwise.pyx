"""Pointwise operations over any layouts, dtypes and broadcasts.

The dimensions are ordered by the result's strides and merged where all operands
allow it. Along the innermost, operands that step by 0 or 1 in the kernel's dtype
are used where they lie; any other is converted, some hundred elements at a time,
through a small buffer. Blocks of rows are shared out among threads."""

from fastnn._kernels.runtime cimport (
    INT64, ceil_div, convert, integer_kernels, itemsize, kernels, parallel_for, pointwise_fn,
    team_size,
)

ctypedef const void* const_pointer
ctypedef char* byte_pointer

cdef enum:
    BUFFER = 256              # elements converted at a time
    ITEM = 8192               # elements of one task, about

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


cdef void pointwise_item(void* context, long item, int thread) noexcept nogil:
    cdef Pointwise* job = <Pointwise*>context
    cdef int inner = job.ndim - 1, d, k
    cdef long first = item // job.row_blocks * job.rows_per_item
    cdef long column = item % job.row_blocks * job.block
    cdef long n = min(job.shape[inner] - column, job.block)
    cdef long rows = 1, row, rest, index, out_at
    cdef long[3] offset
    cdef byte_pointer[3] at
    for d in range(inner):
        rows *= job.shape[d]
    for row in range(first, min(first + job.rows_per_item, rows)):
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
        run_row(job, at, job.out.ptr + out_at * itemsize(job.out.dtype), n)


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
