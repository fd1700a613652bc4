"""The one form of an expression: multiplied out, like terms together, and then what is common taken out again.

Every step is exact wherever the expression is defined.  Equal products have equal keys (see `index`), so what is
multiplied out does not depend on the way that led there; and neither does what is then taken out, which follows the
order of the keys.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np

from .data import data_product, differences
from .functions import (complements, exponentials, indicator, quotient, rectified,
                        softmax_by_hand, sums_of_exponentials, undone, unshifted)
from .index import (Call, Data, Delta, Factor, Group, Index, Leaf, Point, Sum, Term, add, as_factor, collected,
                    fresh, labels, merged, name_of, power, scaled, times_sizes)
from .notation import traits

#: An expression of more terms than this stays in parentheses.
MOST_TERMS = 24


def simplified(s, label=None, whole=False):
    """The simplest form that is known of an expression; `label` names its free indices (by default canonically).

    whole  sums in parentheses stay together: (X - u v') v rather than X v - (v' v) u, of the two the shorter.  Such
           forms of equal expressions are not equal.
    """
    s = collected(expanded(s, whole))
    s = one_fraction(min(map(flat, complements(s)), key=lambda s: len(s.terms), default=s))
    s = in_front(factored(s, canonical_labels(s) if label is None else label))
    return Sum(tuple(map(positive, s.terms)), s.free)


def positive(term):
    """-(b - a) as a - b, and sigma(x) - 1 as -(1 - sigma(x))."""
    coefficient, factors, upright = term.coefficient, list(term.factors), []
    groups = [n for n, f in enumerate(factors) if type(f.atom) is Group and f.power == 1]

    def turn(n):
        factors[n] = factors[n]._replace(atom=Group(scaled(factors[n].atom.sum, -1)))

    for n in groups:
        inside = factors[n].atom.sum
        factors[n] = factors[n]._replace(
            atom=Group(Sum(tuple(map(positive, inside.terms)), inside.free)))
        numbers = [t.coefficient for t in inside.terms if not t.factors]
        if len(inside.terms) == 2 and numbers and any(
                len(t.factors) == 1 and type(t.factors[0].atom) is Point for t in inside.terms):
            upright.append(n)
            if numbers[0] < 0 < max(t.coefficient for t in inside.terms):
                coefficient = -coefficient
                turn(n)
    for n in groups:
        if coefficient < 0 and n not in upright and any(
                t.coefficient < 0 for t in factors[n].atom.sum.terms):
            coefficient = -coefficient
            turn(n)
    return Term(coefficient, tuple(factors))


def canonical_labels(s):
    """Labels for the free indices, whatever these are called: of all orders the one of the smallest key."""
    free = sorted(s.free, key=lambda i: i.serial)
    if len(free) > 3:
        return labels(free)
    orders = [{i: f"f{n}" for n, i in enumerate(order)} for order in itertools.permutations(free)]
    return min(orders, key=s.key)


# Multiplying out


def expanded(s, whole=False):
    """Multiplied out, unless that makes it too long or sums are to stay whole.

    What stands inside functions and parentheses is simplified either way.
    """
    s = Sum(tuple(Term(t.coefficient, tuple(_inner(f, whole) for f in t.factors)) for t in s.terms), s.free)
    if number_of_terms(s) > MOST_TERMS:
        return Sum(tuple(t for t in (reduced(merged(*t, s.free), s.free) for t in s.terms) if t.coefficient), s.free)
    opens = (lambda f: f.power == 1 and len(f.atom.sum.terms) < 2) if whole else lambda f: f.power == 1
    return Sum(tuple(made for t in s.terms for made in _expand(t, s.free, opens)), s.free)


def opened(s, opens):
    """Multiplied out where parentheses are to be opened, however long it gets."""
    return collected(Sum(tuple(made for t in s.terms for made in _expand(t, s.free, opens)), s.free))


def flat(s):
    """Multiplied out, squares and cubes too, if that is not too long."""
    return s if number_of_terms(s, 3) > MOST_TERMS else opened(s, lambda f: f.power < 4)


def is_zero(s):
    """Whether an expression is known to be 0: all that can be multiplied out cancels, if that is not too long."""
    s = expanded(s)
    if number_of_terms(s, 3) >= MOST_TERMS ** 2:
        return False
    small = lambda f: f.power < 4
    return not opened(opened(s, small), small).terms


def weight(s):
    """How much there is to write, at first sight."""
    return sum(1 + sum(weight(f.atom.sum) if type(f.atom) is Group else 1 for f in t.factors) for t in s.terms)


def number_of_terms(s, power=1):
    """How many terms an expression has when it is multiplied out, up to that power of what is in parentheses."""
    return sum(math.prod(number_of_terms(f.atom.sum, power) ** int(f.power) for f in t.factors
                         if type(f.atom) is Group and f.power.denominator == 1 and 0 < f.power <= power)
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
        inside = min((simplified(atom.sum, whole=w) for w in dict.fromkeys((whole, False))), key=weight)
        if f.power == 1:
            return f._replace(atom=Group(inside))
        found = power(inside, f.power)
        if len(found.terms) == 1 and len(found.terms[0].factors) == 1 and found.terms[0].coefficient == 1:
            return found.terms[0].factors[0]
        return Factor(Group(found), (), Fraction(1))
    if type(atom) is Point:
        return undone(f._replace(atom=atom._replace(args=tuple(simplified(a) for a in atom.args))))
    if type(atom) is Call:
        arguments, known = [], traits(atom.function)
        for axes, s in atom.args:
            indices = dict.fromkeys(i for axis in axes for i in axis)
            argument = simplified(s, {i: f"a{n}" for n, i in enumerate(indices)})
            if known.sums_to_one or known.log_of:
                argument = unshifted(argument, axes[dict(atom.params)["axis"]])
            arguments.append((axes, argument))
        return f._replace(atom=atom._replace(args=tuple(arguments)))
    return f


def one_fraction(s):
    """a + b / c as (a c + b) / c, where that has fewer terms."""
    names, denominators = labels(s.free), {}
    for t in s.terms if len(s.terms) > 1 else ():
        for f in t.factors:
            if type(f.atom) is Group and f.power.denominator == 1 and f.power < 0 and set(f.indices) <= s.free:
                key = f._replace(power=Fraction(1)).key(names)
                denominators[key] = min(f, denominators.get(key, f), key=lambda f: f.power)
    for key, f in denominators.items():
        for p in range(1, 1 - int(f.power)):
            above = Sum(tuple(merged(t.coefficient, (*t.factors, f._replace(power=Fraction(p))), s.free)
                              for t in s.terms), s.free)
            above = opened(above, lambda g: g._replace(power=Fraction(1)).key(names) == key)
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
    return Sum(tuple(merged(t.coefficient, (*t.factors, *below), above.free) for t in above.terms), above.free)


def divided(above, below):
    """(quotient, remainder) of two polynomials in factors without bound indices; with others the quotient is 0."""
    names, quotient = labels(above.free), []
    variable = next((f._replace(power=Fraction(1)).key(names) for t in below.terms for f in t.factors), None)

    def degree(t):
        return sum(f.power for f in t.factors if f._replace(power=Fraction(1)).key(names) == variable)

    lead = max(below.terms, key=degree)
    undo = [f._replace(power=-f.power) for f in lead.factors]
    while above.terms and len(quotient) < MOST_TERMS and all(set(t.indices) <= above.free for t in above.terms):
        t = max(above.terms, key=degree)
        if degree(t) < degree(lead) or degree(lead) <= 0:
            break
        q = merged(t.coefficient / lead.coefficient, (*t.factors, *undo), above.free)
        quotient.append(q)
        taken = [merged(-q.coefficient * b.coefficient, (*q.factors, *b.factors), above.free) for b in below.terms]
        above = add(above, Sum(tuple(taken), above.free))
    return Sum(tuple(quotient), above.free), above


# Rules for a single product


def reduced(term, free):
    """Apply the rules of a product until none applies."""
    changed = True
    while changed and term.coefficient:
        changed = False
        for rule in RULES:
            new = rule(term, free)
            if new is not None:
                term = merged(new.coefficient, new.factors, free)
                changed = True
                break
    return term


def delta(term, free):
    """sum_i 1_ij x_i = x_j;  1_ii = 1, and its sum is the size."""
    for n, f in enumerate(term.factors):
        if type(f.atom) is not Delta:
            continue
        first, second = f.slots
        rest = Term(term.coefficient, term.factors[:n] + term.factors[n + 1:])
        if len(first) == len(second) > 1:  # of merged axes
            pairs = tuple(Factor(Delta(), ((i,), (j,)), Fraction(1)) for i, j in zip(first, second))
            return Term(term.coefficient, rest.factors + pairs)
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
        if f.power != 1:
            return Term(term.coefficient, term.factors[:n] + (f._replace(power=Fraction(1)),) + term.factors[n + 1:])
    return None


def inverse(term, free):
    """A^-1 A = I = A A^-1"""
    for n, f in enumerate(term.factors):
        if type(f.atom) is not Call or not traits(f.atom.function).inverts or f.power != 1 or len(f.slots) != 2:
            continue
        axes, s = f.atom.args[0]
        if any(len(axis) != 1 for axis in (*axes, *f.slots)):
            continue
        (a,), (b,) = axes
        target = as_factor(s).key({a: "p", b: "q"})
        (i,), (j,) = f.slots
        for m, g in enumerate(term.factors):
            if m == n or len(g.indices) != 2 or g.power != 1:
                continue
            for meet, end, other in ((j, i, "right"), (i, j, "left")):
                if meet in free or meet not in g.indices or i is j:
                    continue
                if any(meet in h.indices for k, h in enumerate(term.factors) if k not in (n, m)):
                    continue
                far = next(x for x in g.indices if x is not meet)
                if g.key({meet: "p", far: "q"} if other == "right" else {far: "p", meet: "q"}) == target:
                    rest = tuple(h for k, h in enumerate(term.factors) if k not in (n, m))
                    return Term(term.coefficient, rest + (Factor(Delta(), ((end,), (far,)), Fraction(1)),))
    return None


def unit_sum(term, free):
    """Entries that sum to 1 along axes, where nothing else stands on those axes."""
    for n, f in enumerate(term.factors):
        ones = f.atom.ones if type(f.atom) is Call else (
            (len(f.slots) - 1,) if type(f.atom) is Leaf and "probabilities" in f.atom.properties else ())
        if not ones or f.power != 1:
            continue
        along = [i for k in ones for i in f.slots[k]]
        others = dict.fromkeys(i for k, slot in enumerate(f.slots) if k not in ones for i in slot)
        rest = term.factors[:n] + term.factors[n + 1:]
        elsewhere = {i for g in rest for i in g.indices} | set(free)
        if not any(i in elsewhere or i in others for i in along):
            return times_sizes(Term(term.coefficient, rest), [i for i in others if i not in elsewhere])
    return None


def root(term, free):
    """<x, x> / |x| = |x|: a sum beside a root of itself is a power of it."""
    for n, f in enumerate(term.factors):
        if type(f.atom) is not Group or f.power.denominator == 1 or len(f.atom.sum.terms) != 1:
            continue
        inside = fresh(f.atom.sum.terms[0], f.atom.sum.free)
        if inside.coefficient != 1 or set(inside.indices) <= f.atom.sum.free:
            continue
        others = Term(term.coefficient, term.factors[:n] + term.factors[n + 1:])
        rest = _without(others, inside.factors, free | f.atom.sum.free)
        if rest is not None and not any(i in rest.indices for i in inside.indices if i not in f.atom.sum.free):
            return Term(rest.coefficient, rest.factors + (f._replace(power=f.power + 1),))
    return None


RULES = (delta, inverse, unit_sum, data_product, indicator, rectified, quotient, exponentials,
         sums_of_exponentials, softmax_by_hand, root)


# Taking out what is common


def factored(s, label):
    """Terms that share factors as one: the shared ones times the rest in parentheses."""
    if len(s.terms) < 2:
        return s
    terms = sorted(s.terms, key=lambda t: (t.key(label), t.coefficient))
    known = {}  # what two terms have in common, by their identities; the terms are kept, so that these stay unique
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
            rest = _without(t, taken, s.free, same=n == a)
            if rest is None or not _in_one_piece(rest, {i for f in taken for i in f.indices} | s.free, s.free):
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
        factors = group.terms[0].factors if len(group.terms) == 1 else (Factor(Group(group), (), Fraction(1)),)
        c = content * (group.terms[0].coefficient if len(group.terms) == 1 else 1)
        terms = sorted([*left, Term(c, (*taken, *sizes, *factors))], key=lambda t: (t.key(label), t.coefficient))
    return Sum(tuple(terms), s.free) if len(terms) < 2 else under_one_sum(Sum(tuple(terms), s.free))


def under_one_sum(s):
    """A' 1 + B' 1 as (A + B)' 1, where every term is summed over an index of which one factor alone has to know."""
    shared, parts = None, []
    for t in s.terms:
        bound = [i for i in t.indices if i not in s.free]
        if len(bound) != 1 or sum(bound[0] in f.indices for f in t.factors) != 1 or len(s.free) > 1:
            return s
        shared = shared or Index(bound[0].size)
        if bound[0].size != shared.size:
            return s
        parts.append(t.substituted({bound[0]: (shared,)}))
    c, sizes, group = shared_scalars(Sum(tuple(parts), s.free | {shared}))
    return Sum((Term(c, (*sizes, Factor(Group(group), (), Fraction(1)))),), s.free)


def in_front(s):
    """Numbers and sizes that all terms share in front of parentheses."""
    c, sizes, inside = shared_scalars(s)
    if len(s.terms) < 2 or abs(c) == 1 and not sizes:
        return s
    return Sum((Term(c, (*sizes, Factor(Group(inside), (), Fraction(1)))),), s.free)


def shared_scalars(s):
    """(number, powers of sizes, the rest) of a sum."""
    c, inside = _content(s)
    sizes = None
    for t in s.terms:
        mine = {f.atom.name: f for f in t.factors if getattr(f.atom, "role", None) == "size" and f.power < 0}
        sizes = mine if sizes is None else {
            name: f._replace(power=max(f.power, mine[name].power)) for name, f in sizes.items() if name in mine}
    sizes = tuple((sizes or {}).values())
    undo = tuple(f._replace(power=-f.power) for f in sizes)
    return c, sizes, Sum(tuple(merged(t.coefficient, t.factors + undo, s.free) for t in inside.terms), s.free)


def _content(s):
    """A simple number that all coefficients are integer multiples of (negative, if all are), and the rest."""
    numerators = [abs(t.coefficient.numerator) for t in s.terms]
    denominators = [t.coefficient.denominator for t in s.terms]
    if not numerators:
        return Fraction(1), s
    c = Fraction(int(np.gcd.reduce(np.array(numerators, object))), int(np.lcm.reduce(np.array(denominators, object))))
    if max(c.numerator, c.denominator) > 999:
        return Fraction(1), s
    if all(t.coefficient < 0 for t in s.terms):
        c = -c
    return c, Sum(tuple(Term(t.coefficient / c, t.factors) for t in s.terms), s.free)


def _matches(f, g, free, known):
    """How the indices of g have to be called so that g is f, given what is known: a dict, or None."""
    if f.power != g.power and (f.power.denominator != 1 or g.power.denominator != 1 or (f.power > 0) != (g.power > 0)):
        return None
    mine, yours = list(f.indices), list(g.indices)
    if len(mine) > 4:
        return None
    one = Fraction(1)
    target = f._replace(power=one).key({i: f"x{n}" for n, i in enumerate(mine)})
    taken = set(known.values())
    for order in itertools.permutations(yours) if _turns(g) else [yours]:
        pairs = list(zip(mine, order))
        if any((i in free or j in free) and i is not j for i, j in pairs):
            continue
        if any(known.get(j, i) is not i or (j not in known and i in taken and i not in free) for i, j in pairs):
            continue
        if g._replace(power=one).key({j: f"x{n}" for n, (_, j) in enumerate(pairs)}) == target:
            return {j: i for i, j in pairs}
    return None


def _turns(f):
    """Whether a factor may be the same with its indices in another order."""
    return not f.slots or type(f.atom) is Delta or "symmetric" in getattr(f.atom, "properties", ())


def resemblance(f):
    """Something quickly known that is equal for factors that are equal but for their indices."""
    atom = f.atom
    if type(atom) is Group:
        return "()", len(atom.sum.terms), len(atom.sum.free)
    return (atom.name if type(atom) in (Leaf, Data) else "1=" if type(atom) is Delta else name_of(atom.function),
            len(f.slots) or len(f.indices))


def _common(s, t, free):
    """The largest product that divides both terms: (its factors, in the indices of s), or None."""
    best, seen = None, set()
    mine = [(f, resemblance(f)) for f in s.factors if getattr(f.atom, "role", None) != "size"]
    yours = {}
    for g in t.factors:
        yours.setdefault(resemblance(g), []).append(g)
    seeds = [(f, g) for f, kind in mine for g in yours.get(kind, ())]
    for f, g in seeds:
        start = None if (id(f), id(g)) in seen else _matches(f, g, free, {})
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
                    more = _matches(f2, g2, free, known)
                    if more is None:
                        continue
                    if not f2.indices or any(i in free or i in known.values() for i in f2.indices):
                        known, grown = known | more, True
                        pairs.append((f2, g2))
                        used.append(g2)
                        break
        taken = [_smaller(f, g) for f, g in pairs]
        if best is None or len(taken) > len(best[0]):
            outside = {i for f in taken for i in f.indices} | free
            rests = [_without(s, taken, free, same=True), _without(t, taken, free)]
            if None not in rests and len({i for r in rests for i in r.indices if i in outside}) <= 2 \
                    and all(_in_one_piece(r, outside, free) for r in rests) \
                    and not (any(f.indices for f in taken) and _leaves_ones(*rests)):
                best = taken, known
        if len(seeds) > 16:  # from each of them the same would grow; in short products all are tried nevertheless
            seen.update((id(f), id(g)) for f, g in pairs)
    return best


def _in_one_piece(rest, outside, free):
    """Whether the factors hang together, if they are to stand in parentheses within a matrix product."""
    if all(i in free for i in rest.indices if i in outside):
        return True
    groups = []
    for f in rest.factors:
        mine = set(f.indices)
        if mine:
            touching = [g for g in groups if g & mine]
            groups = [g for g in groups if not g & mine] + [mine.union(*touching)]
    return len(groups) <= 1


def _leaves_ones(*rests):
    """Whether the identity is added to a column or row beside itself: diag(s) - s s' has no such part."""
    return any({*f.indices} - {*other.indices} for r, other in (rests, rests[::-1])
               for f in r.factors if type(f.atom) is Delta)


def _smaller(f, g):
    return f if abs(f.power) <= abs(g.power) else f._replace(power=g.power)


def _without(term, taken, free, same=False):
    """The term divided by the factors, its indices called as theirs; None if they do not divide it."""
    known, left = {i: i for f in taken for i in f.indices} if same else {}, list(term.factors)
    for f in taken:
        kind = resemblance(f)
        for n, g in enumerate(left):
            found = _matches(f, g, free, known) if resemblance(g) == kind else None
            if found is not None and abs(g.power) >= abs(f.power) and (g.power > 0) == (f.power > 0):
                known |= found
                rest = g.power - f.power
                left[n:n + 1] = [g._replace(power=rest)] if rest else []
                break
        else:
            return None
    new = {j: (i,) for j, i in known.items() if j is not i}
    private = {i: (Index(i.size),) for g in left for i in g.indices if i not in known and i not in free}
    return Term(term.coefficient, tuple(g.substituted(private | new) for g in left))
