"""What pooling means, window by window in float64."""

import math

import numpy as np


def pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


def sliding_windows(size, k, s, p, d, ceil_mode):
    """The positions of each window along one axis, those in the padding included."""
    count = (size + 2 * p - d * (k - 1) - 1) / s + 1
    count = math.ceil(count) if ceil_mode else math.floor(count)
    windows = [[o * s - p + t * d for t in range(k)] for o in range(count)]
    if ceil_mode and windows[-1][0] >= size:
        windows.pop()
    return windows


def even_windows(size, count):
    return [
        list(range(math.floor(o * size / count), math.ceil((o + 1) * size / count)))
        for o in range(count)
    ]


def pool(x, rows, columns, reduce):
    """reduce(values, positions, window shape) of every window of (N, C, H, W)."""
    N, C, H, W = x.shape
    y = np.empty((N, C, len(rows), len(columns)))
    for n, c, oh, ow in np.ndindex(y.shape):
        window = rows[oh], columns[ow]
        inside = [(h, w) for h in window[0] for w in window[1] if 0 <= h < H and 0 <= w < W]
        y[n, c, oh, ow] = reduce([x[n, c, h, w] for h, w in inside], inside, window)
    return y


def batched(function):
    def either(x, *args, **kwargs):
        x = np.asarray(x, np.float64)
        if x.ndim == 4:
            return function(x, *args, **kwargs)
        return function(x[None], *args, **kwargs)[0]

    return either


def windows_of(x, kernel_size, stride, padding, dilation, ceil_mode):
    k, p, d = pair(kernel_size), pair(padding), pair(dilation)
    s = k if stride is None else pair(stride)
    return [sliding_windows(x.shape[2 + a], k[a], s[a], p[a], d[a], ceil_mode) for a in (0, 1)]


@batched
def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    windows = windows_of(x, kernel_size, stride, padding, dilation, ceil_mode)
    return pool(x, *windows, lambda values, *_: np.max(values, initial=-np.inf))


@batched
def max_pool2d_indices(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    windows = windows_of(x, kernel_size, stride, padding, dilation, ceil_mode)

    def first_largest(values, positions, _):
        h, w = positions[values.index(max(values))]
        return h * x.shape[3] + w

    return pool(x, *windows, first_largest)


@batched
def avg_pool2d(
    x,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
):
    windows = windows_of(x, kernel_size, stride, padding, 1, ceil_mode)
    p = pair(padding)

    def mean(values, positions, window):
        # what lies beyond the padding, as ceil_mode allows, counts never
        cells = 1
        for axis in (0, 1):
            cells *= sum(1 for i in window[axis] if i < x.shape[2 + axis] + p[axis])
        count = cells if count_include_pad else len(values)
        return sum(values) / (divisor_override or count)

    return pool(x, *windows, mean)


@batched
def adaptive_avg_pool2d(x, output_size):
    windows = [even_windows(x.shape[2 + a], pair(output_size)[a]) for a in (0, 1)]
    return pool(x, *windows, lambda values, *_: np.mean(values))


@batched
def adaptive_max_pool2d(x, output_size):
    windows = [even_windows(x.shape[2 + a], pair(output_size)[a]) for a in (0, 1)]
    return pool(x, *windows, lambda values, *_: np.max(values))


REFERENCES = {
    "max_pool2d": max_pool2d,
    "avg_pool2d": avg_pool2d,
    "adaptive_avg_pool2d": adaptive_avg_pool2d,
    "adaptive_max_pool2d": adaptive_max_pool2d,
}
