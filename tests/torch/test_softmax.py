"""Softmax along any dimension and the losses of classes beside torch's."""

import numpy as np
import pytest

import fastnn

torch = pytest.importorskip("torch")

SHAPES = [(7,), (6, 7), (4, 7, 5), (2, 7, 3, 5), (2, 7, 3, 2, 4)]


def leaves(array):
    return fastnn.tensor(array, requires_grad=True), torch.tensor(array, requires_grad=True)


def assert_same(x, t, y, expected, dy=None):
    np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), 1e-10, 1e-12)
    dy = np.random.default_rng(9).standard_normal(y.shape) if dy is None else dy
    y.backward(fastnn.from_numpy(np.asarray(dy)))
    expected.backward(torch.as_tensor(dy))
    np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), 1e-10, 1e-12)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_every_dimension(name, shape):
    array = np.random.default_rng(0).normal(0, 3, shape)
    for dim in range(len(shape)):
        x, t = leaves(array)
        assert_same(x, t, getattr(fastnn, name)(x, dim), getattr(torch, name)(t, dim))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
def test_class_indices(shape, reduction, weighted):
    rng = np.random.default_rng(1)
    array, weight = rng.normal(0, 3, shape), rng.uniform(0.1, 2, 7) if weighted else None
    target = np.asarray(rng.integers(0, 7, () if len(shape) == 1 else (shape[0], *shape[2:])))
    if target.size > 1:
        target.flat[::3] = 2
    ours, theirs = [
        (lib.tensor(target), None if weight is None else lib.tensor(weight))
        for lib in (fastnn, torch)
    ]
    for smoothing in (0.0, 0.3):
        options = {
            "ignore_index": 2 if target.ndim else -100, "reduction": reduction,
            "label_smoothing": smoothing,
        }  # fmt: skip
        x, t = leaves(array)
        expected = torch.nn.functional.cross_entropy(t, *theirs, **options)
        assert_same(x, t, fastnn.nn.functional.cross_entropy(x, *ours, **options), expected)
    del options["label_smoothing"]
    x, t = leaves(array)
    expected = torch.nn.functional.nll_loss(t, *theirs, **options)
    assert_same(x, t, fastnn.nn.functional.nll_loss(x, *ours, **options), expected)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
def test_class_probabilities(shape, reduction, weighted):
    rng = np.random.default_rng(2)
    array, goal = rng.normal(0, 3, shape), rng.uniform(0, 1, shape)
    weight = rng.uniform(0.1, 2, 7) if weighted else None
    for smoothing in (0.0, 0.3):
        for learned in (False, True):
            x, t = leaves(array)
            ours = fastnn.tensor(goal, requires_grad=learned)
            theirs = torch.tensor(goal, requires_grad=learned)
            losses = [
                lib.nn.CrossEntropyLoss(
                    None if weight is None else lib.tensor(weight),
                    reduction=reduction,
                    label_smoothing=smoothing,
                )(scores, target)
                for lib, scores, target in ((fastnn, x, ours), (torch, t, theirs))
            ]
            assert_same(x, t, *losses)
            if learned:
                np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), 1e-10, 1e-12)
