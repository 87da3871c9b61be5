"""Clipping of gradients beside torch's."""

import numpy as np
import pytest

from fastnn import from_numpy, nn

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("name", ["clip_grad_norm_", "clip_grad_value_"])
@pytest.mark.parametrize("limit", [0.01, 1.0, 1e6])
@pytest.mark.parametrize(
    "options", [{}, {"norm_type": 1.0}, {"norm_type": 3.0}, {"norm_type": "inf"}]
)
def test_clipping(name, limit, options):
    if options and name == "clip_grad_value_":
        pytest.skip("values have no norm")
    rng = np.random.default_rng(0)
    gradients = [rng.standard_normal(shape) for shape in [(3, 4), (7,), (100, 30)]]
    results = []
    for package, tensor in [(nn, from_numpy), (torch.nn, torch.from_numpy)]:
        parameters = []
        for g in gradients:
            p = tensor(np.zeros_like(g)).requires_grad_()
            p.grad = tensor(g.copy())
            parameters.append(p)
        norm = getattr(package.utils, name)(parameters, limit, **options)
        results.append([p.grad.numpy() for p in parameters])
        results[-1].append(0.0 if norm is None else norm.item())
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
