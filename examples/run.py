"""Run all examples and print one table.

python -m examples.run --quick                # what `make examples` does
python -m examples.run systems                # full settings, the systems only
python -m examples.run hopfield pooling       # these two
"""

from __future__ import annotations

import argparse
import importlib
import traceback
from collections.abc import Sequence
from pathlib import Path

from examples import common
from examples.common import Result, Results, table

FOLDERS = ("systems", "claims")


def names() -> list[str]:
    """All examples as "systems.<name>" and "claims.<name>"."""
    here = Path(__file__).resolve().parent
    return [
        f"{folder}.{path.stem}"
        for folder in FOLDERS
        for path in sorted((here / folder).glob("*.py"))
        if path.stem != "__init__"
    ]


def chosen(wanted: Sequence[str], known: Sequence[str]) -> list[str]:
    """The known names that are wanted, by folder or by name; all where nothing is."""
    for word in wanted:
        if not any(word in (name, *name.split(".")) for name in known):
            raise SystemExit(f"there is no example {word!r}; there are {', '.join(known)}")
    return [n for n in known if not wanted or set(wanted) & {n, *n.split(".")}]


def run_one(name: str, arguments: Sequence[str]) -> Results:
    """The rows of one example; where it fails, a row that says why."""
    module = importlib.import_module(f"examples.{name}")
    print(f"\n=== {name}: {module.__doc__.splitlines()[0]}", flush=True)
    try:
        return common.timed(module.main, arguments)
    except (FileNotFoundError, ModuleNotFoundError) as error:
        print(error)
        return [Result(name, "not installed", "", "", True)]
    except Exception as error:
        traceback.print_exc()
        return [Result(name, "", f"{type(error).__name__}: {error}", "", False)]


def passed_on(options: argparse.Namespace) -> list[str]:
    """The arguments that each example gets."""
    found = ["--seed", str(options.seed), "--output", str(options.output)]
    found += ["--quick"] if options.quick else []
    return found + (["--threads", str(options.threads)] if options.threads else [])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = common.parser(__doc__)
    parser.add_argument("names", nargs="*", help="systems, claims, or names of examples")
    options = parser.parse_args(arguments)
    results = [r for n in chosen(options.names, names()) for r in run_one(n, passed_on(options))]
    print(f"\n{table(results)}")
    return 0 if all(result.holds for result in results) else 1


if __name__ == "__main__":
    raise SystemExit(main())
