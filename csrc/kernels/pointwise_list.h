/* Every pointwise operation, one row each; the order is that of the table.
 * The row declares, dispatches and enumerates the kernel pw_<name> of
 * pointwise.h: y[i] = f(a[i], b[i], c[i]), as its comment there says. */
#define POINTWISE_LIST(X)                                                              \
    X(neg) X(abs) X(sign) X(exp) X(expm1) X(log) X(log1p) X(sqrt) X(square) X(reciprocal) \
    X(erf) X(sin) X(cos) X(floor) X(ceil) X(round) X(trunc)                            \
    X(relu) X(leaky_relu) X(elu) X(sigmoid) X(tanh) X(gelu) X(gelu_tanh)               \
    X(silu) X(mish) X(softplus) X(clamp) X(celu) X(hardsigmoid) X(hardswish)           \
    X(hardshrink) X(softshrink) X(tanhshrink) X(softsign) X(logsigmoid) X(threshold)   \
    X(add) X(sub) X(mul) X(div) X(pow) X(remainder) X(floor_divide)                    \
    X(maximum) X(minimum) X(prelu) X(glu)                                              \
    X(lt) X(le) X(gt) X(ge) X(eq) X(ne)                                                \
    X(abs_backward) X(sqrt_backward) X(square_backward) X(reciprocal_backward)         \
    X(erf_backward) X(sin_backward) X(cos_backward)                                    \
    X(relu_backward) X(leaky_relu_backward) X(elu_backward)                            \
    X(sigmoid_backward) X(tanh_backward) X(gelu_backward) X(gelu_tanh_backward)        \
    X(silu_backward) X(mish_backward) X(softplus_backward) X(clamp_backward) X(expm1_backward) \
    X(log1p_backward) X(sign_backward) X(prelu_backward_weight) X(celu_backward)       \
    X(hardtanh_backward) X(hardsigmoid_backward) X(hardswish_backward)                 \
    X(shrink_backward) X(tanhshrink_backward) X(softsign_backward)                     \
    X(logsigmoid_backward) X(threshold_backward)                                       \
    X(where) X(div_backward_divisor) X(pow_backward_base) X(pow_backward_exponent)     \
    X(maximum_backward) X(minimum_backward) X(prelu_backward) X(glu_backward_gate)
