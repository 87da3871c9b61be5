"""What models and training ask of the data they are given, in one sentence each."""

from __future__ import annotations

from collections.abc import Sequence

from fastnn import Tensor


def first_of(where: Tensor) -> tuple[int, ...] | None:
    """The place of the first True; None if there is none."""
    return tuple(where.nonzero()[0].tolist()) if where.any() else None


def place_of_nan(x: Tensor) -> tuple[int, ...] | None:
    """Where the first number of x lies that is NaN or infinite; None if all are finite."""
    return first_of(~x.isfinite()) if x.dtype.is_floating_point else None


def check_each(x: Tensor, wrong: Tensor, rule: str) -> None:
    """ValueError with row and column of the first number of x where `wrong` holds. rule: says
    what should be, as "the labels must be 0 or 1"."""
    place = first_of(wrong)
    if place is None:
        return
    row, rest = place[0] if place else 0, place[1:]
    column = f", column {rest[0]}" if len(rest) == 1 else f", place {rest}" if rest else ""
    raise ValueError(f"{rule}, found {x[place].item()} in row {row}{column}")


def check_finite(x: Tensor, what: str) -> None:
    """ValueError with row and column of the first number that is NaN or infinite."""
    if x.dtype.is_floating_point:
        check_each(x, ~x.isfinite(), f"{what} must be finite numbers")


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
    check_each(
        labels, (labels < 0) | (labels >= classes), f"{what} must lie from 0 to {classes - 1}"
    )


def check_same_length(tensors: Sequence[Tensor]) -> int:
    """The common length of the tensors of a data set; ValueError if there is none or it is 0."""
    shapes = ", ".join(str(tuple(x.shape)) for x in tensors)
    if not tensors or any(x.ndim == 0 or len(x) != len(tensors[0]) for x in tensors):
        raise ValueError(f"inputs and targets must have one length, got shapes {shapes or 'none'}")
    if len(tensors[0]) == 0:
        raise ValueError(f"there is nothing to learn from: the data set is empty, shapes {shapes}")
    return len(tensors[0])
