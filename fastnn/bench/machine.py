"""Where and with what a run was measured."""

from __future__ import annotations

import os
import platform
import shlex
import time
from collections.abc import Sequence


def cpu_name() -> str:
    """As Linux names it, with the generation's numbers, since virtual machines hide the model."""
    found = {}
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                key, _, value = line.partition(":")
                found.setdefault(key.strip(), value.strip())
    except OSError:
        pass
    name = found.get("model name") or platform.processor() or platform.machine()
    family = [f"{k} {found[k]}" for k in ("cpu family", "model", "stepping") if k in found]
    return f"{name} ({', '.join(family)})" if family else name


def cores() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe(threads: int, arguments: Sequence[str]) -> dict:
    from fastnn._kernels import runtime

    return {
        "cpu": cpu_name(),
        "cores": cores(),
        "threads": threads,
        "level": runtime.isa(),
        "levels": list(runtime.levels()),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "command": shlex.join(["python", "-m", "fastnn", "bench", *arguments]),
    }


def sentence(machine: dict) -> str:
    """Where figures were measured, for above a table."""
    return (
        f"{machine['cpu']}, {machine['threads']} of {machine['cores']} cores that this process may "
        f"use, {machine['level']} of {', '.join(machine['levels'])}; {machine['system']}, Python "
        f"{machine['python']}; {machine['date']}"
    )
