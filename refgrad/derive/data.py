"""Arrays of given numbers in formulas: their names, and the product of two of them."""

from __future__ import annotations

import contextlib
import contextvars
import itertools
import zlib

import numpy as np

from .index import Data, Delta, Factor, Sum


#: The given numbers of the derivation in progress, and names that none of them may have: from names
#: to arrays.
NAMES = contextvars.ContextVar("names", default=None)


@contextlib.contextmanager
def during(variable, value):
    """Inside of it a context variable has that value."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def data_product(f, rest, free):
    """Two given arrays that meet on an index of their own are one."""
    for g, others in rest.apart() if _is_plain(f) else ():
        if not _is_plain(g):
            continue
        outside = {*others.indices, *free}
        mine, yours = [s[0] for s in f.slots], [s[0] for s in g.slots]
        meet = [i for i in mine if i in yours and i not in outside]
        kept = [i for i in dict.fromkeys(mine + yours) if i not in meet]
        if meet and len(kept) <= 2:
            letter = {i: k for k, i in enumerate(dict.fromkeys(mine + yours))}
            one, two, result = ([letter[i] for i in indices] for indices in (mine, yours, kept))
            array = np.einsum(f.atom.array, one, g.atom.array, two, result)
            return others.times(Factor(given_data(array), tuple((i,) for i in kept)))


def _is_plain(f):
    return type(f.atom) is Data and f.power == 1 and all(len(slot) == 1 for slot in f.slots)


def given_data(array):
    """Given numbers, by a name that tells what they are."""
    square = array.ndim == 2 and array.shape[0] == array.shape[1]
    if square and np.array_equal(array, np.eye(len(array))):
        return Delta()
    if array.ndim == 1 and np.count_nonzero(array) == 1 and array.sum() == 1:
        return _called(f"e{int(np.argmax(array)) + 1}", array, "truths")
    for name, view in ("Lower", array), ("Upper", array.T):
        if array.ndim == 2 and np.array_equal(view, np.tri(*view.shape)):
            return _called(name, array, "truths")
    contents = zlib.crc32(array.tobytes() + bytes(str(array.shape), "ascii")) % 1000
    known = ["symmetric"] if square and np.array_equal(array, array.T) else []
    if np.isin(array, (0, 1)).all():
        return _called(f"E{contents}", array, "truths", *known)
    return _called(f"C{contents}", array, *known)


def differences(s):
    """I[1:] - I[:-1] or its negative as a name, D where that is free; other sums as they are."""
    found = {t.factors[0].atom.name: t for t in s.terms if len(t.factors) == 1
             and t.factors[0].role == "rows"}
    if len(s.terms) != 2 or found.keys() != {"1:", ":-1"}:
        return s
    after, before = found["1:"], found[":-1"]
    if (after.coefficient != -before.coefficient
            or after.factors[0].slots != before.factors[0].slots):
        return s
    (f,) = after.factors
    atom = f.atom._replace(name=free_name("D", int(f.atom.sizes[1])))
    return Sum.product([f._replace(atom=atom)], s.free, after.coefficient)


def free_name(name, array):
    """The name for given numbers; where other numbers have it, as a shorter e1 has, it is e1_2."""
    taken = NAMES.get()
    names = itertools.chain([name], (f"{name}_{k}" for k in itertools.count(2)))
    return name if taken is None else next(
        n for n in names if np.array_equal(taken.setdefault(n, array), array))


def _called(name, array, *properties):
    return Data(free_name(name, array), array, frozenset(properties))
