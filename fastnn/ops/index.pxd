# What an index names, and how to read and write it; indices are whatever x[...] takes.

from fastnn._core.tensor cimport MAX_NDIM, Tensor
from fastnn._kernels.index cimport INDEX_ADD, INDEX_READ, INDEX_TAKE, INDEX_WRITE
from fastnn.ops.part cimport Part

cdef class Selection:
    cdef Part part                   # after integers, slices and None
    cdef list dims                   # of the part, those with an index array, rising
    cdef list indices                # their int64 tensors
    cdef list axes                   # the dimensions of the tensor they stand for
    cdef Tensor offsets              # places in memory, of the shape of the arrays; None: a view
    cdef Tensor places               # row-major places
    cdef int ndim                    # of the result
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef int outer                   # result dimensions in front of the arrays'
    cdef int spread                  # result dimensions of the arrays

cdef Selection parse(Tensor x, object index)
# mode is one of INDEX_*; y row-major of the result's shape, a gradient x row-major itself
cdef int run(Selection s, int mode, Tensor x, Tensor y, bint gradient) except -1
cdef list coordinates(Tensor mask)       # where it is true: an int64 tensor per dimension
cdef object getitem_forward(object input, object index)
