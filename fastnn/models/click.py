"""Will this row be clicked? Logistic regression, the factorisation machine, and the nets on them.

All take numbers (N, n), floating, and categories (N, c) int64, codes or hashed buckets, and give
the logits (N) of a click. sizes: how many codes each of the c fields has. With sparse=True the
gradients of their tables hold only the rows used, for SGD, Adagrad and SparseAdam.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from fastnn import Tensor, cat, nn, randn, tensor
from fastnn.models.checks import check_finite, check_matrix
from fastnn.models.mlp import MLP
from fastnn.nn.functional import linear


class Fields(nn.Module):
    """The rows that the codes of all fields have in one table: code k of a field lies k rows
    below the field's offset."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        if not sizes or min(sizes) < 1:
            raise ValueError(f"fields need one code or more each, got the sizes {list(sizes)}")
        self.rows = sum(sizes)
        self.register_buffer("sizes", tensor(list(sizes)))
        self.register_buffer("offsets", tensor([0, *accumulate(sizes)][:-1]))

    def forward(self, categories: Tensor) -> Tensor:
        """(N, c) codes -> (N, c) rows; ValueError where a field has no such code."""
        check_matrix(categories, len(self.sizes), "the categories")
        if categories.dtype.is_floating_point:
            raise ValueError(f"the categories must be whole numbers, got {categories.dtype}")
        wrong = (categories < 0) | (categories >= self.sizes)
        if wrong.any():
            row, field = wrong.nonzero()[0].tolist()
            raise ValueError(
                f"row {row}, field {field}: the field has the codes 0 to "
                f"{self.sizes[field].item() - 1}, found {categories[row, field].item()}"
            )
        return categories + self.offsets


class ClickModel(nn.Module):
    """What all have in common: checked input, and a weight for each number and each code.

    Subclasses add to `score`, which gets the rows of the codes in a table of self.fields.rows.
    """

    def __init__(self, numbers: int, sizes: Sequence[int], sparse: bool = False) -> None:
        super().__init__()
        self.fields = Fields(sizes)
        self.linear = nn.Linear(numbers, 1)
        self.weights = nn.EmbeddingBag(self.fields.rows, 1, mode="sum", sparse=sparse)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        nn.init.zeros_(self.weights.weight)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """numbers (N, n) and categories (N, c) -> logits (N)"""
        check_matrix(numbers, self.linear.in_features, "the numbers")
        check_finite(numbers, "the numbers")
        if len(numbers) != len(categories):
            raise ValueError(
                f"numbers and categories must have one length, got {len(numbers)} and "
                f"{len(categories)} rows"
            )
        return self.score(numbers, self.fields(categories))

    def score(self, numbers: Tensor, rows: Tensor) -> Tensor:
        return (self.linear(numbers) + self.weights(rows)).squeeze(1)


class LogisticRegression(ClickModel):
    """bias + sum of weight * number + sum of the codes' weights.

    >>> import fastnn
    >>> model = LogisticRegression(2, [3, 5])
    >>> model(fastnn.zeros(4, 2), fastnn.tensor([[2, 4]] * 4)).shape
    (4,)
    """


def pair_products(vectors: Tensor, numbers: Tensor, number_vectors: Tensor) -> Tensor:
    """The sum over all pairs i < j of <v_i x_i, v_j x_j>, in time linear in their count:
    half of |sum of v_i x_i|^2 - sum of |v_i x_i|^2 (Rendle, 2010).

    vectors (N, c, k) of codes, whose x is 1; numbers (N, n) with number_vectors (k, n) -> (N)
    """
    total = vectors.sum(1) + linear(numbers, number_vectors)
    squares = vectors.square().sum(1) + linear(numbers.square(), number_vectors.square())
    return (total.square() - squares).sum(1) / 2


class FactorisationMachine(ClickModel):
    """Logistic regression, and for each pair of features the product of their vectors of length
    k = `factors`, so that a pair is known that was never seen together (Rendle, 2010)."""

    def __init__(
        self, numbers: int, sizes: Sequence[int], factors: int = 8, sparse: bool = False
    ) -> None:
        super().__init__(numbers, sizes, sparse)
        self.vectors = nn.Embedding(self.fields.rows, factors, sparse=sparse)
        self.number_vectors = nn.Parameter(0.01 * randn(factors, numbers))
        nn.init.normal_(self.vectors.weight, std=0.01)

    def score(self, numbers: Tensor, rows: Tensor) -> Tensor:
        return self.score_vectors(numbers, rows, self.vectors(rows))

    def score_vectors(self, numbers: Tensor, rows: Tensor, vectors: Tensor) -> Tensor:
        """(N); vectors (N, c, k) are those of the rows."""
        pairs = pair_products(vectors, numbers, self.number_vectors)
        return super().score(numbers, rows) + pairs


class WideAndDeep(ClickModel):
    """Logistic regression, which remembers, and an MLP on the numbers and on an embedding of each
    code, which generalises: the sum of both (Cheng et al., 2016).

    crosses: pairs of fields whose combinations are codes with weights of their own, in the wide
    part. factors: the length of an embedding.
    """

    def __init__(
        self,
        numbers: int,
        sizes: Sequence[int],
        factors: int = 8,
        hidden: Sequence[int] = (64, 32),
        crosses: Sequence[tuple[int, int]] = (),
        dropout: float = 0.0,
        sparse: bool = False,
    ) -> None:
        super().__init__(numbers, sizes, sparse)
        self.vectors = nn.Embedding(self.fields.rows, factors, sparse=sparse)
        nn.init.normal_(self.vectors.weight, std=factors**-0.5)
        self.deep = MLP([numbers + len(sizes) * factors, *hidden, 1], dropout=dropout)
        self.crosses = [tuple(pair) for pair in crosses]
        if self.crosses:
            self.crossed = Fields([sizes[i] * sizes[j] for i, j in self.crosses])
            self.cross_weights = nn.EmbeddingBag(self.crossed.rows, 1, mode="sum", sparse=sparse)
            nn.init.zeros_(self.cross_weights.weight)

    def score(self, numbers: Tensor, rows: Tensor) -> Tensor:
        deep = self.deep(cat([numbers, self.vectors(rows).flatten(1)], 1)).squeeze(1)
        wide = super().score(numbers, rows)
        return wide + deep + self.score_crosses(rows) if self.crosses else wide + deep

    def score_crosses(self, rows: Tensor) -> Tensor:
        """(N): the weights of the combinations."""
        codes, sizes = rows - self.fields.offsets, self.fields.sizes
        first, second = ([pair[k] for pair in self.crosses] for k in range(2))
        combined = codes[:, first] * sizes[second] + codes[:, second]
        return self.cross_weights(self.crossed(combined)).squeeze(1)


class DeepFM(FactorisationMachine):
    """The factorisation machine, and an MLP on the numbers and the same vectors: the sum of both
    (Guo et al., 2017)."""

    def __init__(
        self,
        numbers: int,
        sizes: Sequence[int],
        factors: int = 8,
        hidden: Sequence[int] = (64, 32),
        dropout: float = 0.0,
        sparse: bool = False,
    ) -> None:
        super().__init__(numbers, sizes, factors, sparse)
        self.deep = MLP([numbers + len(sizes) * factors, *hidden, 1], dropout=dropout)

    def score(self, numbers: Tensor, rows: Tensor) -> Tensor:
        vectors = self.vectors(rows)
        deep = self.deep(cat([numbers, vectors.flatten(1)], 1)).squeeze(1)
        return self.score_vectors(numbers, rows, vectors) + deep
