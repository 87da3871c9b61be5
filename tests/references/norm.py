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


def batch_norm_relu(*args, **kwargs):
    return np.maximum(batch_norm(*args, **kwargs), 0)


def layer_norm(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    x = np.asarray(x, np.float64)
    inner = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    y = np.empty_like(x)
    for at in np.ndindex(x.shape[: x.ndim - len(inner)]):
        row = x[at]
        row = (row - row.mean()) / np.sqrt(np.mean((row - row.mean()) ** 2) + eps)
        y[at] = row * (1 if weight is None else weight) + (0 if bias is None else bias)
    return y


def group_norm(x, num_groups, weight=None, bias=None, eps=1e-5):
    y = np.empty_like(np.asarray(x, np.float64))
    per = x.shape[1] // num_groups
    for n in range(x.shape[0]):
        for g in range(0, x.shape[1], per):
            values = x[n, g : g + per]
            var = np.mean((values - values.mean()) ** 2)
            y[n, g : g + per] = (values - values.mean()) / np.sqrt(var + eps)
    shape = (-1, *[1] * (x.ndim - 2))
    y = y if weight is None else y * weight.reshape(shape)
    return y if bias is None else y + bias.reshape(shape)


def instance_norm(
    x,
    running_mean=None,
    running_var=None,
    weight=None,
    bias=None,
    use_input_stats=True,
    momentum=0.1,
    eps=1e-5,
):
    if use_input_stats:
        return group_norm(x, x.shape[1], weight, bias, eps)
    return batch_norm(x, running_mean, running_var, weight, bias, eps=eps)


def local_response_norm(x, size, alpha=1e-4, beta=0.75, k=1.0):
    y = np.empty_like(x)
    for c in range(x.shape[1]):
        around = x[:, max(c - size // 2, 0) : c + (size - 1) // 2 + 1]
        y[:, c] = x[:, c] / (k + alpha / size * (around**2).sum(1)) ** beta
    return y


def rms_norm(x, normalized_shape, weight=1.0, eps=0.0):
    axes = tuple(range(-np.size(normalized_shape), 0))
    return x / np.sqrt((x * x).mean(axis=axes, keepdims=True) + eps) * weight


REFERENCES = {
    "batch_norm": batch_norm,
    "batch_norm_relu": batch_norm_relu,
    "group_norm": group_norm,
    "instance_norm": instance_norm,
    "local_response_norm": local_response_norm,
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
}
