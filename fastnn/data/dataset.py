"""Datasets: what has a length and gives a sample for each number below it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fastnn._core.tensor import Tensor
from fastnn.ops.random import Generator, randperm


class Dataset:
    """Base class of datasets: define __len__ and __getitem__."""

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no __getitem__()")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} has no __len__()")


class TensorDataset(Dataset):
    """Sample i is the tuple of entry i of each tensor; all have the same length.

    >>> import fastnn
    >>> dataset = fastnn.data.TensorDataset(fastnn.zeros(5, 2), fastnn.arange(5))
    >>> len(dataset), dataset[3][1].item()
    (5, 3)
    """

    def __init__(self, *tensors: Tensor) -> None:
        if not tensors:
            raise ValueError("TensorDataset needs at least one tensor")
        for tensor in tensors:
            if not isinstance(tensor, Tensor):
                raise TypeError(f"TensorDataset holds Tensors, got {type(tensor).__name__}")
            if tensor.ndim == 0 or tensor.shape[0] != tensors[0].shape[0]:
                raise ValueError(
                    f"Size mismatch between tensors: {', '.join(str(t.shape) for t in tensors)}"
                )
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple([tensor[index] for tensor in self.tensors])

    def __len__(self) -> int:
        return self.tensors[0].shape[0]


class Subset(Dataset):
    """The samples of a dataset whose numbers are in `indices`, in that order."""

    def __init__(self, dataset: Dataset, indices: Sequence[int] | Tensor) -> None:
        self.dataset = dataset
        self.indices = indices.tolist() if isinstance(indices, Tensor) else list(indices)

    def __getitem__(self, index: int | list[int]) -> Any:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


def random_split(
    dataset: Dataset, lengths: Sequence[int | float], generator: Generator | None = None
) -> list[Subset]:
    """The dataset cut at random into subsets of these lengths, or fractions that add up to 1.

    The order is the generator's, or that of fastnn.manual_seed.
    """
    n = len(dataset)
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1 + 1e-9 and n != 1:
        if min(lengths) < 0:
            raise ValueError(f"fractions must not be negative, got {list(lengths)}")
        sizes = [math.floor(n * fraction) for fraction in lengths]
        for k in range(n - sum(sizes)):  # what rounding left over, one each
            sizes[k % len(sizes)] += 1
    else:
        sizes = list(lengths)
    if sum(sizes) != n or min(sizes) < 0:
        raise ValueError(f"the lengths {list(lengths)} do not add up to the dataset's length {n}")
    order, subsets, start = randperm(n, generator=generator).tolist(), [], 0
    for size in sizes:
        subsets.append(Subset(dataset, order[start : start + size]))
        start += size
    return subsets
