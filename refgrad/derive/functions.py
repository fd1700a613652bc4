"""What functions of entries have to do with each other: identities that make formulas shorter.

    exp(log x) = x                      sinh x / cosh x = tanh x
    exp(-log(1 + exp x)) = sigma(-x)    exp(X) / (exp(X) 1) = softmax(X)
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from ..nn.activations import log1pexp, logistic
from ..primitive import TABLE
from ..rules.elementwise import sech_squared
from .index import (Call, Factor, Group, Leaf, Point, Sum, Term, add, as_factor, fresh,
                    is_indicator, labels, power, scaled)
from .notation import SOFTMAX, traits

EXP, ARCTAN, SIGN, ABSOLUTE = (TABLE[f] for f in (np.exp, np.arctan, np.sign, np.absolute))
PI = Leaf("pi", (), "constant")


def undone(f):
    """exp(log x) = x, exp(log softmax x) = softmax x, arctan 1 = pi/4, [relu x > 0] = [x > 0]."""
    function, s = f.atom.function, f.atom.args[0]
    inside = as_factor(s)
    if function is ARCTAN and s.terms == Sum.number(1).terms:
        quarter = Term(Fraction(1, 4), (Factor(PI, (), Fraction(1)),))
        return Factor(Group(Sum((quarter,), s.free)), (), f.power)
    if function is EXP and logistic_of(s) is not None:
        return f._replace(atom=Point(logistic, (logistic_of(s),)))
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


def logistic_of(s):
    """z where exp(s) is sigma(z): exp(a - log(e^a + e^b)) = sigma(a - b);  None for others."""
    for n, t in enumerate(s.terms):
        f = t.factors[0] if len(t.factors) == 1 and t.coefficient == -1 else None
        if f is None or type(f.atom) is not Point or f.power != 1:
            continue
        if f.atom.function in (TABLE[np.logaddexp], log1pexp):
            a, b = f.atom.args if len(f.atom.args) == 2 else (Sum((), s.free), *f.atom.args)
            rest, names = Sum(s.terms[:n] + s.terms[n + 1:], s.free), labels(s.free)
            for one, other in ((a, b), (b, a)):
                if rest.key(names) == one.key(names):
                    return add(one, scaled(other, -1))
    return None


# Rules for a single product, as in simplify


def indicator(term, free):
    """[x > 0]^p is itself;  sign^2 = 1 and |x|^2 = x^2 (but at 0, a convention's matter)."""
    for n, f in enumerate(term.factors):
        if type(f.atom) is not Point:
            continue
        function = f.atom.function
        rest = term.factors[:n] + term.factors[n + 1:]
        if is_indicator(f.atom) and f.power != 1 and f.power > 0:
            return Term(term.coefficient, rest + (f._replace(power=Fraction(1)),))
        if function is SIGN and f.power != 1 and f.power.denominator == 1:
            p = f.power % 2
            return Term(term.coefficient, rest + ((f._replace(power=Fraction(1)),) if p else ())) \
                if p or set(f.indices) <= {i for g in rest for i in g.indices} | set(free) else None
        if function is ABSOLUTE and f.power.denominator == 1 and f.power % 2 == 0:
            inside = power(f.atom.args[0], f.power)
            if len(inside.terms) == 1:
                (t,) = inside.terms
                return Term(term.coefficient * t.coefficient, rest + fresh(t, inside.free).factors)
        if function is ABSOLUTE:
            sign = f.atom._replace(function=SIGN)
            k = Factor(sign, (), Fraction(1)).key(labels(sign.args[0].free))
            for m, g in enumerate(rest):
                if f.power == g.power == 1 and type(g.atom) is Point and (
                        g.key(labels(g.indices)) == k):
                    x = Factor(Group(f.atom.args[0]), (), Fraction(1))
                    return Term(term.coefficient, rest[:m] + rest[m + 1:] + (x,))
    return None


def quotient(term, free):
    """sinh x / cosh x = tanh x, and sin x / cos x = tan x."""
    for n, f in enumerate(term.factors):
        known = traits(f.atom.function) if type(f.atom) is Point else None
        if not known or not known.over or f.power < 1:
            continue
        below, result = known.over
        for m, g in enumerate(term.factors):
            if type(g.atom) is Point and g.atom.function is below and (
                    g.power <= -1 and _same_argument(f, g)):
                p = min(f.power, -g.power)
                made = [f._replace(power=f.power - p), g._replace(power=g.power + p),
                        f._replace(atom=Point(result, f.atom.args), power=p)]
                rest = [h for k, h in enumerate(term.factors) if k not in (n, m)]
                return Term(term.coefficient, (*rest, *(h for h in made if h.power)))
    return None


def _same_argument(f, g):
    names = labels({**f.indices, **g.indices})
    return [a.key(names) for a in f.atom.args] == [a.key(names) for a in g.atom.args]


def logistic_slope(term, free):
    """1 / (4 cosh^2(x / 2)) = sigma(x) (1 - sigma(x)), where x / 2 is what it is a function of."""
    for n, f in enumerate(term.factors):
        if type(f.atom) is Point and f.atom.function is sech_squared and f.power == 1:
            (s,) = f.atom.args
            if s.terms and all(t.coefficient.denominator == 2 for t in s.terms):
                sigma = Factor(Point(logistic, (scaled(s, 2),)), (), Fraction(1))
                rest = Sum((Term(Fraction(1), ()), Term(Fraction(-1), (sigma,))), s.free)
                factors = term.factors[:n] + term.factors[n + 1:]
                complement = Factor(Group(rest), (), Fraction(1))
                return Term(4 * term.coefficient, (*factors, sigma, complement))
    return None


def softmax_by_hand(term, free):
    """exp(x_ij) / sum_j exp(x_ij) is softmax(x) along j."""
    for n, f in enumerate(term.factors):
        inside = _summed_exp(f)
        if inside is None:
            continue
        free_of_sum = f.atom.sum.free
        summed = [i for i in inside.indices if i not in free_of_sum]
        for m, g in enumerate(term.factors):
            along = [i for i in g.indices if i not in free_of_sum]
            if not _is_exp(g) or not len(along) == len(summed) == 1:
                continue
            names = labels(g.indices)
            if g._replace(power=Fraction(1)).key(names) == inside.key(
                    names | {summed[0]: names[along[0]]}):
                p = min(g.power, -f.power)
                axes = tuple((i,) for i in (*(i for i in g.indices if i is not along[0]), *along))
                atom = Call(SOFTMAX, ((axes, g.atom.args[0]),), (("axis", -1),),
                            tuple(i.size for (i,) in axes), ones=(len(axes) - 1,))
                made = [f._replace(power=f.power + p), g._replace(power=g.power - p),
                        Factor(atom, axes, p)]
                rest = [h for k, h in enumerate(term.factors) if k not in (n, m)]
                return Term(term.coefficient, (*rest, *(h for h in made if h.power)))
    return None


def _summed_exp(f):
    """The exponential in a factor 1 / sum exp(x) or a power of it; None for other factors."""
    if type(f.atom) is not Group or f.power > -1 or f.power.denominator != 1:
        return None
    terms = f.atom.sum.terms
    alone = len(terms) == 1 and terms[0].coefficient == 1 and len(terms[0].factors) == 1
    return terms[0].factors[0] if alone and _is_exp(terms[0].factors[0]) else None


def _is_exp(f):
    is_exp = type(f.atom) is Point and f.atom.function is EXP
    return is_exp and f.power >= 1 and f.power.denominator == 1


# Sums


def complements(s):
    """sigma(x) + sigma(-x) = 1, where two terms differ in nothing else."""
    terms = list(s.terms)
    for a, t in enumerate(terms):
        for n, f in enumerate(t.factors):
            if type(f.atom) is Point and f.atom.function is logistic and f.power == 1:
                turned = f._replace(atom=f.atom._replace(args=(scaled(f.atom.args[0], -1),)))
                rest = t.factors[:n] + t.factors[n + 1:]
                key = Term(t.coefficient, (*rest, turned)).key(labels(s.free))
                b = next((b for b, u in enumerate(terms) if b != a and (
                    u.coefficient == t.coefficient and u.key(labels(s.free)) == key)), None)
                if b is not None and set(f.indices) <= {*Term(1, rest).indices, *s.free}:
                    left = [u for k, u in enumerate(terms) if k not in (a, b)]
                    return complements(Sum((*left, Term(t.coefficient, rest)), s.free))
    return s
