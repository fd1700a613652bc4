"""Resampling: along each axis a product with a constant, sparse matrix of weights.

Every mode is separable and linear.  For an image X, with a matrix of weights for its rows and one
for its columns,

    Y = A X B',   dY = A dX B',   <G, A dX B'> = <A' G B, dX>

so one primitive, the product along one axis, is all: it is its own jvp, and its vjp is the product
with the transposed matrix.  Output j lies at the position s (j + 1/2) - 1/2 of the input, where s
is the input's size over the output's, or, if corners are aligned, at s j, where the first and the
last entries of both meet.  The modes differ in the weights that they give to the entries about this
position.  Weights are rational functions of the sizes (but Lanczos's); they are computed in
rational numbers, and floats round them once.
"""

import functools
import math
from fractions import Fraction

import numpy as np

from ..cases import Case
from ..primitive import LINEAR, composed
from .arguments import expected, plain, shape_of
from .padding import whole
from .sparse import Sparse, resample

HALF = Fraction(1, 2)

# Weights: for each of m outputs a list of (input, weight).
# `factor` is None, or what m / n is said to be.


def _step(n, m, factor, align):
    """The distance between outputs, in entries of the input."""
    if align:
        return Fraction(n - 1, m - 1) if m > 1 else Fraction(0)
    return Fraction(n, m) if factor is None else Fraction(1 / factor)


def _nearest(n, m, factor, align, middle=0):
    """The input at or before the output's first corner (or its middle)."""
    if factor is None:
        places = [(j + Fraction(middle)) * n / m for j in range(m)]
    else:
        # a product that should be whole is rounded to it
        places = [(j + middle) * (1 / factor) for j in range(m)]
    return [[(min(math.floor(p), n - 1), 1)] for p in places]


def _nearest_exact(n, m, factor, align):
    return _nearest(n, m, factor, align, 0.5)


def _linear(n, m, factor, align):
    """The line through the two inputs about the output; beyond the ends the last input."""
    if n == m:
        return _same(n)
    rows = []
    for place in _places(n, m, factor, align):
        i = min(math.floor(max(place, 0)), n - 1)
        t = min(max(place, 0) - i, Fraction(1))
        rows.append([(i, 1 - t), (min(i + 1, n - 1), t)])
    return rows


def _same(n):
    return [[(j, 1)] for j in range(n)]


def _places(n, m, factor, align):
    step = _step(n, m, factor, align)
    return [step * j if align else step * (j + HALF) - HALF for j in range(m)]


def cubic(t, a):
    """Keys' convolution kernel with the slope `a` at 1, for 0 <= t <= 1.

    It interpolates (1 at 0, 0 at 1 and 2), and its slope is continuous.  Keys (1981).
    """
    return 1 + t * t * ((a + 2) * t - (a + 3))


def cubic_tail(t, a):
    """The same kernel for 1 <= t <= 2: a (t - 1) (t - 2)^2."""
    return a * (t - 1) * ((t - 2) * (t - 2))


def _cubic(n, m, factor, align):
    """The cubic convolution of the four inputs about the output; beyond the ends the last input."""
    a, rows = Fraction(-3, 4), []
    for place in _places(n, m, factor, align):
        i = min(math.floor(place), n - 1)
        t = min(place - i, Fraction(1))
        weights = cubic_tail(1 + t, a), cubic(t, a), cubic(1 - t, a), cubic_tail(2 - t, a)
        rows.append([(min(max(i + k, 0), n - 1), w) for k, w in zip(range(-1, 3), weights)])
    return rows


def _area(n, m, factor, align):
    """The mean of all inputs that the output touches."""
    spans = [range(j * n // m, -(-(j + 1) * n // m)) for j in range(m)]
    return [[(i, Fraction(1, len(span))) for i in span] for span in spans]


def _smoothed(radius, kernel):
    """Weights, with the sum 1, by a kernel as wide as an output, if it is wider than inputs."""
    def weights(n, m, factor, align):
        if n == m:
            return _same(n)
        step, rows = _step(n, m, factor, align), []
        width = max(step, Fraction(1))
        for j in range(m):
            middle = step * (j + HALF)
            first = max(int(middle - radius * width + HALF), 0)
            last = min(int(middle + radius * width + HALF), n)
            values = [kernel((i - middle + HALF) / width) for i in range(first, last)]
            total = sum(values)
            rows.append([(first + k, v / total) for k, v in enumerate(values)])
        return rows
    return weights


def _hat(t):
    return max(1 - abs(t), 0)


def _keys(t):
    t, a = abs(t), -HALF
    return cubic(t, a) if t < 1 else cubic_tail(t, a) if t < 2 else 0


def _lanczos(t):
    """sinc(t) sinc(t / 3), with pi in the sinc."""
    return float(np.sinc(float(t)) * np.sinc(float(t / 3))) if abs(t) < 3 else 0.0


#: From a mode to its weights, and to the numbers of axes after (N, C) for which torch has it.
MODES = {"nearest": (_nearest, (1, 2, 3)), "nearest-exact": (_nearest_exact, (1, 2, 3)),
         "area": (_area, (1, 2, 3)),
         "linear": (_linear, (1,)), "bilinear": (_linear, (2,)), "trilinear": (_linear, (3,)),
         "bicubic": (_cubic, (2,)), "lanczos": (None, (2,))}

#: The modes that can smooth where the output is smaller (antialias=True).
SMOOTHED = {"bilinear": _smoothed(1, _hat), "bicubic": _smoothed(2, _keys),
            "lanczos": _smoothed(3, _lanczos)}


@functools.lru_cache(256)
def _matrix(weights, n, m, factor, align):
    return Sparse.of_rows(n, weights(n, m, factor, align))


# The public functions

_CASES = [
    Case((1, 1, 3), size=5), Case((1, 2, 4), scale_factor=0.5),
    Case((1, 1, 2, 3), size=(3, 2), mode="nearest-exact"),
    Case((1, 1, 3), size=5, mode="linear"),
    Case((1, 2, 3), size=5, mode="linear", align_corners=True),
    Case((1, 1, 2, 3), scale_factor=(2, 1.5), mode="bilinear"),
    Case((1, 1, 1, 2, 2), size=3, mode="trilinear"),
    Case((1, 1, 2, 3), size=(3, 5), mode="bicubic"), Case((1, 1, 3, 5), size=(2, 3), mode="area"),
    Case((1, 1, 5, 4), size=(2, 3), mode="bilinear", antialias=True),
    Case((1, 1, 5, 2), size=(2, 3), mode="bicubic", antialias=True),
    Case((1, 1, 7, 2), size=(2, 3), mode="lanczos", antialias=True)]


@composed(kind=LINEAR, cases=_CASES)
def interpolate(input, size=None, scale_factor=None, mode="nearest", align_corners=None,
                recompute_scale_factor=None, antialias=False):
    """An array with more or fewer entries along its last axes.

    input         (N, C, d1), (N, C, d1, d2) or (N, C, d1, d2, d3)
    size          the new d1, ...: an integer, or one for each axis
    scale_factor  instead of it, what they are multiplied by, rounded down: a number, or one for
                  each axis.  Positions follow from it, and not from the sizes, unless
                  recompute_scale_factor is true or the mode is 'area'
    mode          'nearest': the entry at or before the output's first corner; 'nearest-exact': the
                  one at its middle; 'linear', 'bilinear', 'trilinear', on one, two, three axes: the
                  line between two entries; 'bicubic', on two: Keys' cubic convolution (1981) of
                  four, with the slope -3/4; 'area': the mean of the entries that an output touches;
                  'lanczos', on two, with antialias
    align_corners for the modes with lines and cubics: the middles of the entries at the corners
                  meet, not their edges
    antialias     for 'bilinear', 'bicubic' (here with the slope -1/2) and 'lanczos' (of three
                  lobes): where there are fewer outputs than inputs, the kernel is as wide as an
                  output is
    Returns (N, C, new d1, ...).
    Raises ValueError for modes and options that do not go together, for both or none of size and
    scale_factor, and for sizes of which one is 0.  As torch.nn.functional.interpolate.
    """
    return _interpolated("interpolate", input, size, scale_factor, mode, align_corners,
                         recompute_scale_factor, antialias)


def _interpolated(name, input, size, scale_factor, mode, align=None, recompute=None,
                  antialias=False):
    shape = tuple(map(int, shape_of(name, "input", input)))
    weights = _weights(name, shape, mode, align, antialias)
    sizes, factors = _sizes(name, shape[2:], size, scale_factor)
    if recompute and size is not None:
        raise expected(name, "recompute_scale_factor", recompute, "None with size, which is exact")
    if recompute or mode == "area" or factors is None:
        factors = (None,) * len(sizes)
    if 0 in shape[1:]:
        raise expected(name, "input", f"of shape {shape}", "sizes from 1 on after the first axis")
    for m, n in zip(sizes, shape[2:]):
        if m < 1:
            raise expected(name, "size", f"{m} along an axis of size {n}", "sizes from 1 on")
    y = input
    for k, (n, m, factor) in enumerate(zip(shape[2:], sizes, factors)):
        y = resample(y, matrix=_matrix(weights, n, m, factor, bool(align)), axis=k + 2 - len(shape))
    return y


def _weights(name, shape, mode, align, antialias):
    """The weights that a mode gives, where the options go together."""
    if mode not in MODES:
        raise expected(name, "mode", repr(mode), f"one of {', '.join(map(repr, MODES))}")
    weights, axes = MODES[mode]
    if len(shape) - 2 not in axes:
        raise expected(name, "input", f"of shape {shape}",
                       f"(N, C, ...) with {' or '.join(map(str, axes))} more axes, as mode is "
                       f"{mode!r}")
    without = weights in (_nearest, _nearest_exact, _area)
    if align is not None and without or align and mode == "lanczos":
        raise expected(name, "align_corners", align, f"None, as mode is {mode!r}")
    if antialias and mode not in SMOOTHED or mode == "lanczos" and not antialias:
        raise expected(name, "antialias", antialias, f"{mode == 'lanczos'}, as mode is {mode!r}")
    return SMOOTHED[mode] if antialias else weights


def _sizes(name, old, size, scale_factor):
    """The new sizes, and the factors, if they are given."""
    if (size is None) is (scale_factor is None):
        raise ValueError(f"{name}: size is {size} and scale_factor is {scale_factor}; expected "
                         f"one of the two")
    argument, value = ("size", size) if scale_factor is None else ("scale_factor", scale_factor)
    values = list(value) if isinstance(value, (tuple, list)) else [value] * len(old)
    if len(values) != len(old):
        raise expected(name, argument, value, f"one number, or one for each of the axes {old}")
    if scale_factor is None:
        return [whole(name, argument, m) for m in values], None
    factors = [float(plain(name, argument, f)) for f in values]
    if not all(0 < f < math.inf for f in factors):
        raise expected(name, argument, value, "positive numbers")
    return [int(n * f) for n, f in zip(old, factors)], tuple(factors)


@composed(kind=LINEAR, cases=[Case((1, 1, 2, 2), size=3)])
def upsample(input, size=None, scale_factor=None, mode="nearest", align_corners=None):
    """`interpolate` under an older name.  As torch.nn.functional.upsample."""
    return _interpolated("upsample", input, size, scale_factor, mode, align_corners)


@composed(kind=LINEAR, cases=[Case((1, 1, 2, 2), size=3)])
def upsample_nearest(input, size=None, scale_factor=None):
    """`interpolate` with mode='nearest'.  As torch.nn.functional.upsample_nearest."""
    return _interpolated("upsample_nearest", input, size, scale_factor, "nearest")


@composed(kind=LINEAR, cases=[Case((1, 1, 2, 2), size=3)])
def upsample_bilinear(input, size=None, scale_factor=None):
    """Bilinear, with aligned corners.  As torch.nn.functional.upsample_bilinear."""
    return _interpolated("upsample_bilinear", input, size, scale_factor, "bilinear", align=True)
