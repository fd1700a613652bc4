"""Formulas in matrix notation, as trees: what a derivation prints.

A formula is a scalar, a column (an array with one axis), a row (its transpose), a matrix, or an
array of more axes, which only index notation can write.  The trees know what they are; how they
look is the printers' business.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

SCALAR, COLUMN, ROW, MATRIX, ARRAY = "scalar", "column", "row", "matrix", "array"


class Num(NamedTuple):
    """An exact number."""

    value: Fraction
    kind: str = SCALAR


class Name(NamedTuple):
    """A variable, an intermediate result, a differential (dX), a cotangent (G_Z), a size (m), or
    given data.

    text    how it is called, an identifier: "X", "Z1", "dZ1", "G_Z1", "m"
    role    "variable", "intermediate", "differential", "cotangent", "size" or "data"
    """

    text: str
    kind: str
    role: str = "variable"
    symmetric: bool = False


class Ones(NamedTuple):
    """A column of ones; `size` is an integer or the name of a dimension."""

    size: object
    kind: str = COLUMN


class Eye(NamedTuple):
    """The identity matrix."""

    size: object
    kind: str = MATRIX


class Rows(NamedTuple):
    """Rows of the identity, or D, the differences of neighbouring ones.

    text  how they are chosen, "1:" or ":-1"; or the name of the differences
    """

    text: str
    size: object
    kind: str = MATRIX


class Zeros(NamedTuple):
    """Zeros in an array of these sizes."""

    sizes: tuple
    kind: str


class Reshaped(NamedTuple):
    """The same entries in an array of these sizes, some of them 1, as programs need them."""

    body: object
    sizes: tuple
    kind: str


class Plus(NamedTuple):
    """A sum of formulas of one kind (a scalar among them is added to every entry)."""

    terms: tuple
    kind: str


class Times(NamedTuple):
    """A formula multiplied by scalars, of which the first may be a Num; a Power of -1 divides."""

    scalars: tuple
    body: object  # None: the product of the scalars alone
    kind: str


class MatMul(NamedTuple):
    """A product of matrices, columns and rows: row . column is a scalar, column . row a matrix."""

    factors: tuple
    kind: str


class T(NamedTuple):
    """The transpose of a matrix (a matrix) or of a column (a row)."""

    body: object
    kind: str


class Hadamard(NamedTuple):
    """A product entry by entry of formulas of one kind; a Power of -1 among them divides."""

    factors: tuple
    kind: str


class Power(NamedTuple):
    """Each entry to a rational power (1/2: the square root, -1: the reciprocal)."""

    body: object
    exponent: Fraction
    kind: str


class Inverse(NamedTuple):
    """The inverse of a matrix."""

    body: object
    kind: str = MATRIX
    symmetric: bool = False


class Diag(NamedTuple):
    """The diagonal matrix of a column."""

    body: object
    kind: str = MATRIX


class DiagOf(NamedTuple):
    """The diagonal of a matrix, a column."""

    body: object
    kind: str = COLUMN


class Trace(NamedTuple):
    """The trace of a matrix."""

    body: object
    kind: str = SCALAR


class Inner(NamedTuple):
    """<a, b>: the sum of the products of the entries of two columns or matrices."""

    left: object
    right: object
    kind: str = SCALAR


class Total(NamedTuple):
    """The sum of all entries."""

    body: object
    kind: str = SCALAR


class Kron(NamedTuple):
    """The Kronecker product of two matrices."""

    left: object
    right: object
    kind: str = MATRIX


class Vec(NamedTuple):
    """The entries of a matrix, row by row, as a column."""

    body: object
    kind: str = COLUMN


class Apply(NamedTuple):
    """A function of formulas: elementwise (the result has the argument's kind), or of whole arrays
    (softmax, det).

    function  a refgrad Primitive (`.name`, `.function`); "norm" for |x|, the root of <x, x>; or
              "jvp" or "vjp" for a rule of the engine's that has no matrix form: the arguments are
              then (v, *arrays), and `params` has "primitive", "argument" (the array's position)
              and, under "params", the primitive's own
    """

    function: object
    args: tuple
    params: tuple  # pairs (name, value)
    kind: str


class Compare(NamedTuple):
    """1 where the comparison holds, 0 elsewhere; `relation` is one of > >= < <= == !=."""

    relation: str
    left: object
    right: object
    kind: str


class Indexed(NamedTuple):
    """Index notation: the product of the factors, each with its subscripts, summed over all
    subscripts but `free`.

    factors   pairs (formula, subscripts): a formula with subscripts of its own (() for a scalar); a
              subscript is a letter, or a tuple of letters for an axis that runs over all their
              combinations, row by row
    free      the subscripts of the result, one for each axis, in the same notation
    sizes     pairs (letter, size)
    """

    factors: tuple
    free: tuple
    sizes: tuple
    kind: str


def nodes(x):
    """A formula, or several in a tuple or list, and all their parts."""
    if isinstance(x, (tuple, list)):
        yield x
        for y in x:
            yield from nodes(y)


def _told_apart(node):
    """Equal only to what is of the same class: as tuples, a sum and a product would be equal."""
    node.__eq__ = lambda self, other: type(self) is type(other) and tuple.__eq__(self, other)
    node.__ne__ = lambda self, other: not self == other
    node.__hash__ = lambda self: hash((type(self).__name__, *self))


for _node in [x for x in vars().values() if isinstance(x, type) and issubclass(x, tuple)]:
    _told_apart(_node)
