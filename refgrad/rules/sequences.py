"""Sequences: convolution, running totals, differences and slopes, interpolation.

    convolution  y_k = sum_j a_(k-j) v_j   for all k for which a term is there
    correlation  y_k = sum_j a_(k+j) v_j   for the k for which all terms are there

Both are linear in a and in v.  As <g, v * da> is the sum of g_k v_j da_(k-j), each is the other's
adjoint.
"""

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..cases import FOURTH, Case, Kink
from ..foreign import is_certain
from ..primitive import KINKED, LINEAR, MULTILINEAR, compose, declare, in_dtype_of, ndim_of, \
    shape_of
from .arguments import as_array, as_number
from .shape import along, at, scatter_add
from .windows import windows


def _scattered(a, v):
    """The convolution as a formula: each product is added at its place."""
    n, m = shape_of(a)[0], shape_of(v)[0]
    return scatter_add(np.outer(a, v), index=np.add.outer(np.arange(n), np.arange(m)),
                       shape=(n + m - 1,))


def _slid(a, v):
    """The correlation as a formula: a product with windows."""
    return np.matmul(windows(a, size=shape_of(v), stride=(1,), dilation=(1,)), v)


convolution = declare(
    None, "y = a * v;  <g, da * v> = <g correlated with v, da>,  and so for v, since a * v = v * a",
    name="convolution", kind=MULTILINEAR, forward=lambda a, v: np.convolve(a, v),
    formula=_scattered,
    vjp=(lambda g, v: correlation(g, v), lambda g, a: correlation(g, a)),
    cases=[Case((4,), (3,)), Case((2,), (3,)), Case((1,), (1,))])
correlation = declare(
    None, """y_k = sum_j a_(k+j) v_j;  <g, dy> = sum_k g_k v_j da_(k+j) = <g * v, da>
    and = sum_j (sum_k a_(j+k) g_k) dv_j = <a correlated with g, dv>;  v is not longer than a""",
    name="correlation", kind=MULTILINEAR, forward=lambda a, v: np.correlate(a, v, "valid"),
    formula=_slid,
    vjp=(lambda g, v: convolution(g, v), lambda g, a: correlation(a, g)),
    cases=[Case((5,), (3,)), Case((3,), (3,)), Case((2,), (1,))])

_MODES = {0: "v", 1: "s", 2: "f"}


def _convolved(a, v, mode):
    """The convolution of a with a v that is not longer, cut as NumPy cuts it."""
    mode = _MODES.get(mode, mode)[0].lower()
    n, m = shape_of(a)[0], shape_of(v)[0]
    if mode == "v":
        return correlation(a, v[::-1])
    y = convolution(a, v)
    return y[(m - 1) // 2:(m - 1) // 2 + n] if mode == "s" else y


def _two(name, a, v, mode):
    """The operands as arrays with one axis."""
    a, v = as_array(a), as_array(v)
    if ndim_of(a) != 1 or ndim_of(v) != 1 or not (shape_of(a)[0] and shape_of(v)[0]):
        raise ValueError(f"{name}: arrays of the shapes {shape_of(a)} and {shape_of(v)}; expected "
                         f"one axis, with an entry or more")
    np.convolve([1.0], [1.0], mode)  # raises NumPy's own errors
    return a, v


def _convolve(a, v, mode="full"):
    a, v = _two("np.convolve", np.atleast_1d(as_array(a)), np.atleast_1d(as_array(v)), mode)
    return _convolved(a, v, mode) if shape_of(v) <= shape_of(a) else _convolved(v, a, mode)


def _correlate(a, v, mode="valid"):
    """a * (v reversed); with the shorter one first it is the reverse of the other order."""
    a, v = _two("np.correlate", a, v, mode)
    if shape_of(v) <= shape_of(a):
        return _convolved(a, v[::-1], mode)
    return _convolved(v, a[::-1], mode)[::-1]


compose(np.convolve, _convolve, kind=MULTILINEAR, cases=[
    Case((4,), (3,)), Case((3,), (4,), mode="same"), Case((5,), (2,), mode="valid"),
    Case((3,), ())])
compose(np.correlate, _correlate, kind=MULTILINEAR, cases=[
    Case((4,), (3,)), Case((3,), (4,), mode="same"), Case((2,), (4,), mode="full")])

# Running totals


def _cumulative(function, name, neutral):
    def call(x, /, *, axis=None, dtype=None, include_initial=False):
        x = np.atleast_1d(x)
        if axis is None and ndim_of(x) > 1:
            raise ValueError(f"{name}: an array of shape {shape_of(x)} needs axis=")
        if type(axis) is tuple and len(axis) == 1:
            axis, = axis
        axis = normalize_axis_index(0 if axis is None else axis, ndim_of(x))
        y = function(x, axis=axis, dtype=dtype)
        if not include_initial:
            return y
        first = tuple(1 if k == axis else n for k, n in enumerate(shape_of(x)))
        return np.concatenate([np.full_like(y, neutral, shape=first), y], axis=axis)
    return call


compose(np.cumulative_sum, _cumulative(np.cumsum, "np.cumulative_sum", 0), kind=LINEAR, cases=[
    Case((4,)), Case((2, 3), axis=0), Case((2, 3), axis=-1, include_initial=True)])
compose(np.cumulative_prod, _cumulative(np.cumprod, "np.cumulative_prod", 1), cases=[
    Case((4,)), Case((2, 3), axis=0), Case((2, 3), axis=-1, include_initial=True)])

# Differences and slopes


def _ends(ary, to_end=None, to_begin=None):
    ary = np.ravel(ary)
    parts = [to_begin, ary[1:] - ary[:-1], to_end]
    for k, name in (0, "to_begin"), (2, "to_end"):
        if parts[k] is not None:
            parts[k] = np.ravel(as_array(parts[k]))
            if not np.can_cast(parts[k].dtype, ary.dtype, "same_kind"):
                raise TypeError(f"np.ediff1d: {name} is {parts[k].dtype}, which does not fit into "
                                f"{ary.dtype}")
            parts[k] = parts[k].astype(ary.dtype)
    return np.concatenate([part for part in parts if part is not None])


def _gradient(f, *varargs, axis=None, edge_order=1):
    """A slope for each axis: central differences inside, one-sided ones at the ends."""
    f = as_array(f)
    f = f if f.dtype.kind in "fO" else f.astype(float)
    axes = tuple(range(ndim_of(f))) if axis is None else normalize_axis_tuple(axis, ndim_of(f))
    if not varargs:
        varargs = (1.0,)
    if len(varargs) == 1 and not ndim_of(varargs[0]):
        varargs *= len(axes)
    if len(varargs) != len(axes):
        raise TypeError(f"np.gradient: {len(varargs)} spacings for {len(axes)} axes")
    if edge_order > 2:
        raise ValueError(f"np.gradient: edge_order={edge_order}; expected 1 or 2")
    slopes = [in_dtype_of(f, _slope(f, spacing, k, edge_order))
              for spacing, k in zip(varargs, axes)]
    return slopes[0] if len(axes) == 1 else tuple(slopes)


def _slope(f, spacing, axis, edge_order):
    n, size = ndim_of(f), shape_of(f)[axis]
    if size < edge_order + 1:
        raise ValueError(f"np.gradient: {size} entries along axis {axis} are too few for "
                         f"edge_order={edge_order}")

    def part(x, start, stop):
        return x[along(axis, slice(start, stop), n)]

    if not ndim_of(spacing):
        h = spacing
        first, last = (part(f, 1, 2) - part(f, 0, 1)) / h, (part(f, -1, None) - part(f, -2, -1)) / h
        inside = (part(f, 2, None) - part(f, None, -2)) / (2 * h)
        if edge_order == 2:
            first = 2 * first - part(inside, 0, 1)
            last = 2 * last - part(inside, -1, None)
        return np.concatenate([first, inside, last], axis=axis)
    h = in_dtype_of(f, np.diff(as_array(spacing)))
    if shape_of(h) != (size - 1,):
        raise ValueError(f"np.gradient: positions of shape {shape_of(spacing)} for {size} entries")
    h = np.reshape(h, tuple(-1 if k == axis else 1 for k in range(n)))
    pieces = (part(f, 1, None) - part(f, None, -1)) / h
    h, later = part(h, None, -1), part(h, 1, None)
    left, right = part(pieces, None, -1), part(pieces, 1, None)
    inside = later / (h + later) * left + h / (h + later) * right
    first, last = part(pieces, 0, 1), part(pieces, -1, None)
    if edge_order == 2:
        bend = (right - left) / (h + later)
        first = first - part(h, 0, 1) * part(bend, 0, 1)
        last = last + part(later, -1, None) * part(bend, -1, None)
    return np.concatenate([first, inside, last], axis=axis)


def _unwrap(p, discont=None, axis=-1, *, period=2 * np.pi):
    """y_k = p_k - period times the number of turns before k, which is constant almost everywhere"""
    p, n = as_array(p), ndim_of(p)
    steps = np.diff(p, axis=axis)
    half = period / 2
    turns = np.floor_divide(steps + half, period)
    # A jump of half a turn upwards stays upwards.
    turns = turns - ((turns * period - half == steps) & (steps > 0))
    turns = np.where(np.abs(steps) < (half if discont is None else discont), 0, turns)
    shift = period * np.cumsum(turns, axis=axis)
    first = along(axis, slice(0, 1), n)
    rest = p[along(axis, slice(1, None), n)] - shift
    return np.concatenate([p[first].astype(rest.dtype), rest], axis=axis)


def _shifted(sign):
    def call(x, axes=None):
        axes = tuple(range(ndim_of(x))) if axes is None else axes
        if isinstance(axes, (int, np.integer)):
            return np.roll(x, sign * (shape_of(x)[axes] // 2), axes)
        return np.roll(x, [sign * (shape_of(x)[k] // 2) for k in axes], axes)
    return call


compose(np.ediff1d, _ends, kind=LINEAR, cases=[
    Case((4,)), Case((2, 2), (2,), (), call=lambda x, end, begin: np.ediff1d(x, end, begin))])
compose(np.gradient, _gradient, cases=[
    Case((4,)), Case((3, 4), axis=0), Case((5,), edge_order=2),
    Case((2, 3), call=lambda f: np.gradient(f, 0.5, axis=1)),
    Case((3, 3), call=lambda f: np.gradient(f, 0.5, [0.0, 1.0, 3.0])[1]),
    Case((4,), (), domain=(None, "positive"), scales=FOURTH),
    Case((5,), (5,), edge_order=2, scales=FOURTH)])
compose(np.unwrap, _unwrap, kind=KINKED, cases=[
    Case((4,)), Case((2, 3), axis=0, period=1.5), Case((5,), discont=2.0, period=1.0)],
    kinks=[Kink(([0.0, 1.0],), ([[1.0, 0.0], [0.0, 1.0]],),
                "jumps by whole periods: 1 on both sides", {"period": 2.0})])
compose(np.fft.fftshift, _shifted(1), kind=LINEAR, cases=[Case((5,)), Case((3, 4), axes=1)])
compose(np.fft.ifftshift, _shifted(-1), kind=LINEAR, cases=[Case((5,)), Case((3, 4), axes=(1,))])

# Interpolation


def _interp(x, xp, fp, left=None, right=None, period=None):
    """y = (1 - c) f_j + c f_(j+1)  with  c = (x - x_j) / (x_(j+1) - x_j)"""
    x, xp, fp = (np.astype(as_array(a), float) for a in (x, xp, fp))
    if ndim_of(xp) != 1 or shape_of(xp) != shape_of(fp) or not shape_of(xp)[0]:
        raise ValueError(f"np.interp: xp has shape {shape_of(xp)} and fp {shape_of(fp)}; expected "
                         f"one axis of the same length, 1 or more")
    if period is not None:
        if period == 0:
            raise ValueError("np.interp: period=0")
        period = abs(period)
        left = right = None
        x, xp = x % period, xp % period
        order = np.argsort(xp)
        xp, fp = at(xp, order), at(fp, order)
        xp = np.concatenate([xp[-1:] - period, xp, xp[:1] + period])
        fp = np.concatenate([fp[-1:], fp, fp[:1]])
    elif is_certain(np.any(xp[1:] < xp[:-1])):
        raise ValueError("np.interp: xp= falls; expected sorted positions")
    last = shape_of(xp)[0] - 1
    j = np.searchsorted(xp, x, "right") - 1
    between = (j >= 0) & (j < last)
    low = np.clip(j, 0, max(last - 1, 0))
    high = np.minimum(low + 1, last)
    c = (x - at(xp, low)) / np.where(between, at(xp, high) - at(xp, low), 1)
    y = np.where(between, (1 - c) * at(fp, low) + c * at(fp, high), at(fp, np.clip(j, 0, last)))
    y = np.where(x < xp[0], y if left is None else left, y)
    y = np.where(x > xp[-1], y if right is None else right, y)
    return as_number(np.where(np.isnan(x), x, y))


compose(np.interp, _interp, kind=KINKED, cases=[
    Case((5,), (4,), call=lambda x, f: np.interp(x, np.array([-2.0, -0.25, 0.5, 3.0]), f)),
    Case((3,), call=lambda f: np.interp([[-1.5, 0.3], [0.5, 2.0]], [-1.0, 0.0, 1.0], f)),
    Case((), (3,), call=lambda x, xp: np.interp(
        x, np.cumsum(np.abs(xp)), [1.0, -1.0, 2.0], left=0.5)),
    Case((4,), (3,), call=lambda x, f: np.interp(x, [0.0, 0.5, 1.0], f, period=1.75))],
    kinks=[Kink((x, [0.0, 1.0, 3.0], [0.0, 2.0, 3.0]), slopes,
                "the slope of the piece that begins there")
           for x, slopes in [(1.0, (0.5, [0.0, -0.5, 0.0], [0.0, 1.0, 0.0])),
                             (3.0, (0.0, [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]))]])
