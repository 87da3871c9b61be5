"""Times the cases: one process a library, in turn, the others stopped meanwhile.

A thread pool spins for a while after its last call and would slow down a rival in
another process; so the processes that are not being timed are suspended. Rounds
alternate between the libraries, and the median over rounds is reported.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from .case import Case


class Worker:
    """A process that times one library."""

    def __init__(self, library: str, threads: int) -> None:
        self.library = library
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("worker.py")), library, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        hello = self.read()
        self.error = hello.get("error")
        self.version = hello.get("version", "")
        if not self.error:
            self.process.send_signal(signal.SIGSTOP)

    def read(self) -> dict:
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"error": f"the {self.library} process ended"}

    def time(self, case: Case, seconds: float) -> dict:
        """{"seconds": of one call} or {"error": why not}."""
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.stdin.write(json.dumps({"case": case.key, "seconds": seconds}) + "\n")
            self.process.stdin.flush()
            return self.read()
        except BrokenPipeError:
            return {"error": f"the {self.library} process ended"}
        finally:
            self.process.send_signal(signal.SIGSTOP)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def measure(
    cases: list[Case],
    libraries: list[str],
    threads: int,
    rounds: int,
    seconds: float,
    report: Callable[[Case, dict], None],
) -> dict:
    """Times of every case and library; report(case, row) is called as each is ready."""
    workers = [Worker(library, threads) for library in libraries]
    versions = {w.library: w.error or w.version for w in workers}
    running = [w for w in workers if not w.error]
    if workers[0].error:
        raise RuntimeError(f"{workers[0].library} cannot be timed: {workers[0].error}")
    rows = []
    try:
        for case in cases:
            times: dict[str, list[float]] = {w.library: [] for w in running}
            errors: dict[str, str] = {}
            for _ in range(rounds):
                for worker in running:
                    if worker.library in errors:
                        continue
                    found = worker.time(case, seconds)
                    if "error" in found:
                        errors[worker.library] = found["error"]
                    else:
                        times[worker.library].append(found["seconds"])
            row = {
                "case": case.key,
                "train": case.trains,
                "flops": case.flops,
                "bytes": case.nbytes,
                "items": case.items,
                "median": {k: statistics.median(v) for k, v in times.items() if v},
                "fastest": {k: min(v) for k, v in times.items() if v},
                "errors": errors,
            }
            rows.append(row)
            report(case, row)
    finally:
        for worker in workers:
            worker.close()
    return {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "threads": threads,
        "rounds": rounds,
        "versions": versions,
        "rows": rows,
    }
