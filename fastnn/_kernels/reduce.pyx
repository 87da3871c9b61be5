"""Reductions of strided arrays: sum, product, max, min, squares about a shift, and
the position of the largest or smallest.

The work is cut into blocks of rows, or strips of columns, and a long reduced
dimension into pieces; blocks and pieces depend on the shape alone. The pieces of a
result stand one below the other in scratch memory, [piece][result], and their
reduction down the columns is the result. Called by ops/reduce.pyx, and for the
gradients of biases by all layers.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset

from fastnn._kernels.runtime cimport (
    FLOAT64, INT32, INT64, ceil_div, itemsize, kernels, parallel_for, team_size,
)

cdef enum:
    PIECE = 1 << 15          # elements of a row, or of a strip, that one task reduces
    ROW_BLOCK = 1 << 14      # elements of all the short rows that one task reduces
    STRIP = 512              # columns of one task
    SHORTEST = 128           # rows of a piece, at least: joining the pieces must cost little

# Measured on one core of a Xeon (avx512), ns for a float of 0.3 and 1 million: sum 0.04 and 0.13.
cdef double ELEMENT_NS = 0.08

cdef struct Tasks:
    const Reduction* r
    int kind
    int smallest
    int dtype
    long piece               # elements of the reduced dimension in one piece
    long pieces
    long rows                # the innermost outer dimension, of which `block` go to one task
    long row_step
    long block
    long blocks              # blocks of rows, or strips of columns
    long outputs
    const char* x
    const char* shift
    char* y                  # [piece][output]
    int64_t* index


cdef long reduction_outputs(const Reduction* r) noexcept nogil:
    cdef long outputs = r.cols
    cdef int d
    for d in range(r.ndim):
        outputs *= r.shape[d]
    return outputs


cdef long piece_length(const Reduction* r) noexcept nogil:
    cdef long strip = min(r.cols, <long>STRIP)
    return max(PIECE // strip // SHORTEST * SHORTEST, <long>SHORTEST)


cdef inline long outer_offset(const Reduction* r, long item, int dims) noexcept nogil:
    """Where the item-th combination of the first `dims` outer dimensions starts."""
    cdef long at = 0
    cdef int d
    for d in range(dims - 1, -1, -1):
        at += item % r.shape[d] * r.step[d]
        item //= r.shape[d]
    return at


cdef void cut(Tasks* t, const Reduction* r, int dtype, long piece) noexcept nogil:
    cdef int last = r.ndim - 1
    t.r, t.dtype, t.piece = r, dtype, piece
    t.pieces = ceil_div(r.length, piece)
    t.outputs = reduction_outputs(r)
    if r.cols == 1:
        t.rows = r.shape[last] if r.ndim else 1
        t.row_step = r.step[last] if r.ndim else 0
        t.block = max(ROW_BLOCK // min(r.length, piece), <long>1)
        t.blocks = ceil_div(t.rows, t.block)
    else:
        t.rows = 1
        t.block = STRIP
        t.blocks = ceil_div(r.cols, t.block)


cdef inline long task_count(const Tasks* t) noexcept nogil:
    return t.outputs // (t.rows * t.r.cols) * t.blocks * t.pieces


cdef void reduce_task(void* context, long item, int thread) noexcept nogil:
    cdef Tasks* t = <Tasks*>context
    cdef const Reduction* r = t.r
    cdef long size = itemsize(t.dtype)
    cdef long piece = item % t.pieces
    cdef long first = item // t.pieces % t.blocks * t.block     # row or column
    cdef long outer = item // t.pieces // t.blocks
    cdef long start = piece * t.piece
    cdef long count = min(t.piece, r.length - start)
    cdef const char* x = t.x + start * r.length_step * size
    cdef const char* shift
    cdef long output
    if r.cols == 1:
        output = outer * t.rows + first
        shift = t.shift + output * size if t.shift != NULL else NULL
        x += (outer_offset(r, outer, r.ndim - 1) + first * t.row_step) * size
        kernels(t.dtype).reduce_rows[t.kind](
            x, min(t.block, t.rows - first), t.row_step, count,
            shift, t.y + (piece * t.outputs + output) * size)
    else:
        output = outer * r.cols + first
        shift = t.shift + output * size if t.shift != NULL else NULL
        x += (outer_offset(r, outer, r.ndim) + first) * size
        kernels(t.dtype).reduce_columns[t.kind](
            x, count, r.length_step, min(t.block, r.cols - first),
            shift, t.y + (piece * t.outputs + output) * size)


cdef size_t reduce_scratch_bytes(const Reduction* r, int dtype) noexcept nogil:
    cdef long pieces = ceil_div(r.length, piece_length(r))
    return pieces * reduction_outputs(r) * itemsize(dtype) if pieces > 1 else 0


cdef double reduction_ns(const Tasks* t) noexcept nogil:
    return <double>t.outputs * t.r.length * ELEMENT_NS * (2 if t.dtype == FLOAT64 else 1)


cdef void reduce_strided(int kind, int dtype, const Reduction* r, const char* x,
                         const char* shift, char* y, char* scratch) noexcept nogil:
    cdef Tasks t
    cut(&t, r, dtype, piece_length(r))
    t.kind, t.x, t.shift = kind, x, shift
    t.y = scratch if t.pieces > 1 else y
    parallel_for(reduce_task, &t, task_count(&t), team_size(reduction_ns(&t)))
    if t.pieces > 1:
        if kind == REDUCE_SQUARES or kind == REDUCE_COUNT:
            kind = REDUCE_SUM
        kernels(dtype).reduce_columns[kind](scratch, t.pieces, t.outputs, t.outputs, NULL, y)


cdef size_t column_sum_scratch_bytes(int dtype, long rows, long cols) noexcept nogil:
    cdef Reduction r
    r.ndim, r.length, r.length_step, r.cols = 0, rows, cols, cols
    return reduce_scratch_bytes(&r, dtype)


cdef void column_sum(int dtype, long rows, long row_step, long cols,
                     const char* x, char* y, char* scratch) noexcept nogil:
    cdef Reduction r
    r.ndim, r.length, r.length_step, r.cols = 0, rows, row_step, cols
    if rows == 0:
        memset(y, 0, cols * itemsize(dtype))
    elif cols == 1 and row_step != 1:
        # a single column of a wider array: the kernel for columns takes any step
        kernels(dtype).reduce_columns[<int>REDUCE_SUM](x, rows, row_step, 1, NULL, y)
    else:
        reduce_strided(REDUCE_SUM, dtype, &r, x, NULL, y, scratch)


# --- positions ----------------------------------------------------------------

cdef void arg_task(void* context, long item, int thread) noexcept nogil:
    cdef Tasks* t = <Tasks*>context
    cdef const Reduction* r = t.r
    cdef long size = itemsize(t.dtype)
    cdef long first = item % t.blocks * t.block
    cdef long outer = item // t.blocks
    cdef long output = outer * (t.rows if r.cols == 1 else r.cols) + first
    cdef int64_t* index = t.index + output
    cdef char* value = t.y + output * size
    if r.cols == 1:
        kernels(t.dtype).arg_rows[t.smallest](
            t.x + (outer_offset(r, outer, r.ndim - 1) + first * t.row_step) * size,
            min(t.block, t.rows - first), t.row_step, r.length, index, value)
    else:
        kernels(t.dtype).arg_columns[t.smallest](
            t.x + (outer_offset(r, outer, r.ndim) + first) * size,
            r.length, r.length_step, min(t.block, r.cols - first), index, value)


cdef void arg_reduce_strided(bint smallest, int dtype, const Reduction* r, const char* x,
                             int64_t* index, char* value) noexcept nogil:
    cdef Tasks t
    cut(&t, r, dtype, max(r.length, <long>1))
    t.smallest, t.x, t.y, t.index = smallest, x, value, index
    parallel_for(arg_task, &t, task_count(&t), team_size(3 * reduction_ns(&t)))


cdef void scatter_selected(int dtype, long outer, long length, long cols,
                           const int64_t* index, const char* dy, char* dx) noexcept nogil:
    cdef long o, j, at
    memset(dx, 0, outer * length * cols * itemsize(dtype))
    for o in range(outer):
        for j in range(cols):
            at = (o * length + index[o * cols + j]) * cols + j
            if dtype == FLOAT64:
                (<double*>dx)[at] = (<const double*>dy)[o * cols + j]
            else:
                (<float*>dx)[at] = (<const float*>dy)[o * cols + j]


ctypedef fused floating:
    float
    double


cdef void other_factors(const floating* x, long length, long step, floating dy,
                        floating* dx) noexcept nogil:
    """dx[i] = dy * (x[0] ... x[i - 1]) * (x[i + 1] ... ), exact where factors are 0."""
    cdef floating product = dy
    cdef long i
    for i in range(length):
        dx[i * step] = product
        product *= x[i * step]
    product = 1
    for i in range(length - 1, -1, -1):
        dx[i * step] *= product
        product *= x[i * step]


cdef void product_backward(int dtype, long outer, long length, long cols,
                           const char* x, const char* dy, char* dx) noexcept nogil:
    cdef long k, at
    for k in range(outer * cols):
        at = k // cols * length * cols + k % cols
        if dtype == FLOAT64:
            other_factors(<const double*>x + at, length, cols, (<const double*>dy)[k],
                          <double*>dx + at)
        else:
            other_factors(<const float*>x + at, length, cols, (<const float*>dy)[k],
                          <float*>dx + at)


# --- integers -----------------------------------------------------------------

ctypedef fused integer:
    unsigned char
    int32_t
    int64_t


cdef inline int64_t join_integers(int kind, int64_t a, int64_t b) noexcept nogil:
    if kind == REDUCE_SUM:
        return <int64_t>(<unsigned long long>a + <unsigned long long>b)
    if kind == REDUCE_PROD:
        return <int64_t>(<unsigned long long>a * <unsigned long long>b)
    if kind == REDUCE_MAX:
        return max(a, b)
    return min(a, b)


cdef void integer_columns(const integer* x, int kind, long rows, long row_step, long cols,
                          int64_t* y) noexcept nogil:
    cdef long i, j
    cdef int64_t total
    if cols == 1 and kind == REDUCE_SUM:
        total = 0
        for i in range(rows):
            total += x[i * row_step]
        y[0] = total
        return
    for j in range(cols):
        y[j] = x[j]
    for i in range(1, rows):
        for j in range(cols):
            y[j] = join_integers(kind, y[j], x[i * row_step + j])


cdef void integer_args(const integer* x, bint smallest, long rows, long row_step, long cols,
                       int64_t* index, int64_t* value) noexcept nogil:
    cdef long i, j
    cdef int64_t v
    for j in range(cols):
        index[j], value[j] = 0, x[j]
    for i in range(1, rows):
        for j in range(cols):
            v = x[i * row_step + j]
            if (v < value[j]) if smallest else (v > value[j]):
                index[j], value[j] = i, v


cdef void reduce_integers(int kind, int dtype, const Reduction* r, const char* x,
                          int64_t* y) noexcept nogil:
    cdef long outer, at
    for outer in range(reduction_outputs(r) // r.cols):
        at = outer_offset(r, outer, r.ndim)
        if dtype == INT64:
            integer_columns(<const int64_t*>x + at, kind, r.length, r.length_step, r.cols, y)
        elif dtype == INT32:
            integer_columns(<const int32_t*>x + at, kind, r.length, r.length_step, r.cols, y)
        else:
            integer_columns(<const unsigned char*>x + at, kind, r.length, r.length_step, r.cols, y)
        y += r.cols


cdef void arg_reduce_integers(bint smallest, int dtype, const Reduction* r, const char* x,
                              int64_t* index, int64_t* value) noexcept nogil:
    cdef long outer, at
    for outer in range(reduction_outputs(r) // r.cols):
        at = outer_offset(r, outer, r.ndim)
        if dtype == INT64:
            integer_args(<const int64_t*>x + at, smallest, r.length, r.length_step, r.cols,
                         index, value)
        elif dtype == INT32:
            integer_args(<const int32_t*>x + at, smallest, r.length, r.length_step, r.cols,
                         index, value)
        else:
            integer_args(<const unsigned char*>x + at, smallest, r.length, r.length_step, r.cols,
                         index, value)
        index += r.cols
        value += r.cols
