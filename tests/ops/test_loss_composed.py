"""Losses composed of other operations: what they refuse."""

import pytest

import fastnn
from fastnn.nn import functional as F


@pytest.mark.parametrize(
    "loss",
    [
        lambda target: F.margin_ranking_loss(fastnn.zeros(2), fastnn.ones(2), target),
        lambda target: F.hinge_embedding_loss(fastnn.zeros(2), target),
        lambda target: F.soft_margin_loss(fastnn.zeros(2), target),
        lambda target: F.cosine_embedding_loss(fastnn.ones(2, 3), fastnn.ones(2, 3), target),
    ],
)
def test_targets_are_signs(loss):
    loss(fastnn.tensor([1.0, -1.0]))
    with pytest.raises(ValueError, match="must be 1 or -1"):
        loss(fastnn.tensor([1.0, 0.0]))


def test_errors_name_what_is_wrong():
    x = fastnn.zeros(2, 3)
    with pytest.raises(ValueError, match="classes from 0 to 2, they reach from 0 to 3"):
        F.multi_margin_loss(x, fastnn.tensor([0, 3]))
    with pytest.raises(ValueError, match=r"p of multi_margin_loss.* got 3"):
        F.multi_margin_loss(x, fastnn.tensor([0, 1]), p=3)
    with pytest.raises(ValueError, match=r"margin of triplet_margin_loss.* got 0"):
        F.triplet_margin_loss(x, x, x, margin=0)
    with pytest.raises(ValueError, match="must not be negative, found -1"):
        F.gaussian_nll_loss(x, x, fastnn.tensor(-1.0))
    with pytest.raises(ValueError, match="'max'"):
        F.triplet_margin_loss(x, x, x, reduction="max")
