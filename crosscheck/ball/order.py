"""Largest, smallest, sorted: NumPy picks by comparisons that may be open, then the pick is proved.

A maximum is certain once every other element is certainly smaller or exactly equal, an order once
every neighbour is in order: the proof takes one comparison for each element, whatever the search
did.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np
from flint import arb
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from .arithmetic import ZERO, Undecided, as_cells, current_format, each, record, unbounded
from .array import cells_of, register, wrap
from .decisions import is_same, refuse
from .reading import floats


def as_rows(cells, axis):
    """The array with the given axes flattened to the last one, and its shape with these as 1."""
    axes = normalize_axis_tuple(range(cells.ndim) if axis is None else axis, cells.ndim)
    others = [i for i in range(cells.ndim) if i not in axes]
    rows = cells.transpose(*others, *axes)
    size = int(np.prod([cells.shape[i] for i in axes], dtype=int))
    kept = tuple(1 if i in axes else n for i, n in enumerate(cells.shape))
    return rows.reshape(*(cells.shape[i] for i in others), size), kept


class Extreme:
    """max or min along an axis.

    `pick` chooses by comparisons, ``beats(a, b)`` proves, `hull` encloses what is open.
    """

    def __init__(self, name, pick, beats, hull):
        self.name, self.pick, self.beats, self.hull = name, pick, beats, hull

    def of(self, rows):
        """The extremes, where they are attained, which rows are open, what elements are proved."""
        best = as_cells(self.pick.reduce(rows, axis=-1, keepdims=True))
        attained = ~np.asarray(self.beats(best, rows))
        proved = ~attained
        for i in map(tuple, np.argwhere(attained)):
            other = best[i[:-1] + (0,)]
            proved[i] = rows[i] == other or is_same(rows[i], other)
        return best[..., 0], attained, ~proved.all(-1), proved

    def value(self, a, axis=None, keepdims=False):
        rows, kept = as_rows(cells_of(a), axis)
        best, attained, undecided, proved = self.of(rows)
        if undecided.any():
            if current_format() is None:
                self.refuse(rows, proved, best)
            hull = as_cells(each(self.hull, 2).reduce(rows, axis=-1))
            best = np.where(undecided, hull, best)
        else:
            record(self.name, attained)
        return wrap(best.reshape(kept) if keepdims else best)

    def index(self, a, axis=None, keepdims=False):
        """The first index; no ball encloses an index, so an open one raises in either mode."""
        axis = axis if axis is None else normalize_axis_index(axis, np.ndim(a))
        rows, kept = as_rows(cells_of(a), axis)
        best, attained, undecided, proved = self.of(rows)
        if undecided.any():
            self.refuse(rows, proved, best, "arg")
        first = np.argmax(attained, axis=-1)
        record("arg" + self.name, first)
        return first.reshape(kept) if keepdims else first

    def refuse(self, rows, proved, best, prefix=""):
        i = tuple(np.argwhere(~proved)[0])
        raise Undecided(prefix + self.name, i, (rows[i], best[i[:-1]]))


largest = Extreme("max", np.maximum, np.greater, arb.max)
smallest = Extreme("min", np.minimum, np.less, arb.min)

# A ball encloses a number, so there is no nan to leave out.
for _function in (np.max, np.amax, np.nanmax):
    register(_function, largest.value)
for _function in (np.min, np.amin, np.nanmin):
    register(_function, smallest.value)
for _function in (np.argmax, np.nanargmax):
    register(_function, largest.index)
for _function in (np.argmin, np.nanargmin):
    register(_function, smallest.index)


def _compare(a, b):
    return -1 if a < b else 1 if a > b else 0


def order_of(rows):
    """For each row the stable order, and (row, a, b) of the first open neighbours, or None."""
    flat = rows.reshape(-1, rows.shape[-1]) if rows.size else rows.reshape(0, rows.shape[-1])
    order, undecided = np.empty(flat.shape, np.intp), None
    for r, row in enumerate(flat):
        key = functools.cmp_to_key(_compare)
        order[r] = places = sorted(range(len(row)), key=lambda i: key(row[i]))
        for a, b in itertools.pairwise(row[places]):
            if undecided is None and not (a < b or a == b or is_same(a, b)):
                undecided = (r, a, b)
    return order.reshape(rows.shape), undecided


def _sortable(a, axis):
    cells = cells_of(a)
    if axis is None:
        cells, axis = cells.reshape(-1), -1
    axis = normalize_axis_index(axis, cells.ndim)
    return np.moveaxis(cells, axis, -1), axis


@register(np.argsort)
def argsort(a, axis=-1, kind=None, *, stable=None):
    """The stable order; open ones raise in either mode, as there is no enclosure of an index."""
    rows, axis = _sortable(a, axis)
    order, undecided = order_of(rows)
    if undecided is not None:
        raise Undecided("argsort", undecided[:1], undecided[1:])
    record("argsort", order)
    return np.moveaxis(order, -1, axis)


@register(np.argpartition)
def argpartition(a, kth, axis=-1, kind="introselect", order=None):
    """Where NumPy leaves the midpoints; that is right once their order is decided."""
    argsort(a, axis)
    return np.argpartition(floats(cells_of(a)), kth, axis, kind, order)


@register(np.sort)
def sort(a, axis=-1, kind=None, *, stable=None):
    """The sorted balls.

    In bound mode an open order gives balls from the sorted lower ends to the sorted upper ones.
    """
    rows, axis = _sortable(a, axis)
    order, undecided = order_of(rows)
    if undecided is None:
        record("sort", order)
        result = np.take_along_axis(rows, order, -1)
    elif current_format() is None:
        raise Undecided("sort", undecided[:1], undecided[1:])
    else:
        nan = np.asarray(each(arb.is_nan)(rows), bool)
        low, high = (np.sort(np.where(nan, ZERO, each(end)(rows)), axis=-1)
                     for end in (arb.lower, arb.upper))
        result = each(arb.union, 2)(low, high)
        if nan.any():
            of_nan = each(lambda c: unbounded())(rows)
            result = np.where(nan.any(-1, keepdims=True), of_nan, result)
    return wrap(np.moveaxis(result, -1, axis))


@register(np.searchsorted)
def searchsorted(a, v, side="left", sorter=None):
    """How many entries of sorted balls lie before each v; what is open raises in either mode."""
    cells, values = cells_of(a), cells_of(v)[..., None]
    cells = cells if sorter is None else cells[sorter]
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted: side={side!r}; expected 'left' or 'right'")
    before, after = ((np.less, np.greater_equal) if side == "left"
                     else (np.less_equal, np.greater))
    yes, no = (np.asarray(f(cells, values), bool) for f in (before, after))
    if not np.all(yes | no):
        refuse("searchsorted", ~(yes | no), *np.broadcast_arrays(cells, values))
    count = np.sum(yes, axis=-1)
    record("searchsorted", count)
    return count
