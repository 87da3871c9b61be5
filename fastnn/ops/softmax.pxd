# Tensors as the kernels of one dimension see them.

from fastnn._core.tensor cimport Tensor

cdef struct Place:           # x as an array (outer, n, inner) in memory
    long outer, n, inner

# x, or a copy of it, without gaps in memory; in_order: without dim, it lies row-major
cdef Tensor placed(Tensor x, int dim, bint in_order, Place* place)
