"""Dropout of channels and of what selu makes; dropout of elements is in test_random.py."""

import numpy as np
import pytest

import fastnn
from fastnn.nn import functional as F
from fastnn.testing import num_threads

CHANNELS = [
    (F.dropout1d, (40, 50, 3), 2),
    (F.dropout1d, (400, 3), 1),
    (F.dropout2d, (40, 50, 3, 2), 2),
    (F.dropout2d, (40, 50, 3), 2),
    (F.dropout3d, (40, 50, 3, 2, 2), 2),
    (F.dropout3d, (900, 3, 2, 2), 1),
]


@pytest.mark.parametrize(("function", "shape", "lead"), CHANNELS)
def test_whole_channels(function, shape, lead):
    fastnn.manual_seed(0)
    x = fastnn.ones(shape, requires_grad=True)
    y = function(x, 0.25)
    y.backward(fastnn.full(shape, 3.0))
    found = y.detach().numpy().reshape(int(np.prod(shape[:lead])), -1)
    assert np.all(found == found[:, :1])
    assert set(found[:, 0].tolist()) == {0.0, np.float32(1 / 0.75)}
    assert abs((found[:, 0] == 0).mean() - 0.25) < 0.06
    np.testing.assert_allclose(x.grad.numpy(), 3 * y.detach().numpy(), rtol=1e-6)
    assert function(x, 0.25, training=False) is x
    z = fastnn.ones(shape)
    assert function(z, 0.5, inplace=True) is z
    assert set(z.numpy().ravel().tolist()) == {0.0, 2.0}
    assert not function(x, 1.0).detach().numpy().any()


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_alpha_dropout_keeps_mean_and_variance(p):
    x = fastnn.randn(200_000, requires_grad=True)
    y = F.alpha_dropout(x, p, training=True)
    found = y.detach().numpy()
    assert abs(found.mean()) < 0.02 and abs(found.var() - 1) < 0.03
    y.backward(fastnn.ones(200_000))
    limit = 1.7580993408473766
    slope = ((1 - p) * (1 + p * limit**2)) ** -0.5
    kept = x.grad.numpy() != 0
    assert abs(kept.mean() - (1 - p)) < 0.01
    np.testing.assert_allclose(x.grad.numpy()[kept], slope, rtol=1e-6)
    shift = slope * limit * p
    expected = np.where(kept, x.detach().numpy() * slope + shift, shift - slope * limit)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_feature_alpha_dropout():
    x = fastnn.randn(300, 200, 2, requires_grad=True)
    y = F.feature_alpha_dropout(x, 0.3, training=True)
    found = y.detach().numpy()
    assert abs(found.mean()) < 0.03 and abs(found.var() - 1) < 0.05
    y.sum().backward()
    assert np.all(x.grad.numpy() == x.grad.numpy()[:, :, :1])
    dropped = x.grad.numpy()[:, :, 0] == 0
    assert abs(dropped.mean() - 0.3) < 0.02
    assert len(np.unique(found[dropped])) == 1


def test_ends():
    x = fastnn.randn(30, 4, 2)
    for function in (F.alpha_dropout, F.feature_alpha_dropout):
        assert function(x, 0.5) is x
        np.testing.assert_allclose(function(x, 0.0, training=True).numpy(), x.numpy(), rtol=1e-6)
        assert not function(x, 1.0, training=True).numpy().any()
        y = x.clone()
        assert function(y, 0.5, training=True, inplace=True) is y
        assert not np.array_equal(y.numpy(), x.numpy())


def test_dropout_follows_memory_in_any_dense_layout():
    a = np.random.default_rng(0).standard_normal((6, 5, 4, 3, 2))
    x = fastnn.from_numpy(a.transpose(3, 0, 2, 4, 1)).requires_grad_()
    y = F.dropout(x, 0.5)
    assert y.stride() == x.stride()
    y.backward(fastnn.ones(*x.shape, dtype=fastnn.float64))
    np.testing.assert_allclose(y.detach().numpy(), x.detach().numpy() * x.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("name", ["alpha_dropout", "dropout2d", "feature_alpha_dropout", "rrelu"])
def test_threads_do_not_change_a_bit(name):
    x = np.random.default_rng(1).standard_normal((70, 50, 8, 9)).astype(np.float32)
    results = []
    for threads in (1, 2, 3):
        with num_threads(threads):
            fastnn.manual_seed(3)
            leaf = fastnn.from_numpy(x.copy()).requires_grad_()
            y = getattr(F, name)(leaf, training=True)
            y.sum().backward()
            results.append((y.detach().numpy().tobytes(), leaf.grad.numpy().tobytes()))
    assert results[0] == results[1] == results[2]


def test_errors_name_what_is_wrong():
    x = fastnn.ones(2, 3)
    for function in (F.dropout1d, F.alpha_dropout, F.feature_alpha_dropout):
        with pytest.raises(ValueError, match=r"between 0 and 1, but got 1\.5"):
            function(x, 1.5)
    with pytest.raises(ValueError, match=r"3 or 4 dimensions, got shape \(2, 3\)"):
        F.dropout2d(x)
    with pytest.raises(ValueError, match=r"dropout3d\(\).*\(2, 3\)"):
        F.dropout3d(x)
    with pytest.raises(ValueError, match=r"\(N, C, \.\.\.\), got shape \(3,\)"):
        F.feature_alpha_dropout(fastnn.ones(3), training=True)
    with pytest.raises(TypeError, match="int64"):
        F.dropout1d(fastnn.tensor([[1]]))
