from fastnn._core.tensor cimport MAX_NDIM, Tensor

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
