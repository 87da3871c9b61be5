"""The logarithm of an RBM's partition function Z: exact for few units, else an estimate.

With it, log p(v) = -F(v) - log Z says how likely data are under the model.
"""

from __future__ import annotations

import math
from itertools import pairwise

from fastnn import Tensor, bernoulli, cat, float64, linspace, logsumexp, no_grad, zeros
from fastnn.models.rbm import RBM
from fastnn.nn.functional import softplus

MOST_UNITS = 20
CHUNK = 2048


def all_states(units: int) -> Tensor:
    """All rows of 0 and 1: (2 ** units, units) in double precision"""
    states = zeros(1, 0, dtype=float64)
    for _ in range(units):
        column = states.new_zeros(len(states), 1)
        states = cat([cat([states, column], 1), cat([states, column + 1], 1)])
    return states


@no_grad()
def exact_log_z(rbm: RBM) -> float:
    """log Z, summed over all states of the smaller layer, which may have 20 units."""
    weight, visible_bias, hidden_bias = (
        x.double() for x in (rbm.weight, rbm.visible_bias, rbm.hidden_bias)
    )
    if rbm.visible < rbm.hidden:
        weight, visible_bias, hidden_bias = weight.t(), hidden_bias, visible_bias
    if len(hidden_bias) > MOST_UNITS:
        raise ValueError(
            f"log Z is counted for at most {MOST_UNITS} units in the smaller layer, got "
            f"{len(hidden_bias)}; ais_log_z estimates it"
        )
    states = all_states(len(hidden_bias))
    terms = [
        part @ hidden_bias + softplus(part @ weight + visible_bias).sum(1)
        for part in states.split(CHUNK)
    ]
    return logsumexp(cat(terms), 0).item()


@no_grad()
def ais_log_z(
    rbm: RBM, v: Tensor, chains: int = 100, temperatures: int = 5000
) -> tuple[float, float]:
    """log Z and its standard error by annealed importance sampling (Neal, 2001; Salakhutdinov and
    Murray, 2008).

    `chains` of Gibbs sampling go from a model without weights, whose visible units have the
    means of v (N, visible), to the RBM in `temperatures` equal steps.
    """
    mean = (v.mean(0) * len(v) + 0.5) / (len(v) + 1)
    base = (mean / (1 - mean)).log()
    shift = rbm.visible_bias - base
    states = bernoulli(mean.expand(chains, rbm.visible))
    log_weight = zeros(chains, dtype=float64)
    betas = linspace(0, 1, temperatures + 1).tolist()
    for before, beta in pairwise(betas):
        inputs = rbm.hidden_input(states)
        terms = softplus(beta * inputs) - softplus(before * inputs)
        log_weight += ((beta - before) * (states @ shift) + terms.sum(1)).double()
        h = bernoulli((beta * inputs).sigmoid())
        states = bernoulli((beta * (h @ rbm.weight + shift) + base).sigmoid())
    log_base = rbm.hidden * math.log(2) + softplus(base).sum().item()
    share = (log_weight - log_weight.max()).exp()
    error = (share.std() / share.mean()).item() / math.sqrt(chains)
    return log_base + log_weight.max().item() + math.log(share.mean().item()), error


@no_grad()
def log_likelihood(rbm: RBM, v: Tensor, log_z: float) -> float:
    """The mean of log p(v) over the rows of v (N, visible), in nats."""
    return -rbm(v).mean().item() - log_z
