"""Times the cases: one process a library, in turn, the others stopped meanwhile.

A thread pool spins for a while after its last call and would slow down a rival in
another process; so the processes that are not being timed are suspended. Rounds
alternate between the libraries, each begins with another one, and the median is reported.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .case import Case
from .check import difference
from .limits import Limits

WORKER = Path(__file__).with_name("worker.py")
PATIENCE = 600.0  # seconds for one answer
TRUST = 1.05  # a time that is this much shorter than the least one is wrong


@dataclass(frozen=True)
class Entrant:
    """A library with a number of threads, under the name of its column."""

    name: str
    library: str
    threads: int


class Worker:
    """A process that times one library; begun again where it ended."""

    def __init__(self, entrant: Entrant) -> None:
        self.name = entrant.name
        self.entrant = entrant
        self.process: subprocess.Popen | None = None
        self.version = ""
        self.missing = ""
        self.start()

    def start(self) -> None:
        entrant = self.entrant
        self.process = subprocess.Popen(
            [
                sys.executable,
                str(WORKER),
                entrant.library,
                str(entrant.threads),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(entrant.threads)},
        )
        hello = self.read()
        self.missing = hello.get("missing") or hello.get("error") or ""
        self.version = hello.get("version", "")
        if self.missing:
            self.close()
        else:
            self.process.send_signal(signal.SIGSTOP)

    def read(self) -> dict:
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            if not selector.select(PATIENCE):
                self.close()
                return {"error": f"no answer within {PATIENCE:.0f} s"}
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        self.close()
        return {"error": f"the process ended, with code {self.code}"}

    def ask(self, do: str, **arguments) -> dict:
        """The answer to a request, of a process that runs only meanwhile."""
        if self.process is None:
            self.start()
        if self.missing:
            return {"error": self.missing}
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self.process.stdin.flush()
            return self.read()
        except BrokenPipeError:
            self.close()
            return {"error": f"the process ended, with code {self.code}"}
        finally:
            if self.process is not None:
                self.process.send_signal(signal.SIGSTOP)

    def close(self) -> None:
        if self.process is None:
            return
        self.process.kill()
        self.code = self.process.wait()
        self.process.stdout.close()
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process = None


def row_of(case: Case, libraries: dict[str, dict], unit: str = "s") -> dict:
    """A row of the results; what is measured of each library has this unit."""
    return {
        "case": case.key, "group": case.group, "train": case.train, "flops": case.flops,
        "bytes": case.nbytes, "gain": case.gain, "items": case.items, "unit": unit,
        "libraries": libraries,
    }  # fmt: skip


def time_case(case: Case, workers: Sequence[Worker], rounds: int, seconds: float) -> dict:
    """The row of a case: for each library its times, first call, memory, or why it has none."""
    found: dict[str, dict] = {w.name: {"times": []} for w in workers}
    digests = {}

    def ask(worker: Worker, do: str, **arguments) -> None:
        entry = found[worker.name]
        if "error" in entry or "unsupported" in entry:
            return
        answer = worker.ask(do, **arguments)
        if "seconds" in answer:
            entry["times"].append(answer.pop("seconds"))
        if "digest" in answer:
            digests[worker.name] = answer.pop("digest")
        entry.update(answer)

    for worker in workers:
        ask(worker, "prepare", key=case.key)
    for n in range(rounds):
        for k in range(len(workers)):
            ask(workers[(n + k) % len(workers)], "time", seconds=seconds)
    for worker in workers:
        ask(worker, "results")
    for entry in found.values():
        if entry["times"] and "error" not in entry:
            entry["median"] = statistics.median(entry["times"])
    row = row_of(case, found)
    judge_results(row, digests, workers[0].name, case)
    return row


def judge_results(row: dict, digests: dict, own: str, case: Case) -> None:
    """Wrong numbers are an error, and no time. A library whose results differ from the first one's
    is wrong; where none agrees with the first, that is wrong too."""
    others = [name for name in digests if name != own]
    wrong = {
        name: found
        for name in others
        if own in digests
        and (found := difference(digests[own], digests[name], case.random, case.depth))
    }
    for name, text in wrong.items():
        reject(row["libraries"][name], f"other results than {own}: {text}")
    if wrong and len(wrong) == len(others):
        reject(row["libraries"][own], f"other results than {', '.join(wrong)}: {text}")


def reject(entry: dict, why: str) -> None:
    entry.pop("median", None)
    entry["error"] = why


def judge_times(row: dict, limits: Limits) -> None:
    """A time that the machine cannot reach is an error of the benchmark, and no time."""
    for entry in row["libraries"].values():
        if "median" not in entry or entry["median"] * TRUST >= limits.least(row):
            continue
        limits.measure()
        if entry["median"] * TRUST < limits.least(row):
            reject(
                entry,
                f"{entry['median']:.3g} s is less than the {limits.least(row):.3g} s "
                "that this machine needs at its limits: the time is wrong, or the count of work",
            )


def measure(
    cases: Iterable[Case],
    entrants: Sequence[Entrant],
    limits: Limits,
    rounds: int,
    seconds: float,
    report: Callable[[dict], None],
) -> dict:
    """Times of every case and library; report(row) is called as each is ready."""
    workers = [Worker(entrant) for entrant in entrants]
    running = [w for w in workers if not w.missing]
    rows: list[dict] = []
    interrupted = False
    try:
        if workers[0].missing:
            raise RuntimeError(f"{workers[0].name} cannot be timed: {workers[0].missing}")
        for case in cases:
            row = time_case(case, running, rounds, seconds)
            judge_times(row, limits)
            rows.append(row)
            report(row)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        for worker in workers:
            worker.close()
    return {
        "rounds": rounds,
        "interrupted": interrupted,
        "versions": {w.name: w.version for w in running},
        "missing": {w.name: w.missing for w in workers if w.missing},
        "rows": rows,
    }
