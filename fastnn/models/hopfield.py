"""Hopfield's network: feedback that settles in the stored pattern nearest to where it began.

Units are -1 or 1, weights symmetric without self-connections, so that each update of one unit
lowers the energy or leaves it (Hopfield, 1982). Patterns are stored by a formula, not by descent.
"""

from __future__ import annotations

from fastnn import Tensor, contiguous_format, nn, no_grad, randperm, where, zeros
from fastnn.models.checks import check_each, check_finite, check_matrix, check_same_length
from fastnn.nn.init import gram_schmidt

RULES = ("hebb", "projection")


def check_signs(x: Tensor, units: int, what: str) -> None:
    """ValueError unless x is a matrix (N, units) of -1 and 1, with one row or more."""
    check_same_length((x,))
    check_matrix(x, units, what)
    check_finite(x, what)
    check_each(x, (x != -1) & (x != 1), f"{what} must be -1 or 1")


class Hopfield(nn.Module):
    """A network of `units` units, each fed by all others.

    rule: how patterns become weights. "hebb": the mean of their outer products, made for patterns
    without correlation. "projection": the pseudo-inverse rule, the projection onto the space
    that the patterns span; it makes each of up to units - 1 independent patterns a fixed point,
    correlated or not (Personnaz, Guyon and Dreyfus, 1985).

    >>> import fastnn
    >>> net = Hopfield(4)
    >>> net.learn(fastnn.tensor([[1.0, -1.0, 1.0, -1.0]]))
    >>> net(fastnn.tensor([[1.0, -1.0, 1.0, 1.0]]))
    tensor([[ 1., -1.,  1., -1.]])
    """

    def __init__(self, units: int, rule: str = "hebb") -> None:
        super().__init__()
        if units < 2:
            raise ValueError(f"a Hopfield network needs 2 units or more, got {units}")
        if rule not in RULES:
            raise ValueError(f"rule must be one of {', '.join(RULES)}, got {rule!r}")
        self.units, self.rule = units, rule
        self.register_buffer("weight", zeros(units, units))

    @no_grad()
    def learn(self, patterns: Tensor) -> None:
        """Store patterns (P, units) of -1 and 1 in place of those stored before."""
        check_signs(patterns, self.units, "patterns")
        if self.rule == "projection":
            basis = gram_schmidt(patterns.double())
            weight = basis.t() @ basis
        else:
            weight = patterns.t() @ patterns / self.units
        weight.diagonal().zero_()
        self.weight.copy_(weight)

    def forward(self, states: Tensor) -> Tensor:
        """All units at once: (N, units) -> (N, units). A unit whose input is 0 keeps its state."""
        check_matrix(states, self.units, "states")
        field = states @ self.weight
        return where(field == 0, states, field.sign())

    def energy(self, states: Tensor) -> Tensor:
        """-1/2 s W s of each state: (N, units) -> (N)"""
        check_matrix(states, self.units, "states")
        return -0.5 * (states @ self.weight * states).sum(1)

    def sweep(self, states: Tensor) -> Tensor:
        """One unit after the other, each once, in a random order that all states share. The
        energy of no state rises. (N, units) -> (N, units)"""
        check_matrix(states, self.units, "states")
        columns = states.t().clone(memory_format=contiguous_format)
        for unit in randperm(self.units).tolist():
            field, before = self.weight[unit] @ columns, columns[unit]
            columns[unit] = where(field == 0, before, field.sign())
        return columns.t()

    @no_grad()
    def recall(
        self, states: Tensor, sweeps: int = 50, synchronous: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Update states (N, units) until none changes, at most `sweeps` times all units, by
        `sweep` or all at once. Returns the states, and for each (N) whether it is a fixed
        point: a synchronous update may swing between two states for ever."""
        check_signs(states, self.units, "states")
        for _ in range(sweeps):
            before, states = states, self(states) if synchronous else self.sweep(states)
            if (states == before).all():
                break
        return states, (self(states) == states).all(1)
