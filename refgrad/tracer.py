"""The array that records what is done to it.

A `Tracer` stands for an array inside a transform.  It speaks NumPy's two protocols, so a plain NumPy program runs on
it; each operation is handed to the *level* (the tape or the tangent carrier of one transform) that must know of it:

- every transform opens a level with a number of its own, larger than those of all levels that were opened before;
- an operation is handled by the highest level among its arguments;
- what that handler computes is seen by the levels below.

So nested derivatives cannot be confused, and since numbers are never reused there is no stack to restore: an
exception leaves nothing behind and threads share nothing.
"""

from __future__ import annotations

import itertools
import operator

import numpy as np

from .errors import ClosedLevel, InPlaceWrite, LostTrace, NoRule, describe, describe_call
from .face import Face
from .primitive import TABLE, TRACING, Composition, Primitive, every_argument_is_an_array, qualified

_numbers = itertools.count(1)


class Level:
    """One transform in progress.  `process` computes an operation and notes what the derivative will need."""

    records = False  # whether it must see functions too that carry no derivative
    purpose = "is being differentiated"

    def __init__(self):
        self.number = next(_numbers)
        self.open = True

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.open = False

    def process(self, primitive, arrays, params):
        raise NotImplementedError

    def traces(self, x):
        return type(x) is Tracer and x.level is self

    def strip(self, x):
        """The array below, if `x` is traced by this level."""
        return x.value if self.traces(x) else x

    def concrete(self, x, convert):
        """One of the level's arrays as a plain bool, int or float; raises LostTrace."""
        if convert is bool:  # a branch is taken on the value; the program that runs is the one differentiated
            return bool(x.value)
        how, instead = _LOST.get(convert, (".item()", ""))
        raise LostTrace(how, x, instead)


class Tracer(Face):
    """An array of some level: `value` is the array below, `mark` is what the level keeps with it."""

    __slots__ = ("value", "level", "mark")

    def __init__(self, value, level, mark):
        self.value = value
        self.level = level
        self.mark = mark

    # NumPy's two protocols

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        rule = TABLE.get(ufunc)
        if rule is None or options or method != "__call__":
            return _unusual(rule, ufunc, method, inputs, options)
        return run(rule, [np.asarray(x) if type(x) in (list, tuple) else x for x in inputs], {})

    def __array_function__(self, function, types, args, kwargs):
        if isinstance(function, Primitive):  # one of refgrad's own, which is called with its arrays
            return dispatch(function, args, kwargs)
        rule = TABLE.get(function)
        if rule is None:
            raise (InPlaceWrite if function in WRITERS else NoRule)(f"np.{qualified(function)}")
        if "out" in kwargs:
            if kwargs["out"] is not None:
                raise InPlaceWrite(rule.name, f"the argument out={describe(kwargs['out'])}")
            kwargs = {k: v for k, v in kwargs.items() if k != "out"}
        return run(rule, args, kwargs)

    # operators

    def __add__(self, other): return binary(np.add, self, other)
    def __radd__(self, other): return binary(np.add, other, self)
    def __sub__(self, other): return binary(np.subtract, self, other)
    def __rsub__(self, other): return binary(np.subtract, other, self)
    def __mul__(self, other): return binary(np.multiply, self, other)
    def __rmul__(self, other): return binary(np.multiply, other, self)
    def __truediv__(self, other): return binary(np.divide, self, other)
    def __rtruediv__(self, other): return binary(np.divide, other, self)
    def __pow__(self, other): return binary(np.power, self, other)
    def __rpow__(self, other): return binary(np.power, other, self)
    def __mod__(self, other): return binary(np.remainder, self, other)
    def __rmod__(self, other): return binary(np.remainder, other, self)
    def __floordiv__(self, other): return binary(np.floor_divide, self, other)
    def __rfloordiv__(self, other): return binary(np.floor_divide, other, self)
    def __matmul__(self, other): return np.matmul(self, other)
    def __rmatmul__(self, other): return np.matmul(other, self)
    def __divmod__(self, other): return np.divmod(self, other)
    def __rdivmod__(self, other): return np.divmod(other, self)
    def __and__(self, other): return binary(np.bitwise_and, self, other)
    def __rand__(self, other): return binary(np.bitwise_and, other, self)
    def __or__(self, other): return binary(np.bitwise_or, self, other)
    def __ror__(self, other): return binary(np.bitwise_or, other, self)
    def __xor__(self, other): return binary(np.bitwise_xor, self, other)
    def __rxor__(self, other): return binary(np.bitwise_xor, other, self)
    def __invert__(self): return dispatch(TABLE[np.invert], (self,), {})
    def __neg__(self): return dispatch(TABLE[np.negative], (self,), {})
    def __pos__(self): return dispatch(TABLE[np.positive], (self,), {})
    def __abs__(self): return dispatch(TABLE[np.absolute], (self,), {})
    def __lt__(self, other): return binary(np.less, self, other)
    def __le__(self, other): return binary(np.less_equal, self, other)
    def __gt__(self, other): return binary(np.greater, self, other)
    def __ge__(self, other): return binary(np.greater_equal, self, other)
    def __eq__(self, other): return binary(np.equal, self, other)
    def __ne__(self, other): return binary(np.not_equal, self, other)
    __hash__ = None  # like ndarray: == compares elements

    def __getitem__(self, index):
        return dispatch(TABLE[operator.getitem], (self,), {"index": index})

    # what cannot keep the trace says so

    def __setitem__(self, index, value):
        raise InPlaceWrite("x[index] = value")

    def _no_in_place(self, other):
        raise InPlaceWrite("an augmented assignment (x += y, x *= y, ...)")

    __iadd__ = __isub__ = __imul__ = __itruediv__ = __ipow__ = __imod__ = __imatmul__ = __ifloordiv__ = _no_in_place

    def __array__(self, dtype=None, copy=None):
        raise LostTrace("a conversion to a plain array (np.array, np.asarray, a[index] = x, inside a function)", self)

    def __bool__(self): return self.level.concrete(self, bool)
    def __float__(self): return self.level.concrete(self, float)
    def __complex__(self): return self.level.concrete(self, complex)
    def __int__(self): return self.level.concrete(self, int)
    def __index__(self): return self.level.concrete(self, operator.index)
    def __round__(self, digits=None): return self.level.concrete(self, round)
    def item(self, *args): return self.level.concrete(self, operator.methodcaller("item", *args))

    def __reduce__(self):
        raise LostTrace("pickle", self)

    def tolist(self):
        raise LostTrace(".tolist()", self)

    def sort(self, *args, **kwargs):
        raise InPlaceWrite("x.sort()", way_out="Write x = np.sort(x).")

    def partition(self, *args, **kwargs):
        raise InPlaceWrite("x.partition()", way_out="Write x = np.sort(x).")

    def fill(self, value):
        raise InPlaceWrite("x.fill()", way_out="Write x = np.full_like(x, value).")

    def put(self, *args, **kwargs):
        raise InPlaceWrite("x.put()")

    def resize(self, *args, **kwargs):
        raise InPlaceWrite("x.resize()", way_out="Write x = np.reshape(x, shape), or np.pad.")

    def __getattr__(self, name):
        if not name.startswith("_") and hasattr(np.ndarray, name):
            way_out = _INSTEAD.get(name, "it shows memory, and a trace has none")
            raise AttributeError(f"a traced array ({describe(self)}) has no .{name}: {way_out}")
        raise AttributeError(f"a traced array ({describe(self)}) has no attribute {name!r}")

    # a traced array is never overwritten: it is its own copy

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    # what the array below knows

    @property
    def shape(self): return self.value.shape
    @property
    def ndim(self): return len(self.value.shape)
    @property
    def size(self): return np.size(self.value)
    @property
    def dtype(self): return self.value.dtype

    def __repr__(self):
        return f"Tracer({describe(self)}, level {self.level.number}, {self.value!r})"

    def __format__(self, spec):
        return format(self.value, spec) if spec else repr(self)


#: How a traced array would become a plain number -> what to do instead.
_LOST = {
    float: ("float(), or a[index] = x with a plain array a,", ""), complex: ("complex()", ""),
    int: ("int()", "np.floor(x), np.round(x) and x.astype(int) give plain arrays: they are constant almost "
                   "everywhere."),
    operator.index: ("an index or a size", "Take it from data that is not differentiated, or write x.astype(int): that "
                                           "is a plain array."),
    round: ("round()", "np.round(x) gives a plain array: it is constant almost everywhere.")}

#: Functions that overwrite their first argument.
WRITERS = {np.copyto, np.put, np.place, np.putmask, np.fill_diagonal, np.put_along_axis}

_INSTEAD = {"flat": "write np.ravel(x)", "view": "write x.astype(dtype)", "choose": "write np.where or np.select",
            "argpartition": "write np.argsort(x)"}


def binary(function, a, b):
    if type(a) in (list, tuple):
        a = np.asarray(a)
    elif type(b) in (list, tuple):
        b = np.asarray(b)
    return dispatch(TABLE[function], (a, b), {})


def run(rule, args, kwargs):
    """A call in NumPy's signature, by its primitive or composition."""
    call = rule.call
    if call is every_argument_is_an_array and not kwargs:
        return dispatch(rule, args, kwargs)
    try:
        called = call(*args, **kwargs)
    except LostTrace as error:
        raise error.within(describe_call(rule.name, rule.function, args, kwargs))
    except TypeError as error:
        refused = NoRule.for_call(rule.name, call, args, kwargs)
        if refused is None:
            raise
        raise refused from error
    return called if type(rule) is Composition else dispatch(rule, *called)


def dispatch(primitive: Primitive, arrays, params):
    """Give the operation to the highest level among its arguments."""
    if primitive.constant:
        arrays, params = [bare(a) for a in arrays], {k: bare(p) for k, p in params.items()}
    top = None
    for a in arrays:
        if type(a) is Tracer and a.level is not top and (top is None or a.level.number > top.number):
            top = a.level
    for name in params:
        level = _level_of_parameter(primitive, name, params[name])
        top = top or level
    if top is None:
        return primitive.evaluate(*arrays, **params)
    if not top.open:
        raise ClosedLevel(primitive.name)
    return top.process(primitive, arrays, params)


TRACING[Tracer] = dispatch


def _level_of_parameter(primitive, name, p):
    """A parameter is not differentiated; but it may be recorded."""
    kind = type(p)
    if kind is Tracer or (kind is tuple or kind is list) and Tracer in map(type, p):
        traced = p if kind is Tracer else next(q for q in p if type(q) is Tracer)
        if traced.level.records:
            return traced.level
        raise LostTrace(f"the parameter {name}= of {primitive.name}", traced,
                        "It is differentiated with respect to its arrays alone: take the parameter from other "
                        "data, or write x.astype(int), which is a plain array.")
    return None


def bare(x):
    """The array below all levels that differentiate, for functions without a derivative; in lists and tuples too."""
    while type(x) is Tracer and not x.level.records:
        x = x.value
    return type(x)(map(bare, x)) if type(x) in (tuple, list) else x


def _unusual(rule, ufunc, method, inputs, options):
    """What is not a plain call of a ufunc: a reduction, or an error."""
    if options.get("out") is not None:
        raise InPlaceWrite(f"np.{ufunc.__name__}", f"the argument out={describe(options['out'][0])}")
    if method == "at":
        raise InPlaceWrite(f"np.{ufunc.__name__}.at")
    if method != "__call__":
        return _reduction(ufunc, method)(*inputs, **options)
    how = f"with {', '.join(sorted(options))}=" if rule is not None else ""
    raise NoRule(f"np.{ufunc.__name__}", how)


def _reduction(ufunc, method):
    known = {(np.add, "reduce"): np.sum, (np.multiply, "reduce"): np.prod, (np.maximum, "reduce"): np.max,
             (np.minimum, "reduce"): np.min, (np.add, "accumulate"): np.cumsum,
             (np.multiply, "accumulate"): np.cumprod}
    try:
        function = known[ufunc, method]
    except KeyError:
        raise NoRule(f"np.{ufunc.__name__}.{method}") from None
    # A ufunc's methods work along axis 0 unless told otherwise; the functions work on all axes.
    return lambda x, axis=0, **options: function(x, axis=axis, **options)
