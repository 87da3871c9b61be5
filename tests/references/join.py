import numpy as np


def split(x, size, dim=0):
    if isinstance(size, list):
        return np.split(x, np.cumsum(size)[:-1], dim)
    return np.split(x, range(size, x.shape[dim], size), dim)


def chunk(x, chunks, dim=0):
    return split(x, -(-x.shape[dim] // chunks), dim)


REFERENCES = {
    "split": split,
    "chunk": chunk,
    "unbind": lambda x, dim=0: list(np.moveaxis(x, dim, 0)),
}
