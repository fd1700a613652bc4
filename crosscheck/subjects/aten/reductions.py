"""Sums, products, extremes and norms along axes; sorting, and entries chosen by their order."""

from __future__ import annotations

import functools

import numpy as np

from refgrad.special import logsumexp

from .table import operation


def _axes(axes):
    """torch's axes as NumPy's: an empty list stands for all of them, as None does."""
    return tuple(axes) or None if isinstance(axes, (list, tuple)) else axes


def _along(compute):
    """A line for a function along one axis that keeps it, which torch also takes of a number."""
    return lambda x, axis=-1, *rest, **named: np.reshape(
        compute(_with_axes(x), axis, *rest, **named), np.shape(x))


def _with_axes(x):
    return np.reshape(x, np.shape(x) or (1,))


def _reduces(function):
    """A line for a NumPy function along some axes or all."""
    def line(x, axes=None, keepdim=False):
        axes = _axes(axes)
        if np.ndim(x) == 0 and axes is not None:  # torch lets a number have the axis 0
            return function(_with_axes(x), axis=0, keepdims=False)
        return function(x, axis=axes, keepdims=keepdim)
    return line


for _name, _compute in {
        "sum": np.sum, "mean": np.mean, "prod": np.prod, "nansum": np.nansum, "amax": np.max,
        "amin": np.min, "max": np.max, "min": np.min, "argmax": np.argmax, "argmin": np.argmin,
        "any": np.any, "all": np.all, "logsumexp": logsumexp}.items():
    operation(_name, _reduces(_compute))
operation("count_nonzero", lambda x, axes=None: np.count_nonzero(x, axis=_axes(axes)))


@operation("aminmax")
def _(x, *, dim=None, keepdim=False):
    return _reduces(np.min)(x, dim, keepdim), _reduces(np.max)(x, dim, keepdim)


# Spread.
def _spread(function):
    def line(x, axes=None, *, correction=None, keepdim=False):
        ddof = 1 if correction is None else correction
        return _reduces(functools.partial(function, ddof=ddof))(x, axes, keepdim)
    return line


def _with_mean(spread):
    return lambda x, axes=None, *, correction=None, keepdim=False: (
        spread(x, axes, correction=correction, keepdim=keepdim),
        _reduces(np.mean)(x, axes, keepdim))


for _name, _compute in {"var": _spread(np.var), "std": _spread(np.std)}.items():
    operation(f"{_name}.correction", _compute)
    operation(f"{_name}_mean.correction", _with_mean(_compute))


# Norms.
@operation("linalg_vector_norm")
def _norm(x, ord=2, axes=None, keepdim=False):
    return _reduces(functools.partial(np.linalg.vector_norm, ord=ord))(x, axes, keepdim)


operation("norm",
          lambda x, p=2, axes=None, keepdim=False: _norm(x, 2 if p is None else p, axes, keepdim))
operation("dist", lambda x, y, p=2: _norm(x - y, p))


@operation("renorm")
def _(x, p, axis, most):
    """Parts along an axis that are longer than `most` are shortened; torch adds 1e-7 to their
    length."""
    others = [k for k in range(x.ndim) if k != axis % x.ndim]
    length = _norm(x, p, others, keepdim=True)
    longer = length > most
    return np.where(longer, x * (most / (np.where(longer, length, 1) + 1e-7)), x)


# Along an axis, entry by entry.
operation("cumsum", _along(np.cumsum))
operation("cumprod", _along(np.cumprod))


@operation("logcumsumexp")
@_along
def _(x, axis):
    """y_k = log(e^y_(k-1) + e^x_k), which does not overflow."""
    rows = np.moveaxis(x, axis, 0)
    sums = [rows[0]] if len(rows) else []
    for row in rows[1:]:
        sums.append(np.logaddexp(sums[-1], row))
    return np.moveaxis(np.stack(sums), 0, axis) if sums else x


def _running(before):
    """A line for the extreme so far; of equal entries torch has the last."""
    def line(x, axis):
        values = _with_axes(x)
        rows = np.moveaxis(values, axis, 0)
        places = np.zeros(rows.shape, np.int64)
        for k in range(1, len(rows)):
            best = np.take_along_axis(rows, places[k - 1:k], 0)[0]
            places[k] = np.where(before(rows[k], best), k, places[k - 1])
        places = np.moveaxis(places, 0, axis)
        return tuple(np.reshape(a, np.shape(x))
                     for a in (np.take_along_axis(values, places, axis), places))
    return line


operation("cummax", _running(np.greater_equal))
operation("cummin", _running(np.less_equal))


# Entries chosen by their order.
def _chosen(x, places, axis):
    """(the entries at places along an axis, the places)"""
    return np.take_along_axis(x, places, axis), places


def _one(choose):
    """A line for one entry along an axis, (it, its place): ``choose(x, axis, …)`` gives the
    places."""
    def line(x, *args, axis, keepdim):
        found = _chosen(_with_axes(x),
                        np.expand_dims(choose(_with_axes(x), *args, axis), axis), axis)
        return found if keepdim and np.ndim(x) else tuple(np.squeeze(a, axis) for a in found)
    return line


operation("max.dim", lambda x, axis, keepdim=False: _one(np.argmax)(x, axis=axis, keepdim=keepdim))
operation("min.dim", lambda x, axis, keepdim=False: _one(np.argmin)(x, axis=axis, keepdim=keepdim))


def _order(x, axis, descending=False):
    """The stable order along an axis."""
    return np.argsort(-x if descending else x, axis=axis, kind="stable")


def _sorted(x, axis=-1, descending=False):
    values = _with_axes(x)
    return tuple(np.reshape(a, np.shape(x))
                 for a in _chosen(values, _order(values, axis, descending), axis))


operation("sort", _sorted)
operation("sort.stable",
          lambda x, *, stable=None, dim=-1, descending=False: _sorted(x, dim, descending))
operation("argsort", lambda x, axis=-1, descending=False: _sorted(x, axis, descending)[1])
operation("argsort.stable",
          lambda x, *, stable=None, dim=-1, descending=False: _sorted(x, dim, descending)[1])


@operation("topk")
def _(x, k, axis=-1, largest=True, sorted=True):
    values = _with_axes(x)
    places = np.take(_order(values, axis, largest), np.arange(k), axis)
    return tuple(np.reshape(a, a.shape if x.ndim else ()) for a in _chosen(values, places, axis))


def _of_rank(x, k, axis):
    return np.take(_order(x, axis), k, axis)


@operation("kthvalue")
def _(x, k, axis=-1, keepdim=False):
    return _one(_of_rank)(x, k - 1, axis=axis, keepdim=keepdim)


def _middle(x, axis):
    """Of the two entries in the middle, the smaller."""
    return _of_rank(x, (x.shape[axis] - 1) // 2, axis)


def _middle_of_rest(x, axis):
    """The same of those that are not nan, which are sorted last."""
    there = x.shape[axis] - np.count_nonzero(np.isnan(x), axis=axis)
    places = np.expand_dims(np.maximum(there - 1, 0) // 2, axis)
    return np.squeeze(np.take_along_axis(_order(x, axis), places, axis), axis)


for _name, _compute in {"median": _middle, "nanmedian": _middle_of_rest}.items():
    operation(_name,
        lambda x, _compute=_compute: _one(_compute)(np.reshape(x, (-1,)), axis=0, keepdim=False)[0])
    operation(f"{_name}.dim", lambda x, axis, keepdim=False, _compute=_compute: _one(_compute)(
        x, axis=axis, keepdim=keepdim))


def _most_frequent(x, axis):
    """Of the entries that occur most often, the smallest, where it occurs last."""
    order = _order(x, axis)
    rows = np.moveaxis(np.take_along_axis(x, order, axis), axis, -1)
    often = np.count_nonzero(rows[..., :, None] == rows[..., None, :], axis=-1)
    places = np.expand_dims(np.argmax(often, axis=-1) + np.max(often, axis=-1) - 1, axis)
    return np.squeeze(np.take_along_axis(order, places, axis), axis)


operation("mode",
          lambda x, axis=-1, keepdim=False: _one(_most_frequent)(x, axis=axis, keepdim=keepdim))


# Positions in order.
operation("_unique2", lambda x, sorted=True, return_inverse=False, return_counts=False: np.unique(
    x, return_inverse=True, return_counts=True))


@operation("searchsorted")
def _(ordered, x, *, out_int32=False, right=False, side=None, sorter=None):
    side = side or ("right" if right else "left")
    lead = ordered.shape[:-1]
    if not lead:
        return np.searchsorted(ordered, x, side, sorter)
    orders = (np.broadcast_to(np.arange(ordered.shape[-1]), ordered.shape) if sorter is None
              else sorter)
    return np.reshape([np.searchsorted(ordered[i], x[i], side, orders[i])
                       for i in np.ndindex(lead)], x.shape)


operation("bucketize", lambda x, bounds, *, out_int32=False, right=False: np.searchsorted(
    bounds, x, "right" if right else "left"))
