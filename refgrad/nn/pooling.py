"""Pooling by sums: averages and power means of windows.

The window at o takes an interval of each axis, so a sum over windows is a product with a matrix
of zeros and ones along each axis, and an average is divided by what the windows count:

    Y = D^-1 A X B' E^-1,   dY = D^-1 A dX B' E^-1
    <G, D^-1 A dX B' E^-1> = <A' D^-1 G E^-1 B, dX>

A and B are not made: see interval_sums.
"""

import math

import numpy as np

from ..cases import FOURTH, Case, Kink
from ..hints import Array, Sizes
from ..primitive import CONSTANT, KINKED, LINEAR, composed, declare, in_dtype_of, widened
from ..rules.constants import number
from ..rules.windows import interval_sums
from .arguments import expected, plain
from .geometry import adaptive_intervals, images_of, same_numbers, windows_of
from .max_pooling import max_pool1d, max_pool2d, max_pool3d


def _sums(x, starts, stops):
    """Sums over intervals of the last axes, one axis after the other."""
    for axis, a, b in zip(range(-len(starts), 0), starts, stops):
        x = interval_sums(x, starts=a, stops=b, axis=axis)
    return x


def _outer(counts):
    """The products of numbers for each axis, in the shape of the last axes."""
    return math.prod(np.reshape(c, (-1,) + (1,) * k)
                     for c, k in zip(counts, reversed(range(len(counts)))))


def _divided(y, numbers):
    """Divided by integers, in the dtype of y."""
    return y / in_dtype_of(y, np.asarray(numbers, float))


def _averaged(function, k, input, kernel_size, stride, padding, ceil_mode, count_include_pad=True,
              divisor_override=None):
    shape, _ = images_of(function, input, k)
    same_numbers(function, input=input)
    size, starts, _ = windows_of(function, shape, k, kernel_size, stride, padding, 1, ceil_mode)
    starts, stops, counts = _clipped(size, starts, shape[-k:], count_include_pad)
    divisor = _outer(counts)
    if divisor_override is not None:
        divisor = plain(function, "divisor_override", divisor_override)
        if divisor == 0:
            raise expected(function, "divisor_override", divisor, "a number other than 0")
    return in_dtype_of(input, _divided(_sums(widened(input), starts, stops), divisor))


def _clipped(size, starts, sizes, with_padding):
    """Windows as intervals of the input, and how many entries each counts, with those of padding.

    What a last window has beyond the padding does not count.
    """
    firsts, stops, counts = [], [], []
    for m, start, n in zip(size, starts, sizes):
        stop = np.minimum(start + m, n - start[0])
        firsts.append(np.maximum(start, 0))
        stops.append(np.minimum(stop, n))
        counts.append(stop - start if with_padding else stops[-1] - firsts[-1])
    return firsts, stops, counts


def _adaptive_averages(function, k, input, output_size):
    shape, _ = images_of(function, input, k)
    same_numbers(function, input=input)
    starts, stops = adaptive_intervals(function, shape, k, output_size)
    counts = _outer([b - a for a, b in zip(starts, stops)])
    return in_dtype_of(input, _divided(_sums(widened(input), starts, stops), counts))


def _magnitude(x):
    """The largest entry's power of two; 1 where there is none."""
    largest = np.max(np.abs(x), initial=0)
    return np.ldexp(np.ones((), x.dtype), np.frexp(largest)[1] - 1 if np.isfinite(largest) else 0)


magnitude = declare(
    None, """A power of two m with |x| < 2 m:  dm = 0
    It is in no derivative of m f(x / m), if f(m x) = m f(x); powers of x / m do not overflow.""",
    name="magnitude", kind=CONSTANT, forward=_magnitude,
    formula=lambda x: number(1, x), cases=[Case((3,))])


def _power_means(function, k, input, norm_type, kernel_size, stride, ceil_mode):
    p = plain(function, "norm_type", norm_type)
    if p == 0 or p != p:
        raise expected(function, "norm_type", p, "a number other than 0")
    if math.isinf(p):
        pool = (max_pool1d, max_pool2d, max_pool3d)[k - 1]
        sign = 1 if p > 0 else -1
        return sign * pool(sign * np.abs(input), kernel_size, stride, 0, 1, ceil_mode)
    shape, _ = images_of(function, input, k)
    same_numbers(function, input=input)
    size, starts, _ = windows_of(function, shape, k, kernel_size, stride, 0, 1, ceil_mode)
    starts, stops, counts = _clipped(size, starts, shape[-k:], True)
    x = widened(input)
    m = magnitude(x)
    s = _divided(_sums((x / m) ** p, starts, stops), _outer(counts)) * math.prod(size)
    is_zero = s == 0
    root = np.where(is_zero, 0, np.power(np.where(is_zero, 1, s), number(1, s) / p))
    return in_dtype_of(input, m * root)


@composed(kind=LINEAR, cases=[
    Case((2, 5), kernel_size=2), Case((1, 5), kernel_size=3, stride=2, padding=1, ceil_mode=True),
    Case((1, 4), kernel_size=2, stride=3, padding=1, count_include_pad=False)])
def avg_pool1d(input: Array, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
               ceil_mode: bool = False, count_include_pad: bool = True) -> Array:
    """As avg_pool2d, with one spatial axis: (N, C, L) or (C, L)."""
    return _averaged("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode,
                     count_include_pad)


@composed(kind=LINEAR, cases=[
    Case((1, 4, 4), kernel_size=2), Case((2, 3, 3), kernel_size=2, stride=1, divisor_override=3),
    Case((1, 1, 4, 5), kernel_size=(2, 3), stride=(1, 2), padding=1, ceil_mode=True),
    Case((1, 3, 4), kernel_size=2, padding=(1, 0), count_include_pad=False)])
def avg_pool2d(input: Array, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
               ceil_mode: bool = False, count_include_pad: bool = True,
               divisor_override: int | None = None) -> Array:
    """The mean of each window.

    input              (N, C, H, W) or (C, H, W)
    kernel_size        the size of the window: a number, or one for each axis (as the next two)
    stride             by how much the window moves; None for its own size
    padding            zeros before and after each axis; at most half of the window's size
    ceil_mode          whether a last window may reach beyond the end
    count_include_pad  whether the mean counts the padding's zeros (never what lies beyond them)
    divisor_override   what to divide the sums by, instead of the number of entries
    Returns (N, C, o_1, o_2) with o = (size + 2 padding - k) // stride + 1 (with ceil_mode rounded
    up), or without N as the input is.
    Raises ValueError for windows that do not fit into the input.
    As torch.nn.functional.avg_pool2d.
    """
    return _averaged("avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode,
                     count_include_pad, divisor_override)


@composed(kind=LINEAR, cases=[Case((1, 3, 2, 4), kernel_size=2, padding=(1, 0, 1))])
def avg_pool3d(input: Array, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
               ceil_mode: bool = False, count_include_pad: bool = True,
               divisor_override: int | None = None) -> Array:
    """As avg_pool2d, with three spatial axes: (N, C, D, H, W) or (C, D, H, W)."""
    return _averaged("avg_pool3d", 3, input, kernel_size, stride, padding, ceil_mode,
                     count_include_pad, divisor_override)


@composed(kind=LINEAR, cases=[Case((2, 5), output_size=3), Case((1, 1, 3), output_size=(1,))])
def adaptive_avg_pool1d(input: Array, output_size: Sizes) -> Array:
    """As adaptive_avg_pool2d, with one spatial axis: (N, C, L) or (C, L)."""
    return _adaptive_averages("adaptive_avg_pool1d", 1, input, output_size)


@composed(kind=LINEAR, cases=[
    Case((1, 4, 5), output_size=(2, 3)), Case((1, 2, 3, 2), output_size=1),
    Case((1, 2, 3), output_size=(None, 4))])
def adaptive_avg_pool2d(input: Array, output_size: Sizes) -> Array:
    """The means of as many windows as asked for, which cover the input.

    input        (N, C, H, W) or (C, H, W)
    output_size  how many windows along each axis: a number, or one for each axis; None for as many
                 as there are entries.  Window i of m reaches from floor(i n / m) to
                 ceil((i + 1) n / m)
    Returns (N, C, *output_size), or without N as the input is.
    As torch.nn.functional.adaptive_avg_pool2d.
    """
    return _adaptive_averages("adaptive_avg_pool2d", 2, input, output_size)


@composed(kind=LINEAR, cases=[Case((1, 2, 3, 4), output_size=(1, 2, 3))])
def adaptive_avg_pool3d(input: Array, output_size: Sizes) -> Array:
    """As adaptive_avg_pool2d, with three spatial axes: (N, C, D, H, W) or (C, D, H, W)."""
    return _adaptive_averages("adaptive_avg_pool3d", 3, input, output_size)


def _at_zero(k):
    """The kink of a root at 0."""
    zeros = np.zeros((1,) * k + (2,)).tolist()
    slopes = np.zeros((1,) * (k + 1) + (1,) * k + (2,)).tolist()
    return [Kink((zeros,), (slopes,), "0 where all entries are 0",
                 {"norm_type": 2, "kernel_size": (1,) * (k - 1) + (2,)})]


@composed(kind=KINKED, kinks=_at_zero(1), cases=[
    Case((2, 5), norm_type=2, kernel_size=2, scales=FOURTH),
    Case((1, 5), norm_type=3, kernel_size=2, ceil_mode=True, domain="positive", scales=FOURTH)])
def lp_pool1d(input: Array, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None,
              ceil_mode: bool = False) -> Array:
    """As lp_pool2d, with one spatial axis: (N, C, L) or (C, L)."""
    return _power_means("lp_pool1d", 1, input, norm_type, kernel_size, stride, ceil_mode)


@composed(kind=KINKED, kinks=_at_zero(2), cases=[
    Case((1, 3, 4), norm_type=2, kernel_size=2, stride=1, scales=FOURTH),
    Case((1, 2, 4), norm_type=1.5, kernel_size=(2, 1), domain="positive", scales=FOURTH),
    Case((1, 2, 4), norm_type=math.inf, kernel_size=2, domain="nonzero")])
def lp_pool2d(input: Array, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None,
              ceil_mode: bool = False) -> Array:
    """The p-th root of the sum of x^p over each window, with p = norm_type.

    input        (N, C, H, W) or (C, H, W)
    norm_type    p, a number other than 0; with inf the largest |x|, with -inf the smallest
    kernel_size  the size of the window: a number, or one for each axis (as the next one)
    stride       by how much the window moves; None for its own size
    ceil_mode    whether a last window may reach beyond the end; its sum counts as if each entry
                 beyond had the mean of those within
    Returns (N, C, o_1, o_2) with o = (size - k) // stride + 1 (with ceil_mode rounded up), or
    without N as the input is.
    The derivative is 0 where the sum is.  Powers of numbers below 0 keep their sign, if p is odd.
    Raises ValueError for windows that do not fit into the input.
    As torch.nn.functional.lp_pool2d.
    """
    return _power_means("lp_pool2d", 2, input, norm_type, kernel_size, stride, ceil_mode)


@composed(kind=KINKED, kinks=_at_zero(3), cases=[
    Case((1, 2, 3, 2), norm_type=2, kernel_size=2, stride=1, scales=FOURTH)])
def lp_pool3d(input: Array, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None,
              ceil_mode: bool = False) -> Array:
    """As lp_pool2d, with three spatial axes: (N, C, D, H, W) or (C, D, H, W)."""
    return _power_means("lp_pool3d", 3, input, norm_type, kernel_size, stride, ceil_mode)
