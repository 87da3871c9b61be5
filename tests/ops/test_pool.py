"""Pooling against its definition: shapes, layouts, ties, gradients, levels, threads."""

from functools import partial

import numpy as np
import pytest

from fastnn._core.autograd import backward
from fastnn._core.interop import from_numpy
from fastnn.ops import pool
from fastnn.testing import last_team, levels, num_threads, using_isa
from tests.guard import guarded
from tests.references.pool import REFERENCES

# by dimensions: (shape, arguments): widths around 1 and 4 vectors, clipped windows, gaps, overlaps
WINDOWS = {
    1: [
        ((2, 3, 8), {"kernel_size": 2}),
        ((1, 65, 17), {"kernel_size": (3,), "stride": (2,), "padding": (1,)}),
        ((2, 16, 15), {"kernel_size": 2, "stride": 3, "ceil_mode": True}),
        ((5, 9), {"kernel_size": 4, "stride": 1, "padding": 2}),
    ],
    2: [
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
    ],
    3: [
        ((2, 3, 4, 6, 5), {"kernel_size": 2}),
        ((1, 17, 5, 4, 3), {"kernel_size": 2, "ceil_mode": True}),
        ((1, 65, 4, 5, 3), {"kernel_size": 3, "stride": 2, "padding": 1}),
        (
            (2, 1, 5, 7, 6),
            {"kernel_size": (3, 2, 4), "stride": (2, 1, 4), "padding": (1, 0, 2)},
        ),
        ((1, 5, 7, 5, 8), {"kernel_size": 2, "stride": 3}),
        ((1, 2, 8, 9, 10), {"kernel_size": 7, "stride": 1}),
        ((3, 4, 6, 4), {"kernel_size": (1, 2, 2)}),
    ],
}
DILATED = {
    1: [((2, 5, 19), {"kernel_size": 3, "stride": 2, "padding": 1, "dilation": 3})],
    2: [
        ((1, 5, 9, 9), {"kernel_size": 3, "stride": 1, "dilation": 2}),
        (
            (1, 18, 12, 10),
            {
                "kernel_size": (3, 2),
                "stride": 2,
                "padding": 1,
                "dilation": (2, 3),
                "ceil_mode": True,
            },
        ),
    ],
    3: [
        (
            (1, 18, 7, 6, 8),
            {"kernel_size": 2, "stride": (1, 2, 3), "padding": 1, "dilation": (3, 2, 1)},
        )
    ],
}
AVERAGES = [
    (dims, shape, {**arguments, **more})
    for dims, cases in WINDOWS.items()
    for shape, arguments in cases
    for more in ({}, {"count_include_pad": False}, {"divisor_override": 3})
    if dims > 1 or "divisor_override" not in more
]
MAXIMA = [(dims, *case) for dims in WINDOWS for case in WINDOWS[dims] + DILATED[dims]]
ADAPTIVE = [
    (1, (2, 19, 7), 3),
    (1, (5, 9), (9,)),
    (2, (2, 5, 7, 6), (3, 4)),
    (3, (2, 5, 4, 7, 6), (3, 4, 1)),
    (3, (5, 4, 3, 6), 2),
]


def of(name, dims):
    """fastnn's function and its reference."""
    return getattr(pool, f"{name}{dims}d"), REFERENCES[f"{name}{dims}d"]


def layouts(a, dims=2):
    """The same numbers plain, as a part of a larger array, and channels-last."""
    yield a
    spatial = a.shape[a.ndim - dims :]
    larger = np.zeros((*a.shape[: a.ndim - dims], *(n + 3 for n in spatial)), a.dtype)
    part = (..., *(slice(1, 1 + n) for n in spatial))
    larger[part] = a
    yield larger[part]
    channel = a.ndim - dims - 1
    yield np.moveaxis(np.ascontiguousarray(np.moveaxis(a, channel, -1)), -1, channel)


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


@pytest.mark.parametrize("dims, shape, arguments", MAXIMA)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_max_forward(level, dims, shape, arguments, dtype):
    function, reference = of("max_pool", dims)
    a = values(shape).astype(dtype)
    expected = reference(a, **arguments)
    for layout in layouts(a, dims):
        y = function(from_numpy(layout), **arguments)
        assert y.dtype.name == np.dtype(dtype).name
        assert np.array_equal(y.numpy(), expected)


def assert_positions(a, dims, y, indices, expected):
    flat = a.ndim - dims
    assert indices.dtype.name == "int64" and np.array_equal(indices.numpy(), expected)
    found = np.take_along_axis(
        a.reshape(*a.shape[:flat], -1), indices.numpy().reshape(*a.shape[:flat], -1), -1
    )
    assert np.array_equal(found.reshape(y.shape), y.numpy())


@pytest.mark.parametrize("dims, shape, arguments", MAXIMA)
def test_max_indices(dims, shape, arguments):
    function, reference = of("max_pool", dims)
    a = np.random.default_rng(1).integers(0, 3, shape).astype(np.float32)  # many ties
    _, expected = reference(a, **arguments, return_indices=True)
    for layout in layouts(a, dims):
        y, indices = function(from_numpy(layout), **arguments, return_indices=True)
        assert_positions(a, dims, y, indices, expected)


@pytest.mark.parametrize("dims, shape, arguments", AVERAGES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_avg_forward(level, dims, shape, arguments, dtype):
    function, reference = of("avg_pool", dims)
    a = np.random.default_rng(2).standard_normal(shape).astype(dtype)
    expected = reference(a, **arguments)
    for layout in layouts(a, dims):
        y = function(from_numpy(layout), **arguments).numpy()
        np.testing.assert_allclose(y, expected, rtol=0, atol=100 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dims, shape, arguments", MAXIMA)
def test_max_backward_adds_each_gradient_where_its_maximum_stands(level, dims, shape, arguments):
    function, reference = of("max_pool", dims)
    a = values(shape)
    _, places = reference(a, **arguments, return_indices=True)
    dy = np.random.default_rng(3).standard_normal(places.shape)
    expected = np.zeros((*shape[: len(shape) - dims], np.prod(shape[len(shape) - dims :])))
    for at in np.ndindex(places.shape):
        expected[(*at[:-dims], places[at])] += dy[at]
    for layout in layouts(a, dims):
        for dy_layout in layouts(dy, dims):
            dx = gradient(partial(function, **arguments), layout, dy_layout)
            np.testing.assert_allclose(dx, expected.reshape(shape), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize(
    "name, cases",
    [
        ("max_pool", MAXIMA),
        ("avg_pool", AVERAGES),
        ("adaptive_avg_pool", [(d, s, {"output_size": n}) for d, s, n in ADAPTIVE]),
        ("adaptive_max_pool", [(d, s, {"output_size": n}) for d, s, n in ADAPTIVE]),
    ],
)
def test_gradient_by_directional_differences(level, name, cases):
    rng = np.random.default_rng(4)
    for dims, shape, arguments in cases:
        function = partial(of(name, dims)[0], **arguments)
        a, direction = values(shape), rng.standard_normal(shape)
        dy = rng.standard_normal(function(from_numpy(a)).shape)
        dx = gradient(function, a, dy)
        step = 1e-2
        ahead, behind = (function(from_numpy(a + s * direction)).numpy() for s in (step, -step))
        numeric = np.sum((ahead - behind) * dy) / (2 * step)
        assert abs(np.sum(dx * direction) - numeric) <= 1e-7 * np.sum(np.abs(dx * direction))


@pytest.mark.parametrize(
    "dims, shape, output_size",
    [*((2, (2, 19, 7, 6), n) for n in (1, 2, (3, 5), (7, 6), (1, 4), 10)), *ADAPTIVE],
)
def test_adaptive(dims, shape, output_size):
    a = values(shape)
    for layout in layouts(a, dims):
        for name in ("adaptive_avg_pool", "adaptive_max_pool"):
            function, reference = of(name, dims)
            expected = reference(a, output_size)
            y = function(from_numpy(layout), output_size).numpy()
            np.testing.assert_allclose(y, expected, rtol=1e-13)
        y, indices = function(from_numpy(layout), output_size, return_indices=True)
        expected = reference(a, output_size, return_indices=True)[1]
        assert_positions(a, dims, y, indices, expected)


def test_adaptive_size_none_keeps_the_dimension():
    x = from_numpy(values((1, 2, 7, 6)))
    assert pool.adaptive_avg_pool2d(x, (None, 3)).shape == (1, 2, 7, 3)
    assert pool.adaptive_avg_pool2d(x, (3, None)).shape == (1, 2, 3, 6)
    x = from_numpy(values((2, 5, 7, 6)))
    assert pool.adaptive_max_pool3d(x, (None, 1, None)).shape == (2, 5, 1, 6)
    assert pool.adaptive_avg_pool1d(from_numpy(values((2, 5))), None).shape == (2, 5)


def test_lp_pool_of_zeros_has_no_gradient():
    x = from_numpy(np.zeros((1, 2, 4, 4))).requires_grad_()
    pool.lp_pool2d(x, 2, 2).sum().backward()
    assert np.all(x.grad.numpy() == 0)
    with pytest.raises(ValueError, match="norm_type"):
        pool.lp_pool2d(x, 0, 2)
    with pytest.raises(ValueError, match=r"\(N, C, L\) or \(C, L\), got \(1, 2, 4, 4\)"):
        pool.lp_pool1d(x, 2, 2)


def test_nan_and_infinity():
    a = np.full((1, 20, 2, 4), -np.inf, np.float32)
    a[0, :, 1, 2] = np.nan
    a[0, :, 0, 3] = np.inf
    y, indices = pool.max_pool2d(from_numpy(a), 2, return_indices=True)
    assert np.all(y.numpy()[..., 0] == -np.inf) and np.all(indices.numpy()[..., 0] == 0)
    assert np.all(np.isnan(y.numpy()[..., 1])) and np.all(indices.numpy()[..., 1] == 6)


@pytest.mark.parametrize(
    "dims, shape, strides",
    [
        (1, (2, 5, 6), ((15, 1, 5), (30, 1, 5))),
        (2, (2, 5, 6, 6), ((45, 1, 15, 5), (180, 1, 30, 5))),
        (3, (2, 5, 4, 6, 6), ((90, 1, 45, 15, 5), (720, 1, 180, 30, 5))),
    ],
)
def test_channels_last_in_memory(dims, shape, strides):
    x = from_numpy(values(shape)).requires_grad_()
    y = of("max_pool", dims)[0](x, 2)
    assert y.stride() == strides[0] and y.is_contiguous()
    flat = y.detach().view(2, -1)
    assert np.array_equal(flat.numpy(), y.detach().numpy().reshape(2, -1))
    y.sum().backward()
    assert x.grad.stride() == strides[1]


@pytest.mark.parametrize("name", ["max_pool", "avg_pool"])
@pytest.mark.parametrize(
    "shape", [(4, 40, 1201), (4, 40, 41, 30), (3, 40, 9, 21, 14)], ids=["1d", "2d", "3d"]
)
@pytest.mark.parametrize("kernel, stride", [(2, 2), (3, 2)])
def test_same_bits_on_any_number_of_threads(name, shape, kernel, stride):
    dims = len(shape) - 2
    a = np.random.default_rng(5).standard_normal(shape).astype(np.float32)
    results = []
    for threads in (1, 2, 3):
        with num_threads(threads):
            for layout in layouts(a, dims):
                x = from_numpy(layout)
                x.requires_grad = True
                y = of(name, dims)[0](x, kernel, stride, padding=1 if kernel == 3 else 0)
                assert last_team() == threads
                backward(y, y.detach())
                results.append((y.detach().numpy().tobytes(), x.grad.numpy().tobytes()))
    assert len(set(results)) == 1


def test_same_positions_on_any_number_of_threads():
    a = np.random.default_rng(6).standard_normal((2, 40, 9, 21, 14)).astype(np.float32)
    results = []
    for threads in (1, 2, 3):
        with num_threads(threads):
            _, indices = pool.max_pool3d(from_numpy(a), 2, return_indices=True)
            assert last_team() == threads
            results.append(indices.numpy().tobytes())
    assert len(set(results)) == 1


@pytest.mark.parametrize("at_end", [True, False])
def test_nothing_is_read_beyond_the_arguments(level, at_end):
    for dims, shape, arguments in MAXIMA:
        channel = len(shape) - dims - 1
        a = guarded(int(np.prod(shape)), np.float32, at_end)
        last = a.reshape(*shape[:channel], *shape[channel + 1 :], shape[channel])
        for layout in (a.reshape(shape), np.moveaxis(last, -1, channel)):
            for name in ("max_pool", "avg_pool") if "dilation" not in arguments else ("max_pool",):
                x = from_numpy(layout).requires_grad_()
                y = of(name, dims)[0](x, **arguments)
                y.backward(from_numpy(guarded(y.numel(), np.float32, at_end).reshape(y.shape)))


@pytest.mark.parametrize("name", ["max_pool", "avg_pool"])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_empty_batch(name, dims):
    x = from_numpy(np.zeros((0, 3, *(8,) * dims), np.float32))
    x.requires_grad = True
    y = of(name, dims)[0](x, 2)
    assert y.shape == (0, 3, *(4,) * dims)
    backward(y, from_numpy(np.zeros(y.shape, np.float32)))
    assert x.grad.shape == x.shape


@pytest.mark.parametrize(
    "shape, arguments, message",
    [
        ((1, 1, 4, 4), {"kernel_size": 5}, "window of 5 is larger than the input: 4"),
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
    for function in (pool.max_pool2d, pool.avg_pool2d):
        with pytest.raises(ValueError, match=message):
            function(from_numpy(np.zeros(shape, np.float32)), **arguments)


@pytest.mark.parametrize(
    "dims, shape, message",
    [
        (1, (4,), r"\(N, C, L\) or \(C, L\), got \(4,\)"),
        (1, (1, 2, 3, 4), r"\(N, C, L\) or \(C, L\), got \(1, 2, 3, 4\)"),
        (1, (1, 2, 0), r"only the batch may be empty, got shape \(1, 2, 0\)"),
        (3, (2, 3, 4), r"\(N, C, D, H, W\) or \(C, D, H, W\), got \(2, 3, 4\)"),
        (3, (1, 2, 3, 4, 0), r"only the batch may be empty, got shape \(1, 2, 3, 4, 0\)"),
    ],
)
def test_errors_of_other_dimensions(dims, shape, message):
    x = from_numpy(np.zeros(shape, np.float32))
    for name in ("max_pool", "avg_pool", "adaptive_max_pool", "adaptive_avg_pool"):
        with pytest.raises(ValueError, match=message):
            of(name, dims)[0](x, 2)


def test_size_arguments_of_other_dimensions():
    with pytest.raises(ValueError, match=r"kernel_size must be one int, got \(2, 2\)"):
        pool.max_pool1d(from_numpy(np.zeros((1, 1, 4))), (2, 2))
    with pytest.raises(ValueError, match=r"stride must be one int or three, got \(2, 2\)"):
        pool.avg_pool3d(from_numpy(np.zeros((1, 1, 4, 4, 4))), 2, (2, 2))
    with pytest.raises(ValueError, match=r"output_size must be one int or three"):
        pool.adaptive_avg_pool3d(from_numpy(np.zeros((1, 1, 4, 4, 4))), (2, None))


def test_type_errors():
    with pytest.raises(TypeError, match="int64"):
        pool.max_pool2d(from_numpy(np.zeros((1, 1, 4, 4), np.int64)), 2)
    with pytest.raises(TypeError, match="list"):
        pool.max_pool2d([[1.0]], 2)
    with pytest.raises(ValueError, match="divisor_override"):
        pool.avg_pool2d(from_numpy(np.zeros((1, 1, 4, 4))), 2, divisor_override=0)
