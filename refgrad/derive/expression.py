"""Expressions as text: ``0.5*norm(X @ W - Y)**2`` as a program that runs on any array.

The text is Python's, read by Python's own parser, of which only numbers, names, operators, ``.T``,
subscripts and calls of the functions listed here are let through.  A mistake is shown where it
stands, also one that only running can find: every character of the text is a line of the compiled
program, so a traceback knows which operator failed.
"""

from __future__ import annotations

import ast
import contextlib
import difflib
import functools
import inspect
import re

import numpy as np

from .. import nn
from ..nn.activations import log1pexp
from ..rules.special import erf
from .arguments import with_signature
from .rows import Row, applied, transpose
from .symbol import NoFormula
from .tokens import ExpressionError, as_python


#: What NumPy, refgrad and Symbols raise when a program does not run on the arrays that it was
#: given.
RUNNING_ERRORS = (ValueError, TypeError, AttributeError, IndexError, ArithmeticError, MemoryError,
                  NoFormula)


def trace(A):
    """The trace of a square matrix; NumPy's takes any matrix."""
    if len(A.shape) != 2 or A.shape[0] != A.shape[1]:
        shape = ", ".join(map(str, A.shape))
        raise ValueError(f"trace: the argument has the shape ({shape}); expected a square matrix")
    return np.trace(A)


def log_abs_det(A):
    """The logarithm of the absolute value of the determinant."""
    return np.linalg.slogdet(A)[1]


def layer_norm(input, normalized_shape=None, weight=None, bias=None, eps=1e-05):
    """refgrad.nn's; over the last axis, if no shape is given."""
    shape = input.shape[-1:] if normalized_shape is None else normalized_shape
    return nn.layer_norm(input, shape, weight, bias, eps)


def softplus(input, beta=1, threshold=None):
    """log(1 + exp(beta x)) / beta; with a threshold refgrad.nn's, which is x above it."""
    if threshold is not None:
        return nn.softplus(input, beta, threshold)
    return log1pexp(beta * input) / beta


def _of_last_axis(function):
    """A function of torch's that works along `dim`, with the default that torch leaves out."""
    if "dim" not in inspect.signature(function).parameters:
        return function
    return lambda input, dim=-1: function(input, dim)


#: The functions of an expression by their names: refgrad's layers and losses, and NumPy's.
FUNCTIONS = {
    **{name: _of_last_axis(f) for name, f in vars(nn).items() if inspect.isfunction(f)},
    **{f.__name__: f for f in (
        np.sum, np.mean, np.exp, np.log, np.log1p, np.sqrt, np.tanh, np.sinh, np.cosh, np.sin,
        np.cos, np.tan, np.arctan, np.sign, np.square, np.maximum, np.minimum, np.where, np.dot,
        np.inner, np.outer, np.kron, np.diag, np.diagonal, transpose, np.cumsum, np.prod, np.var,
        np.std, np.linalg.det, np.linalg.inv, np.linalg.solve, np.linalg.norm)},
    "tr": trace, "trace": trace, "abs": np.abs, "vec": np.ravel, "logdet": log_abs_det, "erf": erf,
    "layer_norm": layer_norm, "softplus": softplus}
CONSTANTS = {"pi": np.pi}
_OF_MATRICES = {"sqrtm": "sqrt", "logm": "log", "expm": "exp", "sinm": "sin", "cosm": "cos",
                "tanhm": "tanh"}

_OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/",
              ast.MatMult: "@", ast.Pow: "**", ast.Gt: ">",
              ast.GtE: ">=", ast.Lt: "<", ast.LtE: "<=", ast.Eq: "==", ast.NotEq: "!="}


class Expression:
    """A function of arrays that was read from text; its parameters are the names in the order in
    which they appear.

    text       as it was given, on one line
    names      of its arrays
    remarks    how names were understood
    products   products of the last run that are entry by entry and may be meant otherwise: {text:
               remark}
    """

    def __init__(self, text, names, function, inside, products, remarks=(), known=None):
        self.text, self.names, self.products, self.remarks = text, names, products, list(remarks)
        self.__name__ = "f"
        with_signature(self, names)
        self._function = function
        self._inside = inside  # from the column of an operation to the names below it
        self._known = known or {}  # from names to functions of the other arrays, a dict

    def knowing(self, name, make):
        """The same expression without one argument: make(a dict of the others) computes it."""
        names = tuple(n for n in self.names if n != name)
        return Expression(self.text, names, self._function, self._inside, self.products,
                          self.remarks, self._known | {name: make})

    @property
    def notes(self):
        """What a reader has to know of how the text was read."""
        return [*self.remarks, *self.products.values()]

    def __call__(self, *arrays, **named):
        self.products.clear()
        given = self.__signature__.bind(*arrays, **named).arguments
        result = self._function(**given,
                                **{name: make(given) for name, make in self._known.items()})
        return result.column if isinstance(result, Row) else result

    def column_of(self, error):
        """The column of the operation that raised an error as the expression ran, or None."""
        trace, column = error.__traceback__, None
        while trace is not None:
            if trace.tb_frame.f_code is self._function.__code__:
                column = trace.tb_lineno - 1
            trace = trace.tb_next
        return column

    def names_at(self, column):
        """The arrays that go into the operation at a column."""
        return self._inside.get(column, ())

    @contextlib.contextmanager
    def pointing(self):
        """Errors raised in here become ExpressionErrors that point at the operation."""
        try:
            yield
        except ExpressionError:
            raise
        except RUNNING_ERRORS as error:
            column = self.column_of(error)
            if column is None:
                raise
            raise ExpressionError(self.text, column, str(error)) from error


def parse(text) -> Expression:
    """The expression that a text says, or an ExpressionError that shows where it is wrong.

        parse("tr(A.T @ X @ B @ X.T)").names    # ("A", "X", "B")

    ``X'`` is ``X.T``; vectors are columns, so ``x'`` is a row (see `rows`).  Functions: FUNCTIONS;
    constants: pi.
    """
    text = re.sub(r"\s", " ", text).strip()
    if not text:
        raise ExpressionError(text, 0, "an empty expression")
    program, columns = as_python(text)
    try:
        tree = ast.parse(program, mode="eval")
    except SyntaxError as error:
        column = columns[min(max((error.offset or 1) - 1, 0), len(program))]
        raise ExpressionError(text, column, f"this cannot be read ({error.msg})") from None
    except (RecursionError, MemoryError):
        raise ExpressionError(text, 0, "too deeply nested") from None
    return _Reader(text, program, columns).expression(tree)


class _Reader:
    """Goes through a syntax tree: refuses what is not known, and numbers the operations."""

    def __init__(self, text, program, columns):
        self.text, self.program, self.columns = text, program, columns
        self.names, self.inside = {}, {}

    def expression(self, tree):
        called = {n.func for n in ast.walk(tree) if isinstance(n, ast.Call)}
        self.arrays = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and n not in called}
        try:
            self.operand(tree.body)
            if not self.names:
                self.fail(tree.body, "there is no array in this expression")
            parameters = ast.arguments(posonlyargs=[], args=[ast.arg(n) for n in self.names],
                                       kwonlyargs=[], kw_defaults=[], defaults=[])
            program = ast.Expression(ast.Lambda(parameters, _OnPaper(self).visit(tree.body)))
            compiled = compile(ast.fix_missing_locations(program), "<expression>", "eval")
        except RecursionError:
            raise ExpressionError(self.text, 0, "too deeply nested") from None
        products = {}
        functions = {name: _telling(f) for name, f in FUNCTIONS.items()}
        functions["_product"] = functools.partial(_entrywise, products)
        function = eval(compiled, {"__builtins__": {}, **CONSTANTS, **functions})
        function.__name__ = function.__qualname__ = "expression"
        return Expression(self.text, tuple(self.names), function, self.inside, products)

    # Where things are

    def start(self, node):
        return len(self.program.encode()[:node.col_offset].decode())

    def end(self, node):
        return len(self.program.encode()[:node.end_col_offset].decode())

    def fail(self, node, message, offset=0):
        raise ExpressionError(self.text, self.columns[self.start(node) + offset], message)

    def place(self, node, position, *below):
        """Let the operation stand on the line of its character; the names that go into it."""
        column = self.columns[position]
        names = tuple(dict.fromkeys(n for group in below for n in group))
        self.inside[column] = names
        node.lineno = node.end_lineno = column + 1
        return names

    def written(self, node):
        """The text of an operand."""
        return self.text[self.columns[self.start(node)]:self.columns[self.end(node)]].strip()

    def sign_between(self, left, right, sign):
        return self.program.index(sign, self.end(left), self.start(right))

    # What may stand where; each returns the names below

    def operand(self, node):
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return ()
            case ast.Name(id=name):
                return self.name(node, name)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
                return self.place(node, self.start(node), self.operand(node.operand))
            case (ast.BinOp(left=left, right=right, op=op) | ast.Compare(
                    left=left, ops=[op], comparators=[right])) if type(op) in _OPERATORS:
                position = self.sign_between(left, right, _OPERATORS[type(op)])
                if isinstance(op, ast.Mult):
                    self.no_matrix_product(node, position)
                for side in (left, right):
                    self.as_float(side)
                return self.place(node, position, self.operand(left), self.operand(right))
            case ast.Compare(comparators=[first, second, *_], ops=[_, op, *_]):
                self.fail(first, "one comparison at a time",
                          self.sign_between(first, second, _OPERATORS[type(op)])
                          - self.start(first))
            case ast.Attribute(value=value, attr=name):
                return self.attribute(node, value, name)
            case ast.Subscript(value=value, slice=index):
                position = self.program.index("[", self.end(value))
                for part in index.elts if isinstance(index, ast.Tuple) else [index]:
                    self.subscript(part)
                return self.place(node, position, self.array(value, position))
            case ast.Call():
                return self.call(node)
        what = (repr(node.value) if isinstance(node, ast.Constant)
                else f"a {type(node).__name__.lower()}")
        self.fail(node,
                  f"{what} cannot stand here; expected an array, a number or an operation on them")

    def as_float(self, node):
        """Let a whole number be a float: Python would work out 9**9**9 with all its digits."""
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            node.value = float(str(node.value))  # infinite where it is too large

    def no_matrix_product(self, node, position):
        """Refuse X' * A * X: nobody means it entry by entry."""
        factors = _factors(node)
        of = [ast.dump(f) for f in factors]
        turned = next((f for f in factors if _is_transpose(f) and self.written(f).endswith("'")
                       and ast.dump(f.value) in of), None)
        if turned is not None:
            raise ExpressionError(self.text, self.columns[position], "* is entry by entry, "
                                  f"and {self.written(turned)} "
                                  f"stands beside {self.written(turned.value)}: write @ for a "
                                  "product of matrices")

    def name(self, node, name):
        if name in FUNCTIONS:
            self.fail(node,
                      f"{name} is a function: write {name}(...), or give the array another name")
        if name not in CONSTANTS:
            self.names.setdefault(name)
            return (name,)
        return ()

    def attribute(self, node, value, name):
        position = self.program.index(".", self.end(value))
        if name != "T":
            written = name if name in FUNCTIONS else {"I": "inv"}.get(name)
            self.fail(node, f".{name} is not known here, only .T is"
                      + (f"; write {written}(...)" if written else ""),
                      position - self.start(node))
        return self.place(node, position, self.array(value, position))

    def array(self, node, position):
        """An operand that has arrays in it."""
        below = self.operand(node)
        if not below:
            raise ExpressionError(self.text, self.columns[position], "a number has no axes")
        return below

    def call(self, node):
        function = node.func
        if not isinstance(function, ast.Name):
            if isinstance(function, ast.Attribute):
                self.attribute(function, function.value, function.attr)
            self.fail(function, "this is not a function")
        name = function.id
        if name not in FUNCTIONS:
            if name in _OF_MATRICES:
                self.fail(function, f"there is no {name}, the function of a matrix; "
                                    f"{_OF_MATRICES[name]}(X) is another "
                                    "one, which works entry by entry")
            close = difflib.get_close_matches(name, FUNCTIONS, n=3)
            if name in self.arrays or len(name) == 1:
                self.fail(function, f"{name} is an array and cannot be called; write {name} @ "
                                    f"(...) for a matrix product, {name} * (...) entry by entry")
            advice = (f"; did you mean {' or '.join(close)}?" if close
                      else f". Known are {', '.join(sorted(FUNCTIONS))}")
            self.fail(function, f"there is no function {name}{advice}")
        below = [self.argument(a) for a in node.args]
        for k in node.keywords:
            if k.arg is None:
                self.fail(k.value, "** does not unpack here")
            below.append(self.argument(k.value))
        misfit = _misfit(FUNCTIONS[name], len(node.args), [k.arg for k in node.keywords])
        if misfit:
            self.fail(function, f"{name}: {misfit}")
        return self.place(node, self.start(function), *below)

    def argument(self, node):
        """An operand, or a parameter: a word, None, True, False, a tuple of integers."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bool | None):
            return ()
        if isinstance(node, ast.Tuple):
            for part in node.elts:
                self.integer(part)
            return ()
        return self.operand(node)

    def subscript(self, node):
        if isinstance(node, ast.Slice):
            for part in (node.lower, node.upper, node.step):
                if part is not None:
                    self.integer(part)
        elif not (isinstance(node, ast.Constant) and node.value is None):
            self.integer(node)

    def integer(self, node):
        number = (node.operand if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
                  else node)
        if not isinstance(number, ast.Constant) or type(number.value) is not int:
            self.fail(node, "expected an integer here")


class _OnPaper(ast.NodeTransformer):
    """Where text means what paper means: x.T and A * B as calls of functions here."""

    def __init__(self, reader):
        self.reader = reader

    def visit_Attribute(self, node):
        return self.called(node, "transpose", self.visit(node.value))

    def visit_BinOp(self, node):
        sides = node.left, node.right
        written = [self.reader.written(side) for side in sides]
        left, right = map(self.visit, sides)
        if not isinstance(node.op, ast.Mult):
            node.left, node.right = left, right
            return node
        turned = ast.Constant(any(map(_is_transpose, sides)))
        return self.called(node, "_product", left, right, turned, *map(ast.Constant, written))

    def called(self, node, function, *arguments):
        return ast.copy_location(ast.Call(ast.Name(function, ast.Load()), list(arguments), []),
                                 node)


def _is_transpose(node):
    return isinstance(node, ast.Attribute) and node.attr == "T"


def _factors(node):
    """The factors of a chain of products entry by entry."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return _factors(node.left) + _factors(node.right)
    return [node]


def _entrywise(products, left, right, turned, *written):
    """left * right; of arrays that paper would multiply as matrices there is a remark."""
    axes = np.ndim(left), np.ndim(right)
    if sorted(axes) == [1, 2] or turned and axes == (2, 2):
        how = "entry by entry" + ", the vector beside each row of the matrix" * (1 in axes)
        products[" * ".join(written)] = (f"{' * '.join(written)} is {how}; the product of matrices "
                                         f"is written {' @ '.join(written)}")
    return left * right


def _misfit(function, count, keywords):
    """What is wrong with a call of so many arguments and these keywords; None if nothing is."""
    if isinstance(function, np.ufunc):
        if keywords or count != function.nin:
            return f"expected {function.nin} argument{'s' * (function.nin > 1)} and no keywords"
        return None
    try:
        inspect.signature(function).bind(*range(count), **dict.fromkeys(keywords))
    except ValueError:  # it has no signature
        return None
    except TypeError as error:
        return str(error)
    return None


def _telling(function):
    """The function; an error about its arguments has their shapes with it, as `shapes`."""
    def call(*arguments, **parameters):
        try:
            if any(isinstance(a, Row) for a in (*arguments, *parameters.values())):
                return applied(function, arguments, parameters)
            return function(*arguments, **parameters)
        except ValueError as error:
            if not hasattr(error, "shapes"):
                error.shapes = [x.shape for x in (*arguments, *parameters.values())
                                if hasattr(x, "shape")]
            raise
    return call
