"""What max unpooling means, number by number."""

import numpy as np

from tests.references.pool import each


def unpool(dims):
    def reference(x, indices, kernel_size, stride=None, padding=0, output_size=None):
        k, p = each(kernel_size, dims), each(padding, dims)
        s = k if stride is None else each(stride, dims)
        size = [(n - 1) * s[d] + k[d] - 2 * p[d] for d, n in enumerate(x.shape[-dims:])]
        if output_size is not None:
            size = output_size[-dims:]
        y = np.zeros((*x.shape[:-dims], int(np.prod(size))))
        for at in np.ndindex(x.shape):
            y[(*at[:-dims], indices[at])] = x[at]
        return y.reshape(*x.shape[:-dims], *size)

    return reference


REFERENCES = {f"max_unpool{dims}d": unpool(dims) for dims in (1, 2, 3)}
