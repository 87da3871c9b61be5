"""nn.utils.fuse_*: what folding batch norm into weights refuses and keeps."""

import numpy as np
import pytest

import fastnn
from fastnn import nn
from fastnn.nn.utils import (
    fuse_conv_bn_eval,
    fuse_conv_bn_weights,
    fuse_linear_bn_eval,
    fuse_linear_bn_weights,
)


def test_groups_of_a_transposed_convolution():
    fastnn.manual_seed(0)
    conv = nn.ConvTranspose2d(6, 8, 3, groups=2, stride=2, dtype=fastnn.float64).eval()
    bn = nn.BatchNorm2d(8, dtype=fastnn.float64).eval()
    bn.running_mean = fastnn.randn(8, dtype=fastnn.float64)
    bn.running_var = fastnn.rand(8, dtype=fastnn.float64) + 0.5
    x = fastnn.randn(2, 6, 5, 4, dtype=fastnn.float64)
    y = fuse_conv_bn_eval(conv, bn, transpose=True)(x).detach().numpy()
    np.testing.assert_allclose(y, bn(conv(x)).detach().numpy(), rtol=1e-12, atol=1e-13)


def test_frozen_layers_stay_frozen():
    conv, bn = nn.Conv2d(3, 8, 3).eval().requires_grad_(False), nn.BatchNorm2d(8).eval()
    fused = fuse_conv_bn_eval(conv, bn)
    assert not fused.weight.requires_grad and not fused.bias.requires_grad
    assert not fused.training and type(fused) is nn.Conv2d


def test_what_is_refused():
    conv, linear = nn.Conv2d(3, 8, 3).eval(), nn.Linear(3, 8).eval()
    bn = nn.BatchNorm2d(8).eval()
    with pytest.raises(ValueError, match=r"eval\(\) first"):
        fuse_conv_bn_eval(conv, nn.BatchNorm2d(8))
    with pytest.raises(ValueError, match="7 channels"):
        fuse_conv_bn_eval(conv, nn.BatchNorm2d(7).eval())
    with pytest.raises(ValueError, match="7 channels"):
        fuse_linear_bn_eval(linear, nn.BatchNorm1d(7).eval())
    with pytest.raises(ValueError, match="running statistics"):
        fuse_conv_bn_eval(conv, nn.BatchNorm2d(8, track_running_stats=False).eval())
    with pytest.raises(TypeError, match="BatchNorm, got ReLU"):
        fuse_linear_bn_eval(linear, nn.ReLU().eval())
    with pytest.raises(TypeError, match="transposed convolution, got Conv2d"):
        fuse_conv_bn_eval(conv, bn, transpose=True)
    with pytest.raises(TypeError, match="Linear, got Conv2d"):
        fuse_linear_bn_eval(conv, bn)


def test_weights_alone():
    w, ones = fastnn.randn(8, 3, 1), fastnn.ones(8)
    for fuse, weight in ((fuse_conv_bn_weights, w), (fuse_linear_bn_weights, w[:, :, 0])):
        found, bias = fuse(weight, ones, ones * 3, ones, 0.0, ones * 2, ones)
        np.testing.assert_allclose(found.detach().numpy(), 2 * weight.numpy(), rtol=1e-6)
        assert bias.tolist() == [-3.0] * 8
