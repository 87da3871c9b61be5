import numpy as np


def places(index, dim):
    """Index arrays that name one element for each entry of index."""
    grid = list(np.indices(index.shape))
    grid[dim] = index
    return tuple(grid)


def index_add(x, dim, index, source, alpha=1):
    y = x.copy()
    np.add.at(y, (slice(None),) * dim + (index,), alpha * source)
    return y


def scatter_add(x, dim, index, src):
    y = x.copy()
    np.add.at(y, places(index, dim), src[tuple(map(slice, index.shape))])
    return y


def scatter(x, dim, index, src):
    y = x.copy()
    y[places(index, dim)] = src
    return y


REFERENCES = {
    "index_select": lambda x, dim, index: np.take(x, index, dim),
    "gather": lambda x, dim, index: x[places(index, dim)],
    "index_add": index_add,
    "scatter_add": scatter_add,
    "scatter": scatter,
    "nonzero": lambda x: np.argwhere(x),
    "masked_select": lambda x, mask: x[np.broadcast_to(mask, x.shape)],
}
