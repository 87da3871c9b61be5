"""PyTorch's names over a handful of array functions, so that a peer of another style can run the
lines of a case: eagerly, or traced into a graph of its own.

A peer is an `Array functions` object (peer_arrays.py, peer_onnxruntime.py): conv2d, relu and so on,
with PyTorch's arguments, on arrays of its own kind.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from .conv import pair
from .library import Library, Unsupported, Work
from .rnn import GATES


class Tensor:
    """A box for an array of the peer's own kind; what is done with it is done by the peer."""

    def __init__(self, functions, value=None, shape: tuple[int, ...] = ()) -> None:
        self.functions = functions
        self.value = value
        self.shape = shape  # of a parameter that has no value yet

    def apply(self, name: str, *arguments, **named) -> Tensor:
        function = getattr(self.functions, name, None)
        if function is None:
            raise Unsupported(f"has no {name}")
        values = [a.value if isinstance(a, Tensor) else a for a in arguments]
        return Tensor(self.functions, function(self.value, *values, **named))

    def __matmul__(self, other):
        return self.apply("matmul", other)

    def __add__(self, other):
        return self.apply("add", other)

    def __sub__(self, other):
        return self.apply("sub", other)

    def __mul__(self, other):
        return self.apply("mul", other)

    def __getitem__(self, index):
        return self.apply("getitem", index)

    @property
    def T(self):
        return self.apply("transpose")

    def flatten(self, start: int):
        return self.apply("flatten", start)

    def sum(self, dim: int):
        return self.apply("sum", dim)


class Functional:
    """nn.functional, and the functions of the library itself."""

    def __getattr__(self, name: str):
        return lambda x, *arguments, **named: x.apply(name, *arguments, **named)


class Module:
    """What nn.Module is to a case: parameters by name, a mode, a call."""

    training = True

    def __init__(self) -> None:
        pass

    def children(self) -> list[tuple[str, Module]]:
        return [(k, v) for k, v in vars(self).items() if isinstance(v, Module)]

    def named_parameters(self) -> list[tuple[str, Tensor]]:
        """The module's own, then those of its parts, as PyTorch orders them."""
        own = [(k, v) for k, v in vars(self).items() if isinstance(v, Parameter)]
        for name, child in self.children():
            own += [(f"{name}.{k}", v) for k, v in child.named_parameters()]
        return own

    def parameters(self) -> list[Tensor]:
        return [parameter for _, parameter in self.named_parameters()]

    def modules(self) -> list[Module]:
        return [self, *(m for _, child in self.children() for m in child.modules())]

    def eval(self) -> Module:
        for module in self.modules():
            module.training = False
        return self

    def __call__(self, x):
        return self.forward(x)


class Parameter(Tensor):
    pass


class Buffer(Tensor):
    """A number that forward changes: the running mean of a batch norm."""


def operation(name: str, *options: str):
    """A class of modules without parameters, whose arguments are named by options."""

    class Operation(Module):
        def __init__(self, *arguments, **named) -> None:
            self.named = {**dict(zip(options, arguments, strict=False)), **named}

        def forward(self, x):
            return x.apply(name, **self.named)

    return Operation


class Sequential(Module):
    def __init__(self, *layers: Module) -> None:
        for n, layer in enumerate(layers):
            setattr(self, str(n), layer)

    def forward(self, x):
        for _, layer in self.children():
            x = layer(x)
        return x


class Identity(Module):
    def forward(self, x):
        return x


def chunks(values: list, size: int) -> list[list]:
    return [values[k : k + size] for k in range(0, len(values), size)]


def namespace(functions) -> SimpleNamespace:
    """nn over these array functions."""

    def parameter(*shape: int) -> Parameter:
        return Parameter(functions, shape=shape)

    class Linear(Module):
        def __init__(self, inputs: int, outputs: int) -> None:
            self.weight, self.bias = parameter(outputs, inputs), parameter(outputs)

        def forward(self, x):
            return x.apply("linear", self.weight, self.bias)

    class Conv2d(Module):
        def __init__(self, inputs, outputs, kernel, stride=1, padding=0, groups=1, bias=True):
            self.weight = parameter(outputs, inputs // groups, *pair(kernel))
            self.bias = parameter(outputs) if bias else None
            self.how = stride, padding, 1, groups

        def forward(self, x):
            return x.apply("conv2d", self.weight, self.bias, *self.how)

    class BatchNorm(Module):
        def __init__(self, channels: int) -> None:
            self.weight, self.bias = parameter(channels), parameter(channels)
            self.running_mean = Buffer(functions, functions.array(np.zeros(channels, np.float32)))
            self.running_var = Buffer(functions, functions.array(np.ones(channels, np.float32)))

        def forward(self, x):
            mean, var = self.running_mean, self.running_var
            if not self.training:
                return x.apply("batch_norm", mean, var, self.weight, self.bias)
            y, mean.value, var.value = functions.batch_norm_train(
                x.value, mean.value, var.value, self.weight.value, self.bias.value
            )
            return Tensor(functions, y)

    class LayerNorm(Module):
        def __init__(self, size: int) -> None:
            self.weight, self.bias = parameter(size), parameter(size)

        def forward(self, x):
            return x.apply("layer_norm", self.weight, self.bias)

    class GroupNorm(Module):
        def __init__(self, groups: int, channels: int) -> None:
            self.weight, self.bias = parameter(channels), parameter(channels)
            self.groups = groups

        def forward(self, x):
            return x.apply("group_norm", self.groups, self.weight, self.bias)

    class Embedding(Module):
        def __init__(self, count: int, size: int) -> None:
            self.weight = parameter(count, size)

        def forward(self, x):
            return self.weight.apply("embedding", x)

    def recurrent(kind: str):
        class Recurrent(Module):
            def __init__(self, inputs, hidden, layers=1, bidirectional=False, batch_first=False):
                self.batch_first, self.directions = batch_first, 2 if bidirectional else 1
                self.names = []
                for layer in range(layers):
                    width = self.directions * hidden if layer else inputs
                    for back in ("", "_reverse")[: self.directions]:
                        names = [f"{n}_l{layer}{back}" for n in ("wi", "wh", "bi", "bh")]
                        shapes = (width,), (hidden,), (), ()
                        for name, shape in zip(names, shapes, strict=True):
                            kept = f"weight_{name}" if shape else f"bias_{name}"
                            setattr(self, kept, parameter(GATES[kind] * hidden, *shape))
                            self.names.append(kept)

            def forward(self, x):
                weights = [getattr(self, name).value for name in self.names]
                layers = chunks(chunks(weights, 4), self.directions)
                return x.apply("recurrent", kind, layers, self.batch_first), None

        return Recurrent

    return SimpleNamespace(
        functional=Functional(),
        Module=Module, Sequential=Sequential, Identity=Identity, Linear=Linear, Conv2d=Conv2d,
        BatchNorm1d=BatchNorm, BatchNorm2d=BatchNorm, LayerNorm=LayerNorm, GroupNorm=GroupNorm,
        Embedding=Embedding,
        ReLU=operation("relu"),
        LogSoftmax=operation("log_softmax", "dim"),
        Flatten=operation("flatten"),
        MaxPool2d=operation("max_pool2d", "kernel"),
        AdaptiveAvgPool2d=operation("adaptive_avg_pool2d", "size"),
        **{kind: recurrent(kind) for kind in GATES},
    )  # fmt: skip


class Surface(Library):
    """A peer of another style as a case sees it."""

    def __init__(self, functions, version: str) -> None:
        self.functions = functions
        self.version = version
        self.nn = namespace(functions)

    def __getattr__(self, name: str):
        return getattr(self.nn.functional, name)

    def tensor(self, array: np.ndarray) -> Tensor:
        return Tensor(self.functions, self.functions.array(array))

    def assign(self, tensor: Tensor, array: np.ndarray) -> None:
        tensor.value = self.functions.array(array)

    def training(self, forward, leaves, gradient=None) -> Work:
        raise Unsupported("has no gradients")

    def fitting(self, net, loss) -> Work:
        raise Unsupported("has no gradients")
