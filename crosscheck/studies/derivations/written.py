"""A formula as it is written: text in the language of `refgrad.derive.expression` as a tree for the
printers.

Nothing is simplified or put into another order, unlike in what `derive` prints: a book's formula
stays the book's.
"""

from __future__ import annotations

import ast
from fractions import Fraction

from refgrad.derive import form as F
from refgrad.derive.expression import FUNCTIONS
from refgrad.primitive import TABLE

KINDS = F.SCALAR, F.COLUMN, F.MATRIX
RELATIONS = {ast.Gt: ">", ast.GtE: ">=", ast.Lt: "<", ast.LtE: "<="}


class NotWritten(ValueError):
    """A text that has no form as it stands: index expressions, functions of keyword arguments
    ..."""


def written(text, shapes):
    """The tree of a formula; `shapes` has for each array its dimensions.  Raises NotWritten."""
    sizes = {d for shape in shapes.values() for d in shape if isinstance(d, str)}
    return _Writer(shapes, sizes).form(ast.parse(text, mode="eval").body)


class _Writer:
    def __init__(self, shapes, sizes):
        self.shapes, self.sizes = shapes, sizes

    def form(self, node):
        try:
            return getattr(self, "_" + type(node).__name__.lower())(node)
        except (AttributeError, KeyError, IndexError, TypeError) as error:
            raise NotWritten(f"{ast.unparse(node)}: {error!r}") from None

    def _constant(self, node):
        return F.Num(Fraction(node.value))

    def _name(self, node):
        name = node.id
        if name in self.shapes:
            role = "differential" if name[0] == "d" and len(name) > 1 else "variable"
            return F.Name(name, KINDS[len(self.shapes[name])], role)
        if name in self.sizes:
            return F.Name(name, F.SCALAR, "size")
        what, _, size = name.partition("_")
        return {"I": F.Eye, "one": F.Ones}[what](size)

    def _attribute(self, node):
        if node.attr != "T":
            raise KeyError(node.attr)
        return transposed(self.form(node.value))

    def _unaryop(self, node):
        return scaled([F.Num(Fraction(-1))], self.form(node.operand))

    def _compare(self, node):
        left, right = self.form(node.left), self.form(node.comparators[0])
        return F.Compare(RELATIONS[type(node.ops[0])], left, right, wider(left, right))

    def _binop(self, node):
        left, right = self.form(node.left), self.form(node.right)
        return OPERATORS[type(node.op)](left, right)

    def _call(self, node):
        name, args = node.func.id, [self.form(a) for a in node.args]
        if node.keywords:
            raise KeyError(node.keywords[0].arg)
        if name in CALLS:
            return CALLS[name](*args)
        params = (("axis", -1),) if name.endswith("softmax") else ()
        return F.Apply(primitive(name), tuple(args), params,
                       F.SCALAR if name in SCALARS else wider(*args))


def primitive(name):
    """What refgrad knows under the name of a function of expressions."""
    function = FUNCTIONS[name]
    return (TABLE[function] if function in TABLE
            else next(p for p in TABLE.values() if p.name == NAMES.get(name, name)))


def wider(*forms):
    return max((x.kind for x in forms), key=(F.SCALAR, F.ROW, F.COLUMN, F.MATRIX).index)


def transposed(x):
    return F.T(x, {F.COLUMN: F.ROW, F.ROW: F.COLUMN}.get(x.kind, x.kind))


def plus(left, right):
    terms = [t for x in (left, right)
             for t in (x.terms if type(x) is F.Plus and x is left else [x])]
    return F.Plus(tuple(terms), wider(left, right))


def minus(left, right):
    return plus(left, scaled([F.Num(Fraction(-1))], right))


def scaled(scalars, body):
    """scalars times body, with numbers as one number in front."""
    if type(body) is F.Num and not any(type(s) is not F.Num for s in scalars):
        scalars, body = [*scalars, body], None
    scalars = [t for s in scalars
               for t in (s.scalars if type(s) is F.Times and s.body is None else [s])]
    if type(body) is F.Times:
        scalars, body = [*scalars, *body.scalars], body.body
    if body is not None and body.kind == F.SCALAR:
        scalars, body = [*scalars, body], None
    number = Fraction(1)
    for s in scalars:
        number *= s.value if type(s) is F.Num else 1
    rest = [s for s in scalars if type(s) is not F.Num]
    if not rest and body is None:
        return F.Num(number)
    front = [F.Num(number)] if number != 1 else []
    if not front and len(rest) == (body is None):
        return rest[0] if body is None else body
    return F.Times((*front, *rest), body, F.SCALAR if body is None else body.kind)


def product(left, right):
    """left right, where scalars of the factors stand in front."""
    scalars, factors = [], []
    for x in (left, right):
        if type(x) is F.Times and x.body is not None:
            scalars += x.scalars
            x = x.body
        factors += x.factors if type(x) is F.MatMul and x.kind != F.SCALAR else [x]
    if left.kind == F.COLUMN:
        factors[0] = transposed(factors[0])
    first, last = factors[0].kind, factors[-1].kind
    kinds = {(F.ROW, F.COLUMN): F.SCALAR, (F.MATRIX, F.COLUMN): F.COLUMN, (F.ROW, F.MATRIX): F.ROW}
    kind = kinds.get((first, last), F.MATRIX)
    return (scaled(scalars, F.MatMul(tuple(factors), kind)) if scalars
            else F.MatMul(tuple(factors), kind))


def entrywise(left, right):
    if F.SCALAR in (left.kind, right.kind):
        return scaled([left], right) if left.kind == F.SCALAR else scaled([right], left)
    factors = [f for x in (left, right) for f in (x.factors if type(x) is F.Hadamard else [x])]
    return F.Hadamard(tuple(factors), wider(left, right))


def quotient(left, right):
    if type(right) is F.Num:
        return scaled([F.Num(1 / right.value)], left)
    if type(right) is F.Times and right.kind == F.SCALAR:
        return scaled([quotient(F.Num(Fraction(1)), s) for s in right.scalars], left)
    return entrywise(left, F.Power(right, Fraction(-1), right.kind))


def power(left, right):
    if type(right) is not F.Num:
        raise KeyError("a power that is no number")
    return F.Power(left, right.value, left.kind)


OPERATORS = {ast.Add: plus, ast.Sub: minus, ast.Mult: entrywise, ast.Div: quotient,
             ast.MatMult: product, ast.Pow: power}
CALLS = {
    "tr": F.Trace, "inv": F.Inverse, "sum": F.Total, "vec": F.Vec, "kron": F.Kron,
    "diag": lambda x: F.Diag(x) if x.kind == F.COLUMN else F.DiagOf(x), "inner": F.Inner,
    "outer": lambda a, b: F.MatMul((a, transposed(b)), F.MATRIX),
    "sqrt": lambda x: F.Power(x, Fraction(1, 2), x.kind),
    "norm": lambda x: F.Apply("norm", (x,), (), F.SCALAR)}
#: Functions of whole arrays with a number as their result, and where the table has another name.
SCALARS = {"det", "logdet", "mean"}
NAMES = {"logdet": "log_abs_det", "softplus": "log1pexp"}
