"""Sizes of windows given as one number or two."""

from __future__ import annotations

from operator import index

Size2 = int | tuple[int, int]


def pair(value: Size2, name: str, least: int = 1) -> tuple[int, int]:
    """(value, value) of a number, two numbers as they are; none below `least`."""
    entries = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(entries) != 2:
        raise ValueError(f"{name} must be a number or two, got {value!r}")
    result = (index(entries[0]), index(entries[1]))
    if min(result) < least:
        raise ValueError(f"{name} must be at least {least}, got {value!r}")
    return result
