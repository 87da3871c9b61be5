# Making tensors and filling them.

from fastnn._core.tensor cimport Tensor

cdef int fill_with(Tensor x, object value) except -1   # every element; any strides
cdef int check_device(object device) except -1         # ValueError unless None or the CPU
cdef Tensor copy_of(object data, int dtype)            # of scalars, lists, arrays; dtype -1: theirs
cdef int size_arguments(tuple size, Py_ssize_t* out) except -1   # f(2, 3) or f((2, 3)); ndim
