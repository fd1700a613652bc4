"""Formulas that a derivation ends with: written out where that is short, else with names for their parts."""

from __future__ import annotations

import functools
import re

import numpy as np

from . import form as F
from .level import tidied
from .matrix import matrix_form
from .names import data_in, extent, inlined, names_in
from .printing import latex, mathml, text

#: A formula of more parts than this is written with names for its parts.
LONG = 16


class Formula:
    """An expression and how it looks.  `where` has the names that it uses, as pairs (name, Formula)."""

    def __init__(self, symbol, where=()):
        self.symbol, self.where = symbol, tuple(where)

    @functools.cached_property
    def form(self):
        return matrix_form(self.symbol)

    def __str__(self):
        return text(self.form)

    def __repr__(self):
        return f"Formula({self})"

    def latex(self):
        return latex(self.form)

    def mathml(self):
        return mathml(self.form)

    def _repr_latex_(self):
        return f"$\\displaystyle {self.latex()}$"


def entries(array):
    """The entries of given data as nested lists, integers where all are."""
    whole = array.astype(int)
    return whole.tolist() if np.array_equal(whole, array) else array.tolist()


def given_in(formulas):
    """The given arrays that formulas use, each once."""
    found = {}
    for formula in formulas:
        found |= data_in(formula.symbol.expression)
    return list(found.values())


def written_out(symbol, definitions):
    """The expression without names, or None if that is long."""
    if extent(symbol.expression, definitions) > 6 * LONG:
        return None
    whole = tidied(inlined(symbol, definitions))
    return whole if parts(matrix_form(whole)) <= LONG else None


def with_names(symbol, definitions):
    """A formula in terms of names, with what they stand for."""
    return Formula(symbol, [(n, Formula(definitions[n])) for n in used(symbol, definitions)])


def used(symbol, definitions):
    """The defined names that an expression uses, and those that these use."""
    found, todo = {}, [symbol]
    while todo:
        for n in names_in(todo.pop().expression):
            if n in definitions and n not in found:
                found[n] = None
                todo.append(definitions[n])
    return [n for n in definitions if n in found]


def parts(x):
    """How many parts a formula has."""
    if not isinstance(x, tuple):
        return 0
    return (type(x) in (F.Name, F.Apply, F.Num, F.Ones, F.Inverse, F.Compare)) + sum(map(parts, x))


def has_indices(x):
    """Whether a formula, or a part of it, is written with indices."""
    return type(x) is F.Indexed or isinstance(x, tuple) and any(map(has_indices, x))


def size_names(x):
    """The names of sizes in a formula."""
    if not isinstance(x, tuple):
        return set()
    here = {x.text} if type(x) is F.Name and x.role == "size" else set()
    written = ([x.size] if type(x) in (F.Ones, F.Eye) else x.sizes if type(x) in (F.Zeros, F.Reshaped)
               else [s for _, s in x.sizes] if type(x) is F.Indexed else [])
    here = here.union(*(re.findall(r"[^\W\d]\w*", size) for size in written if isinstance(size, str)))
    return here.union(*map(size_names, x)) if len(x) else here
