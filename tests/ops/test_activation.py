"""Activations where the generic tests do not reach: kinks, infinities, in place, errors."""

import numpy as np
import pytest

import fastnn
from fastnn.nn import functional as F
from fastnn.testing import levels, using_isa

INF = float("inf")
KINKS = [
    (F.relu6, [0.0, 6.0, 3.0], [0.0, 0.0, 1.0]),
    (F.hardtanh, [-1.0, 1.0, 0.0], [0.0, 0.0, 1.0]),
    (F.hardsigmoid, [-3.0, 3.0], [0.0, 0.0]),
    (F.hardswish, [-3.0, 3.0, 4.0, -4.0, 0.0], [0.0, 1.0, 1.0, 0.0, 0.5]),
    (F.softshrink, [-0.5, 0.5, 0.0, 0.75], [0.0, 0.0, 0.0, 1.0]),
    (F.hardshrink, [-0.5, 0.5, 0.0, 0.75], [0.0, 0.0, 0.0, 1.0]),
    (lambda x: F.threshold(x, 1.0, 9.0), [1.0, 1.5], [0.0, 1.0]),
    (F.celu, [0.0], [1.0]),
    (F.softsign, [0.0], [1.0]),
    (F.logsigmoid, [0.0], [0.5]),
    (F.tanhshrink, [0.0], [0.0]),
]
ENDS = [  # at -inf and inf
    (F.relu6, 0.0, 6.0),
    (F.hardtanh, -1.0, 1.0),
    (F.hardsigmoid, 0.0, 1.0),
    (F.hardswish, np.nan, INF),
    (F.selu, np.float32(-1.7580993), INF),
    (F.celu, -1.0, INF),
    (F.softsign, np.nan, np.nan),
    (F.logsigmoid, -INF, 0.0),
    (F.tanhshrink, -INF, INF),
    (F.softshrink, -INF, INF),
    (F.hardshrink, -INF, INF),
    (lambda x: F.threshold(x, 0.0, -2.0), -2.0, INF),
    (lambda x: F.rrelu(x, 0.5, 0.5, training=True), -INF, INF),
]
INPLACE = [
    F.relu, F.relu6, F.hardtanh, F.hardsigmoid, F.hardswish, F.leaky_relu, F.elu, F.selu, F.celu,
    F.silu, F.mish, F.rrelu, lambda x, inplace=False: F.threshold(x, 0.2, 3.0, inplace),
]  # fmt: skip


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize(("function", "points", "slopes"), KINKS)
def test_gradients_at_kinks(function, points, slopes, level):
    with using_isa(level):
        x = fastnn.tensor(points * 7, requires_grad=True)
        function(x).sum().backward()
    assert x.grad.tolist() == slopes * 7


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize(("function", "low", "high"), ENDS)
def test_infinities_and_nan(function, low, high, level):
    with using_isa(level):
        y = function(fastnn.tensor([-INF, INF, float("nan")] * 7)).numpy()
    np.testing.assert_array_equal(y, [low, high, np.nan] * 7)


@pytest.mark.parametrize("function", INPLACE)
def test_in_place_has_the_same_gradient(function):
    numbers = np.linspace(-2.0, 2.0, 40)
    gradients = []
    for inplace in (False, True):
        leaf = fastnn.tensor(numbers, requires_grad=True)
        x = leaf * 2.5
        y = function(x, inplace=inplace)
        assert (y is x) is inplace
        (y * y).sum().backward()
        gradients.append(leaf.grad.tolist())
    assert gradients[0] == gradients[1]
    with pytest.raises(RuntimeError, match="leaf"):
        function(leaf, inplace=True)


@pytest.mark.parametrize(
    "name", ["relu_", "leaky_relu_", "elu_", "selu_", "celu_", "hardtanh_", "rrelu_"]
)
def test_functions_that_write_in_place(name):
    x = fastnn.tensor([-1.0, 0.5])
    expected = getattr(F, name[:-1])(x).tolist()
    assert getattr(F, name)(x) is x
    assert x.tolist() == expected


def test_threshold_in_place():
    x = fastnn.tensor([-1.0, 0.5])
    assert F.threshold_(x, 0.0, 7.0) is x
    assert x.tolist() == [7.0, 0.5]


def test_glu_of_other_layouts_and_gradient():
    a = np.random.default_rng(0).standard_normal((4, 6, 5, 3)).transpose(0, 3, 2, 1)
    for dim in (0, 3):
        x = fastnn.from_numpy(a).requires_grad_()
        F.glu(x, dim).sum().backward()
        value, gate = np.split(a, 2, dim)
        s = 1 / (1 + np.exp(-gate))
        expected = np.concatenate([s, value * s * (1 - s)], dim)
        np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-12)


def test_rrelu_draws_slopes_and_draws_them_again():
    numbers = np.concatenate([-np.ones(50_000), np.ones(1000)]).astype(np.float32)
    x = fastnn.from_numpy(numbers).requires_grad_()
    y = F.rrelu(x, 0.25, 0.75, training=True)
    y.backward(fastnn.ones(len(numbers)))
    slopes = -y.detach().numpy()[:50_000]
    assert slopes.min() >= 0.25 and slopes.max() < 0.75
    assert abs(slopes.mean() - 0.5) < 0.01 and abs(slopes.std() - 0.5 / 12**0.5) < 0.01
    np.testing.assert_array_equal(x.grad.numpy()[:50_000], slopes)
    assert set(y.tolist()[50_000:]) == {1.0} == set(x.grad.tolist()[50_000:])
    assert not np.array_equal(F.rrelu(x, 0.25, 0.75, True).detach().numpy()[:50_000], -slopes)


def test_errors_name_what_is_wrong():
    x = fastnn.tensor([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"dimension 0.*\(3,\) is odd"):
        F.glu(x)
    with pytest.raises(ValueError, match=r"shape \(\) has none"):
        F.glu(fastnn.tensor(1.0))
    with pytest.raises(IndexError, match="got 1"):
        F.glu(x, 1)
    with pytest.raises(ValueError, match=r"got 2 and 1"):
        F.hardtanh(x, 2, 1)
    with pytest.raises(ValueError, match=r"got -0\.5"):
        F.softshrink(x, -0.5)
    with pytest.raises(ValueError, match="alpha"):
        F.celu(x, 0)
    with pytest.raises(ValueError, match=r"got 0\.5 and 0\.25"):
        F.rrelu(x, 0.5, 0.25)
    for function in (F.relu6, F.hardswish, F.selu, F.softsign, F.logsigmoid, F.rrelu, F.glu):
        with pytest.raises(TypeError, match="int64"):
            function(fastnn.tensor([1, 2]))
