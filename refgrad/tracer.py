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

from .errors import ClosedLevel, InPlaceWrite, LostTrace, NoRule, describe
from .primitive import TABLE, Composition, Primitive, every_argument_is_an_array

_numbers = itertools.count(1)


class Level:
    """One transform in progress.  `process` computes an operation and notes what the derivative will need."""

    def __init__(self):
        self.number = next(_numbers)
        self.open = True

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.open = False

    def process(self, primitive, arrays, params):
        raise NotImplementedError

    def strip(self, x):
        """The array below, if `x` is traced by this level."""
        return x.value if type(x) is Tracer and x.level is self else x


class Tracer:
    """An array of some level: `value` is the array below, `mark` is what the level keeps with it."""

    __slots__ = ("value", "level", "mark")

    def __init__(self, value, level, mark):
        self.value = value
        self.level = level
        self.mark = mark

    # NumPy's two protocols

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        if options.get("out") is not None:
            raise InPlaceWrite(f"np.{ufunc.__name__}", f"the argument out={describe(options['out'][0])}")
        if method != "__call__":
            return _reduction(ufunc, method)(*inputs, **options)
        rule = TABLE.get(ufunc)
        if rule is None:
            raise NoRule(f"np.{ufunc.__name__}")
        if options:
            raise NoRule(f"np.{ufunc.__name__}", f"with {', '.join(sorted(options))}=")
        return run(rule, [np.asarray(x) if isinstance(x, (list, tuple)) else x for x in inputs], {})

    def __array_function__(self, function, types, args, kwargs):
        if isinstance(function, Primitive):  # one of refgrad's own, which is called with its arrays
            return dispatch(function, args, kwargs)
        rule = TABLE.get(function)
        if rule is None:
            raise NoRule(f"np.{getattr(function, '__name__', function)}")
        if kwargs.get("out") is not None:
            raise InPlaceWrite(rule.name, f"the argument out={describe(kwargs['out'])}")
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
        raise LostTrace("np.array or np.asarray", self)

    def __float__(self):
        raise LostTrace("float()", self)

    def __int__(self):
        raise LostTrace("int()", self)

    def __index__(self):
        raise LostTrace("using it as an index or a size", self)

    def __complex__(self):
        raise LostTrace("complex()", self)

    def item(self, *args):
        raise LostTrace(".item()", self)

    def tolist(self):
        raise LostTrace(".tolist()", self)

    def __bool__(self):
        return bool(self.value)  # a branch is taken on the value; the program that runs is the one differentiated

    # ndarray's face

    @property
    def shape(self): return np.shape(self.value)
    @property
    def ndim(self): return len(np.shape(self.value))
    @property
    def size(self): return np.size(self.value)
    @property
    def dtype(self): return self.value.dtype
    @property
    def T(self): return np.transpose(self)
    @property
    def mT(self): return np.swapaxes(self, -1, -2)

    def __len__(self):
        if self.ndim == 0:
            raise TypeError("len() of an array without axes")
        return self.shape[0]

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __repr__(self):
        return f"Tracer({describe(self)}, level {self.level.number}, {self.value!r})"

    def astype(self, dtype, **options): return dispatch(TABLE[np.astype], (self,), {"dtype": np.dtype(dtype)})
    def copy(self, order="C"): return np.copy(self)
    def sum(self, *args, **kwargs): return np.sum(self, *args, **kwargs)
    def mean(self, *args, **kwargs): return np.mean(self, *args, **kwargs)
    def prod(self, *args, **kwargs): return np.prod(self, *args, **kwargs)
    def max(self, *args, **kwargs): return np.max(self, *args, **kwargs)
    def min(self, *args, **kwargs): return np.min(self, *args, **kwargs)
    def var(self, *args, **kwargs): return np.var(self, *args, **kwargs)
    def std(self, *args, **kwargs): return np.std(self, *args, **kwargs)
    def cumsum(self, *args, **kwargs): return np.cumsum(self, *args, **kwargs)
    def cumprod(self, *args, **kwargs): return np.cumprod(self, *args, **kwargs)
    def argmax(self, *args, **kwargs): return np.argmax(self, *args, **kwargs)
    def argmin(self, *args, **kwargs): return np.argmin(self, *args, **kwargs)
    def argsort(self, *args, **kwargs): return np.argsort(self, *args, **kwargs)
    def clip(self, *args, **kwargs): return np.clip(self, *args, **kwargs)
    def dot(self, other): return np.dot(self, other)
    def trace(self, *args, **kwargs): return np.trace(self, *args, **kwargs)
    def diagonal(self, *args, **kwargs): return np.diagonal(self, *args, **kwargs)
    def ravel(self, order="C"): return np.ravel(self, order)
    def flatten(self, order="C"): return np.ravel(self, order)
    def squeeze(self, axis=None): return np.squeeze(self, axis)
    def swapaxes(self, axis1, axis2): return np.swapaxes(self, axis1, axis2)
    def repeat(self, repeats, axis=None): return np.repeat(self, repeats, axis)
    def take(self, indices, axis=None): return np.take(self, indices, axis)

    def reshape(self, *shape, order="C"):
        return np.reshape(self, shape[0] if len(shape) == 1 else shape, order=order)

    def transpose(self, *axes):
        return np.transpose(self, (axes[0] if len(axes) == 1 else axes) or None)

    def sort(self, *args, **kwargs):
        raise InPlaceWrite("x.sort()", way_out="write x = np.sort(x)")


def binary(function, a, b):
    if isinstance(a, (list, tuple)):
        a = np.asarray(a)
    elif isinstance(b, (list, tuple)):
        b = np.asarray(b)
    return dispatch(TABLE[function], (a, b), {})


def run(rule, args, kwargs):
    """A call in NumPy's signature, by its primitive or composition."""
    try:
        if isinstance(rule, Composition):
            return rule.program(*args, **kwargs)
        if rule.call is every_argument_is_an_array and not kwargs:
            return dispatch(rule, args, {})
        arrays, params = rule.call(*args, **kwargs)
    except TypeError as error:
        if "argument" not in str(error) or isinstance(error, (NoRule, LostTrace, InPlaceWrite)):
            raise
        raise NoRule(rule.name, f"called like this ({error})") from error
    return dispatch(rule, arrays, params)


def dispatch(primitive: Primitive, arrays, params):
    """Give the operation to the highest level among its arguments."""
    top = None
    number = 0
    for a in arrays:
        if type(a) is Tracer and a.level.number > number:
            top = a.level
            number = top.number
    if top is None:
        if any(type(leaf) is Tracer for p in params.values() for leaf in (p if isinstance(p, (tuple, list)) else (p,))):
            raise LostTrace(f"a parameter of {primitive.name}", None)
        return primitive.evaluate(*arrays, **params)
    if primitive.constant:
        return primitive.evaluate(*[top.strip(a) for a in arrays], **params)
    if not top.open:
        raise ClosedLevel(primitive.name)
    return top.process(primitive, arrays, params)


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
