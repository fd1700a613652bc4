"""Checkpointing: memory for time."""

from __future__ import annotations

from .primitive import Primitive, fit
from .tracer import Tracer
from .transforms import _named, jvp, vjp
from .tree import flatten, unflatten


class _Recomputed(Primitive):
    """A program as one operation.  The tape keeps its arguments alone; the sweep runs it again to walk back through it."""

    def differentiable(self, argument):
        return True

    def pull(self, g, kept, arrays, params, wanted):
        def of_wanted(*chosen):
            full = list(arrays)
            for i, x in zip(wanted, chosen):
                full[i] = x
            return params["program"](*full)

        _, back = vjp(of_wanted, *(arrays[i] for i in wanted))
        return [fit(c, arrays[i], self, i) for c, i in zip(back(g), wanted)]

    def push(self, tangents, kept, arrays, params, result):
        varying = [i for i, v in enumerate(tangents) if v is not None]

        def of_varying(*chosen):
            full = list(arrays)
            for i, x in zip(varying, chosen):
                full[i] = x
            return params["program"](*full)

        return jvp(of_varying, [arrays[i] for i in varying], [tangents[i] for i in varying])[1]


def _forward(*arrays, program):
    results = program(*arrays)
    known = {x.level for x in arrays if type(x) is Tracer}
    if any(type(y) is Tracer and y.level not in known for y in results):
        raise TypeError("checkpoint: the function closes over a traced array, whose gradient would be lost; "
                        "pass it as an argument")
    return results


_recomputed = _Recomputed(
    None, "y = f(x), the program itself: dy = f'(x)[dx], <g, dy> = <f'(x)*[g], dx>", name="checkpoint",
    forward=_forward, multiple=True, listed=False)


def checkpoint(f):
    """f, but reverse mode keeps its arguments alone, and computes f a second time in the backward sweep.

    Of the operations inside f nothing is stored in between.  f takes and returns nests of arrays; arguments that are
    not traced may be anything.  f must not close over traced arrays (TypeError): pass them as arguments.
    """

    @_named("checkpoint", f)
    def recomputed(*args, **kwargs):
        leaves, structure = flatten(args)
        traced = [i for i, x in enumerate(leaves) if type(x) is Tracer]
        shape = None

        def program(*chosen):
            nonlocal shape
            full = list(leaves)
            for i, x in zip(traced, chosen):
                full[i] = x
            results, shape = flatten(f(*unflatten(structure, full), **kwargs))
            return tuple(results)

        results = _recomputed(*(leaves[i] for i in traced), program=program)
        return unflatten(shape, results)

    return recomputed
