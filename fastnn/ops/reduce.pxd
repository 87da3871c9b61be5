# Reductions for other operations; a mask has bit d set where dimension d is reduced.

from fastnn._core.tensor cimport Tensor

# one of REDUCE_SUM, _MAX, _MIN, _PROD over float32 or float64, outside the graph
cdef Tensor reduce_dims(int kind, Tensor x, unsigned int mask, bint keepdim)

# the gradient of broadcasting: dy summed over what `shape` was broadcast along; dy itself if nothing
cdef Tensor sum_to_shape(Tensor dy, int ndim, const Py_ssize_t* shape)

# dimensions as given by the user: None and () mean all
cdef unsigned int parse_dims(object dim, int ndim) except? 0xffffffff
