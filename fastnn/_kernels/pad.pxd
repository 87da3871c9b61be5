# Arrays with more around them, and the gradient of those.

from libc.stdint cimport int64_t

from fastnn._kernels.runtime cimport pad_row

cdef enum Mode:
    CONSTANT
    REFLECT
    REPLICATE
    CIRCULAR

cdef enum:
    PAD_AXES = 8

# One axis: of the array as it was (`size`) and padded; `step` numbers from one position to the
# next in the one that is read. source[o] is the position that o of the padded one shows,
# or -1; taker[start[i]:start[i + 1]] are those that show i.
cdef struct PadAxis:
    long size, before, after, step
    long length
    int64_t* source
    int64_t* start
    int64_t* taker

# Neighbours without padding are one axis; the innermost are the row of a kernel call, the
# rows of one plane are the last of the others.
cdef struct PadPlan:
    int outer
    PadAxis[PAD_AXES + 2] axis
    PadAxis inner
    pad_row row
    long rows_of_item, planes_of_item

# `axes` in the order that the result has in memory, without gaps; the innermost has step 1.
# Tables are in scratch; mode says what they hold.
cdef PadPlan pad_plan(const PadAxis* axes, int count) noexcept nogil
cdef long pad_scratch_bytes(const PadPlan* plan) noexcept nogil
cdef void pad_tables(PadPlan* plan, Mode mode, char* scratch) noexcept nogil

# y from x; value: one number for CONSTANT. dx from dy, for the other modes.
cdef void pad_forward(PadPlan* plan, int dtype, const char* x, const char* value,
                      char* y) noexcept nogil
cdef void pad_backward(PadPlan* plan, int dtype, const char* dy, char* dx) noexcept nogil
