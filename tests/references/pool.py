"""What pooling means, window by window in float64."""

import itertools
import math

import numpy as np


def each(value, dims):
    """One number for each dimension."""
    return (value,) * dims if isinstance(value, int) else tuple(value) * (dims // len(value))


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


def pool(x, axes, reduce):
    """reduce(values, positions, window) of every window of (N, C, ...), axes[d] being
    the windows along spatial dimension d."""
    y = np.empty((*x.shape[:2], *map(len, axes)))
    for n, c, *at in np.ndindex(y.shape):
        window = [axes[d][o] for d, o in enumerate(at)]
        inside = [
            p
            for p in itertools.product(*window)
            if all(0 <= i < size for i, size in zip(p, x.shape[2:], strict=True))
        ]
        y[(n, c, *at)] = reduce([x[(n, c, *p)] for p in inside], inside, window)
    return y


def windows_of(x, kernel_size, stride, padding, dilation, ceil_mode):
    dims = x.ndim - 2
    k, p, d = each(kernel_size, dims), each(padding, dims), each(dilation, dims)
    s = k if stride is None else each(stride, dims)
    return [sliding_windows(x.shape[2 + a], k[a], s[a], p[a], d[a], ceil_mode) for a in range(dims)]


def max_and_positions(x, axes, return_indices):
    def first_largest(values, positions, _):
        at = positions[values.index(max(values))]
        return np.ravel_multi_index(at, x.shape[2:])

    y = pool(x, axes, lambda values, *_: np.max(values, initial=-np.inf))
    return (y, pool(x, axes, first_largest).astype(np.int64)) if return_indices else y


def max_pool(
    x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
):
    axes = windows_of(x, kernel_size, stride, padding, dilation, ceil_mode)
    return max_and_positions(x, axes, return_indices)


def avg_pool(
    x,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
):
    p = each(padding, x.ndim - 2)

    def mean(values, positions, window):
        # what lies beyond the padding, as ceil_mode allows, counts never
        cells = 1
        for axis, along in enumerate(window):
            cells *= sum(1 for i in along if i < x.shape[2 + axis] + p[axis])
        count = cells if count_include_pad else len(values)
        return sum(values) / (divisor_override or count)

    return pool(x, windows_of(x, kernel_size, stride, padding, 1, ceil_mode), mean)


def adaptive_windows(x, output_size):
    counts = each(output_size, x.ndim - 2)
    return [even_windows(size, n) for size, n in zip(x.shape[2:], counts, strict=True)]


def adaptive_avg_pool(x, output_size):
    return pool(x, adaptive_windows(x, output_size), lambda values, *_: np.mean(values))


def adaptive_max_pool(x, output_size, return_indices=False):
    return max_and_positions(x, adaptive_windows(x, output_size), return_indices)


def lp_pool(x, norm_type, kernel_size, stride=None, ceil_mode=False):
    cells = math.prod(each(kernel_size, x.ndim - 2))

    def root(values, *_):  # of windows that ceil_mode cuts, the mean stands for the rest
        return (np.mean(np.power(values, norm_type)) * cells) ** (1 / norm_type)

    return pool(x, windows_of(x, kernel_size, stride, 0, 1, ceil_mode), root)


def of_rank(function, dims):
    """The function over `dims` dimensions, with the batch or without."""

    def either(x, *args, **kwargs):
        x = np.asarray(x, np.float64)
        if x.ndim == dims + 2:
            return function(x, *args, **kwargs)
        y = function(x[None], *args, **kwargs)
        return tuple(part[0] for part in y) if isinstance(y, tuple) else y[0]

    return either


REFERENCES = {
    f"{function.__name__}{dims}d": of_rank(function, dims)
    for function in (max_pool, avg_pool, adaptive_avg_pool, adaptive_max_pool, lp_pool)
    for dims in (1, 2, 3)
}
