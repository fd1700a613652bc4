"""Record the operations of a program and their values, with a level below all levels that
differentiate.

A rule is a program, too: its operations are recorded in the same way, since second derivatives
differentiate them.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from refgrad.primitive import Primitive
from refgrad.tracer import Level, Tracer

from ..subjects.arguments import is_floating

#: Code that is not the user's: the line to point at lies outside of it.
_OURS = tuple(str(Path(m.__file__).parent) for m in (np, sys.modules["refgrad"])) + (
    str(Path(__file__).parents[1]),)


@dataclass(eq=False)
class Operation:
    """One call of a primitive."""

    primitive: Primitive
    values: list    # the arrays as they were; None and integers as they are
    params: dict
    wanted: tuple   # positions of the arguments that carry a derivative
    # "operation 3 of the program", "inside the vjp of np.tanh, operation 3 of the program"
    place: str
    line: str = ""  # "file.py:12": the user's line

    def same_as(self):
        """Equal for operations that test the same rules at the same values."""
        arrays = tuple(_bytes(a) for a in self.values)
        return (self.primitive, arrays, repr(sorted(self.params.items(), key=lambda p: p[0])),
                self.wanted)


def _bytes(a):
    return (a.shape, str(a.dtype), a.tobytes()) if isinstance(a, np.ndarray) else repr(a)


class Recorder(Level):
    """The level that records each operation on a watched array; the levels below compute it."""

    def __init__(self):
        super().__init__()
        self.seen = []
        self.place = ""

    def watch(self, x):
        return tuple(map(self.watch, x)) if isinstance(x, tuple) else Tracer(x, self, None)

    def process(self, primitive, arrays, params):
        values = [self.strip(a) for a in arrays]
        result = primitive.evaluate(*values, **params)
        wanted = tuple(i for i, a in enumerate(arrays)
                       if self.traces(a) and primitive.differentiable(i) and is_floating(values[i]))
        if wanted:
            place = self.place or f"operation {len(self.seen) + 1} of the program"
            self.seen.append(Operation(primitive, values, params, wanted, place, _line_of_user()))
        return self.watch(result)


def _line_of_user():
    frame = sys._getframe(2)
    while frame and frame.f_code.co_filename.startswith(_OURS):
        frame = frame.f_back
    if frame is None or frame.f_code.co_filename.startswith("<frozen"):
        return ""
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def operations(f, arrays):
    """The operations of ``f(*arrays)`` in the order in which they run."""
    with Recorder() as recorder, np.errstate(all="ignore"):
        f(*map(recorder.watch, arrays))
    return recorder.seen


def inner_operations(operation, rng):
    """The operations inside the rules of one operation at its values, and those that compute its
    residuals."""
    primitive, params = operation.primitive, operation.params
    with Recorder() as recorder, np.errstate(all="ignore"):
        def inside(what):
            recorder.place = f"inside the {what} of {primitive.name}, {operation.place}"

        values = [recorder.watch(a) if i in operation.wanted else a
                  for i, a in enumerate(operation.values)]
        inside("forward pass")
        if primitive.keep is not None:
            result, kept = primitive.run(values, params)
        else:
            result = kept = recorder.watch(primitive.evaluate(*operation.values, **params))
        g = _direction(recorder, rng, result)
        tangents = [_direction(recorder, rng, a) if i in operation.wanted else None
                    for i, a in enumerate(values)]
        for what, rule in (("vjp",
                            lambda: primitive.pull(g, kept, values, params, operation.wanted)),
                           ("jvp", lambda: primitive.push(tangents, kept, values, params, result))):
            inside(what)
            try:
                rule()
            except Exception:
                # A rule that fails is tested where it stands; what it met before that is of use.
                continue
    for seen in recorder.seen:
        seen.line = operation.line
    return recorder.seen


def _direction(recorder, rng, x):
    if isinstance(x, tuple):
        return tuple(_direction(recorder, rng, y) for y in x)
    return recorder.watch(
        rng.standard_normal(np.shape(x)).astype(np.float32).astype(recorder.strip(x).dtype))
