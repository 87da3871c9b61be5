"""The deep belief network: RBMs one on the other, each trained on what the one below makes of data.

The top two layers are an RBM, those below point downwards (Hinton, Osindero and Teh, 2006). With a
softmax layer on top its weights are the start of a multilayer perceptron.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from fastnn import Tensor, nn, no_grad, rand
from fastnn.models.checks import check_matrix
from fastnn.models.mlp import MLP
from fastnn.models.rbm import RBM, GaussianRBM, check_shares, train_rbm
from fastnn.models.training import History


class DBN(nn.Module):
    """RBMs of sizes[0] -> sizes[1] -> ... units. linear_top: the last layer's units are real
    numbers.

    >>> import fastnn
    >>> net = DBN([6, 4, 3])
    >>> net(fastnn.ones(2, 6)).shape, net.sample(5).shape
    ((2, 3), (5, 6))
    """

    def __init__(self, sizes: Sequence[int], linear_top: bool = False) -> None:
        super().__init__()
        if len(sizes) < 2 or min(sizes) < 1:
            raise ValueError(f"a DBN needs two or more sizes, each at least 1, got {list(sizes)}")
        self.sizes = tuple(sizes)
        pairs = list(pairwise(sizes))
        kinds = [RBM] * (len(pairs) - 1) + [GaussianRBM if linear_top else RBM]
        self.rbms = nn.ModuleList([kind(*pair) for kind, pair in zip(kinds, pairs, strict=True)])

    def forward(self, v: Tensor) -> Tensor:
        """The means of the top layer, layer by layer: (N, sizes[0]) -> (N, sizes[-1])"""
        check_matrix(v, self.sizes[0], "the input of the DBN")
        for rbm in self.rbms:
            v = rbm.hidden_mean(v)
        return v

    def pretrain(
        self, v: Tensor, *, epochs: int, progress: str | None = None, **options: Any
    ) -> list[History]:
        """Train the RBMs one after the other from the bottom, on v (N, sizes[0]) from 0 to 1.
        options: of train_rbm; a linear top learns 100 times more slowly."""
        check_shares(v, self.sizes[0], "the data of the DBN")
        histories = []
        for k, rbm in enumerate(self.rbms, start=1):
            settings = dict(options)
            if isinstance(rbm, GaussianRBM):
                settings["lr"] = options.get("lr", 0.1) / 100
            label = f"{progress}, layer {k}" if progress else None
            histories.append(train_rbm(rbm, v, epochs=epochs, progress=label, **settings))
            with no_grad():
                v = rbm.hidden_mean(v)
        return histories

    @no_grad()
    def sample(self, n: int, steps: int = 500, start: Tensor | None = None) -> Tensor:
        """(n, sizes[0]) means, from `steps` of Gibbs sampling in the top RBM and one way down.
        start (n, sizes[0]): visible units the chains begin with, noise without."""
        *below, top = self.rbms
        v = rand(n, self.sizes[-2]).bernoulli() if start is None else start
        if start is not None:
            if tuple(start.shape) != (n, self.sizes[0]):
                raise ValueError(
                    f"start must have the shape ({n}, {self.sizes[0]}), got {tuple(start.shape)}"
                )
            for rbm in below:
                v = rbm.sample_hidden(v)
        v = top.visible_mean(top.sample_hidden(top.gibbs(v, steps)))
        for rbm in reversed(below):
            v = rbm.visible_mean(v)
        return v

    def to_mlp(self, classes: int) -> MLP:
        """An MLP of sigmoid layers with the weights of the RBMs, and a last layer that gives a
        score for each class and begins at 0."""
        net = MLP([*self.sizes, classes], nn.Sigmoid)
        *layers, last = net.linear_layers()
        copy_weights(self, layers)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        return net


@no_grad()
def copy_weights(dbn: DBN, layers: Sequence[nn.Linear], downwards: bool = False) -> None:
    """Give layers the weights of the RBMs: upwards from the bottom, or downwards from the top."""
    for rbm, layer in zip(reversed(list(dbn.rbms)) if downwards else dbn.rbms, layers, strict=True):
        layer.weight.copy_(rbm.weight.t() if downwards else rbm.weight)
        layer.bias.copy_(rbm.visible_bias if downwards else rbm.hidden_bias)
