"""The operations of a jitted program, and traits of their functions."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from .foreign import Foreign
from .operands import ATOMS
from .primitive import consist_of
from .rules.shape import cast, scatter_add, setitem, truncate
from .tree import flatten

#: Reductions that are `ufunc.reduce` behind several functions in Python.
REDUCTIONS = {np.sum: np.add, np.prod: np.multiply, np.max: np.maximum, np.min: np.minimum,
              np.all: np.logical_and, np.any: np.logical_or}
#: Functions whose result is a new array, beside ufuncs and reductions.
ADD_AT = np.add.at  # stands for the sum of an array and one that is 0 but for x[index]
FRESH = {operator.pow, np.mean, np.where, np.copy, np.astype, cast, truncate, setitem,
         scatter_add, ADD_AT}
#: Functions whose result shows the memory of their argument.
VIEWS = {np.transpose, np.reshape, np.broadcast_to}


#: Functions that Python has an operator for.
INFIX = {np.add: "+", np.subtract: "-", np.multiply: "*", np.divide: "/", np.matmul: "@",
         np.greater: ">", np.greater_equal: ">=", np.less: "<", np.less_equal: "<=",
         np.equal: "==", np.not_equal: "!=",
         operator.pow: "**", operator.add: "+", operator.sub: "-", operator.mul: "*",
         operator.truediv: "/", operator.floordiv: "//", operator.mod: "%",
         operator.lt: "<", operator.le: "<=", operator.gt: ">", operator.ge: ">=",
         operator.eq: "==", operator.ne: "!="}


def tuple_of(texts):
    """The text of a tuple of these."""
    return f"({', '.join(texts)}{',' * (len(texts) == 1)})"


class Array(NamedTuple):
    """A reference to the array of that number."""

    number: int


@dataclass(slots=True)
class Operation:
    """A call of a function, on references and constants.

    results    the numbers of the arrays that it makes
    made       those arrays themselves, at the time of the trace
    structure  how they are nested in what the function returns
    errors     the np.errstate under which it runs
    check      if not None, it makes no arrays: its function must return just that
    may_fail   it must run even if nobody reads its results, since a failure would be an answer
    """

    function: Any
    arrays: Any
    params: Any
    results: list
    made: tuple
    structure: Any
    errors: dict
    check: Any
    may_fail: bool
    reads: list = field(init=False)

    def __post_init__(self):
        self.read(self.arrays, self.params)

    def read(self, arrays, params):
        """Let these be its arguments; `reads` lists the numbers of the arrays among them."""
        self.arrays, self.params = arrays, params
        self.reads = []
        _refer(arrays, self.reads)
        if params:
            _refer(params, self.reads)

    @property
    def is_ufunc(self):
        return type(self.function) is np.ufunc and self.function.nout == 1 and not self.params

    @property
    def is_fresh(self):
        """Whether its results are arrays that nobody else holds."""
        if getattr(self.function, "fresh", False):
            return all(type(y) is np.ndarray for y in self.made)
        return (self.is_ufunc or self.function in REDUCTIONS or self.function in FRESH) and \
            type(self.made[0]) in (np.ndarray, Foreign)

    @property
    def is_view(self):
        return self.function in VIEWS


#: What arguments are nested in.
NESTS = {tuple, list, dict, slice}
#: What is in them that is no reference.
LEAVES = ATOMS - NESTS


def replaced(x, change):
    """x with each v inside it replaced by change(v), through tuples, lists, dicts and slices.

    What a dict consists of is left as it is where that is Python's own numbers and texts alone.
    """
    kind = type(x)
    if kind is tuple or kind is list:
        return kind([replaced(v, change) if type(v) in NESTS else change(v) for v in x])
    if kind is dict:
        if consist_of(LEAVES, x):
            return x
        return {k: replaced(v, change) if type(v) in NESTS else change(v) for k, v in x.items()}
    if kind is slice:
        return slice(*replaced((x.start, x.stop, x.step), change))
    return change(x)


def references(x):
    """The numbers of the arrays that are referred to in a nest, in order."""
    numbers = []
    _refer(x, numbers)
    return numbers


def _refer(x, numbers):
    kind = type(x)
    if kind is Array:
        numbers.append(x.number)
    elif kind is tuple or kind is list:
        for v in x:
            if type(v) is Array:
                numbers.append(v.number)
            elif type(v) in NESTS:
                _refer(v, numbers)
    elif kind is dict:
        _refer([*x.values()], numbers)
    elif kind is slice:
        _refer((x.start, x.stop, x.step), numbers)


def same(a, b):
    """Whether two things are the same to Python: nan is nan, and -0.0 is not 0.0."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray) and not a.dtype.hasobject:
        return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(same, a, b))
    return repr(a) == repr(b)


def leaves(x):
    return flatten(x)[0]
