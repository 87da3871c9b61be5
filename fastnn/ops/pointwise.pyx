"""Pointwise arithmetic, comparisons and activations, with broadcasting.

Names, promotion of dtypes and gradients are PyTorch's. Every operation is one row
of csrc/kernels/pointwise_list.h; here stand their shape rule, their forward
functions and, beside each, the backward twin.
"""

from fastnn._core.autograd cimport (
    Node, attach, edge, give, needs_graph, new_node, save0, save1, save2, saved0,
    saved1, saved2,
)
from fastnn._core.tensor cimport (
    BOOL, FLOAT32, FLOAT64, INT64, MAX_NDIM, HotOperators, Tensor, alias, as_tensor, cast, dtype_of,
    hot_operators, is_contiguous, is_dense, new_like, new_tensor, same_shape, shape_text,
)
from fastnn._kernels.pointwise cimport *
from fastnn._kernels.runtime cimport kernels
from fastnn.ops.reduce cimport sum_to_shape

from fastnn.ops.registry import op

cdef enum Kind:
    ARITHMETIC       # the result has the promoted dtype
    REAL             # integers become float32
    COMPARISON       # the result is bool


# --- the shape and dtype rule -------------------------------------------------

cdef struct Value:       # a tensor or a Python number, as an operand
    int dtype
    int rank             # of a number 0, of a tensor without dimensions 1, of any other 2
    double number


cdef int category(int dtype) noexcept:
    return 0 if dtype == BOOL else 1 if dtype <= INT64 else 2


cdef int describe(object x, Value* value) except -1:
    if isinstance(x, Tensor):
        value.dtype = (<Tensor>x).dtype_
        value.rank = 2 if (<Tensor>x).ndim_ > 0 else 1
        value.number = 0
    elif isinstance(x, bool):
        value.dtype, value.rank, value.number = BOOL, 0, x
    elif isinstance(x, int):
        value.dtype, value.rank, value.number = INT64, 0, x
    elif isinstance(x, float) or (hasattr(x, "__float__") and not hasattr(x, "__len__")):
        value.dtype, value.rank, value.number = FLOAT32, 0, x
    else:
        return 0
    return 1


cdef int promote(const Value* values, int count) noexcept:
    """The dtype of the result: of the highest category; within it, tensors with dimensions
    decide before tensors without, and those before Python numbers."""
    cdef int best = -1, top = 0, rank = -1, k
    for k in range(count):
        top = max(top, category(values[k].dtype))
    for k in range(count):
        if category(values[k].dtype) == top:
            if values[k].rank > rank:
                rank, best = values[k].rank, values[k].dtype
            elif values[k].rank == rank:
                best = max(best, values[k].dtype)
    return best


cdef int broadcast(Tensor x, int* ndim, Py_ssize_t* shape) except -1:
    """Widen shape to hold x as well; it is kept aligned to the right, in MAX_NDIM places."""
    cdef int d, k
    ndim[0] = max(ndim[0], x.ndim_)
    for d in range(x.ndim_):
        k = MAX_NDIM - x.ndim_ + d
        if shape[k] == 1:
            shape[k] = x.shape_[d]
        elif x.shape_[d] != 1 and x.shape_[d] != shape[k]:
            return 1
    return 0


cdef void set_operand(Operand* operand, Tensor x, int ndim, int expected) noexcept:
    cdef int d, lead = ndim - x.ndim_
    operand.ptr = x.ptr
    operand.dtype = x.dtype_
    operand.expected = expected
    for d in range(lead):
        operand.step[d] = 0
    for d in range(x.ndim_):
        operand.step[lead + d] = x.strides_[d] if x.shape_[d] != 1 else 0


cdef void set_number(Operand* operand, double* place, double number, int ndim, int dtype) noexcept:
    cdef int d
    if dtype == FLOAT32:
        (<float*>place)[0] = <float>number
    elif dtype == FLOAT64:
        place[0] = number
    else:
        (<long long*>place)[0] = <long long>number
    operand.ptr = <char*>place
    operand.dtype = operand.expected = dtype
    for d in range(ndim):
        operand.step[d] = 0


cdef Tensor compute(int op, tuple operands, int result_dtype, int compute_dtype,
                    bint masked, double p0, double p1):
    """The general case: any mixture of tensors and numbers."""
    cdef Pointwise job
    cdef Value value
    cdef double[3] numbers
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef Tensor x, y, like = None
    cdef int arity = len(operands), ndim = 0, d, k
    for d in range(MAX_NDIM):
        shape[d] = 1
    for k in range(arity):
        if isinstance(operands[k], Tensor):
            x = <Tensor>operands[k]
            if broadcast(x, &ndim, shape):
                raise ValueError("shapes " + ", ".join([shape_text(t) for t in operands
                                                         if isinstance(t, Tensor)])
                                 + " do not broadcast together")
    for k in range(arity):
        if isinstance(operands[k], Tensor):
            x = <Tensor>operands[k]
            if x.ndim_ == ndim and is_dense(x) and (like is None or like.engine_layout < x.engine_layout):
                for d in range(ndim):
                    if x.shape_[d] != shape[MAX_NDIM - ndim + d]:
                        break
                else:
                    like = x
    if like is not None:
        y = new_like(like, result_dtype)
    else:
        y = new_tensor(result_dtype, ndim, shape + MAX_NDIM - ndim)
    job.fn = pointwise_kernel(op, compute_dtype)
    if job.fn == NULL:
        raise TypeError(f"this operation is not defined for {dtype_of(compute_dtype).name} tensors")
    job.ndim = ndim
    job.arity = arity
    job.p[0], job.p[1] = p0, p1
    for d in range(ndim):
        job.shape[d] = y.shape_[d]
    for k in range(arity):
        if isinstance(operands[k], Tensor):
            set_operand(&job.operand[k], <Tensor>operands[k], ndim,
                        BOOL if masked and k == 2 else compute_dtype)
        else:
            describe(operands[k], &value)
            set_number(&job.operand[k], &numbers[k], value.number, ndim, compute_dtype)
    set_operand(&job.out, y, ndim, BOOL if PW_lt <= op <= PW_ne else compute_dtype)
    for d in range(ndim):
        job.out.step[d] = y.strides_[d]
    if y.size_ > 65536:
        with nogil:
            pointwise(&job)
    else:
        pointwise(&job)
    return y


cdef Tensor run(int op, tuple operands, Kind kind, bint masked=False,
                double p0=0, double p1=0):
    """Any pointwise operation on tensors and numbers; at least one is a tensor."""
    cdef Value[3] values
    cdef int arity = len(operands), result, inner, k
    for k in range(arity):
        if not describe(operands[k], &values[k]):
            raise TypeError(f"operands must be tensors or numbers, got {type(operands[k]).__name__}")
    result = promote(values, 2 if masked else arity)
    if kind == REAL and result < FLOAT32:
        result = FLOAT32
    inner = result if result >= FLOAT32 else INT64
    return compute(op, operands, BOOL if kind == COMPARISON else result, inner, masked, p0, p1)


cdef Tensor binary(int op, object a, object b, Kind kind):
    cdef Tensor x, z, y
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        x, z = <Tensor>a, <Tensor>b
        if (x.size_ <= 8192 and x.dtype_ == z.dtype_ and x.dtype_ >= FLOAT32
                and same_shape(x, z) and is_contiguous(x) and is_contiguous(z)):
            y = new_tensor(BOOL if kind == COMPARISON else x.dtype_, x.ndim_, x.shape_)
            kernels(x.dtype_).pointwise[op](x.ptr, 1, z.ptr, 1, NULL, 0, y.ptr, x.size_, NULL)
            return y
    return run(op, (a, b), kind)


cdef Tensor pointwise_unary(int op, Tensor x, double p0=0, double p1=0):
    cdef Tensor y
    cdef double[2] p = [p0, p1]
    if x.size_ <= 8192 and x.dtype_ >= FLOAT32 and is_contiguous(x):
        y = new_tensor(x.dtype_, x.ndim_, x.shape_)
        kernels(x.dtype_).pointwise[op](x.ptr, 1, NULL, 0, NULL, 0, y.ptr, x.size_, p)
        return y
    return run(op, (x,), ARITHMETIC, False, p0, p1)


cdef Tensor pointwise_binary(int op, Tensor a, Tensor b, double p0=0, double p1=0):
    cdef Tensor y
    cdef double[2] p = [p0, p1]
    if (a.size_ <= 8192 and a.dtype_ == b.dtype_ and a.dtype_ >= FLOAT32
            and same_shape(a, b) and is_contiguous(a) and is_contiguous(b)):
        y = new_tensor(a.dtype_, a.ndim_, a.shape_)
        kernels(a.dtype_).pointwise[op](a.ptr, 1, b.ptr, 1, NULL, 0, y.ptr, a.size_, p)
        return y
    return run(op, (a, b), ARITHMETIC, False, p0, p1)


cdef Tensor pointwise_ternary(int op, Tensor a, Tensor b, Tensor c):
    return run(op, (a, b, c), ARITHMETIC)


# --- the graph, for operations that broadcast ---------------------------------

cdef bint tracked(object x):
    return isinstance(x, Tensor) and needs_graph(<Tensor>x)


cdef object input_edge(object x):
    return edge(<Tensor>x) if isinstance(x, Tensor) else None


cdef object reduction(object x, Tensor y):
    """What turns a gradient of y into one of x: (shape, dtype), or None where they agree."""
    if not isinstance(x, Tensor) or (same_shape(<Tensor>x, y) and (<Tensor>x).dtype_ == y.dtype_):
        return None
    return (x.shape, (<Tensor>x).dtype_)


cdef Node record(Tensor y, object a, object b, int (*backward)(Node, Tensor) except -1,
                 const char* label):
    """The node of y = f(a, b); node.extra says how gradients shrink to the operands."""
    cdef Node node = new_node(backward, label)
    cdef object first = reduction(a, y), second = reduction(b, y)
    node.input0 = input_edge(a)
    node.input1 = input_edge(b)
    if first is not None or second is not None:
        node.extra = (first, second)
    attach(y, node)
    return node


cdef int give_reduced(object where, Tensor gradient, object extra, int k) except -1:
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef int d
    if extra is not None and extra[k] is not None:
        for d in range(len(extra[k][0])):
            shape[d] = extra[k][0][d]
        gradient = sum_to_shape(gradient, len(extra[k][0]), shape)
        gradient = cast(gradient, extra[k][1])
    give(where, gradient)
    return 0


# --- unary operations: one mechanism, two rows of the kernel table each ----------

cdef Tensor unary(int forward, int backward, bint saves_output, object input, const char* label,
                  double p0=0, double p1=0):
    """y = forward(input); its gradient is backward(dy, y or input), of the same constants."""
    cdef Tensor x = as_tensor(input, "input"), y
    cdef Node node
    y = pointwise_unary(forward, x, p0, p1)
    if needs_graph(x):
        node = new_node(unary_backward, label)
        node.input0 = edge(x)
        node.i[0] = backward
        node.p[0], node.p[1] = p0, p1
        save0(node, alias(y) if saves_output else x)
        attach(y, node)
    return y


cdef int unary_backward(Node node, Tensor dy) except -1:
    give(node.input0, pointwise_binary(<int>node.i[0], dy, saved0(node), node.p[0], node.p[1]))
    return 0


cdef Tensor as_real(object input):
    """The operand of a function of the reals: integers become float32."""
    cdef Tensor x = as_tensor(input, "input")
    return cast(x, FLOAT32) if x.dtype_ < FLOAT32 else x


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


# --- arithmetic ---------------------------------------------------------------

def add(input, other, *, alpha=1):
    """input + alpha * other, elementwise with broadcasting."""
    return add_forward(input, other if alpha == 1 else mul_forward(other, alpha))


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


cdef Tensor combined(int op, Tensor dy, Tensor factor, double number):
    if factor is not None:
        return binary(op, dy, factor, ARITHMETIC)
    return run(op, (dy, number), ARITHMETIC)


def mul(input, other):
    """input * other, elementwise with broadcasting."""
    return mul_forward(input, other)


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
        raise TypeError(f"logical operators need bool tensors, got {dtype_of((<Tensor>x).dtype_).name}")
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
hot.lt, hot.le, hot.gt, hot.ge = lt_forward, le_forward, gt_forward, ge_forward
hot.eq, hot.ne = eq_forward, ne_forward

OPS = [
    op("add", add, method=True, cases="binary"),
    op("sub", sub, method=True, cases="binary"),
    op("mul", mul, method=True, cases="binary"),
    op("div", div, method=True, cases="binary_nonzero"),
    op("neg", neg, method=True, cases="unary"),
    op("pow", pow, method=True, cases="powers"),
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
