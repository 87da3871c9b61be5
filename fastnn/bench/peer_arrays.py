"""What NumPy and jax.numpy have in common: the functions of the cases, written as their users write
them. xp is either of the two."""

from __future__ import annotations

import numpy as np


class ArrayFunctions:
    """PyTorch's functions over the arrays of xp; convolution, pooling and recurrence differ."""

    def __init__(self, xp) -> None:
        self.xp = xp

    def array(self, values: np.ndarray):
        return self.xp.asarray(values)

    def matmul(self, x, y):
        return x @ y

    def add(self, x, y):
        return x + y

    def sub(self, x, y):
        return x - y

    def mul(self, x, y):
        return x * y

    def getitem(self, x, index):
        return x[index]

    def transpose(self, x):
        return x.T

    def flatten(self, x, start=1):
        return x.reshape(*x.shape[:start], -1)

    def sum(self, x, dim):
        return x.sum(dim)

    def linear(self, x, w, b):
        return x @ w.T + b

    def relu(self, x):
        return self.xp.maximum(x, 0)

    def exp(self, x):
        return self.xp.exp(x)

    def tanh(self, x):
        return self.xp.tanh(x)

    def sigmoid(self, x):
        return 1 / (1 + self.xp.exp(-x))

    def elu(self, x):
        return self.xp.where(x > 0, x, self.xp.expm1(self.xp.minimum(x, 0)))

    def mish(self, x):
        return x * self.xp.tanh(self.xp.logaddexp(x, 0))

    def softmax(self, x, dim):
        e = self.xp.exp(x - x.max(dim, keepdims=True))
        return e / e.sum(dim, keepdims=True)

    def log_softmax(self, x, dim):
        x = x - x.max(dim, keepdims=True)
        return x - self.xp.log(self.xp.exp(x).sum(dim, keepdims=True))

    def cross_entropy(self, x, target):
        picked = self.xp.take_along_axis(self.log_softmax(x, 1), target[:, None], 1)
        return -picked.mean()

    def mse_loss(self, x, target):
        return ((x - target) ** 2).mean()

    def binary_cross_entropy_with_logits(self, x, target):
        return (self.xp.logaddexp(x, 0) - x * target).mean()

    def embedding(self, table, index):
        return table[index]

    def _moments(self, x, axes):
        mean = x.mean(axes, keepdims=True)
        return mean, ((x - mean) ** 2).mean(axes, keepdims=True)

    def _scaled(self, x, mean, var, w, b, shape):
        factor = w.reshape(shape) / self.xp.sqrt(var + np.float32(1e-5))
        return (x - mean) * factor + b.reshape(shape)

    def batch_norm(self, x, mean, var, w, b):
        shape = (1, -1, *[1] * (x.ndim - 2))
        return self._scaled(x, mean.reshape(shape), var.reshape(shape), w, b, shape)

    def batch_norm_train(self, x, running_mean, running_var, w, b):
        """(y, running mean, running variance)."""
        axes = (0, *range(2, x.ndim))
        mean, var = self._moments(x, axes)
        n = x.size // x.shape[1]
        y = self._scaled(x, mean, var, w, b, mean.shape)
        return (
            y,
            0.9 * running_mean + 0.1 * mean.reshape(-1),
            0.9 * running_var + 0.1 * (n / (n - 1)) * var.reshape(-1),
        )

    def layer_norm(self, x, w, b):
        return self._scaled(x, *self._moments(x, (-1,)), w, b, (-1,))

    def group_norm(self, x, groups, w, b):
        parts = x.reshape(x.shape[0], groups, -1)
        mean, var = self._moments(parts, (2,))
        parts = (parts - mean) / self.xp.sqrt(var + np.float32(1e-5))
        shape = (1, -1, *[1] * (x.ndim - 2))
        return parts.reshape(x.shape) * w.reshape(shape) + b.reshape(shape)

    def adaptive_avg_pool2d(self, x, size):
        if size != 1:
            raise ValueError(f"only the average of whole images is timed, not of {size}")
        return x.mean((2, 3), keepdims=True)

    def recurrent(self, x, kind, layers, batch_first):
        """layers: for each layer and direction w_ih, w_hh, b_ih, b_hh."""
        x = x.swapaxes(0, 1) if batch_first else x
        for directions in layers:
            ways = [self._direction(kind, x, w, d > 0) for d, w in enumerate(directions)]
            x = self.xp.concatenate(ways, 2)
        return x.swapaxes(0, 1) if batch_first else x

    def _direction(self, kind, x, weights, reverse):
        """The input's part of all steps is one product before the first step."""
        w_ih, w_hh, b_ih, b_hh = weights
        gates = x @ w_ih.T + (b_ih if kind == "GRU" else b_ih + b_hh)
        h = self.xp.zeros((x.shape[1], w_hh.shape[1]), x.dtype)
        state = (h, h) if kind == "LSTM" else (h,)
        step = getattr(self, f"_{kind.lower()}_step")
        w = w_hh.T
        return self.scan(lambda state, g: step(state, g, w, b_hh), state, gates, reverse)

    def _lstm_step(self, state, gates, w, _):
        h, c = state
        i, f, g, o = self.xp.split(gates + h @ w, 4, axis=1)
        c = self.sigmoid(f) * c + self.sigmoid(i) * self.tanh(g)
        h = self.sigmoid(o) * self.tanh(c)
        return (h, c), h

    def _gru_step(self, state, gates, w, b_hh):
        (h,) = state
        x_r, x_z, x_n = self.xp.split(gates, 3, axis=1)
        h_r, h_z, h_n = self.xp.split(h @ w + b_hh, 3, axis=1)
        r, z = self.sigmoid(x_r + h_r), self.sigmoid(x_z + h_z)
        n = self.tanh(x_n + r * h_n)
        h = n + z * (h - n)
        return (h,), h

    def _rnn_step(self, state, gates, w, _):
        h = self.xp.tanh(gates + state[0] @ w)
        return (h,), h
