"""Which faults there are, and how one is put into a rule and taken out again."""

from __future__ import annotations

import warnings
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import numpy as np

import refgrad  # noqa: F401  (declares the rules)
from refgrad.forward import Tangents
from refgrad.primitive import CONSTANT, MULTILINEAR, TABLE, Each, Primitive, fit, spread
from refgrad.reverse import Node, Tape
from refgrad.tracer import bare

from .operators import OPERATORS, Call, is_real

#: Which rules of an argument are wrong: the vjp, the jvp, or both in the same way, as happens where
#: they are written once.
SIDES = ("vjp", "jvp", "both")


@dataclass(frozen=True)
class Fault:
    """A mistake in a primitive's rules for one argument.  It holds names alone, which `planted`
    looks up."""

    primitive: str
    operator: str
    which: str         # one of SIDES
    argument: int
    # Positions of the primitive's cases in which the mistake can be made, the best to try first.
    cases: tuple = ()

    def __str__(self):
        return f"{self.primitive} {self.which} {self.argument}: {self.operator}"

    def planted(self):
        return planted(self.primitive, self.operator, self.which, self.argument)


@contextmanager
def planted(primitive, operator, which, argument):
    """Inside, the rules of `primitive` (a `Primitive` or its name) for `argument` are wrong as
    `operator` says."""
    primitive = primitive_named(primitive) if isinstance(primitive, str) else primitive
    sides = _sides(which)
    before = {side: getattr(primitive, side) for side in sides}
    memory = {}
    try:
        for side in sides:
            setattr(primitive, side, _spoiled(primitive, operator, side, argument, memory))
        yield
    finally:
        for side, rules in before.items():
            setattr(primitive, side, rules)


def _sides(which):
    if which not in SIDES:
        raise ValueError(f"planted: which={which!r}; expected one of {', '.join(map(repr, SIDES))}")
    return SIDES[:2] if which == "both" else (which,)


def _spoiled(primitive, operator, side, argument, memory):
    """The rules of that side with the fault in one of them."""
    rules = rules_of(primitive, side)
    faulty = faulty_rule(primitive, operator, side, argument, memory)
    if isinstance(rules, Each):
        return Each(lambda i, *call: (faulty if i == argument else rules[i])(*call))
    return tuple(faulty if i == argument else r for i, r in enumerate(rules))


def faulty_rule(primitive, operator, side, argument, memory=None):
    """One rule with the fault in it, called as the right one is."""
    rules, apply = rules_of(primitive, side), OPERATORS[operator].apply
    memory = {} if memory is None else memory

    def rule(v, kept, arrays, params):
        result = apply(Call(primitive, side, argument, rules, memory, v, kept, arrays, params))
        return rules[argument](v, kept, arrays, params) if result is None else result

    return rule


def rules_of(primitive, side):
    """The rules of that side; for linear kinds, which need no jvp, those that the engine takes from
    the function."""
    rules = getattr(primitive, side)
    return Each(_derived(primitive)) if rules is None else rules


def _derived(primitive):
    def rule(i, v, kept, arrays, params):
        filled = list(arrays)
        if primitive.kind is not MULTILINEAR:
            filled = [np.zeros_like(a) if primitive.differentiable(k) else a
                      for k, a in enumerate(arrays)]
        filled[i] = v
        return primitive.evaluate(*filled, **params)
    return rule


# Enumeration


def primitives():
    """The primitives with rules, in the order of the table."""
    return [p for p in TABLE.values() if isinstance(p, Primitive) and p.kind is not CONSTANT]


@cache
def primitive_named(name):
    found = [p for p in primitives() if p.name == name]
    if len(found) != 1:
        raise ValueError(f"planted: {len(found)} primitives are named {name!r}; "
                         "refgrad.functions() lists them")
    return found[0]


def family(primitive):
    """The module that the rules stand in, without the package: elementwise, shape, losses ..."""
    rules = primitive.vjp
    rule = rules.rule if isinstance(rules, Each) else next(r for r in rules if r is not None)
    return rule.__module__.rsplit(".", 1)[-1]


@dataclass(frozen=True)
class Site:
    """One use of a primitive by the program of a case: what its rules see there.

    tangents  how the arrays change along a direction of the program's arrays; None for those that
              do not
    """

    arrays: tuple
    tangents: tuple
    params: dict
    wanted: tuple
    result: np.ndarray

    def direction(self, side, argument, rng):
        """A random cotangent of the result, or tangent of the argument."""
        like = self.result if side == "vjp" else self.arrays[argument]
        draw = lambda x: np.asarray(rng.standard_normal(np.shape(x)))
        return tuple(map(draw, like)) if isinstance(like, tuple) else draw(like)

    def fitted(self, primitive, side, argument, result):
        """A rule's result in the shape that the engine gives it; ValueError if it has no such
        shape."""
        if side == "vjp":
            return fit(result, self.arrays[argument], primitive, argument)
        return spread(result, self.result)


def sites(primitive, case, arrays=None):
    """Where the case's program, on these arrays or on some that it draws, uses the primitive."""
    arrays = case.draw(np.random.default_rng(0)) if arrays is None else arrays
    rng = np.random.default_rng(0)
    with Tangents() as forward, Tape() as tape:
        moving = (forward.variable(x, np.asarray(rng.standard_normal(x.shape))) for x in arrays)
        case.program(primitive.function or primitive)(*map(tape.variable, moving))
    found = []
    for n in map(Node._make, tape.nodes):
        if n.primitive is primitive:
            values, tangents = tuple(map(bare, n.arrays)), tuple(map(forward.tangent, n.arrays))
            result = primitive.trace(values, n.params)[0]
            found.append(Site(values, tangents, n.params, tuple(n.wanted), result))
    return found


@cache
def faults():
    """All faults that can be made: every primitive, operator, rule and argument."""
    found = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for primitive in primitives():
            places = [sites(primitive, case) for case in primitive.cases]
            arguments = sorted({i for here in places for site in here for i in site.wanted})
            for operator in OPERATORS:
                for argument in arguments:
                    can = {side: _cases(primitive, operator, side, argument, places)
                           for side in SIDES[:2]}
                    can["both"] = tuple(c for c in can["vjp"] if c in can["jvp"])
                    if OPERATORS[operator].alone:
                        del can["both"]
                    found += [Fault(primitive.name, operator, which, argument, cases)
                              for which, cases in can.items() if cases]
    return tuple(found)


def chosen(profile):
    """The faults that a profile tries: "all"; "full", every primitive and operator together, over
    rules and arguments in turn; or "quick", every primitive and every operator, once at least."""
    pairs = {}
    for fault in faults():
        pairs.setdefault((fault.primitive, fault.operator), []).append(fault)
    if profile == "all":
        return list(faults())
    found = [some[(n + n // len(OPERATORS)) % len(some)] for n, some in enumerate(pairs.values())]
    if profile == "full":
        return found
    if profile != "quick":
        raise ValueError(f"faults: profile {profile!r}; known: all, full, quick")
    quick, met = [], Counter()
    for primitive in dict.fromkeys(f.primitive for f in found):
        rarest = min((f for f in found if f.primitive == primitive), key=lambda f: met[f.operator])
        met[rarest.operator] += 1
        quick.append(rarest)
    return quick + [next(f for f in found if f.operator == o) for o in OPERATORS if not met[o]]


def _cases(primitive, operator, side, argument, places):
    """The cases in which the mistake can be made; those first where it shows at once, and of these
    the smallest."""
    ranks = {}
    for n, here in enumerate(places):
        for site in here:
            if argument in site.wanted:
                shows = _shows(primitive, operator, side, argument, site)
                if shows is not None:
                    ranks[n] = not shows, sum(np.size(x) for x in site.arrays if is_real(x)), n
    return tuple(sorted(ranks, key=ranks.get))


def _shows(primitive, operator, side, argument, site):
    """Whether the faulty rule gives another result than the right one; None where the mistake
    cannot be made."""
    rules = rules_of(primitive, side)
    v = site.direction(side, argument, np.random.default_rng(1))
    kept = primitive.trace(site.arrays, site.params)[1]
    copy = lambda x: tuple(map(np.copy, x)) if isinstance(x, tuple) else np.copy(x)
    try:
        call = Call(primitive, side, argument, rules, {}, copy(v), kept, site.arrays, site.params)
        result = OPERATORS[operator].apply(call)
        results = site.result if isinstance(site.result, tuple) else (site.result,)
        if result is None or not all(np.size(x) for x in (*site.arrays, *results)):
            return None
        result = site.fitted(primitive, side, argument, result)
    except Exception:
        # The mistake needs other shapes, or another matrix: no program with it would run.
        return None
    right = site.fitted(primitive, side, argument,
                        rules[argument](v, kept, site.arrays, site.params))
    return not _same(result, right)


def _same(a, b):
    if isinstance(a, tuple):
        return all(map(_same, a, b))
    return np.array_equal(a, b, equal_nan=True)
