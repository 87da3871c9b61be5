"""Adamax."""

from __future__ import annotations

from fastnn.ops.optim import adamax_step
from fastnn.optim.optimizer import (
    Optimizer,
    Params,
    check_betas,
    check_not_negative,
    check_unsupported,
)


class Adamax(Optimizer):
    """Adam with the largest gradient, slowly forgotten, for the mean square (Kingma and Ba, 2015).

    >>> import fastnn
    >>> w = fastnn.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = fastnn.optim.Adamax([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    """

    def __init__(
        self,
        params: Params,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_not_negative(lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas(betas)
        check_unsupported(capturable=capturable, differentiable=differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
            },
        )

    def _update(self) -> None:
        adamax_step(self.param_groups, self.state)
