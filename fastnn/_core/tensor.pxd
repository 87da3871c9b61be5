# Tensor, and what operations need to make and check tensors.

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

# --- making tensors (uninitialised memory, outside the graph) ---
cdef Tensor new_tensor(int dtype, int ndim, const Py_ssize_t* shape)
cdef Tensor new_channels_last(int dtype, const Py_ssize_t* shape)     # 4-D, engine_layout
cdef Tensor new_like(Tensor x, int dtype)        # x's shape, and its memory order if x is dense
cdef Tensor new_view(Tensor x, int ndim, const Py_ssize_t* shape,
                     const Py_ssize_t* strides, char* data)
cdef Tensor alias(Tensor x)                      # the same memory, outside the graph
cdef Tensor shape_only(Tensor x)                 # what a node keeps that needs no values of x
cdef Tensor contiguous(Tensor x)                 # x itself or a contiguous copy
cdef Tensor channels_last(Tensor x)              # 4-D: x itself or a channels-last copy
cdef Tensor cast(Tensor x, int dtype)            # x itself or a converted copy
cdef int copy_into(Tensor dst, Tensor src) except -1   # same shape; any strides, any dtypes
cdef bint is_contiguous(Tensor x) noexcept
cdef bint is_channels_last(Tensor x) noexcept    # 4-D, and N H W C in memory without gaps
cdef bint is_dense(Tensor x) noexcept            # some order of the dimensions has no gaps

# --- checks, all with the offending values in the message ---
cdef Tensor as_tensor(object x, str what)        # TypeError unless a Tensor
cdef str shape_text(Tensor x)                    # "(2, 3)"
cdef int check_float(Tensor x, str what) except -1     # TypeError unless float32 or float64
cdef int check_same_dtype(Tensor x, Tensor like, str what) except -1
cdef int check_writable(Tensor x) except -1
cdef int normal_dim(object dim, int ndim) except -1    # IndexError; -ndim..ndim-1 -> 0..ndim-1
cdef int parse_shape(object shape, Py_ssize_t* out) except -1   # ndim; sizes checked for overflow

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
