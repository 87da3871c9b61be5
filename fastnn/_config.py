"""What this build is and what it chose on this machine."""

from __future__ import annotations

from fastnn._kernels import runtime
from fastnn._version import __version__


def config() -> dict[str, str]:
    """The facts that show_config() prints."""
    number, why = runtime.default_threads()
    threads = runtime.get_num_threads()
    return {
        "version": __version__,
        "compiler": runtime.compiler(),
        "levels": ", ".join(runtime.levels()),
        "level in use": runtime.isa(),
        "threads": f"{threads} ({why if threads == number else 'set_num_threads'})",
        "OpenMP": str(runtime.openmp()) if runtime.openmp() else "none: this build is serial",
        "OpenMP runtime": runtime.openmp_runtime(),
    }


def show_config() -> None:
    """Print version, compiler, instruction-set levels, threads and OpenMP runtime."""
    for name, value in config().items():
        print(f"{name + ':':<16} {value}")
