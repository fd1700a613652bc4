"""Mutants that change nothing, proved: the faulty rule against the right one, on balls and on
floats.

A rule is a function R(v, x).  If the faulty one has the same value and the same derivative, then so
have all first and second derivatives that are made with it, in every mode.  Both are compared where
the programs of the primitive's cases put it, on arrays as drawn and moved to where rules break; at
each along a random v and a random direction of v and of the program's arrays.  So of a part of
another function only what reaches it there counts: probabilities that sum to one, say.  In floats
both must give the same numbers, or such as rounding alone, in another order, can lead the right one
to.
"""

from __future__ import annotations

import itertools
import warnings
from dataclasses import dataclass

import numpy as np

from refgrad import jvp

from ...ball import Ball, Undecided, arithmetic, digits
from ...points import MOVES as AROUND
from ...truth.differences import BITS, REQUIRED, Difference
from .operators import is_real
from .planting import SIDES, Fault, faulty_rule, primitive_named, rules_of, sites

#: How far from a point to look for a kink or a jump.
STEP = 2.0 ** -125

#: How arguments drawn by a case are varied: as for every check; whole numbers, and another order in
#: memory.
MOVES = {label: move for label, move, _ in AROUND} | {
    "rounded": lambda x, rng: np.round(x),
    "transposed in memory": lambda x, rng: np.array(x, order="F"),
}


def points(arrays, moved=True):
    """(name, arrays): as drawn; each move of all arrays, of one alone, and of all but one."""
    yield "as drawn", arrays
    if not moved:
        return
    every, rng = range(len(arrays)), np.random.default_rng(0)
    groups = {frozenset(every): ""}
    for i in every:
        groups.setdefault(frozenset({i}), f" in array {i}")
    for i in every:
        groups.setdefault(frozenset(every) - {i}, f" in all but array {i}")
    for name, move in MOVES.items():
        for group, which in groups.items():
            if group:
                yield name + which, tuple(
                    move(x, rng) if i in group else x for i, x in enumerate(arrays))


@dataclass(frozen=True)
class Comparison:
    """Where the faulty rule was compared with the right one, and the first place where it
    differs."""

    points: int            # at which both could be compared on balls to the required digits
    difference: str = ""   # empty if there is none
    case: int = 0          # of the primitive, at which it was found
    # Points where they differ, but the function jumps or ends: a check need not tell.
    ends: frozenset = frozenset()

    @property
    def equivalent(self):
        return not self.difference and self.points > 0


def compare(fault: Fault, seeds=(0, 1, 2)):
    """The `Comparison` of a fault with the right rules, until they differ; arrays of the first seed
    are moved, too."""
    primitive = primitive_named(fault.primitive)
    same, ends = 0, set()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for side in SIDES[:2]:
            if fault.which not in (side, "both"):
                continue
            faulty = faulty_rule(primitive, fault.operator, side, fault.argument)
            for number, seed, point, site in _places(primitive, fault, seeds):
                at = primitive, side, fault.argument, faulty, site
                if point == "as drawn" and _differs_at_kinks(*at, seed):
                    what = f"at a declared kink: the {side} differs in floats"
                    return Comparison(same, f"case {number}, {what}", number)
                found = _compare_at(*at, seed, "transposed" in point)
                if isinstance(found, str):
                    what = f"{point}: the {side} differs {found}"
                    return Comparison(same, f"case {number}, {what}", number)
                if found is None:
                    ends.add(point.partition(" in ")[0])
                same += found or 0
    return Comparison(same, ends=frozenset(ends))


def _places(primitive, fault, seeds):
    """(case, seed, point, site) of the primitive's uses that ask for the argument's derivative."""
    for number, seed in itertools.product(fault.cases, seeds):
        case = primitive.cases[number]
        drawn = case.draw(np.random.default_rng(seed))
        for point, arrays in points(drawn, moved=seed == seeds[0]):
            try:
                found = sites(primitive, case, arrays)
            except (np.linalg.LinAlgError, ValueError, ZeroDivisionError):
                continue  # outside the program's domain
            for site in found:
                if fault.argument in site.wanted:
                    yield number, seed, point, site


def _differs_at_kinks(primitive, side, argument, faulty, site, seed):
    """Whether the declared convention is another one: it holds where no difference can tell, at
    borders too."""
    reals = [i for i, x in enumerate(site.arrays) if is_real(x)]
    for kink in primitive.kinks:
        if (len(kink.at) != len(reals) or any(map(np.ndim, kink.at))
                or kink.params.items() - site.params.items()):
            continue
        at = dict(zip(reals, kink.at))
        arrays = tuple(np.full_like(x, at[i]) if i in at else x for i, x in enumerate(site.arrays))
        v = site.direction(side, argument, np.random.default_rng(seed))
        if _differs_in_floats(primitive, side, argument, rules_of(primitive, side)[argument],
                              faulty, site, arrays, v):
            return True
    return False


def _compare_at(primitive, side, argument, faulty, site, seed, transposed):
    """How the rules differ at a point; else how many times they were found the same there (0 or 1);
    None where they give other numbers, but the function jumps or ends."""
    arrays = site.arrays
    results = site.result if isinstance(site.result, tuple) else (site.result,)
    if not all(np.all(np.isfinite(y)) for y in results):
        return 0  # outside the domain
    rng = np.random.default_rng(seed)
    v, dv = (_flat(site.direction(side, argument, rng)) for _ in range(2))
    tangents = [np.zeros_like(x) if d is None else d for x, d in zip(arrays, site.tangents)]
    dx = [d if k in _varying(primitive, arrays) else None for k, d in enumerate(tangents)]
    right = rules_of(primitive, side)[argument]
    if transposed:
        v = np.array(v, order="F")
    floats = _differs_in_floats(primitive, side, argument, right, faulty, site, arrays, v)
    if not _continuous(primitive, site, arrays):
        return None if floats else 0
    if floats != "":
        return floats or 0
    if not all(np.all(np.isfinite(d)) for d in dx if d is not None):
        return 0
    return _differs_on_balls(primitive, side, argument, right, faulty, site, arrays, v, dv, dx)


def _continuous(primitive, site, arrays):
    """Whether the function does not jump here; where it does, no derivative is right or wrong."""
    rng = np.random.default_rng(0)
    x = {i: Ball(a) for i, a in enumerate(arrays) if is_real(a)}
    along = {i: Ball(rng.standard_normal(np.shape(a))) for i, a in x.items()}

    def function(x):
        return primitive.trace([x.get(i, a) for i, a in enumerate(arrays)], site.params)[0]

    with arithmetic(BITS[0]):
        try:
            return Difference(function, x, along, h=STEP).continuous
        except (Undecided, ZeroDivisionError, np.linalg.LinAlgError):
            return False


def _varying(primitive, arrays):
    """Which arguments are arrays of real numbers that a derivative is taken by."""
    return [k for k, x in enumerate(arrays) if is_real(x) and primitive.differentiable(k)]


def _rule_as_function(primitive, side, argument, rule, site, arrays):
    """R(v, *reals), in the shape that the engine gives it; what the forward pass keeps is computed,
    and traced, too."""
    def function(v, *reals):
        given = dict(zip(_varying(primitive, arrays), reals))
        full = tuple(given.get(k, x) for k, x in enumerate(arrays))
        kept = primitive.trace(full, site.params)[1]
        v = _parted(v, like)
        return _flat(site.fitted(primitive, side, argument, rule(v, kept, full, site.params)))
    like = site.result if side == "vjp" else arrays[argument]
    return function


def _flat(x):
    """The entries of several results as one vector."""
    return np.concatenate([np.ravel(a) for a in x]) if isinstance(x, tuple) else x


def _parted(x, like):
    """The parts of a vector, in the shapes of several results."""
    if not isinstance(like, tuple):
        return x
    ends = np.cumsum([np.size(a) for a in like])[:-1]
    return tuple(np.reshape(part, np.shape(a)) for part, a in zip(np.split(x, ends), like))


def _differs_in_floats(primitive, side, argument, right, faulty, site, arrays, v):
    """How; or None where the right rule has no value."""
    for dtype in ("float64", "float32"):
        cast = lambda x: x.astype(dtype) + 0 if is_real(x) else x  # + 0, since balls know no -0
        given = tuple(map(cast, arrays))
        if not all(np.array_equal(np.isfinite(a), np.isfinite(x)) for a, x in zip(given, arrays)
                   if is_real(x)):
            continue  # too large for this format
        reals, results = [given[k] for k in _varying(primitive, arrays)], []
        for rule in (right, faulty):
            handed = np.array(v, dtype, order="K")
            function = _rule_as_function(primitive, side, argument, rule, site, given)
            try:
                results.append(np.asarray(function(handed, *reals)))
            except (np.linalg.LinAlgError, ZeroDivisionError) as error:
                return None if rule is right else f"in {dtype}: {type(error).__name__}"
            if not np.array_equal(handed, np.asarray(v, dtype)):
                return f"in {dtype}: it writes into its argument"
        # Where the right one is not, there is nothing to be wrong about.
        known = np.isfinite(results[0])
        if np.shape(results[0]) != np.shape(results[1]):
            return f"in {dtype}: its shape"
        if not np.array_equal(*(r[known] for r in results)):
            balls = tuple(Ball(x) if is_real(x) else x for x in given)
            function = _rule_as_function(primitive, side, argument, right, site, balls)
            if not _by_rounding(function, dtype, v, reals, results[1], known):
                return f"in {dtype}"
    return ""


def _by_rounding(function, dtype, v, reals, result, known):
    """Can rounding alone, in another order of summation for one, have led the right rule to that
    result?"""
    try:
        with arithmetic(np.dtype(dtype).type):
            reach = function(Ball(np.asarray(v, dtype)), *map(Ball, reals))
    except (Undecided, ZeroDivisionError, np.linalg.LinAlgError):
        return False
    reach = reach if isinstance(reach, Ball) else Ball(reach)
    finite = np.isfinite(result) & np.isfinite(reach.radius())
    return bool(np.all((finite & reach.contains(np.where(finite, result, 0)))[known]))


def _differs_on_balls(primitive, side, argument, right, faulty, site, arrays, v, dv, dx):
    balls = tuple(Ball(x) if is_real(x) else x for x in arrays)  # constants are exact, too
    at = Ball(v), *(balls[k] for k in _varying(primitive, arrays))
    along = Ball(dv), *(Ball(d) for d in dx if d is not None)
    with arithmetic(BITS[0]):
        found = []
        for rule in (right, faulty):
            function = _rule_as_function(primitive, side, argument, rule, site, balls)
            try:
                found.append(jvp(function, at, along))
                if rule is right:
                    smooth = Difference(lambda x: function(*x.values()),
                                        *(dict(enumerate(d)) for d in (at, along)), h=STEP).smooth
            except (Undecided, ZeroDivisionError) as error:
                if rule is right or isinstance(error, Undecided):
                    return 0  # beyond the domain of the derivative, or nothing was found out
                return f"on balls: {type(error).__name__}"
        # At a kink there is no second derivative to be wrong about.
        for what, a, b in zip(("value", "derivative"), *found) if smooth else [
                ("value", found[0][0], found[1][0])]:
            same = _same_balls(*(x if isinstance(x, Ball) else Ball(x) for x in (a, b)))
            if same is None:
                return 0
            if not same:
                return f"on balls, in its {what}"
    return 1


def _same_balls(right, other):
    """Whether all entries agree to the required digits; None where the right ones are not known so
    well."""
    known = np.isfinite(right.abs_upper())
    if not known.all():
        return None
    if not np.all(np.isfinite(other.abs_upper())) or not np.all(right.overlaps(other)):
        return False
    scale = float(np.max(right.abs_upper(), initial=0.0))
    return True if np.all(digits(right, other, scale or 1.0) >= REQUIRED) else None
