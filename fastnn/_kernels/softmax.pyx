"""Softmax, log-softmax, logsumexp over a dimension of (outer, n, inner).

Every row, and every column where inner is not 1, is computed by one thread, and an item
holds a fixed number of them, so the bits do not depend on the number of threads.
Called by ops/softmax.pyx.
"""

from fastnn._kernels.runtime cimport (
    FLOAT64, LOGSUMEXP, LOGSUMEXP_BACKWARD, ceil_div, itemsize, kernels, parallel_for,
    softmax_args, team_size,
)

cdef enum:
    BLOCK = 1 << 13              # elements of one task, about
    STRIP = 64                   # columns, or a multiple of it: whole vectors at every level

# Measured on one core of a Xeon (avx512), softmax of (300, 1000): 0.39 ns a float; float64, whose
# exponentials are libm's, 5.3 ns.
cdef double ELEMENT_NS = 0.4
cdef double ELEMENT_NS_F64 = 5.0


cdef int softmax_threads(int dtype, long rows, long n) noexcept nogil:
    return team_size(<double>rows * n * (ELEMENT_NS_F64 if dtype == FLOAT64 else ELEMENT_NS))


# --- softmax ------------------------------------------------------------------

cdef Cut cut_of(long outer, long n, long inner) noexcept nogil:
    cdef Cut cut
    cut.outer, cut.n, cut.inner = outer, n, inner
    cut.strip = max(BLOCK // n // STRIP, <long>1) * STRIP
    cut.strips = ceil_div(inner, cut.strip)
    cut.block = max(BLOCK // (n * min(inner, cut.strip)), <long>1)
    cut.items = ceil_div(outer, cut.block) * cut.strips
    return cut


cdef struct Softmax:
    int kind
    int dtype
    Cut cut
    const softmax_args* arrays


cdef inline softmax_args part_of(const Softmax* t, long i, long column, long count) noexcept nogil:
    """The arrays from row i, or its columns from `column` on."""
    cdef softmax_args a = t.arrays[0]
    cdef long size = itemsize(t.dtype)
    cdef long whole = (i * t.cut.n * t.cut.inner + column) * size     # in arrays (outer, n, inner)
    cdef long one = (i * t.cut.inner + column) * size                 # in arrays (outer, inner)
    a.count, a.n, a.step = count, t.cut.n, t.cut.inner
    a.x = <const char*>a.x + whole
    a.y = <const char*>a.y + (one if t.kind == LOGSUMEXP_BACKWARD else whole)
    a.dy = <const char*>a.dy + (one if t.kind == LOGSUMEXP_BACKWARD else whole)
    a.out = <char*>a.out + (one if t.kind == LOGSUMEXP else whole)
    return a


cdef void softmax_task(void* context, long item, int thread) noexcept nogil:
    cdef Softmax* t = <Softmax*>context
    cdef long first = cut_first(&t.cut, item), last = cut_last(&t.cut, item), i
    cdef long column = cut_column(&t.cut, item)
    cdef softmax_args a
    if t.cut.inner == 1:
        a = part_of(t, first, 0, last - first)
        kernels(t.dtype).softmax_rows[t.kind](&a)
        return
    for i in range(first, last):
        a = part_of(t, i, column, cut_columns(&t.cut, item))
        kernels(t.dtype).softmax_columns[t.kind](&a)


cdef void softmax(int kind, int dtype, long outer, long n, long inner,
                  const softmax_args* arrays) noexcept nogil:
    cdef Softmax t
    t.kind, t.dtype, t.arrays = kind, dtype, arrays
    t.cut = cut_of(outer, n, inner)
    parallel_for(softmax_task, &t, t.cut.items, softmax_threads(dtype, outer * inner, n))
