import numpy as np


def spread(sizes):
    """The sizes of f(x, 2, 3) or f(x, (2, 3))."""
    return sizes[0] if len(sizes) == 1 and isinstance(sizes[0], tuple) else sizes


def flatten(x, start=0, end=-1):
    x = np.atleast_1d(x)
    end %= x.ndim
    return x.reshape(*x.shape[:start], -1 if x.size else 0, *x.shape[end + 1 :])


def unflatten(x, dim, sizes):
    dim %= x.ndim
    return x.reshape(*x.shape[:dim], *sizes, *x.shape[dim + 1 :])


def squeeze(x, dim=None):
    dims = range(x.ndim) if dim is None else [d % x.ndim for d in np.atleast_1d(dim)]
    return np.squeeze(x, tuple(d for d in dims if x.shape[d] == 1))


def expand(x, *sizes):
    sizes = list(spread(sizes))
    for d in range(1, x.ndim + 1):
        sizes[-d] = x.shape[-d] if sizes[-d] == -1 else sizes[-d]
    return np.broadcast_to(x, sizes)


def narrow(x, dim, start, length):
    return np.take(x, range(start % max(x.shape[dim], 1) if length else 0, x.shape[dim]), dim).take(
        range(length), dim
    )


REFERENCES = {
    "reshape": lambda x, *shape: np.reshape(x, spread(shape)),
    "flatten": flatten,
    "unflatten": unflatten,
    "squeeze": squeeze,
    "unsqueeze": np.expand_dims,
    "permute": lambda x, *dims: np.transpose(x, spread(dims)),
    "transpose": np.swapaxes,
    "t": np.transpose,
    "movedim": np.moveaxis,
    "expand": expand,
    "broadcast_to": np.broadcast_to,
    "narrow": narrow,
    "select": lambda x, dim, index: np.take(x, index, dim),
    "diagonal": np.diagonal,
}
