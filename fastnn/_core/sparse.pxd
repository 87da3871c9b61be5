# The gradient of a table of which only some rows were used.

from fastnn._core.tensor cimport Tensor

cdef class SparseRows:
    cdef Tensor index                        # (n,) int64, rising, each once
    cdef Tensor rows                         # (n, D), contiguous: those rows; all others are zero
    cdef Py_ssize_t length                   # rows of the table

cdef SparseRows new_sparse_rows(Tensor index, Tensor rows, Py_ssize_t length)
cdef SparseRows add_sparse(SparseRows x, double alpha, SparseRows y, double beta)
cdef Tensor add_to_dense(Tensor x, SparseRows y)       # x + y, in new memory
cdef object add_gradients(object x, object y)          # one of them, or both, a SparseRows
