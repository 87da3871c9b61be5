"""Normalisation layers and the embedding, by NumPy float64 references."""

import numpy as np
import pytest

import fastnn
from fastnn import nn
from tests.nn.arrays import IMAGES, ROWS, close, tensor, values


@pytest.mark.parametrize("x, kind", [(IMAGES, nn.BatchNorm2d), (ROWS, nn.BatchNorm1d)])
def test_batch_norm(x, kind):
    C, axes = x.shape[1], (0, *range(2, x.ndim))
    shape = (1, C) + (1,) * (x.ndim - 2)
    layer = kind(C, eps=1e-3, momentum=0.2).double()
    with fastnn.no_grad():
        layer.weight.copy_(tensor(np.arange(1, C + 1)))
        layer.bias.copy_(tensor(np.arange(C)))
    weight, bias = np.arange(1, C + 1).reshape(shape), np.arange(C).reshape(shape)
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    close(layer(tensor(x)), (x - mean) / np.sqrt(var + 1e-3) * weight + bias)
    n = x.size // C
    close(layer.running_mean, 0.2 * mean.ravel())
    close(layer.running_var, 0.8 + 0.2 * var.ravel() * n / (n - 1))
    assert layer.num_batches_tracked.item() == 1
    layer.eval()
    mean, var = (values(b).reshape(shape) for b in (layer.running_mean, layer.running_var))
    close(layer(tensor(x)), (x - mean) / np.sqrt(var + 1e-3) * weight + bias)
    assert layer.num_batches_tracked.item() == 1


def test_batch_norm_options():
    layer = nn.BatchNorm2d(4, momentum=None).double()  # the mean of all batches
    layer(tensor(IMAGES))
    layer(tensor(IMAGES + 2))
    close(layer.running_mean, IMAGES.mean(axis=(0, 2, 3)) + 1)
    layer = nn.BatchNorm2d(4, affine=False, track_running_stats=False).double().eval()
    assert list(layer.state_dict()) == []
    close(layer(tensor(IMAGES)).mean((0, 2, 3)), np.zeros(4))
    with pytest.raises(ValueError, match=r"BatchNorm2d expects 4-D input, got shape \(5, 8\)"):
        nn.BatchNorm2d(8)(fastnn.zeros(5, 8))
    assert list(nn.BatchNorm2d(4).state_dict()) == [
        "weight",
        "bias",
        "running_mean",
        "running_var",
        "num_batches_tracked",
    ]


def test_layer_norm():
    layer = nn.LayerNorm((7, 6)).double()
    mean, var = IMAGES.mean((2, 3), keepdims=True), IMAGES.var((2, 3), keepdims=True)
    close(layer(tensor(IMAGES)), (IMAGES - mean) / np.sqrt(var + 1e-5))
    assert nn.LayerNorm(8, bias=False).bias is None
    assert list(nn.LayerNorm(8, elementwise_affine=False).parameters()) == []


def test_embedding():
    table = nn.Embedding(10, 3, padding_idx=2)
    index = fastnn.tensor([[1, 2], [2, 9]])
    assert np.array_equal(values(table(index)), values(table.weight)[[[1, 2], [2, 9]]])
    table(index).sum().backward()
    assert values(table.weight.grad).sum(axis=1).tolist() == [0, 3, 0, 0, 0, 0, 0, 0, 0, 3]
    weight = fastnn.ones(4, 2)
    frozen = nn.Embedding.from_pretrained(weight)
    assert not frozen.weight.requires_grad
    assert frozen.weight.data_ptr() == weight.data_ptr()
    with pytest.raises(ValueError, match="within num_embeddings=4, got 4"):
        nn.Embedding(4, 2, padding_idx=4)


def test_initial_values():
    x = values(nn.Embedding(400, 30).weight)
    assert abs(x.mean()) < 0.05
    assert abs(x.std() - 1) < 0.05
    assert values(nn.Embedding(400, 30, padding_idx=-1).weight)[399].tolist() == [0.0] * 30
    layer = nn.BatchNorm2d(3)
    assert values(layer.weight).tolist() == values(layer.running_var).tolist() == [1.0] * 3
    assert values(layer.bias).tolist() == values(layer.running_mean).tolist() == [0.0] * 3
    layer = nn.LayerNorm((2, 3))
    assert values(layer.weight).tolist() == [[1.0] * 3] * 2


REPRS = [
    (
        lambda: nn.BatchNorm2d(3),
        "BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)",
    ),
    (lambda: nn.LayerNorm(3), "LayerNorm((3,), eps=1e-05, elementwise_affine=True, bias=True)"),
    (lambda: nn.Embedding(10, 3, -1), "Embedding(10, 3, padding_idx=9)"),
]


@pytest.mark.parametrize("make, text", REPRS)
def test_reprs(make, text):
    assert repr(make()) == text


def test_instance_norm():
    layer = nn.InstanceNorm2d(4, affine=True, track_running_stats=True).double()
    assert [name for name, _ in layer.named_buffers()] == [
        "running_mean",
        "running_var",
        "num_batches_tracked",
    ]
    mean, var = IMAGES.mean((2, 3), keepdims=True), IMAGES.var((2, 3), keepdims=True)
    close(layer(tensor(IMAGES)), (IMAGES - mean) / np.sqrt(var + 1e-5))
    close(layer.running_mean, 0.1 * mean.mean(0).ravel())
    layer.eval()
    m, v = (values(b).reshape(4, 1, 1) for b in (layer.running_mean, layer.running_var))
    close(layer(tensor(IMAGES)), (IMAGES - m) / np.sqrt(v + 1e-5))
    plain = nn.InstanceNorm2d(4)
    assert not list(plain.parameters()) and not list(plain.buffers())
    close(plain(tensor(IMAGES[0])), ((IMAGES - mean) / np.sqrt(var + 1e-5))[0])
    with pytest.raises(ValueError, match=r"expects 3-D or 4-D input, got shape \(5, 8\)"):
        plain(tensor(ROWS))
    with pytest.raises(ValueError, match=r"expects 3 channels, got 4 in input"):
        nn.InstanceNorm2d(3, affine=True).double()(tensor(IMAGES))


def test_group_norm():
    layer = nn.GroupNorm(2, 4, eps=1e-3).double()
    groups = IMAGES.reshape(2, 2, 2, 7, 6)
    mean, var = groups.mean((2, 3, 4), keepdims=True), groups.var((2, 3, 4), keepdims=True)
    close(layer(tensor(IMAGES)), ((groups - mean) / np.sqrt(var + 1e-3)).reshape(IMAGES.shape))
    assert nn.GroupNorm(2, 4, bias=False).bias is None
    with pytest.raises(ValueError, match="got 3 and 4"):
        nn.GroupNorm(3, 4)


def test_batch_norm_3d():
    volumes = IMAGES[:, :, :, :, None] * np.arange(1.0, 3.0)
    axes = (0, 2, 3, 4)
    mean, var = volumes.mean(axes, keepdims=True), volumes.var(axes, keepdims=True)
    layer = nn.BatchNorm3d(4).double()
    close(layer(tensor(volumes)), (volumes - mean) / np.sqrt(var + 1e-5))
    with pytest.raises(ValueError, match=r"expects 5-D input"):
        layer(tensor(IMAGES))
