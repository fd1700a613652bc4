"""The array that records what is done to it.

A `Tracer` stands for an array inside a transform.  It speaks NumPy's two protocols, so a plain
NumPy program runs on it; each operation is handed to the *level* (the tape or the tangent carrier
of one transform) that must know of it:

- every transform opens a level with a number of its own, larger than those of all levels that were
  opened before;
- an operation is handled by the highest level among its arguments;
- what that handler computes is seen by the levels below.

So nested derivatives cannot be confused, and since numbers are never reused there is no stack to
restore: an exception leaves nothing behind and threads share nothing.
"""

from __future__ import annotations

import builtins
import itertools
import operator
import sys

import numpy as np
from numpy import ndarray

from . import augmented, creation
from .calls import caller_in_library, fitted, signature_of, ufunc_method, with_options
from .elsewhere import declared, name_of
from .errors import ClosedLevel, InPlaceWrite, LostTrace, NoRule, Refused, describe
from .face import Face, reversed_axes
from .foreign import PACKAGES, wrapped
from .operands import ATOMS, NUMBERS, REAL, admitted, takes_over
from .primitive import (TABLE, TRACING, Composition, Primitive, consist_of,
                        every_argument_is_an_array, qualified)
from .writing import WRITERS, Writable, add_at, follow_view, into, with_out

_numbers = itertools.count(1)


class Level:
    """One transform in progress.  `process` computes an operation and notes what the derivative
    will need."""

    records = False  # whether it must see functions too that carry no derivative
    purpose = "is being differentiated"

    def __init__(self):
        self.number = next(_numbers)
        self.open = True
        self.lost = None  # the first LostTrace of one of the level's arrays

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        """Close the level.  A lost trace is raised, even if the program or NumPy has made something
        else of it."""
        self.open = False
        lost, self.lost = self.lost, None
        if lost is not None and (error is None
                                 or isinstance(error, Exception) and error is not lost):
            raise lost from error

    def process(self, primitive, arrays, params):
        """The result of an operation on arrays of which at least one is traced by this level,
        traced if it varies."""
        raise NotImplementedError

    def constant(self, value):
        """A traced array that depends on nothing yet: one to write into."""
        raise NotImplementedError

    def traces(self, x):
        return type(x) is Tracer and x.level is self

    def strip(self, x):
        """The array below, if `x` is traced by this level."""
        return x.value if self.traces(x) else x

    def concrete(self, x, convert):
        """One of the level's arrays as a plain bool, int or float; raises LostTrace."""
        # A branch is taken on the value; the program that runs is the one differentiated.
        if convert is bool:
            return bool(x.value)
        how, instead = _LOST.get(convert, (".item()", ""))
        around, own = caller_in_library(x) if convert is np.asarray else (None, "")
        raise LostTrace(f"{around}: {how}" if around else how, x, own or instead)

    def text(self, x, write):
        """One of the level's arrays as a text, by a function that writes plain ones."""
        return (f"Tracer({describe(x)}, level {self.number}, {x.value!r})" if write in (repr, str)
                else write(x.value))

    def refused(self, error):
        """An error where a plain array would have given something."""
        return error


class Tracer(Face, Writable):
    """An array of some level: `value` is the array below, `mark` is what the level keeps with it.

    `shown` and `views` say with which other traced arrays it shares memory (see writing).  `square`
    is a function that gives what this array is the root of, or None.
    """

    __slots__ = ("value", "level", "mark", "square", "shown", "views", "__weakref__")

    def __init__(self, value, level, mark):
        self.value = value
        self.level = level
        self.mark = mark
        self.square = self.shown = self.views = None

    @property
    def __class__(self):
        """What NumPy would have here, so that isinstance(x, np.ndarray) takes the branch that it
        takes on plain arrays.

        The engine itself asks for ``type(x) is Tracer``.  Another array library is told the truth:
        so it leaves an operation on its own array and this one to us.
        """
        if sys._getframe(1).f_globals.get("__name__", "").partition(".")[0] in PACKAGES:
            return Tracer
        kind = type(self.bottom())
        return kind if kind is np.ndarray or issubclass(kind, np.generic) else Tracer

    def apart(self):
        """The same array under another name, which a write to this one does not reach."""
        return Tracer(self.value, self.level, self.mark)

    # NumPy's two protocols

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        rule = TABLE.get(ufunc) or declared(ufunc)
        if options or rule is None or method != "__call__":
            if options.get("out") is not None:
                references = sys.getrefcount(inputs[0])
                name = augmented.is_only_name(sys._getframe(1), inputs[0], references)
                return with_out(ufunc, method, inputs, options, name)
            return _unusual(rule, ufunc, method, inputs, options)
        first = inputs[0]
        if type(first) is Tracer and first.square is not None and ufunc in POWERS:
            return _power_of_root(ufunc, inputs)
        if type(rule) is Primitive and rule.call is every_argument_is_an_array:
            return dispatch(rule, inputs, {})
        return run(rule, _operands(rule, inputs), {})

    def __array_function__(self, function, types, args, kwargs):
        if isinstance(function, Primitive):  # one of refgrad's own, which is called with its arrays
            return dispatch(function, args, kwargs)
        if function in creation.CREATORS:
            return creation.created(function, args, kwargs, self)
        if function in WRITERS:
            return WRITERS[function](*args, **kwargs)
        rule = TABLE.get(function)
        if self.level.records and type(rule) is not Primitive and _all_recorded(args, kwargs):
            return self.level.composed(rule, function, args, kwargs)
        if rule is None:
            raise NoRule(f"np.{qualified(function)}")
        if "out" in kwargs:
            kwargs = dict(kwargs)
            out = kwargs.pop("out")
            return into(out, run(rule, args, kwargs), rule.name)
        return run(rule, args, kwargs)

    # operators

    def __add__(self, other): return binary(np.add, self, other)
    def __radd__(self, other): return binary(np.add, other, self)
    def __sub__(self, other): return binary(np.subtract, self, other)
    def __rsub__(self, other): return binary(np.subtract, other, self)
    def __mul__(self, other):
        return (self.square() if other is self and self.square is not None
                else binary(np.multiply, self, other))

    def __rmul__(self, other): return binary(np.multiply, other, self)
    def __truediv__(self, other): return binary(np.divide, self, other)
    def __rtruediv__(self, other): return binary(np.divide, other, self)
    def __pow__(self, other):
        return (binary(np.power, self, other) if self.square is None
                else _power_of_root(np.power, (self, other)))

    def __rpow__(self, other): return binary(np.power, other, self)
    def __mod__(self, other): return binary(np.remainder, self, other)
    def __rmod__(self, other): return binary(np.remainder, other, self)
    def __floordiv__(self, other): return binary(np.floor_divide, self, other)
    def __rfloordiv__(self, other): return binary(np.floor_divide, other, self)
    def __matmul__(self, other): return binary(np.matmul, self, other)
    def __rmatmul__(self, other): return binary(np.matmul, other, self)
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

    @property
    def T(self): return dispatch(TABLE[np.transpose], (self,), {"axes": reversed_axes(self.ndim)})

    def __getitem__(self, index):
        return dispatch(TABLE[operator.getitem], (self,), {"index": index})

    # in place: the same array with new values, or for a number a new one

    def __iadd__(self, other): return self.augmented(binary(np.add, self, other), "+=")
    def __isub__(self, other): return self.augmented(binary(np.subtract, self, other), "-=")
    def __imul__(self, other): return self.augmented(binary(np.multiply, self, other), "*=")
    def __itruediv__(self, other): return self.augmented(binary(np.divide, self, other), "/=")
    def __ipow__(self, other): return self.augmented(binary(np.power, self, other), "**=")
    def __imod__(self, other): return self.augmented(binary(np.remainder, self, other), "%=")
    def __ifloordiv__(self, other):
        return self.augmented(binary(np.floor_divide, self, other), "//=")
    def __imatmul__(self, other): return self.augmented(binary(np.matmul, self, other), "@=")
    def __iand__(self, other): return self.augmented(binary(np.bitwise_and, self, other), "&=")
    def __ior__(self, other): return self.augmented(binary(np.bitwise_or, self, other), "|=")
    def __ixor__(self, other): return self.augmented(binary(np.bitwise_xor, self, other), "^=")

    # what cannot keep the trace says so

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.level.concrete(self, np.asarray), dtype)

    def __bool__(self): return self.level.concrete(self, bool)
    def __float__(self): return self.level.concrete(self, float)
    def __complex__(self): return self.level.concrete(self, complex)
    def __int__(self): return self.level.concrete(self, int)
    def __index__(self): return self.level.concrete(self, operator.index)
    def __round__(self, digits=None):
        return self.level.concrete(self, round) if digits is None else np.round(self, digits)

    def item(self, *args): return self.level.concrete(self, operator.methodcaller("item", *args))

    def __reduce__(self):
        raise LostTrace("pickle", self)

    def tolist(self): return self.level.concrete(self, _listed)

    def partition(self, *args, **kwargs):
        raise InPlaceWrite("x.partition()", way_out="Write x.sort(), or x = np.sort(x).")

    def put(self, *args, **kwargs):
        raise InPlaceWrite("x.put()")

    def view(self, dtype=None, type=None):
        for kind in (dtype, type):
            if (isinstance(kind, builtins.type) and issubclass(kind, np.ndarray)
                    and kind is not np.ndarray):
                raise TypeError(f"a traced array ({describe(self)}) cannot become a "
                                f"{kind.__name__}: the operators of an np.matrix are not those of "
                                "an array. Use a plain one, np.asarray(M), and @ for *.")
        if dtype in (None, np.ndarray, self.dtype) and type in (None, np.ndarray):
            return self[...]
        raise AttributeError(f"a traced array ({describe(self)}) has no .view: "
                             "write x.astype(dtype)")

    def resize(self, *args, **kwargs):
        raise InPlaceWrite("x.resize()", way_out="Write x = np.reshape(x, shape), or np.pad.")

    def __getattr__(self, name):
        if not name.startswith("_") and hasattr(np.ndarray, name):
            way_out = _INSTEAD.get(name, "it shows memory, and a trace has none")
            raise self.level.refused(
                AttributeError(f"a traced array ({describe(self)}) has no .{name}: {way_out}"))
        raise AttributeError(f"a traced array ({describe(self)}) has no attribute {name!r}")

    def copy(self, order="C"):
        return self.apart() if self.is_number() else np.copy(self, order)

    def __copy__(self):
        return self.apart()

    def __deepcopy__(self, memo):
        return self.apart()

    # what the array below knows

    @property
    def shape(self): return self.value.shape
    @property
    def ndim(self): return len(self.value.shape)
    @property
    def size(self): return np.size(self.value)
    @property
    def dtype(self): return self.value.dtype

    def __repr__(self): return self.level.text(self, repr)
    def __str__(self): return self.level.text(self, str)
    def __format__(self, spec):
        return self.level.text(self, operator.methodcaller("__format__", spec) if spec else str)


def _listed(x):
    return x.tolist()


#: How a traced array would become a plain number -> what to do instead.
_LOST = {
    _listed: (".tolist()", ""),
    np.asarray: (
        "a conversion to a plain array (np.array, np.asarray, a[index] = x, inside a function)",
        ""),
    float: ("float(), or a[index] = x with a plain array a,", ""), complex: ("complex()", ""),
    int: ("int()", "np.floor(x), np.round(x) and x.astype(int) give plain arrays: they "
                   "are constant almost everywhere."),
    operator.index: ("an index or a size", "Take it from data that is not differentiated, or write "
                                           "x.astype(int): that is a plain array."),
    round: ("round()", "np.round(x) gives a plain array: it is constant almost everywhere.")}

_INSTEAD = {"flat": "write np.ravel(x)", "choose": "write np.where or np.select"}


def binary(function, a, b):
    """An operator; NotImplemented where the other operand's class is to answer."""
    rule = TABLE[function]
    other = type(b if type(a) is Tracer else a)
    if other is not Tracer and other is not ndarray and other not in NUMBERS:
        if takes_over(other):
            return NotImplemented
        a, b = _operands(rule, (a, b))
    return dispatch(rule, (a, b), {}) if type(rule) is Primitive else run(rule, (a, b), {})


def _operands(rule, inputs):
    """The arguments of a ufunc, of which each must be an array or become one."""
    return [x if type(x) is Tracer or type(x) is np.ndarray or type(x) in NUMBERS
            else admitted(x, rule.name) for x in inputs]


def run(rule, args, kwargs):
    """A call in NumPy's signature, by its primitive or composition."""
    call = rule.call
    if call is every_argument_is_an_array and not kwargs:
        return dispatch(rule, args, kwargs)
    out = None
    try:
        try:
            called = call(*args, **kwargs)
        except TypeError:
            again = fitted(rule, args, kwargs)
            if again is None:
                raise
            args, kwargs, out = again
            called = call(*args, **kwargs)
    except Refused as error:
        error.within(rule, args, kwargs)
        raise
    if type(rule) is not Composition:
        called = dispatch(rule, *called)
    elif type(called) is Tracer:
        if rule.shows:
            array, again = _shown(call, args, kwargs)
            called.follow(array, None, again)
        if rule.square is not None:
            called.square = _square(rule.square, args, kwargs)
    return called if out is None else into(out, called, rule.name)


def _shown(call, args, kwargs):
    """The first argument of a call, and the call as a function of it."""
    if args:
        return args[0], lambda x: call(x, *args[1:], **kwargs)
    first = next(iter(signature_of(call).parameters))
    return kwargs[first], lambda x: call(**{**kwargs, first: x})


def dispatch(primitive: Primitive, arrays, params):
    """Give the operation to the highest level among its arguments."""
    top = None
    for a in arrays:
        kind = type(a)
        if kind is Tracer:
            if a.level is not top and (top is None or a.level.number > top.number):
                top = a.level
        elif ((a.dtype.char not in REAL if kind is ndarray else kind not in NUMBERS)
              and not primitive.constant):
            arrays = [x if type(x) is Tracer
                      else wrapped(admitted(x, f"{primitive.name}, argument {i}"))
                      for i, x in enumerate(arrays, 1)]
    if primitive.constant:
        arrays, params = [wrapped(bare(a)) for a in arrays], {k: bare(p) for k, p in params.items()}
        top = None
        for a in arrays:
            if type(a) is Tracer and (top is None or a.level.number > top.number):
                top = a.level
    if params and not consist_of(ATOMS, params):
        for name in params:
            level = _level_of_parameter(primitive, name, params[name])
            top = top or level
    if top is None:
        return primitive.evaluate(*arrays, **params)
    if not top.open:
        raise ClosedLevel(primitive.name)
    result = top.process(primitive, arrays, params)
    if primitive.remembers and type(result) is Tracer:
        if primitive.square is None:
            follow_view(result, primitive, arrays[0], params)
        else:
            result.square = _square(primitive.square, arrays, params)
    return result


TRACING[Tracer] = dispatch


def _level_of_parameter(primitive, name, p):
    """A parameter is not differentiated; but it may be recorded."""
    kind = type(p)
    if kind is Tracer or (kind is tuple or kind is list) and Tracer in map(type, p):
        traced = p if kind is Tracer else next(q for q in p if type(q) is Tracer)
        if traced.level.records:
            return traced.level
        raise LostTrace(f"the parameter {name}= of {primitive.name}", traced,
                        "It is differentiated with respect to its arrays alone: take the parameter "
                        "from other data, or write x.astype(int), which is a plain array.")
    return None


def bare(x):
    """The array below all levels that differentiate, for functions without a derivative; in lists
    and tuples too."""
    while type(x) is Tracer and not x.level.records:
        x = x.value
    return type(x)(map(bare, x)) if type(x) in (tuple, list) else x


#: Functions that give an even power of their first argument, or may.
POWERS = {np.square, np.power, np.multiply}


def _square(function, args, params):
    """What a root is the root of, as a function without arguments; None if it has plain arrays,
    which may change."""
    if any(type(a) is np.ndarray for a in (*args, *params.values())):
        return None
    args = [a.apart() if type(a) is Tracer else a for a in args]
    params = {k: p.apart() if type(p) is Tracer else p for k, p in params.items()}
    return lambda: function(*args, **params)


def _power_of_root(ufunc, inputs):
    """A power of a root, and if it is even that of what it is the root of: |x|^2 = <x, x> is smooth
    where |x| kinks."""
    x, p = inputs[0], inputs[-1]
    if ufunc is np.square or ufunc is np.multiply and p is x:
        return x.square()
    if ufunc is np.power and type(p) in (int, float) and p > 0 and p % 2 == 0:
        return x.square() if p == 2 else x.square() ** (p // 2)
    return binary(ufunc, *inputs)


def _unusual(rule, ufunc, method, inputs, options):
    """What is not a plain call of a ufunc: a reduction, or an error."""
    options.pop("out", None)
    recorded = next((x for x in inputs if type(x) is Tracer and x.level.records), None)
    if recorded is not None and method != "at" and _all_recorded(inputs, options):
        return recorded.level.whole(ufunc, method, inputs, options)
    if method == "at":
        return add_at(ufunc, *inputs)
    if method != "__call__":
        return ufunc_method(ufunc, method, inputs, options)
    if rule is None:
        raise NoRule(name_of(ufunc))
    inputs, options = with_options(rule, ufunc, inputs, options)
    return run(rule, inputs, options)


def _all_recorded(args, kwargs):
    """Whether nothing among the arguments is being differentiated."""
    waiting = [*args, *kwargs.values()]
    while waiting:
        x = waiting.pop()
        if type(x) is Tracer and not x.level.records:
            return False
        waiting += x if type(x) in (tuple, list) else ()
    return True
