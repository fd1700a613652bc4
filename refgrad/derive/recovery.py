"""Recover how plain numbers in formulas were computed from sizes.

len(X), float(m), math.log(m) and np.prod(X.shape) give plain numbers.  The program is run at
several sizes; those of its numbers that change are fitted by

    c m^p n^q ...                     p, q multiples of 1/2
    c + a m + b n + d m n + e m^2     its reciprocal, its root, the reciprocal of its root
    log(c m^p n^q)

A number that none of these fits stays a number, and the formula holds for one set of sizes.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np

from ..primitive import TABLE
from .arguments import dimensions
from .index import Factor, Leaf, Sum, power
from .run import Run
from .sizes import at_sizes, pointwise


def recovered(derivation):
    """What plain numbers in the formulas are, as `Entering` takes it."""
    names, values = list(derivation.numbers), [number for number, _ in derivation.entered]
    rows = [(derivation.numbers, values)]

    def more(sizes):
        entered = Run(derivation.f, derivation.variables, derivation.wrt, sizes).entered
        rows.append((sizes, [number for number, _ in entered]))
        return len(entered) == len(values)

    others = dimensions(derivation.variables, 1 + max(derivation.numbers.values()))
    changed = [derivation.numbers | {name: others[name]} for name in names] + [others]
    try:
        if not all(map(more, changed)):
            return {}
        moving = [k for k, (_, s) in enumerate(derivation.entered) if not _explains(s, rows, k)]
        found = {k: _fitted(rows, k, _monomial) for k in moving}
        if None in found.values():
            spread = dimensions(derivation.variables, 2)
            rng = np.random.default_rng(0)
            numbers = sorted({*spread.values(), *derivation.numbers.values(), *others.values()})
            extra = [dict(zip(names, rng.choice(numbers, len(names), replace=False).tolist()))
                     for _ in range(3 + len(names) * (len(names) + 3) // 2)]
            if not all(map(more, extra)):
                return {k: (values[k], s) for k, s in found.items() if s is not None}
            found |= {k: _fitted(rows, k, _polynomial) for k in moving if found[k] is None}
    except Exception:  # the program does not run at these sizes
        return {}
    return {k: (values[k], s) for k, s in found.items() if s is not None}


#: From a number to what is tried to be a polynomial, and back.
VIEWS = [(lambda v: v, lambda s: s), (lambda v: 1 / v, lambda s: power(s, -1)),
         (lambda v: v * v, lambda s: power(s, Fraction(1, 2))),
         (lambda v: 1 / (v * v), lambda s: power(s, Fraction(-1, 2)))]


def _fitted(rows, k, fit):
    """An expression in the sizes that is the number at position k in every run, or None."""
    sizes, column = [s for s, _ in rows], [float(row[k]) for _, row in rows]
    logarithm = math.exp, lambda s: pointwise(TABLE[np.log], s)
    views = VIEWS if fit is _polynomial else [VIEWS[0], logarithm]
    for view, back in views:
        try:
            s = fit(sizes, [view(v) for v in column])
        except (OverflowError, ZeroDivisionError, ValueError):
            continue
        s = None if s is None else back(s)
        if s is not None and _explains(s, rows, k):
            return s
    return None


def _explains(s, rows, k):
    """Whether an expression in the sizes is the number at position k in every run."""
    return all(math.isclose(at_sizes(s, sizes), row[k], rel_tol=1e-12) for sizes, row in rows)


def _monomial(sizes, column):
    """c m^p n^q: run 0 has the derivation's sizes, each of the next another for one name."""
    first, c, powers = sizes[0], column[0], {}
    for name, other, v in zip(first, sizes[1:], column[1:]):
        p = math.log(v / column[0]) / math.log(other[name] / first[name])
        powers[name] = Fraction(round(2 * p), 2)
        c /= first[name] ** float(powers[name])
    if not all(abs(p) <= 4 for p in powers.values()):
        return None
    return _product(_simple(c), powers)


def _polynomial(sizes, column):
    """A polynomial of degree 2, by least squares."""
    names = list(sizes[0])
    products = [{}, *({n: 1} for n in names), *({a: 1, b: 1} if a != b else {a: 2} for a, b in
                                                itertools.combinations_with_replacement(names, 2))]
    table = np.array([[math.prod(s[n] ** p for n, p in ms.items()) for ms in products]
                      for s in sizes], float)
    scale = np.max(table, axis=0)
    solution = np.linalg.lstsq(table / scale, np.array(column), rcond=None)[0] / scale
    least = 1e-9 * max(map(abs, column))
    solution = [0.0 if abs(c) * s < least else c for c, s in zip(solution, scale)]
    terms = [t for c, ms in zip(solution, products) if c
             for t in _product(_simple(c), {n: Fraction(p) for n, p in ms.items()}).terms]
    return Sum(tuple(terms), frozenset())


def _product(c, powers):
    """c m^p n^q as an expression."""
    return Sum.product([Factor(Leaf(n, (), "size"), (), p) for n, p in powers.items() if p],
                       coefficient=c)


def _simple(c):
    """A float as the simple fraction that it is to rounding, if it is one."""
    near = Fraction(c).limit_denominator(999)
    return near if math.isclose(near, c, rel_tol=1e-11) else Fraction(c)
