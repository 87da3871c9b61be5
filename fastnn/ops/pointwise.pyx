"""Pointwise arithmetic, comparisons and choices, with broadcasting.

Names, promotion of dtypes and gradients are PyTorch's. The mechanism stands in
broadcast.pyx; here are the operations, each with its backward twin below it.
"""

from fastnn._core.autograd cimport (
    Node, attach, edge, give, needs_graph, new_node, save0, save1, save2, saved0, saved1, saved2,
)
from fastnn._core.checks cimport shape_text
from fastnn._core.tensor cimport (
    BOOL, FLOAT32, HotOperators, Tensor, alias, as_tensor, dtype_of, hot_operators,
)
from fastnn._kernels.pointwise cimport *
from fastnn.ops.broadcast cimport (
    ARITHMETIC, COMPARISON, REAL, binary, binary_over, give_reduced, pointwise_binary,
    pointwise_ternary, pointwise_unary, record, run, tracked, unary,
)

from fastnn.ops.registry import op


# --- arithmetic ---------------------------------------------------------------

def neg(input):
    """-input, elementwise."""
    return neg_forward(input)


cdef object neg_forward(object input):
    cdef Tensor x = as_tensor(input, "input"), y
    cdef Node node
    if x.dtype_ == BOOL:
        raise TypeError("bool tensors cannot be negated; use ~")
    y = pointwise_unary(PW_neg, x)
    if needs_graph(x):
        node = new_node(neg_backward, "neg")
        node.input0 = edge(x)
        attach(y, node)
    return y


cdef int neg_backward(Node node, Tensor dy) except -1:
    give(node.input0, pointwise_unary(PW_neg, dy))
    return 0


def add(input, other, *, alpha=1):
    """input + alpha * other, elementwise with broadcasting."""
    return add_forward(input, other if alpha == 1 else mul_forward(other, alpha))


def add_(input, other, *, alpha=1):
    """add(), in place; returns the tensor."""
    return binary_over(PW_add, input, other if alpha == 1 else mul_forward(other, alpha),
                       add_forward)


cdef object add_forward(object input, object other):
    cdef Tensor y = binary(PW_add, input, other, ARITHMETIC)
    if tracked(input) or tracked(other):
        record(y, input, other, add_backward, "add")
    return y


cdef int add_backward(Node node, Tensor dy) except -1:
    cdef object extra = node.extra
    if node.input0 is not None:
        give_reduced(node.input0, dy, extra, 0)
    if node.input1 is not None:
        give_reduced(node.input1, dy, extra, 1)
    return 0


def sub(input, other, *, alpha=1):
    """input - alpha * other, elementwise with broadcasting."""
    return sub_forward(input, other if alpha == 1 else mul_forward(other, alpha))


def sub_(input, other, *, alpha=1):
    """sub(), in place; returns the tensor."""
    return binary_over(PW_sub, input, other if alpha == 1 else mul_forward(other, alpha),
                       sub_forward)


cdef object sub_forward(object input, object other):
    cdef Tensor y = binary(PW_sub, input, other, ARITHMETIC)
    if y.dtype_ == BOOL:
        raise TypeError("bool tensors cannot be subtracted; use ^ or !=")
    if tracked(input) or tracked(other):
        record(y, input, other, sub_backward, "sub")
    return y


cdef int sub_backward(Node node, Tensor dy) except -1:
    if node.input0 is not None:
        give_reduced(node.input0, dy, node.extra, 0)
    if node.input1 is not None:
        give_reduced(node.input1, pointwise_unary(PW_neg, dy), node.extra, 1)
    return 0


cdef void save_factors(Node node, object a, object b) except *:
    """Of two factors, each is saved where the other one needs a gradient."""
    if not isinstance(a, Tensor):
        node.p[0] = a
    elif node.input1 is not None:
        save0(node, <Tensor>a)
    if not isinstance(b, Tensor):
        node.p[1] = b
    elif node.input0 is not None:
        save1(node, <Tensor>b)


cdef Tensor combined(int code, Tensor dy, Tensor factor, double number):
    if factor is not None:
        return binary(code, dy, factor, ARITHMETIC)
    return run(code, (dy, number), ARITHMETIC)


def mul(input, other):
    """input * other, elementwise with broadcasting."""
    return mul_forward(input, other)


def mul_(input, other):
    """mul(), in place; returns the tensor."""
    return binary_over(PW_mul, input, other, mul_forward)


cdef object mul_forward(object input, object other):
    cdef Tensor y = binary(PW_mul, input, other, ARITHMETIC)
    if tracked(input) or tracked(other):
        save_factors(record(y, input, other, mul_backward, "mul"), input, other)
    return y


cdef int mul_backward(Node node, Tensor dy) except -1:
    cdef object extra = node.extra
    if node.input0 is not None:
        give_reduced(node.input0, combined(PW_mul, dy, saved1(node), node.p[1]), extra, 0)
    if node.input1 is not None:
        give_reduced(node.input1, combined(PW_mul, dy, saved0(node), node.p[0]), extra, 1)
    return 0


def div(input, other):
    """input / other, elementwise with broadcasting; integers become float32."""
    return div_forward(input, other)


def div_(input, other):
    """div(), in place; returns the tensor."""
    return binary_over(PW_div, input, other, div_forward)


cdef object div_forward(object input, object other):
    cdef Tensor y = binary(PW_div, input, other, REAL)
    cdef Node node
    if tracked(input) or tracked(other):
        node = record(y, input, other, div_backward, "div")
        if isinstance(other, Tensor):
            save1(node, <Tensor>other)
        else:
            node.p[1] = other
        if node.input1 is not None:
            save0(node, alias(y))
    return y


cdef int div_backward(Node node, Tensor dy) except -1:
    if node.input0 is not None:
        give_reduced(node.input0, combined(PW_div, dy, saved1(node), node.p[1]), node.extra, 0)
    if node.input1 is not None:
        give_reduced(node.input1, pointwise_ternary(PW_div_backward_divisor, dy, saved0(node),
                                                    saved1(node)), node.extra, 1)
    return 0


def pow(input, exponent):
    """input ** exponent, elementwise with broadcasting."""
    return pow_forward(input, exponent)


cdef object pow_forward(object input, object exponent):
    cdef Tensor y
    cdef Node node
    if isinstance(input, Tensor) and not isinstance(exponent, Tensor):
        if exponent == 2:
            return unary(PW_square, PW_square_backward, False, input, "pow")
        if exponent == 0.5:
            return unary(PW_sqrt, PW_sqrt_backward, True, input, "pow")
        if exponent == -1 and (<Tensor>input).dtype_ >= FLOAT32:
            return unary(PW_reciprocal, PW_reciprocal_backward, True, input, "pow")
        if isinstance(exponent, int) and exponent < 0 and (<Tensor>input).dtype_ < FLOAT32:
            raise ValueError(f"integers to the negative power {exponent} are not defined")
    y = binary(PW_pow, input, exponent, ARITHMETIC)
    if tracked(input) or tracked(exponent):
        node = record(y, input, exponent, pow_backward, "pow")
        node.p[0] = 0 if isinstance(input, Tensor) else input
        node.p[1] = 0 if isinstance(exponent, Tensor) else exponent
        if isinstance(input, Tensor):
            save0(node, <Tensor>input)
        if isinstance(exponent, Tensor):
            save1(node, <Tensor>exponent)
        if node.input1 is not None:
            save2(node, alias(y))
    return y


cdef int pow_backward(Node node, Tensor dy) except -1:
    cdef object base = node.p[0] if node.saved0 is None else saved0(node)
    cdef object exponent = node.p[1] if node.saved1 is None else saved1(node)
    if node.input0 is not None:
        give_reduced(node.input0, run(PW_pow_backward_base, (dy, base, exponent), ARITHMETIC),
                     node.extra, 0)
    if node.input1 is not None:
        give_reduced(node.input1, run(PW_pow_backward_exponent, (dy, base, saved2(node)),
                                      ARITHMETIC), node.extra, 1)
    return 0


cdef int check_divisor(object input, object other) except -1:
    """ZeroDivisionError where whole numbers are to be divided by 0."""
    for x in (input, other):
        if isinstance(x, float) or (isinstance(x, Tensor) and (<Tensor>x).dtype_ >= FLOAT32):
            return 0
    if (other == 0).any() if isinstance(other, Tensor) else other == 0:
        raise ZeroDivisionError("whole numbers cannot be divided by 0")
    return 0


def remainder(input, other):
    """input % other, elementwise with broadcasting, with the sign of other as in Python."""
    return remainder_forward(input, other)


cdef object remainder_forward(object input, object other):
    cdef Tensor y
    check_divisor(input, other)
    y = binary(PW_remainder, input, other, ARITHMETIC)
    if tracked(other):
        raise ValueError("remainder() has no gradient for its divisor; use other.detach()")
    if tracked(input):
        record(y, input, other, add_backward, "remainder")
    return y


def floor_divide(input, other):
    """input // other, rounded down as in Python, elementwise with broadcasting; no gradient."""
    return floor_divide_forward(input, other)


cdef object floor_divide_forward(object input, object other):
    check_divisor(input, other)
    return binary(PW_floor_divide, input, other, ARITHMETIC)


def maximum(input, other):
    """The larger of the two, elementwise; NaN if either is. Ties share the gradient."""
    return extremum(PW_maximum, PW_maximum_backward, input, other, "maximum")


def minimum(input, other):
    """The smaller of the two, elementwise; NaN if either is. Ties share the gradient."""
    return extremum(PW_minimum, PW_minimum_backward, input, other, "minimum")


cdef Tensor extremum(int forward, int backward, object a, object b, const char* label):
    cdef Tensor y = binary(forward, a, b, ARITHMETIC)
    cdef Node node
    if tracked(a) or tracked(b):
        node = record(y, a, b, extremum_backward, label)
        node.i[0] = backward
        node.p[0] = 0 if isinstance(a, Tensor) else a
        node.p[1] = 0 if isinstance(b, Tensor) else b
        if isinstance(a, Tensor):
            save0(node, <Tensor>a)
        if isinstance(b, Tensor):
            save1(node, <Tensor>b)
    return y


cdef int extremum_backward(Node node, Tensor dy) except -1:
    cdef object a = node.p[0] if node.saved0 is None else saved0(node)
    cdef object b = node.p[1] if node.saved1 is None else saved1(node)
    cdef Tensor da = run(<int>node.i[0], (dy, a, b), ARITHMETIC)
    if node.input1 is not None:
        give_reduced(node.input1, pointwise_binary(PW_sub, dy, da), node.extra, 1)
    if node.input0 is not None:
        give_reduced(node.input0, da, node.extra, 0)
    return 0


# --- choosing -----------------------------------------------------------------

def where(condition, input, other):
    """input where the bool tensor condition holds, other elsewhere; all broadcast together."""
    cdef Tensor mask = as_tensor(condition, "condition"), y
    cdef Node node
    if mask.dtype_ != BOOL:
        raise TypeError(f"condition must be a bool tensor, got {dtype_of(mask.dtype_).name}")
    y = run(PW_where, (input, other, mask), ARITHMETIC, True)
    if tracked(input) or tracked(other):
        node = record(y, input, other, where_backward, "where")
        save0(node, mask)
    return y


cdef int where_backward(Node node, Tensor dy) except -1:
    cdef object mask = saved0(node)
    cdef object zero = 0.0
    if node.input0 is not None:
        give_reduced(node.input0, run(PW_where, (dy, zero, mask), ARITHMETIC, True), node.extra, 0)
    if node.input1 is not None:
        give_reduced(node.input1, run(PW_where, (zero, dy, mask), ARITHMETIC, True), node.extra, 1)
    return 0


def masked_fill(input, mask, value):
    """input, with value where the bool tensor mask is true."""
    cdef Tensor x = as_tensor(input, "input"), y
    if isinstance(value, Tensor) and (<Tensor>value).ndim_ > 0:
        raise ValueError(f"value must be a number or a tensor of no dimensions, got shape "
                         f"{shape_text(<Tensor>value)}")
    y = where(mask, value, x)
    if y.dtype_ != x.dtype_:
        raise TypeError(f"a value of dtype {dtype_of(y.dtype_).name} does not fit into a "
                        f"{dtype_of(x.dtype_).name} tensor")
    return y


# --- comparisons --------------------------------------------------------------

def lt(input, other):
    """input < other, elementwise, as a bool tensor."""
    return lt_forward(input, other)


cdef object lt_forward(object input, object other):
    return binary(PW_lt, input, other, COMPARISON)


def le(input, other):
    """input <= other, elementwise, as a bool tensor."""
    return le_forward(input, other)


cdef object le_forward(object input, object other):
    return binary(PW_le, input, other, COMPARISON)


def gt(input, other):
    """input > other, elementwise, as a bool tensor."""
    return gt_forward(input, other)


cdef object gt_forward(object input, object other):
    return binary(PW_gt, input, other, COMPARISON)


def ge(input, other):
    """input >= other, elementwise, as a bool tensor."""
    return ge_forward(input, other)


cdef object ge_forward(object input, object other):
    return binary(PW_ge, input, other, COMPARISON)


def eq(input, other):
    """input == other, elementwise, as a bool tensor."""
    return eq_forward(input, other)


cdef object eq_forward(object input, object other):
    return binary(PW_eq, input, other, COMPARISON)


def ne(input, other):
    """input != other, elementwise, as a bool tensor."""
    return ne_forward(input, other)


cdef object ne_forward(object input, object other):
    return binary(PW_ne, input, other, COMPARISON)


def isnan(input):
    """Where input is NaN, as a bool tensor."""
    return ne(input, input)


def isfinite(input):
    """Where input is neither infinite nor NaN, as a bool tensor."""
    return eq(sub(input, input), 0)


cdef int check_bool(object x) except -1:
    if isinstance(x, Tensor) and (<Tensor>x).dtype_ != BOOL:
        raise TypeError("logical operators need bool tensors, got "
                        f"{dtype_of((<Tensor>x).dtype_).name}")
    return 0


def logical_and(input, other):
    """input & other, of bool tensors."""
    check_bool(input)
    check_bool(other)
    return binary(PW_minimum, input, other, ARITHMETIC)


def logical_or(input, other):
    """input | other, of bool tensors."""
    check_bool(input)
    check_bool(other)
    return binary(PW_maximum, input, other, ARITHMETIC)


def logical_xor(input, other):
    """input ^ other, of bool tensors."""
    check_bool(input)
    check_bool(other)
    return binary(PW_ne, input, other, COMPARISON)


def logical_not(input):
    """~input, of a bool tensor."""
    check_bool(input)
    return binary(PW_eq, input, False, COMPARISON)


# --- what the operators of Tensor and the namespace offer ---------------------

cdef HotOperators* hot = hot_operators()
hot.add, hot.sub, hot.mul, hot.truediv = add_forward, sub_forward, mul_forward, div_forward
hot.pow, hot.neg = pow_forward, neg_forward
hot.mod, hot.floordiv = remainder_forward, floor_divide_forward
hot.lt, hot.le, hot.gt, hot.ge = lt_forward, le_forward, gt_forward, ge_forward
hot.eq, hot.ne = eq_forward, ne_forward

OPS = [
    op("add", add, method=True, cases="binary"),
    op("sub", sub, method=True, cases="binary"),
    op("mul", mul, method=True, cases="binary"),
    op("div", div, method=True, cases="binary_nonzero"),
    op("add_", add_, method=True, public=False),
    op("sub_", sub_, method=True, public=False),
    op("mul_", mul_, method=True, public=False),
    op("div_", div_, method=True, public=False),
    op("neg", neg, method=True, cases="unary"),
    op("pow", pow, method=True, cases="powers"),
    op("remainder", remainder, method=True, cases="remainders"),
    op("floor_divide", floor_divide, method=True, cases="remainders", differentiable=False),
    op("maximum", maximum, method=True, cases="binary"),
    op("minimum", minimum, method=True, cases="binary"),
    op("where", where, cases="where"),
    op("masked_fill", masked_fill, method=True, cases="masked_fill"),
    op("lt", lt, method=True, cases="binary", differentiable=False),
    op("le", le, method=True, cases="binary", differentiable=False),
    op("gt", gt, method=True, cases="binary", differentiable=False),
    op("ge", ge, method=True, cases="binary", differentiable=False),
    op("eq", eq, method=True, cases="binary", differentiable=False),
    op("ne", ne, method=True, cases="binary", differentiable=False),
    op("isnan", isnan, method=True, cases="unary", differentiable=False),
    op("isfinite", isfinite, method=True, cases="unary", differentiable=False),
    op("logical_and", logical_and, method=True, cases="binary_bool", differentiable=False),
    op("logical_or", logical_or, method=True, cases="binary_bool", differentiable=False),
    op("logical_xor", logical_xor, method=True, cases="binary_bool", differentiable=False),
    op("logical_not", logical_not, method=True, cases="unary_bool", differentiable=False),
]
