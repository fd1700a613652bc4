"""Numbers in an expression, worked out in floats: Python would first work them out with all their digits."""

from __future__ import annotations

import ast
import math
import operator

_UNARY = {ast.USub: operator.neg, ast.UAdd: operator.pos}
_BINARY = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
           ast.Pow: operator.pow}


def number(node):
    """The number that constants alone make, else None; OverflowError for one that no float holds."""
    match node:
        case ast.Constant(value=int() | float() as value):
            found = float(value)
        case ast.UnaryOp(op=op, operand=inner) if type(op) in _UNARY:
            found = _applied(_UNARY[type(op)], number(inner))
        case ast.BinOp(left=left, right=right, op=op) if type(op) in _BINARY:
            found = _applied(_BINARY[type(op)], number(left), number(right))
        case _:
            return None
    if isinstance(found, float) and math.isinf(found):
        raise OverflowError
    return found


def _applied(function, *numbers):
    if any(not isinstance(n, float) for n in numbers):
        return None
    try:
        return function(*numbers)
    except ZeroDivisionError:
        return None
