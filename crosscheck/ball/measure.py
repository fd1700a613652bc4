"""How far apart balls and floats are.  Nothing here is rounded to the format in force."""

from __future__ import annotations

import numpy as np
from flint import arb

from .arithmetic import ZERO, each
from .array import Ball, exact_cells


def distance(a, b) -> Ball:
    """|a - b|, elementwise: each a Ball or floats taken exactly.

    Its `upper` is certain, its `mid` the estimate.
    """
    return Ball.from_cells(np.abs(exact_cells(a) - exact_cells(b)))


def digits(a, b, scale=1) -> np.ndarray:
    """Decimal digits to which a and b certainly agree, elementwise, as float64.

    -log10(sup |a - b| / inf |scale|), rounded down: inf where both are exact and equal, -inf where
    nothing is certain, never nan.
    """
    return np.asarray(each(_digits, 3)(exact_cells(a), exact_cells(b), exact_cells(scale)), float)


def _digits(a, b, scale):
    difference, unit = (a - b).abs_upper(), scale.abs_lower()
    if difference == ZERO:
        return np.inf
    if not difference.is_finite() or not unit > ZERO:
        return -np.inf
    return float(np.nextafter(float(((unit / difference).log() / arb(10).log()).lower()), -np.inf))
