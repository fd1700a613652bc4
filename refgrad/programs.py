"""Functions written down once and replayed: what is left of a function when Python's part of it is over.

The first call of a jit-ted function runs it on arrays that write down what is done to them (see recording).  Later
calls run that list of operations alone (see straight_line), as long as it is what the function would do: the arguments
have the same shapes and dtypes, all else that the function reads is as it was (see surroundings), and so are the
numbers on which it turned.  Otherwise the function runs again, and another program is written.
"""

from __future__ import annotations

import operator
import random
import threading
import warnings

import numpy as np

from .errors import describe
from .recording import Inside, Recording, is_strict
from .scalars import KINDS, Scalar
from .straight_line import Program
from .surroundings import RANDOM, VALUES, Surroundings
from .tracer import Tracer
from .transforms import _name, _named
from .tree import flatten, paths, unflatten
from .writing import ARGUMENT

#: Programs that are kept for one function: the oldest makes room.
MOST = 32
#: A function whose programs are not used again, so many times, is told of.
OFTEN = 16


class Known:
    """The programs for one key and one state of what the function reads, the latest last."""

    def __init__(self, surroundings):
        self.surroundings, self.programs = surroundings, []


class Replayed:
    """A function with its programs."""

    def __init__(self, f):
        self.f = f
        self.known = {}  # structure, shapes, dtypes and all that is no number -> list of Known
        self.lock = threading.Lock()
        self.inputs = set(KINDS)  # the types of Python's numbers that are inputs
        self.written = self.used = 0
        self.told = False

    def run(self, args, kwargs):
        """(results, the program that computes them); no program inside another transform."""
        leaves, structure = flatten((args, kwargs))
        numbers, key = [], [structure, is_strict(), *np.geterr().values()]
        for x in leaves:
            kind = type(x)
            if kind is np.ndarray or issubclass(kind, np.generic):
                numbers.append(x)
                key += kind, x.dtype, (shape := x.shape)
                if len(shape) > 1:  # what is a view depends on it
                    key.append(x.strides)
            elif kind in self.inputs:
                numbers.append(x)
                key.append(kind)
            elif kind is Tracer or isinstance(x, Scalar):
                return self.f(*args, **kwargs), None
            elif kind in VALUES:
                key += kind, repr(x) if kind in (float, complex) else x  # 0.0 == -0.0, but they differ
            elif hasattr(x, "dtype") and hasattr(x, "shape"):
                raise _no_array(self.f, leaves, structure, x)
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
                except Exception as error:  # an error that f may have an answer to
                    why = program.turn(error)
            break
        return self.write(key, leaves, structure, why)

    def write(self, key, leaves, structure, why):
        """Run the function, and keep what it did as a program."""
        objects = {n: x for n, x in zip(_names(structure), leaves) if not self.is_input(x)}
        roots = {_name(self.f): self.f, **objects}
        before, drawn = Surroundings(roots), _drawn()
        for iterator, label in before.running:
            raise TypeError(f"jit: {_name(self.f)} reads {label}, a {describe(iterator)}, which gives something else each "
                            f"time. Make it a list, or pass what comes next as an argument.")
        if before.asks_types and self.inputs:
            self.inputs = set()
            return self.run(*unflatten(structure, leaves))
        try:
            results, program, level = record(self.f, leaves, structure, self.is_input)
        except Inside:
            args, kwargs = unflatten(structure, leaves)
            return self.f(*args, **kwargs), None
        for tracer, label in Surroundings(roots, written=True).traced if before.writes else ():
            if tracer.level is level:
                raise TypeError(f"jit: {_name(self.f)} stores a traced array in {label}, and a replay would not do so. "
                                f"Return it.")
        changed = before.difference() or before.drawn() or drawn != _drawn() and "NumPy's or Python's random numbers"
        if changed:
            why = f"it changes {changed}, which it reads"
        with self.lock:
            self.written += 1
            if not changed:
                self.keep(key, before, program)
        if self.written >= OFTEN and self.written > self.used and not self.told:
            self.told = True
            warnings.warn(f"jit: {_name(self.f)} ran {self.written} times to be written down, and {self.used} times as "
                          f"a program, which is slower than without jit. The last time, {why}.", stacklevel=4)
        return results, program

    def is_input(self, x):
        kind = type(x)
        return kind is np.ndarray or kind in self.inputs or issubclass(kind, np.generic)

    def keep(self, key, surroundings, program):
        groups = self.known.setdefault(key, [])
        known = next((k for k in groups if k.surroundings.difference() is None), None)
        if known is None:
            groups.append(known := Known(surroundings))
        known.programs.append(program)
        if sum(len(k.programs) for groups in self.known.values() for k in groups) > MOST:
            oldest = next(iter(self.known))
            self.known[oldest][0].programs.pop(0)
            if not self.known[oldest][0].programs:
                self.known[oldest].pop(0)
            if not self.known[oldest]:
                del self.known[oldest]


def jit(f):
    """f, written down as straight-line NumPy at its first call and replayed at later ones.

    Arrays, NumPy's scalars and Python's floats and ints among the arguments may change from call to call (but for floats
    and ints if f, or a function that it calls, asks for a ``type()``).  Everything
    else that f reads is part of the program, as it was when the program was written, and is compared at every call:
    the shapes and dtypes, all other arguments, what f closes over, globals, attributes, random generators.  A change
    makes a new program, and so does a branch, an index or a text that turns on another number.  Arrays whose
    ``flags.writeable`` is off are compared by identity, which takes no time.  What f does without reading it (it
    prints, appends to a list, counts) it does when a program is written.
    Wrap the outermost transform, ``jit(value_and_grad(f))``: inside another transform a jit-ted function is f itself.
    ``jit(f).program(*args)`` is the `Program` for such arguments; its `source` is NumPy code.

    Raises LostTrace if f turns an array argument into a plain one (np.asarray(x), a[i] = x), and TypeError for complex
    arrays, for iterators that f reads, and where f stores a traced array or returns a function of one.  Warns if
    programs are written again and again.
    """
    programs = Replayed(f)

    @_named("jit", f)
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
        marks = [x.mark for x in inputs if level.is_traced(x)]
        args, kwargs = unflatten(structure, inputs)
        results, shape = flatten(f(*args, **kwargs))
        after, same = flatten((args, kwargs))
        if same != structure or not all(map(operator.is_, after, inputs)):
            raise TypeError(f"jit: {_name(f)} changes a list or a dict among its arguments, and a replay would not do so. "
                            f"Return a new one.")
        outputs = [level.reference(r) if level.is_traced(r) else _returned(r, f) for r in results]
    level.settle()
    values = [r.value if level.is_traced(r) else r for r in results]
    strict = level.strict or "raise" in level.errors.values()
    program = Program(_name(f), marks, [x for x in leaves if is_input(x)], level.operations, outputs, shape, strict)
    return unflatten(shape, [np.copy(v) if type(v) is np.ndarray else v for v in values]), program, level


def _names(structure):
    return [f"argument{p}" for c in structure.children for p in paths(c)]


def _no_array(f, leaves, structure, x):
    name = next(n for n, y in zip(_names(structure), leaves) if y is x)
    return TypeError(f"jit: {name} of {_name(f)} is a {type(x).__name__}; expected a plain array. Convert it: "
                     f"np.asarray(x).")


def _returned(x, f):
    """A result that is no array of the program."""
    inside = Surroundings({"result": x}, by_text=True)
    if inside.traced or inside.running:
        raise TypeError(f"jit: {_name(f)} returns {describe(x)}, which holds arrays of the program (as the pull of vjp "
                        f"does), and they change from call to call. Return arrays: call it inside the function.")
    return x


def _drawn():
    """The state of the random generators that belong to nobody."""
    return repr(np.random.get_state()), random.getstate()
