"""The linear layer: a product with the weight, bias, batch norm and ReLU in one pass.

The samples are the rows of one high matrix, whatever their dimensions.
"""

from fastnn._core.autograd cimport (
    Node, attach, edge, give, needs_graph, new_node, save0, save1, save2, saved0, saved1,
)
from fastnn._core.checks cimport check_same_dtype, shape_text
from fastnn._core.layout cimport contiguous
from fastnn._core.storage cimport scratch_give, scratch_take
from fastnn._core.tensor cimport FLOAT32, MAX_NDIM, Tensor, alias, as_tensor, new_tensor
from fastnn._kernels.reduce cimport column_sum, column_sum_scratch_bytes
from fastnn._kernels.runtime cimport epilogue
from fastnn.ops.broadcast cimport before_relu
from fastnn.ops.matmul cimport (
    Stack, all_rows, multiply_into, product, refuse_dtypes, stack, transposed, with_unit_step,
)
from fastnn.ops.norm cimport epilogue_of, fixed_constants

from fastnn.ops.registry import op

cdef enum:
    TINY = 4096              # elements: sums of fewer keep the GIL


cdef Tensor linear_forward(Tensor x, Tensor w, const epilogue* after):
    cdef int vector = 1 if x.ndim_ == 1 else 0, d
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef Stack a
    cdef Tensor y
    for d in range(x.ndim_ - 1):
        shape[d] = x.shape_[d]
    shape[x.ndim_ - 1] = w.shape_[0]
    x = all_rows(x, vector, &a)
    y = new_tensor(x.dtype_, x.ndim_, shape)
    multiply_into(y, a, transposed(stack(w, 0)), after, w, False)
    return y


cdef Tensor sum_columns(Tensor x):
    cdef Stack s
    cdef Tensor y
    cdef size_t nbytes
    cdef char* scratch = NULL
    if x.strides_[x.ndim_ - 1] != 1:
        x = contiguous(x)
    x = all_rows(x, 1 if x.ndim_ == 1 else 0, &s)
    y = new_tensor(x.dtype_, 1, &x.shape_[x.ndim_ - 1])
    nbytes = column_sum_scratch_bytes(x.dtype_, s.rows, s.cols)
    if nbytes:
        scratch = <char*>scratch_take(nbytes)
    if x.size_ < TINY:
        column_sum(x.dtype_, s.rows, s.row_step, s.cols, s.data, y.ptr, scratch)
    else:
        with nogil:
            column_sum(x.dtype_, s.rows, s.row_step, s.cols, s.data, y.ptr, scratch)
    if nbytes:
        scratch_give(scratch, nbytes)
    return y


cdef int check_linear(Tensor x, Tensor w, Tensor bias) except -1:
    if w.ndim_ != 2:
        raise ValueError("linear: weight must have 2 dimensions (out_features, in_features), "
                         f"got shape {shape_text(w)}")
    if x.ndim_ == 0 or x.shape_[x.ndim_ - 1] != w.shape_[1]:
        raise ValueError(f"linear: input of shape {shape_text(x)} does not fit weight of shape "
                         f"{shape_text(w)}: its last dimension must be {w.shape_[1]}")
    if x.dtype_ < FLOAT32 or w.dtype_ != x.dtype_:
        refuse_dtypes(x, w, "linear")
    if bias is not None:
        if bias.ndim_ != 1 or bias.shape_[0] != w.shape_[0]:
            raise ValueError(f"linear: bias of shape {shape_text(bias)} does not fit weight of "
                             f"shape {shape_text(w)}: it must be ({w.shape_[0]},)")
        check_same_dtype(bias, x, "the bias of linear and its input")
    return 0


cdef Tensor affine(object input, object weight, object bias, object norm, bint relu):
    cdef Tensor x = as_tensor(input, "input"), w = as_tensor(weight, "weight"), y
    cdef Tensor b = None if bias is None else as_tensor(bias, "bias")
    cdef Tensor numbers = None, constants
    cdef epilogue after
    cdef Node node
    check_linear(x, w, b)
    if b is not None:
        numbers = contiguous(b)
    constants = fixed_constants(norm, x, w.shape_[0])
    after = epilogue_of(numbers, constants, relu)
    y = linear_forward(x, w, &after)
    if needs_graph(x) or needs_graph(w) or (b is not None and needs_graph(b)):
        node = new_node(linear_backward, "linear_relu" if relu else "linear")
        node.input0, node.input1 = edge(x), edge(w)
        if node.input0 is not None:
            save1(node, w)
        if node.input1 is not None:
            save0(node, x)
        if b is not None:
            node.input2 = edge(b)
        if relu:
            save2(node, alias(y))
        attach(y, node)
    return y


def linear(input, weight, bias=None):
    """input weight^T + bias: input (..., I), weight (O, I), bias (O,), result (..., O).

    >>> fastnn.nn.functional.linear(fastnn.ones(1, 2), fastnn.ones(3, 2), fastnn.ones(3))
    tensor([[3., 3., 3.]])
    """
    return affine(input, weight, bias, None, False)


def linear_fused(input, weight, bias=None, norm=None, relu=True):
    """linear(), batch norm with the numbers `norm` (see fixed_constants) and ReLU in one pass."""
    return affine(input, weight, bias, norm, relu)


cdef int linear_backward(Node node, Tensor dy) except -1:
    """dx = dy w, dw = dy^T x, dbias = the column sums of dy; dy only where ReLU let y through."""
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef int vector = 1 if dy.ndim_ == 1 else 0, d
    cdef Tensor _x, w, dx             # _x is what a looks into
    cdef Stack a, s
    dy = all_rows(with_unit_step(before_relu(node, dy)), vector, &s)
    if node.input0 is not None:
        w = saved1(node)
        for d in range(dy.ndim_ - 1):
            shape[d] = dy.shape_[d]
        shape[dy.ndim_ - 1] = w.shape_[1]
        dx = new_tensor(dy.dtype_, dy.ndim_, shape)
        multiply_into(dx, s, stack(w, 0), NULL, None, False)
        give(node.input0, dx)
    if node.input1 is not None:
        _x = all_rows(saved0(node), vector, &a)
        give(node.input1, product(dy.dtype_, transposed(s), a, 0, None, None))
    if node.input2 is not None:
        give(node.input2, sum_columns(dy))
    return 0


OPS = [
    op("linear", linear, cases="linear", public=False),
    op("linear_fused", linear_fused, cases="linear", public=False),
]
