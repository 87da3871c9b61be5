"""The types of a tensor's elements, in the order of promotion."""

cimport cython

from fastnn._kernels.runtime cimport itemsize


@cython.final
cdef class DType:
    """The type of a tensor's elements: fastnn.float32 and its siblings."""

    def __repr__(self):
        return f"fastnn.{self.name}"

    def __reduce__(self):
        return dtype_named, (self.name,)


cdef DType make_dtype(str name, int code):
    cdef DType dtype = DType.__new__(DType)
    dtype.name = name
    dtype.code = code
    dtype.itemsize = itemsize(code)
    dtype.is_floating_point = code >= FLOAT32
    return dtype


bool_ = make_dtype("bool", BOOL)
uint8 = make_dtype("uint8", UINT8)
int32 = make_dtype("int32", INT32)
int64 = make_dtype("int64", INT64)
float32 = make_dtype("float32", FLOAT32)
float64 = make_dtype("float64", FLOAT64)
cdef tuple dtypes = (bool_, uint8, int32, int64, float32, float64)


def dtype_named(name):
    for dtype in dtypes:
        if dtype.name == name:
            return dtype
    raise ValueError(f"unknown dtype {name!r}")


cdef DType dtype_of(int code):
    return <DType>dtypes[code]


cdef int dtype_code(object dtype) except -1:
    if isinstance(dtype, DType):
        return (<DType>dtype).code
    if dtype is float:
        return FLOAT32
    if dtype is int:
        return INT64
    if dtype is bool:
        return BOOL
    raise TypeError(f"dtype must be a fastnn dtype such as fastnn.float32, got {dtype!r}")
