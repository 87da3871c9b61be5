"""Losses number by number where the generic tests do not reach."""

import numpy as np
import pytest

import fastnn
from fastnn import from_numpy
from fastnn.testing import last_team, levels, num_threads, using_isa
from tests.references.loss import REFERENCES

LOSSES = [
    fastnn.mse_loss,
    fastnn.l1_loss,
    fastnn.huber_loss,
    fastnn.smooth_l1_loss,
    fastnn.quantile_loss,
    fastnn.binary_cross_entropy_with_logits,
    fastnn.hinge_loss,
    fastnn.contrastive_loss,
]


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("loss", LOSSES, ids=lambda f: f.__name__)
def test_every_length(loss, level):
    rng = np.random.default_rng(1)
    for n in (1, 5, 15, 16, 17, 63, 64, 65, 200, 4097, 40000):
        x, t = rng.standard_normal((2, n)).astype(np.float32)
        with using_isa(level):
            total = loss(from_numpy(x), from_numpy(t), reduction="sum").item()
            each = loss(from_numpy(x), from_numpy(t), reduction="none").numpy()
        exact = REFERENCES[loss.__name__](x.astype(float), t.astype(float), reduction="none")
        np.testing.assert_allclose(each, exact, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(total, exact.sum(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda f: f.__name__)
def test_threads_do_not_change_a_bit_above_the_threshold(loss):
    rng = np.random.default_rng(2)
    x, t = rng.standard_normal((2, 300, 700)).astype(np.float32)
    results = []
    for threads in (1, 2, 3):
        with num_threads(threads):
            leaf = from_numpy(x.copy()).requires_grad_()
            y = loss(leaf, from_numpy(t))
            assert last_team() > 1 or threads == 1
            y.backward()
            assert last_team() > 1 or threads == 1
            results.append((y.item(), leaf.grad.numpy().tobytes()))
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_input_and_target_of_different_layouts(loss, reduction):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((2, 5, 3, 4)).transpose(0, 3, 1, 2)
    t = rng.standard_normal((2, 4, 5, 6))[..., ::2]
    found = loss(from_numpy(x), from_numpy(t), reduction=reduction).numpy()
    expected = REFERENCES[loss.__name__](x, t, reduction=reduction)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    leaf = from_numpy(x).requires_grad_()
    dy = from_numpy(np.asarray(rng.standard_normal(found.shape)))
    loss(leaf, from_numpy(t), reduction=reduction).backward(dy)
    flat = from_numpy(x.copy("C")).requires_grad_()
    loss(flat, from_numpy(t.copy("C")), reduction=reduction).backward(dy)
    np.testing.assert_array_equal(leaf.grad.numpy(), flat.grad.numpy())


def test_only_what_is_asked_for_gets_a_gradient():
    x, t = fastnn.tensor([1.0, 5.0]), fastnn.tensor([3.0, 4.0], requires_grad=True)
    fastnn.mse_loss(x, t).backward()
    assert t.grad.tolist() == [2.0, -1.0]
    assert x.grad is None


def test_kinks_and_ends():
    x = fastnn.tensor([1.0, 2.0], requires_grad=True)
    fastnn.l1_loss(x, fastnn.tensor([1.0, 1.0]), reduction="sum").backward()
    assert x.grad.tolist() == [0.0, 1.0]
    ends = fastnn.tensor([0.0, 1.0, 0.0, 1.0], requires_grad=True)
    loss = fastnn.binary_cross_entropy(ends, fastnn.tensor([0.0, 1.0, 1.0, 0.0]), reduction="none")
    assert loss.tolist() == [0.0, 0.0, 100.0, 100.0]
    loss.sum().backward()
    np.testing.assert_allclose(ends.grad.numpy(), [0, 0, -1e12, 1e12], rtol=1e-6)


@pytest.mark.parametrize("level", levels())
def test_large_logits_and_nan(level):
    x = fastnn.tensor([200.0, -200.0, float("nan")])
    t = fastnn.tensor([0.0, 1.0, 0.0])
    with using_isa(level):
        y = fastnn.binary_cross_entropy_with_logits(x, t, reduction="none").tolist()
        assert y[:2] == [200.0, 200.0]
        assert np.isnan(y[2])
        for loss in LOSSES:
            leaf = from_numpy(x.numpy().copy()).requires_grad_()
            loss(leaf, t, reduction="sum").backward()
            assert np.isnan(leaf.grad.numpy()).tolist() == [False, False, True]


def test_quantile_is_the_least_of_its_loss():
    rng = np.random.default_rng(4)
    t = rng.standard_normal(2001)
    for q in (0.1, 0.5, 0.95):
        at = np.quantile(t, q)
        x = fastnn.tensor(np.full(len(t), at), requires_grad=True)
        fastnn.quantile_loss(x, fastnn.tensor(t), q).backward()
        assert abs(x.grad.sum().item()) < 1e-3
        losses = [
            fastnn.quantile_loss(fastnn.tensor(np.full(len(t), at + d)), fastnn.tensor(t), q).item()
            for d in (-0.1, 0, 0.1)
        ]
        assert losses[1] < min(losses[0], losses[2])


def test_several_quantiles_are_the_single_ones():
    rng = np.random.default_rng(5)
    x, t = rng.standard_normal((7, 2, 3)), rng.standard_normal((7, 2))
    quantiles = (0.1, 0.5, 0.9)
    found = fastnn.quantile_loss(from_numpy(x), from_numpy(t), quantiles, "none").numpy()
    for k, q in enumerate(quantiles):
        single = fastnn.quantile_loss(from_numpy(x[..., k].copy()), from_numpy(t), q, "none")
        np.testing.assert_array_equal(found[..., k], single.numpy())


@pytest.mark.parametrize("level", levels())
def test_divergence_of_impossible_classes(level):
    logs = fastnn.tensor([[-1.0, -2.0, -float("inf")]], requires_grad=True)
    target = fastnn.tensor([[0.5, 0.5, 0.0]])
    with using_isa(level):
        loss = fastnn.kl_div(logs, target, "sum")
        assert loss.item() == pytest.approx(np.log(0.5) + 1.5, rel=1e-6)
        assert fastnn.kl_div(logs, target.log(), "sum", True).item() == pytest.approx(loss.item())
        loss.backward()
    assert logs.grad.tolist() == [[-0.5, -0.5, 0.0]]


def test_empty():
    x = fastnn.zeros((0, 3))
    assert np.isnan(fastnn.mse_loss(x, x).item())
    assert fastnn.mse_loss(x, x, reduction="sum").item() == 0
    assert fastnn.mse_loss(x, x, reduction="none").shape == (0, 3)


@pytest.mark.parametrize("loss", [*LOSSES, fastnn.binary_cross_entropy], ids=lambda f: f.__name__)
def test_errors_name_what_is_wrong(loss):
    with pytest.raises(ValueError, match=r"\(2,\) and \(2, 1\)"):
        loss(fastnn.zeros(2), fastnn.zeros((2, 1)))
    with pytest.raises(TypeError, match="float64"):
        loss(fastnn.zeros(2), fastnn.zeros(2, dtype=fastnn.float64))
    with pytest.raises(TypeError, match="int64"):
        loss(fastnn.tensor([1]), fastnn.tensor([1]))
    with pytest.raises(ValueError, match="'max'"):
        loss(fastnn.zeros(2), fastnn.zeros(2), reduction="max")


def test_more_errors():
    x = fastnn.tensor([0.5, 1.5])
    with pytest.raises(ValueError, match=r"from 0\.5 to 1\.5"):
        fastnn.binary_cross_entropy(x, fastnn.zeros(2))
    with pytest.raises(ValueError, match="delta"):
        fastnn.huber_loss(x, x, delta=0)
    with pytest.raises(ValueError, match="beta"):
        fastnn.smooth_l1_loss(x, x, beta=-1)
    with pytest.raises(ValueError, match="between 0 and 1, got 1"):
        fastnn.quantile_loss(x, x, 1)
    with pytest.raises(ValueError, match=r"3 quantiles .* shape \(2,\)"):
        fastnn.quantile_loss(x, x, [0.1, 0.5, 0.9])
    with pytest.raises(ValueError, match="needs an input with rows"):
        fastnn.kl_div(fastnn.tensor(0.5), fastnn.tensor(0.5), "batchmean")
    with pytest.raises(ValueError, match="margin of contrastive_loss"):
        fastnn.contrastive_loss(x, x, margin=0)
    for loss in (fastnn.kl_div, fastnn.hinge_loss, fastnn.contrastive_loss):
        with pytest.raises(ValueError, match="no gradient for its target"):
            loss(fastnn.zeros(2), fastnn.zeros(2, requires_grad=True))
    with pytest.raises(ValueError, match="no gradient for its target"):
        fastnn.binary_cross_entropy(fastnn.zeros(2), fastnn.zeros(2, requires_grad=True))
