"""cat, stack and their gradients; what split, chunk and unbind refuse."""

import numpy as np
import pytest

import fastnn
from fastnn.ops.conv import conv2d
from fastnn.testing import directional_error, num_threads

RNG = np.random.default_rng(5)


@pytest.mark.parametrize(
    ("shapes", "dim"),
    [
        ([(2, 3)], 0),
        ([(2, 3), (4, 3)], 0),
        ([(2, 3), (2, 1), (2, 0)], 1),
        ([(2, 3, 4), (2, 5, 4)], -2),
        ([(3,), (0,), (2,)], 0),
        ([(0,), (2, 3), (1, 3)], 0),
        ([(200, 300), (100, 300)], 0),
    ],
)
def test_cat(shapes, dim):
    arrays = [RNG.standard_normal(shape) for shape in shapes]
    real = [a for a in arrays if a.shape != (0,)]
    expected = np.concatenate(real, dim)
    for function in (fastnn.cat, fastnn.concat):
        np.testing.assert_array_equal(
            function([fastnn.from_numpy(a) for a in arrays], dim).numpy(), expected
        )
    if expected.size < 1000:
        assert directional_error(lambda *xs: fastnn.cat(list(xs), dim), arrays) < 1e-9


@pytest.mark.parametrize("dim", [0, 1, 2, -1])
def test_stack(dim):
    arrays = [RNG.standard_normal((3, 4)) for _ in range(5)]
    expected = np.stack(arrays, dim)
    np.testing.assert_array_equal(
        fastnn.stack(tuple(fastnn.from_numpy(a) for a in arrays), dim).numpy(), expected
    )
    assert directional_error(lambda *xs: fastnn.stack(xs, dim), arrays) < 1e-9


def test_any_layout_dtype_and_number_of_threads():
    a, b = RNG.standard_normal((64, 500)).astype("f4"), RNG.standard_normal((500, 64))
    results = []
    for threads in (1, 2, 3):
        with num_threads(threads):
            y = fastnn.cat([fastnn.from_numpy(a), fastnn.from_numpy(b).t()], 1)
            results.append(y.numpy().tobytes())
    assert y.dtype is fastnn.float64
    np.testing.assert_array_equal(y.numpy(), np.concatenate([a, b.T], 1))
    assert results[0] == results[1] == results[2]
    z = fastnn.cat([fastnn.tensor([1, 2]), fastnn.tensor([True])])
    assert z.dtype is fastnn.int64 and z.tolist() == [1, 2, 1]


def test_mixed_dtypes_get_gradients_of_their_own():
    x = fastnn.ones(2, requires_grad=True)
    y = fastnn.ones(2, dtype=fastnn.float64, requires_grad=True)
    fastnn.cat([x, y, fastnn.zeros(1)]).backward(fastnn.arange(5, dtype=fastnn.float64))
    assert x.grad.dtype is fastnn.float32 and x.grad.tolist() == [0, 1]
    assert y.grad.dtype is fastnn.float64 and y.grad.tolist() == [2, 3]


def test_channels_last_stays_channels_last():
    x = fastnn.from_numpy(RNG.standard_normal((2, 3, 6, 5)).astype("f4"))
    y = conv2d(x, fastnn.from_numpy(RNG.standard_normal((4, 3, 3, 3)).astype("f4")))
    z = fastnn.cat([y, y * 2], 1)
    np.testing.assert_array_equal(z.numpy(), np.concatenate([y.numpy(), 2 * y.numpy()], 1))
    assert z.is_contiguous(memory_format=fastnn.channels_last) and z.is_contiguous()
    np.testing.assert_array_equal(z.view(-1).numpy(), z.numpy().reshape(-1))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_results_of_pooling_stay_channels_last(dims):
    x = fastnn.from_numpy(RNG.standard_normal((2, 3, *(6,) * dims)))
    y = getattr(fastnn.nn.functional, f"max_pool{dims}d")(x, 2)
    for z, expected in [
        (fastnn.cat([y, y], 1), np.concatenate([y.numpy()] * 2, 1)),
        (fastnn.stack([y, y], 1), np.stack([y.numpy()] * 2, 1)),
    ]:
        np.testing.assert_array_equal(z.numpy(), expected)
        np.testing.assert_array_equal(z.view(-1).numpy(), expected.reshape(-1))
        assert z.is_contiguous()
    assert fastnn.cat([y, y], 1).stride()[1] == 1


def test_the_same_tensor_twice():
    x = fastnn.ones(2, requires_grad=True)
    fastnn.cat([x, x]).backward(fastnn.tensor([1.0, 2.0, 3.0, 4.0]))
    assert x.grad.tolist() == [4, 6]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: fastnn.cat([]), ValueError, "at least one"),
        (lambda x: fastnn.cat(x), ValueError, "list"),
        (lambda x: fastnn.cat([x, 1]), TypeError, "int"),
        (lambda x: fastnn.cat([x, x.t()]), ValueError, r"\(4, 3\) and \(3, 4\)"),
        (lambda x: fastnn.cat([x, x[0]]), ValueError, "numbers of dimensions"),
        (lambda x: fastnn.cat([x, x], 2), IndexError, "got 2"),
        (lambda x: fastnn.cat([fastnn.tensor(1.0)]), ValueError, "stack"),
        (lambda x: fastnn.stack([x, x.t()]), ValueError, r"\(4, 3\) and \(3, 4\)"),
        (lambda x: fastnn.stack([x], 3), IndexError, "got 3"),
        (lambda x: x.split(0), ValueError, "at least 1"),
        (lambda x: x.split([1, 1]), ValueError, r"\[1, 1\] do not add up"),
        (lambda x: x.chunk(0), ValueError, "got 0"),
        (lambda x: fastnn.tensor(1.0).unbind(), ValueError, "no dimensions"),
    ],
)
def test_what_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call(fastnn.ones(4, 3))
