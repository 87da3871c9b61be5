"""A process that times one library. Started by runner.py, spoken to line by line.

It is run as a file, not as part of fastnn: two OpenMP runtimes in one process
disturb each other, so the worker of a peer must not import fastnn. Requests and
answers are JSON, one a line.
"""

import importlib
import json
import sys
import time
from pathlib import Path

# peers of another style: modules of this package that build the calls themselves
ADAPTERS = {"onnxruntime": "bench.peer_onnxruntime", "jax": "bench.peer_jax"}


def library(name: str, threads: int):
    """The namespace to benchmark; fastnn and torch share theirs. name: as in torch, or as in
    torch:channels_last for the same with images in that memory format."""
    name, _, layout = name.partition(":")
    if layout not in ("", "channels_last"):
        raise ImportError(f"there is no memory format {layout}, only channels_last")
    lib = importlib.import_module(ADAPTERS.get(name, name))
    if name not in ADAPTERS:
        for part in ("nn", "nn.functional", "optim"):
            importlib.import_module(f"{name}.{part}")
    lib.set_num_threads(threads)
    lib.manual_seed(0)
    return importlib.import_module("bench.layout").ChannelsLast(lib) if layout else lib


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


def main() -> None:
    name, threads = sys.argv[1], int(sys.argv[2])
    # the cases as the top-level package `bench`, so that fastnn/__init__.py is not run for a peer
    package = Path(__file__).resolve().parent.parent
    sys.path += [str(package), str(package.parent)]
    cases = importlib.import_module("bench.cases")
    by_key = {case.key: case for case in cases.all_cases()}
    answers, sys.stdout = sys.stdout, sys.stderr  # nothing else may get between the answers

    def answer(**fields) -> None:
        print(json.dumps(fields), file=answers, flush=True)

    try:
        lib = library(name, threads)
    except ImportError as error:
        answer(error=str(error))
        return
    answer(version=lib.__version__)
    key, call = None, None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["case"] != key:
                key, call = request["case"], by_key[request["case"]].build(lib)
                call()
            answer(seconds=time_call(call, request["seconds"]))
        except Exception as error:
            key = None
            answer(error=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
