"""Taking entries by position: where NumPy can rearrange an array of positions, we index with it.

All linear but the sort; none needs a rule of its own.
"""

import operator

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..cases import Case, Fixed, Kink
from ..errors import NoRule
from ..primitive import KINKED, LINEAR, compose, ndim_of, shape_of
from .arguments import as_array
from .shape import along, at, scatter_add


def positions_along(a, axis, rearranged):
    """Entries of `a` along an axis (None: of the flattened array) at the positions
    ``rearranged(0, 1, 2, ...)``."""
    a, axis = _flat(a, axis)
    return at(a, along(axis, rearranged(np.arange(shape_of(a)[axis])), ndim_of(a)))


def _flat(a, axis):
    """The array and the axis to work along: flattened for None, or where it has no axes."""
    if axis is None or not ndim_of(a) and operator.index(axis) in (0, -1):
        return np.ravel(a), 0
    return a, normalize_axis_index(axis, ndim_of(a))


def _flip(m, axis=None):
    axes = range(ndim_of(m)) if axis is None else normalize_axis_tuple(axis, ndim_of(m))
    return m[tuple(slice(None, None, -1) if k in axes else slice(None) for k in range(ndim_of(m)))]


def _roll(a, shift, axis=None):
    if axis is None:
        return np.reshape(_roll(np.ravel(a), shift, 0), shape_of(a))
    pairs = np.broadcast(shift, normalize_axis_tuple(axis, ndim_of(a), allow_duplicate=True))
    if pairs.ndim > 1:
        raise ValueError("np.roll: shift and axis should be numbers or lists of numbers")
    if not pairs.size:
        return np.copy(a)
    for s, k in pairs:
        a = positions_along(a, k, lambda p, s=s: np.roll(p, s))
    return a


def _rotated(m, k=1, axes=(0, 1)):
    first, second = normalize_axis_tuple(axes, ndim_of(m))
    if k % 4 == 0:
        return m[...]
    if k % 4 == 2:
        return _flip(m, axes)
    return (np.swapaxes(_flip(m, second), first, second) if k % 4 == 1
            else _flip(np.swapaxes(m, first, second), second))


def _tile(A, reps):
    reps = tuple(np.atleast_1d(reps))
    shape = (1,) * (len(reps) - ndim_of(A)) + shape_of(A)
    reps = (1,) * (len(shape) - len(reps)) + reps
    spread = np.broadcast_to(np.reshape(A, tuple(m for n in shape for m in (1, n))),
                             tuple(m for r, n in zip(reps, shape) for m in (r, n)))
    return np.reshape(np.copy(spread), tuple(r * n for r, n in zip(reps, shape)))


def _take(a, indices, axis=None, *, mode="raise"):
    a, axis = _flat(a, axis)
    n = shape_of(a)[axis]
    mode = {0: "clip", 1: "wrap", 2: "raise"}.get(mode, mode)  # NumPy's numbers for them
    if mode not in ("raise", "wrap", "clip"):
        np.take([0], [0], mode=mode)  # raises NumPy's own errors
    indices = np.asarray(indices)
    if indices.dtype == bool or not indices.size:
        indices = indices.astype(int)
    if mode == "wrap":
        indices = indices % n
    elif mode == "clip":
        indices = np.clip(indices, 0, n - 1)
    return at(a, along(axis, indices, ndim_of(a)))


def _take_along_axis(arr, indices, axis=-1):
    if axis is None:
        arr, axis = np.ravel(arr), 0
    axis = normalize_axis_index(axis, ndim_of(arr))
    if ndim_of(indices) != ndim_of(arr):
        raise ValueError(f"np.take_along_axis: indices of shape {shape_of(indices)} for an array "
                         f"of shape {shape_of(arr)}; expected as many axes")
    grid = [np.reshape(np.arange(n), tuple(n if j == k else 1 for j in range(ndim_of(arr))))
            for k, n in enumerate(shape_of(arr))]
    grid[axis] = indices
    return at(arr, tuple(grid))


#: The modes of np.pad that take entries by position, or constants.
PADDINGS = ("constant", "edge", "reflect", "symmetric", "wrap")


def pairs_of(array, pad_width):
    """np.pad's widths as an array of pairs, one for each axis."""
    n = ndim_of(array)
    pairs = np.asarray(_by_axis(pad_width, n) if isinstance(pad_width, dict) else pad_width)
    if pairs.dtype.kind not in "iu" and pairs.size or (pairs < 0).any():
        raise TypeError(f"np.pad: pad_width={pad_width!r}; expected integers from 0 on")
    return np.broadcast_to(pairs, (n, 2))


def pad_by_position(array, widths, mode, constant_values=0, reflect_type="even"):
    """np.pad for modes that add constants or entries of the array."""
    if mode == "constant":
        return _surrounded(array, widths, constant_values)
    if reflect_type != "even":
        raise NoRule("np.pad", f"with reflect_type={reflect_type!r}")
    for k, width in enumerate(widths.tolist()):
        array = positions_along(array, k, lambda p, w=width: np.pad(p, w, mode))
    return array if ndim_of(array) else np.copy(array)


def _by_axis(sides, n):
    """np.pad's widths as a dict, with the axes as keys: the pairs of all axes."""
    widths = [(0, 0)] * n
    for k, width in sides.items():
        widths[k] = width if type(width) is tuple else (width, width)
    return widths


def _surrounded(array, widths, constants):
    """The array in its place, and around it the constant of the last axis that reaches there."""
    n, shape, pairs = ndim_of(array), shape_of(array), widths.tolist()
    inside = tuple(slice(before, before + m) for m, (before, _) in zip(shape, pairs))
    placed = scatter_add(array, index=inside, shape=tuple(
        before + m + after for m, (before, after) in zip(shape, pairs)))
    if type(constants) in (int, float) and constants == 0 or not n:
        return placed
    constants = np.ravel(np.broadcast_to(as_array(constants).astype(array.dtype), (n, 2)))
    numbers = np.arange(1, 2 * n + 1).reshape(n, 2)
    which = np.pad(np.zeros(shape, int), widths, constant_values=numbers)
    return placed + np.append(np.zeros(1, array.dtype), constants)[which]


def _sort(a, axis=-1, kind=None, order=None, *, stable=None):
    if axis is None:
        a, axis = np.ravel(a), 0
    np.sort(np.empty(0), kind=kind, order=order, stable=stable)  # raises NumPy's own errors
    return np.take_along_axis(a, np.argsort(a, axis=axis, kind="stable"), axis=axis)


compose(np.flip, _flip, cases=[Case((2, 3)), Case((2, 3), axis=-1)], kind=LINEAR)
compose(np.flipud, lambda m: _flip(m, 0), cases=[Case((2, 3))], kind=LINEAR)
compose(np.fliplr, lambda m: _flip(m, 1), cases=[Case((2, 3))], kind=LINEAR)
compose(np.roll, _roll, cases=[Case((2, 3), shift=2), Case((2, 3), shift=(1, 2), axis=(0, 1))],
        kind=LINEAR)
compose(np.rot90, _rotated, cases=[Case((2, 3)), Case((2, 3), k=3), Case((2, 3), k=2)], kind=LINEAR)
compose(np.tile, _tile,
        cases=[Case((2, 3), reps=(2, 1, 2)), Case((3,), reps=2), Case((2, 3), reps=2)], kind=LINEAR)
compose(np.repeat,
        lambda a, repeats, axis=None: positions_along(a, axis, lambda p: np.repeat(p, repeats)),
        cases=[Case((2, 3), repeats=2), Case((3,), repeats=np.array([0, 2, 1]), axis=0)],
        kind=LINEAR)
compose(np.take, _take,
        cases=[Case((3, 4), indices=[[0, 2], [2, 2]], axis=1), Case((3, 4), indices=5),
               Case((3,), indices=[5, -4], mode="wrap")], kind=LINEAR)
compose(np.take_along_axis, _take_along_axis,
        cases=[Case((3, 4), indices=np.array([[0, 0], [1, 2], [3, 0]]), axis=1)], kind=LINEAR)
compose(np.sort, _sort,
        cases=[Case((3, 4)), Case((3, 4), axis=0), Case((2, 3), axis=None)], kind=KINKED,
        kinks=[Kink(([2.0, 1.0, 1.0],), ([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]],),
                    "equal entries keep their order")])
compose(np.delete, lambda arr, obj, axis=None: positions_along(
    arr, axis if axis is None else normalize_axis_index(axis, ndim_of(arr)),
    lambda p: np.delete(p, obj)),
    cases=[Case((2, 3), obj=1, axis=1), Case((2, 3), obj=[0, 4])], kind=LINEAR)
compose(np.compress, lambda condition, a, axis=None: positions_along(
    a, axis, lambda p: np.compress(condition, p)),
        cases=[Case(Fixed(np.array([True, False, True])), (2, 3), axis=1)], kind=LINEAR)
compose(np.extract, lambda condition, arr: np.compress(np.ravel(condition), arr),
        cases=[Case(Fixed(np.array([[True, False], [False, True]])), (2, 2))], kind=LINEAR)


def _diagonal(a, offset=0, axis1=0, axis2=1):
    a = np.moveaxis(a, (axis1, axis2), (-2, -1))
    rows = np.arange(shape_of(np.diagonal(np.empty(shape_of(a)[-2:]), offset))[0])
    return a[..., rows + max(0, -offset), rows + max(0, offset)]


def _diag(v, k=0):
    if ndim_of(v) == 2:
        return np.diagonal(v, k)
    if ndim_of(v) != 1:
        raise ValueError(f"np.diag: an array with {ndim_of(v)} axes; expected one or two")
    n = shape_of(v)[0]
    return scatter_add(v, index=(np.arange(n) + max(0, -k), np.arange(n) + max(0, k)),
                       shape=(n + abs(k),) * 2)


compose(np.diagonal, _diagonal,
        cases=[Case((3, 4)), Case((3, 4), offset=-1), Case((2, 3, 3), axis1=1, axis2=2)],
        kind=LINEAR, shows=True)
compose(np.diag, _diag, cases=[Case((3,)), Case((2,), k=-1), Case((3, 4), k=1)], kind=LINEAR)
compose(np.diagflat, lambda v, k=0: _diag(np.ravel(v), k), cases=[Case((2, 2))], kind=LINEAR)
compose(np.tril, lambda m, k=0: np.where(np.tri(*shape_of(m)[-2:], k=k, dtype=bool), m, 0),
        cases=[Case((3, 4)), Case((2, 3, 3), k=-1)], kind=LINEAR)
compose(np.triu, lambda m, k=0: np.where(np.tri(*shape_of(m)[-2:], k=k - 1, dtype=bool), 0, m),
        cases=[Case((3, 4)), Case((2, 3, 3), k=1)], kind=LINEAR)


def _difference(a, n=1, axis=-1, prepend=np._NoValue, append=np._NoValue):
    if n < 0 or not ndim_of(a):
        raise ValueError(f"np.diff: n={n} differences of an array with {ndim_of(a)} axes")
    if n == 0:
        return a
    axis = normalize_axis_index(axis, ndim_of(a))
    ends = [x if x is np._NoValue or ndim_of(x) else
            np.broadcast_to(x, tuple(1 if k == axis else m for k, m in enumerate(shape_of(a))))
            for x in (prepend, append)]
    if any(x is not np._NoValue for x in ends):
        a = np.concatenate([x for x in (ends[0], a, ends[1]) if x is not np._NoValue], axis=axis)
    for _ in range(n):
        a = a[along(axis, slice(1, None), ndim_of(a))] - a[along(axis, slice(None, -1), ndim_of(a))]
    return a


def _trapezoid(y, x=None, dx=1.0, axis=-1):
    """Each interval times the mean of its two ends."""
    y, n = as_array(y), ndim_of(y)
    ends = (y[along(axis, slice(1, None), n)] + y[along(axis, slice(None, -1), n)]) / 2
    if x is None:
        return np.sum(dx * ends, axis=axis)
    widths = np.diff(x, axis=axis if ndim_of(x) > 1 else -1)
    if ndim_of(x) == 1:
        widths = np.reshape(widths, tuple(-1 if k == normalize_axis_index(axis, n) else 1
                                          for k in range(n)))
    return np.sum(widths * ends, axis=axis)


compose(np.diff, _difference, cases=[Case((2, 4)), Case((4, 2), n=2, axis=0)], kind=LINEAR)
compose(np.trapezoid, _trapezoid,
        cases=[Case((2, 4)), Case((4, 2), (4,), axis=0), Case((3,), dx=0.5)])
