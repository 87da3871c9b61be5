# The weight gradient of a convolution with 3x3 taps by Winograd's tiles.

from fastnn._kernels.conv_shape cimport ConvShape, Correlation

# the side of the tiles by which the gradient is fastest, or 0; of the shape alone
cdef int winograd_weight_side(const ConvShape* s) noexcept nogil
# as plan_depthwise_weight
cdef size_t plan_winograd_weight(Correlation* c, long wanted) noexcept nogil
cdef void winograd_weight_item(void* context, long item_index, int thread) noexcept nogil
