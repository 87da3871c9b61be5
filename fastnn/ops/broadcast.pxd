# What all pointwise operations share: broadcasting, promotion of dtypes, the graph.

from fastnn._core.autograd cimport Node
from fastnn._core.tensor cimport Tensor

cdef enum Kind:
    ARITHMETIC       # the result has the promoted dtype
    REAL             # integers become float32
    COMPARISON       # the result is bool

# row `op` of the kernel table on tensors and numbers, at least one a tensor; of a
# masked one, the last operand is a bool tensor
cdef Tensor run(int op, tuple operands, Kind kind, bint masked=*, double p0=*, double p1=*)
cdef Tensor binary(int op, object a, object b, Kind kind)

# on float tensors, such as dy and what was saved
cdef Tensor pointwise_unary(int op, Tensor x, double p0=*, double p1=*)
cdef Tensor pointwise_binary(int op, Tensor a, Tensor b, double p0=*, double p1=*)
cdef Tensor pointwise_ternary(int op, Tensor a, Tensor b, Tensor c)
cdef int pointwise_into(Tensor y, int op, tuple operands) except -1     # y a view of any layout

# an operation that ended with ReLU saved its result as saved2: dy where that let it through
cdef Tensor before_relu(Node node, Tensor dy)

# y += x, of a shape that broadcasts to that of y and of its dtype, outside of the graph
cdef int add_into(Tensor y, Tensor x) except -1

# input = op(input, other) in one pass where that can be, else by way of result(input, other)
cdef object binary_over(int op, object input, object other,
                        object (*result)(object, object))

# y = forward(input), with a node whose gradient is backward(dy, y or input)
cdef Tensor unary(int forward, int backward, bint saves_output, object input, const char* label,
                  double p0=*, double p1=*, bint inplace=*)
cdef Tensor as_real(object input)      # integers become float32

# the node of y = f(a, b); give_reduced() then shrinks a gradient to operand k
cdef bint tracked(object x)
cdef Node record(Tensor y, object a, object b, int (*backward)(Node, Tensor) except -1,
                 const char* label)
cdef int give_reduced(object where, Tensor gradient, object extra, int k) except -1
