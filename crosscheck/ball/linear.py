"""Linear systems, determinants, factors and norms.

Exact mode leaves the work to flint, which returns enclosures or says that a matrix may be singular.

Bound mode encloses what LAPACK's algorithms give in floats, by backward error analysis (Higham,
Accuracy and Stability of Numerical Algorithms, theorems 9.4 and 10.3): what they compute is exact
for a nearby matrix A + dA. Gaussian elimination with partial pivoting has |dA| <= gamma_3n |L| |U|,
and the entries of L are at most 1, those of U grow at most by a factor 2 with each step; Cholesky
has |dA_ij| <= gamma_(n+1) / (1 - gamma_(n+1)) sqrt(a_ii a_jj). So the same exact algorithms run on
the widened matrix.  The growth 2^n is what can happen, not what does: bounds for matrices of more
than a dozen rows are rigorous but wide, then unbounded.  Underflow inside them is
ignored.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from flint import arb, arb_mat

from refgrad.rules.matrix_functions import DEGREE, expm

from .arithmetic import (
    FUNCTION_ULPS, ONE, ZERO, Undecided, as_cells, current_format, each, rounded, unbounded)
from .array import Ball, cells_of, register, wrap
from .reductions import root

singular = np.linalg.LinAlgError


class SlogdetResult(NamedTuple):
    sign: Ball
    logabsdet: Ball


def stacked(name, function, shape, cells, *others):
    """A function of square matrices on each matrix of a stack; its results are of `shape`."""
    if cells.ndim < 2 or cells.shape[-1] != cells.shape[-2]:
        raise singular(f"{name}: a square matrix is needed, this is of shape {cells.shape}")
    batch = np.broadcast_shapes(cells.shape[:-2], *(x.shape[:-2] for x in others))
    arrays = [np.broadcast_to(x, batch + x.shape[-2:]) for x in (cells, *others)]
    result = np.empty(batch + shape, object)
    for i in np.ndindex(batch):
        result[i] = function(*(x[i] for x in arrays))
    return result


def matrix(cells):
    return arb_mat(*cells.shape, cells.ravel().tolist())


def widened_for_elimination(cells):
    """A + dA of Gaussian elimination: column by column, as growth is bounded within each."""
    form, n = current_format(), cells.shape[-1]
    if form is None or n == 0:
        return cells
    steps = np.minimum.outer(np.arange(1, n + 1), np.arange(1, n + 1)).astype(object)
    tops = each(arb.max, 2).reduce(np.abs(cells), axis=0)
    return cells + tops * (arb(2) ** steps) * form.spread(4 * n)


def solved(a, b):
    try:
        x = matrix(widened_for_elimination(a)).solve(matrix(b))
    except ZeroDivisionError:
        if current_format() is None:
            raise singular(
                "solve: the matrix is singular, or not certainly regular") from None
        return unknown(b.shape)
    return np.array(x.entries(), object).reshape(b.shape)


def unknown(shape):
    return as_cells(each(lambda _: unbounded())(np.zeros(shape, object)))


@register(np.linalg.solve)
def solve(a, b):
    """x with a x = b; b is a vector if it has one axis, else a stack of matrices.

    Raises LinAlgError if a may be singular.
    """
    a, b = cells_of(a), cells_of(b)
    right = b[:, None] if b.ndim == 1 else b
    x = stacked("solve", solved, right.shape[-2:], a, right)
    return wrap(rounded(x[..., 0] if b.ndim == 1 else x))


def exponential(a):
    """e^A; floats scale A to s = 2^-k A, take a polynomial of it and square that k times.

    Each of their products is off by n roundings of what |A| in the place of A gives, and a squaring
    doubles what came before it: as 2^k is less than 4 |A| + 2, that is n (4 |A| + 2 + degree)
    roundings of e^|A|.
    """
    values, form = np.array(matrix(a).exp().entries(), object).reshape(a.shape), current_format()
    if form is None or not a.size:
        return values
    sizes = np.abs(a)
    norm = max(float(c.abs_upper()) for c in np.sum(sizes, axis=0))
    steps = len(a) * (4 * norm + 2 + DEGREE)
    if not steps < 1 / (4 * form.unit):
        return unknown(a.shape)
    growth = np.array(matrix(sizes).exp().entries(), object).reshape(a.shape)
    return values + growth * arb(0, 4 * steps * form.unit)


@register(expm)
def expm_(a):
    cells = cells_of(a)
    return wrap(stacked("expm", exponential, cells.shape[-2:], cells))


@register(np.linalg.inv)
def inv(a):
    """The inverse, as LAPACK computes it: the solution of a x = 1."""
    return solve(a, np.eye(a.shape[-1]))


def determinants(a):
    cells = cells_of(a)
    return stacked("det", lambda m: matrix(widened_for_elimination(m)).det(), (), cells), cells


def largest_pivots(cells):
    """Upper bounds of the pivots of each matrix: the largest entry, doubled by each step."""
    n = cells.shape[-1]
    flat = np.abs(cells).reshape(cells.shape[:-2] + (n * n,))
    return as_cells(each(arb.max, 2).reduce(flat, axis=-1) * arb(2) ** n)


def logarithms(values, cells):
    """log |det|, and in bound mode the error of a float sum of the pivots' logarithms.

    Each of these lies below that of the largest pivot; and above log |det| less all the others, and
    above that of the smallest number.
    """
    size, form, n = np.abs(values), current_format(), cells.shape[-1]
    logs = np.where(np.asarray(size == ZERO), arb(float("-inf")), each(arb.log)(size))
    if form is None or n == 0:
        return logs, ZERO
    highest = each(lambda c: abs(c.max(form.subnormal).log()))(largest_pivots(cells))
    lowest = each(arb.max, 2)(highest, abs(form.subnormal.log()))
    largest = each(
        lambda log, high, low: low.min(abs(log) + n * high) if log.is_finite() else low, 3)
    relative = form.spread(n) + arb(0, 4 * FUNCTION_ULPS * form.unit)
    return logs, n * largest(logs, highest, lowest) * relative


@register(np.linalg.det)
def det(a):
    """The determinant; in bound mode also exp of the sum of the pivots' logarithms, as in NumPy."""
    values, cells = determinants(a)
    form, n = current_format(), cells.shape[-1]
    if form is None or n == 0:
        return wrap(values)
    factor = each(arb.exp)(logarithms(values, cells)[1]) * (1 + form.spread(n))
    growth = each(arb.max, 2)(largest_pivots(cells), ONE) ** n      # of partial products
    values = rounded(values * factor + growth * arb(0, n * form.underflow), FUNCTION_ULPS)
    return wrap(np.where(np.asarray(growth <= form.largest), values, unknown(values.shape)))


@register(np.linalg.slogdet)
def slogdet(a):
    """(sign, log |det|)."""
    values, cells = determinants(a)
    logs, error = logarithms(values, cells)
    return SlogdetResult(np.sign(wrap(values)), wrap(rounded(logs + error)))


def lower_factor(a):
    """L with L L' = A, column by column; only the lower triangle is read."""
    n, form = len(a), current_format()
    if form is not None:
        diagonal = each(arb.sqrt)(np.abs(np.diagonal(a)))
        g = form.spread(n + 1)
        a = a + np.multiply.outer(diagonal, diagonal) * (g / (1 - abs(g)))
    factor = np.full((n, n), ZERO, object)
    for j in range(n):
        pivot = a[j, j] - (factor[j, :j] * factor[j, :j]).sum()
        if not pivot > ZERO:
            if form is not None:
                return np.where(np.tri(n, dtype=bool), unknown((n, n)), ZERO)
            if pivot <= ZERO:
                raise singular("cholesky: the matrix is not positive definite")
            raise Undecided("cholesky", (j, j), (pivot, ZERO))
        factor[j, j] = pivot.sqrt()
        known = (factor[j + 1:, :j] * factor[j, :j]).sum(axis=1)
        factor[j + 1:, j] = (a[j + 1:, j] - known) / factor[j, j]
    return factor


@register(np.linalg.cholesky)
def cholesky(a, *, upper=False):
    """The lower triangular L with L L' = a (upper=True: its transpose).

    Raises LinAlgError if a is not positive definite, Undecided if it may not be.
    """
    cells = cells_of(a)
    if upper:
        cells = np.swapaxes(cells, -1, -2)
    factor = stacked("cholesky", lower_factor, cells.shape[-2:], cells)
    return wrap(rounded(np.swapaxes(factor, -1, -2) if upper else factor))


@register(np.linalg.norm)
def norm(x, ord=None, axis=None, keepdims=False):
    """Norms of vectors of any order, and all of matrices."""
    if axis is None and (ord is None or x.ndim == 2 and ord == "fro" or x.ndim == 1 and ord == 2):
        flat = x.ravel()
        total = root(flat.dot(flat))
        return total.reshape((1,) * x.ndim) if keepdims else total
    axes = range(x.ndim) if axis is None else np.atleast_1d(axis).tolist()
    if len(axes) == 1:
        return vector_norm(x, ord, axes[0], keepdims)
    if len(axes) != 2:
        raise ValueError("norm: one axis for vectors, two for matrices")
    return matrix_norm(x, ord, tuple(axes), keepdims)


def vector_norm(x, ord, axis, keepdims):
    if ord is None or ord == 2:
        return root(np.sum(np.square(x), axis, keepdims=keepdims))
    if ord in (np.inf, -np.inf):
        return (np.max if ord > 0 else np.min)(abs(x), axis=axis, keepdims=keepdims)
    if ord == 0:
        return np.sum(Ball(1) * (x != 0), axis, keepdims=keepdims)
    if ord == 1:
        return np.sum(abs(x), axis, keepdims=keepdims)
    return np.sum(abs(x) ** ord, axis, keepdims=keepdims) ** (Ball(1) / ord)


def matrix_norm(x, ord, axes, keepdims):
    if ord is None or ord == "fro":
        return root(np.sum(np.square(x), axes, keepdims=keepdims))
    if ord in (2, -2, "nuc"):
        s = np.linalg.svdvals(np.moveaxis(x, axes, (-2, -1)))
        y = (np.sum if ord == "nuc" else np.max if ord == 2 else np.min)(s, axis=-1)
        return np.expand_dims(y, axes) if keepdims else y
    summed, other = axes if abs(ord) == 1 else axes[::-1]
    sums = np.sum(abs(x), summed, keepdims=True)
    result = (np.max if ord > 0 else np.min)(sums, axis=other, keepdims=True)
    return result if keepdims else np.squeeze(result, axis=axes)
