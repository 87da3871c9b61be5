"""Restricted Boltzmann machines against sums over all states in NumPy, double precision."""

import itertools

import numpy as np
import pytest

import fastnn
from fastnn.models.partition import ais_log_z, all_states, exact_log_z, log_likelihood
from fastnn.models.rbm import RBM, ContrastiveDivergence, GaussianRBM, train_rbm
from fastnn.nn import init
from fastnn.testing import num_threads

VISIBLE, HIDDEN = 6, 4


def random_rbm(kind=RBM, visible=VISIBLE, hidden=HIDDEN, scale=1.0):
    fastnn.manual_seed(0)
    rbm = kind(visible, hidden).double()
    with fastnn.no_grad():
        for parameter in rbm.parameters():
            init.normal_(parameter, 0.0, scale)
    return rbm


def numbers(rbm):
    return [x.detach().numpy() for x in (rbm.weight, rbm.visible_bias, rbm.hidden_bias)]


def states(units):
    return np.array(list(itertools.product([0.0, 1.0], repeat=units)))


def joint(rbm):
    """exp(-E(v, h)) for all v in rows and all h in columns."""
    w, b, c = numbers(rbm)
    v, h = states(rbm.visible), states(rbm.hidden)
    return np.exp((v @ b)[:, None] + (h @ c)[None] + v @ w.T @ h.T)


def stripes(n, side=4, seed=0):
    """Images of side * side pixels whose rows are each all 0 or all 1."""
    rows = np.random.default_rng(seed).integers(0, 2, (n, side, 1))
    return fastnn.from_numpy(np.tile(rows, (1, 1, side)).reshape(n, -1).astype(np.float32))


def test_free_energy_sums_over_hidden_states():
    rbm = random_rbm()
    found = rbm(fastnn.from_numpy(states(VISIBLE))).detach().numpy()
    np.testing.assert_allclose(found, -np.log(joint(rbm).sum(1)), atol=1e-12)


def test_conditional_means():
    rbm = random_rbm()
    table, v, h = joint(rbm), states(VISIBLE), states(HIDDEN)
    hidden = table @ h / table.sum(1, keepdims=True)
    visible = table.T @ v / table.sum(0)[:, None]
    with fastnn.no_grad():
        np.testing.assert_allclose(rbm.hidden_mean(fastnn.from_numpy(v)).numpy(), hidden)
        np.testing.assert_allclose(rbm.visible_mean(fastnn.from_numpy(h)).numpy(), visible)


def test_gaussian_free_energy_is_the_integral():
    rbm = random_rbm(GaussianRBM, 3, 1)
    w, b, c = numbers(rbm)
    h = np.linspace(-12, 12, 20001)
    density = [np.exp(v @ b - (h - c) ** 2 / 2 + h * (w @ v)) for v in states(3)]
    integral = np.sum(density, axis=1) * (h[1] - h[0])
    found = rbm(fastnn.from_numpy(states(3))).detach().numpy()
    np.testing.assert_allclose(found, -np.log(integral) + np.log(2 * np.pi) / 2, atol=1e-9)


def test_gaussian_hidden_units_have_deviation_1():
    rbm = random_rbm(GaussianRBM, 3, 2)
    v = fastnn.ones(1, 3).double().expand(20000, 3)
    with fastnn.no_grad():
        h, mean = rbm.sample_hidden(v).numpy(), rbm.hidden_mean(v).numpy()
    w, _, c = numbers(rbm)
    np.testing.assert_allclose(mean[0], c + w.sum(1))
    np.testing.assert_allclose(h.mean(0), mean[0], atol=0.03)
    np.testing.assert_allclose(h.std(0), 1, atol=0.03)


@pytest.mark.parametrize("kind", [RBM, GaussianRBM])
def test_gradient_is_that_of_contrastive_divergence(kind):
    rbm = random_rbm(kind)
    v = fastnn.from_numpy(states(VISIBLE)[5:25])
    loss = ContrastiveDivergence(rbm, steps=2)
    fastnn.manual_seed(1)
    loss(rbm(v), v).backward()
    fastnn.manual_seed(1)
    samples = rbm.gibbs(v, 2)
    with fastnn.no_grad():
        pairs = [(x.numpy(), rbm.hidden_mean(x).numpy()) for x in (v, samples)]
    (v0, h0), (v1, h1) = pairs
    weight = (h1.T @ v1 - h0.T @ v0) / len(v0)
    np.testing.assert_allclose(rbm.weight.grad.numpy(), weight, atol=1e-12)
    np.testing.assert_allclose(rbm.visible_bias.grad.numpy(), v1.mean(0) - v0.mean(0), atol=1e-12)
    np.testing.assert_allclose(rbm.hidden_bias.grad.numpy(), h1.mean(0) - h0.mean(0), atol=1e-12)


def test_gibbs_sampling_reaches_the_distribution():
    rbm = random_rbm(visible=3, hidden=2)
    expected = joint(rbm).sum(1) / joint(rbm).sum()
    v = rbm.gibbs(fastnn.zeros(5000, 3).double(), 30).numpy()
    found = np.bincount((v @ [4, 2, 1]).astype(int), minlength=8) / len(v)
    np.testing.assert_allclose(found, expected, atol=0.03)


def test_persistent_chains_go_on():
    rbm = random_rbm()
    start = fastnn.zeros(5, VISIBLE).double()
    loss = ContrastiveDivergence(rbm, 1, start)
    v = fastnn.ones(9, VISIBLE).double()
    fastnn.manual_seed(2)
    loss(rbm(v), v)
    first = loss.chains
    fastnn.manual_seed(2)
    assert (first == rbm.gibbs(start)).all()
    loss(rbm(v), v)
    assert loss.chains is not first and loss.chains.shape == (5, VISIBLE)


@pytest.mark.parametrize("sizes", [(VISIBLE, HIDDEN), (HIDDEN, VISIBLE)])
def test_exact_log_z(sizes):
    rbm = random_rbm(RBM, *sizes)
    assert exact_log_z(rbm) == pytest.approx(np.log(joint(rbm).sum()), abs=1e-12)
    np.testing.assert_array_equal(
        np.sort(all_states(5).numpy() @ 2.0 ** np.arange(5)), np.arange(32)
    )


def test_log_likelihoods_are_those_of_probabilities():
    rbm = random_rbm()
    log_z = exact_log_z(rbm)
    v = fastnn.from_numpy(states(VISIBLE))
    each = [log_likelihood(rbm, v[k : k + 1], log_z) for k in range(len(v))]
    assert np.exp(each).sum() == pytest.approx(1)


def test_ais_finds_log_z():
    rbm = random_rbm(visible=20, hidden=8, scale=0.7)
    v = rbm.gibbs(fastnn.zeros(200, 20).double(), 20)
    estimate, error = ais_log_z(rbm, v, chains=200, temperatures=500)
    assert 0 < error < 0.1
    assert abs(estimate - exact_log_z(rbm)) < 4 * error


def test_ais_is_exact_without_weights():
    rbm = random_rbm()
    with fastnn.no_grad():
        init.zeros_(rbm.weight)
        v = rbm.gibbs(fastnn.zeros(2000, VISIBLE).double(), 1)
    estimate, _ = ais_log_z(rbm, v, chains=50, temperatures=200)
    assert estimate == pytest.approx(exact_log_z(rbm), abs=0.02)


@pytest.mark.parametrize("options", [{}, {"steps": 3}, {"persistent": True, "lr": 0.03}])
def test_training_raises_the_likelihood(options):
    fastnn.manual_seed(0)
    v, rbm = stripes(500), RBM(16, 8)
    before = log_likelihood(rbm, v, exact_log_z(rbm))
    history = train_rbm(rbm, v, epochs=40, batch_size=20, **options)
    after = log_likelihood(rbm, v, exact_log_z(rbm))
    assert before == pytest.approx(-16 * np.log(2), abs=0.1)
    assert -6 < after < -2.7  # 16 images, equally likely: -2.77
    assert len(history.losses) == 40 and history.samples == 40 * 500


def test_weights_decay_and_biases_do_not():
    rbm = RBM(4, 2)
    v = fastnn.full((10, 4), 0.5)
    init.ones_(rbm.weight)
    init.ones_(rbm.hidden_bias)
    rbm.gibbs = lambda v, steps: v  # no gradient but that of the decay
    train_rbm(rbm, v, epochs=1, lr=0.5, weight_decay=0.1, momentum=(0, 0))
    np.testing.assert_allclose(rbm.weight.detach().numpy(), 0.95, rtol=1e-6)
    np.testing.assert_allclose(rbm.hidden_bias.detach().numpy(), 1.0)


def test_same_bits_with_any_number_of_threads():
    found = []
    for threads in (1, 2):
        with num_threads(threads):
            fastnn.manual_seed(0)
            rbm = RBM(16, 64)
            train_rbm(rbm, stripes(300), epochs=2)
            found.append(rbm.weight.detach().numpy())
    np.testing.assert_array_equal(*found)


def test_bad_input():
    rbm = RBM(3, 2)
    with pytest.raises(ValueError, match=r"from 0 to 1, found -2\.0 in row 1, column 0"):
        train_rbm(rbm, fastnn.tensor([[0.0, 1.0, 1.0], [-2.0, 0.0, 0.0]]), epochs=1)
    with pytest.raises(ValueError, match=r"finite numbers, found nan in row 0, column 1"):
        train_rbm(rbm, fastnn.tensor([[0.0, float("nan"), 1.0]]), epochs=1)
    with pytest.raises(ValueError, match=r"must have the shape \(N, 3\), got \(5, 4\)"):
        train_rbm(rbm, fastnn.zeros(5, 4), epochs=1)
    with pytest.raises(ValueError, match=r"must have the shape \(N, 3\), got \(3,\)"):
        rbm(fastnn.zeros(3))
    with pytest.raises(ValueError, match="empty"):
        train_rbm(rbm, fastnn.zeros(0, 3), epochs=1)
    with pytest.raises(ValueError, match="units in both layers, got 3 and 0"):
        RBM(3, 0)
    with pytest.raises(ValueError, match="a step or more, got 0"):
        ContrastiveDivergence(rbm, 0)
    with pytest.raises(ValueError, match="at most 20 units in the smaller layer, got 21"):
        exact_log_z(RBM(30, 21))
