"""One benchmark case: a few lines that run unchanged on fastnn and on each peer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """build(lib) prepares the data with lib, a library.Library, and returns what to time.

    flops: floating-point operations of one call, counted by the definition of what it computes.
    gain: how many times fewer the cleverest known way to the same result needs.
    nbytes: the least memory traffic of one call.
    """

    group: str
    name: str
    build: Callable
    flops: float = 0.0
    nbytes: float = 0.0
    items: int = 0  # things processed by one call (images, say), for rates
    gain: float = 1.0
    train: bool = False  # forward and backward, or forward alone?
    random: bool = False  # draws random numbers: two libraries agree in their size only
    depth: float = 1.0  # how many times more rounding there may be than in a single operation
    quick: bool = False  # one of those that stand for its group

    @property
    def key(self) -> str:
        return f"{self.group}/{self.name}"


def both(make: Callable[..., Case], *sizes, **how) -> list[Case]:
    """The case forward alone, and with its backward pass."""
    return [make(*sizes, **how, train=train) for train in (False, True)]
