"""What all pointwise operations share: broadcasting, promotion of dtypes, the graph.

An operation is a row of csrc/kernels/pointwise_list.h. run() applies a row to any
mixture of tensors and numbers; pointwise_*() are its short cuts for tensors, and
unary() and record() make the nodes.
"""

from fastnn._core.autograd cimport (
    Node, attach, begin_inplace, edge, give, needs_graph, new_node, save0, saved0, saved2,
    write_inplace,
)
from fastnn._core.checks cimport shape_text
from fastnn._core.layout cimport cast
from fastnn._core.tensor cimport (
    BOOL, FLOAT32, FLOAT64, INT64, MAX_NDIM, Tensor, alias, as_tensor, dtype_of, is_contiguous,
    is_dense, new_like, new_tensor, same_shape,
)
from fastnn._kernels.pointwise cimport (
    Operand, PW_add, PW_lt, PW_ne, PW_relu_backward, Pointwise, pointwise, pointwise_kernel,
)
from fastnn._kernels.runtime cimport kernels
from fastnn.ops.reduce cimport sum_to_shape


# --- the shape and dtype rule -------------------------------------------------

cdef struct Value:       # a tensor or a Python number, as an operand
    int dtype
    int rank             # of a number 0, of a tensor without dimensions 1, of any other 2
    double number
    long long integer    # the number once more, exactly, where it is an integer


cdef int category(int dtype) noexcept:
    return 0 if dtype == BOOL else 1 if dtype <= INT64 else 2


cdef int describe(object x, Value* value) except -1:
    if isinstance(x, Tensor):
        value.dtype = (<Tensor>x).dtype_
        value.rank = 2 if (<Tensor>x).ndim_ > 0 else 1
        value.number = 0
    elif isinstance(x, bool):
        value.dtype, value.rank, value.number, value.integer = BOOL, 0, x, x
    elif isinstance(x, int):
        value.dtype, value.rank, value.number = INT64, 0, x
        if -(1 << 63) <= x < 1 << 63:
            value.integer = x
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


cdef void set_number(Operand* operand, double* place, const Value* value, int ndim,
                     int dtype) noexcept:
    cdef int d
    if dtype == FLOAT32:
        (<float*>place)[0] = <float>value.number
    elif dtype == FLOAT64:
        place[0] = value.number
    else:
        (<long long*>place)[0] = value.integer
    operand.ptr = <char*>place
    operand.dtype = operand.expected = dtype
    for d in range(ndim):
        operand.step[d] = 0


cdef Tensor new_result(tuple operands, int dtype):
    """Uninitialised, of the shape that the operands broadcast to."""
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef Tensor x, like = None
    cdef int ndim = 0, d
    for d in range(MAX_NDIM):
        shape[d] = 1
    for operand in operands:
        if isinstance(operand, Tensor) and broadcast(<Tensor>operand, &ndim, shape):
            raise ValueError("shapes " + ", ".join([shape_text(t) for t in operands
                                                    if isinstance(t, Tensor)])
                             + " do not broadcast together")
    for operand in operands:
        if isinstance(operand, Tensor):
            x = <Tensor>operand
            if x.ndim_ == ndim and is_dense(x) and (
                    like is None or like.engine_layout < x.engine_layout):
                for d in range(ndim):
                    if x.shape_[d] != shape[MAX_NDIM - ndim + d]:
                        break
                else:
                    like = x
    if like is not None:
        return new_like(like, dtype)
    return new_tensor(dtype, ndim, shape + MAX_NDIM - ndim)


cdef int compute(int op, tuple operands, Tensor y, int compute_dtype, bint masked, double p0,
                 double p1) except -1:
    """The general case: any mixture of tensors and numbers that broadcasts to y's shape."""
    cdef Pointwise job
    cdef Value value
    cdef double[3] numbers
    cdef int ndim = y.ndim_, d, k
    job.fn = pointwise_kernel(op, compute_dtype)
    if job.fn == NULL:
        raise TypeError(f"this operation is not defined for {dtype_of(compute_dtype).name} tensors")
    job.ndim = ndim
    job.arity = len(operands)
    job.p[0], job.p[1] = p0, p1
    for d in range(ndim):
        job.shape[d] = y.shape_[d]
    for k in range(job.arity):
        if isinstance(operands[k], Tensor):
            set_operand(&job.operand[k], <Tensor>operands[k], ndim,
                        BOOL if masked and k == 2 else compute_dtype)
        else:
            describe(operands[k], &value)
            set_number(&job.operand[k], &numbers[k], &value, ndim, compute_dtype)
    set_operand(&job.out, y, ndim, BOOL if PW_lt <= op <= PW_ne else compute_dtype)
    for d in range(ndim):
        job.out.step[d] = y.strides_[d]
    if y.size_ > 65536:
        with nogil:
            pointwise(&job)
    else:
        pointwise(&job)
    return 0


cdef Tensor run(int op, tuple operands, Kind kind, bint masked=False,
                double p0=0, double p1=0):
    """Any pointwise operation on tensors and numbers; at least one is a tensor."""
    cdef Value[3] values
    cdef Tensor y
    cdef int arity = len(operands), result, inner, k
    for k in range(arity):
        if not describe(operands[k], &values[k]):
            raise TypeError("operands must be tensors or numbers, got "
                            f"{type(operands[k]).__name__}")
    result = promote(values, 2 if masked else arity)
    if kind == REAL and result < FLOAT32:
        result = FLOAT32
    inner = result if result >= FLOAT32 else INT64
    y = new_result(operands, BOOL if kind == COMPARISON else result)
    compute(op, operands, y, inner, masked, p0, p1)
    return y


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


cdef int pointwise_into(Tensor y, int op, tuple operands) except -1:
    return compute(op, operands, y, y.dtype_, False, 0, 0)


cdef Tensor before_relu(Node node, Tensor dy):
    return dy if node.saved2 is None else pointwise_binary(PW_relu_backward, dy, saved2(node))


cdef bint fits_over(Tensor x, object other) except -1:
    """Can x be written over, element by element, with a function of itself and other?"""
    cdef Value[2] values
    cdef Tensor y
    cdef int d, lead
    if x.dtype_ < FLOAT32 or needs_graph(x) or not describe(other, &values[1]):
        return False
    describe(x, &values[0])
    if promote(values, 2) != x.dtype_:
        return False
    if not isinstance(other, Tensor):
        return True
    y = <Tensor>other
    lead = x.ndim_ - y.ndim_
    if lead < 0 or needs_graph(y):
        return False
    for d in range(y.ndim_):
        if y.shape_[d] != 1 and y.shape_[d] != x.shape_[lead + d]:
            return False
    if y.storage is not x.storage:
        return True
    for d in range(y.ndim_):         # each element at its own place, or not at all
        if y.strides_[d] != x.strides_[lead + d] and x.shape_[lead + d] != 1:
            return False
    return y.ptr == x.ptr and same_shape(x, y)


cdef object binary_over(int op, object input, object other,
                        object (*result)(object, object)):
    """input = op(input, other); where that cannot be computed in one pass, result() is copied."""
    cdef Tensor x = as_tensor(input, "the target")
    if not fits_over(x, other):
        return write_inplace(x, <Tensor>result(x, other))
    begin_inplace(x, False)
    compute(op, (x, other), x, x.dtype_, False, 0, 0)
    return x


cdef int add_into(Tensor y, Tensor x) except -1:
    return pointwise_into(y, PW_add, (y, x))


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
    if extra is None or extra[k] is None:
        return give(where, gradient)
    for d in range(len(extra[k][0])):
        shape[d] = extra[k][0][d]
    return give(where, cast(sum_to_shape(gradient, len(extra[k][0]), shape), extra[k][1]))


# --- unary operations: two rows of the kernel table each ---------------------------

cdef Tensor unary(int forward, int backward, bint saves_output, object input, const char* label,
                  double p0=0, double p1=0, bint inplace=False):
    """y = forward(input); its gradient is backward(dy, y or input), of the same constants.
    inplace: y is the input, written over."""
    cdef Tensor x = as_tensor(input, "input"), y
    cdef bint over = inplace and x.dtype_ >= FLOAT32 and (saves_output or not needs_graph(x))
    cdef Node node = None
    if needs_graph(x):
        node = new_node(unary_backward, label)
        node.input0 = edge(x)
        node.i[0] = backward
        node.p[0], node.p[1] = p0, p1
    if over:
        begin_inplace(x, node is not None)
        compute(forward, (x,), x, x.dtype_, False, p0, p1)
        y = x
    else:
        y = pointwise_unary(forward, x, p0, p1)
    if node is not None:
        save0(node, alias(y) if saves_output else x)
        attach(y, node)
    return write_inplace(x, y) if inplace and not over else y


cdef int unary_backward(Node node, Tensor dy) except -1:
    give(node.input0, pointwise_binary(<int>node.i[0], dy, saved0(node), node.p[0], node.p[1]))
    return 0


cdef Tensor as_real(object input):
    """The operand of a function of the reals: integers become float32."""
    cdef Tensor x = as_tensor(input, "input")
    return cast(x, FLOAT32) if x.dtype_ < FLOAT32 else x
