"""From cells to float64, rounded to nearest, outwards or to odd."""

from __future__ import annotations

import numpy as np
from flint import arb

from .arithmetic import as_cells, each

INFINITE = arb(float("inf"))


def floats(cells):
    """The midpoints, each rounded to the nearest float64."""
    return np.asarray(each(float)(cells), float)


def outward(cells, direction):
    """Exact cells as float64, rounded towards `direction`, which is inf or -inf."""
    near = floats(cells)
    back = each(arb)(near.astype(object))
    short = np.asarray(back < cells if direction > 0 else back > cells)
    return np.where(short, np.nextafter(near, direction), near)


def to_odd(cells):
    """The midpoints as float64, the inexact ones rounded to the neighbour with odd last bit.

    Rounding those once more, to a format at least two bits shorter, is as good as rounding only once.
    """
    middles = as_cells(each(arb.mid)(cells))
    near = as_cells(floats(middles))
    back = each(arb)(near.astype(object))
    even = near.view(np.int64) % 2 == 0
    above, below = np.asarray(middles > back), np.asarray(middles < back)
    away = np.nextafter(near, np.where(above, np.inf, -np.inf))
    return np.where(even & (above | below), away, near)
