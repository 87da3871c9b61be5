"""`python -m fastnn bench compare a.json b.json`: what changed between two runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .results import BadResults, load
from .table import duration, geometric_mean, spread


def changes(before: dict, after: dict, library: str) -> list[dict]:
    """For each case that both runs timed: time after / time before, and whether the change is
    larger than the spread of both."""
    old = {row["case"]: row for row in before["rows"]}
    found = []
    for row in after["rows"]:
        entries = [
            r["libraries"].get(library, {}) for r in (old.get(row["case"], {"libraries": {}}), row)
        ]
        if row["unit"] != "s" or not all("median" in entry for entry in entries):
            continue
        change = entries[1]["median"] / entries[0]["median"]
        noise = spread(entries[0]) + spread(entries[1])
        found.append({
            "case": row["case"], "group": row["group"], "before": entries[0]["median"],
            "after": entries[1]["median"], "change": change, "noise": noise,
            "clear": abs(change - 1) > noise,
        })  # fmt: skip
    return found


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m fastnn bench compare", description=__doc__)
    parser.add_argument("before", help="JSON of --save")
    parser.add_argument("after", help="JSON of --save")
    parser.add_argument("--library", default="fastnn", help="whose times (fastnn)")
    parser.add_argument("--all", action="store_true", help="rows within the spread too")
    parser.add_argument(
        "--fail-above", type=float, metavar="RATIO",
        help="exit with 1 if a row takes this many times longer, beyond the spread of both runs",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        before, after = load(options.before), load(options.after)
    except BadResults as error:
        print(error, file=sys.stderr)
        return 2
    for name, run in (("before", before), ("after", after)):
        machine = run["machine"]
        print(
            f"{name}: {machine['cpu']}, {machine['threads']} threads, {machine['date']}, "
            f"{options.library} {run['versions'].get(options.library, 'not timed')}"
        )
    found = changes(before, after, options.library)
    if not found:
        print("no case was timed in both", file=sys.stderr)
        return 2
    for c in sorted(found, key=lambda c: c["change"]):
        if options.all or c["clear"]:
            print(
                f"{c['change']:6.3f} x  {duration(c['before']):>9} -> {duration(c['after']):>9}"
                f"  spread {100 * c['noise']:3.0f} %  {c['case']}"
            )
    print("\ntime after / time before")
    for group in dict.fromkeys(c["group"] for c in found):
        ratios = sorted(c["change"] for c in found if c["group"] == group)
        clear = sum(c["clear"] for c in found if c["group"] == group)
        print(
            f"{group:<10} geometric mean {geometric_mean(ratios):.3f}, from {ratios[0]:.3f} to "
            f"{ratios[-1]:.3f}; beyond the spread {clear} of {len(ratios)}"
        )
    slower = [c for c in found if c["clear"] and c["change"] > (options.fail_above or 1e300)]
    return 1 if slower else 0
