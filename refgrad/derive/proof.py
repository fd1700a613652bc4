"""The proof that the jvp and the vjp of each primitive that a derivation uses are adjoint: what is
read off the differentials is what the vjp rules give."""

from __future__ import annotations

from .formula import Formula
from .level import tidied
from .names import inlined
from .numpy_source import NoSource
from .simplify import is_zero
from .steps import moved, way_back
from .symbol import Symbol, as_symbol
from .verification import equal_in_numbers


def proof_of(d):
    """Whether the two are equal: {name: True, False or None}.

    They are compared as expressions.  None where a rule has no formula, so that nothing can be read
    off, and where the two are not brought to one form and yet have the same values at random
    points.
    """
    read, open_ends, given = {}, False, {}
    for name, g, differential in way_back(d):
        if name is not None:
            given["d" + name] = d.defined[name].definition if name in d.defined else g
        _, found = moved(g, differential)
        if found is None:
            open_ends = True
            continue
        for n, c in found.items():
            read[n] = tidied(read[n] + c) if n in read else c
    for v, x in zip(d.variables, d.arguments):
        if v.name in d.wrt:
            given["d" + v.name] = tidied(as_symbol(d.cotangents.get(x.mark.slot, 0)))
    names = {n: definition for n, definition in d.everything.items() if n[0] != "d"}
    places = {"d" + v.name: n for n, v in enumerate(d.variables)}

    def equal(name, *sides):
        """In terms of the names, which is quickly seen, or written out."""
        sides = [tidied(d.structured(places[name], g) if name in places else g) for g in sides]
        return are_equal(*sides) or _same(d, *(tidied(inlined(g, names)) for g in sides))

    return {name: None if open_ends else equal(name, read.get(name, as_symbol(0)), g)
            for name, g in given.items()}


def _same(d, a, b):
    """Whether expressions are equal; None if their values are, and nothing shows more."""
    if are_equal(a, b):
        return True
    formulas = {"a": Formula(without_narrow_axes(a)), "b": Formula(without_narrow_axes(b))}
    try:
        sides = d.compiled("sides", formulas, d.cotangent_shape)
    except NoSource:
        return None
    return None if equal_in_numbers(d, sides) else False


def without_narrow_axes(x):
    """A symbol without its axes of size 1."""
    return Symbol([axis for axis in x.axes if axis], x.expression)


def are_equal(a, b):
    """Whether two expressions are equal as they stand, or when they are multiplied out."""
    a, b = map(without_narrow_axes, (a, b))
    return a.key() == b.key() or is_zero((a - b).expression)
