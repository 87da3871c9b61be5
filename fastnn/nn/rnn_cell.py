"""One step of a recurrent layer."""

from __future__ import annotations

import math

from fastnn._core.tensor import DType, Tensor
from fastnn.nn import init
from fastnn.nn.module import Module
from fastnn.nn.parameter import Parameter
from fastnn.ops.creation import empty
from fastnn.ops.rnn import gru, lstm, rnn_relu, rnn_tanh


class RNNCellBase(Module):
    """What the cells share: parameters, and the checks of input and state."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: str | None = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        if input_size < 1 or hidden_size < 1:
            raise ValueError(
                f"input_size and hidden_size must be positive, got {input_size} and {hidden_size}"
            )
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = num_chunks * hidden_size
        self.weight_ih = Parameter(empty(rows, input_size, dtype=dtype))
        self.weight_hh = Parameter(empty(rows, hidden_size, dtype=dtype))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(empty(rows, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters uniformly within 1 / sqrt(hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def _weights(self) -> tuple[Tensor | None, ...]:
        return self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh

    def _check(self, input: Tensor, *states: Tensor | None) -> None:
        name = type(self).__name__
        if input.ndim not in (1, 2) or input.shape[-1] != self.input_size:
            raise ValueError(
                f"{name} expects input of shape (N, {self.input_size}) or ({self.input_size},), "
                f"got {input.shape}"
            )
        expected = (*input.shape[:-1], self.hidden_size)
        for state in states:
            if state is not None and state.shape != expected:
                raise ValueError(
                    f"{name} expects a state of shape {expected} for input of shape "
                    f"{input.shape}, got {state.shape}"
                )

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        return text if self.bias else f"{text}, bias=False"


class RNNCell(RNNCellBase):
    """One step of nn.RNN: input (N, input_size) or (input_size,), hx and the result (N,
    hidden_size) or (hidden_size,); hx is zero unless given.

    >>> import fastnn
    >>> fastnn.nn.RNNCell(10, 20)(fastnn.zeros(3, 10)).shape
    (3, 20)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: str | None = None,
        dtype: DType | None = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
        super().__init__(input_size, hidden_size, bias, 1, dtype=dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        self._check(input, hx)
        step = rnn_tanh if self.nonlinearity == "tanh" else rnn_relu
        return step(input.unsqueeze(0), hx, *self._weights())[1]

    def extra_repr(self) -> str:
        text = super().extra_repr()
        return text if self.nonlinearity == "tanh" else f"{text}, nonlinearity=relu"


class LSTMCell(RNNCellBase):
    """One step of nn.LSTM: input (N, input_size) or (input_size,); hx = (h, c) and the result,
    each (N, hidden_size) or (hidden_size,); hx is zero unless given.

    >>> import fastnn
    >>> h, c = fastnn.nn.LSTMCell(10, 20)(fastnn.zeros(3, 10))
    >>> h.shape, c.shape
    ((3, 20), (3, 20))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: str | None = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, dtype=dtype)

    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        if hx is not None and (not isinstance(hx, (tuple, list)) or len(hx) != 2):
            raise TypeError("LSTMCell expects its state as a pair (h, c)")
        h, c = (None, None) if hx is None else hx
        self._check(input, h, c)
        return lstm(input.unsqueeze(0), h, c, *self._weights())[1:]


class GRUCell(RNNCellBase):
    """One step of nn.GRU: input (N, input_size) or (input_size,), hx and the result (N,
    hidden_size) or (hidden_size,); hx is zero unless given.

    >>> import fastnn
    >>> fastnn.nn.GRUCell(10, 20)(fastnn.zeros(3, 10)).shape
    (3, 20)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: str | None = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, dtype=dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        self._check(input, hx)
        return gru(input.unsqueeze(0), hx, *self._weights())[1]
