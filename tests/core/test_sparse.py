"""Gradients that hold only the rows used: how they add up, what they offer, what they refuse."""

import copy
import pickle

import numpy as np
import pytest

import fastnn
from fastnn import from_numpy, nn
from fastnn._core.sparse import SparseRows, sparse_rows
from fastnn.nn.functional import embedding
from fastnn.testing import last_team, levels, num_threads, using_isa


def used(weight, indices, dy, **kwargs):
    """Add the gradient of one use of weight to its grad."""
    embedding(from_numpy(indices), weight, sparse=True, **kwargs).backward(from_numpy(dy))


def expected(shape, *uses, padding_idx=None):
    total = np.zeros(shape)
    for indices, dy in uses:
        for at in np.ndindex(indices.shape):
            if padding_idx is None or indices[at] != padding_idx % shape[0]:
                total[indices[at]] += dy[at]
    return total


def uses(rng, rows, columns, *shapes, dtype=np.int64):
    return [
        (rng.integers(0, rows, shape).astype(dtype), rng.standard_normal((*shape, columns)))
        for shape in shapes
    ]


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("columns", [0, 1, 19, 80])
@pytest.mark.parametrize("rows", [1, 12, 5000, 5_000_000])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_rows_of_one_use(level, rows, columns, dtype):
    columns = min(columns, 3) if rows > 10_000 else columns
    rng = np.random.default_rng(0)
    w = fastnn.zeros(rows, columns, dtype=fastnn.float64).requires_grad_()
    ((indices, dy),) = uses(rng, rows, columns, (9, 40), dtype=dtype)
    with using_isa(level):
        used(w, indices, dy)
    assert w.grad.is_sparse
    assert w.grad.shape == (rows, columns)
    named = np.unique(indices)
    assert np.array_equal(w.grad.indices().numpy(), named[None])
    sums = np.zeros((len(named), columns))
    np.add.at(sums, np.searchsorted(named, indices), dy)
    np.testing.assert_allclose(w.grad.values().numpy(), sums, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("padding_idx", [None, 3, -1])
def test_gradients_add_up(padding_idx):
    rng = np.random.default_rng(1)
    first, second, third = uses(rng, 10, 7, (5,), (2, 4), (0,))
    w = from_numpy(np.zeros((10, 7))).requires_grad_()
    for use in (first, second, third):
        used(w, *use, padding_idx=padding_idx)
    assert isinstance(w.grad, SparseRows)
    at = w.grad.indices().numpy()[0]
    assert (np.diff(at) > 0).all()
    found = w.grad.to_dense().numpy()
    np.testing.assert_allclose(
        found, expected((10, 7), first, second, third, padding_idx=padding_idx), rtol=1e-13
    )


@pytest.mark.parametrize("order", ["sparse first", "dense first", "one graph"])
def test_sparse_and_dense_add_up_to_dense(order):
    rng = np.random.default_rng(2)
    ((indices, dy),) = uses(rng, 6, 5, (8,))
    w = from_numpy(np.ones((6, 5))).requires_grad_()
    if order == "one graph":
        y = (embedding(from_numpy(indices), w, sparse=True) * from_numpy(dy)).sum()
        (y + (w * 3.0).sum()).backward()
    else:
        if order == "sparse first":
            used(w, indices, dy)
        (w * 3.0).sum().backward()
        if order == "dense first":
            used(w, indices, dy)
    assert not w.grad.is_sparse
    np.testing.assert_allclose(w.grad.numpy(), 3 + expected((6, 5), (indices, dy)), rtol=1e-13)


def test_no_gradient_that_somebody_holds_is_changed():
    w = from_numpy(np.zeros((4, 2))).requires_grad_()
    used(w, np.array([1]), np.ones((1, 2)))
    held = w.grad
    used(w, np.array([1, 2]), np.ones((2, 2)))
    assert held.values().tolist() == [[1, 1]]
    dense = from_numpy(np.zeros((4, 2)))
    w.grad = dense
    used(w, np.array([1]), np.ones((1, 2)))
    assert not dense.numpy().any()


def test_same_bits_on_any_number_of_threads():
    rng = np.random.default_rng(3)
    indices = rng.integers(0, 700, 30000) ** 2 // 700
    dy = rng.standard_normal((30000, 33)).astype(np.float32)
    results = []
    for threads in (1, 2, 3):
        with num_threads(threads):
            w = from_numpy(np.zeros((700, 33), np.float32)).requires_grad_()
            used(w, indices, dy)
            assert last_team() == threads
            used(w, indices[:20000], dy[:20000])
            results.append(w.grad.values().numpy().tobytes() + w.grad.to_dense().numpy().tobytes())
    assert len(set(results)) == 1


def test_equals_the_dense_gradient_bit_by_bit():
    rng = np.random.default_rng(4)
    ((indices, dy),) = uses(rng, 50, 33, (400,))
    grads = []
    for sparse in (False, True):
        w = from_numpy(np.zeros((50, 33))).requires_grad_()
        y = embedding(from_numpy(indices), w, sparse=sparse)
        y.backward(from_numpy(dy))
        grads.append(w.grad.to_dense() if sparse else w.grad)
    assert np.array_equal(grads[0].numpy(), grads[1].numpy())


def test_memory_does_not_depend_on_the_table():
    table = nn.Embedding(1_000_000, 16, sparse=True)
    indices = fastnn.tensor(np.arange(0, 1_000_000, 1000))
    table(indices).sum().backward()
    table.weight.grad = None
    fastnn.reset_peak_memory_stats()
    before = fastnn.memory_stats()["allocated_bytes"]
    table(indices).sum().backward()
    assert fastnn.memory_stats()["peak_bytes"] - before < 1_000_000


def made():
    return sparse_rows(fastnn.tensor([1, 4]), fastnn.tensor([[1.0, 2.0], [3.0, 4.0]]), (6, 2))


def test_what_it_offers():
    g = made()
    assert (g.shape, g.size(), g.size(0), g.dim(), g.ndim) == ((6, 2), (6, 2), 6, 2, 2)
    assert (g.numel(), g._nnz(), g.sparse_dim(), g.dense_dim()) == (12, 2, 1, 1)
    assert g.dtype is fastnn.float32
    assert g.is_coalesced()
    assert g.coalesce() is g
    assert not g.requires_grad
    assert g._indices().tolist() == [[1, 4]]
    assert g._values().tolist() == g.values().tolist() == [[1, 2], [3, 4]]
    assert g.to_dense().tolist() == [[0, 0], [1, 2], [0, 0], [0, 0], [3, 4], [0, 0]]
    assert g.to(fastnn.float64).dtype is fastnn.float64
    for other in (g.clone(), copy.deepcopy(g), pickle.loads(pickle.dumps(g))):
        assert other.to_dense().tolist() == g.to_dense().tolist()
        other.mul_(2)
        assert g.values().tolist() == [[1, 2], [3, 4]]
    assert g.mul_(0.5).values().tolist() == [[0.5, 1], [1.5, 2]]
    assert repr(made()) == (
        "SparseRows(indices=tensor([1, 4]), values=tensor([[1., 2.],\n        [3., 4.]]), "
        "size=(6, 2))"
    )
    assert g.zero_()._nnz() == 0
    assert not g.to_dense().numpy().any()
    assert fastnn.zeros(2).is_sparse is False


def test_it_is_a_grad():
    w = nn.Embedding(6, 2).weight
    w.grad = made()
    assert w.grad.is_sparse
    leaf = fastnn.zeros(6, 2).requires_grad_()
    leaf.grad = made()
    twin = copy.deepcopy(leaf)
    assert twin.grad.to_dense().tolist() == w.grad.to_dense().tolist()
    with pytest.raises(ValueError, match=r"grad must have shape \(3,\)"):
        fastnn.zeros(3).grad = made()
    with pytest.raises(TypeError, match="grad must be a Tensor or None, got int"):
        w.grad = 3
    module = nn.Embedding(6, 2, sparse=True)
    module.weight.grad = made()
    assert module.double().weight.grad.dtype is fastnn.float64
    module.zero_grad(set_to_none=False)
    assert module.weight.grad._nnz() == 0


def test_what_it_refuses():
    g = made()
    with pytest.raises(AttributeError, match=r"no 'norm'.*to_dense\(\)"):
        g.norm()
    with pytest.raises(TypeError, match="must be a Tensor, got SparseRows"):
        fastnn.relu(g)
    with pytest.raises(TypeError, match="by a number, not by Tensor"):
        g.mul_(fastnn.zeros(2))
    with pytest.raises(TypeError, match="comes from backward"):
        SparseRows()
    with pytest.raises(ValueError, match="must rise"):
        sparse_rows(fastnn.tensor([1, 1]), fastnn.zeros(2, 3), (6, 3))
    with pytest.raises(ValueError, match="within a table of 6 rows, got 6"):
        sparse_rows(fastnn.tensor([1, 6]), fastnn.zeros(2, 3), (6, 3))
    with pytest.raises(ValueError, match=r"values must have shape \(n, 3\)"):
        sparse_rows(fastnn.tensor([1]), fastnn.zeros(2, 3), (6, 3))
    with pytest.raises(TypeError, match="indices must be int64"):
        sparse_rows(fastnn.zeros(2), fastnn.zeros(2, 3), (6, 3))


def test_a_weight_that_is_no_leaf_is_refused():
    w = fastnn.zeros(4, 2).requires_grad_() * 2.0
    with pytest.raises(ValueError, match=r"needs a weight that is a leaf.*MulBackward"):
        embedding(fastnn.tensor([1]), w, sparse=True)
    with fastnn.no_grad():
        assert embedding(fastnn.tensor([1]), w, sparse=True).shape == (1, 2)
