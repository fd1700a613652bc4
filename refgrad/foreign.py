"""Arrays of other libraries: NumPy hands each call to the array's library.

Inside a transform an array of another library (CuPy, Dask, or any type that speaks NumPy's two
protocols and does not know refgrad's own primitives) is wrapped in a `Foreign`.  So every call on
it passes through one place, where the differences between that library and NumPy are declared,
once:

1. its `Library` may say how it does a function, one of NumPy's or a primitive of refgrad's;
2. a primitive of refgrad's own runs its NumPy forward;
3. a function of NumPy's is the same call on the library's arrays;
4. where that is refused, what refgrad has as a program of other functions runs as that program.

Nothing is converted to NumPy's arrays: where one comes back, and where a library has no such
function, the call is refused.  Results leave a transform as the library's own arrays.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field

import numpy as np

from .errors import InPlaceWrite, Refused
from .face import Face
from .operands import is_foreign

#: From a function that refgrad has as a program of other functions to that program.
PROGRAMS: dict = {}
#: From a function of NumPy's to its call in NumPy's signature, which gives (arrays, params).
CALLS: dict = {}


@dataclass(frozen=True)
class Library:
    """How arrays of another library differ from NumPy's.

    name    its name in error messages
    ways    from a function (of NumPy's, or a primitive) to an implementation on the library's
            arrays, with the same arguments; it may raise NotImplementedError, saying what to write
    give    converts a NumPy array that meets one of the library's
    has     whether the library has a function of NumPy's
    lazy    its arrays are not computed before their numbers are asked for
    writes  its arrays can be overwritten, as NumPy's can
    """

    name: str
    ways: dict = field(default_factory=dict)
    give: Callable = lambda x: x
    has: Callable = lambda function: True
    lazy: bool = False
    writes: bool = False


#: From a type of arrays to its Library; a program may add its own.
LIBRARIES: dict = {}
#: From a package to the function that makes its Library, when its arrays are first met.
PACKAGES: dict = {}


def library_of(kind) -> Library:
    """The library of a type of arrays; an unknown one gets no implementations of its own."""
    if kind not in LIBRARIES:
        package = kind.__module__.partition(".")[0]
        known = next((LIBRARIES[k] for k in kind.__mro__ if k in LIBRARIES), None)
        make = PACKAGES.get(package, lambda: Library(package))
        LIBRARIES[kind] = known or make()
    return LIBRARIES[kind]


class Foreign(Face):
    """An array of another library inside a transform."""

    __slots__ = ("array", "library", "__weakref__")

    def __init__(self, array):
        self.array, self.library = array, library_of(type(array))

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        if any(map(_is_above, map(type, inputs))):
            return NotImplemented
        if any(x is not None for x in options.pop("out", ())):
            raise InPlaceWrite(f"np.{ufunc.__name__}", f"out= on an array of {self.library.name}")
        if method != "__call__":
            ufunc = getattr(ufunc, method)
        return self.called(ufunc, inputs, options)

    def __array_function__(self, function, types, args, kwargs):
        if any(map(_is_above, types)):
            return NotImplemented
        return self.called(function, args, kwargs)

    def called(self, function, args, kwargs):
        """The result of a function of NumPy's on arrays of another library."""
        library = self.library
        if function in CALLS:
            args, kwargs = CALLS[function](*args, **kwargs)
        if function in library.ways:
            return self.asked(function, library.ways[function], bare(args), bare(kwargs))
        try:
            if not library.has(function):
                raise self.refusal(function, f"{library.name} does not have it")
            give = library.give
            return self.asked(function, function, bare(args, give), bare(kwargs, give))
        except Refused as error:
            return by_program(function, args, kwargs, error)

    def asked(self, function, way, args, kwargs):
        """The library's own result, which must not be an array of NumPy's."""
        try:
            result = way(*args, **kwargs)
        except _FAILED as error:
            if isinstance(error, Refused):
                raise
            raise self.refusal(function, str(error) or type(error).__name__) from error
        if isinstance(result, (np.ndarray, np.generic)):
            raise self.refusal(function, f"{self.library.name} gives an array of NumPy's")
        return wrapped(result)

    def refusal(self, function, why):
        name = getattr(function, "name", None) or getattr(function, "__name__", repr(function))
        return Refused(
            f"{name} on arrays of {self.library.name}: {why}. Write it with other functions, "
            f"convert the array yourself before it is differentiated, or say how it is done: "
            f"refgrad.foreign.library_of(type(x)).ways[function] = ...")

    def __getitem__(self, index):
        way = self.library.ways.get(operator.getitem)
        if way is None:
            return wrapped(self.array[bare(index, self.library.give)])
        return self.asked(operator.getitem, way, (self.array, bare(index)), {})

    def __setitem__(self, index, value):
        if not self.library.writes:
            raise InPlaceWrite(f"x[index] = value on an array of {self.library.name}")
        give = self.library.give
        self.array[bare(index, give)] = bare(value, give)

    def __array__(self, dtype=None, copy=None):
        raise self.refusal("np.asarray", "it would become an array of NumPy's")

    def __bool__(self): return bool(self.array)
    def __float__(self): return float(self.array)
    def __int__(self): return int(self.array)
    def __index__(self): return operator.index(self.array.item())
    def astype(self, dtype, order="K", casting="unsafe", subok=True, copy=True):
        checked = {} if casting == "unsafe" else {"casting": casting}  # which CuPy does not have
        return Foreign(self.array.astype(dtype, copy=copy, **checked))

    def item(self, *args): return self.array.item(*args)
    def __repr__(self): return repr(self.array)
    def __deepcopy__(self, memo): return self

    def __getattr__(self, name):
        """Attributes that only the library's arrays have: .compute(), .chunks, .get(), ..."""
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.array, name)

    @property
    def shape(self): return self.array.shape
    @property
    def ndim(self): return len(self.array.shape)
    @property
    def size(self): return self.array.size
    @property
    def dtype(self): return self.array.dtype


#: The errors by which libraries say that they do not implement a call.
_FAILED = NotImplementedError, AttributeError, TypeError, AssertionError
#: The functions that run as programs: inside one it is not tried a second time.
_RUNNING = ContextVar("running", default=())


def by_program(function, args, kwargs, refusal):
    """A function that the library refuses, as refgrad's composition of other functions."""
    running = _RUNNING.get()
    if function not in PROGRAMS or function in running:
        raise refusal
    token = _RUNNING.set((*running, function))
    try:
        return PROGRAMS[function](*args, **kwargs)
    finally:
        _RUNNING.reset(token)


def _is_above(kind):
    """Whether a type stands for an array of which a `Foreign` may be a part."""
    return kind is not Foreign and getattr(kind, "_knows_primitives", False)


def wrapped(x):
    """An array of another library, or a nest with some, as it stands in a transform."""
    if type(x) in (tuple, list):
        return type(x)(map(wrapped, x))
    return Foreign(x) if is_foreign(type(x)) else x


def bare(x, give=lambda x: x):
    """The library's own arrays of arguments, NumPy's constants among them by `give`."""
    kind = type(x)
    if kind is Foreign:
        return x.array
    if kind is tuple or kind is list:
        return kind([bare(part, give) for part in x])
    if kind is dict:
        return {k: bare(part, give) for k, part in x.items()}
    if kind is slice:
        return slice(*[operator.index(part) if type(part) is Foreign else part
                       for part in (x.start, x.stop, x.step)])
    return give(x) if kind is np.ndarray else x


def handed_out(x):
    """A result as it leaves a transform."""
    return x.array if type(x) is Foreign else x


def operate(primitive, arrays, params):
    """A primitive on arrays of which at least one is a `Foreign`."""
    first = next(x for x in (*arrays, *params.values(), *_within(params)) if type(x) is Foreign)
    way = first.library.ways.get(primitive)
    if way is not None:
        return first.asked(primitive, way, bare(arrays), bare(params))
    try:
        return primitive.run(arrays, params)[0]
    except _FAILED as error:
        if isinstance(error, Refused):
            raise
        raise first.refusal(primitive, str(error)) from error


def speaks_for(function):
    """A function of refgrad's that calls NumPy's, for arrays of other libraries as well."""
    @functools.wraps(function)
    def called(*args, **kwargs):
        for x in args:
            kind = type(x)
            if kind is not np.ndarray and is_foreign(kind):
                break
        else:
            return function(*args, **kwargs)
        given = wrapped(args), {k: wrapped(x) for k, x in kwargs.items()}
        result = function(*given[0], **given[1])
        return bare(result)
    return called


def _within(params):
    return (part for p in params.values() if type(p) is tuple for part in p)


def is_lazy(x):
    """Whether it is a lazy array of another library."""
    return type(x) is Foreign and x.library.lazy


def may_be(x):
    """bool(x), but True for a lazy array: the branch that is right in either case."""
    return is_lazy(x) or bool(x)


def is_certain(x):
    """bool(x), but False for a lazy array, which would have to be computed for it."""
    return not is_lazy(x) and bool(x)
