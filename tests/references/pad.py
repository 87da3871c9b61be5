"""What padding means: the index that each element is read from."""

import numpy as np


def origin(k, size, before, after, mode):
    """Where element k - before of an axis stands, or -1."""
    k -= before
    if mode == "constant":
        return k if 0 <= k < size else -1
    if mode == "circular":
        first = max(-before, 0)
        return first + (k - first) % (size - first - max(-after, 0))
    if mode == "replicate":
        return min(max(k, 0), size - 1)
    return -k if k < 0 else 2 * (size - 1) - k if k >= size else k


def pad(x, pads, mode="constant", value=None):
    y = x
    for d, (before, after) in enumerate(zip(pads[::2], pads[1::2], strict=True)):
        axis, size = x.ndim - 1 - d, x.shape[x.ndim - 1 - d]
        places = [origin(k, size, before, after, mode) for k in range(size + before + after)]
        rows = [
            np.full(np.delete(y.shape, axis), value or 0, x.dtype)
            if place < 0
            else np.take(y, place, axis)
            for place in places
        ]
        y = np.stack(rows, axis)
    return y


REFERENCES = {"pad": pad}
