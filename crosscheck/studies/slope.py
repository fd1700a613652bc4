"""How cost grows: seconds = c n^slope, a line on logarithmic axes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np


@dataclass(frozen=True)
class Slope:
    """The exponent and its confidence interval; nan where the points do not determine it."""

    slope: float = np.nan
    low: float = np.nan
    high: float = np.nan

    def columns(self):
        return {"slope": self.slope, "slope_low": self.low, "slope_high": self.high}


def fit(sizes, seconds, confidence=0.95):
    """Least squares on log-log; the interval is slope ± t s, s its standard error, with n - 2
    degrees of freedom."""
    x, y = np.log(np.asarray(sizes, float)), np.log(np.asarray(seconds, float))
    freedom = len(x) - 2
    if freedom < 0 or np.ptp(x) == 0:
        return Slope()
    x, y = x - x.mean(), y - y.mean()
    slope = float(x @ y / (x @ x))
    if freedom == 0:
        return Slope(slope)
    residual = y - slope * x
    reach = student(confidence, freedom) * float(np.sqrt(residual @ residual / freedom / (x @ x)))
    return Slope(slope, slope - reach, slope + reach)


@cache
def student(confidence, freedom):
    """The t with P(|T| <= t) = confidence.

    With t = sqrt(freedom) tan(a) the density is proportional to cos(a)^(freedom - 1), for
    0 <= a < pi/2. It is integrated by the midpoint rule, and the integral is inverted.
    """
    edges = np.linspace(0, np.pi / 2, 100_001)
    mass = np.cumsum(np.cos((edges[1:] + edges[:-1]) / 2) ** (freedom - 1))
    return float(np.sqrt(freedom) * np.tan(np.interp(confidence, np.r_[0, mass] / mass[-1], edges)))
