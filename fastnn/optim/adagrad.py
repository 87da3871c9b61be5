"""Adagrad."""

from __future__ import annotations

from fastnn.ops.optim import adagrad_step
from fastnn.optim.optimizer import Optimizer, Params, check_not_negative, check_unsupported


class Adagrad(Optimizer):
    """Adagrad (Duchi et al., 2011): the gradient divided by the root of the sum of its squares.

    A sparse gradient changes only the rows it holds, as if the others were zero.

    >>> import fastnn
    >>> w = fastnn.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = fastnn.optim.Adagrad([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_not_negative(
            lr=lr,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
        )
        check_unsupported(differentiable=differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "eps": eps,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "maximize": maximize,
            },
        )

    def _update(self) -> None:
        adagrad_step(self.param_groups, self.state)
