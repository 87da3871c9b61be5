"""Images moved, turned and rescaled, by bilinear interpolation in engine operations."""

from __future__ import annotations

import fastnn
from fastnn import Tensor


def sample(images: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The images (N, C, H, W) at the places x, y (N, height, width), in pixels from the centre of
    the first one; beyond the edge, the nearest pixel. -> (N, C, height, width)"""
    height, width = images.shape[2:]
    x, y = x.clamp(0, width - 1), y.clamp(0, height - 1)
    left, top = x.clamp(0, width - 2).long(), y.clamp(0, height - 2).long()
    right, down = (x - left).unsqueeze(3), (y - top).unsqueeze(3)
    number = fastnn.arange(len(images)).reshape(-1, 1, 1)
    above = images[number, :, top, left] * (1 - right) + images[number, :, top, left + 1] * right
    top = top + 1
    below = images[number, :, top, left] * (1 - right) + images[number, :, top, left + 1] * right
    return (above * (1 - down) + below * down).movedim(-1, 1)


def place(images: Tensor, size: int, centre: Tensor, turn: Tensor) -> Tensor:
    """The images on square canvases of `size` pixels: -> (N, C, size, size).

    centre (N, 2): x and y where the middle of each image comes to lie. turn (N, 2): factor *
    (cos a, sin a) of the factor it is enlarged by and the angle it is turned by, clockwise as y
    points down.
    """
    steps = fastnn.arange(size)
    x = steps.reshape(1, 1, size) - centre[:, :1].unsqueeze(2)
    y = steps.reshape(1, size, 1) - centre[:, 1:].unsqueeze(2)
    # back by the inverse of the turn
    inverse = turn / (turn * turn).sum(1, keepdim=True)
    cos, sin = inverse.reshape(-1, 2, 1, 1).unbind(1)
    middle = [(length - 1) / 2 for length in images.shape[2:]]
    return sample(images, cos * x + sin * y + middle[1], cos * y - sin * x + middle[0])


def moved(images: Tensor, x: float = 0.0, y: float = 0.0, factor: float = 1.0) -> Tensor:
    """Square images, all moved by x and y pixels and enlarged by the factor about their middle."""
    size, n = images.shape[3], len(images)
    middle = (size - 1) / 2
    centre = fastnn.tensor([[middle + x, middle + y]]).repeat(n, 1)
    return place(images, size, centre, fastnn.tensor([[factor, 0.0]]).repeat(n, 1))
