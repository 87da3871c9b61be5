"""NumPy as a peer: forward passes, as its users write them."""

from __future__ import annotations

import numpy as np

from .conv import pair
from .library import Unsupported, Work
from .peer_arrays import ArrayFunctions
from .surface import Surface


class NumpyFunctions(ArrayFunctions):
    def conv2d(self, x, w, b, stride=1, padding=0, dilation=1, groups=1):
        """Windows of the image, as a view, times the filters: one tensordot."""
        if groups > 1:
            raise Unsupported("has no groups")
        reach = [dilation * (k - 1) + 1 for k in w.shape[2:]]
        down, right = pair(stride)
        windows = self._windows(x, reach, padding)[:, :, ::down, ::right, ::dilation, ::dilation]
        y = np.tensordot(windows, w, ((1, 4, 5), (1, 2, 3)))
        return (y if b is None else y + b).transpose(0, 3, 1, 2)

    def max_pool2d(self, x, kernel, stride=None, padding=0):
        return self._pooled(x, kernel, stride or kernel, padding, -np.inf).max((4, 5))

    def avg_pool2d(self, x, kernel, stride=None, padding=0):
        return self._pooled(x, kernel, stride or kernel, padding, 0).mean((4, 5))

    def _windows(self, x, reach, padding, value=0.0):
        pads = [(p, p) for p in pair(padding)]
        x = np.pad(x, ((0, 0), (0, 0), *pads), constant_values=value)
        return np.lib.stride_tricks.sliding_window_view(x, reach, (2, 3))

    def _pooled(self, x, kernel, stride, padding, value):
        windows = self._windows(x, (kernel, kernel), padding, value)
        return windows[:, :, ::stride, ::stride]

    def scan(self, step, state, gates, reverse):
        outputs = np.empty((*gates.shape[:2], state[0].shape[1]), gates.dtype)
        for t in range(len(gates) - 1, -1, -1) if reverse else range(len(gates)):
            state, outputs[t] = step(state, gates[t])
        return outputs


class NumpyPeer(Surface):
    def inference(self, forward) -> Work:
        return Work(forward, lambda: {"output": forward().value})


def open_peer(threads: int) -> NumpyPeer:
    """NumPy's matrix products take as many threads as OMP_NUM_THREADS says, the rest takes one."""
    return NumpyPeer(NumpyFunctions(np), np.__version__)
