"""Padding, in one pass over the result: a table for each axis says which position of x a
position of y shows, or which positions of dy show one of dx.

An item is some rows of a plane, or some planes, of the result, which it writes from
beginning to end; a gradient sums the rows of dy in the order of the tables. So the bits
do not depend on the number of threads. Called by ops/pad.pyx.
"""

from libc.stdint cimport int64_t
from libc.string cimport memset

from fastnn._kernels.runtime cimport (
    FLOAT32, FLOAT64, ceil_div, fastnn_kernels, item_task, itemsize, kernels, parallel_for,
    team_size,
)

cdef enum:
    ITEM = 8192              # numbers written by an item, about
    ROW = 512                # numbers that are a row of their own, whatever is around them

cdef struct Pad:
    PadPlan* plan
    const fastnn_kernels* table
    long size                # bytes of a number
    long rows                # of a plane of the result
    long row_length          # numbers in one
    long row_blocks
    long planes
    const char* read
    char* written


# --- plan ---------------------------------------------------------------------

cdef inline bint unpadded(const PadAxis* axis) noexcept nogil:
    return axis.before == 0 and axis.after == 0


cdef inline bint merges(const PadAxis* outer, const PadAxis* axis) noexcept nogil:
    return unpadded(outer) and unpadded(axis) and outer.step == axis.step * axis.size


cdef PadAxis plain_axis(long size, long step) noexcept nogil:
    cdef PadAxis axis
    memset(&axis, 0, sizeof(PadAxis))
    axis.size = axis.length = size
    axis.step = step
    return axis


cdef PadPlan pad_plan(const PadAxis* axes, int count) noexcept nogil:
    cdef PadPlan p
    cdef PadAxis axis
    cdef long unit = 1, piece
    cdef int k, n = 0
    memset(&p, 0, sizeof(PadPlan))
    for k in range(count):
        axis = axes[k]
        axis.length = axis.size + axis.before + axis.after
        if n and merges(&p.axis[n - 1], &axis):
            p.axis[n - 1] = plain_axis(p.axis[n - 1].size * axis.size, axis.step)
        elif axis.length != 1:
            p.axis[n] = axis
            n += 1
    if n and unpadded(&p.axis[n - 1]) and p.axis[n - 1].step == 1:
        n -= 1
        unit = p.axis[n].size
    if n and p.axis[n - 1].step == unit and unit < ROW:
        n -= 1
        p.inner = p.axis[n]
    else:                                            # a long one in equal parts
        piece = unit
        while piece % 2 == 0 and piece > ITEM:
            piece //= 2
        if piece < unit:
            p.axis[n] = plain_axis(unit // piece, piece)
            n += 1
        p.inner = plain_axis(1, piece)
        unit = piece
    if n == 0:
        p.axis[0], n = plain_axis(1, 0), 1
    p.outer = n
    p.row.unit = unit
    p.row.before, p.row.size, p.row.length = p.inner.before, p.inner.size, p.inner.length
    return p


cdef long pad_scratch_bytes(const PadPlan* plan) noexcept nogil:
    cdef long total = plan.inner.length
    cdef int k
    for k in range(plan.outer):
        total += 2 * plan.axis[k].length + plan.axis[k].size + 1
    return total * sizeof(int64_t)


cdef long source_of(const PadAxis* axis, Mode mode, long o) noexcept nogil:
    cdef long i = o - axis.before
    if 0 <= i < axis.size:
        return i
    if mode == CONSTANT:
        return -1
    if mode == REFLECT:
        return -i if i < 0 else 2 * axis.size - 2 - i
    if mode == REPLICATE:
        return 0 if i < 0 else axis.size - 1
    return i + axis.size if i < 0 else i - axis.size


cdef int64_t* fill_sources(PadAxis* axis, Mode mode, int64_t* place) noexcept nogil:
    cdef long o
    axis.source = place
    for o in range(axis.length):
        axis.source[o] = source_of(axis, mode, o)
    return place + axis.length


cdef int64_t* fill_takers(PadAxis* axis, int64_t* place) noexcept nogil:
    """Those of one position in rising order: counted, then put in their places."""
    cdef long o, i
    axis.start, axis.taker = place, place + axis.size + 1
    memset(axis.start, 0, (axis.size + 1) * sizeof(int64_t))
    for o in range(axis.length):
        if axis.source[o] >= 0:
            axis.start[axis.source[o] + 1] += 1
    for i in range(axis.size):
        axis.start[i + 1] += axis.start[i]
    for o in range(axis.length):
        i = axis.source[o]
        if i >= 0:
            axis.taker[axis.start[i]] = o
            axis.start[i] += 1
    for i in range(axis.size, 0, -1):
        axis.start[i] = axis.start[i - 1]
    axis.start[0] = 0
    return axis.taker + axis.length


cdef void pad_tables(PadPlan* plan, Mode mode, char* scratch) noexcept nogil:
    cdef int64_t* place = fill_sources(&plan.inner, mode, <int64_t*>scratch)
    cdef int k
    for k in range(plan.outer):
        place = fill_sources(&plan.axis[k], mode, place)
        place = fill_takers(&plan.axis[k], place)
    plan.row.source = plan.inner.source


# --- items --------------------------------------------------------------------

cdef inline long extent(const PadAxis* axis, bint padded) noexcept nogil:
    return axis.length if padded else axis.size


cdef Pad problem(PadPlan* plan, int dtype, bint padded) noexcept nogil:
    """padded: whether the result is."""
    cdef Pad c
    cdef long plane
    cdef int k
    memset(&c, 0, sizeof(Pad))
    c.plan, c.size = plan, itemsize(dtype)
    c.table = kernels(FLOAT32 if c.size == 4 else FLOAT64)
    c.row_length = plan.row.unit * extent(&plan.inner, padded)
    c.rows = extent(&plan.axis[plan.outer - 1], padded)
    c.planes = 1
    for k in range(plan.outer - 1):
        c.planes *= extent(&plan.axis[k], padded)
    plane = max(c.rows * c.row_length, <long>1)
    plan.rows_of_item = max(min(c.rows, ITEM // max(c.row_length, <long>1)), <long>1)
    plan.planes_of_item = max(ITEM // plane, <long>1)
    c.row_blocks = ceil_div(c.rows, plan.rows_of_item)
    return c


cdef void for_items(item_task task, Pad* c) noexcept nogil:
    # 0.1 ns a byte written
    parallel_for(task, c, ceil_div(c.planes, c.plan.planes_of_item) * c.row_blocks,
                 team_size(0.1 * c.size * c.planes * c.rows * c.row_length))


cdef void forward_item(void* context, long item, int thread) noexcept nogil:
    cdef Pad* c = <Pad*>context
    cdef PadPlan* p = c.plan
    cdef PadAxis* lines = &p.axis[p.outer - 1]
    cdef PadAxis* axis
    cdef long row = item % c.row_blocks * p.rows_of_item, rest, at, from_
    cdef long first = item // c.row_blocks * p.planes_of_item, plane
    cdef const char* x
    cdef int k
    for plane in range(first, min(first + p.planes_of_item, c.planes)):
        rest, at, x = plane, 0, c.read
        for k in range(p.outer - 2, -1, -1):
            axis = &p.axis[k]
            from_ = axis.source[rest % axis.length]
            rest //= axis.length
            at += from_ * axis.step
            if from_ < 0:
                x = NULL
        c.table.pad_rows(&p.row, x if x == NULL else x + at * c.size, lines.step,
                         lines.source + row, min(p.rows_of_item, c.rows - row),
                         c.written + (plane * c.rows + row) * c.row_length * c.size)


cdef void pad_forward(PadPlan* plan, int dtype, const char* x, const char* value,
                      char* y) noexcept nogil:
    cdef Pad c = problem(plan, dtype, True)
    c.read, c.written = x, y
    plan.row.value = value
    for_items(forward_item, &c)


cdef bint next_takers(const PadPlan* p, const long* index, long* taker) noexcept nogil:
    """The next of the planes of dy that show one of dx, or False."""
    cdef int k
    for k in range(p.outer - 2, -1, -1):
        taker[k] += 1
        if taker[k] < p.axis[k].start[index[k] + 1]:
            return True
        taker[k] = p.axis[k].start[index[k]]
    return False


cdef void backward_item(void* context, long item, int thread) noexcept nogil:
    cdef Pad* c = <Pad*>context
    cdef PadPlan* p = c.plan
    cdef const PadAxis* lines = &p.axis[p.outer - 1]
    cdef long[PAD_AXES + 2] index
    cdef long[PAD_AXES + 2] taker
    cdef long row = item % c.row_blocks * p.rows_of_item, rest, at
    cdef long first = item // c.row_blocks * p.planes_of_item, plane
    cdef bint add, more
    cdef int k
    for plane in range(first, min(first + p.planes_of_item, c.planes)):
        rest = plane
        for k in range(p.outer - 2, -1, -1):
            index[k] = rest % p.axis[k].size
            rest //= p.axis[k].size
            taker[k] = p.axis[k].start[index[k]]
        add, more = False, True
        while more:
            at = 0
            for k in range(p.outer - 1):
                at += p.axis[k].taker[taker[k]] * p.axis[k].step
            c.table.pad_fold(&p.row, c.read + at * c.size, lines.step, lines.start + row,
                             lines.taker, min(p.rows_of_item, c.rows - row), add,
                             c.written + (plane * c.rows + row) * c.row_length * c.size)
            add, more = True, next_takers(p, index, taker)


cdef void pad_backward(PadPlan* plan, int dtype, const char* dy, char* dx) noexcept nogil:
    cdef Pad c = problem(plan, dtype, False)
    c.read, c.written = dy, dx
    for_items(backward_item, &c)
