"""Ball: an immutable array of real balls [mid ± radius] that speaks NumPy's two protocols.

Every operation returns balls that contain the result for every choice of reals in the operands;
`arithmetic` says with how many bits, and whether float rounding is modelled too.  What an operation
does stands in a table from function to implementation, which the modules beside this one fill.
"""

from __future__ import annotations

import functools

import numpy as np
from flint import arb

from refgrad.calls import signature_of
from refgrad.elsewhere import MODULES, declared
from refgrad.face import Face

from .arithmetic import (
    ONE, ZERO, Undecided, as_cells, current_format, each, record, rounded, show, unbounded)
from .reading import INFINITE, floats, outward

#: From a function to ``implementation(*args, **kwargs)`` in that function's own signature, which
#: sees the operands as the user gave them.
FUNCTIONS: dict = {}

MODULES["scipy.special"].append("crosscheck.ball.scipy_special")

#: From a ufunc to the NumPy function that is its ``reduce``.
REDUCTIONS = {np.add: np.sum, np.multiply: np.prod, np.maximum: np.max, np.minimum: np.min}


class UnknownOperand(TypeError):
    """Not a number and not an array of numbers: another array type may know what to do."""

    def __init__(self, operand):
        kind = type(operand).__name__
        if type(operand) is np.ndarray:
            kind = f"an array of {operand.dtype}"
        super().__init__(f"a Ball cannot be combined with {kind}")
        self.operand = operand


def register(function, implementation=None):
    """Give `function` a meaning on balls: ``register(f, implementation)`` or ``@register(f)``.

    `function` is what NumPy's protocols are called with: a ufunc, another function of NumPy's, or
    another package's own.
    """
    if implementation is None:
        return lambda chosen: register(function, chosen)
    FUNCTIONS[function] = implementation
    return implementation


class Ball(Face):
    """An immutable array of real balls.

    Ball(values)             floats and integers, taken exactly; in bound mode rounded to the format
    Ball(values, radius)     the same, with radii (which broadcast)
    Ball.from_cells(cells)   an object array of flint's arb

    `cells` is a read-only object array; `format` is the floating format that the cells are rounded
    to, or None.
    """

    __slots__ = ("cells", "format")

    def __new__(cls, values, radius=0):
        cells = cells_of(values)
        if np.any(radius):
            cells = each(lambda mid, r: mid + arb(0, float(r)), 2)(cells, np.asarray(radius, float))
        return wrap(cells)

    @classmethod
    def from_cells(cls, cells):
        """The balls of an object array of arb, shape kept.

        In bound mode they are rounded when they are first used.
        """
        cells = np.array(cells, object)
        if not all(type(c) is arb for c in cells.flat):
            raise TypeError("Ball.from_cells: every element must be a flint arb")
        return _make(cells, None)

    def __setattr__(self, name, value):
        raise AttributeError(f"Balls are immutable: cannot set {name}")

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    # NumPy's protocols

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        kwargs = _settle_kwargs(ufunc.__name__, kwargs)
        try:
            implementation = FUNCTIONS.get(ufunc) or declared(ufunc, FUNCTIONS)
            if method == "__call__" and implementation:
                return implementation(*inputs, **kwargs)
            if method == "reduce" and ufunc in REDUCTIONS:
                return FUNCTIONS[REDUCTIONS[ufunc]](*inputs, **{"axis": 0, **kwargs})
        except UnknownOperand:
            pass
        return NotImplemented

    def __array_function__(self, function, types, args, kwargs):
        implementation = FUNCTIONS.get(function) or declared(function, FUNCTIONS)
        if implementation is None or not _combine(types):
            return NotImplemented
        name = getattr(function, "__name__", function)
        if len(args) > 2 and "out" in (names := _positional(function)):
            place = names.index("out")  # implementations do not have it
            args, kwargs = args[:place], dict(zip(names[place:], args[place:])) | kwargs
        try:
            return implementation(*args, **_settle_kwargs(name, kwargs))
        except UnknownOperand as unknown:
            other = unknown.operand
        if type(other) in types or not hasattr(type(other), "__array_function__"):
            return NotImplemented
        # NumPy does not look at every argument, at a fill value for one: then we pass the call on.
        return other.__array_function__(function, (*types, type(other)), args, kwargs)

    def __array__(self, dtype=None, copy=None):
        raise TypeError("a Ball does not turn into floats by itself: use .mid() for midpoints, "
                        ".radius() for radii")

    # ndarray's face, where it is not that of `Face`

    shape = property(lambda self: self.cells.shape)
    ndim = property(lambda self: self.cells.ndim)
    size = property(lambda self: self.cells.size)
    dtype = property(lambda self: self.cells.dtype, doc="object: a ball has no float dtype")

    def __getitem__(self, index):
        return _make(as_cells(self.cells[plain(index)]), self.format)

    def __setitem__(self, index, value):
        raise TypeError("Balls are immutable: build a new one, with np.where or np.concatenate")

    def astype(self, dtype, order="K", casting="unsafe", subok=True, copy=True):
        """The Ball itself, for object and for float dtypes: a ball encloses a real number.

        Programs cast to the dtype of their arrays, which changes nothing here; `mid` gives floats.
        Integers and bools are plain arrays, as the outcome of a decision is; an open one raises
        `Undecided`.
        """
        dtype = np.dtype(dtype)
        if dtype.kind in "Of":
            return self
        if dtype.kind not in "biu":
            raise TypeError(f"a Ball cannot be cast to {dtype}: use .mid()")
        whole = np.not_equal(self, 0) if dtype.kind == "b" else np.trunc(self)
        if isinstance(whole, Ball):
            undecided = whole.radius() > 0
            if undecided.any():
                raise Undecided("astype", (), self.cells[undecided][:1])
            whole = floats(whole.cells)
        return whole.astype(dtype)

    def item(self, *index):
        """One element, by flat index or by full index, as a 0-d Ball."""
        return _make(as_cells(self.cells.item(*index)), self.format)

    # Reading

    def mid(self):
        """The midpoints as float64, each rounded to nearest."""
        return floats(self.cells)

    def radius(self):
        """Upper bounds of the radii as float64; inf where the ball is unbounded."""
        return outward(each(lambda c: INFINITE if c.is_nan() else c.rad())(self.cells), np.inf)

    def lower(self):
        """Lower bounds of the balls as float64."""
        return outward(each(lambda c: -INFINITE if c.is_nan() else c.lower())(self.cells), -np.inf)

    def upper(self):
        """Upper bounds of the balls as float64."""
        return outward(each(lambda c: INFINITE if c.is_nan() else c.upper())(self.cells), np.inf)

    def abs_upper(self):
        """Upper bounds of the absolute values as float64."""
        bound = each(lambda c: INFINITE if c.is_nan() else c.abs_upper())
        return outward(bound(self.cells), np.inf)

    def finite(self):
        """Whether each ball is certainly a number, however large."""
        return np.asarray(each(arb.is_finite)(self.cells), bool)

    def contains(self, other):
        """Whether each ball contains the other one (a Ball, or numbers taken exactly)."""
        inside = each(lambda a, b: a.is_nan() or a.contains(b), 2)
        return np.asarray(inside(self.cells, exact_cells(other)), bool)

    def overlaps(self, other):
        """Whether each ball has a number in common with the other one."""
        common = each(lambda a, b: a.is_nan() or b.is_nan() or a.overlaps(b), 2)
        return np.asarray(common(self.cells, exact_cells(other)), bool)

    def __bool__(self):
        if self.size != 1:
            raise ValueError(f"the truth of a Ball of shape {self.shape} is ambiguous")
        cell = self.cells.item()
        nonzero, zero = cell != ZERO, cell == ZERO
        if not (zero or nonzero):
            raise Undecided("bool", (), (cell, ZERO))
        record("bool", nonzero)
        return nonzero

    def _no_number(self):
        raise TypeError("a Ball is not one number: use .mid() for its midpoint, .radius() for what "
                        "it leaves open")

    def _no_index(self):
        """What is decided by balls is a plain number; only what comparisons leave open gets
        here."""
        for cell in self.cells.flat:
            if current_format() is not None and not cell.is_exact():
                raise Undecided("index", (), (cell,))
        self._no_number()

    __float__ = __complex__ = _no_number
    __int__ = __index__ = _no_index

    def __repr__(self):
        text = np.array2string(as_cells(each(show)(self.cells)), separator=", ", prefix="Ball(",
                               formatter={"object": str}, threshold=100)
        return f"Ball({text})" if self.size else f"Ball([], shape={self.shape})"


_set_cells, _set_format = Ball.cells.__set__, Ball.format.__set__


def _make(cells, form):
    ball = object.__new__(Ball)
    cells.setflags(write=False)
    _set_cells(ball, cells)
    _set_format(ball, form)
    return ball


def wrap(cells):
    """The Ball of cells (an array, or one bare cell) that the arithmetic in force has computed."""
    return _make(as_cells(cells), current_format())


@functools.cache
def _combine(types):
    """Are these types of arrays that Balls are combined with?"""
    return all(issubclass(t, (Ball, np.ndarray)) for t in types)


@functools.cache
def _positional(function):
    """The names of a function's positional parameters."""
    signature = signature_of(function)
    parameters = signature.parameters.values() if signature else ()
    return tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)


def _settle_kwargs(name, kwargs):
    """The keyword arguments without those that mean nothing to balls.

    Raises TypeError for out= and where=, which would need a mutable array.
    """
    if not kwargs:
        return kwargs
    kwargs = {k: v for k, v in kwargs.items() if v is not np._NoValue}
    for key in ("out", "where"):
        value = kwargs.get(key)
        if not (value is None or value is True):
            raise TypeError(f"{name}: {key}= is not possible, Balls are immutable")
    return {k: v for k, v in kwargs.items() if k not in ("out", "where", "casting", "subok")}


def plain(index):
    """An index, or a part of one, without balls: raises where comparisons have left it open."""
    for part in index if type(index) is tuple else (index,):
        if type(part) is Ball:
            part._no_index()
    return index


# From numbers to cells

def cells_of(x):
    """The operand as an object array of arb, rounded to the format of the arithmetic in force."""
    form = current_format()
    if type(x) is Ball:
        return x.cells if form is None or x.format is form else rounded(x.cells)
    cells = exact_cells(x)
    return cells if form is None or _in_format(x, form) else rounded(cells)


def exact_cells(x):
    """The operand as an object array of arb, exactly.

    Raises UnknownOperand for what is not made of real numbers.
    """
    if type(x) is Ball:
        return x.cells
    if isinstance(x, (list, tuple)):
        parts = [exact_cells(part) for part in x]
        return np.stack(parts) if parts else np.empty(0, object)
    kind = type(x)  # and not __class__: what an array says it is may be what it stands for
    if kind is int or kind is float and x == x:
        return as_cells(arb(x))
    if not (issubclass(kind, (int, float, np.generic)) or issubclass(kind, np.ndarray)
            and kind.__array_ufunc__ is np.ndarray.__array_ufunc__):
        raise UnknownOperand(x)
    values = np.asarray(x)
    if values.dtype.kind == "b":
        return as_cells(np.where(values, ONE, ZERO))
    if values.dtype.kind in "iu" or values.dtype.kind == "f" and values.dtype.itemsize <= 8:
        cells = as_cells(each(arb)(values.astype(object)))
        missing = values != values
        return np.where(missing, unbounded(), cells) if missing.any() else cells
    if values.dtype.kind == "O":
        return as_cells(each(_cell)(values))
    raise UnknownOperand(values)


def _cell(x):
    """One element of an object array as arb."""
    return x if type(x) is arb else arb(x) if isinstance(x, (int, float)) else exact_cells(x)[()]


def filled(cells):
    """Object cells in which NumPy has put plain numbers (an empty sum): all as arb, rounded."""
    cells = as_cells(cells)
    foreign = np.asarray(each(lambda c: type(c) is not arb)(cells), bool)
    return np.where(foreign, rounded(each(_cell)(cells)), cells) if foreign.any() else cells


def _in_format(x, form):
    """Is it plain that these numbers need no rounding?"""
    if not isinstance(x, (bool, int, float, np.ndarray, np.generic)):
        return False
    values = np.asarray(x)
    if values.dtype.kind == "b":
        return True
    if values.dtype.kind not in "fiu":
        return False
    if values.dtype.kind == "f":
        return bool(np.all((form.format.round(values) == values) & np.isfinite(values)))
    return bool(np.all(np.abs(values) <= 2 ** min(form.precision, 15)))
