"""The memory of this process, as the system counts it; None where it does not say."""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
from contextlib import suppress


def field(name: str) -> int | None:
    """Bytes in a line of /proc/self/status."""
    try:
        with open("/proc/self/status") as file:
            for line in file:
                if line.startswith(name):
                    return 1024 * int(line.split()[1])
    except OSError:
        pass
    return None


def resident() -> int | None:
    """What the process holds now, after the C library has given back what it can."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
    return field("VmRSS")


def peak() -> int | None:
    """The most that the process held since reset_peak()."""
    return field("VmHWM")


def reset_peak() -> bool:
    """Can peak() be told from now on?"""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        return False
    return peak() is not None


def lifetime_peak() -> int:
    """The most that this process ever held. On Linux, what getrusage() says includes the process
    that began it."""
    found = peak()
    if found is None:
        used = importlib.import_module("resource").getrusage(0).ru_maxrss
        found = used if sys.platform == "darwin" else 1024 * used
    return found


def physical() -> float:
    """Bytes of memory of the machine; unknown: infinite."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):
        return float("inf")
