"""Tables for the examples: split, scored, and what scikit-learn's models make of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import fastnn
from fastnn import Tensor
from fastnn.data import Table, california_housing, stratified_split
from fastnn.nn.functional import binary_cross_entropy

SCIKIT, TREES = "scikit-learn's logistic regression", "scikit-learn's boosted trees"


@contextmanager
def one_thread() -> Iterator[None]:
    """scikit-learn and the libraries below it on one thread: on small tables more are slower."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


@dataclass
class Scores:
    """Of probabilities on test rows: area under the curve, log loss, share judged rightly."""

    auc: float
    log_loss: float
    accuracy: float

    def text(self) -> str:
        return f"AUC {self.auc:.3f}, {100 * self.accuracy:.1f} %"


def scores(probability: Tensor, target: Tensor) -> Scores:
    from sklearn.metrics import roc_auc_score

    return Scores(
        roc_auc_score(target.numpy(), probability.numpy()),
        binary_cross_entropy(probability, target).item(),
        ((probability > 0.5).float() == target).double().mean().item(),
    )


def parts(table: Table, test: int, seed: int, train: int | None = None) -> tuple[Table, Table]:
    """Rows to train and to test with, each part with the same share of positives, standardised."""
    chosen, held_out = stratified_split(table.target, test, seed)
    known, unseen = table.rows(chosen[:train]), table.rows(held_out)
    return known.standardised(), unseen.standardised(known)


def housing(seed: int, rows: int | None = None) -> tuple[Table, Table]:
    """The districts of California to train with (`rows` of them) and 4,000 to test, standardised
    by the former."""
    table = california_housing()
    order = fastnn.randperm(len(table), generator=fastnn.Generator().manual_seed(seed))
    known, unseen = table.rows(order[4000:][:rows]), table.rows(order[:4000])
    return known.standardised(), unseen.standardised(known)


def scikit_regression(train: Table, test: Table, strength: float) -> Scores:
    """scikit-learn's logistic regression on the same numbers and on an indicator of each code."""
    from scipy.sparse import hstack
    from sklearn.linear_model import LogisticRegression as Regression
    from sklearn.preprocessing import OneHotEncoder

    encoder = OneHotEncoder(categories=[range(len(v)) for v in train.vocabularies])
    encoder.fit(train.categories.numpy())
    rows = [
        hstack([part.numbers.numpy(), encoder.transform(part.categories.numpy())]).tocsr()
        for part in (train, test)
    ]
    model = Regression(C=1 / strength, max_iter=500)
    with one_thread():
        probability = model.fit(rows[0], train.target.numpy()).predict_proba(rows[1])[:, 1]
    return scores(fastnn.tensor(probability).float(), test.target)


def scikit_trees(train: Table, test: Table) -> Scores:
    """scikit-learn's gradient boosting of trees."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    count = len(train.number_names)
    codes = range(count, count + len(train.category_names))
    rows = [
        fastnn.cat([part.numbers, part.categories.float()], 1).numpy() for part in (train, test)
    ]
    model = HistGradientBoostingClassifier(categorical_features=list(codes), random_state=0)
    with one_thread():
        probability = model.fit(rows[0], train.target.numpy()).predict_proba(rows[1])[:, 1]
    return scores(fastnn.tensor(probability).float(), test.target)
