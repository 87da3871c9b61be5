"""Ways to fill a tensor before training. Each fills its tensor in place and returns it.

The distributions are PyTorch's; the numbers come from fastnn's own generator
(fastnn.manual_seed).
"""

from __future__ import annotations

import math
from typing import Any

from fastnn._core.autograd import no_grad
from fastnn._core.dtype import float64
from fastnn._core.tensor import Tensor
from fastnn.ops.creation import zeros
from fastnn.ops.pointwise import where
from fastnn.ops.random import randn, randperm

LINEAR = {
    "linear",
    "sigmoid",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
}
GAINS = {"tanh": 5.0 / 3.0, "relu": math.sqrt(2.0), "selu": 3.0 / 4.0}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps a layer's variance through this nonlinearity.

    param: the negative slope of "leaky_relu", 0.01 unless given.
    """
    if nonlinearity in LINEAR:
        return 1.0
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity not in GAINS:
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}")
    return GAINS[nonlinearity]


def fans(tensor: Tensor) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight (O, I, ...): how many numbers meet in one output or input."""
    if tensor.ndim < 2:
        raise ValueError(
            "Fan in and fan out can not be computed for tensor with fewer than "
            f"2 dimensions, got shape {tensor.shape}"
        )
    window = math.prod(tensor.shape[2:])
    return tensor.shape[1] * window, tensor.shape[0] * window


def fan_of(tensor: Tensor, mode: str) -> int:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    return fans(tensor)[mode == "fan_out"]


@no_grad()
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Numbers drawn uniformly from [a, b)."""
    return tensor.uniform_(a, b, generator=generator)


@no_grad()
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Numbers drawn from the normal distribution."""
    return tensor.normal_(mean, std, generator=generator)


@no_grad()
def constant_(tensor: Tensor, val: float) -> Tensor:
    """val everywhere."""
    return tensor.fill_(val)


def zeros_(tensor: Tensor) -> Tensor:
    """0 everywhere."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """1 everywhere."""
    return constant_(tensor, 1.0)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform within gain * sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010)."""
    bound = gain * math.sqrt(6.0 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Normal with deviation gain * sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio, 2010)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(fans(tensor))), generator)


def kaiming_deviation(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    """gain / sqrt(fan) (He et al., 2015); a is the slope of leaky_relu. 0 for an empty tensor."""
    fan, gain = fan_of(tensor, mode), calculate_gain(nonlinearity, a)
    return gain / math.sqrt(fan) if fan else 0.0


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """Uniform within sqrt(3) * gain / sqrt(fan) (He et al., 2015)."""
    bound = math.sqrt(3.0) * kaiming_deviation(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """Normal with deviation gain / sqrt(fan) (He et al., 2015)."""
    return normal_(tensor, 0.0, kaiming_deviation(tensor, a, mode, nonlinearity), generator)


def gram_schmidt(rows: Tensor) -> Tensor:
    """The rows (n, d) made orthonormal one after the other, each cleared twice of those before it;
    a row that those before it span becomes 0."""
    done = zeros(rows.shape, dtype=rows.dtype)
    for k in range(len(rows)):
        left = rows[k]
        for _ in range(2):
            left = left - (done[:k] @ left) @ done[:k]
        if left.norm() > 1e-6 * rows[k].norm():
            done[k] = left / left.norm()
    return done


def orthonormal(rows: Tensor, block: int = 32) -> Tensor:
    """gram_schmidt() in blocks of rows, so that most of the work is matrix products."""
    done = zeros(rows.shape, dtype=rows.dtype)
    for start in range(0, len(rows), block):
        before, part = done[:start], rows[start : start + block]
        for _ in range(2):
            part = gram_schmidt(part - (part @ before.t()) @ before)
        done[start : start + block] = part
    return done


@no_grad()
def orthogonal_(tensor: Tensor, gain: float = 1, generator: Any = None) -> Tensor:
    """gain times a random matrix whose rows, or columns where they are fewer, are orthonormal
    (Saxe et al., 2014); of a weight (O, I, ...) the matrix is (O, I * ...)."""
    if tensor.ndim < 2:
        raise ValueError(
            f"orthogonal_() needs a tensor with 2 or more dimensions, got shape {tensor.shape}"
        )
    if tensor.numel() == 0:
        return tensor
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    n, d = min(rows, columns), max(rows, columns)
    found = orthonormal(randn(n, d, dtype=float64, generator=generator)) * gain
    matrix = found if rows <= columns else found.t()
    return tensor.copy_(matrix.reshape(tensor.shape))


@no_grad()
def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Any = None) -> Tensor:
    """A matrix with numbers drawn from the normal distribution, but for a share `sparsity` of each
    column, which is 0 (Martens, 2010)."""
    if tensor.ndim != 2:
        raise ValueError(f"sparse_() needs a matrix, got shape {tensor.shape}")
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity must lie from 0 to 1, got {sparsity}")
    normal_(tensor, 0.0, std, generator)
    count = math.ceil(sparsity * tensor.shape[0])
    for column in range(tensor.shape[1]):
        tensor[randperm(tensor.shape[0], generator=generator)[:count], column] = 0.0
    return tensor


@no_grad()
def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Any = None,
) -> Tensor:
    """Numbers drawn from the normal distribution, those outside of [a, b] again and again."""
    if not a < b or (mean - b) > 4 * std or (a - mean) > 4 * std:
        raise ValueError(
            f"trunc_normal_() cannot draw within [{a}, {b}] around mean {mean} with std {std}"
        )
    normal_(tensor, mean, std, generator)
    while (outside := (tensor < a) | (tensor > b)).any():
        again = randn(tensor.shape, dtype=tensor.dtype, generator=generator) * std + mean
        tensor.copy_(where(outside, again, tensor))
    return tensor


@no_grad()
def eye_(tensor: Tensor) -> Tensor:
    """1 on the diagonal of a matrix, 0 elsewhere."""
    if tensor.ndim != 2:
        raise ValueError(f"eye_() needs a matrix, got shape {tensor.shape}")
    zeros_(tensor)
    tensor.diagonal().fill_(1.0)
    return tensor


def default_uniform_(weight: Tensor, bias: Tensor | None) -> None:
    """How Linear and convolutions begin: uniform within 1 / sqrt(fan_in), weight and bias alike."""
    kaiming_uniform_(weight, a=math.sqrt(5))
    fan_in = fans(weight)[0]
    if bias is not None and fan_in > 0:
        uniform_(bias, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))
    elif bias is not None:
        zeros_(bias)
