"""One step of an optimiser over all its parameters, in one parallel region.

The parameters with a gradient are gathered as raw pointers; a gradient or a state
that lies in memory in another order than its parameter is brought into that order
first, so that a kernel walks all of them as one line. Of a sparse gradient it walks
the rows held. The formulas stand in csrc/kernels/optim.h. Called by optim/*.py.
"""

from libc.math cimport sqrt
from libc.stdint cimport int64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from fastnn._core.checks cimport check_writable, shape_text
from fastnn._core.layout cimport contiguous
from fastnn._core.sparse cimport SparseRows, add_sparse
from fastnn._core.tensor cimport (
    Tensor, copy_into, dtype_of, is_contiguous, is_dense, new_like, same_shape,
)
from fastnn._kernels.optim cimport Update, optim_update
from fastnn._kernels.runtime cimport (
    OPTIM_ADADELTA, OPTIM_ADAGRAD, OPTIM_ADAM, OPTIM_ADAMAX, OPTIM_ASGD, OPTIM_RMSPROP,
    OPTIM_RPROP, OPTIM_SGD, optim_rule,
)

cdef enum:
    KEEP_GIL_BELOW = 100_000      # elements: some 50 us of work


cdef class Gathered:
    """The updates of one step, and what must stay alive until they are done."""
    cdef int kind
    cdef object state             # of the optimiser: a dict or a subclass of it
    cdef Update* updates
    cdef long count
    cdef long capacity
    cdef long elements
    cdef list changed             # parameters and states
    cdef list read                # gradients
    cdef list write_back          # pairs (parameter with gaps, its contiguous stand-in)
    cdef optim_rule rule          # of the group at hand
    cdef Tensor parameter         # the one at hand
    cdef Tensor x                 # it, or its contiguous stand-in
    cdef dict entry               # its state

    def __cinit__(self, int kind, state):
        self.kind, self.state = kind, state
        self.changed, self.read, self.write_back = [], [], []

    def __dealloc__(self):
        free(self.updates)

    cdef int begin(self, dict group) except -1:
        """Take over the options that all optimisers have."""
        memset(&self.rule, 0, sizeof(optim_rule))
        self.rule.sign = -1 if group["maximize"] else 1
        self.rule.weight_decay = group.get("weight_decay", 0.0)
        self.rule.step = group["lr"]
        self.rule.eps = group.get("eps", 0.0)
        self.rule.shrink = self.rule.root = 1
        return 0

    cdef int means(self, dict group) except -1:
        """Take over `betas`, and weight decay that is decoupled from the gradient."""
        self.rule.decay1, self.rule.decay2 = group["betas"]
        self.rule.gain1, self.rule.gain2 = 1 - self.rule.decay1, 1 - self.rule.decay2
        if group.get("decoupled_weight_decay", False):
            self.rule.shrink = 1 - self.rule.step * self.rule.weight_decay
            self.rule.weight_decay = 0
        return 0

    cdef Update* add(self, Tensor parameter, object gradient) except NULL:
        """The update of a parameter with a gradient, by the rule of the group at hand."""
        cdef bint sparse = type(gradient) is SparseRows
        cdef Tensor dx = (<SparseRows>gradient).rows if sparse else <Tensor>gradient
        cdef Update* update
        cdef Update* larger
        cdef Tensor x = parameter
        if self.count == self.capacity:
            larger = <Update*>realloc(self.updates, (2 * self.capacity + 16) * sizeof(Update))
            if larger == NULL:
                raise MemoryError("the list of parameter updates does not fit in memory")
            self.updates, self.capacity = larger, 2 * self.capacity + 16
        check_writable(parameter)
        check_gradient(parameter, gradient, dx)
        if not (is_contiguous(x) if sparse else is_dense(x)):
            x = contiguous(x)
            self.write_back.append((parameter, x))
        if not sparse:
            dx = in_order_of(x, dx)
        self.changed.append(parameter)
        self.read.append((x, gradient, dx))
        self.parameter, self.x = parameter, x
        update = &self.updates[self.count]
        memset(update, 0, sizeof(Update))
        update.x, update.dx, update.n, update.dtype = x.ptr, dx.ptr, dx.size_, x.dtype_
        update.rule = self.rule
        if sparse:
            update.rows, update.row = <int64_t*>(<SparseRows>gradient).index.ptr, dx.shape_[1]
        if dx.size_ > 0:        # the driver knows no empty update; the next one takes the place
            self.count += 1
            self.elements += dx.size_
        return update

    cdef double next_step(self) except -1:
        """Look up the state of the parameter at hand, and count a step in it."""
        cdef double count
        self.entry = entry_of(self.state, self.parameter)
        count = self.entry.get("step", 0.0) + 1.0
        self.entry["step"] = count
        return count

    cdef void* state_of(self, str name, double start) except? NULL:
        """The state tensor of this name, made and filled when it is first asked for."""
        cdef Tensor x = self.x, found = self.entry.get(name), ordered
        if found is None:
            ordered = new_like(x, x.dtype_)
            ordered.fill_(start)
        else:
            if not same_shape(found, x) or found.dtype_ != x.dtype_:
                raise ValueError(f"the optimiser's {name} has shape {shape_text(found)} and dtype "
                                 f"{dtype_of(found.dtype_).name}, its parameter shape "
                                 f"{shape_text(x)} and dtype {dtype_of(x.dtype_).name}")
            ordered = in_order_of(x, found)
        if ordered is not found:
            self.entry[name] = ordered
        self.changed.append(ordered)
        return ordered.ptr

    cdef int moments(self, Update* update) except -1:
        """The running means of the gradient and of its square."""
        update.state[0] = self.state_of("exp_avg", 0)
        update.state[1] = self.state_of("exp_avg_sq", 0)
        return 0

    cdef int run(self) except -1:
        cdef Tensor parameter
        if self.elements < KEEP_GIL_BELOW:
            optim_update(self.kind, self.updates, self.count)
        else:
            with nogil:
                optim_update(self.kind, self.updates, self.count)
        for parameter, x in self.write_back:
            copy_into(parameter, x)
        for parameter in self.changed:
            parameter.storage.version += 1
        return 0


cdef dict entry_of(object state, Tensor parameter):
    """The state of one parameter; `state` is a dict or a subclass of it."""
    entry = (<dict>state).get(parameter)
    if entry is None:
        entry = state[parameter] = {}
    return entry


cdef int check_gradient(Tensor parameter, object gradient, Tensor dx) except -1:
    if gradient is dx and same_shape(parameter, dx) and parameter.dtype_ == dx.dtype_:
        return 0
    if parameter.shape != gradient.shape or parameter.dtype_ != dx.dtype_:
        raise ValueError(f"a parameter of shape {shape_text(parameter)} and dtype "
                         f"{dtype_of(parameter.dtype_).name} has a gradient of shape "
                         f"{gradient.shape} and dtype {dtype_of(dx.dtype_).name}")
    return 0


cdef Tensor dense_gradient(Tensor parameter, str optimiser):
    if type(parameter.grad_) is SparseRows:
        raise RuntimeError(f"{optimiser} does not support sparse gradients (a parameter of shape "
                           f"{shape_text(parameter)} has one): use SparseAdam, Adagrad or SGD")
    return parameter.grad_


cdef int refuse_decay(double weight_decay) except -1:
    if weight_decay != 0:
        raise RuntimeError("weight_decay is not compatible with sparse gradients: it would change "
                           f"every row, got weight_decay={weight_decay}")
    return 0


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


# --- gradient descent ---------------------------------------------------------

cdef SparseRows sparse_momentum(dict entry, SparseRows gradient, const optim_rule* rule):
    """The momentum buffer takes in a sparse gradient, and holds the rows met so far; returns
    the direction to go."""
    cdef SparseRows buf = entry.get("momentum_buffer")
    if buf is None:
        buf = gradient.clone().mul_(rule.sign)
    elif buf.shape != gradient.shape or buf.dtype is not gradient.dtype:
        raise ValueError(f"the optimiser's momentum_buffer has shape {buf.shape} and dtype "
                         f"{buf.dtype.name}, the gradient shape {gradient.shape} and dtype "
                         f"{gradient.dtype.name}")
    else:
        buf = add_sparse(buf, rule.decay1, gradient, rule.gain1 * rule.sign)
    entry["momentum_buffer"] = buf
    return add_sparse(buf, rule.decay1, gradient, rule.sign) if rule.nesterov else buf


def sgd_step(list groups, state):
    """One step of stochastic gradient descent. See optim.SGD for the groups' options."""
    cdef Gathered all = Gathered(OPTIM_SGD, state)
    cdef Update* update
    cdef Tensor parameter
    cdef dict group, entry
    cdef double momentum
    for group in groups:
        all.begin(group)
        momentum = all.rule.decay1 = group["momentum"]
        all.rule.gain1, all.rule.nesterov = 1 - <double>group["dampening"], group["nesterov"]
        for parameter in group["params"]:
            gradient = parameter.grad_
            if gradient is None:
                continue
            if type(gradient) is SparseRows:
                refuse_decay(all.rule.weight_decay)
            if momentum == 0:
                all.add(parameter, gradient)
                continue
            entry = entry_of(state, parameter)
            buffer = entry.get("momentum_buffer")
            if type(gradient) is SparseRows and not isinstance(buffer, Tensor):
                update = all.add(parameter, sparse_momentum(entry, gradient, &all.rule))
                update.rule.sign = 1
                continue
            # where one of the two is dense, so is the other from now on
            if type(gradient) is SparseRows:
                gradient = gradient.to_dense()
            if type(buffer) is SparseRows:
                entry["momentum_buffer"] = buffer.to_dense()
            update = all.add(parameter, gradient)
            all.entry = entry
            update.rule.first = buffer is None
            update.state[0] = all.state_of("momentum_buffer", 0)
    all.run()


def asgd_step(list groups, state):
    """One step of averaged stochastic gradient descent. See optim.ASGD."""
    cdef Gathered all = Gathered(OPTIM_ASGD, state)
    cdef Update* update
    cdef Tensor parameter
    cdef dict group
    cdef double lr, lambd, alpha, t0, eta, count
    for group in groups:
        all.begin(group)
        lr, lambd, alpha, t0 = group["lr"], group["lambd"], group["alpha"], group["t0"]
        for parameter in group["params"]:
            if parameter.grad_ is None:
                continue
            update = all.add(parameter, dense_gradient(parameter, "ASGD"))
            count = all.next_step()
            eta, update.rule.gain1 = all.entry.get("eta", lr), all.entry.get("mu", 1.0)
            update.rule.step, update.rule.shrink = eta, 1 - lambd * eta
            update.rule.plain = update.rule.gain1 == 1
            all.entry["eta"] = lr / (1 + lambd * lr * count) ** alpha
            all.entry["mu"] = 1 / max(1.0, count - t0)
            update.state[0] = all.state_of("ax", 0)
    all.run()


def rprop_step(list groups, state):
    """One step of resilient backpropagation. See optim.Rprop."""
    cdef Gathered all = Gathered(OPTIM_RPROP, state)
    cdef Update* update
    cdef Tensor parameter
    cdef dict group
    for group in groups:
        all.begin(group)
        all.rule.decay1, all.rule.gain1 = group["etas"]
        all.rule.low, all.rule.high = group["step_sizes"]
        for parameter in group["params"]:
            if parameter.grad_ is None:
                continue
            update = all.add(parameter, dense_gradient(parameter, "Rprop"))
            all.next_step()
            update.state[0] = all.state_of("prev", 0)
            update.state[1] = all.state_of("step_size", all.rule.step)
    all.run()


# --- running means of the gradient and of its square ---------------------------

def adam_step(list groups, state):
    """One step of Adam, or of AdamW in groups with decoupled_weight_decay. See optim.Adam."""
    cdef Gathered all = Gathered(OPTIM_ADAM, state)
    cdef Update* update
    cdef Tensor parameter
    cdef dict group
    cdef double count
    cdef bint amsgrad
    for group in groups:
        all.begin(group)
        all.means(group)
        amsgrad = group["amsgrad"]
        for parameter in group["params"]:
            if parameter.grad_ is None:
                continue
            update = all.add(parameter, dense_gradient(parameter, "Adam"))
            count = all.next_step()
            update.rule.step /= 1 - all.rule.decay1 ** count
            update.rule.root = 1 / sqrt(1 - all.rule.decay2 ** count)
            all.moments(update)
            if amsgrad:
                update.state[2] = all.state_of("max_exp_avg_sq", 0)
    all.run()


def sparse_adam_step(list groups, state):
    """One step of Adam in the rows that the gradients hold. See optim.SparseAdam."""
    cdef Gathered all = Gathered(OPTIM_ADAM, state)
    cdef Update* update
    cdef Tensor parameter
    cdef dict group
    cdef double count
    for group in groups:
        all.begin(group)
        all.means(group)
        for parameter in group["params"]:
            if parameter.grad_ is None:
                continue
            if type(parameter.grad_) is not SparseRows:
                raise RuntimeError("SparseAdam does not support dense gradients (a parameter of "
                                   f"shape {shape_text(parameter)} has one): use Adam")
            update = all.add(parameter, parameter.grad_)
            count = all.next_step()
            update.rule.step *= sqrt(1 - all.rule.decay2 ** count) / (1 - all.rule.decay1 ** count)
            all.moments(update)
    all.run()


def nadam_step(list groups, state):
    """One step of Adam with Nesterov's momentum. See optim.NAdam."""
    cdef Gathered all = Gathered(OPTIM_ADAM, state)
    cdef Update* update
    cdef Tensor parameter
    cdef dict group
    cdef double count, decay, mu, mu_next, product, lr
    for group in groups:
        all.begin(group)
        all.means(group)
        lr, decay = group["lr"], group["momentum_decay"]
        for parameter in group["params"]:
            if parameter.grad_ is None:
                continue
            update = all.add(parameter, dense_gradient(parameter, "NAdam"))
            count = all.next_step()
            mu = all.rule.decay1 * (1 - 0.5 * 0.96 ** (count * decay))
            mu_next = all.rule.decay1 * (1 - 0.5 * 0.96 ** ((count + 1) * decay))
            product = all.entry.get("mu_product", 1.0) * mu
            all.entry["mu_product"] = product
            update.rule.ahead = lr * (1 - mu) / (1 - product)
            update.rule.step = lr * mu_next / (1 - product * mu_next)
            update.rule.root = 1 / sqrt(1 - all.rule.decay2 ** count)
            all.moments(update)
    all.run()


def radam_step(list groups, state):
    """One step of rectified Adam. See optim.RAdam."""
    cdef Gathered all = Gathered(OPTIM_ADAM, state)
    cdef Update* update
    cdef Tensor parameter
    cdef dict group
    cdef double count, correction, longest, length
    for group in groups:
        all.begin(group)
        all.means(group)
        longest = 2 / (1 - all.rule.decay2) - 1
        for parameter in group["params"]:
            if parameter.grad_ is None:
                continue
            update = all.add(parameter, dense_gradient(parameter, "RAdam"))
            count = all.next_step()
            correction = 1 - all.rule.decay2 ** count
            length = longest - 2 * count * (1 - correction) / correction
            update.rule.step /= 1 - all.rule.decay1 ** count
            update.rule.plain = length <= 5
            if length > 5:
                update.rule.step *= sqrt(correction * (length - 4) * (length - 2) * longest
                                         / ((longest - 4) * (longest - 2) * length))
            all.moments(update)
    all.run()


def adamax_step(list groups, state):
    """One step of Adam with the largest gradient in place of the mean square. See optim.Adamax."""
    cdef Gathered all = Gathered(OPTIM_ADAMAX, state)
    cdef Update* update
    cdef Tensor parameter
    cdef dict group
    for group in groups:
        all.begin(group)
        all.means(group)
        for parameter in group["params"]:
            if parameter.grad_ is None:
                continue
            update = all.add(parameter, dense_gradient(parameter, "Adamax"))
            update.rule.step /= 1 - all.rule.decay1 ** all.next_step()
            update.state[0] = all.state_of("exp_avg", 0)
            update.state[1] = all.state_of("exp_inf", 0)
    all.run()


# --- steps divided by the size of the gradients so far --------------------------

def rmsprop_step(list groups, state):
    """One step of RMSprop. See optim.RMSprop."""
    cdef Gathered all = Gathered(OPTIM_RMSPROP, state)
    cdef Update* update
    cdef Tensor parameter
    cdef dict group
    cdef bint centered
    for group in groups:
        all.begin(group)
        all.rule.decay2, all.rule.decay1 = group["alpha"], group["momentum"]
        all.rule.gain2, centered = 1 - all.rule.decay2, group["centered"]
        for parameter in group["params"]:
            if parameter.grad_ is None:
                continue
            update = all.add(parameter, dense_gradient(parameter, "RMSprop"))
            all.next_step()
            update.state[0] = all.state_of("square_avg", 0)
            if centered:
                update.state[1] = all.state_of("grad_avg", 0)
            if all.rule.decay1 > 0:
                update.state[2] = all.state_of("momentum_buffer", 0)
    all.run()


def adagrad_step(list groups, state):
    """One step of Adagrad. See optim.Adagrad."""
    cdef Gathered all = Gathered(OPTIM_ADAGRAD, state)
    cdef Update* update
    cdef Tensor parameter
    cdef dict group
    cdef double lr_decay, start
    for group in groups:
        all.begin(group)
        lr_decay, start = group["lr_decay"], group["initial_accumulator_value"]
        for parameter in group["params"]:
            if parameter.grad_ is None:
                continue
            if type(parameter.grad_) is SparseRows:
                refuse_decay(all.rule.weight_decay)
            update = all.add(parameter, parameter.grad_)
            update.rule.step /= 1 + (all.next_step() - 1) * lr_decay
            update.state[0] = all.state_of("sum", start)
    all.run()


def adadelta_step(list groups, state):
    """One step of Adadelta. See optim.Adadelta."""
    cdef Gathered all = Gathered(OPTIM_ADADELTA, state)
    cdef Update* update
    cdef Tensor parameter
    cdef dict group
    for group in groups:
        all.begin(group)
        all.rule.decay2 = group["rho"]
        all.rule.gain2 = 1 - all.rule.decay2
        for parameter in group["params"]:
            if parameter.grad_ is None:
                continue
            update = all.add(parameter, dense_gradient(parameter, "Adadelta"))
            all.next_step()
            update.state[0] = all.state_of("square_avg", 0)
            update.state[1] = all.state_of("acc_delta", 0)
    all.run()
