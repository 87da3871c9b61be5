"""Digits as the energy-based models see them, grey from 0 to 1, and many of them in one picture."""

from __future__ import annotations

import fastnn
from examples.common import Images, digits
from fastnn import Tensor

SIDE = 28


def grey_digits(train: int = 4000, test: int = 1000) -> Images:
    """The digits of `common.digits`, each a row of 784 numbers from 0 to 1; the first `test` of
    those to test with."""
    data = digits(train, standardise=False)
    data.train_images = data.train_images.flatten(1)
    data.test_images = data.test_images[:test].flatten(1)
    data.test_labels = data.test_labels[:test]
    return data


def binary(grey: Tensor) -> Tensor:
    """0 or 1: pixels brighter than half of white are 1."""
    return (grey > 0.5).float()


def mosaic(images: Tensor, columns: int) -> Tensor:
    """Rows (N, 784) as one picture with `columns` images side by side; N a multiple of them."""
    tiles = images.reshape(-1, columns, SIDE, SIDE)
    return fastnn.permute(tiles, (0, 2, 1, 3)).reshape(-1, columns * SIDE)


def show(axes, images: Tensor, columns: int, title: str, **options) -> None:
    """A mosaic without ticks. options: of matplotlib's imshow."""
    axes.imshow(mosaic(images, columns).numpy(), **{"cmap": "gray", **options})
    axes.set(title=title, xticks=(), yticks=())
