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
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"padding_idx": 1},
        {"sparse": True},
        {"max_norm": 1.5, "scale_grad_by_freq": True, "padding_idx": 0},
        {"max_norm": 2.0, "norm_type": 1.0, "sparse": True},
    ],
)
def test_reprs(kind, options):
    ours, theirs = (getattr(package, kind)(3, 4, **options) for package in (nn, torch.nn))
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize("kind", ["embedding", "sum", "mean", "max", "weighted"])
@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.5, float("inf")])
@pytest.mark.parametrize("padding_idx", [None, 3])
def test_norms(kind, norm_type, padding_idx):
    rng = np.random.default_rng(2)
    indices, table = rng.integers(0, 20, (5, 12)), rng.standard_normal((20, 17))
    limit = np.median(np.linalg.norm(table, norm_type, 1))
    scale, dy = rng.standard_normal((5, 12)), None
    results = []
    for lib, tensor in [(nn, from_numpy), (torch.nn, torch.from_numpy)]:
        options = {"padding_idx": padding_idx, "max_norm": limit, "norm_type": norm_type}
        if kind == "embedding":
            layer = lib.Embedding(20, 17, scale_grad_by_freq=True, **options).double()
        else:
            options["mode"] = "sum" if kind == "weighted" else kind
            layer = lib.EmbeddingBag(20, 17, **options).double()
        layer.load_state_dict({"weight": tensor(table.copy())})
        y = layer(tensor(indices), *([None, tensor(scale)] if kind == "weighted" else []))
        dy = rng.standard_normal(tuple(y.shape)) if dy is None else dy
        y.backward(tensor(dy))
        arrays = (y.detach(), layer.weight.detach(), layer.weight.grad)
        results.append([a.numpy() for a in arrays])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("mode", ["sum", "mean", "weighted"])
@pytest.mark.parametrize("sparse", [False, True])
def test_bags_by_frequency(mode, sparse):
    """Beside torch's embedding: its bags on the CPU divide by how often another row was used."""
    rng = np.random.default_rng(3)
    indices, table = rng.integers(0, 20, (5, 12)), rng.standard_normal((20, 17))
    scale, dy = rng.standard_normal((5, 12)), rng.standard_normal((5, 17))
    w, theirs = from_numpy(table.copy()).requires_grad_(), torch.tensor(table, requires_grad=True)
    rows = torch.nn.functional.embedding(
        torch.from_numpy(indices), theirs, padding_idx=None, scale_grad_by_freq=True
    )
    if mode == "weighted":
        rows = rows * torch.from_numpy(scale)[..., None]
    (rows.mean(1) if mode == "mean" else rows.sum(1)).backward(torch.from_numpy(dy))
    y = nn.functional.embedding_bag(
        from_numpy(indices),
        w,
        mode="mean" if mode == "mean" else "sum",
        scale_grad_by_freq=True,
        sparse=sparse,
        per_sample_weights=from_numpy(scale) if mode == "weighted" else None,
    )
    y.backward(from_numpy(dy))
    found = w.grad.to_dense() if sparse else w.grad
    np.testing.assert_allclose(found.numpy(), theirs.grad.numpy(), rtol=1e-12, atol=1e-13)
