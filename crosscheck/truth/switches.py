"""A jump of f itself: where a function changes from one formula to another that is nearly the same.

softplus(x) is log(1 + exp(x)) up to some x and x from there on; its value jumps by 2e-9 there, and
the slope of the whole formula, which is a right answer, is then none of the one that f uses. Such
an answer, integrated along a line, gives what f changes by, but for the jump.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

import numpy as np

#: The line is cut into so many intervals, over each of which the answer is integrated by so many
#: points.
INTERVALS, POINTS = 32, 8

#: The interval of which most is missing is halved, at most this often, until it is this part of the
#: line.
SPLITS, NARROW = 120, 2.0 ** -40


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
