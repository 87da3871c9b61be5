"""Datasets, batches, and readers of the sets that the demos and tests use."""

from fastnn.data.dataset import Dataset, Subset, TensorDataset, random_split
from fastnn.data.digits import fashion_mnist, mnist_digits, stratified_split
from fastnn.data.loader import DataLoader, default_collate
from fastnn.data.readers import read_idx

__all__ = [
    "DataLoader",
    "Dataset",
    "Subset",
    "TensorDataset",
    "default_collate",
    "fashion_mnist",
    "mnist_digits",
    "random_split",
    "read_idx",
    "stratified_split",
]
