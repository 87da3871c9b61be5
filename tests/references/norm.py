"""What batch norm and layer norm mean, in float64."""

import numpy as np


def batch_norm(
    x,
    running_mean=None,
    running_var=None,
    weight=None,
    bias=None,
    training=False,
    momentum=0.1,
    eps=1e-5,
):
    x = np.asarray(x, np.float64)
    y = np.empty_like(x)
    for c in range(x.shape[1]):
        values = x[:, c]
        mean = values.mean() if training else running_mean[c]
        var = np.mean((values - mean) ** 2) if training else running_var[c]
        y[:, c] = (values - mean) / np.sqrt(var + eps)
        y[:, c] = y[:, c] * (1 if weight is None else weight[c]) + (0 if bias is None else bias[c])
    return y


def layer_norm(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    x = np.asarray(x, np.float64)
    inner = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    y = np.empty_like(x)
    for at in np.ndindex(x.shape[: x.ndim - len(inner)]):
        row = x[at]
        row = (row - row.mean()) / np.sqrt(np.mean((row - row.mean()) ** 2) + eps)
        y[at] = row * (1 if weight is None else weight) + (0 if bias is None else bias)
    return y


def rms_norm(x, normalized_shape, weight=1.0, eps=0.0):
    axes = tuple(range(-np.size(normalized_shape), 0))
    return x / np.sqrt((x * x).mean(axis=axes, keepdims=True) + eps) * weight


REFERENCES = {"batch_norm": batch_norm, "layer_norm": layer_norm, "rms_norm": rms_norm}
