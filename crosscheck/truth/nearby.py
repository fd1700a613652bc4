"""At a kink or a tie: is an answer the gradient of points nearby?

Where entries tie, a function has several gradients nearby, one for each order of the entries, and a
derivative may be any of them: the choice of the first of the largest, say.  An answer is right if
there is a direction d such that the gradient at x + t d is the answer for all small t.  Then f(x +
t d') - f(x) = t <answer, d'> for all d' close to d; and since no other piece of f has that slope
along a d' drawn at random, one such equation is enough.  A tie may also be shared: then the answer
lies in the convex hull of the gradients nearby, so that along every direction it is between their
slopes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice, permutations

import numpy as np

#: Directions drawn at random, and orders of the entries in which each takes every place in turn.
RANDOM, TURNS = 40, 24

#: How many results of f are looked at one by one, where their sum is no gradient nearby.
ROWS = 256

#: Of a result the places among the others that the entries chosen by its gradient are given in
#: turn.
PLACES = 16

#: Points and directions by which the convex hull of the gradients nearby is explored.
POINTS, ENTRIES = 40, 6

#: Of more entries than this, not all of their orders can be looked for.
MANY = 256

#: Gradients that turn are seen to do so in some of so many directions.
TURNING, SEEN = 12, 3

#: How far to both sides of a direction others are compared with it.
TO_BOTH_SIDES = 2.0 ** -4

#: How far the second point is from the first one near x, relative to the distance of that from x.
ON = 2.0 ** -7

#: Directions are moved off the diagonals by this much, so that no two pieces have the same slope
#: along them.
ASIDE = 2.0 ** -6

#: And where gradients turn with the direction, as those of equal eigenvalues do: the square of it
#: is lost.
LITTLE = 1e-4


@dataclass
class Beside:
    """The values of f beside x.

    known  `ByBalls` or `ByDifferences`; ``known.rises(direction)`` has, for each result, its rise
           over a small step along a direction, divided by the step, and ``known.same(a, b, size)``
           says whether two slopes are the same as far as such rises can tell, where terms of that
           size are added
    x      the point
    names  the arrays that move
    """

    known: object
    x: dict
    names: list

    def rises(self, direction):
        """The rises of all results, as one array."""
        return np.concatenate([np.ravel(r) for r in self.known.rises(direction)])

    def scaled(self, flat):
        """A direction from numbers for all entries that move."""
        flat, found = np.asarray(flat, float), {}
        for k in self.names:
            a = self.x[k]
            found[k] = flat[:a.size].reshape(a.shape) * self.size(k)
            flat = flat[a.size:]
        return found

    def size(self, k):
        """The size that a direction's entries for an array are relative to."""
        return max(1.0, float(np.max(np.abs(self.x[k]), initial=0.0)))

    def flat(self, arrays):
        return np.concatenate([np.ravel(np.asarray(arrays[k], float)) for k in self.names])

    @property
    def count(self):
        return sum(self.x[k].size for k in self.names)


def is_gradient_nearby(known, x, names, gradient, row):
    """Is the gradient one of those at points nearby, or between them?  None where it is unknown.

    names     the arrays that the gradient is with respect to, which move
    gradient  name -> array, of s = <G, f>
    row       function of cotangents that gives the gradient of another combination of the results
    """
    with np.errstate(all="ignore"):
        return _is_gradient_nearby(Beside(known, x, names), gradient, row)


def _is_gradient_nearby(beside, gradient, row):
    rng, weights = np.random.default_rng(beside.count), beside.known.weights
    g, w = beside.flat(gradient), np.concatenate([np.ravel(np.asarray(c, float)) for c in weights])
    chosen, met = np.sort(rng.permutation(len(w))[:ROWS]), []

    def meets(orders):
        """Is the answer the gradient in one of these directions?"""
        for order in orders:
            d = beside.scaled(order)
            rises, terms = beside.rises(d), g * beside.flat(d)
            size = np.abs(terms).sum() + np.abs(w * rises).sum()
            if beside.known.same(terms.sum(), w @ rises, size):
                return True
            met.append((order, beside.flat(d), rises[chosen]))
        return False

    if meets(_orders(g, rng)) or meets(_of_arrays(beside, rng)):
        return True
    rows = np.array([beside.flat(row(_parts(np.eye(1, len(w), j)[0], weights))) for j in chosen])
    if meets(_of_rows(rows, rng)):
        return True
    if len(chosen) == len(w) and len(g) <= MANY and meets(_put_together(beside, g, w, met, rng)):
        return True
    # There is no one direction for all results, or it was not met: each of them is a choice of its
    # own.
    orders = [order for order, _, _ in met]
    near = all(_row_is_nearby(beside, rows[k], j, [(o, d, rises[k]) for o, d, rises in met], rng)
               for k, j in enumerate(chosen))
    if near and _between(beside, lambda rises: w @ rises, g, orders, rng):
        return True
    # Of results that are entries of x all orders can be met; of others not all choices go together.
    # Nor can all gradients be met that turn with the direction, as those of equal eigenvalues of
    # any matrix.
    certain = not near or np.max(np.count_nonzero(rows, axis=1), initial=0) <= 1
    return False if certain and len(g) <= MANY and not _turn(beside, w, rng) else None


def _put_together(beside, g, w, met, rng):
    """The direction that has, of each part of the entries that has results of its own, a direction
    that was met in which the answer is right for that part: the rows of a batch choose
    independently of each other.  None, where f has no such parts, or no such direction was met for
    one of them."""
    parts, found = _parts_apart(beside, rng), np.zeros(len(g))
    for entries, results in parts if len(parts) > 1 else ():
        for order, d, rises in met:
            terms, rise = (g * d)[entries], (w * rises)[results]
            if beside.known.same(terms.sum(), rise.sum(), np.abs(terms).sum() + np.abs(rise).sum()):
                found[entries] = np.asarray(order)[entries]
                break
        else:
            return
    if found.any():
        yield found


def _parts_apart(beside, rng):
    """(entries, results) of each part of f: the results that change when these entries do, and no
    others."""
    n = beside.count
    base = rng.uniform(-1, 1, n)
    here, labels, reach = beside.rises(beside.scaled(base)), np.arange(n), []
    for i in range(n):
        there = [beside.rises(beside.scaled(np.where(np.arange(n) == i, end, base)))
                 for end in (2.0, -2.0)]
        reach.append(np.any([~(np.abs(r - here) <= ASIDE * np.abs(here)) for r in there], axis=0))
    for result in np.transpose(reach):  # entries that share a result are in one part
        shared = np.unique(labels[result])
        labels[np.isin(labels, shared)] = shared[0] if len(shared) else 0
    reach = np.array(reach)
    return [(np.flatnonzero(labels == part), np.flatnonzero(reach[labels == part].any(axis=0)))
            for part in np.unique(labels)]


def _turn(beside, w, rng):
    """Do the gradients of several results turn with the direction, rather than have a few values?

    Then slopes bend smoothly, and a quarter as much to half as far; where one of a few values takes
    over from another, nothing bends but roundings, or not in this proportion.
    """
    def turn(d, on):
        middle = beside.rises(beside.scaled(d))

        def bend(t):
            sides = sum(beside.rises(beside.scaled(d + s * t * on)) for s in (1, -1))
            return w @ sides - 2 * (w @ middle)

        return bool(3.8 < bend(TO_BOTH_SIDES) / bend(TO_BOTH_SIDES / 2) < 4.2)

    return len(w) > 1 and SEEN <= sum(
        turn(*rng.uniform(-1, 1, (2, beside.count))) for _ in range(TURNING))


def _parts(flat, weights):
    """One array of cotangents for each result."""
    parts = np.split(flat, np.cumsum([np.size(c) for c in weights])[:-1])
    return [part.reshape(np.shape(c)) for part, c in zip(parts, weights)]


def _row_is_nearby(beside, r, j, met, rng):
    """Is the gradient r of result j one of those nearby, or between them?"""
    def same(d, rise):
        return beside.known.same(r @ d, rise, np.abs(r * d).sum() + abs(rise))

    if any(same(d, rise) for _, d, rise in met):
        return True
    for order in _places(r, rng):
        d = beside.scaled(order)
        if same(beside.flat(d), beside.rises(d)[j]):
            return True
    return _between(beside, lambda rises: rises[j], r, [order for order, _, _ in met], rng)


def _between(beside, of, r, orders, rng):
    """Along its own direction, along entries and at random: is the answer between the slopes at
    points nearby?
    """
    n = beside.count
    special = np.argsort(-np.abs(r), kind="stable")[:ENTRIES]
    along = [r, np.ones(n), *np.eye(n)[special], *rng.uniform(-1, 1, (ENTRIES, n))]
    chosen = [orders[i] for i in np.linspace(0, len(orders) - 1, POINTS).astype(int)]
    bases = [of(beside.rises(beside.scaled(order))) for order in chosen]
    for d in along:
        d = d / (np.max(np.abs(d)) or 1.0)
        told = float(r @ beside.flat(beside.scaled(d)))
        slopes = [(of(beside.rises(beside.scaled(order + ON * d))) - base) / ON
                  for order, base in zip(chosen, bases)]
        slopes = [s for s in slopes if np.isfinite(s)]
        size = (abs(told) + max(map(abs, [*slopes, *bases]), default=0.0)) / ON
        if not slopes or not (min(slopes) <= told <= max(slopes) or any(
                beside.known.same(told, s, size) for s in slopes)):
            return False
    return True


def _orders(g, rng):
    """Directions in which entries that tie come apart: by position, as the answer's own entries
    say, and others.
    """
    n = len(g)
    position = (np.arange(n) - (n - 1) / 2 + 0.25) / n
    weight = g / (np.max(np.abs(g)) or 1.0)
    for base in (position, weight, np.abs(weight), weight + position, weight - position):
        for sign in (1, -1):
            yield sign * base + ASIDE / n * rng.uniform(-1, 1, n)
    for sign in (1, -1):
        yield sign + rng.uniform(-0.25, 0.25, n)
    for turn in range(min(n, TURNS)):
        for sign in (1, -1):
            turned = np.roll(position, turn * max(1, n // TURNS))
            yield sign * turned + ASIDE / n * rng.uniform(-1, 1, n)
    for _ in range(RANDOM):
        yield rng.uniform(-1, 1, n)


def _of_arrays(beside, rng):
    """Directions in which all entries of one array come before all of another's, as bounds do."""
    arrays = [beside.x[k] for k in beside.names]
    for places in islice(permutations(range(len(arrays))), TURNS) if len(arrays) > 1 else ():
        yield np.concatenate([
            (place - (len(arrays) - 1) / 2 + rng.uniform(-0.25, 0.25, a.size)) / beside.size(k)
            for place, a, k in zip(places, arrays, beside.names)])


def _of_rows(rows, rng):
    """Directions in which the results come apart in their own order, turned round, and from each
    place on.

    The gradients of results that are sorted say what must be larger than what: of eigenvalues that
    are the same, too, whose gradients are made of eigenvectors that are any.
    """
    count = len(rows)
    for turn in range(min(count, TURNS)):
        ranks = np.roll(np.arange(count), turn * max(1, count // TURNS))
        # Entries that no result has are between the others, below or above them.
        for lowest in (0.25 - (count - 1) / 2, 1, -count):
            d = (ranks + lowest) @ rows
            size = np.max(np.abs(d), initial=0.0)
            for sign in (1, -1) if size else ():
                yield sign * d / size + LITTLE * rng.uniform(-1, 1, d.shape)


def _places(r, rng):
    """Directions that give the entries of which a result's gradient is made each place among the
    others.
    """
    n, chosen = len(r), np.flatnonzero(r)
    if not 0 < len(chosen) <= ENTRIES:
        return
    for place in np.unique(np.linspace(0, n, PLACES).astype(int)):
        for sign in (1, -1):
            others = (rng.permutation(n) + 0.5) / n
            ranks = np.argsort(np.argsort(sign * r[chosen])) / len(chosen)
            others[chosen] = (place + 0.1 * ranks) / n
            yield others - 0.5 + 0.01 / n * rng.uniform(-1, 1, n)


def rounded_at_random(x, eps, seed, alike=False):
    """x, a dict of arrays, with every entry moved by one rounding, equal ones `alike`; with seed 0
    x itself."""
    if seed == 0:
        return x
    rng = np.random.default_rng(seed)
    if not alike:
        return {k: a * (1 + eps * rng.choice([-1.0, 1.0], a.shape)) for k, a in x.items()}
    values = np.unique(np.concatenate([np.ravel(a) for a in x.values()]))
    signs = rng.choice([-1.0, 1.0], values.shape)
    return {k: a * (1 + eps * signs[np.searchsorted(values, a)]) for k, a in x.items()}
