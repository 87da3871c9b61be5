# Types of elements; inside the engine a dtype is its code.

from fastnn._kernels.runtime cimport BOOL, UINT8, INT32, INT64, FLOAT32, FLOAT64

cdef class DType:
    cdef readonly str name
    cdef readonly int code
    cdef readonly long itemsize
    cdef readonly bint is_floating_point

cdef int dtype_code(object dtype) except -1      # of a DType, or Python's float, int or bool
cdef DType dtype_of(int code)
