# Reductions for other operations; a mask has bit d set where dimension d is reduced.

from fastnn._core.autograd cimport Node, backward_fn
from fastnn._core.tensor cimport MAX_NDIM, Tensor
from fastnn._kernels.reduce cimport Reduction

# one of REDUCE_SUM, _MAX, _MIN, _PROD over float32 or float64, outside the graph
cdef Tensor reduce_dims(int kind, Tensor x, unsigned int mask, bint keepdim)

# the gradient of broadcasting: dy summed over what `shape` was broadcast along (dy itself if
# over nothing)
cdef Tensor sum_to_shape(Tensor dy, int ndim, const Py_ssize_t* shape)

# dimensions as given by the user: None and () mean all
cdef unsigned int parse_dims(object dim, int ndim) except? 0xffffffff

# --- for the other families that reduce ---

cdef struct Plan:
    Reduction r
    bint direct              # can the kernels work on the tensor as it is?
    int groups               # of reduced dimensions
    unsigned int inner       # the dimensions of the innermost of them
    int kept                 # the dimensions of more than one element that stay,
    int[MAX_NDIM] order      # in the order in which they lie in memory

cdef Tensor rearranged(Tensor x, unsigned int mask)   # a copy, the reduced dimensions innermost
cdef Tensor planned(Tensor x, unsigned int mask, Plan* p)   # x, or a copy that can be reduced
cdef Tensor new_result(Tensor x, unsigned int mask, const Plan* p, int dtype)
cdef Tensor run(int kind, Tensor x, unsigned int mask, const Plan* p, Tensor shift)
cdef Tensor finish(Tensor y, unsigned int mask, bint keepdim)
cdef Py_ssize_t reduced_size(Tensor x, unsigned int mask) noexcept
cdef Tensor with_reduced_dims(Tensor y, Tensor like, unsigned int mask)
cdef Node new_reduction(backward_fn backward, const char* label, Tensor x, Tensor y,
                        unsigned int mask)
cdef Tensor divided(Tensor y, double divisor)               # y / divisor, row-major
cdef void split_at(Tensor x, int dim, long* outer, long* length, long* cols) noexcept
