"""What SciPy's special functions mean on balls: each is a function of flint's.

In bound mode they cost `SPECIAL_ULPS`; functions with zeros are good to an absolute error only,
which is counted at values of at least 1.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.special as sp
from flint import arb, arb_series

from refgrad.rules import scipy_special as rules

from .arithmetic import FUNCTION_ULPS, ONE, ZERO, current_format, each, rounded, unbounded
from .array import FUNCTIONS, cells_of, register, wrap
from .elementwise import elementwise, monotone
from .gamma import ball_digamma, ball_lgamma, ball_polygamma, sharp

#: SciPy's functions are off by more than those of a libm: at most 143 was measured, in gammaincc.
SPECIAL_ULPS = 512

_half = lambda x: (-x / arb(2).sqrt()).erfc() / 2


def special(function, compute, ulps=SPECIAL_ULPS):
    """Enter a function of single balls, which are given more bits where few digits come out."""
    elementwise(function, each(sharp(compute)), ulps)


def waving(function, compute):
    """Enter a function that has zeros."""
    def implementation(*operands, **params):
        function = each(sharp(lambda *cells: compute(*cells, **params)), len(operands))
        values = function(*map(cells_of, operands))
        form = current_format()
        if form is not None:
            size = each(arb.max, 2)(np.abs(values), ONE)
            values = values + size * arb(0, 2 * SPECIAL_ULPS * form.unit)
        return wrap(rounded(values))
    register(function, implementation)


def several(function, compute, ulps=SPECIAL_ULPS):
    """Enter a function of several balls."""
    elementwise(function, each(sharp(compute), function.nin), ulps)


def from_zero(compute):
    """A function of balls that has no number where one of them may be below zero, as SciPy's has
    none there."""
    return lambda *cells: compute(*cells) if all(c >= ZERO for c in cells) else unbounded()


# The gamma function

for _function in sp.gammaln, sp.loggamma:
    register(_function, ball_lgamma)
register(sp.psi, ball_digamma)
register(rules.polygamma, lambda x, n: ball_polygamma(n, x))
special(sp.gamma, arb.gamma)
special(sp.rgamma, arb.rgamma)
waving(rules.rgamma_derivative, lambda x, order: arb_series([x, 1], prec=order + 1).rgamma()[order]
       * math.factorial(order))
register(rules.psi_difference, lambda a, b, n: (
    ball_polygamma(n, a) - ball_polygamma(n, a + b) if n else
    ball_digamma(a) - ball_digamma(a + b)))
register(rules.beta_slope, lambda a, b: sp.beta(a, b) * (ball_digamma(a) - ball_digamma(a + b)))


def _beta(a, b):
    return a.gamma() * b.gamma() * (a + b).rgamma()


def by_gammas(function, compute, relative):
    """Enter a function of a and b that floats compute from the logarithms of three gamma functions,
    whose own roundings are those of its value, or with `relative` of its logarithm."""
    def implementation(a, b):
        a, b = map(cells_of, (a, b))
        values, form = each(sharp(compute), 2)(a, b), current_format()
        if form is not None:
            parts = each(lambda a, b: 1 + abs(a.lgamma()) + abs(b.lgamma()) + abs((a + b).lgamma()),
                         2)(a, b)
            values = values + (parts * np.abs(values) if relative
                               else parts) * arb(0, 2 * SPECIAL_ULPS * form.unit)
        return wrap(rounded(values))
    register(function, implementation)


by_gammas(sp.beta, _beta, True)
by_gammas(sp.betaln, lambda a, b: a.lgamma() + b.lgamma() - (a + b).lgamma(), False)
several(sp.gammainc, from_zero(lambda a, x: x.gamma_lower(a, regularized=1)))
several(sp.gammaincc, from_zero(lambda a, x: x.gamma_upper(a, regularized=1)))
several(sp.betainc, lambda a, b, x: x.beta_lower(a, b, regularized=1))

def _zeta_derivative(x, a, order):
    y = (a + order).zeta(x)
    for k in range(order):
        y *= -(a + k)
    return y


waving(rules.zeta_derivative, _zeta_derivative)
waving(rules.gamma_density, lambda x, a: ((a - 1) * x.log() - x - a.lgamma()).exp())
several(sp._ufuncs._zeta, lambda s, q: s.zeta(q))

# The normal distribution

special(sp.erf, arb.erf)
special(sp.erfc, arb.erfc)


def _erfcx(z):
    """e^(z^2) erfc z; to the right by the confluent hypergeometric U, since both factors leave
    their range."""
    if z > ONE:
        return (z * z).hypgeom_u(arb(1) / 2, arb(1) / 2) / arb.pi().sqrt()
    return z.erfc() * (z * z).exp()


special(sp.erfcx, _erfcx)
special(sp.erfinv, arb.erfinv)
special(sp.erfcinv, arb.erfcinv)
special(sp.ndtr, _half)
special(sp.ndtri, lambda x: -arb(2).sqrt() * (2 * x).erfcinv())
special(sp.log_ndtr, lambda x: _half(x).log())


def _mills(x, k):
    y = _erfcx(-x / arb(2).sqrt()) * (arb.pi() / 2).sqrt()
    for j in range(1, k + 1):
        y = (1 / y + x) / j
    return y


waving(rules.mills, _mills)
special(rules.hazard, lambda x: (-x * x / 2).exp() / (2 * arb.pi()).sqrt() / _half(x))

# Exponentials and logarithms

for _function in np.exp2, np.expm1, np.log1p, np.cbrt:
    register(getattr(sp, _function.__name__), FUNCTIONS[_function])
special(sp.exp10, lambda x: arb(10) ** x)
elementwise(sp.expit, monotone(lambda x: ONE / (ONE + (-x).exp())), 3 * FUNCTION_ULPS)
special(sp.log_expit, lambda x: -(-x).exp().log1p())
waving(sp.logit, lambda x: (x / (ONE - x)).log())
several(sp.xlogy, lambda x, y: ZERO if x == ZERO else x * y.log())
several(sp.xlog1py, lambda x, y: ZERO if x == ZERO else x * y.log1p())
waving(sp.entr, lambda x: ZERO if x == ZERO else -x * x.log())
waving(sp.rel_entr, from_zero(lambda x, y: ZERO if x == ZERO else x * (x / y).log()))
waving(rules.log_ratio, lambda x, y: (x / y).log())
waving(sp.kl_div, from_zero(lambda x, y: y if x == ZERO else x * (x / y).log() - x + y))

# Bessel functions


def _scaled(x, n, order=0):
    size, y = abs(x), ZERO
    for j in range(order + 1):
        for k in range(j + 1):
            factor = (-1) ** (order - j) * math.comb(order, j) * math.comb(j, k)
            y += factor * size.bessel_i(n - j + 2 * k) / arb(2) ** j
    return (-size).exp() * y * x.sgn() ** ((n + order) % 2)


for _family, _compute, _functions in [
        (rules.bessel_j, lambda x, n: x.bessel_j(n), (sp.j0, sp.j1)),
        (rules.bessel_y, lambda x, n: x.bessel_y(n), (sp.y0, sp.y1)),
        (rules.bessel_i, lambda x, n: x.bessel_i(n), (sp.i0, sp.i1)),
        (rules.bessel_ie, _scaled, (sp.i0e, sp.i1e))]:
    waving(_family, _compute)
    for _n, _function in enumerate(_functions):
        waving(_function, lambda x, _n=_n, _compute=_compute: _compute(x, _n))
