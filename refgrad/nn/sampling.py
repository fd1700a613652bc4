"""Sampling at positions that are differentiated too: y = sum_k w_k(p) x_(i_k(p)).

The indices i_k are constant between integers, the weights are polynomials of the position p, a
product of one factor for each axis:

    dy = sum_k w_k dx_(i_k) + sum_k x_(i_k) <grad w_k, dp>

so all is written with gathering, whose adjoint adds each cotangent to the entries from which it
came, and products.
"""

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..cases import Case, Kink
from ..errors import describe
from ..hints import Array
from ..primitive import KINKED, LINEAR, composed, in_dtype_of
from ..rules.shape import at
from .arguments import expected, shape_of
from .padding import whole
from .resampling import cubic, cubic_tail

PADDINGS = "zeros", "border", "reflection"


def _pixels(g, n, align):
    """Positions in entries: -1 and 1 are the middles, or the outer edges, of first and last."""
    return (g + 1) / 2 * (n - 1) if align else ((g + 1) * n - 1) / 2


def _inside(p, n, padding, align):
    """Positions beyond first and last entry, brought back; the slope is 0 there and on these."""
    if padding == "reflection":
        p = _reflected(p, n, align)
    return p if padding == "zeros" else np.where(p <= 0, 0, np.where(p >= n - 1, n - 1, p))


def _reflected(p, n, align):
    """Reflected, as often as it takes, about the middles or outer edges of first and last."""
    low, span = (0, n - 1) if align else (-0.5, n)
    if span == 0:
        return p * 0
    u = p - low
    turns = np.floor(u / span)
    rest = u - span * turns
    return np.where(turns % 2 == 0, rest, span - rest) + low


def _linear(p):
    first = np.floor(p)
    t = p - first
    return [(first, 1 - t), (first + 1, t)]


def _nearest(p):
    return [(np.rint(p), np.ones_like(p))]


def _cubic(p):
    first, a = np.floor(p), -0.75
    t = p - first
    weights = cubic_tail(1 + t, a), cubic(t, a), cubic(1 - t, a), cubic_tail(2 - t, a)
    return [(first + k, w) for k, w in zip(range(-1, 3), weights)]


MODES = {"bilinear": _linear, "nearest": _nearest, "bicubic": _cubic}


def _taps(g, n, mode, padding, align):
    """For one axis, of each entry that takes part: (index, whether there is one, weight)."""
    p = _pixels(np.where(np.isnan(g), -1, g), n, align)
    if mode != "bicubic":
        found = MODES[mode](_inside(p, n, padding, align))
    else:  # the entries are brought back, one by one, and not the position
        found = [(_inside(i, n, padding, align), w) for i, w in _cubic(p)]
    taps = []
    for i, w in found:
        valid = (i >= 0) & (i <= n - 1)
        taps.append((np.where(valid, i, 0).astype(int), valid, w))
    return taps


_LINE = [[[[1.0, 4.0, 16.0]]]]
_AT = lambda x: [[[[x, 0.0]]]]
_slope = lambda x: [[[[[[[[x, 0.0]]]]]]]]
_taken = lambda *weights: [[[[[[[list(weights)]]]]]]]


def _near(*shapes, **options):
    """A case at its own scale: far out floats do not tell where a reflected position comes to lie,
    nor very near the middle on which side of an entry.
    """
    return Case(*shapes, scales=(0, 0), **options)


@composed(kind=KINKED, cases=[
    _near((1, 2, 2, 3), (1, 2, 1, 2), align_corners=False),
    _near((1, 1, 2, 3), (1, 1, 2, 2), align_corners=True, padding_mode="border"),
    _near((1, 1, 3, 2), (1, 2, 1, 2), padding_mode="reflection", align_corners=False),
    _near((2, 1, 1, 3), (2, 1, 2, 2), padding_mode="reflection", align_corners=True),
    _near((1, 1, 2, 3), (1, 1, 2, 2), mode="nearest", padding_mode="border"),
    _near((1, 1, 3, 3), (1, 1, 2, 2), mode="bicubic"),
    _near((1, 1, 2, 3), (1, 1, 2, 2), mode="bicubic", padding_mode="reflection",
          align_corners=True),
    _near((1, 1, 2, 2, 3), (1, 1, 1, 2, 3)),
    _near((1, 1, 2, 1, 3), (1, 1, 2, 1, 3), mode="nearest", padding_mode="reflection")],
    kinks=[Kink((_LINE, _AT(0.0)), (_taken(0.0, 1.0, 0.0), _slope(12.0)),
                "on an entry the slope after it",
                {"align_corners": True}),
           Kink((_LINE, _AT(1.0)), (_taken(0.0, 0.0, 1.0), _slope(0.0)),
                "0 where the border begins",
                {"align_corners": True, "padding_mode": "border"}),
           Kink((_LINE, _AT(1.0)), (_taken(0.0, 0.0, 1.0), _slope(0.0)), "0 where it is reflected",
                {"align_corners": True, "padding_mode": "reflection"})])
def grid_sample(input: Array, grid: Array, mode: str = "bilinear", padding_mode: str = "zeros",
                align_corners: bool | None = None) -> Array:
    """An array read off at positions between its entries.

    input         (N, C, H, W) or (N, C, D, H, W)
    grid          (N, H', W', 2) or (N, D', H', W', 3): positions (x, y) or (x, y, z), where x goes
                  along W, y along H, z along D.  -1 and 1 are the outer edges of the first and the
                  last entry, or, with align_corners, their middles.  nan is taken for -1
    mode          'bilinear': lines between two entries along each axis; 'nearest': the nearest
                  entry, of two the one with the even index; 'bicubic', on four axes: Keys' cubic
                  convolution (1981) with the slope -3/4
    padding_mode  beyond the entries there are 'zeros', or the entries of the 'border', or the
                  array's 'reflection'
    Returns (N, C, H', W') or (N, C, D', H', W').  On an entry the slope is that after it, and 0
    where the border or the reflection begins.
    Raises ValueError for shapes that do not match, for unknown modes, and for 'bicubic' on five
    axes.
    As torch.nn.functional.grid_sample; Jaderberg et al. (2015).
    """
    shape, axes = _checked(input, grid, mode, padding_mode)
    rows = np.moveaxis(input, 1, -1)  # an index then gives the entries of all channels
    batch = np.reshape(np.arange(shape[0]), (-1,) + (1,) * axes)
    along = [_taps(grid[..., axes - 1 - k], n, mode, padding_mode, bool(align_corners))
             for k, n in enumerate(shape[2:])]
    total: Any = 0
    for taps in itertools.product(*along):
        index, valid, weights = zip(*taps)
        term = at(rows, (batch, *index)) * functools.reduce(np.multiply, weights)[..., None]
        total = total + np.where(functools.reduce(np.logical_and, valid)[..., None], term, 0)
    return in_dtype_of(input, np.moveaxis(total, -1, 1))


def _checked(input, grid, mode, padding_mode):
    name = "grid_sample"
    shape, places = shape_of(name, "input", input), shape_of(name, "grid", grid)
    if mode not in MODES:
        raise expected(name, "mode", repr(mode), f"one of {', '.join(map(repr, MODES))}")
    if padding_mode not in PADDINGS:
        raise expected(name, "padding_mode", repr(padding_mode),
                       f"one of {', '.join(map(repr, PADDINGS))}")
    axes = len(shape) - 2
    if axes not in (2, 3) or not all(shape[1:]):
        raise expected(name, "input", f"of shape {shape}",
                       "(N, C, H, W) or (N, C, D, H, W), with entries")
    if mode == "bicubic" and axes == 3:
        raise expected(name, "mode", "'bicubic'",
                       "'bilinear' or 'nearest' for an input with five axes")
    if len(places) != len(shape) or places[0] != shape[0] or places[-1] != axes:
        wanted = ", ".join(map(str, (shape[0], *("D'", "H'", "W'")[3 - axes:], axes)))
        raise expected(name, "grid", describe(grid), f"({wanted}) for an input of shape {shape}")
    return shape, axes


@composed(kind=LINEAR, cases=[
    Case((2, 2, 3), size=(2, 1, 2, 3)), Case((1, 2, 3), size=(1, 1, 1, 3), align_corners=True),
    Case((1, 3, 4), size=(1, 1, 2, 1, 2), align_corners=False)])
def affine_grid(theta: Array, size: Sequence[int], align_corners: bool | None = None) -> Array:
    """The positions, for grid_sample, of an image under affine maps: theta (x, y, 1)'.

    theta  (N, 2, 3) for images, (N, 3, 4) for volumes
    size   the shape of the image that is wanted, (N, C, H, W) or (N, C, D, H, W)
    Returns (N, H, W, 2) or (N, D, H, W, 3).  Positions are linear in theta: G = B theta' with the
    constant matrix B of all (x, y, 1), in which -1 and 1 are the outer edges of the image, or, with
    align_corners, the middles of its first and last entries.
    Raises ValueError for shapes that do not match and for sizes below 1.  As
    torch.nn.functional.affine_grid.
    """
    name = "affine_grid"
    shape = shape_of(name, "theta", theta)
    if not isinstance(size, (tuple, list)) or len(size) not in (4, 5):
        raise expected(name, "size", size, "(N, C, H, W) or (N, C, D, H, W)")
    size = tuple(whole(name, "size", n, 1) for n in size)
    axes = len(size) - 2
    if shape != (size[0], axes, axes + 1):
        raise expected(name, "theta", describe(theta),
                       f"{(size[0], axes, axes + 1)}, as size is {size}")
    if getattr(theta, "dtype", np.dtype(float)).kind not in "fO":
        raise TypeError(f"{name}: theta is {describe(theta)}; expected floats")
    lines = [_line(n, align_corners) for n in size[2:]]
    places = np.meshgrid(*lines, indexing="ij")[::-1]
    base = np.stack([*places, np.ones(size[2:])], axis=-1).reshape(1, -1, axes + 1)
    base = in_dtype_of(theta, base)
    return np.reshape(np.matmul(base, np.swapaxes(theta, 1, 2)), (size[0], *size[2:], axes))


def _line(n, align):
    """The middles of n entries between -1 and 1; with `align` the first and last are the ends."""
    return (2 * np.arange(n) + 1 - n) / max(n - 1 if align else n, 1)
