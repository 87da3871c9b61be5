"""What tests of the engine, and of code that extends it, are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from unittest import SkipTest

import numpy as np

from fastnn._core.interop import from_numpy
from fastnn._kernels.runtime import (
    adapt,
    get_num_threads,
    isa,
    last_team,
    levels,
    openmp,
    regions,
    set_num_threads,
    use_isa,
)

__all__ = [
    "directional_error",
    "isa",
    "last_team",
    "levels",
    "num_threads",
    "regions",
    "use_isa",
    "using_isa",
]


@contextmanager
def num_threads(n: int) -> Iterator[None]:
    """Use n threads within this context, busy CPUs or not; a test is skipped where the build has
    none."""
    if n > 1 and not openmp():
        raise SkipTest("this build has no OpenMP")
    before, adapted = get_num_threads(), adapt(False)
    set_num_threads(n)
    try:
        yield
    finally:
        set_num_threads(before)
        adapt(adapted)


@contextmanager
def using_isa(level: str) -> Iterator[None]:
    """Run the kernels of one instruction-set level within this context."""
    before = isa()
    use_isa(level)
    try:
        yield
    finally:
        use_isa(before)


def outputs_of(result) -> list:
    """The floating-point tensors among the outputs of an operation, flattened."""
    if isinstance(result, (tuple, list)):
        return [y for entry in result for y in outputs_of(entry)]
    return [result] if hasattr(result, "is_floating_point") and result.is_floating_point() else []


def directional_error(
    function: Callable, arrays: Sequence[np.ndarray], seed: int = 0, step: float = 1e-6
) -> float:
    """How far the gradient of function is from finite differences, relatively.

    function takes tensors, one for each float64 array, and returns a tensor or
    several. Along a random direction v of the inputs and for random weights u of
    the outputs, <gradient of <u, y>, v> is compared with a central difference.
    """
    rng = np.random.default_rng(seed)
    directions = [np.asarray(rng.standard_normal(a.shape)) for a in arrays]

    def value(offset: float, weights: list | None) -> tuple[float, list]:
        tensors = [
            from_numpy(np.asarray(a + offset * v)) for a, v in zip(arrays, directions, strict=True)
        ]
        ys = [y.numpy() for y in outputs_of(function(*tensors))]
        weights = weights or [rng.standard_normal(y.shape) for y in ys]
        return sum(float((u * y).sum()) for u, y in zip(weights, ys, strict=True)), weights

    _, weights = value(0.0, None)
    expected = (value(step, weights)[0] - value(-step, weights)[0]) / (2 * step)

    leaves = [from_numpy(a.copy()).requires_grad_() for a in arrays]
    for y, u in zip(outputs_of(function(*leaves)), weights, strict=True):
        if y.requires_grad:
            y.backward(from_numpy(np.asarray(u)), retain_graph=True)
    found, scale = 0.0, abs(expected)
    for leaf, v in zip(leaves, directions, strict=True):
        if leaf.grad is not None:
            terms = leaf.grad.numpy() * v
            found += float(terms.sum())
            scale = max(scale, float(np.abs(terms).sum()))
    return abs(found - expected) / max(scale, 1e-3)
