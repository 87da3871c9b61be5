"""Max unpooling: round trips, layouts, equal places, gradients, errors, threads."""

import numpy as np
import pytest

from fastnn._core.interop import from_numpy
from fastnn.ops import pool, unpool
from fastnn.testing import last_team, num_threads
from tests.ops.test_pool import layouts, values

SHAPES = {1: (2, 19, 12), 2: (2, 19, 6, 8), 3: (2, 19, 4, 6, 8)}


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_puts_back_what_max_pooling_chose(dims):
    for shape in (SHAPES[dims], SHAPES[dims][1:]):
        a = values(shape)
        for layout in layouts(a, dims):
            y, indices = getattr(pool, f"max_pool{dims}d")(
                from_numpy(layout), 2, return_indices=True
            )
            back = getattr(unpool, f"max_unpool{dims}d")(y, indices, 2).numpy()
            assert back.shape == shape
            assert np.array_equal(back, np.where(np.isin(a, y.numpy()), a, 0))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_gradient_comes_from_the_places(dims):
    shape = SHAPES[dims]
    rng = np.random.default_rng(0)
    total = int(np.prod(shape[2:]))
    places = rng.integers(0, total, shape)  # some of them equal
    dy = rng.standard_normal(shape)
    expected = np.take_along_axis(
        dy.reshape(*shape[:2], total), places.reshape(*shape[:2], total), -1
    ).reshape(shape)
    for layout in layouts(values(shape), dims):
        for given in layouts(places, dims):
            for dy_layout in layouts(dy, dims):
                x = from_numpy(layout).requires_grad_()
                y = getattr(unpool, f"max_unpool{dims}d")(x, from_numpy(given), 1)
                y.backward(from_numpy(dy_layout))
                assert np.array_equal(x.grad.numpy(), expected)


def test_the_last_of_equal_places_counts():
    x = from_numpy(np.array([[[1.0, 2.0, 3.0]]]))
    indices = from_numpy(np.array([[[4, 4, 0]]]))
    assert unpool.max_unpool1d(x, indices, 2).tolist() == [[[3, 0, 0, 0, 2, 0]]]


def test_output_size():
    x, indices = from_numpy(np.ones((2, 3, 4, 4))), from_numpy(np.zeros((2, 3, 4, 4), np.int64))
    assert unpool.max_unpool2d(x, indices, 2).shape == (2, 3, 8, 8)
    assert unpool.max_unpool2d(x, indices, 3, 2, 1).shape == (2, 3, 7, 7)
    assert unpool.max_unpool2d(x, indices, 2, output_size=(9, 7)).shape == (2, 3, 9, 7)
    assert unpool.max_unpool2d(x, indices, 2, output_size=(2, 3, 8, 9)).shape == (2, 3, 8, 9)
    with pytest.raises(ValueError, match="dimension 1 must be between 6 and 10"):
        unpool.max_unpool2d(x, indices, 2, output_size=(8, 10))
    with pytest.raises(ValueError, match=r"2 or 4 entries, got \(8, 8, 8\)"):
        unpool.max_unpool2d(x, indices, 2, output_size=(8, 8, 8))
    with pytest.raises(ValueError, match="leave nothing of an output of size -2"):
        unpool.max_unpool2d(x, indices, 2, 2, 5)


def test_empty_batch():
    x = from_numpy(np.zeros((0, 3, 4, 4), np.float32)).requires_grad_()
    y = unpool.max_unpool2d(x, from_numpy(np.zeros((0, 3, 4, 4), np.int64)), 2)
    assert y.shape == (0, 3, 8, 8)
    y.sum().backward()
    assert x.grad.shape == (0, 3, 4, 4)


@pytest.mark.parametrize("bad", [-1, 64])
def test_an_index_outside_of_the_output(bad):
    places = np.zeros((2, 3, 4, 4), np.int64)
    places[1, 2, 3, 1] = bad
    with pytest.raises(IndexError, match=f"index {bad} is outside of an output of 64 positions"):
        unpool.max_unpool2d(from_numpy(np.zeros((2, 3, 4, 4))), from_numpy(places), 2)


def test_an_index_that_left_the_output_before_the_backward_pass():
    places = np.zeros((1, 1, 1, 4, 4), np.int64)
    last = np.moveaxis(places, -1, 1)  # its memory is used as it is
    x = from_numpy(np.zeros(last.shape)).requires_grad_()
    y = unpool.max_unpool3d(x, from_numpy(last), (2, 1, 1))
    places[...] = 1000
    with pytest.raises(IndexError, match="index 1000"):
        y.sum().backward()


def test_errors():
    x, indices = from_numpy(np.zeros((2, 3, 4))), from_numpy(np.zeros((2, 3, 4), np.int64))
    with pytest.raises(TypeError, match="indices must be int64, got int32"):
        unpool.max_unpool1d(x, from_numpy(np.zeros((2, 3, 4), np.int32)), 2)
    with pytest.raises(ValueError, match=r"the shape of input, \(2, 3, 4\), got \(2, 3, 3\)"):
        unpool.max_unpool1d(x, indices[:, :, 1:], 2)
    with pytest.raises(ValueError, match=r"\(N, C, D, H, W\) or \(C, D, H, W\), got \(2, 3, 4\)"):
        unpool.max_unpool3d(x, indices, 2)
    with pytest.raises(ValueError, match="stride must be at least 1, got 0"):
        unpool.max_unpool1d(x, indices, 2, 0)


@pytest.mark.parametrize("shape", [(4, 40, 30, 30), (20, 17, 20, 20)])
def test_same_bits_on_any_number_of_threads(shape):
    rng = np.random.default_rng(1)
    a = rng.standard_normal(shape).astype(np.float32)
    places = rng.integers(0, 4 * shape[2] * shape[3], shape)
    results = []
    for threads in (1, 2, 3):
        with num_threads(threads):
            x = from_numpy(a).requires_grad_()
            y = unpool.max_unpool2d(x, from_numpy(places), 2)
            assert last_team() == threads
            y.backward(y.detach())
            results.append((y.detach().numpy().tobytes(), x.grad.numpy().tobytes()))
    assert len(set(results)) == 1
