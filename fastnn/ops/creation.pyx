"""Tensors from data, and tensors of given shapes.

tensor() copies whatever it is given; from_numpy() shares. Python floats become
float32, Python ints int64; an array keeps its dtype, or the nearest there is.
"""

from libc.math cimport ceil
from libc.string cimport memset

import numpy as np

from fastnn._core.interop import from_numpy
from fastnn._core.checks cimport parse_shape
from fastnn._core.tensor cimport (
    BOOL, FLOAT32, FLOAT64, INT64, MAX_NDIM, Tensor, as_tensor as check_tensor, copy_into,
    dtype_code, is_dense, itemsize, new_like, new_tensor,
)
from fastnn._kernels.copy cimport copy_strided

from fastnn.ops.registry import op


# --- what the others share -----------------------------------------------------

cdef int check_device(object device) except -1:
    if device is not None and str(device) not in ("cpu", "cpu:0"):
        raise ValueError(f"the only device is 'cpu', got {device!r}")
    return 0


cdef int size_arguments(tuple size, Py_ssize_t* out) except -1:
    if len(size) == 1 and not isinstance(size[0], int) and hasattr(size[0], "__len__"):
        return parse_shape(size[0], out)
    return parse_shape(size, out)


cdef int scalar_dtype(object value) except -1:
    """The dtype that a Python number has as a tensor."""
    if isinstance(value, (bool, np.bool_)):
        return BOOL
    if isinstance(value, (int, np.integer)):
        return INT64
    if isinstance(value, (float, np.floating)):
        return FLOAT32
    raise TypeError(f"a number is needed, got {type(value).__name__}")


cdef int wanted_dtype(object dtype, int otherwise) except? -1:
    return otherwise if dtype is None else dtype_code(dtype)


cdef Tensor finish(Tensor y, object requires_grad):
    if requires_grad:
        y.requires_grad = True
    return y


cdef int fill_with(Tensor x, object value) except -1:
    cdef double real
    cdef long long integer
    cdef Py_ssize_t[MAX_NDIM] still
    if isinstance(value, Tensor):
        value = value.item()
    if x.dtype_ == BOOL:
        value = value != 0
    if not value and is_dense(x) and (x.dtype_ < FLOAT32 or str(value)[0] != "-"):
        memset(x.ptr, 0, x.size_ * itemsize(x.dtype_))
        return 0
    memset(still, 0, sizeof(still))
    if x.dtype_ >= FLOAT32:
        real = value
        copy_strided(x.ndim_, x.shape_, <const char*>&real, still, FLOAT64,
                     x.ptr, x.strides_, x.dtype_)
    else:
        integer = int(value)
        copy_strided(x.ndim_, x.shape_, <const char*>&integer, still, INT64,
                     x.ptr, x.strides_, x.dtype_)
    return 0


# --- from data -----------------------------------------------------------------

cdef object without_tensors(object data):
    """Nested lists with their tensors as arrays, for NumPy to put together."""
    if isinstance(data, Tensor):
        return data.detach().numpy()
    if isinstance(data, (list, tuple)):
        return [without_tensors(entry) for entry in data]
    return data


cdef object array_of(object data):
    """The array that nested lists (or a scalar) spell; Python floats as float32."""
    first = data
    while isinstance(first, (list, tuple)) and len(first) > 0:
        first = first[0]
    if isinstance(first, Tensor):
        data = without_tensors(data)
    try:
        array = np.array(data)
    except ValueError as error:
        raise ValueError(f"lists of unequal lengths do not make a tensor: {error}") from None
    if array.dtype == np.float64 and not isinstance(first, (Tensor, np.ndarray)):
        return array, FLOAT32
    return array, -1


cdef object supported(object array):
    """The array in a dtype that tensors have, native byte order, positive whole strides."""
    kind, width = array.dtype.kind, array.dtype.itemsize
    if kind == "f" and width not in (4, 8):
        return array.astype(np.float32 if width < 4 else np.float64)
    if kind == "i" and width < 4 or kind == "u" and width > 1:
        if width == 8 and array.size and array.max() > np.iinfo(np.int64).max:
            raise ValueError("an integer does not fit into int64")
        return array.astype(np.int64)
    if kind == "O" and array.size and all(isinstance(value, int) for value in array.flat):
        raise ValueError("an integer does not fit into int64")
    if kind not in "bfiu":
        raise TypeError(f"a tensor cannot be made of {array.dtype} data")
    if not array.dtype.isnative or any(s < 0 or s % width for s in array.strides):
        return array.astype(array.dtype.newbyteorder("="), order="C")
    return array


cdef Tensor copy_of(object data, int dtype):
    cdef Tensor source, y
    if type(data) is float or type(data) is bool:
        y = new_tensor(scalar_dtype(data) if dtype < 0 else dtype, 0, NULL)
        fill_with(y, data)
        return y
    if isinstance(data, Tensor):
        source = <Tensor>data
    else:
        if not isinstance(data, (np.ndarray, np.generic)):
            if not isinstance(data, (list, tuple, int, float)) and hasattr(data, "__array__"):
                data = np.asarray(data)
            else:
                data, natural = array_of(data)
                if dtype < 0:
                    dtype = natural
        source = from_numpy(supported(np.asarray(data)))
    y = new_like(source, source.dtype_ if dtype < 0 else dtype)
    copy_into(y, source)
    return y


def tensor(data, *, dtype=None, device=None, requires_grad=False):
    """A new tensor with a copy of data: a number, nested lists, an array or a tensor.

    Python floats give float32, ints int64, bools bool; arrays and tensors keep
    their dtype, unless dtype says otherwise.

    >>> fastnn.tensor([[1.0, 2.0], [3.0, 4.0]]).shape
    (2, 2)
    """
    check_device(device)
    return finish(copy_of(data, wanted_dtype(dtype, -1)), requires_grad)


def as_tensor(data, dtype=None, device=None):
    """The data as a tensor: itself, or sharing an array's memory, where that is possible.

    >>> fastnn.as_tensor([1, 2]).dtype
    fastnn.int64
    """
    check_device(device)
    if isinstance(data, np.ndarray) and supported(data) is data:
        data = from_numpy(data)
    if isinstance(data, Tensor):
        return data if dtype is None or dtype is data.dtype else data.to(dtype)
    return copy_of(data, wanted_dtype(dtype, -1))


# --- of a shape ----------------------------------------------------------------

cdef Tensor filled(tuple size, object value, int dtype):
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef int ndim = size_arguments(size, shape)
    cdef Tensor y = new_tensor(dtype, ndim, shape)
    if value is not None:
        fill_with(y, value)
    return y


def zeros(*size, dtype=None, device=None, requires_grad=False):
    """A tensor of zeros; the size as numbers or as one tuple.

    >>> fastnn.zeros(2, 3).shape
    (2, 3)
    """
    check_device(device)
    return finish(filled(size, 0, wanted_dtype(dtype, FLOAT32)), requires_grad)


def ones(*size, dtype=None, device=None, requires_grad=False):
    """A tensor of ones; the size as numbers or as one tuple.

    >>> fastnn.ones(3).tolist()
    [1.0, 1.0, 1.0]
    """
    check_device(device)
    return finish(filled(size, 1, wanted_dtype(dtype, FLOAT32)), requires_grad)


def empty(*size, dtype=None, device=None, requires_grad=False):
    """A tensor whose contents are whatever the memory held.

    >>> fastnn.empty((2, 3)).shape
    (2, 3)
    """
    check_device(device)
    return finish(filled(size, None, wanted_dtype(dtype, FLOAT32)), requires_grad)


def full(size, fill_value, *, dtype=None, device=None, requires_grad=False):
    """A tensor of one value, of the value's dtype (float32, int64 or bool) by default.

    >>> fastnn.full((2,), 7).tolist()
    [7, 7]
    """
    check_device(device)
    if isinstance(fill_value, Tensor):
        fill_value = fill_value.item()
    code = wanted_dtype(dtype, scalar_dtype(fill_value))
    return finish(filled((size,), fill_value, code), requires_grad)


def eye(n, m=None, *, dtype=None, device=None, requires_grad=False):
    """The identity matrix, n by m.

    >>> fastnn.eye(2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    cdef Tensor y = zeros(n, n if m is None else m, dtype=dtype, device=device)
    cdef Tensor diagonal = alias_diagonal(y)
    fill_with(diagonal, 1)
    return finish(y, requires_grad)


cdef Tensor alias_diagonal(Tensor x):
    """The diagonal of a fresh matrix, in the same memory."""
    cdef Tensor y = x.detach()
    y.ndim_ = 1
    y.shape_[0] = y.size_ = min(x.shape_[0], x.shape_[1])
    y.strides_[0] = x.strides_[0] + x.strides_[1]
    return y


# --- sequences -----------------------------------------------------------------

cdef object number(object value, str what):
    if isinstance(value, Tensor):
        value = value.item()
    if not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{what} must be a number, got {type(value).__name__}")
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError(f"{what} must be finite, got {value}")
    return value


def arange(start, end=None, step=1, *, dtype=None, device=None, requires_grad=False):
    """The numbers start, start + step, ... below end; arange(end) starts at 0.

    int64 if all three are ints, else float32, unless dtype is given.

    >>> fastnn.arange(5).tolist()
    [0, 1, 2, 3, 4]
    """
    cdef Py_ssize_t[1] shape
    cdef Py_ssize_t i
    cdef double first, stride
    cdef long long whole_first, whole_stride
    cdef Tensor values
    check_device(device)
    if end is None:
        start, end = 0, start
    start, end, step = number(start, "start"), number(end, "end"), number(step, "step")
    if step == 0 or (end - start) * step < 0:
        raise ValueError(f"from {start} to {end} there is no way in steps of {step}")
    whole = not any(isinstance(value, (float, np.floating)) for value in (start, end, step))
    length = -((start - end) // step) if whole else ceil((end - start) / <double>step)
    parse_shape((int(length),), shape)
    values = new_tensor(INT64 if whole else FLOAT64, 1, shape)
    if whole:
        whole_first, whole_stride = start, step
        for i in range(shape[0]):
            (<long long*>values.ptr)[i] = whole_first + i * whole_stride
    else:
        first, stride = start, step
        for i in range(shape[0]):
            (<double*>values.ptr)[i] = first + i * stride
    code = wanted_dtype(dtype, INT64 if whole else FLOAT32)
    return finish(converted(values, code), requires_grad)


def linspace(start, end, steps, *, dtype=None, device=None, requires_grad=False):
    """`steps` numbers at equal distances, the first start and the last end.

    >>> fastnn.linspace(0, 1, 5).tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    cdef Py_ssize_t[1] shape
    cdef Py_ssize_t i
    cdef double first, last, stride
    cdef Tensor values
    check_device(device)
    first, last = number(start, "start"), number(end, "end")
    parse_shape((steps,), shape)
    values = new_tensor(FLOAT64, 1, shape)
    stride = (last - first) / (shape[0] - 1) if shape[0] > 1 else 0.0
    for i in range(shape[0]):      # from both ends, so that both are met exactly
        (<double*>values.ptr)[i] = (
            first + i * stride if 2 * i < shape[0] else last - (shape[0] - 1 - i) * stride)
    return finish(converted(values, wanted_dtype(dtype, FLOAT32)), requires_grad)


cdef Tensor converted(Tensor x, int dtype):
    cdef Tensor y
    if x.dtype_ == dtype:
        return x
    y = new_tensor(dtype, x.ndim_, x.shape_)
    copy_into(y, x)
    return y


# --- like another --------------------------------------------------------------

cdef Tensor filled_like(object input, object value, object dtype, object device,
                        object requires_grad):
    cdef Tensor x = check_tensor(input, "input"), y
    check_device(device)
    y = new_like(x, wanted_dtype(dtype, x.dtype_))
    if value is not None:
        fill_with(y, value)
    return finish(y, requires_grad)


def zeros_like(input, *, dtype=None, device=None, requires_grad=False):
    """Zeros of the shape, dtype and memory order of input.

    >>> fastnn.zeros_like(fastnn.ones(2)).tolist()
    [0.0, 0.0]
    """
    return filled_like(input, 0, dtype, device, requires_grad)


def ones_like(input, *, dtype=None, device=None, requires_grad=False):
    """Ones of the shape, dtype and memory order of input.

    >>> fastnn.ones_like(fastnn.zeros(2)).tolist()
    [1.0, 1.0]
    """
    return filled_like(input, 1, dtype, device, requires_grad)


def full_like(input, fill_value, *, dtype=None, device=None, requires_grad=False):
    """One value in the shape, dtype and memory order of input.

    >>> fastnn.full_like(fastnn.zeros(2), 7).tolist()
    [7.0, 7.0]
    """
    return filled_like(input, fill_value, dtype, device, requires_grad)


def empty_like(input, *, dtype=None, device=None, requires_grad=False):
    """Uninitialised memory of the shape, dtype and memory order of input.

    >>> fastnn.empty_like(fastnn.zeros(2)).shape
    (2,)
    """
    return filled_like(input, None, dtype, device, requires_grad)


# --- methods: new tensors of the dtype of another -------------------------------

def new_zeros(self, *size, dtype=None, device=None, requires_grad=False):
    """Zeros of this tensor's dtype."""
    return zeros(*size, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad)


def new_ones(self, *size, dtype=None, device=None, requires_grad=False):
    """Ones of this tensor's dtype."""
    return ones(*size, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad)


def new_empty(self, *size, dtype=None, device=None, requires_grad=False):
    """Uninitialised memory of this tensor's dtype."""
    return empty(*size, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad)


def new_full(self, size, fill_value, *, dtype=None, device=None, requires_grad=False):
    """One value in this tensor's dtype."""
    return full(size, fill_value, dtype=dtype or self.dtype, device=device,
                requires_grad=requires_grad)


FUNCTIONS = [
    tensor, as_tensor, from_numpy, zeros, ones, empty, full, eye, arange, linspace,
    zeros_like, ones_like, full_like, empty_like,
]
METHODS = [new_zeros, new_ones, new_empty, new_full]

OPS = [op(function.__name__, function, differentiable=False) for function in FUNCTIONS]
OPS += [op(method.__name__, method, method=True, differentiable=False, public=False)
        for method in METHODS]
