"""Reading files that need not be what they say: every size is checked before memory is taken."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

from fastnn._core.interop import from_numpy
from fastnn._core.tensor import Tensor

PathLike = str | os.PathLike

# code in the file: type there (big-endian), type of the tensor
IDX_TYPES = {
    0x08: ("u1", "u1"),
    0x09: ("i1", "i4"),
    0x0B: (">i2", "i4"),
    0x0C: (">i4", "i4"),
    0x0D: (">f4", "f4"),
    0x0E: (">f8", "f8"),
}
MAX_NDIM = 8
GZIP_RATIO = 1100  # deflate cannot shrink anything by more than 1032


def is_gzip(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(2) == b"\x1f\x8b"


def read_exactly(file: BinaryIO, count: int, path: str, what: str) -> bytes:
    data = file.read(count)
    if len(data) != count:
        raise ValueError(
            f"{path}: the file ends within its {what}: {len(data)} of {count} bytes are there"
        )
    return data


def parse_idx(file: BinaryIO, path: str, most_bytes: int) -> np.ndarray:
    """The array in an open IDX file that can hold at most `most_bytes`."""
    magic = read_exactly(file, 4, path, "magic number")
    if magic[:2] != b"\0\0" or magic[2] not in IDX_TYPES or not 1 <= magic[3] <= MAX_NDIM:
        raise ValueError(
            f"{path} is no IDX file: its magic number is 0x{magic.hex()}, where "
            "0000, a type from 08 to 0e and the number of dimensions are due"
        )
    stored, wanted = IDX_TYPES[magic[2]]
    header = read_exactly(file, 4 * magic[3], path, "header")
    shape = tuple(int(size) for size in np.frombuffer(header, dtype=">u4"))
    count = math.prod(shape) * np.dtype(stored).itemsize
    if count > most_bytes:
        raise ValueError(f"{path}: shape {shape} needs {count} bytes, more than the file can hold")
    data = read_exactly(file, count, path, f"data of shape {shape}")
    if file.read(1):
        raise ValueError(f"{path}: there is more data than shape {shape} needs")
    return np.frombuffer(data, dtype=stored).astype(wanted).reshape(shape)


def read_idx(path: PathLike) -> Tensor:
    """The tensor in a file of the IDX format (MNIST's), plain or compressed by gzip.

    Bytes give uint8, other integers int32, reals float32 or float64. ValueError where the
    file is malformed, truncated, or longer than its header says.
    """
    path = os.fspath(path)
    size = os.path.getsize(path)
    try:
        if is_gzip(path):
            with gzip.open(path) as file:
                return from_numpy(parse_idx(file, path, size * GZIP_RATIO))
        with open(path, "rb") as file:
            return from_numpy(parse_idx(file, path, size))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: damaged gzip file: {error}") from None


def read_text(path: str, most_bytes: int) -> bytes:
    """The contents of a file, plain or compressed by gzip, of at most `most_bytes`."""
    try:
        with gzip.open(path) if is_gzip(path) else open(path, "rb") as file:
            data = file.read(most_bytes + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: damaged gzip file: {error}") from None
    if len(data) > most_bytes:
        raise ValueError(f"{path}: more than the expected {most_bytes} bytes")
    return data


def read_lines(path: str, most_bytes: int) -> list[str]:
    """The lines of a UTF-8 file, plain or compressed by gzip, of at most `most_bytes`."""
    data = read_text(path, most_bytes)
    try:
        lines = data.decode("utf-8").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}, line {line}: this is no UTF-8 text") from None
    return lines[:-1] if lines[-1] == "" else lines


def read_columns(path: str, names: Sequence[str], most_bytes: int) -> dict[str, list[str]]:
    """The columns of a comma-separated file by the names in its first line, at least `names`.

    Entries are texts; entry k stands in line k + 2. Names may be quoted, entries not.
    """
    header, *lines = read_lines(path, most_bytes) or [""]
    found = [name.strip('"') for name in header.split(",")]
    for name in names:
        if found.count(name) != 1:
            raise ValueError(f"{path}, line 1: there must be one column {name}")
    rows = [line.split(",") for line in lines]
    for k, row in enumerate(rows):
        if len(row) != len(found):
            raise ValueError(
                f"{path}, line {k + 2}: {len(row)} columns, where the header has {len(found)}"
            )
    columns = zip(*rows, strict=True) if rows else [()] * len(found)
    return {name: list(column) for name, column in zip(found, columns, strict=True)}


def to_number(text: str | bytes) -> float:
    """The number that a text says; NaN where it says none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def parse_numbers(texts: Sequence[str], path: str, column: str) -> np.ndarray:
    """A column of read_columns as finite numbers, float64."""
    numbers = np.array([to_number(text) for text in texts], dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(numbers))
    if bad.size:
        raise ValueError(
            f"{path}, line {bad[0] + 2}, column {column}: "
            f"{texts[bad[0]][:40]!r} is no finite number"
        )
    return numbers
