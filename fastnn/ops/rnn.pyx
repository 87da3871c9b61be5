"""Recurrent layers over whole sequences. A sequence is one node of the graph, with both
directions of a bidirectional layer."""

from libc.string cimport memset

from fastnn._core.autograd cimport (
    Node, attach_many, edge, give, keeps_graph, needs_graph, new_node,
    save0, save1, save2, saved0, saved1, saved2,
)
from fastnn._core.layout cimport contiguous
from fastnn._core.storage cimport (
    PACK_KEY, RNN_IMAGE, Packed, packed_done, packed_image, scratch_give, scratch_take,
)
from fastnn._core.tensor cimport Tensor
from fastnn._kernels.rnn cimport (
    RnnArrays, RnnShape, kept_numbers, rnn_forward, rnn_forward_scratch_bytes, set_shape,
)
from fastnn._kernels.rnn_backward cimport (
    RnnGradients, gate_numbers, rnn_backward, rnn_backward_scratch_bytes,
)
from fastnn._kernels.rnn_pack cimport (
    Matrix, columns_bytes, is_gru, matrix_hh, matrix_hr, matrix_ih, pack_columns, pack_rows,
    rows_bytes,
)
from fastnn._kernels.runtime cimport RNN_LSTM, RNN_TANH
from fastnn.ops.rnn_shape cimport (
    B_HH, B_IH, PEEPHOLE, W_HH, W_HR, W_IH, WEIGHTS, Call, checked_call,
)

from fastnn.ops.registry import op

cdef enum:
    STATES = 3               # a node's inputs before the weights: x, h0, c0


cdef inline void* data(Tensor x) noexcept:
    return NULL if x is None else x.ptr


cdef inline Tensor dense(Tensor x):
    return None if x is None else contiguous(x)


# --- packed weights -------------------------------------------------------------------------

cdef class Packs:
    """The packed weights of one call, in images kept with the weights or in memory of its own."""
    cdef int count
    cdef char* own[6]
    cdef size_t[6] nbytes
    cdef list images             # in use: another thread may drop them from their weights

    def __cinit__(self):
        self.images = []

    def __dealloc__(self):
        cdef int i
        for i in range(self.count):
            scratch_give(self.own[i], self.nbytes[i])

    cdef char* pack(self, const Matrix* m, Tensor w, bint by_rows) except NULL:
        cdef size_t nbytes = rows_bytes(m) if by_rows else columns_bytes(m)
        cdef long[PACK_KEY] key
        cdef Packed image
        cdef char* packed
        memset(key, 0, sizeof(key))
        key[0], key[1], key[2], key[3] = <long>(w.ptr - w.storage.data), m.gates, m.units, m.length
        key[4], key[5], key[6], key[7] = m.s.tile, m.turned, by_rows, m.s.size
        key[PACK_KEY - 1] = RNN_IMAGE
        image = packed_image(w.storage, key, nbytes)
        if image is not None:
            self.images.append(image)
        if image is not None and not image.busy:
            return image.data
        if image is None:
            packed = <char*>scratch_take(nbytes)
            self.own[self.count], self.nbytes[self.count] = packed, nbytes
            self.count += 1
        else:
            packed = image.data
        with nogil:
            if by_rows:
                pack_rows(m, packed)
            else:
                pack_columns(m, packed)
        if image is not None:
            packed_done(image)
        return packed


cdef int pack_weights(Packs packs, const RnnShape* s, RnnArrays* a, list weights, list kept_alive,
                      bint by_rows, bint with_input) except -1:
    """a.w, from WEIGHTS tensors of each direction."""
    cdef Matrix m
    cdef Tensor w
    cdef list own
    cdef int i
    for i in range(s.directions):
        own = [dense(t) for t in weights[i * WEIGHTS:(i + 1) * WEIGHTS]]
        kept_alive.extend(own)
        a.w[i].w_ih = a.w[i].w_hr = NULL
        if with_input:
            m = matrix_ih(s, data(own[W_IH]))
            a.w[i].w_ih = packs.pack(&m, own[W_IH], by_rows)
        m = matrix_hh(s, data(own[W_HH]))
        a.w[i].w_hh = packs.pack(&m, own[W_HH], by_rows)
        w = own[W_HR]
        if w is not None:
            m = matrix_hr(s, w.ptr)
            a.w[i].w_hr = packs.pack(&m, w, by_rows)
        a.w[i].b_ih, a.w[i].b_hh = data(own[B_IH]), data(own[B_HH])
        a.w[i].peephole = data(own[PEEPHOLE])
    return 0


# --- forward ----------------------------------------------------------------------------

cdef const char* label_of(const RnnShape* s) noexcept:
    if s.kind == RNN_LSTM:
        return "lstm"
    if is_gru(s):
        return "gru"
    return "rnn_tanh" if s.kind == RNN_TANH else "rnn_relu"


cdef tuple run(Call call):
    """(output, h_n) or, of an LSTM, (output, h_n, c_n)."""
    cdef const RnnShape* s = &call.s
    cdef list arguments = [call.x, call.h0, call.c0, *call.weights], outputs
    cdef bint record = False
    cdef Tensor x = call.time_major(call.x), kept = None, c_n = None
    cdef Tensor y = call.new_array((s.rows, s.directions * s.P))
    cdef Tensor h_n = call.new_array(call.state_shape(s.P))
    for argument in arguments:
        record |= argument is not None and needs_graph(<Tensor>argument)
    if record:
        kept = call.new_array((s.directions, kept_numbers(s)))
    outputs = [call.like_input(y), h_n]
    if s.kind == RNN_LSTM:
        c_n = call.new_array(call.state_shape(s.D))
        outputs.append(c_n)
    if s.N > 0:
        run_forward(call, x, kept, y, h_n, c_n)
    if record:
        build_node(call, x, arguments, outputs, kept)
    return tuple(outputs)


cdef int run_forward(Call call, Tensor x, Tensor kept, Tensor y, Tensor h_n, Tensor c_n) except -1:
    cdef const RnnShape* s = &call.s
    cdef Tensor h0 = dense(call.h0), c0 = dense(call.c0)
    cdef list kept_alive = []
    cdef Packs packs = Packs.__new__(Packs)
    cdef RnnArrays a
    cdef size_t nbytes = rnn_forward_scratch_bytes(s, kept is not None)
    cdef char* scratch
    a.x, a.h0, a.c0 = x.ptr, data(h0), data(c0)
    a.kept, a.y, a.h_n, a.c_n = data(kept), y.ptr, h_n.ptr, data(c_n)
    pack_weights(packs, s, &a, call.weights, kept_alive, False, True)
    scratch = <char*>scratch_take(nbytes)
    with nogil:
        rnn_forward(s, &a, scratch)
    scratch_give(scratch, nbytes)
    return 0


cdef int build_node(Call call, Tensor x, list arguments, list outputs, Tensor kept) except -1:
    """Weights are saved by a node for each direction that does nothing else."""
    cdef const RnnShape* s = &call.s
    cdef Node node = new_node(rnn_node_backward, label_of(s)), saver
    cdef list savers = []
    cdef int i
    node.inputs = tuple([None if t is None else edge(<Tensor>t) for t in arguments])
    save0(node, x)
    for i in range(s.directions):
        saver = new_node(NULL, label_of(s))
        save0(saver, <Tensor>call.weights[i * WEIGHTS + W_IH])
        save1(saver, <Tensor>call.weights[i * WEIGHTS + W_HH])
        if call.weights[i * WEIGHTS + W_HR] is not None:
            save2(saver, <Tensor>call.weights[i * WEIGHTS + W_HR])
        savers.append(saver)
    if s.peephole:
        save1(node, <Tensor>call.weights[PEEPHOLE])
        if s.directions == 2:
            save2(node, <Tensor>call.weights[WEIGHTS + PEEPHOLE])
    node.i[0] = s.vl
    node.extra = (call, savers, kept)
    return attach_many(outputs, node)


# --- backward ---------------------------------------------------------------------------

cdef list saved_weights(Node node, Call call, list savers):
    """WEIGHTS of each direction, those that backward needs."""
    cdef list weights = []
    cdef Node saver
    for saver in savers:
        weights += [saved0(saver), saved1(saver), None, None, saved2(saver), None]
    if call.s.peephole:
        weights[PEEPHOLE] = saved1(node)
        if call.s.directions == 2:
            weights[WEIGHTS + PEEPHOLE] = saved2(node)
    return weights


cdef list gradients_wanted(Node node, Call call):
    """New tensors, one for each input of the node that needs a gradient."""
    cdef const RnnShape* s = &call.s
    cdef list shapes = [(s.rows, s.I), call.state_shape(s.P), call.state_shape(s.D)]
    shapes += s.directions * [
        (s.gates * s.D, s.I), (s.gates * s.D, s.P), (s.gates * s.D,), (s.gates * s.D,),
        (s.P, s.D), (3, s.D)]
    return [None if where is None else call.new_array(shape)
            for where, shape in zip(node.inputs, shapes)]


cdef int rnn_node_backward(Node node, Tensor dy) except -1:
    cdef list dys = node.extra[0], wanted
    cdef Call call = node.extra[1][0]
    cdef const RnnShape* s = &call.s
    cdef Tensor x = saved0(node), kept = node.extra[1][2], gradient
    cdef list weights = saved_weights(node, call, node.extra[1][1])
    cdef int i
    set_shape(&call.s)
    if s.vl != node.i[0]:
        raise RuntimeError(
            f"{call.name}: the instruction-set level was changed since the forward pass")
    wanted = gradients_wanted(node, call)
    if s.N > 0:
        run_backward(node, call, x, kept, weights, dys, wanted)
    else:                # no row, no gradient
        for i in range(len(wanted)):
            gradient = wanted[i]
            if gradient is not None:
                memset(gradient.ptr, 0, gradient.size_ * s.size)
        gradient = None
    if wanted[0] is not None:
        call.like_input(wanted[0])
    for where in node.inputs:
        gradient = <Tensor>wanted.pop(0)        # the last reference: a leaf takes it over
        if where is not None:
            give(where, gradient)
    return 0


cdef int run_backward(Node node, Call call, Tensor x, Tensor kept, list weights, list dys,
                      list wanted) except -1:
    cdef const RnnShape* s = &call.s
    cdef Tensor dy = None if dys[0] is None else call.time_major(<Tensor>dys[0])
    cdef Tensor dh_n = dense(dys[1]), dc_n = dense(dys[2]) if s.kind == RNN_LSTM else None
    cdef Tensor dgates = None
    cdef list kept_alive = []
    cdef Packs packs = Packs.__new__(Packs)
    cdef RnnArrays a
    cdef RnnGradients g
    cdef size_t nbytes = rnn_backward_scratch_bytes(s)
    cdef char* scratch
    cdef int i
    if keeps_graph():
        dgates = call.new_array((s.directions, gate_numbers(s)))
    else:
        node.backward = NULL
    memset(&a, 0, sizeof(a))
    a.x, a.kept = x.ptr, kept.ptr
    pack_weights(packs, s, &a, weights, kept_alive, True, wanted[0] is not None)
    g.dy, g.dh_n, g.dc_n, g.dgates = data(dy), data(dh_n), data(dc_n), data(dgates)
    g.dx, g.dh0, g.dc0 = data(wanted[0]), data(wanted[1]), data(wanted[2])
    for i in range(s.directions):
        g.w[i].w_ih = data(wanted[STATES + i * WEIGHTS + W_IH])
        g.w[i].w_hh = data(wanted[STATES + i * WEIGHTS + W_HH])
        g.w[i].b_ih = data(wanted[STATES + i * WEIGHTS + B_IH])
        g.w[i].b_hh = data(wanted[STATES + i * WEIGHTS + B_HH])
        g.w[i].w_hr = data(wanted[STATES + i * WEIGHTS + W_HR])
        g.w[i].peephole = data(wanted[STATES + i * WEIGHTS + PEEPHOLE])
    scratch = <char*>scratch_take(nbytes)
    with nogil:
        rnn_backward(s, &a, &g, scratch)
    scratch_give(scratch, nbytes)
    return 0


# --- the operations -----------------------------------------------------------------------

def recurrent(kind, input, h0, c0, weights, batch_first=False, batch_sizes=None):
    """One recurrent layer over a sequence: (output, h_n), with c_n in the end of an LSTM.

    kind: "rnn_tanh", "rnn_relu", "lstm", "gru" or "gru_reset_before". input (T, N, I), or
    (N, T, I) if batch_first, or (T, I) without a batch; or (rows, I), the rows of each step
    after those of the step before, with batch_sizes, int64, how many these are. weights: for
    each direction, one or two, a tuple (weight_ih, weight_hh, bias_ih, bias_hh, weight_hr,
    peephole) as for lstm(); what stands at its end may be left out. States are (directions, N,
    D) or (directions, D), and output is of shape (..., directions * D), the forward
    direction's numbers first.
    """
    return run(checked_call(kind, input, h0, c0, weights, batch_first, batch_sizes, True))


def lstm(input, h0, c0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, batch_first=False,
         weight_hr=None, peephole=None):
    """One LSTM layer in one direction over a sequence: (output, h_n, c_n).

    input (T, N, I), (N, T, I) if batch_first, or (T, I) without a batch; h0 and c0
    (N, D) or (D,), None for zeros; weight_ih (4D, I), weight_hh (4D, D), biases (4D,),
    gates in the order i, f, g, o. output is (T, N, D) in the layout of the input,
    h_n and c_n have the shapes of h0 and c0. With weight_hr (P, D), P < D, h is projected: it
    has P numbers, and weight_hh is (4D, P). peephole (3, D): what the cell state is multiplied
    by in the gates i, f and o (Gers and Schmidhuber, 2000).

    >>> from fastnn.ops.rnn import lstm
    >>> x, w_ih, w_hh = fastnn.ones(5, 2, 3), fastnn.ones(16, 3), fastnn.ones(16, 4)
    >>> [y.shape for y in lstm(x, None, None, w_ih, w_hh)]
    [(5, 2, 4), (2, 4), (2, 4)]
    """
    weights = [(weight_ih, weight_hh, bias_ih, bias_hh, weight_hr, peephole)]
    return run(checked_call("lstm", input, h0, c0, weights, batch_first, None, False))


def gru(input, h0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, batch_first=False,
        reset_before=False):
    """One GRU layer in one direction over a sequence: (output, h_n).

    input and h0 as for lstm(); weight_ih (3D, I), weight_hh (3D, D), biases (3D,), gates in the
    order r, z, n. n = tanh(x_n + r (weight_hn h + bias_hn)), or with reset_before, as first
    published (Cho et al., 2014), n = tanh(x_n + weight_hn (r h) + bias_hn).
    """
    kind = "gru_reset_before" if reset_before else "gru"
    weights = [(weight_ih, weight_hh, bias_ih, bias_hh)]
    return run(checked_call(kind, input, h0, None, weights, batch_first, None, False))


def rnn_tanh(input, h0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, batch_first=False):
    """One layer of h = tanh(weight_ih x + bias_ih + weight_hh h + bias_hh) in one direction over
    a sequence: (output, h_n). input and h0 as for lstm()."""
    weights = [(weight_ih, weight_hh, bias_ih, bias_hh)]
    return run(checked_call("rnn_tanh", input, h0, None, weights, batch_first, None, False))


def rnn_relu(input, h0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, batch_first=False):
    """rnn_tanh() with ReLU for tanh."""
    weights = [(weight_ih, weight_hh, bias_ih, bias_hh)]
    return run(checked_call("rnn_relu", input, h0, None, weights, batch_first, None, False))


OPS = [
    op("lstm", lstm, cases="lstm", public=False),
    op("gru", gru, cases="gru", public=False),
    op("rnn_tanh", rnn_tanh, cases="rnn", public=False),
    op("rnn_relu", rnn_relu, cases="rnn", public=False),
]
