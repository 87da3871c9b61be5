# Padding, outside the graph.

from fastnn._core.tensor cimport MAX_NDIM, Tensor
from fastnn._kernels.pad cimport Mode

# what is added before and after; for the user, negative where it is taken away
cdef struct Padding:
    Py_ssize_t[MAX_NDIM] before, after

# nothing of p is negative
cdef Tensor padded(Tensor x, const Padding* p, Mode mode, object value)
cdef Tensor folded(Tensor dy, const Padding* p, Mode mode)       # the gradient of padded()
