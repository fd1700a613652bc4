"""Rounding to integers, and the remainders that go with it.

These functions jump.  A ball that encloses a jump has no single value: `Undecided` in exact mode, in bound mode the
hull of the values on both sides.
"""

from __future__ import annotations

import numpy as np
from flint import arb

from .arithmetic import HALF, current_format, each, record, rounded
from .array import UFUNCS, cells_of, wrap
from .decisions import refuse
from .reading import floats


def _floor(x):
    return x.floor()


def _ceil(x):
    return x.ceil()


def _trunc(x):
    return x.floor() if x >= 0 else x.ceil()


def _rint(x):
    """The nearest integer of an exact number, ties to even."""
    down, up = (x + HALF).floor(), (x - HALF).ceil()
    return down if down == up or (down / 2).is_integer() else up


def step(name, function):
    """The array function of a monotone step function of exact numbers."""
    def through_the_ends(x):
        if x.is_exact():
            return function(x)
        low, high = function(x.lower()), function(x.upper())
        return low if low == high else low.union(high)

    def compute(x):
        cells = cells_of(x)
        result = np.asarray(each(through_the_ends)(cells), object)
        undecided = ~np.asarray(each(arb.is_exact)(result), bool)
        if not undecided.any():
            record(name, lambda: floats(result))
        elif current_format() is None:
            refuse(name, undecided, cells)
        return result
    return compute


floor, ceil, trunc, rint = (step(f.__name__[1:], f) for f in (_floor, _ceil, _trunc, _rint))

for _ufunc, _compute in ((np.floor, floor), (np.ceil, ceil), (np.trunc, trunc), (np.rint, rint)):
    UFUNCS[_ufunc] = lambda x, compute=_compute: wrap(compute(x))


def floor_divide(x, y):
    return wrap(rounded(floor(wrap(cells_of(x) / cells_of(y)))))


def remainder(x, y):
    """x - y floor(x / y): the sign of y."""
    a, b = cells_of(x), cells_of(y)
    return wrap(rounded(a - b * floor(wrap(a / b))))


def fmod(x, y):
    """x - y trunc(x / y): the sign of x; exact in floats."""
    a, b = cells_of(x), cells_of(y)
    return wrap(a - b * trunc(wrap(a / b)))


UFUNCS[np.floor_divide], UFUNCS[np.remainder], UFUNCS[np.fmod] = floor_divide, remainder, fmod
UFUNCS[np.divmod] = lambda x, y: (floor_divide(x, y), remainder(x, y))
UFUNCS[np.modf] = lambda x: (fmod(x, 1), UFUNCS[np.trunc](x))
