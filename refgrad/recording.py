"""Programs written down once and replayed: what is left of a function when Python's part of it is over.

`jit` runs a function on arrays that write down every NumPy operation on them, below all other levels.  So gradients of
any order come out as what they are: straight-line NumPy, the rules multiplied out, without tape, dispatch or checks.
Later calls run that list of operations alone (see straight_line).  It holds for arrays of the same shapes and dtypes.
Where the function took a branch on a number, or because an operation failed, the list checks that it would take it
again; else, or if an operation fails that did not, it is written anew.
"""

from __future__ import annotations

import threading

import numpy as np

from .errors import LostTrace, describe
from .straight_line import Array, Operation, Program, replaced
from .tracer import Level, Tracer
from .transforms import _name, _named
from .tree import flatten, paths, unflatten

#: What depends on the shape and dtype of its first argument alone, which are the same at each replay.
STATIC = {np.shape, np.ndim, np.size, np.zeros_like, np.ones_like, np.empty_like, np.full_like, np.isrealobj,
          np.iscomplexobj}
#: Programs that are kept for one function: the oldest makes room.
MOST = 32


class Recording(Level):
    """The level that writes down what is done.  A tracer's mark is the number of its array."""

    records = True
    purpose = "may change from call to call of a jit-ted function"

    def __init__(self):
        super().__init__()
        self.operations = []
        self.count = 0
        self.inside = []  # primitives that are being written out
        self.errors = np.geterr()  # what NumPy does about errors if the function does not say
        self.copies = {}  # plain arrays that the program needs, by id, with the latest copy

    def variable(self, value):
        if value.dtype.kind == "c":
            raise TypeError(f"jit: expected real arrays, got {describe(value)}. Write real and imaginary part as two "
                            f"arrays, or do without jit.")
        self.count += 1
        return Tracer(value, self, self.count - 1)

    def process(self, primitive, arrays, params):
        function = primitive.evaluate
        if function is primitive:
            if isinstance(primitive.forward, np.ufunc):
                function = primitive.forward
            elif primitive not in self.inside:
                try:
                    return self.written_out(primitive, arrays, params)
                except Opaque:
                    pass
        result = self.computed(function, arrays, params)
        if primitive.function in STATIC and not any(type(a) is Tracer for a in arrays[1:]):
            return result
        many = result if type(result) is tuple else (result,)
        if not all(issubclass(type(y), (np.ndarray, np.generic)) for y in many):
            self.check(function, arrays, params, result)
            return result
        traced = tuple(map(self.variable, many))
        self.note(function, arrays, params, [t.mark for t in traced], many)
        if primitive.constant and not isinstance(function, np.ufunc) or _has_tracer(params):
            for y in traced:  # it may depend on the numbers how many entries there are
                self.check(np.shape, (y,), {}, y.shape)
        return traced if type(result) is tuple else traced[0]

    def computed(self, function, arrays, params):
        """What the function is of the arrays below; if it fails, the replay checks that it does so again."""
        try:
            return function(*replaced(list(arrays), self.strip), **replaced(params, self.strip))
        except Exception as error:
            self.check(_fails(function, type(error)), arrays, params, True)
            raise

    def written_out(self, primitive, arrays, params):
        """The operations that a primitive of refgrad's own is made of; raises Opaque if they are not NumPy's alone."""
        written, count, lost = len(self.operations), self.count, self.lost
        self.inside.append(primitive)
        try:
            return primitive.run(arrays, params)[0]
        except Exception as error:  # whatever it is that arrays do and tracers do not
            del self.operations[written:]
            self.count, self.lost = count, lost
            raise Opaque from error
        finally:
            self.inside.pop()

    def concrete(self, x, convert):
        """A number that the program turns on: the replay checks that it is the same."""
        if self.inside:
            raise Opaque
        known = self.computed(convert, (x,), {})
        self.check(convert, (x,), {}, known)
        return known

    def check(self, function, arrays, params, known):
        """The replay computes this and compares: if it is another, the program may be another."""
        self.note(function, arrays, params, [], (), self.reference(known))

    def note(self, function, arrays, params, results, made, check=None):
        errors = {k: v for k, v in np.geterr().items() if v != self.errors[k]}
        arrays, params = replaced(arrays, self.reference), replaced(params, self.reference)
        self.operations.append(Operation(function, arrays, params, results, made, errors, check))

    def reference(self, x):
        """What stands for x in the program.  A plain array is copied, since the function may overwrite it later."""
        if type(x) is Tracer:
            if x.level is not self:
                raise Inside
            return Array(x.mark)
        if not issubclass(type(x), np.ndarray):
            return x
        copy = self.copies.get(id(x), (x, None))[1]
        if copy is None or copy.tobytes() != x.tobytes():
            copy = np.copy(x)
            self.copies[id(x)] = x, copy
        return copy

    def settle(self):
        """What the function did not overwrite need not be copied."""
        original = {id(copy): x for x, copy in self.copies.values() if copy.tobytes() == x.tobytes()}
        for op in self.operations:
            op.arrays = replaced(op.arrays, lambda x: original.get(id(x), x))
            op.params = replaced(op.params, lambda x: original.get(id(x), x))


class Opaque(Exception):
    """A function looks at the numbers in its arrays, and is called as a whole."""


class Inside(BaseException):
    """The function closes over arrays that another transform traces.  No handler of the function should see it."""


def _fails(function, kind):
    """Whether a call raises such an error."""
    def fails(*args, **kwargs):
        try:
            function(*args, **kwargs)
        except kind:
            return True
        return False
    return fails


def _has_tracer(x):
    found = []
    replaced(x, lambda v: found.append(v) if type(v) is Tracer else None)
    return bool(found)


def jit(f):
    """f, written down as straight-line NumPy at its first call and replayed at later ones.

    Arrays (and NumPy's scalars) among the arguments may change from call to call; new shapes or dtypes, and all other
    arguments (numbers, strings, ...), make a new program.  What f takes from elsewhere is part of the program:
    arrays it closes over are used as they are, random numbers it draws stay the same, what it prints is printed once.
    Wrap the outermost transform, ``jit(value_and_grad(f))``: inside another transform a jit-ted function is f itself.
    ``jit(f).program(*args)`` is the `Program` for such arguments; its `source` is NumPy code.

    Raises LostTrace if f turns an array argument into a plain one (np.asarray(x), a[i] = x), and TypeError for complex
    arrays and for arguments that are neither arrays nor hashable.
    """
    programs = {}  # structure, shapes, dtypes and all that is no array -> programs
    lock = threading.Lock()

    def found(args, kwargs):
        """(results, the program that computed them); no program inside another transform."""
        leaves, structure = flatten((args, kwargs))
        arrays, key = [], [structure, *np.geterr().values()]
        for x in leaves:
            kind = type(x)
            if kind is np.ndarray or issubclass(kind, np.generic):
                arrays.append(x)
                key += kind, x.shape, x.dtype
            elif kind is Tracer:
                return f(*args, **kwargs), None
            else:
                key += kind, repr(x) if kind is float else x  # 0.0 == -0.0, but they differ
        try:
            known = programs.get(key := tuple(key), ())
        except TypeError:
            raise _unhashable(f, leaves, structure) from None
        for program in reversed(known):
            try:
                return program(arrays), program
            except Exception:  # Changed, or an error that f may have an answer to
                pass
        try:
            program = _recorded(f, leaves, structure)
        except Inside:
            return f(*args, **kwargs), None
        with np.errstate(all="ignore"):  # f has told
            results = program(arrays)
        with lock:
            programs[key] = *programs.get(key, ()), program
            if sum(map(len, programs.values())) > MOST:
                oldest = next(iter(programs))
                if not (left := programs.pop(oldest)[1:]):
                    return results, program
                programs[oldest] = left
        return results, program

    @_named("jit", f)
    def replayed(*args, **kwargs):
        return found(args, kwargs)[0]

    replayed.program = lambda *args, **kwargs: found(args, kwargs)[1]
    return replayed


def _recorded(f, leaves, structure):
    """The program that f is for such arguments."""
    with Recording() as level:
        inputs = [level.variable(x) if issubclass(type(x), (np.ndarray, np.generic)) else x for x in leaves]
        args, kwargs = unflatten(structure, inputs)
        results, shape = flatten(f(*args, **kwargs))
    outputs = [level.reference(r) if type(r) is Tracer else r for r in results]
    level.settle()
    ignored = {k for op in level.operations for k, v in op.errors.items() if v == "ignore"}
    traced = [x for x in inputs if type(x) is Tracer]
    return Program(_name(f), [x.mark for x in traced], [x.value for x in traced], level.operations, outputs, shape,
                   sorted(ignored))


def _unhashable(f, leaves, structure):
    names = [f"argument{p}" for c in structure.children for p in paths(c)]
    for x, name in zip(leaves, names):
        if type(x) is not np.ndarray and not isinstance(x, np.generic):
            try:
                hash(x)
            except TypeError:
                what = f"a {type(x).__name__}" if isinstance(x, np.ndarray) else describe(x)
                return TypeError(f"jit: {name} of {_name(f)} is {what}; expected an array, or something hashable that "
                                 f"is part of the program. Convert it, or let the function close over it.")
    return TypeError(f"jit: an argument of {_name(f)} is not hashable")
