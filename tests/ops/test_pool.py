"""Pooling against its definition: shapes, layouts, ties, gradients, levels, threads."""

from functools import partial

import numpy as np
import pytest

from fastnn._core.autograd import backward
from fastnn._core.interop import from_numpy
from fastnn.ops.pool import adaptive_avg_pool2d, adaptive_max_pool2d, avg_pool2d, max_pool2d
from fastnn.testing import last_team, levels, num_threads, using_isa
from tests.guard import guarded
from tests.references import pool as reference

# (shape, arguments): widths around 1 and 4 vectors, clipped windows, gaps, overlaps
WINDOWS = [
    ((2, 3, 8, 8), {"kernel_size": 2}),
    ((1, 16, 7, 9), {"kernel_size": 2}),
    ((2, 17, 9, 7), {"kernel_size": 2, "ceil_mode": True}),
    ((1, 65, 6, 6), {"kernel_size": 3, "stride": 2, "padding": 1}),
    ((2, 1, 11, 5), {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0)}),
    ((1, 33, 5, 5), {"kernel_size": 3, "stride": 1, "padding": 1}),
    ((1, 5, 10, 10), {"kernel_size": 2, "stride": 3}),
    (
        (1, 4, 13, 12),
        {"kernel_size": (5, 4), "stride": (3, 4), "padding": (2, 1), "ceil_mode": True},
    ),
    ((1, 2, 18, 18), {"kernel_size": 17, "stride": 1}),
    ((3, 6, 4), {"kernel_size": 2}),
]
DILATED = [
    ((1, 5, 9, 9), {"kernel_size": 3, "stride": 1, "dilation": 2}),
    (
        (1, 18, 12, 10),
        {"kernel_size": (3, 2), "stride": 2, "padding": 1, "dilation": (2, 3), "ceil_mode": True},
    ),
]
AVERAGES = [
    (shape, {**arguments, **more})
    for shape, arguments in WINDOWS
    for more in ({}, {"count_include_pad": False}, {"divisor_override": 3})
]


def layouts(a):
    """The same numbers plain, channels-last, and as a part of a larger array."""
    yield a
    larger = np.zeros((*a.shape[:-2], a.shape[-2] + 2, a.shape[-1] + 3), a.dtype)
    larger[..., 1:-1, 1:-2] = a
    yield larger[..., 1:-1, 1:-2]
    yield np.moveaxis(np.ascontiguousarray(np.moveaxis(a, -3, -1)), -1, -3)


def values(shape, seed=0):
    """Distinct numbers, at least 1 apart, so that no small step changes a maximum."""
    size = int(np.prod(shape))
    numbers = np.random.default_rng(seed).permutation(size).astype(np.float64)
    return numbers.reshape(shape) - size / 2


def gradient(function, a, dy):
    x = from_numpy(a)
    x.requires_grad = True
    y = function(x)
    backward(y, from_numpy(dy))
    return x.grad.numpy()


@pytest.fixture(params=levels())
def level(request):
    with using_isa(request.param):
        yield request.param


@pytest.mark.parametrize("shape, arguments", WINDOWS + DILATED)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_max_forward(level, shape, arguments, dtype):
    a = values(shape).astype(dtype)
    expected = reference.max_pool2d(a, **arguments)
    for layout in layouts(a):
        y = max_pool2d(from_numpy(layout), **arguments)
        assert y.dtype.name == np.dtype(dtype).name
        assert np.array_equal(y.numpy(), expected)


@pytest.mark.parametrize("shape, arguments", WINDOWS + DILATED)
def test_max_indices(shape, arguments):
    a = np.random.default_rng(1).integers(0, 3, shape).astype(np.float32)  # many ties
    y, indices = max_pool2d(from_numpy(a), **arguments, return_indices=True)
    assert indices.dtype.name == "int64"
    assert np.array_equal(indices.numpy(), reference.max_pool2d_indices(a, **arguments))
    assert np.array_equal(
        np.take_along_axis(
            a.reshape(*shape[:-2], -1), indices.numpy().reshape(*shape[:-2], -1), -1
        ),
        y.numpy().reshape(*shape[:-2], -1),
    )


@pytest.mark.parametrize("shape, arguments", AVERAGES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_avg_forward(level, shape, arguments, dtype):
    a = np.random.default_rng(2).standard_normal(shape).astype(dtype)
    expected = reference.avg_pool2d(a, **arguments)
    for layout in layouts(a):
        y = avg_pool2d(from_numpy(layout), **arguments).numpy()
        np.testing.assert_allclose(y, expected, rtol=0, atol=100 * np.finfo(dtype).eps)


def test_max_backward_adds_each_gradient_where_its_maximum_stands(level):
    for shape, arguments in WINDOWS + DILATED:
        a = values(shape)
        places = reference.max_pool2d_indices(a, **arguments).astype(int)
        dy = np.random.default_rng(3).standard_normal(places.shape)
        expected = np.zeros((*shape[:-2], shape[-2] * shape[-1]))
        for at in np.ndindex(places.shape):
            expected[(*at[:-2], places[at])] += dy[at]
        for layout in layouts(a):
            for dy_layout in layouts(dy):
                dx = gradient(partial(max_pool2d, **arguments), layout, dy_layout)
                np.testing.assert_allclose(dx, expected.reshape(shape), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize(
    "function, cases",
    [
        (max_pool2d, WINDOWS + DILATED),
        (avg_pool2d, AVERAGES),
        (adaptive_avg_pool2d, [((2, 5, 7, 6), {"output_size": (3, 4)})]),
        (adaptive_max_pool2d, [((2, 5, 7, 6), {"output_size": (3, 4)})]),
    ],
)
def test_gradient_by_directional_differences(level, function, cases):
    rng = np.random.default_rng(4)
    for shape, arguments in cases:
        a, direction = values(shape), rng.standard_normal(shape)
        dy = rng.standard_normal(function(from_numpy(a), **arguments).shape)
        dx = gradient(partial(function, **arguments), a, dy)
        step = 1e-2
        ahead, behind = (
            function(from_numpy(a + s * direction), **arguments).numpy() for s in (step, -step)
        )
        numeric = np.sum((ahead - behind) * dy) / (2 * step)
        assert abs(np.sum(dx * direction) - numeric) <= 1e-7 * np.sum(np.abs(dx * direction))


@pytest.mark.parametrize("output_size", [1, 2, (3, 5), (7, 6), (1, 4), 10])
def test_adaptive(output_size):
    a = values((2, 19, 7, 6))
    for layout in layouts(a):
        for function in (adaptive_avg_pool2d, adaptive_max_pool2d):
            expected = getattr(reference, function.__name__)(a, output_size)
            np.testing.assert_allclose(
                function(from_numpy(layout), output_size).numpy(), expected, rtol=1e-13
            )


def test_adaptive_size_none_keeps_the_dimension():
    assert adaptive_avg_pool2d(from_numpy(values((1, 2, 7, 6))), (None, 3)).shape == (1, 2, 7, 3)


def test_nan_and_infinity():
    a = np.full((1, 20, 2, 4), -np.inf, np.float32)
    a[0, :, 1, 2] = np.nan
    a[0, :, 0, 3] = np.inf
    y, indices = max_pool2d(from_numpy(a), 2, return_indices=True)
    assert np.all(y.numpy()[..., 0] == -np.inf) and np.all(indices.numpy()[..., 0] == 0)
    assert np.all(np.isnan(y.numpy()[..., 1])) and np.all(indices.numpy()[..., 1] == 6)


def test_channels_last_in_memory():
    a = values((2, 5, 6, 6))
    x = from_numpy(a)
    x.requires_grad = True
    y = max_pool2d(x, 2)
    assert y.stride() == (45, 1, 15, 5) and y.is_contiguous()
    backward(y, from_numpy(np.ones((2, 5, 3, 3))))
    assert x.grad.stride() == (180, 1, 30, 5)


@pytest.mark.parametrize("function", [max_pool2d, avg_pool2d])
@pytest.mark.parametrize("kernel, stride", [(2, 2), (3, 2)])
def test_same_bits_on_any_number_of_threads(function, kernel, stride):
    a = np.random.default_rng(5).standard_normal((4, 40, 41, 30)).astype(np.float32)
    results = []
    for threads in (1, 2, 3):
        with num_threads(threads):
            for layout in layouts(a):
                x = from_numpy(layout)
                x.requires_grad = True
                y = function(x, kernel, stride, padding=1 if kernel == 3 else 0)
                assert last_team() == threads
                backward(y, y.detach())
                results.append((y.detach().numpy().tobytes(), x.grad.numpy().tobytes()))
    assert len(set(results)) == 1


@pytest.mark.parametrize("at_end", [True, False])
def test_nothing_is_read_beyond_the_arguments(level, at_end):
    for shape, arguments in WINDOWS:
        a = guarded(int(np.prod(shape)), np.float32, at_end).reshape(shape)
        for layout in (a, np.moveaxis(a.reshape(*shape[:-3], *shape[-2:], shape[-3]), -1, -3)):
            for function in (max_pool2d, avg_pool2d):
                x = from_numpy(layout).requires_grad_()
                y = function(x, **arguments)
                y.backward(from_numpy(guarded(y.numel(), np.float32, at_end).reshape(y.shape)))


@pytest.mark.parametrize("function", [max_pool2d, avg_pool2d])
def test_empty_batch(function):
    x = from_numpy(np.zeros((0, 3, 8, 8), np.float32))
    x.requires_grad = True
    y = function(x, 2)
    assert y.shape == (0, 3, 4, 4)
    backward(y, from_numpy(np.zeros(y.shape, np.float32)))
    assert x.grad.shape == (0, 3, 8, 8)


@pytest.mark.parametrize(
    "shape, arguments, message",
    [
        ((1, 1, 4, 4), {"kernel_size": 5}, "window of 5 is larger than the image: 4"),
        ((1, 1, 4, 4), {"kernel_size": 2, "padding": 2}, "half of the kernel size, got 2 for 2"),
        ((1, 1, 4, 4), {"kernel_size": 0}, "kernel_size must be at least 1, got 0"),
        (
            (1, 1, 4, 4),
            {"kernel_size": 2, "stride": (1, 0)},
            r"stride must be at least 1, got \(1, 0\)",
        ),
        ((1, 1, 4, 4), {"kernel_size": 2, "padding": -1}, "padding must be at least 0"),
        ((1, 1, 4, 4), {"kernel_size": (1, 2, 3)}, "kernel_size must be one int or two"),
        ((1, 1, 4, 4), {"kernel_size": 1 << 40}, "too large"),
        ((4, 4), {"kernel_size": 2}, r"\(N, C, H, W\) or \(C, H, W\), got \(4, 4\)"),
        (
            (1, 0, 4, 4),
            {"kernel_size": 2},
            r"only the batch may be empty, got shape \(1, 0, 4, 4\)",
        ),
    ],
)
def test_errors(shape, arguments, message):
    for function in (max_pool2d, avg_pool2d):
        with pytest.raises(ValueError, match=message):
            function(from_numpy(np.zeros(shape, np.float32)), **arguments)


def test_type_errors():
    with pytest.raises(TypeError, match="int64"):
        max_pool2d(from_numpy(np.zeros((1, 1, 4, 4), np.int64)), 2)
    with pytest.raises(TypeError, match="list"):
        max_pool2d([[1.0]], 2)
    with pytest.raises(ValueError, match="divisor_override"):
        avg_pool2d(from_numpy(np.zeros((1, 1, 4, 4))), 2, divisor_override=0)
