"""Normalisation layers."""

from __future__ import annotations

from collections.abc import Callable

from fastnn._core.dtype import DType, int64
from fastnn._core.tensor import Tensor
from fastnn.nn import init
from fastnn.nn.functional import (
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    local_response_norm,
    rms_norm,
)
from fastnn.nn.module import Module
from fastnn.nn.parameter import Parameter
from fastnn.ops.creation import empty, ones, zeros
from fastnn.ops.norm import batch_norm_relu


class ChannelNorm(Module):
    """What layers share that have a weight, a bias and running statistics a channel."""

    ranks: tuple[int, ...]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: str | None = None,
        dtype: DType | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        for name, wanted in (("weight", affine), ("bias", affine and bias)):
            self.register_parameter(
                name, Parameter(empty(num_features, dtype=dtype)) if wanted else None
            )
        keep = track_running_stats
        self.register_buffer("running_mean", zeros(num_features, dtype=dtype) if keep else None)
        self.register_buffer("running_var", ones(num_features, dtype=dtype) if keep else None)
        self.register_buffer("num_batches_tracked", zeros((), dtype=int64) if keep else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forget the batches seen."""
        if self.track_running_stats:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            init.zeros_(self.num_batches_tracked)

    def reset_parameters(self) -> None:
        """Weight 1, bias 0, no batches seen."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def check(self, input: Tensor) -> None:
        """Raise ValueError unless the input has one of the layer's ranks."""
        if input.ndim not in self.ranks:
            expected = " or ".join(f"{rank}-D" for rank in self.ranks)
            raise ValueError(
                f"{type(self).__name__} expects {expected} input, got shape {input.shape}"
            )

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )


class BatchNorm(ChannelNorm):
    """Normalises each channel over the batch (Ioffe and Szegedy, 2015).

    In training it uses the batch's own mean and variance and moves running_mean and
    running_var towards them; in evaluation it uses the running ones. momentum None:
    the running statistics are the mean of all batches.
    """

    def forward(self, input: Tensor) -> Tensor:
        return self.normalize(batch_norm, input)

    def forward_fused(self, input: Tensor, norm: None, relu: bool) -> Tensor:
        return self.normalize(batch_norm_relu if relu else batch_norm, input)

    def numbers(self) -> tuple[object, ...]:
        """What the module before needs in order to end with this one, in evaluation."""
        return self.running_mean, self.running_var, self.weight, self.bias, self.eps

    def normalize(self, operation: Callable[..., Tensor], input: Tensor) -> Tensor:
        self.check(input)
        momentum = self.momentum
        if self.training and self.track_running_stats:
            self.num_batches_tracked.add_(1)
            if momentum is None:
                momentum = 1.0 / self.num_batches_tracked.item()
        return operation(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            momentum or 0.0,
            self.eps,
        )


class BatchNorm1d(BatchNorm):
    """Batch normalisation of (N, C) or (N, C, L)."""

    ranks = (2, 3)


class BatchNorm2d(BatchNorm):
    """Batch normalisation of (N, C, H, W)."""

    ranks = (4,)


class BatchNorm3d(BatchNorm):
    """Batch normalisation of (N, C, D, H, W)."""

    ranks = (5,)


class InstanceNorm(ChannelNorm):
    """Normalises each channel of each sample (Ulyanov et al., 2016).

    With track_running_stats, evaluation uses running_mean and running_var, which move in
    training towards the means over the samples.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: str | None = None,
        dtype: DType | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )

    def forward(self, input: Tensor) -> Tensor:
        self.check(input)
        single = input.ndim == self.ranks[0]
        channels = input.shape[0 if single else 1]
        if channels != self.num_features and (self.affine or self.track_running_stats):
            raise ValueError(
                f"{type(self).__name__} expects {self.num_features} channels, got {channels} in "
                f"input of shape {input.shape}"
            )
        y = instance_norm(
            input.unsqueeze(0) if single else input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            self.momentum or 0.0,
            self.eps,
        )
        return y.squeeze(0) if single else y


class InstanceNorm1d(InstanceNorm):
    """Instance normalisation of (N, C, L) or (C, L)."""

    ranks = (2, 3)


class InstanceNorm2d(InstanceNorm):
    """Instance normalisation of (N, C, H, W) or (C, H, W)."""

    ranks = (3, 4)


class InstanceNorm3d(InstanceNorm):
    """Instance normalisation of (N, C, D, H, W) or (C, D, H, W)."""

    ranks = (4, 5)


class GroupNorm(Module):
    """Normalises groups of channels of each sample of (N, C, ...) (Wu and He, 2018).

    >>> import fastnn
    >>> fastnn.nn.GroupNorm(2, 6)(fastnn.zeros(3, 6, 4, 4)).shape
    (3, 6, 4, 4)
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: str | None = None,
        dtype: DType | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(
                f"num_groups must divide num_channels, got {num_groups} and {num_channels}"
            )
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        for name, wanted in (("weight", affine), ("bias", affine and bias)):
            self.register_parameter(
                name, Parameter(empty(num_channels, dtype=dtype)) if wanted else None
            )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weight 1, bias 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class LocalResponseNorm(Module):
    """Divides by the squares of the channels around (Krizhevsky et al., 2012)."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Tensor) -> Tensor:
        return local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class SampleNorm(Module):
    """What layers that normalise the last dimensions of each sample share."""

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float | None,
        elementwise_affine: bool,
        dtype: DType | None,
        parameters: dict[str, bool],
    ) -> None:
        """parameters: their names, and whether this layer has them."""
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else normalized_shape
        self.normalized_shape = tuple(shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        for name, wanted in parameters.items():
            self.register_parameter(
                name, Parameter(empty(self.normalized_shape, dtype=dtype)) if wanted else None
            )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weight 1, bias 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if getattr(self, "bias", None) is not None:
            init.zeros_(self.bias)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class LayerNorm(SampleNorm):
    """Normalises over the last dimensions, of sizes normalized_shape (Ba et al., 2016).

    >>> import fastnn
    >>> fastnn.nn.LayerNorm(8)(fastnn.zeros(2, 3, 8)).shape
    (2, 3, 8)
    """

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: str | None = None,
        dtype: DType | None = None,
    ) -> None:
        parameters = {"weight": elementwise_affine, "bias": elementwise_affine and bias}
        super().__init__(normalized_shape, eps, elementwise_affine, dtype, parameters)

    def forward(self, input: Tensor) -> Tensor:
        return layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, bias={self.bias is not None}"


class RMSNorm(SampleNorm):
    """Divides by the root mean square of the last dimensions (Zhang and Sennrich, 2019).

    >>> import fastnn
    >>> fastnn.nn.RMSNorm(8)(fastnn.zeros(2, 3, 8)).shape
    (2, 3, 8)
    """

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: str | None = None,
        dtype: DType | None = None,
    ) -> None:
        parameters = {"weight": elementwise_affine}
        super().__init__(normalized_shape, eps, elementwise_affine, dtype, parameters)

    def forward(self, input: Tensor) -> Tensor:
        return rms_norm(input, self.normalized_shape, self.weight, self.eps)
