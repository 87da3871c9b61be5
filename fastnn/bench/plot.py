"""The picture of a run, as SVG: bars of the ratios to each peer, and the rows under the roofs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

from .machine import sentence
from .table import summary

WIDTH = 1200
TEXT = "font-family:system-ui,'DejaVu Sans',sans-serif"
INK, FAINT, GRID = "#1c2733", "#5f6b78", "#e3e7ec"
FASTER, SLOWER = "#1769aa", "#c8511b"
# colour and shape of a group's marks
MARKS = {
    "gemm": ("#1769aa", "circle"),
    "conv": ("#c8511b", "square"),
    "rnn": ("#0b8a5f", "triangle"),
    "deepbench": ("#8a5aa8", "diamond"),
}


def label(x, y, content, size=12, anchor="start", color=INK, weight="normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{color}" '
        f'font-weight="{weight}">{escape(str(content))}</text>'
    )


def segment(x1, y1, x2, y2, color=GRID, width=1.0, dash="") -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}" '
        f'stroke-width="{width}"{dashed}/>'
    )


def logarithmic(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """Where a value stands on an axis from low at start to high at end."""
    span = math.log(high / low)
    return lambda value: start + (end - start) * math.log(value / low) / span


def times(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"


ROW = 19
LABELS = 150
WITHOUT_WAYS = ("startup",)


def ratio_bars(
    result: dict, own: str, others: Sequence[str], top: float
) -> tuple[list[str], float]:
    """A panel for each peer, a bar for each group: (marks, height)."""
    found = summary(result["rows"], own, others)
    lines = list(dict.fromkeys((s["group"], s["train"]) for s in found))
    by_key = {(s["group"], s["train"], s["library"]): s["mean"] for s in found}
    panel = (WIDTH - LABELS - 20) / max(len(others), 1)
    low = min([0.5, *(m for m in by_key.values())])
    high = max([4.0, *(m for m in by_key.values())])
    height = 52 + ROW * len(lines)
    marks = [
        label(
            20,
            top,
            f"How many times longer the others take (geometric means; {own} = 1)",
            15,
            weight="600",
        )
    ]
    for n, (group, train) in enumerate(lines):
        y = top + 46 + ROW * n + 13
        way = "" if group in WITHOUT_WAYS else ", training" if train else ", forward"
        marks.append(label(20, y, group + way, 12))
    for k, other in enumerate(others):
        left = LABELS + k * panel + 12
        at = logarithmic(low, high, left, left + panel - 62)
        marks.append(label(at(1.0), top + 34, other, 13, "middle", INK, "600"))
        for n, (group, train) in enumerate(lines):
            y, mean = top + 46 + ROW * n, by_key.get((group, train, other))
            if mean is None:
                marks.append(label(at(1.0) + 5, y + 13, "does not do this", 10, color=FAINT))
                continue
            x, width = min(at(1.0), at(mean)), abs(at(mean) - at(1.0))
            color = FASTER if mean >= 1 else SLOWER
            marks.append(
                f'<rect x="{x:.1f}" y="{y + 3:.1f}" width="{max(width, 1):.1f}" '
                f'height="{ROW - 7}" fill="{color}"/>'
            )
            end = max(at(1.0), at(mean)) + 5
            marks.append(label(end, y + 13, times(mean), 11))
        marks.append(segment(at(1.0), top + 42, at(1.0), top + height - 4, INK))
    return marks, height  # fmt: skip


def mark(shape: str, x: float, y: float, color: str, title: str) -> str:
    r = 4.2
    outline = {
        "circle": f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}"',
        "square": f'<rect x="{x - r:.1f}" y="{y - r:.1f}" width="{2 * r}" height="{2 * r}"',
        "triangle": f'<path d="M{x:.1f} {y - 5:.1f}l5 9h-10z"',
        "diamond": f'<path d="M{x:.1f} {y - 6:.1f}l5 6l-5 6l-5 -6z"',
    }[shape]
    return f'{outline} fill="{color}" fill-opacity="0.75"><title>{escape(title)}</title>' + (
        "</circle>" if shape == "circle" else "</rect>" if shape == "square" else "</path>"
    )


PLOT_HEIGHT = 430


def decades(low: float, high: float) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    ticks = [10.0**n for n in range(first, last + 1)]
    return [tick for tick in ticks if low <= tick <= high]


def roofline(result: dict, own: str, top: float) -> tuple[list[str], float]:
    """Operations a second against operations a byte, below what the machine can do."""
    limits = result["limits"]
    points = [
        (r["flops"] / r["bytes"], r["flops"] / r["libraries"][own]["median"] / 1e9, r)
        for r in result["rows"]
        if r["group"] in MARKS and r["flops"] and r["bytes"] and "median" in r["libraries"][own]
    ]
    marks = [label(20, top, f"{own} under the roofs of this machine", 15, weight="600")]
    if not points:
        return [*marks, label(20, top + 24, "no row counts both operations and bytes")], 40
    peak = limits["fma_peak"] / 1e9
    left, right, upper, lower = 80.0, WIDTH - 230.0, top + 24, top + PLOT_HEIGHT - 46
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    low_x, high_x = min(0.2, *xs) / 1.3, max(300.0, *xs) * 1.3
    low_y, high_y = min(peak / 200, *ys) / 1.3, max(3 * peak, *ys) * 1.3
    at_x, at_y = (logarithmic(low_x, high_x, left, right), logarithmic(low_y, high_y, lower, upper))
    for tick in decades(low_x, high_x):
        marks.append(segment(at_x(tick), upper, at_x(tick), lower))
        marks.append(label(at_x(tick), lower + 18, f"{tick:g}", 11, "middle", FAINT))
    for tick in decades(low_y, high_y):
        marks.append(segment(left, at_y(tick), right, at_y(tick)))
        marks.append(label(left - 8, at_y(tick) + 4, f"{tick:g}", 11, "end", FAINT))
    marks.append(
        label(
            (left + right) / 2,
            lower + 38,
            "operations / byte of the least traffic",
            12,
            "middle",
            FAINT,
        )
    )
    marks.append(label(left - 60, upper - 8, "GFLOP/s, counted by definition", 12, color=FAINT))
    roofs = dict(zip(limits["sizes"], limits["bandwidth"], strict=True))
    chosen = {"first cache": min(roofs), "memory": max(roofs)}
    for name, size in chosen.items():
        rate = roofs[size] / 1e9
        begin, end = max(low_x, low_y / rate), peak / rate
        if begin < end:
            marks.append(segment(at_x(begin), at_y(begin * rate), at_x(end), at_y(peak), INK, 1.4))
            middle = math.sqrt(begin * end)
            angle = math.degrees(
                math.atan2(at_y(middle * rate) - at_y(end * rate), at_x(end) - at_x(middle))
            )
            x, y = at_x(middle), at_y(middle * rate) - 6
            marks.append(
                f'<g transform="rotate({-angle:.1f} {x:.1f} {y:.1f})">'
                + label(x, y, f"{name}: {rate:.0f} GB/s", 11, "middle", INK)
                + "</g>"
            )
    first = peak / (roofs[chosen["first cache"]] / 1e9)
    marks.append(segment(at_x(first), at_y(peak), right, at_y(peak), INK, 1.4))
    marks.append(label(right + 6, at_y(peak) + 4, f"FMA peak: {peak:.0f} GFLOP/s", 11))
    marks.append(label(right + 6, at_y(peak) - 26, "above: convolutions by", 11, color=FAINT))
    marks.append(label(right + 6, at_y(peak) - 12, "Winograd's tiles", 11, color=FAINT))
    for x, y, row in points:
        color, shape = MARKS[row["group"]]
        title = f"{row['case']}: {y:.1f} GFLOP/s"
        marks.append(mark(shape, at_x(x), at_y(y), color, title))
    for n, group in enumerate(g for g in MARKS if any(p[2]["group"] == g for p in points)):
        color, shape = MARKS[group]
        marks.append(mark(shape, right + 16, lower - 14 - 20 * n, color, group))
        marks.append(label(right + 28, lower - 10 - 20 * n, group, 12))
    return marks, PLOT_HEIGHT  # fmt: skip


def origin(result: dict) -> list[str]:
    """Where it was measured, on what, and how."""
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    machine = result["machine"]
    lines = (sentence(machine), versions, machine["command"])
    return [label(20, 26 + 16 * n, text, 11, color=FAINT) for n, text in enumerate(lines)]


def picture(result: dict, own: str = "fastnn", titled: bool = True) -> str:
    """One SVG with both parts; titled: with the machine, the versions and the command."""
    others = [name for name in result["versions"] if name != own]
    marks = origin(result) if titled else []
    y = 96.0 if titled else 24.0
    if others:
        bars, height = ratio_bars(result, own, others, y)
        marks += bars
        y += height + 36
    roofs, height = roofline(result, own, y)
    marks += roofs
    y += height
    body = "\n".join(marks)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y:.0f}" style="{TEXT}">\n'
        f'<rect width="{WIDTH}" height="{y:.0f}" fill="white"/>\n{body}\n</svg>\n'
    )


def write_picture(path: str, result: dict) -> None:
    Path(path).write_text(picture(result))
