"""Modules that hold modules."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from operator import index as as_index
from typing import Any

from fastnn._core.autograd import is_grad_enabled
from fastnn.nn.activation import ReLU
from fastnn.nn.conv import Conv1d, Conv2d, Conv3d
from fastnn.nn.linear import Linear
from fastnn.nn.module import Module
from fastnn.nn.normalization import BatchNorm1d, BatchNorm2d, BatchNorm3d

# Modules that take in those that follow, the norm named here (or none) and then a ReLU, and
# compute the chain in one operation with the same bits: forward_fused(input, norm, relu)
TAKE_IN = {
    Linear: BatchNorm1d,
    Conv1d: BatchNorm1d,
    Conv2d: BatchNorm2d,
    Conv3d: BatchNorm3d,
    BatchNorm1d: None,
    BatchNorm2d: None,
    BatchNorm3d: None,
}


def is_plain(module: Module) -> bool:
    """Is a call of the module nothing but its class's forward()?"""
    return not module._hooked and "forward" not in module.__dict__


def is_fixed(norm: Module) -> bool:
    """Are the numbers of a plain norm known before its input is, and no gradients wanted?"""
    known = not norm.training and norm.running_mean is not None
    return known and not is_grad_enabled() and is_plain(norm)


class Numbered(Module):
    """Submodules under the names "0", "1", ..., or others: what Sequential and ModuleList share."""

    def _list(self) -> list[Module]:
        own = self.__dict__
        return [own[name] for name in self._module_names]

    def _name_at(self, index: int) -> str:
        k, n = as_index(index), len(self._module_names)
        if not -n <= k < n:
            raise IndexError(f"index {k} is out of range for {n} modules")
        return list(self._module_names)[k]

    def _replace(self, modules: Iterable[Module]) -> None:
        """Hold these modules, numbered anew."""
        modules = list(modules)
        for name in list(self._module_names):
            delattr(self, name)
        for k, module in enumerate(modules):
            self.add_module(str(k), module)

    def __setitem__(self, index: int, module: Module) -> None:
        if not isinstance(module, Module):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        setattr(self, self._name_at(index), module)

    def __delitem__(self, index: int | slice) -> None:
        modules = self._list()
        if not isinstance(index, slice):
            self._name_at(index)
        del modules[index]
        self._replace(modules)

    def __len__(self) -> int:
        return len(self._module_names)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._list())

    def append(self, module: Module) -> Numbered:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Numbered:
        """Add modules at the end."""
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Numbered:
        """Add a module before the one at index."""
        if not isinstance(module, Module):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        n = len(self)
        if not -n <= index <= n:
            raise IndexError(f"index {index} is out of range for {n} modules")
        modules = self._list()
        modules.insert(index, module)
        self._replace(modules)
        return self

    def pop(self, index: int = -1) -> Module:
        """Take out the module at index."""
        module = self.__dict__[self._name_at(index)]
        del self[index]
        return module


class Sequential(Numbered):
    """Modules run one after the other: Sequential(first, second, ...), or an OrderedDict.

    A ReLU is computed together with the module before it where that can take it in; so is, in
    evaluation without gradients, a batch norm after a convolution or a linear layer.

    >>> import fastnn
    >>> net = fastnn.nn.Sequential(fastnn.nn.Linear(4, 8), fastnn.nn.ReLU())
    >>> net(fastnn.zeros(3, 4)).shape
    (3, 8)
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        if len(args) == 1 and isinstance(args[0], OrderedDict):
            for name, module in args[0].items():
                self.add_module(name, module)
        else:
            self.extend(args)

    def __getitem__(self, index: int | slice) -> Module:
        own = self.__dict__
        if isinstance(index, slice):
            return type(self)(
                OrderedDict((name, own[name]) for name in list(self._module_names)[index])
            )
        return own[self._name_at(index)]

    def __delitem__(self, index: int | slice) -> None:
        names = list(self._module_names)
        for name in names[index] if isinstance(index, slice) else [self._name_at(index)]:
            delattr(self, name)
        if all(name.isdigit() for name in names):
            self._replace(self._list())

    def __add__(self, other: Sequential) -> Sequential:
        if not isinstance(other, Sequential):
            raise ValueError(
                f"add operator supports only objects of Sequential class, but "
                f"{type(other).__name__} is given."
            )
        return Sequential(*self, *other)

    def forward(self, input: Any) -> Any:
        own = self.__dict__
        first = norm = None  # a module that waits for what it can take in; the norm taken in
        for name in self._module_names:
            module = own[name]
            kind = type(module)
            if first is not None:
                if kind is ReLU and is_plain(module):
                    input = first.forward_fused(input, norm, True)
                    first = norm = None
                    continue
                if norm is None and kind is TAKE_IN[type(first)] and is_fixed(module):
                    norm = module
                    continue
                input = first(input) if norm is None else first.forward_fused(input, norm, False)
                first = norm = None
            if kind in TAKE_IN and is_plain(module):
                first = module
            else:
                input = module(input)
        if first is None:
            return input
        return first(input) if norm is None else first.forward_fused(input, norm, False)


class ModuleList(Numbered):
    """A list of modules, whose parameters it makes known. It has no forward()."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend([] if modules is None else modules)

    def __getitem__(self, index: int | slice) -> Module:
        if isinstance(index, slice):
            return type(self)(self._list()[index])
        return self.__dict__[self._name_at(index)]

    def __iadd__(self, modules: Iterable[Module]) -> ModuleList:
        return self.extend(modules)

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return type(self)([*self, *other])


class ModuleDict(Module):
    """A dict of modules, whose parameters it makes known. It has no forward()."""

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        super().__init__()
        self.update({} if modules is None else modules)

    def __getitem__(self, key: str) -> Module:
        if key not in self._module_names:
            raise KeyError(key)
        return self.__dict__[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        if key not in self._module_names:
            raise KeyError(key)
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._module_names)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._module_names))

    def __contains__(self, key: str) -> bool:
        return key in self._module_names

    def keys(self) -> Iterable[str]:
        """The names, in the order of assignment."""
        return list(self._module_names)

    def values(self) -> Iterable[Module]:
        """The modules, in the order of assignment."""
        return [self.__dict__[name] for name in self._module_names]

    def items(self) -> Iterable[tuple[str, Module]]:
        """Pairs (name, module), in the order of assignment."""
        return [(name, self.__dict__[name]) for name in self._module_names]

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add modules, or put them in the place of others of the same name."""
        for key, module in dict(modules).items():
            self[key] = module

    def pop(self, key: str) -> Module:
        """Take out the module of this name."""
        module = self[key]
        del self[key]
        return module

    def clear(self) -> None:
        """Take out all modules."""
        for key in self:
            del self[key]
