"""Siamese nets: the same net embeds two samples, and learns how far apart they should lie."""

from __future__ import annotations

from collections.abc import Iterator

import fastnn
from fastnn import Tensor, nn, no_grad
from fastnn.data import DataLoader, TensorDataset
from fastnn.models.checks import check_finite, check_same_length
from fastnn.nn.functional import pairwise_distance


class Siamese(nn.Module):
    """Two samples, one net `body` that embeds both, and the distance of the embeddings (Bromley et
    al., 1993). `fit` trains it on Pairs with
    nn.functional.contrastive_loss (Hadsell, Chopra and LeCun, 2006).

    >>> import fastnn
    >>> net = Siamese(fastnn.nn.Linear(4, 2))
    >>> net(fastnn.zeros(3, 4), fastnn.zeros(3, 4)).shape
    (3,)
    """

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Two batches of N samples -> N distances. All go through the body as one batch, so that
        batch norms see both sides."""
        if first.shape != second.shape:
            raise ValueError(
                "a Siamese net compares batches of one shape, got "
                f"{tuple(first.shape)} and {tuple(second.shape)}"
            )
        embedded = self.body(fastnn.cat([first, second]))
        return pairwise_distance(embedded[: len(first)], embedded[len(first) :])


class Pairs(DataLoader):
    """Batches (first, second, alike) of pairs drawn anew in each epoch, which `fit` takes.

    Each sample is once the first of a pair. Its partner is any of its own class (alike 1) with
    probability `share`, else any of the other classes (alike 0). x: N samples, labels (N): their
    classes, two or more. fastnn.manual_seed decides the draws.
    """

    def __init__(self, x: Tensor, labels: Tensor, batch_size: int = 64, share: float = 0.5) -> None:
        n = check_same_length((x, labels))
        check_finite(x, "the samples of pairs")
        if labels.ndim != 1 or labels.dtype.is_floating_point:
            raise ValueError(
                "the labels of pairs must be a vector of whole numbers, got shape "
                f"{tuple(labels.shape)} of {labels.dtype}"
            )
        kinds = sorted(set(labels.tolist()))
        if len(kinds) < 2:
            raise ValueError(f"pairs need two classes or more, all labels are {kinds[0]}")
        members = [(labels == kind).nonzero().flatten() for kind in kinds]
        # in the order of classes, that of sample k stands at start[k] : start[k] + size[k]
        start, size = fastnn.zeros_like(labels), fastnn.zeros_like(labels)
        for c, numbers in enumerate(members):
            start[numbers] = sum(map(len, members[:c]))
            size[numbers] = len(numbers)
        super().__init__(TensorDataset(x, start, size), batch_size=batch_size, shuffle=True)
        self.x, self.n, self.share, self.by_class = x, n, share, fastnn.cat(members)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for first, start, size in super().__iter__():
            alike = fastnn.rand(len(first)) < self.share
            inside = start + (fastnn.rand(len(first)) * size).long()
            outside = (fastnn.rand(len(first)) * (self.n - size)).long()
            outside = outside + size * (outside >= start)
            partner = self.by_class[fastnn.where(alike, inside, outside)]
            yield first, self.x[partner], alike.to(first.dtype)


@no_grad()
def nearest(queries: Tensor, points: Tensor) -> Tensor:
    """For each of N queries (N, D) the number of the point (M, D) that lies next to it: (N)."""
    if queries.ndim != 2 or points.ndim != 2 or queries.shape[1] != points.shape[1]:
        raise ValueError(
            "queries and points must be vectors of one length, got shapes "
            f"{tuple(queries.shape)} and {tuple(points.shape)}"
        )
    # |q - p|^2 without |q|^2, which is the same for all points
    return ((points * points).sum(1) - 2 * queries @ points.T).argmin(1)
