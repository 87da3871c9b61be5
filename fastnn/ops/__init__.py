"""Differentiable operations, family by family: shape rule, forward and backward twins."""

import importlib

from fastnn._core.tensor import install_method

FAMILIES = (
    "creation",
    "pointwise",
    "activation",
    "view",
    "part",
    "join",
    "copy",
    "index",
    "gather",
    "matmul",
    "linear",
    "conv",
    "conv_transpose",
    "reduce",
    "deviation",
    "extreme",
    "softmax",
    "loss",
    "loss_composed",
    "cross_entropy",
    "random",
    "dropout",
    "pad",
    "pool",
    "unpool",
    "rnn",
    "norm",
    "norm_rows",
    "embedding",
    "embedding_bag",
)

OPS = {}
for _family in FAMILIES:
    for _op in importlib.import_module(f"fastnn.ops.{_family}").OPS:
        if _op.name in OPS:
            raise RuntimeError(f"operation {_op.name!r} is declared twice")
        OPS[_op.name] = _op
        if _op.method:
            install_method(_op.method, _op.function)
