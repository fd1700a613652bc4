"""NumPy expressions as text, and what products of matrices become in them.

Columns and rows are arrays with one axis here; a chain of factors knows which of them it has.
"""

from __future__ import annotations

import ast
from typing import NamedTuple

from .form import ARRAY, COLUMN, MATRIX, ROW, SCALAR

SUM, PRODUCT, UNARY, POWER, ATOM = range(5)


class Code(NamedTuple):
    """An expression.

    level  how tightly it binds
    axes   the axes of the formula's kind that it spans; broadcasting gives the others
    wide   a column's code where it must span the rows of a matrix, if not text[:, None]
    """

    text: str
    level: int
    axes: frozenset
    wide: str = ""

    def at(self, level):
        return self.text if self.level >= level else f"({self.text})"


NONE, VECTOR, BOTH = frozenset(), frozenset({0}), frozenset({0, 1})
AXES = {SCALAR: NONE, COLUMN: VECTOR, ROW: VECTOR, MATRIX: BOTH, ARRAY: BOTH}


def call(function, *arguments):
    """The text of a call."""
    return f"{function}({', '.join(arguments)})"


def atom(text, kind):
    """Code that never needs parentheses, and spans all axes of its kind."""
    return Code(text, ATOM, AXES[kind])


def united(codes):
    """The axes that any of these codes spans."""
    return frozenset().union(*(c.axes for c in codes))


def level_of(text):
    """How tightly the outermost operation of a text binds."""
    node = ast.parse(text, mode="eval").body
    if isinstance(node, ast.BinOp):
        return (SUM if isinstance(node.op, (ast.Add, ast.Sub)) else POWER
                if isinstance(node.op, ast.Pow) else PRODUCT)
    return UNARY if isinstance(node, ast.UnaryOp) else ATOM


# Products of matrices

class Factor(NamedTuple):
    """A part of a product; `special`: "ones" (a column or row of them), "diag" or ""."""

    code: Code
    kind: str
    special: str = ""


def alone(f, need=BOTH):
    """The code of a factor that stands for itself."""
    if f.special == "ones":
        return atom(call("np.ones", f.code.text), COLUMN) if need else Code("1", ATOM, NONE)
    return atom(call("np.diag", f.code.text), MATRIX) if f.special == "diag" else f.code


def outer(column, row, need):
    """column . row; ones are left to broadcasting, but for the axes that are needed."""
    if column.special == row.special == "ones":
        if not need:
            return Code("1", ATOM, NONE)
        return atom(call("np.ones", f"({column.code.text}, {row.code.text})"), MATRIX)
    if column.special == "ones" and 0 not in need:
        return Code(row.code.text, row.code.level, frozenset({1}))
    if row.special == "ones" and 1 not in need:
        return Code(column.code.wide or column.code.at(ATOM) + "[:, None]", ATOM, frozenset({0}))
    return atom(call("np.outer", alone(column).text, alone(row).text), MATRIX)


def chain(factors):
    """A product without outer products; from the right, if it ends in a column."""
    first, last = factors[0], factors[-1]
    if (len(factors) > 2 and first.special == last.special == "ones"
            and (first.kind, last.kind) == (ROW, COLUMN)):
        return Factor(Code(call("np.sum", alone(chain(factors[1:-1])).text), ATOM, NONE), SCALAR)
    if last.kind == COLUMN and first.kind != ROW:
        result = last
        for f in reversed(factors[:-1]):
            result = product(f, result)
        return result
    result = first
    for f in factors[1:]:
        result = product(result, f)
    return result


def product(a, b):
    """The matrix product of two neighbours, as one factor."""
    one_row, one_column = a.kind == ROW, b.kind == COLUMN
    kind = (SCALAR if one_column else ROW) if one_row else COLUMN if one_column else MATRIX
    axes = AXES[kind]
    if a.special == b.special == "ones":
        return Factor(a.code, kind)
    if "ones" in (a.special, b.special):
        other = b if a.special == "ones" else a
        if other.special == "diag":
            return Factor(other.code, kind)
        if other.kind != MATRIX:
            return Factor(Code(call("np.sum", other.code.text), ATOM, axes), kind)
        arguments = other.code.text, f"axis={0 if other is b else 1}"
        return Factor(Code(call("np.sum", *arguments), ATOM, axes,
                           call("np.sum", *arguments, "keepdims=True")), kind)
    left, right = a.code.at(POWER), b.code.at(POWER)
    if a.special == b.special == "diag":
        return Factor(Code(f"{left} * {right}", PRODUCT, VECTOR), MATRIX, "diag")
    if a.special == "diag":
        return Factor(Code(f"{a.code.at(ATOM)}[:, None] * {right}" if kind == MATRIX
                           else f"{left} * {right}", PRODUCT,
                           axes), kind)
    if b.special == "diag":
        return Factor(Code(f"{left} * {right}", PRODUCT, axes), kind)
    # A @ B @ C needs no parentheses on the left; A * v does.
    left = a.code.text if a.code.level == PRODUCT and only_matmuls(a.code.text) else left
    return Factor(Code(f"{left} @ {right}", PRODUCT, axes), kind)


def only_matmuls(text):
    """Whether the outermost operation of a text is @."""
    node = ast.parse(text, mode="eval").body
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult)
