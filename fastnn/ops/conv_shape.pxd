# What the arguments of a convolution come to, in 1 to 3 dimensions, straight or transposed.

from fastnn._core.tensor cimport Tensor
from fastnn._kernels.conv_shape cimport ConvShape

# Sizes stand in the order depth, rows, columns; a convolution of fewer dimensions
# has a kernel of 1 and one element along the first ones. C and O are all channels of
# the input and of the result.
cdef struct Geometry:
    int dtype, dims
    bint batched
    long N, C, O, G
    long[3] size, out, kernel, stride, dilation, before, after

cdef Tensor operand(object x, str name, str what)

# They check everything; `name` begins every error text.
cdef int parse_conv(Geometry* g, str name, int dims, Tensor x, Tensor w, object bias,
                    object stride, object padding, object dilation, object groups) except -1
cdef int parse_conv_transpose(Geometry* g, str name, int dims, Tensor x, Tensor w, object bias,
                              object stride, object padding, object output_padding,
                              object groups, object dilation) except -1

# The problem that the drivers take; of a transposed convolution, the one whose gradient it is.
cdef ConvShape correlation_of(const Geometry* g, bint transposed) noexcept

# (N, C, L), (C, H, W) and so on seen as (N, C, H, W), volumes as (N, C, H, W, D), outside the
# graph; and a result (N * depth, C, H, W) given the dimensions that its input had
cdef Tensor as_images(Tensor x, int dims)
cdef Tensor from_images(Tensor y, int dims, bint batched, long depth)
