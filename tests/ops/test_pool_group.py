"""Pooling of groups of images of few channels: the bits of each image taken alone."""

import numpy as np
import pytest

import fastnn
import fastnn.nn.functional as F
from fastnn.testing import last_team, levels, num_threads, using_isa

POOLINGS = {
    "tiles": lambda f, x: f(x, 2),
    "tiles with a rest": lambda f, x: f(x, (3, 2)),
    "overlapping": lambda f, x: f(x, 3, 1, 1),
    "two apart": lambda f, x: f(x, 3, 2, 1),
    "with gaps": lambda f, x: f(x, 2, 3),
    "ceil_mode": lambda f, x: f(x, 2, ceil_mode=True),
}
LAYOUTS = {
    "contiguous": lambda a: a,
    "channels last": lambda a: np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 1, -1)), -1, 1),
    "images innermost": lambda a: np.ascontiguousarray(a.T).T,
    "a part": lambda a: np.pad(a, [(0, 1)] * 4)[:-1, :-1, :-1, :-1],
}


def numbers(*shape, dtype=np.float32):
    """With many equal ones and a few NaNs."""
    rng = np.random.default_rng(sum(shape))
    x = rng.integers(0, 5, shape).astype(dtype)
    x[rng.random(shape) < 0.01] = np.nan
    return x


def pooled(function, pooling, array, dy=None):
    """The result and the gradient."""
    x = fastnn.from_numpy(array).requires_grad_()
    y = pooling(function, x)
    dy = np.ones(y.shape, array.dtype) if dy is None else dy
    y.backward(fastnn.from_numpy(dy))
    return y.detach().numpy(), x.grad.numpy()


def assert_each_image_alone(function, pooling, array, layout=lambda a: a):
    found, _ = pooled(function, pooling, layout(array))
    dy = np.random.default_rng(1).standard_normal(found.shape).astype(array.dtype)
    found, gradient = pooled(function, pooling, layout(array), layout(dy))
    for n in range(len(array)):
        y, dx = pooled(function, pooling, array[n : n + 1], dy[n : n + 1])
        np.testing.assert_array_equal(found[n : n + 1], y)
        np.testing.assert_array_equal(gradient[n : n + 1], dx)


@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_images_in_any_layout(name, pooling, layout):
    for channels in (1, 2, 3, 4):
        array = numbers(37, channels, 11, 8)
        assert_each_image_alone(getattr(F, name), POOLINGS[pooling], array, LAYOUTS[layout])


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_level(level, name, dtype):
    with using_isa(level):
        for images in (2, 5, 8, 19):
            for pooling in POOLINGS.values():
                array = numbers(images, 1, 7, 9, dtype=dtype)
                assert_each_image_alone(getattr(F, name), pooling, array)


def test_sequences_adaptive_sizes_and_dilation():
    array = numbers(33, 2, 17)
    for function in (F.max_pool1d, F.avg_pool1d):
        assert_each_image_alone(function, POOLINGS["overlapping"], array)
    array = numbers(33, 2, 17, 10)
    for function in (F.adaptive_max_pool2d, F.adaptive_avg_pool2d):
        assert_each_image_alone(function, lambda f, x: f(x, (5, 7)), array)
    assert_each_image_alone(F.max_pool2d, lambda f, x: f(x, 3, 1, 1, dilation=2), array)
    assert_each_image_alone(
        F.max_pool2d, lambda f, x: f(x, 17, 1, 8, ceil_mode=True), numbers(20, 1, 30, 30)
    )


def test_bands_of_rows_and_threads():
    for function in (F.max_pool2d, F.avg_pool2d):
        for pooling in POOLINGS.values():
            array, results = numbers(70, 3, 67, 64), []
            for threads in (1, 2, 3):
                with num_threads(threads):
                    results.append([a.tobytes() for a in pooled(function, pooling, array)])
                    assert last_team() == threads
            assert results[0] == results[1] == results[2]
    assert_each_image_alone(F.max_pool2d, POOLINGS["two apart"], numbers(18, 3, 67, 64))
    assert_each_image_alone(F.avg_pool2d, POOLINGS["tiles with a rest"], numbers(18, 3, 67, 64))


def test_positions_with_and_without_a_gradient():
    x = fastnn.from_numpy(numbers(20, 2, 6, 6)).requires_grad_()
    y, where = F.max_pool2d(x, 2, return_indices=True)
    alone = F.max_pool2d(x, 2)
    np.testing.assert_array_equal(y.detach().numpy(), alone.detach().numpy())
    flat = x.detach().reshape(20, 2, 36).numpy()
    taken = np.take_along_axis(flat, where.numpy().reshape(20, 2, 9), 2)
    np.testing.assert_array_equal(taken, y.detach().numpy().reshape(20, 2, 9))
    y.sum().backward()
    assert x.grad.sum().item() == y.numel()
