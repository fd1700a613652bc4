"""Python's numbers in a jitted program.

A `Scalar` stands for a float or an int among the arguments of a jitted function.  What Python's
operators do with it is recorded as Python's operation, so that a replay does what Python does:
a float that meets a float32 array leaves it float32, division by zero raises, an int has as many
digits as it needs.  To isinstance it is the number that it stands for.  Whatever needs the number
itself (a branch, an index, math.sqrt, a text) gets it, and the replay checks that it is the same.
"""

from __future__ import annotations

import math
import operator

import numpy as np

#: Python's numbers, which meet each other without NumPy.
NUMBERS = {int, float, bool, complex}


class Scalar:
    """`value`: the number; `mark`: its number in the program."""

    __slots__ = ("value", "level", "mark")

    def __init__(self, value, level, mark):
        self.value, self.level, self.mark = value, level, mark

    def number(self):
        """The number itself."""
        return self.level.concrete(self, type(self.value))

    def by(self, function, *numbers):
        """The result of one of Python's operators on this number and others."""
        if all(type(x) in NUMBERS or isinstance(x, Scalar) for x in numbers):
            return self.level.python(function, numbers)
        return NotImplemented

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        return self.level.called(ufunc, method, inputs, options)

    def __array_function__(self, function, types, args, kwargs):
        return self.level.called(function, "__call__", args, kwargs)

    def __array__(self, dtype=None, copy=None): return np.asarray(self.number(), dtype)
    def __bool__(self): return self.level.concrete(self, bool)
    def __int__(self): return self.level.concrete(self, int)
    def __float__(self): return self.level.concrete(self, float)
    def __complex__(self): return self.level.concrete(self, complex)
    def __hash__(self): return hash(self.number())
    def __str__(self): return self.level.text(self, str)
    def __repr__(self): return self.level.text(self, repr)
    def __format__(self, spec): return self.level.text(self, lambda x: format(x, spec))
    def __reduce__(self): return type(self.value), (self.number(),)
    def __copy__(self): return self
    def __deepcopy__(self, memo): return self

    def __getattr__(self, name):
        if name.startswith("__") or not hasattr(self.value, name):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.number(), name)


def _declare(name, function):
    setattr(Scalar, f"__{name}__", lambda self, *others: self.by(function, self, *others))


def _declare_reflected(name, function):
    setattr(Scalar, f"__r{name}__", lambda self, other: self.by(function, other, self))


for _name, _function in {
        "add": operator.add, "sub": operator.sub, "mul": operator.mul, "truediv": operator.truediv,
        "floordiv": operator.floordiv, "mod": operator.mod, "pow": operator.pow, "divmod": divmod,
        "lshift": operator.lshift, "rshift": operator.rshift, "and": operator.and_,
        "or": operator.or_, "xor": operator.xor}.items():
    _declare(_name, _function)
    _declare_reflected(_name, _function)
for _name in ("lt", "le", "gt", "ge", "eq", "ne", "neg", "pos", "abs", "invert"):
    _declare(_name, getattr(operator, _name))
for _function in (math.floor, math.ceil, math.trunc, round):
    _declare(_function.__name__, _function)


def _standing_for(kind):
    return type(kind.__name__, (Scalar,), {
        "__slots__": (), "__class__": property(lambda self: kind)})


#: From a number's type to that of the scalars that stand for it.
KINDS = {kind: _standing_for(kind) for kind in (int, float)}
KINDS[int].__index__ = lambda self: self.level.concrete(self, operator.index)
