"""DataLoader: the samples of a dataset, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fastnn._core.dtype import float64, int64
from fastnn._core.tensor import Tensor
from fastnn.data.dataset import Dataset, Subset, TensorDataset
from fastnn.ops.creation import arange, as_tensor, tensor
from fastnn.ops.join import stack
from fastnn.ops.random import Generator, randperm


def default_collate(batch: Sequence[Any]) -> Any:
    """One batch out of a list of samples: numbers and tensors are stacked along a new first
    dimension, tuples and dicts entry by entry, strings stay a list."""
    first = batch[0]
    if isinstance(first, Tensor):
        return stack(batch)
    if isinstance(first, (np.ndarray, np.generic)):
        return as_tensor(np.stack(batch))
    if isinstance(first, float):
        return tensor(batch, dtype=float64)
    if isinstance(first, int):
        return tensor(batch)
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        return {key: default_collate([sample[key] for sample in batch]) for key in first}
    if isinstance(first, (tuple, list)):
        if any(len(sample) != len(first) for sample in batch):
            raise ValueError("the samples of a batch must all have the same number of entries")
        entries = [default_collate(entry) for entry in zip(*batch, strict=True)]
        if hasattr(first, "_fields"):
            return type(first)(*entries)
        return tuple(entries) if isinstance(first, tuple) else entries
    raise TypeError(
        "samples must be made of tensors, arrays, numbers, strings, tuples and dicts; "
        f"found {type(first).__name__}"
    )


class DataLoader:
    """Iterates over a dataset in batches.

    shuffle: a new random order each time, which follows fastnn.manual_seed unless the
    loader has a generator of its own, or a seed to make one of.
    sampler: an iterable of sample numbers instead of shuffle. drop_last: leave out a last
    batch that is not full. A TensorDataset is cut into whole batches, other datasets are
    asked sample by sample and put together by collate_fn.

    >>> import fastnn
    >>> data = fastnn.data.TensorDataset(fastnn.zeros(10, 2), fastnn.arange(10))
    >>> [len(labels) for inputs, labels in fastnn.data.DataLoader(data, batch_size=4)]
    [4, 4, 2]
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int = 1,
        shuffle: bool | None = None,
        sampler: Iterable[int] | None = None,
        batch_sampler: None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        *,
        generator: Generator | None = None,
        seed: int | None = None,
    ) -> None:
        if num_workers != 0:
            raise ValueError(
                f"num_workers={num_workers} is not supported: batches are made in "
                "this process; use num_workers=0"
            )
        if batch_sampler is not None:
            raise NotImplementedError("batch_sampler is not supported; use sampler")
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1:
            raise ValueError(f"batch_size must be a positive integer, got {batch_size!r}")
        if sampler is not None and shuffle:
            raise ValueError("sampler and shuffle exclude each other")
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = bool(shuffle)
        self.sampler = sampler
        self.collate_fn = collate_fn
        self.drop_last = drop_last
        self.generator = generator if seed is None else Generator().manual_seed(seed)

    def __len__(self) -> int:
        """The number of batches."""
        n = len(self.dataset if self.sampler is None else self.sampler)
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        order = self._order()
        tensors = None if self.collate_fn is not None else tensors_of(self.dataset)
        if tensors is not None and isinstance(self.dataset, Subset):
            order = tensor(self.dataset.indices, dtype=int64)[order]
        n = len(order)
        end = n - n % self.batch_size if self.drop_last else n
        batches = (order[k : k + self.batch_size] for k in range(0, end, self.batch_size))
        if tensors is not None:
            return whole_batches(tensors, batches)
        return self._single_samples(batches)

    def _order(self) -> Tensor:
        """The sample numbers in the order of this epoch."""
        if self.sampler is not None:
            return tensor(list(self.sampler), dtype=int64)
        if self.shuffle:
            return randperm(len(self.dataset), generator=self.generator)
        return arange(len(self.dataset))

    def _single_samples(self, batches: Iterable[Tensor]) -> Iterator[Any]:
        collate = default_collate if self.collate_fn is None else self.collate_fn
        for batch in batches:
            yield collate([self.dataset[k] for k in batch.tolist()])


def tensors_of(dataset: Dataset) -> tuple[Tensor, ...] | None:
    """The tensors of a TensorDataset or of a Subset of one; None for any other dataset."""
    if type(dataset) is Subset:
        dataset = dataset.dataset
    return dataset.tensors if type(dataset) is TensorDataset else None


def whole_batches(
    tensors: tuple[Tensor, ...], batches: Iterable[Tensor]
) -> Iterator[tuple[Tensor, ...]]:
    for batch in batches:
        yield tuple([entries[batch] for entries in tensors])
