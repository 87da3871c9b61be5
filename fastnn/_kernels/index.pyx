"""Rows at computed places of a tensor: read, written, added to.

Reading shares out the rows. Writing and adding must keep the order of equal
places, so there each task owns the places of one bucket of a hash and goes
through all of them in order: the bits do not depend on the number of threads.
Called by ops/index.pyx (index arrays, gather, scatter_add and their gradients).
"""

from libc.string cimport memcpy

from fastnn._kernels.runtime cimport (
    FLOAT32, FLOAT64, INT32, INT64, ceil_div, parallel_for, team_size,
)

cdef enum:
    BUCKETS = 8
    CHUNK = 16384             # elements in a task that reads

ctypedef fused number:
    unsigned char
    int
    long long
    float
    double

cdef struct Walk:             # a job, and how it is shared out
    IndexJob* job
    long outer                # product of the outer shape
    long inner
    long row                  # length and step of the innermost dimension
    long row_step
    long lines                # per task of a read
    bint shared


cdef inline void do_row(int mode, number* x, long step, number* y, long n) noexcept nogil:
    cdef long i
    if mode == INDEX_READ:
        if step == 1 and n > 8:
            memcpy(y, x, n * sizeof(number))
        else:
            for i in range(n):
                y[i] = x[i * step]
    elif mode == INDEX_WRITE:
        for i in range(n):
            x[i * step] = y[i]
    elif mode == INDEX_ADD:
        if step == 1:
            for i in range(n):
                x[i] += y[i]
        else:
            for i in range(n):
                x[i * step] += y[i]
    else:
        for i in range(n):
            y[i] = x[i * step]
            x[i * step] = 0


cdef inline void do_place(Walk* walk, number* x, number* y) noexcept nogil:
    """One place: all its inner rows."""
    cdef IndexJob* job = walk.job
    cdef long r, rest, at
    cdef int d
    if job.inner_ndim <= 1:
        do_row(job.mode, x, walk.row_step, y, walk.row)
        return
    for r in range(walk.inner // walk.row):
        rest, at = r, 0
        for d in range(job.inner_ndim - 2, -1, -1):
            at += rest % job.inner_shape[d] * job.inner_step[d]
            rest //= job.inner_shape[d]
        do_row(job.mode, x + at, walk.row_step, y + r * walk.row, walk.row)


cdef inline long outer_start(IndexJob* job, long o) noexcept nogil:
    cdef long at = 0
    cdef int d
    for d in range(job.outer_ndim - 1, -1, -1):
        at += o % job.outer_shape[d] * job.outer_step[d]
        o //= job.outer_shape[d]
    return at


cdef inline int bucket(long long place) noexcept nogil:
    return <int>(<unsigned long long>place * 0x9E3779B97F4A7C15ULL >> 61)


cdef void read_lines(Walk* walk, long item, number* x, number* y) noexcept nogil:
    cdef IndexJob* job = walk.job
    cdef long first = item * walk.lines
    cdef long last = min(first + walk.lines, walk.outer * job.count), line, o, k, start
    o, k = first // job.count, first % job.count
    start = outer_start(job, o)
    for line in range(first, last):
        do_place(walk, x + start + job.places[k], y + line * walk.inner)
        k += 1
        if k == job.count:
            k = 0
            o += 1
            start = outer_start(job, o)


cdef void write_bucket(Walk* walk, long item, number* x, number* y) noexcept nogil:
    cdef IndexJob* job = walk.job
    cdef long o, k, turn, start
    for o in range(walk.outer):
        start = outer_start(job, o)
        for turn in range(job.count):
            k = job.count - 1 - turn if job.mode == INDEX_TAKE else turn
            if not walk.shared or bucket(job.places[k]) == item:
                do_place(walk, x + start + job.places[k], y + (o * job.count + k) * walk.inner)


cdef void typed_item(Walk* walk, long item, number* x, number* y) noexcept nogil:
    if walk.job.mode == INDEX_READ:
        read_lines(walk, item, x, y)
    else:
        write_bucket(walk, item, x, y)


cdef void index_item(void* context, long item, int thread) noexcept nogil:
    cdef Walk* walk = <Walk*>context
    cdef char* x = walk.job.x
    cdef char* y = walk.job.y
    if walk.job.dtype == FLOAT32:
        typed_item(walk, item, <float*>x, <float*>y)
    elif walk.job.dtype == FLOAT64:
        typed_item(walk, item, <double*>x, <double*>y)
    elif walk.job.dtype == INT64:
        typed_item(walk, item, <long long*>x, <long long*>y)
    elif walk.job.dtype == INT32:
        typed_item(walk, item, <int*>x, <int*>y)
    else:
        typed_item(walk, item, <unsigned char*>x, <unsigned char*>y)


cdef void merge_inner(IndexJob* job) noexcept nogil:
    """Neighbouring inner dimensions that step through x as one."""
    cdef int d, n = 0
    for d in range(job.inner_ndim):
        if job.inner_shape[d] == 1:
            continue
        if n > 0 and job.inner_step[n - 1] == job.inner_step[d] * job.inner_shape[d]:
            job.inner_shape[n - 1] *= job.inner_shape[d]
            job.inner_step[n - 1] = job.inner_step[d]
        else:
            job.inner_shape[n], job.inner_step[n] = job.inner_shape[d], job.inner_step[d]
            n += 1
    job.inner_ndim = n


cdef void index_run(IndexJob* job) noexcept nogil:
    cdef Walk walk
    cdef long items, total
    cdef int d
    walk.job = job
    walk.outer = walk.inner = 1
    for d in range(job.outer_ndim):
        walk.outer *= job.outer_shape[d]
    for d in range(job.inner_ndim):
        walk.inner *= job.inner_shape[d]
    total = walk.outer * job.count * walk.inner
    if total == 0:
        return
    merge_inner(job)
    walk.row = job.inner_shape[job.inner_ndim - 1] if job.inner_ndim > 0 else 1
    walk.row_step = job.inner_step[job.inner_ndim - 1] if job.inner_ndim > 0 else 1
    if job.mode == INDEX_READ:
        walk.lines = max(1, CHUNK // walk.inner)
        items = ceil_div(walk.outer * job.count, walk.lines)
    else:
        walk.shared = job.count > 1 and total >= CHUNK
        items = BUCKETS if walk.shared else 1
    parallel_for(index_item, &walk, items,
                 team_size(walk.outer * job.count * (3.0 + 0.3 * walk.inner)))


cdef long index_places(long long* places, const long long* index, long n, long long size,
                       long long step) noexcept nogil:
    cdef long i
    cdef long long at
    for i in range(n):
        at = index[i]
        if at < 0:
            at += size
        if at < 0 or at >= size:
            return i
        places[i] += at * step
    return -1


cdef long index_nonzero(const unsigned char* mask, int ndim, const Py_ssize_t* shape,
                        long long** out) noexcept nogil:
    cdef Py_ssize_t size = 1, i, rest
    cdef long count = 0
    cdef int d
    for d in range(ndim):
        size *= shape[d]
    for i in range(size):
        if not mask[i]:
            continue
        if out != NULL:
            rest = i
            for d in range(ndim - 1, -1, -1):
                out[d][count] = rest % shape[d]
                rest //= shape[d]
        count += 1
    return count
