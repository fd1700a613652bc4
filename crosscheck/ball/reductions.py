"""Sums and products along axes, and what is made of them.

In bound mode each holds for any order of summation: see `rounded_sums`.
"""

from __future__ import annotations

import numpy as np
from flint import arb
from numpy.lib.array_utils import normalize_axis_tuple

from refgrad.rules.shape import scatter_add

from .arithmetic import (
    ONE, SQRT_ULPS, ZERO, as_cells, current_format, each, rounded, rounded_sums, unbounded)
from .array import cells_of, filled, plain, register, wrap
from .elementwise import nonnegative_sqrt


def nonzero(cells):
    """1.0 for what is not exactly zero, else 0.0: a float array with which terms are counted."""
    return 1.0 - np.asarray(cells == ZERO)


def summed(form, cells):
    """A Ball of sums: `form` maps an array, of cells or of floats, to sums of its elements."""
    values = filled(form(cells))
    if current_format() is None:
        return wrap(values)
    sizes = as_cells(np.abs(cells))
    return wrap(rounded_sums(values, filled(form(sizes)), form(nonzero(cells)), [sizes]))


@register(np.sum)
def sum_(a, axis=None, dtype=None, keepdims=False):
    return summed(lambda x: np.add.reduce(x, axis=axis, keepdims=keepdims), cells_of(a))


def in_a_row(a, axis):
    """The cells, and the axis along which they are accumulated."""
    cells = cells_of(a)
    return (cells.reshape(-1), 0) if axis is None else (cells, axis)


@register(np.cumsum)
def cumsum(a, axis=None, dtype=None):
    cells, axis = in_a_row(a, axis)
    return summed(lambda x: np.add.accumulate(x, axis=axis), cells)


@register(np.trace)
def trace(a, offset=0, axis1=0, axis2=1, dtype=None):
    diagonal = np.diagonal(cells_of(a), offset, axis1, axis2)
    return summed(lambda x: np.add.reduce(x, axis=-1), diagonal)


@register(scatter_add)
def scatter_add_(values, index, shape, distinct=False):
    """zeros(shape) with `values` added at `index`; repeated indices accumulate."""
    def scattered(x):
        result = np.full(shape, ZERO, object) if x.dtype == object else np.zeros(shape)
        np.add.at(result, plain(index), x)
        return result
    return summed(scattered, cells_of(values))


def count(a, axis):
    axes = normalize_axis_tuple(range(np.ndim(a)) if axis is None else axis, np.ndim(a))
    return int(np.prod([np.shape(a)[i] for i in axes], dtype=int))


@register(np.mean)
def mean(a, axis=None, dtype=None, keepdims=False):
    return sum_(a, axis, keepdims=keepdims) / count(a, axis)


@register(np.var)
def var(a, axis=None, dtype=None, ddof=0, keepdims=False, *, mean=None, correction=None):
    """Two passes, as in NumPy: the mean of the squared distances from the mean."""
    centre = np.mean(a, axis=axis, keepdims=True) if mean is None else mean
    squares = sum_(np.square(a - centre), axis, keepdims=keepdims)
    return squares / max(count(a, axis) - (ddof if correction is None else correction), 0)


@register(np.std)
def std(a, axis=None, dtype=None, ddof=0, keepdims=False, *, mean=None, correction=None):
    return root(var(a, axis, None, ddof, keepdims, mean=mean, correction=correction))


def root(x):
    """The square root of what is a sum of squares: not negative, whatever the radius says."""
    return wrap(rounded(each(nonnegative_sqrt)(cells_of(x)), SQRT_ULPS))


# Products

def multiplied(form, cells):
    """A Ball of products, in any order: n factors, n - 1 roundings.

    ``form(ufunc, x)`` reduces or accumulates an array.
    """
    values, fmt = filled(form(np.multiply, cells)), current_format()
    if fmt is None:
        return wrap(values)
    sizes = as_cells(np.abs(cells))
    # no partial product is larger than `grown`, and none smaller than `shrunk`, but for zeros
    grown = filled(form(np.multiply, each(arb.max, 2)(sizes, ONE)))
    shrunk = filled(form(np.multiply, each(arb.min, 2)(sizes, ONE)))
    factors = form(np.add, 1.0 - np.asarray(sizes == ONE))  # 1 and -1 cost nothing
    steps = np.asarray(np.maximum(factors - 1, 0)).astype(int).astype(object)
    relative = ONE + each(fmt.spread)(steps)
    growth = np.abs(as_cells(grown * relative))
    result = np.where(steps == 0, values, as_cells(values * relative))
    tiny = (steps > 0) & ~np.asarray(shrunk >= 2 * fmt.normal) & ~np.asarray(values == ZERO)
    result = np.where(tiny, as_cells(result + steps * growth * arb(0, fmt.underflow)), result)
    for i in map(tuple, np.argwhere(~np.asarray(growth <= fmt.largest))):
        result[i] = unbounded()
    return wrap(result)


@register(np.prod)
def prod(a, axis=None, dtype=None, keepdims=False):
    return multiplied(lambda ufunc, x: ufunc.reduce(x, axis=axis, keepdims=keepdims), cells_of(a))


@register(np.cumprod)
def cumprod(a, axis=None, dtype=None):
    cells, axis = in_a_row(a, axis)
    return multiplied(lambda ufunc, x: ufunc.accumulate(x, axis=axis), cells)
