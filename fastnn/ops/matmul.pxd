# Matrix products for other operations.

from fastnn._core.tensor cimport MAX_NDIM, Tensor
from fastnn._kernels.gemm cimport Gemm
from fastnn._kernels.runtime cimport epilogue

# runs one problem with its scratch, the GIL released where it is worth it
cdef int run_gemm(const Gemm* g) except -1

cdef struct Stack:                   # of matrices
    const char* data
    long rows, cols, row_step, col_step
    int ndim                         # dimensions of the stack
    Py_ssize_t[MAX_NDIM] shape
    Py_ssize_t[MAX_NDIM] step

# the matrices of x; vector says which dimensions of them it lacks: 1 rows, 2 columns
cdef Stack stack(Tensor x, int vector) noexcept
cdef Stack transposed(Stack s) noexcept

# in s the rows of the whole stack as one matrix; returns what it looks into, x or a copy
cdef Tensor all_rows(Tensor x, int vector, Stack* s)
cdef Tensor with_unit_step(Tensor x)

# y (+)= the product, y contiguous; w: a weight that b lies in, or None
cdef int multiply_into(Tensor y, Stack a, Stack b, const epilogue* after, Tensor w,
                       bint accumulate) except -1
# a new tensor: the product, + addend where there is one
cdef Tensor product(int dtype, Stack a, Stack b, int vector, Tensor w, Tensor addend)
cdef int refuse_dtypes(Tensor x, Tensor w, str name) except -1
