"""A stream of clicks: one pass over a million rows in the memory of one batch.

    python -m examples.systems.click_stream
    python -m examples.systems.click_stream --file day_0.gz --rows 10000000

Logs of advertisements do not fit into memory and have categories without end. Both cease to
matter where each text is hashed into one of a fixed number of buckets (Weinberger et al., 2009)
and each row is learned from once, as it comes; a step of sparse Adagrad (Duchi et al., 2011)
changes only the rows of the tables that a batch names. There is no test set: each batch is
predicted before it is learned (McMahan et al., 2013, call it progressive validation). Rows have
Criteo's form, 13 counts and 26 categories; without a file they are made up, and clicks then depend
on pairs of categories, which the factorisation machine and DeepFM can see, logistic regression not.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

import fastnn
from examples import common
from fastnn import Tensor
from fastnn.data import stream_criteo, synthetic_criteo
from fastnn.models.click import ClickModel, DeepFM, FactorisationMachine, LogisticRegression
from fastnn.models.training import Progress
from fastnn.nn.functional import binary_cross_entropy_with_logits
from fastnn.optim import Adagrad

NUMBERS, FIELDS, BUCKETS = 13, 26, 1 << 14
BINS = 4096
CURVE_POINTS = 50
MOST_GROWTH = 32  # megabytes: what the reader may remember of texts and their buckets


class ProgressiveScores:
    """AUC and log loss of all that was predicted so far, out of counts of rows and clicks in
    BINS intervals of probability: the memory does not grow."""

    def __init__(self) -> None:
        self.rows = fastnn.zeros(BINS, dtype=fastnn.float64)
        self.clicks = fastnn.zeros(BINS, dtype=fastnn.float64)
        self.loss = 0.0

    @fastnn.no_grad()
    def add(self, logits: Tensor, target: Tensor) -> None:
        place = (logits.sigmoid() * BINS).clamp(0, BINS - 1).long()
        target = target.double()
        self.rows.index_add_(0, place, fastnn.ones_like(target))
        self.clicks.index_add_(0, place, target)
        loss = binary_cross_entropy_with_logits(logits.double(), target, reduction="sum")
        self.loss += loss.item()

    def log_loss(self) -> float:
        return self.loss / self.rows.sum().item()

    def auc(self) -> float:
        """How likely a row clicked has the higher probability of two; ties count half."""
        others = (self.rows - self.clicks).tolist()
        below = [0.0, *accumulate(others)]
        clicks = self.clicks.tolist()
        pairs = sum(c * (b + o / 2) for c, b, o in zip(clicks, below, others, strict=False))
        return pairs / max(sum(clicks) * below[-1], 1)


class Learner:
    """A model, its optimiser, and how well it predicted what it had not seen."""

    def __init__(self, model: ClickModel, lr: float, deep_lr: float = 0.0) -> None:
        parameters = list(model.named_parameters())
        groups = [{"params": [p for name, p in parameters if not name.startswith("deep.")]}]
        if deep_lr:
            groups.append({"params": model.deep.parameters(), "lr": deep_lr})
        self.model, self.optimizer = model, Adagrad(groups, lr=lr)
        self.scores, self.seconds = ProgressiveScores(), 0.0
        self.curve: list[tuple[int, float]] = []

    def step(self, numbers: Tensor, categories: Tensor, target: Tensor) -> None:
        """Predict a batch, then learn it."""
        began = time.perf_counter()
        self.optimizer.zero_grad()
        logits = self.model(numbers, categories)
        self.scores.add(logits.detach(), target)
        binary_cross_entropy_with_logits(logits, target).backward()
        self.optimizer.step()
        self.seconds += time.perf_counter() - began


def learners() -> dict[str, Learner]:
    shape = NUMBERS, [BUCKETS] * FIELDS
    return {
        "logistic regression": Learner(LogisticRegression(*shape, sparse=True), 0.05),
        "factorisation machine": Learner(FactorisationMachine(*shape, sparse=True), 0.03),
        "DeepFM": Learner(DeepFM(*shape, sparse=True), 0.03, 0.02),
    }


def peak_megabytes() -> float:
    """The most memory that this process ever had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def first_rows(batches: Iterator, rows: int) -> Iterator:
    """Batches until there are that many rows."""
    seen = 0
    for batch in batches:
        yield tuple(part[: rows - seen] for part in batch)
        seen += len(batch[0])
        if seen >= rows:
            return


def learn_stream(found: dict[str, Learner], batches: Iterator, rows: int) -> tuple[int, float]:
    """Teach all learners batch by batch. The rows there were, and by how many megabytes the
    peak of memory rose after the first tenth of them."""
    progress, seen, early, due = Progress("rows", rows, "row"), 0, 0.0, 0
    for numbers, categories, target in first_rows(batches, rows):
        for learner in found.values():
            learner.step(numbers, categories, target)
        seen += len(target)
        progress.step(len(target))
        if not early or seen <= rows // 10:
            early = peak_megabytes()
        if seen >= due:
            due += rows // CURVE_POINTS
            for learner in found.values():
                learner.curve.append((seen, learner.scores.auc()))
    progress.close()
    if not seen:
        raise ValueError("the file has no rows")
    return seen, peak_megabytes() - early


def draw(options, found: dict[str, Learner]) -> None:
    with common.picture(options, "click_stream", 6, 4) as figure:
        if not figure:
            return
        axes = figure.subplots()
        for name, learner in found.items():
            axes.plot(*zip(*learner.curve, strict=True), label=name)
        axes.set(xlabel="rows", ylabel="AUC of all rows so far", title="predicted, then learned")
        axes.legend(frameon=False)


def results(found: dict[str, Learner], data: str, growth: float) -> common.Results:
    base = found["logistic regression"].scores
    figures = {name: (each.scores.auc(), each.scores.log_loss()) for name, each in found.items()}
    rows = [
        common.Result(
            f"{name}, one pass",
            data,
            f"AUC {auc:.3f}, log loss {loss:.3f}",
            f"{base.auc():.3f}, {base.log_loss():.3f} logistic regression",
            auc > base.auc() and loss < base.log_loss(),
        )
        for name, (auc, loss) in list(figures.items())[1:]
    ]
    figure = f"{growth:.1f} MB more after the first tenth"
    reference, holds = f"less than {MOST_GROWTH} MB", growth < MOST_GROWTH
    return [*rows, common.Result("memory of a stream", data, figure, reference, holds)]


def main(arguments: Sequence[str] | None = None) -> common.Results:
    parser = common.parser(__doc__)
    parser.add_argument("--file", type=Path, help="rows of Criteo's form, plain or gzip")
    parser.add_argument("--rows", type=int, help="how many to read at most")
    options = common.parse(parser, arguments)
    rows = (30_000 if options.quick else 1_000_000) if options.rows is None else options.rows
    if rows < 1:
        parser.error(f"--rows must be at least 1, got {rows}")
    source = options.file or synthetic_criteo(rows, options.seed)
    found = learners()
    began = time.perf_counter()
    batches = stream_criteo(source, 128 if options.quick else 256, BUCKETS)
    seen, growth = learn_stream(found, batches, rows)
    seconds = time.perf_counter() - began
    print(f"{seen:,} rows in {seconds:.1f} s, {seen / seconds:,.0f} a second with all models")
    for name, learner in found.items():
        scores = learner.scores
        print(f"  {name}: AUC {scores.auc():.4f}, log loss {scores.log_loss():.4f}, "
              f"{seen / learner.seconds:,.0f} rows/s")  # fmt: skip
    reading = seconds - sum(learner.seconds for learner in found.values())
    print(f"  reading alone: {seen / reading:,.0f} rows/s")
    print(f"memory: {peak_megabytes():.0f} MB at most, {growth:.1f} MB of them after the first "
          f"tenth; the tensors of all rows would take {seen * 264 / 1e6:.0f} MB")  # fmt: skip
    draw(options, found)
    kind = "Criteo's rows" if options.file else "made-up Criteo"
    return results(found, f"{kind}, {seen:,}", growth)


if __name__ == "__main__":
    common.run(main)
