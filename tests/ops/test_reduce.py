"""Reductions where the generic tests do not reach: layouts, tails, NaN, long sums, errors."""

import itertools

import numpy as np
import pytest

import fastnn
from fastnn import from_numpy
from fastnn.testing import directional_error, last_team, levels, num_threads, using_isa
from tests.guard import guarded

SHAPES = [(1,), (7,), (3, 5), (2, 3, 4, 5), (33, 17), (1, 5, 1, 6), (3, 0), (130, 70)]
SHAPES += [(2, 9, 40, 41)]
FLOATS = [np.float32, np.float64]


def layouts(array):
    yield array
    if array.ndim > 1:
        yield array.T
        yield array[::2]
        yield array[:, ::2]
        yield np.ascontiguousarray(array.T).T
        yield np.repeat(array[:1], array.shape[0], axis=0)
    if array.ndim == 4:
        yield np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def dims_of(ndim):
    return [dims for k in range(1, ndim + 1) for dims in itertools.combinations(range(ndim), k)]


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sums_over_any_dimensions_of_any_layout(shape, level):
    rng = np.random.default_rng(1)
    for dtype in (*FLOATS, np.int64, np.int32, np.uint8, np.bool_):
        for array in layouts((5 * rng.standard_normal(shape)).astype(dtype)):
            x, exact = from_numpy(array), array.astype(np.float64)
            bound = np.abs(exact).sum() * (1e-6 if dtype == np.float32 else 1e-14)
            for dims in dims_of(array.ndim):
                with using_isa(level):
                    y = x.sum(dims).numpy()
                assert y.shape == array.sum(axis=dims).shape
                assert y.dtype == (dtype if dtype in FLOATS else np.int64)
                np.testing.assert_allclose(y, exact.sum(axis=dims), rtol=0, atol=bound)


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("n", [*range(1, 20), 31, 63, 64, 65, 127, 128, 129, 300, 4095, 4097, 9000])
def test_rows_and_columns_of_every_length(n, level):
    rng = np.random.default_rng(n)
    for array in (rng.standard_normal((18, n)), rng.standard_normal((n, 18))):
        array = array.astype(np.float32)
        x, exact = from_numpy(array), array.astype(np.float64)
        with using_isa(level):
            for dim in (0, 1):
                np.testing.assert_allclose(
                    x.sum(dim).numpy(), exact.sum(dim), rtol=0, atol=2e-7 * (n + 18)
                )
                values, indices = x.max(dim)
                np.testing.assert_array_equal(values.numpy(), array.max(dim))
                np.testing.assert_array_equal(indices.numpy(), array.argmax(dim))
                np.testing.assert_array_equal(x.argmin(dim).numpy(), array.argmin(dim))
                np.testing.assert_array_equal(x.amin(dim).numpy(), array.min(dim))
                np.testing.assert_allclose(
                    x.var(dim, correction=0).numpy(), exact.var(dim), rtol=1e-5, atol=1e-7
                )


def test_channels_last_is_reduced_like_any_other():
    array = np.random.default_rng(2).standard_normal((4, 6, 5, 7))
    last = np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    for dims in dims_of(4):
        for function in (fastnn.sum, fastnn.var, fastnn.amax, fastnn.norm):
            np.testing.assert_allclose(
                function(from_numpy(last), dim=dims).numpy(),
                function(from_numpy(array), dim=dims).numpy(),
                rtol=1e-12,
            )
    assert directional_error(lambda x: x.var((0, 2, 3)), [last]) < 1e-7
    assert directional_error(lambda x: x.amax((2, 3)), [last]) < 1e-7


@pytest.mark.parametrize("shape", [(300, 1000), (100000, 3), (3, 100000), (2, 70000, 2)])
@pytest.mark.parametrize("name", ["sum", "mean", "var", "amax", "norm", "argmax"])
def test_threads_do_not_change_a_bit_above_the_threshold(name, shape):
    x = from_numpy(np.random.default_rng(3).standard_normal(shape).astype(np.float32))
    function = getattr(fastnn, name)
    for dim in (None, 0, 1):
        results = []
        for threads in (1, 2, 3):
            with num_threads(threads):
                results.append(function(x, dim=dim).numpy().tobytes())
                reached = last_team()
        assert results[0] == results[1] == results[2]
        if name != "argmax":
            assert reached > 1


def test_a_long_sum_stays_accurate():
    x = np.full(10_000_000, 0.1, np.float32)
    assert abs(from_numpy(x).sum().item() / (np.float64(np.float32(0.1)) * x.size) - 1) < 2e-7


def test_variance_far_from_zero():
    x = (10000 + np.random.default_rng(4).standard_normal((50, 2000))).astype(np.float32)
    np.testing.assert_allclose(
        from_numpy(x).var(1).numpy(), x.astype(np.float64).var(1, ddof=1), rtol=1e-5
    )
    assert np.isnan(from_numpy(x[:1]).var(0).numpy()).all()


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("n", [3, 16, 100, 5000])
def test_nan_wins_and_its_first_position_is_found(n, level):
    for place in {0, n // 2, n - 1}:
        array = np.random.default_rng(n).standard_normal((3, n)).astype(np.float32)
        array[1, place:] = np.nan
        for x, dim in ((from_numpy(array), 1), (from_numpy(np.ascontiguousarray(array.T)), 0)):
            with using_isa(level):
                for function in (fastnn.max, fastnn.min):
                    values, indices = function(x, dim)
                    assert np.isnan(values.numpy()).tolist() == [False, True, False]
                    assert indices.tolist()[1] == place
                assert np.isnan(x.amax().item())
                assert np.isnan(x.sum(dim).numpy()).tolist() == [False, True, False]


@pytest.mark.parametrize("level", levels())
def test_infinities_and_equals_give_the_first_position(level):
    with using_isa(level):
        for n in (1, 5, 17, 200):
            low = fastnn.full((2, n), -float("inf"))
            assert low.argmax(1).tolist() == [0, 0]
            assert low.max(0).indices.tolist() == [0] * n
            array = np.zeros((2, n), np.float32)
            array[:, n // 2 :] = 1
            assert from_numpy(array).argmax(1).tolist() == [n // 2] * 2
            assert from_numpy(array).argmin(1).tolist() == [0, 0]


def test_integers_are_exact():
    big = 2**62 + 1
    x = fastnn.tensor([[big, -5], [7, big - 1]])
    assert x.max().item() == big
    assert x.max(1).values.tolist() == [big, big - 1]
    assert x.argmin().item() == 1
    assert x.max().dtype is fastnn.int64
    assert fastnn.tensor([True, True, False]).sum().item() == 2
    small = from_numpy(np.array([[200, 100], [50, 250]], np.uint8))
    assert small.sum(0).tolist() == [250, 350]
    assert small.min(1).values.numpy().dtype == np.uint8
    assert fastnn.tensor([3, 4]).prod().item() == 12


def test_gradients_at_ties():
    x = fastnn.tensor([1.0, 3.0, 3.0, 2.0], requires_grad=True)
    x.max().backward()
    assert x.grad.tolist() == [0.0, 0.5, 0.5, 0.0]
    x.grad = None
    x.max(0).values.backward()
    assert x.grad.tolist() == [0.0, 1.0, 0.0, 0.0]
    x.grad = None
    x.amin(0).backward()
    assert x.grad.tolist() == [1.0, 0.0, 0.0, 0.0]


def test_gradients_at_zeros():
    x = fastnn.tensor([[2.0, 0.0, 3.0], [0.0, 0.0, 5.0]], requires_grad=True)
    x.prod(1).sum().backward()
    assert x.grad.tolist() == [[0.0, 6.0, 0.0], [0.0, 0.0, 0.0]]
    for function in (fastnn.norm, fastnn.std):
        zero = fastnn.zeros(3, requires_grad=True)
        function(zero).backward()
        assert zero.grad.tolist() == [0.0, 0.0, 0.0]


def test_sum_of_another_dtype():
    x = fastnn.tensor([0.1, 0.2], requires_grad=True)
    y = x.sum(dtype=fastnn.float64)
    assert y.dtype is fastnn.float64
    y.backward()
    assert x.grad.dtype is fastnn.float32


def test_empty():
    x = fastnn.zeros((0, 3))
    assert x.sum().item() == 0
    assert x.sum(0).tolist() == [0.0] * 3
    assert np.isnan(x.mean().item())
    assert x.prod().item() == 1
    assert x.all().item() is True
    assert x.any().item() is False
    assert x.max(1).values.shape == (0,)
    for function in (fastnn.max, fastnn.amin, fastnn.argmax):
        with pytest.raises(ValueError, match=r"no elements.*\(0, 3\)"):
            function(x)


def test_errors_name_what_is_wrong():
    x = fastnn.ones((2, 3))
    with pytest.raises(IndexError, match="got 2"):
        x.sum(2)
    with pytest.raises(ValueError, match="more than once"):
        x.sum((0, -2))
    with pytest.raises(TypeError, match="got str"):
        x.sum("0")
    with pytest.raises(TypeError, match="int64"):
        fastnn.tensor([1, 2]).mean()
    with pytest.raises(TypeError, match="list"):
        fastnn.sum([1, 2])
    with pytest.raises(ValueError, match="from 1 on"):
        x.norm(0.5)
    with pytest.raises(ValueError, match="not both"):
        x.var(0, unbiased=True, correction=0)


def at_a_guard_page(array, at_end):
    memory = guarded(array.size, array.dtype, at_end).reshape(array.shape)
    memory[...] = array
    return from_numpy(memory)


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("n", [1, 5, 15, 16, 17, 33, 70])
def test_nothing_beyond_the_arrays_is_read(n, level, at_end):
    for dtype in FLOATS:
        array = np.random.default_rng(n).standard_normal((9, n)).astype(dtype)
        x, t = at_a_guard_page(array, at_end), at_a_guard_page(array, at_end)
        with using_isa(level):
            for name in ("sum", "amax", "var", "argmin", "softmax", "log_softmax", "logsumexp"):
                for dim in (0, 1):
                    getattr(fastnn, name)(x, dim=dim)
            for name in ("mse_loss", "huber_loss", "binary_cross_entropy_with_logits"):
                for reduction in ("none", "sum"):
                    leaf = at_a_guard_page(array, at_end).requires_grad_()
                    y = getattr(fastnn, name)(leaf, t, reduction=reduction)
                    y.backward(at_a_guard_page(np.ones(y.shape, dtype), at_end))
            target = at_a_guard_page(np.zeros(9, np.int64), at_end)
            fastnn.cross_entropy(leaf, target, label_smoothing=0.1).backward()
