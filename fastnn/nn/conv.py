"""Convolution layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fastnn._core.tensor import DType, Tensor
from fastnn.nn import init
from fastnn.nn.functional import (
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    pad,
)
from fastnn.nn.module import Module
from fastnn.nn.normalization import BatchNorm
from fastnn.nn.parameter import Parameter
from fastnn.nn.sizes import Size, sizes
from fastnn.ops.conv import conv1d_fused, conv2d_fused, conv3d_fused
from fastnn.ops.creation import empty

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class ConvLayer(Module):
    """What all convolutions share: sizes, weight, bias and text."""

    dims = 2

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size,
        padding: Size | str,
        dilation: Size,
        groups: int,
        bias: bool,
        padding_mode: str,
        dtype: DType | None,
    ) -> None:
        super().__init__()
        if groups <= 0:
            raise ValueError(f"groups must be a positive integer, got {groups}")
        if in_channels % groups:
            raise ValueError(f"in_channels={in_channels} must be divisible by groups={groups}")
        if out_channels % groups:
            raise ValueError(f"out_channels={out_channels} must be divisible by groups={groups}")
        if padding_mode not in PADDING_MODES:
            raise ValueError(f"padding_mode must be one of {PADDING_MODES}, got {padding_mode!r}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = sizes(kernel_size, self.dims, "kernel_size")
        self.stride = sizes(stride, self.dims, "stride")
        self.padding = padding
        if not isinstance(padding, str):
            self.padding = sizes(padding, self.dims, "padding", 0)
        self.dilation = sizes(dilation, self.dims, "dilation")
        self.output_padding = (0,) * self.dims
        self.groups = groups
        self.padding_mode = padding_mode
        self.weight = Parameter(empty(*self.weight_channels(), *self.kernel_size, dtype=dtype))
        self.register_parameter(
            "bias", Parameter(empty(out_channels, dtype=dtype)) if bias else None
        )
        self.reset_parameters()

    def weight_channels(self) -> tuple[int, int]:
        """The first two sizes of the weight."""
        return self.out_channels, self.in_channels // self.groups

    def reset_parameters(self) -> None:
        """Draw weight and bias uniformly within 1 / sqrt(weight.shape[1] * kernel elements)."""
        init.default_uniform_(self.weight, self.bias)

    def extra_repr(self) -> str:
        nothing, once = (0,) * self.dims, (1,) * self.dims
        text = (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}"
        )
        if self.padding != nothing:
            text += f", padding={self.padding}"
        if self.dilation != once:
            text += f", dilation={self.dilation}"
        if self.output_padding != nothing:
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class StraightConv(ConvLayer):
    """Convolution with any padding mode."""

    function = staticmethod(conv2d)
    function_fused = staticmethod(conv2d_fused)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: str | None = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
            dtype,
        )
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(f"padding={padding!r} must be 'same', 'valid' or numbers")
            if padding == "same" and max(self.stride) > 1:
                raise ValueError(
                    "padding='same' is not supported for strided convolutions, "
                    f"got stride={self.stride}"
                )

    def sides(self) -> list[int]:
        """The padding as pad() takes it, before and after each dimension from the last on."""
        if self.padding == "valid":
            return [0] * (2 * self.dims)
        if self.padding == "same":
            totals = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            return [side for n in reversed(totals) for side in (n // 2, n - n // 2)]
        return [side for n in reversed(self.padding) for side in (n, n)]

    def forward(self, input: Tensor) -> Tensor:
        return self.convolve(self.function, input)

    def forward_fused(self, input: Tensor, norm: BatchNorm | None, relu: bool) -> Tensor:
        if norm is None:
            return self.convolve(self.function_fused, input, None, relu)
        if input.ndim != self.dims + 2:
            return norm.forward_fused(self(input), None, relu)
        return self.convolve(self.function_fused, input, norm.numbers(), relu)

    def convolve(self, function: Callable[..., Tensor], input: Tensor, *end: object) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = pad(input, self.sides(), self.padding_mode), 0
        return function(
            input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups, *end
        )


class Conv1d(StraightConv):
    """Convolution of sequences: input (N, C, L) or (C, L), output (N, O, OL) or (O, OL).

    padding: so much on each side, or "same" (stride 1: OL = L) or "valid" (none).
    padding_mode: "zeros", "reflect", "replicate" or "circular".

    >>> import fastnn
    >>> fastnn.nn.Conv1d(3, 8, 5, stride=2)(fastnn.zeros(2, 3, 21)).shape
    (2, 8, 9)
    """

    dims = 1
    function = staticmethod(conv1d)
    function_fused = staticmethod(conv1d_fused)


class Conv2d(StraightConv):
    """Convolution of images: input (N, C, H, W) or (C, H, W), output (N, O, OH, OW) or (O, OH, OW).

    padding: so much on each side, or "same" (stride 1: OH, OW = H, W) or "valid" (none).
    padding_mode: "zeros", "reflect", "replicate" or "circular".

    >>> import fastnn
    >>> fastnn.nn.Conv2d(3, 8, 3, padding=1)(fastnn.zeros(2, 3, 16, 16)).shape
    (2, 8, 16, 16)
    """


class Conv3d(StraightConv):
    """Convolution of volumes: input (N, C, D, H, W) or (C, D, H, W), output (N, O, OD, OH, OW).

    padding and padding_mode are those of Conv2d.

    >>> import fastnn
    >>> fastnn.nn.Conv3d(3, 8, 3, padding=1)(fastnn.zeros(2, 3, 4, 8, 8)).shape
    (2, 8, 4, 8, 8)
    """

    dims = 3
    function = staticmethod(conv3d)
    function_fused = staticmethod(conv3d_fused)


class TransposedConv(ConvLayer):
    """What the transposed convolutions share."""

    function = staticmethod(conv_transpose2d)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        padding_mode: str = "zeros",
        device: str | None = None,
        dtype: DType | None = None,
    ) -> None:
        if padding_mode != "zeros":
            raise ValueError(
                f"a transposed convolution has padding_mode 'zeros' only, got {padding_mode!r}"
            )
        if isinstance(padding, str):
            raise TypeError(f"padding must be numbers, got {padding!r}")
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
            dtype,
        )
        self.output_padding = sizes(output_padding, self.dims, "output_padding", 0)

    def weight_channels(self) -> tuple[int, int]:
        return self.in_channels, self.out_channels // self.groups

    def padding_for(self, input: Tensor, output_size: Sequence[int]) -> tuple[int, ...]:
        """The output padding that gives the result of `input` the output size."""
        wanted = tuple(output_size)
        if len(wanted) == input.ndim:
            wanted = wanted[-self.dims :]
        if len(wanted) != self.dims:
            raise ValueError(
                f"output_size must have {self.dims} or {input.ndim} entries, got {output_size!r}"
            )
        least = [
            (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1
            for size, stride, padding, dilation, kernel in zip(
                input.shape[-self.dims :],
                self.stride,
                self.padding,
                self.dilation,
                self.kernel_size,
                strict=True,
            )
        ]
        extra = tuple(size - n for size, n in zip(wanted, least, strict=True))
        if not all(0 <= n < stride for n, stride in zip(extra, self.stride, strict=True)):
            most = [n + stride - 1 for n, stride in zip(least, self.stride, strict=True)]
            raise ValueError(
                f"output_size must lie between {least} and {most} for input of shape "
                f"{input.shape}, got {output_size!r}"
            )
        return extra

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        extra = self.output_padding
        if output_size is not None:
            extra = self.padding_for(input, output_size)
        return self.function(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            extra,
            self.groups,
            self.dilation,
        )


class ConvTranspose1d(TransposedConv):
    """Transposed convolution of sequences: input (N, C, L) or (C, L), output (N, O, OL).

    OL = (L - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1;
    forward(input, output_size) chooses the output padding.

    >>> import fastnn
    >>> layer = fastnn.nn.ConvTranspose1d(3, 8, 3, stride=2, padding=1)
    >>> layer(fastnn.zeros(2, 3, 10)).shape, layer(fastnn.zeros(2, 3, 10), [20]).shape
    ((2, 8, 19), (2, 8, 20))
    """

    dims = 1
    function = staticmethod(conv_transpose1d)


class ConvTranspose2d(TransposedConv):
    """Transposed convolution of images: input (N, C, H, W) or (C, H, W), output (N, O, OH, OW).

    OH and OW are as OL in ConvTranspose1d; forward(input, output_size) chooses the output
    padding.

    >>> import fastnn
    >>> fastnn.nn.ConvTranspose2d(3, 8, 4, stride=2, padding=1)(fastnn.zeros(2, 3, 8, 8)).shape
    (2, 8, 16, 16)
    """


class ConvTranspose3d(TransposedConv):
    """Transposed convolution of volumes: input (N, C, D, H, W) or (C, D, H, W), output
    (N, O, OD, OH, OW).

    OD, OH and OW are as OL in ConvTranspose1d; forward(input, output_size) chooses the output
    padding.

    >>> import fastnn
    >>> layer = fastnn.nn.ConvTranspose3d(3, 8, 4, stride=2, padding=1)
    >>> layer(fastnn.zeros(2, 3, 4, 8, 8)).shape
    (2, 8, 8, 16, 16)
    """

    dims = 3
    function = staticmethod(conv_transpose3d)
