"""What a case sees of the library that it is timed with.

The same lines run on fastnn and on torch: their own names, and the verbs that say what is timed.
Numbers are drawn by NumPy and seeded by the case, so that every library computes with the same ones
and their results can be compared.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from types import ModuleType
from typing import Any

import numpy as np


class Unsupported(Exception):
    """What this library cannot do, and is not expected to."""


@dataclass
class Work:
    """What is timed: call(), and results() of one more call, as arrays by name.

    fits: each call changes the parameters; results() is asked for after the first call, and has the
    gradients of that one and the losses of the first few."""

    call: Callable[[], object]
    results: Callable[[], dict[str, np.ndarray]]
    fits: bool = False


class Library:
    """The numbers of a case: the same ones in every library."""

    refusals: tuple[type[Exception], ...] = (Unsupported,)  # by which it says what it cannot do

    def begin(self, key: str) -> None:
        """Forget what the last case drew, and draw anew."""
        self.draw = np.random.default_rng(zlib.crc32(key.encode()))
        self.drawn: list[tuple[Any, Callable[[], np.ndarray]]] = []

    def randn(self, *shape: int):
        return self._new(lambda: self.draw.standard_normal(shape, dtype=np.float32))

    def ones(self, *shape: int):
        return self.tensor(np.ones(shape, np.float32))

    def randint(self, low: int, high: int, shape: tuple[int, ...]):
        return self.tensor(self.draw.integers(low, high, shape))

    def network(self, net, gain: float = 2.0):
        """net with drawn parameters: He's scale for weights, 1 around norms, 0 around biases."""
        for name, parameter in net.named_parameters():
            shape = tuple(parameter.shape)
            scale, centre = 0.1, float(name.endswith("weight"))
            if len(shape) > 1:
                scale, centre = (gain / prod(shape[1:])) ** 0.5, 0.0
            self._fill(parameter, partial(self._around, shape, scale, centre))
        return net

    def refill(self) -> None:
        """Draws all numbers anew, into the same tensors: what a library kept of the last call is
        worth nothing now."""
        for tensor, values in self.drawn:
            self.assign(tensor, values())

    def _around(self, shape: tuple[int, ...], scale: float, centre: float) -> np.ndarray:
        drawn = self.draw.standard_normal(shape, dtype=np.float32)
        return drawn * np.float32(scale) + np.float32(centre)

    def _new(self, values: Callable[[], np.ndarray]):
        tensor = self.tensor(values())
        self.drawn.append((tensor, values))
        return tensor

    def _fill(self, tensor, values: Callable[[], np.ndarray]) -> None:
        self.drawn.append((tensor, values))
        self.assign(tensor, values())

    def tensor(self, array: np.ndarray):
        raise NotImplementedError

    def assign(self, tensor, array: np.ndarray) -> None:
        raise NotImplementedError

    def inference(self, forward: Callable[[], Any]) -> Work:
        """Forward without recording the graph."""
        raise NotImplementedError

    def training(self, forward: Callable[[], Any], leaves: Sequence, gradient=None) -> Work:
        """Forward and backward, from the gradient of the result (None: of a scalar, 1) to the
        gradients of the leaves, which start empty each time."""
        raise NotImplementedError

    def fitting(self, net, loss: Callable[[], Any]) -> Work:
        """A training step of net by Adam."""
        raise NotImplementedError

    def release(self) -> None:
        """Give memory that is kept for later back to the system."""


LOSSES = 3  # steps of a training whose losses are compared


class Eager(Library):
    """fastnn, or torch: eager, compiled, or with images in channels-last memory."""

    def __init__(self, name: str, mode: str = "") -> None:
        self.module: ModuleType = importlib.import_module(name)
        for part in ("nn", "nn.functional", "optim"):
            importlib.import_module(f"{name}.{part}")
        self.mode = mode
        self.version = self.module.__version__
        self.module.manual_seed(0)
        if mode == "compile":
            self.dynamo = importlib.import_module("torch._dynamo")
            self.refusals = (Unsupported, self.dynamo.exc.Unsupported)

    def __getattr__(self, name: str):
        return getattr(self.module, name)

    def begin(self, key: str) -> None:
        super().begin(key)
        if self.mode == "compile":  # or it would fall back to eager after eight cases
            self.dynamo.reset()

    def tensor(self, array: np.ndarray):
        x = self.module.tensor(array)
        if self.mode == "channels_last" and x.dim() == 4:
            x = x.contiguous(memory_format=self.module.channels_last)
        return x

    def assign(self, tensor, array: np.ndarray) -> None:
        with self.module.no_grad():
            tensor.copy_(self.module.tensor(array))

    def network(self, net, gain: float = 2.0):
        if self.mode == "channels_last":
            net = net.to(memory_format=self.module.channels_last)
        return super().network(net, gain)

    def compiled(self, function: Callable[[], Any]) -> Callable[[], Any]:
        if self.mode != "compile":
            return function
        return self.module.compile(function, fullgraph=True)

    def inference(self, forward: Callable[[], Any]) -> Work:
        run = self.compiled(forward)

        def call():
            with self.module.no_grad():
                return run()

        return Work(call, lambda: {"output": array_of(call())})

    def training(self, forward: Callable[[], Any], leaves: Sequence, gradient=None) -> Work:
        for leaf in leaves:
            leaf.requires_grad_()
        run = self.compiled(forward)

        def call():
            for leaf in leaves:
                leaf.grad = None
            output = run()
            output.backward(gradient)
            return output

        return Work(call, lambda: {"output": array_of(call()), **gradients_of(leaves)})

    def fitting(self, net, loss: Callable[[], Any]) -> Work:
        # the compiled peer is torch at its best; the eager one torch as it is written most often
        tuned = {"fused": True} if self.mode == "compile" else {}
        parameters = list(net.parameters())
        optimizer = self.module.optim.Adam(parameters, **tuned)
        run = self.compiled(loss)
        value = None

        def call():
            nonlocal value
            optimizer.zero_grad()
            value = run()
            value.backward()
            optimizer.step()

        def results():
            found = {"loss 1": array_of(value).copy(), **gradients_of(parameters)}
            for n in range(2, LOSSES + 1):
                call()
                found[f"loss {n}"] = array_of(value).copy()
            return found

        return Work(call, results, fits=True)

    def release(self) -> None:
        if hasattr(self.module, "empty_cache"):
            self.module.empty_cache()


def array_of(tensor) -> np.ndarray:
    return tensor.detach().numpy()


def gradients_of(leaves: Sequence) -> dict[str, np.ndarray]:
    return {f"gradient {n}": array_of(leaf.grad).copy() for n, leaf in enumerate(leaves, 1)}


# peers of another style: modules with an open_peer(threads)
ADAPTERS = {
    "numpy": "bench.peer_numpy",
    "jax": "bench.peer_jax",
    "onnxruntime": "bench.peer_onnxruntime",
}
MODES = {"torch": ("", "compile", "channels_last")}
PEERS = ("torch", "torch.compile", "jax", "onnxruntime", "numpy")


def split_mode(name: str) -> tuple[str, str]:
    """("torch", "compile") of "torch.compile"."""
    module, _, mode = name.partition(".")
    if module not in ("fastnn", "torch", *ADAPTERS) or mode not in MODES.get(module, ("",)):
        known = ", ".join(("torch.channels_last", *PEERS))
        raise ValueError(f"unknown library {name!r}; there are {known}")
    return module, mode


def open_library(name: str, threads: int) -> Library:
    """The library of this name, set up for that many threads. ImportError: it is not installed."""
    module, mode = split_mode(name)
    if module in ADAPTERS:
        return importlib.import_module(ADAPTERS[module]).open_peer(threads)
    lib = Eager(module, mode)
    lib.module.set_num_threads(threads)
    return lib
