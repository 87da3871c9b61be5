"""Sequences (N, C, L), images (N, C, H, W) and volumes (N, C, D, H, W), or one of them
without N, as volumes: what the operations over windows have in common.

An image is a volume of one plane, a sequence one of one plane whose rows have one
column, so that its positions are shared out among the threads as rows are.
"""

from fastnn._core.checks cimport check_float, shape_text
from fastnn._core.tensor cimport Tensor, alias, as_tensor

cdef tuple SHAPES = (None, "(N, C, L) or (C, L)", "(N, C, H, W) or (C, H, W)",
                     "(N, C, D, H, W) or (C, D, H, W)")
cdef tuple COUNTS = (None, "one int", "one int or two", "one int or three")


cdef Tensor spatial_input(object input, int dims):
    cdef Tensor x = as_tensor(input, "input")
    cdef int d
    if x.ndim_ != dims + 1 and x.ndim_ != dims + 2:
        raise ValueError(f"input must have shape {SHAPES[dims]}, got {shape_text(x)}")
    check_float(x, "input")
    for d in range(x.ndim_ - dims - 1, x.ndim_):
        if x.shape_[d] == 0:
            raise ValueError(f"only the batch may be empty, got shape {shape_text(x)}")
    return x


cdef int spatial_dim(int dims) noexcept:
    return 2 if dims == 3 else 3


cdef Tensor as_volume(Tensor x, int dims):
    cdef Tensor volume = alias(x)
    cdef int channels = x.ndim_ - dims - 1, first = spatial_dim(dims), d
    volume.ndim_ = VOLUME
    volume.shape_[0], volume.strides_[0] = 1, x.size_
    if channels == 1:
        volume.shape_[0], volume.strides_[0] = x.shape_[0], x.strides_[0]
    volume.shape_[1], volume.strides_[1] = x.shape_[channels], x.strides_[channels]
    for d in range(2, VOLUME):
        volume.shape_[d], volume.strides_[d] = 1, x.strides_[channels + 1]
    for d in range(dims):
        volume.shape_[first + d] = x.shape_[channels + 1 + d]
        volume.strides_[first + d] = x.strides_[channels + 1 + d]
    return volume


cdef void reshape_as_given(Tensor y, int dims, bint batched) noexcept:
    cdef int first = spatial_dim(dims), d, k = 0
    for d in range(VOLUME):
        if (d == 0 and batched) or d == 1 or first <= d < first + dims:
            y.shape_[k], y.strides_[k] = y.shape_[d], y.strides_[d]
            k += 1
    y.ndim_ = k


cdef int sizes_of(object value, str name, int dims, long least, long missing,
                  long* out) except -1:
    cdef tuple entries = (value,) if isinstance(value, int) else tuple(value)
    cdef int first = spatial_dim(dims), d
    if len(entries) != 1 and len(entries) != dims:
        raise ValueError(f"{name} must be {COUNTS[dims]}, got {value!r}")
    for d in range(2, VOLUME):
        out[d] = missing
    for d in range(dims):
        out[first + d] = entries[d if len(entries) > 1 else 0].__index__()
        if out[first + d] < least:
            raise ValueError(f"{name} must be at least {least}, got {value!r}")
    return 0
