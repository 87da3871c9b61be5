"""What training loops do with the gradients of all parameters at once."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from fastnn._core.tensor import Tensor
from fastnn.ops.clip import hold_gradients, scale_gradients, total_norm

Tensors = Tensor | Iterable[Tensor]


def gradients_of(parameters: Tensors) -> list[Any]:
    """The gradients that there are, dense or sparse."""
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    return [p.grad for p in parameters if p.grad is not None]


def get_total_norm(
    tensors: Tensors,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of all tensors as if they were one vector; a tensor of no dimensions.

    norm_type: positive, inf for the largest absolute value. RuntimeError where the norm is
    not finite and error_if_nonfinite.

    >>> import fastnn
    >>> fastnn.nn.utils.get_total_norm([fastnn.tensor([3.0]), fastnn.tensor([4.0])]).item()
    5.0
    """
    norm_type = float(norm_type)
    norm = total_norm([tensors] if isinstance(tensors, Tensor) else list(tensors), norm_type)
    if error_if_nonfinite and not math.isfinite(norm.item()):
        raise RuntimeError(
            f"the total norm of order {norm_type} of the gradients is {norm.item()}; with "
            "error_if_nonfinite=False they would be scaled by it nevertheless"
        )
    return norm


def clip_grads_with_norm_(
    parameters: Tensors,
    max_norm: float,
    total_norm: Tensor,
    foreach: bool | None = None,
) -> None:
    """Multiply the gradients by max_norm / total_norm where that is below 1, in place."""
    factor = float(max_norm) / (total_norm.item() + 1e-6)
    if not factor >= 1.0:  # NaN too
        scale_gradients(gradients_of(parameters), factor)


def clip_grad_norm_(
    parameters: Tensors,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale the gradients down, in place, where their norm as one vector exceeds max_norm.

    Returns that norm as it was. Sparse gradients count with their rows; foreach changes
    nothing. Errors are those of get_total_norm().

    >>> import fastnn
    >>> w = fastnn.tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w / 2).sum().backward()
    >>> fastnn.nn.utils.clip_grad_norm_([w], max_norm=0.5).item()
    5.0
    >>> w.grad
    tensor([0.3000, 0.4000])
    """
    parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    norm = get_total_norm(gradients_of(parameters), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(parameters, max_norm, norm)
    return norm


def clip_grad_value_(parameters: Tensors, clip_value: float, foreach: bool | None = None) -> None:
    """Hold every number of the gradients within [-clip_value, clip_value], in place.

    >>> import fastnn
    >>> w = fastnn.tensor([3.0, -4.0], requires_grad=True)
    >>> (w * w / 2).sum().backward()
    >>> fastnn.nn.utils.clip_grad_value_([w], 3.5)
    >>> w.grad.tolist()
    [3.0, -3.5]
    """
    clip_value = float(clip_value)
    hold_gradients(gradients_of(parameters), -clip_value, clip_value)
