# Reductions over one group of dimensions of a strided array; steps in elements.

from libc.stdint cimport int64_t

from fastnn._kernels.runtime cimport (
    REDUCE_COUNT, REDUCE_KINDS, REDUCE_MAX, REDUCE_MIN, REDUCE_PROD, REDUCE_SQUARES, REDUCE_SUM,
)

# x[o_0, ..., o_k, i, j], of which i is reduced. Either the columns j are adjacent in
# memory (cols > 1), or cols is 1 and the elements of a row i are (step 1). The result
# is a contiguous array [o_0, ..., o_k, j].
cdef struct Reduction:
    int ndim                 # outer dimensions, at most 8
    long[8] shape
    long[8] step
    long length              # of the reduced dimension
    long length_step
    long cols

cdef long reduction_outputs(const Reduction* r) noexcept nogil

# y = the reduction; shift (contiguous like y, or NULL) as reduce.h has it
cdef size_t reduce_scratch_bytes(const Reduction* r, int dtype) noexcept nogil
cdef void reduce_strided(int kind, int dtype, const Reduction* r, const char* x,
                         const char* shift, char* y, char* scratch) noexcept nogil

# the position along the reduced dimension, and the value, of the largest or smallest
cdef void arg_reduce_strided(bint smallest, int dtype, const Reduction* r, const char* x,
                             int64_t* index, char* value) noexcept nogil

# bool, uint8, int32 and int64: exact, in int64; sums, products, max and min
cdef void reduce_integers(int kind, int dtype, const Reduction* r, const char* x,
                          int64_t* y) noexcept nogil
cdef void arg_reduce_integers(bint smallest, int dtype, const Reduction* r, const char* x,
                              int64_t* index, int64_t* value) noexcept nogil

# y[j] = sum_i x[i * row_step + j] for i < rows, j < cols: the gradient of a bias
cdef size_t column_sum_scratch_bytes(int dtype, long rows, long cols) noexcept nogil
cdef void column_sum(int dtype, long rows, long row_step, long cols,
                     const char* x, char* y, char* scratch) noexcept nogil

# dx[.., index[..], ..] = dy[..], zero elsewhere; dx (outer, length, cols), dy (outer, cols)
cdef void scatter_selected(int dtype, long outer, long length, long cols,
                           const int64_t* index, const char* dy, char* dx) noexcept nogil

# dx = dy times the product of all other x along length; x, dx (outer, length, cols),
# dy (outer, cols)
cdef void product_backward(int dtype, long outer, long length, long cols,
                           const char* x, const char* dy, char* dx) noexcept nogil
