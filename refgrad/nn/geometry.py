"""Checks of the arguments of layers with windows: sizes for each axis, inputs without a batch."""

import operator
from typing import NamedTuple

import numpy as np

from ..errors import describe
from ..rules.windows import extent
from .arguments import expected, shape_of


def sizes_of(function, argument, value, k, least=1):
    """A tuple of k integers, made from one integer for all axes or from a sequence of k."""
    parts = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    wanted = f"an integer or {k} of them" if k > 1 else "an integer"
    try:
        sizes = tuple(map(operator.index, parts))
    except TypeError:
        raise TypeError(f"{function}: {argument} is {value!r}; expected {wanted}") from None
    if any(isinstance(p, bool) for p in parts):
        raise TypeError(f"{function}: {argument} is {value!r}; expected {wanted}")
    if len(sizes) == 1:
        sizes *= k
    if len(sizes) != k or min(sizes) < least:
        raise expected(function, argument, repr(value), f"{wanted}, not below {least}")
    return sizes


#: The names of one, two or three spatial axes.
AXES = "", "L", "H, W", "D, H, W"


def images_of(function, input, k):
    """The shape of an input with k spatial axes, and whether it has a batch axis in front.

    Every axis but that of the batch must have entries.
    """
    shape = shape_of(function, "input", input)
    wanted = f"(N, C, {AXES[k]}) or (C, {AXES[k]})"
    if len(shape) not in (k + 1, k + 2):
        raise ValueError(f"{function}: input is {describe(input)}; expected {wanted}")
    has_batch = len(shape) == k + 2
    if 0 in shape[has_batch:]:
        raise ValueError(f"{function}: input has shape {shape}; expected {wanted} with at least "
                         f"one entry along each axis but N")
    return shape, has_batch


def same_numbers(function, **arrays):
    """Check that arrays hold real numbers: all of them floats, or all of them integers."""
    kinds = {}
    for argument, x in arrays.items():
        shape_of(function, argument, x)
        kinds[argument] = x.dtype.kind
    integers = [a for a, kind in kinds.items() if kind in "biu"]
    if "c" in kinds.values() or "f" in kinds.values() and integers:
        came = " and ".join(f"{a} {describe(x)}" for a, x in arrays.items())
        raise TypeError(f"{function}: {came}; expected real numbers of one kind, all of them "
                        f"floats or all of them integers")


class Windows(NamedTuple):
    """The windows of a pooling layer: for each axis their size, first entries and dilation."""

    size: tuple
    starts: tuple
    dilation: tuple


def windows_of(function, shape, k, kernel_size, stride, padding, dilation=1, ceil_mode=False):
    """The windows over the last k axes of an input of that shape, before padding.

    With ceil_mode the last window may reach beyond the padded end, if it does not start there.
    """
    size = sizes_of(function, "kernel_size", kernel_size, k)
    stride = size if stride is None or stride == () else sizes_of(function, "stride", stride, k)
    padding = sizes_of(function, "padding", padding, k, 0)
    dilation = sizes_of(function, "dilation", dilation, k)
    spans = tuple(map(extent, size, dilation))
    if any(2 * p > m for p, m in zip(padding, spans)):
        raise ValueError(f"{function}: padding is {padding} and the windows span {spans}; expected "
                         f"padding by at most half of that")
    starts = []
    for n, m, s, p in zip(shape[-k:], spans, stride, padding):
        count = (n + 2 * p - m + (s - 1 if ceil_mode else 0)) // s + 1
        if ceil_mode and (count - 1) * s >= n + p:
            count -= 1
        if count < 1:
            raise ValueError(f"{function}: input has shape {shape}, padding is {padding} and the "
                             f"windows span {spans}; expected windows that fit into the input")
        starts.append(s * np.arange(count) - p)
    return Windows(size, tuple(starts), dilation)


def adaptive_intervals(function, shape, k, output_size):
    """For each axis the starts and stops of output_size intervals (None: one for each entry).

    Interval i of m reaches from floor(i n / m) to ceil((i + 1) n / m), so that they cover the axis.
    """
    parts = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * k
    sizes = [n if m is None else m for m, n in zip(parts, shape[-k:])] if len(parts) == k else parts
    counts = sizes_of(function, "output_size", sizes, k, 0)
    starts = [np.arange(m) * n // max(m, 1) for m, n in zip(counts, shape[-k:])]
    return starts, [-(-np.arange(1, m + 1) * n // max(m, 1)) for m, n in zip(counts, shape[-k:])]
