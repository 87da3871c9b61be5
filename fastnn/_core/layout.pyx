"""Tensors over other memory or in another layout: views, copies, casts."""

from fastnn._core.tensor cimport (
    Tensor, copy_into, is_channels_last, is_contiguous, new_like, new_tensor,
)


cdef Tensor new_channels_last(int dtype, const Py_ssize_t* shape):
    cdef Tensor y = new_tensor(dtype, 4, shape)
    y.strides_[1] = 1
    y.strides_[3] = shape[1]
    y.strides_[2] = shape[1] * shape[3]
    y.strides_[0] = shape[1] * shape[3] * shape[2]
    y.engine_layout = True
    return y


cdef Tensor new_view(Tensor x, int ndim, const Py_ssize_t* shape,
                     const Py_ssize_t* strides, char* data):
    cdef Tensor y = Tensor.__new__(Tensor)
    cdef Py_ssize_t size = 1
    cdef int d
    for d in range(ndim):
        y.shape_[d] = shape[d]
        y.strides_[d] = strides[d]
        size *= shape[d]
    y.dtype_ = x.dtype_
    y.ndim_ = ndim
    y.size_ = size
    y.storage = x.storage
    y.ptr = data
    y.engine_layout = x.engine_layout
    y.base = x if x.base is None else x.base
    y.base_rebases = x.base_rebases if x.base is not None else x.storage.rebases
    return y


cdef Tensor shape_only(Tensor x):
    cdef Tensor y = Tensor.__new__(Tensor)
    cdef int d
    y.dtype_ = x.dtype_
    y.ndim_ = x.ndim_
    y.size_ = x.size_
    for d in range(x.ndim_):
        y.shape_[d] = x.shape_[d]
    return y


cdef Tensor contiguous(Tensor x):
    cdef Tensor y
    if is_contiguous(x):
        return x
    y = new_tensor(x.dtype_, x.ndim_, x.shape_)
    copy_into(y, x)
    return y


cdef Tensor channels_last(Tensor x):
    cdef Tensor y
    if is_channels_last(x):
        return x
    y = new_channels_last(x.dtype_, x.shape_)
    copy_into(y, x)
    return y


cdef Tensor cast(Tensor x, int dtype):
    cdef Tensor y
    if x.dtype_ == dtype:
        return x
    y = new_like(x, dtype)
    copy_into(y, x)
    return y
