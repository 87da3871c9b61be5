"""The arguments that the generic tests run each operation with.

A row of the registry names one of these generators. A case is (args, kwargs);
its float64 arrays become the float tensors of the operation, arrays of other
dtypes tensors of their own dtype, all else is passed as it is. Values keep away
from kinks, so that finite differences can be taken.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastnn.testing.arguments import Case, Generator, away_from_zero
from fastnn.testing.images import IMAGES
from fastnn.testing.losses import LOSSES
from fastnn.testing.moves import MOVES

CASES: dict[str, Generator] = {**MOVES, **IMAGES, **LOSSES}


def cases(function: Callable) -> Callable:
    CASES[function.__name__] = function
    return function


def cases_of(name: str) -> list[Case]:
    """The cases of one generator, the same ones at every call."""
    rng = np.random.default_rng(sum(map(ord, name)))
    # NumPy turns arrays of no dimensions into scalars; here they are meant as arrays
    return [
        (tuple(np.asarray(a) if isinstance(a, np.generic) else a for a in args), kwargs)
        for args, kwargs in CASES[name](rng)
    ]


# around the ends of vectors and buffers, empty, without dimensions, above the threads' threshold
SHAPES = [(), (0, 3), (1,), (7,), (16,), (33,), (3, 5), (2, 3, 4, 5), (600,), (130, 1000)]
BROADCASTS = [
    ((3, 4), (4,)),
    ((3, 1), (1, 4)),
    ((), (2, 3)),
    ((2, 3, 4, 5), (3, 1, 1)),
    ((5, 1, 3), (2, 1)),
    ((0, 3), (1, 3)),
]


@cases
def unary(rng):
    for shape in SHAPES:
        yield (away_from_zero(rng, *shape),), {}


@cases
def unary_positive(rng):
    for shape in SHAPES:
        yield (np.asarray(rng.uniform(0.1, 4.0, shape)),), {}


@cases
def unary_bool(rng):
    for shape in [(), (5,), (3, 40)]:
        yield (np.asarray(rng.random(shape) < 0.5),), {}


@cases
def binary(rng):
    for shape in SHAPES:
        yield (away_from_zero(rng, *shape), away_from_zero(rng, *shape)), {}
    for first, second in BROADCASTS:
        yield (away_from_zero(rng, *first), away_from_zero(rng, *second)), {}
    yield (away_from_zero(rng, 4, 5), 1.75), {}


@cases
def between_whole(rng):
    for shape in SHAPES:
        yield (rng.integers(-5, 5, shape) + rng.uniform(0.1, 0.4, shape),), {}
        yield (rng.integers(-5, 5, shape) + rng.uniform(0.6, 0.9, shape),), {}
        yield (np.asarray(rng.integers(-5, 5, shape)),), {}


@cases
def remainders(rng):
    for first, second in [((), ()), ((40,), (40,)), ((130, 1000), (1000,)), *BROADCASTS]:
        divisor = np.asarray(rng.choice([-2.0, -0.5, 0.25, 4.0], second))
        whole = np.floor(rng.normal(0, 5, np.broadcast_shapes(first, second)))
        share = rng.uniform(0.1, 0.9, whole.shape)
        yield ((whole + share) * divisor,), {"other": divisor}
        numbers = rng.integers(-9, 9, first), rng.choice([-3, -1, 1, 4], second)
        yield tuple(map(np.asarray, numbers)), {}


@cases
def binary_nonzero(rng):
    yield from binary(rng)


@cases
def binary_bool(rng):
    for first, second in [((), ()), ((40,), (40,)), *BROADCASTS]:
        yield (np.asarray(rng.random(first) < 0.5), np.asarray(rng.random(second) < 0.5)), {}


@cases
def powers(rng):
    for first, second in [((7,), (7,)), *BROADCASTS]:
        yield (
            (np.asarray(rng.uniform(0.2, 3.0, first)), np.asarray(rng.uniform(-2.0, 2.0, second))),
            {},
        )
    for exponent in (2, 3, 0.5, -1, 0, -2.5):
        yield (rng.uniform(0.2, 3.0, (4, 5)), exponent), {}


@cases
def where(rng):
    for shape in [(), (5,), (3, 40), (130, 1000)]:
        yield (
            (
                np.asarray(rng.random(shape) < 0.5),
                away_from_zero(rng, *shape),
                away_from_zero(rng, *shape),
            ),
            {},
        )
    yield (rng.random((3, 1)) < 0.5, away_from_zero(rng, 4), away_from_zero(rng, 2, 1, 1)), {}
    yield (rng.random((3, 4)) < 0.5, away_from_zero(rng, 3, 4), 0.5), {}


@cases
def masked_fill(rng):
    yield (away_from_zero(rng, 3, 40), rng.random((3, 40)) < 0.5, -1.5), {}
    yield (away_from_zero(rng, 2, 3, 4), rng.random((3, 1)) < 0.5, 2.0), {}


@cases
def clamp(rng):
    for bounds in [{"min": -1.013, "max": 1.517}, {"min": 0.0517}, {"max": -0.0713}]:
        yield (away_from_zero(rng, 5, 33),), bounds


@cases
def leaky_relu(rng):
    yield (away_from_zero(rng, 5, 33),), {}
    yield (away_from_zero(rng, 5, 33),), {"negative_slope": 0.3}


@cases
def elu(rng):
    yield (away_from_zero(rng, 5, 33),), {}
    yield (away_from_zero(rng, 5, 33),), {"alpha": 0.4}


def away_from(rng: np.random.Generator, kinks: tuple[float, ...], *shape: int) -> np.ndarray:
    """Numbers from -8 to 8 that keep 0.01 away from the kinks."""
    x = rng.uniform(-8, 8, shape)
    for kink in kinks:
        x = np.where(np.abs(x - kink) < 0.01, x + 0.05, x)
    return x


@cases
def clamped(rng):
    for shape in [(), (7,), (5, 33), (2, 3, 4, 5), (130, 1000)]:
        yield (away_from(rng, (-3, 0, 3, 6), *shape),), {}


@cases
def hardtanh(rng):
    yield (away_from(rng, (-1, 1), 5, 33),), {}
    yield (away_from(rng, (-2.5, 0.25), 5, 33), -2.5, 0.25), {}


@cases
def threshold(rng):
    yield (away_from(rng, (0.5,), 5, 33), 0.5, 7.0), {}
    yield (away_from(rng, (-1,), 40), -1.0, 0), {}


@cases
def shrink(rng):
    yield (away_from(rng, (-0.5, 0.5), 5, 33),), {}
    yield (away_from(rng, (-2, 2), 5, 33), 2.0), {}


@cases
def glu(rng):
    for shape, dim in [((8,), -1), ((5, 66), -1), ((4, 3, 5), 0), ((2, 6, 4, 5), 1), ((3, 0), 1)]:
        yield (rng.normal(0, 2, shape),), {"dim": dim}
    yield (rng.normal(0, 2, (130, 1000)),), {}


@cases
def gelu(rng):
    yield (away_from_zero(rng, 5, 33),), {}
    yield (away_from_zero(rng, 5, 33),), {"approximate": "tanh"}


@cases
def softplus(rng):
    yield (away_from_zero(rng, 5, 33),), {}
    yield (away_from_zero(rng, 5, 33),), {"beta": 1.7, "threshold": 2.01}


@cases
def prelu(rng):
    yield (away_from_zero(rng, 5, 33), np.array([0.25])), {}
    yield (away_from_zero(rng, 2, 3, 4, 5), rng.uniform(0.1, 0.5, 3)), {}


@cases
def matmul(rng):
    for first, second in [
        ((5,), (5,)),
        ((3, 5), (5,)),
        ((5,), (5, 4)),
        ((1, 1), (1, 1)),
        ((17, 33), (33, 15)),
        ((2, 3, 5), (5,)),
        ((2, 3, 5), (5, 4)),
        ((5,), (2, 5, 4)),
        ((3, 5), (2, 5, 4)),
        ((4, 3, 5), (4, 5, 2)),
        ((2, 1, 3, 5), (4, 5, 2)),
        ((3, 2, 3, 5), (2, 5, 2)),
        ((0, 5), (5, 3)),
        ((3, 0), (0, 4)),
        ((2, 0, 5), (5, 3)),
        ((130, 90), (90, 200)),
    ]:
        yield (rng.standard_normal(first), rng.standard_normal(second)), {}


@cases
def mm(rng):
    for M, N, K in [(1, 1, 1), (2, 3, 4), (15, 33, 17), (1, 40, 30), (40, 1, 30), (3, 2, 0)]:
        yield (rng.standard_normal((M, K)), rng.standard_normal((K, N))), {}


@cases
def bmm(rng):
    for B, M, N, K in [(1, 2, 3, 4), (3, 5, 17, 6), (0, 2, 3, 4), (4, 1, 5, 3)]:
        yield (rng.standard_normal((B, M, K)), rng.standard_normal((B, K, N))), {}


@cases
def mv(rng):
    for M, K in [(1, 1), (5, 3), (70, 35), (4, 0), (600, 500)]:
        yield (rng.standard_normal((M, K)), rng.standard_normal(K)), {}


@cases
def dot(rng):
    for K in (0, 1, 7, 16, 100, 5000):
        yield (rng.standard_normal(K), rng.standard_normal(K)), {}


@cases
def addmm(rng):
    for shape, M, N, K in [
        ((2, 3), 2, 3, 4),
        ((3,), 2, 3, 4),
        ((), 1, 1, 1),
        ((15, 1), 15, 33, 17),
        ((1, 40), 1, 40, 30),
        ((3, 2), 3, 2, 0),
        ((0, 5), 0, 5, 3),
        ((4, 4), 4, 4, 3000),
        ((130, 200), 130, 200, 90),
    ]:
        operands = [rng.standard_normal(s) for s in (shape, (M, K), (K, N))]
        yield operands, {}
        yield operands, {"beta": 0.5, "alpha": -2.0}


@cases
def addmv(rng):
    for shape, M, K in [((5,), 5, 3), ((), 70, 35), ((1,), 4, 0), ((600,), 600, 500)]:
        operands = [rng.standard_normal(s) for s in (shape, (M, K), (K,))]
        yield operands, {}
        yield operands, {"beta": 0.5, "alpha": -2.0}


@cases
def baddbmm(rng):
    for shape, B, M, N, K in [
        ((1, 2, 3), 1, 2, 3, 4),
        ((5, 1), 3, 5, 17, 6),
        ((0, 2, 3), 0, 2, 3, 4),
        ((4, 1, 5), 4, 1, 5, 3),
    ]:
        operands = [rng.standard_normal(s) for s in (shape, (B, M, K), (B, K, N))]
        yield operands, {}
        yield operands, {"beta": 0.5, "alpha": -2.0}


@cases
def outer(rng):
    for M, N in [(1, 1), (3, 40), (17, 0)]:
        yield (rng.standard_normal(M), rng.standard_normal(N)), {}


@cases
def linear(rng):
    for rows, I, O in [((), 5, 3), ((4,), 5, 3), ((2, 3), 33, 17), ((0,), 5, 3), ((64,), 100, 130)]:
        yield (
            (rng.standard_normal((*rows, I)), rng.standard_normal((O, I)), rng.standard_normal(O)),
            {},
        )
        yield (rng.standard_normal((*rows, I)), rng.standard_normal((O, I))), {}


# --- reductions ---------------------------------------------------------------


@cases
def reduction(rng):
    for shape in [(), (1,), (33,), (5000,)]:
        yield (rng.uniform(0.1, 3.0, shape),), {}
    for dim in (0, -1, (0, 2), (1, 3), (2, 3), (0, 1, 2, 3)):
        yield (away_from_zero(rng, 2, 3, 4, 5),), {"dim": dim}
        yield (away_from_zero(rng, 2, 3, 4, 5),), {"dim": dim, "keepdim": True}
    for shape, dim in [((130, 1000), None), ((130, 1000), 0), ((130, 1000), 1), ((40000, 5), 0)]:
        yield (rng.uniform(0.1, 3.0, shape),), {"dim": dim}
    yield (rng.uniform(0.1, 3.0, (0, 3)),), {"dim": 1}


@cases
def deviation(rng):
    yield (away_from_zero(rng, 7),), {}
    yield (away_from_zero(rng, 7), None, False), {}
    for dim in (0, -1, (0, 2), (1, 3)):
        yield (away_from_zero(rng, 4, 3, 4, 5),), {"dim": dim, "keepdim": True}
    yield (100 + away_from_zero(rng, 60, 41),), {"dim": 0, "correction": 0}
    for dim in (None, 0, 1):
        yield (rng.uniform(0.1, 3.0, (130, 1000)),), {"dim": dim}


@cases
def norm(rng):
    yield (away_from_zero(rng, 40),), {}
    yield (away_from_zero(rng, 4, 30),), {"dim": 1, "keepdim": True}
    yield (away_from_zero(rng, 130, 1000), 2, 0), {}
    for power in (1, 1.5, 3, float("inf")):
        yield (away_from_zero(rng, 4, 30), power), {}
        yield (away_from_zero(rng, 4, 30), power, 1, True), {}


@cases
def prod(rng):
    yield (rng.uniform(0.5, 1.5, (3, 4)),), {}
    for dim in (0, 1, -1):
        yield (rng.uniform(0.5, 1.5, (3, 4, 5)),), {"dim": dim, "keepdim": dim == 1}


@cases
def truth(rng):
    for dim in (None, 0, 1, (0, 1)):
        yield (rng.random((6, 40)) < 0.1,), {"dim": dim}
        yield (rng.random((6, 40)) < 0.95,), {"dim": dim, "keepdim": True}
    yield (np.array([[0.0, 2.0], [0.0, 0.0]]),), {"dim": 1}


@cases
def extreme(rng):
    yield (away_from_zero(rng, 40),), {}
    yield (away_from_zero(rng, 4, 30), away_from_zero(rng, 30)), {}
    for dim in (0, 1, -1):
        yield (away_from_zero(rng, 3, 40, 6),), {"dim": dim, "keepdim": dim == 1}
    for dim in (0, 1):
        yield (rng.uniform(0.1, 3.0, (130, 1000)),), {"dim": dim}


@cases
def position(rng):
    for dim in (None, 0, 1, -1):
        yield (away_from_zero(rng, 3, 40, 6),), {"dim": dim}
        yield (rng.integers(0, 9, (3, 40, 6)),), {"dim": dim}
    for dim in (None, 0, 1):
        yield (rng.uniform(0.1, 3.0, (130, 1000)),), {"dim": dim}


# --- softmax -------------------------------------------------------


@cases
def softmax(rng):
    shapes = [(), (10,), (5, 33), (5, 33), (2, 3, 4, 5), (3, 4, 5)]
    for shape, dim in zip(shapes, (0, 0, 1, 0, 1, 1), strict=True):
        yield (rng.normal(0, 3, shape),), {"dim": dim}
    for dim in (0, -1):
        yield (rng.normal(0, 3, (200, 100)),), {"dim": dim}
    for shape in [(300, 70, 1), (3, 150, 70), (2, 4, 300)]:
        yield (rng.normal(0, 3, shape),), {"dim": 1}


@cases
def logsumexp(rng):
    for (x,), kwargs in softmax(rng):
        yield (x,), kwargs
        yield (x,), {**kwargs, "keepdim": True}


def recurrent(rng, gates, states, shape, state, D):
    """The arguments of a recurrent layer: x, the states and four weights."""
    shapes = ((gates * D, shape[-1]), (gates * D, D), gates * D, gates * D)
    weights = [rng.uniform(-1, 1, s) / D**0.5 for s in shapes]
    return rng.normal(size=shape), *[rng.normal(size=state) for _ in range(states)], *weights


def recurrent_cases(rng, gates, states):
    for T, N, I, D in [(1, 1, 1, 1), (3, 2, 3, 15), (2, 7, 5, 17), (3, 33, 4, 8), (4, 16, 40, 130)]:
        yield recurrent(rng, gates, states, (T, N, I), (N, D), D), {}
    yield recurrent(rng, gates, states, (3, 4, 5), (3, 6), 6), {"batch_first": True}
    yield recurrent(rng, gates, states, (4, 5), 6, 6), {}
    x, *rest = recurrent(rng, gates, states, (3, 9, 5), (9, 6), 6)
    w_ih, w_hh, b_ih, _ = rest[states:]
    yield (x, *[None] * states, w_ih, w_hh), {}
    yield (x, *[None] * states, w_ih, w_hh, b_ih), {}
    yield recurrent(rng, gates, states, (2, 0, 3), (0, 4), 4), {}


@cases
def lstm(rng):
    yield from recurrent_cases(rng, 4, 2)
    for N, D in [(3, 6), (17, 40)]:
        arguments = recurrent(rng, 4, 2, (3, N, 5), (N, D), D)
        yield arguments, {"peephole": rng.uniform(-1, 1, (3, D))}
    for N, D, P in [(3, 6, 2), (17, 70, 33)]:
        x, _, c0, w_ih, _, *biases = recurrent(rng, 4, 2, (3, N, 5), (N, D), D)
        h0, w_hh = rng.normal(size=(N, P)), rng.uniform(-1, 1, (4 * D, P)) / P**0.5
        options = {"weight_hr": rng.uniform(-1, 1, (P, D)) / D**0.5}
        yield (x, h0, c0, w_ih, w_hh, *biases), options
        yield (x, None, None, w_ih, w_hh), options


@cases
def gru(rng):
    yield from recurrent_cases(rng, 3, 1)
    for arguments, options in recurrent_cases(rng, 3, 1):
        yield arguments, {**options, "reset_before": True}


@cases
def rnn(rng):
    yield from recurrent_cases(rng, 1, 1)


@cases
def batch_norm(rng):
    for shape in [(7, 5), (300, 17), (4, 70, 6), (2, 3, 5, 4), (8, 20, 9, 9), (2, 3, 4, 5, 6)]:
        C = shape[1]
        yield (rng.standard_normal(shape), None, None, None, None, True), {}
        weight, bias = rng.uniform(0.5, 2, C), rng.standard_normal(C)
        yield (3 + rng.standard_normal(shape), None, None, weight, bias, True), {"eps": 1e-3}


@cases
def group_norm(rng):
    shapes = [(7, 6), (30, 16), (4, 72, 5), (2, 6, 5, 4), (3, 20, 9, 9), (2, 6, 3, 4, 5)]
    for shape, groups in zip(shapes, (2, 4, 8, 3, 20, 1), strict=True):
        C = shape[1]
        yield (rng.standard_normal(shape), groups), {}
        weight, bias = away_from_zero(rng, C), rng.standard_normal(C)
        yield (3 + rng.standard_normal(shape), groups, weight, bias), {"eps": 1e-3}


@cases
def instance_norm(rng):
    for shape in [(4, 7, 5), (2, 6, 5, 4), (3, 20, 9, 9), (2, 3, 3, 4, 5)]:
        C = shape[1]
        yield (rng.standard_normal(shape),), {}
        weight, bias = away_from_zero(rng, C), rng.standard_normal(C)
        x = 3 + rng.standard_normal(shape)
        yield (x, None, None, weight, bias), {"eps": 1e-3}


@cases
def local_response_norm(rng):
    for shape, size in [((2, 7, 5), 5), ((2, 3, 4, 5), 2), ((2, 6, 3, 2, 2), 9)]:
        yield (rng.standard_normal(shape), size), {"alpha": 0.5}


@cases
def layer_norm(rng):
    for shape, inner in [((5, 7), 7), ((300, 70), (70,)), ((2, 3, 40, 5), (40, 5)), ((0, 4), 4)]:
        yield (3 + rng.standard_normal(shape), inner), {}
        weight, bias = rng.uniform(0.5, 2, inner), rng.standard_normal(inner)
        yield (rng.standard_normal(shape), inner, weight, bias), {"eps": 1e-3}


@cases
def rms_norm(rng):
    for shape, inner in [((5, 7), 7), ((30, 70), (70,)), ((2, 3, 4, 5), (4, 5))]:
        yield (rng.standard_normal(shape), inner), {}
        yield (rng.standard_normal(shape), inner, rng.uniform(0.5, 2, inner)), {"eps": 1e-3}


@cases
def embedding(rng):
    for shape, rows, columns in [((), 3, 4), ((7,), 5, 1), ((3, 4), 2, 33), ((0, 2), 3, 5)]:
        yield (np.asarray(rng.integers(0, rows, shape)), rng.standard_normal((rows, columns))), {}
    yield (rng.integers(0, 50, 4000).astype(np.int32), rng.standard_normal((50, 16))), {}


@cases
def embedding_bag(rng):
    for mode in ("sum", "mean", "max"):
        for shape, rows, columns in [
            ((3, 4), 9, 33),
            ((2, 0), 3, 5),
            ((0, 2), 3, 2),
            ((1, 1), 1, 1),
        ]:
            args = rng.integers(0, rows, shape), rng.standard_normal((rows, columns))
            yield args, {"mode": mode}
        offsets = np.array([0, 3, 3, 10])
        args = rng.integers(0, 6, 12), rng.standard_normal((6, 19))
        yield (*args, offsets), {"mode": mode}
        yield (*args, offsets), {"mode": mode, "padding_idx": -2}
        yield (*args, np.append(offsets, 12)), {"mode": mode, "include_last_offset": True}
        yield (rng.integers(0, 50, (300, 20)), rng.standard_normal((50, 16))), {"mode": mode}
    for padding in (None, 1):
        options = {"mode": "sum", "padding_idx": padding}
        weights = rng.standard_normal(12)
        yield (*args, offsets), {**options, "per_sample_weights": weights}
