"""All cases, in the order of the report, and the choice of those that a run has time for."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from . import conv, deepbench, gemm, models, norm, overhead, pointwise, pool, rnn
from .case import Case
from .limits import Limits

MODULES = (gemm, conv, pool, pointwise, norm, rnn, overhead, models, deepbench)
GROUPS = tuple(module.__name__.rsplit(".", 1)[-1] for module in MODULES)
EVERYDAY = GROUPS[:-1]  # DeepBench takes hours, so it is asked for by name


def one_of(known: Sequence[str]) -> Callable[[str], str]:
    """The type of an argument that names a group."""

    def group(text: str) -> str:
        if text not in known:
            raise argparse.ArgumentTypeError(f"unknown group {text}; there are {', '.join(known)}")
        return text

    return group


def all_cases(groups: tuple[str, ...] = GROUPS) -> list[Case]:
    return [
        case
        for module, group in zip(MODULES, GROUPS, strict=True)
        if group in groups
        for case in module.CASES
    ]


def cost(case: Case, limits: Limits, rounds: int, seconds: float) -> float:
    """Seconds that one library is expected to need for the case, at half of the machine's limit:
    the numbers drawn twice, two or three calls to prepare, the rounds, and one to check."""
    row = {"flops": case.flops, "bytes": case.nbytes, "gain": 1.0}
    call = 2 * limits.least(row) if case.flops or case.nbytes else 0.0
    drawn = case.nbytes / 4 * 5e-8
    return drawn + 4 * call + rounds * max(2 * call, 1.5 * seconds)


def affordable(
    cases: list[Case], limits: Limits, libraries: int, rounds: int, seconds: float,
    minutes: float | None, memory: float,
) -> list[Case]:  # fmt: skip
    """The cases that fit into memory, less the dearest ones until the run takes `minutes`.

    A library holds the numbers, their gradients, copies to check them by: four times the traffic.
    """
    fitting = [case for case in cases if 4 * libraries * case.nbytes <= memory]
    if minutes is None:
        return fitting
    costs = {case.key: libraries * cost(case, limits, rounds, seconds) for case in fitting}
    chosen, left = set(), 60 * minutes
    for case in sorted(fitting, key=lambda case: costs[case.key]):
        if costs[case.key] > left:
            break
        left -= costs[case.key]
        chosen.add(case.key)
    return [case for case in fitting if case.key in chosen]
