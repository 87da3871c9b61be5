"""Module, the base class of all layers.

Parameters, buffers and submodules are plain attributes in the instance's __dict__, so
that reading one costs what any attribute costs. Beside them a module keeps the names
of each kind, in the order of assignment; __setattr__ and __delattr__ keep them true.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from fastnn._core.autograd import no_grad
from fastnn._core.dtype import DType, float32, float64
from fastnn._core.tensor import Tensor
from fastnn.nn.call import ModuleCall
from fastnn.nn.parameter import Parameter
from fastnn.ops.copy import channels_last, channels_last_3d, contiguous_format
from fastnn.ops.creation import as_tensor

# the ranks that Module.to(memory_format=...) lays out anew
FORMATTED = {channels_last: (4,), channels_last_3d: (5,), contiguous_format: (4, 5)}

Self = TypeVar("Self", bound="Module")
hook_numbers = itertools.count()


class IncompatibleKeys(NamedTuple):
    """What load_state_dict() found missing in the state dict, and what it did not expect."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class RemovableHandle:
    """What registering a hook returns: remove() undoes it."""

    def __init__(self, module: Module, hooks: dict[int, Any], number: int) -> None:
        self.module, self.hooks, self.number = module, hooks, number

    def remove(self) -> None:
        """Never call the hook again."""
        self.hooks.pop(self.number, None)
        self.module._update_hooked()

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.remove()


class Module(ModuleCall):
    """Base class of layers and models: assign parameters and submodules in __init__,
    compute in forward().

    >>> import fastnn
    >>> class Net(fastnn.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.hidden = fastnn.nn.Linear(4, 8)
    ...         self.out = fastnn.nn.Linear(8, 2)
    ...     def forward(self, x):
    ...         return self.out(self.hidden(x).relu())
    >>> sum(p.numel() for p in Net().parameters())
    58
    """

    training: bool
    _hooked = False  # does a call have hooks to run?

    def __init__(self) -> None:
        self.__dict__.update(training=True, _parameter_names={}, _buffer_names={}, _module_names={})

    # --- calling ---

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; every subclass defines it."""
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    def _call_with_hooks(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        for hook, with_kwargs in list(self.__dict__.get("_pre_hooks", {}).values()):
            changed = hook(self, args, kwargs) if with_kwargs else hook(self, args)
            if changed is not None:
                if with_kwargs:
                    args, kwargs = changed
                else:
                    args = changed if isinstance(changed, tuple) else (changed,)
        result = self.forward(*args, **kwargs)
        for hook, with_kwargs in list(self.__dict__.get("_forward_hooks", {}).values()):
            changed = hook(self, args, kwargs, result) if with_kwargs else hook(self, args, result)
            if changed is not None:
                result = changed
        return result

    def register_forward_pre_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call hook(module, args) before each forward(); what it returns replaces args."""
        return self._add_hook("_pre_hooks", hook, prepend, with_kwargs)

    def register_forward_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call hook(module, args, output) after each forward(); what it returns replaces output."""
        return self._add_hook("_forward_hooks", hook, prepend, with_kwargs)

    def _add_hook(
        self, kind: str, hook: Callable, prepend: bool, with_kwargs: bool
    ) -> RemovableHandle:
        hooks = self.__dict__.setdefault(kind, OrderedDict())
        number = next(hook_numbers)
        hooks[number] = (hook, with_kwargs)
        if prepend:
            hooks.move_to_end(number, last=False)
        self._update_hooked()
        return RemovableHandle(self, hooks, number)

    def _update_hooked(self) -> None:
        own = self.__dict__
        own["_hooked"] = bool(own.get("_pre_hooks") or own.get("_forward_hooks"))

    # --- attributes ---

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        if "_parameter_names" not in own:
            if isinstance(value, (Parameter, Module)):
                raise AttributeError(f"cannot assign {name!r} before Module.__init__() call")
        elif isinstance(value, Parameter):
            self._rename(name, "_parameter_names")
        elif isinstance(value, Module):
            self._rename(name, "_module_names")
        elif value is not None:
            if name in own["_parameter_names"]:
                raise TypeError(
                    f"cannot assign '{type(value).__name__}' as parameter '{name}' "
                    "(nn.Parameter or None expected)"
                )
            if name in own["_module_names"]:
                raise TypeError(
                    f"cannot assign '{type(value).__name__}' as child module '{name}' "
                    "(nn.Module or None expected)"
                )
            if name in own["_buffer_names"] and not isinstance(value, Tensor):
                raise TypeError(
                    f"cannot assign '{type(value).__name__}' as buffer '{name}' "
                    "(Tensor or None expected)"
                )
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        for kind in ("_parameter_names", "_buffer_names", "_module_names"):
            self.__dict__[kind].pop(name, None)

    def _rename(self, name: str, new_kind: str) -> None:
        """The name stands for something of this kind from now on."""
        for kind in ("_parameter_names", "_buffer_names", "_module_names"):
            if kind != new_kind:
                self.__dict__[kind].pop(name, None)
        self.__dict__[new_kind].setdefault(name, True)

    def _check_new_name(self, name: str, what: str) -> None:
        if "_parameter_names" not in self.__dict__:
            raise AttributeError(f"cannot assign {what} before Module.__init__() call")
        if not isinstance(name, str):
            raise TypeError(f"{what} name should be a string. Got {type(name).__name__}")
        if "." in name or not name:
            raise KeyError(f'{what} name can\'t be empty or contain ".", got: {name!r}')
        known = any(
            name in self.__dict__[kind]
            for kind in ("_parameter_names", "_buffer_names", "_module_names")
        )
        if hasattr(self, name) and not known:
            raise KeyError(f"attribute '{name}' already exists")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Make param the parameter of this name; None keeps the name for one to come."""
        self._check_new_name(name, "parameter")
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{type(param).__name__}' object to parameter '{name}' "
                "(nn.Parameter or None required)"
            )
        self._rename(name, "_parameter_names")
        object.__setattr__(self, name, param)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Make tensor part of the module's state without it being a parameter.

        persistent: also part of state_dict().
        """
        self._check_new_name(name, "buffer")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{type(tensor).__name__}' object to buffer '{name}' "
                "(Tensor or None required)"
            )
        self._rename(name, "_buffer_names")
        self._buffer_names[name] = persistent
        object.__setattr__(self, name, tensor)

    def add_module(self, name: str, module: Module | None) -> None:
        """Make module the child of this name."""
        self._check_new_name(name, "module")
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        self._rename(name, "_module_names")
        object.__setattr__(self, name, module)

    register_module = add_module

    # --- walking through ---

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The submodules right below this one, with their names."""
        seen = set()
        for name in self._module_names:
            module = self.__dict__[name]
            if module is not None and id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def children(self) -> Iterator[Module]:
        """The submodules right below this one."""
        for _, module in self.named_children():
            yield module

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it, with their names, each once."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name in self._module_names:
            module = self.__dict__[name]
            if module is not None:
                below = f"{prefix}.{name}" if prefix else name
                yield from module.named_modules(memo, below, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        for _, module in self.named_modules():
            yield module

    def _named_members(
        self, kind: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Tensor]]:
        seen = set()
        modules = (
            self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
            if recurse
            else [(prefix, self)]
        )
        for path, module in modules:
            for name in module.__dict__[kind]:
                value = module.__dict__[name]
                if value is None or id(value) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(value))
                yield f"{path}.{name}" if path else name, value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their names, each once."""
        return self._named_members("_parameter_names", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, each once."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """All buffers with their names, each once."""
        return self._named_members("_buffer_names", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers, each once."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def get_submodule(self, target: str) -> Module:
        """The module of this dotted name; "" is the module itself."""
        module = self
        for name in target.split(".") if target else []:
            if name not in module._module_names:
                raise AttributeError(f"{type(module).__name__} has no submodule {name!r}")
            module = module.__dict__[name]
        return module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter of this dotted name."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if name not in module._parameter_names:
            raise AttributeError(f"{type(module).__name__} has no parameter {name!r}")
        return module.__dict__[name]

    # --- changing all of it ---

    def apply(self: Self, fn: Callable[[Module], None]) -> Self:
        """Call fn on every module below this one and on itself."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def train(self: Self, mode: bool = True) -> Self:
        """Set training mode, which Dropout and BatchNorm heed."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: Self) -> Self:
        """Set evaluation mode."""
        return self.train(False)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients; with set_to_none=False fill them with zeros instead."""
        for p in self.parameters():
            if set_to_none:
                p.grad = None
            elif p.grad is not None:
                p.grad.zero_()

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Let all parameters require grad, or none."""
        for p in self.parameters():
            p.requires_grad = requires_grad
        return self

    def to(
        self: Self,
        *args: Any,
        dtype: DType | None = None,
        device: Any = None,
        non_blocking: bool = False,
        memory_format: str | None = None,
    ) -> Self:
        """Convert floating-point parameters and buffers to a dtype, those of 4 dimensions to the
        memory format channels_last (of 5: channels_last_3d); the device is the CPU."""
        for arg in args:
            if isinstance(arg, Tensor):
                dtype = arg.dtype
            elif isinstance(arg, DType):
                dtype = arg
            elif not isinstance(arg, bool):
                device = arg
        if device is not None and str(device) != "cpu":
            raise ValueError(f"device must be 'cpu', got {device!r}")
        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(f"a module can only be converted to float32 or float64, not {dtype}")
        if memory_format not in (None, *FORMATTED):
            raise ValueError(
                f"memory_format must be one of {', '.join(FORMATTED)}, got {memory_format!r}"
            )
        for module in self.modules():
            for name in (*module._parameter_names, *module._buffer_names):
                value = module.__dict__[name]
                if value is None:
                    continue
                if dtype and value.is_floating_point() and value.dtype is not dtype:
                    gradient, value.grad = value.grad, None
                    value.data = value.detach().to(dtype)
                    value.grad = None if gradient is None else gradient.to(dtype)
                if memory_format and value.dim() in FORMATTED[memory_format]:
                    value.data = value.detach().contiguous(memory_format=memory_format)
        return self

    def float(self: Self) -> Self:
        """Convert floating-point parameters and buffers to float32."""
        return self.to(float32)

    def double(self: Self) -> Self:
        """Convert floating-point parameters and buffers to float64."""
        return self.to(float64)

    def cpu(self: Self) -> Self:
        """The module itself."""
        return self

    # --- saving and loading ---

    def _state(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        """Parameters and persistent buffers by name, shared ones under each of their names."""
        for name in self._parameter_names:
            if self.__dict__[name] is not None:
                yield prefix + name, self.__dict__[name]
        for name, persistent in self._buffer_names.items():
            if persistent and self.__dict__[name] is not None:
                yield prefix + name, self.__dict__[name]
        for name in self._module_names:
            if self.__dict__[name] is not None:
                yield from self.__dict__[name]._state(f"{prefix}{name}.")

    def state_dict(
        self,
        *,
        destination: dict[str, Tensor] | None = None,
        prefix: str = "",
        keep_vars: bool = False,
    ) -> dict[str, Tensor]:
        """Parameters and persistent buffers by dotted name, sharing their memory.

        keep_vars: the parameters themselves instead of tensors outside the graph.
        """
        result = OrderedDict() if destination is None else destination
        for name, value in self._state(prefix):
            result[name] = value if keep_vars else value.detach()
        return result

    def load_state_dict(self, state_dict: dict[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Copy values into parameters and buffers by name.

        state_dict: tensors, NumPy arrays, or whatever turns into one, such as PyTorch's
        tensors. strict: names that are missing or unexpected are an error, as other shapes
        always are; after an error nothing is changed.
        """
        own = OrderedDict(self._state())
        missing = [name for name in own if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own]
        errors, values = [], {}
        if strict and missing:
            errors.append(f"Missing key(s) in state_dict: {quoted(missing)}.")
        if strict and unexpected:
            errors.append(f"Unexpected key(s) in state_dict: {quoted(unexpected)}.")
        for name, target in own.items():
            if name not in state_dict:
                continue
            values[name] = value = to_tensor(state_dict[name], name)
            if value.shape != target.shape:
                errors.append(
                    f"size mismatch for {name}: copying a param with shape {value.shape} from "
                    f"checkpoint, the shape in current model is {target.shape}."
                )
        if errors:
            raise RuntimeError(
                f"Error(s) in loading state_dict for {type(self).__name__}:\n\t"
                + "\n\t".join(errors)
            )
        with no_grad():
            for name, value in values.items():
                own[name].copy_(value)
        return IncompatibleKeys(missing, unexpected)

    # --- text ---

    def extra_repr(self) -> str:
        """What stands between the parentheses of the module's repr."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        extra = self.extra_repr()
        head = extra.split("\n") if extra else []
        lines = []
        for name in self._module_names:
            text = repr(self.__dict__[name]).replace("\n", "\n  ")
            lines.append(f"({name}): {text}")
        if len(head) == 1 and not lines:
            return f"{self._get_name()}({head[0]})"
        if not head and not lines:
            return f"{self._get_name()}()"
        return f"{self._get_name()}(\n  " + "\n  ".join([*head, *lines]) + "\n)"


def quoted(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def to_tensor(value: Any, name: str) -> Tensor:
    """A tensor of a state dict's value, which may come from elsewhere."""
    try:
        return as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"the state dict's {name!r} is no tensor: {error}") from None
