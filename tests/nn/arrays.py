"""What the tests of layers start from and compare with: float64 arrays."""

import numpy as np

import fastnn

RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((2, 4, 7, 6))
ROWS = RNG.standard_normal((5, 8))


def tensor(array):
    return fastnn.tensor(np.asarray(array, dtype=np.float64))


def values(tensor):
    return np.asarray(tensor.detach())


def close(result, expected, tolerance=1e-12):
    np.testing.assert_allclose(values(result), expected, rtol=tolerance, atol=tolerance)
