"""A run as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from .limits import Limits
from .machine import sentence
from .plot import picture
from .table import amount, duration, errors, quantity, ratio, reason, share, spread, summary

STYLE = """
body { font: 15px/1.5 system-ui, 'DejaVu Sans', sans-serif; color: #1c2733; margin: 2rem auto;
       max-width: 1240px; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0.2rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
p, li { max-width: 72ch; } .faint, caption { color: #5f6b78; font-size: 0.85rem; }
code { background: #f2f4f7; padding: 0.1em 0.3em; border-radius: 3px; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: 0.84rem; }
th, td { padding: 0.22rem 0.6rem; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
thead th { border-bottom: 1.5px solid #1c2733; } tbody tr:nth-child(even) { background: #f7f9fb; }
.slower { color: #c8511b; font-weight: 600; } .error { color: #b00020; } svg { width: 100%; }
"""

NOTES = [
    "Every case is written once; the same lines run on fastnn and on PyTorch. JAX, ONNX Runtime "
    "and NumPy compute the same functions on the same numbers, as their users write them.",
    "Each library runs in a process of its own, on the same number of threads. Rounds alternate "
    "between them, and the processes that are not being timed are stopped. Medians are shown, "
    "&plusmn; is half of the way from the shortest to the longest round.",
    "After the last round all numbers are drawn anew, and the results and gradients of one more "
    "call are compared. Wrong numbers are an error and no time; so is a time that is shorter than "
    "this machine needs at its limits.",
    "The limit is the peak of fused multiply-adds, or where that takes longer the bandwidth of the "
    "cache that the case fits into, both measured in the same run. Work is counted by "
    "definition: convolutions by Winograd's tiles need fewer multiplications and can exceed it.",
    "First is the first call of a case, with all that is prepared or compiled for it. Memory is "
    "what the process held at most beyond what it held before, inputs included.",
]


def cell(content: str, kind: str = "") -> str:
    return f'<td class="{kind}">{content}</td>' if kind else f"<td>{content}</td>"


def own_cells(row: dict, entry: dict, limits: Limits) -> list[str]:
    if "median" not in entry:
        return [cell(escape(reason(entry)), "error"), *[cell("")] * 5]
    rate, part = ("", None) if row["unit"] == "B" else share(row, entry["median"], limits)
    return [
        cell(quantity(entry["median"], row["unit"])),
        cell(f"{100 * spread(entry):.0f} %"),
        cell(rate),
        cell(f"{100 * part:.0f} %" if part is not None else ""),
        cell(duration(entry["first"]) if "first" in entry else ""),
        cell(amount(entry["memory"]) if "memory" in entry else ""),
    ]


def other_cells(row: dict, own: str, other: str) -> list[str]:
    entry = row["libraries"].get(other, {})
    if "median" not in entry:
        text = reason(entry) if entry else ""
        return [cell(escape(text), "error" if "error" in entry else "faint"), cell("")]
    found = ratio(row, own, other)
    kind = "slower" if found is not None and found < 1 else ""
    return [
        cell(quantity(entry["median"], row["unit"])),
        cell(f"{found:.2f}" if found is not None else "", kind),
    ]


def table(rows: Sequence[dict], own: str, others: Sequence[str], limits: Limits) -> str:
    head = [own, "&plusmn;", "rate", "of limit", "first", "memory"]
    for other in others:
        head += [escape(other), "ratio"]
    body = [
        "<tr>" + cell(escape(row["case"].split("/", 1)[1]))
        + "".join(own_cells(row, row["libraries"].get(own, {}), limits))
        + "".join("".join(other_cells(row, own, other)) for other in others) + "</tr>"
        for row in rows
    ]  # fmt: skip
    titles = "".join(f"<th>{text}</th>" for text in ("", *head))
    return (
        f'<div class="scroll"><table><thead><tr>{titles}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def means(rows: Sequence[dict], own: str, others: Sequence[str]) -> str:
    body = "".join(
        f"<tr>{cell(escape(s['group']))}{cell('training' if s['train'] else 'forward')}"
        f"{cell(escape(s['library']))}{cell(str(s['rows']))}"
        + "".join(
            cell(f"{s[key]:.2f}", "slower" if s[key] < 1 else "")
            for key in ("mean", "worst", "best")
        )
        + "</tr>"
        for s in summary(rows, own, others)
    )
    titles = "".join(
        f"<th>{t}</th>" for t in ("group", "", "peer", "rows", "geometric mean", "worst", "best")
    )
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"


def page(result: dict, own: str = "fastnn") -> str:
    rows, machine = result["rows"], result["machine"]
    others = [name for name in result["versions"] if name != own]
    limits = Limits.of(machine["threads"], result["limits"])
    versions = ", ".join(f"{n} {v}" for n, v in result["versions"].items())
    missing = "".join(f"<li>{escape(n)} is not installed</li>" for n in result["missing"])
    wrong = "".join(f"<li>{escape(text)}</li>" for text in errors(rows))
    parts = [
        "<h1>How fast is fastnn on this machine?</h1>",
        f'<p class="faint">{escape(sentence(machine))}<br>{escape(versions)}<br>'
        f"<code>{escape(machine['command'])}</code></p>",
        picture(result, own, titled=False),
        "<h2>How it was measured</h2><ul>",
        "".join(f"<li>{note}</li>" for note in NOTES) + missing + "</ul>",
    ]
    if wrong:
        parts.append(f'<h2>Errors</h2><ul class="error">{wrong}</ul>')
    if others:
        parts.append(f"<h2>Time of a peer / time of {own}</h2>{means(rows, own, others)}")
    for group in dict.fromkeys(row["group"] for row in rows):
        of_group = [row for row in rows if row["group"] == group]
        parts.append(f"<h2>{escape(group)}</h2>{table(of_group, own, others, limits)}")
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>fastnn benchmark</title>'
        f"<style>{STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def write_page(path: str, result: dict) -> None:
    Path(path).write_text(page(result))
