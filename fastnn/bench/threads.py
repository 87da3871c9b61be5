"""`python -m fastnn bench threads`: what each further thread gains."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from .cases import EVERYDAY, GROUPS, all_cases, one_of
from .library import split_mode
from .limits import Limits
from .machine import cores, describe, sentence
from .results import save
from .runner import Entrant, measure
from .table import NAME_WIDTH, duration, errors, geometric_mean, reason


def counts(most: int) -> list[int]:
    """1, 2, 4 and so on, and the most."""
    return sorted({1 << n for n in range(most.bit_length()) if 1 << n < most} | {most})


def speed_ups(row: dict, entrants: Sequence[Entrant]) -> list[float | None]:
    """How many times faster than one thread each number of threads is."""
    medians = [row["libraries"][e.name].get("median") for e in entrants]
    return [medians[0] / m if m and medians[0] else None for m in medians]


def line(row: dict, entrants: Sequence[Entrant]) -> str:
    text = f"  {row['case']:<{NAME_WIDTH + 10}.{NAME_WIDTH + 10}}"
    for e, gained in zip(entrants, speed_ups(row, entrants), strict=True):
        entry = row["libraries"][e.name]
        text += f" {duration(entry['median']) if 'median' in entry else reason(entry):>10.10}"
        if e.threads > 1 and gained is not None:
            text += f" {gained:5.2f} x {100 * gained / e.threads:4.0f} %"
    return text


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m fastnn bench threads", description=__doc__)
    add = parser.add_argument
    of = f"of {', '.join(GROUPS)}"
    add("groups", nargs="*", metavar="group", type=one_of(GROUPS), help=of)
    add("--most", type=int, default=cores(), help="threads (the cores that there are)")
    add("--library", default="fastnn", help="whose (fastnn)")
    add("--all", action="store_true", help="all cases, not only those of --quick")
    add("--rounds", type=int, default=5, help="the median of this many is reported")
    add("--seconds", type=float, default=0.05, help="length of one measurement")
    add("--save", metavar="FILE", help="write all figures as JSON")
    options = parser.parse_args(arguments)
    if options.most < 1 or options.rounds < 1 or options.seconds <= 0:
        parser.error("--most and --rounds must be at least 1, --seconds more than 0")
    try:
        split_mode(options.library)
    except ValueError as error:
        parser.error(str(error))
    numbers = counts(options.most)
    entrants = [Entrant(f"{options.library}, threads: {n}", options.library, n) for n in numbers]
    limits = Limits(options.most)
    limits.measure()
    machine = describe(options.most, ["threads", *arguments])
    print(sentence(machine))
    print(f"time with {', '.join(map(str, numbers))} threads; speed-up; share of each thread used")
    cases = [
        case
        for case in all_cases(tuple(options.groups) or EVERYDAY)
        if case.quick or options.all or options.groups
    ]
    result = measure(
        cases, entrants, limits, options.rounds, options.seconds,
        lambda row: print(line(row, entrants), flush=True),
    )  # fmt: skip
    print()
    for group in dict.fromkeys(row["group"] for row in result["rows"]):
        of_group = [speed_ups(r, entrants) for r in result["rows"] if r["group"] == group]
        for k, e in enumerate(entrants[1:], 1):
            gains = [gained[k] for gained in of_group if gained[k] is not None]
            if gains:
                mean = geometric_mean(gains)
                print(f"{group:<10} {e.threads} threads: {mean:.2f} x, {mean / e.threads:.0%}")
    for text in errors(result["rows"]):
        print(text)
    if options.save:
        save(options.save, {"machine": machine, "limits": limits.as_dict(), **result})
        print(f"written to {options.save}")
    return 1 if errors(result["rows"]) else 0
