"""SparseRows: the gradient of a table of which only some rows were used.

It holds the numbers of these rows, rising and each once, and their values, so that
its memory and all that is done with it are proportional to the rows used. It is no
Tensor: an operation that is not listed here refuses it.
"""

from libc.stdint cimport int64_t
from libc.string cimport memset

from fastnn._core.checks cimport check_float, shape_text
from fastnn._core.layout cimport cast, contiguous, new_view
from fastnn._core.tensor cimport (
    INT64, Tensor, as_tensor, copy_into, dtype_code, dtype_of, itemsize, new_like, new_tensor,
)
from fastnn._kernels.sparse cimport sparse_add, sparse_union


cdef SparseRows new_sparse_rows(Tensor index, Tensor rows, Py_ssize_t length):
    cdef SparseRows y = SparseRows.__new__(SparseRows)
    y.index, y.rows, y.length = index, rows, length
    return y


cdef Tensor zeros(int dtype, Py_ssize_t rows, Py_ssize_t columns):
    cdef Py_ssize_t[2] shape = [rows, columns]
    cdef Tensor y = new_tensor(dtype, 2, shape)
    memset(y.ptr, 0, y.size_ * itemsize(dtype))
    return y


cdef Tensor copy_of(Tensor x):
    cdef Tensor y = new_like(x, x.dtype_)
    copy_into(y, x)
    return y


cdef void add_rows(Tensor y, Tensor at, Tensor x, double alpha) noexcept:
    """y[at] += alpha x"""
    cdef long n = at.size_, D = x.shape_[1]
    cdef int dtype = x.dtype_
    with nogil:
        sparse_add(dtype, <int64_t*>at.ptr, n, x.ptr, alpha, D, y.ptr)


cdef SparseRows add_sparse(SparseRows x, double alpha, SparseRows y, double beta):
    """alpha x + beta y"""
    cdef long nx = x.index.size_, ny = y.index.size_
    cdef Py_ssize_t[1] length = [nx + ny]
    cdef Tensor index = new_tensor(INT64, 1, length)
    cdef Tensor at_x = new_like(x.index, INT64), at_y = new_like(y.index, INT64), rows
    length[0] = sparse_union(<int64_t*>x.index.ptr, nx, <int64_t*>y.index.ptr, ny,
                             <int64_t*>index.ptr, <int64_t*>at_x.ptr, <int64_t*>at_y.ptr)
    rows = zeros(x.rows.dtype_, length[0], x.rows.shape_[1])
    add_rows(rows, at_x, x.rows, alpha)
    add_rows(rows, at_y, y.rows, beta)
    return new_sparse_rows(copy_of(new_view(index, 1, length, index.strides_, index.ptr)), rows,
                           x.length)


cdef Tensor add_to_dense(Tensor x, SparseRows y):
    cdef Tensor sum = new_tensor(x.dtype_, x.ndim_, x.shape_)
    copy_into(sum, x)
    add_rows(sum, y.index, y.rows, 1)
    return sum


cdef object add_gradients(object x, object y):
    if type(x) is not SparseRows:
        return add_to_dense(<Tensor>x, <SparseRows>y)
    if type(y) is not SparseRows:
        return add_to_dense(<Tensor>y, <SparseRows>x)
    return add_sparse(<SparseRows>x, 1, <SparseRows>y, 1)


def sparse_rows(indices, values, size):
    """A table of shape `size` that is zero but for the rows `indices` (n,), which are `values`.

    indices: int64, rising and each once. values: (n, size[1]), float32 or float64.
    """
    cdef Tensor index = contiguous(as_tensor(indices, "indices"))
    cdef Tensor rows = contiguous(as_tensor(values, "values"))
    cdef int64_t* at = <int64_t*>index.ptr
    cdef Py_ssize_t length, columns, k
    length, columns = size
    check_float(rows, "values")
    if index.dtype_ != INT64:
        raise TypeError(f"indices must be int64, got {dtype_of(index.dtype_).name}")
    if (index.ndim_ != 1 or rows.ndim_ != 2 or rows.shape_[0] != index.shape_[0]
            or rows.shape_[1] != columns):
        raise ValueError(f"values must have shape (n, {columns}) and indices shape (n,), got "
                         f"{shape_text(rows)} and {shape_text(index)}")
    for k in range(index.size_):
        if not 0 <= at[k] < length or (k > 0 and at[k] <= at[k - 1]):
            raise ValueError(f"indices must rise and be within a table of {length} rows, got "
                             f"{at[k]} at {k}")
    return new_sparse_rows(index, rows, length)


cdef class SparseRows:
    """The gradient of a table (V, D) of which only some rows were used; the others are zero.

    Supported are the properties and methods below, under the names that PyTorch's sparse
    tensors have; to_dense() makes a Tensor of it, values() is one of its rows alone.

    >>> table = fastnn.nn.Embedding(1000, 2, sparse=True)
    >>> table(fastnn.tensor([7, 3, 7])).sum().backward()
    >>> table.weight.grad.indices().tolist(), table.weight.grad.values().tolist()
    ([[3, 7]], [[1.0, 1.0], [2.0, 2.0]])
    """

    is_sparse = True
    requires_grad = False
    is_leaf = True
    grad_fn = None
    device = "cpu"
    ndim = 2

    def __init__(self, *args, **kwargs):
        raise TypeError("a sparse gradient comes from backward() of an embedding with sparse=True")

    def __getattr__(self, name):
        raise AttributeError(f"a sparse gradient has no {name!r}: values() are its rows, "
                             "to_dense() makes a Tensor of it")

    @property
    def shape(self):
        return (self.length, self.rows.shape_[1])

    @property
    def dtype(self):
        return self.rows.dtype

    def size(self, dim=None):
        """The shape, or its entry `dim`."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self):
        return 2

    def numel(self):
        """The number of elements of the whole table."""
        return self.length * self.rows.shape_[1]

    def sparse_dim(self):
        return 1

    def dense_dim(self):
        return 1

    def _nnz(self):
        """The number of rows held."""
        return self.index.size_

    def is_coalesced(self):
        """Is each row held once? Always."""
        return True

    def coalesce(self):
        """The gradient itself: its rows are sorted, and each is held once."""
        return self

    def indices(self):
        """The numbers of the rows held, shape (1, rows)."""
        cdef Py_ssize_t[2] shape = [1, self.index.size_]
        cdef Py_ssize_t[2] strides = [self.index.size_, 1]
        return new_view(self.index, 2, shape, strides, self.index.ptr)

    def values(self):
        """The rows held, shape (rows, D); a change in it changes the gradient."""
        return self.rows

    def _indices(self):
        return self.indices()

    def _values(self):
        return self.rows

    def to_dense(self):
        """The whole table as a Tensor."""
        cdef Tensor y = zeros(self.rows.dtype_, self.length, self.rows.shape_[1])
        add_rows(y, self.index, self.rows, 1)
        return y

    def zero_(self):
        """Let go of all rows."""
        cdef Py_ssize_t[1] none = [0]
        self.index = new_tensor(INT64, 1, none)
        self.rows = zeros(self.rows.dtype_, 0, self.rows.shape_[1])
        return self

    def mul_(self, other):
        """Multiply by a number, in place."""
        if not isinstance(other, (int, float)):
            raise TypeError("a sparse gradient can be multiplied by a number, "
                            f"not by {type(other).__name__}")
        self.rows.mul_(other)
        return self

    def to(self, dtype):
        """The same rows in another dtype."""
        cdef Tensor rows = cast(self.rows, dtype_code(dtype))
        check_float(rows, "a gradient")
        return new_sparse_rows(self.index, rows, self.length)

    def clone(self):
        """A copy in memory of its own."""
        return new_sparse_rows(copy_of(self.index), copy_of(self.rows), self.length)

    def detach(self):
        return self

    def __deepcopy__(self, memo):
        return self.clone()

    def __reduce__(self):
        return sparse_rows, (self.index, self.rows, self.shape)

    def __repr__(self):
        return f"SparseRows(indices={self.index!r}, values={self.rows!r}, size={self.shape})"
