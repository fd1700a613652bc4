"""Windows that slide along the last axes, and their adjoint; sums over intervals of an axis.

    windows      y[..., o, j] = x[..., stride o + dilation j]
    overlap_add  x[..., t] = the sum of all w[..., o, j] with stride o + dilation j = t

for k axes at once, with k-tuples o, j and t.  Both are linear, and as
<g, windows dx> is the sum of g[..., o, j] dx[..., stride o + dilation j], each is the other's
adjoint.  Unfolding an image is `windows`, folding it is `overlap_add`.
"""

import functools
import itertools
import math

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ..cases import Case
from ..errors import NoRule
from ..primitive import LINEAR, compose, declare, ndim_of, widened
from .shape import scatter_add


def extent(size, dilation):
    """How many entries a window spans, from its first to its last."""
    return dilation * (size - 1) + 1


def _windows(x, *, size, stride, dilation):
    """NumPy's windows of the whole extent; the strides then skip what lies between."""
    axes = tuple(range(-len(size), 0))
    y = np.lib.stride_tricks.sliding_window_view(x, tuple(map(extent, size, dilation)), axes)
    return y[(..., *(slice(None, None, s) for s in (*stride, *dilation)))]


def add_windows(x, y, stride, dilation):
    """Add windows to the last axes of a plain array, all windows' entries j at once."""
    k = len(stride)
    for index, j in _reached(y.shape[-2 * k:-k], y.shape[-k:], stride, dilation):
        part = x[index]
        np.add(part, y[j], out=part)


@functools.lru_cache(256)
def _reached(out, size, stride, dilation):
    """For each entry of the windows an index of the entries of x that it meets, and its own."""
    reached = [[slice(d * i, d * i + s * (n - 1) + 1, s) for i in range(m)]
               for d, m, s, n in zip(dilation, size, stride, out)]
    return [((..., *index), (..., *j)) for index, j in zip(
        itertools.product(*reached), itertools.product(*map(range, size)))]


def _overlap_add(w, *, shape, stride, dilation):
    k = len(shape)
    x = np.zeros((*w.shape[:-2 * k], *shape), w.dtype)
    if w.size:
        add_windows(x, w, stride, dilation)
    return x


def _positions(shape, size, stride, dilation):
    """Where the entries of windows stand in the flattened axes."""
    whole = np.arange(math.prod(shape)).reshape(shape)
    return _windows(whole, size=size, stride=stride, dilation=dilation)


def _gathered(x, *, size, stride, dilation):
    """The windows as a formula: entries of the flattened axes, at their positions."""
    lead, shape = x.shape[:-len(size)], x.shape[-len(size):]
    flat = np.reshape(x, (*lead, math.prod(shape)))
    return flat[(..., _positions(shape, size, stride, dilation))]


def _scattered(w, *, shape, stride, dilation):
    """The same as a formula: each entry is added to its position in the flattened axes."""
    k = len(shape)
    lead, n = w.shape[:-2 * k], math.prod(shape)
    positions = _positions(shape, w.shape[-k:], stride, dilation)
    x = scatter_add(w, index=(..., positions), shape=(*lead, n))
    return np.reshape(x, (*lead, *shape))


windows = declare(
    None, """y[.., o, j] = x[.., stride o + dilation j], a read-only view
    <g, windows dx> = <overlap_add g, dx>""",
    name="windows", kind=LINEAR, forward=_windows, formula=_gathered, stacked=True,
    vjp=(lambda g, x_shape, size, stride, dilation: overlap_add(
        g, shape=x_shape[-len(size):], stride=stride, dilation=dilation),),
    view=lambda params: (lambda x: windows(x, **params), None),
    cases=[Case((7,), size=(3,), stride=(2,), dilation=(1,)),
           Case((2, 6), size=(2,), stride=(1,), dilation=(3,)),
           Case((4, 5), size=(2, 3), stride=(2, 1), dilation=(1, 1)),
           Case((2, 1, 2), size=(1, 1), stride=(1, 3), dilation=(2, 1)),
           Case((0, 3), size=(2,), stride=(1,), dilation=(1,))])

overlap_add = declare(
    None, """x[.., t] = the sum of w[.., o, j] over all o, j with stride o + dilation j = t
    <g, overlap_add dw> = <windows g, dy>""",
    name="overlap_add", kind=LINEAR, forward=_overlap_add, formula=_scattered, stacked=True,
    fresh=True, vjp=(lambda g, w_shape, shape, stride, dilation: windows(
        g, size=w_shape[-len(shape):], stride=stride, dilation=dilation),),
    cases=[Case((3, 3), shape=(7,), stride=(2,), dilation=(1,)),
           Case((2, 3, 2), shape=(6,), stride=(1,), dilation=(3,)),
           Case((2, 2, 2, 3), shape=(5, 4), stride=(2, 1), dilation=(1, 1)),
           Case((0, 2, 2), shape=(3,), stride=(1,), dilation=(1,))])


def _sliding(x, window_shape, axis=None, *, subok=False, writeable=False):
    """One axis after the other; the windows of each become a new last axis."""
    if writeable:
        raise NoRule("np.lib.stride_tricks.sliding_window_view", "with writeable=True")
    sizes = tuple(np.atleast_1d(window_shape).tolist())
    axes = tuple(range(ndim_of(x))) if axis is None else normalize_axis_tuple(
        axis, ndim_of(x), allow_duplicate=True)
    if len(sizes) != len(axes):
        raise ValueError(f"np.lib.stride_tricks.sliding_window_view: window_shape={window_shape!r} "
                         f"has {len(sizes)} sizes for {len(axes)} axes")
    for axis, size in zip(axes, sizes):
        y = windows(np.moveaxis(x, axis, -1), size=(size,), stride=(1,), dilation=(1,))
        x = np.moveaxis(y, -2, axis)
    return x


compose(np.lib.stride_tricks.sliding_window_view, _sliding, kind=LINEAR,
        cases=[Case((5,), window_shape=3), Case((3, 4), window_shape=(2, 2)),
               Case((2, 4), window_shape=2, axis=-1),
               Case((4, 2), window_shape=(2, 2), axis=(0, 0))])


# Sums over intervals


def evenly(positions):
    """Positions as a slice if they are evenly spaced."""
    if not len(positions):
        return slice(0)
    first, last, step = positions[0], positions[-1], positions[-1] - positions[-2:][0] or 1
    is_even = step > 0 and np.array_equal(positions, np.arange(first, last + 1, step))
    return slice(int(first), int(last) + 1, int(step)) if is_even else positions


def taken(x, positions, axis):
    """Entries of a plain array along an axis, counted from the end: a view where possible."""
    index = evenly(positions)
    if type(index) is slice:
        return x[(..., index, *[slice(None)] * (-1 - axis))]
    return np.take(x, index, axis)


def _interval_sums(x, *, starts, stops, axis):
    """Interval by interval, or all their first entries, all their second ones, and so on."""
    dtype, x, lengths = x.dtype, widened(x), stops - starts
    if np.max(stops, initial=0) > x.shape[axis]:
        raise ValueError(f"interval_sums: stops up to {np.max(stops)} along an axis of "
                         f"{x.shape[axis]} entries")
    rest = [slice(None)] * (-1 - axis)
    shape = list(x.shape)
    shape[axis] = len(starts)
    y = np.zeros(shape, x.dtype)
    if len(starts) < np.max(lengths, initial=0):
        for i, (a, b) in enumerate(zip(starts.tolist(), stops.tolist())):
            y[(..., i, *rest)] = np.add.reduce(x[(..., slice(a, b), *rest)], axis)
    else:
        for j in range(np.max(lengths, initial=0)):
            has, = np.nonzero(j < lengths)
            y[(..., evenly(has), *rest)] += taken(x, starts[has] + j, axis)
    return y.astype(dtype, copy=False)


def _membership(x, *, starts, stops, axis):
    """The same as a product with a matrix of zeros and ones."""
    t = np.arange(x.shape[axis])
    A = (starts <= t[:, None]) & (t[:, None] < stops)
    return np.moveaxis(np.matmul(np.moveaxis(x, axis, -1), A.astype(float)), -1, axis)


def _containing(g, x_shape, starts, stops, axis):
    """The intervals that contain an entry follow each other, as the entries of an interval do."""
    t = np.arange(x_shape[axis])
    return interval_sums(g, starts=np.searchsorted(stops, t, "right"),
                         stops=np.searchsorted(starts, t, "right"), axis=axis)


interval_sums = declare(
    None, """y = A x along an axis,  y_i = the sum of x_t over starts_i <= t < stops_i
    <g, A dx> = <A' g, dx>:  A' g at t is the sum of g_i over all intervals i that contain t
    Starts and stops must not fall; then these i are an interval, and A' is a matrix as A is.""",
    name="interval_sums", kind=LINEAR, forward=_interval_sums, formula=_membership, stacked=True,
    fresh=True, vjp=(_containing,),
    cases=[Case((2, 5), starts=np.array([0, 2]), stops=np.array([2, 4]), axis=-1),
           Case((6, 2), starts=np.array([0, 1, 3]), stops=np.array([2, 4, 6]), axis=-2),
           Case((4,), starts=np.array([0]), stops=np.array([4]), axis=-1),
           Case((2, 3), starts=np.array([0, 0, 1, 2]), stops=np.array([1, 1, 1, 3]), axis=-1)])
