"""Covariance, correlation, and functions that count."""

import operator
import warnings

import numpy as np

from ..cases import FOURTH, Case, Fixed
from ..errors import NoRule, describe
from ..foreign import is_certain, may_be
from ..primitive import LINEAR, Primitive, compose, in_dtype_of, ndim_of, shape_of
from .arguments import as_array
from .shape import at, scatter_add


def _rows(name, x, rowvar, dtype):
    """A variable in each row."""
    if ndim_of(x) > 2:
        raise ValueError(f"np.cov: {name} has shape {shape_of(x)}; expected two axes at most")
    x = np.astype(x, dtype)
    rows = np.reshape(x, (1, -1)) if ndim_of(x) < 2 else x
    return np.transpose(rows) if not rowvar and ndim_of(x) > 1 and (
        name == "m" or shape_of(rows)[0] != 1) else rows


def _cov(m, y=None, rowvar=True, bias=False, ddof=None, fweights=None, aweights=None, *,
         dtype=None):
    """C = X W X' / n,  with X the deviations from the mean, and the weights W"""
    if ddof is not None and ddof != int(ddof):
        raise ValueError(f"np.cov: ddof={ddof}; expected an integer")
    m, y = as_array(m), y if y is None else as_array(y)
    if dtype is None:
        dtype = np.result_type(m.dtype, *([] if y is None else [y.dtype]), np.float64)
    elif np.dtype(dtype).kind != "f":
        raise NoRule("np.cov", f"with dtype={np.dtype(dtype)}")
    X = _rows("m", m, rowvar, dtype)
    if not shape_of(X)[0]:
        return np.zeros((0, 0))
    if y is not None:
        X = np.concatenate([X, _rows("y", y, rowvar, dtype)])
    ddof = int(bias == 0) if ddof is None else ddof
    w = _weights(X, fweights, aweights)
    if w is None:
        total, n = shape_of(X)[1], shape_of(X)[1] - ddof
        average = np.mean(X, axis=1, keepdims=True)
    else:
        total = np.sum(w)
        if is_certain(total == 0):
            raise ZeroDivisionError("np.cov: the weights sum to 0")
        average = np.sum(X * w, axis=1, keepdims=True) / total
        n = total - ddof if aweights is None else total - ddof * np.sum(w * aweights) / total
    if is_certain(n <= 0):
        warnings.warn("Degrees of freedom <= 0 for slice", RuntimeWarning, stacklevel=2)
        n = 0.0
    X = in_dtype_of(X, X - average)
    C = np.dot(X, np.transpose(X if w is None else X * w)) / n
    return np.squeeze(C)


def _weights(X, fweights, aweights):
    """The weight of each observation, how often it counts times how much; None if all are 1."""
    w = None
    for name, given in ("fweights", fweights), ("aweights", aweights):
        if given is None:
            continue
        given = np.astype(as_array(given), float)
        if shape_of(given) != shape_of(X)[1:]:
            raise ValueError(f"np.cov: {name} has shape {shape_of(given)} for "
                             f"{shape_of(X)[1]} observations")
        if name == "fweights" and is_certain(np.any(given != np.rint(given))):
            raise TypeError("np.cov: fweights must be whole numbers")
        if is_certain(np.any(given < 0)):
            raise ValueError(f"np.cov: {name} are negative")
        w = given if w is None else w * given
    return w


# It has no entry in the table, since alone it is not a function that floats compute.
within_one = Primitive(
    None, "y = x, which lies in [-1, 1] but for rounding:  dy = dx", name="within_one", kind=LINEAR,
    forward=lambda x: np.clip(x, -1, 1), formula=lambda x: x, vjp=(lambda g: g,), pointwise=True)


def _corrcoef(x, y=None, rowvar=True, *, dtype=None):
    """R_ij = C_ij / (s_i s_j)  with  s_i^2 = C_ii"""
    C = _cov(x, y, rowvar, dtype=dtype)
    if not ndim_of(C):
        return C / C
    s = np.sqrt(np.diag(C))
    return within_one(C / s[:, None] / s[None, :])


compose(np.cov, _cov, cases=[
    Case((2, 4)), Case((4,), (4,)), Case((4, 2), rowvar=False, bias=True), Case((3,)),
    Case((2, 3), fweights=[1, 2, 1]),
    Case((2, 4), (4,), domain=(None, "positive"), scales=FOURTH,
         call=lambda x, w: np.cov(x, aweights=w))])
compose(np.corrcoef, _corrcoef, cases=[
    Case((2, 4), scales=FOURTH), Case((4,), (4,), scales=FOURTH),
    Case((4, 2), rowvar=False, scales=FOURTH)])


def _bincount(x, /, weights=None, minlength=0):
    """y_k = the sum of the weights of all x that are k"""
    x = as_array(x)
    if x.dtype.kind not in "biu":
        raise TypeError(f"np.bincount: x is {describe(x)}; expected integers")
    counts = np.bincount(x, minlength=minlength)
    if weights is None:
        return counts
    if shape_of(weights) != shape_of(x):
        raise ValueError(f"np.bincount: weights of shape {shape_of(weights)} for {shape_of(x)}")
    return scatter_add(np.astype(weights, float), index=x, shape=shape_of(counts))


compose(np.bincount, _bincount, kind=LINEAR, cases=[
    Case(Fixed(np.array([0, 2, 2, 1])), (4,)), Case(Fixed(np.array([1, 0, 1])), (3,), minlength=4)])


def _edges(name, a, bins, range):
    """The edges of bins between the smallest and the largest entry, or of a range."""
    if isinstance(bins, str):
        raise NoRule(name, f"with bins={bins!r}")
    if ndim_of(bins) == 1:
        edges = as_array(bins)
        if is_certain(np.any(edges[:-1] > edges[1:])):
            raise ValueError(f"{name}: bins= must not fall")
        return edges
    bins = operator.index(bins)
    if bins < 1:
        raise ValueError(f"{name}: bins={bins}; expected 1 or more")
    if range is None:
        first, last = (np.min(a), np.max(a)) if shape_of(a)[0] else (0.0, 1.0)
    else:
        first, last = range
        if is_certain(first > last):
            raise ValueError(f"{name}: range={range}, whose ends are in the wrong order")
    if is_certain(~(np.isfinite(first) & np.isfinite(last))):
        raise ValueError(f"{name}: a range from {first} to {last} is not finite")
    if may_be(first == last):
        half = np.where(first == last, 0.5, 0.0)
        first, last = first - half, last + half
    dtype = np.result_type(*(getattr(x, "dtype", x) for x in (first, last, a)))
    return np.linspace(first, last, bins + 1, dtype=dtype if dtype.kind in "fO" else float)


def _histogram(a, bins=10, range=None, density=None, weights=None):
    """The counts are constant almost everywhere, sums of weights are linear in these."""
    a = as_array(a)
    if weights is not None and shape_of(weights) != shape_of(a):
        raise ValueError(f"np.histogram: weights of shape {shape_of(weights)} for {shape_of(a)}")
    a = np.ravel(a)
    edges = _edges("np.histogram", a, bins, range)
    n = shape_of(edges)[0] - 1
    inside = (a >= edges[0]) & (a <= edges[-1]) & (n > 0)
    places = np.minimum(np.searchsorted(edges, a[inside], "right") - 1, n - 1)
    if weights is None:
        counts = np.bincount(places, minlength=n)
    else:
        weights = np.ravel(as_array(weights))
        counts = scatter_add(at(weights, inside), index=places, shape=(n,))
    if density:
        counts = counts / np.diff(edges) / np.sum(counts)
    return counts, edges


compose(np.histogram, _histogram, cases=[
    Case((6,), call=lambda a: np.histogram(a, 3)[1]),
    Case((6,), call=lambda a: np.histogram(a, 3, density=True)[0]),
    Case(Fixed(np.arange(5.0)), (5,), call=lambda a, w: np.histogram(
        a, [0.0, 1.5, 2.5, 3.5], weights=w)[0]),
    Case(Fixed(np.arange(5.0)), (5,), domain="positive", scales=FOURTH,
         call=lambda a, w: np.histogram(a, 2, (0, 3), density=True, weights=w)[0])])
