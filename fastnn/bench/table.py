"""The results as text: a line for each case, a line for each group and peer."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from .limits import Limits

NAME_WIDTH = 45


def scaled(value: float, steps: Sequence[tuple[str, float]]) -> str:
    """The value in the largest unit that it reaches."""
    unit, size = next((step for step in steps if value >= step[1]), steps[-1])
    return f"{value / size:.4g} {unit}"


def duration(seconds: float) -> str:
    return scaled(seconds, (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9)))


def amount(nbytes: float) -> str:
    return scaled(nbytes, (("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1.0)))


def quantity(value: float, unit: str) -> str:
    return amount(value) if unit == "B" else duration(value)


def spread(entry: dict) -> float:
    """Half of the way from the shortest to the longest time, as a share of the median."""
    times = entry["times"]
    return (max(times) - min(times)) / 2 / entry["median"] if entry.get("median") else 0.0


def share(row: dict, seconds: float, limits: Limits) -> tuple[str, float | None]:
    """(rate, share of the nearer limit) of a time; work is counted by its definition. Where none is
    counted, the time of each item."""
    arithmetic, traffic = limits.times(row)
    if arithmetic + traffic == 0:
        return f"{duration(seconds / row['items'])} each" if row["items"] else "", None
    if arithmetic >= traffic:
        return f"{row['flops'] / seconds / 1e9:.1f} GF/s", arithmetic / seconds
    return f"{row['bytes'] / seconds / 1e9:.1f} GB/s", traffic / seconds


def heading(group: str, own: str, others: Sequence[str]) -> str:
    text = f"\n{group:<{NAME_WIDTH + 2}} {own:>10}   +-          rate  limit      first   memory |"
    return text + "".join(f" {name.rpartition('.')[2]:>11.11}" for name in others)


def line(row: dict, limits: Limits, own: str, others: Sequence[str]) -> str:
    """A case: the median and its spread, rate, share of the limit, first call, memory; then how
    many times longer each of the others takes."""
    name = row["case"].split("/", 1)[1]
    entry = row["libraries"].get(own, {})
    text = f"  {name:<{NAME_WIDTH}.{NAME_WIDTH}}"
    if "median" in entry:
        rate, part = ("", None) if row["unit"] == "B" else share(row, entry["median"], limits)
        text += f" {quantity(entry['median'], row['unit']):>10} {100 * spread(entry):3.0f}%"
        text += f" {rate:>13} {f'{100 * part:.0f} %' if part else '':>6}"
        text += f" {duration(entry['first']) if 'first' in entry else '':>10}"
        text += f" {amount(entry['memory']) if 'memory' in entry else '':>8} |"
    else:
        text += f" {reason(entry):>58.58} |"
    for other in others:
        text += f" {ratio_text(row, own, other):>11}"
    return text


def reason(entry: dict) -> str:
    """Why there is no time."""
    return "error" if "error" in entry else entry.get("unsupported", "not timed")


def ratio(row: dict, own: str, other: str) -> float | None:
    medians = [row["libraries"].get(name, {}).get("median") for name in (own, other)]
    return medians[1] / medians[0] if all(medians) else None


def ratio_text(row: dict, own: str, other: str) -> str:
    found = ratio(row, own, other)
    entry = row["libraries"].get(other, {})
    if found is not None:
        return f"{found:.3g} x" if found < 1000 else f"{found:.0f} x"
    if "median" in entry:
        return quantity(entry["median"], row["unit"])
    return "error" if "error" in entry else "-"


def errors(rows: Sequence[dict]) -> list[str]:
    return [
        f"{row['case']}, {name}: {entry['error']}"
        for row in rows
        for name, entry in row["libraries"].items()
        if "error" in entry
    ]


def geometric_mean(values: Sequence[float]) -> float:
    return math.exp(sum(math.log(v) for v in values) / len(values))


def summary(rows: Sequence[dict], own: str, others: Sequence[str]) -> list[dict]:
    """For each group, forward alone and training, and each of the others: the ratios."""
    groups = list(dict.fromkeys(row["group"] for row in rows))
    found = []
    for group, train, other in itertools.product(groups, (False, True), others):
        ratios = [
            r
            for row in rows
            if row["group"] == group
            and row["train"] == train
            and row["unit"] == "s"
            and (r := ratio(row, own, other)) is not None
        ]
        if ratios:
            found.append(
                {
                    "group": group, "train": train, "library": other, "rows": len(ratios),
                    "mean": geometric_mean(ratios), "worst": min(ratios), "best": max(ratios),
                }
            )  # fmt: skip
    return found


def summary_lines(rows: Sequence[dict], own: str, others: Sequence[str]) -> list[str]:
    return [
        f"{s['group']:<10} {'train  ' if s['train'] else 'forward'}"
        f" {s['library']:<14} time / {own} time: mean {s['mean']:6.2f}, worst {s['worst']:6.2f},"
        f" best {s['best']:7.2f}, of {s['rows']} rows"
        for s in summary(rows, own, others)
    ]


def worst(rows: Sequence[dict], own: str, others: Sequence[str], count: int = 10) -> list[str]:
    """The rows in which own does worst against any of the others."""
    found = sorted(
        (r, row["case"], other)
        for row in rows
        for other in others
        if row["unit"] == "s" and (r := ratio(row, own, other)) is not None
    )
    return [f"{r:6.2f} x {other:<14} {case}" for r, case, other in found[:count]]
