"""Pooling beside torch's: values, positions and gradients, ties and NaNs included."""

import numpy as np
import pytest

from fastnn._core.interop import from_numpy
from fastnn.ops import pool

torch = pytest.importorskip("torch")
F = torch.nn.functional

CASES = [
    ("max_pool2d", {"kernel_size": 2}),
    ("max_pool2d", {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    ("max_pool2d", {"kernel_size": (3, 2), "stride": 1, "dilation": (2, 3)}),
    ("avg_pool2d", {"kernel_size": 2}),
    ("avg_pool2d", {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    ("avg_pool2d", {"kernel_size": 3, "padding": 1, "count_include_pad": False}),
    ("avg_pool2d", {"kernel_size": 2, "divisor_override": 3}),
    ("adaptive_avg_pool2d", {"output_size": (3, 4)}),
    ("adaptive_max_pool2d", {"output_size": 5}),
]


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_values_and_gradients(name, arguments):
    rng = np.random.default_rng(0)
    a = rng.integers(-4, 4, (2, 19, 13, 11)).astype(np.float32)  # ties decide where gradients go
    x, theirs = from_numpy(a.copy()).requires_grad_(), torch.tensor(a, requires_grad=True)
    y, expected = getattr(pool, name)(x, **arguments), getattr(F, name)(theirs, **arguments)
    np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), rtol=1e-5, atol=1e-6)
    dy = rng.standard_normal(y.shape).astype(np.float32)
    y.backward(from_numpy(dy))
    expected.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(x.grad.numpy(), theirs.grad.numpy(), rtol=1e-5, atol=1e-6)


def test_positions_with_nan_and_infinity():
    rng = np.random.default_rng(1)
    a = rng.choice([0.0, 1.0, -np.inf, np.nan], (2, 5, 8, 8)).astype(np.float32)
    for arguments in ({"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1}):
        ours = pool.max_pool2d(from_numpy(a), **arguments, return_indices=True)
        theirs = F.max_pool2d(torch.from_numpy(a), **arguments, return_indices=True)
        for found, expected in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(found.numpy(), expected.numpy())
