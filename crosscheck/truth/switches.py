"""A jump of f itself: where a function changes from one formula to another that is nearly the same.

softplus(x) is log(1 + exp(x)) up to some x and x from there on; its value jumps by 2e-9 there, and
the slope of the whole formula, which is a right answer, is then none of the one that f uses. Such
an answer, integrated along a line, gives what f changes by, but for the jump.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

import numpy as np

from ..subjects.subject import raised_by_the_subject

#: The line is cut into so many intervals, over each of which the answer is integrated by so many
#: points.
INTERVALS, POINTS = 32, 8

#: The interval of which most is missing is halved, at most this often, until it is this part of the
#: line.
SPLITS, NARROW = 120, 2.0 ** -40

#: What f changes by is known to so many of its roundings.
ROUNDINGS = 64

#: A line is looked at as far as x is large, and where f does not jump there, so many times as far.
FARTHER = 4


def largest(x, along):
    """The largest entry of the arrays of x that move along a direction."""
    return max(float(np.max(np.abs(x[k]), initial=0.0)) for k in along)


def jump_along(f, slope, x, along, least):
    """How high f jumps somewhere on the line through x along a direction, if the answers are its
    slopes but for that; else 0.

    f, slope  functions of a dict of arrays: the value, and what is taken for the slope
    """
    def at(t):
        return {**x, **{k: x[k] + t * d for k, d in along.items()}}

    reach = largest(x, along)
    try:
        with np.errstate(all="ignore"):
            for r in (reach, FARTHER * reach):
                rounded = ROUNDINGS * np.finfo(float).eps * max(abs(f(at(-r))), abs(f(at(r))))
                if found := jump(lambda t: f(at(t)), lambda t: slope(at(t)), r,
                                 max(least, rounded)):
                    return abs(found)
            return 0.0
    except Exception as error:  # the line leaves the function's domain
        if not raised_by_the_subject(error):
            raise
        return 0.0


def jump(f, slope, reach, least):
    """How high f jumps between -reach and reach, if `slope` is its slope everywhere but for that;
    else 0.

    f      t -> a number
    slope  t -> what is taken for its slope
    least  lower jumps are none
    """
    nodes, weights = np.polynomial.legendre.leggauss(POINTS)

    def missing(a, b):
        """What f changes by beyond the integral of the slope."""
        half = (b - a) / 2
        slopes = (w * slope(a + half * (1 + t)) for t, w in zip(nodes, weights))
        return f(b) - f(a) - half * sum(slopes)

    ends = np.linspace(-reach, reach, INTERVALS + 1)
    found = [(-abs(height := missing(a, b)), a, b, height) for a, b in zip(ends, ends[1:])]
    heapify(found)
    for _ in range(SPLITS):
        _, a, b, height = heappop(found)
        if not abs(height) > least:  # nan, too
            return 0.0
        if b - a <= NARROW * reach:
            return float(height)
        middle = (a + b) / 2
        for left, right in ((a, middle), (middle, b)):
            height = missing(left, right)
            heappush(found, (-abs(height), left, right, height))
    return 0.0
