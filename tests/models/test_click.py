"""Click-through models: formulas by NumPy in float64, bad input, sparse gradients, training."""

from itertools import combinations

import numpy as np
import pytest

import fastnn
from fastnn import nn, optim
from fastnn.models import fit, predict
from fastnn.models.click import (
    DeepFM,
    FactorisationMachine,
    Fields,
    LogisticRegression,
    WideAndDeep,
)
from fastnn.nn.functional import binary_cross_entropy_with_logits
from fastnn.testing import num_threads

SIZES = [3, 1, 5]
MODELS = [LogisticRegression, FactorisationMachine, WideAndDeep, DeepFM]


def rows(n=7, seed=0):
    """numbers (n, 2) float64, categories (n, 3)"""
    rng = np.random.default_rng(seed)
    codes = np.stack([rng.integers(0, size, n) for size in SIZES], 1)
    return rng.standard_normal((n, 2)), codes


def randomised(model, seed=1):
    """The model in float64 with all parameters drawn, those that begin at 0 too."""
    rng = np.random.default_rng(seed)
    model = model.double().eval()
    with fastnn.no_grad():
        for p in model.parameters():
            p.copy_(fastnn.tensor(rng.standard_normal(p.shape)))
    return model


def parameters(model):
    return {name: p.detach().numpy() for name, p in model.named_parameters()}


def linear_reference(p, numbers, codes):
    place = codes + np.cumsum([0, *SIZES[:-1]])
    return numbers @ p["linear.weight"][0] + p["linear.bias"] + p["weights.weight"][place, 0].sum(1)


def pairs_reference(p, numbers, codes):
    """The sum over all pairs, one by one."""
    place = codes + np.cumsum([0, *SIZES[:-1]])
    y = np.zeros(len(numbers))
    for k in range(len(numbers)):
        features = [p["vectors.weight"][j] for j in place[k]]
        features += [x * v for x, v in zip(numbers[k], p["number_vectors"].T, strict=True)]
        y[k] = sum(a @ b for a, b in combinations(features, 2))
    return y


def deep_reference(p, numbers, codes, layers):
    place = codes + np.cumsum([0, *SIZES[:-1]])
    x = np.concatenate([numbers, p["vectors.weight"][place].reshape(len(numbers), -1)], 1)
    for k in range(layers):
        x = x @ p[f"deep.layers.{2 * k}.weight"].T + p[f"deep.layers.{2 * k}.bias"]
        x = np.maximum(x, 0) if k < layers - 1 else x
    return x[:, 0]


def check(model, expected):
    numbers, codes = rows()
    found = model(fastnn.tensor(numbers), fastnn.tensor(codes))
    assert found.shape == (7,)
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-10, atol=1e-11)


def test_logistic_regression():
    model = randomised(LogisticRegression(2, SIZES))
    check(model, linear_reference(parameters(model), *rows()))


def test_factorisation_machine_is_the_sum_over_all_pairs():
    model = randomised(FactorisationMachine(2, SIZES, factors=4))
    p = parameters(model)
    check(model, linear_reference(p, *rows()) + pairs_reference(p, *rows()))


def test_deep_fm_shares_its_vectors():
    model = randomised(DeepFM(2, SIZES, factors=4, hidden=(6, 5)))
    p = parameters(model)
    expected = linear_reference(p, *rows()) + pairs_reference(p, *rows())
    check(model, expected + deep_reference(p, *rows(), 3))


def test_wide_and_deep_with_a_cross():
    model = randomised(WideAndDeep(2, SIZES, factors=4, hidden=(6,), crosses=[(0, 2), (2, 1)]))
    p, (numbers, codes) = parameters(model), rows()
    expected = linear_reference(p, numbers, codes) + deep_reference(p, numbers, codes, 2)
    cross = p["cross_weights.weight"][:, 0]
    assert len(cross) == 3 * 5 + 5 * 1
    expected += cross[codes[:, 0] * 5 + codes[:, 2]] + cross[15 + codes[:, 2] + codes[:, 1]]
    check(model, expected)


def test_without_numbers():
    model = FactorisationMachine(0, SIZES)
    y = model(fastnn.zeros(4, 0), fastnn.zeros(4, 3, dtype=fastnn.int64))
    y.sum().backward()
    assert y.shape == (4,) and model.vectors.weight.grad.shape == (9, 8)


def test_fields_lie_one_below_the_other():
    assert Fields(SIZES)(fastnn.tensor([[0, 0, 0], [2, 0, 4]])).tolist() == [[0, 3, 4], [2, 3, 8]]


@pytest.mark.parametrize("kind", MODELS)
def test_gradients_reach_all_parameters(kind):
    model = randomised(kind(2, SIZES)).train()
    numbers, codes = map(fastnn.tensor, rows(40))
    model(numbers, codes).square().sum().backward()
    for name, p in model.named_parameters():
        assert p.grad is not None and p.grad.abs().sum().item() > 0, name


@pytest.mark.parametrize("kind", MODELS)
def test_sparse_gradients_are_the_dense_ones(kind):
    numbers, codes = map(fastnn.tensor, rows())
    found = []
    for sparse in (False, True):
        model = randomised(kind(2, SIZES, sparse=sparse))
        optimizer = optim.Adagrad(model.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            model(numbers, codes).sigmoid().sum().backward()
            optimizer.step()
        found.append(parameters(model))
        grad = model.weights.weight.grad
        assert type(grad).__name__ == ("SparseRows" if sparse else "Tensor")
    for name, expected in found[0].items():
        np.testing.assert_allclose(found[1][name], expected, rtol=1e-9, atol=1e-12, err_msg=name)


def test_tables_learn_by_sparse_adam():
    model = FactorisationMachine(2, SIZES, sparse=True)
    tables = [model.weights.weight, model.vectors.weight]
    optimizer = optim.SparseAdam(tables, lr=0.1)
    model(fastnn.zeros(2, 2), fastnn.tensor([[1, 0, 2], [1, 0, 3]])).sum().backward()
    optimizer.step()
    changed = [k for k, w in enumerate(model.weights.weight.flatten().tolist()) if w]
    assert changed == [1, 3, 6, 7]


# --- bad input ---


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize(
    "row, field, code, message",
    [
        (2, 0, 3, "row 2, field 0: the field has the codes 0 to 2, found 3"),
        (1, 1, -1, "row 1, field 1: the field has the codes 0 to 0, found -1"),
    ],
)
def test_an_unknown_code_is_named(kind, row, field, code, message):
    numbers, codes = rows()
    codes[row, field] = code
    with pytest.raises(ValueError, match=message):
        kind(2, SIZES)(fastnn.tensor(numbers).float(), fastnn.tensor(codes))


def test_nan_is_named_by_row_and_column():
    numbers, codes = rows()
    numbers[4, 1] = np.nan
    with pytest.raises(ValueError, match=r"the numbers must be finite.*nan in row 4, column 1"):
        DeepFM(2, SIZES)(fastnn.tensor(numbers).float(), fastnn.tensor(codes))


def test_wrong_shapes_are_named():
    model = LogisticRegression(2, SIZES)
    numbers, codes = rows()
    numbers, codes = fastnn.tensor(numbers).float(), fastnn.tensor(codes)
    with pytest.raises(ValueError, match=r"the numbers must have the shape \(N, 2\), got \(7, 1\)"):
        model(numbers[:, :1], codes)
    with pytest.raises(ValueError, match=r"categories must have the shape \(N, 3\), got \(7, 2\)"):
        model(numbers, codes[:, :2])
    with pytest.raises(ValueError, match="one length, got 7 and 6 rows"):
        model(numbers, codes[:6])
    with pytest.raises(ValueError, match=r"whole numbers, got fastnn.float32"):
        model(numbers, codes.float())
    with pytest.raises(ValueError, match=r"one code or more each, got the sizes \[3, 0\]"):
        LogisticRegression(2, [3, 0])


# --- training ---


def pair_data(n=600):
    """Clicks that only the pair of two categories tells."""
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 4, (n, 2))
    y = (codes.sum(1) % 2).astype(np.float32)
    return fastnn.zeros(n, 1), fastnn.tensor(codes), fastnn.tensor(y)


def trained(kind, **options):
    fastnn.manual_seed(0)
    model = kind(1, [4, 4], **options)
    if hasattr(model, "vectors"):
        nn.init.normal_(model.vectors.weight, std=0.3)
    fit(model, pair_data(), binary_cross_entropy_with_logits, epochs=25, batch_size=50, lr=0.03)
    return model


@pytest.mark.parametrize("kind", MODELS)
def test_pairs_are_learned_by_all_but_logistic_regression(kind):
    numbers, codes, y = pair_data()
    right = ((predict(trained(kind), numbers, codes) > 0).float() == y).double().mean().item()
    assert right < 0.7 if kind is LogisticRegression else right > 0.99


def test_same_bits_for_same_seed_and_any_number_of_threads():
    with num_threads(1):
        first, again = parameters(trained(DeepFM)), parameters(trained(DeepFM))
    with num_threads(2):
        second = parameters(trained(DeepFM))
    for name, expected in first.items():
        np.testing.assert_array_equal(again[name], expected)
        np.testing.assert_array_equal(second[name], expected)
