"""SciPy's special functions: ufuncs, which NumPy's protocol hands to traced arrays.

This module is imported when the first of them arrives (see `refgrad.elsewhere`); nothing else needs
SciPy.  Of functions with parameters (the order a of gammainc, a and b of betainc) the derivatives
by x are known; those by a parameter are no such functions, and refused.
"""

import numpy as np
import scipy.special as sp

from ..cases import Case, Fixed, Kink
from ..errors import NoRule
from ..primitive import KINKED, declare
from ..tracer import bare
from .constants import number
from .elementwise import logistic, quotient, sech_squared

#: Powers of ten between which the functions of a sum of two very different numbers keep their digits.
NEAR_ONE = -2, 1


def _root_of_pi(x, factor=1):
    return np.sqrt(factor * number("pi", x))


def _special(function, derivation, *partials, **traits):
    return declare(function, derivation, *partials, name=f"scipy.special.{function.__name__.lstrip('_')}", **traits)


# The gamma function

polygamma = declare(
    None, "psi_n = the n-th derivative of psi = (log gamma)',  dy = psi_(n+1) dx", lambda x, n: polygamma(x, n=n + 1),
    name="polygamma", forward=lambda x, n: sp.polygamma(n, x).astype(x.dtype), domain="positive",
    params=[{"n": 1}, {"n": 2}], scales=(-50, 50))
_special(sp.psi, "psi = (log gamma)',  dy = psi_1 dx", lambda x: polygamma(x, n=1), domain="positive", scales=(-50, 50))
for _function in sp.gammaln, sp.loggamma:
    _special(_function, "y = log |gamma x|,  dy = psi(x) dx", lambda x: sp.psi(x), domain="positive", scales=(-50, 50))
_special(sp.gamma, "dy = y psi(x) dx", lambda y, x: y * sp.psi(x), domain="positive", scales=(-50, 1))
_special(sp.rgamma, "y = 1 / gamma x,  dy = -y psi(x) dx", lambda y, x: -y * sp.psi(x), domain="positive",
         scales=NEAR_ONE)


def _psi_less(a, b):
    return sp.psi(a) - sp.psi(a + b)


_special(sp.betaln, "y = log gamma a + log gamma b - log gamma(a + b),  dy = (psi a - psi(a + b)) da + ...",
         lambda a, b: _psi_less(a, b), lambda a, b: _psi_less(b, a), domain="positive", scales=NEAR_ONE)
_special(sp.beta, "y = e^betaln(a, b),  dy = y (psi a - psi(a + b)) da + y (psi b - psi(a + b)) db",
         lambda y, a, b: y * _psi_less(a, b), lambda y, a, b: y * _psi_less(b, a), domain="positive", scales=NEAR_ONE)


def _by_x_alone(ufunc, names):
    """The call of a function of parameters and x, with the parameters as constants."""
    def call(*arguments):
        for name, argument in zip(names, arguments):
            if bare(argument) is not argument:
                raise NoRule(f"scipy.special.{ufunc.__name__}", f"by its parameter {name}=")
        return arguments, {}
    return call


def _of_parameters(ufunc, derivation, slope, samples, domain, **traits):
    """A function of parameters and x, by its slope in x."""
    names = "ab"[:ufunc.nin - 1]
    fixed = [Fixed(np.asarray(s)) for s in samples]
    _special(ufunc, derivation, pointwise=True, call=_by_x_alone(ufunc, names), takes=" ".join([*names, "x"]),
             vjp=(*[None] * len(names), slope),
             cases=[Case(*fixed, shape, domain=(*[None] * len(names), domain), **traits) for shape in ((3, 4), (4,))])


def _gamma_density(x, a):
    a = a + number(0, x)
    return np.exp((a - 1) * np.log(x) - x - sp.gammaln(a))


_of_parameters(sp.gammainc, "y = int_0^x t^(a-1) e^-t dt / gamma a,  dy = x^(a-1) e^-x / gamma(a) dx",
               lambda g, x, a: g * _gamma_density(x, a), [[0.5, 1.0, 2.5, 4.0]], "positive", scales=(-20, 1))
_of_parameters(sp.gammaincc, "y = 1 - gammainc,  dy = -x^(a-1) e^-x / gamma(a) dx",
               lambda g, x, a: -g * _gamma_density(x, a), [[0.5, 1.0, 2.5, 4.0]], "positive", scales=(-20, 1))
_of_parameters(sp.betainc, "y = int_0^x t^(a-1) (1-t)^(b-1) dt / B(a, b),  dy = x^(a-1) (1-x)^(b-1) / B(a, b) dx",
               lambda g, a, b, x: g * x ** (a - 1) * (1 - x) ** (b - 1) / sp.beta(a + number(0, x), b + number(0, x)),
               [[0.5, 1.0, 2.5, 4.0], [1.5, 2.0, 0.5, 3.0]], "unit interval", scales=(-20, 0))
_of_parameters(sp._ufuncs._zeta, "y = sum_k (k + x)^-a,  dy = -a zeta(a + 1, x) dx",
               lambda g, a, x: -g * a * sp._ufuncs._zeta(a + 1, x), [[1.5, 2.0, 3.0, 4.0]], "positive",
               scales=(-50, 50))

# The normal distribution

_bell = lambda x: 2 / _root_of_pi(x) * np.exp(-x * x)
_special(sp.erf, "dy = 2/sqrt(pi) e^(-x^2) dx", lambda x: _bell(x))
_special(sp.erfc, "dy = -2/sqrt(pi) e^(-x^2) dx", lambda x: -_bell(x))
_special(sp.erfinv, "x = erf y,  dy = sqrt(pi)/2 e^(y^2) dx", lambda y: _root_of_pi(y) / 2 * np.exp(y * y),
         domain="inside one")
_special(sp.erfcinv, "x = erfc y,  dy = -sqrt(pi)/2 e^(y^2) dx", lambda y: -_root_of_pi(y) / 2 * np.exp(y * y),
         domain="unit interval", scales=(-50, 0))
_special(sp.ndtr, "y = (1 + erf(x / sqrt 2)) / 2,  dy = e^(-x^2 / 2) / sqrt(2 pi) dx",
         lambda x: np.exp(-x * x / 2) / _root_of_pi(x, 2))
_special(sp.ndtri, "x = ndtr y,  dy = sqrt(2 pi) e^(y^2 / 2) dx", lambda y: _root_of_pi(y, 2) * np.exp(y * y / 2),
         domain="unit interval", scales=(-50, 0))


def _hazard(x):
    """By the scaled function erfcx z = e^(z^2) erfc z: ndtr x = e^(-x^2 / 2) erfcx(-x / sqrt 2) / 2."""
    with np.errstate(over="ignore"):
        return _root_of_pi(x, 2) ** -1 * 2 / sp.erfcx(-x / np.sqrt(number(2, x)))


hazard = declare(
    None, "r = phi / Phi, of the normal density and distribution:  dr = (-x r - r^2) dx = -r (x + r) dx",
    lambda y, x: -y * (x + y), name="hazard", forward=_hazard, scales=(-300, 1))
_special(sp.log_ndtr, "y = log ndtr x,  dy = phi(x) / Phi(x) dx", lambda x: hazard(x), scales=(-300, 1))

# Exponentials and logarithms

_special(sp.exp2, "y = 2^x,  dy = y log 2 dx", lambda y: y * np.log(number(2, y)))
_special(sp.exp10, "y = 10^x,  dy = y log 10 dx", lambda y: y * np.log(number(10, y)))
_special(sp.expm1, "y = e^x - 1,  dy = e^x dx", lambda x: np.exp(x))
_special(sp.log1p, "y = log(1 + x),  dy = dx / (1 + x)", lambda x: 1 / (1 + x), domain="above minus one")
_special(sp.cbrt, "y = cbrt x,  dy = dx / (3 y^2)", lambda y: 1 / (3 * y * y), domain="nonzero")
_special(sp.expit, "y = 1 / (1 + e^-x),  dy = dx / (4 cosh^2(x / 2))", lambda x: sech_squared(x / 2) / 4)
_special(sp.logit, "y = log(x / (1 - x)),  dy = dx / x + dx / (1 - x)", lambda x: 1 / x + 1 / (1 - x),
         domain="unit interval", scales=(-50, 0))
_special(sp.log_expit, "y = -log(1 + e^-x),  dy = dx / (1 + e^x)", lambda x: logistic(-x))


def _unless_zero(x, y, end):
    """y, but end + 1 (of which the logarithm is 0) where the logarithm has no number and x is 0, as torch has it."""
    return np.where((x == 0) & (y <= end), end + 1, y)


_special(sp.xlogy, "y = a log b, 0 at a = 0:  dy = log b da + a / b db",
         lambda a, b: np.log(_unless_zero(a, b, 0)), lambda a, b: quotient(a, b), kind=KINKED,
         domain=(None, "positive"), scales=(-50, 50), near=(1.0,), kinks=[Kink((0.0, 0.0), (0.0, 0.0), "0 at 0, 0")])
_special(sp.xlog1py, "y = a log(1 + b), 0 at a = 0:  dy = log(1 + b) da + a / (1 + b) db",
         lambda a, b: np.log1p(_unless_zero(a, b, -1)), lambda a, b: quotient(a, 1 + b), kind=KINKED,
         domain=(None, "above minus one"), scales=(-50, 0), kinks=[Kink((0.0, -1.0), (0.0, 0.0), "0 at 0, -1")])
_special(sp.entr, "y = -x log x,  dy = (-log x - 1) dx", lambda x: -np.log(x) - 1, domain="positive", scales=(-50, 50))
_special(sp.rel_entr, "y = a log(a / b),  dy = (log(a / b) + 1) da - a / b db",
         lambda a, b: np.log(a / b) + 1, lambda a, b: -a / b, domain="positive", scales=(-50, 50))
_special(sp.kl_div, "y = a log(a / b) - a + b,  dy = log(a / b) da + (b - a) / b db",
         lambda a, b: np.log(a / b), lambda a, b: (b - a) / b, domain="positive", scales=(-50, 50))

# Bessel functions, by the recurrences of their derivatives, which reach to every order


def _family(name, forward, slope, derivation, **traits):
    return declare(None, derivation, slope, name=name, forward=lambda x, n: forward(n, x).astype(x.dtype),
                   params=[{"n": 0}, {"n": 1}, {"n": 2}], **traits)


def _half_difference(function, x, n):
    return (function(x, n=n - 1) - function(x, n=n + 1)) / 2 if n else -function(x, n=1)


def _half_sum(function, x, n):
    return (function(x, n=n - 1) + function(x, n=n + 1)) / 2 if n else function(x, n=1)


def _scaled_slope(x, n):
    return _half_sum(bessel_ie, x, n) - np.sign(x) * bessel_ie(x, n=n)


bessel_j = _family("bessel_j", sp.jv, lambda x, n: _half_difference(bessel_j, x, n),
                   "J_n' = (J_(n-1) - J_(n+1)) / 2,  J_0' = -J_1", scales=(-20, 1))
bessel_y = _family("bessel_y", sp.yv, lambda x, n: _half_difference(bessel_y, x, n),
                   "Y_n' = (Y_(n-1) - Y_(n+1)) / 2,  Y_0' = -Y_1", domain="positive", scales=(-20, 1))
bessel_i = _family("bessel_i", sp.iv, lambda x, n: _half_sum(bessel_i, x, n),
                   "I_n' = (I_(n-1) + I_(n+1)) / 2,  I_0' = I_1", scales=(-20, 1))
bessel_ie = _family("bessel_ie", sp.ive, _scaled_slope, "y = e^-|x| I_n,  y' = e^-|x| I_n' - sign(x) y",
                    domain="nonzero", scales=(-20, 1), kind=KINKED,
                    kinks=[Kink((0.0,), (0.0,), "0 at 0", {"n": 0})])
_at_zero = [Kink((0.0,), (0.0,), "0 at 0, as of e^-|x|")]
for _order, _functions in enumerate([(sp.j0, sp.y0, sp.i0, sp.i0e), (sp.j1, sp.y1, sp.i1, sp.i1e)]):
    _j, _y, _i, _ie = _functions
    _special(_j, bessel_j.__doc__, lambda x, _n=_order: _half_difference(bessel_j, x, _n), scales=(-20, 1))
    _special(_y, bessel_y.__doc__, lambda x, _n=_order: _half_difference(bessel_y, x, _n), domain="positive",
             scales=(-20, 1))
    _special(_i, bessel_i.__doc__, lambda x, _n=_order: _half_sum(bessel_i, x, _n), scales=(-20, 1))
    _special(_ie, bessel_ie.__doc__, lambda x, _n=_order: (
        _half_sum(bessel_ie, x, _n) - np.sign(x) * (sp.i1e if _n else sp.i0e)(x)), domain="nonzero", scales=(-20, 1),
        **({} if _order else {"kind": KINKED, "kinks": _at_zero}))
