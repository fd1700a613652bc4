"""Intermediate results with names, as a derivation on paper has them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..primitive import TABLE
from .factoring import matches
from .index import (Call, Data, Delta, Factor, Group, Index, Leaf, Point, Sum, Term, as_factor,
                    collected, fresh, scaled)
from .notation import traits
from .simplify import expanded, opened
from .symbol import NoFormula, Symbol, fresh_axes


class Defined(NamedTuple):
    """A name and what it stands for."""

    name: str
    symbol: Symbol       # the name, as a symbol
    definition: Symbol   # what it stands for
    # The primitives that made it, with the positions of the arguments that vary.
    because: tuple = ()


def is_simple(symbol):
    """Whether an expression is a name or a number: nothing that would deserve a name."""
    if len(symbol.expression.terms) != 1:
        return not symbol.expression.terms
    term = symbol.expression.terms[0]
    return (not term.factors
            or (term.coefficient == 1 and len(term.factors) == 1 and term.factors[0].power == 1
                and type(term.factors[0].atom) is Leaf))


def is_symmetric(symbol):
    """Whether a simplified expression is equal to its transpose, term by term."""
    return symbol.ndim == 2 and symbol.key() == symbol.T.key()


def named(name, symbol, role="intermediate", symmetric=False):
    """A symbol of that name, in the shape of another; symmetric if that is known to be."""
    symmetric = symmetric or is_symmetric(symbol)
    atom = Leaf(name, symbol.shape, role, frozenset({"symmetric"} if symmetric else ()))
    return Symbol.of_atom(atom, fresh_axes(symbol.axes))


def atoms_in(s):
    """All atoms of an expression, those inside functions too."""
    for t in s.terms:
        for f in t.factors:
            yield f.atom
            for s in f.atom.parts or [s for _, s in getattr(f.atom, "args", ())]:
                yield from atoms_in(s)


def names_in(s):
    """The names that an expression uses: a dict of their leaves."""
    return {a.name: a for a in atoms_in(s) if type(a) is Leaf}


def data_in(symbols):
    """The given arrays that symbols use, each once."""
    return list({a.name: a for x in symbols for a in atoms_in(x.expression)
                 if type(a) is Data}.values())


def extent(s, definitions):
    """How many atoms an expression would have, were all names written out."""
    sizes = {}
    # In the order in which they use each other, if not so an estimate.
    for name, d in definitions.items():
        sizes[name] = sum(sizes.get(a.name, 1) if type(a) is Leaf else 1
                          for a in atoms_in(d.expression))
    return sum(sizes.get(a.name, 1) if type(a) is Leaf else 1 for a in atoms_in(s))


def inlined(symbol, definitions):
    """The expression with what names stand for; `definitions` maps a name to a symbol."""
    return Symbol(symbol.axes, _inlined(symbol.expression, definitions))


def _inlined(s, definitions):
    terms = [Term(t.coefficient, tuple(_inlined_factor(f, definitions) for f in t.factors))
             for t in s.terms]
    return Sum(tuple(terms), s.free)


def _inlined_factor(f, definitions):
    atom = f.atom
    if type(atom) is Leaf and atom.name in definitions:
        d = definitions[atom.name]
        inside = _inlined(d.expression, definitions)
        new = {}
        for axis, slot in zip((axis for axis in d.axes if axis), f.slots):
            if len(axis) == len(slot):
                new.update({i: (j,) for i, j in zip(axis, slot)})
            else:
                new.update({axis[0]: slot})
        return Factor(Group(inside.substituted(new)), (), f.power)
    inner = lambda s: _inlined(s, definitions)
    if type(atom) is Call:
        return f._replace(atom=atom.with_arguments(inner))
    return f._replace(atom=atom.with_parts(inner)) if atom.parts else f


def coefficient(term, name, free):
    """What a differential is multiplied with in a term: a symbol of its shape, or None."""
    term = fresh(term, free)
    mine = [f for f in term.factors if type(f.atom) is Leaf and f.atom.name == name]
    if len(mine) != 1 or mine[0].power != 1:
        return None
    rest = tuple(f for f in term.factors if f is not mine[0])
    axes, links, seen = [], [], set(free)
    for slot in mine[0].slots:
        axis = []
        for i in slot:
            if i in seen:  # an index that stands twice: the diagonal
                j = Index(i.size)
                links.append(Factor(Delta(), ((i,), (j,))))
                i = j
            seen.add(i)
            axis.append(i)
        axes.append(tuple(axis))
    return Symbol(axes, Sum((Term(term.coefficient, rest + tuple(links)),), frozenset()))


def linear_terms(s):
    """A sum of products, in which each differential is a factor of its product."""
    return opened(collected(expanded(s)), lambda f: any(
        n.role == "differential" for n in names_in(f.atom.sum).values()))


def jacobian_of(dy, dx):
    """The matrix J of dy = J dx, for vectors; dx is a name, as a symbol."""
    (atom,) = names_in(dx.expression).values()
    name, total = atom.name, Symbol([*dy.axes, *dx.axes], Sum((), frozenset()))
    for t in linear_terms(dy.expression).terms:
        c = coefficient(t, name, dy.expression.free)
        if c is None:
            raise NoFormula(f"a differential within a rule that has no formula ({name})")
        total = total + Symbol([*dy.axes, *c.axes], c.expression)
    return total


def abbreviated(symbol, definitions):
    """The expression with names for single factors that they stand for; undoes `inlined`."""
    known = [(d, as_factor(s), sign) for d in definitions for sign in (1, -1)
             for s in [scaled(d.definition.expression, sign)] if sign > 0 or len(s.terms) > 1]
    known = [(d, f, sign) for d, f, sign in known if type(f.atom) is not Leaf]
    if not known:
        return symbol
    whole, sign = _by_name(as_factor(symbol.expression), known)
    named = type(whole.atom) is Leaf and sign > 0
    return Symbol(symbol.axes, Sum.product([whole]) if named
                  else _abbreviated(symbol.expression, known))


def _abbreviated(s, known):
    terms = []
    for t in s.terms:
        found = [_by_name(f, known) for f in t.factors]
        sign = math.prod(sign for _, sign in found)
        terms.append(Term(t.coefficient * sign, tuple(f for f, _ in found)))
    return Sum(tuple(terms), s.free)


def _by_name(f, known):
    """(a factor by its name, the sign that this leaves); itself where it has no name."""
    for d, g, sign in known:
        slots = _places(f, g, d)
        if slots is not None:
            power = f.power / g.power
            return (Factor(d.symbol.expression.terms[0].factors[0].atom, slots, power),
                    sign ** int(power))
        if (type(g.atom) is type(f.atom) is Call
                and traits(f.atom.function).log_of is g.atom.function):
            slots = _places(f._replace(atom=f.atom._replace(function=g.atom.function)), g, d)
            if slots is not None:
                s = Factor(d.symbol.expression.terms[0].factors[0].atom, slots)
                inside = Sum.product([s], s.indices)
                return Factor(Point(TABLE[np.log], (inside,)), (), f.power), 1
    return (f._replace(atom=f.atom.with_parts(lambda s: _abbreviated(s, known))) if f.atom.parts
            else f, 1)


def _places(f, g, d):
    """The slots of a name that stands for the factor g, if f is that factor; else None."""
    if (type(f.atom) is not type(g.atom) or len(f.indices) != len(g.indices)
            or (f.power / g.power).denominator != 1):
        return None
    place = matches(f.base, g.base, (), {})
    return None if place is None else tuple(
        tuple(place[i] for i in axis) for axis in d.definition.axes if axis)
