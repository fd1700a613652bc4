"""Functions outside NumPy, ready for `register`: error function, gamma functions, their derivatives.

In bound mode they cost `SPECIAL_ULPS`, counted at values of at least 1 for the gamma family: near its zeros libraries
are good to an absolute error only.
"""

from __future__ import annotations

import numpy as np
from flint import arb, ctx

from .arithmetic import FUNCTION_ULPS, ONE, ZERO, as_cells, current_format, each, rounded, unbounded
from .array import Ball, cells_of, wrap
from .elementwise import monotone

#: Implementations of the gamma family differ more than those of exp: cephes, glibc and boost are good to about this.
SPECIAL_ULPS = 16

#: Arguments further left than this are not worth the recurrence: the result is indeterminate.
FARTHEST = 10_000


def sharp(function):
    """The function of one ball; where an exact argument gives a cancelling result, once more with more bits."""
    def evaluated(x):
        y = function(x)
        if x.is_exact() and y.is_finite() and y.rel_accuracy_bits() < ctx.prec - 20:
            bits = ctx.prec
            try:
                ctx.prec = 3 * bits
                y = function(x)
            finally:
                ctx.prec = bits
        return y
    return evaluated


def ball_erf(x) -> Ball:
    """erf, elementwise."""
    return wrap(rounded(monotone(arb.erf)(cells_of(x)), FUNCTION_ULPS))


def ball_erfc(x) -> Ball:
    """erfc = 1 - erf, elementwise, relatively accurate for large arguments."""
    return wrap(rounded(monotone(arb.erfc)(cells_of(x)), FUNCTION_ULPS))


# Three that neural networks need.  A float computes them from an exponential or two, a few operations and a reciprocal.
COMPOSED_ULPS = 3 * FUNCTION_ULPS


def ball_logistic(x) -> Ball:
    """1 / (1 + e^-x), elementwise, relatively accurate in both tails."""
    return wrap(rounded(monotone(lambda c: ONE / (ONE + (-c).exp()))(cells_of(x)), COMPOSED_ULPS))


def ball_log1pexp(x) -> Ball:
    """log(1 + e^x), elementwise, relatively accurate in both tails."""
    return wrap(rounded(monotone(lambda c: c.exp().log1p())(cells_of(x)), COMPOSED_ULPS))


def ball_sech_squared(x) -> Ball:
    """1 / cosh^2 x, elementwise; cosh may overflow, its reciprocal is then below the smallest number."""
    return wrap(rounded(each(lambda c: c.sech() ** 2)(cells_of(x)), COMPOSED_ULPS))


def ball_sinc_derivative(x, order) -> Ball:
    """The derivative of sin(pi x) / (pi x) of some order, elementwise.

    Floats round pi x, which counts as a relative error of the argument; near zeros they are good to an absolute error,
    of ulps of the largest value, pi^n / (n + 1), or far out of the waves' height.
    """
    cells, form = cells_of(x), current_format()
    if form is None:
        return wrap(each(lambda c: _sinc_derivative(c, order))(cells))
    values = each(lambda c: _sinc_derivative(c, order))(as_cells(cells * form.factor(1)))
    height = arb.pi() ** order / (order + 1)
    heights = each(lambda c: height if c == ZERO else height.min((order + 1) * height / abs(c)))(cells)
    return wrap(rounded(values + heights * arb(0, 2 * SPECIAL_ULPS * form.unit)))


def _sinc_derivative(x, n):
    """(pi^(n-1) sin(pi x + (n-1) pi/2) - n s_(n-1)) / x from n = 0 on; for small x the series in z = pi x, as

    pi^n times the integral of t^n cos(z t + n pi/2) from 0 to 1: the sum of (+-) z^k / (k! (n + k + 1)), where n + k
    is even.  For |z| <= 1 its terms fall, with alternating signs, so the first that is left out bounds the rest.
    """
    pi = arb.pi()
    z = pi * x
    if not abs(z) <= ONE:
        s = x.sinc_pi()
        for m in range(1, n + 1):
            s = (pi ** (m - 1) * (z + m * pi / 2).sin() - m * s) / x
        return s
    total, k, term = ZERO, n % 2, (z if n % 2 else ONE)
    while not term.abs_upper() <= arb(2) ** -(ctx.prec + 10) * abs(z) ** (n % 2):
        total += term / (n + k + 1)
        term *= -z * z / ((k + 1) * (k + 2))
        k += 2
    return (-1) ** ((n + n % 2) // 2) * pi ** n * (total + arb(0, 1) * term)


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
    left = ~np.asarray(cells > ZERO)        # there libraries reflect, and what they reflect at is rounded
    values = function(np.where(left, as_cells(cells * form.factor(FUNCTION_ULPS)), cells))
    error = each(arb.max, 2)(np.abs(values), ONE) * arb(0, 2 * SPECIAL_ULPS * form.unit)
    return wrap(rounded(values + error))


def _lgamma(x):
    """log |gamma(x)|; left of zero by reflection, gamma(x) gamma(1 - x) = pi / sin(pi x)."""
    if x > ZERO:
        return x.lgamma()
    sine = abs(x.sin_pi())
    return (arb.pi() / sine).log() - (1 - x).lgamma() if sine > ZERO else unbounded()


def _polygamma(n, x):
    """(-1)^(n+1) n! zeta(n + 1, x); left of zero by recurrence, zeta(s, x) = zeta(s, x + k) + sum_(i<k) (x + i)^-s."""
    if not x.is_finite() or x < -FARTHEST:
        return unbounded()
    steps = max(0, 1 - int(x.lower().floor().unique_fmpz()))
    total = arb(n + 1).zeta(x + steps) + sum(((x + i) ** -(n + 1) for i in range(steps)), ZERO)
    return total * arb(n).fac() * (-1) ** (n + 1)
