# Sequences, images and volumes as one: (N, C, D, H, W), where what the user's tensor
# does not have is of size 1. `dims` is how many spatial dimensions it has.

from fastnn._core.tensor cimport Tensor

cdef enum:
    VOLUME = 5

# ValueError, TypeError: not a float tensor (N, C, ...) or (C, ...), empty but for N
cdef Tensor spatial_input(object input, int dims)
cdef Tensor as_volume(Tensor x, int dims)        # the same memory with five dimensions
cdef void reshape_as_given(Tensor y, int dims, bint batched) noexcept      # a fresh y, in place
cdef int spatial_dim(int dims) noexcept          # of a volume: the first that is the user's
# an argument for each spatial dimension, by dimension of the volume (2 to 4)
cdef int sizes_of(object value, str name, int dims, long least, long missing,
                  long* out) except -1
