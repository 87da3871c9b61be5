"""Digits as the energy-based models see them, grey from 0 to 1, and many of them in one picture."""

from __future__ import annotations

import fastnn
from examples.common import Images
from fastnn import Tensor
from fastnn.data import mnist_digits, stratified_split

SIDE = 28


def grey_digits(train: int = 4000, test: int = 1000) -> Images:
    """MNIST's digits with the test part of `common.digits`, each a row of 784 numbers from 0 to
    1; the first `train` of the others in an order that does not depend on the class."""
    images, labels = mnist_digits()
    chosen, held_out = stratified_split(labels, test=1000)
    order = fastnn.Generator().manual_seed(0)
    chosen = chosen[fastnn.randperm(len(chosen), generator=order)]
    grey = images.flatten(1).float() / 255
    parts = [part for k in (chosen[:train], held_out[:test]) for part in (grey[k], labels[k])]
    return Images(f"MNIST digits, {train:,}", *parts)


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
