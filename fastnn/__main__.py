"""`python -m fastnn info | bench | demo`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

USAGE = """usage: python -m fastnn <command> [options]

  info    version, compiler, instruction-set levels, threads
  bench   time the kernels and models on this machine
  demo    train a CNN and an LSTM on real handwritten digits
"""


def main(arguments: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    command = arguments.pop(0) if arguments else ""
    if command == "info":
        from fastnn import show_config

        show_config()
        return 0
    if command == "bench":
        from fastnn.bench.command import main as bench

        return bench(arguments)
    if command == "demo":
        from fastnn.demo.run import main as demo

        return demo(arguments)
    print(USAGE, end="", file=sys.stdout if command in ("", "-h", "--help") else sys.stderr)
    return 0 if command in ("", "-h", "--help") else 2


if __name__ == "__main__":
    sys.exit(main())
