"""The restricted Boltzmann machine: binary visible units, hidden units, no links within a layer.

Energy E(v, h) = -v b - h c - h W v, probability exp(-E) / Z (Smolensky, 1986). Trained by
contrastive divergence (Hinton, 2002) or by chains that go on from batch to batch (Tieleman,
2008); Hinton's practical guide (2010) has the settings. How likely data are needs log Z:
`partition.py` has it.
"""

from __future__ import annotations

from collections.abc import Callable

from fastnn import Tensor, bernoulli, nn, no_grad, randn, randn_like, zeros
from fastnn.models.checks import check_each, check_finite, check_matrix, check_same_length
from fastnn.models.training import History, fit
from fastnn.nn.functional import linear, softplus
from fastnn.optim import SGD
from fastnn.optim.lr_scheduler import LinearLR


def check_shares(v: Tensor, visible: int, what: str) -> None:
    """ValueError unless v is a matrix (N, visible) of numbers from 0 to 1, N at least 1."""
    check_same_length((v,))
    check_matrix(v, visible, what)
    check_finite(v, what)
    check_each(v, (v < 0) | (v > 1), f"{what} must lie from 0 to 1")


class RBM(nn.Module):
    """`visible` and `hidden` binary units. weight (hidden, visible), as nn.Linear has it, begins
    with deviation 0.01; visible_bias and hidden_bias begin at 0.

    Numbers between 0 and 1 are taken for probabilities of visible units.

    >>> import fastnn
    >>> RBM(6, 4)(fastnn.ones(2, 6)).shape
    (2,)
    """

    def __init__(self, visible: int, hidden: int) -> None:
        super().__init__()
        if min(visible, hidden) < 1:
            raise ValueError(f"an RBM needs units in both layers, got {visible} and {hidden}")
        self.visible, self.hidden = visible, hidden
        self.weight = nn.Parameter(0.01 * randn(hidden, visible))
        self.visible_bias = nn.Parameter(zeros(visible))
        self.hidden_bias = nn.Parameter(zeros(hidden))

    def forward(self, v: Tensor) -> Tensor:
        """The free energy -log sum_h exp(-E(v, h)) of each row: (N, visible) -> (N)"""
        check_matrix(v, self.visible, "the visible units")
        return -(v @ self.visible_bias) - self.hidden_term(v)

    def hidden_term(self, v: Tensor) -> Tensor:
        """log sum_h exp(h c + h W v) of each row: (N, visible) -> (N)"""
        return softplus(self.hidden_input(v)).sum(1)

    def hidden_input(self, v: Tensor) -> Tensor:
        """c + W v: (N, visible) -> (N, hidden)"""
        return linear(v, self.weight, self.hidden_bias)

    def hidden_mean(self, v: Tensor) -> Tensor:
        """The probability of each hidden unit to be 1: (N, visible) -> (N, hidden)"""
        return self.hidden_input(v).sigmoid()

    def visible_mean(self, h: Tensor) -> Tensor:
        """The probability of each visible unit to be 1: (N, hidden) -> (N, visible)"""
        return (h @ self.weight + self.visible_bias).sigmoid()

    def sample_hidden(self, v: Tensor) -> Tensor:
        return bernoulli(self.hidden_mean(v))

    @no_grad()
    def gibbs(self, v: Tensor, steps: int = 1) -> Tensor:
        """Visible units after `steps` of h ~ p(h | v), v ~ p(v | h): (N, visible) -> the same"""
        for _ in range(steps):
            v = bernoulli(self.visible_mean(self.sample_hidden(v)))
        return v

    @no_grad()
    def reconstruct(self, v: Tensor) -> Tensor:
        """What the hidden units' means make of v: (N, visible) -> (N, visible), from 0 to 1"""
        check_matrix(v, self.visible, "the visible units")
        return self.visible_mean(self.hidden_mean(v))


class GaussianRBM(RBM):
    """An RBM whose hidden units are real numbers, normal around c + W v with deviation 1, the
    code layer of Hinton and Salakhutdinov (2006). Needs a learning rate ten to a hundred times
    smaller."""

    def hidden_term(self, v: Tensor) -> Tensor:
        """log of the integral over h, up to a constant: (N, visible) -> (N)"""
        return 0.5 * (self.hidden_input(v).square() - self.hidden_bias.square()).sum(1)

    def hidden_mean(self, v: Tensor) -> Tensor:
        return self.hidden_input(v)

    def sample_hidden(self, v: Tensor) -> Tensor:
        mean = self.hidden_mean(v)
        return mean + randn_like(mean)


class ContrastiveDivergence:
    """The loss whose gradient is CD-k: the free energy of data minus that of samples, which
    `steps` of Gibbs sampling make of the data; or, with chains (a batch of visible states), of
    where the last batch left the chains: persistent CD. Its value tells nothing of progress."""

    def __init__(self, rbm: RBM, steps: int = 1, chains: Tensor | None = None) -> None:
        if steps < 1:
            raise ValueError(f"contrastive divergence needs a step or more, got {steps}")
        self.rbm, self.steps, self.chains = rbm, steps, chains

    def __call__(self, energy: Tensor, v: Tensor) -> Tensor:
        samples = self.rbm.gibbs(v if self.chains is None else self.chains, self.steps)
        if self.chains is not None:
            self.chains = samples
        return energy.mean() - self.rbm(samples).mean()


@no_grad()
def centre_visible(rbm: RBM, v: Tensor) -> None:
    """Visible biases that give each unit alone its mean in v: log p / (1 - p)."""
    mean = v.mean(0).clamp(0.01, 0.99)
    rbm.visible_bias.copy_((mean / (1 - mean)).log())


def train_rbm(
    rbm: RBM,
    v: Tensor,
    *,
    epochs: int,
    lr: float = 0.1,
    steps: int = 1,
    persistent: bool = False,
    momentum: tuple[float, float] = (0.5, 0.9),
    weight_decay: float = 2e-4,
    batch_size: int = 100,
    evaluate: Callable[[], float] | None = None,
    progress: str | None = None,
) -> History:
    """Train on v (N, visible) of numbers from 0 to 1 by CD-`steps`, or by persistent CD.

    The learning rate falls linearly to 0; momentum is the first number in the first five epochs
    (or half of them), then the second; the weights alone decay. Visible biases begin where they
    give the means of v.
    """
    check_shares(v, rbm.visible, "the data of the RBM")
    centre_visible(rbm, v)
    chains = bernoulli(v[:batch_size]) if persistent else None
    biases = {"params": [rbm.visible_bias, rbm.hidden_bias], "weight_decay": 0.0}
    optimizer = SGD([{"params": [rbm.weight]}, biases], lr, momentum[0], 0, weight_decay)
    scheduler = LinearLR(optimizer, 1.0, 0.0, epochs * -(-len(v) // batch_size))
    loss, first, history = ContrastiveDivergence(rbm, steps, chains), min(5, epochs // 2), History()
    for share, count in zip(momentum, (first, epochs - first), strict=True):
        for group in optimizer.param_groups:
            group["momentum"] = share
        part = fit(
            rbm,
            (v, v),
            loss,
            epochs=count,
            batch_size=batch_size,
            optimizer=optimizer,
            scheduler=scheduler,
            evaluate=evaluate,
            progress=progress,
        )
        history.extend(part)
    return history
