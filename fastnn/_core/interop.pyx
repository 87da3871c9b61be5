"""NumPy arrays in and out, without copying; copy.deepcopy() and pickle."""

cimport numpy as cnp

from fastnn._core.storage cimport foreign_storage
from fastnn._core.tensor cimport MAX_NDIM, Tensor, as_tensor, copy_into, itemsize, new_like

cnp.import_array()

cdef int[6] numpy_types = [cnp.NPY_BOOL, cnp.NPY_UINT8, cnp.NPY_INT32, cnp.NPY_INT64,
                           cnp.NPY_FLOAT32, cnp.NPY_FLOAT64]


def numpy(self):
    """The tensor as a NumPy array that shares its memory."""
    cdef Tensor x = as_tensor(self, "numpy() needs: its tensor")
    cdef cnp.npy_intp[MAX_NDIM] shape
    cdef cnp.npy_intp[MAX_NDIM] strides
    cdef cnp.ndarray array
    cdef int d, flags = 0
    if x.tracked:
        raise RuntimeError("a tensor that requires grad has no numpy(); use detach().numpy()")
    for d in range(x.ndim_):
        shape[d] = x.shape_[d]
        strides[d] = x.strides_[d] * itemsize(x.dtype_)
    if not x.storage.readonly:
        flags = cnp.NPY_ARRAY_WRITEABLE
        x.storage.shared = True
    array = cnp.PyArray_New(cnp.ndarray, x.ndim_, shape, numpy_types[x.dtype_], strides, x.ptr,
                            0, flags, <object>NULL)
    cnp.set_array_base(array, x.storage)
    return array


def __array__(self, dtype=None, copy=None):
    """For np.asarray(tensor)."""
    array = numpy(self)
    if dtype is not None and array.dtype != dtype:
        if copy is False:
            raise ValueError(f"a {self.dtype.name} tensor becomes {dtype} only by copying")
        return array.astype(dtype)
    return array.copy() if copy else array


def from_numpy(array):
    """A tensor that shares the memory of a NumPy array.

    The array must be bool, uint8, int32, int64, float32 or float64 in native byte
    order, with strides that are positive multiples of the item size. A read-only
    array gives a tensor that cannot be changed in place.
    """
    cdef cnp.ndarray source
    cdef Tensor y
    cdef int d, code = -1, ndim
    cdef long step
    cdef Py_ssize_t size = 1, reach = 1
    if not isinstance(array, cnp.ndarray):
        raise TypeError(f"from_numpy() needs a NumPy array, got {type(array).__name__}")
    source = array
    if not array.dtype.isnative:
        raise ValueError("from_numpy() needs native byte order; convert the array first")
    for k in range(6):
        if cnp.PyArray_EquivTypenums(cnp.PyArray_TYPE(source), numpy_types[k]):
            code = k
    if code < 0:
        raise TypeError("from_numpy() takes bool, uint8, int32, int64, float32 and float64 "
                        f"arrays, not {array.dtype}")
    ndim = cnp.PyArray_NDIM(source)
    if ndim > MAX_NDIM:
        raise ValueError(f"at most {MAX_NDIM} dimensions are supported, got {ndim}")
    step = itemsize(code)
    y = Tensor.__new__(Tensor)
    for d in range(ndim):
        if cnp.PyArray_STRIDE(source, d) < 0:
            raise ValueError(f"negative strides {array.strides} are not supported; "
                             "copy the array first")
        if cnp.PyArray_STRIDE(source, d) % step:
            raise ValueError(f"strides {array.strides} are no multiple of the item size {step}; "
                             "copy the array first")
        y.shape_[d] = cnp.PyArray_DIM(source, d)
        y.strides_[d] = cnp.PyArray_STRIDE(source, d) // step
        size *= y.shape_[d]
        reach += (y.shape_[d] - 1) * y.strides_[d]
    y.dtype_ = code
    y.ndim_ = ndim
    y.size_ = size
    y.storage = foreign_storage(<char*>cnp.PyArray_DATA(source), max(reach, 0) * step, array,
                                not cnp.PyArray_ISWRITEABLE(source))
    y.ptr = y.storage.data
    return y


# --- copies -------------------------------------------------------------------

cdef Tensor duplicate(Tensor x):
    cdef Tensor y = new_like(x, x.dtype_)
    copy_into(y, x)
    return y


def __deepcopy__(self, memo):
    """For copy.deepcopy(leaf): values, requires_grad and grad."""
    cdef Tensor x = as_tensor(self, "deepcopy() needs: its tensor"), y
    if id(x) in memo:
        return memo[id(x)]
    if x.node is not None:
        raise RuntimeError("only leaf tensors can be deep-copied; use detach().clone()")
    y = duplicate(x)
    y.tracked = x.tracked
    if x.grad_ is not None:
        y.grad_ = x.grad_.__deepcopy__(memo)
    memo[id(x)] = y
    return y


def __reduce_ex__(self, protocol):
    """For pickle: a leaf's values, as an array, and requires_grad."""
    cdef Tensor x = as_tensor(self, "pickle needs: its tensor")
    if x.node is not None:
        raise RuntimeError("only leaf tensors can be pickled; use detach()")
    return rebuild, (numpy(duplicate(x)), x.tracked)


def rebuild(array, requires_grad):
    """The tensor of what __reduce_ex__() returned, in memory of its own."""
    cdef Tensor y = duplicate(from_numpy(array))
    y.requires_grad = requires_grad
    return y
