"""One benchmark case: a few lines that run unchanged on fastnn and on a peer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType


@dataclass(frozen=True)
class Case:
    """build(lib) prepares the data with lib (fastnn or torch) and returns the call to time.

    flops: floating-point operations of one call; nbytes: the least memory traffic
    of one call in bytes. The table shows the one that takes longer at the machine's limit.
    """

    group: str
    name: str
    build: Callable[[ModuleType], Callable[[], object]]
    flops: float = 0.0
    nbytes: float = 0.0
    items: int = 0  # things processed by one call (images, say), for rates

    @property
    def key(self) -> str:
        return f"{self.group}/{self.name}"

    @property
    def trains(self) -> bool:
        """Forward and backward, or forward alone?"""
        return "train" in self.name


def training(lib: ModuleType, forward: Callable[[], object], gradient: object, leaves: list):
    """Forward and backward; gradients start empty each time, as after zero_grad()."""

    def step() -> None:
        for leaf in leaves:
            leaf.grad = None
        forward().backward(gradient)

    return step


def inference(lib: ModuleType, forward: Callable[[], object]) -> Callable[[], object]:
    """Forward without recording the graph."""

    def call() -> object:
        with lib.no_grad():
            return forward()

    return call
