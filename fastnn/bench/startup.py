"""What a library costs before it computes: on disk, on import, until its first prediction."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path

from .case import Case
from .runner import WORKER, row_of

DISTRIBUTIONS = {"fastnn": "fastnn-cpu"}
NAMES = {
    "import": "import, in a process of its own",
    "first": "first prediction (LeNet-5) from process start",
    "memory": "peak memory of that process",
    "installed": "installed size",
    "dependencies": "installed size, with what it needs",
    "wheel": "the same compressed, as wheels are",
}
SHIPPED = (".py", ".so", ".pyd", ".dylib", ".typed")  # files of fastnn, of a checkout too
BLOCK = 1 << 20


def files_of(name: str) -> list[Path]:
    if name == "fastnn":
        package = Path(__file__).resolve().parent.parent
        return [path for path in sorted(package.rglob("*")) if path.suffix in SHIPPED]
    files = metadata.files(name) or []
    return [Path(file.locate()) for file in files if "__pycache__" not in file.parts]


def needs(name: str) -> set[str]:
    """The distributions that are installed because name is, and name."""
    found, waiting = set(), [name]
    while waiting:
        each = waiting.pop()
        if each in found:
            continue
        try:
            required = metadata.requires(DISTRIBUTIONS.get(each, each)) or []
        except metadata.PackageNotFoundError:
            if each != "fastnn":
                continue
            required = ["numpy"]  # a checkout that is not installed
        found.add(each)
        for line in required:
            if "extra ==" not in line:
                waiting.append(re.match(r"[\w.-]+", line).group().lower())
    return found


def installed(names: set[str]) -> int:
    return sum(p.stat().st_size for name in names for p in files_of(name) if p.is_file())


def compressed(names: set[str]) -> int:
    """By DEFLATE, as in a wheel; of large files some blocks stand for the others."""
    total = 0.0
    for path in (p for name in names for p in files_of(name) if p.is_file()):
        size = path.stat().st_size
        step = max(1, size // (4 * BLOCK))
        with open(path, "rb") as file:
            read = packed = 0
            for at in range(0, size, step * BLOCK):
                file.seek(at)
                block = file.read(BLOCK)
                read, packed = read + len(block), packed + len(zlib.compress(block, 6))
        total += packed * (size / read) if read else 0
    return int(total)


def run(arguments: list[str]) -> tuple[float, str]:
    """Seconds until the process ended, and what it printed."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
    spent = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError((done.stderr.strip() or "failed").splitlines()[-1])
    return spent, done.stdout


def row(name: str, unit: str, libraries: dict[str, dict]) -> dict:
    return row_of(Case("startup", NAMES[name], None), libraries, unit)


def entry(values: Sequence[float]) -> dict:
    return {"times": list(values), "median": statistics.median(values)}


def attempt(measure: Callable[[], dict]) -> dict:
    try:
        return measure()
    except (RuntimeError, OSError, metadata.PackageNotFoundError) as error:
        return {"times": [], "error": str(error)}


def rows(entrants: Sequence, rounds: int) -> Iterator[dict]:
    """The rows of the group, for libraries that are installed. Each starts in every round."""
    times: dict[str, dict[str, list[float]]] = {
        name: {e.name: [] for e in entrants} for name in ("import", "first", "memory")
    }
    failed: dict[str, dict] = {}
    for _ in range(rounds):
        for e in entrants:
            if e.name in failed:
                continue

            def start(e=e) -> dict:
                module = e.library.partition(".")[0]
                parent = str(Path(__file__).resolve().parents[2])
                code = f"import sys; sys.path.append({parent!r}); import {module}"
                times["import"][e.name].append(run(["-c", code])[0])
                spent, printed = run([str(WORKER), e.library, str(e.threads), "first"])
                times["first"][e.name].append(spent)
                times["memory"][e.name].append(float(printed))
                return {}

            if found := attempt(start):
                failed[e.name] = found
    for name, unit in (("import", "s"), ("first", "s"), ("memory", "B")):
        found = {e: failed.get(e) or entry(values) for e, values in times[name].items()}
        yield row(name, unit, found)
    own = {e.name: {e.library.partition(".")[0]} for e in entrants}
    whole = {name: needs(next(iter(names))) for name, names in own.items()}
    for name, measure, of in (
        ("installed", installed, own), ("dependencies", installed, whole),
        ("wheel", compressed, whole),
    ):  # fmt: skip
        yield row(
            name,
            "B",
            {e: attempt(lambda n=n, m=measure: entry([float(m(n))])) for e, n in of.items()},
        )
