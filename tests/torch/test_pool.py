"""Pooling beside torch's: values, positions and gradients, ties and NaNs included."""

from itertools import product

import numpy as np
import pytest

from fastnn import nn
from fastnn._core.interop import from_numpy
from fastnn.ops import pool, unpool

torch = pytest.importorskip("torch")
F = torch.nn.functional

CASES = [
    ("max_pool1d", {"kernel_size": 3, "stride": 2, "padding": 1, "dilation": 2}),
    ("max_pool1d", {"kernel_size": (2,), "ceil_mode": True}),
    ("avg_pool1d", {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    ("avg_pool1d", {"kernel_size": (3,), "padding": 1, "count_include_pad": False}),
    ("adaptive_avg_pool1d", {"output_size": 5}),
    ("adaptive_max_pool1d", {"output_size": (7,)}),
    ("lp_pool1d", {"norm_type": 2, "kernel_size": 3, "stride": 2, "ceil_mode": True}),
    ("max_pool2d", {"kernel_size": 2}),
    ("max_pool2d", {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    ("max_pool2d", {"kernel_size": (3, 2), "stride": 1, "dilation": (2, 3)}),
    ("avg_pool2d", {"kernel_size": 2}),
    ("avg_pool2d", {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    ("avg_pool2d", {"kernel_size": 3, "padding": 1, "count_include_pad": False}),
    ("avg_pool2d", {"kernel_size": 2, "divisor_override": 3}),
    ("adaptive_avg_pool2d", {"output_size": (3, 4)}),
    ("adaptive_max_pool2d", {"output_size": 5}),
    ("lp_pool2d", {"norm_type": 2, "kernel_size": (3, 2)}),
    ("lp_pool2d", {"norm_type": 4.0, "kernel_size": 3, "stride": 2, "ceil_mode": True}),
    ("max_pool3d", {"kernel_size": 2}),
    ("max_pool3d", {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    ("max_pool3d", {"kernel_size": (1, 3, 2), "stride": 1, "dilation": (2, 2, 3)}),
    ("avg_pool3d", {"kernel_size": 2}),
    ("avg_pool3d", {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    ("avg_pool3d", {"kernel_size": 3, "padding": 1, "count_include_pad": False}),
    ("avg_pool3d", {"kernel_size": (1, 2, 3), "divisor_override": 3}),
    ("adaptive_avg_pool3d", {"output_size": (3, 4, None)}),
    ("adaptive_max_pool3d", {"output_size": 4}),
    ("lp_pool3d", {"norm_type": 2, "kernel_size": 2}),
]
SHAPES = {"1d": (2, 19, 23), "2d": (2, 19, 13, 11), "3d": (2, 9, 7, 8, 6)}


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_values_and_gradients(name, arguments):
    rng = np.random.default_rng(0)
    a = rng.integers(-4, 4, SHAPES[name[-2:]]).astype(np.float32)  # ties decide: gradients
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
    sliding = {"kernel_size": 3, "stride": 2, "padding": 1}
    for dims, arguments in product((1, 2, 3), ({"kernel_size": 2}, sliding)):
        b = a.reshape(2, 5, *((64,), (8, 8), (4, 4, 4))[dims - 1])
        name = f"max_pool{dims}d"
        ours = getattr(pool, name)(from_numpy(b), **arguments, return_indices=True)
        theirs = getattr(F, name)(torch.from_numpy(b), **arguments, return_indices=True)
        for found, expected in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(found.numpy(), expected.numpy())


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_adaptive_positions(dims):
    a = np.random.default_rng(2).integers(-4, 4, SHAPES[f"{dims}d"]).astype(np.float32)
    name = f"adaptive_max_pool{dims}d"
    ours = getattr(pool, name)(from_numpy(a), 4, return_indices=True)
    theirs = getattr(F, name)(torch.from_numpy(a), 4, return_indices=True)
    for found, expected in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(found.numpy(), expected.numpy())


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("arguments", [(2,), (3, 2, 1)])
def test_unpooling(dims, arguments):
    rng = np.random.default_rng(3)
    shape = SHAPES[f"{dims}d"]
    a = rng.standard_normal(shape).astype(np.float32)
    y, where = getattr(F, f"max_pool{dims}d")(torch.from_numpy(a), *arguments, return_indices=True)
    name, options = f"max_unpool{dims}d", {"output_size": shape[2:]}
    x, theirs = from_numpy(y.numpy().copy()).requires_grad_(), y.clone().requires_grad_()
    back = getattr(unpool, name)(x, from_numpy(where.numpy()), *arguments, **options)
    expected = getattr(F, name)(theirs, where, *arguments, **options)
    dy = rng.standard_normal(shape).astype(np.float32)
    np.testing.assert_array_equal(back.detach().numpy(), expected.detach().numpy())
    back.backward(from_numpy(dy))
    expected.backward(torch.from_numpy(dy))
    np.testing.assert_array_equal(x.grad.numpy(), theirs.grad.numpy())


def test_lp_pool_of_zeros():
    a = np.zeros((1, 2, 4, 4), np.float32)
    a[0, 0] = 1
    x, theirs = from_numpy(a.copy()).requires_grad_(), torch.tensor(a, requires_grad=True)
    pool.lp_pool2d(x, 2, 2).sum().backward()
    F.lp_pool2d(theirs, 2, 2).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), theirs.grad.numpy(), rtol=1e-6)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("MaxPool", {"kernel_size": 3, "padding": 1, "ceil_mode": True}),
        ("AvgPool", {"kernel_size": 2, "stride": 1}),
        ("LPPool", {"norm_type": 2, "kernel_size": 3}),
        ("MaxUnpool", {"kernel_size": 2}),
        ("AdaptiveAvgPool", {"output_size": 3}),
        ("AdaptiveMaxPool", {"output_size": 3, "return_indices": True}),
    ],
)
def test_texts_of_the_layers(name, arguments, dims):
    ours = getattr(nn, f"{name}{dims}d")(**arguments)
    assert repr(ours) == repr(getattr(torch.nn, f"{name}{dims}d")(**arguments))
