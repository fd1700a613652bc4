"""Products with a constant, sparse matrix along one axis: padding, resampling.

    y = W x,   dy = W dx,   <g, W dx> = <W' g, dx>

The jvp is the function itself, the vjp the product with the transposed matrix: both gather, neither
scatters.  Entries with weight 0 take no part, whatever they are.
"""

import functools

import numpy as np

from ..cases import Case
from ..primitive import LINEAR, declare, in_dtype_of, widened


class Sparse:
    """A matrix whose row j has `exact[:, j]` in the columns `index[:, j]`, and 0 elsewhere.

    exact    integers, fractions or floats of Python, in an array of objects
    weights  the same, as floats
    """

    def __init__(self, columns, index, exact):
        self.columns, self.index, self.exact = columns, index, exact
        self.weights = exact.astype(float)

    def __repr__(self):
        return f"Sparse({self.index.shape[1]} x {self.columns})"

    @classmethod
    def of_rows(cls, columns, rows):
        """From a list of (column, weight) for each row."""
        taps = max([len(row) for row in rows], default=0)
        index, exact = (np.zeros((taps, len(rows)), dtype) for dtype in (int, object))
        for j, row in enumerate(rows):
            for k, (column, weight) in enumerate(row):
                index[k, j], exact[k, j] = column, weight
        return cls(columns, index, exact)

    @functools.cached_property
    def transposed(self):
        kept = self.weights != 0
        rows, columns = np.nonzero(kept.T)[0], self.index.T[kept.T]
        order = np.argsort(columns, kind="stable")
        columns = columns[order]
        # among the entries of its column
        place = np.arange(columns.size) - np.searchsorted(columns, columns)
        shape = place.max(initial=0) + 1, self.columns
        index, exact = np.zeros(shape, int), np.zeros(shape, object)
        index[place, columns], exact[place, columns] = rows[order], self.exact.T[kept.T][order]
        return Sparse(self.index.shape[1], index, exact)


def _product(x, matrix, axis):
    wide, total = widened(x), 0
    for index, weights in zip(matrix.index, matrix.weights):
        w = np.reshape(weights, (-1,) + (1,) * (-axis - 1))
        with np.errstate(invalid="ignore"):
            term = np.take(wide, index, axis) * in_dtype_of(wide, w)
        total = total + (term if weights.all() else np.where(w != 0, term, 0))
    return in_dtype_of(x, total)


def _exact_product(x, matrix, axis):
    total = 0
    for index, weights in zip(matrix.index, matrix.exact):
        ratios = np.array([w.as_integer_ratio() for w in weights], object)
        above, below = np.reshape(ratios.T, (2, -1, *(1,) * (-axis - 1)))
        total = total + np.where(above != 0, np.take(x, index, axis) * above / below, 0)
    return total


def _example():
    return Sparse.of_rows(4, [[(0, 0.5), (1, 0.25)], [(1, 1.0)], [(3, 2.0), (3, 0.5)]])


resample = declare(
    None, """y = W x along one axis, with a constant matrix W;  dy = W dx,  <g, W dx> = <W' g, dx>
    Sparse: y_j is the sum of w_kj x_(i_kj), with few k.""", name="resample", kind=LINEAR,
    forward=_product, formula=_exact_product,
    jvp=(lambda v, matrix, axis: resample(v, matrix=matrix, axis=axis),),
    stacked=True,
    vjp=(lambda g, matrix, axis: resample(g, matrix=matrix.transposed, axis=axis),),
    cases=[Case((2, 4), matrix=_example(), axis=-1), Case((4, 2), matrix=_example(), axis=-2)])
