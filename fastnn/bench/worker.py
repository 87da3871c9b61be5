"""A process that times one library. Started by runner.py, spoken to line by line; or by
startup.py, to make one prediction.

It is run as a file, not as part of fastnn: two OpenMP runtimes in one process
disturb each other, so the worker of a peer must not import fastnn. Requests and
answers are JSON, one a line.
"""

import ctypes
import gc
import importlib
import json
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path


def time_call(call, seconds: float) -> float:
    """Seconds of one call, from as many calls as fit into `seconds`."""
    count = 1
    while True:
        began = time.perf_counter()
        for _ in range(count):
            call()
        spent = time.perf_counter() - began
        if spent >= seconds or count >= 1 << 22:
            return spent / count
        count = max(2 * count, int(1.2 * count * seconds / max(spent, 1e-9)))


def end_with_parent() -> None:
    """Stopped as this process is most of the time, it would outlive a runner that was killed; of an
    interrupt the runner takes care."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:300]


class Timer:
    """Answers the requests about one library."""

    def __init__(self, lib, modules) -> None:
        self.lib = lib
        self.check, self.memory = modules["check"], modules["memory"]
        self.cases = {case.key: case for case in modules["cases"].all_cases()}
        self.work = None

    def prepare(self, key: str) -> dict:
        """The first call and its memory; of a training step, the results of the first ones."""
        self.work = None
        gc.collect()
        self.lib.release()
        before = self.memory.resident()
        self.lib.begin(key)
        work = self.cases[key].build(self.lib)
        counts = self.memory.reset_peak()
        began = time.perf_counter()
        work.call()
        answer = {"first": time.perf_counter() - began}
        if work.fits:
            answer["digest"] = self.check.digest(work.results())
        else:
            work.call()
        if counts:
            answer["memory"] = max(0, self.memory.peak() - before)
        self.work = work
        return answer

    def time(self, seconds: float) -> dict:
        return {"seconds": time_call(self.work.call, seconds)}

    def results(self) -> dict:
        """Of a call with new numbers, so that none can be kept from the calls that were timed."""
        if self.work.fits:
            return {}
        self.lib.refill()
        return {"digest": self.check.digest(self.work.results())}


def show_the_way() -> None:
    """The cases are the top-level package `bench` here, so that fastnn/__init__.py is not run for a
    peer; and this file's folder, whose names are common ones, is none to import from."""
    package = Path(__file__).resolve().parent.parent
    sys.path[:] = [entry for entry in sys.path if entry != str(package / "bench")]
    if str(package.parent) not in sys.path:
        sys.path.insert(0, str(package.parent))
    sys.path.append(str(package))


def first_prediction(library, name: str, threads: int) -> None:
    """Prints the peak memory of this process after it."""
    lib = library.open_library(name, threads)
    lib.begin("startup")
    x = lib.randn(1, 1, 28, 28)
    net = lib.network(importlib.import_module("bench.nets").lenet(lib)).eval()
    lib.inference(lambda: net(x)).call()
    print(importlib.import_module("bench.memory").lifetime_peak())


def serve(library, name: str, threads: int) -> None:
    """Answers requests until there are no more."""
    modules = {m: importlib.import_module(f"bench.{m}") for m in ("cases", "check", "memory")}
    answers, sys.stdout = sys.stdout, sys.stderr  # nothing else may get between the answers

    def answer(**fields) -> None:
        print(json.dumps(fields), file=answers, flush=True)

    try:
        lib = library.open_library(name, threads)
    except ImportError as error:
        answer(missing=str(error))
        return
    timer = Timer(lib, modules)
    answer(version=lib.version)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer(**getattr(timer, request.pop("do"))(**request))
        except lib.refusals as error:
            answer(unsupported=first_line(error))
        except Exception as error:
            answer(error=f"{type(error).__name__}: {first_line(error)}")


def main() -> None:
    """worker.py LIBRARY THREADS [first]"""
    name, threads, *first = sys.argv[1:]
    end_with_parent()
    show_the_way()
    library = importlib.import_module("bench.library")
    (first_prediction if first else serve)(library, name, int(threads))


if __name__ == "__main__":
    main()
