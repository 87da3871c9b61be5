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


def of_one_row(how):
    """The arguments of conv1d as those of the conv2d of a single row."""
    rows = {"stride": 1, "padding": 0, "dilation": 1}
    numbers = {k: v[0] if isinstance(v, tuple) else v for k, v in how.items()}
    return {
        k: (rows[k], v) if k in rows and not isinstance(v, str) else v for k, v in numbers.items()
    }


def conv1d(x, w, bias=None, **how):
    return conv2d(x[..., None, :], w[:, :, None], bias, **of_one_row(how))[..., 0, :]


def conv3d_passes(x, w, bias=None, dy=None, stride=1, padding=0, dilation=1, groups=1):
    """y, dx, dw, db, of convolutions of images for every depth of y and every depth tap."""
    stride, dilation = (v if isinstance(v, tuple) else (v,) * 3 for v in (stride, dilation))
    D, KD = x.shape[2], w.shape[2]
    total = dilation[0] * (KD - 1)
    front, back = total // 2, total - total // 2
    flat = padding
    if padding != "same":
        padding = (0,) * 3 if padding == "valid" else padding
        front, *flat = padding if isinstance(padding, tuple) else (padding,) * 3
        back, flat = front, tuple(flat)
    how = {"stride": stride[1:], "padding": flat, "dilation": dilation[1:], "groups": groups}
    x = np.pad(x, ((0, 0), (0, 0), (front, back), (0, 0), (0, 0)))
    depths = range((D + front + back - total - 1) // stride[0] + 1)
    y, dx, dw, db = [0.0] * len(depths), np.zeros_like(x), np.zeros_like(w), 0.0
    for od, k in itertools.product(depths, range(KD)):
        d, first = od * stride[0] + k * dilation[0], k == 0
        slices = x[:, :, d], w[:, :, k], bias if first else None
        parts = conv2d_passes(*slices, None if dy is None else dy[:, :, od], **how)
        y[od] += parts[0]
        dx[:, :, d] += parts[1]
        dw[:, :, k] += parts[2]
        db += parts[3] if first else 0
    return np.stack(y, 2), dx[:, :, front : front + D], dw, db


def conv3d(x, w, bias=None, **how):
    if x.ndim == 4:
        return conv3d_passes(x[None], w, bias, **how)[0][0]
    return conv3d_passes(x, w, bias, **how)[0]


def conv_transpose(x, w, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """Every element of x scatters its share of the kernel; of any dimensions."""
    dims = w.ndim - 2
    if x.ndim == dims + 1:
        how = (stride, padding, output_padding, groups, dilation)
        return conv_transpose(x[None], w, bias, *how)[0]
    stride, padding, extra, dilation = (
        v if isinstance(v, tuple) else (v,) * dims
        for v in (stride, padding, output_padding, dilation)
    )
    (N, C, *size), kernel = x.shape, w.shape[2:]
    reach = [(n - 1) * s + 1 for n, s in zip(size, stride, strict=True)]
    O, per = w.shape[1] * groups, C // groups
    full = np.zeros((N, O, *(
        r + d * (k - 1) + e for r, d, k, e in zip(reach, dilation, kernel, extra, strict=True)
    )))  # fmt: skip
    for c, *tap in itertools.product(range(C), *map(range, kernel)):
        o = slice(c // per * w.shape[1], (c // per + 1) * w.shape[1])
        at = tuple(
            slice(i * d, i * d + r, s)
            for i, d, r, s in zip(tap, dilation, reach, stride, strict=True)
        )
        weight = w[(c, slice(None), *tap)].reshape(-1, *(1,) * dims)
        full[(slice(None), o, *at)] += x[:, c, None] * weight
    y = full[(..., *(slice(p, n - p) for p, n in zip(padding, full.shape[2:], strict=True)))]
    return y if bias is None else y + bias.reshape(-1, *(1,) * dims)


def conv1d_fused(*args, **how):
    return np.maximum(conv1d(*args, **how), 0)


def conv2d_fused(*args, **how):
    return np.maximum(conv2d(*args, **how), 0)


def conv3d_fused(*args, **how):
    return np.maximum(conv3d(*args, **how), 0)


REFERENCES = {
    "conv1d": conv1d,
    "conv1d_fused": conv1d_fused,
    "conv2d": conv2d,
    "conv2d_fused": conv2d_fused,
    "conv3d": conv3d,
    "conv3d_fused": conv3d_fused,
    "conv_transpose1d": conv_transpose,
    "conv_transpose2d": conv_transpose,
    "conv_transpose3d": conv_transpose,
}
