"""Rectified Adam."""

from __future__ import annotations

from fastnn.ops.optim import radam_step
from fastnn.optim.optimizer import (
    Optimizer,
    Params,
    check_betas,
    check_not_negative,
    check_unsupported,
)


class RAdam(Optimizer):
    """Rectified Adam (Liu et al., 2019): plain momentum until the mean square is reliable.

    weight_decay is added to the gradient, or decays the parameters directly with
    decoupled_weight_decay.

    >>> import fastnn
    >>> w = fastnn.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = fastnn.optim.RAdam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
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
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
            },
        )

    def _update(self) -> None:
        radam_step(self.param_groups, self.state)
