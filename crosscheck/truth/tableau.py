"""Extrapolation of quotients to step 0, with an error that is read off the tableau.

L. F. Richardson, Phil. Trans. R. Soc. A 210 (1911), for the extrapolation; C. J. F. Ridders,
Accurate computation of F'(x) and F'(x)F''(x), Adv. Eng. Software 4 (1982), for the tableau and for
the error as a difference in it.
"""

from __future__ import annotations

from math import hypot, inf, isfinite, nan
from typing import NamedTuple

import numpy as np

#: Columns: with steps of ratio 2 the error in column k is about 2^-k(k+1) (largest step /
#: radius)^(2k + 2), and below float64's rounding in the last one even where the largest step is the
#: radius in which f is analytic.
COLUMNS = 8


class Interval(NamedTuple):
    """A value and the half width in which the true one lies."""

    value: float = nan
    uncertainty: float = inf

    def differs(self, other):
        """The intervals have no point in common."""
        return abs(self.value - other.value) > self.uncertainty + other.uncertainty

    def __add__(self, other):
        return Interval(self.value + other.value, self.uncertainty + other.uncertainty)

    def scaled(self, factor):
        """The interval of the value times a number."""
        return Interval(self.value * factor, self.uncertainty * abs(factor))


def _weights(ratio):
    """For each column of the tableau the weights of the quotients in it, the smallest step's
    last."""
    rows = [np.ones(1)]
    for k in range(1, COLUMNS):
        previous = rows[-1]
        rows.append((ratio ** k * np.append(0.0, previous) - np.append(previous, 0.0))
                    / (ratio ** k - 1))
    return [row.tolist() for row in rows]


class Tableau:
    """Quotients at steps that halve, extrapolated to 0 as polynomials in h (power 1) or in h^2
    (power 2)."""

    WEIGHTS = {power: _weights(2.0 ** power) for power in (1, 2)}

    def __init__(self, power):
        self.ratio, self.weights = 2.0 ** power, self.WEIGHTS[power]
        self.rows, self.noises = [], []
        self.best = Interval()

    def add(self, quotient, noise):
        """A quotient and the half width of its noise."""
        if not isfinite(quotient):
            self.rows, self.noises = [], []
            return
        self.noises = [*self.noises, noise][-COLUMNS:]
        row, above = [quotient], self.rows[-1] if self.rows else []
        for k in range(1, min(COLUMNS, len(self.rows) + 1)):
            row.append(row[-1] + (row[-1] - above[k - 1]) / (self.ratio ** k - 1))
            if k < 2:
                continue
            spread = hypot(*(w * n for w, n in zip(self.weights[k], self.noises[-k - 1:])))
            found = Interval(row[k], self._apart(row, k, spread) + spread)
            # Finer steps that contradict coarser ones are right.
            if found.uncertainty < self.best.uncertainty or found.differs(self.best):
                self.best = found
        self.rows.append(row)

    def _apart(self, row, k, spread):
        """The truncation: an extrapolation is at least as good as the two that it is made of.

        Those may agree by chance: so it must also be close to itself from larger steps, and in such
        a sequence the rest is d r / (1 - r), where the distance d shrinks by r (it is more than d
        where f is not smooth, as x^1.5 at 0).
        """
        above = self.rows[-1]
        apart = max(abs(row[k] - row[k - 1]), abs(row[k] - above[k - 1]))
        if k == len(above):
            return apart if apart <= spread else inf
        d = abs(row[k] - above[k])
        if d <= spread:
            return max(apart, d)
        before = self.rows[-2] if len(self.rows) > 1 else []
        r = d / abs(above[k] - before[k]) if k < len(before) and above[k] != before[k] else inf
        return max(apart, d, d * r / (1 - r)) if r < 1 else inf
