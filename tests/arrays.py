"""The op table on arrays of another library: each case in value, vjp, jvp and forward over reverse,
against NumPy's."""

from __future__ import annotations

import numpy as np

import refgrad as rg
from refgrad.errors import Refused
from refgrad.primitive import TABLE, Kind
from refgrad.tree import flatten

WAYS = "value", "vjp", "jvp", "hvp"


def rules(of_numpy=True):
    """The rules that have derivatives, of NumPy's functions or of refgrad's own."""
    return [rule for rule in sorted(TABLE.values(), key=lambda r: r.name)
            if rule.kind is not Kind.CONSTANT and rule.name.startswith("np.") is of_numpy]


def ways(program, arrays, like):
    """What is computed in each way, in the order of `WAYS`."""
    rng = np.random.default_rng(5)
    u = [like(rng.standard_normal(np.shape(x))) for x in arrays]

    def vjp():
        value, pull = rg.vjp(program, *arrays)
        return pull(rg.tree_map(
            lambda y: like(np.cos(1 + np.arange(y.size).reshape(y.shape))), value))

    def scalar(*xs):
        return sum(np.sum(np.sin(y)) for y in flatten(program(*xs))[0])

    return (lambda: rg.jvp(program, arrays, u)[0], vjp, lambda: rg.jvp(program, arrays, u)[1],
            lambda: rg.hvp(scalar, tuple(arrays), tuple(u)))


def found(rule, give, take, own):
    """For each case and way: (case, way, "works", "wrong", "converted" or why it is refused).

    give, take   from NumPy's arrays to the library's and back
    own          the type of the library's arrays
    An error that is no refusal is raised.
    """
    for case in rule.cases:
        arrays = case.draw(np.random.default_rng(7))
        program = case.program(rule.function or rule)
        theirs = [give(x) for x in arrays]
        for way, want, got in zip(WAYS, ways(program, arrays, np.asarray),
                                  ways(program, theirs, give)):
            right = [np.asarray(x) for x in flatten(want())[0]]
            try:
                result = flatten(got())[0]
                near = all(isinstance(a, own) and a.shape == b.shape and np.allclose(
                    take(a), b, rtol=1e-9, atol=1e-9, equal_nan=True)
                    for a, b in zip(result, right, strict=True))
            except (Refused, NotImplementedError, ValueError, np.linalg.LinAlgError) as error:
                yield case, way, f"{type(error).__name__}: {error}"
                continue
            if not all(isinstance(a, own) for a in result):
                yield case, way, "converted"
                continue
            yield case, way, "works" if near else "wrong"
