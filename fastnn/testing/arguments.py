"""What generators of cases are made of; see cases.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Case = tuple[tuple[Any, ...], dict[str, Any]]
Generator = Callable[[np.random.Generator], Iterator[Case]]


def away_from_zero(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Numbers of both signs with 0.1 < |x| < 3."""
    return rng.choice([-1.0, 1.0], shape) * rng.uniform(0.1, 3.0, shape)
