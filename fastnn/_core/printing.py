"""The text of a tensor, in PyTorch's form."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

WIDTH = 80
MOST = 1000  # elements printed in full
EDGE = 3  # entries of each end of a dimension that is not
DIGITS = 4
DEFAULT_DTYPES = ("float32", "int64", "bool")


def tensor_text(tensor) -> str:
    """What repr() of a tensor returns."""
    data = tensor.detach()
    array = np.asarray(data.clone())  # a copy: memory shown to NumPy would count as shared
    prefix = "tensor("
    suffixes = []
    if tensor.numel() == 0:
        body = "[]"
        if tensor.ndim != 1:
            suffixes.append(f"size={tensor.shape}")
    else:
        shown = summary(array) if array.size > MOST else array
        body = nested(array, formatter(shown), len(prefix), array.size > MOST)
    if tensor.dtype.name not in DEFAULT_DTYPES or (
        tensor.numel() == 0 and tensor.dtype.name != "float32"
    ):
        suffixes.append(f"dtype={tensor.dtype}")
    if tensor.grad_fn is not None:
        suffixes.append(f"grad_fn={tensor.grad_fn}")
    elif tensor.requires_grad:
        suffixes.append("requires_grad=True")
    return with_suffixes(prefix + body, suffixes, len(prefix)) + ")"


def with_suffixes(text: str, suffixes: list[str], indent: int) -> str:
    for suffix in suffixes:
        last = len(text) - text.rfind("\n") - 1
        text += ",\n" + " " * indent if last + len(suffix) + 2 > WIDTH else ", "
        text += suffix
    return text


def summary(array: np.ndarray) -> np.ndarray:
    """The elements that are printed of a large array."""
    for axis, length in enumerate(array.shape):
        if length > 2 * EDGE:
            array = np.take(array, [*range(EDGE), *range(length - EDGE, length)], axis)
    return array


def formatter(shown: np.ndarray) -> Callable[[object], str]:
    """How to write one element, so that all have the same width."""
    write, measured = str, shown
    if shown.dtype.kind == "f":
        write, measured = real_writer(shown), shown[np.isfinite(shown) & (shown != 0)]
    width = max((len(write(x)) for x in measured.ravel().tolist()), default=1)
    return lambda x: write(x).rjust(width)


def real_writer(shown: np.ndarray) -> Callable[[float], str]:
    sizes = np.abs(shown[np.isfinite(shown) & (shown != 0)].astype(np.float64))
    if sizes.size == 0:
        return lambda x: f"{x:.0f}." if np.isfinite(x) else f"{x}"
    low, high = sizes.min(), sizes.max()
    whole = bool(np.all(sizes == np.ceil(sizes)))
    if high > 1e8 or (not whole and low < 1e-4) or high / low > 1000:
        return lambda x: f"{x:.{DIGITS}e}"
    if whole:
        return lambda x: f"{x:.0f}." if np.isfinite(x) else f"{x}"
    return lambda x: f"{x:.{DIGITS}f}"


def nested(array: np.ndarray, write: Callable[[object], str], indent: int, cut: bool) -> str:
    """Brackets within brackets; indent: the columns before this one's opening bracket."""
    if array.ndim == 0:
        return write(array.item())
    length = len(array)
    entries: list = list(range(length))
    if cut and length > 2 * EDGE:
        entries = [*range(EDGE), None, *range(length - EDGE, length)]
    if array.ndim == 1:
        return line([(" ..." if k is None else write(array[k].item())) for k in entries], indent)
    inner = ["..." if k is None else nested(array[k], write, indent + 1, cut) for k in entries]
    gap = "," + "\n" * (array.ndim - 1) + " " * (indent + 1)
    return "[" + gap.join(inner) + "]"


def line(words: list[str], indent: int) -> str:
    """One dimension, broken into lines of at most WIDTH columns."""
    most = max(1, (WIDTH - indent) // (max(map(len, words)) + 2))
    lines = [", ".join(words[k : k + most]) for k in range(0, len(words), most)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
