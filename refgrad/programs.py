"""jit: a function is traced once into a list of NumPy calls, which later calls replay.

The first call of a jitted function runs it on traced arrays, which record the operations (see
recording).  Later calls replay that list alone (see straight_line) as long as the function would do
the same: the arguments have the same shapes and dtypes, everything else that the function reads has
not changed (see surroundings), and each branch on a value goes the same way.  Otherwise the
function is traced again into another program.
"""

from __future__ import annotations

import operator
import pickle
import random
import sys
import threading
import warnings
from typing import Any

import numpy as np

from .errors import Refused, describe
from .foreign import Foreign, bare, library_of, wrapped
from .hints import Function
from .operands import is_foreign
from .recording import Inside, Recording, is_strict, is_traced
from .scalars import KINDS, Scalar
from .straight_line import Program
from .surroundings import VALUES, Surroundings
from .tracer import Tracer
from .transforms import name_of, named_after
from .tree import flatten, paths, unflatten
from .writing import ARGUMENT

#: So many programs are kept for one function; the oldest is dropped.
MOST = 32
#: A function that was traced so often, and replayed less often than that, causes a warning.
OFTEN = 16


class Known:
    """The programs for one key and one state of what the function reads, the latest last."""

    def __init__(self, surroundings):
        self.surroundings, self.programs = surroundings, []


class Replayed:
    """A function with its programs."""

    def __init__(self, f):
        self.f = f
        self.known = {}           # structure, shapes, dtypes, other arguments -> list of Known
        self.inputs = set(KINDS)  # the types of Python's numbers that a program takes as inputs
        self.written = self.used = 0
        self.has_warned = False
        self.lock = threading.Lock()

    def run(self, args, kwargs):
        """(results, the program that computes them); no program inside another transform."""
        leaves, structure = flatten((args, kwargs))
        numbers, key = [], [structure, is_strict(), *np.geterr().values()]
        for x in leaves:
            kind = type(x)
            if kind is np.ndarray or issubclass(kind, np.generic):
                numbers.append(x)
                key += kind, x.dtype, (shape := x.shape)
                if len(shape) > 1:  # whether a reshape is a view depends on them
                    key.append(x.strides)
            elif kind in self.inputs:
                numbers.append(x)
                key.append(kind)
            elif is_foreign(kind) and not library_of(kind).lazy:
                numbers.append(x)
                key += kind, x.dtype, x.shape
            elif kind is Tracer or isinstance(x, Scalar):
                return self.f(*args, **kwargs), None
            elif kind in VALUES:  # 0.0 == -0.0, but they differ
                key += kind, repr(x) if kind is float or kind is complex else x
            else:
                key += kind, id(x)
        key, why = tuple(key), "its arguments have other shapes, dtypes or values"
        for known in reversed(self.known.get(key, ())):
            if other := known.surroundings.difference():
                why = f"{other} has changed"
                continue
            for program in reversed(known.programs):
                try:
                    results = program(numbers)
                    self.used += 1
                    return results, program
                except Exception as error:  # f itself may catch it: trace again
                    why = program.turn(error)
            break
        return self.write(key, leaves, structure, why)

    def write(self, key, leaves, structure, why):
        """Trace the function into a program, and keep that."""
        name = name_of(self.f)
        roots = {name: self.f, **_classes(structure)}
        for label, x in zip(_labels(structure), leaves):
            if not self.is_input(x):
                if hasattr(x, "dtype") and hasattr(x, "shape"):
                    raise Refused(f"jit: {label} of {name} is a {type(x).__name__}; expected a "
                                  "plain array, or one of CuPy's, say, but no lazy one. Convert "
                                  "it: np.asarray(x).")
                roots[label] = x
        before, generators = Surroundings(roots), _generators()
        for x, label in before.running:
            raise TypeError(f"jit: {name} reads {label}, a {describe(x)}, which gives something "
                            f"else each time. Make it a list, or pass what comes next as an "
                            f"argument.")
        for x, label in before.foreign:
            raise Refused(f"jit: {name} reads {label}, a {type(x).__name__}, whose numbers a "
                          "replay does not compare with those of the trace. Pass it as an "
                          "argument.")
        if before.asks_types and self.inputs:
            self.inputs = set()
            return self.run(*unflatten(structure, leaves))
        try:
            results, program, level = record(self.f, leaves, structure, self.is_input)
        except Inside:
            args, kwargs = unflatten(structure, leaves)
            return self.f(*args, **kwargs), None
        except TypeError as error:
            if isinstance(error, Refused) or not any(type(x) in self.inputs for x in leaves):
                raise
            return self.by_value(*unflatten(structure, leaves))
        changed = before.difference() or before.drawn() or (
            "NumPy's or Python's random generator" if generators != _generators() else None)
        if changed or before.writes:
            for x, label in Surroundings(roots, written=True).traced:
                if x.level is level:
                    raise TypeError(f"jit: {name} stores a traced array in {label}, and a replay "
                                    f"would not do so. Return it.")
        with self.lock:
            self.written += 1
            if not changed:
                self.keep(key, before, program)
        if self.written >= OFTEN and self.written > self.used and not self.has_warned:
            self.has_warned = True
            why = f"it changes {changed}, which it reads" if changed else why
            warnings.warn(f"jit: {name} was traced {self.written} times and replayed only "
                          f"{self.used} times, which is slower than without jit. The reason for "
                          f"the last trace: {why}.", stacklevel=4)
        return results, program

    def by_value(self, args, kwargs):
        """Run again with Python's own numbers: some libraries accept nothing else."""
        inputs, self.inputs = self.inputs, set()
        try:
            return self.run(args, kwargs)
        except TypeError:
            self.inputs = inputs
            raise

    def is_input(self, x):
        kind = type(x)
        return kind is np.ndarray or kind in self.inputs or issubclass(kind, np.generic) or (
            is_foreign(kind) and not library_of(kind).lazy)

    def keep(self, key, surroundings, program):
        states = self.known.setdefault(key, [])
        known = next((k for k in states if k.surroundings.difference() is None), None)
        if known is None:
            states.append(known := Known(surroundings))
        known.programs.append(program)
        if sum(len(k.programs) for states in self.known.values() for k in states) > MOST:
            first = next(iter(self.known))
            oldest = self.known[first][0]
            oldest.programs.pop(0)
            if not oldest.programs:
                self.known[first].pop(0)
            if not self.known[first]:
                del self.known[first]


def jit(f: Function) -> Any:
    """Trace f at its first call into a program of NumPy calls, and replay this at later calls.

    Arrays, NumPy's scalars and Python's floats and ints among the arguments are inputs of the
    program; arrays of other libraries are, too, unless they are lazy.  Everything else that f reads
    is a constant of it, and is compared at every call: shapes and dtypes, other arguments, globals,
    variables that f closes over, attributes, the contents of containers.  If one of them has
    changed, f is traced again.  If the code branches on a value, indexes by one or formats one as
    text, the value is checked at each replay, and f is traced again where it differs.  f runs every
    time if it draws random numbers or changes what it reads.

    Installed libraries count as constant without being compared, and so do arrays that are not
    writeable (``x.flags.writeable = False``), which saves the time to compare a large one.  Side
    effects (f prints, counts, appends to a list that it does not read) happen only when f is
    traced. If f asks for a ``type()``, or calls a library that accepts nothing but Python's own
    numbers, Python's numbers are constants, too.

    Wrap the outermost transform, ``jit(value_and_grad(f))``: inside another transform a jitted
    function is f itself.  ``jit(f).program(*args)`` is the `Program` for such arguments; its
    `source` is NumPy code.

    Raises LostTrace if f turns an array argument into a plain one (np.asarray(x), a[i] = x), and
    TypeError for complex arrays, for iterators that f reads, for eval, exec and globals(), and if
    f stores a traced array or returns a function of one.  Warns if f is traced again and again.
    """
    programs = Replayed(f)

    @named_after("jit", f)
    def replayed(*args, **kwargs):
        return programs.run(args, kwargs)[0]

    replayed.program = lambda *args, **kwargs: programs.run(args, kwargs)[1]
    replayed.__wrapped__ = f
    return replayed


def record(f, leaves, structure, is_input):
    """Trace f: (its results for these arguments, the program, the level that recorded it)."""
    with Recording() as level:
        inputs = [level.variable(wrapped(x)) if is_input(x) else x for x in leaves]
        for x in inputs:
            if type(x) is Tracer:
                x.shown = ARGUMENT
        marks = [x.mark for x in inputs if is_traced(x)]
        args, kwargs = unflatten(structure, inputs)
        results, shape = flatten(f(*args, **kwargs))
        after, same = flatten((args, kwargs))
        if same != structure or not all(map(operator.is_, after, inputs)):
            raise TypeError(f"jit: {name_of(f)} changes a list or a dict among its arguments, and "
                            "a replay would not do so. Return a new one.")
        outputs = [level.reference(r) if is_traced(r) else _returned(r, f) for r in results]
    level.settle()
    values = [r.value if is_traced(r) else r for r in results]
    program = Program(
        name_of(f), marks, [x for x in leaves if is_input(x)], level.operations, outputs, shape,
        strict=level.strict or "raise" in level.errors.values())
    own = [bare(np.copy(v)) if type(v) in (np.ndarray, Foreign) else v for v in values]
    return unflatten(shape, own), program, level


def _labels(structure):
    return [f"argument{p}" for c in structure.children for p in paths(c)]


def _classes(structure):
    """The classes of the containers among the arguments, with what messages call them."""
    classes = {}
    for s in (structure, *structure.children):
        if isinstance(s.kind, type):
            classes[s.kind.__name__] = s.kind
    for s in structure.children:
        classes.update(_classes(s))
    return classes


def _returned(x, f):
    """A result that is not a traced array and holds none; TypeError where it does."""
    inside = Surroundings({"result": x}, by_text=True)
    if inside.traced or inside.running:
        raise TypeError(f"jit: {name_of(f)} returns a {describe(x)} that holds arrays of the "
                        "program (as the pull of vjp does), and these change from call to call. "
                        f"Return arrays: call the function inside {name_of(f)}.")
    return x


def _generators():
    """The states of the global random generators (NumPy loads its own late)."""
    return random.getstate(), pickle.dumps(
        sys.modules["numpy.random"].get_state() if "numpy.random" in sys.modules else None)
