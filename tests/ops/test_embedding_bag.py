"""Bags of embeddings where the generic tests do not reach: gradients, ties, errors, threads."""

import numpy as np
import pytest

import fastnn
from fastnn import from_numpy
from fastnn.ops.embedding_bag import embedding_bag
from fastnn.testing import last_team, levels, num_threads, using_isa
from tests.references.embedding import embedding_bag as reference


def gradients(indices, table, dy, scale=None, sparse=False, **kwargs):
    """Those of the table and of per_sample_weights."""
    w = from_numpy(table).requires_grad_()
    s = None if scale is None else from_numpy(scale).requires_grad_()
    offsets = kwargs.pop("offsets", None)
    y = embedding_bag(
        from_numpy(indices),
        w,
        None if offsets is None else from_numpy(offsets),
        per_sample_weights=s,
        sparse=sparse,
        **kwargs,
    )
    y.backward(from_numpy(dy))
    dw = w.grad.to_dense() if sparse else w.grad
    return dw.numpy(), None if s is None else s.grad.numpy()


def slopes(indices, table, dy, scale=None, **kwargs):
    """Finite differences of the reference, which is linear but for the maximum."""

    def value(table, scale):
        return (reference(indices, table, per_sample_weights=scale, **kwargs) * dy).sum()

    def slope(x, function):
        result = np.zeros_like(x)
        for at in np.ndindex(x.shape):
            ends = []
            for step in (1e-5, -1e-5):
                moved = x.copy()
                moved[at] += step
                ends.append(function(moved))
            result[at] = (ends[0] - ends[1]) / 2e-5
        return result

    dw = slope(table, lambda x: value(x, scale))
    return dw, None if scale is None else slope(scale, lambda x: value(table, x))


OFFSETS = np.array([0, 2, 2, 9])
OPTIONS = [
    {"mode": mode, "padding_idx": padding}
    for mode in ("sum", "mean", "max")
    for padding in (None, 3)
]


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("flat", [True, False])
def test_gradients(options, flat, level):
    rng = np.random.default_rng(0)
    indices = rng.integers(0, 7, 12).astype(np.int32 if flat else np.int64)
    table = rng.standard_normal((7, 5))
    options = {**options, "offsets": OFFSETS} if flat else options
    indices = indices if flat else indices.reshape(3, 4)
    dy = rng.standard_normal((4 if flat else 3, 5))
    expected, _ = slopes(indices, table, dy, **options)
    with using_isa(level):
        found, _ = gradients(indices, table, dy, **options)
        np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-8)
        if options["mode"] != "max":
            rows, _ = gradients(indices, table, dy, sparse=True, **options)
            assert np.array_equal(rows, found)


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("padding", [None, 2])
@pytest.mark.parametrize("sparse", [False, True])
def test_gradients_with_weights(padding, sparse, level):
    rng = np.random.default_rng(1)
    indices, table = rng.integers(0, 7, (3, 4)), rng.standard_normal((7, 37))
    scale, dy = rng.standard_normal((3, 4)), rng.standard_normal((3, 37))
    options = {"mode": "sum", "padding_idx": padding}
    expected = slopes(indices, table, dy, scale, **options)
    with using_isa(level):
        found = gradients(indices, table, dy, scale, sparse, **options)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


def test_only_the_weights_have_a_gradient():
    scale = fastnn.ones(2, 2).requires_grad_()
    y = embedding_bag(
        fastnn.tensor([[0, 1], [1, 1]]), fastnn.ones(2, 3), mode="sum", per_sample_weights=scale
    )
    y.sum().backward()
    assert scale.grad.tolist() == [[3, 3], [3, 3]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_first_of_equal_rows_has_the_gradient(dtype):
    table = np.array([[1, 5], [1, 2], [0, 5]], dtype)
    dw, _ = gradients(np.array([[1, 0, 2, 0]]), table, np.array([[3, 4]], dtype), mode="max")
    assert dw.tolist() == [[0, 4], [3, 0], [0, 0]]


def test_the_maximum_of_an_empty_bag_has_no_gradient():
    table = -np.ones((2, 3))
    dw, _ = gradients(np.array([1]), table, np.ones((2, 3)), mode="max", offsets=np.array([0, 0]))
    assert dw.tolist() == [[0, 0, 0], [1, 1, 1]]


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_same_bits_on_any_number_of_threads(mode):
    rng = np.random.default_rng(2)
    indices = rng.integers(0, 700, 30000) ** 2 // 700
    offsets = np.sort(rng.integers(0, 30000, 900))
    offsets[0] = 0
    table = rng.standard_normal((700, 33)).astype(np.float32)
    dy = rng.standard_normal((900, 33)).astype(np.float32)
    scale = rng.standard_normal(30000).astype(np.float32) if mode == "sum" else None
    results = []
    for threads in (1, 2, 3):
        with num_threads(threads):
            y = embedding_bag(
                from_numpy(indices), from_numpy(table), from_numpy(offsets), mode=mode
            )
            assert last_team() == threads
            found = gradients(indices, table, dy, scale, mode=mode, offsets=offsets)
            assert last_team() == threads
            results.append([y.numpy().tobytes(), *(a.tobytes() for a in found if a is not None)])
    assert results[0] == results[1] == results[2]


def test_no_rows_are_gathered():
    indices, table = fastnn.zeros(200, 50, dtype=fastnn.int64), fastnn.zeros(1000, 64)
    embedding_bag(indices, table)
    before = fastnn.memory_stats()["allocated_bytes"]
    fastnn.reset_peak_memory_stats()
    embedding_bag(indices, table)
    assert fastnn.memory_stats()["peak_bytes"] - before < 2 * 200 * 64 * 4


def test_layouts():
    rng = np.random.default_rng(3)
    arrays = rng.integers(0, 6, (4, 3)), rng.standard_normal((6, 5)), rng.standard_normal((4, 5))
    scale = rng.standard_normal((4, 3))
    other = [np.ascontiguousarray(a.T).T for a in (*arrays, scale)]
    found, expected = gradients(*other, mode="sum"), gradients(*arrays, scale, mode="sum")
    for a, b in zip(found, expected, strict=True):
        assert np.array_equal(a, b)


def test_indices_changed_behind_our_back():
    indices = np.array([[0, 1]])
    w = fastnn.zeros(2, 3).requires_grad_()
    y = embedding_bag(from_numpy(indices), w)
    indices[0, 1] = 100
    with pytest.raises(IndexError, match=r"element 1 .* was changed"):
        y.sum().backward()


def test_errors():
    w, flat, wide = fastnn.zeros(5, 3), fastnn.tensor([0, 1, 2]), fastnn.tensor([[0, 1]])

    def refuses(error, message, *args, **kwargs):
        with pytest.raises(error, match=message):
            embedding_bag(*args, **kwargs)

    refuses(TypeError, "offsets, where input has one dimension, must be a Tensor", flat, w)
    refuses(ValueError, "offsets must be None where input has two", wide, w, fastnn.tensor([0]))
    refuses(TypeError, "offsets must be int64 or int32", flat, w, fastnn.zeros(1))
    refuses(ValueError, "offsets must have one dimension", flat, w, wide)
    refuses(ValueError, "must begin with 0, got 1", flat, w, fastnn.tensor([1]))
    refuses(ValueError, "must rise, to 3 .* got 1 at 2", flat, w, fastnn.tensor([0, 2, 1]))
    refuses(ValueError, "must rise, to 3 .* got 4 at 1", flat, w, fastnn.tensor([0, 4]))
    refuses(ValueError, "make no bag for 3", flat, w, fastnn.zeros(0, dtype=fastnn.int64))
    refuses(
        ValueError,
        "the last offset must be 3",
        flat,
        w,
        fastnn.tensor([0, 2]),
        include_last_offset=True,
    )
    refuses(ValueError, "one or two dimensions", fastnn.tensor([[[1]]]), w)
    refuses(IndexError, "index 5 .* 5 rows", fastnn.tensor([[5]]), w)
    refuses(ValueError, "mode must be", wide, w, mode="median")
    refuses(ValueError, "'max' does not support sparse", wide, w, mode="max", sparse=True)
    refuses(NotImplementedError, "mode='sum' only", wide, w, per_sample_weights=fastnn.ones(1, 2))
    refuses(
        ValueError,
        r"shape of input, \(1, 2\), got \(2,\)",
        wide,
        w,
        mode="sum",
        per_sample_weights=fastnn.ones(2),
    )
    refuses(
        TypeError,
        "same dtype",
        wide,
        w,
        mode="sum",
        per_sample_weights=fastnn.ones(1, 2, dtype=fastnn.float64),
    )
    refuses(ValueError, "padding_idx 5", wide, w, padding_idx=5)
    refuses(ValueError, "max_norm must not be negative, got -1", wide, w, max_norm=-1.0)
    refuses(ValueError, "scale_grad_by_freq", wide, w, mode="max", scale_grad_by_freq=True)
