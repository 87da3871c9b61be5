"""The elementary functions at every level: errors in units of the last place, special values."""

import math
from functools import cache

import numpy as np
import pytest

import fastnn
from fastnn.testing import levels, using_isa
from tests.guard import guarded

SAMPLES = 1_000_000


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def erf(x):
    return np.fromiter(map(math.erf, x.tolist()), float, len(x))


# worst error over all floats at any level, found by running through all of them
FUNCTIONS = {
    "exp": (np.exp, 1.2),
    "expm1": (np.expm1, 1.7),
    "log": (np.log, 0.9),
    "log1p": (np.log1p, 1.3),
    "tanh": (np.tanh, 2.5),
    "sigmoid": (sigmoid, 2.5),
    "erf": (erf, 3.3),
}


@cache
def arguments():
    """Floats of every exponent, both signs, NaNs and infinities among them, and common ones."""
    bits = np.linspace(0, 2**32 - 1, SAMPLES, dtype=np.uint64).astype(np.uint32)
    common = np.random.default_rng(0).normal(0, 2, SAMPLES // 2).astype(np.float32)
    near_one = (np.float32(1) + np.linspace(-0.5, 0.5, SAMPLES // 10)).astype(np.float32)
    return np.concatenate([bits.view(np.float32), common, near_one])


@cache
def expected(name):
    with np.errstate(all="ignore"):
        return FUNCTIONS[name][0](arguments().astype(np.float64))


def ulps(found, reference):
    """|found - reference| in units of the last place that a float has at the reference."""
    largest = 2.0**128
    reference = np.clip(reference, -largest, largest)
    found = np.clip(found.astype(np.float64), -largest, largest)
    exponent = np.frexp(np.minimum(np.abs(reference), largest / 2))[1]
    exponent = np.where(reference == 0, -200, exponent)
    return np.abs(found - reference) / np.ldexp(1.0, np.maximum(exponent - 24, -149))


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("name", FUNCTIONS)
def test_error_in_float32(name, level):
    x, reference = arguments(), expected(name)
    with using_isa(level):
        y = getattr(fastnn, name)(fastnn.from_numpy(x)).numpy()
    number = ~np.isnan(reference)
    np.testing.assert_array_equal(np.isnan(y), ~number)
    error = ulps(y[number], reference[number])
    worst = np.argmax(error)
    assert error[worst] < FUNCTIONS[name][1], f"{name}({x[number][worst]!r})"
    zero = reference == 0
    np.testing.assert_array_equal(np.signbit(y[zero]), np.signbit(reference[zero]))


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("name", FUNCTIONS)
def test_error_in_float64(name, level):
    x = np.random.default_rng(1).normal(0, 3, 2001)
    x[:8] = [0, -0.0, math.inf, -math.inf, math.nan, 1e-310, 800, -800]
    with using_isa(level), np.errstate(all="ignore"):
        y = getattr(fastnn, name)(fastnn.from_numpy(x)).numpy()
        np.testing.assert_allclose(y, FUNCTIONS[name][0](x), rtol=1e-15, atol=0)


TINY = 2.0**-149
LARGE = float(np.finfo(np.float32).max)
INF, NAN = math.inf, math.nan
SPECIAL = {
    "exp": [
        (0, 1),
        (-0.0, 1),
        (INF, INF),
        (-INF, 0),
        (LARGE, INF),
        (-LARGE, 0),
        (88.73, INF),
        (-104, 0),
        (-103, TINY),
        (TINY, 1),
    ],
    "expm1": [(0, 0), (-0.0, -0.0), (INF, INF), (-INF, -1), (LARGE, INF), (TINY, TINY), (-30, -1)],
    "log": [
        (0, -INF),
        (-0.0, -INF),
        (1, 0),
        (INF, INF),
        (-INF, NAN),
        (-1, NAN),
        (-TINY, NAN),
        (TINY, math.log(TINY)),
        (2.0**-130, math.log(2.0**-130)),
        (LARGE, math.log(LARGE)),
    ],
    "log1p": [
        (0, 0),
        (-0.0, -0.0),
        (-1, -INF),
        (-1.5, NAN),
        (INF, INF),
        (-INF, NAN),
        (TINY, TINY),
        (LARGE, math.log(LARGE)),
    ],
    "tanh": [(0, 0), (-0.0, -0.0), (INF, 1), (-INF, -1), (20, 1), (TINY, TINY), (-TINY, -TINY)],
    "sigmoid": [(0, 0.5), (-0.0, 0.5), (INF, 1), (-INF, 0), (40, 1), (-103, TINY), (-104, 0)],
    "erf": [(0, 0), (-0.0, -0.0), (INF, 1), (-INF, -1), (5, 1), (-5, -1), (TINY, TINY)],
}


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("name", FUNCTIONS)
def test_special_values(name, level):
    x, expected = np.array([*SPECIAL[name], (NAN, NAN), (-NAN, NAN)], np.float32).T
    with using_isa(level):
        y = getattr(fastnn, name)(fastnn.from_numpy(x.copy())).numpy()
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(np.signbit(y[y == 0]), np.signbit(expected[y == 0]))


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("name", ["tanh", "erf", "sigmoid"])
def test_bounded_functions_stay_within_their_bounds(name, level):
    with using_isa(level):
        y = getattr(fastnn, name)(fastnn.from_numpy(arguments())).numpy()
    assert np.nanmax(y) == 1
    assert np.nanmin(y) == (0 if name == "sigmoid" else -1)


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arrays_between_forbidden_pages(level, dtype):
    with using_isa(level):
        for n in (1, 3, 7, 9, 15, 17, 31, 33, 100):
            for at_end in (True, False):
                x = guarded(n, dtype, at_end)
                assert fastnn.exp(fastnn.from_numpy(x)).tolist() == [1.0] * n
                assert fastnn.sigmoid(fastnn.from_numpy(x)).tolist() == [0.5] * n
