# Max and average pooling of sequences, images and volumes: tables of windows, forward, backward.

from fastnn._kernels.runtime cimport fastnn_kernels, pool_args, pool_axis, pool_backward_fn

# bytes for the tables of an axis, and the tables: sliding windows, or `windows`
# windows that share the axis out evenly
cdef long pool_axis_bytes(long size, long windows) noexcept nogil
cdef void pool_axis_sliding(pool_axis* axis, void* tables, long size, long windows, long kernel,
                            long stride, long padding, long dilation,
                            bint count_padding) noexcept nogil
cdef void pool_axis_even(pool_axis* axis, void* tables, long size, long windows) noexcept nogil

cdef int pool_threads(const pool_args* p, int dtype, long N) noexcept nogil

# y (N OD OH OW C) of x, with any five strides; taps (as y; NULL: average). An x that
# is not channels-last is gathered in scratch, pool_scratch_bytes for each thread.
cdef long pool_scratch_bytes(const pool_args* p, int dtype) noexcept nogil
cdef void pool_forward(const pool_args* p, int dtype, bint average, long N, const char* x,
                       const Py_ssize_t* x_strides, bint x_channels_last, char* y, char* taps,
                       char* scratch, int threads) noexcept nogil

# dx (N D H W C) of dy (N OD OH OW C), written, not added to
cdef void pool_backward(const pool_args* p, int dtype, bint average, long N, const char* dy,
                        const char* taps, char* dx, int threads) noexcept nogil

# positions (d * H + h) * W + w of the taps (N OD OH OW C), by way of the offsets of
# all tap numbers from the begin of a window of at most so many planes and rows
cdef void pool_offsets(const pool_args* p, long planes, long rows,
                       long long* offsets) noexcept nogil
cdef void pool_positions(const pool_args* p, long N, const char* taps, const long long* offsets,
                         long long* positions, int threads) noexcept nogil

# --- for groups of images ---

cdef long first_under(const pool_axis* axis, long o, long end) noexcept nogil
cdef long span(const pool_axis* axis, long o, long end) noexcept nogil
cdef long reach(const pool_axis* axis, long o) noexcept nogil
cdef long units_within(long nbytes, long unit_bytes) noexcept nogil
cdef pool_backward_fn pool_backward_kernel(const fastnn_kernels* table, bint average,
                                           bint tiles) noexcept nogil
cdef bint pool_windows_tile(const pool_args* p) noexcept nogil
