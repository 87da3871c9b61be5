"""Training and testing any module: the loop, the progress bar, and what is kept of it."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from fastnn import Tensor, cat, no_grad
from fastnn.data import DataLoader, TensorDataset
from fastnn.models.checks import check_finite, check_same_length
from fastnn.models.divergence import explain_divergence
from fastnn.nn import Module
from fastnn.nn.utils import clip_grad_norm_
from fastnn.optim import Adam, Optimizer
from fastnn.optim.lr_scheduler import LinearLR, LRScheduler

Loss = Callable[[Any, Tensor], Tensor]
Data = Sequence[Tensor] | DataLoader


@dataclass
class History:
    """What one training gave. losses: the mean of each epoch; step_losses: of each step; scores:
    of evaluate() after each epoch; seconds: spent on training, evaluation left out; samples:
    seen, those seen twice count twice."""

    losses: list[float] = field(default_factory=list)
    step_losses: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    seconds: float = 0.0
    samples: int = 0

    def end_epoch(self, sizes: Sequence[int], seconds: float) -> None:
        """Add an epoch whose steps had so many samples each, and took so long."""
        steps = zip(self.step_losses[len(self.step_losses) - len(sizes) :], sizes, strict=True)
        self.losses.append(sum(loss * size for loss, size in steps) / sum(sizes))
        self.samples += sum(sizes)
        self.seconds += seconds

    def extend(self, later: History) -> None:
        """Add a training that went on from here."""
        self.losses += later.losses
        self.step_losses += later.step_losses
        self.scores += later.scores
        self.seconds += later.seconds
        self.samples += later.samples


class Progress:
    """tqdm's progress bar where it is installed and a person is watching, else a line an epoch.
    Without a label, nothing is shown."""

    def __init__(self, label: str | None, steps: int | None, unit: str = "batch") -> None:
        self.label, self.bar = label, None
        if label is not None and sys.stderr.isatty():
            try:
                from tqdm import tqdm

                self.bar = tqdm(total=steps, desc=label, unit=unit, leave=True)
            except ImportError:
                pass

    def step(self, count: int = 1) -> None:
        if self.bar is not None:
            self.bar.update(count)

    def epoch(self, number: int, figures: str) -> None:
        if self.bar is not None:
            self.bar.set_postfix_str(figures)
        elif self.label is not None:
            print(f"  {self.label} epoch {number}: {figures}", flush=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


Item = TypeVar("Item")


def track(items: Collection[Item], label: str, unit: str = "run") -> Iterator[Item]:
    """The items one by one, with a progress bar for those that are done."""
    with closing(Progress(label, len(items), unit)) as bar:
        for item in items:
            yield item
            bar.step()


def loader_of(data: Data, batch_size: int) -> DataLoader:
    """Shuffled batches of tensors (*inputs, target) of one length; a DataLoader as it is."""
    if isinstance(data, DataLoader):
        if len(data) == 0:
            raise ValueError("there is nothing to learn from: the data loader has no batch")
        return data
    check_same_length(data)
    for k, x in enumerate(data):
        check_finite(x, "targets" if k == len(data) - 1 else f"the numbers of input {k}")
    return DataLoader(TensorDataset(*data), batch_size=batch_size, shuffle=True)


def train_step(
    net: Module,
    loss: Loss,
    optimizer: Optimizer,
    scheduler: LRScheduler | None,
    clip_norm: float | None,
    batch: Sequence[Any],
    step: int,
) -> float:
    """The loss of one batch (*inputs, target), and one step down from it; see fit()."""
    *inputs, target = batch
    optimizer.zero_grad()
    value = loss(net(*inputs), target)
    number = value.item()
    if not math.isfinite(number):
        raise explain_divergence(net, inputs, step)
    value.backward()
    if clip_norm is not None:
        clip_grad_norm_(net.parameters(), clip_norm)
    optimizer.step()
    if scheduler is not None:
        scheduler.step()
    return number


def fit(
    net: Module,
    data: Data,
    loss: Loss,
    *,
    epochs: int,
    batch_size: int = 64,
    lr: float = 1e-3,
    optimizer: Optimizer | None = None,
    scheduler: LRScheduler | None = None,
    clip_norm: float | None = None,
    evaluate: Callable[[], float] | None = None,
    stop: Callable[[History], bool] | None = None,
    progress: str | None = None,
) -> History:
    """Train a net on batches of data in random order (fastnn.manual_seed decides it).

    data: tensors (*inputs, target) of one length N, or a DataLoader of such batches; net(*inputs)
    gives the output. loss(output, target): a number. optimizer: Adam with `lr` unless given;
    scheduler: stepped after each batch, by default the rate falls linearly to 0 unless an
    optimizer is given. clip_norm: the largest norm of all gradients. evaluate: gives the score of
    the net after each epoch. stop: asked after each step and each epoch, ends the training where
    it says True. progress: the label of a progress bar.

    Raises ValueError for data that are empty, of different lengths or not finite, and
    DivergenceError with step and layer where the loss is not finite.
    """
    loader = loader_of(data, batch_size)
    if optimizer is None:
        if scheduler is not None:
            raise ValueError("a scheduler needs the optimizer that it was made for")
        optimizer = Adam(net.parameters(), lr=lr)
        scheduler = LinearLR(optimizer, 1.0, 0.0, epochs * len(loader))
    take_step = partial(train_step, net, loss, optimizer, scheduler, clip_norm)
    history, done = History(), stop or (lambda history: False)
    net.train()
    with closing(Progress(progress, epochs * len(loader))) as bar:
        for epoch in range(1, epochs + 1):
            sizes, began, stopped = [], time.perf_counter(), False
            for batch in loader:
                number = take_step(batch, len(history.step_losses) + 1)
                history.step_losses.append(number)
                sizes.append(len(batch[-1]))
                bar.step()
                if stopped := done(history):
                    break
            history.end_epoch(sizes, time.perf_counter() - began)
            figures = f"loss {history.losses[-1]:.4f}"
            if evaluate is not None:
                history.scores.append(evaluate())
                figures += f", score {history.scores[-1]:.4f}"
            bar.epoch(epoch, figures)
            if stopped or done(history):
                break
    return history


@contextmanager
def evaluating(net: Module) -> Iterator[None]:
    """Without a graph, the net in evaluation mode; afterwards in the mode it had."""
    was_training = net.training
    net.eval()
    try:
        with no_grad():
            yield
    finally:
        net.train(was_training)


def predict(net: Module, *inputs: Tensor, batch_size: int = 250) -> Tensor:
    """What the net gives for inputs of one length, batch by batch, in evaluation mode."""
    n = check_same_length(inputs)
    with evaluating(net):
        return cat([net(*[x[k : k + batch_size] for x in inputs]) for k in range(0, n, batch_size)])


def accuracy(net: Module, *data: Tensor, batch_size: int = 250) -> float:
    """The share of samples whose class has the highest score: data are (*inputs, labels)."""
    *inputs, labels = data
    found = predict(net, *inputs, batch_size=batch_size).argmax(1)
    return (found == labels).double().mean().item()
