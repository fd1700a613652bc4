"""Simplify an expression: multiply out, collect like terms, then take common factors out again.

Every step is exact wherever the expression is defined.  Equal products have equal keys (see
`index`), and factors are taken out in the order of these keys, so that the result does not depend
on how the expression was computed.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from fractions import Fraction

from .data import data_product
from .factoring import MOST_TERMS, divided, factored, in_front, without
from .functions import (absolute, alternatives, exponentials, one_plus_exp, quotient, rectified,
                        sign, softmax_by_hand, undone, unshifted)
from .index import (SERIAL, Call, Delta, Factor, Group, Point, Sum, Term, as_factor,
                    collected, fresh, labels, merged, power, scaled, times_sizes)
from .notation import traits

def simplified(s, label=None, whole=False):
    """The simplest known form of an expression; `label` names its free indices (by default
    canonically).

    whole  sums in parentheses stay together: (X - u v') v rather than X v - (v' v) u, of the two
           the shorter.  Such forms of equal expressions are not equal.
    """
    s = collected(expanded(s, whole))
    s = one_fraction(shortest(s))
    s = in_front(factored(s, canonical_labels(s) if label is None else label))
    return turned_upright(s)


def shortest(s):
    """The alternative form of a sum that has the fewest terms, if there is one."""
    best = min(map(flat, alternatives(s)), key=lambda s: len(s.terms), default=s)
    return shortest(best) if len(best.terms) < len(s.terms) else best


#: The simplest forms of the last sums in parentheses, by their identities; the sums are kept, so
#: these stay unique.
_KNOWN: dict = {}


def simplest(s):
    """simplified(s), which is remembered for the last expressions."""
    found = _KNOWN.get(id(s))
    if found is None:
        if len(_KNOWN) > 512:
            _KNOWN.clear()
        found = _KNOWN[id(s)] = s, simplified(s)
    return found[1]


def turned_upright(s):
    """Each term as `positive` has it, with a - b for b - a where both are seen."""
    seen = Counter(without_order(f) for t in s.terms for f in t.factors if type(f.atom) is Group)
    return Sum(tuple(positive(t, seen) for t in s.terms), s.free)


def without_order(f):
    """A key of a factor that is equal for its transpose."""
    orders = itertools.permutations(f.indices) if len(f.indices) < 4 else [f.indices]
    return min(f.key({i: f"x{n}" for n, i in enumerate(order)}) for order in orders)


def begins(f):
    """Whether the shortest term in parentheses is negative."""
    return min(f.atom.sum.terms, key=lambda t: len(t.factors)).coefficient < 0


def positive(term, seen):
    """-(b - a) as a - b, unless a - b is seen twice, and sigma(x) - 1 as -(1 - sigma(x))."""
    coefficient, factors, upright, alone = term.coefficient, list(term.factors), [], set()
    groups = [n for n, f in enumerate(factors) if type(f.atom) is Group and f.power == 1]
    order = [*seen]

    def turned(n):
        return factors[n]._replace(atom=Group(scaled(factors[n].atom.sum, -1)))

    for n in groups:
        key, opposite = without_order(factors[n]), without_order(turned(n))
        if seen[key] + seen[opposite] == 1:
            alone.add(n)
        elif opposite in seen and (-seen[opposite], begins(turned(n)), order.index(opposite)) < (
                -seen[key], begins(factors[n]), order.index(key)):
            coefficient, factors[n] = -coefficient, turned(n)
    for n in groups:
        inside = turned_upright(factors[n].atom.sum)
        factors[n] = factors[n]._replace(atom=Group(inside))
        numbers = [t.coefficient for t in inside.terms if not t.factors]
        if len(inside.terms) == 2 and numbers and any(
                len(t.factors) == 1 and type(t.factors[0].atom) is Point for t in inside.terms):
            upright.append(n)
            if numbers[0] < 0 < max(t.coefficient for t in inside.terms):
                coefficient, factors[n] = -coefficient, turned(n)
    for n in groups:
        if coefficient < 0 and n in alone and n not in upright and any(
                t.coefficient < 0 for t in factors[n].atom.sum.terms):
            coefficient, factors[n] = -coefficient, turned(n)
    return Term(coefficient, tuple(factors))


def canonical_labels(s):
    """Labels for the free indices: of all orders the one of the smallest key."""
    free = sorted(s.free, key=SERIAL)
    if len(free) > 3:
        return labels(free)
    orders = [{i: f"f{n}" for n, i in enumerate(order)} for order in itertools.permutations(free)]
    return min(orders, key=s.key)


# Multiplying out


def expanded(s, whole=False):
    """Multiplied out, unless that makes it too long or sums are to stay whole.

    What stands inside functions and parentheses is simplified either way.
    """
    s = Sum(tuple(Term(t.coefficient, tuple(_inner(f, whole) for f in t.factors)) for t in s.terms),
            s.free)
    if number_of_terms(s) > MOST_TERMS:
        return Sum(tuple(t for t in (reduced(merged(*t, s.free), s.free) for t in s.terms)
                         if t.coefficient), s.free)
    opens = ((lambda f: f.power == 1 and len(f.atom.sum.terms) < 2) if whole
             else lambda f: f.power == 1)
    return Sum(tuple(made for t in s.terms for made in _expand(t, s.free, opens)), s.free)


def opened(s, opens):
    """Multiplied out where parentheses are to be opened, however long it gets."""
    return collected(Sum(tuple(made for t in s.terms for made in _expand(t, s.free, opens)),
                         s.free))


def flat(s):
    """Multiplied out, squares and cubes too, if that is not too long."""
    return s if number_of_terms(s, 3) > MOST_TERMS else opened(s, lambda f: f.power < 4)


def is_zero(s):
    """Whether an expression is known to be 0: all cancels, if that is not too long."""
    s = expanded(s)
    if number_of_terms(s, 3) >= MOST_TERMS ** 2:
        return False
    small = lambda f: f.power < 4
    return not opened(opened(s, small), small).terms


def weight(s):
    """About how many signs it takes to write an expression."""
    return sum(1 + sum(weight(f.atom.sum) if type(f.atom) is Group else 1 for f in t.factors)
               for t in s.terms)


def number_of_terms(s, power=1):
    """How many terms it has when it is multiplied out, up to that power of parentheses."""
    return sum(math.prod(number_of_terms(f.atom.sum, power) ** int(f.power) for f in t.factors
                         if type(f.atom) is Group and f.power.denominator == 1
                         and 0 < f.power <= power)
               for t in s.terms)


def _expand(term, free, opens):
    """The terms that a term is, multiplied out: of its parentheses those that are to be opened."""
    term = reduced(merged(*term, free), free)
    for n, f in enumerate(term.factors):
        if type(f.atom) is Group and f.power.denominator == 1 and f.power > 0 and opens(f):
            left = (f._replace(power=f.power - 1),) if f.power > 1 else ()
            rest = term.factors[:n] + left + term.factors[n + 1:]
            all_indices = set(term.indices)
            result = []
            for t in f.atom.sum.terms:
                t = fresh(t, f.atom.sum.free)
                made = merged(term.coefficient * t.coefficient, rest + t.factors, free)
                present = set(made.indices) | {i for g in rest + t.factors for i in g.indices}
                result.extend(_expand(times_sizes(made, all_indices - present - free), free, opens))
            return result
    return [term] if term.coefficient else []


def _inner(f, whole=False):
    """The factor with its own arguments simplified."""
    atom = f.atom
    if type(atom) is Group:
        kept = [simplified(atom.sum, whole=True)] if whole else []
        inside = min([*kept, simplest(atom.sum)], key=weight)
        if f.power == 1:
            return f._replace(atom=Group(inside))
        found = power(inside, f.power)
        if (len(found.terms) == 1 and len(found.terms[0].factors) == 1
                and found.terms[0].coefficient == 1):
            return found.terms[0].factors[0]
        return Factor(Group(found))
    if type(atom) is Point:
        return undone(f._replace(atom=atom.with_parts(simplified)))
    if type(atom) is Call:
        arguments, known = [], traits(atom.function)
        for axes, s in atom.args:
            indices = dict.fromkeys(i for axis in axes for i in axis)
            argument = simplified(s, {i: f"a{n}" for n, i in enumerate(indices)})
            if known.sums_to_one or known.log_of:
                argument = unshifted(argument, axes[dict(atom.params)["axis"]])
            arguments.append((axes, argument))
        made = f._replace(atom=atom._replace(args=tuple(arguments)))
        return without_scalars(made) if known.inverts and len(f.slots) == 2 else made
    return f


def without_scalars(f):
    """(c A)^-1 as 1/c A^-1."""
    ((axes, s),) = f.atom.args
    (t,) = s.terms if len(s.terms) == 1 else (Term(Fraction(1), ()),)
    scalars = tuple(g._replace(power=-g.power) for g in t.factors if not g.indices)
    if not t.factors or t.coefficient == 1 and not scalars:
        return f
    rest = Sum.product([g for g in t.factors if g.indices], s.free)
    inverse = f.base._replace(atom=f.atom._replace(args=((axes, rest),)))
    whole = Sum.product([*scalars, inverse], f.indices, 1 / t.coefficient)
    return Factor(Group(whole), (), f.power)


def one_fraction(s):
    """a + b / c as (a c + b) / c, where that has fewer terms."""
    names, denominators = labels(s.free), {}
    for t in s.terms if len(s.terms) > 1 else ():
        for f in t.factors:
            if type(f.atom) is Group and f.power < 0 and set(f.indices) <= s.free:
                key = f.base.key(names)
                denominators[key] = min(f, denominators.get(key, f), key=lambda f: f.power)
    for key, f in denominators.items():
        for p in range(1, 1 - int(f.power)) if f.power.denominator == 1 else [-f.power]:
            above = Sum(
                tuple(merged(t.coefficient, (*t.factors, f._replace(power=Fraction(p))), s.free)
                      for t in s.terms), s.free)
            above = opened(above, lambda g: g.base.key(names) == key)
            if len(above.terms) < len(s.terms):
                return one_fraction(over(above, f, p))
            if p == -f.power:
                quotient, remainder = divided(above, f.atom.sum)
                parts = over(quotient, f, p - 1).terms + over(remainder, f, p).terms
                if quotient.terms and len(parts) < len(s.terms):
                    return one_fraction(Sum(parts, s.free))
    return s


def over(above, f, p):
    """An expression divided, term by term, by what f is a power of, to the power p."""
    below = (f._replace(power=Fraction(-p)),) if p else ()
    return Sum(tuple(merged(t.coefficient, (*t.factors, *below), above.free) for t in above.terms),
               above.free)


# Rules for a factor of a product: rule(factor, the term without it, free indices) is the new term,
# or None where it says nothing.


def reduced(term, free):
    """Apply the rules of a product until none applies."""
    while term.coefficient:
        apart = term.apart()
        new = next((new for rule in RULES for f, rest in apart
                    if (new := rule(f, rest, free)) is not None), None)
        if new is None:
            break
        term = merged(new.coefficient, new.factors, free)
    return term


def delta(f, rest, free):
    """sum_i 1_ij x_i = x_j;  1_ii = 1, and its sum is the size."""
    if type(f.atom) is not Delta:
        return None
    first, second = f.slots
    if len(first) == len(second) > 1:  # of merged axes
        return rest.times(*(Factor(Delta(), ((i,), (j,))) for i, j in zip(first, second)))
    if len(first) != len(second):
        (single,), several = sorted((first, second), key=len)
        return None if single in free else rest.substituted({single: several})
    (i,), (j,) = f.slots
    if i is j:
        return times_sizes(rest, [] if i in free or i in rest.indices else [i])
    gone, kept = (i, j) if i not in free else (j, i)
    if gone not in free:
        rest = rest.substituted({gone: (kept,)})
        return times_sizes(rest, [] if kept in free or kept in rest.indices else [kept])
    return rest.times(f.base) if f.power != 1 else None


def inverse(f, rest, free):
    """A^-1 A = I = A A^-1"""
    if not traits(f.function).inverts or f.power != 1 or len(f.slots) != 2:
        return None
    axes, s = f.atom.args[0]
    if any(len(axis) != 1 for axis in (*axes, *f.slots)):
        return None
    (a,), (b,) = axes
    target = as_factor(s).key({a: "p", b: "q"})
    (i,), (j,) = f.slots
    for g, others in rest.apart():
        if len(g.indices) != 2 or g.power != 1:
            continue
        for meet, end, other in ((j, i, "right"), (i, j, "left")):
            if meet in free or meet not in g.indices or i is j or meet in others.indices:
                continue
            far = next(x for x in g.indices if x is not meet)
            if (g.key({meet: "p", far: "q"} if other == "right" else {far: "p", meet: "q"})
                    == target):
                return others.times(Factor(Delta(), ((end,), (far,))))


def unit_sum(f, rest, free):
    """Entries that sum to 1 along axes, where nothing else stands on those axes."""
    ones = getattr(f.atom, "ones", ())
    if "probabilities" in f.properties:
        ones = (len(f.slots) - 1,)
    if not ones or f.power != 1:
        return None
    along = [i for k in ones for i in f.slots[k]]
    others = dict.fromkeys(i for k, slot in enumerate(f.slots) if k not in ones for i in slot)
    elsewhere = {*rest.indices, *free}
    if not any(i in elsewhere or i in others for i in along):
        return times_sizes(rest, [i for i in others if i not in elsewhere])


def root(f, rest, free):
    """<x, x> / |x| = |x|: a sum beside a root of itself is a power of it."""
    if type(f.atom) is not Group or f.power.denominator == 1 or len(f.atom.sum.terms) != 1:
        return None
    s = f.atom.sum
    inside = fresh(s.terms[0], s.free)
    if inside.coefficient != 1 or set(inside.indices) <= s.free:
        return None
    left = without(rest, inside.factors, free | s.free)
    if left is not None and {*left.indices} & {*inside.indices} <= s.free:
        return left.times(f._replace(power=f.power + 1))


RULES = (delta, inverse, unit_sum, data_product, sign, absolute, rectified, quotient, exponentials,
         one_plus_exp, softmax_by_hand, root)
