"""Norms beside torch's: values, gradients, running statistics."""

import numpy as np
import pytest

from fastnn._core.interop import from_numpy
from fastnn.ops.norm import batch_norm, group_norm, instance_norm, local_response_norm
from fastnn.ops.norm_rows import layer_norm

torch = pytest.importorskip("torch")
F = torch.nn.functional


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def both(*arrays):
    leaves = [from_numpy(a.copy()).requires_grad_() for a in arrays]
    return leaves, [torch.tensor(a, requires_grad=True) for a in arrays]


def assert_same(leaves, theirs, y, expected):
    np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), rtol=1e-4, atol=1e-5)
    dy = numbers(*y.shape, seed=7)
    y.backward(from_numpy(dy))
    expected.backward(torch.from_numpy(dy))
    for found, leaf in zip(leaves, theirs, strict=True):
        np.testing.assert_allclose(found.grad.numpy(), leaf.grad.numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(30, 7), (4, 18, 9), (3, 33, 6, 5), (2, 5, 3, 4, 6)])
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm(shape, training):
    C = shape[1]
    leaves, theirs = both(numbers(*shape), numbers(C, seed=1), numbers(C, seed=2))
    mean, var = numbers(C, seed=3), np.abs(numbers(C, seed=4)) + 0.1
    ours = [from_numpy(mean.copy()), from_numpy(var.copy())]
    running = [torch.tensor(mean), torch.tensor(var)]
    y = batch_norm(leaves[0], *ours, *leaves[1:], training=training)
    expected = F.batch_norm(theirs[0], *running, *theirs[1:], training=training)
    assert_same(leaves, theirs, y, expected)
    for found, value in zip(ours, running, strict=True):
        np.testing.assert_allclose(found.numpy(), value.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("shape", "inner"), [((9, 40), (40,)), ((2, 3, 8, 5), (8, 5))])
def test_layer_norm(shape, inner):
    leaves, theirs = both(numbers(*shape), numbers(*inner, seed=1), numbers(*inner, seed=2))
    y = layer_norm(leaves[0], inner, *leaves[1:])
    assert_same(leaves, theirs, y, F.layer_norm(theirs[0], inner, *theirs[1:]))


@pytest.mark.parametrize("shape", [(30, 48), (4, 18, 9), (3, 36, 6, 5), (2, 6, 3, 4, 5)])
@pytest.mark.parametrize("groups", [1, 3, 6])
def test_group_norm(shape, groups):
    C = shape[1]
    leaves, theirs = both(numbers(*shape), numbers(C, seed=1), numbers(C, seed=2))
    y = group_norm(leaves[0], groups, *leaves[1:])
    assert_same(leaves, theirs, y, F.group_norm(theirs[0], groups, *theirs[1:]))


@pytest.mark.parametrize("shape", [(4, 18, 9), (3, 33, 6, 5), (2, 6, 3, 4, 5)])
@pytest.mark.parametrize("own", [True, False])
def test_instance_norm(shape, own):
    C = shape[1]
    leaves, theirs = both(numbers(*shape), numbers(C, seed=1), numbers(C, seed=2))
    mean, var = numbers(C, seed=3), np.abs(numbers(C, seed=4)) + 0.1
    ours = [from_numpy(mean.copy()), from_numpy(var.copy())]
    running = [torch.tensor(mean), torch.tensor(var)]
    y = instance_norm(leaves[0], *ours, *leaves[1:], own, 0.3)
    assert_same(leaves, theirs, y, F.instance_norm(theirs[0], *running, *theirs[1:], own, 0.3))
    for found, value in zip(ours, running, strict=True):
        np.testing.assert_allclose(found.numpy(), value.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "size"), [((2, 7, 5), 5), ((2, 6, 4, 5), 4), ((1, 3, 2, 2, 2), 1)]
)
def test_local_response_norm(shape, size):
    leaves, theirs = both(numbers(*shape))
    y = local_response_norm(leaves[0], size, 0.3, 0.6, 1.5)
    assert_same(leaves, theirs, y, F.local_response_norm(theirs[0], size, 0.3, 0.6, 1.5))
