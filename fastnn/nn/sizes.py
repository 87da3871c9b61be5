"""Sizes of windows, given as one number or one for each dimension."""

from __future__ import annotations

from operator import index

Size2 = int | tuple[int, int]
Size = int | tuple[int, ...]


def sizes(value: Size, count: int, name: str, least: int | None = 1) -> tuple[int, ...]:
    """`count` times a number, so many numbers as they are; none below `least`."""
    entries = tuple(value) if isinstance(value, (tuple, list)) else (value,) * count
    if len(entries) != count:
        raise ValueError(f"{name} must be a number or {count}, got {value!r}")
    result = tuple(map(index, entries))
    if least is not None and min(result) < least:
        raise ValueError(f"{name} must be at least {least}, got {value!r}")
    return result
