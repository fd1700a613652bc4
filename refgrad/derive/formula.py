"""Formulas that a derivation ends with: written out where that is short, else with names for their
parts."""

from __future__ import annotations

import functools
import re

import numpy as np

from ..primitive import KINKED
from . import form as F
from .functions import SIGN
from .level import tidied
from .matrix import has_indices, matrix_form
from .names import extent, inlined, named, names_in
from .notation import traits
from .printing import latex, text

#: A formula of more characters than this is written with names for its parts: it stands behind
#: dL/dX = on a line.
LINE = 90
#: An expression of more atoms than this is not tried without names.
MOST_ATOMS = 96


WITH = r" \quad\text{where } "


class Formula:
    """An expression and how it looks; `where`: the names that it uses, as (name, Formula)."""

    def __init__(self, symbol, where=()):
        self.symbol, self.where = symbol, tuple(where)

    @functools.cached_property
    def form(self):
        return matrix_form(self.symbol)

    def __str__(self):
        return text(self.form) + self._with(text, " where ", ", ")

    def _with(self, write, first, rest):
        """The names that it uses, with what they stand for."""
        lines = [f"{write(name)} = {write(form)}" for name, form in self.definitions()]
        return first * bool(lines) + rest.join(lines)

    def definitions(self):
        """Pairs of formulas: a name that it uses, and what that stands for."""
        return [(matrix_form(named(n, f.symbol)), f.form) for n, f in self.where]

    def __repr__(self):
        return f"Formula({self})"

    def latex(self):
        return latex(self.form)

    def _repr_latex_(self):
        return f"$\\displaystyle {self.latex()}{self._with(latex, WITH, ', ')}$"


def entries(array):
    """The entries of given data as nested lists, integers where all are."""
    whole = array.astype(int)
    return whole.tolist() if np.array_equal(whole, array) else array.tolist()


def written_out(symbol, definitions):
    """The expression without names, or None if that is longer than a line."""
    if extent(symbol.expression, definitions) > MOST_ATOMS:
        return None
    inside = inlined(symbol, definitions)
    found = [Formula(tidied(inside, whole)) for whole in (True, False)]
    best = min(found, key=lambda f: (has_indices(f.form), parts(f.form)))
    return best if len(str(best)) <= LINE else None


def parts(x):
    """How many parts a formula has, beside signs."""
    counted = F.Name, F.Apply, F.Num, F.Ones, F.Inverse, F.Compare, F.Rows, F.Total
    return sum(type(n) in counted and n != F.Num(-1) for n in F.nodes(x))


def with_few_names(symbols, definitions):
    """{name: Formula} of {name: symbol}; what is too long for a line keeps the names it needs."""
    short = {n: written_out(s, definitions) for n, s in symbols.items()}
    lines = {n: s for n, s in symbols.items() if short[n] is None}
    known = {n: definitions[n]
             for n in definitions if any(n in used(s, definitions) for s in lines.values())}
    names = list(reversed(known))
    for name in names + names:  # what was too long is shorter once others are gone
        if name not in known:
            continue
        mine = {name: known[name]}
        users = {n: s for n, s in [*lines.items(), *known.items()]
                 if name in names_in(s.expression)}
        found = {n: written_out(s, mine) for n, s in users.items()}
        if None not in found.values():
            lines |= {n: found[n].symbol for n in users if n in lines}
            known = {n: found[n].symbol if n in users else s for n, s in known.items() if n != name}
    return {n: short[n]
            or Formula(lines[n], [(d, Formula(known[d])) for d in used(lines[n], known)])
            for n in symbols}


def used(symbol, definitions):
    """The defined names that an expression uses, and those that these use."""
    found, todo = {}, [symbol]
    while todo:
        for n in names_in(todo.pop().expression):
            if n in definitions and n not in found:
                found[n] = None
                todo.append(definitions[n])
    return [n for n in definitions if n in found]


def kinks_in(forms):
    """What formulas have that is undefined at single points: of {"root", "step"}."""
    for x in F.nodes(forms):
        known = getattr(x, "function", None)
        if type(x) is F.Compare or known is SIGN or isinstance(known, str) and known != "norm":
            yield "step"
        elif type(x) is F.Power and x.exponent < 0 and (
                x.exponent.denominator > 1 or getattr(x.body, "function", "") == "norm"):
            yield "root"


def is_seen(primitive, forms):
    """Whether formulas have the kink of a primitive, if it has one, and it has not cancelled."""
    kink = "root" if traits(primitive).root else "step"
    return primitive.kind is not KINKED or kink in kinks_in(forms)


def size_names(forms):
    """The names of sizes in formulas."""
    found = set()
    for x in F.nodes(forms):
        if type(x) is F.Name and x.role == "size":
            found.add(x.text)
        sizes = [x.size] if hasattr(x, "size") else getattr(x, "sizes", ())
        for size in sizes if type(x) is not F.Indexed else [s for _, s in sizes]:
            found.update(re.findall(r"[^\W\d]\w*", str(size)))
    return found
