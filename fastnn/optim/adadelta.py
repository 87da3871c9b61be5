"""Adadelta."""

from __future__ import annotations

from fastnn.ops.optim import adadelta_step
from fastnn.optim.optimizer import Optimizer, Params, check_not_negative, check_unsupported


class Adadelta(Optimizer):
    """Adadelta (Zeiler, 2012): steps as large as a running mean of the steps so far.

    >>> import fastnn
    >>> w = fastnn.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = fastnn.optim.Adadelta([w], lr=1.0)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_not_negative(lr=lr, eps=eps, weight_decay=weight_decay)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}: it must be from 0 to 1")
        check_unsupported(capturable=capturable, differentiable=differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "rho": rho,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
            },
        )

    def _update(self) -> None:
        adadelta_step(self.param_groups, self.state)
