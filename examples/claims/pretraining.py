"""Claim: pre-training helps where labels are few.

    python -m examples.claims.pretraining

A net of three hidden sigmoid layers is started twice: with weights drawn at random (Glorot and
Bengio, 2010), and with those of a deep belief network, whose layers learned one by one, without
labels, how digits look (Hinton, Osindero and Teh, 2006). Both then learn the same few labels for
as many steps at the same rate. What the images alone teach is worth most where labels say little,
and less the more of them there are (Erhan et al., 2010). A ReLU net, today's way to train deep
layers from a random start, is printed beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import fastnn
from examples import common
from examples.grey import grey_digits, show
from fastnn import Tensor, nn
from fastnn.models import MLP, accuracy, fit, track
from fastnn.models.dbn import DBN
from fastnn.nn.functional import cross_entropy

BATCH = 20


@dataclass
class Scores:
    """Accuracy on the test digits of one seed and number of labels, by the start of the net."""

    pretrained: float
    random: float
    relu: float

    @property
    def gain(self) -> float:
        return self.pretrained - self.random


def few(labels: Tensor, each: int) -> Tensor:
    """Numbers of `each` samples of every class, drawn at random."""
    order = fastnn.randperm(len(labels))
    return fastnn.cat([order[labels[order] == c][:each] for c in range(10)])


def fine_tune(net: MLP, data: common.Images, chosen: Tensor, steps: int) -> float:
    """Accuracy on the test digits after `steps` batches of the chosen labels."""
    labelled = data.train_images[chosen], data.train_labels[chosen]
    epochs = steps * BATCH // len(chosen)
    fit(net, labelled, cross_entropy, epochs=epochs, batch_size=BATCH, lr=2e-3)
    return accuracy(net, *data.test)


def compare(dbn: DBN, data: common.Images, labels: int, steps: int) -> Scores:
    """The same labels and steps for three starts."""
    chosen = few(data.train_labels, labels // 10)
    sizes = [*dbn.sizes, 10]
    starts: list[Callable[[], MLP]] = [
        lambda: dbn.to_mlp(10),
        lambda: MLP(sizes, nn.Sigmoid, initialise=nn.init.xavier_uniform_),
        lambda: MLP(sizes, nn.ReLU, initialise=nn.init.kaiming_uniform_),
    ]
    return Scores(*[fine_tune(start(), data, chosen, steps) for start in starts])


def draw(options, scores: dict[int, list[Scores]], dbn: DBN, images: Tensor) -> None:
    with common.picture(options, "pretraining", 12, 4) as figure:
        if not figure:
            return
        curves, dots, dreams = figure.subplots(1, 3)
        names = {"pretrained": "pre-trained", "random": "random start", "relu": "ReLU, random"}
        for name, label in names.items():
            middle = [100 * median(getattr(s, name) for s in found) for found in scores.values()]
            curves.plot(list(scores), middle, "o-", label=label)
        curves.set(xscale="log", xlabel="labels", ylabel="test digits right [%]", title="medians")
        curves.legend(frameon=False)
        for labels, found in scores.items():
            dots.plot([labels] * len(found), [100 * s.gain for s in found], "ko", alpha=0.5)
        dots.axhline(0, color="grey")
        dots.set(xscale="log", xlabel="labels", ylabel="gain [points]", title="each seed's gain")
        show(dreams, dbn.sample(64, 100, start=images[:64]), 8, "samples, begun at digits")


def main(arguments: Sequence[str] | None = None) -> common.Results:
    options = common.parse(common.parser(__doc__), arguments)
    unlabelled, width = (1500, 100) if options.quick else (4000, 256)
    epochs, steps = (12, 250) if options.quick else (20, 1000)
    data = grey_digits(unlabelled)
    seeds = range(options.seed, options.seed + (3 if options.quick else 5))
    amounts = (100,) if options.quick else (100, 300, 1000)
    scores: dict[int, list[Scores]] = {labels: [] for labels in amounts}
    for seed in track(seeds, "pre-training", "seed"):
        fastnn.manual_seed(seed)
        dbn = DBN([784, width, width, width])
        dbn.pretrain(data.train_images, epochs=epochs, lr=0.05, batch_size=25)
        for labels, found in scores.items():
            found.append(compare(dbn, data, labels, steps))
            s = found[-1]
            print(f"seed {seed}, {labels} labels: pre-trained {100 * s.pretrained:.1f} %, "
                  f"random start {100 * s.random:.1f} %, ReLU {100 * s.relu:.1f} %")  # fmt: skip
    draw(options, scores, dbn, data.train_images)
    gains = {n: [100 * s.gain for s in found] for n, found in scores.items()}
    for n, found in gains.items():
        print(f"{n} labels: pre-training gains {median(found):+.1f} points in the median, "
              f"{min(found):+.1f} to {max(found):+.1f}")  # fmt: skip
    fewest = amounts[0]
    middle = {
        k: 100 * median(getattr(s, k) for s in scores[fewest]) for k in ("pretrained", "random")
    }
    found = gains[fewest]
    return [
        common.Result(
            "pre-training helps",
            f"{fewest} labels, {unlabelled:,} digits, {len(seeds)} seeds",
            f"{median(found):+.1f} points ({min(found):+.1f} to {max(found):+.1f})",
            f"{middle['pretrained']:.1f} % against {middle['random']:.1f} % from a random start",
            median(found) > 0,
        )
    ]


if __name__ == "__main__":
    common.run(main)
