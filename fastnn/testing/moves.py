"""Cases of the operations that move numbers without computing; see cases.py."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from fastnn.testing.arguments import Case, Generator

# (shape, arguments) each
SHAPED: dict[str, list[tuple[tuple[int, ...], tuple]]] = {
    "reshape": [
        ((2, 3, 4), (4, 6)),
        ((2, 3, 4), ((-1, 2),)),
        ((), (1, 1)),
        ((6, 1, 5), (2, -1)),
        ((0, 3), (3, 0)),
    ],
    "flatten": [
        ((2, 3, 4), ()),
        ((2, 3, 4, 5), (1,)),
        ((2, 3, 4, 5), (1, 2)),
        ((), ()),
        ((0, 3), ()),
    ],
    "unflatten": [((2, 12), (1, (3, -1))), ((6, 4), (0, (2, 3))), ((2, 12), (-1, (2, 2, 3)))],
    "squeeze": [
        ((1, 3, 1), ()),
        ((1, 3, 1), (0,)),
        ((1, 3, 1), (1,)),
        ((1, 3, 1), ((0, -1),)),
        ((), ()),
    ],
    "unsqueeze": [((3, 4), (0,)), ((3, 4), (-1,)), ((3, 4), (1,)), ((), (0,))],
    "permute": [
        ((2, 3, 4), (2, 0, 1)),
        ((2, 3, 4, 5), ((0, -1, 1, 2),)),
        ((60, 50, 7), (2, 1, 0)),
        ((), ((),)),
    ],
    "transpose": [
        ((2, 3, 4), (0, 2)),
        ((33, 70), (1, 0)),
        ((2, 3, 4), (-1, -2)),
        ((300, 400), (0, 1)),
    ],
    "t": [((3, 40), ()), ((5,), ()), ((), ())],
    "movedim": [((2, 3, 4), (0, -1)), ((2, 3, 4, 5), ((0, 1), (-1, 0)))],
    "expand": [
        ((3, 1), (3, 4)),
        ((3, 1), ((2, -1, 5),)),
        ((), (2, 2)),
        ((1,), (0,)),
        ((1, 7), (300, 7)),
    ],
    "broadcast_to": [((3, 1), ((2, 3, 4),)), ((4,), ((2, 4),))],
    "narrow": [((5, 6), (0, 1, 3)), ((5, 6), (1, -2, 2)), ((5, 6), (1, 6, 0))],
    "select": [((5, 6), (0, 1)), ((2, 3, 4), (1, -1)), ((5,), (0, 4))],
    "diagonal": [
        ((4, 5), ()),
        ((4, 5), (1,)),
        ((5, 4), (-2,)),
        ((2, 3, 4), (0, 0, 2)),
        ((2, 2), (5,)),
    ],
    "split": [((7, 3), (3,)), ((7, 3), ([2, 0, 5],)), ((3, 7), (2, 1)), ((0, 3), (2,))],
    "chunk": [((7, 3), (3,)), ((3, 7), (2, -1)), ((2, 3), (4,))],
    "unbind": [((3, 4), ()), ((2, 3, 4), (1,)), ((2, 3, 4), (-1,))],
    "copy": [((), ()), ((0, 3), ()), ((33,), ()), ((2, 3, 4, 5), ()), ((130, 1000), ())],
    "repeat": [
        ((2, 3), (2, 2)),
        ((2, 3), ((3, 1, 2),)),
        ((), (3,)),
        ((2, 3), (1, 0)),
        ((2, 3), (1, 1)),
    ],
    "tile": [((2, 3), (2,)), ((2, 3), ((2, 1, 2),))],
    "flip": [
        ((4, 5), (0,)),
        ((4, 5), (0, 1)),
        ((2, 3, 4), ((0, 2),)),
        ((0, 3), (0,)),
        ((300, 200), (1,)),
    ],
    "tril": [
        ((4, 5), ()),
        ((5, 4), (1,)),
        ((2, 3, 3), (-1,)),
        ((3, 3), (7,)),
        ((3, 3), (-7,)),
        ((0, 3), ()),
    ],
}


def numbers(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return np.asarray(rng.standard_normal(shape))


def shaped(name: str, rng: np.random.Generator) -> Iterator[Case]:
    for shape, args in SHAPED[name]:
        yield (numbers(rng, *shape), *args), {}


def index_select(rng):
    yield (numbers(rng, 5, 6), 0, np.array([4, 0, 0, -1])), {}
    yield (numbers(rng, 3, 5, 4), 1, np.array([2, 2], np.int32)), {}
    yield (numbers(rng, 7), 0, np.array([], np.int64)), {}
    yield (numbers(rng, 300, 200), 0, rng.integers(0, 300, 500)), {}


def gather(rng):
    yield (numbers(rng, 5, 6), 0, rng.integers(0, 5, (3, 6))), {}
    yield (numbers(rng, 3, 5, 4), 1, rng.integers(-5, 5, (3, 2, 4))), {}
    yield (numbers(rng, 9), 0, rng.integers(0, 9, 20)), {}


def index_add(rng):
    yield (numbers(rng, 5, 6), 0, np.array([4, 0, 0]), numbers(rng, 3, 6)), {}
    yield (numbers(rng, 3, 5), 1, np.array([4, 4]), numbers(rng, 3, 2)), {"alpha": 1.5}
    yield (numbers(rng, 50, 33), 0, rng.integers(0, 50, 700), numbers(rng, 700, 33)), {}


def scatter_add(rng):
    yield (numbers(rng, 5, 6), 0, rng.integers(0, 5, (7, 4)), numbers(rng, 8, 6)), {}
    yield (numbers(rng, 2, 3, 4), 2, rng.integers(0, 4, (2, 3, 9)), numbers(rng, 2, 3, 9)), {}


def scatter(rng):
    yield (numbers(rng, 5, 6), 1, np.array([[0, 3], [2, 5]]), numbers(rng, 2, 2)), {}
    yield (numbers(rng, 9), 0, rng.permutation(9)[:4], 2.5), {}


def mask(rng):
    for shape in [(), (5,), (3, 4), (2, 3, 4), (0, 3), (300, 200)]:
        yield (np.asarray(rng.random(shape) < 0.4),), {}


def masked_select(rng):
    for shape, narrow in [
        ((5,), (5,)),
        ((3, 4), (3, 1)),
        ((2, 3, 4), (4,)),
        ((), ()),
        ((300, 200), (300, 200)),
    ]:
        yield (numbers(rng, *shape), np.asarray(rng.random(narrow) < 0.4)), {}


MOVES: dict[str, Generator] = {
    **{name: partial(shaped, name) for name in SHAPED},
    **{
        f.__name__: f
        for f in (index_select, gather, index_add, scatter_add, scatter, mask, masked_select)
    },
}
