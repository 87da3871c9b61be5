"""The first artificial neurons: McCulloch and Pitts' of 1943, and Rosenblatt's perceptron of 1958.

Both fire (1) where the weighted sum of their inputs reaches a threshold. The first has weights that
a person chooses; the second learns them, if a straight line parts the classes (Novikoff, 1962).
"""

from __future__ import annotations

from collections.abc import Sequence

from fastnn import Tensor, mv, nn, no_grad, tensor, zeros
from fastnn.models.checks import check_labels, check_matrix, check_same_length


class McCullochPittsNeuron(nn.Module):
    """Fires where the sum of weights * inputs is at least the threshold. Inputs are 0 or 1;
    weights 1 excite, weights -1 inhibit.

    >>> import fastnn
    >>> both = McCullochPittsNeuron([1, 1], threshold=2)
    >>> both(fastnn.tensor([[0.0, 1.0], [1.0, 1.0]]))
    tensor([0., 1.])
    """

    def __init__(self, weights: Sequence[float], threshold: float) -> None:
        super().__init__()
        self.register_buffer("weight", tensor([float(w) for w in weights]))
        self.threshold = threshold

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs) -> (N) of 0 and 1"""
        check_matrix(x, len(self.weight), "the input of the neuron")
        return (mv(x, self.weight) >= self.threshold).float()


class Perceptron(nn.Module):
    """Fires where weight * x + bias is above 0; `learn` finds both."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.register_buffer("weight", zeros(inputs))
        self.register_buffer("bias", zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs) -> (N) of 0 and 1"""
        check_matrix(x, len(self.weight), "the input of the perceptron")
        return (mv(x, self.weight) + self.bias > 0).float()

    @no_grad()
    def learn(self, x: Tensor, labels: Tensor, epochs: int = 100, lr: float = 1.0) -> list[int]:
        """Rosenblatt's rule: each sample that is judged wrongly moves the weights towards itself
        or away. x (N, inputs), labels (N) 0 or 1. Returns the errors of each epoch; the last is 0
        where the classes could be parted."""
        check_same_length((x, labels))
        check_matrix(x, len(self.weight), "the samples of the perceptron")
        check_labels(labels, 2)
        errors = []
        while len(errors) < epochs and (not errors or errors[-1]):
            errors.append(0)
            for k, label in enumerate(labels.tolist()):
                wrong = label - self(x[k : k + 1]).item()
                if wrong:
                    self.weight += lr * wrong * x[k]
                    self.bias += lr * wrong
                    errors[-1] += 1
        return errors
