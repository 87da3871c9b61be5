"""Batch norm folded into the weights of the layer before it.

Sequential needs none of this to run the two in one pass; see container.py.
"""

from __future__ import annotations

import copy

from fastnn._core.autograd import no_grad
from fastnn._core.tensor import Tensor
from fastnn.nn.conv import ConvLayer, TransposedConv
from fastnn.nn.linear import Linear
from fastnn.nn.normalization import BatchNorm
from fastnn.nn.parameter import Parameter


def fuse_conv_bn_weights(
    conv_w: Tensor,
    conv_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """Weight and bias of the convolution that does what one and the batch norm after it do.

    conv_w (O, C / groups, ...), all else (O,); transpose: conv_w (C, O / groups, ...).

    >>> import fastnn
    >>> w, mean, var = fastnn.ones(2, 1, 3), fastnn.zeros(2), fastnn.ones(2) * 4
    >>> w, b = fastnn.nn.utils.fuse_conv_bn_weights(w, None, mean, var, 0.0, None, None)
    >>> w.tolist(), b.tolist()
    ([[[0.5, 0.5, 0.5]], [[0.5, 0.5, 0.5]]], [0.0, 0.0])
    """
    channels, taps = bn_rm.shape[0], conv_w.shape[2:]
    groups = max(channels // conv_w.shape[1], 1) if transpose else 1
    rows, columns = conv_w.shape[:2]
    if channels != (groups * columns if transpose else rows) or rows % groups:
        raise ValueError(
            f"running statistics of {channels} channels do not fit a weight of shape {conv_w.shape}"
        )
    with no_grad():
        scale = 1 / (bn_rv + bn_eps).sqrt()
        if bn_w is not None:
            scale = scale * bn_w
        shift = (0.0 if conv_b is None else conv_b) - bn_rm
        bias = shift * scale if bn_b is None else shift * scale + bn_b
        if transpose:
            parts = conv_w.reshape(groups, rows // groups, columns, *taps)
            weight = parts * scale.reshape(groups, 1, columns, *[1 for _ in taps])
        else:
            weight = conv_w * scale.reshape(rows, 1, *[1 for _ in taps])
        weight = weight.reshape(conv_w.shape).to(conv_w.dtype)
    learns = conv_b is not None and conv_b.requires_grad
    return Parameter(weight, conv_w.requires_grad), Parameter(bias.to(conv_w.dtype), learns)


def fuse_linear_bn_weights(
    linear_w: Tensor,
    linear_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
) -> tuple[Parameter, Parameter]:
    """Weight and bias of the linear layer that does what one and the batch norm after it do.

    linear_w (O, I), all else (O,).

    >>> import fastnn
    >>> w, mean, var = fastnn.ones(1, 2), fastnn.ones(1), fastnn.ones(1) * 4
    >>> w, b = fastnn.nn.utils.fuse_linear_bn_weights(w, None, mean, var, 0.0, None, None)
    >>> w.tolist(), b.tolist()
    ([[0.5, 0.5]], [-0.5])
    """
    return fuse_conv_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)


def folded(layer: ConvLayer | Linear, bn: BatchNorm, transpose: bool) -> ConvLayer | Linear:
    if not isinstance(bn, BatchNorm):
        raise TypeError(f"the second module must be a BatchNorm, got {type(bn).__name__}")
    if layer.training or bn.training:
        raise ValueError("only modules in evaluation can be fused: call eval() first")
    if bn.running_mean is None or bn.running_var is None:
        raise ValueError("a batch norm without running statistics cannot be fused")
    fused = copy.deepcopy(layer)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        layer.weight,
        layer.bias,
        bn.running_mean,
        bn.running_var,
        bn.eps,
        bn.weight,
        bn.bias,
        transpose,
    )
    return fused


def fuse_conv_bn_eval(conv: ConvLayer, bn: BatchNorm, transpose: bool = False) -> ConvLayer:
    """A new convolution with batch norm folded into weight and bias; both in evaluation.

    Its results are those of the two up to rounding. transpose: conv is a transposed
    convolution. ValueError in training mode and where the channels differ.

    >>> import fastnn
    >>> conv, bn = fastnn.nn.Conv2d(3, 8, 3).eval(), fastnn.nn.BatchNorm2d(8).eval()
    >>> x = fastnn.randn(2, 3, 9, 9)
    >>> fused = fastnn.nn.utils.fuse_conv_bn_eval(conv, bn)
    >>> ((fused(x) - bn(conv(x))).abs() < 1e-5).all().item()
    True
    """
    if not isinstance(conv, ConvLayer) or isinstance(conv, TransposedConv) != transpose:
        wanted = "transposed convolution" if transpose else "convolution"
        raise TypeError(f"the first module must be a {wanted}, got {type(conv).__name__}")
    return folded(conv, bn, transpose)


def fuse_linear_bn_eval(linear: Linear, bn: BatchNorm) -> Linear:
    """A new linear layer with batch norm folded into weight and bias; both in evaluation.

    Its results are those of the two up to rounding. ValueError in training mode and where
    the features differ.

    >>> import fastnn
    >>> linear, bn = fastnn.nn.Linear(3, 8).eval(), fastnn.nn.BatchNorm1d(8).eval()
    >>> x = fastnn.randn(2, 3)
    >>> fused = fastnn.nn.utils.fuse_linear_bn_eval(linear, bn)
    >>> ((fused(x) - bn(linear(x))).abs() < 1e-5).all().item()
    True
    """
    if not isinstance(linear, Linear):
        raise TypeError(f"the first module must be a Linear, got {type(linear).__name__}")
    return folded(linear, bn, False)
