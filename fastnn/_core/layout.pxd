# Tensors over other memory or in another layout; outside the graph.

from fastnn._core.tensor cimport Tensor

cdef Tensor new_channels_last(int dtype, const Py_ssize_t* shape, int ndim=*)   # engine_layout
cdef Tensor new_in_order(Tensor x, const Py_ssize_t* shape)   # dimensions in memory as x's
cdef Tensor new_view(Tensor x, int ndim, const Py_ssize_t* shape,
                     const Py_ssize_t* strides, char* data)
cdef Tensor shape_only(Tensor x)                 # what a node keeps that needs no values of x
cdef Tensor contiguous(Tensor x)                 # x itself or a contiguous copy
cdef Tensor channels_last(Tensor x)              # 3-D to 5-D: x itself or a channels-last copy
cdef Tensor laid_out_as(Tensor x, Tensor like)   # x or a copy, its elements in the order of like's
cdef bint lies_innermost(Tensor x, int dim) noexcept    # dense, dim first, the rest in its order
cdef Tensor cast(Tensor x, int dtype)            # x itself or a converted copy
