"""Pooling layers: of sequences (1d), images (2d) and volumes (3d)."""

from __future__ import annotations

from collections.abc import Callable

from fastnn._core.tensor import Tensor
from fastnn.nn import functional as F
from fastnn.nn.module import Module

Sizes = int | tuple[int, ...]
SomeSizes = int | None | tuple[int | None, ...]


class Pool(Module):
    """Windows, what is done with them, and which options the text of the layer shows."""

    function: Callable
    shown: tuple[str, ...] = ("kernel_size", "stride", "padding")

    def set_windows(self, kernel_size: Sizes, stride: Sizes | None, **options: object) -> None:
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        for name, value in options.items():
            setattr(self, name, value)

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)}" for name in self.shown)


def tupled(value: Sizes, dims: int) -> tuple[int, ...]:
    return (value,) * dims if isinstance(value, int) else tuple(value)


# --- the largest number of each window ----------------------------------------


class MaxPool(Pool):
    """The arguments of the MaxPool layers."""

    shown = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.set_windows(
            kernel_size,
            stride,
            padding=padding,
            dilation=dilation,
            return_indices=return_indices,
            ceil_mode=ceil_mode,
        )

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        return self.function(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            self.return_indices,
        )


class MaxPool1d(MaxPool):
    """The largest number in each window of (N, C, L) or (C, L), and where it stands if
    return_indices.

    >>> import fastnn
    >>> fastnn.nn.MaxPool1d(2)(fastnn.zeros(1, 3, 8)).shape
    (1, 3, 4)
    """

    function = staticmethod(F.max_pool1d)


class MaxPool2d(MaxPool):
    """The largest number in each window of (N, C, H, W) or (C, H, W), and where it stands
    (h * W + w) if return_indices.

    >>> import fastnn
    >>> fastnn.nn.MaxPool2d(2)(fastnn.zeros(1, 3, 8, 8)).shape
    (1, 3, 4, 4)
    """

    function = staticmethod(F.max_pool2d)


class MaxPool3d(MaxPool):
    """The largest number in each window of (N, C, D, H, W) or (C, D, H, W), and where it
    stands ((d * H + h) * W + w) if return_indices.

    >>> import fastnn
    >>> fastnn.nn.MaxPool3d(2)(fastnn.zeros(1, 3, 4, 8, 8)).shape
    (1, 3, 2, 4, 4)
    """

    function = staticmethod(F.max_pool3d)


# --- the mean of each window --------------------------------------------------


class AvgPool1d(Pool):
    """The mean of each window of (N, C, L) or (C, L).

    >>> import fastnn
    >>> fastnn.nn.AvgPool1d(2)(fastnn.zeros(1, 3, 8)).shape
    (1, 3, 4)
    """

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.set_windows(
            tupled(kernel_size, 1),
            None if stride is None else tupled(stride, 1),
            padding=tupled(padding, 1),
            ceil_mode=ceil_mode,
            count_include_pad=count_include_pad,
        )

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool1d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
        )


class AvgPool(Pool):
    """The arguments of the AvgPool layers of images and volumes."""

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.set_windows(
            kernel_size,
            stride,
            padding=padding,
            ceil_mode=ceil_mode,
            count_include_pad=count_include_pad,
            divisor_override=divisor_override,
        )

    def forward(self, input: Tensor) -> Tensor:
        return self.function(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class AvgPool2d(AvgPool):
    """The mean of each window of (N, C, H, W) or (C, H, W).

    >>> import fastnn
    >>> fastnn.nn.AvgPool2d(2)(fastnn.zeros(1, 3, 8, 8)).shape
    (1, 3, 4, 4)
    """

    function = staticmethod(F.avg_pool2d)


class AvgPool3d(AvgPool):
    """The mean of each window of (N, C, D, H, W) or (C, D, H, W).

    >>> import fastnn
    >>> fastnn.nn.AvgPool3d(2)(fastnn.zeros(1, 3, 4, 8, 8)).shape
    (1, 3, 2, 4, 4)
    """

    function = staticmethod(F.avg_pool3d)


# --- the power mean of each window --------------------------------------------


class LPPool(Pool):
    """The arguments of the LPPool layers."""

    shown = ("norm_type", "kernel_size", "stride", "ceil_mode")

    def __init__(
        self,
        norm_type: float,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        return self.function(input, self.norm_type, self.kernel_size, self.stride, self.ceil_mode)


class LPPool1d(LPPool):
    """(sum of x ** norm_type) ** (1 / norm_type) over each window of (N, C, L) or (C, L)."""

    function = staticmethod(F.lp_pool1d)


class LPPool2d(LPPool):
    """(sum of x ** norm_type) ** (1 / norm_type) over each window of (N, C, H, W) or (C, H, W)."""

    function = staticmethod(F.lp_pool2d)


class LPPool3d(LPPool):
    """(sum of x ** norm_type) ** (1 / norm_type) over each window of (N, C, D, H, W) or
    (C, D, H, W)."""

    function = staticmethod(F.lp_pool3d)


# --- back from the largest numbers --------------------------------------------


class MaxUnpool(Pool):
    """The arguments of the MaxUnpool layers."""

    dims: int

    def __init__(self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0) -> None:
        super().__init__()
        self.set_windows(
            tupled(kernel_size, self.dims),
            None if stride is None else tupled(stride, self.dims),
            padding=tupled(padding, self.dims),
        )

    def forward(
        self, input: Tensor, indices: Tensor, output_size: tuple[int, ...] | None = None
    ) -> Tensor:
        return self.function(
            input, indices, self.kernel_size, self.stride, self.padding, output_size
        )


class MaxUnpool1d(MaxUnpool):
    """Zeros, but the numbers that MaxPool1d with return_indices chose at their places."""

    dims = 1
    function = staticmethod(F.max_unpool1d)


class MaxUnpool2d(MaxUnpool):
    """Zeros, but the numbers that MaxPool2d with return_indices chose at their places.

    >>> import fastnn
    >>> y, where = fastnn.nn.MaxPool2d(2, return_indices=True)(fastnn.ones(1, 3, 8, 8))
    >>> fastnn.nn.MaxUnpool2d(2)(y, where).shape
    (1, 3, 8, 8)
    """

    dims = 2
    function = staticmethod(F.max_unpool2d)


class MaxUnpool3d(MaxUnpool):
    """Zeros, but the numbers that MaxPool3d with return_indices chose at their places."""

    dims = 3
    function = staticmethod(F.max_unpool3d)


# --- windows that cover the input evenly ----------------------------------------


class AdaptiveAvgPool(Module):
    """The arguments of the AdaptiveAvgPool layers."""

    function: Callable

    def __init__(self, output_size: SomeSizes) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return self.function(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(AdaptiveAvgPool):
    """The mean of each of output_size windows that cover (N, C, L) or (C, L) evenly."""

    function = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(AdaptiveAvgPool):
    """The mean of each of output_size windows that cover (N, C, H, W) or (C, H, W) evenly."""

    function = staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(AdaptiveAvgPool):
    """The mean of each of output_size windows that cover (N, C, D, H, W) or (C, D, H, W)
    evenly."""

    function = staticmethod(F.adaptive_avg_pool3d)


class AdaptiveMaxPool(AdaptiveAvgPool):
    """The arguments of the AdaptiveMaxPool layers."""

    def __init__(self, output_size: SomeSizes, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        return self.function(input, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(AdaptiveMaxPool):
    """The largest number of each of output_size windows that cover sequences evenly."""

    function = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(AdaptiveMaxPool):
    """The largest number of each of output_size windows that cover images evenly."""

    function = staticmethod(F.adaptive_max_pool2d)


class AdaptiveMaxPool3d(AdaptiveMaxPool):
    """The largest number of each of output_size windows that cover volumes evenly."""

    function = staticmethod(F.adaptive_max_pool3d)
