# Losses number by number over n contiguous x and targets t; formulas in csrc/kernels/loss.h.

from fastnn._kernels.runtime cimport (
    LOSS_BCE, LOSS_BCE_LOGITS, LOSS_CONTRASTIVE, LOSS_HINGE, LOSS_HUBER, LOSS_KL, LOSS_L1, LOSS_MSE,
    LOSS_QUANTILE,
)

cdef inline bint is_of_difference(int kind) noexcept nogil:     # a function of x - t
    return kind <= LOSS_QUANTILE

# their sum; scratch holds loss_scratch_bytes(n)
cdef size_t loss_scratch_bytes(long n) noexcept nogil
cdef double loss_total(int kind, int dtype, long n, double p, const char* x, const char* t,
                       char* scratch) noexcept nogil
cdef void loss_values(int kind, int dtype, long n, double p, const char* x, const char* t,
                      char* y) noexcept nogil
# dx = slope * dy * scale, dy one number for each x (dy_step 1) or one for all (0)
cdef void loss_gradient(int kind, int dtype, long n, double p, const char* x, const char* t,
                        const char* dy, long dy_step, double scale, char* dx) noexcept nogil
