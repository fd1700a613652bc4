"""The op table on arrays of another library: each case in value, vjp, jvp, forward over reverse and
jit, against NumPy's."""

from __future__ import annotations

import numpy as np

import refgrad as rg
from refgrad.errors import Refused
from refgrad.primitive import TABLE, Kind
from refgrad.tree import flatten

WAYS = "value", "vjp", "jvp", "hvp", "jit"
#: How a case ends: in the library's own arrays with the right numbers or with others, in NumPy's
#: arrays, in a refusal, or in another error.
ENDS = "works", "refused", "wrong", "converted", "error"
#: The ends that must not be.
BAD = ENDS[2:]
#: What a library raises where it cannot do what was asked for.
ERRORS = Refused, NotImplementedError, ValueError, np.linalg.LinAlgError


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
        return pull(rg.tree_map(_cotangent, value))

    def _cotangent(y):
        return like(np.cos(1 + np.arange(y.size).reshape(y.shape)))

    def jit():
        """Value and gradient, replayed."""
        f = rg.jit(rg.value_and_grad(scalar, argnums=tuple(range(len(arrays)))))
        f(*arrays)
        return f(*arrays)

    def scalar(*xs):
        return sum(np.sum(np.sin(y)) for y in flatten(program(*xs))[0])

    return (lambda: rg.jvp(program, arrays, u)[0], vjp, lambda: rg.jvp(program, arrays, u)[1],
            lambda: rg.hvp(scalar, tuple(arrays), tuple(u)), jit)


def found(rule, give, take, own, lazily=lambda f: (f(), False), tried=WAYS):
    """For each case and way: (case, way, one of `ENDS`, lazy, why).

    give, take, own, lazily, tried (its ways)   see `libraries`
    """
    for case in rule.cases:
        arrays = case.draw(np.random.default_rng(7))
        program = case.program(rule.function or rule)
        theirs = [give(x) for x in arrays]
        for way, want, got in zip(WAYS, ways(program, arrays, np.asarray),
                                  ways(program, theirs, give)):
            if way not in tried:
                continue
            right = [np.asarray(x) for x in flatten(want())[0]]
            try:
                result, lazy = lazily(lambda: flatten(got())[0])
                is_own = all(isinstance(a, own) for a in result)
                near = is_own and all(a.shape == b.shape and np.allclose(
                    take(a), b, rtol=1e-9, atol=1e-9, equal_nan=True)
                    for a, b in zip(result, right, strict=True))
            except Exception as error:
                what = "refused" if isinstance(error, ERRORS) else "error"
                yield case, way, what, False, f"{type(error).__name__}: {error}"
                continue
            what = "works" if near else "wrong" if is_own else "converted"
            yield case, way, what, lazy and near, ""
