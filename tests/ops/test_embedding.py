"""Embedding: its gradient, the row without one, indices out of range, threads."""

import numpy as np
import pytest

from fastnn._core.interop import from_numpy
from fastnn.ops.embedding import embedding
from fastnn.testing import last_team, levels, num_threads, using_isa


def gradient(indices, table, dy, **kwargs):
    w = from_numpy(table).requires_grad_()
    y = embedding(from_numpy(indices), w, **kwargs)
    y.backward(from_numpy(dy))
    return w.grad.numpy()


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("padding_idx", [None, 2, -1])
def test_gradient_adds_up_in_the_rows_taken(level, dtype, padding_idx):
    rng = np.random.default_rng(0)
    indices = rng.integers(0, 9, (5, 8)).astype(dtype)
    table, dy = rng.standard_normal((12, 19)), rng.standard_normal((5, 8, 19))
    expected = np.zeros_like(table)
    for at in np.ndindex(indices.shape):
        expected[indices[at]] += dy[at]
    if padding_idx is not None:
        expected[padding_idx] = 0
    with using_isa(level):
        found = gradient(indices, table, dy, padding_idx=padding_idx)
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-14)


def test_layouts():
    rng = np.random.default_rng(1)
    indices, table, dy = (
        rng.integers(0, 6, (4, 3)),
        rng.standard_normal((6, 5)),
        rng.standard_normal((4, 3, 5)),
    )
    other = [np.ascontiguousarray(a.T).T for a in (indices, table, dy)]
    assert np.array_equal(gradient(indices, table, dy), gradient(*other))
    assert np.array_equal(embedding(*map(from_numpy, other[:2])).numpy(), table[indices])


def test_same_bits_on_any_number_of_threads():
    rng = np.random.default_rng(2)
    indices = rng.integers(0, 700, 30000) ** 2 // 700  # some rows far more often than others
    table = rng.standard_normal((700, 33)).astype(np.float32)
    dy = rng.standard_normal((30000, 33)).astype(np.float32)
    results = []
    for threads in (1, 2, 3):
        with num_threads(threads):
            y = embedding(from_numpy(indices), from_numpy(table))
            assert last_team() == threads
            results.append((y.numpy().tobytes(), gradient(indices, table, dy).tobytes()))
            assert last_team() == threads
    assert len(set(results)) == 1


@pytest.mark.parametrize("bad", [-1, 5, 1 << 40])
def test_index_out_of_range(bad):
    with pytest.raises(IndexError, match=rf"index {bad} \(element 2 of input \(2, 2\)\).*5 rows"):
        embedding(from_numpy(np.array([[0, 4], [bad, 1]])), from_numpy(np.zeros((5, 3))))


def test_indices_changed_behind_our_back():
    indices = np.array([0, 1])
    w = from_numpy(np.zeros((2, 3))).requires_grad_()
    y = embedding(from_numpy(indices), w)
    indices[1] = 100
    with pytest.raises(IndexError, match=r"element 1 .* was changed"):
        y.backward(from_numpy(np.zeros((2, 3))))


def test_errors():
    table = from_numpy(np.zeros((5, 3)))
    index = from_numpy(np.array([1]))
    with pytest.raises(TypeError, match="int64 or int32 indices, got float64"):
        embedding(from_numpy(np.zeros(2)), table)
    with pytest.raises(TypeError, match="weight must be float32 or float64"):
        embedding(index, index)
    with pytest.raises(ValueError, match=r"\(rows, columns\), got \(3,\)"):
        embedding(index, from_numpy(np.zeros(3)))
    with pytest.raises(ValueError, match="padding_idx 5 is out of range"):
        embedding(index, table, padding_idx=5)
    with pytest.raises(ValueError, match="max_norm must not be negative, got -1"):
        embedding(index, table, max_norm=-1.0)
    with pytest.raises(ValueError, match="norm_type must be greater than 0, got 0"):
        embedding(index, table, max_norm=1.0, norm_type=0.0)


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("p", [0.5, 1.0, 2.0, 3.0, float("inf")])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_used_are_scaled_down_to_the_largest_norm(level, p, dtype):
    rng = np.random.default_rng(3)
    table = rng.standard_normal((9, 37)).astype(dtype)
    indices = np.array([[1, 1, 7], [0, 7, 8]])
    norms = np.linalg.norm(table.astype(np.float64), p, 1)
    limit = np.sort(norms[[0, 1, 7, 8]])[1:3].mean()
    expected = table * np.minimum(limit / norms, 1)[:, None]
    expected[2:7] = table[2:7]
    with using_isa(level):
        w = from_numpy(table.copy()).requires_grad_()
        y = embedding(from_numpy(indices), w, max_norm=limit, norm_type=p)
    rounding = 2e-6 if dtype == np.float32 else 1e-7  # the 1e-7 that PyTorch adds to the norm
    np.testing.assert_allclose(w.detach().numpy(), expected, rtol=rounding)
    assert np.array_equal(w.detach().numpy()[2:7], table[2:7])
    assert np.array_equal(y.detach().numpy(), w.detach().numpy()[indices])


def test_scaling_down_is_a_change_in_place():
    array = np.full((4, 3), 2.0)
    w = from_numpy(array).requires_grad_()
    product = (w * w).sum()
    embedding(from_numpy(np.array([1])), w, max_norm=1.0).sum().backward()
    assert abs(np.linalg.norm(array[1]) - 1) < 1e-6 and (array[0] == 2).all()
    np.testing.assert_array_equal(w.grad.numpy(), [[0.0] * 3, [1.0] * 3, [0.0] * 3, [0.0] * 3])
    with pytest.raises(RuntimeError, match="in place"):
        product.backward()
    turned = from_numpy(np.full((3, 4), 2.0)).T
    embedding(from_numpy(np.array([0])), turned, max_norm=1.0)
    assert abs(np.linalg.norm(turned.numpy()[0]) - 1) < 1e-6 and (turned.numpy()[1:] == 2).all()
    frozen = np.ones((2, 2))
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        embedding(from_numpy(np.array([0])), from_numpy(frozen), max_norm=1.0)


def test_many_rows_are_scaled_on_several_threads():
    table = np.random.default_rng(4).standard_normal((3000, 64)).astype(np.float32)
    indices = from_numpy(np.arange(0, 3000, 2))
    results = []
    for threads in (1, 2, 3):
        with num_threads(threads):
            w = from_numpy(table.copy())
            embedding(indices, w, max_norm=5.0)
            assert last_team() == threads
            results.append(w.numpy().tobytes())
    assert len(set(results)) == 1


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("padding_idx", [None, 2])
def test_gradients_divided_by_the_number_of_uses(sparse, padding_idx):
    rng = np.random.default_rng(5)
    indices, dy = rng.integers(0, 5, 40), rng.standard_normal((40, 19))
    expected = np.zeros((7, 19))
    for v in range(5):
        if v != padding_idx:
            expected[v] = dy[indices == v].mean(0)
    w = from_numpy(np.zeros((7, 19))).requires_grad_()
    y = embedding(from_numpy(indices), w, padding_idx, scale_grad_by_freq=True, sparse=sparse)
    y.backward(from_numpy(dy))
    found = (w.grad.to_dense() if sparse else w.grad).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-15)
