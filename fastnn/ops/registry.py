"""The registry: every public operation, declared once.

A row says what the operation is called, which function it is, whether it is also
a method of Tensor, whether a gradient flows through it, and with which arguments
(a name of fastnn.testing.cases) the tests run it. Each family module lists its
rows as OPS; fastnn.ops collects them and installs the methods.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Op(NamedTuple):
    """One public operation."""

    name: str
    function: Callable
    method: str | None
    cases: str | None
    differentiable: bool
    public: bool


def op(
    name: str,
    function: Callable,
    *,
    method: bool | str = False,
    cases: str | None = None,
    differentiable: bool = True,
    public: bool = True,
) -> Op:
    """Declare an operation.

    method: also a method of Tensor, True for the same name. cases: None for an
    operation that the generic tests cannot run (a test of its own must name it).
    public: also a function of the fastnn namespace.
    """
    return Op(
        name, function, name if method is True else method or None, cases, differentiable, public
    )


def over(function: Callable) -> Callable:
    """The function that calls another one with inplace=True."""

    def method(input, *args, **kwargs):
        return function(input, *args, inplace=True, **kwargs)

    method.__name__ = f"{function.__name__}_"
    method.__doc__ = f"{function.__name__}(), in place; returns the tensor."
    return method


def inplace_of(function: Callable) -> Callable:
    """The method that writes the result of function(self, ...) into self."""
    from fastnn._core.autograd import write

    def method(self, *args, **kwargs):
        return write(self, function(self, *args, **kwargs))

    method.__name__ = f"{function.__name__}_"
    method.__doc__ = f"{function.__name__}(), in place; returns the tensor."
    return method
