"""Embedding beside torch's."""

import numpy as np
import pytest

from fastnn import nn
from fastnn._core.interop import from_numpy
from fastnn.ops.embedding import embedding

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("padding_idx", [None, 3, -2])
def test_values_and_gradients(padding_idx):
    rng = np.random.default_rng(0)
    indices = rng.integers(0, 20, (6, 9))
    table, dy = rng.standard_normal((20, 17)), rng.standard_normal((6, 9, 17))
    w, theirs = from_numpy(table.copy()).requires_grad_(), torch.tensor(table, requires_grad=True)
    y = embedding(from_numpy(indices), w, padding_idx)
    expected = torch.nn.functional.embedding(torch.from_numpy(indices), theirs, padding_idx)
    np.testing.assert_array_equal(y.detach().numpy(), expected.detach().numpy())
    y.backward(from_numpy(dy))
    expected.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(w.grad.numpy(), theirs.grad.numpy(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("padding_idx", [None, 3, -2])
@pytest.mark.parametrize("kind", ["flat", "last offset", "wide", "weighted"])
def test_bags(mode, padding_idx, kind):
    if kind == "weighted" and mode != "sum":
        pytest.skip("torch has weights for sums only")
    rng = np.random.default_rng(1)
    indices, table = rng.integers(0, 20, 30), rng.standard_normal((20, 17))
    offsets = np.array([0, 4, 4, 11, 25])
    scale = rng.standard_normal(30) if kind == "weighted" else None
    if kind == "wide":
        indices, offsets = indices.reshape(5, 6), None
    if kind == "last offset":
        offsets = np.append(offsets, 30)
    dy = rng.standard_normal((5, 17))
    results = []
    for bags, tensor in [(nn.EmbeddingBag, from_numpy), (torch.nn.EmbeddingBag, torch.from_numpy)]:
        for sparse in (False, mode != "max"):
            layer = bags(
                20,
                17,
                mode=mode,
                sparse=sparse,
                padding_idx=padding_idx,
                include_last_offset=kind == "last offset",
            ).double()
            layer.load_state_dict({"weight": tensor(table.copy())})
            weights = None if scale is None else tensor(scale.copy()).requires_grad_()
            y = layer(tensor(indices), None if offsets is None else tensor(offsets), weights)
            y.backward(tensor(dy))
            dw = layer.weight.grad
            results.append(
                [
                    y.detach().numpy(),
                    (dw.to_dense() if sparse else dw).numpy(),
                    *([] if weights is None else [weights.grad.numpy()]),
                ]
            )
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("kind", ["Embedding", "EmbeddingBag"])
@pytest.mark.parametrize("options", [{}, {"padding_idx": 1}, {"sparse": True}])
def test_reprs(kind, options):
    ours, theirs = (getattr(package, kind)(3, 4, **options) for package in (nn, torch.nn))
    assert repr(ours) == repr(theirs)
