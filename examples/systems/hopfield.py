"""Hopfield's network: digits recalled from a quarter of flipped pixels, and how many fit in.

    python -m examples.systems.hopfield

Each unit looks at all others and takes the sign of what they send it; the energy falls until the
state is one that stays (Hopfield, 1982). With Hebb's rule patterns without correlation are such
states, up to 0.138 for each unit; beyond, all are lost at once (Amit, Gutfreund and Sompolinsky,
1985). In a finite network the fall is no cliff: the critical load is taken as the one at which
the mean overlap of pattern and recalled state sinks below 0.967, the theory's value at the edge.
Digits resemble each other, and Hebb's rule merges them; the projection rule (Personnaz, Guyon and
Dreyfus, 1985) takes out what they have in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import fastnn
from examples import common
from examples.grey import binary, grey_digits, show
from fastnn import Tensor
from fastnn.models.hopfield import Hopfield
from fastnn.models.training import track

FLIPPED = 0.25
EDGE = 0.967  # overlap of a retrieval state at the critical load
LOADS = (0.08, 0.1, 0.12, 0.13, 0.14, 0.15, 0.16, 0.18, 0.2, 0.22)


@dataclass
class Recalled:
    """Stored patterns, what recall began from and what it came to."""

    stored: Tensor
    noisy: Tensor
    states: Tensor

    @property
    def exact(self) -> float:
        """The share of patterns that came back without an error."""
        return (self.states == self.stored).all(1).double().mean().item()

    @property
    def bits(self) -> float:
        return (self.states == self.stored).double().mean().item()


def flip(patterns: Tensor, share: float) -> Tensor:
    return patterns * fastnn.where(fastnn.rand(*patterns.shape) < share, -1.0, 1.0)


def recall_digits(patterns: Tensor, rule: str) -> Recalled:
    net = Hopfield(patterns.shape[1], rule)
    net.learn(patterns)
    noisy = flip(patterns, FLIPPED)
    states, _ = net.recall(noisy)
    return Recalled(patterns, noisy, states)


def overlap(units: int, load: float, probes: int) -> Tensor:
    """Overlap of the first `probes` of load * units random patterns with what recall makes of
    them: (probes), 1 where the pattern stayed as it is."""
    patterns = fastnn.where(fastnn.rand(round(load * units), units) < 0.5, -1.0, 1.0)
    net = Hopfield(units)
    net.learn(patterns)
    states, _ = net.recall(patterns[:probes])
    return (states * patterns[:probes]).mean(1)


def overlaps(units: int, draws: int, probes: int = 50) -> list[float]:
    """The mean overlap at each load, over several draws of patterns."""
    found = [
        fastnn.cat([overlap(units, load, probes) for _ in range(draws)]).mean().item()
        for load in track(LOADS, f"{units} units", "load")
    ]
    print(f"{units} units: overlap {', '.join(f'{m:.3f}' for m in found)}")
    return found


def crossing(means: Sequence[float], level: float) -> float:
    """The load at which the mean overlap first falls below `level`, on a line between two loads;
    NaN if it never does."""
    for k in range(1, len(means)):
        if means[k] < level:
            share = (means[k - 1] - level) / (means[k - 1] - means[k])
            return LOADS[k - 1] + share * (LOADS[k] - LOADS[k - 1])
    return float("nan")


def draw(options, recalled: dict[str, Recalled], curves: dict[int, list[float]]) -> None:
    hebb, projection = recalled.values()
    rows = {
        "stored": projection.stored,
        "a quarter flipped": projection.noisy,
        "recalled, Hebb": hebb.states,
        "recalled, projection": projection.states,
    }
    with common.picture(options, "hopfield", 12, 5) as figure:
        if not figure:
            return
        left, right = figure.subfigures(1, 2)
        for axes, (title, states) in zip(left.subplots(len(rows), 1), rows.items(), strict=True):
            show(axes, states[:10], 10, title)
        axes = right.subplots()
        for units, means in curves.items():
            axes.plot(LOADS, means, "o-", label=f"{units} units")
        axes.axvline(0.138, color="grey", ls="--", label="0.138, theory")
        axes.set(xlabel="patterns for each unit", ylabel="overlap after recall",
                 title="random patterns, Hebb")  # fmt: skip
        axes.legend(frameon=False)


def main(arguments: Sequence[str] | None = None) -> common.Results:
    options = common.parse(common.parser(__doc__), arguments)
    images = 2 * binary(grey_digits().train_images) - 1
    kept = {}
    for count in (10, 50, 100, 150):
        for rule in ("hebb", "projection"):
            found = recall_digits(images[:count], rule)
            print(f"{count} digits, {rule}: {100 * found.exact:.0f} % recalled exactly, "
                  f"{100 * found.bits:.1f} % of their pixels right")  # fmt: skip
            if count == 50:
                kept[rule] = found

    sizes = {500: 4} if options.quick else {250: 24, 500: 12, 1000: 6, 2000: 2}
    curves = {units: overlaps(units, draws) for units, draws in sizes.items()}
    for units, means in curves.items():
        edge, half = crossing(means, EDGE), crossing(means, 0.5)
        print(f"{units} units: overlap below {EDGE} from a load of {edge:.4f}, below 1/2 from "
              f"{half:.4f}")  # fmt: skip
    draw(options, kept, curves)
    units, means = list(curves.items())[-1]
    load, projection, hebb = crossing(means, EDGE), kept["projection"], kept["hebb"]
    return [
        common.Result(
            "Hopfield, projection rule",
            "50 digits, 25 % of pixels flipped",
            f"{100 * projection.exact:.0f} % exactly, {100 * projection.bits:.1f} % of pixels",
            f"95 %; Hebb's rule: {100 * hebb.exact:.0f} % and {100 * hebb.bits:.1f} %",
            projection.exact >= 0.95 and projection.bits > hebb.bits,
        ),
        common.Result(
            "Hopfield, Hebb: critical load",
            f"random patterns, {units} units",
            f"{load:.3f}",
            "0.138 within a tenth (Amit et al., 1985)",
            abs(load - 0.138) < 0.0138,
        ),
    ]


if __name__ == "__main__":
    common.run(main)
