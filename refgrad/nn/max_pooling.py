"""Pooling by maxima: of each window its largest entry, and back.

    y_o = x_i with the position i of the largest entry of the window o,  dy_o = dx_i
    <g, dy> = the sum of g_o dx_i:  g_o is added at i, as often as i is the largest of a window

The choice of i is constant almost everywhere; it is a primitive without a derivative.  Of equal
entries it is the first, as torch has it, and nan is larger than any number.
"""

import functools
import itertools
import math

import numpy as np

from ..cases import Case, Kink
from ..errors import describe
from ..primitive import CONSTANT, KINKED, LINEAR, composed, declare
from ..rules.shape import at, setitem
from ..rules.windows import evenly
from .arguments import expected, shape_of
from .geometry import adaptive_intervals, images_of, same_numbers, sizes_of, windows_of

# The choice


def _flat(columns, space):
    """Positions along each axis, (..., o) of each, as positions in the flattened axes."""
    k, total = len(space), 0
    for d, (p, n) in enumerate(zip(columns, space)):
        p = np.reshape(p, (*p.shape[:-1], *(p.shape[-1] if e == d else 1 for e in range(k))))
        total = total * n + p
    return total


def _everywhere(flat, k, n):
    """Positions in planes of n entries, for all but the last k axes, as positions in all planes."""
    lead, here = flat.shape[:-k], flat.shape[-k:]
    first = np.reshape(n * np.arange(math.prod(lead)), (*lead, *(1,) * k))
    return np.reshape(flat + first, math.prod(lead) * math.prod(here))


def _candidates(x, positions):
    """Functions that give one entry of each window of a plain array, a view where possible."""
    space = x.shape[-len(positions):]
    if positions[0].ndim > 2:
        return [functools.partial(_gathered, x, _flat(columns, space), space)
                for columns in _entries(positions)]
    indices = [[evenly(p[:, i]) for i in range(p.shape[-1])] for p in positions]
    return [functools.partial(_taken, x, index) for index in itertools.product(*indices)]


def _taken(x, indices):
    for axis, index in zip(range(-len(indices), 0), indices):
        x = x[(..., index, *[slice(None)] * (-1 - axis))]
    return x


def _gathered(x, flat, space):
    found = np.reshape(x, -1)[_everywhere(flat, len(space), math.prod(space))]
    return found.reshape(flat.shape)


def _entries(positions):
    """For each entry of a window its positions along each axis, an array (..., o) of each."""
    for j in itertools.product(*(range(p.shape[-1]) for p in positions)):
        yield [p[..., i] for p, i in zip(positions, j)]


def _largest(x, *, positions):
    """The maximum, then the number of the first entry that has it: how many before it have not."""
    space = x.shape[-len(positions):]
    flat = np.stack([_flat(columns, space) for columns in _entries(positions)])
    first, *others = candidates = _candidates(x, positions)
    best = np.array(first())
    for candidate in others:
        np.maximum(best, candidate(), out=best)
    has_nan = best.size and np.isnan(np.max(best))
    sought = np.ones(best.shape, bool)
    number = np.zeros(best.shape, np.min_scalar_type(len(candidates)))
    for candidate in candidates[:-1]:
        new = candidate()
        sought &= (new != best) & (new == new) if has_nan else new != best
        number += sought
    places = math.prod(flat.shape[1:])
    own = np.reshape(np.arange(places), flat.shape[1:])
    return np.take(flat, number.astype(np.intp) * places + own)


def _largest_by_order(x, *, positions):
    """The same for arrays that are compared in their own way."""
    k = len(positions)
    space, lead = x.shape[-k:], x.shape[:-k]
    flat = np.stack([_flat(columns, space) for columns in _entries(positions)], -1)
    again = [np.concatenate([p[..., :1] < 0, p[..., 1:] == p[..., :-1]], -1) for p in positions]
    seen = np.stack([_flat(columns, (2,) * k) > 0 for columns in _entries(again)], -1)
    flat = np.broadcast_to(flat, (*lead, *flat.shape[-k - 1:]))
    entries = np.reshape(x, -1)[_everywhere(flat, k + 1, math.prod(space))]
    entries = np.reshape(entries, flat.shape)
    entries = np.where(seen, -np.inf, entries)
    chosen = np.argmax(entries, axis=-1)
    return np.take_along_axis(flat, chosen[..., None], -1)[..., 0]


largest = declare(
    None, """The positions of the largest entries of windows, in the flattened last axes: dy = 0
    Of k axes each has an integer array (..., o, j), the position of entry j of window o; an entry
    may be repeated, next to itself, where windows differ in size.""",
    name="largest", kind=CONSTANT, forward=_largest, formula=_largest_by_order,
    cases=[Case((2, 4), positions=(np.array([[0, 1], [2, 3]]),)),
           Case((3, 3), positions=(np.array([[0, 0, 1], [1, 2, 2]]), np.array([[0, 1, 2]])))])


def _maxima(input, positions, shape):
    """The largest entries of the windows, and their positions in the flattened spatial axes."""
    k = len(positions)
    index = largest(input, positions=tuple(positions))
    lead = shape[:-k]
    out = tuple(p.shape[-2] for p in positions)
    flat = np.reshape(input, (math.prod(shape),))
    y = at(flat, _everywhere(index, k, math.prod(shape[-k:])))
    return np.reshape(y, (*lead, *out)), index


def _pooled(function, k, input, kernel_size, stride, padding, dilation, ceil_mode):
    shape, _ = images_of(function, input, k)
    same_numbers(function, input=input)
    size, starts, dilation = windows_of(function, shape, k, kernel_size, stride, padding, dilation,
                                        ceil_mode)
    positions = []
    for n, m, start, d in zip(shape[-k:], size, starts, dilation):
        first, last = start + d * -(np.minimum(start, 0) // d), start + d * ((n - 1 - start) // d)
        if np.any(first > last):
            raise ValueError(f"{function}: a window of size {m} with dilation {d} meets no entry "
                             f"of an axis of size {n}; expected less padding or dilation")
        positions.append(np.clip(start[:, None] + d * np.arange(m), first[:, None], last[:, None]))
    return _maxima(input, positions, shape)


def _adaptive(function, k, input, output_size):
    shape, _ = images_of(function, input, k)
    same_numbers(function, input=input)
    positions = []
    for a, b in zip(*adaptive_intervals(function, shape, k, output_size)):
        widest = np.arange(np.max(b - a, initial=1))
        positions.append(np.minimum(a[:, None] + widest, b[:, None] - 1))
    return _maxima(input, positions, shape)


def _fractional(function, k, input, kernel_size, output_size, output_ratio, samples, generator):
    shape, has_batch = images_of(function, input, k)
    same_numbers(function, input=input)
    size = sizes_of(function, "kernel_size", kernel_size, k)
    if output_size is None:
        ratios = output_ratio if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * k
        if len(ratios) != k or not all(isinstance(r, (int, float)) and 0 < r < 1 for r in ratios):
            raise expected(function, "output_ratio", repr(output_ratio),
                           f"a number between 0 and 1, or {k} of them, or an output_size")
        output_size = [int(n * r) for n, r in zip(shape[-k:], ratios)]
    out = sizes_of(function, "output_size", output_size, k)
    if any(m + o - 1 > n for m, o, n in zip(size, out, shape[-k:])):
        raise ValueError(f"{function}: input has shape {shape}, the windows are of size {size} and "
                         f"output_size is {out}; expected output_size + kernel_size - 1 entries or "
                         f"more along each axis")
    lead = shape[:-k]
    drawn = (shape[0] if has_batch else 1, shape[-k - 1], k)
    if samples is None:
        if not isinstance(generator, np.random.Generator):
            raise TypeError(f"{function}: generator is {describe(generator)}; the places of the "
                            f"windows are random: pass generator=np.random.default_rng(seed)")
        samples = generator.random(drawn)
    if shape_of(function, "_random_samples", samples) != drawn:
        raise ValueError(f"{function}: _random_samples has shape {samples.shape}; expected "
                         f"{drawn}, a number in [0, 1) for each sample, channel and axis")
    u = np.reshape(samples, (*lead, k))
    order = range(k) if k == 3 else reversed(range(k))  # torch takes the first number for the last
    positions = []
    for d, n, m, o in zip(order, shape[-k:], size, out):
        alpha = (n - m) / max(o - 1, 1)
        v = u[..., d, None]
        starts = ((np.arange(o) + v) * alpha).astype(int) - (v * alpha).astype(int)
        starts = np.where(np.arange(o) == o - 1, n - m, starts)
        positions.append(starts[..., None] + np.arange(m))
    return _maxima(input, positions, shape)


def _unpooled(function, k, input, indices, kernel_size, stride, padding, output_size):
    shape, _ = images_of(function, input, k)
    same_numbers(function, input=input)
    if shape_of(function, "indices", indices) != shape or indices.dtype.kind not in "iu":
        raise ValueError(f"{function}: indices is {describe(indices)}; expected integers of shape "
                         f"{shape}, as input has it")
    size = sizes_of(function, "kernel_size", kernel_size, k)
    stride = size if stride is None or stride == () else sizes_of(function, "stride", stride, k)
    padding = sizes_of(function, "padding", padding, k, 0)
    usual = [(n - 1) * s + m - 2 * p for n, s, m, p in zip(shape[-k:], stride, size, padding)]
    out = usual
    if output_size is not None:
        out = sizes_of(function, "output_size", tuple(output_size)[-k:], k, 0)
    if len(output_size or out) not in (k, k + 2) or any(
            not u - s < n < u + s for n, u, s in zip(out, usual, stride)) or min(out) < 1:
        raise ValueError(f"{function}: output_size is {tuple(output_size or out)}; expected {k} "
                         f"sizes that differ from {tuple(usual)} by less than the stride {stride}")
    lead, n = shape[:-k], math.prod(out)
    if type(indices) is np.ndarray and indices.size and not (
            0 <= indices.min() and indices.max() < n):
        raise ValueError(f"{function}: indices lie between {indices.min()} and {indices.max()}; "
                         f"expected 0 <= index < {n}, the entries of a plane of the sizes {out}")
    y = setitem(np.zeros_like(input, shape=(math.prod(lead) * n,)),
                np.reshape(input, (math.prod(shape),)), index=_everywhere(indices, k, n))
    return np.reshape(y, (*lead, *out))


# The layers

#: The convention at a tie, in words.
FIRST = "the first of equal entries"


def max_pool1d_with_indices(input, kernel_size, stride=None, padding=0, dilation=1,
                            ceil_mode=False, return_indices=False):
    """As max_pool1d, always with the positions."""
    return _pooled("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode)


@composed(kind=KINKED, cases=[
    Case((2, 5), kernel_size=2),
    Case((1, 5), kernel_size=3, stride=2, padding=1, ceil_mode=True),
    Case((1, 6), kernel_size=2, dilation=3, stride=1)],
    kinks=[Kink(([[1.0, 1.0]],), ([[[[1.0, 0.0]]]],), FIRST, {"kernel_size": 2})])
def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
               return_indices=False):
    """As max_pool2d, with one spatial axis: (N, C, L) or (C, L)."""
    both = max_pool1d_with_indices(input, kernel_size, stride, padding, dilation, ceil_mode)
    return both if return_indices else both[0]


def max_pool2d_with_indices(input, kernel_size, stride=None, padding=0, dilation=1,
                            ceil_mode=False, return_indices=False):
    """As max_pool2d, always with the positions."""
    return _pooled("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode)


@composed(kind=KINKED, cases=[
    Case((1, 4, 4), kernel_size=2),
    Case((1, 1, 4, 5), kernel_size=(3, 2), stride=(1, 2), padding=1, dilation=(1, 2))],
    kinks=[Kink(([[[1.0, 1.0]]],), ([[[[[[1.0, 0.0]]]]]],), FIRST, {"kernel_size": (1, 2)})])
def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
               return_indices=False):
    """The largest entry of each window.

    input           (N, C, H, W) or (C, H, W)
    kernel_size     the size of the window: a number, or one for each axis (as the next three)
    stride          by how much the window moves; None for its own size
    padding         entries before and after each axis that are never the largest; at most half of
                    what the window spans
    dilation        the distance of the entries that a window takes
    ceil_mode       whether a last window may reach beyond the end
    return_indices  whether to return the positions as well, counted along the last axis first
    Returns (N, C, o_1, o_2) with o = (size + 2 padding - dilation (k - 1) - 1) // stride + 1 (with
    ceil_mode rounded up), or without N as the input is; with return_indices a pair.
    Of equal entries the first is taken, and has the whole derivative; nan is larger than any
    number.
    Raises ValueError for windows that do not fit into the input.
    As torch.nn.functional.max_pool2d.
    """
    both = max_pool2d_with_indices(input, kernel_size, stride, padding, dilation, ceil_mode)
    return both if return_indices else both[0]


def max_pool3d_with_indices(input, kernel_size, stride=None, padding=0, dilation=1,
                            ceil_mode=False, return_indices=False):
    """As max_pool3d, always with the positions."""
    return _pooled("max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode)


@composed(kind=KINKED, cases=[
    Case((1, 2, 4, 3), kernel_size=2, ceil_mode=True, stride=(2, 2, 2))],
    kinks=[Kink(([[[[1.0, 1.0]]]],), ([[[[[[[[1.0, 0.0]]]]]]]],), FIRST,
                {"kernel_size": (1, 1, 2)})])
def max_pool3d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
               return_indices=False):
    """As max_pool2d, with three spatial axes: (N, C, D, H, W) or (C, D, H, W)."""
    both = max_pool3d_with_indices(input, kernel_size, stride, padding, dilation, ceil_mode)
    return both if return_indices else both[0]


def adaptive_max_pool1d_with_indices(input, output_size, return_indices=False):
    """As adaptive_max_pool1d, always with the positions."""
    return _adaptive("adaptive_max_pool1d", 1, input, output_size)


@composed(kind=KINKED, cases=[
    Case((2, 5), output_size=3)],
    kinks=[Kink(([[1.0, 1.0]],), ([[[[1.0, 0.0]]]],), FIRST, {"output_size": 1})])
def adaptive_max_pool1d(input, output_size, return_indices=False):
    """As adaptive_max_pool2d, with one spatial axis: (N, C, L) or (C, L)."""
    both = adaptive_max_pool1d_with_indices(input, output_size)
    return both if return_indices else both[0]


def adaptive_max_pool2d_with_indices(input, output_size, return_indices=False):
    """As adaptive_max_pool2d, always with the positions."""
    return _adaptive("adaptive_max_pool2d", 2, input, output_size)


@composed(kind=KINKED, cases=[
    Case((1, 4, 5), output_size=(2, 3)),
    Case((1, 1, 3, 4), output_size=(None, 1))],
    kinks=[Kink(([[[1.0, 1.0]]],), ([[[[[[1.0, 0.0]]]]]],), FIRST, {"output_size": 1})])
def adaptive_max_pool2d(input, output_size, return_indices=False):
    """The largest entry of each of as many windows as asked for, which cover the input.

    input           (N, C, H, W) or (C, H, W)
    output_size     how many windows along each axis: a number, or one for each axis; None for as
                    many as there are entries.  Window i of m reaches from floor(i n / m) to
                    ceil((i + 1) n / m)
    return_indices  whether to return the positions as well, counted along the last axis first
    Returns (N, C, *output_size), or without N as the input is; with return_indices a pair.
    Of equal entries the first is taken, and has the whole derivative; nan is larger than any
    number.
    As torch.nn.functional.adaptive_max_pool2d.
    """
    both = adaptive_max_pool2d_with_indices(input, output_size)
    return both if return_indices else both[0]


def adaptive_max_pool3d_with_indices(input, output_size, return_indices=False):
    """As adaptive_max_pool3d, always with the positions."""
    return _adaptive("adaptive_max_pool3d", 3, input, output_size)


@composed(kind=KINKED, cases=[
    Case((1, 2, 3, 4), output_size=(2, 2, 2))],
    kinks=[Kink(([[[[1.0, 1.0]]]],), ([[[[[[[[1.0, 0.0]]]]]]]],), FIRST, {"output_size": 1})])
def adaptive_max_pool3d(input, output_size, return_indices=False):
    """As adaptive_max_pool2d, with three spatial axes: (N, C, D, H, W) or (C, D, H, W)."""
    both = adaptive_max_pool3d_with_indices(input, output_size)
    return both if return_indices else both[0]


def fractional_max_pool2d_with_indices(input, kernel_size, output_size=None, output_ratio=None,
                                       return_indices=False, _random_samples=None, *,
                                       generator=None):
    """As fractional_max_pool2d, always with the positions."""
    return _fractional("fractional_max_pool2d", 2, input, kernel_size, output_size, output_ratio,
                       _random_samples, generator)


@composed(kind=KINKED, cases=[
    Case((1, 4, 5), kernel_size=2, output_size=(2, 3), _random_samples=np.array([[[0.3, 0.8]]]))],
    kinks=[Kink(([[[1.0, 1.0]]],), ([[[[[[1.0, 0.0]]]]]],), FIRST, {
        "kernel_size": (1, 2), "output_size": 1, "_random_samples": np.zeros((1, 1, 2))})])
def fractional_max_pool2d(input, kernel_size, output_size=None, output_ratio=None,
                          return_indices=False, _random_samples=None, *, generator=None):
    """The largest entry of each window, where the windows lie at random.

    Graham (2014): of m windows, window i starts at floor(a (i + u)) - floor(a u), the last one at
    the end, with a = (n - k) / (m - 1) and u uniform in [0, 1), one for each sample, channel, axis.

    input            (N, C, H, W) or (C, H, W)
    kernel_size      the size k of the window: a number, or one for each axis (as the next two)
    output_size      how many windows
    output_ratio     or what share of the input's entries that is, between 0 and 1
    return_indices   whether to return the positions as well, counted along the last axis first
    _random_samples  (N, C, 2): the u (N is 1 for an input without it)
    generator        or a numpy.random.Generator that they are drawn from
    Returns (N, C, *output_size), or without N as the input is; with return_indices a pair.
    Raises ValueError for more windows than fit into the input, TypeError if there is neither
    _random_samples nor a generator.
    As torch.nn.functional.fractional_max_pool2d, but for the generator.
    """
    both = fractional_max_pool2d_with_indices(input, kernel_size, output_size, output_ratio,
                                             _random_samples=_random_samples, generator=generator)
    return both if return_indices else both[0]


def fractional_max_pool3d_with_indices(input, kernel_size, output_size=None, output_ratio=None,
                                       return_indices=False, _random_samples=None, *,
                                       generator=None):
    """As fractional_max_pool3d, always with the positions."""
    return _fractional("fractional_max_pool3d", 3, input, kernel_size, output_size, output_ratio,
                       _random_samples, generator)


@composed(kind=KINKED, cases=[
    Case((1, 3, 4, 3), kernel_size=2, output_size=2,
         _random_samples=np.array([[[0.3, 0.8, 0.6]]]))],
    kinks=[Kink(([[[[1.0, 1.0]]]],), ([[[[[[[[1.0, 0.0]]]]]]]],), FIRST, {
        "kernel_size": (1, 1, 2), "output_size": 1, "_random_samples": np.zeros((1, 1, 3))})])
def fractional_max_pool3d(input, kernel_size, output_size=None, output_ratio=None,
                          return_indices=False, _random_samples=None, *,
                                       generator=None):
    """As fractional_max_pool2d, with three spatial axes and _random_samples (N, C, 3)."""
    both = fractional_max_pool3d_with_indices(input, kernel_size, output_size, output_ratio,
                                             _random_samples=_random_samples, generator=generator)
    return both if return_indices else both[0]


@composed(kind=LINEAR, cases=[
    Case((2, 2), indices=np.array([[0, 3], [1, 2]]), kernel_size=2),
    Case((1, 2), indices=np.array([[0, 3]]), kernel_size=2, output_size=(5,))])
def max_unpool1d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """As max_unpool2d, with one spatial axis: (N, C, L) or (C, L)."""
    return _unpooled("max_unpool1d", 1, input, indices, kernel_size, stride, padding, output_size)


@composed(kind=LINEAR, cases=[
    Case((1, 1, 2), indices=np.array([[[1, 6]]]), kernel_size=2)])
def max_unpool2d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """The input's entries at the given positions, and zeros elsewhere: undoes max_pool2d.

    input        (N, C, H, W) or (C, H, W)
    indices      integers in the input's shape, the positions that max_pool2d returns
    kernel_size, stride, padding  those of max_pool2d
    output_size  the sizes of the spatial axes (or the whole shape), if they are not
                 (size - 1) stride + kernel_size - 2 padding: they may differ from it by less than
                 the stride
    Returns (N, C, *output_size), or without N as the input is.
    Where a position is given twice, the last one counts.
    Raises ValueError for shapes that do not match and positions outside the result.
    As torch.nn.functional.max_unpool2d.
    """
    return _unpooled("max_unpool2d", 2, input, indices, kernel_size, stride, padding, output_size)


@composed(kind=LINEAR, cases=[
    Case((1, 1, 1, 2), indices=np.array([[[[5, 9]]]]), kernel_size=2)])
def max_unpool3d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """As max_unpool2d, with three spatial axes: (N, C, D, H, W) or (C, D, H, W)."""
    return _unpooled("max_unpool3d", 3, input, indices, kernel_size, stride, padding, output_size)
