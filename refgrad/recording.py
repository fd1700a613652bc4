"""Programs written down once and replayed: what is left of a function when Python's part of it is over.

`jit` runs a function on arrays that write down every NumPy operation on them, below all other levels.  So gradients of
any order come out as what they are: straight-line NumPy, the rules multiplied out, without tape, dispatch or checks.
Later calls run that list of operations alone (see straight_line).  It holds for arrays of the same shapes and dtypes.
Where the function took a branch on a number, the list checks that it would take it again; else it is written anew.
"""

from __future__ import annotations

import numpy as np

from .errors import LostTrace, describe
from .straight_line import Changed, Operation, Program
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

    def variable(self, value):
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
        result = function(*_plain(list(arrays), self), **_plain(params, self))
        if primitive.function in STATIC and not any(type(a) is Tracer for a in arrays[1:]):
            return result
        many = result if type(result) is tuple else (result,)
        if not all(isinstance(y, (np.ndarray, np.generic)) for y in many):
            self.check(function, arrays, params, result)
            return result
        traced = tuple(map(self.variable, many))
        self.operations.append(Operation(function, arrays, params, [t.mark for t in traced], many))
        if primitive.constant and not isinstance(function, np.ufunc) or any(_has_tracer(p) for p in params.values()):
            for y in traced:  # it may depend on the numbers how many entries there are
                self.check(np.shape, (y,), {}, y.shape)
        return traced if type(result) is tuple else traced[0]

    def written_out(self, primitive, arrays, params):
        """The operations that a primitive of refgrad's own is made of; raises Opaque if they are not NumPy's alone."""
        written, count = len(self.operations), self.count
        self.inside.append(primitive)
        try:
            return primitive.run(arrays, params)[0]
        except Exception as error:  # whatever it is that arrays do and tracers do not
            del self.operations[written:]
            self.count = count
            raise Opaque from error
        finally:
            self.inside.pop()

    def concrete(self, x, convert):
        """A number that the program turns on: the replay checks that it is the same."""
        if self.inside:
            raise Opaque
        known = convert(x.value)
        self.check(convert, (x,), {}, known)
        return known

    def check(self, function, arrays, params, known):
        """The replay computes this and compares: if it is another, the program may be another."""
        self.operations.append(Operation(function, arrays, params, [], (), check=known))


class Opaque(Exception):
    """A function looks at the numbers in its arrays, and is called as a whole."""


def _has_tracer(x):
    return type(x) is Tracer or type(x) in (tuple, list) and any(map(_has_tracer, x))


def _plain(x, level):
    """The arrays below in place of the level's tracers, in tuples, lists and dicts too."""
    if type(x) is Tracer:
        return level.strip(x)
    if type(x) in (tuple, list):
        return type(x)(_plain(v, level) for v in x)
    return {k: _plain(v, level) for k, v in x.items()} if type(x) is dict else x


def jit(f):
    """f, written down as straight-line NumPy at its first call and replayed at later ones.

    Arrays (and NumPy's scalars) among the arguments may change from call to call; new shapes or dtypes, and all other
    arguments (numbers, strings, ...), make a new program.  What f takes from elsewhere is part of the program:
    arrays it closes over are used as they are, random numbers it draws stay the same, what it prints is printed once.
    Wrap the outermost transform, ``jit(value_and_grad(f))``: inside another transform a jit-ted function is f itself.
    ``jit(f).program(*args)`` is the `Program` for such arguments; its `source` is NumPy code.

    Raises LostTrace if f turns an array argument into a plain one (np.asarray(x), a[i] = x), and TypeError for
    arguments that are neither arrays nor hashable.
    """
    programs = {}  # structure, shapes, dtypes and all that is no array -> programs

    def found(args, kwargs):
        """(results, the program that computed them); no program inside another transform."""
        leaves, structure = flatten((args, kwargs))
        arrays, key = [], [structure]
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
            known = programs.setdefault(tuple(key), [])
        except TypeError:
            raise _unhashable(f, leaves, structure) from None
        for program in reversed(known):
            try:
                return program(arrays), program
            except Changed:
                pass
        program = _recorded(f, leaves, structure)
        results = program(arrays)
        known.append(program)
        if sum(map(len, programs.values())) > MOST:
            del next(filter(None, programs.values()))[0]  # the oldest
        return results, program

    @_named("jit", f)
    def replayed(*args, **kwargs):
        return found(args, kwargs)[0]

    replayed.program = lambda *args, **kwargs: found(args, kwargs)[1]
    return replayed


def _recorded(f, leaves, structure):
    """The program that f is for such arguments."""
    before = np.geterr()
    with Recording() as level:
        inputs = [level.variable(x) if isinstance(x, (np.ndarray, np.generic)) else x for x in leaves]
        args, kwargs = unflatten(structure, inputs)
        results, shape = flatten(f(*args, **kwargs))
    ignored = {k for op in level.operations for k in before if op.errors[k] == "ignore" != before[k]}
    traced = [x for x in inputs if type(x) is Tracer]
    return Program(_name(f), [x.mark for x in traced], [x.value for x in traced], level.operations,
                   [Operation.reference(r) for r in results], shape, sorted(ignored))


def _unhashable(f, leaves, structure):
    names = [f"argument{p}" for c in structure.children for p in paths(c)]
    for x, name in zip(leaves, names):
        if not isinstance(x, (np.ndarray, np.generic)):
            try:
                hash(x)
            except TypeError:
                return TypeError(f"jit: {name} of {_name(f)} is {describe(x)}; expected an array, or something "
                                 f"hashable that is part of the program. Convert it, or let the function close over it.")
    return TypeError(f"jit: an argument of {_name(f)} is not hashable")
