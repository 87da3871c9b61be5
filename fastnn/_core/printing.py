"""The text of a tensor, laid out as PyTorch lays it out.

Floats have four decimals (none where all are whole), or an exponent where the
range is wide; a large tensor shows the first and last three of each dimension.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from fastnn._core.tensor import Tensor

WIDTH = 80
EDGE = 3
LARGEST = 1000  # elements that are all shown

DEFAULTS = ("float32", "int64", "bool")  # dtypes that need not be named


def tensor_text(x: Tensor) -> str:
    """What repr() shows."""
    array = x.detach().numpy()
    prefix = "tensor("
    if x.numel() == 0:
        body = "[]"
    else:
        short = x.numel() > LARGEST
        body = block(array, formatter(shown_of(array) if short else array), len(prefix), short)
    return with_suffixes(prefix + body, suffixes_of(x), len(prefix))


def suffixes_of(x: Tensor) -> list[str]:
    suffixes = []
    if x.numel() == 0 and x.ndim != 1:
        suffixes.append(f"size={x.shape}")
    if x.dtype.name not in DEFAULTS or (x.numel() == 0 and x.dtype.name != "float32"):
        suffixes.append(f"dtype={x.dtype!r}")
    if x.grad_fn is not None:
        suffixes.append(f"grad_fn={x.grad_fn!r}")
    elif x.requires_grad:
        suffixes.append("requires_grad=True")
    return suffixes


def with_suffixes(text: str, suffixes: list[str], indent: int) -> str:
    """The suffixes behind commas, on a new line where the last one has no room."""
    column = len(text) - text.rfind("\n") - 1
    for suffix in suffixes:
        if column + len(suffix) + 2 > WIDTH:
            text += ",\n" + " " * indent + suffix
            column = indent + len(suffix)
        else:
            text += ", " + suffix
            column += len(suffix) + 2
    return text + ")"


def shown_of(array: np.ndarray) -> np.ndarray:
    """The elements that a summary shows."""
    for d, size in enumerate(array.shape):
        if size > 2 * EDGE:
            array = array.take([*range(EDGE), *range(size - EDGE, size)], d)
    return array


def formatter(shown: np.ndarray) -> Callable[[Any], str]:
    """A function that gives every element its text, as wide as the widest shown."""
    if shown.dtype.kind != "f":
        width = max(len(str(value)) for value in shown.ravel().tolist())
        return lambda value: str(value).rjust(width)
    numbers = shown[np.isfinite(shown) & (shown != 0)].astype(np.float64)
    pattern = float_pattern(numbers)
    width = max((len(pattern.format(value)) for value in numbers.tolist()), default=0)
    return lambda value: (pattern if math.isfinite(value) else "{}").format(value).rjust(width)


def float_pattern(numbers: np.ndarray) -> str:
    """The format of finite numbers that are not zero."""
    if numbers.size == 0:
        return "{:.0f}."
    sizes = np.abs(numbers)
    whole = bool((sizes == np.ceil(sizes)).all())
    low, high = float(sizes.min()), float(sizes.max())
    if high / low > 1000 or high > 1e8 or (not whole and low < 1e-4):
        return "{:.4e}"
    return "{:.0f}." if whole else "{:.4f}"


def block(array: np.ndarray, text_of: Callable[[Any], str], indent: int, short: bool) -> str:
    """Nested brackets, a row below the other."""
    if array.ndim == 0:
        return text_of(array.item()).strip()
    cut = short and array.shape[0] > 2 * EDGE
    parts = [array[:EDGE], array[-EDGE:]] if cut else [array]
    if array.ndim == 1:
        entries = [[text_of(value) for value in part.tolist()] for part in parts]
        return line(entries[0] + [" ..."] * cut + (entries[1] if cut else []), indent)
    rows = [[block(row, text_of, indent + 1, short) for row in part] for part in parts]
    between = "," + "\n" * (array.ndim - 1) + " " * (indent + 1)
    return "[" + between.join(rows[0] + ["..."] * cut + (rows[1] if cut else [])) + "]"


def line(entries: list[str], indent: int) -> str:
    """One row of numbers, broken where the line is full."""
    if not entries:
        return "[]"
    count = max(1, (WIDTH - indent) // (len(entries[0]) + 2))
    lines = [", ".join(entries[k : k + count]) for k in range(0, len(entries), count)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
