# Pointwise operations over any layouts, dtypes and broadcasts.

from fastnn._kernels.runtime cimport pointwise_fn

cdef extern from "kernels.h" nogil:
    enum:
        PW_neg, PW_abs, PW_sign, PW_exp, PW_expm1, PW_log, PW_log1p, PW_sqrt, PW_square
        PW_reciprocal, PW_erf, PW_sin, PW_cos, PW_floor, PW_ceil, PW_round, PW_trunc
        PW_relu, PW_leaky_relu, PW_elu, PW_sigmoid, PW_tanh, PW_gelu
        PW_gelu_tanh, PW_silu, PW_mish, PW_softplus, PW_clamp, PW_celu, PW_hardsigmoid
        PW_hardswish, PW_hardshrink, PW_softshrink, PW_tanhshrink, PW_softsign, PW_logsigmoid
        PW_threshold
        PW_add, PW_sub, PW_mul, PW_div, PW_pow, PW_remainder, PW_floor_divide
        PW_maximum, PW_minimum, PW_prelu, PW_glu
        PW_lt, PW_le, PW_gt, PW_ge, PW_eq, PW_ne
        PW_abs_backward, PW_sqrt_backward, PW_square_backward, PW_reciprocal_backward
        PW_erf_backward, PW_sin_backward, PW_cos_backward
        PW_relu_backward, PW_leaky_relu_backward, PW_elu_backward
        PW_sigmoid_backward, PW_tanh_backward, PW_gelu_backward, PW_gelu_tanh_backward
        PW_silu_backward, PW_mish_backward
        PW_softplus_backward, PW_clamp_backward, PW_expm1_backward
        PW_log1p_backward, PW_sign_backward, PW_prelu_backward_weight, PW_celu_backward
        PW_hardtanh_backward, PW_hardsigmoid_backward, PW_hardswish_backward, PW_shrink_backward
        PW_tanhshrink_backward, PW_softsign_backward, PW_logsigmoid_backward, PW_threshold_backward
        PW_where, PW_div_backward_divisor, PW_pow_backward_base, PW_pow_backward_exponent
        PW_maximum_backward, PW_minimum_backward, PW_prelu_backward, PW_glu_backward_gate

cdef enum:
    MAX_DIMS = 8

cdef struct Operand:
    char* ptr
    int dtype
    int expected              # dtype that the kernel reads or writes
    long[MAX_DIMS] step       # in elements, 0 along a broadcast dimension

cdef struct Pointwise:
    pointwise_fn fn
    int ndim
    long[MAX_DIMS] shape      # of the result
    int arity
    Operand[3] operand
    Operand out
    double[4] p               # the operation's constants
    long row_blocks, block    # filled in by pointwise(): blocks of a row, elements of one
    long rows_per_item

# the kernel of operation `op` computing in FLOAT32, FLOAT64 or INT64; NULL: none for integers
cdef pointwise_fn pointwise_kernel(int op, int dtype) noexcept nogil

# run it; `job` is used up
cdef void pointwise(Pointwise* job) noexcept nogil
