# Pointwise operations for other families to compose with; operands are float or
# integer tensors of shapes that broadcast.

from fastnn._core.tensor cimport Tensor

cdef Tensor pointwise_unary(int op, Tensor x, double p0=*, double p1=*)
# same shapes: a backward row applied to dy and what was saved
cdef Tensor pointwise_binary(int op, Tensor a, Tensor b, double p0=*, double p1=*)
cdef Tensor pointwise_ternary(int op, Tensor a, Tensor b, Tensor c)

# y = forward(input), with a node whose gradient is backward(dy, y or input)
cdef Tensor unary(int forward, int backward, bint saves_output, object input, const char* label,
                  double p0=*, double p1=*)
cdef Tensor as_real(object input)      # integers become float32
cdef object mul_forward(object input, object other)
cdef object add_forward(object input, object other)
