"""Functions of single elements.

Where a function is monotone, a wide ball is mapped through its two ends: a formula evaluated at the
midpoint with a bound on the derivative, which is what flint does for most functions, is right but
useless there (tanh [0 ± 3] would come out as [-401, 1]).
"""

from __future__ import annotations

import numpy as np
from flint import arb

from .arithmetic import (
    FUNCTION_ULPS, HALF, ONE, SQRT_ULPS, ZERO, as_cells, current_format, each, rounded, unbounded)
from .array import Ball, cells_of, exact_cells, register, wrap

#: Balls wider than this go through a monotone function by their ends.
WIDE = arb(2) ** -20


def elementwise(function, compute, ulps=FUNCTION_ULPS):
    """Enter `compute`, cells to cells, as the meaning of `function`.

    `ulps` is what a float evaluation may be off; 0 if there is nothing more to round.
    """
    def implementation(*operands):
        cells = compute(*map(cells_of, operands))
        return wrap(rounded(cells, ulps) if ulps else cells)
    register(function, implementation)


def monotone(function):
    """A monotone function of one ball, tight for wide balls too, from one that is for thin ones."""
    def through_the_ends(x):
        if x.is_nan():      # flint has arcsin of it at -pi / 2
            return unbounded()
        if x.rad() <= WIDE:
            return function(x)
        return function(x.lower()).union(function(x.upper()))
    return each(through_the_ends)


# Arithmetic

def scaling(operation, scales):
    """Products and quotients, exact where an operand only scales, by zeros and powers of two.

    `scales`: the slice of the operands that may do so, if they are plain numbers.
    """
    def implementation(*operands):
        cells = operation(*map(cells_of, operands))
        exact = current_format() is not None and any(map(_powers_of_two, operands[scales]))
        return wrap(_keep_normal(cells) if exact else rounded(cells))
    register(operation, implementation)


def _powers_of_two(x):
    if type(x) is Ball or isinstance(x, (list, tuple)):
        return False
    values = np.asarray(x)
    if values.dtype.kind not in "biuf" or (
            values.dtype.kind in "iu" and np.any(np.abs(values) >= 2 ** 53)):
        return False
    mantissas = np.frexp(np.abs(values.astype(float)))[0]
    return bool(np.all((mantissas == 0.5) | (mantissas == 0)))


def _keep_normal(cells):
    """`rounded` for exact operations: only what leaves the normal range is widened."""
    form, cells = current_format(), as_cells(cells)
    size = np.abs(cells)
    ordinary = np.asarray((size >= form.normal) & (size <= form.largest))
    return cells if ordinary.all() else np.where(ordinary, cells, rounded(cells))


@register(np.ldexp)
def ldexp(x, exponents):
    """x 2^n for whole n: exact in the normal range."""
    cells = cells_of(x) * each(lambda n: arb(2) ** n)(exact_cells(exponents))
    return wrap(cells if current_format() is None else _keep_normal(cells))


scaling(np.multiply, slice(None))
scaling(np.divide, slice(1, None))
elementwise(np.add, np.add, HALF)
elementwise(np.subtract, np.subtract, HALF)
elementwise(np.square, lambda x: x * x, HALF)
elementwise(np.reciprocal, lambda x: ONE / x, HALF)
elementwise(np.negative, np.negative, 0)
elementwise(np.positive, lambda x: x, 0)
elementwise(np.conjugate, lambda x: x, 0)


def nonnegative_sqrt(x):
    """The square root of what is known not to be negative, whatever its radius says."""
    if x >= ZERO:
        return x.sqrt()
    top = x.upper().sqrt() / 2
    return arb(top, top)


elementwise(np.sqrt, monotone(arb.sqrt), SQRT_ULPS)


@register(np.power)
@register(np.float_power)
def power(x, y):
    """x ** y.  Flint's power is exact for whole exponents, of floats too, with 0 ** 0 = 1.

    In bound mode x ** 1 is x and x ** 2 is x * x, as every library has it.
    """
    x, y = cells_of(x), cells_of(y)
    if y.size != 1 or not (y.item().is_exact() and y.item().is_integer()):
        return wrap(rounded(each(_power, 2)(x, y), FUNCTION_ULPS))
    exponent = int(y.item().unique_fmpz())
    cells = np.broadcast_to(np.power(x, exponent), np.broadcast_shapes(x.shape, y.shape))
    if exponent == 1:
        return wrap(cells)
    return wrap(rounded(cells, HALF if exponent == 2 else FUNCTION_ULPS))


def _power(x, y):
    if y == HALF and x.rad() > WIDE:
        return x.lower().sqrt().union(x.upper().sqrt())
    return x ** y


# Exponentials, logarithms, roots

def _cbrt(x):
    if x == ZERO:
        return x
    if x > ZERO:
        return x.root(3)
    return -(-x).root(3) if x < ZERO else _cbrt(x.lower()).union(_cbrt(x.upper()))


elementwise(np.cbrt, monotone(_cbrt))
elementwise(np.exp, monotone(arb.exp))
elementwise(np.exp2, monotone(lambda x: arb(2) ** x))
elementwise(np.expm1, monotone(arb.expm1))
elementwise(np.log, monotone(arb.log))
elementwise(np.log2, monotone(lambda x: x.log_base(2)))
elementwise(np.log10, monotone(lambda x: x.log_base(10)))
elementwise(np.log1p, monotone(arb.log1p))


def logaddexp(x, y):
    """log(e^x + e^y) = max + log1p(e^-|x - y|), only as good as its parts near zero."""
    return _log_of_sum(x, y, lambda d: (-d).exp().log1p(), 2 * FUNCTION_ULPS)


def logaddexp2(x, y):
    log2 = arb(2).log()
    return _log_of_sum(x, y, lambda d: (-d * log2).exp().log1p() / log2, 3 * FUNCTION_ULPS)


def _log_of_sum(x, y, tail, ulps):
    distance = rounded(np.where(np.asarray(x == y), ZERO, x - y))
    return rounded(each(arb.max, 2)(x, y) + rounded(monotone(tail)(np.abs(distance)), ulps))


elementwise(np.logaddexp, logaddexp, 0)
elementwise(np.logaddexp2, logaddexp2, 0)


# Trigonometric and hyperbolic functions

def arctan2(y, x):
    """The angle of (x, y).

    Floats have a zero from below, on whose side the angle of a negative x is -pi.
    """
    if x.is_nan() or y.is_nan():
        return unbounded()
    angle = arb.atan2(y, x)
    two_sided = y == ZERO and not x > ZERO and current_format() is not None
    return angle.union(-angle) if two_sided else angle


elementwise(np.sin, each(arb.sin))
elementwise(np.cos, each(arb.cos))
elementwise(np.tan, each(arb.tan))
elementwise(np.arcsin, monotone(arb.asin))
# flint's own arccos and arccosh lose digits near 1
elementwise(np.arccos, monotone(lambda x: 2 * ((1 - x) / 2).sqrt().asin()))
elementwise(np.arccosh, monotone(lambda x: 2 * ((x - 1) / 2).sqrt().asinh()))
elementwise(np.arctan, monotone(arb.atan))
elementwise(np.arctan2, each(arctan2, 2))
elementwise(np.sinh, monotone(arb.sinh))
elementwise(np.cosh, each(arb.cosh))
elementwise(np.tanh, monotone(arb.tanh))
elementwise(np.arcsinh, monotone(arb.asinh))
elementwise(np.arctanh, monotone(arb.atanh))
elementwise(np.hypot, each(lambda x, y: nonnegative_sqrt(x * x + y * y), 2))


@register(np.sinc)
def sinc(x):
    """sin(pi x) / (pi x).  Floats round pi x, which counts as a relative error of the argument."""
    cells, form = cells_of(x), current_format()
    if form is not None:
        cells = np.where(np.asarray(cells == ZERO), cells, as_cells(cells * form.factor(1)))
    return wrap(rounded(each(arb.sinc_pi)(cells), 2 * FUNCTION_ULPS))


for _ufunc in (np.degrees, np.rad2deg):
    elementwise(_ufunc, lambda x: x * (180 / arb.pi()))
for _ufunc in (np.radians, np.deg2rad):
    elementwise(_ufunc, lambda x: x * (arb.pi() / 180))
