"""The multilayer perceptron beside NumPy."""

import numpy as np
import pytest

import fastnn
from fastnn import nn
from fastnn.models import MLP


def test_matrix_form():
    fastnn.manual_seed(0)
    net = MLP([5, 7, 4, 3], nn.Sigmoid)
    x = np.random.default_rng(0).standard_normal((6, 5)).astype(np.float32)
    h = x.astype(np.float64)
    for k, layer in enumerate(net.linear_layers()):
        h = h @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
        if k < 2:
            h = 1 / (1 + np.exp(-h))
    np.testing.assert_allclose(net(fastnn.from_numpy(x)).detach().numpy(), h, rtol=1e-5, atol=1e-6)


def test_what_it_is_made_of():
    net = MLP([5, 7, 3], nn.ELU, dropout=0.5)
    assert [type(layer).__name__ for layer in net.layers] == ["Linear", "ELU", "Dropout", "Linear"]
    assert sum(p.numel() for p in net.parameters()) == 5 * 7 + 7 + 7 * 3 + 3
    filled = MLP([5, 7, 3], initialise=nn.init.eye_)
    assert filled.linear_layers()[1].weight.tolist() == np.eye(3, 7).tolist()
    assert filled.linear_layers()[0].bias.tolist() == [0] * 7


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match=r"two or more sizes, .* got \[4\]"):
        MLP([4])
    with pytest.raises(ValueError, match=r"\(N, 4\), got \(2, 3\)"):
        MLP([4, 2])(fastnn.zeros(2, 3))
