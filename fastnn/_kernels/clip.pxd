# The norm of many gradients taken as one, and their clipping.

# one gradient: n numbers, 1 or more
cdef struct Piece:
    void* x
    long n
    int dtype
    long first_chunk           # filled in by the driver

# the chunks that all are cut into; `sums` below has a number for each
cdef long clip_chunks(Piece* pieces, long count) noexcept nogil

# kind: NORM_SQUARES, ... of runtime.pxd: the sum or the maximum over all numbers
cdef double clip_norm(Piece* pieces, long count, long chunks, int kind, double p,
                      double* sums) noexcept nogil

cdef void clip_scale(Piece* pieces, long count, long chunks, double factor) noexcept nogil
cdef void clip_value(Piece* pieces, long count, long chunks, double low,
                     double high) noexcept nogil

# the kind of a p-norm, p > 0, and the norm from its sum or maximum
cdef int norm_kind(double p) noexcept nogil
cdef double norm_root(int kind, double p, double total) noexcept nogil
