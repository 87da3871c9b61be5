"""conv2d and its gradients against torch."""

import numpy as np
import pytest

from fastnn._core.interop import from_numpy
from fastnn.ops.conv import conv2d

torch = pytest.importorskip("torch")

CASES = [
    ((4, 3, 32, 32), (16, 3, 3, 3), {"padding": 1}),
    ((2, 16, 15, 17), (40, 16, 5, 3), {"stride": 2, "padding": (2, 1)}),
    ((2, 6, 12, 12), (9, 2, 3, 3), {"groups": 3, "dilation": 2}),
    ((2, 3, 9, 9), (4, 3, 4, 2), {"padding": "same"}),
    ((3, 9, 9), (4, 3, 3, 3), {"padding": "valid", "stride": (2, 3)}),
]


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("x_shape, w_shape, how", CASES, ids=str)
def test_parity(x_shape, w_shape, how):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(s).astype(np.float32) for s in (x_shape, w_shape, w_shape[:1])]
    ours = [from_numpy(a.copy()).requires_grad_() for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, ty = conv2d(*ours, **how), torch.nn.functional.conv2d(*theirs, **how)
    assert y.shape == tuple(ty.shape)
    dy = rng.standard_normal(y.shape).astype(np.float32)
    y.backward(from_numpy(dy))
    ty.backward(torch.tensor(dy))
    np.testing.assert_allclose(y.detach().numpy(), ty.detach().numpy(), rtol=1e-4, atol=1e-4)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-4, atol=1e-3)
