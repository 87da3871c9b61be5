# What operations ask of their operands.

from fastnn._core.tensor cimport Tensor

cdef str shape_text(Tensor x)                    # "(2, 3)"
cdef int check_float(Tensor x, str what) except -1     # TypeError unless float32 or float64
cdef int check_same_dtype(Tensor x, Tensor like, str what) except -1
cdef int check_writable(Tensor x) except -1
cdef int parse_shape(object shape, Py_ssize_t* out) except -1   # ndim; sizes checked for overflow
