"""The truth, in ball arithmetic: the exact derivatives, finite differences right to 40 digits and
more, and how far rounding alone can lead astray.

- The exact derivative is refgrad's, computed on balls of `BITS` bits: an enclosure of what the
  rules say.
  Where there is no rule that runs on balls, it is itself the difference.
- Differences never use a rule: they evaluate the function alone, at steps of 2^-125, and so tell if
  rules are right.
- The bound is the same computation on balls of the working precision: every way of rounding it ends
  inside the ball.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..ball import Ball, Undecided, arithmetic, digits
from ..formats import format_named
from ..modes import ALL, Mode
from ..phases import BOUNDS, DIFFERENCES, GRADIENTS, phase
from ..subjects.libraries.refgrad_library import LIBRARY as REFGRAD
from ..subjects.libraries.refgrad_library import inner
from ..subjects.subject import raised_by_the_subject
from ..verdict import Context, telling
from .differences import (BITS, BY_DIFFERENCES, ENOUGH, REQUIRED, Difference, evaluated,
                          step_of_order, unit)

#: Why a difference is inconclusive if its steps leave the domain; finer steps are tried.
ENDS = "the function has no value a step aside"

#: For bounds to first order: roundings 2^-FINER times smaller, so small that balls grow in
#: proportion to them.
FINER = 100


@dataclass
class Agreement:
    """How a rule compares with differences: digits (inf if both are the same number), or a kink
    with its slopes.

    quotient, rule  the difference and what the rule says, Balls
    open            why low agreement is inconclusive; "" if the rule is wrong
    bent            whether f takes other branches aside, although both sides have the slope of the
                    rule
    """

    digits: float
    kink: str = ""
    slopes: tuple = ()
    quotient: Ball | None = None
    rule: Ball | None = None
    open: str = ""
    bent: bool = False

    @property
    def refuted(self):
        """Do differences say that the rule is wrong?"""
        return not self.kink and not self.open and not self.digits >= REQUIRED

    def __and__(self, other):
        return min(self, other, key=lambda a: (not a.kink, not a.open, a.digits))


@dataclass
class Truth:
    """All that is known about a network's derivatives at a point."""

    derivatives: dict = field(default_factory=dict)  # mode -> name -> Ball
    gradient: dict = field(default_factory=dict)     # name -> Ball
    product: dict = field(default_factory=dict)      # name -> Ball, the Hessian times v
    curvature: Ball | None = None                    # u' H v
    magnitude: Ball | None = None                    # |f|
    agreement: dict = field(default_factory=dict)    # (order, name) -> Agreement
    bounds: dict = field(default_factory=dict)       # (mode, dtype) -> name -> Bound
    # Order -> the largest entry of gradient, Hessian product.
    scale: dict = field(default_factory=dict)
    value: float = 0.0                               # |f|, rounded up
    bits: int = 0                                    # the precision of all this
    undecided: str = ""                              # why nothing is known
    # Their source: refgrad's rules, or `BY_DIFFERENCES`.
    by: object = REFGRAD
    # (f, x, u, v), all on balls: what bounds are computed from
    program: tuple = ()
    # See `holds`.
    held: dict = field(default_factory=lambda: {Mode.REVERSE: True,
                                                Mode.FORWARD_OVER_REVERSE: True})

    def telling(self, mode, dtype):
        """A bound tells something below this: the derivative's scale, or the value's if that is
        lost beside it."""
        return telling(self.scale[Mode(mode).order], self.value, dtype)

    def context(self, mode, name, dtype, **beside):
        """The `Context` in which a result is judged; `beside` has more of its fields."""
        mode = Mode(mode)
        return Context(mode, dtype, self.agreement[mode.order, name],
                       self.scale[mode.order], self.value, self.bits,
                       condition=(lambda: self.condition) if self.program else None,
                       bend=self._bend if mode.order == 2 else 0.0, **beside)

    @property
    def _bend(self):
        """The largest slope over the smallest entry of x that is not 0."""
        _, x, _, _ = self.program or ((), {}, (), ())
        sizes = [float(np.min(np.abs(b.mid()), where=b.mid() != 0, initial=np.inf))
                 for b in x.values()]
        return self.scale[1] / min(sizes, default=np.inf)

    def bound(self, mode, dtype, name):
        """The `Bound` of one derivative, computed when it is first asked for."""
        if (mode, dtype) not in self.bounds:
            self.bounds.update(_bounds(self, mode, (dtype,), True))
        return self.bounds[mode, dtype][name]

    def holds(self, mode):
        """Do the rules say in this mode what is exact?  Reverse mode and forward over reverse are
        what is differenced; a fault of the others' own rules would widen their own bound."""
        if self.by is BY_DIFFERENCES:
            return True
        if mode not in self.held:
            with phase(GRADIENTS), arithmetic(self.bits):
                try:
                    found = enclosures(mode, *self.program)
                    self.held[mode] = all(np.all(d.overlaps(self.derivatives[mode][k]))
                                          for k, d in found.items())
                except Undecided:
                    self.held[mode] = True
        return self.held[mode]

    @cached_property
    def condition(self):
        """The condition number of the gradient: its relative change over that of x, in the norm,
        entry by entry.

        It is |H (x . r)| / |g| with r of signs:
            what a relative error of one unit in every entry of x does to g.
        """
        f, x, _, _ = self.program
        rng = np.random.default_rng(0)
        signs = {k: x[k] * Ball(rng.choice([-1.0, 1.0], b.shape)) for k, b in x.items()}
        try:
            with arithmetic(self.bits):
                change = enclosures(Mode.FORWARD_OVER_REVERSE, f, x, x, signs, self.by)
        except Undecided:
            return np.nan
        size = _norm(self.gradient)
        return _norm(change) / size if size else np.inf


def _norm(balls):
    """The norm over several arrays, of midpoints."""
    entries = np.concatenate([np.ravel(b.mid()) for b in balls.values()])
    largest = float(np.max(np.abs(entries), initial=0.0))
    return (largest * float(np.linalg.norm(entries / largest)) if largest and np.isfinite(largest)
            else largest)


def differentiate(f, x, u, v, seed, modes=tuple(Mode), dtypes=("float64", "float32"), coordinates=3,
                  proven=tuple(Mode), by=REFGRAD):
    """The `Truth` about f at x along the directions u and v (dicts of float64 arrays).

    f must be exact too: the constants that it uses are balls, since floats among themselves would
    be rounded.

    coordinates  how many single entries are differenced, besides each array along its direction, at
                 once where that leaves nothing open;
                 None for no difference at all, where the formula is known to hold
    modes        which derivatives are wanted; without those of second order nothing of second order
                 is computed
    proven       the modes whose bounds are to be proven where they can be; for the others first
                 order will do, which one computation gives for all dtypes
    by           the source of the derivatives
    """
    with phase(DIFFERENCES):
        return _differentiate(f, *({k: Ball(a) for k, a in d.items()} for d in (x, u, v)), seed,
                              tuple(map(Mode, modes)), dtypes, coordinates, proven, by)


def _differentiate(f, balls, u, v, seed, modes, dtypes, coordinates, proven, by):
    bits, before = BITS[0], None
    while True:
        truth = _truth(f, balls, u, v, np.random.default_rng(seed), modes, coordinates, bits, by)
        if bits == BITS[-1] or not truth.undecided and all(_settled(truth, before, key)
                                                           for key in truth.agreement):
            break
        # A kink is one at all precisions; one that is only near is not crossed by the finest steps.
        kinked = any(a.kink for a in truth.agreement.values())
        bits, before = BITS[-1] if kinked else BITS[BITS.index(bits) + 1], truth
    if truth.undecided:
        return truth
    for key, a in truth.agreement.items():
        certain = by is not BY_DIFFERENCES and _converged(truth, before, key)
        if not a.kink and not a.digits >= REQUIRED and not certain:
            a.open = (a.open or f"not smooth here, or cancelled beyond {truth.bits} bits: "
                                "differences do not converge")
    rough = next((a.open for a in truth.agreement.values() if a.open), "")
    for (order, _), a in truth.agreement.items():
        if order == 2 and rough and not a.kink:
            a.open = rough
    for mode in modes if dtypes else ():
        truth.bounds.update(_bounds(truth, mode, dtypes, mode in proven))
    return truth


def _settled(truth, before, key):
    """Will more bits tell nothing new?  Enough digits agree, or the rule is certainly wrong."""
    return truth.agreement[key].digits >= ENOUGH or _converged(truth, before, key)


def _converged(truth, before, key):
    """Are both the difference and the rule known to the digits that are required?  Then they are
    what they are.

    A rule that gives no number, where the difference does, may need more bits, but not more than
    there are.
    """
    found, earlier = truth.agreement[key], before.agreement.get(key) if before else None
    if earlier is None or found.quotient is None or earlier.quotient is None:
        return False
    with arithmetic(truth.bits):
        if not digits(found.quotient, earlier.quotient, found.quotient) >= REQUIRED:
            return False
        if not found.rule.finite():
            return truth.bits == BITS[-1]
        return bool(digits(found.rule, found.rule, found.rule) >= REQUIRED
                    or digits(found.rule, found.rule, found.quotient) >= REQUIRED)


def _truth(f, balls, u, v, rng, modes, coordinates, bits, by):
    truth = Truth(bits=bits, program=(f, balls, u, v), by=by)
    try:
        with arithmetic(bits):
            with phase(GRADIENTS):
                here = _exact(truth, f, balls, u, v, modes)
            if coordinates is None:
                truth.agreement = {(1, k): Agreement(np.inf) for k in balls}
                return truth
            _first_order(truth, f, balls, v, rng, coordinates, here)
            if truth.product:
                _second_order(truth, f, balls, u, v, here)
    except Undecided as error:
        truth.undecided = str(error)
    return truth


def enclosures(mode, f, x, u, v, by=REFGRAD):
    """A mode's results on balls, in the arithmetic in force; a derivative zero by structure becomes
    a ball too."""
    found = by.differentiate(Mode(mode), f, x, u, v)
    return {k: d if isinstance(d, Ball) else Ball(d) for k, d in found.items()}


def _exact(truth, f, balls, u, v, modes):
    """What the rules say; returns the `Place` of f here."""
    gradient = enclosures(Mode.REVERSE, f, balls, u, v, truth.by)
    slopes = {k: np.sum(gradient[k] * v[k]) for k in gradient}
    known = {Mode.REVERSE: gradient, Mode.FORWARD: slopes}
    # What to measure against where a derivative is zero: the next lower order, and at last 1.
    here = evaluated(f, balls)
    truth.magnitude = np.abs(here.value)
    truth.value = float(truth.magnitude.upper())
    first = _largest(gradient)
    truth.gradient, truth.scale = gradient, {1: float(_certain(first, truth.magnitude).upper())}
    if any(mode.order == 2 for mode in modes):
        product = enclosures(Mode.FORWARD_OVER_REVERSE, f, balls, u, v, truth.by)
        truth.product, truth.curvature = product, inner(product, u)
        truth.scale[2] = float(_certain(_largest(product), first, truth.magnitude).upper())
        known.update({mode: product for mode in Mode if mode not in known})
        known[Mode.FORWARD_OVER_FORWARD] = {ALL: truth.curvature}
    truth.derivatives = {mode: known[mode] for mode in modes}
    return here


def _largest(balls):
    """The largest absolute value among the entries that are certainly not zero."""
    return Ball(max((float(np.max(np.where(np.maximum(b.lower(), -b.upper()) > 0, b.abs_upper(), 0),
                                  initial=0.0))
                     for b in balls.values()), default=0.0))


def _certain(*sizes):
    """The first size that is certainly not zero; 1 if none is."""
    for size in sizes:
        if float(size.lower()) > 0:
            return size
    return Ball(1.0)


class Part(NamedTuple):
    """What is differenced to first order: an array along its part of v, or along a single entry."""

    name: str
    direction: Ball
    slope: Ball  # along it, as the rule says
    scale: Ball  # what digits are counted against


def _first_order(truth, f, balls, v, rng, coordinates, here):
    """Each array along its part of v, and a few single entries: all at once, and what that leaves
    open one by one."""
    h = step_of_order(1, truth.bits)
    sizes = {k: np.sum(np.abs(truth.gradient[k] * v[k])) for k in balls}
    everywhere = sum(sizes.values(), start=Ball(0.0))

    def part(k, direction, size=None):
        slope = np.sum(truth.gradient[k] * direction)
        size = np.abs(slope) if size is None else size
        return Part(k, direction, slope, _certain(size, everywhere, truth.magnitude))

    parts = [part(k, v[k], sizes[k]) for k in balls]
    for _ in range(coordinates):
        k = str(rng.choice(list(balls)))
        if balls[k].size:
            parts.append(part(k, unit(balls[k], int(rng.integers(balls[k].size)))))
    for p, found in zip(parts, _at_once(parts, f, balls, rng, h, here)):
        if not found.digits >= ENOUGH:
            found = _agreement(p.slope, p.scale, f, balls, {p.name: p.direction}, h=h, here=here)
        # Where a tie turns with the direction, f is as straight along each, but no plane.
        if found.bent:
            for half in _halves(p.direction):
                slope = np.sum(truth.gradient[p.name] * half)
                found &= _agreement(slope, p.scale, f, balls, {p.name: half}, h=h, here=here)
        truth.agreement[1, p.name] = truth.agreement.get((1, p.name), found) & found


def _halves(direction):
    """A direction along every other entry alone, and along the others."""
    even = np.arange(direction.size).reshape(direction.shape) % 2
    return direction * even, direction * (1 - even)


def _at_once(parts, f, x, rng, h, here):
    """The `Agreement` of each part, by one difference along a sum of random multiples of all;
    without digits where f is not smooth along it.

    What the difference is off what the rules say is laid to each part by itself. Errors of several
    parts do not cancel: that they do so to n digits has a chance of 10^-n.
    """
    multiples = rng.uniform(1 / 8, 1 / 4, len(parts))  # small: a longer step costs digits
    along, slope = {}, Ball(0.0)
    for t, p in zip(multiples, parts):
        along[p.name] = p.direction * t + along.get(p.name, 0.0)
        slope = slope + p.slope * t
    try:
        difference = Difference(f, x, along, h=h, here=here)
    except Exception:  # one by one they raise it too, or are known
        return [Agreement(np.nan)] * len(parts)
    if not difference.smooth:
        return [Agreement(np.nan)] * len(parts)
    quotients = [p.slope + (difference.quotient - slope) / t for t, p in zip(multiples, parts)]
    return [Agreement(float(digits(q, p.slope, p.scale)), quotient=q, rule=p.slope)
            for q, p in zip(quotients, parts)]


def _agreement(rule, scale, f, x, *directions, h, here):
    """The `Agreement` of what a rule says with a `Difference`; `scale` is what digits are counted
    against."""
    try:
        difference = Difference(f, x, *directions, h=h, here=here)
    except (Undecided, NotImplementedError):
        raise
    except Exception as error:  # LinAlgError, or what the program raises outside of its domain
        return Agreement(np.nan, open=f"{ENDS}: {error}")
    quotient = difference.quotient
    agreed = float(digits(quotient, rule, scale))
    # Where a higher derivative alone has a kink, both sides have the slope that the rule gives.
    if (difference.smooth
            or difference.order == 1 and agreed >= REQUIRED and difference.sides_meet(scale)):
        return Agreement(agreed, quotient=quotient, rule=rule, bent=not difference.smooth)
    if difference.order == 2:
        return Agreement(np.nan, "the second difference crosses a kink")
    if difference.jump:
        return Agreement(np.nan, open="the function jumps or ends here, or is infinitely steep")
    slopes = tuple(float(side.mid()) for side in difference.sides)
    return Agreement(np.nan, f"left slope {slopes[0]:.6g}, right slope {slopes[1]:.6g}", slopes)


def _second_order(truth, f, balls, u, v, here):
    """u' H v by four values of f, along u and v over all arrays at once."""
    scale, slopes = (inner({k: np.abs(a) for k, a in d.items()},
                           {k: np.abs(a) for k, a in u.items()})
                     for d in (truth.product, truth.gradient))
    # A function without curvature has nothing to measure against but its slopes.
    found = _agreement(truth.curvature, _certain(scale, slopes, truth.magnitude), f, balls, u, v,
                       h=step_of_order(2, truth.bits), here=here)
    truth.agreement |= {(2, k): found for k in [*balls, ALL]}


@dataclass
class Bound:
    """The farthest that rounding can lead from the exact derivative, for each entry; inf where
    nothing is known."""

    limit: np.ndarray
    # "proven", or "first order": where balls of the working precision swell out of proportion
    how: str


def _bounds(truth, mode, dtypes, proven):
    """(mode, dtype) -> name -> `Bound`.  A bound must exclude something, else the first order's
    stands in for it."""
    if truth.by is BY_DIFFERENCES:
        nothing = {k: Bound(np.zeros(b.shape), "none") for k, b in truth.derivatives[mode].items()}
        return {(mode, dtype): nothing for dtype in dtypes}
    with phase(BOUNDS):
        return _bounded(truth, mode, dtypes, proven)


def _bounded(truth, mode, dtypes, proven):
    found, short = {}, not proven
    # The finest first: where it proves nothing, the others do not either.
    for dtype in sorted(dtypes, key=lambda d: -format_named(d).precision):
        if not short:
            found[dtype] = _farthest(truth, mode, dtype, 0)
            short = not all(np.max(b, initial=0.0) < truth.telling(mode, dtype)
                            for b in found[dtype].values())
    linear = _farthest(truth, mode, "float32", FINER) if short else {}
    bounds = {}
    for dtype in dtypes:
        coarser = format_named(dtype).eps / format_named("float32").eps
        bounds[mode, dtype] = {}
        for k in truth.derivatives[mode]:
            limit = found.get(dtype, {}).get(k)
            if limit is not None and np.max(limit, initial=0.0) < truth.telling(mode, dtype):
                bounds[mode, dtype][k] = Bound(limit, "proven")
            else:
                first_order = linear[k] * coarser
                least = first_order if limit is None else np.minimum(limit, first_order)
                bounds[mode, dtype][k] = Bound(least, "first order")
    return bounds


def _farthest(truth, mode, dtype, finer):
    """name -> how far from exact the computation may end, in `dtype` or, with `finer`, as smaller
    roundings say."""
    exact = truth.derivatives[mode]
    try:
        with arithmetic(dtype, finer):
            rounded = enclosures(mode, *truth.program)
    except Exception as error:
        # The program's own code may take roundings for what it cannot be: it has no bound then.
        if not (isinstance(error, Undecided) or raised_by_the_subject(error)):
            raise
        return {k: np.full(e.shape, np.inf) for k, e in exact.items()}
    with arithmetic(truth.bits):
        return {k: (np.abs(rounded[k] - e) * 2.0 ** finer).abs_upper() for k, e in exact.items()}
