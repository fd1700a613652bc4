"""The logarithm of the gamma function and its derivatives, which NumPy lacks, ready for `register`.

In bound mode they cost `GAMMA_ULPS`, counted at values of at least 1: near their zeros libraries
are good to an absolute error only.
"""

from __future__ import annotations

import numpy as np
from flint import arb, arb_series, ctx

from .arithmetic import (
    FUNCTION_ULPS, ONE, ZERO, as_cells, current_format, each, rounded, unbounded)
from .array import Ball, cells_of, wrap

#: Implementations differ more than those of exp: cephes, glibc and boost are good to about this.
GAMMA_ULPS = 16


def sharp(function):
    """The function of balls, with more bits where exact arguments give few digits."""
    def evaluated(*cells):
        y = function(*cells)
        if all(x.is_exact() for x in cells) and y.is_finite() and (
                y.rel_accuracy_bits() < ctx.prec - 20):
            bits = ctx.prec
            try:
                ctx.prec = 3 * bits
                y = function(*cells)
            finally:
                ctx.prec = bits
        return y
    return evaluated


def ball_lgamma(x) -> Ball:
    """log |gamma|, elementwise; indeterminate around the poles 0, -1, -2 ..."""
    return _gamma_family(each(sharp(_lgamma)), x)


def ball_digamma(x) -> Ball:
    """The derivative of log gamma, elementwise."""
    return _gamma_family(each(sharp(arb.digamma)), x)


def ball_polygamma(n, x) -> Ball:
    """The n-th derivative of digamma, elementwise; n a whole number."""
    if n == 0:
        return ball_digamma(x)
    return _gamma_family(each(sharp(lambda c: _polygamma(int(n), c))), x)


def _gamma_family(function, x):
    cells, form = cells_of(x), current_format()
    if form is None:
        return wrap(function(cells))
    left = ~np.asarray(cells > ZERO)  # there libraries reflect, and what they reflect at is rounded
    values = function(np.where(left, as_cells(cells * form.factor(FUNCTION_ULPS)), cells))
    error = each(arb.max, 2)(np.abs(values), ONE) * arb(0, 2 * GAMMA_ULPS * form.unit)
    return wrap(rounded(values + error))


def _lgamma(x):
    """log |gamma(x)|; left of zero by reflection, gamma(x) gamma(1 - x) = pi / sin(pi x)."""
    if x > ZERO:
        return x.lgamma()
    sine = abs(x.sin_pi())
    return (arb.pi() / sine).log() - (1 - x).lgamma() if sine > ZERO else unbounded()


def _polygamma(n, x):
    """(-1)^(n+1) n! zeta(n + 1, x); left of zero by reflection:

    psi(x) = psi(1 - x) - pi cot(pi x), of which the n-th derivative is taken on both sides
    """
    if x > ZERO:
        return arb(n + 1).zeta(x) * arb(n).fac() * (-1) ** (n + 1)
    if not x < ONE:
        return unbounded()
    cotangent = arb_series([x, 1], prec=n + 1).cot_pi()[n] * arb(n).fac()
    return (-1) ** n * _polygamma(n, 1 - x) - arb.pi() * cotangent
