# Convolution to few channels: vectors run along the pixels.

from fastnn._kernels.conv_pack cimport Packing
from fastnn._kernels.conv_shape cimport Correlation

# does this correlation pay so? of the shape alone
cdef bint should_run_planar(const Correlation* c) noexcept nogil
# sets bands and c.packed_bytes, returns the bytes of all scratch
cdef size_t plan_planar(Correlation* c, long wanted) noexcept nogil

cdef void pack_planar(const Packing* p) noexcept nogil
# a band of output rows of one group of one image
cdef void planar_item(void* context, long item_index, int thread) noexcept nogil
