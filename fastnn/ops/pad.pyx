"""Padding: constant, reflect, replicate, circular.

The interior is copied, then each padded dimension in turn is completed from what stands
in the result already, two slabs at a time, so that corners need no code of their own.
Backward goes the same way back: a slab of dy is added to the place it came from.
"""

from fastnn._core.autograd cimport Node, attach, edge, give, needs_graph, new_node
from fastnn._core.checks cimport check_float, shape_text
from fastnn._core.layout cimport new_in_order
from fastnn._core.tensor cimport MAX_NDIM, Tensor, as_tensor, copy_into
from fastnn._kernels.reduce cimport REDUCE_SUM
from fastnn.ops.broadcast cimport add_into
from fastnn.ops.creation cimport fill_with
from fastnn.ops.part cimport Part, part_of, part_step, part_view, whole
from fastnn.ops.reduce cimport reduce_dims

from fastnn.ops.registry import op

cdef double MAX_ELEMENTS = 2.0**40

cdef dict MODES = {
    "constant": CONSTANT, "reflect": REFLECT, "replicate": REPLICATE, "circular": CIRCULAR,
}

# `length` indices from `to` on have the values of those from `origin` on, in steps of `step`
cdef struct Slab:
    Py_ssize_t to, origin, step, length


# --- arguments --------------------------------------------------------------------

cdef Mode parse_mode(Tensor x, object mode, object value, int dims) except *:
    if mode not in MODES:
        raise ValueError("pad: mode must be 'constant', 'reflect', 'replicate' or 'circular', "
                         f"got {mode!r}")
    if mode == "constant":
        if dims > x.ndim_:
            raise ValueError(f"pad: {dims} dimensions to pad, but input has shape {shape_text(x)}")
        return CONSTANT
    if value is not None and value != 0:
        raise ValueError(f"pad: mode {mode!r} takes no value, got {value!r}")
    if not 1 <= dims <= 3 or x.ndim_ not in (dims + 1, dims + 2):
        raise ValueError(f"pad: mode {mode!r} pads the last 1, 2 or 3 dimensions of an input of "
                         f"one or two more, got {dims} for shape {shape_text(x)}")
    check_float(x, "pad: input")
    return MODES[mode]


cdef int parse_padding(Padding* p, Tensor x, object pad, Mode mode) except -1:
    cdef Py_ssize_t size
    cdef double elements = 1
    cdef int d, k, dims = len(pad) // 2
    for d in range(x.ndim_):
        p.before[d] = p.after[d] = 0
        elements *= x.shape_[d] if d < x.ndim_ - dims else 1
    for k in range(dims):
        d = x.ndim_ - 1 - k
        p.before[d], p.after[d] = pad[2 * k].__index__(), pad[2 * k + 1].__index__()
        size = x.shape_[d]
        elements *= <double>size + p.before[d] + p.after[d]
        if <double>min(p.before[d], <Py_ssize_t>0) + min(p.after[d], <Py_ssize_t>0) + size < 0:
            raise ValueError(f"pad: {pad!r} takes more than there is of shape {shape_text(x)}")
        if mode == REFLECT and max(p.before[d], p.after[d]) >= size:
            raise ValueError(f"pad: mode 'reflect' needs padding smaller than the dimension, got "
                             f"{pad!r} for shape {shape_text(x)}")
        if mode == CIRCULAR and max(p.before[d], p.after[d]) > size:
            raise ValueError("pad: mode 'circular' needs padding no larger than the dimension, "
                             f"got {pad!r} for shape {shape_text(x)}")
        if mode == REPLICATE and size == 0 and max(p.before[d], p.after[d]) > 0:
            raise ValueError(f"pad: nothing to replicate in shape {shape_text(x)}")
    if elements > MAX_ELEMENTS:
        raise ValueError(f"pad: shape {shape_text(x)} padded by {pad!r} is too large")
    return 0


# --- slabs --------------------------------------------------------------------------

cdef Slab slab_of(const Padding* p, Py_ssize_t size, int d, Mode mode, bint behind) noexcept:
    """The slab before or behind dimension d, which had `size` elements."""
    cdef Slab slab
    cdef Py_ssize_t first = p.before[d], end = first + size
    slab.to = end if behind else 0
    slab.length = p.after[d] if behind else first
    slab.origin = slab.step = 0
    if mode == REFLECT:
        slab.origin, slab.step = (end - 2 if behind else 2 * first), -1
    elif mode == REPLICATE:
        slab.origin = end - 1 if behind else first
    elif mode == CIRCULAR:
        slab.origin, slab.step = (first if behind else size), 1
    return slab


cdef Part padded_up_to(Tensor y, const Padding* p, int d) noexcept:
    """The part of y that is complete while dimension d is padded: all of the dimensions behind
    it, the interior of those before."""
    cdef Part part = whole(y)
    cdef int k
    for k in range(d):
        part_step(&part, k, p.before[k], 1, y.shape_[k] - p.before[k] - p.after[k])
    return part


cdef Tensor stretch(Tensor y, Part part, int d, Py_ssize_t start, Py_ssize_t step,
                    Py_ssize_t length):
    part_step(&part, d, start, step, length)
    return part_of(y, &part)


cdef Tensor padded(Tensor x, const Padding* p, Mode mode, object value):
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef Tensor y, to
    cdef Part part
    cdef Slab slab
    cdef int d, behind
    for d in range(x.ndim_):
        shape[d] = x.shape_[d] + p.before[d] + p.after[d]
    y = new_in_order(x, shape)
    part = padded_up_to(y, p, x.ndim_)
    copy_into(part_of(y, &part), x)
    for d in range(x.ndim_ - 1, -1, -1):
        part = padded_up_to(y, p, d)
        for behind in range(2):
            slab = slab_of(p, x.shape_[d], d, mode, behind)
            if slab.length == 0:
                continue
            to = stretch(y, part, d, slab.to, 1, slab.length)
            if mode == CONSTANT:
                fill_with(to, value)
            else:
                copy_into(to, stretch(y, part, d, slab.origin, slab.step, slab.length))
    return y


cdef int add_slab(Tensor dy, const Part* part, int d, Slab slab) except -1:
    cdef Tensor gradient = stretch(dy, part[0], d, slab.to, 1, slab.length)
    if slab.step == 0:
        slab.length = 1
        gradient = reduce_dims(REDUCE_SUM, gradient, 1u << d, True)
    elif slab.step < 0:
        slab.origin -= slab.length - 1
        gradient = stretch(dy, part[0], d, slab.to + slab.length - 1, -1, slab.length)
    return add_into(stretch(dy, part[0], d, slab.origin, 1, slab.length), gradient)


cdef Tensor folded(Tensor dy, const Padding* p, Mode mode):
    cdef Part part
    cdef Slab slab
    cdef Tensor sums = dy
    cdef int d, behind
    if mode != CONSTANT:
        sums = new_in_order(dy, dy.shape_)
        copy_into(sums, dy)
        for d in range(dy.ndim_):
            part = padded_up_to(sums, p, d)
            for behind in range(2):
                slab = slab_of(p, dy.shape_[d] - p.before[d] - p.after[d], d, mode, behind)
                if slab.length > 0:
                    add_slab(sums, &part, d, slab)
    part = padded_up_to(sums, p, dy.ndim_)
    return part_of(sums, &part)


# --- forward and backward -----------------------------------------------------------

cdef Tensor record_padded(Tensor x, Padding p, Mode mode, object value):
    cdef Tensor y = padded(x, &p, mode, value)
    cdef Node node
    if needs_graph(x):
        node = new_node(pad_backward, "pad")
        node.input0 = edge(x)
        node.i[0] = mode
        node.extra = (<const char*>&p)[:sizeof(p)]
        attach(y, node)
    return y


cdef int pad_backward(Node node, Tensor dy) except -1:
    cdef const char* p = node.extra
    if node.input0 is not None:
        give(node.input0, folded(dy, <const Padding*>p, <Mode>node.i[0]))
    return 0


cdef Tensor cropped(Tensor x, const Padding* p):
    """A view without what the negative entries of p take away."""
    cdef Part part = whole(x)
    cdef Py_ssize_t before, after
    cdef int d
    for d in range(x.ndim_):
        before, after = max(-p.before[d], <Py_ssize_t>0), max(-p.after[d], <Py_ssize_t>0)
        if before or after:
            part_step(&part, d, before, 1, x.shape_[d] - before - after)
    return part_view(x, &part, "pad")


def pad(input, pad, mode="constant", value=None):
    """input with more elements around it.

    pad: how many before and after the last dimension, then the one before it, and so on;
    negative to take some away. mode: "constant" (value, 0 unless given), "reflect" (mirrored at
    the outermost elements), "replicate" (the outermost elements again) or "circular" (from the
    other end); these three for the last 1, 2 or 3 dimensions of (N, C, ...) or (C, ...).
    ValueError where pad does not fit the shape.

    >>> pad(fastnn.arange(1.0, 4.0), (1, 2)).tolist()
    [0.0, 1.0, 2.0, 3.0, 0.0, 0.0]
    """
    cdef Tensor x = as_tensor(input, "pad: input")
    cdef Padding p, growth
    cdef Mode kind
    cdef bint crops = False
    cdef int d
    if (not isinstance(pad, (tuple, list)) or len(pad) % 2 != 0
            or not all([hasattr(n, "__index__") for n in pad])):
        raise TypeError(f"pad: pad must be an even number of ints, got {pad!r}")
    kind = parse_mode(x, mode, value, len(pad) // 2)
    parse_padding(&p, x, pad, kind)
    for d in range(x.ndim_):
        growth.before[d] = max(p.before[d], <Py_ssize_t>0)
        growth.after[d] = max(p.after[d], <Py_ssize_t>0)
        crops = crops or p.before[d] < 0 or p.after[d] < 0
    if crops and kind in (CONSTANT, CIRCULAR):
        x, crops = cropped(x, &p), False
    x = record_padded(x, growth, kind, 0 if value is None else value)
    return cropped(x, &p).clone() if crops else x


OPS = [op("pad", pad, cases="pad", public=False)]
