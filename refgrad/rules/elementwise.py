"""Elementwise functions: y_k = phi(x_k).

    dY = phi'(X) . dX           (the dot is the elementwise product)
    <G, phi'(X) . dX> = <phi'(X) . G, dX>

so jvp and vjp are the same product, and a rule is the derivative phi' alone (for several arguments, one partial
derivative each), a function of the result y and the arguments.  Where two forms of phi' are equal the one without
cancellation stands here: 1 / cosh^2 rather than 1 - tanh^2.
"""

import numpy as np

from ..cases import Fixed, Case, Kink
from ..primitive import CONSTANT, KINKED, LINEAR, MULTILINEAR, Composition, Primitive, elementwise
from .constants import number

# Arithmetic

same = lambda v, y, *arrays: v
opposite = lambda v, y, *arrays: -v
PAIRS = [Case((3, 4), (4,)), Case((2, 1), (1, 3)), Case((), (2,)), Case((0, 3), (3,))]

Primitive(np.add, "y = a + b,  dy = da + db", kind=LINEAR, jvp=(same, same), vjp=(same, same), cases=PAIRS,
          stacked=True)
Primitive(np.subtract, "y = a - b,  dy = da - db", kind=LINEAR, jvp=(same, opposite), vjp=(same, opposite),
          cases=PAIRS, stacked=True)
elementwise(np.multiply, "y = a b,  dy = b da + a db", lambda y, a, b: b, lambda y, a, b: a, kind=MULTILINEAR)
elementwise(np.divide, "y = a / b,  dy = (da - y db) / b", lambda y, a, b: 1 / b, lambda y, a, b: -y / b,
            domain="nonzero")
elementwise(np.negative, "y = -x", lambda y, x: -1, kind=LINEAR)
elementwise(np.positive, "y = x", lambda y, x: 1, kind=LINEAR)
elementwise(np.conjugate, "y = x for real x", lambda y, x: 1, kind=LINEAR)
elementwise(np.reciprocal, "y = 1 / x,  dy = -y^2 dx", lambda y, x: -y * y, domain="nonzero")
elementwise(np.square, "y = x^2,  dy = 2 x dx", lambda y, x: 2 * x)


def _power_slope(y, x, p):
    """p x^(p-1), and 0 for p = 0 even at x = 0, where x^(p-1) is not finite."""
    constant = p == 0
    return np.where(constant, 0, p * np.power(x, np.where(constant, 1, p - 1)))


def _exponent_slope(y, x, p):
    """y log x; at x = 0 the limit for p > 0, which is 0."""
    return y * np.log(np.where(x == 0, 1, x))


for _function in np.power, np.float_power:
    elementwise(_function, "y = x^p,  dy = p x^(p-1) dx + y log(x) dp", _power_slope, _exponent_slope,
                domain=("positive", None),
                kinks=[Kink((0.0, 0.0), (0.0, 0.0), "x^0 is constant in x, also at 0")])

# Roots, exponentials, logarithms

elementwise(np.sqrt, "y = sqrt x,  dy = dx / (2 y)", lambda y, x: 1 / (2 * y), domain="positive")
elementwise(np.cbrt, "y = cbrt x,  dy = dx / (3 y^2)", lambda y, x: 1 / (3 * y * y), domain="nonzero")
elementwise(np.exp, "y = e^x,  dy = y dx", lambda y, x: y)
elementwise(np.exp2, "y = 2^x,  dy = y log 2 dx", lambda y, x: y * np.log(number(2, y)))
elementwise(np.expm1, "y = e^x - 1,  dy = e^x dx", lambda y, x: np.exp(x))
elementwise(np.log, "y = log x,  dy = dx / x", lambda y, x: 1 / x, domain="positive")
elementwise(np.log2, "y = log x / log 2", lambda y, x: 1 / (x * np.log(number(2, x))), domain="positive")
elementwise(np.log10, "y = log x / log 10", lambda y, x: 1 / (x * np.log(number(10, x))), domain="positive")
elementwise(np.log1p, "y = log(1 + x),  dy = dx / (1 + x)", lambda y, x: 1 / (1 + x), domain="above minus one")
elementwise(np.logaddexp, "y = log(e^a + e^b),  dy = e^(a-y) da + e^(b-y) db",
            lambda y, a, b: np.exp(a - y), lambda y, a, b: np.exp(b - y))
elementwise(np.logaddexp2, "y = log2(2^a + 2^b),  dy = 2^(a-y) da + 2^(b-y) db",
            lambda y, a, b: np.exp2(a - y), lambda y, a, b: np.exp2(b - y))

# Trigonometric and hyperbolic functions

elementwise(np.sin, "dy = cos x dx", lambda y, x: np.cos(x))
elementwise(np.cos, "dy = -sin x dx", lambda y, x: -np.sin(x))
elementwise(np.tan, "dy = (1 + y^2) dx", lambda y, x: 1 + y * y)
elementwise(np.arcsin, "dy = dx / sqrt((1 - x)(1 + x))", lambda y, x: 1 / np.sqrt((1 - x) * (1 + x)),
            domain="inside one")
elementwise(np.arccos, "dy = -dx / sqrt((1 - x)(1 + x))", lambda y, x: -1 / np.sqrt((1 - x) * (1 + x)),
            domain="inside one")
elementwise(np.arctan, "dy = dx / (1 + x^2)", lambda y, x: 1 / (1 + x * x))
elementwise(np.sinh, "dy = cosh x dx", lambda y, x: np.cosh(x))
elementwise(np.cosh, "dy = sinh x dx", lambda y, x: np.sinh(x))
elementwise(np.tanh, "dy = dx / cosh^2 x", lambda y, x: np.square(1 / np.cosh(x)))
elementwise(np.arcsinh, "dy = dx / sqrt(1 + x^2)", lambda y, x: 1 / np.hypot(1, x))
elementwise(np.arccosh, "dy = dx / sqrt((x - 1)(x + 1))", lambda y, x: 1 / (np.sqrt(x - 1) * np.sqrt(x + 1)),
            domain="above one")
elementwise(np.arctanh, "dy = dx / ((1 - x)(1 + x))", lambda y, x: 1 / ((1 - x) * (1 + x)), domain="inside one")

for _function in np.deg2rad, np.radians, np.rad2deg, np.degrees:
    Primitive(_function, "y = c x with a constant c: dy = c dx, <g, c dx> = <c g, dx>", kind=LINEAR,
              vjp=(lambda g, y, x, _f=_function: _f(g),), cases=[Case((3, 4))], stacked=True)


def _or_one(x):
    """x where it is not 0, else 1: a denominator under a numerator that is 0 as well."""
    return np.where(x == 0, 1, x)


def _turn(y, a, b):
    """a / (a^2 + b^2), without overflow; 0 at the origin."""
    r = _or_one(np.hypot(a, b))
    return a / r / r


elementwise(np.hypot, "y^2 = a^2 + b^2,  y dy = a da + b db", lambda y, a, b: a / _or_one(y),
            lambda y, a, b: b / _or_one(y), kind=KINKED, kinks=[Kink((0.0, 0.0), (0.0, 0.0), "0 at the origin")])
elementwise(np.arctan2, "y = angle of (b, a),  dy = (b da - a db) / (a^2 + b^2)",
            lambda y, a, b: _turn(y, b, a), lambda y, a, b: -_turn(y, a, b), kind=KINKED,
            kinks=[Kink((0.0, 0.0), (0.0, 0.0), "0 at the origin")])


def _sinc_slope(y, x):
    """(cos(pi x) - sinc x) / x, and 0 at 0, by symmetry."""
    return np.where(x == 0, 0, (np.cos(number("pi", x) * x) - y) / _or_one(x))


elementwise(np.sinc, "y = sin(pi x) / (pi x),  x dy = (cos(pi x) - y) dx", _sinc_slope, domain="nonzero")

# Kinked

elementwise(np.absolute, "dy = sign x dx", lambda y, x: np.sign(x), kind=KINKED, domain="nonzero",
            kinks=[Kink((0.0,), (0.0,), "0 at 0")])
elementwise(np.fabs, "dy = sign x dx", lambda y, x: np.sign(x), kind=KINKED, domain="nonzero",
            kinks=[Kink((0.0,), (0.0,), "0 at 0")])
_tie = [Kink((1.0, 1.0), (0.5, 0.5), "a tie is shared evenly")]
_above = lambda y, a, b: np.where(a == b, 0.5, a > b)
_below = lambda y, a, b: np.where(a == b, 0.5, a < b)
for _function, _first, _second in [(np.maximum, _above, _below), (np.minimum, _below, _above)]:
    elementwise(_function, "dy = da where a is chosen, db where b is", _first, _second, kind=KINKED, kinks=_tie)
_above_or_alone = lambda y, a, b: np.where(np.isnan(b), 1, _above(y, a, b))
_below_or_alone = lambda y, a, b: np.where(np.isnan(b), 1, _below(y, a, b))
elementwise(np.fmax, "dy = da where a is chosen, db where b is; nan is never chosen", _above_or_alone,
            lambda y, a, b: _above_or_alone(y, b, a), kind=KINKED, kinks=_tie)
elementwise(np.fmin, "dy = da where a is chosen, db where b is; nan is never chosen", _below_or_alone,
            lambda y, a, b: _below_or_alone(y, b, a), kind=KINKED, kinks=_tie)
elementwise(np.remainder, "y = a - b floor(a / b),  dy = da - floor(a / b) db", lambda y, a, b: 1,
            lambda y, a, b: -np.floor(a / b), kind=KINKED, domain="nonzero")
elementwise(np.fmod, "y = a - b trunc(a / b),  dy = da - trunc(a / b) db", lambda y, a, b: 1,
            lambda y, a, b: -np.trunc(a / b), kind=KINKED, domain="nonzero")
elementwise(np.copysign, "y = |a| with the sign of b,  dy = sign a sign b da",
            lambda y, a, b: np.sign(a) * np.copysign(1, b), None, kind=KINKED, domain="nonzero",
            kinks=[Kink((0.0, 1.0), (0.0, 0.0), "0 at a = 0")])
Primitive(np.ldexp, "y = x 2^n,  dy = 2^n dx", kind=LINEAR, vjp=(lambda g, y, x, n: np.ldexp(g, n), None),
          cases=[Case((3,), Fixed(np.array([1, -2, 0])))], stacked=True)


def _bounded(a, a_min=None, a_max=None, *, min=None, max=None):
    low, high = a_min if min is None else min, a_max if max is None else max
    return (a, low, high), {}


def _inside(x, low, high):
    """1 between the bounds and on them."""
    return (low is None or x >= low) * (high is None or x <= high)


Primitive(np.clip, "y = x between the bounds, else the bound that was crossed (the upper one wins)", kind=KINKED,
          call=_bounded, stacked=True,
          jvp=(lambda v, y, x, low, high: v * _inside(x, low, high),
               lambda v, y, x, low, high: v * ((x < low) & (high is None or low < high)),
               lambda v, y, x, low, high: v * ((x > high) | (low is not None and low >= high))),
          vjp=(lambda g, y, x, low, high: g * _inside(x, low, high),
               lambda g, y, x, low, high: g * ((x < low) & (high is None or low < high)),
               lambda g, y, x, low, high: g * ((x > high) | (low is not None and low >= high))),
          cases=[Case((3, 4), a_min=-0.5, a_max=0.75), Case((5,), min=0.25),
                 Case((4,), (4,), (1,), domain=(None, "inside one", "above one"))],
          kinks=[Kink((1.0, -1.0, 1.0), (1.0, 0.0, 0.0), "1 at a bound")])

Primitive(np.where, "y = a where c, else b:  dy = da where c, else db;  <g, dy> = <g where c, da> + <g else, db>",
          kind=LINEAR, stacked=True,
          vjp=(None, lambda g, y, c, a, b: np.where(c, g, 0), lambda g, y, c, a, b: np.where(c, 0, g)),
          cases=[Case(Fixed(np.array([True, False, True])), (2, 3), (3,)),
                 Case(Fixed(np.array([[True], [False]])), (), (2,))])

Composition(np.nan_to_num, lambda x, copy=True, nan=0.0, posinf=None, neginf=None: np.where(
    np.isfinite(x), x, _replacement(x, nan, posinf, neginf)), cases=[Case((3,))])
Composition(np.divmod, lambda a, b: (np.floor_divide(a, b), np.remainder(a, b)), kind=KINKED,
            cases=[Case((3,), (3,), domain="nonzero", call=lambda a, b: np.divmod(a, b)[1])])


def _replacement(x, nan, posinf, neginf):
    largest = np.finfo(x.dtype).max
    high, low = largest if posinf is None else posinf, -largest if neginf is None else neginf
    return np.where(np.isnan(x), nan, np.where(x > 0, high, low))


# Constant almost everywhere: the result carries no derivative, and that is declared.

_as_called = lambda *arrays, **params: (arrays, params)
for _function in (np.sign, np.floor, np.ceil, np.rint, np.trunc, np.isnan, np.isinf, np.isfinite, np.signbit,
                  np.logical_not, np.round, np.around, np.fix):
    Primitive(_function, "constant almost everywhere: dy = 0", kind=CONSTANT, call=_as_called, cases=[Case((3, 4))])
for _function in (np.floor_divide, np.heaviside, np.less, np.less_equal, np.greater, np.greater_equal, np.equal,
                  np.not_equal, np.logical_and, np.logical_or, np.logical_xor, np.isclose):
    Primitive(_function, "constant almost everywhere: dy = 0", kind=CONSTANT, call=_as_called,
              cases=[Case((3, 4), (4,), domain="nonzero")])
