"""Recurrent layers over whole sequences."""

from __future__ import annotations

import math
import warnings
from typing import Any

from fastnn._core.tensor import DType, Tensor
from fastnn.nn import functional as F
from fastnn.nn import init
from fastnn.nn.module import Module
from fastnn.nn.parameter import Parameter
from fastnn.nn.utils.rnn import PackedSequence
from fastnn.ops.creation import empty
from fastnn.ops.gather import index_select
from fastnn.ops.join import cat
from fastnn.ops.rnn import recurrent

GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
State = Any  # a Tensor, of an LSTM a pair of them


class RNNBase(Module):
    """What RNN, LSTM and GRU share: parameters, layers and directions, layouts of the input."""

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: str | None = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        for name, size in (
            ("input_size", input_size),
            ("hidden_size", hidden_size),
            ("num_layers", num_layers),
        ):
            if not isinstance(size, int):
                raise TypeError(f"{name} must be an int, got {type(size).__name__}")
            if size < 1:
                raise ValueError(f"{name} must be positive, got {size}")
        if isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise ValueError(f"dropout must be a probability from 0 to 1, got {dropout}")
        if not 0 <= proj_size < hidden_size:
            raise ValueError(
                f"proj_size must be smaller than hidden_size ({hidden_size}), got {proj_size}"
            )
        if dropout and num_layers == 1:
            warnings.warn(
                "dropout comes between layers, so it does nothing to a single one "
                f"(dropout={dropout}, num_layers=1)",
                stacklevel=3,
            )
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        for layer in range(num_layers):
            for suffix in self._suffixes(layer):
                self._add_parameters(layer, suffix, dtype)
        self.reset_parameters()

    def _suffixes(self, layer: int) -> list[str]:
        """Of the parameters of each direction."""
        return [f"_l{layer}", f"_l{layer}_reverse"][: 2 if self.bidirectional else 1]

    def _add_parameters(self, layer: int, suffix: str, dtype: DType | None) -> None:
        rows = GATES[self.mode] * self.hidden_size
        outputs = self.proj_size or self.hidden_size
        directions = 2 if self.bidirectional else 1
        inputs = outputs * directions if layer else self.input_size
        shapes: dict[str, tuple[int, ...] | None] = {
            "weight_ih": (rows, inputs),
            "weight_hh": (rows, outputs),
            "bias_ih": (rows,) if self.bias else None,
            "bias_hh": (rows,) if self.bias else None,
        }
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, self.hidden_size)
        for name, shape in shapes.items():
            parameter = None if shape is None else Parameter(empty(*shape, dtype=dtype))
            self.register_parameter(name + suffix, parameter)

    def reset_parameters(self) -> None:
        """Draw all parameters uniformly within 1 / sqrt(hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def flatten_parameters(self) -> None:
        """Does nothing: parameters are packed when they are used."""

    def _weights(self, suffix: str) -> tuple[Tensor | None, ...]:
        """Of one layer and direction, as the operation takes them."""
        weights = [
            getattr(self, name + suffix)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]
        return (*weights, getattr(self, "weight_hr" + suffix)) if self.proj_size else (*weights,)

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The parameters of each layer and direction."""
        return [
            [weight for weight in self._weights(suffix) if weight is not None]
            for layer in range(self.num_layers)
            for suffix in self._suffixes(layer)
        ]

    # --- forward ---------------------------------------------------------------------

    def forward(
        self, input: Tensor | PackedSequence, hx: State | None = None
    ) -> tuple[Tensor | PackedSequence, State]:
        packed = input if isinstance(input, PackedSequence) else None
        x = packed.data if packed is not None else input
        batch_sizes = packed.batch_sizes if packed is not None else None
        states = self._first_states(x, batch_sizes, hx)
        if packed is not None:
            states = [permuted(state, packed.sorted_indices) for state in states]
        output, states = self._all_layers(x, states, batch_sizes)
        if packed is not None:
            output = packed.with_data(output)
            states = [permuted(state, packed.unsorted_indices) for state in states]
        return output, tuple(states) if self.mode == "lstm" else states[0]

    def _all_layers(
        self, x: Tensor, first: list[Tensor | None], batch_sizes: Tensor | None
    ) -> tuple[Tensor, list[Tensor]]:
        """The output of the last layer, and the last states of all of them."""
        directions, last = (2 if self.bidirectional else 1), []
        for layer in range(self.num_layers):
            states = first
            if self.num_layers > 1:
                part = slice(layer * directions, (layer + 1) * directions)
                states = [None if state is None else state[part] for state in first]
            x, *ends = recurrent(
                self.mode,
                x,
                *states,
                *[None] * (2 - len(states)),
                [self._weights(suffix) for suffix in self._suffixes(layer)],
                self.batch_first,
                batch_sizes,
            )
            last.append(ends)
            if self.dropout and self.training and layer < self.num_layers - 1:
                x = F.dropout(x, self.dropout, True)
        if self.num_layers == 1:
            return x, last[0]
        return x, [cat(states) for states in zip(*last, strict=True)]

    def _first_states(
        self, x: Tensor, batch_sizes: Tensor | None, hx: State | None
    ) -> list[Tensor | None]:
        """[h_0], of an LSTM [h_0, c_0], checked; None for zeros."""
        name = type(self).__name__
        if x.ndim not in (2, 3) or (x.ndim != 2 and batch_sizes is not None):
            raise ValueError(f"{name} expects 2-D or 3-D input, got shape {x.shape}")
        if x.shape[-1] != self.input_size:
            raise ValueError(
                f"{name} expects input_size={self.input_size} numbers a step, got shape {x.shape}"
            )
        count = 2 if self.mode == "lstm" else 1
        if hx is None:
            return [None] * count
        if count == 2 and (not isinstance(hx, (tuple, list)) or len(hx) != 2):
            raise TypeError(f"{name} expects the first state as a pair (h_0, c_0)")
        if count == 1 and not isinstance(hx, Tensor):
            raise TypeError(f"{name} expects a Tensor as first state, got {type(hx).__name__}")
        batch: tuple[int, ...] = ()
        if batch_sizes is not None:
            batch = (int(batch_sizes[0]),)
        elif x.ndim == 3:
            batch = (x.shape[0 if self.batch_first else 1],)
        rows = self.num_layers * (2 if self.bidirectional else 1)
        states = list(hx) if count == 2 else [hx]
        sizes = (self.proj_size or self.hidden_size, self.hidden_size)
        for state, label, size in zip(states, ("h_0", "c_0"), sizes, strict=False):
            expected = (rows, *batch, size)
            if state.shape != expected:
                raise ValueError(
                    f"{name} expects {label} of shape {expected} for input of shape {x.shape}, "
                    f"got {state.shape}"
                )
        return states

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        for name, default in (
            ("proj_size", 0),
            ("num_layers", 1),
            ("bias", True),
            ("batch_first", False),
            ("dropout", 0.0),
            ("bidirectional", False),
        ):
            value = getattr(self, name)
            if value != default:
                text += f", {name}={value}"
        return text


def permuted(state: Tensor | None, order: Tensor | None) -> Tensor | None:
    """A state (layers, N, D) with its batch in another order."""
    return state if state is None or order is None else index_select(state, 1, order)


class RNN(RNNBase):
    """Layers of h = f(weight_ih x + bias_ih + weight_hh h + bias_hh), f = tanh or ReLU (Elman,
    1990).

    input (T, N, input_size), or (N, T, input_size) with batch_first, or (T, input_size) without
    a batch, or a PackedSequence. Returns output, the h of every step of the last layer,
    (T, N, directions * hidden_size), and h_n, those of the last step of each layer and direction,
    (num_layers * directions, N, hidden_size). h_0, what to begin with, of that shape, is zero
    unless given. dropout comes between layers, in training.

    >>> import fastnn
    >>> layer = fastnn.nn.RNN(10, 20, num_layers=2, nonlinearity="relu")
    >>> output, h_n = layer(fastnn.zeros(5, 3, 10))
    >>> output.shape, h_n.shape
    ((5, 3, 20), (2, 3, 20))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: str | None = None,
        dtype: DType | None = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
        super().__init__(
            f"rnn_{nonlinearity}", input_size, hidden_size, num_layers, bias, batch_first,
            dropout, bidirectional, dtype=dtype,
        )  # fmt: skip
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Layers of long short-term memory (Hochreiter and Schmidhuber, 1997; Gers et al., 2000).

    input (T, N, input_size), or (N, T, input_size) with batch_first, or (T, input_size) without
    a batch, or a PackedSequence. Returns output, the h of every step of the last layer, and
    (h_n, c_n), those of the last step of each layer and direction, (num_layers * directions, N,
    hidden_size). What to begin with, (h_0, c_0) of those shapes, is zero unless given. With
    proj_size, h is projected to as many numbers (Sak et al., 2014). dropout comes between layers,
    in training.

    >>> import fastnn
    >>> layer = fastnn.nn.LSTM(10, 20, batch_first=True, bidirectional=True)
    >>> output, (h_n, c_n) = layer(fastnn.zeros(3, 5, 10))
    >>> output.shape, h_n.shape
    ((3, 5, 40), (2, 3, 20))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: str | None = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__(
            "lstm", input_size, hidden_size, num_layers, bias, batch_first, dropout,
            bidirectional, proj_size, dtype=dtype,
        )  # fmt: skip


class GRU(RNNBase):
    """Layers of gated recurrent units (Cho et al., 2014), the reset gate after the product:
    n = tanh(weight_in x + b_in + r (weight_hn h + b_hn)).

    input, output, h_0 and h_n are those of RNN.

    >>> import fastnn
    >>> output, h_n = fastnn.nn.GRU(10, 20)(fastnn.zeros(5, 3, 10))
    >>> output.shape, h_n.shape
    ((5, 3, 20), (1, 3, 20))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: str | None = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__(
            "gru", input_size, hidden_size, num_layers, bias, batch_first, dropout,
            bidirectional, dtype=dtype,
        )  # fmt: skip
