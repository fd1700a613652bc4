"""Formulas in matrix notation, as trees: what a derivation prints.

A formula is a scalar, a column (an array with one axis), a row (its transpose), a matrix, or an
array of more axes, which only index notation can write.  The trees know what they are; how they
look is the printers' business.
"""

from __future__ import annotations

from collections import namedtuple

SCALAR, COLUMN, ROW, MATRIX, ARRAY = "scalar", "column", "row", "matrix", "array"


def node(name, fields, about, **defaults):
    """A class of formulas: tuples that are equal only to those of the same class, since a sum is no
    product."""
    made = namedtuple(name, [*fields.split(), *defaults], defaults=defaults.values(),
                      module=__name__)
    made.__doc__ = about
    made.__eq__ = lambda self, other: type(self) is type(other) and tuple.__eq__(self, other)
    made.__ne__ = lambda self, other: not self == other
    made.__hash__ = lambda self: hash((name, *self))
    return made


Num = node("Num", "value", "An exact number, a Fraction.", kind=SCALAR)
Name = node("Name", "text kind", """A variable, an intermediate result, a differential (dX), a
cotangent (G_Z), a size (m), or given data.

text    how it is called, an identifier: "X", "Z1", "dZ1", "G_Z1", "m"
role    "variable", "intermediate", "differential", "cotangent", "size" or "data"
""", role="variable", symmetric=False)
Ones = node("Ones", "size", "A column of ones; `size` is an integer or the name of a dimension.",
            kind=COLUMN)
Eye = node("Eye", "size", "The identity matrix.", kind=MATRIX)
Rows = node("Rows", "text size", """Rows of the identity, or D, the differences of neighbouring
ones.

text  how they are chosen, "1:" or ":-1"; or the name of the differences
""", kind=MATRIX)
Zeros = node("Zeros", "sizes kind", "Zeros in an array of these sizes.")
Reshaped = node("Reshaped", "body sizes kind",
                "The same entries in an array of these sizes, some of them 1, as programs need.")
Plus = node("Plus", "terms kind", "A sum of formulas of one kind; a scalar is added to each entry.")
Times = node("Times", "scalars body kind", """A formula multiplied by scalars, of which the first
may be a Num; a Power of -1 divides.  The body is None where it is a scalar itself.""")
MatMul = node("MatMul", "factors kind", """A product of matrices, columns and rows: row . column is
a scalar, column . row a matrix.""")
T = node("T", "body kind", "The transpose of a matrix (a matrix) or of a column (a row).")
Hadamard = node("Hadamard", "factors kind",
                "A product entry by entry of formulas of one kind; a Power of -1 divides.")
Power = node("Power", "body exponent kind",
             "Each entry to a rational power (1/2: the square root, -1: the reciprocal).")
Inverse = node("Inverse", "body", "The inverse of a matrix.", kind=MATRIX, symmetric=False)
Diag = node("Diag", "body", "The diagonal matrix of a column.", kind=MATRIX)
DiagOf = node("DiagOf", "body", "The diagonal of a matrix, a column.", kind=COLUMN)
Trace = node("Trace", "body", "The trace of a matrix.", kind=SCALAR)
Inner = node("Inner", "left right", """<a, b>: the sum of the products of the entries of two columns
or matrices.""", kind=SCALAR)
Total = node("Total", "body", "The sum of all entries.", kind=SCALAR)
Kron = node("Kron", "left right", "The Kronecker product of two matrices.", kind=MATRIX)
Vec = node("Vec", "body", "The entries of a matrix, row by row, as a column.", kind=COLUMN)
Apply = node("Apply", "function args params kind", """A function of formulas: elementwise (the
result has the argument's kind), or of whole arrays (softmax, det).

function  a refgrad Primitive (`.name`, `.function`); "norm" for |x|, the root of <x, x>; or "jvp"
          or "vjp" for a rule of the engine's that has no matrix form: the arguments are then (v,
          *arrays), and `params` has "primitive", "argument" (the array's position) and, under
          "params", the primitive's own
params    pairs (name, value)
""")
Compare = node("Compare", "relation left right kind",
               "1 where the comparison > >= < <= == or != holds, 0 elsewhere.")
Indexed = node("Indexed", "factors free sizes kind", """Index notation: the product of the factors,
each with its subscripts, summed over all subscripts but `free`.

factors   pairs (formula, subscripts): a formula with subscripts of its own (() for a scalar); a
          subscript is a letter, or a tuple of letters for an axis that runs over all their
          combinations, row by row
free      the subscripts of the result, one for each axis, in the same notation
sizes     pairs (letter, size)
""")


def nodes(x):
    """A formula, or several in a tuple or list, and all their parts."""
    if isinstance(x, (tuple, list)):
        yield x
        for y in x:
            yield from nodes(y)
