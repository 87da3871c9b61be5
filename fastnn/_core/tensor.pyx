"""Tensor: shape, strides and dtype over a storage, and its place in the graph.

What a tensor computes is declared in ops: the hot operators through a table of C
functions, all other methods through install_method(). Strides count elements.
"""

cimport cython
from cpython.buffer cimport PyBUF_FORMAT, PyBUF_ND, PyBUF_STRIDES, PyBUF_WRITABLE
from cpython.object cimport Py_EQ, Py_GE, Py_GT, Py_LE, Py_LT
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from fastnn._core.storage cimport new_storage
from fastnn._kernels.copy cimport copy_strided

globals()["DType"] = DType       # a class that is cimported is no attribute of the module by itself

cdef extern from "Python.h":
    void PyType_Modified(type cls)

cdef extern from *:
    """
    static PyObject *type_dictionary(PyTypeObject *cls)
    {
        Py_INCREF(cls->tp_dict);
        return cls->tp_dict;
    }
    """
    object type_dictionary(type cls)

ctypedef const char* c_string
cdef c_string[6] formats = [b"?", b"B", b"i", b"q", b"f", b"d"]      # of the buffer protocol


# --- layout -------------------------------------------------------------------

cdef bint is_contiguous(Tensor x) noexcept:
    cdef Py_ssize_t expected = 1
    cdef int d
    for d in range(x.ndim_ - 1, -1, -1):
        if x.shape_[d] != 1:
            if x.strides_[d] != expected:
                return x.size_ == 0
            expected *= x.shape_[d]
    return True


cdef bint is_channels_last(Tensor x) noexcept:
    cdef Py_ssize_t expected = 1
    cdef int d, k
    if x.ndim_ < 3 or x.ndim_ > 5:
        return False
    for k in range(x.ndim_, 0, -1):      # the channels, the last dimension, ..., the batch
        d = 1 if k == x.ndim_ else 0 if k == 1 else k
        if x.shape_[d] != 1:
            if x.strides_[d] != expected:
                return x.size_ == 0
            expected *= x.shape_[d]
    return True


cdef bint is_dense(Tensor x) noexcept:
    """Do the elements fill one block of memory, in whatever order of dimensions?"""
    cdef Py_ssize_t expected = 1
    cdef int d, found
    cdef unsigned int done = 0
    if x.size_ == 0:
        return True
    for d in range(x.ndim_):
        if x.shape_[d] == 1:
            done |= 1u << d
    while done != (1u << x.ndim_) - 1:
        found = -1
        for d in range(x.ndim_):
            if not done >> d & 1 and x.strides_[d] == expected:
                found = d
        if found < 0:
            return False
        expected *= x.shape_[found]
        done |= 1u << found
    return True


# --- making tensors -----------------------------------------------------------

cdef inline Tensor allocate(int dtype, int ndim, const Py_ssize_t* shape):
    """A tensor with its memory, strides still unset."""
    cdef Tensor y = Tensor.__new__(Tensor)
    cdef Py_ssize_t size = 1
    cdef int d
    for d in range(ndim):
        y.shape_[d] = shape[d]
        size *= shape[d]
    y.dtype_ = dtype
    y.ndim_ = ndim
    y.size_ = size
    y.storage = new_storage(<size_t>size * itemsize(dtype))
    y.ptr = y.storage.data
    return y


cdef Tensor new_tensor(int dtype, int ndim, const Py_ssize_t* shape):
    cdef Tensor y = allocate(dtype, ndim, shape)
    row_major(ndim, shape, y.strides_)
    return y


cdef Tensor new_like(Tensor x, int dtype):
    cdef Tensor y
    cdef int d
    if is_contiguous(x) or not is_dense(x):
        return new_tensor(dtype, x.ndim_, x.shape_)
    y = allocate(dtype, x.ndim_, x.shape_)
    for d in range(x.ndim_):
        y.strides_[d] = x.strides_[d]
    y.engine_layout = x.engine_layout
    return y


cdef Tensor alias(Tensor x):
    cdef Tensor y = Tensor.__new__(Tensor)
    share(y, x)
    return y


cdef void share(Tensor y, Tensor x):
    """y, fresh, becomes another name for the memory of x, outside the graph."""
    cdef int d
    for d in range(x.ndim_):
        y.shape_[d] = x.shape_[d]
        y.strides_[d] = x.strides_[d]
    y.dtype_ = x.dtype_
    y.ndim_ = x.ndim_
    y.size_ = x.size_
    y.storage = x.storage
    y.ptr = x.ptr
    y.engine_layout = x.engine_layout


cdef int copy_into(Tensor dst, Tensor src) except -1:
    if not same_shape(dst, src):
        raise ValueError(f"cannot copy shape {src.shape} into shape {dst.shape}")
    copy_strided(dst.ndim_, dst.shape_, src.ptr, src.strides_, src.dtype_,
                 dst.ptr, dst.strides_, dst.dtype_)
    return 0


cdef Tensor as_tensor(object x, str what):
    if isinstance(x, Tensor):
        return <Tensor>x
    raise TypeError(f"{what} must be a Tensor, got {type(x).__name__}")


cdef int normal_dim(object dim, int ndim) except -1:
    cdef Py_ssize_t d = dim
    cdef int reach = ndim if ndim > 0 else 1      # a scalar has dims -1 and 0
    if d < -reach or d >= reach:
        raise IndexError(f"dim must be from {-reach} to {reach - 1}, got {d}")
    return <int>(d + reach if d < 0 else d)


# --- the class ----------------------------------------------------------------

cdef HotOperators hot
memset(&hot, 0, sizeof(hot))


cdef HotOperators* hot_operators() noexcept:
    return &hot


def install_method(str name, method):
    """Make `method` an attribute of every Tensor (ops does so when it is imported)."""
    type_dictionary(Tensor)[name] = method
    PyType_Modified(Tensor)


@cython.no_gc
@cython.freelist(256)
cdef class Tensor:
    """An n-dimensional array with a place in the graph. Make one with fastnn.tensor()."""

    __array_priority__ = 1000      # NumPy's operators leave the work to ours

    def __init__(self, *args, **kwargs):
        raise TypeError("make tensors with fastnn.tensor(data), fastnn.zeros(shape), ...")

    @staticmethod
    def _make_subclass(type cls, data, requires_grad=False):
        """An instance of a subclass of Tensor that shares the memory of data."""
        cdef Tensor y = Tensor.__new__(cls)      # whatever __new__ the subclass has
        share(y, as_tensor(data, "data"))
        y.requires_grad = requires_grad
        return y

    # --- what it is ---

    @property
    def shape(self):
        cdef int d
        return tuple([self.shape_[d] for d in range(self.ndim_)])

    @property
    def ndim(self):
        return self.ndim_

    @property
    def dtype(self):
        return dtype_of(self.dtype_)

    @property
    def device(self):
        return "cpu"

    @property
    def is_sparse(self):
        return False

    @property
    def itemsize(self):
        return itemsize(self.dtype_)

    @property
    def nbytes(self):
        return self.size_ * itemsize(self.dtype_)

    def size(self, dim=None):
        """The shape, or its entry `dim`."""
        if dim is None:
            return self.shape
        if self.ndim_ == 0:
            raise IndexError("a tensor of no dimensions has no size(dim)")
        return self.shape_[normal_dim(dim, self.ndim_)]

    def stride(self, dim=None):
        """The step in memory along each dimension, in elements."""
        cdef int d
        if dim is None:
            return tuple([self.strides_[d] for d in range(self.ndim_)])
        if self.ndim_ == 0:
            raise IndexError("a tensor of no dimensions has no stride(dim)")
        return self.strides_[normal_dim(dim, self.ndim_)]

    def dim(self):
        return self.ndim_

    def numel(self):
        return self.size_

    def nelement(self):
        return self.size_

    def element_size(self):
        return itemsize(self.dtype_)

    def data_ptr(self):
        return <size_t>self.ptr

    def storage_offset(self):
        return (self.ptr - self.storage.data) // itemsize(self.dtype_)

    def is_floating_point(self):
        return self.dtype_ >= FLOAT32

    def is_contiguous(self, memory_format=None):
        """Row-major without gaps? A layout that the engine chose counts as such."""
        if memory_format == "channels_last":
            return self.ndim_ == 4 and is_channels_last(self)
        if memory_format == "channels_last_3d":
            return self.ndim_ == 5 and is_channels_last(self)
        if self.engine_layout and 4 <= self.ndim_ <= 5:
            return is_channels_last(self)
        return self.engine_layout or is_contiguous(self)

    def __len__(self):
        if self.ndim_ == 0:
            raise TypeError("len() of a tensor of no dimensions")
        return self.shape_[0]

    def __iter__(self):
        if self.ndim_ == 0:
            raise TypeError("iteration over a tensor of no dimensions")
        return iter(self.unbind(0))

    def __contains__(self, value):
        return bool((self == value).any())

    def __hash__(self):
        return <Py_ssize_t><void*>self >> 4

    def __repr__(self):
        from fastnn._core.printing import tensor_text
        return tensor_text(self)

    def __format__(self, spec):
        return format(self.item(), spec) if self.ndim_ == 0 else object.__format__(self, spec)

    # --- numbers out ---

    def item(self):
        """The value of a tensor of one element as a Python number."""
        if self.size_ != 1:
            raise ValueError(f"item() needs a tensor of one element, got shape {self.shape}")
        if self.dtype_ == FLOAT32:
            return (<float*>self.ptr)[0]
        if self.dtype_ == FLOAT64:
            return (<double*>self.ptr)[0]
        if self.dtype_ == INT64:
            return (<long long*>self.ptr)[0]
        if self.dtype_ == INT32:
            return (<int*>self.ptr)[0]
        if self.dtype_ == BOOL:
            return (<unsigned char*>self.ptr)[0] != 0
        return (<unsigned char*>self.ptr)[0]

    def tolist(self):
        """Nested lists of Python numbers; a number for a tensor of no dimensions."""
        cdef Tensor copy = new_like(self, self.dtype_)    # NumPy sees no memory of this tensor
        copy_into(copy, self)
        return copy.numpy().tolist()

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __index__(self):
        if self.dtype_ >= FLOAT32:
            raise TypeError(f"a {self.dtype.name} tensor cannot be used as an index")
        if self.size_ != 1:
            raise TypeError(f"a tensor of shape {self.shape} is no index: that needs one element")
        return int(self.item())

    def __bool__(self):
        if self.size_ != 1:
            raise ValueError(f"the truth of a tensor of shape {self.shape} is ambiguous")
        return bool(self.item())

    def __getbuffer__(self, Py_buffer* buffer, int flags):
        cdef long step = itemsize(self.dtype_)
        cdef bint strided = flags & PyBUF_STRIDES == PyBUF_STRIDES
        cdef Py_ssize_t* steps
        cdef int d
        if self.tracked:
            raise BufferError("this tensor requires grad; take detach() first")
        if flags & PyBUF_WRITABLE and self.storage.readonly:
            raise BufferError("this tensor is read-only")
        if not strided and not is_contiguous(self):
            raise BufferError("this tensor is not contiguous")
        steps = <Py_ssize_t*>malloc(MAX_NDIM * sizeof(Py_ssize_t))   # freed by __releasebuffer__
        if steps == NULL:
            raise MemoryError("cannot describe the buffer")
        for d in range(self.ndim_):
            steps[d] = self.strides_[d] * step
        if not self.storage.readonly:
            self.storage.shared = True
        buffer.buf = self.ptr
        buffer.len = self.size_ * step
        buffer.itemsize = step
        buffer.readonly = self.storage.readonly
        buffer.ndim = self.ndim_
        buffer.format = <char*>formats[self.dtype_] if flags & PyBUF_FORMAT else NULL
        buffer.shape = self.shape_ if flags & PyBUF_ND else NULL
        buffer.strides = steps if strided else NULL
        buffer.suboffsets = NULL
        buffer.internal = steps
        buffer.obj = self

    def __releasebuffer__(self, Py_buffer* buffer):
        free(buffer.internal)

    # --- its place in the graph ---

    @property
    def requires_grad(self):
        return self.tracked

    @requires_grad.setter
    def requires_grad(self, bint value):
        if value and self.dtype_ < FLOAT32:
            raise TypeError(f"only floating-point tensors can require grad, not {self.dtype.name}")
        if not value and self.node is not None:
            raise RuntimeError("a result of the graph cannot stop requiring grad; use detach()")
        self.tracked = value

    def requires_grad_(self, requires_grad=True):
        """Set requires_grad and return the tensor."""
        self.requires_grad = requires_grad
        return self

    @property
    def is_leaf(self):
        return self.node is None

    @property
    def grad_fn(self):
        return self.node

    @property
    def grad(self):
        return self.grad_

    @grad.setter
    def grad(self, value):
        if value is not None:
            if not isinstance(value, Tensor):
                from fastnn._core.sparse import SparseRows
                if not isinstance(value, SparseRows):
                    raise TypeError(f"grad must be a Tensor or None, got {type(value).__name__}")
            if self.shape != value.shape or self.dtype is not value.dtype:
                raise ValueError(f"grad must have shape {self.shape} and dtype {self.dtype.name}, "
                                 f"got {value.shape} and {value.dtype.name}")
        self.grad_ = value

    @property
    def data(self):
        """The same memory, outside the graph."""
        return alias(self)

    @data.setter
    def data(self, value):
        cdef Tensor x = as_tensor(value, "data")
        if self.tracked and x.dtype_ < FLOAT32:
            raise TypeError(f"data of a tensor that requires grad must be float32 or float64, "
                            f"got {x.dtype.name}")
        self.base = None
        share(self, x)

    def detach(self):
        """The same memory, outside the graph."""
        return alias(self)

    @property
    def _version(self):
        return self.storage.version

    @property
    def _base(self):
        return self.base

    # --- operators ---

    def __add__(self, other):
        return hot.add(self, other)

    def __radd__(self, other):
        return hot.add(other, self)

    def __sub__(self, other):
        return hot.sub(self, other)

    def __rsub__(self, other):
        return hot.sub(other, self)

    def __mul__(self, other):
        return hot.mul(self, other)

    def __rmul__(self, other):
        return hot.mul(other, self)

    def __truediv__(self, other):
        return hot.truediv(self, other)

    def __rtruediv__(self, other):
        return hot.truediv(other, self)

    def __mod__(self, other):
        return hot.mod(self, other)

    def __rmod__(self, other):
        return hot.mod(other, self)

    def __floordiv__(self, other):
        return hot.floordiv(self, other)

    def __rfloordiv__(self, other):
        return hot.floordiv(other, self)

    def __pow__(self, other, modulo):
        return hot.pow(self, other)

    def __rpow__(self, other, modulo):
        return hot.pow(other, self)

    def __matmul__(self, other):
        return hot.matmul(self, other)

    def __rmatmul__(self, other):
        return hot.matmul(other, self)

    def __iadd__(self, other):
        return self.add_(other)

    def __isub__(self, other):
        return self.sub_(other)

    def __imul__(self, other):
        return self.mul_(other)

    def __itruediv__(self, other):
        return self.div_(other)

    def __and__(self, other):
        return self.logical_and(other)

    def __or__(self, other):
        return self.logical_or(other)

    def __xor__(self, other):
        return self.logical_xor(other)

    def __invert__(self):
        return self.logical_not()

    def __abs__(self):
        return self.abs()

    def __neg__(self):
        return hot.neg(self)

    def __pos__(self):
        return self

    def __getitem__(self, index):
        return hot.getitem(self, index)

    def __setitem__(self, index, value):
        hot.setitem(self, index, value)

    def __richcmp__(self, other, int op):
        if other is None or isinstance(other, str):
            return NotImplemented
        if op == Py_LT:
            return hot.lt(self, other)
        if op == Py_LE:
            return hot.le(self, other)
        if op == Py_GT:
            return hot.gt(self, other)
        if op == Py_GE:
            return hot.ge(self, other)
        if op == Py_EQ:
            return hot.eq(self, other)
        return hot.ne(self, other)
