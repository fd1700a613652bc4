"""Identities between elementwise functions, which make formulas shorter.

    exp(log x) = x                      sinh x / cosh x = tanh x
    1 / (1 + exp x) = sigma(-x)         sigma(x) + sigma(-x) = 1
    exp(X) / (exp(X) 1) = softmax(X)    softmax(X + u 1') = softmax(X)
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from ..nn.activations import logistic
from ..primitive import TABLE
from .index import (Call, Factor, Group, Leaf, Point, Sum, Term, add, as_factor, fresh,
                    labels, power, scaled)
from .notation import SOFTMAX, traits

EXP, ARCTAN, SIGN, ABSOLUTE, COSH, SINH, TANH = (
    TABLE[f] for f in (np.exp, np.arctan, np.sign, np.absolute, np.cosh, np.sinh, np.tanh))
PI = Leaf("pi", (), "constant")


def undone(f):
    """exp(log x) = x, exp(log softmax x) = softmax x, arctan 1 = pi/4, [relu x > 0] = [x > 0]."""
    function, s = f.atom.function, f.atom.args[0]
    inside = as_factor(s)
    if function is ARCTAN and s.terms == Sum.number(1).terms:
        quarter = Sum.product([Factor(PI)], s.free, Fraction(1, 4))
        return Factor(Group(quarter), (), f.power)
    if type(inside.atom) not in (Point, Call):
        return f
    known = traits(inside.atom.function)
    if function == ">" and known.rectifies and not f.atom.args[1].terms:
        return f._replace(atom=f.atom._replace(args=(inside.atom.args[0], f.atom.args[1])))
    if inside.power == 1 and known.undoes is function:
        return Factor(Group(inside.atom.args[0]), (), f.power)
    if inside.power == 1 and known.log_of and function is EXP:
        ones = unit_axes(known.log_of, dict(inside.atom.params), inside.atom.sizes)
        exponential = inside.atom._replace(function=known.log_of, ones=ones)
        return inside._replace(atom=exponential, power=f.power)
    return f


def unit_axes(primitive, params, sizes):
    """Axes along which a result sums to 1, counted among those that have an index."""
    if not traits(primitive).sums_to_one:
        return ()
    return (sum(n != 1 for n in sizes[:params["axis"] % len(sizes)]),)


# Rules for a factor of a product, as in simplify


def lowered(p, *factors):
    """The factors with their powers less by p; those that are left with none are not there."""
    return [f._replace(power=f.power - p) for f in factors if f.power != p]


def sign(f, rest, free):
    """sign^2 = 1"""
    if f.function is SIGN and f.power != 1 and f.power.denominator == 1:
        odd = f.power % 2
        if odd or {*f.indices} <= {*rest.indices, *free}:
            return rest.times(*[f.base] * odd.numerator)


def absolute(f, rest, free):
    """|x|^2 = x^2 and |x| sign x = x (but at 0, a convention's matter)."""
    if f.function is not ABSOLUTE:
        return None
    (x,) = f.atom.args
    if f.power.denominator == 1 and f.power % 2 == 0:
        inside = power(x, f.power)
        if len(inside.terms) == 1:
            t = fresh(inside.terms[0], inside.free)
            return Term(rest.coefficient * t.coefficient, rest.factors + t.factors)
    for g, others in rest.apart():
        if f.power == g.power == 1 and g.function is SIGN and _same_argument(f, g):
            return others.times(Factor(Group(x)))


def rectified(f, rest, free):
    """[x > 0] max(x, 0) = max(x, 0)."""
    if f.function not in (">", ">="):
        return None
    names, (a, b) = labels(f.indices), f.atom.args
    positive = add(a, scaled(b, -1)).key(names)
    for g in rest.factors:
        if type(g.atom) is Point and g.power > 0:
            kept = [a.key(names) for a in g.atom.args if a.terms]
            largest = g.function is TABLE[np.maximum] and len(kept) < 2
            if positive in kept and (largest or traits(g.function).rectifies):
                return rest


def quotient(f, rest, free):
    """sinh x / cosh x = tanh x, and sin x / cos x = tan x."""
    below, result = traits(f.function).over or (None, None)
    for g, others in rest.apart() if below and f.power >= 1 else ():
        if g.function is below and g.power <= -1 and _same_argument(f, g):
            p = min(f.power, -g.power)
            return others.times(*lowered(p, f), *lowered(-p, g),
                                f._replace(atom=Point(result, f.atom.args), power=p))


def _same_argument(f, g, c=1):
    """Whether the arguments of g are c times those of f."""
    names = labels({**f.indices, **g.indices})
    return ([scaled(a, c).key(names) for a in f.atom.args]
            == [a.key(names) for a in g.atom.args])


def exponentials(f, rest, free):
    """exp(x) exp(-x) = 1, and exp(-x) sigma(x) = sigma(-x)."""
    for g, others in rest.apart() if _is_exp(f) else ():
        if (g.function in (EXP, logistic) and g.power >= 1 and {*g.indices} == {*f.indices}
                and _same_argument(f, g, -1)):
            p = min(f.power, g.power)
            sigma = [Factor(Point(logistic, f.atom.args), (), p)] * (g.function is logistic)
            made = others.times(*lowered(p, f, g), *sigma)
            if {*f.indices} <= {*free, *made.indices}:
                return made


def one_plus_exp(f, rest, free):
    """1 / (1 + exp x) = sigma(-x)."""
    s = f.atom.sum if type(f.atom) is Group and f.power < 0 else Sum((), free)
    one, last = sorted(s.terms, key=lambda t: len(t.factors)) if len(s.terms) == 2 else (0, 0)
    if (one == Term(1, ()) and last.coefficient == len(last.factors) == 1
            and _is_exp(last.factors[0]) and f.power.denominator == 1):
        x = scaled(last.factors[0].atom.args[0], -last.factors[0].power).with_free(s.free)
        return rest.times(Factor(Point(logistic, (x,)), (), -f.power))


def softmax_by_hand(f, rest, free):
    """exp(x_ij) / sum_j exp(x_ij) is softmax(x) along j."""
    inside = _summed_exp(f)
    if inside is None:
        return None
    free_of_sum = f.atom.sum.free
    summed = [i for i in inside.indices if i not in free_of_sum]
    for g, others in rest.apart():
        along = [i for i in g.indices if i not in free_of_sum]
        if not _is_exp(g) or not len(along) == len(summed) == 1:
            continue
        names = labels(g.indices)
        if g.base.key(names) == inside.key(names | {summed[0]: names[along[0]]}):
            p = min(g.power, -f.power)
            axes = tuple((i,) for i in (*(i for i in g.indices if i is not along[0]), *along))
            atom = Call(SOFTMAX, ((axes, unshifted(g.atom.args[0], along)),), (("axis", -1),),
                        tuple(i.size for (i,) in axes), ones=(len(axes) - 1,))
            return others.times(*lowered(-p, f), *lowered(p, g), Factor(atom, axes, p))


def unshifted(s, along):
    """Without the terms that are the same along an axis, of which a softmax knows nothing."""
    return Sum(tuple(t for t in s.terms if any(i in t.indices for i in along)), s.free)


def _summed_exp(f):
    """The exponential in a factor 1 / sum exp(x) or a power of it; None for other factors."""
    if type(f.atom) is not Group or f.power > -1 or f.power.denominator != 1:
        return None
    terms = f.atom.sum.terms
    alone = len(terms) == 1 and terms[0].coefficient == 1 and len(terms[0].factors) == 1
    return terms[0].factors[0] if alone and _is_exp(terms[0].factors[0]) else None


def _is_exp(f):
    return f.function is EXP and f.power >= 1 and f.power.denominator == 1


# Sums


def alternatives(s):
    """Other forms of a sum: with sinh and cosh for pairs of exponentials, without exp(x) beside
    sigma(x), and with 1 - sigma(x) for sigma(-x) or the other way round."""
    return [*_paired_exponentials(s), *_apart_from_sigma(s), *_complements(s)]


def _paired_exponentials(s):
    """exp(x) + exp(-x) = 2 cosh x, exp(x) - exp(-x) = 2 sinh x."""
    names = labels(s.free)
    for n, t in enumerate(s.terms):
        for f in filter(_is_exp, t.factors):
            x = f.atom.args[0] if f.power == 1 else scaled(f.atom.args[0], f.power)
            rest = tuple(g for g in t.factors if g is not f)
            opposite = Factor(Point(EXP, (scaled(x, -1),)))
            key = Term(t.coefficient, (*rest, opposite)).key(names)
            for m, u in enumerate(s.terms[n + 1:], n + 1):
                if abs(u.coefficient) == abs(t.coefficient) and u.key(names) == key:
                    function = COSH if u.coefficient == t.coefficient else SINH
                    c, x = ((u.coefficient, scaled(x, -1)) if _minuses(x) > 1 / 2
                            else (t.coefficient, x))
                    pair = Term(2 * c, (*rest, Factor(Point(function, (x,)))))
                    left = [v for k, v in enumerate(s.terms) if k not in (n, m)]
                    whole = Sum((pair, *left), s.free)
                    return _paired_exponentials(whole) or [whole]
    return []


def _apart_from_sigma(s):
    """exp(x) sigma(x) = exp(x) - sigma(x), and exp(x) / sigma(x) = exp(x) + 1."""
    terms = tuple(map(_apart, s.terms))
    return [Sum(terms, s.free)] if terms != s.terms else []


def _apart(term):
    for f, rest in term.apart():
        for g, others in rest.apart() if _is_exp(f) else ():
            if (g.function is logistic and g.power.denominator == 1 and f.power + abs(g.power) < 8
                    and _same_argument(f, g)):
                parts = tuple(Term(Fraction(c), tuple(h._replace(power=p) for h, p in powers if p))
                              for c, *ps in _monomials(f.power, g.power)
                              for powers in [zip((f, g), ps)])
                return others.times(Factor(Group(Sum(parts, frozenset(f.indices)))))
    return term


def _monomials(p, q):
    """exp(x)^p sigma(x)^q as a sum of c exp(x)^p sigma(x)^q, of which one power is 0: (c, p, q)."""
    if not p or not q:
        return [(1, p, q)]
    if q < 0:
        return _monomials(p, q + 1) + _monomials(p - 1, q + 1)
    return _monomials(p, q - 1) + [(-c, *powers) for c, *powers in _monomials(p - 1, q)]


def _complements(s):
    """With 1 - sigma(x) for sigma(-x), or the other way round; and s, if one alone is there."""
    names = labels({i for t in s.terms for i in t.indices})
    found = [(f.atom.args[0].key(names), f) for t in s.terms for f in t.factors
             if f.function is logistic]
    known, divides = {key: f.atom.args[0] for key, f in found}, {k for k, f in found if f.power < 0}
    opposite = {key: scaled(x, -1) for key, x in known.items()}
    both = {key for key, x in opposite.items() if x.key(names) in known}
    negative = {key for key, x in opposite.items() if (_minuses(known[key]), key) > (
        _minuses(x), x.key(names)) and (key in both or _minuses(known[key]) > _minuses(x))}

    def turned(f, wanted):
        key = f.atom.args[0].key(names) if f.function is logistic else None
        if key not in wanted:
            return f
        sigma = Factor(Point(logistic, (opposite[key],)))
        rest = Sum((Term(Fraction(1), ()), Term(Fraction(-1), (sigma,))), opposite[key].free)
        return Factor(Group(rest), (), f.power)

    found = [Sum(tuple(Term(t.coefficient, tuple(turned(f, wanted) for f in t.factors))
                       for t in s.terms), s.free)
             for wanted in (negative - divides, both - negative - divides) if wanted]
    return found if both else [*found, s] if found else []


def _minuses(s):
    return sum(t.coefficient < 0 for t in s.terms) / len(s.terms)
