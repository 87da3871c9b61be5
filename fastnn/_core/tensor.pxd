# Tensor, and what it takes to make one.

from fastnn._core.dtype cimport DType, dtype_code, dtype_of
from fastnn._core.storage cimport Storage
from fastnn._kernels.runtime cimport BOOL, UINT8, INT32, INT64, FLOAT32, FLOAT64, itemsize

cdef enum:
    MAX_NDIM = 8

cdef class Tensor:
    cdef Storage storage
    cdef char* ptr                       # the first element
    cdef int dtype_                      # a dtype code of runtime.pxd
    cdef int ndim_
    cdef Py_ssize_t size_                # number of elements
    cdef Py_ssize_t[MAX_NDIM] shape_
    cdef Py_ssize_t[MAX_NDIM] strides_   # in elements
    cdef bint tracked                    # requires grad; true of every result in the graph
    cdef bint engine_layout              # the memory format is the engine's choice, not the user's
    cdef object node                     # the graph node that computed it; None for a leaf
    cdef Tensor base                     # of a view: the tensor that it looks into
    cdef Py_ssize_t base_rebases         # storage.rebases when the view was taken
    cdef object grad_
    cdef object __weakref__

# --- making tensors (uninitialised memory, outside the graph); more in layout.pxd ---
cdef Tensor new_tensor(int dtype, int ndim, const Py_ssize_t* shape)
cdef Tensor new_like(Tensor x, int dtype)        # x's shape, and its memory order if x is dense
cdef Tensor alias(Tensor x)                      # the same memory, outside the graph
cdef int copy_into(Tensor dst, Tensor src) except -1   # same shape; any strides, any dtypes
cdef bint is_contiguous(Tensor x) noexcept
cdef bint is_channels_last(Tensor x) noexcept    # N ... C in memory without gaps, 3-D to 5-D
cdef bint is_dense(Tensor x) noexcept            # some order of the dimensions has no gaps

# --- checks; more in checks.pxd ---
cdef Tensor as_tensor(object x, str what)        # TypeError unless a Tensor
cdef int normal_dim(object dim, int ndim) except -1    # IndexError; -ndim..ndim-1 -> 0..ndim-1

# --- operators, filled in by ops ---
ctypedef object (*binary_operator)(object, object)
ctypedef object (*unary_operator)(object)
ctypedef object (*ternary_operator)(object, object, object)

cdef struct HotOperators:
    binary_operator add
    binary_operator sub
    binary_operator mul
    binary_operator truediv
    binary_operator pow
    binary_operator mod
    binary_operator floordiv
    binary_operator matmul
    binary_operator getitem
    binary_operator lt
    binary_operator le
    binary_operator gt
    binary_operator ge
    binary_operator eq
    binary_operator ne
    unary_operator neg
    ternary_operator setitem

cdef HotOperators* hot_operators() noexcept

# --- shapes ---
cdef inline bint same_shape(Tensor x, Tensor y) noexcept:
    cdef int d
    if x.ndim_ != y.ndim_:
        return False
    for d in range(x.ndim_):
        if x.shape_[d] != y.shape_[d]:
            return False
    return True

cdef inline void row_major(int ndim, const Py_ssize_t* shape, Py_ssize_t* strides) noexcept:
    cdef Py_ssize_t step = 1
    cdef int d
    for d in range(ndim - 1, -1, -1):
        strides[d] = step
        step *= shape[d]
