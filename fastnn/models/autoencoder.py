"""The deep autoencoder: a net that must pass its input through a few numbers, the code.

A deep belief network begins it: its layers upwards are the encoder, and the same weights downwards
the decoder, from which descent goes on (Hinton and Salakhutdinov, 2006).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fastnn import Tensor, nn
from fastnn.models.dbn import DBN, copy_weights
from fastnn.models.mlp import MLP
from fastnn.models.rbm import GaussianRBM


class Autoencoder(nn.Module):
    """Layers of sizes[0] -> ... -> sizes[-1] numbers and back, the code linear, the outputs
    logits of pixels from 0 to 1.

    >>> import fastnn
    >>> net = Autoencoder([6, 4, 2])
    >>> net(fastnn.ones(3, 6)).shape, net.encode(fastnn.ones(3, 6)).shape
    ((3, 6), (3, 2))
    """

    def __init__(
        self, sizes: Sequence[int], activation: Callable[[], nn.Module] = nn.Sigmoid
    ) -> None:
        super().__init__()
        self.encoder = MLP(sizes, activation)
        self.decoder = MLP(list(reversed(sizes)), activation)

    @classmethod
    def unrolled(cls, dbn: DBN) -> Autoencoder:
        """An autoencoder with the weights of a DBN made with linear_top, upwards and down."""
        if not isinstance(dbn.rbms[-1], GaussianRBM):
            raise ValueError("the code is linear: make the DBN with linear_top=True")
        net = cls(dbn.sizes)
        copy_weights(dbn, net.encoder.linear_layers())
        copy_weights(dbn, net.decoder.linear_layers(), downwards=True)
        return net

    def encode(self, x: Tensor) -> Tensor:
        """The code: (N, sizes[0]) -> (N, sizes[-1])"""
        return self.encoder(x)

    def decode(self, code: Tensor) -> Tensor:
        """What a code stands for, from 0 to 1: (N, sizes[-1]) -> (N, sizes[0])"""
        return self.decoder(code).sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the rebuilt input: (N, sizes[0]) -> (N, sizes[0])"""
        return self.decoder(self.encoder(x))
