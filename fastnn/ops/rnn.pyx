"""Recurrent layers over whole sequences. A sequence is one node of the graph.

Inside, everything is time-major: x [T, N, I], h and c from the initial state on
[T + 1, N, D]. Other layouts of the input are copied to it, and results are views of it.
"""

from libc.string cimport memcpy, memset

from fastnn._core.autograd cimport (
    Node, attach_many, edge, give, keeps_graph, needs_graph, new_node,
    save0, save1, save2, saved0, saved1, saved2,
)
from fastnn._core.checks cimport check_float, check_same_dtype, parse_shape, shape_text
from fastnn._core.layout cimport contiguous
from fastnn._core.storage cimport scratch_give, scratch_take
from fastnn._core.tensor cimport MAX_NDIM, Tensor, alias, as_tensor, new_tensor
from fastnn._kernels.rnn cimport (
    LstmArrays, LstmGradients, LstmShape, lstm_backward, lstm_backward_scratch_bytes, lstm_forward,
    lstm_forward_scratch_bytes, lstm_shape,
)

from fastnn.ops.registry import op

# how the user laid out the sequence
cdef enum:
    UNBATCHED = 0        # (T, I)
    TIME_FIRST = 1       # (T, N, I)
    BATCH_FIRST = 2      # (N, T, I)


# --- arguments ------------------------------------------------------------------

cdef int layout_of(Tensor x, bint batch_first) except -1:
    if x.ndim_ == 2:
        return UNBATCHED
    if x.ndim_ == 3:
        return BATCH_FIRST if batch_first else TIME_FIRST
    raise ValueError("lstm: input must have shape (time, batch, features), or (time, features) "
                     f"without a batch, got {shape_text(x)}")


cdef int check_weight(Tensor w, Tensor x, str name, Py_ssize_t rows, Py_ssize_t columns) except -1:
    check_same_dtype(w, x, f"lstm: input and {name}")
    if w.ndim_ != 2 or w.shape_[0] != rows or w.shape_[1] != columns:
        raise ValueError(f"lstm: {name} must have shape ({rows}, {columns}) for input of shape "
                         f"{shape_text(x)} and {rows // 4} hidden units, got {shape_text(w)}")
    return 0


cdef Tensor optional(object value, Tensor x, str name, tuple shape):
    """An argument that may be None, checked."""
    if value is None:
        return None
    cdef Tensor t = as_tensor(value, name)
    check_same_dtype(t, x, f"lstm: input and {name}")
    if t.shape != shape:
        raise ValueError(f"lstm: {name} must have shape {shape} for input of shape "
                         f"{shape_text(x)}, got {shape_text(t)}")
    return t


cdef LstmShape checked_shape(Tensor x, Tensor w_ih, Tensor w_hh, int layout) except *:
    cdef Py_ssize_t T = x.shape_[1] if layout == BATCH_FIRST else x.shape_[0]
    cdef Py_ssize_t N = 1 if layout == UNBATCHED else x.shape_[2 - layout]
    cdef Py_ssize_t I = x.shape_[x.ndim_ - 1]
    cdef Py_ssize_t[MAX_NDIM] largest
    cdef LstmShape s
    check_float(x, "lstm: input")
    if w_hh.ndim_ != 2 or w_hh.shape_[1] == 0:
        raise ValueError("lstm: weight_hh must have shape (4 * hidden, hidden) with hidden > 0, "
                         f"got {shape_text(w_hh)}")
    check_weight(w_hh, x, "weight_hh", 4 * w_hh.shape_[1], w_hh.shape_[1])
    check_weight(w_ih, x, "weight_ih", w_hh.shape_[0], I)
    if T == 0:
        raise ValueError(f"lstm: input of shape {shape_text(x)} has no time step")
    s = lstm_shape(x.dtype_, T, N, I, w_hh.shape_[1])
    parse_shape((T + 1, N, s.gates), largest)
    return s


# --- layouts --------------------------------------------------------------------

cdef Tensor new_array(const LstmShape* s, tuple shape):
    cdef Py_ssize_t[MAX_NDIM] sizes
    return new_tensor(s.dtype, parse_shape(shape, sizes), sizes)


cdef void swap_time_and_batch(Tensor x) noexcept:
    x.shape_[0], x.shape_[1] = x.shape_[1], x.shape_[0]
    x.strides_[0], x.strides_[1] = x.strides_[1], x.strides_[0]


cdef Tensor time_major(Tensor x, int layout):
    """x contiguous with time first: x itself or a copy."""
    if layout == BATCH_FIRST:
        x = alias(x)
        swap_time_and_batch(x)
    return contiguous(x)


cdef Tensor like_input(Tensor y, int layout):
    """A fresh (T, N, features), in place, in the layout of the user's input."""
    if layout == UNBATCHED:
        y.ndim_ = 2
        y.shape_[1], y.strides_[1] = y.shape_[2], 1
    elif layout == BATCH_FIRST:
        swap_time_and_batch(y)
        y.engine_layout = True
    return y


cdef Tensor output_of(Tensor h, const LstmShape* s, int layout):
    """All steps of h but the initial state, without a copy."""
    cdef Tensor y = alias(h)
    y.shape_[0] = s.T
    y.size_ = s.T * s.N * s.D
    y.ptr += s.N * s.D * s.size
    return like_input(y, layout)


cdef tuple state_shape(const LstmShape* s, int layout):
    if layout == UNBATCHED:
        return (s.D,)
    return (s.N, s.D)


cdef Tensor last_output(Tensor h, const LstmShape* s, int layout):
    """h_n, in memory of its own."""
    cdef Tensor h_n = new_array(s, state_shape(s, layout))
    memcpy(h_n.ptr, h.ptr + s.rows * s.D * s.size, s.N * s.D * s.size)
    return h_n


cdef inline void* data(Tensor x) noexcept:
    return NULL if x is None else x.ptr


cdef inline Tensor dense(Tensor x):
    return None if x is None else contiguous(x)


# --- the operation ----------------------------------------------------------------

def lstm(input, h0, c0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, batch_first=False):
    """One LSTM layer in one direction over a sequence: (output, h_n, c_n).

    input (T, N, I), (N, T, I) if batch_first, or (T, I) without a batch; h0 and c0
    (N, D) or (D,), None for zeros; weight_ih (4D, I), weight_hh (4D, D), biases (4D,),
    gates in the order i, f, g, o. output is (T, N, D) in the layout of the input,
    h_n and c_n have the shape of h0.

    >>> from fastnn.ops.rnn import lstm
    >>> x, w_ih, w_hh = fastnn.ones(5, 2, 3), fastnn.ones(16, 3), fastnn.ones(16, 4)
    >>> [y.shape for y in lstm(x, None, None, w_ih, w_hh)]
    [(5, 2, 4), (2, 4), (2, 4)]
    """
    cdef Tensor x = as_tensor(input, "input")
    cdef Tensor w_ih = as_tensor(weight_ih, "weight_ih"), w_hh = as_tensor(weight_hh, "weight_hh")
    cdef int layout = layout_of(x, batch_first)
    cdef LstmShape s = checked_shape(x, w_ih, w_hh, layout)
    cdef list arguments = [
        x, w_ih, w_hh,
        optional(h0, x, "h0", state_shape(&s, layout)),
        optional(c0, x, "c0", state_shape(&s, layout)),
        optional(bias_ih, x, "bias_ih", (4 * s.D,)),
        optional(bias_hh, x, "bias_hh", (4 * s.D,)),
    ]
    cdef bint record = False
    for argument in arguments:
        record |= argument is not None and needs_graph(<Tensor>argument)
    cdef Tensor gates = new_array(&s, (s.rows, s.gates))
    cdef Tensor h = new_array(&s, (s.T + 1, s.N, s.D))
    cdef Tensor c = new_array(&s, (s.panels, s.T + 1 if record else 1, s.N, s.vl))
    cdef Tensor c_n = new_array(&s, state_shape(&s, layout))
    x = time_major(x, layout)
    run_forward(&s, x, arguments, gates, h, c, c_n)
    cdef list outputs = [output_of(h, &s, layout), last_output(h, &s, layout), c_n]
    if record:
        build_node(&s, x, arguments, outputs, gates, h, c, layout)
    return tuple(outputs)


cdef int run_forward(const LstmShape* s, Tensor x, list arguments,
                     Tensor gates, Tensor h, Tensor c, Tensor c_n) except -1:
    cdef Tensor w_ih = dense(arguments[1]), w_hh = dense(arguments[2])
    cdef Tensor h0 = dense(arguments[3]), c0 = dense(arguments[4])
    cdef Tensor b_ih = dense(arguments[5]), b_hh = dense(arguments[6])
    cdef size_t nbytes
    cdef char* scratch
    cdef LstmArrays a = LstmArrays(
        data(x), data(h0), data(c0), data(w_ih), data(w_hh), data(b_ih), data(b_hh),
        data(gates), data(h), data(c), c.shape_[1] > 1, data(c_n))
    if s.N == 0:
        return 0
    nbytes = lstm_forward_scratch_bytes(s)
    scratch = <char*>scratch_take(nbytes)
    with nogil:
        lstm_forward(s, &a, scratch)
    scratch_give(scratch, nbytes)
    return 0


cdef int build_node(const LstmShape* s, Tensor x, list arguments, list outputs,
                    Tensor gates, Tensor h, Tensor c, int layout) except -1:
    cdef Node node = new_node(lstm_node_backward, "lstm")
    cdef Node more = new_node(NULL, "lstm")       # its slot for h
    node.inputs = tuple([None if t is None else edge(<Tensor>t) for t in arguments])
    save0(node, x)
    save1(node, <Tensor>arguments[1])
    save2(node, <Tensor>arguments[2])
    save0(more, alias(h))
    node.i[0] = layout
    node.i[1] = arguments[3] is not None          # was there an h0?
    node.i[2] = s.vl
    node.extra = (more, gates, c)
    return attach_many(outputs, node)


cdef int lstm_node_backward(Node node, Tensor dy) except -1:
    cdef list dys = node.extra[0]
    cdef tuple kept = node.extra[1]
    cdef Tensor x = saved0(node), w_ih = contiguous(saved1(node)), w_hh = contiguous(saved2(node))
    cdef Tensor h = saved0(<Node>kept[0]), gates = kept[1], c = kept[2]
    cdef Tensor dh_n = dense(dys[1]), dc_n = dense(dys[2])
    cdef Tensor h0 = h if node.i[1] else None     # all that matters is whether there was one
    cdef int layout = <int>node.i[0]
    cdef LstmShape s = lstm_shape(x.dtype_, h.shape_[0] - 1, h.shape_[1],
                                  w_ih.shape_[1], h.shape_[2])
    if s.vl != node.i[2]:
        raise RuntimeError("lstm: the instruction-set level was changed since the forward pass")
    dy = None if dys[0] is None else time_major(<Tensor>dys[0], layout)
    cdef list needed = [where is not None for where in node.inputs]
    cdef Tensor dx = new_array(&s, (s.T, s.N, s.I)) if needed[0] else None
    cdef Tensor dw_ih = new_array(&s, (4 * s.D, s.I)) if needed[1] else None
    cdef Tensor dw_hh = new_array(&s, (4 * s.D, s.D)) if needed[2] else None
    cdef Tensor dh0 = new_array(&s, state_shape(&s, layout)) if needed[3] else None
    cdef Tensor dc0 = new_array(&s, state_shape(&s, layout)) if needed[4] else None
    cdef Tensor db = new_array(&s, (4 * s.D,)) if needed[5] or needed[6] else None
    cdef LstmArrays a = LstmArrays(
        data(x), data(h0), NULL, data(w_ih), data(w_hh), NULL, NULL,
        data(gates), data(h), data(c), True, NULL)
    cdef Tensor dgates = gates
    if keeps_graph():
        dgates = new_array(&s, (s.rows, s.gates))
    else:
        node.backward = NULL
    cdef LstmGradients g = LstmGradients(data(dy), data(dh_n), data(dc_n), data(dgates), data(dx),
                                         data(dh0), data(dc0), data(dw_ih), data(dw_hh), data(db))
    run_backward(&s, &a, &g)
    cdef list gradients = [dx, dw_ih, dw_hh, dh0, dc0, db, db]
    cdef Tensor gradient
    if dx is not None:
        like_input(dx, layout)
    dx = dw_ih = dw_hh = dh0 = dc0 = db = None
    for where in node.inputs:
        gradient = <Tensor>gradients.pop(0)     # the last reference: a leaf takes it over
        if where is not None:
            give(where, gradient)
    return 0


cdef int run_backward(const LstmShape* s, const LstmArrays* a, const LstmGradients* g) except -1:
    cdef size_t nbytes
    cdef char* scratch
    if s.N == 0:         # no row, no gradient
        if g.dw_ih != NULL:
            memset(g.dw_ih, 0, 4 * s.D * s.I * s.size)
        if g.dw_hh != NULL:
            memset(g.dw_hh, 0, 4 * s.D * s.D * s.size)
        if g.db != NULL:
            memset(g.db, 0, 4 * s.D * s.size)
        return 0
    nbytes = lstm_backward_scratch_bytes(s)
    scratch = <char*>scratch_take(nbytes)
    with nogil:
        lstm_backward(s, a, g, scratch)
    scratch_give(scratch, nbytes)
    return 0


OPS = [
    op("lstm", lstm, cases="lstm", public=False),     # the layer is nn.LSTM
]
