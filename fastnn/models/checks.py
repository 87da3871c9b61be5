"""What models and training ask of the data they are given, in one sentence each."""

from __future__ import annotations

from collections.abc import Sequence

from fastnn import Tensor


def place_of_nan(x: Tensor) -> tuple[int, ...] | None:
    """Where the first number of x lies that is NaN or infinite; None if all are finite."""
    wrong = ~x.isfinite() if x.dtype.is_floating_point else None
    if wrong is None or not wrong.any():
        return None
    return tuple(wrong.nonzero()[0].tolist())


def check_finite(x: Tensor, what: str) -> None:
    """ValueError with row and column of the first number that is NaN or infinite."""
    place = place_of_nan(x)
    if place is None:
        return
    value, row, rest = x[place].item(), place[0] if place else 0, place[1:]
    column = f", column {rest[0]}" if len(rest) == 1 else f", place {rest}" if rest else ""
    raise ValueError(f"{what} must be finite numbers, found {value} in row {row}{column}")


def check_matrix(x: Tensor, columns: int, what: str) -> None:
    """ValueError unless x is a matrix (N, columns)."""
    if x.ndim != 2 or x.shape[1] != columns:
        raise ValueError(f"{what} must have the shape (N, {columns}), got {tuple(x.shape)}")


def check_labels(labels: Tensor, classes: int, what: str = "labels") -> None:
    """ValueError unless labels are a vector of whole numbers from 0 to classes - 1."""
    if labels.ndim != 1 or labels.dtype.is_floating_point:
        raise ValueError(
            f"{what} must be a vector of whole numbers, got shape {tuple(labels.shape)} of "
            f"{labels.dtype}"
        )
    wrong = (labels < 0) | (labels >= classes)
    if wrong.any():
        row = wrong.nonzero()[0].item()
        raise ValueError(
            f"{what} must lie from 0 to {classes - 1}, found {labels[row].item()} in row {row}"
        )


def check_same_length(tensors: Sequence[Tensor]) -> int:
    """The common length of the tensors of a data set; ValueError if there is none or it is 0."""
    shapes = ", ".join(str(tuple(x.shape)) for x in tensors)
    if not tensors or any(x.ndim == 0 or len(x) != len(tensors[0]) for x in tensors):
        raise ValueError(f"inputs and targets must have one length, got shapes {shapes or 'none'}")
    if len(tensors[0]) == 0:
        raise ValueError(f"there is nothing to learn from: the data set is empty, shapes {shapes}")
    return len(tensors[0])
