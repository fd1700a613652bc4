"""Finite differences on balls: derivatives from values of the function alone.

They use no rules.  With steps of 2^-125 and less a central difference is right to 40 digits and
more, and the branches that the function takes at each point (see `ball.branches`) tell whether it
is smooth between them.
"""

from __future__ import annotations

from functools import cached_property
from itertools import product
from typing import NamedTuple

import numpy as np

from ..ball import ANY_OF_SEVERAL, Ball, branches, working_bits
from ..modes import ALL, Mode

#: Precisions in bits: the next one is tried where cancellation has left fewer digits than `ENOUGH`
#: (a saturated tail is as small as 1e-100, and its 40 digits count too).
BITS = (400, 800, 1600, 3200)
ENOUGH = 45

#: Digits to which a rule must agree with differences; with fewer it is refuted.
REQUIRED = 40


def step_of_order(order, bits):
    """A power of two that balances truncation, h^2, against rounding, 2^-bits / h^order."""
    return 2.0 ** -(5 * bits // 16 if order == 1 else bits // 4)


class Place(NamedTuple):
    """A function's result at a point, a Ball or a tuple of them, and the branches that it took."""

    value: object
    branches: object


def evaluated(f, x):
    """The `Place` of f at a dict of Balls."""
    with branches() as taken:
        value = f(x)
    return Place(value, taken)


def moved(x, *steps):
    """x with a multiple of a direction added for each step ``(t, direction)``; directions name the
    arrays that move."""
    there = dict(x)
    for t, direction in steps:
        there |= {k: there[k] + d * t for k, d in direction.items()}
    return there


class Difference:
    """The central difference of f at x, along one direction or two.

    along u:        (f(x + hu) - f(x - hu)) / 2h
    along u and v:  (f(x + hu + hv) - f(x + hu - hv) - f(x - hu + hv) + f(x - hu - hv)) / 4h^2

    f           of a dict of Balls; its result is a Ball or a tuple of them, and so are all figures
                of the difference
    x           the point, a dict of Balls
    directions  dicts of Balls, for the arrays that move
    h           the step
    here        the `Place` of f at x, where it is known
    """

    def __init__(self, f, x, *directions, h, here=None):
        self.f, self.x, self.h, self.order = f, x, h, len(directions)
        self._here = here
        self.at = {signs:
                   evaluated(f, moved(x, *((sign * h, d) for sign, d in zip(signs, directions))))
                   for signs in product((1, -1), repeat=len(directions))}

    @cached_property
    def here(self):
        """The `Place` of f at x."""
        return self._here or evaluated(self.f, self.x)

    @property
    def smooth(self):
        """Does f take the same branches at all points?  Where it does not, there is a kink or a
        jump."""
        def same(any_of_several):
            here, *others = ([b for b in place.branches
                              if (b[0] == ANY_OF_SEVERAL) == any_of_several]
                             for place in (self.here, *self.at.values()))
            return all(there == here for there in others)

        return same(False) and (same(True) or not self.jump)

    @cached_property
    def quotient(self):
        """The central difference quotient."""
        h, f = self.h, {signs: place.value for signs, place in self.at.items()}
        if self.order == 1:
            return each(lambda above, below: (above - below) / (2 * h), f[1,], f[-1,])
        return each(lambda a, b, c, d: (a - b - c + d) / (2 * h) / (2 * h),
                    f[1, 1], f[1, -1], f[-1, 1], f[-1, -1])

    @cached_property
    def sides(self):
        """(left slope, right slope) along one direction."""
        h = self.h
        return (each(lambda here, below: (here - below) / h, self.here.value, self.at[-1,].value),
                each(lambda above, here: (above - here) / h, self.at[1,].value, self.here.value))

    @property
    def jump(self):
        """Is f so steep on a side that it jumps, or ends, or is infinitely steep here?"""
        return not all(np.all(np.abs(((there - here) / self.h).mid()) < self.h ** -0.5)
                       for place in self.at.values()
                       for there, here in zip(tupled(place.value), tupled(self.here.value)))

    def sides_meet(self, scale):
        """Are the slopes of both sides the same, as where a higher derivative alone has a kink?

        They then differ by a multiple of the step, where `scale` is of the slopes' size.
        """
        left, right = self.sides
        return bool(
            np.all(np.abs(right - left).abs_upper() <= np.sqrt(self.h) * np.abs(scale).abs_upper()))

    @property
    def continuous(self):
        """Is what the function does over the step, along one direction, small beside the root of
        the step?"""
        def near(above, below):
            above, apart = above + Ball(0.0), np.abs(above - below + Ball(0.0))
            return (above.finite()
                    & (apart.abs_upper() <= np.sqrt(self.h) * (1 + np.abs(above).abs_upper())))

        apart = each(near, self.at[1,].value, self.at[-1,].value)
        return all(map(np.all, tupled(apart)))


class Differences:
    """A source of derivatives that uses no rule: entry by entry, from values of f alone, to 40
    digits where f is smooth.

    Evaluates f twice for each entry to first order, four times to second.
    """

    @staticmethod
    def differentiate(mode, f, x, u, v):
        """The derivatives of f, a scalar function of a dict of Balls: see `Mode.differentiate`."""
        def along(*directions):
            return Difference(f, x, *directions,
                              h=step_of_order(mode.order, working_bits())).quotient

        if mode == Mode.FORWARD:
            return {k: along({k: v[k]}) for k in x}
        if mode == Mode.FORWARD_OVER_FORWARD:
            return {ALL: along(u, v)}
        beside, found = (v,) * (mode.order - 1), {}
        for k, b in x.items():
            entries = [along({k: unit(b, n)}, *beside) for n in range(b.size)]
            found[k] = np.reshape(np.stack(entries), b.shape) if entries else b
        return found


BY_DIFFERENCES = Differences()


def each(function, *results):
    """The function of results, or of the results in each place of tuples."""
    return tuple(map(function, *results)) if isinstance(results[0], tuple) else function(*results)


def tupled(x):
    """A result as a tuple of results."""
    return x if isinstance(x, tuple) else (x,)


def unit(array, index):
    """A Ball of the array's shape that is 1 at a flat index and 0 elsewhere."""
    return Ball(np.eye(1, array.size, index).reshape(array.shape))
