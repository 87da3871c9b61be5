"""Losses of classes: memory formats, threads, levels, errors; values come from the registry."""

import numpy as np
import pytest

import fastnn
from fastnn._core.interop import from_numpy
from fastnn.testing import last_team, levels, num_threads, using_isa
from tests.references.softmax import cross_entropy, softmax


def images(seed, shape, dtype=np.float32):
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 3, shape).astype(dtype)
    return x, rng.integers(0, shape[1], (shape[0], *shape[2:]))


def in_format(x, channels_last):
    return from_numpy(
        np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1) if channels_last else x
    )


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("classes", [21, 130])
def test_images_have_the_same_bits_on_any_number_of_threads(channels_last, soft, classes):
    x, target = images(2, (3, classes, 30, 41))
    if soft:
        target = softmax(images(3, x.shape)[0], 1).astype(np.float32)
    results = []
    for threads in (1, 2, 3):
        with num_threads(threads):
            leaf = in_format(x, channels_last).requires_grad_()
            loss = fastnn.cross_entropy(leaf, from_numpy(target), reduction="none")
            assert last_team() == threads
            (2 * loss).sum().backward()
            results.append(loss.detach().numpy().tobytes() + leaf.grad.numpy().tobytes())
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("channels_last", [False, True])
def test_images_at_every_level(level, channels_last):
    for classes in (1, 2, 17, 64, 65):
        x, target = images(4, (2, classes, 5, 9))
        exact = x.astype(np.float64)
        p = softmax(exact, 1)
        goals = np.moveaxis(np.eye(classes)[target], -1, 1)
        for given, goal in ((target, goals), (p.astype(np.float32), p)):
            with using_isa(level):
                leaf = in_format(x, channels_last).requires_grad_()
                loss = fastnn.cross_entropy(leaf, from_numpy(given), label_smoothing=0.1)
                loss.backward()
            expected = cross_entropy(exact, goal, label_smoothing=0.1)
            np.testing.assert_allclose(loss.item(), expected, rtol=1e-5, atol=1e-6)
            slope = (p - 0.9 * goal - 0.1 / classes) / 90
            np.testing.assert_allclose(leaf.grad.numpy(), slope, atol=3e-8)


def test_ignored_samples_have_no_gradient_whatever_their_scores():
    x, target = images(5, (2, 6, 3, 4))
    x[0, :, 1, 2], target[0, 1, 2] = np.nan, -100
    for channels_last in (False, True):
        leaf = in_format(x, channels_last).requires_grad_()
        fastnn.cross_entropy(leaf, from_numpy(target)).backward()
        grad = leaf.grad.numpy()
        assert not grad[0, :, 1, 2].any()
        assert np.isfinite(grad).all()


def test_a_bad_target_far_from_the_first():
    target = np.zeros(50000, np.int64)
    target[41234] = 3
    with pytest.raises(IndexError, match=r"target 3 \(element 41234\)"):
        fastnn.cross_entropy(fastnn.zeros(50000, 3), from_numpy(target))


def test_cross_entropy_has_the_same_bits_for_any_number_of_threads():
    rng = np.random.default_rng(7)
    x, t = rng.standard_normal((500, 300)).astype(np.float32), rng.integers(0, 300, 500)
    results = []
    for threads in (1, 2, 3):
        with num_threads(threads):
            leaf = from_numpy(x.copy()).requires_grad_()
            loss = fastnn.cross_entropy(leaf, from_numpy(t), label_smoothing=0.1)
            loss.backward()
            results.append((loss.item(), leaf.grad.numpy().tobytes()))
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("level", levels())
def test_cross_entropy_at_every_level(level):
    rng = np.random.default_rng(8)
    for classes in (1, 2, 10, 16, 17, 100):
        x, t = rng.normal(0, 3, (9, classes)).astype(np.float32), rng.integers(0, classes, 9)
        with using_isa(level):
            leaf = from_numpy(x).requires_grad_()
            loss = fastnn.cross_entropy(leaf, from_numpy(t), label_smoothing=0.1)
            loss.backward()
        exact = x.astype(np.float64)
        expected = cross_entropy(exact, t, label_smoothing=0.1)
        np.testing.assert_allclose(loss.item(), expected, rtol=1e-5, atol=1e-7)
        goal = 0.9 * np.eye(classes)[t] + 0.1 / classes
        np.testing.assert_allclose(leaf.grad.numpy(), (softmax(exact, 1) - goal) / 9, atol=3e-7)


def test_scaled_and_repeated_backward():
    x = fastnn.tensor([[1.0, 2.0], [3.0, 0.0]], requires_grad=True)
    t = fastnn.tensor([0, 1])
    loss = fastnn.cross_entropy(x, t)
    loss.backward(retain_graph=True)
    once = x.grad.numpy().copy()
    loss.backward()
    np.testing.assert_array_equal(x.grad.numpy(), 2 * once)
    x.grad = None
    (3 * fastnn.cross_entropy(x, t)).backward()
    np.testing.assert_allclose(x.grad.numpy(), 3 * once, rtol=1e-6)


def test_all_targets_ignored():
    x = fastnn.ones((2, 3), requires_grad=True)
    t = fastnn.tensor([-100, -100])
    for loss in (fastnn.cross_entropy, fastnn.nll_loss):
        assert np.isnan(loss(x, t).item())
        assert loss(x, t, reduction="sum").item() == 0
        assert loss(x, t, reduction="none").tolist() == [0.0, 0.0]
    fastnn.cross_entropy(x, t, reduction="sum").backward()
    assert x.grad.tolist() == [[0.0] * 3] * 2


@pytest.mark.parametrize("loss", [fastnn.cross_entropy, fastnn.nll_loss])
def test_errors_name_what_is_wrong(loss):
    x = fastnn.zeros((2, 3))
    with pytest.raises(IndexError, match=r"target 3 .*element 1"):
        loss(x, fastnn.tensor([0, 3]))
    with pytest.raises(IndexError, match="target -1"):
        loss(x, fastnn.tensor([-1, 0]))
    with pytest.raises(ValueError, match=r"\(3,\).*\(2, 3\)"):
        loss(x, fastnn.tensor([0, 1, 2]))
    with pytest.raises(ValueError, match=r"\(3,\).*\(2,\)"):
        loss(x, fastnn.tensor([0, 1]), weight=fastnn.ones(2))
    with pytest.raises(ValueError, match="'average'"):
        loss(x, fastnn.tensor([0, 1]), reduction="average")
    with pytest.raises(TypeError, match="int64"):
        loss(fastnn.tensor([[1, 2]]), fastnn.tensor([0]))
    with pytest.raises(TypeError, match="bool"):
        loss(x, fastnn.tensor([True, False]))
