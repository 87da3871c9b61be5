"""fastnn: a deep-learning engine for the CPU."""

from fastnn._version import __version__

__all__ = ["__version__"]
