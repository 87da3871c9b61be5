"""One training of the demo: what it is given, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass

from fastnn import nn
from fastnn.data import ImageSplit
from fastnn.models import History, accuracy, fit
from fastnn.nn.functional import cross_entropy


@dataclass
class Run:
    """A net that was trained, and its losses and test accuracies by epoch."""

    model: str
    seed: int
    net: nn.Module
    history: History

    @property
    def accuracy(self) -> float:
        return self.history.scores[-1]

    @property
    def rate(self) -> float:
        """Images a second."""
        return self.history.samples / self.history.seconds


def train(
    name: str, net: nn.Module, data: ImageSplit, epochs: int, rate: float, batch: int, seed: int
) -> Run:
    """Train with Adam, its rate falling to zero; test after every epoch (not timed)."""
    history = fit(
        net,
        data.train,
        cross_entropy,
        epochs=epochs,
        batch_size=batch,
        lr=rate,
        evaluate=lambda: accuracy(net, *data.test),
        progress=f"{name} (seed {seed})",
    )
    return Run(name, seed, net, history)
