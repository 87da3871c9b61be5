# The rows of input that a convolution reads, and what every pass needs to plan.

from fastnn._kernels.conv_shape cimport ConvShape, Correlation

cdef long items_wanted(const ConvShape* s) noexcept nogil
cdef int team_for(const ConvShape* s) noexcept nogil
cdef void set_source(Correlation* c, const Py_ssize_t* strides) noexcept nogil
cdef bint usable_in_place(const Correlation* c) noexcept nogil
cdef void set_bands(Correlation* c, long wanted) noexcept nogil
cdef char* band_start(const Correlation* c, long n, long g, long oh, int thread) noexcept nogil
cdef void gather(const Correlation* c, long n, long g, long oh0, long oh, long end,
                 char* band) noexcept nogil
