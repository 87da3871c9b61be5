"""Norms: accuracy far from zero, running statistics, gradients, layouts, threads, errors."""

import numpy as np
import pytest

from fastnn._core.interop import from_numpy
from fastnn.ops.norm import batch_norm, group_norm, instance_norm, local_response_norm
from fastnn.ops.norm_rows import layer_norm
from fastnn.testing import directional_error, last_team, levels, num_threads, using_isa
from tests.guard import guarded
from tests.references import norm as reference

SHAPES = [(7, 5), (600, 17), (3, 70, 11), (5, 3, 7, 6), (2, 130, 5, 5), (40, 64, 14, 14)]


@pytest.fixture(params=levels())
def level(request):
    with using_isa(request.param):
        yield request.param


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def parameters(C, seed=1):
    rng = np.random.default_rng(seed)
    return rng.uniform(0.5, 2, C), rng.standard_normal(C)


def tensors(*arrays, dtype=np.float64):
    return [None if a is None else from_numpy(a.astype(dtype)) for a in arrays]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_statistics_keep_their_digits_far_from_zero(level, shape, dtype):
    a = (1000 + 0.01 * numbers(*shape)).astype(dtype)
    axes = (0, *range(2, len(shape)))
    mean, var = tensors(np.zeros(shape[1]), np.ones(shape[1]))
    batch_norm(from_numpy(a), mean, var, training=True, momentum=1.0)
    exact = a.astype(np.longdouble)
    np.testing.assert_allclose(mean.numpy(), exact.mean(axes), rtol=4 * np.finfo(dtype).eps)
    np.testing.assert_allclose(
        var.numpy(),
        exact.var(axes, ddof=1),
        rtol=2e-2 if dtype == np.float32 and a.size // shape[1] < 10 else 1e-3,
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_evaluation_uses_the_running_statistics(level, shape):
    a, (w, b) = numbers(*shape), parameters(shape[1])
    mean, var = numbers(shape[1], seed=2), parameters(shape[1], seed=3)[0]
    x, *rest = tensors(a, mean, var, w, b)
    y = batch_norm(x, *rest, eps=1e-3)
    np.testing.assert_allclose(
        y.numpy(), reference.batch_norm(a, mean, var, w, b, eps=1e-3), rtol=1e-12, atol=1e-13
    )
    assert np.array_equal(rest[0].numpy(), mean) and np.array_equal(rest[1].numpy(), var)


def test_running_statistics_follow():
    a = numbers(6, 4, 3, 2)
    mean, var = np.full(4, 2.0), np.full(4, 3.0)
    m, v = tensors(mean, var)
    for _ in range(2):
        batch_norm(from_numpy(a), m, v, training=True, momentum=0.3)
        mean = 0.7 * mean + 0.3 * a.mean((0, 2, 3))
        var = 0.7 * var + 0.3 * a.var((0, 2, 3), ddof=1)
    np.testing.assert_allclose(m.numpy(), mean, rtol=1e-12)
    np.testing.assert_allclose(v.numpy(), var, rtol=1e-12)
    assert m._version == 2


@pytest.mark.parametrize("shape", SHAPES[:-1])
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_gradients(level, shape, training):
    C = shape[1]
    mean, var = (None, None) if training else tensors(numbers(C, seed=4), parameters(C)[0])

    def function(x, w, b):
        return batch_norm(x, mean, var, w, b, training)

    assert directional_error(function, [5 + numbers(*shape), *parameters(C)]) < 1e-7


@pytest.mark.parametrize(
    ("shape", "inner"), [((5, 7), 7), ((40, 131), 131), ((2, 3, 20, 9), (20, 9))]
)
def test_layer_norm_gradients(level, shape, inner):
    weights = [p.reshape(inner) for p in parameters(int(np.prod(inner)))]

    def function(x, w, b):
        return layer_norm(x, inner, w, b)

    assert directional_error(function, [5 + numbers(*shape), *weights]) < 1e-7


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_layer_norm_far_from_zero(level, dtype):
    for D in (1, 5, 64, 67, 1000):
        a = (100 + numbers(9, D)).astype(dtype)
        y = layer_norm(from_numpy(a), D)
        np.testing.assert_allclose(
            y.numpy(), reference.layer_norm(a, D), rtol=0, atol=200 * np.finfo(dtype).eps
        )


NORMS = {
    "batch": (lambda x: batch_norm(x, None, None, training=True), reference.batch_norm),
    "group": (lambda x: group_norm(x, 2), lambda a: reference.group_norm(a, 2)),
    "instance": (instance_norm, reference.instance_norm),
    "layer": (lambda x: layer_norm(x, x.shape[1:]), lambda a: reference.layer_norm(a, a.shape[1:])),
}


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("name", NORMS)
def test_mean_10000_and_deviation_1_in_float32(level, name, channels_last):
    function, expected = NORMS[name]
    for shape in [(4, 6, 40, 30), (3, 34, 7, 5)]:
        a = (1e4 + numbers(*shape)).astype(np.float32)
        if channels_last:
            a = np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        dy = numbers(*shape, seed=3).astype(np.float32)
        single, double = from_numpy(a), from_numpy(a.astype(np.float64))
        gradients = []
        for x, g in ((single, dy), (double, dy.astype(np.float64))):
            y = function(x.requires_grad_())
            y.backward(from_numpy(g))
            gradients.append(x.grad.numpy())
            if x is single:
                exact = (
                    expected(a.astype(np.float64), training=True)
                    if name == "batch"
                    else expected(a.astype(np.float64))
                )
                np.testing.assert_allclose(y.detach().numpy(), exact, rtol=2e-6, atol=2e-6)
        np.testing.assert_allclose(*gradients, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 6, 11), (2, 6, 5, 4), (2, 4, 3, 5, 2), (2, 10, 40, 300)])
def test_group_and_instance_gradients(level, shape):
    C = shape[1]
    w, b = parameters(C)
    w[1] = 0
    mean, var = tensors(numbers(C, seed=4), parameters(C, seed=5)[0])
    for function in (
        lambda x, w, b: group_norm(x, 2, w, b),
        lambda x, w, b: instance_norm(x, None, None, w, b),
        lambda x, w, b: instance_norm(x, mean, var, w, b, False),
    ):
        assert directional_error(function, [5 + numbers(*shape), w, b]) < 1e-7


def test_instance_norm_follows_the_mean_of_the_samples():
    a = numbers(3, 4, 5, 2)
    mean, var = np.full(4, 2.0), np.full(4, 3.0)
    m, v = tensors(mean, var)
    y = instance_norm(from_numpy(a), m, v, momentum=0.3)
    np.testing.assert_allclose(m.numpy(), 0.7 * mean + 0.3 * a.mean((2, 3)).mean(0), rtol=1e-12)
    unbiased = a.var((2, 3), ddof=1).mean(0)
    np.testing.assert_allclose(v.numpy(), 0.7 * var + 0.3 * unbiased, rtol=1e-12)
    np.testing.assert_allclose(y.numpy(), reference.instance_norm(a), rtol=1e-12, atol=1e-13)
    y = instance_norm(from_numpy(a), m, v, use_input_stats=False)
    expected = reference.batch_norm(a, m.numpy(), v.numpy())
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12, atol=1e-13)


def layouts(a):
    yield a
    yield np.ascontiguousarray(a.T).T
    if a.ndim == 4:
        yield np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("shape", [(9, 5), (3, 7, 4), (2, 17, 6, 5)])
def test_layouts(shape):
    a, dy, (w, b) = numbers(*shape), numbers(*shape, seed=9), parameters(shape[1])
    inner = shape[1:]
    for function in (
        lambda x: batch_norm(x, None, None, *tensors(w, b), training=True),
        lambda x: layer_norm(x, inner),
        lambda x: group_norm(x, 1, *tensors(w, b)),
        lambda x: group_norm(x, shape[1], *tensors(w, b)) if len(shape) > 2 else x * 1,
    ):
        results = []
        for x_layout in layouts(a):
            for dy_layout in layouts(dy):
                x = from_numpy(x_layout).requires_grad_()
                y = function(x)
                y.backward(from_numpy(dy_layout))
                results.append((y.detach().numpy().copy(), x.grad.numpy().copy()))
        for y, dx in results[1:]:
            np.testing.assert_allclose(y, results[0][0], rtol=1e-12, atol=1e-13)
            np.testing.assert_allclose(dx, results[0][1], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("function", [batch_norm, group_norm, instance_norm])
def test_the_layout_of_the_input_is_kept(function):
    arguments = {
        batch_norm: (None, None, None, None, True), group_norm: (3,), instance_norm: ()
    }[function]  # fmt: skip
    for a in list(layouts(numbers(2, 6, 4, 5)))[::2]:
        x = from_numpy(a)
        assert function(x, *arguments).stride() == x.stride()


@pytest.mark.parametrize(
    ("function", "shape", "size"),
    [
        (lambda x, w, b: batch_norm(x, None, None, w, b, training=True), (35, 40, 10, 10), 40),
        (lambda x, w, b: group_norm(x, 5, w, b), (35, 40, 10, 10), 40),
        (lambda x, w, b: group_norm(x, 1, w, b), (1, 3, 300, 200), 3),
        (lambda x, w, b: instance_norm(x, None, None, w, b), (9, 30, 30, 20), 30),
        (lambda x, w, b: group_norm(x, 8, w, b), (70, 96, 7, 7), 96),
        (lambda x, w, b: group_norm(x, 3, w, b), (40, 300, 3, 5), 300),
        (lambda x, w, b: layer_norm(x, 700, w, b), (200, 700), 700),
    ],
)
def test_same_bits_on_any_number_of_threads(function, shape, size):
    results = []
    for threads in (1, 2, 3):
        with num_threads(threads):
            arrays = tensors(numbers(*shape), *parameters(size), dtype=np.float32)
            dy = from_numpy(numbers(*shape, seed=8).astype(np.float32))
            x, *rest = [t.requires_grad_() for t in arrays]
            function(x, *[t.detach() for t in rest]).backward(dy)
            assert last_team() == threads
            x.grad = None
            y = function(x, *rest)
            assert last_team() == threads
            y.backward(dy)
            results.append([t.numpy().tobytes() for t in (y.detach(), x.grad)])
            results[-1] += [t.grad.numpy().tobytes() for t in rest]
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("at_end", [True, False])
def test_nothing_is_read_beyond_the_arguments(level, at_end):
    def guarded_leaf(*shape):
        array = guarded(int(np.prod(shape)), np.float32, at_end).reshape(shape)
        return from_numpy(array).requires_grad_()

    for shape in [(3, 2), (5, 7), (9, 33), (70, 65), (2, 3, 5), (2, 2, 33), (1, 3, 8200)]:
        for function in (
            lambda x, w, b: batch_norm(x, None, None, w, b, training=True),
            lambda x, w, b: group_norm(x, x.shape[1] if x.ndim > 2 else 1, w, b),
            lambda x, w, b: layer_norm(x.transpose(1, -1), x.shape[1], w, b).transpose(1, -1),
        ):
            y = function(guarded_leaf(*shape), guarded_leaf(shape[1]), guarded_leaf(shape[1]))
            y.backward(guarded_leaf(*shape).detach())


def test_only_what_is_needed():
    x, w, b = tensors(numbers(6, 5), *parameters(5))
    for leaf in (x, w, b):
        for function in (
            lambda: batch_norm(x, None, None, w, b, True),
            lambda: layer_norm(x, 5, w, b),
        ):
            leaf.requires_grad_(True)
            function().sum().backward()
            assert [t.grad is not None for t in (x, w, b)] == [t is leaf for t in (x, w, b)]
            leaf.grad = None
            leaf.requires_grad_(False)


def test_infinite_and_missing_numbers_stay_in_their_channel():
    a = numbers(8, 3)
    a[2, 1] = np.nan
    y = batch_norm(from_numpy(a), None, None, training=True).numpy()
    assert np.all(np.isnan(y[:, 1])) and np.all(np.isfinite(y[:, [0, 2]]))


def test_empty():
    for shape in [(0, 4), (0, 4, 3, 3), (2, 4, 0)]:
        x = from_numpy(np.zeros(shape)).requires_grad_()
        for function in (
            lambda x: batch_norm(x, None, None, training=True),
            lambda x: group_norm(x, 2),
        ):
            y = function(x)
            assert y.shape == shape
            y.backward(from_numpy(np.zeros(shape)))
            assert x.grad.shape == shape


def test_errors():
    x = from_numpy(numbers(4, 3))
    vector, short = from_numpy(np.ones(3)), from_numpy(np.ones(2))
    with pytest.raises(ValueError, match=r"more than 1 value per channel when training.*\(1, 3\)"):
        batch_norm(from_numpy(numbers(1, 3)), vector, vector, training=True)
    with pytest.raises(ValueError, match="running_mean and running_var must be given"):
        batch_norm(x, None, None)
    with pytest.raises(ValueError, match=r"weight must have shape \(3,\).*got \(2,\)"):
        batch_norm(x, vector, vector, short)
    with pytest.raises(ValueError, match=r"\(N, C\).*got \(3,\)"):
        batch_norm(vector, vector, vector)
    with pytest.raises(TypeError, match="float32"):
        batch_norm(x, vector, vector, from_numpy(np.ones(3, np.float32)))
    with pytest.raises(ValueError, match=r"normalized_shape 4 must be the last dimensions"):
        layer_norm(x, 4)
    with pytest.raises(ValueError, match=r"bias must have the shape \(3,\).*got \(2,\)"):
        layer_norm(x, 3, vector, short)
    with pytest.raises(ValueError, match=r"must divide the 3 channels.*got 2"):
        group_norm(x, 2)
    with pytest.raises(ValueError, match=r"more than 1 value.*\(1, 12\) in 12"):
        group_norm(from_numpy(numbers(1, 12)), 12)
    with pytest.raises(ValueError, match=r"more than 1 spatial element.*\(4, 3, 1\)"):
        instance_norm(from_numpy(numbers(4, 3, 1)))
    with pytest.raises(ValueError, match="use_input_stats is False"):
        instance_norm(from_numpy(numbers(4, 3, 2)), use_input_stats=False)
    with pytest.raises(ValueError, match=r"\(N, C, \.\.\.\), got \(4, 3\)"):
        local_response_norm(x, 2)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        local_response_norm(from_numpy(numbers(4, 3, 2)), 0)
