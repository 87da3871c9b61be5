"""`python -m fastnn bench`: measures the machine, times the cases, prints a table."""

from __future__ import annotations

import argparse
import itertools
import json
import math
from collections.abc import Sequence

from .case import Case
from .cases import GROUPS, all_cases
from .runner import measure


def cpu_name() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    import platform

    return platform.processor() or platform.machine()


def machine(threads: int) -> dict:
    """The CPU and its measured limits."""
    from fastnn._kernels import peak, runtime

    single = peak.fma_peak(1)
    return {
        "cpu": cpu_name(),
        "level": runtime.isa(),
        "fma_peak_1": single,
        "fma_peak": peak.fma_peak(threads) if threads > 1 else single,
        "bandwidth": peak.copy_bandwidth(threads),
    }


def duration(seconds: float) -> str:
    for unit, scale in (("s ", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:7.2f} {unit}"
    return f"{seconds / 1e-9:7.0f} ns"


def rate(found: float, unit: str, limit: float) -> str:
    return f" {found / 1e9:7.1f} {unit} {100 * found / limit:4.0f} %"


def limit_times(row: dict, limits: dict) -> tuple[float, float]:
    """The least seconds that the arithmetic and the memory traffic of a case take."""
    return row["flops"] / limits["fma_peak"], row["bytes"] / limits["bandwidth"]


def line(case: Case, row: dict, limits: dict, peers: Sequence[str]) -> str:
    """A row of the table: time, rate, share of the nearer limit, ratio to each peer."""
    text = f"{case.name:<46.46}"
    own = row["median"].get("fastnn")
    if own is None:
        return f"{text} {row['errors'].get('fastnn', 'not timed')}"
    text += f" {duration(own)}"
    arithmetic, traffic = limit_times(row, limits)
    if arithmetic + traffic == 0:
        text += f" {own / max(case.items, 1) * 1e9:7.0f} ns each  "
    elif arithmetic >= traffic:
        text += rate(row["flops"] / own, "GF/s", limits["fma_peak"])
    else:
        text += rate(row["bytes"] / own, "GB/s", limits["bandwidth"])
    for peer in peers:
        if peer in row["median"]:
            text += f"  {peer} {duration(row['median'][peer])} {row['median'][peer] / own:6.2f} x"
        elif peer in row["errors"]:
            text += f"  {peer}: {row['errors'][peer]:.60}"
    return text


def geometric_mean(values: Sequence[float]) -> float:
    return math.exp(sum(math.log(v) for v in values) / len(values))


def summary(rows: Sequence[dict], peers: Sequence[str]) -> list[str]:
    """A line for each group, forward alone and training, and each peer."""
    lines = []
    for peer, group, train in itertools.product(peers, GROUPS, (False, True)):
        ratios = [
            row["median"][peer] / row["median"]["fastnn"]
            for row in rows
            if row["case"].startswith(f"{group}/")
            and row["train"] == train
            and {peer, "fastnn"} <= set(row["median"])
        ]
        if ratios:
            lines.append(
                f"{group:<10} {'train  ' if train else 'forward'} {peer} time / fastnn time: "
                f"geometric mean {geometric_mean(ratios):5.2f}, worst {min(ratios):5.2f}, "
                f"best {max(ratios):6.2f}"
            )
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m fastnn bench", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="group", help=f"of {', '.join(GROUPS)}")
    parser.add_argument(
        "--peers",
        default="",
        help="libraries to compare with: torch, torch:channels_last; for rnn onnxruntime, jax",
    )
    parser.add_argument("--threads", type=int, help="threads of every library")
    parser.add_argument("--rounds", type=int, default=5, help="the median of this many is reported")
    parser.add_argument("--seconds", type=float, default=0.1, help="length of one measurement")
    parser.add_argument("--save", metavar="FILE", help="write all figures as JSON")
    options = parser.parse_args(arguments)
    unknown = set(options.groups) - set(GROUPS)
    if unknown:
        parser.error(f"unknown group {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")

    from fastnn import get_num_threads

    threads = options.threads or get_num_threads()
    peers = [name for name in options.peers.replace(",", " ").split() if name]
    limits = machine(threads)
    print(
        f"{limits['cpu']}, {threads} threads, {limits['level']}: FMA peak "
        f"{limits['fma_peak'] / 1e9:.0f} GFLOP/s (1 thread {limits['fma_peak_1'] / 1e9:.0f}), "
        f"copy {limits['bandwidth'] / 1e9:.1f} GB/s read + written"
    )
    group = None

    def report(case: Case, row: dict) -> None:
        nonlocal group
        if case.group != group:
            group = case.group
            print(f"\n{group}")
        print(f"  {line(case, row, limits, peers)}", flush=True)

    result = measure(
        all_cases(tuple(options.groups) or GROUPS),
        ["fastnn", *peers],
        threads,
        options.rounds,
        options.seconds,
        report,
    )
    print()
    for text in summary(result["rows"], peers):
        print(text)
    for library, version in result["versions"].items():
        print(f"{library}: {version}")
    if options.save:
        with open(options.save, "w") as file:
            json.dump({"machine": limits, **result}, file, indent=1)
        print(f"written to {options.save}")
    return 0
