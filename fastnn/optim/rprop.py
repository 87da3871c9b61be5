"""Resilient backpropagation."""

from __future__ import annotations

from fastnn.ops.optim import rprop_step
from fastnn.optim.optimizer import Optimizer, Params, check_not_negative, check_unsupported


class Rprop(Optimizer):
    """Resilient backpropagation (Riedmiller and Braun, 1993): a step size for each number.

    It grows by etas[1] while the sign of the gradient stays and shrinks by etas[0] when it
    turns, within step_sizes.

    >>> import fastnn
    >>> w = fastnn.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = fastnn.optim.Rprop([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_not_negative(lr=lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}: they must lie around 1")
        check_unsupported(capturable=capturable, differentiable=differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "etas": etas,
                "step_sizes": step_sizes,
                "maximize": maximize,
            },
        )

    def _update(self) -> None:
        rprop_step(self.param_groups, self.state)
