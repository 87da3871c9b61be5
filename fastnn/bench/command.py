"""Time the kernels and models of fastnn on this machine, and what else is installed beside it.

`bench compare a.json b.json` compares two runs, `bench threads` times 1 to N threads, `bench report
a.json page.html` makes a page of a run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from . import compare, memory, startup, threads
from .case import Case
from .cases import EVERYDAY, GROUPS, affordable, all_cases, one_of
from .library import PEERS, split_mode
from .limits import Limits
from .machine import describe, sentence
from .results import BadResults, load, save
from .runner import Entrant, measure
from .table import errors, heading, line, summary_lines, worst

ALL_GROUPS = (*GROUPS, "startup")
DEFAULT_GROUPS = (*EVERYDAY, "startup")
SLOW_TO_START = ("torch.compile",)  # compiles for seconds in each case
QUICK = {"rounds": 3, "seconds": 0.02}
FULL = {"rounds": 5, "seconds": 0.1}


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog="python -m fastnn bench", description=__doc__)
    add = found.add_argument
    add(
        "groups",
        nargs="*",
        metavar="group",
        type=one_of(ALL_GROUPS),
        help=f"of {', '.join(ALL_GROUPS)}; all but deepbench if none is named",
    )
    add(
        "--peers",
        help=f"libraries to compare with, of {', '.join(PEERS)}, torch.channels_last; "
        "none; if not said, those that are installed",
    )
    add("--quick", action="store_true", help="a few cases of each group, within two minutes")
    add("--match", metavar="TEXT", help="only cases whose name contains this")
    add("--minutes", type=float, help="leave out the dearest cases until the run takes this long")
    add("--threads", type=int, help="threads of every library")
    add("--rounds", type=int, help="the median of this many is reported (5; with --quick 3)")
    add("--seconds", type=float, help="length of one measurement (0.1; with --quick 0.02)")
    add("--save", metavar="FILE", help="write all figures as JSON")
    add("--report", metavar="FILE", help="write a page with tables and pictures, as HTML")
    add("--picture", metavar="FILE", help="write the picture alone, as SVG")
    return found


def entrants_of(options: argparse.Namespace, threads: int) -> list[Entrant]:
    names = PEERS if options.peers is None else options.peers.replace(",", " ").split()
    if options.peers is None and options.quick:
        names = [name for name in names if name not in SLOW_TO_START]
    names = [] if list(names) == ["none"] else names
    for name in names:
        split_mode(name)
    return [Entrant(name, name, threads) for name in dict.fromkeys(("fastnn", *names))]


def chosen_cases(options, groups, limits: Limits, libraries: int) -> list[Case]:
    cases = all_cases(groups)
    if options.quick:
        cases = [case for case in cases if case.quick or case.group == "deepbench"]
    if options.match:
        cases = [case for case in cases if options.match in case.key]
    kept = affordable(
        cases, limits, libraries, options.rounds, options.seconds, options.minutes,
        0.7 * memory.physical(),
    )  # fmt: skip
    if len(kept) < len(cases):
        print(f"{len(cases) - len(kept)} of {len(cases)} cases are left out for time or memory")
    return kept


def run(options: argparse.Namespace, arguments: Sequence[str]) -> dict:
    """Times what the options ask for, printing as it goes."""
    from fastnn import get_num_threads

    threads = options.threads or get_num_threads()
    entrants = entrants_of(options, threads)
    groups = tuple(options.groups) or DEFAULT_GROUPS
    machine, limits = describe(threads, arguments), Limits(threads)
    limits.measure()
    print(sentence(machine))
    print(
        f"FMA peak {limits.fma / 1e9:.0f} GFLOP/s (1 thread {limits.fma_single / 1e9:.0f}), memory "
        f"{limits.copy / 1e9:.1f} GB/s copied (read + written)"
    )
    cases = chosen_cases(options, groups, limits, len(entrants))
    group = None
    own, others = entrants[0].name, [e.name for e in entrants[1:]]

    def show(row: dict) -> None:
        nonlocal group
        if row["group"] != group:
            group = row["group"]
            print(heading(group, own, others))
        print(line(row, limits, own, others), flush=True)

    result = measure(cases, entrants, limits, options.rounds, options.seconds, show)
    wanted = "startup" in groups and (options.match or "startup") in "startup"
    if wanted and not result["interrupted"]:
        there = [e for e in entrants if e.name not in result["missing"]]
        try:
            for row in startup.rows(there, 1 if options.quick else options.rounds):
                result["rows"].append(row)
                show(row)
        except KeyboardInterrupt:
            result["interrupted"] = True
    limits.measure()
    return {"machine": machine, "limits": limits.as_dict(), **result}


def conclude(result: dict, own: str, others: Sequence[str]) -> None:
    """Means, worst rows, errors and versions, below the tables."""
    rows = result["rows"]
    print()
    for text in summary_lines(rows, own, others):
        print(text)
    lowest = worst(rows, own, others)
    if lowest:
        print(f"\nthe worst rows for {own}:")
        print("\n".join(lowest))
    wrong = errors(rows)
    if wrong:
        print(f"\n{len(wrong)} errors:")
        print("\n".join(wrong))
    print()
    print(", ".join(f"{name} {version}" for name, version in result["versions"].items()))
    if result["interrupted"]:
        print("interrupted: the cases after the last row were not timed")
    for name in result["missing"]:
        print(f"{name}: not installed, and so not timed")


def write(result: dict, options: argparse.Namespace) -> None:
    if options.save:
        save(options.save, result)
        print(f"written to {options.save}")
    if options.report:
        from .page import write_page

        write_page(options.report, result)
        print(f"written to {options.report}")
    if options.picture:
        from .plot import write_picture

        write_picture(options.picture, result)
        print(f"written to {options.picture}")


def report(arguments: Sequence[str]) -> int:
    """`bench report a.json page.html`"""
    from .page import write_page

    found = argparse.ArgumentParser(prog="python -m fastnn bench report")
    found.add_argument("results", help="JSON of --save")
    found.add_argument("page", help="the HTML file to write")
    options = found.parse_args(arguments)
    try:
        write_page(options.page, load(options.results))
    except BadResults as error:
        print(error, file=sys.stderr)
        return 2
    return 0


COMMANDS = {"compare": compare.main, "threads": threads.main, "report": report}


def main(arguments: Sequence[str] | None = None) -> int:
    """0: done; 1: rows with errors; 2: nothing was timed."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments and arguments[0] in COMMANDS:
        return COMMANDS[arguments[0]](arguments[1:])
    options = parser().parse_args(arguments)
    for name, value in (QUICK if options.quick else FULL).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    for name in ("rounds", "seconds", "threads", "minutes"):
        value = getattr(options, name)
        if value is not None and value <= 0:
            parser().error(f"--{name} must be more than 0, not {value}")
    try:
        result = run(options, arguments)
    except ValueError as error:
        parser().error(str(error))
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 2
    names = list(dict.fromkeys(n for row in result["rows"] for n in row["libraries"]))
    conclude(result, "fastnn", [name for name in names if name != "fastnn"])
    write(result, options)
    return 1 if errors(result["rows"]) else 0
