"""The arguments of recurrent layers: checked, and in the layout of their kernels.

Inside, everything is time-major: x [T, N, I], or the rows of its steps one after the other
where their number differs. Other layouts of the input are copied to it, and results are views.
"""

from fastnn._core.checks cimport check_float, check_same_dtype, parse_shape, shape_text
from fastnn._core.layout cimport contiguous
from fastnn._core.tensor cimport MAX_NDIM, Tensor, alias, as_tensor, new_tensor
from fastnn._kernels.rnn cimport kept_numbers, set_shape
from fastnn._kernels.rnn_pack cimport is_gru
from fastnn._kernels.runtime cimport (
    INT64, RNN_GRU, RNN_GRU_BEFORE, RNN_LSTM, RNN_RELU, RNN_TANH,
)

KINDS = {
    "rnn_tanh": RNN_TANH,
    "rnn_relu": RNN_RELU,
    "lstm": RNN_LSTM,
    "gru": RNN_GRU,
    "gru_reset_before": RNN_GRU_BEFORE,
}
NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr", "peephole")


cdef void swap_time_and_batch(Tensor x) noexcept:
    x.shape_[0], x.shape_[1] = x.shape_[1], x.shape_[0]
    x.strides_[0], x.strides_[1] = x.strides_[1], x.strides_[0]


cdef class Call:
    cdef Tensor new_array(self, tuple shape):
        cdef Py_ssize_t[MAX_NDIM] sizes
        return new_tensor(self.s.dtype, parse_shape(shape, sizes), sizes)

    cdef tuple state_shape(self, long numbers):
        cdef list shape = [self.s.directions] if self.stacked else []
        if self.layout != UNBATCHED:
            shape.append(self.s.N)
        return (*shape, numbers)

    cdef Tensor time_major(self, Tensor x):
        """x contiguous with time first: x itself or a copy."""
        if self.layout == BATCH_FIRST:
            x = alias(x)
            swap_time_and_batch(x)
        return contiguous(x)

    cdef Tensor like_input(self, Tensor y):
        """A fresh (rows, features), in place, in the layout of the user's input."""
        cdef Py_ssize_t features = y.shape_[1]
        if self.layout == UNBATCHED or self.layout == PACKED:
            return y
        y.ndim_ = 3
        y.shape_[0], y.shape_[1], y.shape_[2] = self.s.T, self.s.N, features
        y.strides_[0], y.strides_[1], y.strides_[2] = self.s.N * features, features, 1
        if self.layout == BATCH_FIRST:
            swap_time_and_batch(y)
            y.engine_layout = True
        return y


cdef int set_layout(Call call, Tensor x, bint batch_first, object batch_sizes) except -1:
    """What the layout of the input says of the shape."""
    cdef RnnShape* s = &call.s
    if batch_sizes is not None:
        call.layout = PACKED
        if x.ndim_ != 2:
            raise ValueError(f"{call.name}: packed input must have shape (rows, features), "
                             f"got {shape_text(x)}")
        return set_steps(call, x, as_tensor(batch_sizes, "batch_sizes"))
    if x.ndim_ == 2:
        call.layout = UNBATCHED
        s.T, s.N = x.shape_[0], 1
    elif x.ndim_ == 3:
        call.layout = BATCH_FIRST if batch_first else TIME_FIRST
        s.T, s.N = x.shape_[1 if batch_first else 0], x.shape_[0 if batch_first else 1]
    else:
        raise ValueError(f"{call.name}: input must have shape (time, batch, features), or "
                         f"(time, features) without a batch, got {shape_text(x)}")
    s.rows = s.T * s.N
    return 0


cdef int set_steps(Call call, Tensor x, Tensor sizes) except -1:
    """Packed: the rows of each step, and where they begin."""
    cdef RnnShape* s = &call.s
    cdef Py_ssize_t[2] shape
    cdef long* batch
    cdef long t, total = 0, before = 0
    sizes = contiguous(sizes)
    if sizes.dtype_ != INT64 or sizes.ndim_ != 1:
        raise ValueError(f"{call.name}: batch_sizes must be int64 in one dimension, "
                         f"got shape {shape_text(sizes)}")
    shape[0], shape[1] = 2, sizes.size_
    call.steps = new_tensor(INT64, 2, shape)
    s.T = sizes.size_
    batch = <long*>call.steps.ptr
    for t in range(s.T):
        batch[t] = (<long*>sizes.ptr)[t]
        if batch[t] < 1 or (t > 0 and batch[t] > before):
            raise ValueError(f"{call.name}: batch_sizes must be positive and never rise, got "
                             f"{batch[t]} after {before} at step {t}")
        before = batch[t]
        batch[s.T + t] = total
        total += before
        if total > x.shape_[0]:
            break
    if total != x.shape_[0]:
        raise ValueError(f"{call.name}: batch_sizes of {s.T} steps do not add up to the "
                         f"{x.shape_[0]} rows of input of shape {shape_text(x)}")
    s.N, s.rows = batch[0] if s.T else 0, total
    s.batch, s.start = batch, batch + s.T
    return 0


cdef Tensor argument(Call call, object value, str name, tuple shape):
    """An argument that may be None, checked."""
    if value is None:
        return None
    cdef Tensor t = as_tensor(value, name)
    check_same_dtype(t, call.x, f"{call.name}: input and {name}")
    if t.shape != shape:
        raise ValueError(
            f"{call.name}: {name} must have shape {shape} for input of shape "
            f"{shape_text(call.x)} and {call.s.D} hidden units, got {shape_text(t)}")
    return t


cdef int set_hidden(Call call, Tensor w_hh, object w_hr) except -1:
    """D and P, by the first direction's weights."""
    cdef RnnShape* s = &call.s
    cdef Tensor projection = None if w_hr is None else as_tensor(w_hr, "weight_hr")
    cdef str hidden = "hidden" if projection is None else "projection"
    if (w_hh.ndim_ != 2 or w_hh.shape_[1] == 0 or w_hh.shape_[0] % s.gates
            or (projection is None and w_hh.shape_[0] != s.gates * w_hh.shape_[1])):
        raise ValueError(
            f"{call.name}: weight_hh must have shape ({s.gates} * hidden, {hidden}) "
            f"with hidden > 0, got {shape_text(w_hh)}")
    s.D, s.P = w_hh.shape_[0] // s.gates, w_hh.shape_[1]
    if projection is not None and s.P >= s.D:
        raise ValueError(f"{call.name}: a projection must be smaller than the {s.D} hidden "
                         f"units, got {s.P}")
    return 0


cdef int add_direction(Call call, tuple weights, str suffix) except -1:
    cdef RnnShape* s = &call.s
    cdef tuple shapes = ((s.gates * s.D, s.I), (s.gates * s.D, s.P), (s.gates * s.D,),
                         (s.gates * s.D,), (s.P, s.D), (3, s.D))
    cdef int i
    for i in range(WEIGHTS):
        value = weights[i] if i < len(weights) else None
        if i == W_IH or i == W_HH:
            as_tensor(value, NAMES[i] + suffix)
        call.weights.append(argument(call, value, NAMES[i] + suffix, shapes[i]))
    return 0


cdef Call checked_call(str name, object input, object h0, object c0, object weights,
                       bint batch_first, object batch_sizes, bint stacked):
    cdef Call call = Call.__new__(Call)
    cdef RnnShape* s = &call.s
    cdef Py_ssize_t[MAX_NDIM] largest
    cdef Tensor x = as_tensor(input, "input")
    cdef tuple first = weights[0]
    if name not in KINDS:
        raise ValueError(f"the kind of a recurrent layer is one of {', '.join(KINDS)}, got {name}")
    call.name, call.x, call.stacked, call.weights = name, x, stacked, []
    as_tensor(first[W_IH], "weight_ih")
    check_float(x, f"{name}: input")
    s.kind, s.dtype, s.directions = KINDS[name], x.dtype_, len(weights)
    s.gates = 4 if s.kind == RNN_LSTM else 3 if is_gru(s) else 1
    set_layout(call, x, batch_first, batch_sizes)
    s.I = x.shape_[x.ndim_ - 1]
    set_hidden(call, as_tensor(first[W_HH], "weight_hh"),
               first[W_HR] if len(first) > W_HR else None)
    s.peephole = len(first) > PEEPHOLE and first[PEEPHOLE] is not None
    add_direction(call, first, "")
    if s.directions == 2:
        add_direction(call, weights[1], "_reverse")
        if (call.weights[W_HR] is None) != (call.weights[WEIGHTS + W_HR] is None) or (
                (call.weights[PEEPHOLE] is None) != (call.weights[WEIGHTS + PEEPHOLE] is None)):
            raise ValueError(f"{name}: both directions must have weight_hr and peephole, or none")
    if s.T == 0:
        raise ValueError(f"{name}: input of shape {shape_text(x)} has no time step")
    call.h0 = argument(call, h0, "h0", call.state_shape(s.P))
    call.c0 = argument(call, c0, "c0", call.state_shape(s.D))
    set_shape(s)
    parse_shape((s.directions, max(kept_numbers(s), <long>0)), largest)
    return call
