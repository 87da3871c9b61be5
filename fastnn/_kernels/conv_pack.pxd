# The weights of a convolution, packed into panels of output channels.

from fastnn._kernels.conv_shape cimport Correlation

cdef struct Packing:
    const Correlation* c
    const char* w
    long group, column, k, tap_d, tap_h, tap_w      # strides of w in the roles it plays here
    char* packed

# the weights of input channels k0..k1 of a panel: to[kh][kw][k][its columns], taps `tap` apart
cdef void pack_channels(const Packing* p, long g, long panel, long k0, long k1, char* to,
                        long tap) noexcept nogil

# all of them: packed [G][panel][KH][KW * C][its columns]
cdef void pack_panels(Packing* p) noexcept nogil
