"""Elementwise functions: y_k = phi(x_k).

    dY = phi'(X) . dX           (the dot is the elementwise product)
    <G, phi'(X) . dX> = <phi'(X) . G, dX>

so jvp and vjp are the same product, and a rule is the derivative phi' alone (for several arguments,
one partial derivative each), a function of the result y and the arguments.  Where two forms of phi'
are equal the one without cancellation stands here: 1 / cosh^2 rather than 1 - tanh^2.  Since rules
are differentiated too, so must their own derivatives be without it: (1 - x)(1 + x) does not cancel
near x = 1, but the product rule makes (1 - x) - (1 + x) of it, which does near 0.  Then the slope
is a primitive of its own, with the derivative that it should have.
"""

import operator

import numpy as np

from ..calls import as_called
from ..cases import Fixed, Case, Kink
from ..errors import InPlaceWrite
from ..foreign import is_certain
from ..primitive import CONSTANT, KINKED, LINEAR, MULTILINEAR, compose, declare, widened
from .arguments import given
from .constants import number

#: For functions whose result may be a number although an argument is nan, whatever the parameters
#: are.
_always = lambda params: True

# Arithmetic

PAIRS = [Case((3, 4), (4,)), Case((2, 1), (1, 3)), Case((), (2,)), Case((0, 3), (3,))]

declare(np.add, "y = a + b,  dy = da + db", kind=LINEAR, vjp=(lambda g: g, lambda g: g),
        cases=PAIRS, pointwise=True)
declare(np.subtract, "y = a - b,  dy = da - db", kind=LINEAR, vjp=(lambda g: g, lambda g: -g),
        cases=PAIRS, pointwise=True)
declare(np.multiply, "y = a b,  dy = b da + a db", lambda b: b, lambda a: a, kind=MULTILINEAR)
# g / b rather than g (1 / b): one rounding instead of two, and exact where b is a plain integer and
# g is not a float.
declare(np.divide, "y = a / b,  dy = (da - y db) / b", pointwise=True,
        vjp=(lambda g, b: g / b, lambda g, y, b: -g * y / b),
        cases=[Case((3, 4), (4,), domain="nonzero"), Case((2, 1), (1, 3), domain="nonzero"),
               Case((), (2,), domain="nonzero"), Case((2, 3), call=lambda a: a / 3)])
declare(np.negative, "y = -x", lambda: -1, kind=LINEAR)
declare(np.positive, "y = x", lambda: 1, kind=LINEAR)
declare(np.conjugate, "y = x for real x", lambda: 1, kind=LINEAR)
declare(np.reciprocal, "y = 1 / x,  dy = -y^2 dx", lambda y: -y * y, domain="nonzero")
declare(np.square, "y = x^2,  dy = 2 x dx", lambda x: 2 * x)


def _power_slope(x, p):
    """p x^(p-1), and 0 for p = 0 at x = 0, where x^(p-1) is not finite."""
    if not hasattr(p, "dtype"):  # a plain number as exponent stays a plain number
        return p * x ** (p - 1) if p != 0 else 0
    constant = (p == 0) & (x == 0)
    return np.where(constant, 0, p * x ** np.where(constant, 1, p - 1))


def _exponent_slope(y, x):
    """y log x; at x = 0 the limit for p > 0, which is 0."""
    if not hasattr(x, "dtype"):  # a plain number has the precision of the result
        x = number(x, y)
    return y * np.log(np.where(x == 0, 1, x))


# The operator has special cases (squares, roots) that np.power lacks.
for _function, _forward in [(np.power, operator.pow), (np.float_power, np.float_power)]:
    declare(_function, "y = x^p,  dy = p x^(p-1) dx + y log(x) dp", _power_slope, _exponent_slope,
            forward=_forward,
            # Third derivatives contain y / x^2 log x.
            takes="x p", domain=("positive", None), scales=(-100, 100),
            kinks=[Kink((0.0, 0.0), (0.0, 0.0), "x^0 is constant in x, also at 0")])

# Roots, exponentials, logarithms

declare(np.sqrt, "y = sqrt x,  dy = dx / (2 y)", lambda y: 1 / (2 * y), domain="positive")
declare(np.cbrt, "y = cbrt x,  dy = dx / (3 y^2)", lambda y: 1 / (3 * y * y), domain="nonzero")
declare(np.exp, "y = e^x,  dy = y dx", lambda y: y)
declare(np.exp2, "y = 2^x,  dy = y log 2 dx", lambda y: y * np.log(number(2, y)))
declare(np.expm1, "y = e^x - 1,  dy = e^x dx", lambda x: np.exp(x))
declare(np.log, "y = log x,  dy = dx / x", lambda x: 1 / x, domain="positive")
declare(np.log2, "y = log x / log 2", lambda x: 1 / (x * np.log(number(2, x))), domain="positive")
declare(np.log10, "y = log x / log 10", lambda x: 1 / (x * np.log(number(10, x))),
        domain="positive")
declare(np.log1p, "y = log(1 + x),  dy = dx / (1 + x)", lambda x: 1 / (1 + x),
        domain="above minus one")
# Trigonometric and hyperbolic functions

declare(np.sin, "dy = cos x dx", lambda x: np.cos(x))
declare(np.cos, "dy = -sin x dx", lambda x: -np.sin(x))
declare(np.tan, "dy = (1 + y^2) dx", lambda y: 1 + y * y)


one_minus_square = declare(
    None, "y = 1 - x^2,  dy = -2 x dx;  computed as (1 - x)(1 + x), which does not cancel near 1",
    lambda x: -2 * x, name="one_minus_square", forward=lambda x: (1 - x) * (1 + x),
    formula=lambda x: 1 - np.square(x), near=(1.0,))
declare(np.arcsin, "dy = dx / sqrt(1 - x^2)", lambda x: 1 / np.sqrt(one_minus_square(x)),
        domain="inside one", near=(1.0,))
declare(np.arccos, "dy = -dx / sqrt(1 - x^2)", lambda x: -1 / np.sqrt(one_minus_square(x)),
        domain="inside one", near=(1.0,))
declare(np.arctan,
        "dy = dx / (1 + x^2) = (1 / h)^2 dx  with  h = hypot(1, x), which does not overflow",
        lambda x: np.square(1 / np.hypot(1, x)))
declare(np.sinh, "dy = cosh x dx", lambda x: np.cosh(x))
declare(np.cosh, "dy = sinh x dx", lambda x: np.sinh(x))


@np.errstate(over="ignore")  # cosh x may be infinite; its reciprocal is not
def _over_cosh(x):
    return np.square(np.reciprocal(np.cosh(x)))


# A primitive, since the quotient's own derivative would be 0 times infinity where cosh x overflows.
sech_squared = declare(None, "y = 1 / cosh^2 x,  dy = -2 tanh x y dx",
                       lambda y, x: -2 * np.tanh(x) * y, name="sech_squared", forward=_over_cosh)
declare(np.tanh, "dy = dx / cosh^2 x", lambda x: sech_squared(x))


#: Where no entry is smaller, e^-x is far from an overflow in float32.
MODERATE = -80


def _sigma(x):
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))


def _moderate_sigma(x):
    """sigma with one exponential, where no entry is so small that it would overflow."""
    if getattr(x, "size", 0) and x.dtype.char in "fd":
        least = np.minimum.reduce(x, axis=None) if type(x) is np.ndarray else np.min(x)
        if is_certain(least > MODERATE):
            return 1 / (1 + np.exp(-x))
    return _sigma(x)


logistic = declare(
    None, """y = 1 / (1 + e^-x),  dy = e^-x / (1 + e^-x)^2 dx = dx / (e^(x/2) + e^(-x/2))^2
        = dx / (4 cosh^2(x/2))
    Computed as e^min(x, 0) / (1 + e^-|x|), which does not overflow.""",
    lambda x: sech_squared(x / 2) / 4, name="sigmoid", forward=_moderate_sigma,
    turns=True)
# The slopes e^(a-y) and e^(b-y) are sigma of a - b and b - a, so a number near 1 is never taken
# from 1.
declare(np.logaddexp,
        "y = log(e^a + e^b),  dy = e^(a-y) da + e^(b-y) db = sigma(a - b) da + sigma(b - a) db",
        lambda a, b: logistic(a - b), lambda a, b: logistic(b - a), near=(1.0,))
declare(np.logaddexp2, """y = log2(2^a + 2^b),  dy = 2^(a-y) da + 2^(b-y) db
    2^(a-y) = 1 / (1 + 2^(b-a)) = sigma((a - b) log 2)""",
        lambda a, b: logistic((a - b) * np.log(number(2, a))),
        lambda a, b: logistic((b - a) * np.log(number(2, b))), near=(1.0,))
declare(np.arcsinh, "dy = dx / sqrt(1 + x^2)", lambda x: 1 / np.hypot(1, x))
declare(np.arccosh, "dy = dx / sqrt((x - 1)(x + 1))",
        lambda x: 1 / (np.sqrt(x - 1) * np.sqrt(x + 1)), domain="above one", near=(1.0,))
declare(np.arctanh, "dy = dx / (1 - x^2)", lambda x: 1 / one_minus_square(x), domain="inside one",
        near=(1.0,))

for _function in np.deg2rad, np.radians, np.rad2deg, np.degrees:
    declare(_function, "y = c x with a constant c: dy = c dx, <g, c dx> = <c g, dx>", kind=LINEAR,
            vjp=(lambda g, _f=_function: _f(g),), cases=[Case((3, 4))], pointwise=True)


def _or_one(x):
    """x where it is not 0, else 1: a denominator under a numerator that is 0 as well."""
    return np.where(x == 0, 1, x)


def _steeply(x, y):
    """x / y, but x over the smallest number where y = 0: infinite unless x is 0."""
    least = np.finfo(y.dtype if y.dtype.kind == "f" else float).smallest_subnormal
    y = np.where(y == 0, least, y)
    with np.errstate(over="ignore"):
        return x / y


def _zero_or_over(a, b):
    return a / np.where(b == 0, np.where(a == 0, 1, b), b)


quotient = declare(
    None, """y = a / b,  dy = (da - y db) / b
    Where a and b are both 0, as in the direction x / |x|, y is 0 and infinitely steep in a: a slope
    of 0 would be wrong without a warning.""",
    name="quotient", kind=KINKED, forward=_zero_or_over, formula=_zero_or_over, pointwise=True,
    vjp=(lambda g, b: _steeply(g, b), lambda g, y, b: -quotient(g * y, b)),
    cases=[Case((3, 4), (4,), domain="nonzero")],
    kinks=[Kink((0.0, 0.0), (np.inf, 0.0), "infinitely steep at 0 / 0")])


def _over_square(a, b):
    """a / (a^2 + b^2), without overflow; 0 at the origin."""
    r = np.hypot(a, b)
    return quotient(quotient(a, r), r)


def _other(a, b):
    """s = b / r, but 1 where r = 0: there y and s are 0, but 1 - y^2 is 1."""
    return np.where(np.hypot(a, b) == 0, 1, cosine(b, a))


cosine = declare(
    None, """y = a / r  with  r = hypot(a, b), and s = b / r:
        dy = da / r - a dr / r^2  with  dr = y da + s db
    dy = (1 - y^2) da / r - y s db / r = (s^2 da - y s db) / r, where 1 - y^2 would cancel;
        0 at the origin""",
    name="cosine", kind=KINKED, forward=lambda a, b: _zero_or_over(a, np.hypot(a, b)),
    formula=lambda a, b: _zero_or_over(a, np.hypot(a, b)), pointwise=True,
    vjp=(lambda g, a, b: _steeply(g * _other(a, b), np.hypot(a, b)) * _other(a, b),
         lambda g, y, a, b: -g * quotient(y, np.hypot(a, b)) * cosine(b, a)),
    cases=[Case((3, 4), (4,), domain="nonzero", scales=(-150, 150))],
    kinks=[Kink((0.0, 0.0), (np.inf, 0.0), "infinitely steep at the origin")])
declare(np.hypot,
        "y^2 = a^2 + b^2,  y dy = a da + b db,  dy = c da + s db  with  c = a / y  and  s = b / y",
        lambda a, b: cosine(a, b), lambda a, b: cosine(b, a), kind=KINKED, scales=(-150, 150),
        square=lambda a, b: a * a + b * b, kinks=[Kink((0.0, 0.0), (0.0, 0.0), "0 at the origin")])
declare(np.arctan2, "y = angle of (b, a),  dy = (b da - a db) / (a^2 + b^2)",
        lambda a, b: _over_square(b, a), lambda a, b: -_over_square(a, b), kind=KINKED,
        kinks=[Kink((0.0, 0.0), (0.0, 0.0), "0 at the origin")])


def _sinc_derivative(x, *, order):
    """s_n by the recurrence from s_0 = sinc x; where n s_(n-1) would cancel the wave, |pi x| < 1 +
    n/2, by series."""
    x, dtype = widened(x), x.dtype
    pi = number("pi", x)
    turn = pi * np.fmod(x, 2)
    waves = np.cos(turn), -np.sin(turn), -np.cos(turn), np.sin(turn)
    s = np.where(x == 0, 1, waves[3] / (pi * _or_one(x)))
    for n in range(1, order + 1):
        s = (pi ** (n - 1) * waves[(n - 1) % 4] - n * s) / _or_one(x)
    nearest = 1 + order / 2
    return np.where(np.abs(pi * x) < nearest, _sinc_series(np.clip(pi * x, -nearest, nearest),
                                                           order, pi), s
                    ).astype(dtype, copy=False)


def _sinc_series(z, n, pi):
    """pi^n sum_k i^(n+k) z^k / (k! (n + k + 1)) over the k for which n + k is even: by Horner's
    rule."""
    # For |z| < 1 + n/2 what follows is below one unit in the last place.
    first, terms = n % 2, 12 + n
    total = np.zeros_like(z)
    for k in range(first + 2 * terms, first - 1, -2):
        total = 1 / (n + k + 1) - total * z * z / ((k + 1) * (k + 2))
    return (-1) ** ((n + first) // 2) * pi ** n * total * (z if first else 1)


sinc_derivative = declare(
    None, """s_n = the n-th derivative of s = sin(pi x) / (pi x),  ds_n = s_(n+1) dx
    x s = sin(pi x) / pi, differentiated n times: x s_n + n s_(n-1) = pi^(n-1) sin(pi x + n pi / 2)
    Near 0 the two sides cancel: there  s_n = pi^n int_0^1 t^n cos(pi x t + n pi / 2) dt
        as a series in z = pi x,
    pi^n (+-) (z^m / (m! (n+m+1)) - z^(m+2) / ((m+2)! (n+m+3)) + ...)
        with m = 0 for even n, 1 for odd n.""",
    lambda x, order: sinc_derivative(x, order=order + 1), name="sinc_derivative",
    forward=_sinc_derivative, params=[{"order": 1}, {"order": 2}])
declare(np.sinc, "y = sin(pi x) / (pi x),  dy = s_1 dx", lambda x: sinc_derivative(x, order=1))

# Kinked

declare(np.absolute, "dy = sign x dx", lambda x: np.sign(x), kind=KINKED, domain="nonzero",
        square=lambda x: x * x, kinks=[Kink((0.0,), (0.0,), "0 at 0")])
declare(np.fabs, "dy = sign x dx", lambda x: np.sign(x), kind=KINKED, domain="nonzero",
        square=lambda x: x * x, kinks=[Kink((0.0,), (0.0,), "0 at 0")])
_tie = [Kink((1.0, 1.0), (0.5, 0.5), "a tie is shared evenly")]
_half = lambda y: number(1, y) / 2
# "not below" rather than "above", so that nan is chosen
_above = lambda y, a, b: np.where(a == b, _half(y), np.logical_not(a < b))
_below = lambda y, a, b: np.where(a == b, _half(y), np.logical_not(a > b))
for _function, _first, _second in [(np.maximum, _above, _below), (np.minimum, _below, _above)]:
    declare(_function, "dy = da where a is chosen, db where b is", _first, _second, kind=KINKED,
            selects=True, kinks=_tie)
_above_or_alone = lambda y, a, b: np.where(a == b, _half(y), (a > b) | np.isnan(b))
_below_or_alone = lambda y, a, b: np.where(a == b, _half(y), (a < b) | np.isnan(b))
declare(np.fmax, "dy = da where a is chosen, db where b is; nan is never chosen", _above_or_alone,
        lambda y, a, b: _above_or_alone(y, b, a), kind=KINKED, chooses=_always,
        selects=True, kinks=_tie)
declare(np.fmin, "dy = da where a is chosen, db where b is; nan is never chosen", _below_or_alone,
        lambda y, a, b: _below_or_alone(y, b, a), kind=KINKED, chooses=_always,
        selects=True, kinks=_tie)
_jump = Kink((2.0, 1.0), (1.0, -2.0),
             "jumps at multiples of b: the slope of the piece that begins there")
# The integer that y was computed with: a / b itself may be rounded up to the next one.
_slope_of_divisor = lambda y, a, b: -np.rint((a - y) / b)
declare(np.remainder, "y = a - b floor(a / b),  dy = da - floor(a / b) db", lambda: 1,
        _slope_of_divisor, kind=KINKED, domain="nonzero", kinks=[_jump])
declare(np.fmod, "y = a - b trunc(a / b),  dy = da - trunc(a / b) db", lambda: 1, _slope_of_divisor,
        kind=KINKED, domain="nonzero", kinks=[_jump])
compose(np.divmod, lambda a, b: (np.floor_divide(a, b), np.remainder(a, b)), kind=KINKED,
        cases=[Case((3,), (3,), domain="nonzero", call=lambda a, b: np.divmod(a, b)[1])],
        kinks=[_jump._replace(call=lambda a, b: np.divmod(a, b)[1])])
compose(np.modf, lambda x: (np.fmod(np.where(np.isinf(x), 0, x), 1), np.trunc(x)), kind=KINKED,
        cases=[Case((3,), call=lambda x: np.modf(x)[0])],
        kinks=[Kink((2.0,), (1.0,), "jumps at integers: 1 on both sides",
                    call=lambda x: np.modf(x)[0])])
declare(np.copysign, "y = |a| with the sign of b,  dy = sign a sign b da",
        lambda a, b: np.sign(a) * np.copysign(1, b), None, kind=KINKED, domain="nonzero",
        kinks=[Kink((0.0, 1.0), (0.0, 0.0), "0 at a = 0")])
declare(np.heaviside, "y = 0 for x < 0, h at x = 0, 1 for x > 0:  dy = dh at x = 0, else 0",
        kind=KINKED, takes="x h", vjp=(None, lambda g, x: g * (x == 0)), pointwise=True,
        cases=[Case(Fixed(np.array([-1, 0, 2])), (2, 3)), Case((3, 4), (4,), domain="nonzero")],
        kinks=[Kink((0.0, 0.5), (0.0, 1.0), "jumps at 0: the slope in x is 0, as beside it")])
declare(np.ldexp, "y = x 2^n,  dy = 2^n dx", kind=LINEAR, takes="x n",
        vjp=(lambda g, n: np.ldexp(g, n), None),
        cases=[Case((3,), Fixed(np.array([1, -2, 0])))], pointwise=True)

declare(np.nextafter, "y = a, but for one rounding:  dy = da", kind=LINEAR, vjp=(lambda g: g, None),
        pointwise=True, cases=PAIRS)
exponent = declare(None, "the e for which 1/2 <= |x| / 2^e < 1, constant almost everywhere: dy = 0",
                   name="exponent", kind=CONSTANT, forward=lambda x: np.frexp(x)[1], pointwise=True,
                   cases=[Case((3,))])
compose(np.frexp, lambda x: (np.ldexp(x, -exponent(x)), exponent(x)), kind=KINKED,
        cases=[Case((3,), domain="nonzero", call=lambda x: np.frexp(x)[0])],
        kinks=[Kink((2.0,), (0.25,),
                    "jumps at powers of two: the slope of the piece that begins there",
                    call=lambda x: np.frexp(x)[0])])
compose(np.real_if_close, lambda a, tol=100: a, kind=LINEAR, cases=[Case((3,))])


def _bounded(a, a_min=np._NoValue, a_max=np._NoValue, *, min=np._NoValue, max=np._NoValue):
    """NumPy has two names for each bound: both old ones, or any of the new ones."""
    if given(a_min) != given(a_max) or given(a_min) and (given(min) or given(max)):
        raise TypeError("np.clip: expected a_min and a_max, or min or max; None is no bound")
    bounds = (a_min, a_max) if given(a_min) else (min, max)
    return (a, *(bound if given(bound) else None for bound in bounds)), {}


def _inside(x, low, high):
    """1 between the bounds and on them."""
    below = False if low is None else x < low
    above = False if high is None else x > high
    return np.logical_not(below | above)


declare(np.clip, "y = x between the bounds, else the bound that was crossed (the upper one wins)",
        kind=KINKED, call=_bounded, takes="x low high", pointwise=True, selects=True,
        vjp=(lambda g, x, low, high: g * _inside(x, low, high),
             lambda g, x, low, high: g * ((x < low) & (high is None or low <= high)),
             lambda g, x, low, high: g * ((x > high) | (low is not None and low > high))),
        cases=[Case((3, 4), a_min=-0.5, a_max=0.75), Case((5,), min=0.25),
               Case((3, 4), (4,), (1,), domain=(None, "inside one", "unit interval"))],
        kinks=[Kink((x, -1.0, 1.0), (1.0, 0.0, 0.0), "1 at a bound") for x in (-1.0, 1.0)])

declare(np.where, "y = a where c, else b:  dy = da where c, else db;  "
                  "<g, dy> = <g where c, da> + <g else, db>",
        kind=LINEAR, pointwise=True, chooses=_always, takes="c a b",
        vjp=(None, lambda g, c: np.where(c, g, 0), lambda g, c: np.where(c, 0, g)),
        cases=[Case(Fixed(np.array([True, False, True])), (2, 3), (3,)),
               Case(Fixed(np.array([[True], [False]])), (), (2,))])


def _select(condlist, choicelist, default=0):
    """The first condition that holds chooses, so the conditions are applied from the last to the
    first."""
    y = default
    for c, a in reversed(list(zip(condlist, choicelist, strict=True))):
        y = np.where(c, a, y)
    return y


_conditions = [np.array([True, False, False]), np.array([True, True, False])]
compose(np.select, _select, kind=LINEAR,
        cases=[Case((3,), (3,), call=lambda a, b: np.select(_conditions, [a, b], default=2.0))])


def _finite(x, copy=True, nan=0.0, posinf=None, neginf=None):
    if not copy:
        raise InPlaceWrite("np.nan_to_num", "copy=False")
    return (x,), {"nan": nan, "posinf": posinf, "neginf": neginf}


declare(np.nan_to_num,
        "y = x where x is finite, else a constant:  dy = dx where x is finite, else 0", kind=LINEAR,
        call=_finite, vjp=(lambda g, x: np.where(np.isfinite(x), g, 0),), pointwise=True,
        chooses=_always, cases=[Case((3,))])

# Constant almost everywhere: the result carries no derivative, and that is declared.

for _function in (np.sign, np.floor, np.ceil, np.rint, np.trunc, np.isnan, np.isinf, np.isfinite,
                  np.signbit, np.logical_not, np.round, np.around, np.fix, np.spacing, np.angle):
    declare(_function, "constant almost everywhere: dy = 0", kind=CONSTANT,
            call=as_called(_function), cases=[Case((3, 4))])
for _function in (np.floor_divide, np.less, np.less_equal, np.greater, np.greater_equal, np.equal,
                  np.not_equal, np.logical_and, np.logical_or, np.logical_xor, np.isclose):
    declare(_function, "constant almost everywhere: dy = 0", kind=CONSTANT,
            call=as_called(_function), cases=[Case((3, 4), (4,), domain="nonzero")])
for _function in np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.left_shift, np.right_shift:
    declare(_function, "of integers, which have no derivative", kind=CONSTANT,
            call=as_called(_function),
            cases=[Case((3, 4), (4,),
                        call=lambda a, b, _f=_function: _f(np.isfinite(a) + 5, 1 + (b > 0)))])
declare(np.invert, "of integers, which have no derivative", kind=CONSTANT,
        call=as_called(np.invert), cases=[Case((3, 4), call=lambda a: np.invert(a > 0))])
