"""Building formulas in their simplest shape: products flat, transposes inside, scalars in front."""

from __future__ import annotations

from fractions import Fraction

from . import form as F


def plus(terms):
    """A sum, its terms in their order."""
    terms = [u for t in terms for u in (t.terms if type(t) is F.Plus else [t])]
    kind = max((t.kind for t in terms), key=[F.SCALAR, F.ROW, F.COLUMN, F.MATRIX, F.ARRAY].index)
    return F.Plus(tuple(sorted(terms, key=_place)), kind)


def _place(t):
    """Positive terms first, products before names, then the identity, then numbers."""
    coefficient = t.scalars[0].value if type(t) is F.Times and type(t.scalars[0]) is F.Num else (
        t.value if type(t) is F.Num else 1)
    body = t.body if type(t) is F.Times and t.body is not None else t
    rank = {F.Num: 3, F.Eye: 2, F.Name: 1}.get(type(body), 0)
    if type(body) is F.T and type(body.body) is F.Name:
        return coefficient < 0, 1, repr(body.body) + "'"
    return coefficient < 0, rank, repr(body)


def transpose(x):
    """The transpose, taken inside products."""
    if type(x) is F.T:
        return x.body
    if x.kind == F.SCALAR or type(x) in (F.Eye, F.Diag) or getattr(x, "symmetric", False):
        return x
    if type(x) is F.MatMul:
        return mm([transpose(f) for f in reversed(x.factors)])
    if type(x) is F.Times:
        return F.Times(x.scalars, transpose(x.body), transpose(x.body).kind)
    if type(x) is F.Power and type(x.body) is F.T:
        return F.Power(x.body.body, x.exponent, F.COLUMN if x.kind == F.ROW else x.kind)
    return F.T(x, F.ROW if x.kind == F.COLUMN else F.MATRIX)


def opened(factors, kind):
    """Factors, with those of products of that kind in the place of these."""
    return [g for f in factors for g in (f.factors if type(f) is kind else [f])]


def mm(factors):
    """A matrix product; products inside it are part of it."""
    flat = opened(factors, F.MatMul)
    flat = [f for f in flat if type(f) is not F.Eye] or flat[:1]
    if len(flat) == 1:
        return flat[0]
    left = flat[0].kind == F.ROW
    right = flat[-1].kind == F.COLUMN
    return F.MatMul(tuple(flat), F.SCALAR if left and right else F.ROW if left else F.COLUMN
                    if right else F.MATRIX)


def hadamard(factors):
    """An entrywise product; products inside it are part of it."""
    flat = opened(factors, F.Hadamard)
    if len(flat) == 1:
        return flat[0]
    if any(type(f) is F.Eye for f in flat):  # I . A
        return F.Diag(F.DiagOf(hadamard([f for f in flat if type(f) is not F.Eye])))
    flat.sort(key=_order)
    for f in [f for f in flat if type(f) is F.Plus]:  # sigma(x) . (1 - sigma(x)) stay together
        beside = next((g for g in flat if type(g) is F.Apply and _negative(g) in f.terms), None)
        if beside is not None:
            flat.remove(f)
            flat.insert(flat.index(beside) + 1, f)
    return F.Hadamard(tuple(flat), flat[0].kind)


def _negative(f):
    return F.Times((F.Num(Fraction(-1)),), f, f.kind)


def _order(f):
    """Where a factor stands: what divides comes last, given numbers before it."""
    return type(f) is F.Power and f.exponent < 0, type(f) is F.Name and f.role == "data", repr(f)


def pair(x):
    """A square entry by entry as its two factors; None for others."""
    return (x.body, x.body) if type(x) is F.Power and x.exponent == 2 else None


def turns(x):
    """How many matrices are transposed in a product."""
    factors = x.factors if type(x) is F.MatMul else [x]
    return sum(type(f) is F.T and f.kind == F.MATRIX for f in factors)


def scalar_product(factors):
    """row . matrices . column, in the direction that transposes less, a differential at the end."""
    x = mm(factors)
    y = mm([transpose(f) for f in reversed(x.factors)])
    return min((x, y), key=lambda z: (not is_d(z.factors[-1]), transposes(z), repr(z)))


def is_d(x):
    """Whether a formula is a differential."""
    return type(x) is F.Name and x.role == "differential"


def d_last(x):
    """The key that sorts a differential to the end."""
    return is_d(x), repr(x)


def trace(a, b):
    """The circle of a from i to k and b from i to k: sum_ik a_ik b_ik."""
    two = min((sorted(two, key=d_last) for two in ([a, b], [transpose(a), transpose(b)])),
                   key=transposes)
    circle = mm([a, transpose(b)])
    if type(circle) is not F.MatMul:
        return F.Trace(circle)
    rolled = []
    for way in (circle.factors, tuple(transpose(f) for f in reversed(circle.factors))):
        rolled.extend(F.MatMul(way[n:] + way[:n], F.MATRIX) for n in range(len(way)))
    best = min(rolled, key=lambda x: (turns(x), repr(x)))
    simple = all(type(x) is not F.MatMul for x in two)
    if simple and transposes(two) <= turns(best):
        return F.Inner(*two)
    return F.Trace(best)


def times(number, scalars, body):
    """A product with scalars in front."""
    if type(body) is F.Times:
        inner = list(body.scalars)
        if type(inner[0]) is F.Num:
            number *= inner.pop(0).value
        scalars, body = [*scalars, *inner], body.body
    flat = []
    for s in scalars:
        if type(s) is F.Num:
            number *= s.value
        else:
            flat.append(s)
    flat.sort(key=lambda s: (type(s) is F.Power and s.exponent < 0, type(s) is not F.Name,
                             getattr(s, "role", "") != "size", repr(s)))
    front = ([] if number == 1 else [F.Num(number)]) + flat
    if not front:
        return body if body is not None else F.Num(Fraction(1))
    if body is None and len(front) == 1:
        return front[0]
    return F.Times(tuple(front), body, F.SCALAR if body is None else body.kind)


def transposes(x):
    """How many transposes of matrices formulas have; that of an inverse counts less."""
    return sum(0.5 if type(n.body) is F.Inverse else 1 for n in F.nodes(x)
               if type(n) is F.T and n.kind == F.MATRIX)


def as_inner(x):
    """<a, b> and a' b as an inner product; None for others."""
    if type(x) is F.MatMul and x.kind == F.SCALAR and len(x.factors) == 2:
        return F.Inner(transpose(x.factors[0]), x.factors[1])
    return x if type(x) is F.Inner else None


def norm_of(square):
    """|x| for <x, x>, or None."""
    two = as_inner(square)
    return F.Apply("norm", (two.left,), (), F.SCALAR) if two and two.left == two.right else None
