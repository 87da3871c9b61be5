"""Datasets and batches."""

from collections import namedtuple

import numpy as np
import pytest

import fastnn
from fastnn.data import (
    DataLoader,
    Dataset,
    Subset,
    TensorDataset,
    default_collate,
    random_split,
)


class Squares(Dataset):
    """Sample i is (i^2, "i")."""

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        return fastnn.tensor([float(index * index)]), str(index)


def tensors(n):
    x = np.arange(3 * n, dtype=np.float32).reshape(n, 3)
    return fastnn.tensor(x), fastnn.arange(n)


def test_tensor_dataset():
    dataset = TensorDataset(*tensors(7))
    assert len(dataset) == 7
    x, y = dataset[2]
    assert x.tolist() == [6.0, 7.0, 8.0]
    assert y.item() == 2
    assert [t.shape for t in dataset[1:4]] == [(3, 3), (3,)]


def test_tensor_dataset_errors():
    x, y = tensors(4)
    with pytest.raises(ValueError, match=r"Size mismatch.*\(4, 3\), \(2,\)"):
        TensorDataset(x, y[:2])
    with pytest.raises(TypeError, match="got list"):
        TensorDataset([1, 2])
    with pytest.raises(ValueError, match="at least one"):
        TensorDataset()


def test_random_split():
    dataset = TensorDataset(fastnn.arange(10))
    fastnn.manual_seed(3)
    parts = random_split(dataset, [7, 3])
    assert [len(part) for part in parts] == [7, 3]
    everything = sorted(part[i][0].item() for part in parts for i in range(len(part)))
    assert everything == list(range(10))
    fastnn.manual_seed(3)
    again = random_split(dataset, [0.7, 0.3])
    assert [part.indices for part in again] == [part.indices for part in parts]
    assert [len(part) for part in random_split(dataset, [0.33, 0.33, 0.34])] == [4, 3, 3]
    with pytest.raises(ValueError, match="length 10"):
        random_split(dataset, [5, 6])


@pytest.mark.parametrize("drop_last", [False, True])
def test_loader_in_order(drop_last):
    x, y = tensors(10)
    loader = DataLoader(TensorDataset(x, y), batch_size=4, drop_last=drop_last)
    batches = list(loader)
    assert len(loader) == len(batches) == (2 if drop_last else 3)
    assert [len(labels) for _, labels in batches] == ([4, 4] if drop_last else [4, 4, 2])
    joined = np.concatenate([np.asarray(images) for images, _ in batches])
    assert np.array_equal(joined, np.asarray(x)[: len(joined)])


def test_batches_do_not_share_memory_with_the_data():
    x, y = tensors(4)
    for images, _ in DataLoader(TensorDataset(x, y), batch_size=2):
        np.asarray(images)[...] = -1
    assert np.asarray(x).min() == 0


def epochs(loader):
    return [[label for _, y in loader for label in y.tolist()] for _ in range(2)]


def test_loader_shuffles_by_seed():
    dataset = TensorDataset(*tensors(50))
    first = epochs(DataLoader(dataset, 8, shuffle=True, seed=5))
    assert sorted(first[0]) == sorted(first[1]) == list(range(50))
    assert first[0] != first[1]
    assert first == epochs(DataLoader(dataset, 8, shuffle=True, seed=5))
    assert first != epochs(DataLoader(dataset, 8, shuffle=True, seed=6))
    generator = fastnn.Generator().manual_seed(5)
    assert first == epochs(DataLoader(dataset, 8, shuffle=True, generator=generator))


def test_loader_shuffles_by_manual_seed():
    loader = DataLoader(TensorDataset(*tensors(50)), 8, shuffle=True)
    fastnn.manual_seed(1)
    first = epochs(loader)
    fastnn.manual_seed(1)
    assert first == epochs(loader)
    assert first != epochs(loader)


def test_samples_stay_together():
    x, y = tensors(50)
    for images, labels in DataLoader(TensorDataset(x, y), 8, shuffle=True, seed=0):
        assert images[:, 0].tolist() == [3.0 * label for label in labels.tolist()]


def test_loader_of_other_datasets():
    batches = list(DataLoader(Squares(5), batch_size=2))
    assert batches[1][0].tolist() == [[4.0], [9.0]]
    assert list(batches[1][1]) == ["2", "3"]
    assert batches[2][0].shape == (1, 1)


def test_subset_goes_by_whole_batches():
    subset = Subset(TensorDataset(*tensors(10)), [9, 1, 4])
    ((_, labels),) = DataLoader(subset, batch_size=8)
    assert labels.tolist() == [9, 1, 4]
    assert subset[1][1].item() == 1


def test_sampler_and_collate():
    dataset = TensorDataset(*tensors(10))
    ((_, labels),) = DataLoader(dataset, batch_size=8, sampler=[3, 3, 0])
    assert labels.tolist() == [3, 3, 0]
    assert list(DataLoader(dataset, batch_size=6, collate_fn=len)) == [6, 4]


def test_collate():
    pair = namedtuple("pair", "a b")
    assert default_collate([1, 2]).dtype is fastnn.int64
    assert default_collate([1.0, 2.0]).dtype is fastnn.float64
    assert default_collate([np.ones(3, np.float32)] * 2).shape == (2, 3)
    batch = default_collate([{"x": 1, "y": [2, 3]}, {"x": 4, "y": [5, 6]}])
    assert batch["x"].tolist() == [1, 4]
    assert [entry.tolist() for entry in batch["y"]] == [[2, 5], [3, 6]]
    assert default_collate([pair(1, 2), pair(3, 4)]).b.tolist() == [2, 4]
    with pytest.raises(ValueError, match="same number of entries"):
        default_collate([(1, 2), (1,)])
    with pytest.raises(TypeError, match="found object"):
        default_collate([object()])


def test_loader_errors():
    dataset = TensorDataset(*tensors(4))
    with pytest.raises(ValueError, match="num_workers=2 is not supported"):
        DataLoader(dataset, num_workers=2)
    with pytest.raises(ValueError, match="batch_size must be a positive integer, got 0"):
        DataLoader(dataset, batch_size=0)
    with pytest.raises(ValueError, match="exclude each other"):
        DataLoader(dataset, shuffle=True, sampler=[0])
    assert list(DataLoader(TensorDataset(fastnn.zeros(0, 2)))) == []
