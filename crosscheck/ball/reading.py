"""From cells to float64, rounded to nearest or outwards."""

from __future__ import annotations

import numpy as np
from flint import arb

from .arithmetic import each

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
