"""conv2d against a float64 loop reference: shapes, layouts, levels, threads, gradients."""

import itertools

import numpy as np
import pytest

from fastnn._core.autograd import backward
from fastnn._core.interop import from_numpy, numpy
from fastnn._kernels import runtime
from fastnn.ops.conv import conv2d


def pair(value):
    return value if isinstance(value, tuple) else (value, value)


def pads(padding, kernel, dilation):
    """((top, bottom), (left, right))."""
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        totals = [d * (k - 1) for k, d in zip(kernel, dilation)]
        return tuple((t // 2, t - t // 2) for t in totals)
    return tuple((p, p) for p in pair(padding))


def reference(x, w, bias, dy, stride=1, padding=0, dilation=1, groups=1):
    """y, dx, dw, db in float64, by loops over the taps. dy None: ones."""
    x, w = x.astype(np.float64), w.astype(np.float64)
    (sh, sw), (dh, dw_) = pair(stride), pair(dilation)
    O, C, KH, KW = w.shape
    rows, cols = pads(padding, (KH, KW), (dh, dw_))
    padded = np.pad(x, ((0, 0), (0, 0), rows, cols))
    OH = (padded.shape[2] - dh * (KH - 1) - 1) // sh + 1
    OW = (padded.shape[3] - dw_ * (KW - 1) - 1) // sw + 1
    y = np.zeros((len(x), O, OH, OW))
    if bias is not None:
        y += bias.astype(np.float64)[:, None, None]
    dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
    dy = np.ones_like(y) if dy is None else dy.astype(np.float64)
    per = O // groups
    for g, kh, kw in itertools.product(range(groups), range(KH), range(KW)):
        o, c = slice(g * per, g * per + per), slice(g * C, g * C + C)
        h = slice(kh * dh, kh * dh + (OH - 1) * sh + 1, sh)
        v = slice(kw * dw_, kw * dw_ + (OW - 1) * sw + 1, sw)
        y[:, o] += np.einsum("nchw,oc->nohw", padded[:, c, h, v], w[o, :, kh, kw])
        dpadded[:, c, h, v] += np.einsum("nohw,oc->nchw", dy[:, o], w[o, :, kh, kw])
        dw[o, :, kh, kw] = np.einsum("nohw,nchw->oc", dy[:, o], padded[:, c, h, v])
    (top, _), (left, _) = rows, cols
    dx = dpadded[:, :, top:top + x.shape[2], left:left + x.shape[3]]
    return y, dx, dw, dy.sum((0, 2, 3))


def make(shape, dtype, seed):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def tensor(array, layout="plain"):
    """A leaf that requires grad, in the layout asked for."""
    array = array.copy()
    if layout == "channels_last":
        array = np.ascontiguousarray(np.moveaxis(array, 1, -1))
        array = np.moveaxis(array, -1, 1)
    elif layout == "gaps":
        wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
        wide[..., ::2] = array
        array = wide[..., ::2]
    x = from_numpy(array)
    x.requires_grad = True
    return x


def run(x, w, bias, dy, layout="plain", dy_layout="plain", **how):
    tx, tw = tensor(x, layout), tensor(w)
    tb = None if bias is None else tensor(bias)
    y = conv2d(tx, tw, tb, **how)
    backward(y, tensor(dy, dy_layout).detach())
    grads = [numpy(tx.grad), numpy(tw.grad), None if tb is None else numpy(tb.grad)]
    return [numpy(y.detach()), *grads]


def check(x_shape, w_shape, dtype=np.float32, with_bias=True, layout="plain", dy_layout="plain", **how):
    x, w = make(x_shape, dtype, 1), make(w_shape, dtype, 2)
    bias = make(w_shape[:1], dtype, 3) if with_bias else None
    y = reference(x, w, bias, None, **how)[0]
    dy = make(y.shape, dtype, 4)
    wanted = reference(x, w, bias, dy, **how)
    absolute = reference(abs(x), abs(w), None if bias is None else abs(bias), abs(dy), **how)
    got = run(x, w, bias, dy, layout, dy_layout, **how)
    eps = np.finfo(dtype).eps
    for name, a, b, bound in zip(("y", "dx", "dw", "db"), got, wanted, absolute):
        if a is not None:
            assert a.shape == b.shape and a.dtype == dtype
            terms = {"y": w[0].size + 1, "dx": w.size, "dw": dy.size, "db": dy.size}[name]
            error = np.abs(a - b)
            assert (error <= eps * (2 + terms**0.5) * bound + 1e-300).all(), (name, error.max())


CASES = [
    # x, w, how
    ((2, 3, 7, 9), (5, 3, 3, 3), dict()),
    ((2, 3, 7, 9), (5, 3, 3, 3), dict(padding=1)),
    ((1, 1, 28, 28), (32, 1, 3, 3), dict(padding=1)),
    ((3, 1, 6, 5), (17, 1, 5, 5), dict(padding=2)),
    ((2, 2, 9, 8), (33, 2, 3, 3), dict(padding=(2, 0))),
    ((2, 16, 15, 15), (64, 16, 3, 3), dict(padding=1)),
    ((2, 33, 4, 5), (65, 33, 3, 3), dict(padding=1)),
    ((1, 20, 5, 5), (130, 20, 3, 3), dict(padding=1)),
    ((2, 7, 6, 6), (9, 7, 1, 1), dict()),
    ((2, 17, 7, 7), (40, 17, 1, 1), dict(stride=2)),
    ((2, 5, 6, 7), (9, 5, 1, 1), dict(stride=3, padding=1)),
    ((2, 5, 11, 12), (8, 5, 3, 3), dict(stride=2, padding=1)),
    ((2, 5, 11, 12), (8, 5, 3, 3), dict(stride=(3, 2), padding=(0, 1))),
    ((2, 5, 13, 12), (8, 5, 4, 5), dict(stride=3, padding=2)),
    ((1, 3, 30, 30), (16, 3, 7, 7), dict(stride=2, padding=3)),
    ((2, 4, 12, 13), (6, 4, 3, 3), dict(dilation=2, padding=2)),
    ((2, 4, 14, 13), (6, 4, 3, 2), dict(dilation=(3, 2), stride=2, padding=1)),
    ((2, 4, 14, 13), (6, 4, 3, 3), dict(dilation=2, stride=2)),
    ((2, 4, 14, 17), (6, 4, 3, 3), dict(dilation=(4, 6), stride=(2, 4), padding=(3, 5))),
    ((2, 6, 8, 8), (9, 2, 3, 3), dict(groups=3, padding=1)),
    ((2, 6, 8, 8), (6, 1, 3, 3), dict(groups=6, padding=1)),
    ((2, 6, 9, 9), (12, 1, 3, 3), dict(groups=6, stride=2, dilation=2)),
    ((2, 32, 6, 6), (64, 16, 1, 1), dict(groups=2)),
    ((2, 3, 8, 9), (4, 3, 4, 2), dict(padding="same")),
    ((2, 3, 8, 9), (4, 3, 4, 3), dict(padding="same", dilation=3)),
    ((2, 3, 8, 9), (4, 3, 4, 2), dict(padding="valid")),
    ((2, 3, 3, 3), (4, 3, 3, 3), dict()),
    ((2, 3, 3, 3), (4, 3, 3, 3), dict(padding=5)),
    ((1, 3, 2, 2), (4, 3, 1, 1), dict(padding=3, stride=2)),
    ((2, 3, 4, 1), (4, 3, 3, 1), dict(padding=(1, 0))),
    ((1, 2, 1, 40), (3, 2, 1, 9), dict(stride=(1, 3))),
    ((1, 12, 40, 3), (3, 12, 9, 1), dict()),
    ((9, 4, 5, 5), (6, 4, 3, 3), dict()),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("x_shape, w_shape, how", CASES, ids=str)
def test_against_reference(x_shape, w_shape, how, dtype):
    check(x_shape, w_shape, dtype, **how)


@pytest.mark.parametrize("layout", ["plain", "channels_last", "gaps"])
@pytest.mark.parametrize("x_shape, w_shape, how", CASES[::3], ids=str)
def test_layouts(x_shape, w_shape, how, layout):
    check(x_shape, w_shape, layout=layout, dy_layout=layout, with_bias=False, **how)
