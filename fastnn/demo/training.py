"""Training and testing a classifier, with a progress bar."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field

import fastnn
from fastnn import Tensor, nn
from fastnn.data import DataLoader, TensorDataset


@dataclass
class Split:
    """Images (N, 1, H, W), standardised, and their labels."""

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor


@dataclass
class Run:
    """What one training gave: curves by epoch, and the final figures."""

    model: str
    seed: int
    losses: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)
    seconds: float = 0.0
    images: int = 0
    net: nn.Module | None = None

    @property
    def accuracy(self) -> float:
        return self.accuracies[-1]

    @property
    def rate(self) -> float:
        return self.images / self.seconds


class Progress:
    """tqdm's progress bar where it is installed and a person is watching, else a line an epoch."""

    def __init__(self, label: str, steps: int) -> None:
        self.label, self.bar = label, None
        if sys.stderr.isatty():
            try:
                from tqdm import tqdm

                self.bar = tqdm(total=steps, desc=label, unit="batch", leave=True)
            except ImportError:
                pass

    def step(self) -> None:
        if self.bar is not None:
            self.bar.update()

    def epoch(self, number: int, loss: float, accuracy: float) -> None:
        figures = f"loss {loss:.4f}, test accuracy {100 * accuracy:.2f} %"
        if self.bar is not None:
            self.bar.set_postfix_str(figures)
        else:
            print(f"  {self.label} epoch {number}: {figures}", flush=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def accuracy(net: nn.Module, images: Tensor, labels: Tensor, batch: int = 250) -> float:
    """The share of images whose class the net finds."""
    net.eval()
    hits = 0
    with fastnn.no_grad():
        for start in range(0, len(labels), batch):
            scores = net(images[start : start + batch])
            hits += int((scores.argmax(1) == labels[start : start + batch]).sum())
    net.train()
    return hits / len(labels)


def train(
    name: str, net: nn.Module, data: Split, epochs: int, rate: float, batch: int, seed: int
) -> Run:
    """Train with Adam, its rate falling to zero; test after every epoch (not timed)."""
    run = Run(name, seed, net=net)
    loader = DataLoader(
        TensorDataset(data.train_images, data.train_labels), batch_size=batch, shuffle=True
    )
    optimizer = fastnn.optim.Adam(net.parameters(), lr=rate)
    progress = Progress(f"{name} (seed {seed})", epochs * len(loader))
    step = 0
    for epoch in range(1, epochs + 1):
        total, began = 0.0, time.perf_counter()
        for images, labels in loader:
            optimizer.param_groups[0]["lr"] = rate * (1 - step / (epochs * len(loader)))
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(images), labels)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(labels)
            run.images += len(labels)
            step += 1
            progress.step()
        run.seconds += time.perf_counter() - began
        run.losses.append(total / len(data.train_labels))
        run.accuracies.append(accuracy(net, data.test_images, data.test_labels))
        progress.epoch(epoch, run.losses[-1], run.accuracies[-1])
    progress.close()
    return run
