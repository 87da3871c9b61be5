import numpy as np


def matmul(a, b):
    """Sums of products, written out over the inner dimension."""
    rows = a if a.ndim > 1 else a[None, :]
    cols = b if b.ndim > 1 else b[:, None]
    stack = np.broadcast_shapes(rows.shape[:-2], cols.shape[:-2])
    y = np.zeros((*stack, rows.shape[-2], cols.shape[-1]))
    for k in range(rows.shape[-1]):
        y += rows[..., :, k, None] * cols[..., None, k, :]
    if a.ndim == 1:
        y = y[..., 0, :]
    return y if b.ndim > 1 else y[..., 0]


def multiply_add(c, a, b, beta=1, alpha=1):
    return beta * c + alpha * matmul(a, b)


def linear(x, w, bias=0.0):
    return matmul(x, w.T) + bias


def linear_fused(x, w, bias=0.0):
    return np.maximum(linear(x, w, bias), 0)


REFERENCES = {
    "matmul": matmul,
    "mm": matmul,
    "bmm": matmul,
    "mv": matmul,
    "dot": matmul,
    "addmm": multiply_add,
    "addmv": multiply_add,
    "baddbmm": multiply_add,
    "outer": np.multiply.outer,
    "linear": linear,
    "linear_fused": linear_fused,
}
