"""Recurrent layers."""

from __future__ import annotations

import math

from fastnn._core.tensor import DType, Tensor
from fastnn.nn import init
from fastnn.nn.module import Module
from fastnn.nn.parameter import Parameter
from fastnn.ops.creation import empty
from fastnn.ops.rnn import lstm

State = tuple[Tensor, Tensor]


class LSTM(Module):
    """Long short-term memory over a sequence, one layer, one direction.

    input (T, N, input_size), or (N, T, input_size) with batch_first, or (T, input_size) without
    a batch. Returns output, the h of every step, and (h_n, c_n) of the last, each (1, N, D) or
    (1, D). The state to begin with, (h_0, c_0) of those shapes, is zero unless given.

    >>> import fastnn
    >>> layer = fastnn.nn.LSTM(10, 20, batch_first=True)
    >>> output, (h_n, c_n) = layer(fastnn.zeros(3, 5, 10))
    >>> output.shape, h_n.shape
    ((3, 5, 20), (1, 3, 20))
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
        super().__init__()
        if input_size < 1 or hidden_size < 1:
            raise ValueError(
                f"input_size and hidden_size must be positive, got {input_size} and {hidden_size}"
            )
        if num_layers != 1 or bidirectional or proj_size or dropout:
            raise NotImplementedError(
                "LSTM: one layer and one direction are supported, without projection and dropout, "
                f"got num_layers={num_layers}, bidirectional={bidirectional}, "
                f"proj_size={proj_size}, dropout={dropout}"
            )
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = dropout
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        rows = 4 * hidden_size  # input, forget, cell and output gate, in this order
        self.weight_ih_l0 = Parameter(empty(rows, input_size, dtype=dtype))
        self.weight_hh_l0 = Parameter(empty(rows, hidden_size, dtype=dtype))
        for name in ("bias_ih_l0", "bias_hh_l0"):
            self.register_parameter(name, Parameter(empty(rows, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters uniformly within 1 / sqrt(hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def forward(self, input: Tensor, hx: State | None = None) -> tuple[Tensor, State]:
        if input.ndim not in (2, 3):
            raise ValueError(f"LSTM expects 2-D or 3-D input, got shape {input.shape}")
        if input.shape[-1] != self.input_size:
            raise ValueError(
                f"LSTM expects input_size={self.input_size} numbers a step, got shape {input.shape}"
            )
        h, c = (None, None) if hx is None else self._first_state(input, hx)
        output, h, c = lstm(
            input,
            h,
            c,
            self.weight_ih_l0,
            self.weight_hh_l0,
            self.bias_ih_l0,
            self.bias_hh_l0,
            self.batch_first,
        )
        return output, (h.unsqueeze(0), c.unsqueeze(0))

    def _first_state(self, input: Tensor, hx: State) -> State:
        """(h, c), each (N, D) or (D)."""
        if not isinstance(hx, (tuple, list)) or len(hx) != 2:
            raise TypeError("LSTM expects the first state as a pair (h_0, c_0)")
        batch = () if input.ndim == 2 else (input.shape[0 if self.batch_first else 1],)
        expected = (1, *batch, self.hidden_size)
        for name, state in zip(("h_0", "c_0"), hx, strict=True):
            if state.shape != expected:
                raise ValueError(f"LSTM expects {name} of shape {expected}, got {state.shape}")
        return hx[0].squeeze(0), hx[1].squeeze(0)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if not self.bias:
            text += f", bias={self.bias}"
        if self.batch_first:
            text += f", batch_first={self.batch_first}"
        return text
