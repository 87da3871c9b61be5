"""Tensors over other memory or in another layout: views, copies, casts."""

from fastnn._core.tensor cimport (
    MAX_NDIM, Tensor, copy_into, is_channels_last, is_contiguous, is_dense, new_like, new_tensor,
)


cdef Tensor new_channels_last(int dtype, const Py_ssize_t* shape, int ndim=4):
    cdef Tensor y = new_tensor(dtype, ndim, shape)
    cdef int d
    y.strides_[1] = 1
    for d in range(2, ndim):
        y.strides_[d] *= shape[1]
    y.engine_layout = True
    return y


cdef Tensor new_in_order(Tensor x, const Py_ssize_t* shape):
    cdef Tensor y = new_tensor(x.dtype_, x.ndim_, shape)
    cdef int[MAX_NDIM] order
    cdef Py_ssize_t step = 1
    cdef int d, k
    if is_contiguous(x) or not is_dense(x):
        return y
    for d in range(x.ndim_):             # by falling stride
        k = d
        while k > 0 and x.strides_[order[k - 1]] < x.strides_[d]:
            order[k] = order[k - 1]
            k -= 1
        order[k] = d
    for k in range(x.ndim_ - 1, -1, -1):
        y.strides_[order[k]] = step
        step *= shape[order[k]]
    y.engine_layout = x.engine_layout
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
    y = new_channels_last(x.dtype_, x.shape_, x.ndim_)
    copy_into(y, x)
    return y


cdef Tensor cast(Tensor x, int dtype):
    cdef Tensor y
    if x.dtype_ == dtype:
        return x
    y = new_like(x, dtype)
    copy_into(y, x)
    return y


cdef Tensor laid_out_as(Tensor x, Tensor like):
    cdef Tensor y
    cdef int d
    cdef bint same = is_dense(x) and is_dense(like)
    for d in range(x.ndim_):
        same = same and (x.shape_[d] == 1 or x.strides_[d] == like.strides_[d])
    if same:
        return x
    y = new_like(like, x.dtype_)
    copy_into(y, x)
    return y


cdef bint lies_innermost(Tensor x, int dim) noexcept:
    cdef Py_ssize_t expected = 1
    cdef int d, k
    for k in range(x.ndim_):
        # dim first, then the others from the last one on
        d = dim if k == 0 else x.ndim_ - k - (x.ndim_ - k <= dim)
        if x.shape_[d] != 1:
            if x.strides_[d] != expected:
                return x.size_ == 0
            expected *= x.shape_[d]
    return True
