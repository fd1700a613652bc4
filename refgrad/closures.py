"""Copies of the state that a function reaches, so that it can be run again under the same
conditions.

The second run of a checkpointed function must see what its first run saw: counters, buffers and
random generators that it reaches through its closure, its defaults, its module's variables or its
object.  `rerun` copies them, so the second run has no side effects either.  Modules, classes and
what libraries define are not copied."""

from __future__ import annotations

import copy
import functools
import random
import types

import numpy as np

from .reads import is_library, of_library, reads
from .snapshots import LARGE

#: The names of the types of random generators, NumPy's and Python's.
GENERATORS = {"Generator", "RandomState", "Random"}


def rerun(f, snapshots):
    """A function that computes, at each call, what f would have computed when `rerun` was called.

    snapshots  the `Snapshots` that watch large arrays: they are not copied, and must not change
    """
    if not _reaches_state(f, set()):
        return f
    state = State(snapshots).copied(f)
    generators = _generators()

    def again(*args, **kwargs):
        now = _generators()
        _set(generators)
        try:
            return State(None).copied(state)(*args, **kwargs)
        finally:
            _set(now)

    return again


def _generators():
    """The states of the global generators, Python's and NumPy's."""
    return random.getstate(), np.random.get_state()


def _set(states):
    random.setstate(states[0])
    np.random.set_state(states[1])


def _reaches_state(x, seen):
    """Whether x is or reaches something that a program can change between two runs."""
    if id(x) in seen:
        return False
    seen.add(id(x))
    kind = type(x)
    if kind is types.FunctionType:
        if (
            "random" in reads(x.__code__).attributes | reads(x.__code__).variables
        ):  # of NumPy's or Python's generator
            return True
        cells = [c.cell_contents for c in x.__closure__ or () if c != types.CellType()]
        named = [] if _is_library(x) else [x.__globals__.get(name) for name in _variables(x)]
        parts = [*cells, *named, x.__defaults__, *(x.__kwdefaults__ or {}).values()]
    elif kind is types.MethodType:
        parts = [x.__func__, x.__self__]
    elif kind is functools.partial:
        parts = [x.func, x.args, *x.keywords.values()]
    elif kind is tuple:
        parts = x
    elif kind is types.BuiltinMethodType:
        parts = [x.__self__]
    elif getattr(getattr(kind, "__dataclass_params__", None), "frozen", False):
        parts = vars(x).values()
    else:
        return (
            kind in (np.ndarray, list, dict, set)
            or kind.__name__ in GENERATORS
            or hasattr(x, "apart")
            or (_is_of_the_program(kind) and hasattr(x, "__dict__"))
        )
    return any(_reaches_state(part, seen) for part in parts)


class State:
    """One copy of each mutable object that is reached from somewhere."""

    def __init__(self, snapshots):
        self.snapshots = snapshots
        self.known = {}  # id -> (object, its copy)

    def copied(self, x):
        if id(x) in self.known:
            return self.known[id(x)][1]
        if not _reaches_state(x, set()):
            return x
        kind = type(x)
        if kind is np.ndarray:
            return self.remember(x, self.array(x))
        if kind in (list, set, dict):
            return self.container(x, self.remember(x, kind()))
        if kind is tuple:
            return self.remember(x, tuple(map(self.copied, x)))
        if kind is types.FunctionType:
            return self.function(x)
        if kind is types.MethodType:
            return types.MethodType(self.copied(x.__func__), self.copied(x.__self__))
        if kind is functools.partial:
            return functools.partial(
                *map(self.copied, (x.func, *x.args)), **self.copied(x.keywords)
            )
        if kind.__name__ in GENERATORS or hasattr(x, "apart"):  # a traced array
            return self.remember(x, copy.deepcopy(x))
        if _is_of_the_program(kind) and type(getattr(x, "__dict__", None)) is dict:
            new = self.remember(x, object.__new__(kind))
            self.container(x.__dict__, new.__dict__)
            return new
        return x

    def remember(self, x, new):
        self.known[id(x)] = x, new
        return new

    def array(self, x):
        if self.snapshots is not None:
            return self.snapshots.of(x, "checkpoint: the function")
        if x.size < LARGE:
            return x.copy("K")
        x = x.view()
        x.setflags(write=False)
        return x

    def container(self, x, new):
        if type(x) is dict:
            new.update((k, self.copied(v)) for k, v in x.items())
        elif type(x) is list:
            new.extend(map(self.copied, x))
        else:
            new.update(map(self.copied, x))
        return new

    def function(self, f):
        """The function with copies of its cells, its defaults and the variables that it names."""
        is_library = _is_library(f)
        if is_library and not f.__closure__:
            return f
        variables = f.__globals__
        scope = (
            variables
            if is_library
            else self.known.get(id(variables), (None, None))[1]
            or self.remember(variables, dict(variables))
        )  # one copy for all functions of a module
        cells = tuple(types.CellType() for _ in f.__closure__ or ())
        new = self.remember(f, types.FunctionType(f.__code__, scope, f.__name__, None, cells))
        for name in () if is_library else _variables(f):
            if name in variables and scope[name] is variables[name]:
                scope[name] = self.copied(variables[name])
        new.__defaults__, new.__kwdefaults__ = (
            self.copied(f.__defaults__),
            self.copied(f.__kwdefaults__),
        )
        new.__dict__.update(f.__dict__)
        for cell, old in zip(cells, f.__closure__ or ()):
            try:
                cell.cell_contents = self.copied(old.cell_contents)
            except ValueError:  # it is empty yet
                pass
        return new


def _variables(f):
    """The names of the module's variables that a function reads or writes into."""
    return reads(f.__code__).variables | reads(f.__code__).written


def _is_library(f):
    return is_library(f.__code__.co_filename)


def _is_of_the_program(kind):
    """Whether a class is defined by the user's program, so that copying the attributes copies an
    object."""
    return all(
        c is object or type(c) is type and c.__new__ is object.__new__ and not of_library(c)
        for c in kind.__mro__
    )
