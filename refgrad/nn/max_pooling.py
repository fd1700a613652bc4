"""Pooling by maxima: of each window its largest entry, and back.

    y_o = x_i with the position i of the largest entry of the window o,  dy_o = dx_i
    <g, dy> = the sum of g_o dx_i:  g_o is added at i, as often as i is the largest of a window

Which entry of the window it is, its number, is constant almost everywhere.  Of equal entries it is
the first, as torch has it, and nan is larger than any number.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec

import numpy as np

from ..cases import Case, Fixed, Kink
from ..errors import describe
from ..hints import Array, Sizes
from ..operands import is_finite
from ..primitive import CONSTANT, KINKED, LINEAR, composed, declare
from ..rules.shape import at, scatter_add, setitem
from ..rules.windows import evenly
from .arguments import expected, shape_of
from .geometry import adaptive_intervals, images_of, same_numbers, sizes_of, windows_of

P = ParamSpec("P")

#: The convention at a tie, in words.
FIRST = "the first of equal entries"

# The choice

#: Windows along one axis, for the samples of the primitives.
_OVERLAPPING, _APART = ((slice(0, 2, 1), slice(1, 3, 1)),), ((slice(0, 3, 2), slice(1, 4, 2)),)
_UNEVEN = np.array([0, 1]), np.array([0, 2]), np.array([1, 2])


def _flat(indices, space):
    """The positions that an index for each axis takes, (..., o) each, in the flattened axes."""
    k, total = len(space), 0
    for d, (index, n) in enumerate(zip(indices, space)):
        p = np.arange(n)[index]
        p = np.reshape(p, (*p.shape[:-1], *(p.shape[-1] if e == d else 1 for e in range(k))))
        total = total * n + p
    return total


def _everywhere(flat, k, n):
    """Positions in planes of n entries, for all but the last k axes, as positions in all planes."""
    lead, here = flat.shape[:-k], flat.shape[-k:]
    first = np.reshape(n * np.arange(math.prod(lead)), (*lead, *(1,) * k))
    return np.reshape(flat + first, math.prod(lead) * math.prod(here))


def _entries(x, windows):
    """Of a plain array one entry of each window, then the next of each: views where possible."""
    k, kinds = len(windows), {type(i) for indices in windows for i in indices}
    for indices in itertools.product(*windows):
        if kinds == {slice}:
            yield x[(..., *indices)]
            continue
        if any(np.ndim(i) > 1 for i in indices if type(i) is not slice):  # in each plane others
            flat = _flat(indices, x.shape[-k:])
            yield np.reshape(np.reshape(x, -1)[_everywhere(flat, k, math.prod(x.shape[-k:]))],
                             flat.shape)
            continue
        y = x
        for axis, index in zip(range(-k, 0), indices):
            y = y[(..., index, *[slice(None)] * (-1 - axis))]
        yield y


def _places(number, *, windows, space):
    flat = np.stack([_flat(indices, space) for indices in itertools.product(*windows)], -1)
    first = flat.shape[-1] * np.arange(flat[..., 0].size).reshape(flat.shape[:-1])
    return np.take(flat, first + number.astype(int))


places = declare(
    None, "The positions, in the flattened last axes, of the entries with these numbers: dy = 0",
    name="places", kind=CONSTANT, forward=_places,
    cases=[Case((1, 2), domain="unit interval", windows=_OVERLAPPING, space=(3,))])


def _picked(x, number, windows):
    """Of each window the entry with its number."""
    shape, k = shape_of("max pooling", "x", x), len(windows)
    flat = places(number, windows=windows, space=shape[-k:])
    y = at(np.reshape(x, (math.prod(shape),)), _everywhere(flat, k, math.prod(shape[-k:])))
    return np.reshape(y, flat.shape)


def _put_at_places(g, number, *, windows, shape):
    flat, n = places(number, windows=windows, space=shape[-len(windows):]), math.prod(shape)
    index = _everywhere(flat, len(windows), math.prod(shape[-len(windows):]))
    return np.reshape(scatter_add(np.reshape(g, index.shape), index=index, shape=(n,)), shape)


def _put_back(g, number, *, windows, shape):
    """Where windows are slices, apart from each other, and g is finite, g or 0 is written."""
    if not (all(map(_are_apart, windows)) and is_finite(g)):
        return _put_at_places(g, number, windows=windows, shape=shape)
    x = np.empty_like(number, g.dtype, shape=shape)
    here = np.empty_like(number, g.dtype)
    here[...] = g  # in the order that `number` has in memory
    parts = list(_entries(x, windows))
    if number.size * len(parts) < x.size:
        x[...] = 0
    for j, part in enumerate(parts):
        np.multiply(here, number == j, out=part)
    return x


def _are_apart(indices):
    """Whether indices are slices of the same step that meet no entry twice."""
    slices = [i for i in indices if type(i) is slice]
    steps = {i.step for i in slices}
    return len(steps) == 1 and len({i.start % min(steps) for i in slices}) == len(indices)


put_back = declare(
    None, """x = 0, but of each window o the entry with its number has g_o added
    <h, dx> = the sum of h_i dg_o over the entries i = i(o):  h is picked at these""",
    name="put_back", kind=LINEAR, fresh=True, forward=_put_back, formula=_put_at_places,
    vjp=(lambda h, number, windows: _picked(h, number, windows), None),
    cases=[Case((1, 2), Fixed(np.array([[1, 0]])), windows=_OVERLAPPING, shape=(1, 3)),
           Case((1, 2), Fixed(np.array([[1, 0]])), windows=_APART, shape=(1, 4))])


def _maxima(x, *, windows):
    """The maximum, then the number of the first entry that has it: how many before it have not."""
    first, *others = entries = list(_entries(x, windows))
    best = np.maximum(first, entries[-1])
    for new in others[:-1]:
        np.maximum(best, new, out=best)
    if best.size and math.isnan(np.maximum.reduce(best, axis=None)):
        return _maxima_by_order(x, windows=windows)
    sought = first != best
    number = sought.astype(np.min_scalar_type(len(entries)))
    for new in others[:-1]:
        sought &= new != best
        number += sought.view(np.uint8)
    return best, number


def _maxima_by_order(x, *, windows):
    """The same for nan, and for arrays that are compared in their own way."""
    k = len(windows)
    space, lead = x.shape[-k:], x.shape[:-k]
    flat = np.stack([_flat(indices, space) for indices in itertools.product(*windows)], -1)
    seen = np.stack([np.any(flat[..., :j] == flat[..., j:j + 1], -1)
                     for j in range(flat.shape[-1])], -1)
    flat = np.broadcast_to(flat, (*lead, *flat.shape[-k - 1:]))
    entries = np.reshape(x, -1)[_everywhere(flat, k + 1, math.prod(space))]
    entries = np.where(seen, -np.inf, np.reshape(entries, flat.shape))
    number = np.argmax(entries, axis=-1)
    return _picked(x, number, windows), number


maxima = declare(
    None, """y_o = the largest entry of each window, and its number in the window: dy_o = dx_i
    <g, dy> = <put_back g, dx>.  Of k axes each has a tuple of indices: the first takes the first
    entry of each window, and so on; each is a slice or an integer array (..., o).  An entry may be
    repeated, where windows differ in size.""",
    name="maxima", kind=KINKED, forward=_maxima, formula=_maxima_by_order, multiple=True,
    fresh=True,
    jvp=(lambda v, y, windows: (_picked(v, y[1], windows), np.zeros(y[1].shape)),),
    vjp=(lambda g, y, x_shape, windows: put_back(g[0], y[1], windows=windows, shape=x_shape),),
    cases=[Case((2, 4), call=lambda x: maxima(x, windows=_APART)[0]),
           Case((3, 3), call=lambda x: maxima(x, windows=(_UNEVEN, *_OVERLAPPING))[0])],
    kinks=[Kink(([[1.0, 1.0, 1.0]],), ([[[[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]]]],), FIRST,
                call=lambda x: maxima(x, windows=_OVERLAPPING)[0])])


def _of_windows(input, positions, return_indices):
    """The largest entries of the windows, and their positions in the flattened spatial axes.

    Of k axes each has an array of positions (..., o, j), of the entry j of the window o.
    """
    windows = tuple(tuple(evenly(p[:, j]) if p.ndim == 2 else p[..., j] for j in range(p.shape[-1]))
                    for p in positions)
    y, number = maxima(input, windows=windows)
    if not return_indices:
        return y
    return y, places(number, windows=windows, space=input.shape[-len(windows):])


def _pooled(function, k, input, kernel_size, stride, padding, dilation, ceil_mode,
            return_indices):
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
    return _of_windows(input, positions, return_indices)


def _adaptive(function, k, input, output_size, return_indices):
    shape, _ = images_of(function, input, k)
    same_numbers(function, input=input)
    positions = []
    for a, b in zip(*adaptive_intervals(function, shape, k, output_size)):
        widest = np.arange(np.max(b - a, initial=1))
        positions.append(np.minimum(a[:, None] + widest, b[:, None] - 1))
    return _of_windows(input, positions, return_indices)


def _fractional(function, k, input, kernel_size, output_size, output_ratio, samples, generator,
                return_indices):
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
    return _of_windows(input, positions, return_indices)


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


@composed(kind=KINKED, cases=[
    Case((2, 5), kernel_size=2),
    Case((1, 5), kernel_size=3, stride=2, padding=1, ceil_mode=True),
    Case((1, 6), kernel_size=2, dilation=3, stride=1)],
    kinks=[Kink(([[1.0, 1.0]],), ([[[[1.0, 0.0]]]],), FIRST, {"kernel_size": 2})])
def max_pool1d(input: Array, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
               dilation: Sizes = 1, ceil_mode: bool = False, return_indices: bool = False) -> Any:
    """As max_pool2d, with one spatial axis: (N, C, L) or (C, L)."""
    return _pooled("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode,
                   return_indices)


@composed(kind=KINKED, cases=[
    Case((1, 4, 4), kernel_size=2),
    Case((1, 1, 4, 5), kernel_size=(3, 2), stride=(1, 2), padding=1, dilation=(1, 2))],
    kinks=[Kink(([[[1.0, 1.0]]],), ([[[[[[1.0, 0.0]]]]]],), FIRST, {"kernel_size": (1, 2)})])
def max_pool2d(input: Array, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
               dilation: Sizes = 1, ceil_mode: bool = False, return_indices: bool = False) -> Any:
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
    return _pooled("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode,
                   return_indices)


@composed(kind=KINKED, cases=[
    Case((1, 2, 4, 3), kernel_size=2, ceil_mode=True, stride=(2, 2, 2))],
    kinks=[Kink(([[[[1.0, 1.0]]]],), ([[[[[[[[1.0, 0.0]]]]]]]],), FIRST,
                {"kernel_size": (1, 1, 2)})])
def max_pool3d(input: Array, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
               dilation: Sizes = 1, ceil_mode: bool = False, return_indices: bool = False) -> Any:
    """As max_pool2d, with three spatial axes: (N, C, D, H, W) or (C, D, H, W)."""
    return _pooled("max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode,
                   return_indices)


@composed(kind=KINKED, cases=[
    Case((2, 5), output_size=3)],
    kinks=[Kink(([[1.0, 1.0]],), ([[[[1.0, 0.0]]]],), FIRST, {"output_size": 1})])
def adaptive_max_pool1d(input: Array, output_size: Sizes, return_indices: bool = False) -> Any:
    """As adaptive_max_pool2d, with one spatial axis: (N, C, L) or (C, L)."""
    return _adaptive("adaptive_max_pool1d", 1, input, output_size, return_indices)


@composed(kind=KINKED, cases=[
    Case((1, 4, 5), output_size=(2, 3)),
    Case((1, 1, 3, 4), output_size=(None, 1))],
    kinks=[Kink(([[[1.0, 1.0]]],), ([[[[[[1.0, 0.0]]]]]],), FIRST, {"output_size": 1})])
def adaptive_max_pool2d(input: Array, output_size: Sizes, return_indices: bool = False) -> Any:
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
    return _adaptive("adaptive_max_pool2d", 2, input, output_size, return_indices)


@composed(kind=KINKED, cases=[
    Case((1, 2, 3, 4), output_size=(2, 2, 2))],
    kinks=[Kink(([[[[1.0, 1.0]]]],), ([[[[[[[[1.0, 0.0]]]]]]]],), FIRST, {"output_size": 1})])
def adaptive_max_pool3d(input: Array, output_size: Sizes, return_indices: bool = False) -> Any:
    """As adaptive_max_pool2d, with three spatial axes: (N, C, D, H, W) or (C, D, H, W)."""
    return _adaptive("adaptive_max_pool3d", 3, input, output_size, return_indices)


@composed(kind=KINKED, cases=[
    Case((1, 4, 5), kernel_size=2, output_size=(2, 3), _random_samples=np.array([[[0.3, 0.8]]]))],
    kinks=[Kink(([[[1.0, 1.0]]],), ([[[[[[1.0, 0.0]]]]]],), FIRST, {
        "kernel_size": (1, 2), "output_size": 1, "_random_samples": np.zeros((1, 1, 2))})])
def fractional_max_pool2d(input: Array, kernel_size: Sizes, output_size: Sizes | None = None,
                          output_ratio: float | Sequence[float] | None = None,
                          return_indices: bool = False, _random_samples: Array | None = None, *,
                          generator: np.random.Generator | None = None) -> Any:
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
    return _fractional("fractional_max_pool2d", 2, input, kernel_size, output_size, output_ratio,
                       _random_samples, generator, return_indices)


@composed(kind=KINKED, cases=[
    Case((1, 3, 4, 3), kernel_size=2, output_size=2,
         _random_samples=np.array([[[0.3, 0.8, 0.6]]]))],
    kinks=[Kink(([[[[1.0, 1.0]]]],), ([[[[[[[[1.0, 0.0]]]]]]]],), FIRST, {
        "kernel_size": (1, 1, 2), "output_size": 1, "_random_samples": np.zeros((1, 1, 3))})])
def fractional_max_pool3d(input: Array, kernel_size: Sizes, output_size: Sizes | None = None,
                          output_ratio: float | Sequence[float] | None = None,
                          return_indices: bool = False, _random_samples: Array | None = None, *,
                          generator: np.random.Generator | None = None) -> Any:
    """As fractional_max_pool2d, with three spatial axes and _random_samples (N, C, 3)."""
    return _fractional("fractional_max_pool3d", 3, input, kernel_size, output_size, output_ratio,
                       _random_samples, generator, return_indices)


@composed(kind=LINEAR, cases=[
    Case((2, 2), indices=np.array([[0, 3], [1, 2]]), kernel_size=2),
    Case((1, 2), indices=np.array([[0, 3]]), kernel_size=2, output_size=(5,))])
def max_unpool1d(input: Array, indices: Array, kernel_size: Sizes, stride: Sizes | None = None,
                 padding: Sizes = 0, output_size: Sizes | None = None) -> Array:
    """As max_unpool2d, with one spatial axis: (N, C, L) or (C, L)."""
    return _unpooled("max_unpool1d", 1, input, indices, kernel_size, stride, padding, output_size)


@composed(kind=LINEAR, cases=[
    Case((1, 1, 2), indices=np.array([[[1, 6]]]), kernel_size=2)])
def max_unpool2d(input: Array, indices: Array, kernel_size: Sizes, stride: Sizes | None = None,
                 padding: Sizes = 0, output_size: Sizes | None = None) -> Array:
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
def max_unpool3d(input: Array, indices: Array, kernel_size: Sizes, stride: Sizes | None = None,
                 padding: Sizes = 0, output_size: Sizes | None = None) -> Array:
    """As max_unpool2d, with three spatial axes: (N, C, D, H, W) or (C, D, H, W)."""
    return _unpooled("max_unpool3d", 3, input, indices, kernel_size, stride, padding, output_size)


# Layers that always return the positions


def _with_indices(pool: Callable[P, Any]) -> Callable[P, tuple[Array, Array]]:
    """The layer as if return_indices were True."""
    signature = inspect.signature(pool)
    place = list(signature.parameters).index("return_indices")

    @functools.wraps(pool)
    def with_indices(*args, **kwargs):
        if len(args) > place:
            return pool(*args[:place], True, *args[place + 1:], **kwargs)
        return pool(*args, **{**kwargs, "return_indices": True})

    with_indices.__name__ = with_indices.__qualname__ = f"{pool.__name__}_with_indices"
    with_indices.__doc__ = f"As {pool.__name__}, always with the positions."
    with_indices.__signature__ = signature.replace(  # type: ignore[attr-defined]
        return_annotation="tuple[Array, Array]")
    return with_indices


max_pool1d_with_indices = _with_indices(max_pool1d)
max_pool2d_with_indices = _with_indices(max_pool2d)
max_pool3d_with_indices = _with_indices(max_pool3d)
adaptive_max_pool1d_with_indices = _with_indices(adaptive_max_pool1d)
adaptive_max_pool2d_with_indices = _with_indices(adaptive_max_pool2d)
adaptive_max_pool3d_with_indices = _with_indices(adaptive_max_pool3d)
fractional_max_pool2d_with_indices = _with_indices(fractional_max_pool2d)
fractional_max_pool3d_with_indices = _with_indices(fractional_max_pool3d)
