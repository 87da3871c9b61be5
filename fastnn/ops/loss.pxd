# How losses are put together, for the other losses.

from fastnn._core.tensor cimport Tensor

cdef enum How:
    NONE
    MEAN
    SUM

cdef int reduction_of(object reduction) except -1     # 'none', 'mean', 'sum'
cdef double number_of(Tensor x) noexcept              # a float tensor's first element
