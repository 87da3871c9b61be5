# Views for other operations; all of them in the graph unless it says otherwise.

from fastnn._core.tensor cimport Tensor

# a view of x, or a contiguous tensor where no view can have the shape; outside the graph
cdef Tensor with_shape(Tensor x, int ndim, const Py_ssize_t* shape)
# the same in the graph; the sizes must multiply to x's
cdef Tensor reshape_to(Tensor x, int ndim, const Py_ssize_t* shape)
cdef Tensor transposed(Tensor x, int dim0, int dim1)
