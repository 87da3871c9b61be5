import itertools

import numpy as np


def pair(value):
    return value if isinstance(value, tuple) else (value, value)


def pads(padding, kernel, dilation):
    """((top, bottom), (left, right))."""
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple((t // 2, t - t // 2) for t in totals)
    return tuple((p, p) for p in pair(padding))


def conv2d_passes(x, w, bias=None, dy=None, stride=1, padding=0, dilation=1, groups=1):
    """y, dx, dw, db by a loop over groups and taps; without dy a gradient of ones."""
    (sh, sw), (dh, dw_) = pair(stride), pair(dilation)
    O, C, KH, KW = w.shape
    rows, cols = pads(padding, (KH, KW), (dh, dw_))
    padded = np.pad(x, ((0, 0), (0, 0), rows, cols))
    OH = (padded.shape[2] - dh * (KH - 1) - 1) // sh + 1
    OW = (padded.shape[3] - dw_ * (KW - 1) - 1) // sw + 1
    y = np.zeros((len(x), O, OH, OW))
    if bias is not None:
        y += bias[:, None, None]
    dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
    dy = np.ones_like(y) if dy is None else dy
    per = O // groups
    for g, kh, kw in itertools.product(range(groups), range(KH), range(KW)):
        o, c = slice(g * per, g * per + per), slice(g * C, g * C + C)
        h = slice(kh * dh, kh * dh + (OH - 1) * sh + 1, sh)
        v = slice(kw * dw_, kw * dw_ + (OW - 1) * sw + 1, sw)
        y[:, o] += np.einsum("nchw,oc->nohw", padded[:, c, h, v], w[o, :, kh, kw])
        dpadded[:, c, h, v] += np.einsum("nohw,oc->nchw", dy[:, o], w[o, :, kh, kw])
        dw[o, :, kh, kw] = np.einsum("nohw,nchw->oc", dy[:, o], padded[:, c, h, v])
    (top, _), (left, _) = rows, cols
    dx = dpadded[:, :, top : top + x.shape[2], left : left + x.shape[3]]
    return y, dx, dw, dy.sum((0, 2, 3))


def conv2d(x, w, bias=None, **how):
    if x.ndim == 3:
        return conv2d_passes(x[None], w, bias, **how)[0][0]
    return conv2d_passes(x, w, bias, **how)[0]


REFERENCES = {"conv2d": conv2d}
