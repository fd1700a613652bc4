"""What a jitted function reads besides its arguments, kept to be compared at later calls.

`Surroundings` follows what functions and objects refer to, as far as it leads: the globals that
their code reads, the variables that they close over, default values, the object that a method
belongs to, the attributes that code reads, what lists and dicts hold, and the functions among all
these.  Numbers and texts are compared by value, arrays by their entries, other objects by identity
and by what is read of them.  Installed libraries are taken as they are: of their functions only
those are followed that they were given (a decorator's), of their modules and classes nothing.
"""

from __future__ import annotations

import collections
import contextvars
import functools
import operator
import random
import sys
import types
import weakref
from operator import is_

import numpy as np

from .operands import is_foreign
from .primitive import TRACING, Primitive
from .reads import is_library, of_library, reads
from .scalars import Scalar
from .snapshots import fingerprint

MISSING = object()
#: Values that never change, and are compared by value where they are not the same object.
VALUES = {int, float, complex, bool, str, bytes, type(None), type(...), type(NotImplemented), range}
#: Functions of NumPy, and NumPy's numbers.
CONSTANT = np.generic, np.ufunc, type(np.sum)
#: Libraries whose objects change as they work, without a meaning for who uses them.
AT_WORK = {"asyncio", "concurrent", "logging", "multiprocessing", "threading"}
#: Classes of libraries whose objects have no attributes but those that the program gives them.
PLAIN = {"builtins.object", "types.SimpleNamespace", "argparse.Namespace"}
#: Iterators, which give something else each time.
RUNNING = types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType
#: Functions that run code or read variables which the calling code does not name.
EVALUATE = {"eval", "exec", "globals"}
#: An array of at most so many bytes is kept whole, of a larger one a checksum.
SMALL = 1 << 20


class Surroundings:
    """What can be read from the roots, a dict from what messages call things to the things.

    by_text  all attributes of all objects, whether code that reads them is found or not
    written  also what code only writes
    """

    def __init__(self, roots, by_text=False, written=False):
        self.by_text, self.written = by_text, written
        # What is compared, with what it was and what messages call it
        self.names = []       # (get, key, value, label): what a name refers to
        self.cells = []       # (cell, value, label): the same of a variable of a function around
        self.functions = []   # (function, code, default values, label)
        self.sizes = []       # (dict of attributes, how many there are, label)
        self.holders = []     # (entries, holder, what they were, label)
        self.arrays = []      # (array, its print, label)
        # What else is found
        self.generators = []  # (random generator, its state, label)
        self.running = []     # (iterator, label)
        self.foreign = []     # (array of another library, label)
        self.traced = []      # (traced array, label)
        self.writes = False   # some code may store something
        self.asks_types = False  # some code may tell a number from what stands for it
        # While it is looked for
        self.read = set()     # attributes that some code reads
        self.unread = {}      # attribute -> (get, label, any attribute) of objects that have it
        self.seen = {}        # by id; so they stay alive, and their ids theirs
        self.waiting = [(x, label) for label, x in roots.items()]
        while self.waiting:
            self.look(*self.waiting.pop())
        self.unread = self.unchanged = None

    def difference(self):
        """What messages call the first thing that is another one now; None if all is as it was."""
        self.unchanged = self.unchanged or self.comparison()
        try:
            unchanged = self.unchanged()
        except (KeyError, ValueError):
            unchanged = False
        other = None if unchanged else self.other()
        if other is not None:
            return other
        for entries, holder, held, label in self.holders:
            now = entries(holder)
            if len(now) != len(held):
                return label
            if not all(map(is_, now, held)) and not all(map(_alike, now, held)):
                return label
        for array, kept, label in self.arrays:
            if _print(array) != kept:
                return label
        return None

    def other(self):
        """What messages call the first name, variable, function or attribute that has changed."""
        for get, key, value, label in self.names:
            if not _alike(get(key, MISSING), value):
                return label
        for cell, value, label in self.cells:
            try:
                now = cell.cell_contents
            except ValueError:  # it is empty
                now = MISSING
            if not _alike(now, value):
                return label
        for f, code, defaults, label in self.functions:
            if f.__code__ is not code or f.__defaults__ is not defaults:
                return label
        for attributes, size, label in self.sizes:
            if len(attributes) != size:
                return label
        return None

    def comparison(self):
        """A function that compares names, variables, functions and attributes by one expression.

        It returns True if every one of them refers to the same object as before.  If one does not,
        it returns False, or raises KeyError or ValueError where a name or variable is gone.
        """
        known = {}

        def the(x):
            return known.setdefault(id(x), (f"x{len(known)}", x))[0]

        tests = ["True"]
        for get, key, value, _ in self.names:
            holder = getattr(get, "__self__", None)
            if type(holder) not in (dict, types.MappingProxyType):
                tests.append(f"{the(get)}({key!r}, {the(MISSING)}) is {the(value)}")
            elif value is MISSING:
                tests.append(f"{key!r} not in {the(holder)}")
            else:
                tests.append(f"{the(holder)}[{key!r}] is {the(value)}")
        tests += [f"{the(cell)}.cell_contents is {the(value)}" for cell, value, _ in self.cells]
        for f, code, defaults, _ in self.functions:
            tests.append(f"{the(f)}.__code__ is {the(code)}")
            tests.append(f"{the(f)}.__defaults__ is {the(defaults)}")
        tests += [f"len({the(attributes)}) == {size}" for attributes, size, _ in self.sizes]
        given = ", ".join(f"{name}={name}" for name, _ in known.values())  # locals are fast
        return eval(f"lambda {given}: {' and '.join(dict.fromkeys(tests))}", dict(known.values()))

    def drawn(self):
        """What messages call a random generator that was drawn from; None if there is none."""
        return next((label for g, state, label in self.generators if _state(g) != state), None)

    # how it is found

    def look(self, x, label):
        kind = type(x)
        if kind in VALUES or issubclass(kind, CONSTANT) or id(x) in self.seen:
            return
        self.seen[id(x)] = x
        if kind in TRACING or issubclass(kind, Scalar):
            self.traced.append((x, label))
            self.follow(x.value, label)
        elif kind is np.ndarray:
            self.array(x, label)
        elif is_foreign(kind):
            self.foreign.append((x, label))
        elif kind is types.FunctionType:
            self.function(x, label)
        elif kind is types.ModuleType:
            if not of_library(x):
                self.attributes(vars(x).get, vars(x), label, by_text=False)
        elif isinstance(x, type):
            self.class_(x, label)
        elif isinstance(x, Primitive):
            for part in filter(callable, vars(x).values()):
                self.follow(part, label)
        elif isinstance(x, random.Random) or kind.__module__.startswith("numpy.random"):
            self.generators.append((x, _state(x), label))
        elif isinstance(x, RUNNING) or hasattr(kind, "__next__") and kind.__module__ in (
                "builtins", "itertools"):
            self.running.append((x, label))
        elif kind.__module__.partition(".")[0] not in AT_WORK:
            self.object(x, kind, label)

    def follow(self, x, label):
        self.waiting.append((x, label))

    def refer(self, get, key, label):
        value = get(key, MISSING)
        self.names.append((get, key, value, label))
        self.follow(value, label)

    def hold(self, entries, holder, label):
        """A container, which may change; `entries` lists what it holds."""
        held = entries(holder)
        self.holders.append((entries, holder, held, label))
        for x in held:
            self.follow(x, label)

    def attributes(self, get, names, label, by_text=True):
        """What is read of the attributes, now or when code that reads them is found.

        by_text  whether code that reads attributes by text may read these
        """
        for name in filter(_is_named, list(names)):
            if name in self.read or by_text and self.by_text:
                self.refer(get, name, f"{label}.{name}")
            else:
                self.unread.setdefault(name, []).append((get, label, by_text))

    def own(self, attributes, label):
        """The dict of an object's own attributes, which hide those of its class."""
        self.sizes.append((attributes, len(attributes), f"an attribute of {label}"))
        self.attributes(attributes.get, attributes, label)

    def reading(self, names, by_text):
        """Code that reads these attributes was found."""
        self.read |= names
        self.by_text |= by_text
        for name in list(self.unread) if by_text else names & self.unread.keys():
            for get, label, by_text_too in self.unread.pop(name):
                self.attributes(get, [name], label, by_text_too)

    # kinds of things

    def function(self, f, label):
        library, used = is_library(f.__code__.co_filename), reads(f.__code__)
        variables, attributes = used.variables, used.attributes
        if self.written:
            variables, attributes = variables | used.written, attributes | used.written
        for name, cell in zip(f.__code__.co_freevars, f.__closure__ or ()):
            try:
                value = cell.cell_contents
            except ValueError:
                value = MISSING
            if library:
                self.follow(value if callable(value) else None, name)
            elif name in variables:
                self.cells.append((cell, value, name))
                self.follow(value, name)
        if library:
            self.follow(vars(f).get("__wrapped__"), label)
            return
        if unknown := EVALUATE & used.variables - f.__globals__.keys():
            raise TypeError(f"jit: {label} uses {min(unknown)}(), and what that reads cannot be "
                            f"compared from call to call. Name it in the code, or pass it as an "
                            f"argument.")
        self.functions.append((f, f.__code__, f.__defaults__, label))
        self.own(vars(f), label)
        for x in f.__defaults__ or ():
            self.follow(x, f"a default value of {label}")
        if f.__kwdefaults__:
            self.hold(_pairs, f.__kwdefaults__, f"a default value of {label}")
        for name in variables - set(f.__code__.co_freevars):
            self.refer(f.__globals__.get, name, name)
        for name in used.imports:
            self.follow(sys.modules.get(name), name)
        self.writes |= bool(used.written)
        self.asks_types |= used.asks_types
        self.reading(attributes, used.by_text)

    def class_(self, x, label):
        if of_library(x):
            return
        self.own(vars(x), label)
        for name, value in list(vars(x).items()):
            if not _is_named(name) and type(value) is types.FunctionType:
                self.refer(vars(x).get, name, f"{label}.{name}")
        for base in x.__bases__:
            self.follow(base, label)

    def array(self, x, label):
        if x.dtype.hasobject:
            self.hold(_entries, x, label)
        elif not _is_constant(x):
            self.arrays.append((x, _print(x), label))

    def object(self, x, kind, label):
        """Anything else: its class, what it is as a container or an array, its attributes."""
        self.follow(kind, label)
        self.reading(set(), isinstance(x, (operator.attrgetter, operator.methodcaller)))
        for base, entries in CONTAINERS:
            if isinstance(x, base):
                self.hold(entries, x, label)
        for base, entries in FIXED:
            if isinstance(x, base):
                for part in entries(x):
                    self.follow(part, label)
        if hasattr(kind, "__array__") or _is_buffer(x):
            try:
                self.holders.append((_as_array, x, _as_array(x), label))
            except Exception as error:
                raise TypeError(f"jit: {label} is a {kind.__name__}, which cannot be compared from "
                                f"call to call: np.asarray says {error!s}") from error
        attributes = getattr(x, "__dict__", None)
        if all(f"{c.__module__}.{c.__name__}" in PLAIN or not of_library(c) for c in kind.__mro__):
            if type(attributes) is dict:
                self.own(attributes, label)
            slots = [name for c in kind.__mro__ for name, d in vars(c).items()
                     if type(d) is types.MemberDescriptorType]
            self.attributes(functools.partial(getattr, x), slots, label)
        elif type(attributes) is dict:  # a library's methods read what they like
            self.hold(_pairs, attributes, label)


def _pairs(x):
    return [*x, *x.values()]


def _entries(x):
    return [x.shape, *x.ravel().tolist()]


def _as_array(x):
    return [_print(np.asarray(x))]


#: Containers that may hold other things later, with what lists what they hold.
CONTAINERS = [
    (dict, _pairs), (types.MappingProxyType, _pairs), ((list, set, collections.deque), list),
    (weakref.ref, lambda x: [x()]), (contextvars.ContextVar, lambda x: [x.get(MISSING)])]
#: Containers that may not.
FIXED = [
    ((tuple, frozenset), list), (types.MethodType, lambda x: [x.__self__, x.__func__]),
    (types.BuiltinMethodType, lambda x: [x.__self__]), (property, lambda x: [x.fget]),
    ((staticmethod, classmethod), lambda x: [x.__func__]),
    (functools.partial, lambda x: [x.func, x.args, x.keywords])]


def _is_buffer(x):
    try:
        memoryview(x)
    except TypeError:
        return False
    return True


def _is_named(attribute):
    """Whether an attribute has a name of the program's own."""
    return not (attribute.startswith("__") and attribute.endswith("__"))


def _alike(a, b):
    """Whether two values are the same to whoever reads them."""
    if a is b:
        return True
    kind = type(a)
    if kind is not type(b):
        return False
    if kind is tuple:
        return len(a) == len(b) and all(map(_alike, a, b))
    # By their texts: -0.0 is not 0.0, and nan is nan.
    return (kind in VALUES or issubclass(kind, np.generic)) and repr(a) == repr(b)


def _print(x):
    """What tells the entries of an array from others."""
    return x.shape, x.dtype, x.tobytes() if x.nbytes <= SMALL else fingerprint(x)


def _state(x):
    """The state of a random generator, Python's or NumPy's."""
    if isinstance(x, random.Random):
        return x.getstate()
    return repr(x.bit_generator.state if hasattr(x, "bit_generator") else
                getattr(x, "state", None) or x.get_state())


def _is_constant(x):
    """Whether nobody writes into the memory of an array, unless somebody turns its flag again."""
    while type(x) is np.ndarray and not x.flags.writeable:
        x = x.base
    return x is None or type(x) is bytes
