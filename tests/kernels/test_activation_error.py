"""The activations and their slopes at every level: errors in units of the last place over
numbers of all magnitudes, special values.

One table has all bounds. The unit is the last place of the result, or of what a row names
beside its bound, where the formula cannot do better:

    argument   a difference of numbers near 1 (or near x) is left: where the result is small,
               its error is that of the larger numbers, at most those of 1
    factor     a factor is subnormal where the result is small, and has fewer digits

Slopes are measured beside 1, the slope of a straight line. Those of silu, mish and gelu_tanh have
larger bounds: x (for gelu_tanh a cubic of x) times what a sigmoid or tanh lacks to 1, a difference
that is rounded beside 1."""

import math
from functools import cache

import numpy as np
import pytest

import fastnn
from fastnn.nn import functional as F
from fastnn.ops import activation
from fastnn.testing import levels, using_isa
from tests.kernels.test_vmath import arguments, sigmoid

ROOT2, CURVE = math.sqrt(2.0), math.sqrt(2.0 / math.pi)
SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717


def erfc(x):
    return np.fromiter(map(math.erfc, x.tolist()), float, len(x))


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def below(x):
    return np.minimum(x, 0)


def gelu_curve(x):
    return 2 * CURVE * (x + 0.044715 * x**3)


def gelu_curve_slope(x):
    x = x.clip(-40, 40)  # a straight line beyond
    s = sigmoid(gelu_curve(x))
    return s + x * s * sigmoid(-gelu_curve(x)) * 2 * CURVE * (1 + 0.134145 * x**2)


def mish_slope(x):
    t = np.tanh(softplus(x))
    return t + x * (1 - t * t) * sigmoid(x)


def gelu_slope(x):
    return 0.5 * erfc(-x / ROOT2) + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


# magnitudes in whose last place errors are measured
def result(x, y):
    return np.abs(y)


def argument(x, y):
    return np.maximum(np.abs(y), np.minimum(np.abs(x), 1))


def factor(x, y):
    return np.maximum(np.abs(y), 128 * 2.0**-126)


# name: function, reference, bound and unit, slope, bound of the slope
ACTIVATIONS = {
    "relu": (F.relu, lambda x: np.maximum(x, 0), 0, result, lambda x: x > 0, 0),
    "relu6": (F.relu6, lambda x: x.clip(0, 6), 0, result, lambda x: (x > 0) & (x < 6), 0),
    "hardtanh": (F.hardtanh, lambda x: x.clip(-1, 1), 0, result, lambda x: np.abs(x) < 1, 0),
    "leaky_relu": (
        lambda x: F.leaky_relu(x, 0.125), lambda x: np.where(x > 0, x, x / 8), 0.5, result,
        lambda x: np.where(x > 0, 1, 0.125), 0.5,
    ),
    "threshold": (
        lambda x: F.threshold(x, 0.5, 2.0), lambda x: np.where(x > 0.5, x, 2), 0, result,
        lambda x: x > 0.5, 0,
    ),
    "hardshrink": (
        F.hardshrink, lambda x: np.where(np.abs(x) > 0.5, x, 0), 0, result,
        lambda x: np.abs(x) > 0.5, 0,
    ),
    "softshrink": (
        F.softshrink, lambda x: np.where(np.abs(x) > 0.5, x - np.copysign(0.5, x), 0), 0.5, result,
        lambda x: np.abs(x) > 0.5, 0,
    ),
    "hardsigmoid": (
        F.hardsigmoid, lambda x: (x + 3).clip(0, 6) / 6, 1.5, argument,
        lambda x: np.where(np.abs(x) < 3, 1 / 6, 0), 0.5,
    ),
    "hardswish": (
        F.hardswish, lambda x: x * (x + 3).clip(0, 6) / 6, 2, argument,
        lambda x: np.where(x < 3, np.where(x > -3, x / 3 + 0.5, 0), 1), 1.5,
    ),
    "softsign": (
        F.softsign, lambda x: x / (1 + np.abs(x)), 2, result, lambda x: (1 + np.abs(x)) ** -2.0, 2,
    ),
    "sigmoid": (F.sigmoid, sigmoid, 2.5, result, lambda x: sigmoid(x) * sigmoid(-x), 1),
    "logsigmoid": (F.logsigmoid, lambda x: -softplus(-x), 2, result, lambda x: sigmoid(-x), 2.5),
    "softplus": (
        F.softplus, lambda x: np.where(x > 20, x, softplus(x)), 2, result,
        lambda x: np.where(x > 20, 1, sigmoid(x)), 2.5,
    ),
    "tanh": (F.tanh, np.tanh, 2.5, result, lambda x: 1 - np.tanh(x) ** 2, 3),
    "tanhshrink": (
        F.tanhshrink, lambda x: x - np.tanh(x), 3, argument, lambda x: np.tanh(x) ** 2, 4,
    ),
    "elu": (
        F.elu, lambda x: np.where(x > 0, x, np.expm1(below(x))), 1.7, result,
        lambda x: np.exp(below(x)), 1.2,
    ),
    "selu": (
        F.selu, lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(below(x))),
        2.5, result, lambda x: SELU_SCALE * np.where(x > 0, 1, SELU_ALPHA * np.exp(below(x))), 2,
    ),
    "celu": (
        lambda x: F.celu(x, 2.0), lambda x: np.where(x > 0, x, 2 * np.expm1(below(x) / 2)),
        2, result, lambda x: np.exp(below(x) / 2), 1.2,
    ),
    "silu": (
        F.silu, lambda x: x * sigmoid(x), 3.5, factor,
        lambda x: sigmoid(x) * (1 + x * sigmoid(-x)), 12,
    ),
    "mish": (F.mish, lambda x: x * np.tanh(softplus(x)), 4, factor, mish_slope, 16),
    "gelu": (F.gelu, lambda x: 0.5 * x * erfc(-x / ROOT2), 2.5, argument, gelu_slope, 4),
    "gelu_tanh": (
        lambda x: F.gelu(x, "tanh"), lambda x: x * sigmoid(gelu_curve(x)), 3, argument,
        gelu_curve_slope, 20,
    ),
}  # fmt: skip


def sampled(dtype):
    if dtype == np.float32:
        x = arguments()[::3]
        return x[np.isfinite(x)]
    rng = np.random.default_rng(0)
    spread = rng.choice([-1.0, 1.0], 40000) * np.exp2(rng.uniform(-1070, 1000, 40000))
    return np.concatenate([spread, rng.normal(0, 2, 40000), rng.normal(0, 30, 10000)])


@cache
def expected(name, dtype, slope):
    row = ACTIVATIONS[name]
    with np.errstate(all="ignore"):
        return np.asarray(row[4 if slope else 1](sampled(dtype).astype(np.float64)), np.float64)


def errors(found, reference, unit, dtype):
    digits, least = (24, -149) if dtype == np.float32 else (53, -1074)
    most = float(np.finfo(dtype).max)
    found, reference = found.astype(np.float64).clip(-most, most), reference.clip(-most, most)
    exponent = np.frexp(np.minimum(unit, most))[1]
    exponent = np.where(unit == 0, least, exponent - digits)
    return np.abs(found - reference) / np.ldexp(1.0, np.maximum(exponent, least))


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_error(name, level, dtype):
    function, _, bound, unit, _, slope_bound = ACTIVATIONS[name]
    x = sampled(dtype)
    with using_isa(level):
        leaf = fastnn.from_numpy(x).requires_grad_()
        y = function(leaf)
        y.backward(fastnn.ones(len(x), dtype=y.dtype))
    # in float64 the references are rounded themselves, a few times, and x is larger
    own = 0 if dtype == np.float32 else 12
    reference = expected(name, dtype, False)
    error = errors(y.detach().numpy(), reference, unit(x.astype(float), reference), dtype)
    worst = np.argmax(error)
    assert error[worst] <= bound + own, f"{name}({x[worst]!r}): {error[worst]:.3g}"
    reference = expected(name, dtype, True)
    error = errors(leaf.grad.numpy(), reference, np.maximum(np.abs(reference), 1), dtype)
    worst = np.argmax(error)
    assert error[worst] <= slope_bound + own, f"slope of {name}({x[worst]!r}): {error[worst]:.3g}"


INF, NAN, TINY = math.inf, math.nan, 2.0**-149
HALF = TINY / 2  # rounds to 0, an even number of TINY
# what becomes of 0, -0, inf, -inf, TINY and -TINY; NaN stays NaN in all but `threshold`
SPECIAL = {
    "relu": (0, -0.0, INF, 0, TINY, 0),
    "relu6": (0, -0.0, 6, 0, TINY, 0),
    "hardtanh": (0, -0.0, 1, -1, TINY, -TINY),
    "leaky_relu": (0, -0.0, INF, -INF, TINY, -0.0),
    "threshold": (2, 2, INF, 2, 2, 2),
    "hardshrink": (0, 0, INF, -INF, 0, 0),
    "softshrink": (0, 0, INF, -INF, 0, 0),
    "hardsigmoid": (0.5, 0.5, 1, 0, 0.5, 0.5),
    "hardswish": (0, -0.0, INF, NAN, HALF, -HALF),
    "softsign": (0, -0.0, NAN, NAN, TINY, -TINY),
    "sigmoid": (0.5, 0.5, 1, 0, 0.5, 0.5),
    "logsigmoid": (-math.log(2), -math.log(2), -0.0, -INF, -math.log(2), -math.log(2)),
    "softplus": (math.log(2), math.log(2), INF, 0, math.log(2), math.log(2)),
    "tanh": (0, -0.0, 1, -1, TINY, -TINY),
    "tanhshrink": (0, 0, INF, -INF, 0, 0),
    "elu": (0, -0.0, INF, -1, TINY, -TINY),
    "selu": (0, -0.0, INF, -SELU_SCALE * SELU_ALPHA, TINY, -2 * TINY),
    "celu": (0, -0.0, INF, -2, TINY, -0.0),
    "silu": (0, -0.0, INF, NAN, HALF, -HALF),
    "mish": (0, -0.0, INF, NAN, TINY, -TINY),
    "gelu": (0, -0.0, INF, NAN, HALF, -HALF),
    "gelu_tanh": (0, -0.0, INF, NAN, HALF, -HALF),
}


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_special_values(name, level):
    x = np.array([0, -0.0, INF, -INF, TINY, -TINY, NAN], np.float32)
    goal = np.array([*SPECIAL[name], NAN], np.float32)
    with using_isa(level):
        y = ACTIVATIONS[name][0](fastnn.from_numpy(x)).numpy()
    np.testing.assert_array_equal(y, goal)
    np.testing.assert_array_equal(np.signbit(y[y == 0]), np.signbit(goal[y == 0]))


def test_every_activation_is_in_the_table():
    names = {op.name for op in activation.OPS if not op.name.endswith("_")} | {"gelu_tanh"}
    elsewhere = {"glu", "prelu"}  # of two operands: a product with a sigmoid, with a slope
    plain = {"abs", "sign", "sqrt", "square", "reciprocal", "clamp"}
    plain |= {"floor", "ceil", "round", "trunc", "sin", "cos"}  # the last two are the C library's
    elementary = {"exp", "expm1", "log", "log1p", "erf"}
    assert names - elsewhere - plain - elementary == set(ACTIVATIONS)
