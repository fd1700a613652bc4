"""The table from ATen's operations to lines of NumPy.

A line is a function of the operation's own arguments, in the order of its schema, with arrays in
the place of tensors. It returns an array, or a tuple of arrays where the operation returns several.
So

    operation("mul", np.multiply)

gives a meaning to aten.mul.Tensor and aten.mul.Scalar, to aten.mul_ (which writes the result into
its first argument) and to aten.mul.out. One overload may have a line of its own:
``operation("max.dim", …)``.
An operation that also writes to arguments has a line that gives both: first what it returns, then
what it writes, in the order of its arguments.
"""

from __future__ import annotations

import functools
import inspect
from enum import Enum
from typing import NamedTuple
from collections.abc import Callable


class Kind(Enum):
    """What becomes of a line's result.

    VALUE     it is a new tensor
    VIEW      it is a view: the line only chooses and arranges entries, and a write to the result is
              a write to the argument
    MEMORY    it is a view of the memory that holds the argument: the line, a function of the tensor
              itself, gives its size, strides and offset there
    CONSTANT  it does not depend on the entries of floating tensors: torch itself runs the operation
    """

    VALUE = "value"
    VIEW = "view"
    MEMORY = "memory"
    CONSTANT = "constant"


class Line(NamedTuple):
    """A meaning.

    compute  what computes it; None for a CONSTANT
    kind     what becomes of the result
    writes   names of arguments that the operation writes to although its schema does not say so
    copies   whether the result is a copy of the view
    """

    compute: Callable | None
    kind: Kind
    writes: tuple = ()
    copies: bool = False

    def refused(self, keywords):
        """The first of some keywords that the line does not accept; None if it accepts all."""
        known = _keywords(self.compute)
        return None if known is None else next((k for k in keywords if k not in known), None)


@functools.cache
def _keywords(compute):
    """The names of a function's parameters; None where any keyword goes, or where it does not
    tell."""
    try:
        parameters = inspect.signature(compute).parameters
    except (TypeError, ValueError):
        return None
    return (None if any(p.kind is p.VAR_KEYWORD for p in parameters.values())
            else frozenset(parameters))


#: From the name of an operation, as in "mul", or of one overload, as in "max.dim", to its `Line`.
OPERATIONS: dict[str, Line] = {}


class NoLine(NotImplementedError):
    """An operation that the table does not have, or not for these arguments."""


def operation(*names: str, kind: Kind = Kind.VALUE, writes: tuple = ()):
    """Enter a function as what these operations compute: ``operation(name, …, function)`` or a
    decorator."""
    *names, last = names
    if callable(last):
        return _enter(names, last, kind, writes)
    return lambda compute: _enter([*names, last], compute, kind, writes)


def view(*names):
    """The same for operations whose result is a view of their first argument, or a list of
    views."""
    return operation(*names, kind=Kind.VIEW)


def constants(*names: str) -> None:
    """Enter operations that torch runs itself: factories, random numbers, questions about
    shapes."""
    _enter(names, None, Kind.CONSTANT)


def _enter(names, compute, kind, writes=()):
    for name in names:
        if name in OPERATIONS:
            raise ValueError(f"aten.{name} has a line already")
        OPERATIONS[name] = Line(compute, kind, writes)
    return compute


def line_of(name: str, overload: str) -> Line | None:
    """The line of an operation's overload, if it has one; that of a view also for the copy of
    it."""
    found = OPERATIONS.get(f"{name}.{overload}") or OPERATIONS.get(name)
    if found is None:
        viewed = OPERATIONS.get(name.removesuffix("_copy"))
        if viewed is not None and viewed.kind in (Kind.VIEW, Kind.MEMORY):
            return viewed._replace(copies=True)
    return found
