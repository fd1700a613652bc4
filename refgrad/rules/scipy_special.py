"""SciPy's special functions: ufuncs, which NumPy's protocol hands to traced arrays.

This module is imported when the first of them is called (see `refgrad.elsewhere`); the program has
loaded SciPy by then, and it is not imported here.  Functions with parameters (the order a of
gammainc, a and b of betainc) have a derivative by x only: SciPy has no function for the derivative
by a parameter, so that raises an error.
"""

import functools
import math
import sys

import numpy as np

from ..cases import Case, Fixed, Kink
from ..errors import NoRule
from ..primitive import KINKED, declare, widened
from ..tracer import bare
from .constants import number
from .elementwise import logistic, quotient, sech_squared

sp = sys.modules["scipy.special"]

#: Powers of ten between which functions of the sum of two very different numbers keep their digits.
NEAR_ONE = -2, 1


def _root_of_pi(x, factor=1):
    return np.sqrt(factor * number("pi", x))


def _special(function, derivation, *partials, **traits):
    return declare(function, derivation, *partials,
                   name=f"scipy.special.{function.__name__.lstrip('_')}", **traits)


def in_doubles(forward):
    """A forward pass in float64 at least, rounded to the precision of the arguments."""
    @functools.wraps(forward)
    def rounded(*arrays, **params):
        arrays = [x if hasattr(x, "astype") else np.asarray(x) for x in arrays]
        dtype = np.result_type(*(x.dtype for x in arrays))
        dtype = dtype if dtype.kind == "f" else np.dtype(float)
        arrays = [x.astype(np.result_type(dtype, float), copy=False) for x in arrays]
        with np.errstate(all="ignore"):
            return forward(*arrays, **params).astype(dtype)
    return rounded


# The gamma function

polygamma = declare(
    None, "psi_n = the n-th derivative of psi = (log gamma)',  dy = psi_(n+1) dx",
    lambda x, n: polygamma(x, n=n + 1),
    name="polygamma", forward=lambda x, n: sp.polygamma(n, x).astype(x.dtype), domain="positive",
    params=[{"n": 1}, {"n": 2}], scales=(-50, 50))
_special(sp.psi, "psi = (log gamma)',  dy = psi_1 dx", lambda x: polygamma(x, n=1),
         domain="positive", scales=(-50, 50))
for _function in sp.gammaln, sp.loggamma:
    _special(_function, "y = log |gamma x|,  dy = psi(x) dx", lambda x: sp.psi(x),
             domain="positive", scales=(-50, 50))
_special(sp.gamma, "dy = y psi(x) dx", lambda y, x: y * sp.psi(x), domain="positive",
         scales=(-50, 1))


def _derivatives(first, psi, order, sign):
    """f, f', ... of an f with f' = sign f psi, given f and psi, psi', ..."""
    found = [first]
    for m in range(order):
        found.append(sign * sum(math.comb(m, j) * psi[j] * found[m - j] for j in range(m + 1)))
    return found


@in_doubles
def _rgamma(x, order):
    """By 1 / gamma x = sin(pi x) gamma(1 - x) / pi to the left, where psi has poles."""
    left, whole = x < 0.5, np.rint(x)
    z = np.where(left, 1 - x, x)
    psi = [sp.psi(z), *(sp.polygamma(j, z) for j in range(1, order))]
    right = _derivatives(sp.rgamma(z), psi, order, -1)[order]
    gammas = [(-1) ** k * g for k, g in enumerate(_derivatives(sp.gamma(z), psi, order, 1))]
    part, sign = np.pi * np.where(left, x - whole, 0), np.where(np.fmod(whole, 2) == 0, 1, -1)
    y = 0
    for k in range(order + 1):
        turns = (order - k) % 4
        wave = sign * (np.cos if turns % 2 else np.sin)(part) * (-1 if turns > 1 else 1)
        factor = math.comb(order, k) * np.pi ** (order - k - 1)
        y = y + np.where(wave == 0, 0, factor * wave * gammas[k])
    return np.where(left, y, right)


rgamma_derivative = declare(
    None, "y = the n-th derivative of 1 / gamma x,  dy = the next dx",
    lambda x, order: rgamma_derivative(x, order=order + 1), name="rgamma_derivative",
    forward=_rgamma, domain="positive", params=[{"order": 1}, {"order": 2}], scales=NEAR_ONE)
_special(sp.rgamma, "y = 1 / gamma x,  dy = -y psi(x) dx", lambda x: rgamma_derivative(x, order=1),
         domain="positive", scales=NEAR_ONE)

#: The Bernoulli numbers B_2, B_4, ...
BERNOULLI = [1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510]


@in_doubles
def _psi_differences(a, b, n):
    """Term by term, as psi_n is a sum of powers of x, x + 1, ..., and a series in powers of x + 16.

    For positive a and a + b, since their values cancel where b is small beside a.
    """
    def less(x, p):  # x^-p - (x + b)^-p
        return -np.expm1(-p * np.log1p(b / x)) * x ** -float(p)

    s, x = n + 1, a + 16
    y = sum(less(a + k, s) for k in range(16)) + less(x, s) / 2
    y = y + (less(x, n) / n if n else np.log1p(b / x))
    for k, bernoulli in enumerate(BERNOULLI, 1):
        factor = math.factorial(s + 2 * k - 2) / math.factorial(s - 1)
        y = y + bernoulli / math.factorial(2 * k) * factor * less(x, s + 2 * k - 1)
    y = (-1) ** (n + 1) * math.factorial(n) * y
    psi = sp.psi if n == 0 else lambda x: sp.polygamma(n, x)
    return np.where((a > 0) & (a + b > 0), y, psi(a) - psi(a + b))


psi_difference = declare(
    None, """y = psi_n(a) - psi_n(a + b):
    dy = (psi_(n+1)(a) - psi_(n+1)(a + b)) da - psi_(n+1)(a + b) db""",
    lambda a, b, n: psi_difference(a, b, n=n + 1), lambda a, b, n: -polygamma(a + b, n=n + 1),
    name="psi_difference", forward=_psi_differences, domain="positive", params=[{"n": 0}, {"n": 1}],
    scales=NEAR_ONE)


def _psi_less(a, b):
    return psi_difference(a, b, n=0)


_special(sp.betaln,
         "y = log gamma a + log gamma b - log gamma(a + b),  dy = (psi a - psi(a + b)) da + ...",
         lambda a, b: _psi_less(a, b), lambda a, b: _psi_less(b, a), domain="positive",
         scales=NEAR_ONE)
_special(sp.beta, "y = e^betaln(a, b),  dy = y (psi a - psi(a + b)) da + y (psi b - psi(a + b)) db",
         lambda a, b: beta_slope(a, b), lambda a, b: beta_slope(b, a), domain="positive",
         scales=NEAR_ONE)


@in_doubles
def _beta_slope(a, b):
    y, less = sp.beta(a, b), _psi_differences(a, b, n=0)
    return np.where((y == 0) & np.isinf(less), 0, y * less)


beta_slope = declare(
    None, """y = B(a, b) (psi a - psi(a + b)), the slope of B in a:
    dy = (y (psi a - psi(a + b)) + B(a, b) (psi_1 a - psi_1(a + b))) da
       + (y (psi b - psi(a + b)) - B(a, b) psi_1(a + b)) db""",
    lambda y, a, b: y * _psi_less(a, b) + sp.beta(a, b) * psi_difference(a, b, n=1),
    lambda y, a, b: y * _psi_less(b, a) - sp.beta(a, b) * polygamma(a + b, n=1),
    name="beta_slope", forward=_beta_slope, domain="positive",
    scales=(0, 1))  # its own third derivatives cancel where both arguments are small


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
    fixed = [Fixed(np.asarray(s, np.float32)) for s in samples]  # so that they widen no x
    _special(ufunc, derivation, pointwise=True, call=_by_x_alone(ufunc, names),
             takes=" ".join([*names, "x"]), vjp=(*[None] * len(names), slope),
             cases=[Case(*fixed, shape, domain=(*[None] * len(names), domain), **traits)
                    for shape in ((3, 4), (4,))])


@in_doubles
def _density(x, a):
    """For large a by Stirling's series about x = a, where the logarithms cancel."""
    near = np.exp((a - 1) * np.log(x) - x - sp.gammaln(a))
    stirling = 1 / (12 * a) - 1 / (360 * a ** 3) + 1 / (1260 * a ** 5) - 1 / (1680 * a ** 7)
    exponent = a * sp._ufuncs._log1pmx((x - a) / a) - stirling
    return np.where(a > 50, np.sqrt(a / (2 * np.pi)) * np.exp(exponent) / x, near)


gamma_density = declare(
    None, "y = x^(a-1) e^-x / gamma(a),  dy = y ((a - 1) / x - 1) dx", name="gamma_density",
    vjp=(lambda g, y, x, a: g * y * ((a - 1) / x - 1), None), pointwise=True,
    forward=_density,
    cases=[Case((3, 4), Fixed(np.array([0.5, 1.0, 2.5, 4.0], np.float32)),
                domain=("positive", None), scales=(-20, 1))])


def _gamma_density(x, a):
    return gamma_density(x, a)


@in_doubles
def _zeta(x, a, order):
    y = sp._ufuncs._zeta(a + order, x)
    return np.where(y == 0, 0, (-1) ** order * sp.poch(a, order) * y)


zeta_derivative = declare(
    None, "y = the n-th derivative of zeta(a, x) by x,  dy = the next dx", name="zeta_derivative",
    vjp=(lambda g, x, a, order: g * zeta_derivative(x, a, order=order + 1), None), pointwise=True,
    forward=_zeta,
    cases=[Case((3, 4), Fixed(np.array([1.5, 2.0, 3.0, 4.0], np.float32)),
                domain=("positive", None), scales=(-50, 50), order=1)])


_of_parameters(sp.gammainc,
               "y = int_0^x t^(a-1) e^-t dt / gamma a,  dy = x^(a-1) e^-x / gamma(a) dx",
               lambda g, x, a: g * _gamma_density(x, a), [[0.5, 1.0, 2.5, 4.0]], "positive",
               scales=(-20, 1))
_of_parameters(sp.gammaincc, "y = 1 - gammainc,  dy = -x^(a-1) e^-x / gamma(a) dx",
               lambda g, x, a: -g * _gamma_density(x, a), [[0.5, 1.0, 2.5, 4.0]], "positive",
               scales=(-20, 1))
_of_parameters(sp.betainc, "y = int_0^x t^(a-1) (1-t)^(b-1) dt / B(a, b),  "
                           "dy = x^(a-1) (1-x)^(b-1) / B(a, b) dx", lambda g, a, b, x: g
               * x ** (a - 1) * (1 - x) ** (b - 1) / sp.beta(a + number(0, x), b + number(0, x)),
               [[0.5, 1.0, 2.5, 4.0], [1.5, 2.0, 0.5, 3.0]], "unit interval", scales=(-20, 0))
_of_parameters(sp._ufuncs._zeta, "y = sum_k (k + x)^-a,  dy = -a zeta(a + 1, x) dx",
               lambda g, a, x: g * zeta_derivative(x, a, order=1), [[1.5, 2.0, 3.0, 4.0]],
               "positive", scales=(-50, 50))

# The normal distribution

_bell = lambda x: 2 / _root_of_pi(x) * np.exp(-x * x)
_special(sp.erf, "dy = 2/sqrt(pi) e^(-x^2) dx", lambda x: _bell(x))
_special(sp.erfc, "dy = -2/sqrt(pi) e^(-x^2) dx", lambda x: -_bell(x))
_special(sp.erfinv, "x = erf y,  dy = sqrt(pi)/2 e^(y^2) dx",
         lambda y: _root_of_pi(y) / 2 * np.exp(y * y), domain="inside one")
_special(sp.erfcinv, "x = erfc y,  dy = -sqrt(pi)/2 e^(y^2) dx",
         lambda y: -_root_of_pi(y) / 2 * np.exp(y * y), domain="unit interval", scales=(-50, 0))
_special(sp.ndtr, "y = (1 + erf(x / sqrt 2)) / 2,  dy = e^(-x^2 / 2) / sqrt(2 pi) dx",
         lambda x: np.exp(-x * x / 2) / _root_of_pi(x, 2))
_special(sp.ndtri, "x = ndtr y,  dy = sqrt(2 pi) e^(y^2 / 2) dx",
         lambda y: _root_of_pi(y, 2) * np.exp(y * y / 2), domain="unit interval", scales=(-50, 0))


def _hazard(x):
    """Computed by the scaled function erfcx z = e^(z^2) erfc z: ndtr x = e^(-x^2 / 2) erfcx(-x /
    sqrt 2) / 2."""
    with np.errstate(over="ignore"):
        return _root_of_pi(x, 2) ** -1 * 2 / sp.erfcx(-x / np.sqrt(number(2, x)))


@in_doubles
def _mills(x, k):
    """Far to the left the continued fraction  e_k = 1 / (-x + (k + 1) e_(k+1))."""
    far = np.where(x < -2, x, -2.0)
    tail = 0
    for j in range(80 + k, k - 1, -1):
        tail = 1 / ((j + 1) * tail - far)
    near = np.where(x < -2, -2.0, x)
    y = sp.erfcx(-near / np.sqrt(2)) * np.sqrt(np.pi / 2)
    for j in range(1, k + 1):
        y = (1 / y + near) / j
    return np.where(np.isnan(x), x, np.where(x < -2, tail, y))


def _mills_slope(x, k):
    y = mills(x, k=k)
    return y * ((k + 1) * mills(x, k=k + 1) - k * y)


mills = declare(
    None, """e_0 = Phi / phi, of the normal distribution and density,  e_k = (1 / e_(k-1) + x) / k:
    de_k = e_k ((k + 1) e_(k+1) - k e_k) dx""",
    lambda x, k: _mills_slope(widened(x), k), name="mills", forward=_mills,
    params=[{"k": 1}, {"k": 2}],
    scales=(-300, -2))  # far to the right it is x / k, but for e^(-x^2 / 2)
hazard = declare(
    None,
    "r = phi / Phi, of the normal density and distribution:  dr = (-x r - r^2) dx = -r (x + r) dx",
    lambda y, x: -y * mills(x, k=1), name="hazard", forward=_hazard, scales=(-300, 1))


def _erfcx_slope(y, x):
    """The slope by the one of two formulas that does not lose digits."""
    root = np.sqrt(number(2, x))
    right = -root * y * mills(-root * np.where(x < 0, 0, x), k=1)
    return np.where(x < 0, 2 * x * y - 2 / _root_of_pi(x), right)


_special(sp.erfcx, """y = e^(x^2) erfc x = sqrt(2 / pi) e_0(-sqrt(2) x)
    dy = (2 x y - 2 / sqrt(pi)) dx = -sqrt(2) y e_1(-sqrt(2) x) dx""",
        lambda y, x: _erfcx_slope(y, x), scales=(-2, 300))
_special(sp.log_ndtr, "y = log ndtr x,  dy = phi(x) / Phi(x) dx", lambda x: hazard(x),
         scales=(-300, 1))

# Exponentials and logarithms

_special(sp.exp2, "y = 2^x,  dy = y log 2 dx", lambda y: y * np.log(number(2, y)))
_special(sp.exp10, "y = 10^x,  dy = y log 10 dx", lambda y: y * np.log(number(10, y)))
_special(sp.expm1, "y = e^x - 1,  dy = e^x dx", lambda x: np.exp(x))
_special(sp.log1p, "y = log(1 + x),  dy = dx / (1 + x)", lambda x: 1 / (1 + x),
         domain="above minus one")
_special(sp.cbrt, "y = cbrt x,  dy = dx / (3 y^2)", lambda y: 1 / (3 * y * y), domain="nonzero")
_special(sp.expit, "y = 1 / (1 + e^-x),  dy = dx / (4 cosh^2(x / 2))",
         lambda x: sech_squared(x / 2) / 4)


def _logit_slope(x):
    x = np.where((x >= 0) & (x <= 1), x, np.nan)  # elsewhere there is no logarithm
    return 1 / x + 1 / (1 - x)


_special(sp.logit, "y = log(x / (1 - x)),  dy = dx / x + dx / (1 - x)", lambda x: _logit_slope(x),
         domain="unit interval", scales=(-50, 0))
_special(sp.log_expit, "y = -log(1 + e^-x),  dy = dx / (1 + e^x)", lambda x: logistic(-x))


def _unless_zero(x, y, end):
    """y, but end + 1 (of which the logarithm is 0) where the logarithm has no number and x is 0, as
    torch has it."""
    return np.where((x == 0) & (y <= end), end + 1, y)


_special(sp.xlogy, "y = a log b, 0 at a = 0:  dy = log b da + a / b db",
         lambda a, b: np.log(_unless_zero(a, b, 0)), lambda a, b: quotient(a, b), kind=KINKED,
         domain=(None, "positive"), scales=(-50, 50), near=(1.0,),
         kinks=[Kink((0.0, 0.0), (0.0, 0.0), "0 at 0, 0")])
_special(sp.xlog1py, "y = a log(1 + b), 0 at a = 0:  dy = log(1 + b) da + a / (1 + b) db",
         lambda a, b: np.log1p(_unless_zero(a, b, -1)), lambda a, b: quotient(a, 1 + b),
         kind=KINKED, domain=(None, "above minus one"), scales=(-50, 0),
         kinks=[Kink((0.0, -1.0), (0.0, 0.0), "0 at 0, -1")])
_special(sp.entr, "y = -x log x,  dy = (-log x - 1) dx", lambda x: -np.log(x) - 1,
         domain="positive", scales=(-50, 50))


@in_doubles
def _log_ratio(a, b):
    """Where the quotient under- or overflows, the difference of the logarithms."""
    r = a / b
    return np.where((r > 1e-300) & np.isfinite(r), np.log(r), np.log(a) - np.log(b))


log_ratio = declare(
    None, "y = log(a / b),  dy = da / a - db / b", lambda a: 1 / a, lambda b: -1 / b,
    name="log_ratio", forward=_log_ratio, domain="positive", scales=(-50, 50))
_special(sp.rel_entr, "y = a log(a / b),  dy = (log(a / b) + 1) da - a / b db",
         lambda a, b: log_ratio(a, b) + 1, lambda a, b: -a / b, domain="positive", scales=(-50, 50))
_special(sp.kl_div, "y = a log(a / b) - a + b,  dy = log(a / b) da + (b - a) / b db",
         lambda a, b: log_ratio(a, b), lambda a, b: 1 - a / b, domain="positive", scales=(-50, 50))

# Bessel functions, by the recurrences of their derivatives, which reach to every order


def _family(name, forward, slope, derivation, **traits):
    return declare(None, derivation, slope, name=name, forward=forward,
                   params=[{"n": 0}, {"n": 1}, {"n": 2}], **traits)


def _far_terms(x, n, count):
    """The terms a_k / x^k of the series for large x."""
    terms, t = [], 1.0
    for k in range(count):
        terms.append(t)
        t = t * (4 * n * n - (2 * k + 1) ** 2) / (8 * (k + 1)) / x
    return terms


def _wave(function, of_cosine):
    """A forward pass with its own phase for large x, where SciPy's has lost the quarter turn."""
    @in_doubles
    def forward(x, n):
        far = np.where(np.abs(x) > 1e5, np.abs(x), 1e5)
        a = _far_terms(far, n, 6)
        p, q = a[0] - a[2] + a[4], a[1] - a[3] + a[5]
        turns = np.array([1, 0, -1, 0])  # the cosine of quarter turns
        c, s = np.cos(far), np.sin(far)
        c, s = (c + s) / np.sqrt(2), (s - c) / np.sqrt(2)  # of far - pi/4
        cn, sn = turns[n % 4], turns[(n - 1) % 4]
        c, s = c * cn + s * sn, s * cn - c * sn
        y = np.sqrt(2 / np.pi / far) * (p * c - q * s if of_cosine else p * s + q * c)
        y = np.where(x < 0, (-1) ** n * y if of_cosine else np.nan, y)
        return np.where((np.abs(x) > 1e5) & np.isfinite(x), y, function(n, x))
    return forward


@in_doubles
def _scaled(x, n, order):
    """The derivatives of e^-|x| I_n(x): by a series for large x, where SciPy's values cancel."""
    size, y = np.abs(x), 0
    for j in range(order + 1):
        for k in range(j + 1):
            sign = (-1) ** (order - j) * math.comb(order, j) * math.comb(j, k) * 0.5 ** j
            y = y + sign * sp.ive(n - j + 2 * k, size)
    far, tail = np.where(size > 30, size, 30.0), 0
    for k, a in enumerate(_far_terms(-far, n, 24)):
        for m in range(order):
            a = a * -(k + m + 0.5) / far
        tail = tail + a
    y = np.where(size > 30, tail / np.sqrt(2 * np.pi * far), y)
    return np.where(np.isnan(x), x, y * np.sign(x) ** ((n + order) % 2))


def _half_difference(function, x, n):
    return (function(x, n=n - 1) - function(x, n=n + 1)) / 2 if n else -function(x, n=1)


def _half_sum(function, x, n):
    return (function(x, n=n - 1) + function(x, n=n + 1)) / 2 if n else function(x, n=1)


bessel_j = _family("bessel_j", _wave(sp.jv, True), lambda x, n: _half_difference(bessel_j, x, n),
                   "J_n' = (J_(n-1) - J_(n+1)) / 2,  J_0' = -J_1", scales=(-20, 1))
bessel_y = _family("bessel_y", _wave(sp.yv, False), lambda x, n: _half_difference(bessel_y, x, n),
                   "Y_n' = (Y_(n-1) - Y_(n+1)) / 2,  Y_0' = -Y_1", domain="positive",
                   scales=(-20, 1))
bessel_i = _family("bessel_i", in_doubles(lambda x, n: sp.iv(n, x)),
                   lambda x, n: _half_sum(bessel_i, x, n),
                   "I_n' = (I_(n-1) + I_(n+1)) / 2,  I_0' = I_1", scales=(-20, 1))
bessel_ie = declare(
    None, """y = e^-|x| I_n,  y' = e^-|x| I_n' - sign(x) y, and so on to every order;
    at 0 the mean of both sides""",
    lambda x, n, order: bessel_ie(x, n=n, order=order + 1), name="bessel_ie", forward=_scaled,
    params=[{"n": 0, "order": 0}, {"n": 1, "order": 0}, {"n": 2, "order": 1}], domain="nonzero",
    scales=(-20, 1), kind=KINKED, kinks=[Kink((0.0,), (0.0,), "0 at 0", {"n": 0, "order": 0})])
_at_zero = [Kink((0.0,), (0.0,), "0 at 0, as of e^-|x|")]
for _order, _functions in enumerate([(sp.j0, sp.y0, sp.i0, sp.i0e), (sp.j1, sp.y1, sp.i1, sp.i1e)]):
    _j, _y, _i, _ie = _functions
    _special(_j, bessel_j.__doc__, lambda x, _n=_order: _half_difference(bessel_j, x, _n),
             scales=(-20, 1))
    _special(_y, bessel_y.__doc__, lambda x, _n=_order: _half_difference(bessel_y, x, _n),
             domain="positive", scales=(-20, 1))
    _special(_i, bessel_i.__doc__, lambda x, _n=_order: _half_sum(bessel_i, x, _n), scales=(-20, 1))
    _special(_ie, bessel_ie.__doc__, lambda x, _n=_order: bessel_ie(x, n=_n, order=1),
             domain="nonzero", scales=(-20, 1),
             **({} if _order else {"kind": KINKED, "kinks": _at_zero}))
