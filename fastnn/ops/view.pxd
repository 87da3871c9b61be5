# Views for other operations; all of them in the graph unless it says otherwise.

from fastnn._core.autograd cimport Node
from fastnn._core.tensor cimport MAX_NDIM, Tensor

# a view of x, or a contiguous tensor where no view can have the shape; outside the graph
cdef Tensor with_shape(Tensor x, int ndim, const Py_ssize_t* shape)
# the same in the graph; the sizes must multiply to x's
cdef Tensor reshape_to(Tensor x, int ndim, const Py_ssize_t* shape)
cdef Tensor transposed(Tensor x, int dim0, int dim1)

# Part of a tensor: the strides and the first element of a view into it, once as
# they are in memory and once as they would be were the tensor row-major. The
# second tells the gradient where to go.
cdef struct Part:
    int ndim
    Py_ssize_t[MAX_NDIM] shape
    Py_ssize_t[MAX_NDIM] strides
    Py_ssize_t[MAX_NDIM] places
    Py_ssize_t offset
    Py_ssize_t place

cdef Part whole(Tensor x) noexcept
cdef void part_step(Part* part, int dim, Py_ssize_t start, Py_ssize_t step,
                    Py_ssize_t length) noexcept          # x[start:start + step * length:step]
cdef void part_drop(Part* part, int dim) noexcept        # of a dimension of one element
cdef Tensor part_view(Tensor x, const Part* part, const char* label)
cdef Tensor part_of(Tensor x, const Part* part)          # outside the graph
