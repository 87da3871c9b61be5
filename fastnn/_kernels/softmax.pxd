# Softmax over any dimension; formulas in csrc/kernels/softmax.h.

from fastnn._kernels.runtime cimport softmax_args

# Any of the operations of softmax_args on arrays (outer, n, inner); its pointers are those of
# whole arrays, and those of logsumexp's y and dy of arrays (outer, inner). What an operation
# reads: x; with _BACKWARD dy and y; LOGSUMEXP_BACKWARD dy, y and x.
cdef void softmax(int kind, int dtype, long outer, long n, long inner,
                  const softmax_args* arrays) noexcept nogil

cdef int softmax_threads(int dtype, long rows, long n) noexcept nogil

# How (outer, n, inner) is cut into items: some of outer, and where inner is not 1 some columns.
cdef struct Cut:
    long outer, n, inner
    long block                   # of outer, in one item
    long strip, strips           # columns of one item; strips in all of inner
    long items

cdef Cut cut_of(long outer, long n, long inner) noexcept nogil

cdef inline long cut_first(const Cut* cut, long item) noexcept nogil:
    return item // cut.strips * cut.block

cdef inline long cut_last(const Cut* cut, long item) noexcept nogil:
    return min(cut_first(cut, item) + cut.block, cut.outer)

cdef inline long cut_column(const Cut* cut, long item) noexcept nogil:
    return item % cut.strips * cut.strip

cdef inline long cut_columns(const Cut* cut, long item) noexcept nogil:
    return min(cut.strip, cut.inner - cut_column(cut, item))
