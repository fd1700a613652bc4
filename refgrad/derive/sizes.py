"""Numbers that a program computes from the sizes of named dimensions, and that remember how.

    X.shape[0] / 2,  1 / m,  m * (m - 1),  np.sqrt(k)

count like the numbers that stand for the sizes, and stay m/2, 1/m, ... in a formula.  A comparison
of sizes is decided by these numbers, and is noted as a condition of the formula.  Functions that
take plain numbers alone (len, float, math.log, np.prod) lose it; `recovery` finds it again.
"""

from __future__ import annotations

import contextvars
import math
import operator
import sys
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from ..primitive import TABLE
from .index import Factor, Leaf, Point, Sum, add, power, product, scaled


class Condition(NamedTuple):
    """A comparison of sizes, in the form in which it holds."""

    left: object
    relation: str
    right: object

    def holds_at(self, sizes):
        """Whether it holds at other sizes, a dict of integers."""
        return RELATIONS[self.relation](*(at_sizes(expression_of(x), sizes)
                                          for x in (self.left, self.right)))


RELATIONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
             "==": operator.eq, "!=": operator.ne}
OPPOSITE = {">": "<=", "<": ">=", ">=": "<", "<=": ">", "==": "!=", "!=": "=="}

#: The comparisons of the derivation in progress: from what tells them apart to a Condition.
CONDITIONS = contextvars.ContextVar("conditions", default=None)

#: How numbers enter formulas in the run in progress; outside of one they are what they are.
ENTERING = contextvars.ContextVar("entering", default=None)


class Size:
    """A number computed from sizes.

    value       an int or a float: what it is at the sizes that stand for the names
    expression  how it was computed, a Sum without indices
    """

    __slots__ = ("value", "expression")

    def __init__(self, value, expression):
        self.value, self.expression = value, expression

    @classmethod
    def named(cls, name, value):
        """The size of a dimension."""
        return cls(value, Sum.product([Factor(Leaf(name, (), "size"))]))

    @property
    def __class__(self):
        """For isinstance it is the number that it counts like; its type is Size."""
        return type(self.value)

    def __str__(self):
        terms = self.expression.terms
        factors = terms[0].factors if len(terms) == 1 and terms[0].coefficient == 1 else ()
        alone = len(factors) == 1 and type(factors[0].atom) is Leaf and factors[0].power == 1
        return factors[0].atom.name if alone else str(self.value)

    __repr__ = __str__

    # the plain number

    def __index__(self): return operator.index(self.value)
    def __int__(self): return int(self.value)
    def __float__(self): return float(self.value)
    def __bool__(self): return bool(self.value)
    def __hash__(self): return hash(self.value)
    def __round__(self, digits=None): return round(self.value, digits)
    def __format__(self, spec): return format(self.value, spec) if spec else str(self)
    def __array__(self, dtype=None, copy=None): return np.array(self.value, dtype)

    # what is computed from it

    def __floordiv__(self, other): return whole_quotient(self, other)
    def __rfloordiv__(self, other): return whole_quotient(other, self)
    def __mod__(self, other): return self.value % plain(other)
    def __rmod__(self, other): return plain(other) % self.value
    def __divmod__(self, other): return self // other, self % other
    def __rdivmod__(self, other): return other // self, other % self
    def __neg__(self): return computed(operator.mul, self, -1)
    def __pos__(self): return self
    def __abs__(self):
        positive = all(t.coefficient > 0 for t in self.expression.terms)
        return self if positive else abs(self.value)

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        if not all(is_real(x) or type(x) is np.ndarray for x in inputs):
            return NotImplemented  # arrays of formulas, and traced ones, know what to do
        if method == "__call__" and not options and all(np.ndim(x) == 0 for x in inputs):
            inputs = [x.item() if issubclass(type(x), (np.generic, np.ndarray)) else x
                      for x in inputs]
            found = OPERATORS[ufunc](*inputs) if ufunc in OPERATORS else applied(ufunc, *inputs)
            if found is not NotImplemented:
                return found
        entering = ENTERING.get()
        if entering is not None and ufunc in TABLE and method == "__call__" and not options:
            formulas = [entering.formula(x) for x in inputs]
            if all(f is not None for f in formulas):
                return ufunc(*formulas)
        return getattr(ufunc, method)(*map(plain, inputs), **options)


def plain(x):
    """The number that a Size counts like; all else as it is."""
    return x.value if type(x) is Size else x


def _operators():
    """Arithmetic and comparisons, as methods of Size."""
    for operation in EXPRESSIONS:
        name = operation.__name__
        yield (f"__{name}__",
               lambda self, other, operation=operation: computed(operation, self, other))
        yield (f"__r{name}__",
               lambda self, other, operation=operation: computed(operation, other, self))
    for sign, relation in RELATIONS.items():
        yield f"__{relation.__name__}__", lambda self, other, sign=sign: compared(self, sign, other)


def is_real(x):
    """Whether this is a plain real number or one computed from sizes."""
    return type(x) is Size or issubclass(type(x), (int, float, Fraction, np.integer, np.floating))


def sized(value, expression):
    """A number with its expression; plain if no size is left in it, or if it is not real."""
    if isinstance(value, complex) or not math.isfinite(value):
        return value
    return Size(value, expression) if any(t.factors for t in expression.terms) else value


def computed(operation, a, b):
    """An operation of arithmetic on two numbers, of which one at least is computed from sizes."""
    if not (is_real(a) and is_real(b)):
        return NotImplemented
    x, y = plain(a), plain(b)
    value = operation(x, y)
    if not (math.isfinite(x) and math.isfinite(y)):
        return value
    return sized(value, EXPRESSIONS[operation](expression_of(a), expression_of(b)))


def expression_of(x):
    """A real number as an expression."""
    if type(x) is Size:
        return x.expression
    return Sum.number(exact(x))


def exact(number):
    """A number as the fraction that it is."""
    return Fraction(number.item() if isinstance(number, np.generic) else number)


def to_the(a, b):
    """The expression of a power."""
    constant = not b.terms or len(b.terms) == 1 and not b.terms[0].factors
    if constant and (not b.terms or b.terms[0].coefficient.denominator < 1000):
        return power(a, b.terms[0].coefficient if b.terms else 0)
    return pointwise(TABLE[np.power], a, b)


def pointwise(primitive, *expressions):
    """The expression of a function of numbers."""
    return Sum.product([Factor(Point(primitive, expressions))],
                       frozenset().union(*(s.free for s in expressions)))


#: What operations do to expressions.
EXPRESSIONS = {
    operator.add: add, operator.sub: lambda a, b: add(a, scaled(b, -1)), operator.mul: product,
    operator.truediv: lambda a, b: product(a, power(b, -1)), operator.pow: to_the}


for _name, _operator in _operators():
    setattr(Size, _name, _operator)


def whole_quotient(a, b):
    """a // b: with its name where b divides a whatever the sizes are, else a plain number."""
    value = plain(a) // plain(b)
    if is_real(a) and is_real(b) and plain(a) % plain(b) == 0:
        quotient = EXPRESSIONS[operator.truediv](expression_of(a), expression_of(b))
        if all(map(is_whole, quotient.terms)):
            return sized(value, quotient)
    return value


def is_whole(term):
    """Whether a product is one of sizes and an integer."""
    return term.coefficient.denominator == 1 and all(
        type(f.atom) is Leaf and f.power.denominator == 1 and f.power > 0 for f in term.factors)


def applied(ufunc, *inputs):
    """A function of numbers by its name; NotImplemented for one that formulas do not have."""
    rule = TABLE.get(ufunc)
    if rule is None or not getattr(rule, "pointwise", False) or not all(map(is_real, inputs)):
        return NotImplemented
    value = ufunc(*map(plain, inputs))
    return sized(value.item(), pointwise(rule, *map(expression_of, inputs)))


def compared(size, relation, other):
    """A comparison; one that the program itself makes, and that depends on the sizes, is noted."""
    if not is_real(other):
        return NotImplemented
    holds = RELATIONS[relation](size.value, plain(other))
    conditions = CONDITIONS.get()
    if conditions is not None and not _is_ours(sys._getframe(2)) and (
            type(other) is not Size or other.expression.key({}) != size.expression.key({})):
        condition = Condition(size, relation if holds else OPPOSITE[relation], other)
        key = condition.relation, *(expression_of(x).key({}) for x in (size, other))
        conditions.setdefault(key, condition)
    return holds


def _is_ours(frame):
    """Whether a comparison was made by this package or by NumPy, and not by the program."""
    package = frame.f_globals.get("__name__", "").partition(".")[0]
    return package in (__name__.partition(".")[0], "numpy")


def at_sizes(s, sizes):
    """The value of an expression without indices, where `sizes` has a number for each name."""
    return sum(float(t.coefficient) * math.prod(_factor_at(f, sizes) for f in t.factors)
               for t in s.terms)


def _factor_at(f, sizes):
    atom = f.atom
    if type(atom) is Leaf:
        base = sizes[atom.name]
    elif type(atom) is Point:
        base = float(atom.function.evaluate(*(np.float64(at_sizes(a, sizes)) for a in atom.args)))
    else:
        base = at_sizes(atom.sum, sizes)
    return base ** (int(f.power) if f.power.denominator == 1 else float(f.power))


#: What NumPy's functions are in terms of operators.
OPERATORS = {
    np.add: operator.add, np.subtract: operator.sub, np.multiply: operator.mul,
    np.divide: operator.truediv, np.power: operator.pow, np.float_power: operator.pow,
    np.floor_divide: operator.floordiv, np.remainder: operator.mod, np.negative: lambda x: -1 * x,
    np.positive: operator.pos, np.absolute: operator.abs, np.square: lambda x: x ** 2,
    np.sqrt: lambda x: x ** 0.5, np.reciprocal: lambda x: x ** -1, np.less: operator.lt,
    np.less_equal: operator.le, np.greater: operator.gt, np.greater_equal: operator.ge,
    np.equal: operator.eq, np.not_equal: operator.ne}
