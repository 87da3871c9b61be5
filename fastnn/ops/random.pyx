"""Random tensors.

A generator is a seed and the number of calls so far; each call draws from a stream of
its own (see csrc/kernels/random.h), whatever the threads. All state stands in the
generators below.
"""

import os

from libc.stdint cimport int64_t, uint64_t

from fastnn._core.autograd cimport begin_inplace
from fastnn._core.checks cimport check_float
from fastnn._core.layout cimport cast, contiguous
from fastnn._core.tensor cimport (
    BOOL, FLOAT32, INT32, INT64, MAX_NDIM, UINT8, Tensor, as_tensor, copy_into, dtype_code,
    is_dense, new_like, new_tensor,
)
from fastnn._kernels.random cimport (
    random_bernoulli, random_integers, random_normal, random_permutation, random_uniform,
)
from fastnn.ops.creation cimport check_device, fill_with, size_arguments
from fastnn.ops.registry import op


# --- generators -----------------------------------------------------------------

cdef class Generator:
    """A source of random numbers with a state of its own.

    >>> g = fastnn.Generator().manual_seed(7)
    >>> fastnn.rand(2, 3, generator=g).shape
    (2, 3)
    """
    cdef random_stream stream

    def __init__(self, device=None):
        check_device(device)
        self.seed()

    def manual_seed(self, seed):
        """Start over from seed, an int of 64 bits; returns the generator."""
        if isinstance(seed, bool) or not hasattr(seed, "__index__"):
            raise TypeError(f"a seed is an int, got {type(seed).__name__}")
        value = seed.__index__()
        if not -1 << 63 <= value < 1 << 64:
            raise ValueError(f"a seed has 64 bits, got {value}")
        self.stream.seed = <uint64_t>(value % (1 << 64))
        self.stream.call = 0
        return self

    def seed(self):
        """Start over from a seed that the system makes up; returns the seed."""
        self.manual_seed(int.from_bytes(os.urandom(8), "little") >> 1)
        return self.initial_seed()

    def initial_seed(self):
        """The seed started from."""
        return self.stream.seed

    def get_state(self):
        """Where the generator stands: two int64, its seed and the number of calls so far."""
        cdef Py_ssize_t length = 2
        cdef Tensor state = new_tensor(INT64, 1, &length)
        (<uint64_t*>state.ptr)[0] = self.stream.seed
        (<uint64_t*>state.ptr)[1] = self.stream.call
        return state

    def set_state(self, new_state):
        """Go back to where get_state() was called."""
        cdef Tensor state = as_tensor(new_state, "new_state")
        if state.dtype_ != INT64 or state.ndim_ != 1 or state.size_ != 2:
            raise ValueError(f"a generator's state is two int64, got {state.dtype} of "
                             f"shape {state.shape}")
        state = contiguous(state)
        self.stream.seed = (<uint64_t*>state.ptr)[0]
        self.stream.call = (<uint64_t*>state.ptr)[1]
        return self


default_generator = Generator()


cdef int next_stream(object generator, random_stream* stream) except -1:
    cdef Generator source
    if generator is None:
        source = <Generator>default_generator
    elif isinstance(generator, Generator):
        source = <Generator>generator
    else:
        raise TypeError(f"generator must be a Generator, got {type(generator).__name__}")
    stream[0] = source.stream
    source.stream.call += 1
    return 0


def manual_seed(seed):
    """Start the default generator over from seed, an int of 64 bits; returns the generator."""
    return default_generator.manual_seed(seed)


def seed():
    """Start the default generator over from a seed that the system makes up; returns it."""
    return default_generator.seed()


def initial_seed():
    """The seed that the default generator started from."""
    return default_generator.initial_seed()


def get_rng_state():
    """The state of the default generator, for set_rng_state()."""
    return default_generator.get_state()


def set_rng_state(new_state):
    """Bring the default generator back to a state of get_rng_state()."""
    default_generator.set_state(new_state)


# --- in place -------------------------------------------------------------------

cdef Tensor fill_uniform(Tensor y, object generator, double low, double high):
    """y, dense, filled in the order in which it lies in memory."""
    cdef random_stream stream
    next_stream(generator, &stream)
    with nogil:
        random_uniform(y.dtype_, stream, y.size_, low, high, y.ptr)
    return y


cdef Tensor fill_normal(Tensor y, object generator, double mean, double std):
    cdef random_stream stream
    next_stream(generator, &stream)
    with nogil:
        random_normal(y.dtype_, stream, y.size_, mean, std, y.ptr)
    return y


cdef Tensor hit_or_miss(Tensor p, object generator):
    """1 with probability p, else 0; laid out as p where p is dense."""
    cdef random_stream stream
    cdef bint valid
    cdef Tensor y
    p = p if is_dense(p) else contiguous(p)
    y = new_like(p, p.dtype_)
    next_stream(generator, &stream)
    with nogil:
        valid = random_bernoulli(p.dtype_, stream, p.size_, p.ptr, y.ptr)
    if not valid:
        raise ValueError(f"probabilities are from 0 to 1, got a tensor with values from "
                         f"{p.min().item()} to {p.max().item()}")
    return y


cdef Tensor start_filling(Tensor x):
    """What to fill in the place of x, which is about to change: x itself if it is dense."""
    begin_inplace(x, False)
    return x if is_dense(x) else new_tensor(x.dtype_, x.ndim_, x.shape_)


cdef Tensor end_filling(Tensor x, Tensor filled):
    if filled is not x:
        copy_into(x, filled)
    return x


def uniform_(self, a=0.0, b=1.0, *, generator=None):
    """Fill with numbers spread evenly over [a, b)."""
    cdef Tensor x = as_tensor(self, "self")
    check_float(x, "the tensor of uniform_()")
    if not a <= b:
        raise ValueError(f"uniform_() needs a <= b, got a = {a} and b = {b}")
    return end_filling(x, fill_uniform(start_filling(x), generator, a, b))


def normal_(self, mean=0.0, std=1.0, *, generator=None):
    """Fill with normally distributed numbers."""
    cdef Tensor x = as_tensor(self, "self")
    check_float(x, "the tensor of normal_()")
    if not std >= 0:
        raise ValueError(f"normal_() needs std >= 0, got {std}")
    return end_filling(x, fill_normal(start_filling(x), generator, mean, std))


def bernoulli_(self, p=0.5, *, generator=None):
    """Fill with 1 with probability p (a number or a tensor of this shape), else 0."""
    cdef Tensor x = as_tensor(self, "self"), chance
    if isinstance(p, Tensor):
        chance = <Tensor>p
        check_float(chance, "p of bernoulli_()")
        if chance.shape != x.shape:
            raise ValueError(f"p must have shape {x.shape}, got {chance.shape}")
    else:
        if not 0 <= p <= 1:
            raise ValueError(f"a probability is from 0 to 1, got {p}")
        chance = new_tensor(FLOAT32 if x.dtype_ < FLOAT32 else x.dtype_, x.ndim_, x.shape_)
        fill_with(chance, p)
    chance = hit_or_miss(chance, generator)
    begin_inplace(x, False)
    copy_into(x, chance)
    return x


# --- new tensors ----------------------------------------------------------------

cdef Tensor blank(tuple size, object dtype, object device):
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef int ndim = size_arguments(size, shape)
    cdef Tensor y = new_tensor(FLOAT32 if dtype is None else dtype_code(dtype), ndim, shape)
    check_device(device)
    check_float(y, "dtype")
    return y


cdef Tensor blank_like(object input, object dtype, object device):
    cdef Tensor x = as_tensor(input, "input")
    cdef Tensor y = new_like(x, x.dtype_ if dtype is None else dtype_code(dtype))
    check_device(device)
    check_float(y, "dtype")
    return y


cdef Tensor with_grad(Tensor y, object requires_grad):
    if requires_grad:
        y.requires_grad = True
    return y


def rand(*size, generator=None, dtype=None, device=None, requires_grad=False):
    """Numbers spread evenly over [0, 1).

    >>> fastnn.rand(2, 3).shape
    (2, 3)
    """
    return with_grad(fill_uniform(blank(size, dtype, device), generator, 0, 1), requires_grad)


def randn(*size, generator=None, dtype=None, device=None, requires_grad=False):
    """Numbers of the normal distribution with mean 0 and variance 1.

    >>> fastnn.randn(2, 3).shape
    (2, 3)
    """
    return with_grad(fill_normal(blank(size, dtype, device), generator, 0, 1), requires_grad)


def rand_like(input, *, generator=None, dtype=None, device=None, requires_grad=False):
    """Numbers spread evenly over [0, 1), in the shape, dtype and memory order of input.

    >>> fastnn.rand_like(fastnn.zeros(3)).shape
    (3,)
    """
    return with_grad(fill_uniform(blank_like(input, dtype, device), generator, 0, 1),
                     requires_grad)


def randn_like(input, *, generator=None, dtype=None, device=None, requires_grad=False):
    """Standard normal numbers, in the shape, dtype and memory order of input.

    >>> fastnn.randn_like(fastnn.zeros(3)).shape
    (3,)
    """
    return with_grad(fill_normal(blank_like(input, dtype, device), generator, 0, 1),
                     requires_grad)


cdef dict LIMITS = {BOOL: (0, 1), UINT8: (0, 255), INT32: (-1 << 31, (1 << 31) - 1)}


def randint(low=0, high=None, size=None, *, generator=None, dtype=None, device=None,
            requires_grad=False):
    """Whole numbers from low (0 if left out) to high - 1, all equally likely.

    >>> fastnn.randint(10, (2, 3)).shape
    (2, 3)
    """
    cdef Py_ssize_t[MAX_NDIM] shape
    cdef random_stream stream
    cdef Tensor y
    cdef int64_t start
    cdef uint64_t count
    cdef int ndim, code = INT64 if dtype is None else dtype_code(dtype)
    if size is None:
        low, high, size = 0, low, high          # randint(high, size)
    if size is None or high is None:
        raise TypeError("randint() needs (high, size) or (low, high, size)")
    check_device(device)
    low, high = low.__index__(), high.__index__()
    least, most = LIMITS.get(code, (-1 << 63, (1 << 63) - 1))
    if not low < high:
        raise ValueError(f"randint() needs low < high, got {low} and {high}")
    if low < least or high - 1 > most:
        raise ValueError(f"randint() from {low} to {high - 1} does not fit into {dtype}")
    ndim = size_arguments((size,), shape)
    y = new_tensor(INT64, ndim, shape)
    start, count = low, (high - low) % (1 << 64)
    next_stream(generator, &stream)
    with nogil:
        random_integers(stream, y.size_, start, count, <int64_t*>y.ptr)
    return with_grad(cast(y, code), requires_grad)


def randperm(n, *, generator=None, dtype=None, device=None, requires_grad=False):
    """The numbers 0 to n - 1 in random order.

    >>> sorted(fastnn.randperm(4).tolist())
    [0, 1, 2, 3]
    """
    cdef random_stream stream
    cdef Py_ssize_t length = n
    cdef Tensor y
    if length < 0:
        raise ValueError(f"randperm() needs n >= 0, got {n}")
    check_device(device)
    y = new_tensor(INT64, 1, &length)
    next_stream(generator, &stream)
    with nogil:
        random_permutation(stream, length, <int64_t*>y.ptr)
    return with_grad(cast(y, INT64 if dtype is None else dtype_code(dtype)), requires_grad)


def bernoulli(input, *, generator=None):
    """1 with probability input[i], else 0.

    >>> fastnn.bernoulli(fastnn.ones(2)).tolist()
    [1.0, 1.0]
    """
    cdef Tensor p = as_tensor(input, "input")
    check_float(p, "input")
    return hit_or_miss(p, generator)


OPS = [
    op("rand", rand, differentiable=False),
    op("randn", randn, differentiable=False),
    op("rand_like", rand_like, differentiable=False),
    op("randn_like", randn_like, differentiable=False),
    op("randint", randint, differentiable=False),
    op("randperm", randperm, differentiable=False),
    op("bernoulli", bernoulli, method=True, differentiable=False),
    op("uniform_", uniform_, method=True, differentiable=False, public=False),
    op("normal_", normal_, method=True, differentiable=False, public=False),
    op("bernoulli_", bernoulli_, method=True, differentiable=False, public=False),
]
