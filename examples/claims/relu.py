"""Claim: ReLU trains faster than sigmoid.

    python -m examples.claims.relu

A sigmoid's slope is 1/4 at most and near 0 where it is saturated, and a gradient is multiplied by
it in every layer. A ReLU's slope is 1 wherever it is above 0, however large its input (Nair and
Hinton, 2010; Glorot, Bordes and Bengio, 2011); tanh has slope 1 around 0 (LeCun et al., 1998). A
net of five layers learns digits with each of them at the best of some learning rates, and the
steps are counted until it has learned them so far. That the slope is the cause is shown by a
repair: weights that begin four times larger make up for a slope of 1/4, and the sigmoid is fast
too. Krizhevsky et al. (2012) found ReLU six times faster than tanh with a convolutional net on
CIFAR-10.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

import fastnn
from examples import common
from fastnn import Tensor, nn
from fastnn.models import MLP, DivergenceError, History, accuracy, fit, track
from fastnn.nn import init
from fastnn.nn.functional import cross_entropy

DEPTH, WIDTH = 4, 128
GOAL, WINDOW, MOST_STEPS = 0.25, 20, 1000
KINDS: dict[str, tuple[Callable[[], nn.Module], Callable[[Tensor], object]]] = {
    "sigmoid": (nn.Sigmoid, init.xavier_normal_),
    "sigmoid, weights x 4": (nn.Sigmoid, partial(init.xavier_normal_, gain=4.0)),
    "tanh": (nn.Tanh, init.xavier_normal_),
    "ReLU": (nn.ReLU, partial(init.kaiming_normal_, nonlinearity="relu")),
}


@dataclass
class Race:
    """A net trained until the mean loss of WINDOW steps was below GOAL, or for MOST_STEPS."""

    net: MLP
    history: History

    @property
    def losses(self) -> list[float]:
        return self.history.step_losses

    @property
    def steps(self) -> int:
        return len(self.losses)


def new_net(kind: str, inputs: int, seed: int) -> MLP:
    fastnn.manual_seed(seed)
    activation, initialise = KINDS[kind]
    return MLP([inputs, *[WIDTH] * DEPTH, 10], activation, initialise=initialise)


def arrived(history: History) -> bool:
    steps, last = len(history.step_losses), history.step_losses[-WINDOW:]
    return steps >= MOST_STEPS or (steps >= WINDOW and sum(last) / WINDOW < GOAL)


def race(kind: str, train: tuple[Tensor, Tensor], lr: float, seed: int) -> Race:
    """Train a new net by momentum until it arrives; one that diverges never does."""
    net = new_net(kind, train[0].shape[1], seed)
    optimizer = fastnn.optim.SGD(net.parameters(), lr=lr, momentum=0.9)
    options = {"epochs": MOST_STEPS, "optimizer": optimizer, "stop": arrived}
    try:
        return Race(net, fit(net, train, cross_entropy, **options))
    except DivergenceError:
        return Race(net, History(step_losses=[math.nan] * MOST_STEPS))


def best_rate(runs: dict[float, list[Race]]) -> float:
    """The learning rate that needs the fewest steps in the median of the seeds."""
    return min(runs, key=lambda lr: median(run.steps for run in runs[lr]))


def slopes(net: MLP, x: Tensor) -> list[float]:
    """The mean slope of the activation over samples and units, for each hidden layer."""
    found = []
    for layer in net.layers:
        before = x.detach().requires_grad_()
        x = layer(before)
        if not isinstance(layer, nn.Linear):
            x.sum().backward()
            found.append(before.grad.mean().item())
    return found


def smooth(losses: Sequence[float]) -> list[float]:
    """The mean of each WINDOW losses in a row."""
    return [sum(losses[k : k + WINDOW]) / WINDOW for k in range(len(losses) - WINDOW + 1)]


def draw(options, best: dict[str, list[Race]], steep: dict[str, list[float]]) -> None:
    with common.picture(options, "relu", 10, 4) as figure:
        if not figure:
            return
        left, right = figure.subplots(1, 2)
        for k, (kind, runs) in enumerate(best.items()):
            for j, run in enumerate(runs):
                label = kind if j == 0 else None
                left.plot(smooth(run.losses), color=f"C{k}", lw=1, label=label)
            right.plot(range(1, DEPTH + 1), steep[kind], "o-", label=kind)
        left.axhline(GOAL, color="black", lw=0.5)
        left.set(xlabel="step", ylabel=f"loss, mean of {WINDOW} steps", yscale="log",
                 title="each at its best learning rate")  # fmt: skip
        right.set(xlabel="layer", ylabel="mean slope", ylim=(0, 1), xticks=range(1, DEPTH + 1),
                  title="slope of the activation before training")  # fmt: skip
        left.legend(frameon=False)


def main(arguments: Sequence[str] | None = None) -> common.Results:
    options = common.parse(common.parser(__doc__), arguments)
    data = common.digits(4000)
    train = data.train_images.flatten(1), data.train_labels
    test = data.test_images.flatten(1), data.test_labels
    rates = (0.03, 0.1) if options.quick else (0.01, 0.03, 0.1, 0.3)
    seeds = range(options.seed, options.seed + (3 if options.quick else 5))

    best, steps, steep = {}, {}, {}
    for kind in track(KINDS, "activations", "kind"):
        runs = {lr: [race(kind, train, lr, seed) for seed in seeds] for lr in rates}
        lr = best_rate(runs)
        best[kind], steps[kind] = runs[lr], median(run.steps for run in runs[lr])
        steep[kind] = slopes(new_net(kind, train[0].shape[1], options.seed), test[0])
        cost = median(run.history.seconds / run.steps for run in best[kind])
        score = median(accuracy(run.net, *test) for run in best[kind])
        counts = sorted(run.steps for run in best[kind])
        print(f"{kind}: {steps[kind]:.0f} steps ({counts[0]} to {counts[-1]}) at rate {lr}, "
              f"{1000 * cost:.2f} ms each, then {100 * score:.1f} % right; mean slope by layer "
              f"{', '.join(f'{s:.2f}' for s in steep[kind])}")  # fmt: skip
    draw(options, best, steep)

    over = f"{data.name}, {len(seeds)} seeds"
    relu, sigmoid, repaired = (steps[k] for k in ("ReLU", "sigmoid", "sigmoid, weights x 4"))
    return [
        common.Result("ReLU faster than sigmoid", over,
                      f"{relu:.0f} steps, not {sigmoid:.0f}: {sigmoid / relu:.1f} times",
                      "at least 2 times", sigmoid >= 2 * relu),
        common.Result("the cause: slope", f"digits, {DEPTH} layers",
                      f"sigmoid {max(steep['sigmoid']):.2f} at most, ReLU {min(steep['ReLU']):.2f} "
                      "at least", "below and above 1/4",
                      max(steep["sigmoid"]) <= 0.25 < min(steep["ReLU"])),
        common.Result("the repair: weights x 4", over,
                      f"{repaired:.0f} steps, not {sigmoid:.0f}", "half or fewer",
                      repaired <= sigmoid / 2),
        common.Result("tanh about as fast as ReLU", over,
                      f"{steps['tanh']:.0f} and {relu:.0f} steps",
                      "within 2 times here; CIFAR-10: 6 (Krizhevsky 2012)",
                      0.5 < steps["tanh"] / relu < 2),
    ]  # fmt: skip


if __name__ == "__main__":
    common.run(main)
