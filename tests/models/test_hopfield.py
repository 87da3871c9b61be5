"""Hopfield's network against NumPy in double precision."""

import numpy as np
import pytest

import fastnn
from fastnn.models.hopfield import Hopfield
from fastnn.nn.init import gram_schmidt
from fastnn.testing import num_threads


def signs(*shape, seed=0):
    return np.random.default_rng(seed).choice([-1.0, 1.0], shape)


def trained(rule, patterns):
    net = Hopfield(patterns.shape[1], rule).double()
    net.learn(fastnn.from_numpy(patterns))
    return net


def expected_weight(rule, patterns):
    if rule == "hebb":
        weight = patterns.T @ patterns / patterns.shape[1]
    else:
        weight = np.linalg.pinv(patterns) @ patterns
    np.fill_diagonal(weight, 0)
    return weight


@pytest.mark.parametrize("rule", ["hebb", "projection"])
def test_weights(rule):
    patterns = signs(7, 40)
    net = trained(rule, patterns)
    np.testing.assert_allclose(net.weight.numpy(), expected_weight(rule, patterns), atol=1e-12)


def test_dependent_patterns_are_projected_once():
    patterns = np.concatenate([signs(3, 20), signs(3, 20)[:2], -signs(3, 20)[2:]])
    net = trained("projection", patterns)
    np.testing.assert_allclose(
        net.weight.numpy(), expected_weight("projection", patterns), atol=1e-12
    )
    basis = gram_schmidt(fastnn.from_numpy(patterns)).numpy()
    np.testing.assert_allclose(basis @ basis.T, np.diag([1.0, 1, 1, 0, 0, 0]), atol=1e-12)


def test_learning_again_replaces():
    net = trained("hebb", signs(5, 30))
    net.learn(fastnn.from_numpy(signs(2, 30, seed=1)))
    np.testing.assert_allclose(
        net.weight.numpy(), expected_weight("hebb", signs(2, 30, seed=1)), atol=1e-12
    )


def test_energy_and_synchronous_step():
    patterns, states = signs(5, 30), signs(8, 30, seed=1)
    net, weight = trained("hebb", patterns), expected_weight("hebb", patterns)
    energy = [-0.5 * s @ weight @ s for s in states]
    np.testing.assert_allclose(net.energy(fastnn.from_numpy(states)).numpy(), energy, atol=1e-12)
    np.testing.assert_array_equal(
        net(fastnn.from_numpy(states)).numpy(), np.where(states @ weight >= 0, 1, -1)
    )


def test_without_input_a_unit_stays():
    states = fastnn.from_numpy(signs(3, 4))
    net = Hopfield(4).double()
    assert (net(states) == states).all() and (net.sweep(states) == states).all()


@pytest.mark.parametrize("rule", ["hebb", "projection"])
def test_energy_never_rises_in_sweeps(rule):
    net, states = trained(rule, signs(20, 60)), fastnn.from_numpy(signs(50, 60, seed=1))
    given, energies = states.clone(), [net.energy(states).numpy()]
    for _ in range(5):
        states = net.sweep(states)
        energies.append(net.energy(states).numpy())
    assert (np.diff(energies, axis=0) <= 1e-12).all()
    assert (np.abs(states.numpy()) == 1).all()
    assert (given == fastnn.from_numpy(signs(50, 60, seed=1))).all()


def test_a_sweep_updates_unit_after_unit():
    patterns, states = signs(6, 25), signs(4, 25, seed=1)
    net, weight = trained("hebb", patterns), expected_weight("hebb", patterns)
    fastnn.manual_seed(3)
    order = fastnn.randperm(25).tolist()
    fastnn.manual_seed(3)
    found = net.sweep(fastnn.from_numpy(states)).numpy()
    for unit in order:
        field = states @ weight[unit]
        states[:, unit] = np.where(np.abs(field) < 1e-12, states[:, unit], np.sign(field))
    np.testing.assert_array_equal(found, states)


def test_recall_repairs_random_patterns():
    patterns = signs(10, 200)
    noisy = patterns * np.where(np.random.default_rng(1).random(patterns.shape) < 0.2, -1, 1)
    for rule in ("hebb", "projection"):
        found, settled = trained(rule, patterns).recall(fastnn.from_numpy(noisy))
        assert settled.all()
        np.testing.assert_array_equal(found.numpy(), patterns)


def test_only_the_projection_rule_keeps_correlated_patterns():
    patterns = np.where(np.random.default_rng(0).random((20, 100)) < 0.8, -1.0, 1.0)
    states = fastnn.from_numpy(patterns)
    assert (trained("projection", patterns)(states) == states).all()
    assert not (trained("hebb", patterns)(states) == states).all(1).any()


def test_synchronous_recall_may_swing():
    net = Hopfield(2)
    net.learn(fastnn.tensor([[1.0, 1.0]]))
    states = fastnn.tensor([[1.0, -1.0], [1.0, 1.0]])
    found, settled = net.recall(states, sweeps=11, synchronous=True)
    assert settled.tolist() == [False, True] and found.tolist() == [[-1, 1], [1, 1]]
    found, settled = net.recall(states)
    assert settled.all() and (found[:, 0] == found[:, 1]).all()


def test_same_bits_with_any_number_of_threads():
    found = []
    for threads in (1, 2):
        with num_threads(threads):
            fastnn.manual_seed(0)
            net = Hopfield(300)
            net.learn(fastnn.from_numpy(signs(60, 300)).float())
            found.append(net.recall(fastnn.from_numpy(signs(70, 300, seed=1)).float())[0].numpy())
    np.testing.assert_array_equal(*found)


def test_bad_input():
    net = Hopfield(3)
    with pytest.raises(ValueError, match=r"-1 or 1, found 0\.5 in row 1, column 2"):
        net.learn(fastnn.tensor([[1.0, 1.0, 1.0], [1.0, -1.0, 0.5]]))
    with pytest.raises(ValueError, match=r"found nan in row 0, column 1"):
        net.recall(fastnn.tensor([[1.0, float("nan"), 1.0]]))
    with pytest.raises(ValueError, match=r"must have the shape \(N, 3\), got \(2, 4\)"):
        net.recall(fastnn.ones(2, 4))
    with pytest.raises(ValueError, match=r"must have the shape \(N, 3\), got \(3,\)"):
        net(fastnn.ones(3))
    with pytest.raises(ValueError, match="empty"):
        net.learn(fastnn.zeros(0, 3))
    with pytest.raises(ValueError, match="rule must be one of hebb, projection, got 'storkey'"):
        Hopfield(3, "storkey")
    with pytest.raises(ValueError, match="2 units or more, got 1"):
        Hopfield(1)
