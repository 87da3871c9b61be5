"""Clipping of gradients: norms of every kind, layouts, sparse gradients, threads."""

import numpy as np
import pytest

import fastnn
from fastnn import from_numpy, nn
from fastnn.nn.utils import (
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
)
from fastnn.testing import last_team, levels, num_threads, using_isa

SHAPES = [(1,), (3, 5), (0,), (17,), (1000, 7), (8192,), (20_001,)]


def leaves(dtype, shapes=SHAPES, scale=1.0):
    rng = np.random.default_rng(0)
    result = []
    for shape in shapes:
        p = from_numpy(np.zeros(shape, dtype)).requires_grad_()
        p.grad = from_numpy((scale * rng.standard_normal(shape)).astype(dtype))
        result.append(p)
    return result


def joined(parameters):
    return np.concatenate([p.grad.numpy().ravel() for p in parameters]).astype(np.float64)


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("norm_type", [1, 2.0, 3, 0.5, float("inf"), "inf"])
def test_norms(norm_type, dtype, level):
    tolerance = 1e-6 if dtype == np.float32 else 1e-13
    with using_isa(level):
        for max_norm in (0.1, 1e12):
            parameters = leaves(dtype)
            before = joined(parameters)
            norm = clip_grad_norm_(parameters, max_norm, norm_type)
            p = float(norm_type)
            expected = (
                np.abs(before).max() if p == np.inf else (np.abs(before) ** p).sum() ** (1 / p)
            )
            assert norm.shape == ()
            assert np.dtype(dtype).name == norm.dtype.name
            np.testing.assert_allclose(norm.item(), expected, rtol=tolerance)
            factor = min(1.0, max_norm / (expected + 1e-6))
            np.testing.assert_allclose(joined(parameters), before * factor, rtol=tolerance)


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values(dtype, level):
    parameters = leaves(dtype)
    before = joined(parameters)
    with using_isa(level):
        assert clip_grad_value_(parameters, 0.5) is None
    assert np.array_equal(joined(parameters), np.clip(before, -0.5, 0.5))


def test_a_norm_beyond_the_squares_of_single_precision():
    """Where one block's squares fit, their total may be as large as it will."""
    parameters = leaves(np.float32, [(100_000,)], scale=1e17)
    before = joined(parameters)
    norm = get_total_norm([p.grad for p in parameters])
    np.testing.assert_allclose(norm.item(), np.sqrt((before**2).sum()), rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("at", [0, 5, 19_999])
@pytest.mark.parametrize("norm_type", [1, 2, 3, np.inf])
def test_not_finite(norm_type, at, bad):
    parameters = leaves(np.float32, [(20_000,), (7,)])
    parameters[0].grad.numpy()[at] = bad
    before = joined(parameters)
    with pytest.raises(RuntimeError, match=rf"order {float(norm_type)} .* is {bad}"):
        clip_grad_norm_(parameters, 1.0, norm_type, error_if_nonfinite=True)
    np.testing.assert_array_equal(joined(parameters), before)
    assert np.array_equal(clip_grad_norm_(parameters, 1.0, norm_type).item(), bad, equal_nan=True)
    after = joined(parameters)
    assert np.isnan(after).all() if np.isnan(bad) else np.isnan(after[at])


def test_nan_stays_in_values():
    parameters = leaves(np.float32, [(40,)])
    parameters[0].grad.numpy()[7] = np.nan
    clip_grad_value_(parameters, 0.1)
    assert np.isnan(parameters[0].grad.numpy()).nonzero()[0].tolist() == [7]


def test_threads_give_the_same_bits():
    results = []
    for threads in (1, 2, 3):
        with num_threads(threads):
            found = []
            for norm_type in (1, 2, 3, np.inf):
                parameters = leaves(np.float32, [(700, 900), (5,), (300_000,)])
                norm = get_total_norm([p.grad for p in parameters], norm_type)
                assert last_team() == threads
                clip_grads_with_norm_(parameters, 1.0, norm)
                assert last_team() == threads
                found += [norm.item(), joined(parameters).tobytes()]
            clip_grad_value_(parameters, 1e-4)
            assert last_team() == threads
            results.append([*found, joined(parameters).tobytes()])
    assert results[0] == results[1] == results[2]


def test_layouts_and_versions():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((6, 10)).astype(np.float32)
    wide = np.zeros((6, 20), np.float32)
    for array in (np.asfortranarray(x), wide[:, ::2]):
        array[...] = x
        p = fastnn.zeros(6, 10).requires_grad_()
        p.grad = from_numpy(array)
        version = p.grad._version
        norm = clip_grad_norm_(p, 0.5)
        np.testing.assert_allclose(array, x * (0.5 / (norm.item() + 1e-6)), rtol=1e-6)
        assert p.grad._version > version
        clip_grad_value_(p, 0.01)
        assert np.abs(array).max() <= np.float32(0.01)
    assert not wide[:, 1::2].any()


def test_sparse_gradients_count_with_their_rows():
    table, other = nn.Embedding(1000, 3, sparse=True), nn.Linear(3, 2)
    other(table(fastnn.tensor([4, 9, 4]))).sum().backward()
    parameters = [*table.parameters(), *other.parameters()]
    full = [g.to_dense() if g.is_sparse else g for g in (p.grad for p in parameters)]
    expected = get_total_norm(full).item()
    np.testing.assert_allclose(clip_grad_norm_(parameters, 0.1).item(), expected, rtol=1e-6)
    norm = get_total_norm(p.grad for p in parameters)
    np.testing.assert_allclose(norm.item(), 0.1, rtol=1e-5)
    clip_grad_value_(parameters, 1e-3)
    assert np.abs(table.weight.grad.values().numpy()).max() <= np.float32(1e-3)


def test_a_gradient_that_two_parameters_share_is_scaled_once():
    p, q = leaves(np.float64, [(3,), (3,)])
    q.grad = p.grad
    before = p.grad.numpy().copy()
    norm = clip_grad_norm_([p, q], 0.1).item()
    np.testing.assert_allclose(norm, np.sqrt(2 * (before**2).sum()))
    np.testing.assert_allclose(p.grad.numpy(), before * 0.1 / (norm + 1e-6))


def test_none_and_errors():
    p = fastnn.zeros(3).requires_grad_()
    assert clip_grad_norm_([p], 1.0).item() == 0.0
    assert clip_grad_norm_([], 1.0).dtype is fastnn.float32
    clip_grad_value_([p], 1.0)
    p.grad = fastnn.ones(3)
    for norm_type in (0, -1, np.nan):
        with pytest.raises(ValueError, match="norm_type must be positive"):
            clip_grad_norm_([p], 1.0, norm_type)
    with pytest.raises(TypeError, match="a gradient must be a Tensor, got int"):
        get_total_norm([3])
    p.grad = fastnn.ones(1).expand(3)
    with pytest.raises(ValueError, match="expanded tensor"):
        clip_grad_norm_([p], 1.0)
