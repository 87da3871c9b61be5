"""Padding: constant, reflect, replicate, circular.

The result has the memory order of the input, and is written in one pass over it, as is the
gradient; the gradient of a constant padding is a part of dy.
"""

from fastnn._core.autograd cimport Node, attach, edge, give, needs_graph, new_node
from fastnn._core.checks cimport check_float, shape_text
from fastnn._core.layout cimport cast, new_in_order
from fastnn._core.storage cimport scratch_give, scratch_take
from fastnn._core.tensor cimport (
    INT32, MAX_NDIM, Tensor, as_tensor, copy_into, itemsize, new_tensor,
)
from fastnn._kernels.pad cimport (
    CIRCULAR, CONSTANT, REFLECT, REPLICATE, PadAxis, PadPlan, pad_backward as pad_folded,
    pad_forward, pad_plan, pad_scratch_bytes, pad_tables,
)
from fastnn.ops.creation cimport fill_with
from fastnn.ops.part cimport Part, part_of, part_step, part_view, whole

from fastnn.ops.registry import op

cdef double MAX_ELEMENTS = 2.0**40

cdef dict MODES = {
    "constant": CONSTANT, "reflect": REFLECT, "replicate": REPLICATE, "circular": CIRCULAR,
}


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


# --- layout ---------------------------------------------------------------------------

cdef int fill_axes(PadAxis* axes, Tensor result, Tensor read, const Py_ssize_t* sizes,
                   const Padding* p) except -1:
    """The dimensions by the result's falling stride."""
    cdef int d, k
    for d in range(result.ndim_):
        k = d
        while k > 0 and result.strides_[<int>axes[k - 1].step] < result.strides_[d]:
            axes[k].step = axes[k - 1].step
            k -= 1
        axes[k].step = d
    for k in range(result.ndim_):
        d = <int>axes[k].step
        axes[k].size, axes[k].before, axes[k].after = sizes[d], p.before[d], p.after[d]
        axes[k].step = read.strides_[d]
    return 0


cdef bint innermost_is_whole(const PadAxis* axes, int count) noexcept:
    """Whether the last axis that has several positions is read one number after the other."""
    cdef int k
    for k in range(count - 1, -1, -1):
        if axes[k].size > 1:
            return axes[k].step == 1
    return True


cdef Tensor plan_for(PadPlan* plan, Tensor result, Tensor read, const Py_ssize_t* sizes,
                     const Padding* p):
    """The plan, and `read` or a copy of it that the plan can read; sizes: without padding."""
    cdef PadAxis[MAX_NDIM] axes
    cdef Tensor copy
    fill_axes(axes, result, read, sizes, p)
    if not innermost_is_whole(axes, result.ndim_):
        copy = new_in_order(result, read.shape_)
        copy_into(copy, read)
        read = copy
        fill_axes(axes, result, read, sizes, p)
    plan[0] = pad_plan(axes, result.ndim_)
    return read


cdef Tensor padded(Tensor x, const Padding* p, Mode mode, object value):
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef Tensor y, constant
    cdef PadPlan plan
    cdef size_t nbytes
    cdef char* scratch
    cdef const char* number = NULL
    cdef int d
    if itemsize(x.dtype_) == 1:
        return cast(padded(cast(x, INT32), p, mode, value), x.dtype_)
    for d in range(x.ndim_):
        shape[d] = x.shape_[d] + p.before[d] + p.after[d]
    y = new_in_order(x, shape)
    if mode == CONSTANT:
        constant = new_tensor(x.dtype_, 0, NULL)
        fill_with(constant, value)
        number = constant.ptr
    if y.size_ > 0:
        x = plan_for(&plan, y, x, x.shape_, p)
        nbytes = pad_scratch_bytes(&plan)
        scratch = <char*>scratch_take(nbytes)
        with nogil:
            pad_tables(&plan, mode, scratch)
            pad_forward(&plan, x.dtype_, x.ptr, number, y.ptr)
        scratch_give(scratch, nbytes)
    return y


cdef Tensor folded(Tensor dy, const Padding* p, Mode mode):
    cdef Part part
    cdef PadPlan plan
    cdef Tensor dx
    cdef size_t nbytes
    cdef char* scratch
    cdef int d
    part = whole(dy)
    for d in range(dy.ndim_):
        part_step(&part, d, p.before[d], 1, dy.shape_[d] - p.before[d] - p.after[d])
    if mode == CONSTANT:
        return part_of(dy, &part)
    dx = new_in_order(dy, part.shape)
    if dx.size_ > 0:
        dy = plan_for(&plan, dx, dy, dx.shape_, p)
        nbytes = pad_scratch_bytes(&plan)
        scratch = <char*>scratch_take(nbytes)
        with nogil:
            pad_tables(&plan, mode, scratch)
            pad_folded(&plan, dx.dtype_, dy.ptr, dx.ptr)
        scratch_give(scratch, nbytes)
    return dx


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
