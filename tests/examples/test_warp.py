"""Images moved, turned and rescaled: by NumPy where pixels fall on pixels, and at random places."""

import math

import numpy as np

import fastnn
from examples.warp import moved, place, sample

RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((3, 2, 7, 7))


def middle_of(size):
    return fastnn.tensor([[(size - 1) / 2] * 2] * 3)


def test_sample_is_bilinear():
    x, y = 8 * RNG.random((2, 3, 4, 5)) - 1
    found = sample(fastnn.tensor(IMAGES), fastnn.tensor(x), fastnn.tensor(y)).numpy()
    for n, c, i, j in np.ndindex(3, 2, 4, 5):
        u, v = np.clip((x[n, i, j], y[n, i, j]), 0, 6)
        weights = np.outer(np.maximum(0, 1 - abs(np.arange(7) - v)),
                           np.maximum(0, 1 - abs(np.arange(7) - u)))  # fmt: skip
        assert math.isclose(found[n, c, i, j], (weights * IMAGES[n, c]).sum(), abs_tol=1e-12)


def test_whole_pixels_and_right_angles():
    images = fastnn.tensor(IMAGES)
    np.testing.assert_allclose(moved(images).numpy(), IMAGES)
    np.testing.assert_allclose(moved(images, 2, -1).numpy()[:, :, :6, 2:], IMAGES[:, :, 1:, :5])
    turned = place(images, 7, middle_of(7), fastnn.tensor([[0.0, 1.0]] * 3)).numpy()
    np.testing.assert_allclose(turned, np.rot90(IMAGES, -1, (2, 3)), atol=1e-6)
    canvas = place(images, 11, middle_of(11), fastnn.tensor([[1.0, 0.0]] * 3)).numpy()
    np.testing.assert_allclose(canvas[:, :, 2:9, 2:9], IMAGES)


def test_factor_enlarges():
    images = fastnn.tensor(IMAGES)
    twice = place(images, 13, middle_of(13), fastnn.tensor([[2.0, 0.0]] * 3)).numpy()
    np.testing.assert_allclose(twice[:, :, ::2, ::2], IMAGES)
    np.testing.assert_allclose(moved(images, factor=2).numpy()[:, :, 1::2, 1::2],
                               IMAGES[:, :, 2:5, 2:5])  # fmt: skip
