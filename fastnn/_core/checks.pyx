"""What operations ask of their operands, with the offending values in the message."""

from cpython.number cimport PyNumber_Index

from fastnn._core.tensor cimport FLOAT32, MAX_NDIM, Tensor, dtype_of


cdef str shape_text(Tensor x):
    return str(x.shape)


cdef int check_float(Tensor x, str what) except -1:
    if x.dtype_ < FLOAT32:
        raise TypeError(f"{what} must be float32 or float64, got {dtype_of(x.dtype_).name}")
    return 0


cdef int check_same_dtype(Tensor x, Tensor like, str what) except -1:
    if x.dtype_ != like.dtype_:
        raise TypeError(f"{what} must have the same dtype, got {dtype_of(like.dtype_).name} "
                        f"and {dtype_of(x.dtype_).name}")
    return 0


cdef int check_writable(Tensor x) except -1:
    cdef int d
    if x.storage.readonly:
        raise ValueError("this tensor shares a read-only array: it cannot be changed in place")
    for d in range(x.ndim_ if x.size_ else 0):
        if x.strides_[d] == 0 and x.shape_[d] > 1:
            raise ValueError("an expanded tensor, in which one memory cell stands for several "
                             "elements, cannot be changed in place; clone() it first")
    return 0


cdef int parse_shape(object shape, Py_ssize_t* out) except -1:
    cdef int ndim = 0
    cdef Py_ssize_t size = 1, length
    if isinstance(shape, int):
        shape = (shape,)
    if len(shape) > MAX_NDIM:
        raise ValueError(f"at most {MAX_NDIM} dimensions are supported, got {len(shape)}")
    for entry in shape:
        length = PyNumber_Index(entry)
        if length < 0:
            raise ValueError(f"negative dimension {length} in shape {tuple(shape)}")
        if length > 0 and size > (<Py_ssize_t>1 << 40) // length:
            raise ValueError(f"shape {tuple(shape)} has too many elements")
        size *= length
        out[ndim] = length
        ndim += 1
    return ndim
