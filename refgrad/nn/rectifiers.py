"""Rectifiers and other activations in pieces: elementwise functions, y_k = phi(x_k), that kink
where pieces meet.

Each piece is linear, or an exponential that ends at 0.  The slope of a piece multiplies v and g,
and at a seam one of the two holds, as in torch:

    relu, hardtanh, hardshrink, softshrink, threshold    the flat piece
    leaky_relu, prelu, elu, celu, selu                   the piece below 0
"""

from __future__ import annotations

import numpy as np

from ..cases import Case, Kink
from ..hints import Array
from ..primitive import KINKED, composed, declare, in_dtype_of
from .arguments import expected, generator_of, not_in_place, plain, shape_of

# The primitives

rectified = declare(
    None, "y = max(x, 0),  dy = dx where y > 0, else 0; where y is nan, dx, as of a maximum that "
          "is nan",
    lambda y: y != 0, name="relu", kind=KINKED, selects=True,
    forward=lambda x: np.maximum(x, 0), domain="nonzero", kinks=[Kink((0.0,), (0.0,), "0 at 0")])


def _leaky(v, x, negative_slope):
    return np.where(x > 0, v, negative_slope * v)


_leaky_relu = declare(
    None, "y = x where x > 0, else s x;  dy = dx where x > 0, else s dx: the same map of dx, and "
          "its own adjoint",
    name="leaky_relu", kind=KINKED, pointwise=True,
    forward=lambda x, negative_slope: _leaky(x, x, negative_slope),
    vjp=(lambda g, x, negative_slope: _leaky(g, x, negative_slope),),
    cases=[Case((3, 4), domain="nonzero", negative_slope=0.25),
           Case((), domain="nonzero", negative_slope=-0.5)],
    kinks=[Kink((0.0,), (0.25,), "the negative slope at 0", {"negative_slope": 0.25})])

_elu = declare(
    None, """y = x where x > 0, else a (e^x - 1);  dy = dx where x > 0, else a e^x dx
    The exponent is set to 0 where it is not used: it might overflow.""",
    lambda x, alpha: np.where(x > 0, 1, alpha * np.exp(np.where(x > 0, 0, x))), name="elu",
    kind=KINKED,
    forward=lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
    domain="nonzero",
    params=({"alpha": 1.0}, {"alpha": 0.5}),
    kinks=[Kink((0.0,), (0.5,), "alpha at 0", {"alpha": 0.5})])

_hardtanh = declare(
    None, "y = x between the bounds, else the bound that was crossed;  dy = dx between them, 0 on "
          "them and beyond",
    lambda x, low, high: np.logical_not((x <= low) | (x >= high)), name="hardtanh", kind=KINKED,
    selects=True,
    forward=lambda x, low, high: np.where(x >= high, high, np.where(x <= low, low, x)),
    params=({"low": -1.0, "high": 1.0}, {"low": -0.25, "high": 0.5}),
    kinks=[Kink((x,), (0.0,), "0 at a bound", {"low": -1.0, "high": 1.0}) for x in (-1.0, 1.0)])

# The public functions: any shape, the result has the input's.  All as in torch.nn.functional.


def relu(input: Array, inplace: bool = False) -> Array:
    """max(x, 0), with slope 0 at 0."""
    not_in_place("relu", inplace)
    return rectified(input)


def leaky_relu(input: Array, negative_slope: float = 0.01, inplace: bool = False) -> Array:
    """x where x > 0, else negative_slope x; at 0 the slope is negative_slope.  Maas, Hannun and Ng
    (2013).
    """
    not_in_place("leaky_relu", inplace)
    return _leaky_relu(input, negative_slope=plain("leaky_relu", "negative_slope", negative_slope))


def elu(input: Array, alpha: float = 1.0, inplace: bool = False) -> Array:
    """x where x > 0, else alpha (e^x - 1); at 0 the slope is alpha.  Clevert, Unterthiner and
    Hochreiter (2016).
    """
    not_in_place("elu", inplace)
    return _elu(input, alpha=plain("elu", "alpha", alpha))


@composed(kind=KINKED, cases=[Case((3, 4), domain="nonzero"), Case((), domain="nonzero", alpha=0.5),
                              Case((3,), domain="nonzero", alpha=-1.5, scales=(-300, 0))],
          kinks=[Kink((0.0,), (1.0,), "1 at 0; the second derivative is that of the exponential",
                      {"alpha": 0.5})])
def celu(input: Array, alpha: float = 1.0, inplace: bool = False) -> Array:
    """x where x > 0, else alpha (e^(x/alpha) - 1), whose slope is 1 at 0.  Barron (2017).

    Raises ValueError for alpha = 0.
    """
    not_in_place("celu", inplace)
    alpha = plain("celu", "alpha", alpha)
    if alpha == 0:
        raise expected("celu", "alpha", alpha,
                       "a number other than 0, by which the input is divided")
    above = input > 0
    return np.where(above, input, alpha * np.expm1(np.where(above, 0, input) / alpha))


#: The scale of selu and its product with alpha = 1.6733, for which mean 0 and variance 1 are a
#: fixed point of a layer.
SELU_SCALE = 1.0507009873554804934193349852946
SELU_BELOW = 1.7580993408473768599402175208123


@composed(kind=KINKED, cases=[Case((3, 4), domain="nonzero"), Case((), domain="nonzero")],
          kinks=[Kink((0.0,), (SELU_BELOW,), "scale times alpha at 0")])
def selu(input: Array, inplace: bool = False) -> Array:
    """scale elu(x, alpha) with scale = 1.0507... and alpha = 1.6733...  Klambauer and others
    (2017).
    """
    not_in_place("selu", inplace)
    above = input > 0
    return np.where(above, SELU_SCALE * input, SELU_BELOW * np.expm1(np.where(above, 0, input)))


@composed(kind=KINKED, cases=[
    Case((2, 3, 2), (3,), domain=("nonzero", None)), Case((3,), (1,), domain=("nonzero", None)),
    Case((), (), domain=("nonzero", None))],
    kinks=[Kink((0.0, 0.25), (0.25, 0.0), "the weight at 0")])
def prelu(input: Array, weight: Array) -> Array:
    """x where x > 0, else weight x; at 0 the slope is weight.  He, Zhang, Ren and Sun (2015).

    input   any shape; its axis 1 holds the channels
    weight  () or (1,): one slope for all; or (C,): one for each channel
    Raises ValueError for another shape of the weight.
    """
    shape, slopes = shape_of("prelu", "input", input), shape_of("prelu", "weight", weight)
    channels = shape[1] if len(shape) > 1 else 1
    if slopes not in ((), (1,), (channels,)):
        raise ValueError(f"prelu: weight has shape {slopes}; expected (), (1,) or ({channels},), a "
                         f"slope for each "
                         f"channel of an input of shape {shape}")
    weight = np.reshape(weight, (-1, *(1,) * (len(shape) - 2)) if shape else ())
    above = input > 0
    return np.where(above, input, weight * np.where(above, 0, input))


@composed(kind=KINKED, cases=[
    Case((3, 4), domain="nonzero"), Case((), domain="nonzero", lower=-0.5, upper=0.25),
    Case((2, 3), domain="nonzero",
         call=lambda x: rrelu(x, training=True, generator=np.random.default_rng(0)))],
    kinks=[Kink((0.0,), (0.25,), "the negative slope at 0", {"lower": 0.125, "upper": 0.375})])
def rrelu(input: Array, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False,
          inplace: bool = False, *, generator: np.random.Generator | None = None) -> Array:
    """x where x > 0, else a x; a is drawn between lower and upper for each entry, or their mean
    when not training.

    generator  a numpy.random.Generator, from which one uniform number is drawn for each entry;
               needed when training, since refgrad has no hidden state
    Raises ValueError for lower > upper, TypeError without a generator.  Xu, Wang, Chen and Li
    (2015).
    """
    not_in_place("rrelu", inplace)
    lower, upper = plain("rrelu", "lower", lower), plain("rrelu", "upper", upper)
    if not lower <= upper:
        raise expected("rrelu", "lower", lower, f"a number up to upper, {upper}")
    if not training:
        return _leaky_relu(input, negative_slope=(lower + upper) / 2)
    drawn = generator_of("rrelu", generator, "training").random(shape_of("rrelu", "input", input))
    slopes = lower + (upper - lower) * drawn
    return _leaky_relu(input, negative_slope=in_dtype_of(input, np.asarray(slopes)))


def hardtanh(input: Array, min_val: float = -1.0, max_val: float = 1.0,
             inplace: bool = False) -> Array:
    """x between min_val and max_val, else the bound that was crossed; on a bound the slope is 0.

    Raises ValueError for min_val > max_val.  Collobert (2004).
    """
    not_in_place("hardtanh", inplace)
    low, high = plain("hardtanh", "min_val", min_val), plain("hardtanh", "max_val", max_val)
    if not low <= high:
        raise expected("hardtanh", "min_val", low, f"a number up to max_val, {high}")
    return _hardtanh(input, low=low, high=high)


@composed(kind=KINKED, cases=[Case((3, 4), domain="nonzero"), Case(())],
          kinks=[Kink((x,), (0.0,), "0 at a bound") for x in (0.0, 6.0)])
def relu6(input: Array, inplace: bool = False) -> Array:
    """min(max(x, 0), 6), with slope 0 at 0 and at 6.  Krizhevsky (2010)."""
    not_in_place("relu6", inplace)
    return _hardtanh(input, low=0, high=6)


@composed(kind=KINKED, cases=[Case((3, 4)), Case(())],
          kinks=[Kink((x,), (0.0,), "0 at a bound") for x in (-3.0, 3.0)])
def hardsigmoid(input: Array, inplace: bool = False) -> Array:
    """x / 6 + 1/2 for -3 < x < 3, else 0 or 1; at -3 and 3 the slope is 0."""
    not_in_place("hardsigmoid", inplace)
    return (_hardtanh(input, low=-3, high=3) + 3) / 6


@composed(kind=KINKED, cases=[Case((3, 4)), Case(())],
          kinks=[Kink((-3.0,), (0.0,), "0 at -3"), Kink((3.0,), (1.0,), "1 at 3")])
def hardswish(input: Array, inplace: bool = False) -> Array:
    """x (x + 3) / 6 for -3 < x < 3, else 0 or x; at -3 and 3 the slopes are 0 and 1.  Howard and
    others (2019).

    The factor x is left out where the other one is 0, so that the result is 0 at -infinity as well.
    """
    not_in_place("hardswish", inplace)
    return np.where(input <= -3, 0, input) * hardsigmoid(input)


@composed(kind=KINKED, cases=[Case((3, 4)), Case((), lambd=0.125)],
          kinks=[Kink((x,), (0.0,), "jumps: 0 at the threshold, as inside it")
                 for x in (-0.5, 0.5)])
def hardshrink(input: Array, lambd: float = 0.5) -> Array:
    """0 where |x| <= lambd, else x."""
    return np.where(np.abs(input) <= plain("hardshrink", "lambd", lambd), 0, input)


@composed(kind=KINKED, cases=[Case((3, 4)), Case((), lambd=0.125)],
          kinks=[Kink((x,), (0.0,), "0 at the threshold") for x in (-0.5, 0.5)])
def softshrink(input: Array, lambd: float = 0.5) -> Array:
    """0 where |x| <= lambd, else x less lambd sign(x).

    Raises ValueError for a negative lambd.  Donoho (1995).
    """
    lambd = plain("softshrink", "lambd", lambd)
    if not lambd >= 0:
        raise expected("softshrink", "lambd", lambd, "a number that is not negative")
    return np.where(np.abs(input) <= lambd, 0, input - lambd * np.sign(input))


@composed(kind=KINKED, cases=[Case((3, 4), threshold=0.25, value=-2.0),
                              Case((), threshold=-0.5, value=20)],
          kinks=[Kink((0.5,), (0.0,), "jumps: 0 at the threshold",
                      {"threshold": 0.5, "value": 3.0})])
def threshold(input: Array, threshold: float, value: float, inplace: bool = False) -> Array:
    """x where x > threshold, else value; at the threshold the slope is 0."""
    not_in_place("threshold", inplace)
    threshold = plain("threshold", "threshold", threshold)
    value = plain("threshold", "value", value)
    return np.where(input <= threshold, value, input)
