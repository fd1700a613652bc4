"""Matrices of which a function reads one triangle: its derivative is judged along symmetric or
triangular directions.

Eigenvalues and Cholesky factors are defined on symmetric matrices.  The code reads one triangle,
its derivative is symmetric by convention: that is right along every symmetric direction, and along
no other.  With P the projection onto symmetric matrices f(P(x)) has that derivative in all
directions, so it is checked in the place of f.
"""

from __future__ import annotations

from dataclasses import dataclass
from collections.abc import Callable

import numpy as np

#: A function that checks whether its argument is symmetric allows for changes of this part, as for
#: rounding.
LITTLE = 2.0 ** -26


@dataclass(frozen=True)
class Subspace:
    """A subspace of square matrices.

    words       what its members are called
    projection  the orthogonal projection onto it, of arrays, tensors or balls
    """

    words: str
    projection: Callable

    def has(self, a):
        """Is the array a member, but for rounding?"""
        size = float(np.max(np.abs(a), initial=0.0))
        return bool(np.max(np.abs(self.projection(a) - a), initial=0.0) <= 1e-12 * size)


def _masked(triangle):
    def projection(a):
        own = getattr(a, triangle, None)  # a tensor's
        return own() if own else a * getattr(np, triangle)(np.ones(a.shape))
    return projection


SYMMETRIC = Subspace("symmetric", lambda a: (a + a.swapaxes(-1, -2)) / 2)
LOWER = Subspace("lower triangular", _masked("tril"))
UPPER = Subspace("upper triangular", _masked("triu"))


def subspaces_of(subject, x, dtype):
    """name -> `Subspace` of inputs that are declared symmetric or of which one triangle is read."""
    found = dict.fromkeys(subject.symmetric, SYMMETRIC)
    for name, a in x.items():
        if name in found or a.ndim < 2 or a.shape[-1] != a.shape[-2] or a.shape[-1] < 2:
            continue
        for read, unread in ((LOWER, UPPER), (UPPER, LOWER)):
            inside = SYMMETRIC if SYMMETRIC.has(a) else read
            if inside.has(a) and _ignores(subject, x, name, unread, dtype):
                found[name] = inside
                break
    return found


def _ignores(subject, x, name, triangle, dtype):
    """Has f the same value, to the last bit, when a triangle changes without its diagonal?"""
    a = x[name]
    size = 1 + float(np.max(np.abs(a), initial=0.0))
    change = triangle.projection(np.random.default_rng(0).uniform(size / 16, size / 8, a.shape))
    change = change * (1 - np.eye(a.shape[-1]))
    for part in (1.0, LITTLE):
        try:
            there, here = (subject.value({**x, name: a + part * change}, dtype),
                           subject.value(x, dtype))
            return all(np.array_equal(b, c) for b, c in zip(there, here, strict=True))
        except Exception:
            continue  # it raises an error where its argument is not symmetric
    return False
