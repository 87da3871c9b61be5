"""One step of an optimiser over all its parameters, in one parallel region.

The parameters with a gradient are gathered as raw pointers; a gradient or a state
that lies in memory in another order than its parameter is brought into that order
first, so that a kernel walks all of them as one line. Called by optim/*.py.
"""

from libc.math cimport sqrt
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from fastnn._core.checks cimport check_writable, shape_text
from fastnn._core.layout cimport contiguous
from fastnn._core.tensor cimport (
    Tensor, copy_into, dtype_of, is_dense, itemsize, new_like, same_shape,
)
from fastnn._kernels.optim cimport Update, adam_update, sgd_update

cdef enum:
    KEEP_GIL_BELOW = 100_000      # elements: some 50 us of work


cdef class Gathered:
    """The updates of one step, and what must stay alive until they are done."""
    cdef Update* updates
    cdef long count
    cdef long capacity
    cdef long elements
    cdef list changed             # parameters and states
    cdef list read                # gradients
    cdef list write_back          # pairs (parameter with gaps, its contiguous stand-in)

    def __cinit__(self):
        self.changed, self.read, self.write_back = [], [], []

    def __dealloc__(self):
        free(self.updates)

    cdef Update* add(self, Tensor parameter, Tensor x) except NULL:
        cdef Tensor dx
        cdef Update* update
        cdef Update* larger
        if self.count == self.capacity:
            larger = <Update*>realloc(self.updates, (2 * self.capacity + 16) * sizeof(Update))
            if larger == NULL:
                raise MemoryError("the list of parameter updates does not fit in memory")
            self.updates, self.capacity = larger, 2 * self.capacity + 16
        dx = in_order_of(x, gradient_of(parameter))
        if x is not parameter:
            self.write_back.append((parameter, x))
        self.changed.append(parameter)
        self.read.append((x, dx))
        update = &self.updates[self.count]
        memset(update, 0, sizeof(Update))
        update.x, update.dx, update.n, update.dtype = x.ptr, dx.ptr, x.size_, x.dtype_
        if x.size_ > 0:         # the driver knows no empty parameter; the next one takes the place
            self.count += 1
            self.elements += x.size_
        return update

    cdef void* state(self, dict entry, str name, Tensor x, bint zero) except? NULL:
        """The state tensor of this name, made when it is first asked for."""
        cdef Tensor found = entry.get(name), ordered
        if found is None:
            ordered = new_like(x, x.dtype_)
            if zero:
                memset(ordered.ptr, 0, ordered.size_ * itemsize(ordered.dtype_))
        else:
            if not same_shape(found, x) or found.dtype_ != x.dtype_:
                raise ValueError(f"the optimiser's {name} has shape {shape_text(found)} and dtype "
                                 f"{dtype_of(found.dtype_).name}, its parameter shape "
                                 f"{shape_text(x)} and dtype {dtype_of(x.dtype_).name}")
            ordered = in_order_of(x, found)
        if ordered is not found:
            entry[name] = ordered
        self.changed.append(ordered)
        return ordered.ptr

    cdef int finish(self) except -1:
        cdef Tensor parameter
        for parameter, x in self.write_back:
            copy_into(parameter, x)
        for parameter in self.changed:
            parameter.storage.version += 1
        return 0


cdef Tensor gradient_of(Tensor parameter):
    cdef Tensor gradient = parameter.grad_
    check_writable(parameter)
    if not same_shape(parameter, gradient) or parameter.dtype_ != gradient.dtype_:
        raise ValueError(f"a parameter of shape {shape_text(parameter)} and dtype "
                         f"{dtype_of(parameter.dtype_).name} has a gradient of shape "
                         f"{shape_text(gradient)} and dtype {dtype_of(gradient.dtype_).name}")
    return gradient


cdef Tensor in_order_of(Tensor x, Tensor other):
    """`other`, or a copy of it whose elements lie in memory as those of x, which has no gaps."""
    cdef Tensor copy
    cdef int d
    for d in range(x.ndim_):
        if x.shape_[d] != 1 and x.strides_[d] != other.strides_[d]:
            copy = new_like(x, x.dtype_)
            copy_into(copy, other)
            return copy
    return other


cdef dict entry_of(object state, Tensor parameter):
    """The state of one parameter; `state` is a dict or a subclass of it."""
    entry = (<dict>state).get(parameter)
    if entry is None:
        entry = state[parameter] = {}
    return entry


def sgd_step(list groups, state):
    """One step of stochastic gradient descent. See optim.SGD for the groups' options."""
    cdef Gathered gathered = Gathered()
    cdef Update* update
    cdef Tensor parameter, x
    cdef dict group, entry
    cdef double lr, momentum, damp, weight_decay, sign
    cdef bint nesterov
    for group in groups:
        lr, momentum, damp = group["lr"], group["momentum"], 1 - <double>group["dampening"]
        weight_decay, nesterov = group["weight_decay"], group["nesterov"]
        sign = -1 if group["maximize"] else 1
        for parameter in group["params"]:
            if parameter.grad_ is None:
                continue
            x = parameter if is_dense(parameter) else contiguous(parameter)
            update = gathered.add(parameter, x)
            update.sgd.lr, update.sgd.momentum, update.sgd.damp = lr, momentum, damp
            update.sgd.weight_decay, update.sgd.sign = weight_decay, sign
            update.sgd.nesterov = nesterov
            if momentum != 0:
                entry = entry_of(state, parameter)
                update.sgd.first = entry.get("momentum_buffer") is None
                update.state0 = gathered.state(entry, "momentum_buffer", x, False)
    if gathered.elements < KEEP_GIL_BELOW:
        sgd_update(gathered.updates, gathered.count)
    else:
        with nogil:
            sgd_update(gathered.updates, gathered.count)
    gathered.finish()


def adam_step(list groups, state):
    """One step of Adam, or of AdamW in groups with decoupled_weight_decay. See optim.Adam."""
    cdef Gathered gathered = Gathered()
    cdef Update* update
    cdef Tensor parameter, x
    cdef dict group, entry
    cdef double lr, beta1, beta2, eps, weight_decay, sign, count
    cdef bint amsgrad, decoupled
    for group in groups:
        lr, eps, weight_decay = group["lr"], group["eps"], group["weight_decay"]
        beta1, beta2 = group["betas"]
        sign = -1 if group["maximize"] else 1
        amsgrad, decoupled = group["amsgrad"], group["decoupled_weight_decay"]
        for parameter in group["params"]:
            if parameter.grad_ is None:
                continue
            x = parameter if is_dense(parameter) else contiguous(parameter)
            update = gathered.add(parameter, x)
            entry = entry_of(state, parameter)
            count = entry.get("step", 0.0) + 1.0
            entry["step"] = count
            update.adam.sign, update.adam.eps = sign, eps
            update.adam.weight_decay = 0 if decoupled else weight_decay
            update.adam.shrink = 1 - lr * weight_decay if decoupled else 1
            update.adam.m_gain, update.adam.v_gain, update.adam.beta2 = 1 - beta1, 1 - beta2, beta2
            update.adam.step = lr / (1 - beta1 ** count)
            update.adam.root = 1 / sqrt(1 - beta2 ** count)
            update.state0 = gathered.state(entry, "exp_avg", x, True)
            update.state1 = gathered.state(entry, "exp_avg_sq", x, True)
            if amsgrad:
                update.state2 = gathered.state(entry, "max_exp_avg_sq", x, True)
    if gathered.elements < KEEP_GIL_BELOW:
        adam_update(gathered.updates, gathered.count)
    else:
        with nogil:
            adam_update(gathered.updates, gathered.count)
    gathered.finish()
