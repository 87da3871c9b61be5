"""The multilayer perceptron: X W + b and an activation, layer after layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from fastnn import Tensor, nn, no_grad
from fastnn.models.checks import check_matrix

Initialiser = Callable[[Tensor], object]


class MLP(nn.Module):
    """Linear layers sizes[0] -> sizes[1] -> ... -> sizes[-1], an activation between each two.

    activation: makes a layer, as nn.ReLU or nn.Sigmoid do. dropout: its share after each hidden
    layer. initialise: fills each weight, biases then begin at 0; PyTorch's default without.

    >>> import fastnn
    >>> MLP([4, 8, 3])(fastnn.zeros(5, 4)).shape
    (5, 3)
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: Callable[[], nn.Module] = nn.ReLU,
        dropout: float = 0.0,
        initialise: Initialiser | None = None,
    ) -> None:
        super().__init__()
        if len(sizes) < 2 or min(sizes) < 1:
            raise ValueError(f"an MLP needs two or more sizes, each at least 1, got {list(sizes)}")
        self.sizes = tuple(sizes)
        self.layers = nn.Sequential()
        for k, (inputs, outputs) in enumerate(pairwise(sizes), start=1):
            self.layers.append(nn.Linear(inputs, outputs))
            if k < len(sizes) - 1:
                self.layers.append(activation())
                if dropout:
                    self.layers.append(nn.Dropout(dropout))
        if initialise is not None:
            self.initialise(initialise)

    @no_grad()
    def initialise(self, fill: Initialiser) -> None:
        """Fill each weight anew; biases become 0."""
        for layer in self.linear_layers():
            fill(layer.weight)
            nn.init.zeros_(layer.bias)

    def linear_layers(self) -> list[nn.Linear]:
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]

    def forward(self, x: Tensor) -> Tensor:
        """(N, sizes[0]) -> (N, sizes[-1])"""
        check_matrix(x, self.sizes[0], "the input of the MLP")
        return self.layers(x)
