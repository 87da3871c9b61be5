"""Samples to train with and samples to test with; images in two such parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastnn._core.interop import from_numpy
from fastnn._core.tensor import Tensor
from fastnn.data.digits import FASHION_FOLDER, fashion_mnist, mnist_digits
from fastnn.data.readers import PathLike

DIGITS_TO_TEST = 1000


def stratified_split(labels: Tensor, test: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Numbers of the samples to train with and of `test` samples to test with, each class having
    the same share in both, and in the first n of both for any n. The seed alone decides.

    >>> import fastnn
    >>> labels = fastnn.tensor([0, 0, 0, 1, 1, 1])
    >>> train, test = fastnn.data.stratified_split(labels, test=2)
    >>> sorted(labels[test].tolist())
    [0, 1]
    """
    numbers = np.asarray(labels)
    if numbers.ndim != 1 or not 0 <= test <= len(numbers):
        raise ValueError(f"cannot take {test} test samples out of labels of shape {labels.shape}")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(numbers))
    # sample k of the n of its class goes to (k + 1/2) / n: an even mixture of the classes
    place, rank = np.empty(len(numbers)), np.empty(len(numbers))
    rank[order] = np.arange(len(numbers))
    for label in np.unique(numbers):
        members = order[numbers[order] == label]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    mixed = np.lexsort((rank, place))
    return from_numpy(mixed[test:]), from_numpy(mixed[:test])


@dataclass
class ImageSplit:
    """Images (N, 1, H, W) and labels (N) in two parts."""

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor

    @property
    def train(self) -> tuple[Tensor, Tensor]:
        return self.train_images, self.train_labels

    @property
    def test(self) -> tuple[Tensor, Tensor]:
        return self.test_images, self.test_labels

    def standardised(self) -> ImageSplit:
        """Brightness with mean 0 and deviation 1 over the images to train with."""
        mean, deviation = self.train_images.mean(), self.train_images.std()
        train, test = ((x - mean) / deviation for x in (self.train_images, self.test_images))
        return ImageSplit(train, self.train_labels, test, self.test_labels)


def grey(images: Tensor) -> Tensor:
    """(N, H, W) uint8 -> (N, 1, H, W) from 0 to 1"""
    return images.float().unsqueeze(1) / 255


def digits_split(path: PathLike | None = None, train: int | None = None) -> ImageSplit:
    """MNIST's 5,000 digits, from 0 to 1: 4,000 to train with, or as many, and 1,000 to test with,
    each class having the same share. path: as of mnist_digits."""
    images, labels = mnist_digits(path)
    chosen, held_out = stratified_split(labels, DIGITS_TO_TEST)
    chosen = chosen[:train]
    return ImageSplit(
        grey(images[chosen]), labels[chosen], grey(images[held_out]), labels[held_out]
    )


def fashion_split(folder: PathLike = FASHION_FOLDER) -> ImageSplit:
    """Fashion-MNIST, from 0 to 1, 60,000 and 10,000 as it comes. folder: as of fashion_mnist."""
    train, test = fashion_mnist(folder, train=True), fashion_mnist(folder, train=False)
    return ImageSplit(grey(train[0]), train[1], grey(test[0]), test[1])
