"""``s += x`` with a plain array s and a traced x: Python binds the result to the name s, so the
result may be traced.

NumPy sees ``np.add(s, x, out=s)`` in both cases, and asks the traced array.  The plain array cannot
hold traced numbers, so this is right only where nobody else sees it: Python is at an augmented
assignment, and s is the array's only name (CPython counts references).  Otherwise it is refused.
"""

from __future__ import annotations

import functools
import opcode
import sys

import numpy as np

WAY_OUT = (
    "A plain array cannot hold traced numbers: make it a traced one (np.zeros(shape, like=x)), "
    "or write s = s + x for s += x."
)

#: The arguments of Python's BINARY_OP that stand for +=, -=, ...
_IN_PLACE = range(13, 26)


def is_only_name(frame, array, references: int) -> bool:
    """Whether the frame is at an augmented assignment to a name, and nothing else holds the array
    or shows its memory.

    `references` is sys.getrefcount of the array in the __array_ufunc__ that the assignment has
    called."""
    code, at = frame.f_code.co_code, frame.f_lasti
    return (
        opcode.opname[code[at]] == "BINARY_OP"
        and code[at + 1] in _IN_PLACE
        and references <= _references()
        and (array.base is None or sys.getrefcount(array.base) <= 2)
    )


@functools.cache
def _references():
    """The references to an array with one name, counted where `references` is counted."""

    class Counter:
        def __array_ufunc__(self, ufunc, method, *inputs, **options):
            return sys.getrefcount(inputs[0])

    s = np.zeros(1)
    s += Counter()
    return s
