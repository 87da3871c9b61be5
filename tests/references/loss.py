"""Losses number by number in NumPy, float64."""

import numpy as np


def reduced(losses, reduction):
    return losses if reduction == "none" else losses.sum() if reduction == "sum" else losses.mean()


def mse_loss(x, t, reduction="mean"):
    return reduced((x - t) ** 2, reduction)


def l1_loss(x, t, reduction="mean"):
    return reduced(np.abs(x - t), reduction)


def huber_loss(x, t, reduction="mean", delta=1.0):
    d = np.abs(x - t)
    return reduced(np.where(d < delta, d * d / 2, delta * (d - delta / 2)), reduction)


def smooth_l1_loss(x, t, reduction="mean", beta=1.0):
    d = np.abs(x - t)
    if beta == 0:
        return reduced(d, reduction)
    return reduced(np.where(d < beta, d * d / (2 * beta), d - beta / 2), reduction)


def binary_cross_entropy(x, target, weight=None, reduction="mean"):
    losses = -(target * np.log(x) + (1 - target) * np.log1p(-x))
    return reduced(losses if weight is None else losses * weight, reduction)


def binary_cross_entropy_with_logits(x, t, weight=None, reduction="mean", pos_weight=None):
    positive = np.logaddexp(0, -x) * (1 if pos_weight is None else pos_weight)
    losses = t * positive + (1 - t) * np.logaddexp(0, x)
    return reduced(losses if weight is None else losses * weight, reduction)


REFERENCES = {
    "mse_loss": mse_loss,
    "l1_loss": l1_loss,
    "huber_loss": huber_loss,
    "smooth_l1_loss": smooth_l1_loss,
    "binary_cross_entropy": binary_cross_entropy,
    "binary_cross_entropy_with_logits": binary_cross_entropy_with_logits,
}
