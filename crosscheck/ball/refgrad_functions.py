"""What refgrad's own functions mean on balls.

Arrays may override refgrad's functions as they override NumPy's.  Balls do so where flint knows the
function itself, which encloses it more tightly than its formula would.  What refgrad computes by
more than its formula, since floats round, runs as the formula; the functions that refgrad composes
of others run as they are composed.
"""

from importlib import import_module
from importlib.util import find_spec

import numpy as np
from flint import arb, ctx

from refgrad.elsewhere import MODULES
from refgrad.nn.activations import log1pexp, near
from refgrad.nn.softmax import peak
from refgrad.primitive import TABLE, Composition, product
from refgrad.rules.determinants import is_normal, weak_directions
from refgrad.rules.elementwise import exponent, logistic, sech_squared, sinc_derivative
from refgrad.rules.special import erf, erfc
from refgrad.rules.statistics import within_one

from .arithmetic import (
    FUNCTION_ULPS, HALF, ONE, ZERO, as_cells, current_format, each, record, rounded)
from .array import FUNCTIONS, Ball, cells_of, register, wrap
from .decisions import refuse
from .elementwise import elementwise, monotone

#: What floats compute from an exponential or two, a few operations and a reciprocal.
COMPOSED_ULPS = 3 * FUNCTION_ULPS

#: What floats may be off in the derivatives of sinc, relative to the height of their waves.
WAVE_ULPS = 16

elementwise(erf, monotone(arb.erf))
elementwise(erfc, monotone(arb.erfc))
elementwise(logistic, monotone(lambda c: ONE / (ONE + (-c).exp())), COMPOSED_ULPS)
elementwise(log1pexp, monotone(lambda c: c.exp().log1p()), COMPOSED_ULPS)
elementwise(sech_squared, each(lambda c: c.sech() ** 2), COMPOSED_ULPS)


@register(sinc_derivative)
def _(x, order):
    """The derivative of sin(pi x) / (pi x) of some order.

    Floats round pi x, which counts as a relative error of the argument; near zeros they are good to
    an absolute error, of ulps of the largest value, pi^n / (n + 1), or far out of the waves'
    height.
    """
    cells, form = cells_of(x), current_format()
    if form is None:
        return wrap(each(lambda c: _sinc_derivative(c, order))(cells))
    values = each(lambda c: _sinc_derivative(c, order))(as_cells(cells * form.factor(1)))
    height = arb.pi() ** order / (order + 1)
    far = each(lambda c: height if c == ZERO else height.min((order + 1) * height / abs(c)))
    return wrap(rounded(values + far(cells) * arb(0, 2 * WAVE_ULPS * form.unit)))


def _sinc_derivative(x, n):
    """s_n = (pi^(n-1) sin(pi x + (n-1) pi/2) - n s_(n-1)) / x from n = 0 on.

    For small x the series in z = pi x, as s_n is pi^n times the integral of t^n cos(z t + n pi/2)
    from 0 to 1: the sum of (+-) z^k / (k! (n + k + 1)), where n + k is even.  For |z| <= 1 its
    terms fall, with alternating signs, so the first that is left out bounds the rest.
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


# These are not in the table: of their own they are no functions that floats compute.
register(near, near.formula)
register(within_one, within_one.formula)

# Both ways to compute a determinant's derivative are exact: it need not be decided.
register(is_normal, lambda y: bool(np.all(np.abs(y).lower() > 0)))


@register(peak)
def _(x, axis):
    """A number near the maximum; which of overlapping balls is the largest need not be decided."""
    return Ball(np.max(x.mid(), axis=axis, keepdims=True))


@register(weak_directions)
def _(A):
    """Any scale and directions will do, so those of the midpoints."""
    shift, U, V = weak_directions(A.mid())
    return shift, Ball(U), Ball(V)


def _beside(x, y):
    return arb("nan") if y.is_nan() else x


def _unless_zero(v, s):
    return ZERO if v == ZERO or s == ZERO and not v.is_nan() else v * s


# Where it is open whether a factor is 0, the product of the balls encloses what it would be.
elementwise(product, lambda v, s: each(_unless_zero, 2)(*np.broadcast_arrays(v, s)), HALF)

# Real numbers have no neighbours: the next float is the number itself, rounded.
# That of an indeterminate number, or towards one, may be any.
elementwise(np.nextafter, lambda x, y: each(_beside, 2)(*np.broadcast_arrays(x, y)), 2)


@register(exponent)
def _(x):
    ends = x.lower(), x.upper()
    low, high = (np.frexp(end)[1] for end in ends)
    undecided = (low != high) | ~np.isfinite(ends[0]) | ~np.isfinite(ends[1])
    if np.any(undecided):
        refuse("exponent", undecided, x.cells)
    record("exponent", low)
    return low


# A ball encloses a finite number; there is nothing to replace.
register(np.nan_to_num, lambda x, **replacements: x)

# What the ufuncs of other packages mean stands in the table from the start, where these are
# installed.
for _package, _modules in MODULES.items():
    if find_spec(_package.split(".")[0]):
        for _module in (_package, *_modules):
            import_module(_module)

for _rule in TABLE.values():
    if isinstance(_rule, Composition):
        FUNCTIONS.setdefault(_rule.function, _rule.call)
    elif _rule.formula is not None:
        FUNCTIONS.setdefault(_rule, _rule.formula)
