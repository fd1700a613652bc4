"""Symbol: an array that derives.  A NumPy program that runs on Symbols gives its result as an
expression.

A Symbol has axes and an expression in their indices.  An axis is a tuple of indices: of one as a
rule, of several where axes were merged (the last one runs fastest), of none where its size is 1 and
broadcasting may stretch it. `meaning` says what each NumPy function does to Symbols; one that has
no meaning there becomes a `Call`, a function of whole arrays.
"""

from __future__ import annotations

import math
import operator

import numpy as np

from ..cases import DOMAINS
from ..errors import InPlaceWrite, LostTrace, NoRule
from ..face import Face
from ..primitive import TABLE, Composition, Primitive, qualified
from ..tracer import Tracer
from .data import given_data
from .functions import unit_axes
from .index import (Call, Data, Delta, Factor, Index, Leaf, Point, SizeMismatch, Sum, apart)
from .notation import notation, traits
from .sizes import ENTERING, Size, exact, sized

#: What may be said of an array beside its shape: of a matrix its structure, of any array the domain
#: of its entries.
PROPERTIES = "diagonal", *(name for name in DOMAINS if name)
STRUCTURES = "symmetric", "diagonal", "positive definite"


class NoFormula(Exception):
    """There is no formula for an operation; `what` says in a few words for which."""

    def __init__(self, what):
        super().__init__(f"there is no formula for {what}")


class NotFinite(NoFormula):
    """A program reads nan or inf, or a number that no float holds."""


class Entering:
    """The numbers that enter formulas in one run of a program, in the order in which they come.

    numbers   pairs (number, expression), also of the sizes of plain arrays
    found     what some of them are in terms of the named sizes: {position: (number, expression)}
    """

    def __init__(self, found):
        self.numbers, self.found = [], found

    def expression(self, number, expression=None):
        """A number as an expression: in terms of named sizes where it is known to come of them."""
        known = self.found.get(len(self.numbers))
        own = Sum.number(number) if expression is None else expression
        self.numbers.append((number, own))
        return own if known is None or known[0] != number else known[1]

    @staticmethod
    def formula(x):
        """A number or an array that is the same formula for all sizes, an identity or one number,
        as a symbol; None for other arrays."""
        if type(x) is not Size and np.asarray(x).dtype.kind not in "iuf":
            return None
        s = as_symbol(x)
        given = any(type(f.atom) is Data for t in s.expression.terms for f in t.factors)
        return None if given else s


class Symbol(Face):
    """An array of formulas: `axes`, and `expression`, whose free indices are those of the axes."""

    __slots__ = ("axes", "expression")
    __hash__ = None

    def __init__(self, axes, expression):
        self.axes = tuple(axes)
        self.expression = expression.with_free(i for axis in self.axes for i in axis)

    @classmethod
    def leaf(cls, name, shape, role="variable", properties=()):
        """A new symbol with a name."""
        properties = frozenset(properties)
        if "positive definite" in properties or "diagonal" in properties:
            properties |= {"symmetric"}
        return cls.of_atom(Leaf(name, tuple(shape), role, properties), axes_of(shape))

    @classmethod
    def of_atom(cls, atom, axes):
        return cls.of_factors(axes, [Factor(atom, tuple(axis for axis in axes if axis))])

    @classmethod
    def of_factors(cls, axes, factors, coefficient=1):
        return cls(axes, Sum.product(factors, coefficient=coefficient))

    # NumPy's two protocols

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        if any(type(x) is Tracer for x in inputs):
            return NotImplemented
        if options.get("out") is not None:
            raise InPlaceWrite(f"np.{ufunc.__name__}")
        if ufunc in MEANING:  # of truth values, which carry no derivative
            return MEANING[ufunc](*inputs)
        rule = TABLE.get(ufunc)
        if rule is None or options or method != "__call__":
            raise NoRule(f"np.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}"))
        return evaluate(rule, inputs, {})

    def __array_function__(self, function, types, args, kwargs):
        if any(t is Tracer for t in types):
            return NotImplemented
        if isinstance(function, Primitive):
            return operate(function, args, kwargs)
        rule = TABLE.get(function)
        if rule is None:
            raise NoRule(f"np.{qualified(function)}")
        return evaluate(rule, args, {k: v for k, v in kwargs.items() if k != "out"})

    def __getitem__(self, index):
        return operate(TABLE[operator.getitem], (self,), {"index": index})

    def __setitem__(self, index, value):
        raise InPlaceWrite("x[index] = value")

    def __array__(self, dtype=None, copy=None):
        raise LostTrace("a conversion to a plain array", self,
                        "A formula has no numbers: write it with NumPy's functions.")

    def __bool__(self):
        raise NoFormula("a branch on the value of an array")

    # what ndarray knows of itself

    @property
    def shape(self): return tuple(size_of(axis) for axis in self.axes)
    @property
    def ndim(self): return len(self.axes)
    @property
    def size(self): return math.prod(self.shape)
    @property
    def dtype(self): return np.dtype(float)

    def __repr__(self):
        return f"Symbol({', '.join(map(str, self.shape))})"

    def key(self):
        """A text that is equal for equal expressions (of simplified ones)."""
        return self.expression.key({i: f"{n}.{k}" for n, axis in enumerate(self.axes)
                                    for k, i in enumerate(axis)})


def axes_of(shape):
    """New axes for a shape; one of size 1 has no index."""
    return [() if n == 1 else (Index(n),) for n in shape]


def fresh_axes(axes):
    """Axes of the same sizes with indices of their own."""
    return [tuple(Index(i.size) for i in axis) for axis in axes]


def size_of(axis):
    """The size of an axis: the product of the sizes of its indices."""
    size = 1
    for i in axis:
        size = i.size if size == 1 else size * i.size
    return size


def evaluate(rule, args, kwargs):
    """A call in NumPy's signature."""
    if isinstance(rule, Composition):
        return rule.call(*args, **kwargs)
    arrays, params = rule.call(*args, **kwargs)
    return operate(rule, arrays, params)


#: What primitives do to symbols: from a primitive to a function of its arguments.  `meaning` fills
#: it.
MEANING: dict = {}


def operate(primitive, arrays, params):
    """Apply a primitive to symbols: by meaning, formula, entries, running it, or as a `Call`."""
    if primitive in MEANING:
        return MEANING[primitive](*arrays, **params)
    if notation(primitive).whole:
        return call(primitive, arrays, params)
    if primitive.formula is not None:
        return primitive.formula(*arrays, **params)
    if primitive.pointwise and (primitive.keep is None or primitive.function is not None):
        return point(primitive, *arrays, **params)
    if primitive.function is None:
        return primitive.run(arrays, params)[0]
    return call(primitive, arrays, params)


def point(function, *arrays, **params):
    """A function of each entry."""
    if any(isinstance(p, (Symbol, np.ndarray)) for p in params.values()):
        raise NoFormula(f"{function.name} with arrays as parameters")
    axes, sums = aligned(*arrays)
    atom = Point(function, tuple(sums), tuple(sorted(params.items())))
    return Symbol.of_factors(axes, [Factor(atom)])


def call(primitive, arrays, params):
    """A function of whole arrays, with the shape that it has on plain ones."""
    if primitive.constant or primitive.multiple or any(isinstance(p, (Symbol, np.ndarray))
                                                       for p in params.values()):
        raise NoFormula(notation(primitive).text)
    if params.get("keepdims"):  # a formula does not know axes of size 1
        axis = params["axis"]
        return np.expand_dims(call(primitive, arrays, params | {"keepdims": False}),
                              tuple(range(np.ndim(arrays[0]))) if axis is None else axis)
    symbols = [as_symbol(a) for a in arrays]
    known = traits(primitive)
    if known.sums_to_one or known.log_of:
        axis = params["axis"]
        if symbols[0].shape[axis] == 1:
            return Symbol(symbols[0].axes, Sum.number(1 if known.sums_to_one else 0))
        if symbols[0].ndim == 2 and axis % 2 == 0:  # one form for both: along the last axis
            return call(primitive, (symbols[0].T,), params | {"axis": -1}).T
    shape = np.shape(
        primitive.run([np.ones(a.shape) + np.eye(*a.shape[-2:]) if a.ndim > 1 else np.ones(a.shape)
                       for a in symbols], params)[0])
    known = {int(n): n for a in symbols for n in a.shape if type(n) is Size}
    axes = (fresh_axes(symbols[0].axes) if shape == symbols[0].shape
            else axes_of(known.get(n, n) for n in shape))
    atom = Call(primitive, tuple((a.axes, a.expression) for a in symbols),
                tuple(sorted(params.items())), tuple(map(size_of, axes)),
                ones=unit_axes(primitive, params, tuple(map(size_of, axes))))
    return Symbol.of_atom(atom, axes)


def kronecker(A):
    """The two matrices of which a matrix is the Kronecker product, or None."""
    if [len(axis) for axis in A.axes] != [2, 2] or len(A.expression.terms) != 1:
        return None
    (i, k), (j, l) = A.axes
    ((c, factors),) = A.expression.terms
    groups = apart(factors, ())
    if any(indices & {i, j} and indices & {k, l} for _, indices in groups):
        return None
    left, right = ([f for fs, indices in groups if bool(indices & {k, l}) == second for f in fs]
                   for second in (False, True))
    return Symbol.of_factors([(i,), (j,)], left, c), Symbol.of_factors([(k,), (l,)], right)


def as_symbol(x):
    """A number or a plain array as a symbol."""
    if isinstance(x, Symbol):
        return x
    entering = ENTERING.get() or Entering({})
    if type(x) is Size:
        return Symbol((), entering.expression(x.value, x.expression))
    x = np.asarray(x)
    if x.dtype.kind not in "biuf":
        raise NoFormula(f"data of type {x.dtype}")
    if not np.all(np.isfinite(x)):
        raise NotFinite("data that is not finite")
    axes = axes_of(sized(n, entering.expression(n)) if n != 1 else 1 for n in x.shape)
    if x.size and np.all(x == x.flat[0]):
        return Symbol(axes, entering.expression(exact(x.flat[0])))
    if (x.ndim == 2 and x.shape[0] == x.shape[1]
            and np.all(x[~np.eye(len(x), dtype=bool)] == x[0, 1]) and np.all(
                    np.diagonal(x) == x[0, 0])):
        one, rest = exact(x[0, 0]) - exact(x[0, 1]), exact(x[0, 1])
        identity = Symbol.of_atom(Delta(), axes)
        return (identity * Symbol((), entering.expression(one))
                + Symbol((), entering.expression(rest)))
    return Symbol.of_atom(given_data(np.array(np.squeeze(x), dtype=float)), axes)


def aligned(*arrays):
    """The arrays broadcast: (axes, expressions in the indices of these axes)."""
    arrays = [renamed(as_symbol(a)) for a in arrays]
    n = max(a.ndim for a in arrays)
    padded = [((),) * (n - a.ndim) + a.axes for a in arrays]
    columns, new = [], [{} for _ in arrays]
    for column in zip(*padded):
        widest = max(column, key=len)
        chosen = next((axis for axis in column if len(axis) == len(widest)
                       and any(type(i.size) is Size for i in axis)), widest)
        for k, axis in enumerate(column):
            if axis and axis != chosen:
                new[k].update(paired(axis, chosen))
        columns.append(chosen)
    return columns, [a.expression.substituted(to) for a, to in zip(arrays, new)]


def renamed(a):
    """The same array with indices of its own: another may have it along other axes."""
    axes = fresh_axes(a.axes)
    new = {i: (j,) for old, axis in zip(a.axes, axes) for i, j in zip(old, axis)}
    return Symbol(axes, a.expression.substituted(new))


def paired(axis, chosen):
    """Which indices an axis has to take to be the chosen one."""
    if len(axis) == 1:
        same_size(axis[0].size, size_of(chosen))
        return {axis[0]: chosen}
    if len(axis) != len(chosen):
        raise NoFormula("axes that were merged in different ways")
    for i, j in zip(axis, chosen):
        same_size(i.size, j.size)
    return {i: (j,) for i, j in zip(axis, chosen)}


def same_size(first, second):
    """Raise SizeMismatch if two sizes differ, or were computed from different ones."""
    if first != second or type(first) is type(second) is Size and (
            first.expression.key({}) != second.expression.key({})):
        raise SizeMismatch(first, second)
