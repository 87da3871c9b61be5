"""Losses of pairs, margins and counts in NumPy, float64."""

import math

import numpy as np

from tests.references.loss import reduced


def length(x, p=2.0, axis=-1, keepdims=False):
    return (np.abs(x) ** p).sum(axis, keepdims=keepdims) ** (1 / p)


def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    return length(x1 - x2 + eps, p, keepdims=keepdim)


def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    dot = (x1 * x2).sum(dim)
    return dot / (np.maximum(length(x1, axis=dim), eps) * np.maximum(length(x2, axis=dim), eps))


def margin_ranking_loss(x1, x2, target, margin=0.0, reduction="mean"):
    return reduced(np.maximum(0, margin - target * (x1 - x2)), reduction)


def hinge_embedding_loss(x, target, margin=1.0, reduction="mean"):
    return reduced(np.where(target == 1, x, np.maximum(0, margin - x)), reduction)


def cosine_embedding_loss(x1, x2, target, margin=0.0, reduction="mean"):
    cosine = cosine_similarity(x1, x2, -1)
    return reduced(np.where(target == 1, 1 - cosine, np.maximum(0, cosine - margin)), reduction)


def triplet_margin_loss(
    anchor, positive, negative, margin=1.0, p=2.0, eps=1e-6, swap=False, reduction="mean"
):
    near, far = (pairwise_distance(anchor, x, p, eps) for x in (positive, negative))
    if swap:
        far = np.minimum(far, pairwise_distance(positive, negative, p, eps))
    return reduced(np.maximum(0, margin + near - far), reduction)


def soft_margin_loss(x, target, reduction="mean"):
    return reduced(np.logaddexp(0, -target * x), reduction)


def multi_margin_loss(x, target, p=1, margin=1.0, weight=None, reduction="mean"):
    losses = []
    for row, label in zip(np.atleast_2d(x), np.atleast_1d(target), strict=True):
        short = [max(0, margin - row[label] + v) ** p for c, v in enumerate(row) if c != label]
        losses.append(sum(short) / len(row) * (1 if weight is None else weight[label]))
    return reduced(np.array(losses) if x.ndim > 1 else np.array(losses[0]), reduction)


def poisson_nll_loss(x, target, log_input=True, full=False, eps=1e-8, reduction="mean"):
    losses = np.exp(x) - target * x if log_input else x - target * np.log(x + eps)
    if full:
        large = np.maximum(target, 1)
        stirling = large * np.log(large) - large + np.log(2 * math.pi * large) / 2
        losses = losses + np.where(target > 1, stirling, 0)
    return reduced(losses, reduction)


def gaussian_nll_loss(x, target, var, full=False, eps=1e-6, reduction="mean"):
    var = np.maximum(var, eps)
    losses = (np.log(var) + (x - target) ** 2 / var) / 2
    return reduced(losses + (math.log(2 * math.pi) / 2 if full else 0), reduction)


REFERENCES = {
    "pairwise_distance": pairwise_distance,
    "cosine_similarity": cosine_similarity,
    "margin_ranking_loss": margin_ranking_loss,
    "hinge_embedding_loss": hinge_embedding_loss,
    "cosine_embedding_loss": cosine_embedding_loss,
    "triplet_margin_loss": triplet_margin_loss,
    "soft_margin_loss": soft_margin_loss,
    "multi_margin_loss": multi_margin_loss,
    "poisson_nll_loss": poisson_nll_loss,
    "gaussian_nll_loss": gaussian_nll_loss,
}
