"""Checkpointing: memory for time."""

from __future__ import annotations

from .primitive import EVERY, Primitive, fit
from .tracer import Tracer
from .transforms import _named, _Recording, jvp
from .tree import flatten, unflatten


class _Recomputed(Primitive):
    """A program as one operation: the tape keeps its arguments alone, the sweep runs it a second time."""

    def pull(self, g, kept, arrays, params, wanted):
        def of_wanted(*chosen):
            full = list(arrays)
            for i, x in zip(wanted, chosen):
                full[i] = x
            return params["program"](*full)

        primals, structure = flatten(tuple(arrays[i] for i in wanted))
        run = _Recording(of_wanted, primals, structure, False, "checkpoint")
        return [fit(c, x, self, i) for c, x, i in zip(run.sweep(g, once=True), primals, wanted)]

    def push(self, tangents, kept, arrays, params, result):
        varying = [i for i, v in enumerate(tangents) if v is not None]

        def of_varying(*chosen):
            full = list(arrays)
            for i, x in zip(varying, chosen):
                full[i] = x
            return params["program"](*full)

        return jvp(of_varying, [arrays[i] for i in varying], [tangents[i] for i in varying])[1]


def _forward(*arrays, program, below):
    """The program on plain arrays.  What it closes over may be traced by levels below all those of the arguments, which
    see the program's operations one by one; a higher level sees this one operation, and would miss it."""
    results = program(*arrays)
    if any(type(y) is Tracer and y.level.number >= below for y in results):
        raise TypeError("checkpoint: the function closes over a traced array, whose gradient would be lost; "
                        "pass it as an argument")
    return results


_recomputed = _Recomputed(
    None, "y = f(x), the program itself: dy = f'(x)[dx], <g, dy> = <f'(x)*[g], dx>", name="checkpoint",
    forward=_forward, vjp=EVERY, multiple=True, listed=False)


def checkpoint(f):
    """f, but reverse mode keeps its arguments alone, and computes f a second time in the backward sweep.

    Of the operations inside f nothing is stored in between.  f takes and returns nests of arrays; arguments that are
    not traced, and results that are not floating point, may be anything.  f must not close over arrays that are
    traced by the transforms that trace its arguments (TypeError): pass them as arguments too.
    """

    @_named("checkpoint", f)
    def recomputed(*args, **kwargs):
        leaves, structure = flatten((args, kwargs))
        traced = [i for i, x in enumerate(leaves) if type(x) is Tracer]
        if not any(True for i in traced for _ in _levels(leaves[i])):  # recorded at most
            return f(*args, **kwargs)
        # The tape holds the program, so the program must not hold the tape: it keeps no array that is traced.
        rest = [FLOATING if type(x) is Tracer else x for x in leaves]
        others = shape = None

        def program(*chosen):
            nonlocal others, shape
            args, kwargs = unflatten(structure, _filled(rest, chosen))
            results, shape = flatten(f(*args, **kwargs))
            others = [FLOATING if _is_floating(y) else y for y in results]
            return tuple(y for y in results if _is_floating(y))

        floating = _recomputed(*(leaves[i] for i in traced), program=program,
                               below=min(number for i in traced for number in _levels(leaves[i])))
        return unflatten(shape, _filled(others, floating))

    return recomputed


#: Stands for an array that `_filled` puts in its place.
FLOATING = object()


def _filled(leaves, arrays):
    arrays = iter(arrays)
    return [next(arrays) if x is FLOATING else x for x in leaves]


def _levels(x):
    while type(x) is Tracer and not x.level.records:
        yield x.level.number
        x = x.value


def _is_floating(y):
    return hasattr(y, "dtype") and y.dtype.kind not in "biu"
