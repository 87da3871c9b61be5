"""Restricted Boltzmann machine: digits rebuilt and dreamt, and how likely it finds them.

    python -m examples.systems.rbm

Hidden units that do not see each other, given the pixels, can all be drawn at once, so Gibbs
sampling is two matrix products a step. Contrastive divergence (Hinton, 2002) lowers the energy of
data against that of samples k steps away (CD-k), or of chains that never start anew (PCD;
Tieleman, 2008). The likelihood that they climb needs the partition function Z: with 16 hidden
units all 65,536 of their states can be summed, which also tests the estimate by annealed
importance sampling (Salakhutdinov and Murray, 2008), the way for larger machines. CD-1 is cheap,
rebuilds well, and is the least likely model of the three; each has its learning rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import fastnn
from examples import common
from examples.grey import binary, grey_digits, show
from fastnn import Tensor
from fastnn.models.partition import ais_log_z, exact_log_z, log_likelihood
from fastnn.models.rbm import RBM, train_rbm
from fastnn.nn.functional import binary_cross_entropy, mse_loss

WAYS = {
    "CD-1": {"lr": 0.1},
    "CD-10": {"lr": 0.1, "steps": 10},
    "PCD": {"lr": 0.01, "persistent": True},
}


@dataclass
class Counted:
    """Of an RBM small enough to count: log Z, its estimate with standard error, and the mean
    log-likelihood of a test digit."""

    exact: float
    estimate: float
    error: float
    likelihood: float


def trained(way: str, train: Tensor, hidden: int, epochs: int) -> RBM:
    rbm = RBM(train.shape[1], hidden)
    progress = f"{way}, {hidden} units" if hidden > 100 else None
    train_rbm(rbm, train, epochs=epochs, progress=progress, **WAYS[way])
    return rbm


def count(rbm: RBM, train: Tensor, test: Tensor, quick: bool) -> Counted:
    """Of a small RBM; its training data say where the estimate begins."""
    exact = exact_log_z(rbm)
    chains, temperatures = (100, 1000) if quick else (200, 5000)
    estimate, error = ais_log_z(rbm, train, chains, temperatures)
    return Counted(exact, estimate, error, log_likelihood(rbm, test, exact))


def pixel_likelihood(train: Tensor, test: Tensor) -> float:
    """The mean log-likelihood of a test digit if pixels knew nothing of each other."""
    mean = train.mean(0).clamp(1e-3, 1 - 1e-3).expand(*test.shape)
    return -binary_cross_entropy(mean, test).item() * test.shape[1]


def dream(rbm: RBM, n: int, steps: int = 1000) -> Tensor:
    """Chains of Gibbs sampling that began in noise: (n, visible) probabilities"""
    v = rbm.gibbs(fastnn.rand(n, rbm.visible).bernoulli(), steps)
    return rbm.reconstruct(v)


def draw(options, rbm: RBM, dreamer: RBM, test: Tensor) -> None:
    with common.picture(options, "rbm", 12, 5) as figure:
        if not figure:
            return
        filters, rebuilt, dreams = figure.subplots(1, 3)
        weight = rbm.weight.detach()[:64]
        largest = weight.abs().max().item()
        show(filters, weight, 8, "weights of 64 hidden units, CD-1", vmin=-largest, vmax=largest,
             cmap="RdBu")  # fmt: skip
        pairs = fastnn.cat(
            [test[:32].reshape(4, 8, -1), rbm.reconstruct(test[:32]).reshape(4, 8, -1)], 1
        )
        show(rebuilt, pairs.reshape(64, -1), 8, "test digits, rebuilt below by CD-1")
        show(dreams, dream(dreamer, 64), 8, "samples of PCD, begun in noise")


def main(arguments: Sequence[str] | None = None) -> common.Results:
    options = common.parse(common.parser(__doc__), arguments)
    data = grey_digits(2000 if options.quick else 4000)
    train, test = binary(data.train_images), binary(data.test_images)
    hidden, epochs = (64, 20) if options.quick else (256, 30)
    rbm = trained("CD-1", train, hidden, epochs)
    dreamer = trained("PCD", train, hidden, 3 * epochs)
    error = mse_loss(rbm.reconstruct(test), test).item()
    of_mean = mse_loss(train.mean(0).expand(*test.shape), test).item()
    print(f"{hidden} hidden units: mean square error of a rebuilt test pixel {error:.4f}, "
          f"of the mean image {of_mean:.4f}")  # fmt: skip
    draw(options, rbm, dreamer, test)

    small, epochs = (12, 60) if options.quick else (16, 150)
    found = {
        way: count(trained(way, train, small, epochs), train, test, options.quick) for way in WAYS
    }
    for way, c in found.items():
        print(f"{way}, {small} hidden units: log Z {c.exact:.2f}, estimated {c.estimate:.2f} +- "
              f"{c.error:.2f}; {c.likelihood:.1f} nats for each test digit")  # fmt: skip
    pixels = pixel_likelihood(train, test)
    print(f"independent pixels: {pixels:.1f} nats")
    worst = max(found.values(), key=lambda c: abs(c.estimate - c.exact))
    score = {way: c.likelihood for way, c in found.items()}
    return [
        common.Result("RBM rebuilds", data.name, f"error {error:.4f}",
                      f"below half of the mean image's {of_mean:.4f}", error < of_mean / 2),
        common.Result("AIS estimates log Z", f"{small} hidden units, worst of 3",
                      f"{worst.estimate:.2f} +- {worst.error:.2f}", f"{worst.exact:.2f} counted",
                      abs(worst.estimate - worst.exact) < max(0.5, 3 * worst.error)),
        common.Result("likelihood of CD-1, CD-10, PCD", f"{small} hidden units, test digits",
                      f"{', '.join(f'{s:.1f}' for s in score.values())} nats",
                      f"CD-1 < both; pixels alone {pixels:.1f}",
                      pixels < score["CD-1"] < min(score["CD-10"], score["PCD"])),
    ]  # fmt: skip


if __name__ == "__main__":
    common.run(main)
