"""Rounding to integers, and the remainders that go with it.

These functions jump.  A ball that encloses a jump has no single value: `Undecided` in exact mode,
in bound mode the hull of the values on both sides.
"""

from __future__ import annotations

import numpy as np
from flint import arb

from .arithmetic import HALF, as_cells, current_format, each, record
from .array import FUNCTIONS, register
from .decisions import refuse
from .elementwise import elementwise
from .reading import floats


def _trunc(x):
    return x.floor() if x >= 0 else x.ceil()


def _rint(x):
    """The nearest integer of an exact number, ties to even."""
    down, up = (x + HALF).floor(), (x - HALF).ceil()
    return down if down == up or (down / 2).is_integer() else up


def step(ufunc, function):
    """Enter a monotone step function of exact numbers as the meaning of `ufunc`.

    Returned is what it does to an array of cells.
    """
    def through_the_ends(x):
        if x.is_exact():
            return function(x)
        low, high = function(x.lower()), function(x.upper())
        return low if low == high else low.union(high)

    def compute(cells):
        cells = as_cells(cells)
        result = np.asarray(each(through_the_ends)(cells), object)
        undecided = ~np.asarray(each(arb.is_exact)(result), bool)
        if not undecided.any():
            record(ufunc.__name__, lambda: floats(result))
        elif current_format() is None:
            refuse(ufunc.__name__, undecided, cells)
        return result
    elementwise(ufunc, compute, 0)
    return compute


floor, trunc = step(np.floor, arb.floor), step(np.trunc, _trunc)
step(np.ceil, arb.ceil)
step(np.rint, _rint)

elementwise(np.floor_divide, lambda x, y: floor(x / y), HALF)
elementwise(np.remainder, lambda x, y: x - y * floor(x / y), HALF)  # it has the sign of y
elementwise(np.fmod, lambda x, y: x - y * trunc(x / y), 0)          # of x, and is exact in floats
register(np.divmod, lambda x, y: (FUNCTIONS[np.floor_divide](x, y), FUNCTIONS[np.remainder](x, y)))
register(np.modf, lambda x: (np.fmod(x, 1), np.trunc(x)))
