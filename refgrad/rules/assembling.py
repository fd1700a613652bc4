"""Arrays put together from parts: inserted, repeated, nested, chosen, slice by slice, padded."""

import collections.abc

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..cases import Case, Kink
from ..errors import NoRule
from ..primitive import KINKED, LINEAR, compose, ndim_of, shape_of
from .arguments import as_array, given
from .positions import PADDINGS, pad_by_position, pairs_of
from .shape import along, at, setitem


def _insert(arr, obj, values, axis=None):
    """NumPy inserts into an array of positions, and these index the concatenation of both
    arrays."""
    arr, values = as_array(arr), as_array(values).astype(as_array(arr).dtype)
    positions = np.arange(np.size(arr)).reshape(shape_of(arr))
    new = np.arange(np.size(values)).reshape(shape_of(values)) + np.size(arr)
    return at(np.append(arr, values), np.insert(positions, obj, new, axis))


def _resize(a, new_shape):
    """The entries, repeated as often as needed; zeros if there are none."""
    positions = np.resize(np.arange(np.size(a)), new_shape)
    if not np.size(a):
        return np.zeros_like(a, shape=positions.shape)
    return np.reshape(at(np.ravel(a), positions.ravel()), positions.shape)


def _block(arrays):
    """Lists in lists: the innermost are joined along the last axis, those around them before it."""
    depth, most = _depth(arrays), _most_axes(arrays)
    return _joined(arrays, depth, max(depth, most))


def _depth(part):
    if type(part) is tuple:
        raise TypeError("np.block: arrays= has a tuple in it; expected lists")
    if type(part) is not list:
        return 0
    depths = {_depth(p) for p in part}
    if len(depths) != 1:
        raise ValueError("np.block: arrays= has lists of different depths, or an empty one")
    return 1 + depths.pop()


def _most_axes(part):
    return max(map(_most_axes, part)) if type(part) is list else ndim_of(part)


def _joined(part, depth, axes):
    if type(part) is list:
        return np.concatenate([_joined(p, depth - 1, axes) for p in part], axis=-depth)
    part = as_array(part)
    return np.copy(np.reshape(part, (1,) * (axes - ndim_of(part)) + shape_of(part)))


def _choose(a, choices, *, mode="raise"):
    """y_i = the entry i of the choice of number a_i"""
    choices = [np.asarray(c) if isinstance(c, (list, tuple)) else c for c in choices]
    dtype = np.result_type(*(getattr(c, "dtype", c) for c in choices))
    choices = [as_array(c).astype(dtype) for c in choices]
    shape = np.broadcast_shapes(shape_of(a), *map(shape_of, choices))
    number = np.choose(a, range(len(choices)), mode=mode)  # raises NumPy's own errors
    stacked = np.stack([np.broadcast_to(c, shape) for c in choices])
    places = np.ix_(*map(np.arange, shape))
    return at(stacked, (np.broadcast_to(number, shape), *places))


def _piecewise(x, condlist, funclist, *args, **kw):
    """Each function of the entries for which its condition holds, the last that does."""
    x = as_array(x)
    if np.isscalar(condlist) or ndim_of(x) and not ndim_of(condlist[0]):
        condlist = [condlist]
    condlist = [np.asarray(c, bool) for c in condlist]
    if len(condlist) == len(funclist) - 1:
        condlist.append(~np.any(condlist, axis=0))
    if len(condlist) != len(funclist):
        raise ValueError(f"np.piecewise: {len(condlist)} conditions for {len(funclist)} functions")
    y = np.zeros_like(x)
    for condition, function in zip(condlist, funclist):
        if not isinstance(function, collections.abc.Callable):
            y = setitem(y, function, index=condition)
        elif condition.any():
            y = setitem(y, function(x[condition], *args, **kw), index=condition)
    return y


def _along_axis(func1d, axis, arr, *args, **kwargs):
    """The results of the function replace the axis."""
    axis = normalize_axis_index(axis, ndim_of(arr))
    moved = np.moveaxis(arr, axis, -1)
    around = shape_of(moved)[:-1]
    if 0 in around:
        raise ValueError("np.apply_along_axis: arr= has no entries along the other axes")
    results = [as_array(func1d(moved[i], *args, **kwargs)) for i in np.ndindex(around)]
    y, k = np.stack(results), ndim_of(results[0])
    y = np.reshape(y, around + shape_of(y)[1:])
    return np.moveaxis(y, range(len(around), len(around) + k), range(axis, axis + k))


def _over_axes(func, a, axes):
    n = ndim_of(a)
    for axis in np.atleast_1d(axes).tolist():
        y = func(a, axis + n if axis < 0 else axis)
        a = y if ndim_of(y) == n else np.expand_dims(y, axis)
        if ndim_of(a) != n:
            raise ValueError(f"np.apply_over_axes: func gives shape {shape_of(y)} of {n} axes")
    return a


_conditions = [np.array([True, False, False]), np.array([False, True, False])]
compose(np.insert, _insert, kind=LINEAR, cases=[
    Case((4,), obj=1, values=2.0), Case((2, 3), (2,), call=lambda a, v: np.insert(a, 1, v, axis=1)),
    Case((3,), (2,), call=lambda a, v: np.insert(a, [0, 2], v))])
compose(np.resize, _resize, kind=LINEAR,
        cases=[Case((2, 3), new_shape=(2, 4)), Case((3,), new_shape=2)])
compose(np.block, _block, kind=LINEAR, cases=[
    Case((2, 2), (2, 1), call=lambda a, b: np.block([[a, b], [b.T, 1.0]])),
    Case((2,), (3,), call=lambda a, b: np.block([a, b])), Case((2,), call=lambda a: np.block(a))])
compose(np.choose, _choose, kind=LINEAR, cases=[
    Case((3,), (3,), call=lambda a, b: np.choose(np.array([1, 0, 1]), [a, b])),
    Case((2, 1), call=lambda a: np.choose(np.array([0, 3, -1]), [a, 1.5], mode="clip"))])
compose(np.piecewise, _piecewise, cases=[
    Case((3,), call=lambda x: np.piecewise(x, _conditions, [np.sin, 2.0, np.exp])),
    Case((3,), call=lambda x: np.piecewise(x, _conditions[0], [lambda t: t * t, lambda t: 2 * t]))])
compose(np.apply_along_axis, _along_axis, cases=[
    Case((3, 4), call=lambda x: np.apply_along_axis(lambda t: np.sum(t * t), 0, x)),
    Case((2, 3), call=lambda x: np.apply_along_axis(lambda t: np.outer(t, t), 1, x))])
compose(np.apply_over_axes, _over_axes, kind=LINEAR, cases=[
    Case((2, 3, 2), call=lambda x: np.apply_over_axes(np.sum, x, [0, -1]))])

# Padding

_STATISTICS = {"mean": np.mean, "median": np.median, "maximum": np.max, "minimum": np.min}


def _pad(array, pad_width, mode="constant", *, constant_values=np._NoValue,
         reflect_type=np._NoValue, end_values=np._NoValue, stat_length=np._NoValue):
    options = {"constant_values": constant_values, "reflect_type": reflect_type,
               "end_values": end_values, "stat_length": stat_length}
    options = {k: v for k, v in options.items() if given(v)}
    widths = pairs_of(array, pad_width)
    # raises NumPy's own errors:
    np.pad(np.ones(1), 0, mode, **{k: None if k == "stat_length" else 0 for k in options})
    if mode in PADDINGS:
        return pad_by_position(array, widths, mode, **options)
    if mode != "linear_ramp" and mode not in _STATISTICS:
        raise NoRule("np.pad", f"with mode={mode!r}")
    n = ndim_of(array)
    values = np.broadcast_to(as_array(options.get("end_values", 0)).astype(array.dtype), (n, 2))
    lengths = options.get("stat_length")
    lengths = np.broadcast_to(np.asarray(lengths, object), (n, 2)).tolist()
    for k, width in enumerate(widths.tolist()):
        if not shape_of(array)[k] and any(width):
            raise ValueError(f"np.pad: axis {k} has no entries, with mode={mode!r}")
        array = (_ramps(array, k, width, values[k]) if mode == "linear_ramp"
                 else _statistics(array, k, width, _STATISTICS[mode], lengths[k]))
    return array if n else np.copy(array)


def _ramps(array, axis, width, ends):
    """Evenly spaced numbers between the end value and the edge, as many as the padding is wide."""
    first, last = (array[along(axis, k, ndim_of(array))] for k in (0, -1))
    left, right = (np.linspace(end, edge, num, endpoint=False, dtype=array.dtype, axis=axis)
                   for end, edge, num in zip(ends, (first, last), width))
    return np.concatenate([left, array, np.flip(right, axis)], axis=axis)


def _statistics(array, axis, width, function, lengths):
    """On each side a statistic of the entries next to it, or of all."""
    n, size, sides = ndim_of(array), shape_of(array)[axis], []
    for k, (w, length) in enumerate(zip(width, lengths)):
        length = size if length is None else min(length, size)
        if length <= 0 and function in (np.max, np.min):
            raise ValueError(f"np.pad: stat_length={length} yields no value")
        part = slice(size - length, None) if k else slice(None, length)
        y = function(array[along(axis, part, n)], axis=axis, keepdims=True)
        sides.append(np.repeat(y, w, axis=axis))
    return np.concatenate([sides[0], array, sides[1]], axis=axis)


compose(np.pad, _pad, cases=[
    Case((2, 3), pad_width=((1, 0), (0, 2))), Case((3,), pad_width=1, constant_values=2.0),
    Case((2, 3), (2,), call=lambda a, c: np.pad(a, 1, constant_values=c)),
    Case((4,), pad_width=2, mode="reflect"), Case((2, 3), pad_width=1, mode="edge"),
    Case((3,), pad_width=2, mode="linear_ramp", end_values=1.5),
    Case((2, 3), pad_width=1, mode="mean"), Case((2, 3), pad_width=1, mode="maximum"),
    Case((4,), pad_width=(1, 2), mode="mean", stat_length=(2, 3)),
    Case((4,), pad_width=1, mode="minimum", stat_length=2),
    Case((5,), pad_width=1, mode="median")],
    kind=KINKED, kinks=[Kink(
        ([1.0, 1.0],), ([[0.5, 0.5], [1.0, 0.0], [0.0, 1.0], [0.5, 0.5]],),
        "a tie for the maximum is shared evenly", {"pad_width": 1, "mode": "maximum"})])
