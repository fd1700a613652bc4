"""Vectors in text are columns: ``x'`` is a row, and ``x @ x'`` a matrix.

NumPy's vectors have one axis, which has no transpose.  A Row remembers that it was transposed,
until a product makes a number or a matrix of it.  What has a meaning for NumPy and another one on
paper is refused.
"""

from __future__ import annotations

import numpy as np

from ..operations import INFIX
from .sizes import RELATIONS

#: The operators that work entry by entry.
SIGNS = {f: sign for f, sign in INFIX.items() if type(f) is not np.ufunc}


class Row:
    """The transpose of a vector; `column` is the vector, an array with one axis."""

    __slots__ = ("column",)
    __array_ufunc__ = None  # arrays leave operators to this class
    __hash__ = None

    def __init__(self, column):
        self.column = column

    @property
    def shape(self):
        return (1, *self.column.shape)

    @property
    def ndim(self):
        return 2

    def __matmul__(self, other):
        if isinstance(other, Row):
            raise ValueError("a row times a row: x' @ y is the inner product of two vectors, x @ "
                             "y' the outer one")
        if np.ndim(other) == 0:
            raise ValueError("a row times a number: write * for it")
        product = self.column @ other
        return product if np.ndim(other) == 1 else Row(product)

    def __rmatmul__(self, other):
        if np.ndim(other) == 0:  # (y' x) x'
            return Row(other * self.column)
        if np.ndim(other) > 1:
            raise ValueError("a matrix times a row: write A @ x for its product with the vector")
        return np.outer(other, self.column)

    def __neg__(self): return Row(-self.column)
    def __pos__(self): return self

    def __getitem__(self, index):
        raise ValueError("a subscript of a row: take it of the vector, without the prime")

    def entrywise(self, other, sign, operation):
        """An operation with a number or with another row."""
        if isinstance(other, Row):
            return Row(operation(self.column, other.column))
        if np.ndim(other) == 0:
            return Row(operation(self.column, other))
        if np.ndim(other) == 1:
            raise ValueError(f"a row and a column meet in {sign}: write both without a prime for "
                             "entry by entry, x' @ y for their inner product, x @ y' for the "
                             "outer one")
        raise ValueError(f"a matrix and a row meet in {sign}, entry by entry: write @ for a "
                         "product of matrices; x without a prime stands beside each row of the "
                         "matrix, x[:, None] beside each column")


def _between(operation, swapped):
    """An operator between a row and something else."""
    if swapped:
        return lambda self, other: self.entrywise(other, SIGNS[operation],
                                                  lambda a, b: operation(b, a))
    return lambda self, other: self.entrywise(other, SIGNS[operation], operation)


for _operation, _sign in SIGNS.items():
    setattr(Row, f"__{_operation.__name__}__", _between(_operation, False))
    if _sign not in RELATIONS:
        setattr(Row, f"__r{_operation.__name__}__", _between(_operation, True))


def transpose(x):
    """The transpose of a matrix; of a vector the row, of a row the vector."""
    if isinstance(x, Row):
        return x.column
    return Row(x) if np.ndim(x) == 1 else x.T


def applied(function, arguments, parameters):
    """A function of rows: entry by entry a row again, and sums and norms are numbers."""
    arrays = [a for a in arguments if isinstance(a, Row) or np.ndim(a)]
    if function is not transpose and not parameters and all(isinstance(a, Row) for a in arrays):
        result = function(*(a.column if isinstance(a, Row) else a for a in arguments))
        if np.ndim(result) == 0:
            return result
        if function is not np.ravel and np.shape(result) == np.shape(arrays[0].column):
            return Row(result)
    elif function is transpose:
        return transpose(*arguments)
    raise ValueError(f"{function.__name__} of a row: write the vector without its prime")
