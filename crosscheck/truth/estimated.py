"""Derivatives of a black box in float64, by differences that state their own uncertainty.

Where a function cannot run on balls, its values are all there is.  Then a derivative is an
interval: the value of a difference, and how far the true one may be from it.  Three things decide
that, and each is measured, none assumed:

- the noise of f, by the table of differences on a fine grid (Moré and Wild 2011; see `lines`),
- the truncation, by the disagreement of extrapolations from steps that shrink (Richardson, Ridders;
  see `tableau`),
- the smoothness, by left and right slopes, and by looking again at scales far below the steps that
  were used: a kink or a jump that is found there sends the search to finer steps.

Where f works with fewer bits than float64's it is a staircase at small steps; `eps` says so (see
`precision`), and then steps stay large beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import hypot, inf, isfinite, nan, sqrt

import numpy as np

from .lines import EPS, Line, added, firsts, groups, moving, noise_of
from .tableau import Interval, Tableau

#: Steps are halved this often before the search gives up or, where entries are small, goes to their
#: own scale.
HALVINGS = 26

#: Scales below the smallest step are looked at with this ratio.
FINER = 8

#: Entries that differences in the plainest way are tried on first, and how far below the first step
#: these go.
MANY, NARROW = 1 << 12, 32

#: Where the noise is rough, a derivative of which not even three bits are known is none.
BITS = 2 ** 3


@dataclass
class Estimate:
    """A derivative by differences.

    value, uncertainty   the true value lies within value ± uncertainty, as far as can be told
    noise                the absolute noise of f near x: one standard deviation
    left, right          the one-sided slopes, `Interval`s
    kink                 they differ, at the finest scale that the noise lets us see: then value ±
                         uncertainty covers both of them; or f jumps
    reason               why nothing is known, and the other figures must not be relied on; "" where
                         something is
    calls                how often f was evaluated
    """

    value: float = nan
    uncertainty: float = inf
    noise: float = nan
    left: Interval = Interval()
    right: Interval = Interval()
    kink: bool = False
    reason: str = ""
    calls: int = 0

    def scaled(self, factor):
        """The estimate of the derivative times a number."""
        return replace(self, value=self.value * factor, uncertainty=self.uncertainty * abs(factor),
                       left=self.left.scaled(factor), right=self.right.scaled(factor))


def slope(f, x, v, eps=EPS):
    """The `Estimate` of the derivative of ``f(x)`` along v, by values of f alone.

    f maps a dict of arrays to a float; v has directions for some of them (the others, and integers,
    do not move); eps is that of the format in which f works.  `lines` and `tableau` name the
    sources of the method.
    """
    with np.errstate(all="ignore"):
        return _sum([_slope(f, x, part, eps) for part in groups(x, v, eps)])


def curvature(f, x, u, v, eps=EPS):
    """The `Estimate` of u' H v by values of f alone: four corners around x, their difference
        extrapolated.

        f(x + hu + hv) - f(x + hu - hv) - f(x - hu + hv) + f(x - hu - hv) = 4 h^2 u' H v + O(h^4)
    """
    with np.errstate(all="ignore"):
        pairs = [(a, b) for a in groups(x, u, eps) for b in groups(x, v, eps)]
        return _sum([_curvature(f, x, a, b, eps) for a, b in pairs])


@dataclass
class Blame:
    """One entry of a gradient that is wrong.

    name, index   where it is
    given         what the gradient has there
    true          the `Estimate` of what it should be
    factor        given / true
    certain       they differ by more than the uncertainty
    """

    name: str
    index: tuple
    given: float
    true: Estimate
    factor: float
    certain: bool


def blame(f, x, gradient, v, eps=EPS):
    """The `Blame` of one entry of `gradient` (a dict, as x), given that <gradient, v> is not the
    slope of f along v.

    By group testing: of two halves of the entries one at least disagrees as a whole.  The first
    half is differenced; if it agrees, the other is at fault; so log2(n) slopes lead to one entry.
    With `MANY` entries or more plain central differences are tried first: the half that disagrees
    more goes on.  What they lead to is differenced as all is.
    """
    v = moving(x, v)
    gradient = {k: np.asarray(gradient[k], float) for k in v}
    places = [np.flatnonzero(d) for d in v.values()]
    entries = np.array([np.concatenate([np.full(len(p), n) for n, p in enumerate(places)] or [[]]),
                        np.concatenate(places or [[]])], int).T
    names = list(v)
    if not len(entries):
        raise ValueError("blame: v is zero in all arrays of floats; give a direction in which the "
                         "gradient is wrong")
    lost = [(n, i) for n, p in enumerate(places)
            for i in p[~np.isfinite(gradient[names[n]].flat[p])][:1]]
    entries = np.array(lost[:1]) if lost else entries

    def part_of(some):
        part = {k: np.zeros(d.shape) for k, d in v.items()}
        for n, k in enumerate(names):
            chosen = some[some[:, 0] == n, 1]
            part[k].flat[chosen] = v[k].flat[chosen]
        return {k: d for k, d in part.items() if d.any()}

    if len(entries) >= MANY:
        with np.errstate(all="ignore"):
            likely = _narrowed(f, x, gradient, entries, part_of, eps)
        found = _blamed(f, x, gradient, v, likely, names, eps)
        if found.certain:
            return found
    while len(entries) > 1:
        half = len(entries) // 2
        part = part_of(entries[:half])
        first = Interval(*_told(gradient, part, eps)).differs(slope(f, x, part, eps))
        entries = entries[:half] if first else entries[half:]
    return _blamed(f, x, gradient, v, entries[0], names, eps)


def _narrowed(f, x, gradient, entries, part_of, eps):
    """The entry to which those halves lead that disagree more with central differences,
    extrapolated once."""
    def gap(some):
        part = part_of(some)
        line, h = Line(f, x, part), firsts(x, part)[0] / NARROW
        far, near = ((line(t) - line(-t)) / (2 * t) for t in (h, h / 2))
        return _told(gradient, part, eps)[0] - (4 * near - far) / 3

    whole = gap(entries)
    while len(entries) > 1:
        first, second = np.array_split(entries, 2)
        of_first = gap(first)
        entries, whole = max((first, of_first), (second, whole - of_first),
                             key=lambda half: abs(half[1]))
    return entries[0]


def _blamed(f, x, gradient, v, entry, names, eps):
    """The `Blame` of an entry, (number of its array, index in it)."""
    name, i = names[entry[0]], int(entry[1])
    given, by = float(gradient[name].flat[i]), float(v[name].flat[i])
    alone = np.zeros(v[name].shape)
    alone.flat[i] = by
    true = slope(f, x, {name: alone}, eps).scaled(1 / by)
    index = tuple(int(j) for j in np.unravel_index(i, alone.shape))
    factor = given / true.value if true.value else inf
    return Blame(name, index, given, true, factor,
                 bool(not abs(given - true.value) <= true.uncertainty))


def _told(gradient, v, eps):
    """(<gradient, v>, what its own rounding may come to)."""
    terms = np.concatenate([(gradient[k] * d).ravel() for k, d in v.items()])
    return float(np.sum(terms)), float(np.sum(np.abs(terms))) * len(terms) * eps


def _sum(estimates):
    """The `Estimate` of the sum of derivatives along parts of a direction; it is zero along
    none."""
    total = estimates[0] if estimates else Estimate(0.0, 0.0, 0.0, Interval(0.0, 0.0),
                                                    Interval(0.0, 0.0))
    for e in estimates[1:]:
        total = Estimate(total.value + e.value, total.uncertainty + e.uncertainty,
                         max(total.noise, e.noise), total.left + e.left, total.right + e.right,
                         total.kink or e.kink, total.reason or e.reason, total.calls + e.calls)
    return total


def _slope(f, x, v, eps):
    line = Line(f, x, v, eps)
    here = line(0.0)
    if not isfinite(here):
        return Estimate(reason="f is nan or inf at x", calls=line.calls)
    steps = firsts(x, v)
    best = _best([line], steps, lambda first, noise: _search(line, first, steps[-1], here, noise))
    return replace(best, calls=line.calls)


def _best(lines, steps, estimate):
    """Of the estimates by these first steps, which fall: the first that gives no reason for doubt,
    or else the best."""
    found = []
    for first in steps:
        noises = [noise_of(line, first, again=first != steps[0]) for line in lines]
        noise = max(filter(None, noises), key=lambda n: n.deviation, default=None)
        if noise is not None:
            e = estimate(first, noise)
            found.append(((bool(e.reason), noise.rough, e.kink, e.uncertainty), e))
            if not any(found[-1][0][:3]):
                break
    return min(found, key=lambda f: f[0],
               default=(None, Estimate(reason="f is not finite on either side")))[1]


def _search(line, first, own, here, noise):
    """The estimate by steps from `first` on or, as long as f does something else at finer scales,
    from those on.

    own  the scale of the smallest entry, where and as far below which f is looked at in any case
    """
    lowest = first * line.smallest
    found, last = _descend(line, first, lowest, here, noise)
    scale, sure = last / FINER, False
    while scale > lowest and not (sure and scale <= min(_finest(found, noise), line.grid * own)):
        sure = _continues(line, found, last, scale, here, noise)
        if not sure:
            found, last = _descend(line, scale, lowest, here, noise)
            scale = last
        scale /= FINER
    if own < scale and not _continues(line, found, last, own, here, noise):
        found, last = _descend(line, own, min(own, lowest), here, noise)
    return _judged(*found, noise, isfinite(line(last)) and isfinite(line(-last)))


def _descend(line, first, lowest, here, noise):
    """What steps from `first` on give, ((central, left, right), the smallest step): until noise
    outweighs the gain."""
    central, left, right = Tableau(2), Tableau(1), Tableau(1)
    for j in range(HALVINGS):
        h = first * 2.0 ** -j
        if j and h < lowest:
            h *= 2
            break
        of_above, of_below, of_here = (noise.factor * noise.at(line(t), t) / h
                                       for t in (h, -h, 0.0))
        spreads = hypot(of_above, of_below) / 2, hypot(of_below, of_here), hypot(of_above, of_here)
        for tableau, quotient, spread in zip((central, left, right), _quotients(line, h, here),
                                             spreads):
            tableau.add(quotient, spread)
        lead = 0 if isfinite(line(h)) and isfinite(line(-h)) else 2 if isfinite(line(h)) else 1
        # The sides must be known too: of an even kink the central quotient is exactly 0 at once.
        unknown = lead == 0 and inf in (left.best.uncertainty, right.best.uncertainty)
        if spreads[lead] > (central, left, right)[lead].best.uncertainty and not unknown:
            break
    return (central.best, left.best, right.best), h


def _finest(sides, noise):
    """The scale down to which f is looked at: the noise's grid; for a kink, where the noise begins
    to hide it."""
    _, left, right = sides
    if not left.differs(right):
        return noise.grid
    return min(noise.grid, FINER * noise.factor * noise.deviation / abs(left.value - right.value))


def _continues(line, found, last, scale, here, noise):
    """Does f at a finer scale go on as the steps down to `last` say?  In between, it may bend as it
    does there."""
    if (any(slope.uncertainty == inf for slope in found) and isfinite(line(scale))
            and isfinite(line(-scale))):
        return False
    spread = 2 * noise.factor * noise.at(here, scale) / scale
    for slope, far, near, power in zip(found, _quotients(line, last, here),
                                       _quotients(line, scale, here), (2, 1, 1)):
        bend = 2 * abs(far - slope.value) * (scale / last) ** power
        if abs(near - slope.value) > slope.uncertainty + bend + spread:
            return False
    return True


def _quotients(line, h, here):
    """The central, left and right difference quotients with step h."""
    above, below = line(h), line(-h)
    return (above - below) / (2 * h), (here - below) / h, (above - here) / h


def _judged(central, left, right, noise, two_sided):
    """The `Estimate` that three intervals make; two_sided: f has values on both sides."""
    kink = left.differs(right)
    if kink:
        low, high = min(a - u for a, u in (left, right)), max(a + u for a, u in (left, right))
        best = Interval((low + high) / 2, (high - low) / 2)
    elif not two_sided:
        best = min(left, right, key=lambda side: side.uncertainty)
    elif (both := max(left.uncertainty, right.uncertainty)) < central.uncertainty < inf:
        # Each side bends its own way.
        best = Interval((left.value + right.value) / 2, both)
    else:
        best = central
    if best.uncertainty == inf:
        return Estimate(noise=noise.deviation, left=left, right=right, kink=two_sided,
                        reason="does not converge")
    hidden = noise.rough and abs(best.value) < BITS * best.uncertainty
    return Estimate(*best, noise.deviation, left, right, kink,
                    "noise hides the slope" if hidden else "")


def _curvature(f, x, u, v, eps):
    """By four corners; u and v are scaled so that steps of 1 suit them both."""
    by_u, by_v = firsts(x, u)[0], firsts(x, v)[0]
    u, v = ({k: a * by for k, a in d.items()} for d, by in ((u, by_u), (v, by_v)))
    plus, minus = (Line(f, x, added(u, v, sign), eps) for sign in (1, -1))
    here = plus(0.0)
    if not isfinite(here):
        return Estimate(reason="f is nan or inf at x", calls=plus.calls)
    own = min(1.0, firsts(x, u)[-1], firsts(x, v)[-1])
    steps = [0.5, own / 2] if own < 1 else [0.5]  # along u + v an entry may move twice as far
    best = _best([plus, minus], steps, lambda first, noise: _bend(plus, minus, first, here, noise))
    return replace(best.scaled(1 / by_u).scaled(1 / by_v), calls=plus.calls + minus.calls)


def _bend(plus, minus, first, here, noise):
    """The estimate of a second derivative, searched as in `_search`; noise, which grows with 1/h^2,
    soon ends it."""
    found, last = _bends(plus, minus, first, noise)
    scale, checks = last / FINER, 0
    while checks < 3 and scale > first * plus.smallest:
        near, far = (_corners(plus, minus, h) for h in (scale, last))
        bend = 2 * abs(far - found[0].value) * (scale / last) ** 2
        spread = 2 * noise.factor * noise.at(here, scale) / scale / scale
        checks += 1
        if abs(near - found[0].value) > found[0].uncertainty + bend + spread:
            found, last = _bends(plus, minus, scale, noise)
            scale, checks = last, 0
        scale /= FINER
    return _judged(*found, noise,
                   all(isfinite(line(h)) for line in (plus, minus) for h in (last, -last)))


def _corners(plus, minus, h):
    # The square of h may underflow.
    return (plus(h) + plus(-h) - minus(h) - minus(-h)) / (4 * h) / h


def _bends(plus, minus, first, noise):
    """What steps from `first` on give of a second derivative, as in `_descend`; on one side by two
    steps."""
    central, left, right = Tableau(2), Tableau(1), Tableau(1)
    for j in range(HALVINGS):
        h = first * 2.0 ** -j
        spread = noise.factor * max(noise.at(line(t), t) for line in (plus, minus)
                                    for t in (h, -h, 0.0)) / h / h
        central.add(_corners(plus, minus, h), spread / 2)
        if j:
            for tableau, sign in ((left, -1), (right, 1)):
                far, near = (plus(sign * t) - minus(sign * t) for t in (2 * h, h))
                tableau.add((far - 2 * near) / (4 * h) / h, spread * sqrt(10) / 4)
        lead = (central if isfinite(_corners(plus, minus, h))
                else min(left, right, key=lambda t: t.best.uncertainty))
        if spread > 4 * lead.best.uncertainty:
            break
    return (central.best, left.best, right.best), h
