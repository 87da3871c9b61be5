# Depthwise convolution: the items of its passes.

from fastnn._kernels.conv_shape cimport Correlation

# are taps beyond the edges of x left out; and does x, channels last, serve as it lies?
cdef bint should_clip(const Correlation* c) noexcept nogil
cdef bint clips_in_place(const Correlation* c) noexcept nogil

# a band of output rows of one image: for conv.pyx, forward and backward-data
cdef void depthwise_item(void* context, long item_index, int thread) noexcept nogil

# one partial sum of the weight and bias gradients: for conv_weight.pyx, which has planned
# sums and bands already; returns the bytes of scratch
cdef size_t plan_depthwise_weight(Correlation* c) noexcept nogil
cdef void depthwise_weight_item(void* context, long item_index, int thread) noexcept nogil
