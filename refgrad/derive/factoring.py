"""Factoring: take common factors out of the terms of a sum."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from fractions import Fraction

import numpy as np

from ..nn.activations import logistic
from ..primitive import TABLE
from .data import differences
from .index import (Data, Delta, Factor, Group, Index, Leaf, Point, Sum, Term, add, apart,
                    collected, labels, merged, name_of, scaled)


#: Functions whose derivatives are polynomials in themselves, with the factor 1 - f^p.
SLOPES = {logistic: 1, TABLE[np.tanh]: 2}
#: An expression of more terms than this stays in parentheses.
MOST_TERMS = 24


def factored(s, label):
    """Terms that share factors as one: the shared ones times the rest in parentheses."""
    if len(s.terms) < 2:
        return s
    for slope in slopes(s):
        quotient, remainder = divided(s, slope)
        if not remainder.terms and len(quotient.terms) < len(s.terms) and any(
                t.factors for t in quotient.terms):
            rest = factored(quotient, label)
            rest = rest.with_free(i for t in rest.terms for i in t.indices)
            c, factors = (rest.terms[0] if len(rest.terms) == 1
                          else (Fraction(1), (Factor(Group(rest)),)))
            return Sum.product([*factors, Factor(Group(slope))], s.free, c)
    terms = sorted(s.terms, key=lambda t: (t.key(label), t.coefficient))
    # What two terms have in common, by their identities; the terms are kept, so that these stay
    # unique.
    known = {}
    while len(terms) > 1:
        best = None
        for a, b in itertools.combinations(range(len(terms)), 2):
            pair = id(terms[a]), id(terms[b])
            if pair not in known:
                known[pair] = _common(terms[a], terms[b], s.free), terms[a], terms[b]
            shared = known[pair][0]
            if shared and (best is None or len(shared[0]) > len(best[0])):
                best = *shared, a
        if best is None:
            break
        taken, _, a = best
        gathered, left = [], []
        for n, t in enumerate(terms):
            rest = without(t, taken, s.free, same=n == a)
            if rest is None or not _in_one_piece(
                    rest, {i for f in taken for i in f.indices} | s.free, s.free):
                left.append(t)
            else:
                gathered.append(rest)
        if len(gathered) < 2:
            break
        outside = {i for f in taken for i in f.indices} | s.free
        inner_free = frozenset(i for t in gathered for i in t.indices if i in outside)
        inside = collected(Sum(tuple(gathered), inner_free))
        content, sizes, inside = shared_scalars(inside)
        unnamed = dict.fromkeys(i for f in taken for i in f.indices if i not in label)
        names = label | {i: f"c{n}" for n, i in enumerate(unnamed)}
        group = differences(factored(inside, {i: names[i] for i in inner_free}))
        if not group.terms:
            terms = left
            continue
        if len(group.terms) > 1 and group.terms[0].coefficient < 0:
            # So that a - b and b - a are known to be of one kind.
            content, group = -content, scaled(group, -1)
        factors = (group.terms[0].factors if len(group.terms) == 1
                   else (Factor(Group(group)),))
        c = content * (group.terms[0].coefficient if len(group.terms) == 1 else 1)
        terms = sorted([*left, Term(c, (*taken, *sizes, *factors))],
                       key=lambda t: (t.key(label), t.coefficient))
    return Sum(tuple(terms), s.free) if len(terms) < 2 else under_one_sum(Sum(tuple(terms), s.free))


def slopes(s):
    """1 - sigma(x) and 1 - tanh(x)^2 for the sigma(x) and tanh(x) in a sum without bound indices:
    what derivatives can be divided by."""
    found, names = {}, labels(s.free)
    for f in (f for t in s.terms for f in t.factors if set(t.indices) <= s.free):
        power = SLOPES.get(f.atom.function) if type(f.atom) is Point else None
        if power and f.power > 0:
            one = f._replace(power=Fraction(power))
            parts = Term(Fraction(1), ()), Term(Fraction(-1), (one,))
            found[one.key(names)] = Sum(parts, frozenset(one.indices))
    return found.values()


def divided(above, below):
    """(quotient, remainder) of two polynomials in factors; 0 and all, if indices are bound."""
    names, quotient = labels(above.free), []
    variable = next((f.base.key(names) for t in below.terms
                     for f in t.factors), None)

    def degree(t):
        return sum(f.power
                   for f in t.factors if f.base.key(names) == variable)

    lead = max(below.terms, key=degree)
    undo = [f._replace(power=-f.power) for f in lead.factors]
    while (above.terms and len(quotient) < MOST_TERMS
           and all(set(t.indices) <= above.free for t in above.terms)):
        t = max(above.terms, key=degree)
        if degree(t) < degree(lead) or degree(lead) <= 0:
            break
        q = merged(t.coefficient / lead.coefficient, (*t.factors, *undo), above.free)
        quotient.append(q)
        taken = [merged(-q.coefficient * b.coefficient, (*q.factors, *b.factors), above.free)
                 for b in below.terms]
        above = add(above, Sum(tuple(taken), above.free))
    return Sum(tuple(quotient), above.free), above


def under_one_sum(s):
    """A' 1 + B' 1 as (A + B)' 1, where one factor of each term alone has the summed index."""
    shared, parts = None, []
    for t in s.terms:
        bound = [i for i in t.indices if i not in s.free]
        if len(bound) != 1 or len(s.free) > 1:
            return s
        mine = [f for f in t.factors if bound[0] in f.indices]
        if (len(mine) != 1 or mine[0].power != 1
                or sum(bound[0] in slot for slot in mine[0].slots) > 1):
            return s
        shared = shared or Index(bound[0].size)
        if bound[0].size != shared.size:
            return s
        parts.append(t.substituted({bound[0]: (shared,)}))
    c, sizes, group = shared_scalars(Sum(tuple(parts), s.free | {shared}))
    return Sum.product([*sizes, Factor(Group(group))], s.free, c)


def in_front(s):
    """Numbers and sizes that all terms share in front of parentheses."""
    c, sizes, inside = shared_scalars(s)
    if len(s.terms) < 2 or abs(c) == 1 and not sizes:
        return s
    return Sum.product([*sizes, Factor(Group(inside))], s.free, c)


def shared_scalars(s):
    """(number, powers of sizes, the rest) of a sum; the number is negative, if all terms are."""
    c = Fraction(math.gcd(*(t.coefficient.numerator for t in s.terms)),
                 math.lcm(*(t.coefficient.denominator for t in s.terms)))
    if not s.terms or max(c.numerator, c.denominator) > 999:
        c = Fraction(1)
    elif all(t.coefficient < 0 for t in s.terms):
        c = -c
    sizes = None
    for t in s.terms:
        mine = {f.atom.name: f for f in t.factors if f.role == "size" and f.power < 0}
        sizes = mine if sizes is None else {
            name: f._replace(power=max(f.power, mine[name].power)) for name, f in sizes.items()
            if name in mine}
    sizes = tuple((sizes or {}).values())
    undo = tuple(f._replace(power=-f.power) for f in sizes)
    return c, sizes, Sum(tuple(merged(t.coefficient / c, t.factors + undo, s.free)
                               for t in s.terms), s.free)


def matches(f, g, free, known):
    """How to call the indices of g so that g is f, given what is known: a dict, or None."""
    if f.power != g.power and (f.power.denominator != 1 or g.power.denominator != 1
                               or (f.power > 0) != (g.power > 0)):
        return None
    mine, yours = list(f.indices), list(g.indices)
    if len(mine) > 4:
        return None
    target = f.base.key({i: f"x{n}" for n, i in enumerate(mine)})
    taken = set(known.values())
    # The same factor may have its indices in another order.
    turns = not g.slots or type(g.atom) is Delta or "symmetric" in g.properties
    for order in itertools.permutations(yours) if turns else [yours]:
        pairs = list(zip(mine, order))
        if any((i in free or j in free) and i is not j for i, j in pairs):
            continue
        if any(known.get(j, i) is not i or (j not in known and i in taken and i not in free)
               for i, j in pairs):
            continue
        if g.base.key({j: f"x{n}" for n, (_, j) in enumerate(pairs)}) == target:
            return {j: i for i, j in pairs}
    return None


def resemblance(f):
    """Something quickly known that is equal for factors that are equal but for their indices."""
    atom = f.atom
    if type(atom) is Group:
        return "()", len(atom.sum.terms), len(atom.sum.free)
    return (atom.name if type(atom) in (Leaf, Data) else "1=" if type(atom) is Delta
                else name_of(atom.function),
            len(f.slots) or len(f.indices))


def _common(s, t, free):
    """The largest product that divides both terms: (its factors, in the indices of s), or None."""
    best, seen = None, set()
    mine = [(f, resemblance(f)) for f in s.factors if f.role != "size"]
    yours = {}
    for g in t.factors:
        yours.setdefault(resemblance(g), []).append(g)
    seeds = [(f, g) for f, kind in mine for g in yours.get(kind, ())]
    for f, g in seeds:
        start = None if (id(f), id(g)) in seen else matches(f, g, free, {})
        if start is None:
            continue
        known, pairs, used = dict(start), [(f, g)], [g]
        grown = True
        while grown:
            grown = False
            for f2, kind in mine:
                if any(f2 is p[0] for p in pairs):
                    continue
                for g2 in yours.get(kind, ()):
                    if any(g2 is u for u in used):
                        continue
                    more = matches(f2, g2, free, known)
                    if more is None:
                        continue
                    if not f2.indices or any(i in free or i in known.values() for i in f2.indices):
                        known, grown = known | more, True
                        pairs.append((f2, g2))
                        used.append(g2)
                        break
        taken = [f._replace(power=min(f.power, g.power, key=abs)) for f, g in pairs]
        if best is None or len(taken) > len(best[0]):
            outside = {i for f in taken for i in f.indices} | free
            rests = [without(s, taken, free, same=True), without(t, taken, free)]
            if (None not in rests and len({i for r in rests for i in r.indices if i in outside})
                    <= 2 and all(_in_one_piece(r, outside, free) for r in rests)
                    and not (any(f.indices for f in taken) and _leaves_ones(*rests))
                    and not any(_is_square(taken, r, free) for r in rests)):
                best = taken, known
        # From each of them the same would grow; in short products all are tried nevertheless.
        if len(seeds) > 16:
            seen.update((id(f), id(g)) for f, g in pairs)
    return best


def _in_one_piece(rest, outside, free):
    """Whether factors hang together, to stand in parentheses within a matrix product."""
    if all(i in free for i in rest.indices if i in outside):
        return True
    return sum(bool(indices) for _, indices in apart(rest.factors, ())) <= 1


def _leaves_ones(*rests):
    """Whether the identity is added to a column beside itself, as it is not in diag(s) - s s'."""
    return any({*f.indices} - {*other.indices} for r, other in (rests, rests[::-1])
               for f in r.factors if type(f.atom) is Delta)


def _is_square(taken, rest, free):
    """Whether what is left is the same product, of other indices: A' s s' A stays a square."""
    bound = [i for f in taken for i in f.indices if i not in free]
    alike = Counter(map(resemblance, taken)) == Counter(map(resemblance, rest.factors))
    return alike and bool(bound) and not {*bound} & {*rest.indices}


def without(term, taken, free, same=False):
    """The term divided by factors, its indices called as theirs; None if they do not divide it."""
    known, left = {i: i for f in taken for i in f.indices} if same else {}, list(term.factors)
    for f in taken:
        kind = resemblance(f)
        for n, g in enumerate(left):
            found = matches(f, g, free, known) if resemblance(g) == kind else None
            if (found is not None and abs(g.power) >= abs(f.power)
                    and (g.power > 0) == (f.power > 0)):
                known |= found
                rest = g.power - f.power
                left[n:n + 1] = [g._replace(power=rest)] if rest else []
                break
        else:
            return None
    new = {j: (i,) for j, i in known.items() if j is not i}
    private = {i: (Index(i.size),) for g in left for i in g.indices
               if i not in known and i not in free}
    return Term(term.coefficient, tuple(g.substituted(private | new) for g in left))
