"""Functions of sorted entries: quantiles, partitions, unique entries.

A quantile lies between two neighbours in sorted order, at a virtual index that is a number:

    y = (1 - c) x_(i) + c x_(i+1)  for the index i + c
    dy = (1 - c) dx_(i) + c dx_(i+1) + (x_(i+1) - x_(i)) dc
"""

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ..cases import Case, Kink
from ..errors import NoRule
from ..foreign import Foreign, is_certain, is_lazy, may_be
from ..primitive import KINKED, LINEAR, compose, ndim_of, shape_of
from .arguments import as_array, as_number, axes_of, flag
from .reductions import in_a_row
from .shape import at

#: From a method to the virtual index of the quantile q among n sorted entries.
METHODS = {
    "linear": lambda n, q: (n - 1) * q,
    "interpolated_inverted_cdf": lambda n, q: n * q - 1,
    "hazen": lambda n, q: n * q - 0.5,
    "weibull": lambda n, q: n * q + q - 1,
    "median_unbiased": lambda n, q: n * q + (1 + q) / 3 - 1,
    "normal_unbiased": lambda n, q: n * q + (3 + 2 * q) / 8 - 1,
    "midpoint": lambda n, q: (np.floor((n - 1) * q) + np.ceil((n - 1) * q)) / 2,
    "averaged_inverted_cdf": lambda n, q: (np.floor(n * q) + np.ceil(n * q) - 1) / 2,
}
#: The same for methods that choose an entry and do not interpolate.
ENTRIES = {
    "lower": lambda n, q: np.floor((n - 1) * q),
    "higher": lambda n, q: np.ceil((n - 1) * q),
    "nearest": lambda n, q: np.rint((n - 1) * q),
    "inverted_cdf": lambda n, q: np.ceil(n * q) - 1,
    "closest_observation": lambda n, q: _next_but_odd(n * q - 1.5),
}


def _next_but_odd(v):
    """The next larger integer; an odd integer is returned unchanged."""
    below = np.floor(v)
    return below + 1 - ((v == below) & (below % 2 == 1))


def _quantiles(name, percent=False, skip=False):
    """The signature of np.quantile; `skip`: nan is left out, else it makes the result nan."""
    def call(a, q, axis=None, *, overwrite_input=False, method="linear", keepdims=False,
             weights=None):
        if weights is not None:
            raise NoRule(name, "with weights=")
        if method not in METHODS and method not in ENTRIES:
            known = ", ".join((*METHODS, *ENTRIES))
            raise ValueError(f"{name}: method={method!r}; expected one of {known}")
        a, weak, q = as_array(a), type(q) in (int, float), as_array(q)
        if percent:
            q = q / 100
        if ndim_of(q) > 2 or is_certain(np.any(~((q >= 0) & (q <= 1)))):
            raise ValueError(f"{name}: expected numbers from 0 to {100 if percent else 1} as q, "
                             f"with two axes at most")
        if skip and ndim_of(q) == 2:
            raise NoRule(name, "with two axes of q=")
        if skip and 0 in shape_of(a):
            return np.nanmean(a, axis=axis, keepdims=flag(keepdims))
        axis = axes_of(a, axis) if axis is None else normalize_axis_tuple(axis, ndim_of(a))
        y = _between(np.sort(in_a_row(a, axis)), q, method, weak, skip)
        if flag(keepdims):
            y = np.expand_dims(y, tuple(k % ndim_of(a) + ndim_of(q) for k in axis))
            return y if ndim_of(y) else np.copy(y)
        return as_number(y)
    return call


def _between(ordered, q, method, weak, skip):
    """The quantiles along the last axis, with the axes of q in front."""
    rest, n = shape_of(ordered)[:-1], shape_of(ordered)[-1]
    if not n:
        raise IndexError("a quantile of no entries")
    if q.dtype.kind in "iu" and method == "linear":
        method = "lower"  # 0 and 1 as integers: NumPy takes the ends
    last, before = max(n - 1, 0), max(n - 2, 0)
    if skip:
        n = np.sum(~np.isnan(ordered), axis=-1).astype(float if q.dtype.kind in "iu" else q.dtype)
        q = np.reshape(q, shape_of(q) + (1,) * len(rest))
        last, before = np.maximum(n - 1, 0), np.maximum(n - 2, 0)
    v = {**METHODS, **ENTRIES}[method](n, q)
    if method in ENTRIES:
        y = _entries(ordered, np.clip(v, 0, last), skip)
    else:
        first = np.clip(np.floor(v), 0, before)
        c = np.clip(v - first, 0, 1)
        if weak:
            c = c.astype(ordered.dtype) if ndim_of(c) or type(c) is Foreign else float(c)
        elif not skip:
            c = np.reshape(c, shape_of(c) + (1,) * len(rest))
        low, high = (_entries(ordered, k, skip) for k in (first, np.minimum(first + 1, last)))
        width = high - low  # from the nearer end, as NumPy does
        y = np.where(c < 0.5, low + width * c, high - width * (1 - c))
    missing = np.isnan(ordered[..., -1])
    return y if skip or not may_be(np.any(missing)) else np.where(missing, ordered[..., -1], y)


def _entries(ordered, places, each):
    """Entries along the last axis, at the same places everywhere or at each other place its own."""
    places, k = as_array(places).astype(int), ndim_of(ordered) - 1
    if each:
        return at(ordered, (*np.ix_(*map(np.arange, shape_of(ordered)[:-1])), places))
    taken = at(ordered, (..., places))
    return np.transpose(taken, (*range(k, ndim_of(taken)), *range(k)))


def _median_of_rest(a, axis=None, *, overwrite_input=False, keepdims=False):
    return np.nanquantile(a, 0.5, axis=axis, keepdims=flag(keepdims))


def _partition(a, kth, axis=-1, kind="introselect", order=None):
    """The entries in the order in which NumPy leaves them."""
    if axis is None:
        a, axis = np.ravel(a), -1
    return np.take_along_axis(a, np.argpartition(a, kth, axis, kind, order), axis)


def _unique(ar, return_index=False, return_inverse=False, return_counts=False, axis=None, *,
            equal_nan=True, sorted=True):
    """The first of equal entries."""
    if axis is not None:
        raise NoRule("np.unique", "with axis=")
    if not sorted:
        raise NoRule("np.unique", "with sorted=False")
    flat = np.ravel(ar)
    order = np.argsort(flat, kind="stable")
    x = flat[order]
    differ = x[1:] != x[:-1]
    if equal_nan:
        differ = differ & ~(np.isnan(x[1:]) & np.isnan(x[:-1]))
    first = np.concatenate([np.ones(min(1, len(order)), bool), differ])
    places = order[first]
    results = [flat[places]]
    if return_index:
        results.append(places)
    if return_inverse:
        inverse = np.empty(len(order), np.intp)
        inverse[order] = np.cumsum(first) - 1
        results.append(inverse.reshape(shape_of(ar)))
    if return_counts:
        results.append(np.diff(np.append(np.flatnonzero(first), len(order))))
    return tuple(results) if len(results) > 1 else results[0]


def _trimmed(filt, trim="fb", axis=None):
    """Without the zeros at the ends of each axis."""
    trim = trim.lower()
    if trim not in ("fb", "bf", "f", "b"):
        raise ValueError(f"np.trim_zeros: trim={trim!r}; expected 'f', 'b' or both")
    axes = axes_of(filt, axis) if axis is None else normalize_axis_tuple(axis, ndim_of(filt))
    if not axes:
        return filt
    places = np.argwhere(filt)
    if is_lazy(places):
        raise NoRule("np.trim_zeros", "of an array that is not computed yet, as its zeros decide "
                                      "the shape,")
    ends = [(0, 0) if not len(places) else (
        p.min() if "f" in trim else None, p.max() + 1 if "b" in trim else None) for p in places.T]
    chosen = {k % ndim_of(filt) for k in axes}
    return filt[tuple(slice(*end) if k in chosen else slice(None) for k, end in enumerate(ends))]


_OF_EQUALS = "of equals the first is the smaller"
CASES = [Case((5,), q=0.3), Case((3, 4), q=[0.1, 0.75], axis=1),
         Case((2, 3, 2), q=0.6, axis=(0, 2), keepdims=True)]
compose(np.quantile, _quantiles("np.quantile"), kind=KINKED, cases=[
    *CASES, Case((5,), (2,), domain=(None, "unit interval")), *(
        Case((6,), q=0.4, method=method) for method in (*METHODS, *ENTRIES))],
    kinks=[Kink(([2.0, 1.0, 2.0],), ([0.5, 0.0, 0.5],), _OF_EQUALS, {"q": 0.75})])
compose(np.percentile, _quantiles("np.percentile", percent=True), kind=KINKED, cases=[
    Case((5,), q=30), Case((3, 4), q=[10, 75], axis=0)],
    kinks=[Kink(([2.0, 1.0, 2.0],), ([0.5, 0.0, 0.5],), _OF_EQUALS, {"q": 75})])
compose(np.nanquantile, _quantiles("np.nanquantile", skip=True), kind=KINKED, cases=[
    *CASES, Case((6,), q=0.4, method="inverted_cdf")],
    kinks=[Kink(([2.0, np.nan, 1.0, 2.0],), ([0.5, 0.0, 0.0, 0.5],), _OF_EQUALS, {"q": 0.75})])
compose(np.nanpercentile, _quantiles("np.nanpercentile", percent=True, skip=True), kind=KINKED,
    cases=[Case((5,), q=30), Case((3, 4), q=[10, 75], axis=0)],
    kinks=[Kink(([2.0, np.nan, 1.0, 2.0],), ([0.5, 0.0, 0.0, 0.5],), _OF_EQUALS, {"q": 75})])
compose(np.nanmedian, _median_of_rest, kind=KINKED, cases=[
    Case((5,)), Case((3, 4), axis=1), Case((2, 3, 4), axis=(0, 2), keepdims=True)],
    kinks=[Kink(([2.0, np.nan, 1.0, 2.0],), ([1.0, 0.0, 0.0, 0.0],), _OF_EQUALS)])
compose(np.partition, _partition, kind=KINKED, cases=[
    # positions that determine the order completely: for others NumPy's order depends on the
    # processor
    Case((5,), kth=(1, 2, 3)), Case((3, 4), kth=1, axis=0),
    Case((2, 3), kth=(1, 2, 3, 4), axis=None)],
    kinks=[Kink(([2.0, 1.0, 1.0],), ([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]],),
                "equal entries stay where NumPy leaves them", {"kth": 2})])
compose(np.unique, _unique, kind=KINKED, cases=[
    Case((5,)), Case((2, 3), call=lambda x: np.unique(x, return_counts=True)[0])],
    kinks=[Kink(([2.0, 1.0, 2.0],), ([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]],),
                "of equals the first is taken")])
compose(np.trim_zeros, _trimmed, kind=LINEAR, cases=[
    Case((3,), call=lambda x: np.trim_zeros(np.pad(x, 2))),
    Case((2, 2), call=lambda x: np.trim_zeros(np.pad(x, 1), "f", axis=0))])
