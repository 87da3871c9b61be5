"""Normalisation layers."""

from __future__ import annotations

from fastnn._core.dtype import DType, int64
from fastnn._core.tensor import Tensor
from fastnn.nn import init
from fastnn.nn.functional import batch_norm, layer_norm, rms_norm
from fastnn.nn.module import Module
from fastnn.nn.parameter import Parameter
from fastnn.ops.creation import empty, ones, zeros


class BatchNorm(Module):
    """Normalises each channel over the batch (Ioffe and Szegedy, 2015).

    In training it uses the batch's own mean and variance and moves running_mean and
    running_var towards them; in evaluation it uses the running ones. momentum None:
    the running statistics are the mean of all batches.
    """

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

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in self.ranks:
            expected = " or ".join(f"{rank}-D" for rank in self.ranks)
            raise ValueError(
                f"{type(self).__name__} expects {expected} input, got shape {input.shape}"
            )
        momentum = self.momentum
        if self.training and self.track_running_stats:
            self.num_batches_tracked.add_(1)
            if momentum is None:
                momentum = 1.0 / self.num_batches_tracked.item()
        return batch_norm(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            momentum or 0.0,
            self.eps,
        )

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(BatchNorm):
    """Batch normalisation of (N, C) or (N, C, L)."""

    ranks = (2, 3)


class BatchNorm2d(BatchNorm):
    """Batch normalisation of (N, C, H, W)."""

    ranks = (4,)


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
