"""Reductions in NumPy, float64."""

import numpy as np


def axes(dim):
    return None if dim is None or dim == () else dim


def norm(x, p=2, dim=None, keepdim=False):
    if p == np.inf:
        return np.abs(x).max(axis=axes(dim), keepdims=keepdim)
    return (np.abs(x) ** p).sum(axis=axes(dim), keepdims=keepdim) ** (1 / p)


def var(x, dim=None, unbiased=None, keepdim=False, *, correction=1):
    if unbiased is not None:
        correction = int(unbiased)
    return np.var(x, axis=axes(dim), ddof=correction, keepdims=keepdim)


def std(*args, **kwargs):
    return np.sqrt(var(*args, **kwargs))


def extreme(largest):
    def reference(x, dim=None, keepdim=False):
        if isinstance(dim, np.ndarray):
            return np.maximum(x, dim) if largest else np.minimum(x, dim)
        values = (np.max if largest else np.min)(x, axis=dim, keepdims=keepdim)
        if dim is None:
            return values
        return values, (np.argmax if largest else np.argmin)(x, axis=dim, keepdims=keepdim)

    return reference


def over_axes(function):
    return lambda x, dim=None, keepdim=False: function(x, axis=axes(dim), keepdims=keepdim)


REFERENCES = {
    "sum": over_axes(np.sum),
    "mean": over_axes(np.mean),
    "prod": over_axes(np.prod),
    "amax": over_axes(np.max),
    "amin": over_axes(np.min),
    "any": over_axes(np.any),
    "all": over_axes(np.all),
    "argmax": over_axes(np.argmax),
    "argmin": over_axes(np.argmin),
    "max": extreme(True),
    "min": extreme(False),
    "var": var,
    "std": std,
    "norm": norm,
}
