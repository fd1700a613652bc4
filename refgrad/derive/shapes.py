"""The shapes of an expression's arrays: what their names suggest, what is given, and what makes the
expression run.

Each size starts as an unknown.  The expression is run; where two sizes turn out to have to be
equal they become one, and the expression is run again, until it runs without an error.
"""

from __future__ import annotations

import itertools
import math
import re
import unicodedata
from collections import Counter

import numpy as np

from .arguments import hidden_sizes, is_product, misspelt, size_at
from .expression import RUNNING_ERRORS, Expression
from .index import Delta, SizeMismatch
from .sizes import Size, is_whole
from .symbol import PROPERTIES, STRUCTURES, NotFinite, Symbol, axes_of
from .tokens import ExpressionError

_GREEK = set("alpha beta gamma delta epsilon eps zeta eta theta iota kappa lambda lam mu nu xi "
             "omicron rho sigma tau upsilon phi chi psi omega".split())
_SIZES = "mnkpqrstuvw"
#: The name of the identity matrix.
IDENTITY = "I"
_MOST_TRIALS = 400


def shape_of(text):
    """A name and its shape, as derive takes it, from text such as "X=m,n".

    "A=n,n,symmetric" is ('A', ('n', 'n', 'symmetric')); "a=" and "a=scalar" are ('a', ()).  Words
    alone, as in "A=symmetric", leave the sizes unknown.
    """
    name, equals, rest = text.partition("=")
    if not equals or not name.strip().isidentifier():
        raise ExpressionError(text, 0, "--shape: expected NAME=SIZES, as in X=m,n or "
                                       "A=n,n,symmetric or a=scalar")
    column, shape = len(name) + 1, []
    for part in rest.split(",") if rest.strip() not in ("", "scalar") else ():
        size = " ".join(part.split())
        if re.fullmatch("[0-9]+", size) and int(size):
            size = int(size)
        elif size not in PROPERTIES and (not size.isidentifier() or misspelt(size)):
            meant = f"{size} is no property; {misspelt(size)} " if size.isidentifier() else ""
            raise ExpressionError(text, column + len(part) - len(part.lstrip()), "--shape: "
                                  f"{meant}expected a positive whole number, the name of a size, "
                                  f"or one of {', '.join(PROPERTIES)}")
        shape.append(size)
        column += len(part) + 1
    return name.strip(), tuple(shape)


def infer(expression: Expression, given, run):
    """A shape for each array of the expression, with which it runs.

    given   shapes that are known: from names to tuples of sizes (integers, or names) and properties
    run     run(shapes) runs the expression on symbols of these shapes; raises SizeMismatch

    An array whose shape is not given is a scalar if its name is that of a Greek letter (alpha,
    sigma2), a matrix if it starts with a capital, else a vector.  Unknown sizes are called m, n, k,
    p, ... in the order of appearance; a lone one n.  Raises ExpressionError where the expression
    cannot run.
    """
    unknown = [name for name in given if name not in expression.names]
    if unknown:
        raise ExpressionError(expression.text, 0,
                              f"a shape is given for {unknown[0]}, which is not among the arrays "
                              f"{', '.join(expression.names)}")
    search = _Search(expression, given, run)
    search.settle()
    shapes = search.named()
    for name, shape in shapes.items():
        if name in set("mnkd") and name not in given and len(shape) == 1:
            expression.remarks.append(f"{name} is taken for a vector; for a number write --shape "
                                      f"{name}=scalar")
    return shapes


def with_identity(expression, shapes, wrt):
    """(expression, shapes) in which I is the identity matrix, unless it is differentiated or not
    square.

    Raises ExpressionError where the size of I does not follow from other arrays.
    """
    shape = shapes.get(IDENTITY, ())
    if IDENTITY in wrt or len(shape) != 2 or shape[0] != shape[1]:
        return expression, shapes
    n = shape[0]
    others = {name: shape for name, shape in shapes.items() if name != IDENTITY}
    hidden = hidden_sizes(others)
    if not isinstance(n, int) and n not in hidden and not any(n in s for s in others.values()):
        raise ExpressionError(expression.text, 0,
                              "I is the identity matrix, and its size does not follow from the "
                              "other arrays; say it with --shape I=3,3")

    def identity(arrays):
        sizes = {n: size for name, shape in others.items()
                 for n, size in zip(shape, np.shape(arrays[name]))}
        for part, (name, axis, rest) in hidden.items():
            sizes[part] = np.shape(arrays[name])[axis] // size_at(rest, sizes)
        size = size_at(n, sizes)
        return (Symbol.of_atom(Delta(), axes_of((size, size))) if type(size) is Size
                else np.eye(size))

    return expression.knowing(IDENTITY, identity), others


class _Search:
    """Sizes that are equal, by union-find.

    equal   from each size that is a name (given, or made up for an unknown) to an equal one; the
            last in the chain leads to itself
    names   how sizes are called: given ones by their own names, unknown ones once all is known
    """

    def __init__(self, expression, given, run):
        self.expression, self.given, self.run = expression, given, run
        self.names = {size: size for shape in given.values() for size in shape
                      if isinstance(size, str) and size not in PROPERTIES}
        self.equal = dict(self.names)
        self.shapes = {name: self.start(name) for name in expression.names}

    def start(self, name):
        """The shape that is given, or a new unknown size for each axis that the name suggests."""
        shape = self.given.get(name)
        if shape is not None and (not shape or any(size not in PROPERTIES for size in shape)):
            return tuple(shape)
        words = tuple(shape or ())
        axes = [f"size_{axis}_of_{name}" for axis in range(_axes(name))]
        self.equal.update((size, size) for size in axes)
        if set(STRUCTURES) & set(words) or name == IDENTITY:
            self.equal.update((size, axes[0]) for size in axes)
        return (*axes, *words)

    def root(self, size):
        while self.equal.get(size, size) != size:
            size = self.equal[size]
        if not is_product(size):
            return size
        parts = [int(part) if part.isdigit() else self.root(part) for part in size.split("*")]
        return (math.prod(parts) if all(isinstance(part, int) for part in parts)
                else "*".join(sorted(map(str, parts))))

    def current(self, values=None):
        """The shapes as far as they are known, with values for names."""
        values = values or {}
        roots = {name: map(self.root, shape) for name, shape in self.shapes.items()}
        return {name: tuple(size_at(size, values) if values else size for size in shape)
                for name, shape in roots.items()}

    def unite(self, first, second):
        """Make two sizes equal; returns whether that was possible, and they were not so before."""
        first, second = self.root(first), self.root(second)
        if is_product(first) and is_product(second):  # what both have cancels
            one, other = (Counter(size.split("*")) for size in (first, second))
            first, second = ("*".join(rest.elements()) for rest in (one - other, other - one))
            if not (first and second):
                return False
        low, high = sorted((first, second), key=self.rank)
        if None in (low, high) or low == high or self.rank(low) == self.rank(high) > 0 or (
                is_product(high) and low in high.split("*")):
            return False
        self.equal[low] = high
        return True

    def rank(self, size):
        """Of two equal sizes the one of higher rank is kept: 2 for a number, 1 for a name that was
        given, 0 for an unknown."""
        return 2 if size not in self.equal else 1 if size in self.names else 0

    def attempt(self):
        """Run the expression, making sizes equal where it asks for that; returns the error that is
        left, or None.

        It has to run on sizes with names and on numbers, since sizes may be equal by chance to what
        is computed from others.
        """
        while True:
            numbers = {}
            try:
                self.run(self.current())
                numbers = self.numbers(12, 7)
                self.run(self.current(numbers))
            except SizeMismatch as error:
                names = {number: name for name, number in numbers.items()}
                error.roots = [self.root(self.known(names.get(size, size))) for size in error.sizes]
                if not self.unite(*error.roots):
                    return error
            except RUNNING_ERRORS as error:
                return error
            else:
                return None

    def numbers(self, first, step):
        """A number for each size that has a name, none of them given."""
        given = {n for shape in self.given.values() for n in shape}
        return dict(zip(self.equal, (n for n in itertools.count(first, step) if n not in given)))

    def known(self, size):
        """A size that was met, as it was given; None if it was computed from others."""
        size = _plain(size)
        if (isinstance(size, str) or size is None
                or any(size in shape for shape in self.given.values())):
            return size
        try:
            self.run(self.current(self.numbers(13, 5)))
        except SizeMismatch as error:
            # Does it stay what it is when the sizes with names change?
            return size if size in error.sizes else None
        return None

    def settle(self):
        """Make sizes equal until the expression runs; raise where that does not help."""
        error = self.attempt()
        while error is not None:
            if self.expression.column_of(error) is None:  # a shape that no array can have
                raise ExpressionError(self.expression.text, 0, str(error)) from error
            remaining = self.equalities(error)
            if remaining is error:
                raise self.explained(error) from error
            error = remaining

    def equalities(self, error):
        """Make as few sizes equal as let the failing operation run; returns the next error, or
        None."""
        column, before = self.expression.column_of(error), dict(self.equal)
        sizes = [self.root(_plain(size)) for shape in getattr(error, "shapes", ()) for size in shape
                 if _plain(size) is not None]
        pairs = [p for p in itertools.combinations(dict.fromkeys(sizes), 2)
                 if set(p) & set(self.equal)]
        trials = itertools.chain.from_iterable(itertools.combinations(pairs, n) for n in (1, 2, 3))
        for trial in itertools.islice(trials, _MOST_TRIALS):
            for pair in trial:
                self.unite(*pair)
            remaining = self.attempt()
            if remaining is None or self.expression.column_of(remaining) != column:
                return remaining
            self.equal = dict(before)
        return error

    def explained(self, error):
        """The error, where it happened, and which arrays could be given another shape."""
        expression, column = self.expression, self.expression.column_of(error)
        shapes = self.named()
        message = str(error)
        if isinstance(error, (OverflowError, NotFinite)):
            message = "this number is too large: expected numbers below 1.8e308"
        if isinstance(error, SizeMismatch):
            told = ["one computed from others" if size is None else str(size)
                    for size in error.roots]
            message = "two sizes meet that have to be equal: " + " and ".join(told)
            message += "; write them as numbers (--shape X=2,3)" * (None in error.roots)
        for size in sorted(self.names, key=len, reverse=True):
            message = message.replace(size, self.names[size])
        there = expression.names_at(column)
        advice = "; ".join(f"{name} is taken for {_said(shapes[name])}" for name in there)
        free = min((name for name in there if name not in self.given),
                   key=lambda name: len(shapes[name]), default=None)
        if free:
            other = [shape for n, shape in enumerate(("scalar", "n", "m,n"))
                     if n != len(shapes[free])]
            advice += f". Say otherwise with --shape {free}={other[0]} or --shape {free}={other[1]}"
        return ExpressionError(expression.text, column, message, advice)

    def named(self):
        """The shapes with names for the unknown sizes."""
        current = self.current()
        sizes = list(dict.fromkeys(part for shape in current.values() for size in shape
                                   for part in (size.split("*") if is_product(size) else [size])))
        open_ = [size for size in sizes if size in self.equal and size not in self.names]
        taken = {*map(str, sizes), *self.expression.names}
        letters = (name for n in itertools.count() for name in (f"{c}{n or ''}" for c in _SIZES)
                   if name not in taken)
        self.names |= zip(open_, ["n"] if len(open_) == 1 and "n" not in taken else letters)
        return {name: tuple(
            "*".join(sorted(self.names.get(part, part) for part in size.split("*")))
            if is_product(size) else self.names.get(size, size) for size in shape)
            for name, shape in current.items()}


def _axes(name):
    """How many axes an array has by its name."""
    if (re.sub(r"[_0-9]+$", "", name) in _GREEK
            or unicodedata.name(name[0], "").startswith("GREEK SMALL")):
        return 0
    return 2 if name[0].isupper() else 1


def _plain(size):
    """A size of a symbol's as a name, a product of names or an integer; None for other computed
    ones."""
    if type(size) is not Size:
        return size
    (t,) = size.expression.terms if len(size.expression.terms) == 1 else (None,)
    if t is None or t.coefficient != 1 or not is_whole(t):
        return None
    return "*".join(sorted(f.atom.name for f in t.factors for _ in range(int(f.power))))


def _said(shape):
    sizes = [str(size) for size in shape if size not in PROPERTIES]
    return ("a scalar", f"a vector of {''.join(sizes)}",
            f"a matrix, {' x '.join(sizes)}")[min(len(sizes), 2)]
