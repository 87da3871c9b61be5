"""Batch norm folded into weights, beside torch's."""

import numpy as np
import pytest

import fastnn
from fastnn import from_numpy, nn

torch = pytest.importorskip("torch")

LAYERS = {
    "Conv1d": ((6, 8, 3), {"groups": 2}, nn.BatchNorm1d, (2, 6, 9)),
    "Conv2d": ((3, 8, 3), {"padding": 1, "bias": False}, nn.BatchNorm2d, (2, 3, 9, 8)),
    "Conv3d": ((3, 8, 2), {}, nn.BatchNorm3d, (2, 3, 4, 5, 6)),
    "ConvTranspose2d": ((3, 8, 3), {"stride": 2}, nn.BatchNorm2d, (2, 3, 5, 4)),
    "Linear": ((5, 8), {}, nn.BatchNorm1d, (4, 5)),
}


def filled(package, tensor, name, affine):
    """The layer and the batch norm of one package, with the same numbers in both."""
    rng = np.random.default_rng(0)
    sizes, options, norm, _ = LAYERS[name]
    dtype = package.float64
    layer = getattr(package.nn, name)(*sizes, **options, dtype=dtype).eval()
    bn = getattr(package.nn, norm.__name__)(8, affine=affine, dtype=dtype).eval()
    for module in (layer, bn):
        for entry in (*module.parameters(), *module.buffers()):
            entry.data = tensor(rng.uniform(0.5, 1.5, tuple(entry.shape)))
    return layer, bn


def fuse(package, layer, bn, name):
    if name == "Linear":
        return package.nn.utils.fuse_linear_bn_eval(layer, bn)
    return package.nn.utils.fuse_conv_bn_eval(layer, bn, "Transpose" in name)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_folded_weights_and_results(name, affine):
    x = np.random.default_rng(1).standard_normal(LAYERS[name][3])
    results = []
    for package, tensor in ((fastnn, from_numpy), (torch, torch.from_numpy)):
        layer, bn = filled(package, tensor, name, affine)
        before = layer.weight.detach().numpy().copy()
        if name == "Linear" and package is torch and not affine:  # which torch refuses
            bn.weight = torch.nn.Parameter(torch.ones(8).double())
            bn.bias = torch.nn.Parameter(torch.zeros(8).double())
        fused = fuse(package, layer, bn, name)
        assert (layer.weight.detach().numpy() == before).all()
        assert fused.weight.requires_grad and fused.bias.requires_grad == (layer.bias is not None)
        y = fused(tensor(x))
        np.testing.assert_allclose(
            y.detach().numpy(), bn(layer(tensor(x))).detach().numpy(), rtol=1e-12, atol=1e-13
        )
        results.append([p.detach().numpy() for p in (y, fused.weight, fused.bias)])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)
