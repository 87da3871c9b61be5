"""Initialisation: the distributions, not the numbers, are PyTorch's."""

import math

import numpy as np
import pytest

import fastnn
from fastnn import nn
from fastnn.nn import init

SHAPE = (64, 32, 3, 3)
FAN_IN, FAN_OUT = 32 * 9, 64 * 9


def values(tensor):
    return np.asarray(tensor.detach())


def assert_uniform(tensor, bound):
    x = values(tensor).astype(np.float64)
    assert abs(x).max() <= bound * (1 + 1e-6)
    assert abs(x).max() > 0.98 * bound
    n = math.sqrt(x.size)
    assert abs(x.mean()) < 5 * bound / math.sqrt(3) / n
    assert abs(x.var() / (bound**2 / 3) - 1) < 5 / n


def assert_normal(tensor, std, mean=0.0):
    x = (values(tensor).astype(np.float64) - mean) / std
    n = math.sqrt(x.size)
    assert abs(x.mean()) < 5 / n
    assert abs(x.var() - 1) < 8 / n
    assert abs((x**4).mean() - 3) < 60 / n
    assert abs(x).max() > 3


def test_plain():
    x = fastnn.empty(64, 64)
    assert init.uniform_(x, -2.0, 2.0) is x
    assert_uniform(x, 2.0)
    assert_normal(init.normal_(x, 3.0, 0.5), 0.5, 3.0)
    assert values(init.constant_(x, 7)).min() == 7
    assert values(init.zeros_(x)).max() == 0
    assert values(init.ones_(x)).min() == 1


@pytest.mark.parametrize("gain", [1.0, 2.0])
def test_xavier(gain):
    x = fastnn.empty(SHAPE)
    bound = gain * math.sqrt(6 / (FAN_IN + FAN_OUT))
    assert_uniform(init.xavier_uniform_(x, gain), bound)
    assert_normal(init.xavier_normal_(x, gain), bound / math.sqrt(3))


@pytest.mark.parametrize("mode, fan", [("fan_in", FAN_IN), ("fan_out", FAN_OUT)])
@pytest.mark.parametrize(
    "options, gain",
    [
        ({}, math.sqrt(2)),
        ({"a": math.sqrt(5)}, math.sqrt(1 / 3)),
        ({"nonlinearity": "relu"}, math.sqrt(2)),
        ({"nonlinearity": "tanh"}, 5 / 3),
        ({"nonlinearity": "linear"}, 1),
    ],
)
def test_kaiming(mode, fan, options, gain):
    x = fastnn.empty(SHAPE)
    assert_uniform(init.kaiming_uniform_(x, mode=mode, **options), gain * math.sqrt(3 / fan))
    assert_normal(init.kaiming_normal_(x, mode=mode, **options), gain / math.sqrt(fan))


@pytest.mark.parametrize("shape", [(7, 7), (5, 40), (100, 70), (8, 3, 3, 3), (1, 1), (0, 3)])
@pytest.mark.parametrize("gain", [1, 1.5])
def test_orthogonal(shape, gain):
    x = fastnn.empty(shape)
    assert init.orthogonal_(x, gain) is x
    matrix = values(x).astype(np.float64).reshape(shape[0], math.prod(shape[1:]))
    short = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    np.testing.assert_allclose(short @ short.T, gain**2 * np.eye(len(short)), atol=1e-6)


def test_orthogonal_in_float64_is_exact_and_turned_at_random():
    matrices = []
    for seed in range(200):
        fastnn.manual_seed(seed)
        matrices.append(values(init.orthogonal_(fastnn.empty(3, 3, dtype=fastnn.float64))))
        np.testing.assert_allclose(matrices[-1] @ matrices[-1].T, np.eye(3), atol=1e-14)
    # of a matrix drawn evenly, every entry has mean 0 and square 1 / 3
    assert abs(np.mean(matrices, 0)).max() < 0.2
    assert abs(np.mean(np.square(matrices), 0) - 1 / 3).max() < 0.1


@pytest.mark.parametrize("sparsity, zeros", [(0.0, 0), (0.25, 10), (0.26, 11), (1.0, 40)])
def test_sparse(sparsity, zeros):
    x = values(init.sparse_(fastnn.empty(40, 30), sparsity, std=0.5))
    assert ((x == 0).sum(0) == zeros).all()
    if zeros < 40:
        assert abs(x[x != 0].std() - 0.5) < 0.05


def test_truncated_normal():
    x = values(init.trunc_normal_(fastnn.empty(300, 300), 1.0, 2.0, -1.0, 2.0))
    assert -1 <= x.min() < -0.99
    assert 1.99 < x.max() <= 2
    low, high = -1.0, 0.5  # in deviations
    density = [math.exp(-z * z / 2) / math.sqrt(2 * math.pi) for z in (low, high)]
    share = (math.erf(high / math.sqrt(2)) - math.erf(low / math.sqrt(2))) / 2
    assert x.mean() == pytest.approx(1 + 2 * (density[0] - density[1]) / share, abs=0.01)


def test_eye():
    assert values(init.eye_(fastnn.empty(2, 3))).tolist() == [[1, 0, 0], [0, 1, 0]]


def test_more_errors():
    for fill in (init.eye_, init.orthogonal_, lambda x: init.sparse_(x, 0.1)):
        with pytest.raises(ValueError, match=r"shape \(3,\)"):
            fill(fastnn.empty(3))
    with pytest.raises(ValueError, match=r"from 0 to 1, got 1\.5"):
        init.sparse_(fastnn.empty(2, 2), 1.5)
    with pytest.raises(ValueError, match=r"\[9, 10\]"):
        init.trunc_normal_(fastnn.empty(2), a=9, b=10)


def test_calculate_gain():
    assert init.calculate_gain("leaky_relu", 0.2) == math.sqrt(2 / 1.04)
    assert init.calculate_gain("leaky_relu") == math.sqrt(2 / 1.0001)
    assert init.calculate_gain("selu") == 0.75
    assert init.calculate_gain("conv2d") == init.calculate_gain("sigmoid") == 1


def test_errors():
    with pytest.raises(ValueError, match="Unsupported nonlinearity swish"):
        init.calculate_gain("swish")
    with pytest.raises(ValueError, match="negative_slope x not a valid number"):
        init.calculate_gain("leaky_relu", "x")
    with pytest.raises(ValueError, match=r"fewer than 2 dimensions, got shape \(3,\)"):
        init.xavier_uniform_(fastnn.empty(3))
    with pytest.raises(ValueError, match="Mode fan_up not supported"):
        init.kaiming_normal_(fastnn.empty(3, 3), mode="fan_up")


def test_parameters_are_filled_without_the_graph():
    p = nn.Parameter(fastnn.empty(4, 4))
    init.zeros_(p)
    init.xavier_uniform_(p)
    assert p.is_leaf
    assert p.requires_grad


def test_seed_decides():
    fastnn.manual_seed(4)
    first = values(nn.Linear(5, 7).weight).copy()
    second = values(nn.Linear(5, 7).weight).copy()
    fastnn.manual_seed(4)
    assert np.array_equal(values(nn.Linear(5, 7).weight), first)
    assert not np.array_equal(first, second)
    generator = fastnn.Generator().manual_seed(1)
    assert_normal(init.normal_(fastnn.empty(64, 64), generator=generator), 1)


def test_layers_begin_as_torch_s():
    layer = nn.Linear(300, 4000)
    assert_uniform(layer.weight, 1 / math.sqrt(300))
    assert_uniform(layer.bias, 1 / math.sqrt(300))
    layer = nn.Conv2d(32, 64, (3, 5), groups=4)
    assert_uniform(layer.weight, 1 / math.sqrt(8 * 15))
    assert abs(values(layer.bias)).max() <= 1 / math.sqrt(8 * 15)
    layer = nn.LSTM(40, 64)
    for parameter in layer.parameters():
        assert_uniform(parameter, 1 / 8)
    assert values(nn.PReLU(3).weight).tolist() == [0.25] * 3
