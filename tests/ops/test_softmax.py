"""Softmax and cross entropy where the generic tests do not reach."""

import numpy as np
import pytest

import fastnn
from fastnn import from_numpy
from fastnn.testing import directional_error, last_team, levels, num_threads, using_isa
from tests.guard import guarded
from tests.references.softmax import log_softmax, softmax

INF = float("inf")


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("n", [*range(1, 20), 31, 32, 33, 100, 4095, 4096, 4097, 9000])
def test_rows_of_every_length(n, level):
    x = np.random.default_rng(n).normal(0, 4, (3, n)).astype(np.float32)
    exact = x.astype(np.float64)
    with using_isa(level):
        y = fastnn.softmax(from_numpy(x), 1).numpy()
        logs = fastnn.log_softmax(from_numpy(x), 1).numpy()
    np.testing.assert_allclose(y, softmax(exact, 1), rtol=3e-6, atol=1e-9)
    np.testing.assert_allclose(logs, log_softmax(exact, 1), rtol=1e-6, atol=3e-6)


@pytest.mark.parametrize("level", levels())
def test_infinities_are_those_of_torch(level):
    x = fastnn.tensor([[-INF, -INF], [0.0, -INF], [INF, 0.0], [float("nan"), 0.0]])
    with using_isa(level):
        np.testing.assert_array_equal(
            fastnn.softmax(x, 1).numpy(), [[np.nan] * 2, [1, 0], [np.nan] * 2, [np.nan] * 2]
        )
        np.testing.assert_array_equal(fastnn.logsumexp(x, 1).numpy(), [-INF, 0, INF, np.nan])
        assert fastnn.log_softmax(x, 1).tolist()[1] == [0.0, -INF]


@pytest.mark.parametrize("level", levels())
def test_columns_equal_rows(level):
    rng = np.random.default_rng(3)
    x = rng.normal(0, 4, (70, 131)).astype(np.float32)
    x[:, :4] = [-INF, INF, np.nan, 3.0]
    x[1, 0], x[2, 3] = 1.0, -INF
    x[:, 5] = -INF
    dy = rng.standard_normal((70, 131)).astype(np.float32)
    with using_isa(level):
        for function in (fastnn.softmax, fastnn.log_softmax, fastnn.logsumexp):
            results = []
            for array, g, dim in ((x, dy, 0), (x.T.copy(), dy.T.copy(), 1)):
                leaf = from_numpy(array).requires_grad_()
                y = function(leaf, dim)
                y.backward(from_numpy(g if y.ndim == 2 else dy[0]))
                results.append((y.detach().numpy().T, leaf.grad.numpy().T))
            for found, expected in zip(results[0], results[1], strict=True):
                np.testing.assert_allclose(found, expected.T, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("at_end", [True, False])
def test_columns_read_nothing_beyond_the_arguments(level, at_end):
    for rows, columns in [(1, 3), (5, 7), (3, 33), (2, 100)]:
        arrays = [
            guarded(rows * columns, np.float32, at_end).reshape(rows, columns) for _ in range(2)
        ]
        with using_isa(level):
            for function in (fastnn.softmax, fastnn.log_softmax):
                leaf = from_numpy(arrays[0]).requires_grad_()
                function(leaf, 0).backward(from_numpy(arrays[1]))


def test_columns_run_on_several_threads():
    x = np.random.default_rng(4).standard_normal((3, 300, 200)).astype(np.float32)
    for name in ("softmax", "log_softmax", "logsumexp"):
        results = []
        for threads in (1, 2, 3):
            with num_threads(threads):
                leaf = from_numpy(x.copy()).requires_grad_()
                y = getattr(fastnn, name)(leaf, 1)
                assert last_team() > 1 or threads == 1
                y.backward(from_numpy(x[:, 0].copy() if name == "logsumexp" else x))
                results.append((y.detach().numpy().tobytes(), leaf.grad.numpy().tobytes()))
        assert results[0] == results[1] == results[2]


def test_large_numbers():
    x = fastnn.tensor([[1000.0, 1001.0], [-1000.0, -1001.0]])
    np.testing.assert_allclose(
        fastnn.softmax(x, 1).numpy(), softmax(x.numpy().astype(np.float64), 1), rtol=1e-6
    )
    loss = fastnn.cross_entropy(fastnn.tensor([[0.0, 200.0]]), fastnn.tensor([0]))
    assert loss.item() == 200.0


@pytest.mark.parametrize("dim", [0, 1, 2, 3])
def test_every_dimension_of_channels_last(dim):
    x = np.random.default_rng(5).standard_normal((2, 5, 3, 4)).transpose(0, 3, 1, 2)
    y = fastnn.softmax(from_numpy(x), dim).numpy()
    np.testing.assert_allclose(y, softmax(x, dim), rtol=1e-12)
    for function in (fastnn.softmax, fastnn.log_softmax, fastnn.logsumexp):
        assert directional_error(lambda t, f=function: f(t, dim), [x]) < 1e-7


def test_softmax_over_channels_behaves_as_contiguous():
    x = fastnn.ones((2, 3, 4, 5))
    assert fastnn.softmax(x, 1).stride() == x.stride()
    images = fastnn.conv2d(x, fastnn.ones((3, 3, 1, 1)))
    y = fastnn.softmax(images, 1)
    assert y.is_contiguous()
    assert y.stride(1) == 1


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_threads_do_not_change_a_bit_above_the_threshold(name):
    rng = np.random.default_rng(6)
    x = rng.standard_normal((500, 300)).astype(np.float32)
    columns = 1 if name == "logsumexp" else 300
    dy = from_numpy(rng.standard_normal((500, columns)).astype(np.float32))
    kwargs = {"keepdim": True} if name == "logsumexp" else {}
    results = []
    for threads in (1, 2, 3):
        with num_threads(threads):
            leaf = from_numpy(x.copy()).requires_grad_()
            y = getattr(fastnn, name)(leaf, 1, **kwargs)
            y.backward(dy)
            assert last_team() > 1 or threads == 1
            results.append((y.detach().numpy().tobytes(), leaf.grad.numpy().tobytes()))
    assert results[0] == results[1] == results[2]


def test_nothing_to_do():
    assert fastnn.softmax(fastnn.zeros((0, 3)), 1).shape == (0, 3)
    assert fastnn.softmax(fastnn.zeros((3, 0)), 1).shape == (3, 0)
    t = from_numpy(np.zeros(0, np.int64))
    assert np.isnan(fastnn.cross_entropy(fastnn.zeros((0, 3)), t).item())


def test_more_errors():
    x = fastnn.zeros((2, 3))
    with pytest.raises(TypeError, match="needs a dim"):
        fastnn.softmax(x)
    with pytest.raises(IndexError, match="got 2"):
        fastnn.softmax(x, 2)
    with pytest.raises(ValueError, match=r"1\.5"):
        fastnn.cross_entropy(x, fastnn.tensor([0, 1]), label_smoothing=1.5)
    with pytest.raises(ValueError, match=r"\(2, 2\).*\(2, 3\)"):
        fastnn.cross_entropy(x, fastnn.zeros((2, 2)))
    with pytest.raises(ValueError, match="no elements"):
        fastnn.logsumexp(fastnn.zeros((2, 0)), 1)
