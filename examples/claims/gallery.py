"""Claim: every derivative is right: all activations and losses with theirs, drawn.

    python -m examples.claims.gallery

Training needs of each function its value and its derivative, and a derivative that is a little
wrong still trains, only worse: it is seen by nobody who does not measure. Here each activation
and each loss is a function of one number x; its derivative by backward() is drawn over it, and is
compared in double precision with the slope of a chord from x - h to x + h, which departs from the
derivative by h^2 / 6 times the third one. Where a function has a corner there is no derivative, and
no point of the comparison lies there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import fastnn
from examples import common
from fastnn import Tensor
from fastnn.nn import functional as F

STEP = 1e-5
POINTS = 398  # of which none meets a corner, not even at the reach of 7 or 4
Function = Callable[[Tensor], Tensor]


def first_of(function: Function) -> Function:
    """The first of the two numbers that a function makes of the pair (x, 0)."""
    return lambda x: function(pair(x))[:, 0]


def pair(x: Tensor, other: float = 0.0) -> Tensor:
    """(N) -> (N, 2): x and a constant."""
    return fastnn.stack([x, fastnn.full_like(x, other)], 1)


def constant(x: Tensor, value: float) -> Tensor:
    return fastnn.full_like(x, value)


def classes(x: Tensor) -> Tensor:
    """Class 0 for each sample."""
    return fastnn.zeros(len(x), dtype=fastnn.int64)


ACTIVATIONS: dict[str, Function] = {
    "relu": F.relu,
    "relu6": F.relu6,
    "leaky_relu, 0.1": lambda x: F.leaky_relu(x, 0.1),
    "prelu, 0.25": lambda x: F.prelu(x, constant(x[:1], 0.25)),
    "rrelu, evaluation": lambda x: F.rrelu(x, training=False),
    "threshold, 1 and -1": lambda x: F.threshold(x, 1.0, -1.0),
    "elu": F.elu,
    "celu, 2": lambda x: F.celu(x, 2.0),
    "selu": F.selu,
    "gelu": F.gelu,
    "gelu, tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "mish": F.mish,
    "softplus": F.softplus,
    "sigmoid": F.sigmoid,
    "logsigmoid": F.logsigmoid,
    "tanh": F.tanh,
    "softsign": F.softsign,
    "hardtanh": F.hardtanh,
    "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish,
    "hardshrink": F.hardshrink,
    "softshrink": F.softshrink,
    "tanhshrink": F.tanhshrink,
    "glu of (x, x)": lambda x: F.glu(fastnn.stack([x, x], 1))[:, 0],
    "softmax of (x, 0)": first_of(lambda z: F.softmax(z, 1)),
    "log_softmax of (x, 0)": first_of(lambda z: F.log_softmax(z, 1)),
    "softmin of (x, 0)": first_of(lambda z: F.softmin(z, 1)),
}


@dataclass
class Loss:
    """A loss as a function of one number between `low` and `high`."""

    of: Function
    low: float = -4.0
    high: float = 4.0


def to(target: float, loss: Callable[..., Tensor], *more, **options) -> Function:
    """The loss of each x for one target."""
    return lambda x: loss(x, constant(x, target), *more, reduction="none", **options)


def vectors(x: Tensor, *others: float) -> list[Tensor]:
    """x and constants as vectors of one number: (N, 1) each."""
    return [x.unsqueeze(1), *(constant(x, value).unsqueeze(1) for value in others)]


LOSSES: dict[str, Loss] = {
    "mse_loss": Loss(to(0, F.mse_loss)),
    "l1_loss": Loss(to(0, F.l1_loss)),
    "huber_loss, 2": Loss(to(0, F.huber_loss, delta=2.0)),
    "smooth_l1_loss": Loss(to(0, F.smooth_l1_loss)),
    "quantile_loss, 0.9": Loss(to(0, F.quantile_loss, 0.9)),
    "gaussian_nll_loss": Loss(to(0, F.gaussian_nll_loss, 0.5)),
    "poisson_nll_loss, 2": Loss(to(2, F.poisson_nll_loss)),
    "binary_cross_entropy, 1": Loss(to(1, F.binary_cross_entropy), 0.1, 0.9),
    "..._with_logits, 1": Loss(to(1, F.binary_cross_entropy_with_logits)),
    "..._with_logits, 0.3": Loss(to(0.3, F.binary_cross_entropy_with_logits)),
    "kl_div, 0.3": Loss(to(0.3, F.kl_div)),
    "cross_entropy of (x, 0)": Loss(lambda x: F.cross_entropy(pair(x), classes(x),
                                                              reduction="none")),
    "nll_loss of (x, 0)": Loss(lambda x: F.nll_loss(pair(x), classes(x), reduction="none")),
    "multi_margin_loss of (x, 0)": Loss(lambda x: F.multi_margin_loss(pair(x), classes(x),
                                                                      reduction="none")),
    "hinge_loss, 1": Loss(to(1, F.hinge_loss)),
    "soft_margin_loss, 1": Loss(to(1, F.soft_margin_loss)),
    "margin_ranking_loss": Loss(lambda x: F.margin_ranking_loss(
        x, constant(x, 0), constant(x, 1), margin=0.5, reduction="none")),
    "hinge_embedding_loss, -1": Loss(to(-1, F.hinge_embedding_loss)),
    "contrastive_loss, 1": Loss(to(1, F.contrastive_loss), 0.01, 4.0),
    "contrastive_loss, 0": Loss(to(0, F.contrastive_loss, 2.0), 0.01, 4.0),
    "cosine_embedding_loss, 1": Loss(lambda x: F.cosine_embedding_loss(
        pair(x, 1), pair(constant(x, 1), 1), constant(x, 1), reduction="none")),
    "cosine_embedding_loss, -1": Loss(lambda x: F.cosine_embedding_loss(
        pair(x, 1), pair(constant(x, 1), 1), constant(x, -1), reduction="none")),
    "triplet_margin_loss, 1, -1": Loss(lambda x: F.triplet_margin_loss(
        *vectors(x, 1, -1), reduction="none")),
}  # fmt: skip


@dataclass
class Curve:
    """A function at points x, its derivative by autograd, and how far that is from the slope of
    the chord at most, relative where the derivative is larger than 1."""

    x: Tensor
    y: Tensor
    derivative: Tensor
    deviation: float


def measure(function: Function, low: float, high: float) -> Curve:
    x = fastnn.linspace(low, high, POINTS, dtype=fastnn.float64).requires_grad_()
    y = function(x)
    y.sum().backward()
    with fastnn.no_grad():
        chord = (function(x + STEP) - function(x - STEP)) / (2 * STEP)
        off = (x.grad - chord).abs() / x.grad.abs().clamp(1.0)
    return Curve(x.detach(), y.detach(), x.grad, off.max().item())


def draw(options, name: str, curves: dict[str, Curve]) -> None:
    rows = -(-len(curves) // 6)
    with common.picture(options, name, 14, 2 * rows) as figure:
        if not figure:
            return
        panels = list(figure.subplots(rows, 6).flat)
        for axes, (title, curve) in zip(panels, curves.items(), strict=False):
            x = curve.x.numpy()
            axes.axhline(0, color="lightgrey", lw=0.8)
            axes.plot(x, curve.y.numpy(), label="function")
            axes.plot(x, curve.derivative.numpy(), lw=1, label="derivative")
            axes.set_title(title, fontsize=9)
            axes.tick_params(labelsize=7)
        panels[0].legend(frameon=False, fontsize=7)
        for axes in panels[len(curves) :]:
            axes.set_axis_off()


def result(name: str, curves: dict[str, Curve]) -> common.Result:
    worst = max(curves, key=lambda key: curves[key].deviation)
    off = curves[worst].deviation
    print(f"{len(curves)} {name}: derivatives depart from chords by {off:.1g} at most ({worst})")
    return common.Result(f"derivatives of {name}", f"{len(curves)} functions, {POINTS} points",
                         f"within {off:.0e} ({worst})", "central difference, 1e-8",
                         off < 1e-8)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> common.Results:
    options = common.parse(common.parser(__doc__), arguments)
    activations = {name: measure(function, -7, 7) for name, function in ACTIVATIONS.items()}
    losses = {name: measure(loss.of, loss.low, loss.high) for name, loss in LOSSES.items()}
    draw(options, "activations", activations)
    draw(options, "losses", losses)
    return [result("activations", activations), result("losses", losses)]


if __name__ == "__main__":
    common.run(main)
