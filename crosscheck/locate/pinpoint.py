"""Find the primitive that is at fault when a program's gradient is wrong."""

from __future__ import annotations

from itertools import chain

import numpy as np

from ..subjects.libraries.refgrad_library import inner
from .suspect import Suspect
from .trace import inner_operations, operations


@np.errstate(all="ignore")  # overflow is judged, not announced
def pinpoint(f, *arrays, seed=0):
    """The `Culprit`: the first operation that ``f(*arrays)`` meets whose rules are wrong; None if
    all are right.

    f       a NumPy program with any array as its result
    arrays  float64, with entries that float32 holds too

    All operations are tried three times: is the formula of the rule right to first order, is it
    right when it is differentiated again, and does floating point compute it accurately.  Each time
    the operations of the program are tried first, in program order, then those inside their rules.
    """
    outer = _distinct(operations(f, arrays), set())
    met = {o.same_as() for o in outer}
    inside = {id(o): _distinct(inner_operations(o, np.random.default_rng([seed, n])), met)
              for n, o in enumerate(outer)}
    everything = [*outer, *(o for o in outer for o in inside[id(o)]),
                  *_distinct(_of_compositions(arrays), met)]
    suspects = []
    for n, o in enumerate(everything):  # one by one: most faults show early
        suspects.append(Suspect(o, [seed, n]))
        culprit = suspects[-1].to_first_order()
        if culprit is not None:
            return _deeper(o, [seed, n]) or culprit
    found = chain(map(Suspect.to_second_order, suspects[:len(outer)]),
                  map(Suspect.in_floats, suspects))
    return next((c for c in found if c is not None), None)


def _of_compositions(arrays):
    """Operations that no rule contains: adding contributions to a cotangent, and the inner product
    of reverse over reverse."""
    v = {k: np.ones_like(a) for k, a in enumerate(arrays)}
    found = operations(lambda a, b: a + b, [np.array([0.5, -2.0]), np.array([1.5, 0.75])])
    found[0].place = "where contributions to a cotangent are added up"
    products = operations(lambda *g: inner(dict(enumerate(g)), v), arrays)
    for o in products:
        o.place = "inside the inner product of reverse over reverse"
    for o in (*found, *products):
        o.line = ""
    return [*found, *products]


def _deeper(operation, seed):
    """If a rule differentiates a program of its own, as checkpoint's does, look for the wrong rule
    inside that."""
    for o in inner_operations(operation, np.random.default_rng(seed)):
        if o.primitive is not operation.primitive and (found := Suspect(o, seed).to_first_order()):
            return found
    return None


def _distinct(found, met):
    """Each operation once."""
    distinct = []
    for o in found:
        key = o.same_as()
        if key not in met:
            met.add(key)
            distinct.append(o)
    return distinct
