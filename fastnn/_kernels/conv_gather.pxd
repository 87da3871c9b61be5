# The rows of input that a convolution reads, and what every pass needs to plan.

from fastnn._kernels.conv_shape cimport ConvShape, Correlation, gathered_channels

cdef enum:
    GROUP_BYTES = 768 << 10      # small images taken together stay in the second-level cache

cdef long items_wanted(const ConvShape* s) noexcept nogil
cdef int team_for(const ConvShape* s) noexcept nogil
cdef void set_source(Correlation* c, const Py_ssize_t* strides) noexcept nogil
cdef bint usable_in_place(const Correlation* c) noexcept nogil
cdef bint should_spread(const Correlation* c) noexcept nogil
cdef void set_bands(Correlation* c, long wanted, long images, long group_bytes) noexcept nogil
cdef char* band_start(const Correlation* c, long n, long g, long oh, long slot,
                      int thread) noexcept nogil
cdef void gather_pixels(const Correlation* c, const char* src, long channels, long step,
                        long x_w, long first, long pixel_step, long pixels,
                        char* dst) noexcept nogil
# the row of input whose channel k of a group an image of y reads, or NULL;
# how many of the channels k..end lie in the same image
cdef const char* source_row(const Correlation* c, long n, long g, long k, long h) noexcept nogil
cdef long run_of_channels(const Correlation* c, long k, long end) noexcept nogil
# which rows of taps read a row of the image for output row oh: the others would read zeros;
# all of them where several output rows are taken together
cdef void inner_rows(const Correlation* c, long oh, long* first, long* count) noexcept nogil
cdef void gather(const Correlation* c, long n, long g, long oh0, long oh, long end, long b0,
                 long b1, char* band, int thread) noexcept nogil

cdef inline long block_start(const Correlation* c, long b) noexcept nogil:
    """The first channel of a block."""
    return gathered_channels(&c.s) * b // c.blocks
