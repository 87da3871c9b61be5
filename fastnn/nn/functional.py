"""The functions behind the layers: the compiled operations themselves, under PyTorch's names."""

from fastnn.ops.activation import (
    elu,
    gelu,
    leaky_relu,
    mish,
    prelu,
    relu,
    sigmoid,
    silu,
    softplus,
    tanh,
)
from fastnn.ops.conv import conv2d
from fastnn.ops.embedding import embedding
from fastnn.ops.loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    huber_loss,
    l1_loss,
    mse_loss,
    smooth_l1_loss,
)
from fastnn.ops.matmul import linear
from fastnn.ops.norm import batch_norm, layer_norm, rms_norm
from fastnn.ops.pool import adaptive_avg_pool2d, adaptive_max_pool2d, avg_pool2d, max_pool2d
from fastnn.ops.random import dropout
from fastnn.ops.softmax import cross_entropy, log_softmax, nll_loss, softmax
from fastnn.ops.view import flatten

__all__ = [
    "adaptive_avg_pool2d",
    "adaptive_max_pool2d",
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "conv2d",
    "cross_entropy",
    "dropout",
    "elu",
    "embedding",
    "flatten",
    "gelu",
    "huber_loss",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "max_pool2d",
    "mish",
    "mse_loss",
    "nll_loss",
    "prelu",
    "relu",
    "rms_norm",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "softmax",
    "softplus",
    "tanh",
]
