"""Matrix products in all ranks, also added to a tensor.

An operand is a stack of matrices known by its strides, so transposed, sliced and
expanded tensors are multiplied as they lie; a vector is a matrix of one row or one
column. Stacks are broadcast against each other, without copying.
"""

from libc.string cimport memset

from fastnn._core.autograd cimport (
    Node, attach, edge, give, needs_graph, new_node, save0, save1, saved0, saved1,
)
from fastnn._core.checks cimport check_float, check_same_dtype, shape_text
from fastnn._core.layout cimport contiguous
from fastnn._core.storage cimport (
    GEMM_IMAGE, PACK_KEY, Packed, packed_done, packed_image, scratch_give, scratch_take,
)
from fastnn._core.tensor cimport (
    FLOAT32, MAX_NDIM, Tensor, as_tensor, copy_into, hot_operators, new_tensor,
)
from fastnn._kernels.gemm cimport (
    Gemm, Prepared, gemm_image_bytes, gemm_job, gemm_pack_image, gemm_prepare, gemm_run,
    gemm_use_image,
)
from fastnn._kernels.runtime cimport epilogue
from fastnn.ops.reduce cimport sum_to_shape

from fastnn.ops.pointwise import mul
from fastnn.ops.registry import op
from fastnn.ops.view import expand

cdef enum:
    GIL_NS = 20_000          # shorter work keeps the GIL: handing it over costs more


cdef int run_gemm(const Gemm* g) except -1:
    cdef Prepared p
    gemm_prepare(&p, g, True)
    return run_prepared(&p, False)


cdef void fill_and_run(const Prepared* p, bint fill, char* scratch) noexcept nogil:
    if fill:
        gemm_pack_image(p)
    gemm_run(p, scratch)


cdef int run_prepared(const Prepared* p, bint fill) except -1:
    """fill: B has an image that is not valid yet."""
    cdef size_t nbytes = p.scratch_bytes
    cdef char* scratch = <char*>scratch_take(nbytes) if nbytes else NULL
    if p.ns < GIL_NS:
        fill_and_run(p, fill, scratch)
    else:
        with nogil:
            fill_and_run(p, fill, scratch)
    if nbytes:
        scratch_give(scratch, nbytes)
    return 0


# --- stacks of matrices -------------------------------------------------------

cdef Stack stack(Tensor x, int vector) noexcept:
    """The matrices of x. vector 0: its last two dimensions hold them; 1, 2: it lacks
    the dimension of the rows, of the columns; 3: of both."""
    cdef Stack s
    cdef int d, n = x.ndim_
    s.data = x.ptr
    s.rows = s.cols = 1
    s.row_step = s.col_step = 0
    if not vector & 2:
        n -= 1
        s.cols, s.col_step = x.shape_[n], x.strides_[n]
    if not vector & 1:
        n -= 1
        s.rows, s.row_step = x.shape_[n], x.strides_[n]
    s.ndim = n
    for d in range(n):
        s.shape[d], s.step[d] = x.shape_[d], x.strides_[d]
    return s


cdef Stack transposed(Stack s) noexcept:
    s.rows, s.cols = s.cols, s.rows
    s.row_step, s.col_step = s.col_step, s.row_step
    return s


cdef bint fold(Stack* s) noexcept:
    """Make the stack one high matrix, if one step leads from each row to the next."""
    cdef long rows = s.rows, step = s.row_step
    cdef int d
    for d in range(s.ndim - 1, -1, -1):
        if s.shape[d] == 1:
            continue
        if rows == 1:
            step = s.step[d]
        elif s.step[d] != rows * step:
            return False
        rows *= s.shape[d]
    s.rows, s.row_step, s.ndim = rows, step, 0
    return True


cdef Tensor all_rows(Tensor x, int vector, Stack* s):
    """In s the rows of the whole stack as one matrix; returns what it looks into, x or a copy."""
    s[0] = stack(x, vector)
    if not fold(s):
        x = contiguous(x)
        s[0] = stack(x, vector)
        fold(s)
    return x


cdef int broadcast(const Stack* a, const Stack* b, Py_ssize_t* shape) noexcept:
    """The common shape of two stacks; -1 where there is none."""
    cdef int ndim = max(a.ndim, b.ndim), d
    cdef Py_ssize_t m, n
    for d in range(ndim):
        m = a.shape[d - ndim + a.ndim] if d >= ndim - a.ndim else 1
        n = b.shape[d - ndim + b.ndim] if d >= ndim - b.ndim else 1
        if m != n and m != 1 and n != 1:
            return -1
        shape[d] = m if n == 1 else n
    return ndim


cdef void stretch(Stack* s, int ndim, const Py_ssize_t* shape) noexcept:
    """Bring the stack to a broadcast shape; repeated matrices get step 0."""
    cdef int missing = ndim - s.ndim, d
    for d in range(ndim - 1, -1, -1):
        if d < missing or (s.shape[d - missing] == 1 and shape[d] != 1):
            s.step[d] = 0
        else:
            s.step[d] = s.step[d - missing]
        s.shape[d] = shape[d]
    s.ndim = ndim


cdef int merge_stacks(Stack* a, Stack* b) noexcept:
    """Merge dimensions that both step through as one; how many are left."""
    cdef int d, k = -1
    for d in range(a.ndim):
        if a.shape[d] == 1:
            continue
        if (k >= 0 and a.step[k] == a.step[d] * a.shape[d]
                and b.step[k] == b.step[d] * b.shape[d]):
            a.shape[k] *= a.shape[d]
        else:
            k += 1
            a.shape[k] = a.shape[d]
        b.shape[k] = a.shape[k]
        a.step[k], b.step[k] = a.step[d], b.step[d]
    a.ndim = b.ndim = k + 1
    return k + 1


cdef void list_offsets(const Stack* s, long batches, long* offsets) noexcept:
    cdef long batch, rest
    cdef int d
    for batch in range(batches):
        rest, offsets[batch] = batch, 0
        for d in range(s.ndim - 1, -1, -1):
            offsets[batch] += rest % s.shape[d] * s.step[d]
            rest //= s.shape[d]


cdef int run_stacks(Gemm* g, Stack* a, Stack* b) except -1:
    """The product of two stacks of one shape into a contiguous one."""
    cdef long batches = 1
    cdef size_t nbytes
    cdef long* offsets
    cdef int d, ndim
    for d in range(a.ndim):
        batches *= a.shape[d]
    g.batches, g.c_batch = batches, g.M * g.N
    ndim = merge_stacks(a, b)
    if ndim <= 1:
        if ndim == 1:
            g.a_batch, g.b_batch = a.step[0], b.step[0]
        return run_gemm(g)
    nbytes = 2 * batches * sizeof(long)
    if nbytes == 0:
        return 0
    offsets = <long*>scratch_take(nbytes)
    list_offsets(a, batches, offsets)
    list_offsets(b, batches, offsets + batches)
    g.a_offsets, g.b_offsets = offsets, offsets + batches
    try:
        return run_gemm(g)
    finally:
        scratch_give(offsets, nbytes)


cdef int run_with_weight(const Gemm* g, Tensor w) except -1:
    """One problem whose B is w, or a part of it: its packed image is kept with w."""
    cdef long[PACK_KEY] key
    cdef Packed image = None
    cdef Prepared p
    cdef size_t nbytes
    gemm_prepare(&p, g, True)
    memset(key, 0, sizeof(key))
    nbytes = gemm_image_bytes(&p, key)
    if nbytes:
        key[0], key[PACK_KEY - 1] = <long>(<const char*>g.b - w.storage.data), GEMM_IMAGE
        image = packed_image(w.storage, key, nbytes)
    if image is None:
        return run_prepared(&p, False)
    gemm_use_image(&p, image.data)
    run_prepared(&p, image.busy)
    packed_done(image)
    return 0


cdef int multiply_into(Tensor y, Stack a, Stack b, const epilogue* after, Tensor w,
                       bint accumulate) except -1:
    """y (+)= the product of two stacks of one shape; y is contiguous. w: a weight that b lies in,
    or None."""
    cdef Gemm g = gemm_job(y.dtype_, a.rows, b.cols, a.cols)
    g.a, g.a_row, g.a_k = a.data, a.row_step, a.col_step
    g.b, g.b_k, g.b_col = b.data, b.row_step, b.col_step
    g.c, g.c_row = y.ptr, b.cols
    g.accumulate = accumulate
    if after != NULL:
        g.after = after[0]
    if a.ndim:
        return run_stacks(&g, &a, &b)
    return run_gemm(&g) if w is None else run_with_weight(&g, w)


cdef Tensor product(int dtype, Stack a, Stack b, int vector, Tensor w, Tensor addend):
    """The product of two stacks; vector as for stack() says what the result lacks; w: a weight
    that b lies in, or None; addend: what is added to it, of the same shape, or None."""
    cdef Py_ssize_t[MAX_NDIM + 2] shape
    cdef int ndim = 0
    cdef Tensor y
    if a.ndim | b.ndim:
        ndim = broadcast(&a, &b, shape)
        stretch(&a, ndim, shape)
        stretch(&b, ndim, shape)
    if not vector & 1:
        shape[ndim] = a.rows
        ndim += 1
    if not vector & 2:
        shape[ndim] = b.cols
        ndim += 1
    y = new_tensor(dtype, ndim, shape)
    if addend is not None:
        copy_into(y, addend)
    multiply_into(y, a, b, NULL, w, addend is not None)
    return y


cdef Tensor with_unit_step(Tensor x):
    """x, or a copy where neither rows nor columns are adjacent in memory (an expanded gradient)."""
    cdef int n = x.ndim_
    if n >= 1 and x.strides_[n - 1] != 1 and (n == 1 or x.strides_[n - 2] != 1):
        return contiguous(x)
    return x


# --- matmul -------------------------------------------------------------------

cdef int refuse_dtypes(Tensor x, Tensor w, str name) except -1:
    check_float(x, f"the first operand of {name}")
    check_same_dtype(w, x, f"the operands of {name}")
    return 0


cdef Tensor spread(Tensor x, tuple shape, const char* label):
    """What is added to a product, in its shape."""
    cdef int lead = <int>len(shape) - x.ndim_, d
    cdef bint fits = lead >= 0
    for d in range(x.ndim_ if fits else 0):
        fits = fits and (x.shape_[d] == 1 or x.shape_[d] == shape[lead + d])
    if not fits:
        raise ValueError(f"{label.decode()}: input of shape {shape_text(x)} cannot be broadcast "
                         f"to the shape of the product, {shape}")
    return expand(x, shape)


cdef Tensor multiply(Tensor x, Tensor w, const char* label, Tensor addend):
    """x w, both of one dimension or more; + addend, which broadcasts to that, or None."""
    cdef int lacks = (1 if x.ndim_ == 1 else 0) | (2 if w.ndim_ == 1 else 0)
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef Stack a, b
    cdef Tensor y
    cdef Node node
    if x.ndim_ == 0 or w.ndim_ == 0:
        raise ValueError(f"{label.decode()}: both operands need a dimension, got shapes "
                         f"{shape_text(x)} and {shape_text(w)}")
    if x.dtype_ < FLOAT32 or w.dtype_ != x.dtype_:
        refuse_dtypes(x, w, label.decode())
    a, b = stack(x, lacks & 1), stack(w, lacks & 2)
    if a.cols != b.rows:
        raise ValueError(f"{label.decode()}: shapes {shape_text(x)} and {shape_text(w)} do not "
                         f"fit: {a.cols} columns against {b.rows} rows")
    if a.ndim and b.ndim and broadcast(&a, &b, shape) < 0:
        raise ValueError(f"{label.decode()}: the leading dimensions of shapes {shape_text(x)} and "
                         f"{shape_text(w)} cannot be broadcast")
    if addend is not None:
        addend = spread(addend, x.shape[:x.ndim_ - 1] + w.shape[x.ndim_ - 1:], label)
    y = product(x.dtype_, a, b, lacks, w, addend)
    if needs_graph(x) or needs_graph(w) or (addend is not None and needs_graph(addend)):
        node = new_node(matmul_backward, label)
        node.input0, node.input1 = edge(x), edge(w)
        node.i[0], node.i[1] = lacks, a.ndim | b.ndim
        if node.input0 is not None or node.i[1]:
            save1(node, w)
        if node.input1 is not None or node.i[1]:
            save0(node, x)
        if addend is not None:
            node.input2 = edge(addend)
        attach(y, node)
    return y


cdef int matmul_backward(Node node, Tensor dy) except -1:
    """dx = dy w^T and dw = x^T dy, added up over what was broadcast; dy itself is the addend's."""
    cdef int lacks = <int>node.i[0]
    cdef bint stacked = node.i[1] != 0
    cdef Tensor x, w, dx, dw
    if node.input2 is not None:
        give(node.input2, dy)
    dy = with_unit_step(dy)
    if node.input0 is not None:
        w = saved1(node)
        dx = product(dy.dtype_, stack(dy, lacks), transposed(stack(w, lacks & 2)), lacks & 1,
                     None, None)
        if stacked:
            dx = sum_to_shape(dx, node.saved0.ndim_, node.saved0.shape_)
        give(node.input0, dx)
    if node.input1 is not None:
        x = saved0(node)
        if stacked and node.saved1.ndim_ <= 2:
            dw = folded_gradient(x, dy, lacks)
        else:
            dw = product(dy.dtype_, transposed(stack(x, lacks & 1)), stack(dy, lacks), lacks & 2,
                         None, None)
        if stacked:
            dw = sum_to_shape(dw, node.saved1.ndim_, node.saved1.shape_)
        give(node.input1, dw)
    return 0


cdef Tensor folded_gradient(Tensor x, Tensor dy, int lacks):
    """x^T dy over all rows of all matrices at once."""
    cdef Stack a, d
    x = all_rows(x, 0, &a)
    dy = all_rows(dy, lacks, &d)
    return product(dy.dtype_, transposed(a), d, lacks & 2, None, None)


cdef object matmul_operator(object x, object w):
    return multiply(as_tensor(x, "the left operand of @"), as_tensor(w, "the right operand of @"),
                    "matmul", None)


hot_operators().matmul = matmul_operator


def matmul(input, other):
    """The matrix product; leading dimensions are broadcast, a vector is a row or a column.

    input (..., M, K) or (K,), other (..., K, N) or (K,); float32 or float64.

    >>> fastnn.matmul(fastnn.ones(2, 3), fastnn.ones(3))
    tensor([3., 3.])
    """
    return multiply(as_tensor(input, "input"), as_tensor(other, "other"), "matmul", None)


cdef int check_ndim(Tensor x, int ndim, str what) except -1:
    if x.ndim_ != ndim:
        raise ValueError(f"{what} must have {ndim} dimension{'s' if ndim > 1 else ''}, "
                         f"got shape {shape_text(x)}")
    return 0


cdef int check_batches(Tensor x, Tensor w, str label, str first, str second) except -1:
    check_ndim(x, 3, f"{label}: {first}")
    check_ndim(w, 3, f"{label}: {second}")
    if x.shape_[0] != w.shape_[0]:
        raise ValueError(f"{label}: the batch sizes of shapes {shape_text(x)} and {shape_text(w)} "
                         "differ")
    return 0


def mm(input, mat2):
    """The product of two matrices: input (M, K), mat2 (K, N)."""
    cdef Tensor x = as_tensor(input, "input"), w = as_tensor(mat2, "mat2")
    check_ndim(x, 2, "mm: input")
    check_ndim(w, 2, "mm: mat2")
    return multiply(x, w, "mm", None)


def bmm(input, mat2):
    """The products of two batches of matrices: input (B, M, K), mat2 (B, K, N)."""
    cdef Tensor x = as_tensor(input, "input"), w = as_tensor(mat2, "mat2")
    check_batches(x, w, "bmm", "input", "mat2")
    return multiply(x, w, "bmm", None)


def mv(input, vec):
    """The product of a matrix (M, K) and a vector (K,)."""
    cdef Tensor x = as_tensor(input, "input"), w = as_tensor(vec, "vec")
    check_ndim(x, 2, "mv: input")
    check_ndim(w, 1, "mv: vec")
    return multiply(x, w, "mv", None)


def dot(input, tensor):
    """The inner product of two vectors."""
    cdef Tensor x = as_tensor(input, "input"), w = as_tensor(tensor, "tensor")
    check_ndim(x, 1, "dot: input")
    check_ndim(w, 1, "dot: tensor")
    return multiply(x, w, "dot", None)


# --- a product added to a tensor ---------------------------------------------------

cdef Tensor scaled(Tensor x, object factor):
    return x if factor == 1 else mul(x, factor)


cdef Tensor multiply_add(object input, Tensor x, Tensor w, object beta, object alpha, str label):
    """beta input + alpha x w, the product added to a copy of the input as it is computed."""
    cdef Tensor c = as_tensor(input, "input")
    cdef bytes name = label.encode()
    check_float(x, f"the operands of {label}")
    check_same_dtype(c, x, f"input and operands of {label}")
    return multiply(scaled(x, alpha), w, name, None if beta == 0 else scaled(c, beta))


def addmm(input, mat1, mat2, *, beta=1, alpha=1):
    """beta input + alpha mat1 mat2, in one pass: mat1 (M, K), mat2 (K, N), input of a shape that
    broadcasts to (M, N); it is not read where beta is 0.

    >>> fastnn.addmm(fastnn.ones(2), fastnn.ones(1, 3), fastnn.ones(3, 2))
    tensor([[4., 4.]])
    """
    cdef Tensor x = as_tensor(mat1, "mat1"), w = as_tensor(mat2, "mat2")
    check_ndim(x, 2, "addmm: mat1")
    check_ndim(w, 2, "addmm: mat2")
    return multiply_add(input, x, w, beta, alpha, "addmm")


def addmv(input, mat, vec, *, beta=1, alpha=1):
    """beta input + alpha mat vec, in one pass: mat (M, K), vec (K,), input (M,) or one element."""
    cdef Tensor x = as_tensor(mat, "mat"), w = as_tensor(vec, "vec")
    check_ndim(x, 2, "addmv: mat")
    check_ndim(w, 1, "addmv: vec")
    return multiply_add(input, x, w, beta, alpha, "addmv")


def baddbmm(input, batch1, batch2, *, beta=1, alpha=1):
    """addmm() of batches: batch1 (B, M, K), batch2 (B, K, N)."""
    cdef Tensor x = as_tensor(batch1, "batch1"), w = as_tensor(batch2, "batch2")
    check_batches(x, w, "baddbmm", "batch1", "batch2")
    return multiply_add(input, x, w, beta, alpha, "baddbmm")


def outer(input, vec2):
    """The products of each element of input (M,) with each of vec2 (N,): (M, N).

    >>> fastnn.outer(fastnn.tensor([1.0, 2.0]), fastnn.tensor([3.0, 4.0]))
    tensor([[3., 4.],
            [6., 8.]])
    """
    cdef Tensor x = as_tensor(input, "input"), w = as_tensor(vec2, "vec2")
    check_ndim(x, 1, "outer: input")
    check_ndim(w, 1, "outer: vec2")
    return mul(x.unsqueeze(1), w)


OPS = [
    op("matmul", matmul, method=True, cases="matmul"),
    op("mm", mm, method=True, cases="mm"),
    op("bmm", bmm, method=True, cases="bmm"),
    op("mv", mv, method=True, cases="mv"),
    op("dot", dot, method=True, cases="dot"),
    op("addmm", addmm, method=True, cases="addmm"),
    op("addmv", addmv, method=True, cases="addmv"),
    op("baddbmm", baddbmm, method=True, cases="baddbmm"),
    op("outer", outer, method=True, cases="outer"),
]
