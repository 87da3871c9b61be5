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
    with pytest.raises(NotImplementedError, match="max_norm"):
        embedding(index, table, max_norm=1.0)
