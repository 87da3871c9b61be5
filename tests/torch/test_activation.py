"""Activations beside torch's: values, gradients, kinks, layers and their text."""

import numpy as np
import pytest

import fastnn

torch = pytest.importorskip("torch")

FUNCTIONS = {
    "relu6": {},
    "hardtanh": {"min_val": -0.7, "max_val": 1.5},
    "hardsigmoid": {},
    "hardswish": {},
    "selu": {},
    "celu": {"alpha": 1.7},
    "elu": {"alpha": 0.3},
    "softsign": {},
    "logsigmoid": {},
    "tanhshrink": {},
    "softshrink": {"lambd": 0.5},
    "hardshrink": {"lambd": 0.5},
    "threshold": {"threshold": 0.5, "value": 3.0},
    "glu": {"dim": 0},
    "softmin": {"dim": 0},
    "rrelu": {"lower": 0.1, "upper": 0.3},
}
POINTS = [-20.0, -6, -3, -1.5, -1, -0.7, -0.5, -1e-3, 0, 1e-4, 0.5, 1, 1.5, 3, 6, 25]


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_and_gradients(name, dtype):
    array = np.concatenate([POINTS, np.linspace(-7, 7, 60)]).astype(dtype)
    dy = np.linspace(-1, 2, 76).astype(dtype)
    x = fastnn.from_numpy(array.copy()).requires_grad_()
    t = torch.tensor(array, requires_grad=True)
    y = getattr(fastnn.nn.functional, name)(x, **FUNCTIONS[name])
    expected = getattr(torch.nn.functional, name)(t, **FUNCTIONS[name])
    y.backward(fastnn.from_numpy(dy[: y.shape[0]]))
    expected.backward(torch.from_numpy(dy[: y.shape[0]]))
    near = {"rtol": 2e-6, "atol": 1e-6} if dtype == np.float32 else {"rtol": 1e-13, "atol": 1e-14}
    np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), **near)
    # torch holds the constants of some slopes in float32
    np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), rtol=2e-6, atol=1e-6)


LAYERS = [
    ("ReLU6", (), {}), ("ReLU6", (True,), {}), ("Hardtanh", (), {}), ("Hardtanh", (-2, 3), {}),
    ("Hardsigmoid", (), {}), ("Hardswish", (), {}), ("SELU", (), {}), ("CELU", (2.0,), {}),
    ("Softsign", (), {}), ("LogSigmoid", (), {}), ("Threshold", (0.1, 20), {}),
    ("Tanhshrink", (), {}), ("Softshrink", (), {}), ("Hardshrink", (0.2,), {}), ("GLU", (1,), {}),
    ("Softmin", (1,), {}), ("Softmax2d", (), {}), ("RReLU", (0.1, 0.3), {}),
    ("GroupNorm", (2, 6), {}), ("InstanceNorm2d", (6,), {}), ("BatchNorm3d", (6,), {}),
    ("LocalResponseNorm", (3,), {}), ("Dropout2d", (0.2,), {}), ("AlphaDropout", (), {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "kwargs"), LAYERS)
def test_layers_in_evaluation_and_their_text(name, args, kwargs):
    ours = getattr(fastnn.nn, name)(*args, **kwargs).eval()
    theirs = getattr(torch.nn, name)(*args, **kwargs).eval()
    assert repr(ours) == repr(theirs)
    array = np.random.default_rng(0).standard_normal((2, 6, 4, 4)).astype(np.float32)
    array = np.stack([array, array], 2) if "3d" in name else array
    found, expected = ours(fastnn.tensor(array)), theirs(torch.tensor(array))
    np.testing.assert_allclose(
        found.detach().numpy(), expected.detach().numpy(), rtol=1e-5, atol=1e-6
    )
    assert list(ours.state_dict()) == list(theirs.state_dict())
