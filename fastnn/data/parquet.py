"""Columns of Parquet files, read by pyarrow, which is imported when it is needed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow

MOST_ROWS = 1_000_000
MOST_BYTES = 1 << 28  # of all columns, as they are in memory


def read_parquet(path: str, names: list[str]) -> pyarrow.Table:
    """The columns `names` of a Parquet file, checked down to the last text.

    FileNotFoundError where pyarrow is not installed, ValueError where the file is malformed,
    too large, or has no such column.
    """
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise FileNotFoundError(
            f"{os.path.basename(path)} is a Parquet file, which pyarrow reads: pip install pyarrow"
        ) from None
    with open(path, "rb") as file:
        try:
            parquet = ParquetFile(file)
            check_size(path, parquet.metadata)
            for name in names:
                if parquet.schema_arrow.names.count(name) != 1:
                    raise ValueError(f"{path}: there must be one column {name}")
            table = parquet.read(columns=names, use_threads=False)
            table.validate(full=True)
        except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is no sound Parquet file: {error}") from None
    return table


def check_size(path: str, metadata: pyarrow.parquet.FileMetaData) -> None:
    size = sum(metadata.row_group(k).total_byte_size for k in range(metadata.num_row_groups))
    if metadata.num_rows > MOST_ROWS or size > MOST_BYTES:
        raise ValueError(
            f"{path}: {metadata.num_rows} rows of {size} bytes in all are more than the "
            f"expected {MOST_ROWS} rows and {MOST_BYTES} bytes"
        )


def number_column(table: pyarrow.Table, name: str, path: str) -> np.ndarray:
    """A column of finite numbers, (N) float64."""
    from pyarrow import types

    column = table[name]
    if not (types.is_integer(column.type) or types.is_floating(column.type)):
        raise ValueError(f"{path}, column {name}: it holds {column.type}, not numbers")
    numbers = column.to_numpy().astype(np.float64)  # what is missing becomes NaN
    bad = np.flatnonzero(~np.isfinite(numbers))
    if bad.size:
        raise ValueError(f"{path}, row {bad[0]}, column {name}: {numbers[bad[0]]} is not finite")
    return numbers


def text_column(table: pyarrow.Table, name: str, path: str) -> list[str | None]:
    """A column of N texts; None where there is none."""
    from pyarrow import types

    column = table[name]
    if not (types.is_string(column.type) or types.is_large_string(column.type)):
        raise ValueError(f"{path}, column {name}: it holds {column.type}, not text")
    return column.to_pylist()
