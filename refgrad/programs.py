"""Functions written down once and replayed: what is left when Python's part of them is over.

The first call of a jit-ted function runs it on arrays that write down what is done to them (see
recording).  Later calls run that list of operations alone (see straight_line), as long as it is
what the function would do: the arguments have the same shapes and dtypes, all else that the
function reads is as it was (see surroundings), and so are the numbers on which it turned.
Otherwise the function runs again, and another program is written.
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
from .hints import Function
from .recording import Inside, Recording, is_strict, is_traced
from .scalars import KINDS, Scalar
from .straight_line import Program
from .surroundings import VALUES, Surroundings
from .tracer import Tracer
from .transforms import name_of, named_after
from .tree import flatten, paths, unflatten
from .writing import ARGUMENT

#: Programs that are kept for one function: the oldest makes room.
MOST = 32
#: After so many programs that were not used again as often, a warning says so.
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
                if len(shape) > 1:  # it depends on them what is a view
                    key.append(x.strides)
            elif kind in self.inputs:
                numbers.append(x)
                key.append(kind)
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
                except Exception as error:  # which the function may have an answer to
                    why = program.turn(error)
            break
        return self.write(key, leaves, structure, why)

    def write(self, key, leaves, structure, why):
        """Run the function, and keep what it did as a program."""
        name = name_of(self.f)
        roots = {name: self.f, **_classes(structure)}
        for label, x in zip(_labels(structure), leaves):
            if not self.is_input(x):
                if hasattr(x, "dtype") and hasattr(x, "shape"):
                    raise TypeError(f"jit: {label} of {name} is a {type(x).__name__}; expected a "
                                    f"plain array. Convert it: np.asarray(x).")
                roots[label] = x
        before, generators = Surroundings(roots), _generators()
        for x, label in before.running:
            raise TypeError(f"jit: {name} reads {label}, a {describe(x)}, which gives something "
                            f"else each time. Make it a list, or pass what comes next as an "
                            f"argument.")
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
            warnings.warn(f"jit: {name} ran {self.written} times to be written down, and only "
                          f"{self.used} times as a program: that is slower than without jit. The "
                          f"last time, {why}.", stacklevel=4)
        return results, program

    def by_value(self, args, kwargs):
        """Run again with Python's numbers themselves: a library may take nothing else for one."""
        inputs, self.inputs = self.inputs, set()
        try:
            return self.run(args, kwargs)
        except TypeError:
            self.inputs = inputs
            raise

    def is_input(self, x):
        kind = type(x)
        return kind is np.ndarray or kind in self.inputs or issubclass(kind, np.generic)

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
    """f, written down as straight-line NumPy at its first call and replayed at later ones.

    Arrays, NumPy's scalars and Python's floats and ints among the arguments are inputs: they may
    change from call to call.  Everything else that f reads is part of the program as it was when
    the program was written, and is compared at every call: shapes and dtypes, other arguments,
    globals, what f closes over, attributes, what these hold.  A change makes a new program, and so
    does a branch, an index or a text that turns on another number.  f runs every time if it draws
    random numbers or changes what it reads.

    Installed libraries are taken as they are, and so are arrays that are not writeable
    (``x.flags.writeable = False``), which saves the time to compare a large one.  What f does that
    it does not read (it prints, counts, appends to a list) happens when a program is written.  If
    it asks for a ``type()``, or a library takes nothing but Python's own numbers, they are part of
    the program too.

    Wrap the outermost transform, ``jit(value_and_grad(f))``: inside another transform a jit-ted
    function is f itself.  ``jit(f).program(*args)`` is the `Program` for such arguments; its
    `source` is NumPy code.

    Raises LostTrace if f turns an array argument into a plain one (np.asarray(x), a[i] = x), and
    TypeError for complex arrays, for iterators that f reads, for eval, exec and globals(), and if
    f stores a traced array or returns a function of one.  Warns if f is written down again and
    again.
    """
    programs = Replayed(f)

    @named_after("jit", f)
    def replayed(*args, **kwargs):
        return programs.run(args, kwargs)[0]

    replayed.program = lambda *args, **kwargs: programs.run(args, kwargs)[1]
    replayed.__wrapped__ = f
    return replayed


def record(f, leaves, structure, is_input):
    """(what f returns for such arguments, the program that it is, the level that wrote it)."""
    with Recording() as level:
        inputs = [level.variable(x) if is_input(x) else x for x in leaves]
        for x in inputs:
            if type(x) is Tracer:
                x.shown = ARGUMENT
        marks = [x.mark for x in inputs if is_traced(x)]
        args, kwargs = unflatten(structure, inputs)
        results, shape = flatten(f(*args, **kwargs))
        after, same = flatten((args, kwargs))
        if same != structure or not all(map(operator.is_, after, inputs)):
            raise TypeError(f"jit: {name_of(f)} changes a list or a dict among its arguments, and a "
                            f"replay would not do so. Return a new one.")
        outputs = [level.reference(r) if is_traced(r) else _returned(r, f) for r in results]
    level.settle()
    values = [r.value if is_traced(r) else r for r in results]
    program = Program(
        name_of(f), marks, [x for x in leaves if is_input(x)], level.operations, outputs, shape,
        strict=level.strict or "raise" in level.errors.values())
    own = [np.copy(v) if type(v) is np.ndarray else v for v in values]
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
    """A result that is no array of the program, and holds none."""
    inside = Surroundings({"result": x}, by_text=True)
    if inside.traced or inside.running:
        raise TypeError(f"jit: {name_of(f)} returns a {describe(x)} that holds arrays of the program "
                        f"(as the pull of vjp does), and these change from call to call. Return "
                        f"arrays: call the function inside {name_of(f)}.")
    return x


def _generators():
    """The state of the random generators that belong to nobody (NumPy loads its own late)."""
    return random.getstate(), pickle.dumps(
        sys.modules["numpy.random"].get_state() if "numpy.random" in sys.modules else None)
