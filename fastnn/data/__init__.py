"""Datasets, batches, and readers of the sets that the demos and tests use."""

from fastnn.data.clicks import hash_features, open_bandit
from fastnn.data.criteo import stream_criteo, synthetic_criteo
from fastnn.data.dataset import Dataset, Subset, TensorDataset, random_split
from fastnn.data.digits import fashion_mnist, mnist_digits, small_digits
from fastnn.data.loader import DataLoader, default_collate
from fastnn.data.packages import package_file
from fastnn.data.readers import read_idx
from fastnn.data.sequences import (
    basic_motions,
    co2,
    japanese_vowels,
    python_topics,
    read_ts,
    sunspots,
)
from fastnn.data.split import ImageSplit, digits_split, fashion_split, stratified_split
from fastnn.data.tables import (
    Table,
    adult_census,
    california_housing,
    clothing_reviews,
    encode_categories,
)

__all__ = [
    "DataLoader",
    "Dataset",
    "ImageSplit",
    "Subset",
    "Table",
    "TensorDataset",
    "adult_census",
    "basic_motions",
    "california_housing",
    "clothing_reviews",
    "co2",
    "default_collate",
    "digits_split",
    "encode_categories",
    "fashion_mnist",
    "fashion_split",
    "hash_features",
    "japanese_vowels",
    "mnist_digits",
    "open_bandit",
    "package_file",
    "python_topics",
    "random_split",
    "read_idx",
    "read_ts",
    "small_digits",
    "stratified_split",
    "stream_criteo",
    "sunspots",
    "synthetic_criteo",
]
