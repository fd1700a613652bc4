"""Saves the state that the caller's functions can change before a check, and restores it
afterwards.

A layer stores on itself what its backward needs; a counter counts; a random generator advances.  A
run on balls or on traced arrays would leave these in the caller's objects, for the next run to
find.
"""

from __future__ import annotations

import collections
import functools
import random
import sys
import types

import numpy as np

from refgrad.reads import is_library, of_library, reads

#: How many objects are looked at, at most.
MOST = 100_000

#: Larger arrays are not copied.
LARGEST = 1 << 24

#: What cannot change.
CONSTANT = (str, bytes, int, float, complex, bool, type(None), np.generic, range, type(Ellipsis),
            types.ModuleType, types.CodeType, np.dtype, np.ufunc)

MISSING = object()


class State:
    """All that is reached from some objects: the functions' closures, defaults and module
    variables, the attributes of the program's own objects and classes, containers, arrays,
    tensors, random generators."""

    def __init__(self, *roots):
        self.kept = []  # of each object: (a function that puts it back, what that is called with)
        self._generators()
        left, met = list(roots), {}
        while left and len(met) < MOST:
            x = left.pop()
            if not isinstance(x, CONSTANT) and id(x) not in met:
                met[id(x)] = x
                left.extend(self._keep(x))

    def put_back(self):
        """Put everything back as it was when this `State` was made."""
        for restore, what in self.kept:
            restore(*what)

    def after(self, f):
        """The function f, with everything put back after each call."""
        @functools.wraps(f)
        def run(*args, **kwargs):
            try:
                return f(*args, **kwargs)
            finally:
                self.put_back()
        return run

    def _generators(self):
        """Remember the random generators that all programs share: Python's, NumPy's and torch's."""
        self.kept += [(random.setstate, (random.getstate(),)),
                      (np.random.set_state, (np.random.get_state(),))]
        if torch := sys.modules.get("torch"):
            self.kept.append((torch.set_rng_state, (torch.get_rng_state(),)))

    def _keep(self, x):
        """Remember how x is; returns what it reaches."""
        kind = type(x)
        if kind is types.FunctionType:
            return self._function(x)
        if kind is types.MethodType:
            return [x.__func__, x.__self__]
        if kind is types.BuiltinMethodType:
            return [x.__self__]
        if kind is functools.partial:
            return [x.func, x.args, x.keywords]
        if isinstance(x, (dict, list, set, collections.deque)):
            self.kept.append((_refill, (x, kind.copy(x))))
            return list(x.values()) if isinstance(x, dict) else list(x)
        if isinstance(x, (tuple, frozenset)):
            return list(x)
        if isinstance(x, np.ndarray):
            return self._array(x)
        if isinstance(x, np.random.Generator):
            self.kept.append((setattr, (x.bit_generator, "state", x.bit_generator.state)))
        elif isinstance(x, np.random.RandomState):
            self.kept.append((x.set_state, (x.get_state(),)))
        elif isinstance(x, random.Random):
            self.kept.append((x.setstate, (x.getstate(),)))
        elif (torch := sys.modules.get("torch")) and torch.is_tensor(x):
            self._tensor(x)
        elif torch and isinstance(x, torch.Generator):
            self.kept.append((x.set_state, (x.get_state(),)))
        elif isinstance(x, type):
            return [] if of_library(x) else self._class(x)
        else:
            return self._object(x, kind)
        return []

    def _function(self, f):
        reached = [f.__defaults__, f.__kwdefaults__, f.__dict__]
        for cell in f.__closure__ or ():
            try:
                held = cell.cell_contents
            except ValueError:  # the cell is still empty
                continue
            self.kept.append((_refill_cell, (cell, held)))
            reached.append(held)
        if not is_library(f.__code__.co_filename):
            for name in sorted(reads(f.__code__).variables | reads(f.__code__).written):
                held = f.__globals__.get(name, MISSING)
                if held is not MISSING or name in reads(f.__code__).written:
                    self.kept.append((_set_variable, (f.__globals__, name, held)))
                    reached.append(held)
        return reached

    def _class(self, kind):
        """Remember the methods and attributes of a class of the program."""
        own = {k: a for k, a in vars(kind).items() if not k.startswith("__")}
        self.kept += [(_set_attribute, (kind, k, a)) for k, a in own.items()]
        functions = [getattr(a, "__func__", getattr(a, "fget", a)) for a in vars(kind).values()]
        return [*functions, *kind.__bases__]

    def _object(self, x, kind):
        if all(of_library(c) for c in kind.__mro__ if c is not object) and not _is_module(kind):
            return []
        reached = [kind]
        for name in (n for c in kind.__mro__ for n in _slots(c)):
            held = getattr(x, name, MISSING)
            self.kept.append((_set_attribute, (x, name, held)))
            reached.append(held)
        own = getattr(x, "__dict__", None)
        if type(own) is dict:
            reached.append(own)
        return reached

    def _array(self, a):
        if a.flags.writeable and a.size <= LARGEST:
            self.kept.append((_refill_array, (a, a.copy())))
        return list(a.flat) if a.dtype == object else []

    def _tensor(self, t):
        if t.numel() <= LARGEST and t.layout is sys.modules["torch"].strided:
            grad = t.grad if t.is_leaf else None
            grad = grad if grad is None else (grad, grad.detach().clone())
            self.kept.append((_refill_tensor, (t, t.detach().clone(), grad)))


def _is_module(kind):
    return any(c.__name__ == "Module" and c.__module__.startswith("torch.nn") for c in kind.__mro__)


def _slots(kind):
    names = vars(kind).get("__slots__", ()) if not of_library(kind) else ()
    names = (names,) if isinstance(names, str) else names
    return [n for n in names if n not in ("__dict__", "__weakref__")]


def _refill(x, before):
    """Give a container back the very objects that it had."""
    if isinstance(x, dict):
        same = len(x) == len(before) and all(x.get(k, MISSING) is a for k, a in before.items())
    elif isinstance(x, set):
        same = x == before
    else:
        same = len(x) == len(before) and all(a is b for a, b in zip(x, before))
    if not same:
        x.clear()
        (x.extend if isinstance(x, (list, collections.deque)) else x.update)(before)


def _refill_cell(cell, held):
    cell.cell_contents = held


def _set_variable(variables, name, held):
    if held is MISSING:
        variables.pop(name, None)
    elif variables.get(name, MISSING) is not held:
        variables[name] = held


def _set_attribute(x, name, held):
    now = vars(x).get(name, MISSING) if isinstance(x, type) else getattr(x, name, MISSING)
    if now is held:
        return
    if held is MISSING:
        delattr(x, name)
    else:
        setattr(x, name, held)


def _refill_array(a, before):
    if not (a is before or np.array_equal(a, before)) and a.flags.writeable:
        np.copyto(a, before)


def _refill_tensor(t, before, grad):
    if t.shape == before.shape and not sys.modules["torch"].equal(t.data, before):
        t.data.copy_(before)
    if t.is_leaf and t.grad is not None:
        if grad is None:
            t.grad = None
        elif t.grad is not grad[0] or not sys.modules["torch"].equal(*grad):
            t.grad = grad[0]
            t.grad.data.copy_(grad[1])
