"""Strided copies. Dimensions are merged where both sides allow it and ordered by
the destination's strides; the two innermost go to one micro-kernel call, the
others are shared out among threads."""

from fastnn._kernels.runtime cimport (
    FLOAT32, FLOAT64, ceil_div, convert, itemsize, kernels, parallel_for, team_size,
)

cdef enum:
    MAX_DIMS = 8
    BLOCK_ROWS = 16

cdef struct Copy:
    int ndim                      # outer dimensions; the last two are (rows, cols)
    long[MAX_DIMS + 2] shape
    long[MAX_DIMS + 2] src_step
    long[MAX_DIMS + 2] dst_step
    const char* src
    char* dst
    int src_dtype
    int dst_dtype
    long row_blocks


cdef void copy_item(void* context, long item, int thread) noexcept nogil:
    cdef Copy* c = <Copy*>context
    cdef long size_src = itemsize(c.src_dtype), size_dst = itemsize(c.dst_dtype)
    cdef long row0 = item % c.row_blocks * BLOCK_ROWS
    cdef long rest = item // c.row_blocks
    cdef long at_src = 0, at_dst = 0, index, i
    cdef int d, R = c.ndim, C = c.ndim + 1
    cdef long rows = min(c.shape[R] - row0, <long>BLOCK_ROWS)
    for d in range(c.ndim - 1, -1, -1):
        index = rest % c.shape[d]
        rest //= c.shape[d]
        at_src += index * c.src_step[d]
        at_dst += index * c.dst_step[d]
    at_src += row0 * c.src_step[R]
    at_dst += row0 * c.dst_step[R]
    cdef const char* src = c.src + at_src * size_src
    cdef char* dst = c.dst + at_dst * size_dst
    if c.src_dtype == c.dst_dtype and size_src >= 4:
        kernels(FLOAT32 if size_src == 4 else FLOAT64).copy_2d(
            src, c.src_step[R], c.src_step[C], dst, c.dst_step[R], c.dst_step[C], rows, c.shape[C])
    else:
        for i in range(rows):
            convert(c.src_dtype, src + i * c.src_step[R] * size_src, c.src_step[C],
                    c.dst_dtype, dst + i * c.dst_step[R] * size_dst, c.dst_step[C], c.shape[C])


cdef void copy_strided(int ndim, const Py_ssize_t* shape,
                       const char* src, const Py_ssize_t* src_strides, int src_dtype,
                       char* dst, const Py_ssize_t* dst_strides, int dst_dtype) noexcept nogil:
    cdef Copy c
    cdef long length, s, t, total = 1, split, inner
    cdef int d, k, n = 0
    # sorted by falling destination stride, dimensions of one element left out
    for d in range(ndim):
        length, s, t = shape[d], src_strides[d], dst_strides[d]
        total *= length
        if length == 1:
            continue
        k = n
        while k > 0 and c.dst_step[k - 1] < t:
            c.shape[k], c.src_step[k] = c.shape[k - 1], c.src_step[k - 1]
            c.dst_step[k] = c.dst_step[k - 1]
            k -= 1
        c.shape[k], c.src_step[k], c.dst_step[k] = length, s, t
        n += 1
    if total == 0:
        return
    # neighbours that step through memory as one
    k = 0
    for d in range(1, n):
        if (c.src_step[k] == c.src_step[d] * c.shape[d]
                and c.dst_step[k] == c.dst_step[d] * c.shape[d]):
            c.shape[k] *= c.shape[d]
            c.src_step[k] = c.src_step[d]
            c.dst_step[k] = c.dst_step[d]
        else:
            k += 1
            c.shape[k], c.src_step[k], c.dst_step[k] = c.shape[d], c.src_step[d], c.dst_step[d]
    n = k + 1 if n > 0 else 0
    # at least rows and columns; a long line is cut into rows
    if n == 0:
        c.shape[0], c.src_step[0], c.dst_step[0] = 1, 1, 1
        n = 1
    if n == 1:
        inner = c.shape[0]
        split = 1
        while inner % 2 == 0 and inner > 8192:
            inner //= 2
            split *= 2
        c.shape[1], c.src_step[1], c.dst_step[1] = inner, c.src_step[0], c.dst_step[0]
        c.shape[0] = split
        c.src_step[0] = c.src_step[1] * inner
        c.dst_step[0] = c.dst_step[1] * inner
        n = 2
    # of the outer dimensions, the one that the source walks closest becomes the rows
    k = n - 2
    for d in range(n - 2):
        if c.src_step[n - 1] != 1 and c.src_step[d] == 1:
            k = d
    length, s, t = c.shape[k], c.src_step[k], c.dst_step[k]
    c.shape[k], c.src_step[k], c.dst_step[k] = c.shape[n - 2], c.src_step[n - 2], c.dst_step[n - 2]
    c.shape[n - 2], c.src_step[n - 2], c.dst_step[n - 2] = length, s, t

    c.ndim = n - 2
    c.src, c.dst, c.src_dtype, c.dst_dtype = src, dst, src_dtype, dst_dtype
    c.row_blocks = ceil_div(c.shape[n - 2], BLOCK_ROWS)
    total = c.row_blocks
    for d in range(c.ndim):
        total *= c.shape[d]
    parallel_for(copy_item, &c, total,
                 team_size(<double>total * min(c.shape[n - 2], <long>BLOCK_ROWS)
                           * c.shape[n - 1] * 0.3))
