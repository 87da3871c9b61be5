"""Padding layers: more elements around the last 1, 2 or 3 dimensions."""

from __future__ import annotations

from fastnn._core.tensor import Tensor
from fastnn.nn.functional import pad
from fastnn.nn.module import Module
from fastnn.nn.sizes import Size, sizes


class Pad(Module):
    """What all padding layers share.

    padding: one number for all sides, or (before, after) of the last dimension, then of the
    one before it, and so on; negative to take elements away.
    """

    dims = 1
    mode = "constant"

    def __init__(self, padding: Size) -> None:
        super().__init__()
        self.padding = sizes(padding, 2 * self.dims, "padding", None)

    def forward(self, input: Tensor) -> Tensor:
        return pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ConstantPad1d(Pad):
    """`value` around sequences (N, C, L) or (C, L).

    >>> import fastnn
    >>> fastnn.nn.ConstantPad1d((0, 2), 7)(fastnn.ones(1, 1)).tolist()
    [[1.0, 7.0, 7.0]]
    """

    def __init__(self, padding: Size, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return pad(input, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad2d(ConstantPad1d):
    """`value` around images (N, C, H, W) or (C, H, W)."""

    dims = 2


class ConstantPad3d(ConstantPad1d):
    """`value` around volumes (N, C, D, H, W) or (C, D, H, W)."""

    dims = 3


class ZeroPad1d(ConstantPad1d):
    """Zeros around sequences (N, C, L) or (C, L)."""

    def __init__(self, padding: Size) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad2d(ZeroPad1d):
    """Zeros around images (N, C, H, W) or (C, H, W)."""

    dims = 2


class ZeroPad3d(ZeroPad1d):
    """Zeros around volumes (N, C, D, H, W) or (C, D, H, W)."""

    dims = 3


class ReflectionPad1d(Pad):
    """Sequences (N, C, L) or (C, L), mirrored at their ends.

    >>> import fastnn
    >>> fastnn.nn.ReflectionPad1d(2)(fastnn.tensor([[1.0, 2.0, 3.0]])).tolist()
    [[3.0, 2.0, 1.0, 2.0, 3.0, 2.0, 1.0]]
    """

    mode = "reflect"


class ReflectionPad2d(ReflectionPad1d):
    """Images (N, C, H, W) or (C, H, W), mirrored at their edges."""

    dims = 2


class ReflectionPad3d(ReflectionPad1d):
    """Volumes (N, C, D, H, W) or (C, D, H, W), mirrored at their faces."""

    dims = 3


class ReplicationPad1d(Pad):
    """Sequences (N, C, L) or (C, L), continued by their ends."""

    mode = "replicate"


class ReplicationPad2d(ReplicationPad1d):
    """Images (N, C, H, W) or (C, H, W), continued by their edges."""

    dims = 2


class ReplicationPad3d(ReplicationPad1d):
    """Volumes (N, C, D, H, W) or (C, D, H, W), continued by their faces."""

    dims = 3


class CircularPad1d(Pad):
    """Sequences (N, C, L) or (C, L), continued by their other end."""

    mode = "circular"


class CircularPad2d(CircularPad1d):
    """Images (N, C, H, W) or (C, H, W), continued by their other edge."""

    dims = 2


class CircularPad3d(CircularPad1d):
    """Volumes (N, C, D, H, W) or (C, D, H, W), continued by their other face."""

    dims = 3
