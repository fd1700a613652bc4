"""A black box along a line, t -> f(x + t v): which steps suit it, and how noisy its values are."""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial, inf, isfinite, nan, sqrt

import numpy as np

from ..studies.slope import student

#: The part of the truth that lies inside an interval: all but one in ten thousand.
CONFIDENCE = 0.9999

#: The first step moves no entry by more than this part of its size, or of 1 where it is smaller:
#: the common functions are analytic as far as that from their argument, and steps that are a
#: quarter of it gain digits from the start.
FIRST = 0.25

#: The noise is measured at points this part of the first step apart: the third difference of a
#: smooth function, of the order of the cube, is then below float64's rounding; and float32's
#: roundings, of 2^-24, still differ between points. It is no power of two, so that values in
#: float64 fill their last places, by which those in float32 are recognised.
GRID = 3.0 ** -12

#: Noise of more than so many roundings is measured on grids that are finer by `FINER` and `FINER`
#: again, too.
SEVERAL, FINER = 4, 8

#: A second grid is coarser by this; the fifth differences of a smooth function still vanish on it.
COARSER = 2.0 ** 6

#: How many values the noise is measured with (the source advises 6 to 9).
POINTS = 8

#: Noise is measured once more this part of the first step away from x.
AWAY = 1 / 8

#: Entries whose scales are farther apart than this part of the root of 1 / eps cannot move along
#: one line: the smaller steps would leave no trace in the larger entries.  Each group is
#: differenced alone.
APART = 0.25

#: In binary fractions: the rounding of a float64, and of a float32; and float64's eps.
ROUNDING, ROUNDING_OF_SINGLE = 2.0 ** -53, 2.0 ** -24
EPS = 2 * ROUNDING

#: Noise of more than a thousand roundings is rough: it may be detail that the grid is too coarse
#: for.
ROUGH = 512

#: Steps are no smaller than so many eps of the first: there x + h v is x.
LEAST = 4

#: No step is larger than this.
FARTHEST = 1e300

#: Below the smallest normal number roundings are absolute.
TINY = float(np.finfo(float).tiny)


class Line:
    """t -> f(x + t v), each point evaluated once.

    eps       of the format in which f works
    grid      the distance of the points that noise is measured at, beside the first step; with few
              bits the root of eps, so that of entries as far apart as may move together those that
              move least are rounded apart, too
    smallest  the last step that is looked at, beside the first
    """

    def __init__(self, f, x, v, eps=EPS):
        self.f, self.x, self.v, self.eps = f, x, v, eps
        self.grid, self.smallest = max(GRID, 1.1 * sqrt(eps)), LEAST * eps
        self.values, self.calls = {}, 0

    def __call__(self, t):
        if t not in self.values:
            self.values[t] = self.evaluate(t)
        return self.values[t]

    def evaluate(self, t, rng=None):
        """f at x + t v; nan where it has no value.  At x itself an error is the caller's to see.

        With rng, every entry that moves is rounded in another way: to the number above, below or at
        x + t v.
        """
        self.calls += 1
        moved = ({**self.x, **{k: np.asarray(self.x[k] + t * d) for k, d in self.v.items()}} if t
                 else self.x)
        if t and rng is not None:
            moved.update({k: np.asarray(
                moved[k] * (1 + 2 * ROUNDING * (rng.integers(-1, 2, d.shape) * (d != 0))))
                          for k, d in self.v.items()})
        try:
            value = float(self.f(moved))
        except Exception:
            if not t:
                raise
            return nan
        return value if isfinite(value) else nan

    def leaves(self, t):
        """Does some array move by more than its size?"""
        return any(t * np.max(np.abs(d)) > np.max(np.abs(self.x[k])) for k, d in self.v.items())


def moving(x, v):
    """The directions of v that are not zero, of float arrays, as they move along with x."""
    found = {k: np.asarray(d, float) for k, d in v.items() if np.asarray(x[k]).dtype.kind == "f"}
    return {k: d for k, d in found.items() if d.any()}


def _reach(x, v, scale):
    """How far along v each entry may go until it has moved by its own size, or by `scale` if that
    is more."""
    sizes = {k: np.maximum(np.abs(x[k]), scale) for k in v}
    return {k: np.where(d != 0, np.minimum(sizes[k] / np.abs(d), FARTHEST), inf)
            for k, d in v.items()}


def firsts(x, v):
    """The first steps to try, falling: by the size of x where that is above 1, by 1, by its
    smallest entry above 0."""
    whole = min(float(r.min()) for r in _reach(x, v, 1.0).values())
    one = 1 / max(float(np.max(np.abs(d))) for d in v.values())
    own = min(float(np.min(r, where=r > 0, initial=inf)) for r in _reach(x, v, 0.0).values())
    steps = [FIRST * whole]
    for step in (FIRST * one, FIRST * own):
        if step <= AWAY * steps[-1]:
            steps.append(step)
    return steps


def groups(x, v, eps=EPS):
    """v in parts whose entries can move along one line."""
    v, parts, apart = moving(x, v), [], APART / sqrt(eps)
    reach = _reach(x, v, 1.0)
    while (least := min((float(r.min()) for r in reach.values()), default=inf)) < inf:
        near = {k: r <= least * apart for k, r in reach.items()}
        parts.append({k: np.where(near[k], d, 0.0) for k, d in v.items() if near[k].any()})
        reach = {k: np.where(near[k], inf, r) for k, r in reach.items()}
    return parts


def added(u, v, sign):
    """u + sign v, where either may lack names."""
    return {k: u.get(k, 0.0) + sign * v.get(k, np.zeros(())) for k in {**u, **v}}


@dataclass
class Noise:
    """The noise of f near x: a standard deviation, and the factor that makes an interval of it."""

    deviation: float
    factor: float
    size: float      # of f near x
    growth: float    # of the deviation with |t|
    rough: bool      # far beyond roundings: it may be detail that the grid is too coarse for
    grid: float      # the distance of the points that it was measured at

    def at(self, value, t):
        """The noise of another value: it grows with the value, as roundings do, and as it was seen
        to with t."""
        return self.deviation * max(1.0, abs(value) / self.size) + self.growth * abs(t)


@dataclass
class _Sample:
    """Values on a grid, the standard deviation of their noise, and the degrees of freedom that it
    has."""

    values: np.ndarray
    deviation: float
    freedom: int
    sure: bool

    @property
    def size(self):
        """The largest |value|; equal values do not tell what numbers they are differences of: 1
        stands in for those."""
        return float(np.max(np.abs(self.values), initial=0.0 if np.ptp(self.values) else 1.0))

    def rough(self, eps):
        """Is the noise far beyond roundings?"""
        return self.deviation > ROUGH * eps * self.size


def noise_of(line, first, again=False):
    """The `Noise` near x, for steps from `first` on; None where f has no values there.

    J. J. Moré and S. M. Wild, Estimating computational noise, SIAM J. Sci. Comput. 33 (2011).

    The grid's points are rounded at random: on a grid of few units in the last place the roundings
    of x + t v form a line, and would pass for a part of the slope.  A kink at x is no noise: where
    there seems to be much, or where f ends, each side is measured alone.

    again  larger steps have failed: then a coarser grid must not find more noise, since there are
           values that are wrong by the same amount at many points next to each other
    """
    rng = np.random.default_rng(0)
    found = _sample(line, line.grid * first, rng)
    if found is None or found.rough(line.eps):
        sides = [_sample(line, line.grid * first, rng, lowest) for lowest in (1, -POINTS)]
        found = max((s for s in sides if s is not None), key=lambda s: s.deviation, default=None)
    if found is None:
        return None
    found, grid = _without_detail(line, found, line.grid * first, rng)
    size, deviation, freedom, growth = found.size, found.deviation, found.freedom, 0.0
    if line.leaves(first):
        # Roundings of sums may be larger than any of x and of the value: they are measured where x
        # has been left.
        far = _sample(line, line.grid * first, rng, around=first * AWAY)
        if far is not None:
            growth = max(0.0, far.deviation - deviation) / (first * AWAY)
    if again:
        coarse = _sample(line, COARSER * line.grid * first, rng)
        if coarse is not None and coarse.sure and coarse.deviation > deviation:
            deviation, freedom = coarse.deviation, coarse.freedom
    single = line.eps == EPS and bool((found.values.astype(np.float32) == found.values).all())
    # The values are rounded themselves: evenly within half a unit in the last place.
    least = max(size * line.eps / 2, single * abs(line(0.0)) * ROUNDING_OF_SINGLE) / sqrt(3)
    twice = abs(line.evaluate(0.0) - line(0.0))
    rough = max(deviation, twice) > ROUGH * line.eps * size or single and np.ptp(found.values) > 0
    return Noise(max(deviation, least, twice, TINY), student(CONFIDENCE, freedom), size, growth,
                 bool(rough), grid)


def _without_detail(line, found, distance, rng):
    """(the `_Sample` on which noise is noise, the distance of its grid).

    Roundings stay what they are as the grid becomes finer, and what f does in detail does not: the
    first of three grids in a row that agree within a factor of 4 is meant.  With none such, it is
    the sample that was found.
    """
    samples, grids = [found], [distance]
    while samples[-1] is not None and np.ptp(samples[-1].values) and grids[-1] > line.smallest:
        three = [s.deviation for s in samples[-3:]]
        if samples[-1].deviation <= SEVERAL * line.eps * samples[-1].size:
            return samples[-1], grids[-1]
        if len(three) == 3 and max(three) <= 4 * min(three):
            return samples[-3], grids[-3]
        grids.append(grids[-1] / FINER)
        samples.append(_sample(line, grids[-1], rng))
    return found, distance


def _sample(line, distance, rng, lowest=-(POINTS // 2), around=0.0):
    """The `_Sample` on a grid of some distance, or None where f is not finite."""
    steps = around + distance * np.arange(lowest, lowest + POINTS)
    values = np.array([line.evaluate(t, rng) if t else line(0.0) for t in steps.tolist()])
    return _Sample(values, *_deviation(values)) if np.isfinite(values).all() else None


def _deviation(values):
    """(standard deviation of the noise in values on a grid, degrees of freedom, is it sure), by a
    difference table.

    The kth differences of independent noise have the variance (2k)! / k!^2 times its own, while
    those of a smooth function vanish as k rises: the level at which three estimates in a row agree
    within a factor of 4, with differences of both signs, is the noise.  With none such, the largest
    of the last three is.
    """
    # Squares of the differences must neither overflow nor vanish.
    size = float(np.max(np.abs(values))) or 1.0
    levels, differences = [], values / size
    for k in range(1, len(values)):
        differences = np.diff(differences)
        variance = factorial(k) ** 2 / factorial(2 * k) * float(np.mean(differences ** 2))
        levels.append((size * sqrt(variance), differences.min() < 0 < differences.max(),
                       len(differences)))
    for i in range(len(levels) - 2):
        three = [level[0] for level in levels[i:i + 3]]
        if levels[i][1] and max(three) <= 4 * min(three):
            return levels[i][0], levels[i][2], True
    return max(levels[-3:])[0], levels[-3][2], False
