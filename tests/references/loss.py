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


def quantile_loss(x, t, quantile=0.5, reduction="mean"):
    if not np.isscalar(quantile):
        t = t[..., None]
    d = t - x
    return reduced(
        np.where(d > 0, np.multiply(quantile, d), np.subtract(quantile, 1) * d), reduction
    )


def kl_div(x, target, reduction="mean", log_target=False):
    share = np.exp(target) if log_target else target
    logs = target if log_target else np.log(np.where(target > 0, target, 1))
    losses = share * (logs - x)
    return losses.sum() / len(x) if reduction == "batchmean" else reduced(losses, reduction)


def hinge_loss(x, target, margin=1.0, reduction="mean"):
    return reduced(np.maximum(0, margin - target * x), reduction)


def contrastive_loss(x, target, margin=1.0, reduction="mean"):
    apart = np.maximum(0, margin - x)
    return reduced((target * x**2 + (1 - target) * apart**2) / 2, reduction)


REFERENCES = {
    "quantile_loss": quantile_loss,
    "kl_div": kl_div,
    "hinge_loss": hinge_loss,
    "contrastive_loss": contrastive_loss,
    "mse_loss": mse_loss,
    "l1_loss": l1_loss,
    "huber_loss": huber_loss,
    "smooth_l1_loss": smooth_l1_loss,
    "binary_cross_entropy": binary_cross_entropy,
    "binary_cross_entropy_with_logits": binary_cross_entropy_with_logits,
}
