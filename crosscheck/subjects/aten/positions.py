"""Reading and writing at positions."""

from __future__ import annotations

import numpy as np

from refgrad.rules.shape import along, at, scatter_add, setitem

from .table import operation


def _row(x):
    """torch lets a number have an axis where an operation works along one."""
    return np.reshape(x, np.shape(x) or (1,))


def _on_axis(axis, index, x):
    """The index that takes positions along one axis of x."""
    return along(axis, np.reshape(index, (-1,)), x.ndim)


def _grid(axis, index):
    """The positions of torch.gather: on one axis those of the index, on the others its own."""
    grid = list(np.indices(index.shape, sparse=True))
    grid[axis] = index
    return tuple(grid)


def _parts(index):
    """A list of indices, with None for a whole axis, as NumPy's index; bytes stand for truth
    values."""
    return tuple(slice(None) if i is None else i.astype(bool) if i.dtype == np.uint8 else i
                 for i in index)


def _spread(values, x, index):
    """Values as an array of the shape of x[index]."""
    return np.broadcast_to(values, np.empty(x.shape, bool)[index].shape)


def _added(x, index, values):
    """x + values at the index, as often as an entry is indexed."""
    return x + scatter_add(_spread(values, x, index), index=index, shape=x.shape)


def _with_mask(x, mask):
    shape = np.broadcast_shapes(x.shape, mask.shape)
    return np.broadcast_to(x, shape), np.broadcast_to(mask, shape)


# Reading.
operation("index", "_unsafe_index", lambda x, index: at(x, _parts(index)))
operation("take", lambda x, index: at(np.reshape(x, (-1,)), (index,)))
operation("masked_select", lambda x, mask: at(*_with_mask(x, mask)))
operation("nonzero", np.argwhere)


@operation("index_select")
def _(x, axis, index):
    taken = at(_row(x), _on_axis(axis, index, _row(x)))
    return taken if np.ndim(x) else np.reshape(taken, ())


@operation("gather")
def _(x, axis, index, *, sparse_grad=False):
    taken = (at(_row(x), _grid(axis, _row(index))) if index.size
             else np.zeros_like(x, shape=index.shape))
    return np.reshape(taken, index.shape)


@operation("_unsafe_masked_index")
def _(x, mask, index, fill):
    return np.where(mask, at(x, _inside(x, index)), fill)


def _inside(x, index):
    """Positions that the mask leaves out may lie outside."""
    return tuple(slice(None) if i is None else np.clip(i, -n, n - 1)
                 for i, n in zip(index, x.shape))


# Writing.
operation("put", lambda x, index, values, accumulate=False: np.reshape(_put(
    np.reshape(x, (-1,)), (np.reshape(index, (-1,)),), np.reshape(values, (-1,)),
    accumulate), x.shape))


@operation("index_put", "_index_put_impl", "_unsafe_index_put")
def _(x, index, values, accumulate=False, unsafe=False):
    return _put(x, _parts(index), values, accumulate)


def _put(x, index, values, accumulate):
    return (_added(x, index, values) if accumulate
            else setitem(x, _spread(values, x, index), index=index))


@operation("_unsafe_masked_index_put_accumulate")
def _(x, mask, index, values):
    return _added(x, _inside(x, index), np.where(mask, values, 0))


@operation("masked_scatter")
def _(x, mask, source):
    x, mask = _with_mask(x, mask)
    return setitem(x, np.reshape(source, (-1,))[:np.count_nonzero(mask)], index=mask)


def _along(compute):
    """A line that works along one axis of x, which may be a number: ``compute(x, index, …)`` with
    NumPy's index."""
    def line(x, axis, index, *args, **named):
        row = _row(x)
        return np.reshape(compute(row, _on_axis(axis, index, row), *args, **named), np.shape(x))
    return line


operation("index_fill", _along(lambda x, index, value: setitem(x, value, index=index)))
operation("index_copy",
          _along(lambda x, index, source: setitem(x, _spread(source, x, index), index=index)))
operation("index_add",
          _along(lambda x, index, source, *, alpha=1: _added(x, index, alpha * source)))


def _scatters(compute):
    """A line of torch.scatter's: ``compute(x, index, source, …)`` with NumPy's index and the source
    of its shape."""
    def line(x, axis, index, source, *args, **named):
        row, index = _row(x), _row(index)
        if not index.size:
            return x
        if np.ndim(source):
            source = source[tuple(map(slice, index.shape))]
        source = np.broadcast_to(np.reshape(source, np.shape(source) or (1,) * index.ndim),
                                 index.shape)
        return np.reshape(compute(row, _grid(axis, index), source, *args, **named), np.shape(x))
    return line


operation("scatter", _scatters(lambda x, index, source: setitem(x, source, index=index)))
operation("scatter_add", _scatters(_added))


def _reduced(x, index, source, reduce, include_self=True):
    """Entries of x together with those of the source that the index sends there."""
    total = {"sum": np.sum, "mean": np.sum, "prod": np.prod, "amax": np.max, "amin": np.min}[reduce]
    neutral = {"prod": 1, "amax": -np.inf, "amin": np.inf}.get(reduce, 0)
    target = np.reshape(np.broadcast_to(np.arange(x.size).reshape(x.shape)[index], source.shape),
                        (-1,))
    source, rounds = np.reshape(source, (-1,)), _rounds(target)
    count = np.bincount(target, minlength=x.size).reshape(x.shape)
    layers = [x if include_self else np.where(count > 0, neutral, x)]
    for k in range(np.max(rounds, initial=-1) + 1):
        empty = np.full_like(x, neutral, shape=(x.size,))
        layers.append(np.reshape(setitem(empty, source[rounds == k], index=(target[rounds == k],)),
                                 x.shape))
    y = total(np.stack(layers), axis=0)
    return y / np.maximum(count + include_self, 1) if reduce == "mean" else y


def _rounds(target):
    """How often each number has occurred before."""
    order = np.argsort(target, kind="stable")
    ordered = target[order]
    rounds = np.empty(len(target), int)
    rounds[order] = np.arange(len(target)) - np.searchsorted(ordered, ordered)
    return rounds


operation("scatter_reduce", _scatters(_reduced))
operation("index_reduce", _along(lambda x, index, source, *args, **named: _reduced(
    x, index, _spread(source, x, index), *args, **named)))


@operation("scatter.reduce", "scatter.value_reduce")
def _(x, axis, index, source, *, reduce):
    return _scatters(_reduced)(x, axis, index, source, {"add": "sum", "multiply": "prod"}[reduce])


@operation("segment_reduce")
def _(x, reduce, *, lengths=None, indices=None, offsets=None, axis=0, unsafe=False, initial=None):
    """Segments along an axis; lengths or offsets have the axes before it as well."""
    lengths = np.diff(offsets, axis=-1) if lengths is None else lengths
    shape, n = x.shape, lengths.shape[-1]
    segments = [np.repeat(np.arange(n), row) for row in np.reshape(lengths, (-1, n))]
    index = (*np.indices(shape[:axis + 1], sparse=True)[:axis],
             np.reshape(segments, shape[:axis + 1]))
    start = ({"max": -np.inf, "min": np.inf, "prod": 1}.get(reduce, 0) if initial is None
             else initial)
    y = _reduced(np.full_like(x, start, shape=lengths.shape + shape[axis + 1:]), index, x,
                 {"max": "amax", "min": "amin", "mean": "sum"}.get(reduce, reduce))
    if reduce != "mean":
        return y
    lengths = np.reshape(lengths, lengths.shape + (1,) * (y.ndim - lengths.ndim))
    y = y / np.maximum(lengths, 1)
    return np.where(lengths == 0, np.nan, y) if initial is None else y
