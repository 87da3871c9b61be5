"""Claim: one hidden layer approximates any continuous function, the better the wider it is.

    python -m examples.claims.universal_approximation

A sum of enough sigmoids, moved, stretched and weighted, comes as close to a continuous function
on an interval as one likes (Cybenko, 1989; Hornik, 1991): two steps make a bump, and bumps make
everything. That says that the weights are there, not that learning finds them. So nets of 2, 8, 32
and 128 units of tanh learn a wave, an absolute value, a bump, and a step, which is not continuous
and can only be approached in the mean. The figure is the root of the mean square error on points
between those learned from, in the median of the seeds, as a share of that of the best constant.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import median

import fastnn
from examples import common
from fastnn import Tensor, nn
from fastnn.models import MLP, predict, track
from fastnn.nn import init
from fastnn.nn.functional import mse_loss
from fastnn.optim.lr_scheduler import CosineAnnealingLR

WIDTHS = (2, 8, 32, 128)
FUNCTIONS: dict[str, Callable[[float], float]] = {
    "wave": lambda x: math.sin(2 * math.pi * x),
    "step": lambda x: 1.0 if x > 0.1 else 0.0,
    "|x|": abs,
    "bump": lambda x: math.exp(-50 * x * x),
}


def samples(function: Callable[[float], float], x: Tensor) -> Tensor:
    return fastnn.tensor([[function(v)] for v in x.flatten().tolist()])


def new_net(width: int) -> MLP:
    """Units that begin steep, and with the middles of their slopes all over the interval: from
    PyTorch's default, flat ones near 0, what is sharp takes long to learn."""
    net = MLP([1, width, 1], nn.Tanh)
    first = net.linear_layers()[0]
    with fastnn.no_grad():
        init.normal_(first.weight, std=5.0)
        first.bias.copy_(-first.weight[:, 0] * (fastnn.rand(width) * 2 - 1))
    return net


def learn(width: int, x: Tensor, y: Tensor, steps: int, seed: int) -> MLP:
    """A net that saw all points in each step."""
    fastnn.manual_seed(seed)
    net = new_net(width)
    optimizer = fastnn.optim.Adam(net.parameters(), lr=0.005)
    scheduler = CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        mse_loss(net(x), y).backward()
        optimizer.step()
        scheduler.step()
    return net


def error(net: MLP, x: Tensor, y: Tensor) -> float:
    """Root of the mean square error in multiples of that of the best constant."""
    return (mse_loss(predict(net, x), y) / (y - y.mean()).square().mean()).sqrt().item()


def draw(options, nets: dict[str, dict[int, MLP]], errors: dict[str, list[float]]) -> None:
    """nets: by function and width."""
    with common.picture(options, "universal_approximation", 15, 3.5) as figure:
        if not figure:
            return
        x = fastnn.linspace(-1, 1, 801).unsqueeze(1)
        *panels, last = figure.subplots(1, len(nets) + 1)
        for axes, (name, by_width) in zip(panels, nets.items(), strict=True):
            axes.plot(x.numpy(), samples(FUNCTIONS[name], x).numpy(), color="black", lw=4,
                      alpha=0.2)  # fmt: skip
            for width, net in by_width.items():
                axes.plot(x.numpy(), predict(net, x).numpy(), lw=1, label=f"{width} units")
            axes.set_title(name)
            last.plot(WIDTHS, errors[name], "o-", label=name)
        panels[2].legend(frameon=False, loc="upper center")
        last.set(xscale="log", yscale="log", xlabel="hidden units", title="error")
        last.set_xticks(WIDTHS, WIDTHS)
        last.legend(frameon=False)


def main(arguments: Sequence[str] | None = None) -> common.Results:
    options = common.parse(common.parser(__doc__), arguments)
    steps, count = (3000, 3) if options.quick else (5000, 7)
    x = fastnn.linspace(-1, 1, 201).unsqueeze(1)
    between = (x[1:] + x[:-1]) / 2
    seeds = range(options.seed, options.seed + count)

    nets: dict[str, dict[int, MLP]] = {}
    errors: dict[str, list[float]] = {}
    for name, function in FUNCTIONS.items():
        y, wanted = samples(function, x), samples(function, between)
        nets[name], errors[name] = {}, []
        for width in track(WIDTHS, name, "width"):
            learned = [learn(width, x, y, steps, seed) for seed in seeds]
            nets[name][width] = learned[0]
            errors[name].append(median(error(net, between, wanted) for net in learned))
        print(f"{name}: error {', '.join(f'{100 * e:.2g} %' for e in errors[name])} with "
              f"{', '.join(map(str, WIDTHS))} units")  # fmt: skip
    draw(options, nets, errors)
    small = {name: 0.2 if name == "step" else 0.03 for name in errors}
    return [
        common.Result(f"one hidden layer: {name}", f"2, 8, 32, 128 units, {count} seeds",
                      f"error {', '.join(f'{100 * e:.2g}' for e in found)} %",
                      f"falling to {100 * small[name]:.0f} % or less",
                      all(a > b for a, b in pairwise(found)) and found[-1] < small[name])
        for name, found in errors.items()
    ]  # fmt: skip


if __name__ == "__main__":
    common.run(main)
