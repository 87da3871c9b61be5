"""Losses of pairs, margins and counts, composed of other operations: pairwise distance and cosine,
margin ranking, hinge and cosine embedding, triplet, soft and multi-class margin, Poisson, Gauss.
"""

from __future__ import annotations

import math

from fastnn._core.tensor import Tensor
from fastnn.ops.activation import clamp, relu, softplus
from fastnn.ops.creation import as_tensor
from fastnn.ops.deviation import norm
from fastnn.ops.gather import gather, scatter
from fastnn.ops.loss import hinge_loss, reduced
from fastnn.ops.pointwise import where
from fastnn.ops.reduce import sum
from fastnn.ops.registry import op


def check_signs(target: Tensor, what: str) -> None:
    if target.numel() and not ((target == 1) | (target == -1)).all():
        raise ValueError(f"the targets of {what}() must be 1 or -1")


def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    """The p-norm of x1 - x2 + eps along the last dimension: (..., D) -> (...)."""
    return norm(x1 - x2 + eps, p, -1, keepdim)


def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """The cosine of the angle between x1 and x2 along `dim`; lengths count as eps at least."""
    lengths = clamp(norm(x1, 2, dim), eps) * clamp(norm(x2, 2, dim), eps)
    return sum(x1 * x2, dim) / lengths


def margin_ranking_loss(input1, input2, target, margin=0.0, reduction="mean"):
    """max(0, margin - target (input1 - input2)): target 1 where input1 should be the larger one,
    -1 where input2 should."""
    check_signs(target, "margin_ranking_loss")
    return hinge_loss(input1 - input2, target, margin, reduction)


def hinge_embedding_loss(input, target, margin=1.0, reduction="mean"):
    """The distance `input` of a pair that belongs together (target 1), max(0, margin - input) of
    one that does not (target -1)."""
    check_signs(target, "hinge_embedding_loss")
    return reduced(where(target == 1, input, relu(margin - input)), reduction)


def cosine_embedding_loss(input1, input2, target, margin=0.0, reduction="mean"):
    """1 - cosine of two vectors (..., D) that belong together (target 1), max(0, cosine - margin)
    of those that do not (target -1)."""
    check_signs(target, "cosine_embedding_loss")
    cosine = cosine_similarity(input1, input2, -1)
    return reduced(where(target == 1, 1 - cosine, relu(cosine - margin)), reduction)


def triplet_margin_loss(
    anchor, positive, negative, margin=1.0, p=2.0, eps=1e-6, swap=False, reduction="mean"
):
    """max(0, margin + distance to the positive - distance to the negative) of vectors (..., D).

    swap: the negative's distance is the smaller one of those to anchor and positive
    (Balntas et al., 2016).
    """
    if not margin > 0:
        raise ValueError(
            f"the margin of triplet_margin_loss() must be greater than 0, got {margin}"
        )
    near = pairwise_distance(anchor, positive, p, eps)
    far = pairwise_distance(anchor, negative, p, eps)
    if swap:
        other = pairwise_distance(positive, negative, p, eps)
        far = where(other < far, other, far)
    return reduced(relu(margin + near - far), reduction)


def soft_margin_loss(input, target, reduction="mean"):
    """log(1 + exp(-target * input)) of scores and targets 1 or -1."""
    check_signs(target, "soft_margin_loss")
    return reduced(softplus(-target * input), reduction)


def multi_margin_loss(input, target, p=1, margin=1.0, weight=None, reduction="mean"):
    """The hinge loss of C classes (Crammer and Singer, 2001): for input (N, C) or (C) and classes
    target (N) or (), the mean over the C classes of max(0, margin - input[target] + input[c])^p,
    c other than the target, times the target's weight."""
    if p not in (1, 2):
        raise ValueError(f"the p of multi_margin_loss() must be 1 or 2, got {p}")
    rows = as_tensor(input)
    rows, classes = (rows, target) if rows.ndim > 1 else (rows.unsqueeze(0), target.reshape(1))
    C = rows.shape[1]
    if classes.numel() and not 0 <= classes.min().item() <= classes.max().item() < C:
        raise ValueError(
            f"the targets of multi_margin_loss() must be classes from 0 to {C - 1}, they reach "
            f"from {classes.min().item()} to {classes.max().item()}"
        )
    column = classes.unsqueeze(1)
    short = relu(margin - gather(rows, 1, column) + rows)
    short = scatter(short, 1, column, 0.0)
    if p == 2:
        short = short * short
    losses = sum(short, 1) / C
    if weight is not None:
        losses = losses * weight[classes]
    return reduced(losses if input.ndim > 1 else losses.reshape(()), reduction)


def poisson_nll_loss(input, target, log_input=True, full=False, eps=1e-8, reduction="mean"):
    """The negative log-likelihood of counts under Poisson's distribution of mean exp(input), or
    input with log_input=False. full: with Stirling's estimate of log(target!)."""
    losses = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        large = clamp(target, 1.0)
        stirling = large * large.log() - large + 0.5 * (2 * math.pi * large).log()
        losses = losses + where(target > 1, stirling, stirling * 0)
    return reduced(losses, reduction)


def gaussian_nll_loss(input, target, var, full=False, eps=1e-6, reduction="mean"):
    """The negative log-likelihood of target under the normal distribution of mean input and
    variance var, at least eps. full: with the constant log(2 pi) / 2."""
    if isinstance(var, Tensor) and var.numel() and var.min().item() < 0:
        raise ValueError(f"variances must not be negative, found {var.min().item()}")
    spread = clamp(as_tensor(var, dtype=input.dtype), eps)
    losses = 0.5 * (spread.log() + (input - target) ** 2 / spread)
    return reduced(losses + 0.5 * math.log(2 * math.pi) if full else losses, reduction)


OPS = [
    op("pairwise_distance", pairwise_distance, cases="pairwise_distance"),
    op("cosine_similarity", cosine_similarity, cases="cosine_similarity"),
    op("margin_ranking_loss", margin_ranking_loss, cases="margin_ranking_loss"),
    op("hinge_embedding_loss", hinge_embedding_loss, cases="hinge_embedding_loss"),
    op("cosine_embedding_loss", cosine_embedding_loss, cases="cosine_embedding_loss"),
    op("triplet_margin_loss", triplet_margin_loss, cases="triplet_margin_loss"),
    op("soft_margin_loss", soft_margin_loss, cases="soft_margin_loss"),
    op("multi_margin_loss", multi_margin_loss, cases="multi_margin_loss"),
    op("poisson_nll_loss", poisson_nll_loss, cases="poisson_nll_loss"),
    op("gaussian_nll_loss", gaussian_nll_loss, cases="gaussian_nll_loss"),
]
