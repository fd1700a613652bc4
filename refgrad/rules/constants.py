"""Constants in the arithmetic of the arrays that they are combined with.

A rule must not round where the arrays would not: `math.pi` has 53 bits, and a ball of 400 bits
needs 400 of them. So constants are computed from exact small integers, by the arithmetic of the
array that they meet.
"""

import numpy as np


def number(value, like):
    """An exact integer, or "pi", as an array without axes in the arithmetic of `like`."""
    if value == "pi":
        return 4 * np.arctan(number(1, like))
    return np.full_like(like, value, shape=())
