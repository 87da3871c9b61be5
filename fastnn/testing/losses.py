"""Cases of losses; see cases.py."""

from __future__ import annotations

from itertools import product

import numpy as np

from fastnn.testing.arguments import Generator, away_from_zero

REDUCTIONS = ("mean", "sum", "none")


# --- of classes ---------------------------------------------------------------


def nll_loss(rng):
    for shape in [(7,), (6, 10), (4, 5, 3), (2, 3, 4, 5)]:
        classes = shape[0] if len(shape) == 1 else shape[1]
        target = () if len(shape) == 1 else (shape[0], *shape[2:])
        for reduction in ("mean", "sum", "none"):
            t = np.asarray(rng.integers(0, classes, target))
            yield (rng.normal(0, 2, shape), t), {"reduction": reduction}
            ignored = np.where(rng.random(target) < 0.4, 1, t) if target else t
            weight = rng.uniform(0.5, 2.0, classes)
            ignore = 1 if target else -100
            options = {"weight": weight, "ignore_index": ignore, "reduction": reduction}
            yield (rng.normal(0, 2, shape), ignored), options


def cross_entropy(rng):
    for args, kwargs in nll_loss(rng):
        yield args, kwargs
        yield args, {**kwargs, "label_smoothing": 0.2}
    yield (rng.normal(0, 2, (400, 100)), rng.integers(0, 100, 400)), {}
    for shape in [(2, 9, 7, 5), (3, 80, 11)]:
        yield (rng.normal(0, 2, shape), rng.integers(0, 9, (shape[0], *shape[2:]))), {}
    for shape in [(5,), (6, 10), (3, 70), (2, 3, 4, 5), (2, 67, 21)]:
        x, probabilities = rng.normal(0, 2, shape), rng.uniform(0, 1, shape)
        weight = rng.uniform(0.5, 2.0, shape[0] if len(shape) == 1 else shape[1])
        for reduction in ("mean", "sum", "none"):
            yield (x, probabilities), {"reduction": reduction}
            options = {"weight": weight, "label_smoothing": 0.3, "reduction": reduction}
            yield (x, probabilities), options


# --- number by number ---------------------------------------------------------


def pair_loss(rng):
    for shape in [(), (7,), (33, 5), (2, 3, 4, 5), (130, 1000)]:
        for reduction in ("mean", "sum", "none"):
            x = rng.normal(0, 2, shape)
            yield (x, x + away_from_zero(rng, *shape)), {"reduction": reduction}


def huber_loss(rng):
    yield from pair_loss(rng)
    x = rng.normal(0, 2, (5, 33))
    yield (x, x + away_from_zero(rng, 5, 33)), {"delta": 0.7001}


def smooth_l1_loss(rng):
    yield from pair_loss(rng)
    x = rng.normal(0, 2, (5, 33))
    for beta in (0, 0.7001, 2.3):
        yield (x, x + away_from_zero(rng, 5, 33)), {"beta": beta}


def bce(rng):
    for shape in [(), (7,), (33, 5), (130, 1000)]:
        for reduction in ("mean", "sum", "none"):
            options = {"target": rng.uniform(0, 1, shape), "reduction": reduction}
            yield (rng.uniform(0.05, 0.95, shape),), options
    options = {"target": rng.uniform(0, 1, (4, 5)), "weight": rng.uniform(0, 2, 5)}
    yield (rng.uniform(0.05, 0.95, (4, 5)),), options


def bce_logits(rng):
    for shape in [(), (7,), (33, 5), (130, 1000)]:
        for reduction in ("mean", "sum", "none"):
            yield (rng.normal(0, 3, shape), rng.uniform(0, 1, shape)), {"reduction": reduction}
    x, t = rng.normal(0, 3, (4, 5)), rng.uniform(0, 1, (4, 5))
    yield (x, t, rng.uniform(0, 2, 5)), {}
    yield (x, t, None, "none", rng.uniform(0.5, 4, 5)), {}
    yield (x, t, rng.uniform(0, 2, (4, 5)), "sum", rng.uniform(0.5, 4, 5)), {}


def quantile_loss(rng):
    for k, (args, kwargs) in enumerate(pair_loss(rng)):
        yield args, {**kwargs, "quantile": (0.05, 0.5, 0.9)[k % 3]}
    t = rng.normal(0, 2, (6, 5))
    x = t[..., None] + away_from_zero(rng, 6, 5, 3)
    for reduction in REDUCTIONS:
        yield (x, t), {"quantile": [0.1, 0.5, 0.9], "reduction": reduction}


def kl_div(rng):
    for shape in [(), (7,), (33, 5), (130, 1000)]:
        share = np.asarray(rng.uniform(0.01, 1, shape))
        for reduction in REDUCTIONS:
            x = rng.normal(-2, 1, shape)
            yield (x,), {"target": share, "reduction": reduction}
            yield (
                (x,),
                {"target": np.asarray(np.log(share)), "reduction": reduction, "log_target": True},
            )
    target = np.where(rng.random((4, 5)) < 0.3, 0, rng.random((4, 5)))
    yield (rng.normal(-2, 1, (4, 5)),), {"target": target, "reduction": "batchmean"}


def signs(rng, *shape):
    return np.asarray(rng.choice([-1.0, 1.0], shape))


def hinge_loss(rng):
    for shape, reduction in product([(), (7,), (33, 5), (130, 1000)], REDUCTIONS):
        target = signs(rng, *shape)
        for margin in (1.0, 0.3):
            x = target * (margin + away_from_zero(rng, *shape))
            yield (x,), {"target": target, "margin": margin, "reduction": reduction}


def contrastive_loss(rng):
    for shape, reduction in product([(), (7,), (33, 5), (130, 1000)], REDUCTIONS):
        together = np.asarray(rng.integers(0, 2, shape).astype(float))
        for margin in (1.0, 3.5):
            x = np.abs(margin + away_from_zero(rng, *shape))
            yield (x,), {"target": together, "margin": margin, "reduction": reduction}


# --- composed of other operations ---------------------------------------------


def pairwise_distance(rng):
    for shape in [(7,), (5, 3), (2, 3, 4)]:
        yield (rng.normal(0, 1, shape), rng.normal(0, 1, shape)), {}
    yield (rng.normal(0, 1, (5, 3)), rng.normal(0, 1, (5, 3))), {"p": 1.0, "keepdim": True}


def cosine_similarity(rng):
    for dim in (0, 1, -1):
        yield (rng.normal(0, 1, (5, 3, 4)), rng.normal(0, 1, (5, 3, 4))), {"dim": dim}


def margin_ranking_loss(rng):
    for shape, reduction in product([(7,), (4, 5)], REDUCTIONS):
        target, x = signs(rng, *shape), rng.normal(0, 1, shape)
        other = x - target * (0.5 + away_from_zero(rng, *shape))
        yield (x, other), {"target": target, "margin": 0.5, "reduction": reduction}


def hinge_embedding_loss(rng):
    for shape, reduction in product([(7,), (4, 5)], REDUCTIONS):
        x = 1.0 + away_from_zero(rng, *shape)
        yield (x,), {"target": signs(rng, *shape), "reduction": reduction}


def cosine_embedding_loss(rng):
    for margin, reduction in product((0.0, -0.9), REDUCTIONS):
        vectors = rng.normal(0, 1, (6, 4)), rng.normal(0, 1, (6, 4))
        yield vectors, {"target": signs(rng, 6), "margin": margin, "reduction": reduction}


def triplet_margin_loss(rng):
    for swap, reduction in product((False, True), REDUCTIONS):
        vectors = tuple(rng.normal(0, 1, (3, 6, 4)))
        yield vectors, {"swap": swap, "reduction": reduction}


def soft_margin_loss(rng):
    for shape, reduction in product([(7,), (4, 5)], REDUCTIONS):
        yield (rng.normal(0, 2, shape),), {"target": signs(rng, *shape), "reduction": reduction}


def multi_margin_loss(rng):
    for p, reduction in product((1, 2), REDUCTIONS):
        options = {"p": p, "reduction": reduction}
        yield (rng.normal(0, 2, (6, 5)), rng.integers(0, 5, 6)), options
        weight = rng.uniform(0.5, 2, 5)
        yield (rng.normal(0, 2, (6, 5)), rng.integers(0, 5, 6)), {**options, "weight": weight}
        yield (rng.normal(0, 2, 5), np.asarray(rng.integers(0, 5))), options


def poisson_nll_loss(rng):
    for shape, full, reduction in product([(7,), (4, 5)], (False, True), REDUCTIONS):
        options = {"target": rng.integers(0, 9, shape).astype(float), "full": full}
        yield (rng.normal(0, 1, shape),), {**options, "reduction": reduction}
        x = rng.uniform(0.5, 5, shape)
        yield (x,), {**options, "log_input": False, "reduction": reduction}


def gaussian_nll_loss(rng):
    for full, reduction in product((False, True), REDUCTIONS):
        x, t, var = rng.normal(0, 1, (4, 5)), rng.normal(0, 1, (4, 5)), rng.uniform(0.5, 2, (4, 5))
        yield (x, t, var), {"full": full, "reduction": reduction}


LOSSES: dict[str, Generator] = {
    function.__name__: function
    for function in (
        nll_loss,
        cross_entropy,
        pair_loss,
        huber_loss,
        smooth_l1_loss,
        quantile_loss,
        bce,
        bce_logits,
        kl_div,
        hinge_loss,
        contrastive_loss,
        pairwise_distance,
        cosine_similarity,
        margin_ranking_loss,
        hinge_embedding_loss,
        cosine_embedding_loss,
        triplet_margin_loss,
        soft_margin_loss,
        multi_margin_loss,
        poisson_nll_loss,
        gaussian_nll_loss,
    )
}
