"""Adam and AdamW."""

from __future__ import annotations

from fastnn.ops.optim import adam_step
from fastnn.optim.optimizer import (
    Optimizer,
    Params,
    check_betas,
    check_not_negative,
    check_unsupported,
)


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015), with AMSGrad (Reddi et al., 2018) on request.

    weight_decay is added to the gradient, or decays the parameters directly with
    decoupled_weight_decay. All parameters are updated in one parallel pass; foreach and
    fused are accepted for PyTorch's sake and change nothing.

    >>> import fastnn
    >>> w = fastnn.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = fastnn.optim.Adam([w], lr=0.1)
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
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        check_not_negative(lr=lr, eps=eps, weight_decay=weight_decay)
        check_unsupported(capturable=capturable, differentiable=differentiable)
        check_betas(betas)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
        )

    def _update(self) -> None:
        adam_step(self.param_groups, self.state)


class AdamW(Adam):
    """Adam whose weight decay is decoupled from the gradient (Loshchilov and Hutter, 2019).

    >>> import fastnn
    >>> w = fastnn.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = fastnn.optim.AdamW([w], lr=0.1)
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            decoupled_weight_decay=True,
        )
