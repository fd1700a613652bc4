"""What NumPy's functions do to symbols: each primitive in index notation."""

from __future__ import annotations

import functools
import math

import numpy as np

from ..nn.losses import squared_error
from ..nn.rectifiers import rectified
from ..operations import INFIX
from ..primitive import TABLE, product
from ..rules.determinants import log_abs_det, sign_det
from ..rules.elementwise import logistic, sech_squared
from ..rules.linalg import contraction, matmul, solve
from ..rules.shape import cast, truncate
from .index import Call, Delta, Factor, Index, Point, Sum, as_factor, summed
from .simplify import reduced
from .sizes import EXPRESSIONS, OPERATORS, OPPOSITE, Size
from .symbol import (MEANING, NoFormula, Symbol, aligned, as_symbol, axes_of, call, fresh_axes,
                     kronecker, paired, point, same_size, size_of)


def means(*functions):
    """Declare what these functions (of NumPy, or primitives) do to symbols."""
    def declare(rule):
        for f in functions:
            MEANING[TABLE.get(f, f)] = rule
        return rule
    return declare


def no_formula(what):
    """The meaning of a function that has no formula."""
    def rule(*arrays, **params):
        raise NoFormula(what.format(**params))
    return rule


def tidy(s):
    """An expression with its terms reduced, without those that are 0."""
    return Sum(tuple(t for t in (reduced(t, s.free) for t in s.terms) if t.coefficient), s.free)


# Arithmetic


def entry_by_entry(operation):
    """The meaning of an operation of arithmetic."""
    def rule(a, b):
        axes, sums = aligned(a, b)
        return Symbol(axes, tidy(operation(*sums)))
    return rule


@means(sech_squared)
def _slope_of_tanh(x):
    """1 - tanh^2 x, which is 4 sigma(2 x) (1 - sigma(2 x)) where x is half of something."""
    x = as_symbol(x)
    if x.expression.terms and all(t.coefficient.denominator == 2 for t in x.expression.terms):
        sigma = logistic(2 * x)
        return 4 * sigma * (1 - sigma)
    return 1 - np.square(np.tanh(x))


# Comparisons and choices.  At a place where two formulas are equal by accident a convention holds,
# which is not a formula's matter.

def comparison(relation):
    """The meaning of a comparison."""
    def rule(a, b):
        axes, sums = aligned(a, b)
        return Symbol.of_factors(axes, [Factor(Point(relation, tuple(sums)))])
    return rule


def _extreme(x):
    """Whether the largest or smallest entry of an array stands in an expression."""
    return (isinstance(x, Symbol)
            and any(type(f.atom) is Call and f.atom.function.kind.value == "kinked"
                    for t in x.expression.terms for f in t.factors))


@means(np.equal)
def _equal(a, b):
    if _extreme(a) or _extreme(b):
        return comparison("==")(a, b)
    return np.zeros(np.broadcast_shapes(np.shape(a), np.shape(b)), bool)


@means(np.not_equal)
def _not_equal(a, b):
    f = as_factor(as_symbol(a).expression)
    # 0 on half of all arguments: not by accident
    if type(f.atom) is Point and f.atom.function is rectified:
        return comparison(">")(a, b)
    return np.ones(np.broadcast_shapes(np.shape(a), np.shape(b)), bool)


@means(np.logical_not)
def _not(a):
    f = as_factor(as_symbol(a).expression)
    if type(f.atom) is Point and f.atom.function in OPPOSITE:
        return Symbol.of_factors(
            a.axes, [f._replace(atom=f.atom._replace(function=OPPOSITE[f.atom.function]))])
    return 1 - as_symbol(a)


@means(np.where)
def _where(c, a, b):
    if not isinstance(c, Symbol):
        c = np.asarray(c)
        if c.all() or not c.any():
            axes, sums = aligned(a, b, Symbol(axes_of(c.shape), Sum.number(1)))
            return Symbol(axes, sums[0 if c.all() else 1])
    return c * as_symbol(a) + _not(c) * as_symbol(b)


# Shapes


def constant(value):
    """The meaning of zeros_like and its kin."""
    def rule(a, dtype=None, order="K", subok=True, shape=None, **options):
        return full(value, a, shape)
    return rule


def full(value, a, shape):
    """A number in each entry of an array in that shape, or in the shape of `a`."""
    axes = (fresh_axes(as_symbol(a).axes) if shape is None
            else axes_of(shape if isinstance(shape, tuple) else (shape,)))
    return Symbol(axes, Sum.number(value))


@means(np.full_like)
def _full_like(a, fill_value, dtype=None, shape=None):
    fill = as_symbol(fill_value)
    if shape == ():
        return fill
    target = full(1, a, shape)
    return target * fill


@means(np.broadcast_to)
def _broadcast_to(x, shape):
    x = as_symbol(x)
    target = Symbol(axes_of(shape), Sum.number(1))
    axes, (s, _) = aligned(x, target)
    return Symbol(axes, s)


@means(np.transpose)
def _transpose(x, axes):
    x = as_symbol(x)
    return Symbol([x.axes[k] for k in axes], x.expression)


@means(np.reshape)
def _reshape(x, shape):
    x = as_symbol(x)
    shape = shape if isinstance(shape, (tuple, list)) else (shape,)
    if -1 in shape:
        rest = math.prod(n for n in shape if n != -1)
        shape = tuple(x.size // rest if n == -1 else n for n in shape)
    flat, new, axes = [i for axis in x.axes for i in axis], {}, []

    def split(i, *parts):
        for old, to in new.items():
            new[old] = tuple(p for j in to for p in (parts if j is i else (j,)))
        return new.setdefault(i, parts)

    for n in shape:
        axis, left = [], int(n)
        while left > 1:
            if not flat:
                raise NoFormula(f"a reshape from {x.shape} to {shape}")
            i = flat.pop(0)
            if i.size > left:
                if i.size % left:
                    raise NoFormula(f"a reshape from {x.shape} to {shape}, which cuts axes")
                i, rest = split(i, Index(n if left == n else left), Index(i.size // left))
                flat.insert(0, rest)
            elif left % i.size:
                raise NoFormula(f"a reshape from {x.shape} to {shape}, which cuts axes")
            elif i.size == n and type(n) is Size and type(i.size) is not Size:
                (i,) = split(i, Index(n))
            axis.append(i)
            left //= int(i.size)
        axes.append(tuple(axis))
    return Symbol(axes, x.expression.substituted(new))


# Sums and products


@means(np.sum)
def _sum(x, axis, keepdims):
    x = as_symbol(x)
    gone = [k % x.ndim for k in axis]
    axes = [() if k in gone else a for k, a in enumerate(x.axes) if keepdims or k not in gone]
    return Symbol(axes, tidy(summed(x.expression, [i for k in gone for i in x.axes[k]])))


@means(np.mean)
def _mean(x, axis, keepdims):
    x = as_symbol(x)
    n = size_of([i for k in axis for i in x.axes[k]])
    return np.sum(x, axis=axis, keepdims=keepdims) / n


@means(matmul)
def _matmul(a, b):
    a, b = as_symbol(a), as_symbol(b)
    if a.axes[-1] and b.axes[-2]:
        same_size(size_of(a.axes[-1]), size_of(b.axes[-2]))
    return np.sum(a[..., :, :, None] * b[..., None, :, :], axis=-2)


@means(contraction)
def _contraction(*operands, subscripts, optimize):
    inputs, output = subscripts.split("->")
    letters = list(dict.fromkeys(subscripts.replace(",", "").replace("->", "")))
    total = None
    for labels, x in zip(inputs.split(","), operands):
        x = as_symbol(x)
        order = sorted(range(x.ndim), key=lambda k: letters.index(labels[k]))
        place = [labels[k] for k in order]
        axes = iter(x.axes[k] for k in order)
        spread = Symbol([next(axes) if letter in place else () for letter in letters], x.expression)
        total = spread if total is None else total * spread
    total = np.sum(total, axis=tuple(k for k, letter in enumerate(letters) if letter not in output))
    left = [letter for letter in letters if letter in output]
    return np.transpose(total, [left.index(letter) for letter in output])


@means(np.cumsum)
def _cumsum(x, axis):
    n = np.shape(x)[axis]
    lower = as_symbol(np.tri(int(n)))
    moved = np.moveaxis(as_symbol(x), axis, -1)
    return np.moveaxis(np.sum(moved[..., None, :] * lower, axis=-1), -1, axis)


# Matrices


def matrix_function(function, of_kronecker):
    """det and its logarithm, of a transpose and of a Kronecker product by its parts."""
    def rule(A):
        A = _upright(as_symbol(A))
        parts = kronecker(A)
        if parts is not None and parts[0].shape[0] == parts[0].shape[1]:
            return of_kronecker(*map(rule, parts), *(p.shape[0] for p in parts))
        return call(function, (A,), {})
    return rule


def _upright(A):
    """A' as A, for a single factor."""
    if A.ndim != 2:
        return A
    same_size(*A.shape)
    return A.T if as_factor(A.expression).slots == A.axes[::-1] else A


MEANING[TABLE[np.linalg.det]] = matrix_function(TABLE[np.linalg.det],
                                                no_formula("a determinant to the power of a size"))
MEANING[log_abs_det] = matrix_function(log_abs_det, lambda a, b, m, n: n * a + m * b)


@means(np.linalg.inv)
def _inv(A):
    A = as_symbol(A)
    if A.ndim != 2:
        return call(TABLE[np.linalg.inv], (A,), {})
    same_size(*A.shape)
    parts = kronecker(A)
    if parts is not None:
        return np.kron(*map(_inv, parts))
    given, A = A, _upright(A)
    f = as_factor(A.expression)
    if type(f.atom) is Call and f.atom.function is TABLE[np.linalg.inv] and f.power == 1:
        (a, b), s = f.atom.args[0]
        result = Symbol(A.axes, s.substituted(paired(a, A.axes[0]) | paired(b, A.axes[1])))
    elif type(f.atom) is Delta:
        result = A
    else:
        result = call(TABLE[np.linalg.inv], (A,), {})
        if A.key() == A.T.key():
            t = result.expression.terms[0]
            symmetric = t.factors[0].atom._replace(properties=frozenset({"symmetric"}))
            result = Symbol.of_factors(result.axes, [t.factors[0]._replace(atom=symmetric)])
    return result if A is given else result.T


@means(solve)
def _solve(A, B):
    return np.linalg.inv(as_symbol(A)) @ as_symbol(B)


MEANING |= {TABLE.get(f, f): rule for functions, rule in {
    **{(f,): entry_by_entry(EXPRESSIONS[OPERATORS[f]]) for f in (
        np.add, np.subtract, np.multiply, np.divide, np.power, np.float_power)},
    (product,): entry_by_entry(EXPRESSIONS[OPERATORS[np.multiply]]),
    **{(f,): OPERATORS[f] for f in (np.negative, np.reciprocal, np.square, np.sqrt)},
    **{(f,): comparison(sign) for f, sign in INFIX.items() if f in (
        np.greater, np.less, np.greater_equal, np.less_equal)},
    (np.positive, np.conjugate, np.copy, cast): lambda x, dtype=None: as_symbol(x),
    (np.sign,): functools.partial(point, TABLE[np.sign]),
    (truncate,): no_formula("{dtype} of a formula"),
    (np.floor, np.ceil, np.rint, np.trunc, np.round): no_formula("rounding"),
    (squared_error,): lambda x, t: np.square(as_symbol(x) - t),
    (np.hypot,): lambda a, b: np.sqrt(np.square(as_symbol(a)) + np.square(as_symbol(b))),
    (np.logical_and,): lambda a, b: as_symbol(a) * b,
    (np.logical_or,): lambda a, b: a + as_symbol(b) - as_symbol(a) * b,
    # Tests for special values come out the same for every formula.
    (np.isnan, np.isinf, np.signbit): lambda x: np.full(np.shape(x), False),
    (np.isfinite,): lambda x: np.full(np.shape(x), True),
    (np.shape,): lambda a: a.shape,
    (np.ndim,): lambda a: a.ndim,
    (np.size,): lambda a, axis=None: a.size if axis is None else a.shape[axis],
    (np.zeros_like, np.empty_like): constant(0),
    (np.ones_like,): constant(1),
    (sign_det,): lambda A: as_symbol(1),
}.items() for f in functions}
MEANING |= {bitwise: MEANING[TABLE[logical]] for bitwise, logical in [
    (np.bitwise_and, np.logical_and), (np.bitwise_or, np.logical_or),
    (np.invert, np.logical_not)]}
