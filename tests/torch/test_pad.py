"""Padding against torch."""

import numpy as np
import pytest

from fastnn._core.interop import from_numpy
from fastnn.nn.functional import pad

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
@pytest.mark.parametrize(
    ("shape", "pads"),
    [
        ((3, 7), (2, 3)),
        ((2, 3, 7), (6, 0)),
        ((2, 3, 7), (3, -1)),
        ((2, 3, 7), (-2, 3)),
        ((2, 3, 5, 6), (2, 1, 0, 3)),
        ((2, 3, 5, 6), (-1, 1, 2, -2)),
        ((2, 3, 4, 5, 6), (2, 1, 1, 1, 0, 3)),
    ],
)
def test_parity(shape, pads, mode):
    x = np.random.default_rng(0).standard_normal(shape)
    ours, theirs = from_numpy(x.copy()).requires_grad_(), torch.tensor(x, requires_grad=True)
    y, ty = pad(ours, pads, mode), torch.nn.functional.pad(theirs, pads, mode)
    np.testing.assert_array_equal(y.detach().numpy(), ty.detach().numpy())
    dy = np.random.default_rng(1).standard_normal(y.shape)
    y.backward(from_numpy(dy))
    ty.backward(torch.tensor(dy))
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-12, atol=1e-12)
