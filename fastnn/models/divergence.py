"""Training that diverges: where the first number came from that is not finite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastnn import Tensor, no_grad
from fastnn.models.checks import place_of_nan
from fastnn.nn import Module
from fastnn.nn.utils.rnn import PackedSequence


class DivergenceError(ArithmeticError):
    """Training gave NaN or infinity. step: counted from 1; layer: its name in the network, or
    that of a parameter, or None."""

    def __init__(self, step: int, layer: str | None, message: str) -> None:
        super().__init__(message)
        self.step, self.layer = step, layer


def tensors_in(value: Any) -> list[Tensor]:
    """All tensors of floating numbers in what a layer takes or gives."""
    if isinstance(value, Tensor):
        return [value] if value.dtype.is_floating_point else []
    if isinstance(value, PackedSequence):
        return [value.data]
    if isinstance(value, (tuple, list)):
        return [x for entry in value for x in tensors_in(entry)]
    return []


def is_finite(value: Any) -> bool:
    return all(place_of_nan(x) is None for x in tensors_in(value))


def first_layer_not_finite(net: Module, inputs: Sequence[Any]) -> str | None:
    """The name of the first layer, in the order of computation, that makes of finite inputs an
    output that is not; None if there is none. The net is run once more, in its present mode."""
    found: list[str] = []

    def watch(name: str):
        def hook(module: Module, arguments: tuple, output: Any) -> None:
            if not found and not is_finite(output):
                found.append(name)

        return hook

    handles = [
        module.register_forward_hook(watch(name or type(net).__name__))
        for name, module in net.named_modules()
    ]
    try:
        with no_grad():
            net(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else None


def explain_divergence(net: Module, inputs: Sequence[Any], step: int) -> DivergenceError:
    """Why the loss of this step is not finite, as an error to raise: an input, a parameter that
    the update before made so, or a layer."""
    begun = f"training diverged in step {step}: "
    for k, x in enumerate(tensors_in(list(inputs))):
        place = place_of_nan(x)
        if place is not None:
            return DivergenceError(
                step, None, f"{begun}input {k} of the net holds {x[place].item()} at {place}"
            )
    for name, parameter in net.named_parameters():
        place = place_of_nan(parameter)
        if place is not None:
            value = parameter[place].item()
            return DivergenceError(
                step,
                name,
                f"{begun}parameter {name!r} holds {value} at {place} since the update of step "
                f"{step - 1}; a smaller learning rate or clip_norm may help",
            )
    layer = first_layer_not_finite(net, inputs)
    if layer is None:
        return DivergenceError(
            step, None, f"{begun}all layers give finite numbers, the loss of them is not finite"
        )
    kind = type(net.get_submodule(layer)).__name__ if layer in dict(net.named_modules()) else layer
    return DivergenceError(
        step,
        layer,
        f"{begun}layer {layer!r} ({kind}) is the first whose output is not finite; a smaller "
        "learning rate or clip_norm may help",
    )
