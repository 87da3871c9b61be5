"""What all optimisers share: groups of parameters, state per parameter, saving and loading."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

from fastnn._core.autograd import enable_grad
from fastnn._core.sparse import SparseRows
from fastnn._core.tensor import Tensor
from fastnn.ops.creation import tensor

# states that are one number, also where PyTorch has a tensor
NUMBERS = ("step", "mu_product", "eta", "mu")

Params = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]


def check_not_negative(**options: float) -> None:
    """ValueError where an option is negative or not a number."""
    for name, value in options.items():
        if not value >= 0.0:
            raise ValueError(f"Invalid {name}: {value}: it must be at least 0")


def check_betas(betas: tuple[float, float]) -> None:
    """ValueError where a decay of a running mean is not within [0, 1)."""
    for k, beta in enumerate(betas):
        if not 0.0 <= beta < 1.0:
            raise ValueError(
                f"Invalid beta parameter at index {k}: {beta}: "
                "it must be at least 0 and less than 1"
            )


def check_unsupported(**options: object) -> None:
    """NotImplementedError where an option of PyTorch's that fastnn lacks is asked for."""
    for name, value in options.items():
        if value:
            raise NotImplementedError(f"{name}={value!r} is not supported")


class Optimizer:
    """Base class of optimisers: a step changes the parameters that have a gradient.

    params: tensors, pairs (name, tensor), or dicts {"params": tensors, option: value, ...},
    each a group with options of its own. `defaults` are the options a group does not give.
    """

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                "params must be a list of tensors or of dicts, got a single Tensor; write [tensor]"
            )
        self.defaults = defaults
        self.state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Optimise more parameters, with options of their own."""
        if not isinstance(param_group, dict):
            raise TypeError(f"a parameter group must be a dict, got {type(param_group).__name__}")
        params = param_group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        params = [entry[1] if isinstance(entry, tuple) else entry for entry in params]
        known = {p for group in self.param_groups for p in group["params"]}
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, got {type(p).__name__}")
            if not p.is_leaf:
                raise ValueError(f"can't optimize a non-leaf Tensor (shape {p.shape})")
            if p in known:
                raise ValueError(f"a parameter of shape {p.shape} appears more than once")
            known.add(p)
        self.param_groups.append(
            {
                "params": params,
                **self.defaults,
                **{k: v for k, v in param_group.items() if k != "params"},
            }
        )

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients; with set_to_none=False fill them with zeros instead."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p.grad = None
                elif p.grad is not None:
                    p.grad.zero_()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient, once.

        closure: evaluates the model anew and returns the loss, which step() returns.
        """
        if closure is None:
            self._update()
            return None
        with enable_grad():
            loss = closure()
        self._update()
        return loss

    def _update(self) -> None:
        raise NotImplementedError(f"{type(self).__name__} has no _update()")

    def state_dict(self) -> dict[str, Any]:
        """{"state": by number of the parameter, "param_groups": options and such numbers}."""
        numbers = {p: k for k, p in enumerate(self._parameters())}
        groups = [
            {
                **{k: v for k, v in group.items() if k != "params"},
                "params": [numbers[p] for p in group["params"]],
            }
            for group in self.param_groups
        ]
        return {
            "state": {numbers[p]: dict(entry) for p, entry in self.state.items()},
            "param_groups": groups,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what another optimiser's state_dict() returned, PyTorch's too.

        Tensors and arrays are copied.
        """
        saved = state_dict["param_groups"]
        if len(saved) != len(self.param_groups):
            raise ValueError(
                "loaded state dict has a different number of parameter groups: "
                f"{len(saved)}, not {len(self.param_groups)}"
            )
        for k, (theirs, ours) in enumerate(zip(saved, self.param_groups, strict=True)):
            if len(theirs["params"]) != len(ours["params"]):
                raise ValueError(
                    f"loaded state dict has {len(theirs['params'])} parameters in "
                    f"group {k}, the optimizer {len(ours['params'])}"
                )
        numbers = [number for group in saved for number in group["params"]]
        parameters = dict(zip(numbers, self._parameters(), strict=True))
        state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        for number, entry in state_dict["state"].items():
            if number not in parameters:
                raise ValueError(
                    f"loaded state dict has a state for parameter {number}, "
                    "which is in none of its groups"
                )
            p = parameters[number]
            state[p] = {name: self._load_value(name, value, p) for name, value in entry.items()}
        self.state = state
        self.param_groups = [
            {**ours, **deepcopy({k: v for k, v in theirs.items() if k != "params"})}
            for theirs, ours in zip(saved, self.param_groups, strict=True)
        ]

    @staticmethod
    def _load_value(name: str, value: Any, p: Tensor) -> Any:
        if name in NUMBERS:
            return float(value)
        if not hasattr(value, "shape"):
            return deepcopy(value)
        if tuple(value.shape) != p.shape:
            raise ValueError(
                f"loaded {name} has shape {tuple(value.shape)}, its parameter {p.shape}"
            )
        if not isinstance(value, (Tensor, SparseRows)):
            value = tensor(value)
        return value.detach().to(p.dtype).clone()

    def _parameters(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for k, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {k}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])
