"""The convolutions and their gradients against torch."""

import numpy as np
import pytest

from fastnn import nn
from fastnn._core.interop import from_numpy
from fastnn.nn import functional

torch = pytest.importorskip("torch")

CASES = [
    ("conv1d", (4, 3, 50), (16, 3, 5), {"padding": 2}),
    ("conv1d", (2, 8, 31), (6, 4, 3), {"stride": 2, "dilation": (3,), "groups": 2}),
    ("conv1d", (8, 31), (8, 1, 4), {"padding": "same", "groups": 8}),
    ("conv2d", (4, 3, 32, 32), (16, 3, 3, 3), {"padding": 1}),
    ("conv2d", (2, 16, 15, 17), (40, 16, 5, 3), {"stride": 2, "padding": (2, 1)}),
    ("conv2d", (2, 6, 12, 12), (9, 2, 3, 3), {"groups": 3, "dilation": 2}),
    ("conv2d", (2, 3, 9, 9), (4, 3, 4, 2), {"padding": "same"}),
    ("conv2d", (3, 9, 9), (4, 3, 3, 3), {"padding": "valid", "stride": (2, 3)}),
    ("conv3d", (2, 3, 6, 7, 8), (6, 3, 3, 3, 3), {"padding": 1}),
    ("conv3d", (2, 4, 9, 7, 8), (6, 2, 2, 3, 3), {"stride": (2, 1, 3), "groups": 2}),
    ("conv3d", (3, 5, 7, 8), (6, 3, 4, 3, 2), {"padding": "same", "dilation": (1, 2, 1)}),
    ("conv_transpose1d", (4, 3, 20), (3, 16, 5), {"stride": 2, "padding": 2}),
    ("conv_transpose1d", (6, 9), (6, 2, 3), {"dilation": 3, "output_padding": 2, "groups": 2}),
    ("conv_transpose2d", (4, 8, 9, 9), (8, 5, 4, 4), {"stride": 2, "padding": 1}),
    ("conv_transpose2d", (2, 6, 7, 5), (6, 2, 3, 2), {"groups": 3, "dilation": (1, 2)}),
    ("conv_transpose2d", (2, 9, 7, 5), (9, 1, 3, 3), {"groups": 9, "stride": 2, "padding": 1}),
    ("conv_transpose2d", (5, 6, 4), (5, 3, 3, 3), {"stride": (3, 2), "output_padding": (2, 1)}),
    ("conv_transpose3d", (2, 8, 3, 6, 7), (8, 5, 4, 4, 4), {"stride": 2, "padding": 1}),
    ("conv_transpose3d", (2, 6, 5, 4, 5), (6, 2, 2, 3, 2), {"groups": 3, "dilation": (2, 1, 3)}),
    ("conv_transpose3d", (2, 9, 4, 5, 5), (9, 1, 3, 3, 3), {"groups": 9, "stride": (1, 2, 3)}),
    ("conv_transpose3d", (5, 3, 6, 4), (5, 3, 3, 1, 2), {"stride": 3, "output_padding": (2, 0, 1)}),
]


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("name, x_shape, w_shape, how", CASES, ids=str)
def test_parity(name, x_shape, w_shape, how):
    rng = np.random.default_rng(0)
    out = w_shape[1] * how.get("groups", 1) if "transpose" in name else w_shape[0]
    arrays = [rng.standard_normal(s).astype(np.float32) for s in (x_shape, w_shape, out)]
    ours = [from_numpy(a.copy()).requires_grad_() for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    y = getattr(functional, name)(*ours, **how)
    ty = getattr(torch.nn.functional, name)(*theirs, **how)
    assert y.shape == tuple(ty.shape)
    dy = rng.standard_normal(y.shape).astype(np.float32)
    y.backward(from_numpy(dy))
    ty.backward(torch.tensor(dy))
    np.testing.assert_allclose(y.detach().numpy(), ty.detach().numpy(), rtol=1e-4, atol=1e-4)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-4, atol=1e-3)


LAYERS = [
    ("Conv1d", (4, 6, 3), {"padding": 1, "padding_mode": "reflect"}, (2, 4, 9)),
    ("Conv1d", (4, 6, 4), {"padding": "same", "groups": 2, "bias": False}, (4, 9)),
    ("Conv2d", (4, 6, 3), {"padding": (1, 2), "padding_mode": "circular"}, (2, 4, 5, 9)),
    ("Conv2d", (4, 6, (2, 5)), {"padding": "same", "padding_mode": "replicate"}, (2, 4, 5, 9)),
    ("Conv3d", (4, 6, 3), {"padding": 1, "padding_mode": "replicate"}, (2, 4, 3, 4, 5)),
    ("ConvTranspose1d", (4, 6, 3), {"stride": 3, "output_padding": 2}, (2, 4, 9)),
    ("ConvTranspose2d", (4, 6, (3, 2)), {"stride": 2, "groups": 2, "padding": 1}, (2, 4, 5, 9)),
    ("ConvTranspose3d", (4, 6, 3), {"stride": (2, 1, 2), "dilation": 2}, (2, 4, 3, 4, 5)),
    ("ReflectionPad2d", (2,), {}, (2, 4, 5, 9)),
    ("ConstantPad3d", ((1, 2, 0, 0, 1, 0), 2.5), {}, (2, 4, 5, 9)),
]


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("name, args, how, shape", LAYERS, ids=str)
def test_layers(name, args, how, shape):
    ours, theirs = getattr(nn, name)(*args, **how), getattr(torch.nn, name)(*args, **how)
    assert repr(ours) == repr(theirs)
    weights = theirs.state_dict()
    assert list(ours.state_dict()) == list(weights)
    ours.load_state_dict({k: from_numpy(v.numpy()) for k, v in weights.items()})
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    y, ty = ours(from_numpy(x)), theirs(torch.tensor(x))
    np.testing.assert_allclose(y.detach().numpy(), ty.detach().numpy(), rtol=1e-5, atol=1e-5)
