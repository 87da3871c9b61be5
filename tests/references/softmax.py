"""Softmax and the losses of classes in NumPy, float64."""

import numpy as np


def logsumexp(x, dim, keepdim=False):
    top = x.max(axis=dim, keepdims=True)
    y = top + np.log(np.exp(x - top).sum(axis=dim, keepdims=True))
    return y if keepdim else y.squeeze(axis=dim)


def log_softmax(x, dim):
    return x - logsumexp(x, dim, keepdim=True)


def softmax(x, dim):
    return np.exp(log_softmax(x, dim))


def reduced(losses, total, reduction):
    if reduction == "none":
        return losses
    return losses.sum() if reduction == "sum" else losses.sum() / total


def nll_loss(x, target, weight=None, ignore_index=-100, reduction="mean"):
    """One target after the other."""
    logs = x[None] if x.ndim == 1 else x
    classes = logs.shape[1]
    weight = np.ones(classes) if weight is None else weight
    logs = np.moveaxis(logs, 1, -1).reshape(-1, classes)
    losses, total = np.zeros(target.size), 0.0
    for i, k in enumerate(target.reshape(-1)):
        if k != ignore_index:
            losses[i] = -weight[k] * logs[i, k]
            total += weight[k]
    return reduced(losses.reshape(target.shape), total, reduction)


def cross_entropy(x, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    dim = 1 if x.ndim > 1 else 0
    logs = log_softmax(x, dim)
    weights = np.ones(x.shape[dim]) if weight is None else weight
    shape = [-1 if d == dim else 1 for d in range(x.ndim)]
    if target.dtype.kind == "f":
        target = target * (1 - label_smoothing) + label_smoothing / x.shape[dim]
        losses = -(logs * target * weights.reshape(shape)).sum(axis=dim)
        return reduced(losses, losses.size, reduction)
    valid = target != ignore_index
    spread = -(logs * weights.reshape(shape)).sum(axis=dim) * valid / x.shape[dim]
    exact = nll_loss(logs, target, weights, ignore_index, "none")
    total = weights[target[valid]].sum()
    return reduced((1 - label_smoothing) * exact + label_smoothing * spread, total, reduction)


REFERENCES = {
    "softmax": softmax,
    "log_softmax": log_softmax,
    "softmin": lambda x, dim: softmax(-x, dim),
    "logsumexp": logsumexp,
    "nll_loss": nll_loss,
    "cross_entropy": cross_entropy,
}
