"""What balls decide: comparisons, logic, choices.

x < y is certain when every number of the one ball lies below every number of the other, and so is
x >= y; between overlapping balls neither is.  What is certain is a plain bool, and goes into the
branch log.  What is not raises `Undecided` in exact mode; in bound mode it becomes an indicator: a
Ball of 0, 1 and [0, 1], with which ``np.where`` gives the hull of both branches and by which one
may multiply.

Two cells that are the same object stand for the same number: taking, repeating and comparing them
is a decided tie.
"""

from __future__ import annotations

import numpy as np
from flint import arb

from .arithmetic import (
    HALF, ONE, ZERO, Undecided, as_cells, current_format, each, record, unbounded)
from .array import FUNCTIONS, UnknownOperand, cells_of, register, wrap
from .reading import INFINITE


def maybe():
    """[0, 1] exactly, a fresh one: flint rounds a given radius up by a unit in its 30 bits."""
    return arb(HALF, HALF - 2.0 ** -31)


def settle(name, yes, no, *operands, same=False):
    """The outcome of a comparison, from where it certainly holds and where it certainly does not.

    `same` is the outcome for two operands that are one and the same ball.
    """
    yes, no = np.array(yes, bool), np.asarray(no, bool)
    undecided = np.asarray(~(yes | no))
    if undecided.any():
        cells = [np.broadcast_to(c, yes.shape) for c in operands]
        for i in map(tuple, np.argwhere(undecided)):
            if is_same(*(c[i] for c in cells)):
                yes[i], undecided[i] = same, False
    if not undecided.any():
        record(name, yes)
        return yes[()]
    if current_format() is None:
        refuse(name, undecided, *operands)
    return indicator(np.where(undecided, HALF, yes))


def is_same(a, b=None):
    return a is b and not a.is_nan()


def refuse(name, undecided, *operands):
    """Raise `Undecided` for the first open element."""
    index = tuple(np.argwhere(undecided)[0])
    raise Undecided(name, index, [np.broadcast_to(c, undecided.shape)[index] for c in operands])


def indicator(codes):
    """The Ball of 0, 1 and [0, 1] for codes 0, 1 and one half."""
    ball = each(lambda code: ZERO if code == 0 else ONE if code == 1 else maybe())
    return wrap(ball(codes.astype(object)))


def truth(x):
    """Codes for "is not zero": 0, 1, or one half where it is open; and the cells."""
    cells = cells_of(x)
    zero, nonzero = np.asarray(cells == ZERO), np.asarray(cells != ZERO)
    return np.where(zero, 0.0, np.where(nonzero, 1.0, HALF)), cells


def comparison(ufunc, opposite, same):
    def implementation(x, y):
        a, b = cells_of(x), cells_of(y)
        return settle(ufunc.__name__, ufunc(a, b), opposite(a, b), a, b, same=same)
    register(ufunc, implementation)


comparison(np.less, np.greater_equal, False)
comparison(np.less_equal, np.greater, True)
comparison(np.greater, np.less_equal, False)
comparison(np.greater_equal, np.less, True)
comparison(np.equal, np.not_equal, True)
comparison(np.not_equal, np.equal, False)


# Logic

def connective(ufunc, bitwise, combine):
    def logical(*operands):
        codes, cells = zip(*map(truth, operands))
        outcome = combine(*codes)
        return settle(ufunc.__name__, outcome == 1, outcome == 0, *cells)

    def on_truths(*operands):
        for x in operands:
            codes, cells = truth(x)
            if not np.all((codes != 1) | np.asarray(cells == ONE)):
                raise UnknownOperand(x)       # numbers have no bits
        return logical(*operands)
    register(ufunc, logical)
    register(bitwise, on_truths)


connective(np.logical_and, np.bitwise_and, np.minimum)
connective(np.logical_or, np.bitwise_or, np.maximum)
connective(np.logical_not, np.invert, lambda p: 1 - p)
connective(np.logical_xor, np.bitwise_xor,
           lambda p, q: np.where((p == HALF) | (q == HALF), HALF, p != q))


def quantifier(function, extreme, of_none):
    def implementation(a, axis=None, keepdims=False):
        codes = extreme(truth(a)[0], axis=axis, keepdims=keepdims, initial=of_none)
        return settle(function.__name__, codes == 1, codes == 0, as_cells(maybe()))
    register(function, implementation)


quantifier(np.all, np.min, 1)
quantifier(np.any, np.max, 0)


def nonzero_places(a):
    """Where the entries are not zero, as plain bools: what is counted or used as an index must be
    decided."""
    codes, cells = truth(a)
    if np.any(codes == HALF):
        refuse("nonzero", codes == HALF, cells, as_cells(ZERO))
    record("nonzero", codes == 1)
    return np.asarray(codes == 1)


for _function in (np.nonzero, np.flatnonzero, np.argwhere, np.count_nonzero):
    register(_function, lambda a, *args, _function=_function, **named: _function(
        nonzero_places(a), *args, **named))


def classified(ufunc, yes, no):
    def implementation(x):
        cells = cells_of(x)
        return settle(ufunc.__name__, each(yes)(cells), each(no)(cells), cells)
    register(ufunc, implementation)


def is_infinite(c):
    return abs(c) == INFINITE


# An indeterminate ball may be anything; a float NaN among the operands is indeterminate too.
classified(np.isfinite, arb.is_finite, is_infinite)
classified(np.isinf, is_infinite, arb.is_finite)
classified(np.isnan, lambda c: False, lambda c: c.is_finite() or is_infinite(c))
# Balls have one zero.  Floats have two, so in bound mode the sign bit of zero is open.
classified(np.signbit, lambda c: c < ZERO,
           lambda c: c > ZERO or c >= ZERO and current_format() is None)


# Choices

@register(np.where)
def where(condition, x=None, y=None):
    """The hull of both branches where the condition is open."""
    if x is None and y is None:
        return np.nonzero(nonzero_places(condition))
    a, b = cells_of(x), cells_of(y)
    if isinstance(condition, (np.bool_, np.ndarray)) and condition.dtype == bool:
        return wrap(np.where(condition, a, b))
    codes, cells = truth(condition)
    if current_format() is None and np.any(codes == HALF):
        refuse("where", codes == HALF, cells)
    chosen = np.where(codes == 1, a, b)
    return wrap(hull_where(codes == HALF, chosen, a, b))


def hull_where(undecided, chosen, a, b):
    if not undecided.any():
        return chosen
    chosen = np.array(np.broadcast_to(chosen, np.broadcast_shapes(undecided.shape, chosen.shape)))
    a, b = np.broadcast_to(a, chosen.shape), np.broadcast_to(b, chosen.shape)
    for i in map(tuple, np.argwhere(np.broadcast_to(undecided, chosen.shape))):
        chosen[i] = a[i].union(b[i])
    return chosen


@register(np.select)
def select(condlist, choicelist, default=0):
    result = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist)):
        result = where(condition, choice, result)
    return result


@register(np.copysign)
def copysign(x, y):
    size = np.abs(cells_of(x))
    return where(FUNCTIONS[np.signbit](y), wrap(-size), wrap(size))


@register(np.heaviside)
def heaviside(x, at_zero):
    x = wrap(cells_of(x))
    return wrap(spoilt(where(x < 0, 0, where(x > 0, 1, at_zero)).cells, x.cells))


def spoilt(cells, operand):
    """The cells, indeterminate where the operand is: a float NaN would come through."""
    return each(lambda c, x: unbounded() if x.is_nan() else c, 2)(cells, operand)


@register(np.sign)
def sign(x):
    """-1, 0 or 1; in bound mode [-1, 1] where the sign is open, and indeterminate where x is."""
    cells = cells_of(x)
    codes = signs(cells)
    if np.any(codes == HALF):
        if current_format() is None:
            refuse("sign", codes == HALF, cells, as_cells(ZERO))
    else:
        record("sign", codes)
    return wrap(spoilt(each(arb.sgn)(cells), cells))


def signs(cells):
    """-1, 0, 1, or one half where the sign is open."""
    above, below, zero = (np.asarray(op(cells, ZERO)) for op in (np.greater, np.less, np.equal))
    return np.where(above | below | zero, above * 1.0 - below, HALF)


@register(np.absolute)
@register(np.fabs)
def absolute(x):
    """|x| is continuous: an open sign costs nothing but the ball that it leads to.

    The signs go into the branch log.
    """
    cells = cells_of(x)
    record("absolute", lambda: signs(cells))
    return wrap(np.abs(cells))


def choice(ufunc, same, before, pick):
    """maximum and minimum, and `same`, which differs from `ufunc` for nan alone.

    `before(a, b)` says where a is certainly a right choice, `pick` is the hull of both.
    """
    def implementation(x, y):
        a, b = cells_of(x), cells_of(y)
        first, second = np.array(before(a, b)), np.array(before(b, a))
        undecided = ~(first | second)
        if undecided.any():
            p, q = np.broadcast_to(a, undecided.shape), np.broadcast_to(b, undecided.shape)
            for i in map(tuple, np.argwhere(undecided)):
                if is_same(p[i], q[i]):
                    first[i] = second[i] = True
                    undecided[i] = False
        chosen = np.where(first, a, b)
        if undecided.any():
            if current_format() is None:
                refuse(ufunc.__name__, undecided, a, b)
            return wrap(np.where(undecided, each(pick, 2)(a, b), chosen))
        record(ufunc.__name__, lambda: first.astype(np.int8) - second)
        return wrap(chosen)
    register(ufunc, implementation)
    register(same, implementation)


choice(np.maximum, np.fmax, np.greater_equal, arb.max)
choice(np.minimum, np.fmin, np.less_equal, arb.min)


@register(np.clip)
def clip(a, a_min=None, a_max=None, *, min=None, max=None):
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    a = wrap(cells_of(a))
    a = a if low is None else np.maximum(a, low)
    return a if high is None else np.minimum(a, high)
