"""What an embedding and a bag of embeddings mean."""

from itertools import pairwise

import numpy as np


def embedding(indices, weight, padding_idx=None):
    weight = np.asarray(weight, np.float64)
    y = np.empty((*np.shape(indices), weight.shape[1]))
    for at in np.ndindex(np.shape(indices)):
        y[at] = weight[np.asarray(indices)[at]]
    return y


def embedding_bag(
    indices,
    weight,
    offsets=None,
    mode="mean",
    per_sample_weights=None,
    include_last_offset=False,
    padding_idx=None,
    **kwargs,
):
    weight, indices = np.asarray(weight, np.float64), np.asarray(indices)
    scale = np.ones(indices.shape) if per_sample_weights is None else per_sample_weights
    if indices.ndim == 2:
        bags = list(zip(indices, scale, strict=True))
    else:
        ends = [*offsets, *([] if include_last_offset else [len(indices)])]
        bags = [(indices[a:b], scale[a:b]) for a, b in pairwise(ends)]
    y = np.zeros((len(bags), weight.shape[1]))
    for k, (bag, factors) in enumerate(bags):
        rows = [
            factor * weight[i]
            for i, factor in zip(bag, factors, strict=True)
            if padding_idx is None or i != padding_idx % len(weight)
        ]
        if rows:
            y[k] = {"sum": np.sum, "mean": np.mean, "max": np.max}[mode](rows, 0)
    return y


REFERENCES = {"embedding": embedding, "embedding_bag": embedding_bag}
