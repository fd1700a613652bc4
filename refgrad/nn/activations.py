"""Activations: elementwise functions, y_k = phi(x_k).

    dY = phi'(X) . dX,   <G, phi'(X) . dX> = <phi'(X) . G, dX>
        (the dot is the elementwise product)

so a rule is the slope phi' alone.  The slopes of the smooth ones are written with three functions
that are closed under differentiation, neither overflow nor cancel in the tails, and have no seam at
0:

    tanh(x)                              tanh'   = sech^2
    sech^2(x) = 1 / cosh^2 x             sech^2' = -2 tanh sech^2
    sigma(x)  = 1 / (1 + e^-x)           sigma'  = sech^2(x / 2) / 4

(sigma' is also y (1 - y), but 1 - y loses all digits as y tends to 1.)  Each of the three is a
primitive: |x| and max(x, 0) are used to compute it, and are not differentiated.
"""

import math

import numpy as np

from ..cases import Case, Kink
from ..hints import Array
from ..primitive import KINKED, composed, declare, elementwise, in_dtype_of, widened
from ..rules.constants import number
from ..rules.elementwise import logistic, sech_squared
from ..rules.special import erfc
from .arguments import axis_of, expected, not_in_place, plain

# Smooth parts


def _logistic_slope(x):
    return sech_squared(x / 2) / 4


log1pexp = declare(
    None, """y = log(1 + e^x),  dy = e^x / (1 + e^x) dx = sigma(x) dx
    Computed as max(x, 0) + log(1 + e^-|x|), which does not overflow.""", lambda x: logistic(x),
    name="log1pexp", forward=lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))


def _normal_cdf(x):
    """Phi(x) = (1 + erf(x / sqrt 2)) / 2, without the cancellation for x < 0."""
    return erfc(-x / np.sqrt(number(2, x))) / 2


def _normal_density(x):
    return np.exp(-x * x / 2) / np.sqrt(2 * number("pi", x))


# Smooth activations

_softplus = declare(
    None, "y = log(1 + e^(b x)) / b,  dy = sigma(b x) dx;  "
          "beyond the threshold, b x > t, the identity: dy = dx",
    lambda x, beta, threshold: np.where(beta * x > threshold, 1, logistic(beta * x)),
    name="softplus", kind=KINKED,
    forward=lambda x, beta, threshold: np.where(beta * x > threshold, x, log1pexp(beta * x) / beta),
    params=({"beta": 1, "threshold": 20}, {"beta": 0.5, "threshold": 0.25}),
    kinks=[Kink((20.0,), (1 / (1 + math.exp(-20.0)),),
                "sigma at the threshold, which the identity then replaces",
                {"beta": 1, "threshold": 20})])

_silu = declare(
    None, "y = x sigma(x),  dy = (sigma(x) + x sigma'(x)) dx", name="silu", keep=logistic,
    forward=lambda s, x: x * s, vjp=(lambda g, s, x: g * (s + x * _logistic_slope(x)),),
    pointwise=True, cases=[Case((3, 4)), Case(())])


def _gelu_rule(v, P, x):
    x = widened(x)
    return v * (P + x * _normal_density(x))


_gelu = declare(
    None, "y = x P(x) with the normal distribution P,  "
          "dy = (P + x p) dx with its density p = e^(-x^2/2) / sqrt(2 pi)",
    name="gelu", keep=_normal_cdf, forward=lambda P, x: x * P, vjp=(_gelu_rule,),
    pointwise=True, cases=[Case((3, 4)), Case(())])


near = elementwise(
    None,
    "y = x, but not beyond +-100, where sigma(u(y)) below is 0 or 1 and u(y) does not overflow;  "
    "dy = dx", lambda: 1, name="near", forward=lambda x: np.clip(x, -100, 100), formula=lambda x: x)


def _gelu_tanh_keep(x):
    """u = x (c + d x^2)  with c = 2 sqrt(2/pi), d = 0.044715 c;  and sigma(u)."""
    x = near(widened(x))
    c, d = _gelu_tanh_constants(x)
    u = x * (c + d * (x * x))
    return u, logistic(u)


def _gelu_tanh_constants(x):
    c = 2 * np.sqrt(2 / number("pi", x))
    return c, c * (number(44715, x) / 1000000)


def _gelu_tanh_rule(v, kept, x):
    (u, s), z = kept, near(widened(x))
    c, d = _gelu_tanh_constants(z)
    return v * (s + x * _logistic_slope(u) * (c + 3 * d * (z * z)))


_gelu_tanh = declare(
    None, """y = x/2 (1 + tanh(u/2)) = x sigma(u)  with  u = 2 sqrt(2/pi) (x + 0.044715 x^3)
    dy = (sigma(u) + x sigma'(u) u') dx,  u' = 2 sqrt(2/pi) (1 + 3 . 0.044715 x^2)""",
    name="gelu_tanh", keep=_gelu_tanh_keep, forward=lambda kept, x: in_dtype_of(x, x * kept[1]),
    vjp=(_gelu_tanh_rule,), pointwise=True, cases=[Case((3, 4)), Case(())])

def _beyond_tanh(x):
    """x - tanh x; where it cancels, sum_{k > 0} 2k x^(2k+1) / (2k+1)! over cosh x: all terms have
    one sign."""
    dtype, x = x.dtype, widened(x)
    z = np.clip(x, -2, 2)
    s = np.zeros_like(z)
    for k in range(16, 0, -1):
        s = s * (z * z) + 2 * k / math.factorial(2 * k + 1)
    return np.where(np.abs(x) < 2, s * z * z * z / np.cosh(z),
                    x - np.tanh(x)).astype(dtype, copy=False)


_tanhshrink = declare(
    None, """y = x - tanh x,  dy = (1 - 1 / cosh^2 x) dx = tanh^2 x dx
    y = (x cosh x - sinh x) / cosh x = sum_k (1/(2k)! - 1/(2k+1)!) x^(2k+1) / cosh x,
        computed so for small x""",
    lambda x: np.square(np.tanh(x)), name="tanhshrink", forward=_beyond_tanh,
    formula=lambda x: x - np.tanh(x), near=(0.0,), scales=(-60, 300))

_softsign = declare(
    None, """y = x / (1 + |x|),  dy = (1 / (1 + |x|) - y sign(x) / (1 + |x|)) dx = dx / (1 + |x|)^2,
        also at 0""",
    lambda x: np.square(1 / (1 + np.abs(x))), name="softsign",
    forward=lambda x: x / (1 + np.abs(x)))

# The public functions: any shape, the result has the input's.  All as in torch.nn.functional.


def sigmoid(input: Array) -> Array:
    """1 / (1 + e^-x)."""
    return logistic(input)


def tanh(input: Array) -> Array:
    """The hyperbolic tangent; its slopes keep their digits in the tails."""
    return np.tanh(input)


def softplus(input: Array, beta: float = 1, threshold: float = 20) -> Array:
    """log(1 + e^(beta x)) / beta, and x itself where beta x > threshold, as in torch.

    Raises ValueError for beta = 0.
    """
    beta, threshold = plain("softplus", "beta", beta), plain("softplus", "threshold", threshold)
    if beta == 0:
        raise expected("softplus", "beta", beta,
                       "a number other than 0, by which the logarithm is divided")
    return _softplus(input, beta=beta, threshold=threshold)


def silu(input: Array, inplace: bool = False) -> Array:
    """x sigma(x), also called swish.  Hendrycks and Gimpel (2016), Ramachandran, Zoph and Le
    (2017)."""
    not_in_place("silu", inplace)
    return _silu(input)


def gelu(input: Array, approximate: str = "none") -> Array:
    """x P(x) with the distribution function P of the standard normal.  Hendrycks and Gimpel (2016).

    With approximate="tanh" P(x) is (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2.
    Raises ValueError for any other approximation.
    """
    if approximate == "none":
        return _gelu(input)
    if approximate == "tanh":
        return _gelu_tanh(input)
    raise expected("gelu", "approximate", repr(approximate), "'none' or 'tanh'")


@composed(cases=[Case((3, 4)), Case(())])
def logsigmoid(input: Array) -> Array:
    """log sigma(x) = -log(1 + e^-x), in nats."""
    return -log1pexp(-input)


@composed(cases=[Case((3, 4)), Case(())])
def mish(input: Array, inplace: bool = False) -> Array:
    """x tanh(log(1 + e^x)).  Misra (2019)."""
    not_in_place("mish", inplace)
    return input * np.tanh(log1pexp(input))


def softsign(input: Array) -> Array:
    """x / (1 + |x|); its slope 1 / (1 + |x|)^2 is continuous.  Turian, Bergstra and Bengio
    (2009)."""
    return _softsign(input)


def tanhshrink(input: Array) -> Array:
    """x - tanh x, which keeps its digits near 0."""
    return _tanhshrink(input)


@composed(cases=[Case((3, 4)), Case((4, 3), dim=0)])
def glu(input: Array, dim: int = -1) -> Array:
    """a sigma(b), where a and b are the first and the second half of the input along the axis
    `dim`.

    Raises ValueError for an axis that input does not have, or that has an odd number of entries.
    Dauphin, Fan, Auli and Grangier (2017).
    """
    axis = axis_of("glu", input, dim)
    n = input.shape[axis]
    if n % 2:
        raise ValueError(f"glu: input has shape {input.shape}; expected an even number of entries "
                         f"along dim={dim}")
    half = lambda part: (..., part, *(slice(None),) * (-1 - axis))
    return input[half(slice(n // 2))] * logistic(input[half(slice(n // 2, None))])
