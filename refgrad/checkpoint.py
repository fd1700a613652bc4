"""Checkpointing trades time for memory: residuals are computed again instead of kept."""

from __future__ import annotations

import functools

import numpy as np

from .closures import rerun
from .errors import encloses_itself
from .hints import Function
from .primitive import EVERY, Primitive, fit
from .reverse import outside_the_walk
from .snapshots import Snapshots
from .tracer import Tracer
from .transforms import Recorded, jvp, named_after
from .tree import flatten, unflatten
from .writing import on_arguments


class _Recomputed(Primitive):
    """A program as one operation: its arguments are the only residuals, and the sweep runs it a
    second time."""

    def pull(self, g, kept, arrays, params, wanted):
        outside_the_walk()
        primals, structure = flatten(tuple(arrays[i] for i in wanted))
        run = Recorded(self._of_some(arrays, params, wanted), primals, structure, False,
                       "checkpoint")
        self._compare(run.values, kept)
        return [fit(c, x, self, i) for c, x, i in zip(run.sweep(g, once=True), primals, wanted)]

    def push(self, tangents, kept, arrays, params, result):
        varying = [i for i, v in enumerate(tangents) if v is not None]
        values, pushed = jvp(self._of_some(arrays, params, varying), [arrays[i] for i in varying],
                             [tangents[i] for i in varying])
        self._compare(values, kept)
        return pushed

    def _of_some(self, arrays, params, positions):
        """The second run, as a function of the arrays at these positions."""
        params["snapshots"].verify()

        def again(*chosen):
            full = list(arrays)
            for i, x in zip(positions, chosen):
                full[i] = x
            return params["again"](*full)

        return again

    def _compare(self, found, first):
        """Check that the second run has computed the same as the first one, up to rounding."""
        for a, b in zip(found, first):
            if type(a) is type(b) is np.ndarray and not np.array_equal(a, b) and not _close(a, b):
                raise RuntimeError("checkpoint: the function computed other numbers when it was "
                                   "run again for the backward sweep. It depends on something that "
                                   "changes and cannot be copied (a file, the time, another "
                                   "library's random numbers): pass that as an argument.")


def _close(a, b):
    """Whether two arrays are equal up to rounding, relative to the largest entry."""
    scale = np.max(np.abs(b), where=np.isfinite(b), initial=0)
    return np.allclose(a, b, 0, np.sqrt(np.finfo(b.dtype).eps) * scale, equal_nan=True)


def _forward(*arrays, program, again, snapshots, below):
    """The program on plain arrays.  What it closes over may be traced by levels below all those of
    the arguments, which see the program's operations one by one; a higher level sees this one
    operation, and would miss it."""
    results = on_arguments("checkpoint", program, arrays, {})
    if any(type(y) is Tracer and y.level.number >= below for y in results):
        raise encloses_itself("checkpoint")
    return results


_recomputed = _Recomputed(
    None, "y = f(x), the program itself: dy = f'(x)[dx], <g, dy> = <f'(x)*[g], dx>",
    name="checkpoint", forward=_forward, vjp=EVERY, multiple=True)


def checkpoint(f: Function) -> Function:
    """f, for which reverse mode keeps the arguments alone and runs f a second time in the backward
    sweep.

    The operations inside f leave no residuals in between.  f takes and returns nests of arrays;
    arguments that are not traced, and results that are not floating point, may be anything.  f must
    not close over arrays that are traced by the transforms that trace its arguments (TypeError):
    pass them as arguments too.

    The second run sees what the first one saw: arrays, lists, counters, attributes and random
    generators that f reaches are copied before the first run, and large arrays are watched (see
    closures). Raises RuntimeError if the second run computes other numbers all the same, and
    Overwritten if a large array has changed.
    """

    @named_after("checkpoint", f)
    def recomputed(*args, **kwargs):
        leaves, structure = flatten((args, kwargs))
        traced = [i for i, x in enumerate(leaves) if type(x) is Tracer]
        if not any(True for i in traced for _ in _levels(leaves[i])):  # recorded at most
            return f(*args, **kwargs)
        # The tape holds the program, so the program must not hold the tape: it keeps no array that
        # is traced.
        rest = [FLOATING if type(x) is Tracer else x for x in leaves]
        others = shape = None
        snapshots = Snapshots()
        state = rerun(functools.partial(_call, f, tuple(rest)), snapshots)

        def first(*chosen):
            nonlocal others, shape
            args, kwargs = unflatten(structure, _filled(rest, chosen))
            results, shape = flatten(f(*args, **kwargs))
            others = [FLOATING if _is_floating(y) else y for y in results]
            return tuple(y for y in results if _is_floating(y))

        def again(*chosen):
            results, _ = flatten(state(structure, chosen))
            return tuple(y for y in results if _is_floating(y))

        floating = _recomputed(*(leaves[i] for i in traced), program=first,
                               again=again, snapshots=snapshots,
                               below=min(number for i in traced for number in _levels(leaves[i])))
        return unflatten(shape, _filled(others, floating))

    return recomputed


def _call(f, rest, structure, chosen):
    args, kwargs = unflatten(structure, _filled(rest, chosen))
    return f(*args, **kwargs)


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
