"""Cases of convolution, padding and pooling; see cases.py."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastnn.testing.arguments import Generator, away_from_zero

IMAGES: dict[str, Generator] = {}


def cases(function: Callable) -> Callable:
    IMAGES[function.__name__] = function
    return function


@cases
def conv2d(rng):
    for x, w, kwargs in [
        ((2, 3, 7, 9), (5, 3, 3, 3), {"padding": 1}),
        ((1, 1, 6, 6), (17, 1, 5, 5), {"stride": 2, "padding": 2}),
        ((3, 5, 6), (4, 3, 2, 2), {"dilation": 2}),
        ((2, 6, 8, 8), (9, 2, 3, 3), {"groups": 3, "stride": (2, 1)}),
        ((0, 3, 5, 5), (2, 3, 3, 3), {}),
        ((2, 16, 20, 20), (40, 16, 3, 3), {"padding": "same"}),
    ]:
        yield (away_from_zero(rng, *x), away_from_zero(rng, *w)), kwargs
        yield (away_from_zero(rng, *x), away_from_zero(rng, *w), away_from_zero(rng, w[0])), kwargs


@cases
def max_pool1d(rng):
    yield (rng.standard_normal((2, 3, 8)), 2), {}
    yield (rng.standard_normal((1, 65, 17)), 3, 2, 1), {}
    yield (rng.standard_normal((6, 12)), (3,), 1), {"dilation": 2, "ceil_mode": True}


@cases
def conv1d(rng):
    for x, w, kwargs in [
        ((2, 3, 19), (5, 3, 3), {"padding": 1}),
        ((1, 1, 16), (17, 1, 5), {"stride": (2,), "padding": 2}),
        ((3, 16), (4, 3, 2), {"dilation": 3}),
        ((2, 6, 18), (9, 2, 4), {"groups": 3, "padding": "same"}),
        ((2, 6, 18), (6, 1, 3), {"groups": 6, "stride": 2}),
        ((0, 3, 5), (2, 3, 3), {}),
        ((16, 16, 60), (40, 16, 3), {}),
    ]:
        yield (away_from_zero(rng, *x), away_from_zero(rng, *w)), kwargs
        yield (away_from_zero(rng, *x), away_from_zero(rng, *w), away_from_zero(rng, w[0])), kwargs


@cases
def conv3d(rng):
    for x, w, kwargs in [
        ((2, 3, 5, 4, 6), (5, 3, 3, 3, 3), {"padding": 1}),
        ((3, 5, 4, 6), (17, 3, 2, 3, 1), {"stride": (2, 1, 3)}),
        ((2, 6, 7, 4, 5), (4, 3, 3, 2, 2), {"groups": 2, "dilation": (3, 1, 2)}),
        ((2, 6, 4, 4, 5), (6, 1, 2, 3, 3), {"groups": 6, "padding": "same"}),
        ((2, 6, 4, 4, 5), (6, 1, 1, 3, 3), {"groups": 6, "padding": (0, 1, 1)}),
        ((2, 3, 4, 4, 5), (4, 3, 1, 1, 1), {"stride": (2, 1, 1), "padding": (1, 0, 0)}),
        ((0, 3, 5, 5, 5), (2, 3, 3, 3, 3), {}),
        ((2, 16, 6, 12, 12), (40, 16, 3, 3, 3), {"padding": 1}),
    ]:
        yield (away_from_zero(rng, *x), away_from_zero(rng, *w)), kwargs
        yield (away_from_zero(rng, *x), away_from_zero(rng, *w), away_from_zero(rng, w[0])), kwargs


@cases
def conv_transpose1d(rng):
    for x, w, kwargs in [
        ((2, 3, 9), (3, 5, 3), {}),
        ((3, 11), (3, 4, 4), {"stride": 3, "padding": 2, "output_padding": (2,)}),
        ((2, 6, 8), (6, 3, 3), {"groups": 3, "dilation": 2, "output_padding": 1}),
        ((16, 16, 40), (16, 30, 4), {"stride": 2, "padding": 1}),
    ]:
        yield (away_from_zero(rng, *x), away_from_zero(rng, *w)), kwargs
        bias = away_from_zero(rng, w[1] * kwargs.get("groups", 1))
        yield (away_from_zero(rng, *x), away_from_zero(rng, *w), bias), kwargs


@cases
def conv_transpose2d(rng):
    for x, w, kwargs in [
        ((2, 3, 5, 6), (3, 5, 3, 3), {}),
        ((2, 3, 5, 6), (3, 17, 3, 2), {"stride": (2, 3), "padding": 1, "output_padding": (1, 2)}),
        ((3, 4, 5), (3, 4, 2, 2), {"dilation": (2, 3), "output_padding": (0, 2)}),
        ((2, 6, 4, 5), (6, 2, 3, 3), {"groups": 3, "stride": 2, "padding": (0, 1)}),
        ((2, 6, 4, 5), (6, 1, 4, 4), {"groups": 6, "stride": 2, "padding": 1}),
        ((2, 4, 3, 5), (4, 3, 1, 1), {"stride": (1, 3)}),
        ((0, 3, 5, 5), (3, 2, 3, 3), {}),
        ((2, 40, 20, 20), (40, 16, 3, 3), {"padding": 1}),
    ]:
        yield (away_from_zero(rng, *x), away_from_zero(rng, *w)), kwargs
        bias = away_from_zero(rng, w[1] * kwargs.get("groups", 1))
        yield (away_from_zero(rng, *x), away_from_zero(rng, *w), bias), kwargs


@cases
def conv_transpose3d(rng):
    for x, w, kwargs in [
        ((2, 3, 3, 4, 5), (3, 5, 3, 3, 3), {}),
        ((3, 2, 4, 3), (3, 17, 2, 3, 2), {"stride": (3, 2, 1), "output_padding": (2, 1, 0)}),
        ((2, 4, 3, 2, 4), (4, 3, 3, 2, 2), {"groups": 2, "dilation": (2, 1, 3), "padding": 1}),
        ((2, 6, 3, 4, 5), (6, 1, 4, 4, 4), {"groups": 6, "stride": 2, "padding": 1}),
        ((2, 4, 2, 3, 5), (4, 3, 1, 1, 1), {"stride": (2, 1, 3)}),
        ((0, 3, 2, 5, 5), (3, 2, 3, 3, 3), {}),
        ((2, 40, 4, 10, 10), (40, 16, 3, 3, 3), {"padding": 1}),
    ]:
        yield (away_from_zero(rng, *x), away_from_zero(rng, *w)), kwargs
        bias = away_from_zero(rng, w[1] * kwargs.get("groups", 1))
        yield (away_from_zero(rng, *x), away_from_zero(rng, *w), bias), kwargs


@cases
def pad(rng):
    for shape, pads, mode in [
        ((7,), (1, 2), "constant"),
        ((3, 4), (1, 0, -1, 2), "constant"),
        ((2, 3, 4, 5), (1, 2, 0, 3, 2, 1, 1, 0), "constant"),
        ((3, 0), (2, 1), "constant"),
        ((2, 3, 7), (3, 2), "{}"),
        ((3, 7), (0, 6), "{}"),
        ((2, 3, 4, 5), (2, 1, 3, 0), "{}"),
        ((3, 4, 5), (2, 1, 0, 1), "{}"),
        ((2, 3, 4, 5, 6), (2, 1, 1, 3, 0, 2), "{}"),
        ((2, 3, 4, 5), (-1, 2, 2, -2), "{}"),
        ((0, 3, 4, 5), (1, 1, 1, 1), "{}"),
        ((8, 16, 20, 20), (1, 1, 1, 1), "{}"),
    ]:
        for name in {mode.format(m): 0 for m in ("constant", "reflect", "replicate", "circular")}:
            yield (away_from_zero(rng, *shape), pads, name), {}
    yield (away_from_zero(rng, 2, 5), (1, 2), "constant", -1.5), {}
    yield (np.arange(6).reshape(2, 3), (1, 2, 0, 1), "constant", 7), {}


@cases
def max_pool2d(rng):
    yield (rng.standard_normal((2, 3, 8, 8)), 2), {}
    yield (rng.standard_normal((1, 65, 7, 6)), 3, 2, 1), {}
    yield (rng.standard_normal((6, 9, 10)), (3, 2), 1), {"dilation": 2, "ceil_mode": True}


@cases
def max_pool3d(rng):
    yield (rng.standard_normal((2, 3, 4, 6, 8)), 2), {}
    yield (rng.standard_normal((1, 65, 5, 4, 3)), 3, 2, 1), {}
    yield (rng.standard_normal((6, 7, 9, 8)), (3, 2, 2), 1), {"dilation": 2, "ceil_mode": True}


@cases
def avg_pool1d(rng):
    yield (rng.standard_normal((2, 3, 8)), 2), {}
    yield (rng.standard_normal((1, 65, 17)), 3, 2, 1), {"count_include_pad": False}
    yield (rng.standard_normal((6, 12)), 3, 2), {"ceil_mode": True}


@cases
def avg_pool2d(rng):
    yield (rng.standard_normal((2, 3, 8, 8)), 2), {}
    yield (rng.standard_normal((1, 65, 7, 6)), 3, 2, 1), {"count_include_pad": False}
    yield (rng.standard_normal((6, 9, 10)), (3, 2), 2), {"ceil_mode": True, "divisor_override": 5}


@cases
def avg_pool3d(rng):
    yield (rng.standard_normal((2, 3, 4, 6, 8)), 2), {}
    yield (rng.standard_normal((1, 65, 5, 4, 3)), 3, 2, 1), {"count_include_pad": False}
    yield (rng.standard_normal((6, 7, 9, 8)), (3, 2, 4), 2), {"divisor_override": 5}


@cases
def adaptive_pool1d(rng):
    yield (rng.standard_normal((2, 3, 8)), 1), {}
    yield (rng.standard_normal((5, 13)), 7), {}


@cases
def adaptive_pool2d(rng):
    yield (rng.standard_normal((2, 3, 8, 7)), 1), {}
    yield (rng.standard_normal((5, 8, 7)), (3, 7)), {}


@cases
def adaptive_pool3d(rng):
    yield (rng.standard_normal((2, 3, 4, 8, 7)), 1), {}
    yield (rng.standard_normal((5, 6, 8, 7)), (4, 3, 7)), {}


@cases
def lp_pool1d(rng):
    yield (away_from_zero(rng, 2, 3, 8), 2, 2), {}
    yield (rng.uniform(0.1, 3.0, (6, 13)), 2.5, 3, 2), {"ceil_mode": True}


@cases
def lp_pool2d(rng):
    yield (away_from_zero(rng, 2, 3, 8, 8), 2, 2), {}
    yield (rng.uniform(0.1, 3.0, (6, 9, 10)), 1.5, (3, 2), 2), {"ceil_mode": True}


@cases
def lp_pool3d(rng):
    yield (away_from_zero(rng, 2, 3, 4, 6, 8), 2, 2), {}
    yield (rng.uniform(0.1, 3.0, (6, 5, 6, 7)), 3, (3, 2, 2), 2), {"ceil_mode": True}


def unpooling(rng, shape, dims, kernel, stride, positions):
    """Numbers and distinct places for them among so many positions."""
    places = rng.random((*shape[:-dims], positions)).argsort(-1)
    count = int(np.prod(shape[-dims:]))
    return rng.standard_normal(shape), places[..., :count].reshape(shape), kernel, stride


@cases
def max_unpool1d(rng):
    yield unpooling(rng, (2, 3, 4), 1, 2, None, 8), {}
    yield unpooling(rng, (17, 5), 1, 3, 2, 10), {"output_size": (10,)}


@cases
def max_unpool2d(rng):
    yield unpooling(rng, (2, 3, 4, 5), 2, 2, None, 80), {}
    yield unpooling(rng, (1, 65, 3, 4), 2, 3, 2, 35), {"padding": 1}
    yield unpooling(rng, (17, 2, 2), 2, (2, 1), 2, 15), {"output_size": (5, 3)}
    yield unpooling(rng, (2, 40, 20, 20), 2, 2, 2, 1600), {}
    yield unpooling(rng, (20, 40, 6, 6), 2, 2, 2, 144), {}


@cases
def max_unpool3d(rng):
    yield unpooling(rng, (2, 3, 2, 4, 3), 3, 2, None, 192), {}
    yield unpooling(rng, (17, 2, 3, 2), 3, (1, 2, 2), None, 48), {}
