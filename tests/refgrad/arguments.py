"""Calls drawn from NumPy's own signatures: each argument of each function of the op table.

A *base* is a sample call of the table as NumPy sees it: what each parameter of the signature is
given.  A drawn call is a base with other arrays (without axes, without entries, with one,
transposed, ...), with other values for some of its parameters (CANDIDATES, by the parameter's
name), some of them by position and some by name, and with all or some of its arrays traced.
"""

import itertools
import zlib
from typing import Any, NamedTuple
from collections.abc import Callable

import numpy as np

from refgrad.calls import signature_of
from tests.rules import RULES


class Like(NamedTuple):
    """A candidate that depends on the first array of the call."""

    make: Callable


#: What is given as out=, and must not be written to.
OUT = np.zeros((3, 4))

AXES = [None, 0, 1, -1, -2, (0,), (), (1, 0), (-1, 0), (0, 2), (0, 0), 7, np.int64(-1), [0, 1]]
ONE_AXIS = [0, 1, -1, -2, 2, 5]
LOW = [None, -0.5, 0.25, np.float64(-0.375), -np.inf,
       Like(lambda a: np.linspace(-0.6, 0.3, a.shape[-1]))]
HIGH = [None, 0.5, -0.25, np.float64(0.625), np.inf,
        Like(lambda a: np.linspace(-0.17, 0.71, a.shape[-1]))]
OFFSETS = [0, 1, -1, 2, 3, -3, 9, -9, np.int64(1)]
YES_OR_NO = [True, False]

#: From a parameter's name to values that it may be given.
CANDIDATES = {
    "axis": AXES, "keepdims": [True, False, 1, 0], "out": [None, OUT],
    "dtype": [None, float, np.float32, "f4", "f8", int, bool, complex, np.dtype("f2")],
    "initial": [0.0, 0.5, -2, 3.0, np.float64(0.25)],
    "where": [True, False, Like(lambda a: np.arange(a.size).reshape(a.shape) % 3 != 0),
              Like(lambda a: np.arange(a.shape[-1]) > 0)],
    "ddof": [0, 1, 2, 5, 0.5, -1], "correction": [0, 1, 2, 9],
    "mean": [Like(lambda a: np.mean(a, keepdims=True)), Like(lambda a: a[..., :1] / 2), 0.25],
    "order": ["C", "F", "A", "K", None], "subok": YES_OR_NO, "device": [None, "cpu", "gpu"],
    "casting": ["no", "equiv", "safe", "same_kind", "unsafe", "bad"], "copy": [True, False, None],
    "signature": [None, "d->d", "dd->d"],
    "shape": [-1, (-1,), (), (7,), (3, -1), [-1, 2], (2, -1, 1), np.int64(-1), (5, 3, 4), (1, 2, 3),
              Like(lambda a: a.shape[::-1]), Like(lambda a: (1, *a.shape)), Like(lambda a: a.size)],
    "reps": [2, 0, (2, 1), (), (1, 2, 1), [3], np.array([1, 2])],
    "axes": [None, 0, 1, 2, np.int64(1), (0, 1), (1, 0), (-1, 0), (0, 0), (0, 2, 1), [1, 0],
             ([0], [0]), ([1], [0]), ([-1], [0]), ((), ()), (0, -1), ([0, 1], [1, 0]),
             [(0,), (0,), ()]],
    "source": [0, -1, (0, 1), [1, 0], (), 7], "destination": [0, -1, (1, 0), [-1, 0], (), (0, 0)],
    "axis1": ONE_AXIS, "axis2": ONE_AXIS, "axisa": ONE_AXIS, "axisb": ONE_AXIS, "axisc": ONE_AXIS,
    "start": [0, 1, 2, 3, -1, -2, 9], "offset": OFFSETS, "k": OFFSETS,
    "n": [0, 1, 2, 3, -1, np.int64(1)], "shift": [0, 1, -2, 9, (1, 2), [1, -1], np.array([1])],
    "prepend": [0.0, 1.5, Like(lambda a: a[..., :1])], "append": [0.0, Like(lambda a: a)],
    "decimals": [0, 1, -1, np.int64(2), None], "side": ["left", "right", "middle"],
    "sorter": [None], "right": YES_OR_NO, "equal_nan": YES_OR_NO, "assume_unique": YES_OR_NO,
    "rtol": [1e-5, 0.0, 0.5, Like(lambda a: np.full(a.shape, 0.1))], "atol": [1e-8, 0.0, 2.0],
    "invert": YES_OR_NO, "returned": YES_OR_NO, "overwrite_input": YES_OR_NO, "upper": YES_OR_NO,
    "UPLO": ["L", "U", "l", "bad"], "hermitian": YES_OR_NO, "full_matrices": YES_OR_NO,
    "compute_uv": YES_OR_NO, "rcond": [None, 1e-12, 0.1, -1], "ind": [1, 2, 0],
    "p": [None, 2, -2, 1, -1, np.inf, "fro", "nuc", "bad"],
    "ord": [None, 0, 1, -1, 2, -2, 3, 0.5, np.inf, -np.inf, "fro", "nuc", "bad"],
    "indices": [0, -1, [0, 1], [[0], [1]], np.array([0, -1, 0]), [], 99, np.array([True, False]),
                Like(lambda a: np.zeros(a.shape, int)),
                Like(lambda a: np.zeros((*a.shape[:-1], 1), int))],
    "mode": ["raise", "wrap", "clip", "constant", "edge", "reflect", "symmetric", "linear_ramp",
             "mean", "maximum", "minimum", "median", "empty", "bad",
             "full", "same", "valid", 0, 1, 2],
    "repeats": [0, 1, 2, [2], [1, 0, 2], np.array([0, 1, 2]), np.int64(2), -1],
    "obj": [0, -1, 2, [0, 1], [0, -1], [], slice(0, 2), slice(None, None, 2), np.array([0, 0]), 99,
            np.array([True, False, True]), np.int64(1)],
    "kind": [None, "quicksort", "heapsort", "stable", "mergesort", "sort", "table"],
    "stable": [None, True, False], "kth": [0, 1, -1, [0, 1], 99],
    "indices_or_sections": [1, 2, 3, [1], [1, 3], [], (2, 1), [-1], 0, np.array([1])],
    "pad_width": [0, 1, (1, 2), ((1, 0), (0, 2)), [[2, 1]], {0: (1, 1)}, {-1: 2}, np.array([1, 0]),
                  -1, (1,), 1.5],
    "constant_values": [0, 1.5, (1, 2), ((1, 2), (3.0, 4)), np.array([1.0, 2.0]), np.float64(0.0)],
    "end_values": [0, 1.5, (1, 2)], "stat_length": [None, 1, (1, 2)],
    "reflect_type": ["even", "odd"],
    "weights": [None, Like(lambda a: np.linspace(1, 2, a.size).reshape(a.shape)),
                Like(lambda a: np.linspace(1, 2, a.size).reshape(a.shape).T),
                Like(lambda a: np.linspace(1, 2, a.shape[0])),
                Like(lambda a: np.linspace(1, 2, a.shape[-1]).tolist())],
    "nan": [0.0, 1.5], "posinf": [None, 2.0], "neginf": [None, -2.0],
    "a_min": LOW, "a_max": HIGH, "min": LOW, "max": HIGH,
    "default": [0, 2.0, np.float64(1.5)], "optimize": [True, False, "greedy", "optimal"],
    "fill_value": [0, 1.5, True, np.array([1.0, 2.0, 3.0, 4.0]), [0.5], np.float64(0.5)],
    "max_line_width": [None, 20], "precision": [None, 3], "suppress_small": [None, True],
    "dx": [1.0, 0.5, 2],
    "bins": [Like(lambda a: np.array([-1.0, 0.0, 1.0])), np.array([1.0, 0.0]), [0.0], 3, 1, 0,
             "auto"],
    "x": [None, Like(lambda a: np.linspace(0, 1, a.shape[-1]) ** 2), Like(lambda a: a * 2)],
    "condition": [[True, False], np.array([False, True, True]), [], Like(lambda a: a > 0)],
    "q": [0.3, 0, 1, 0.75, [0.25, 0.5], [0, 1], np.float64(0.137), [[0.2], [1.0]], 1.5],
    "method": ["linear", "hazen", "weibull", "median_unbiased", "normal_unbiased", "midpoint",
               "interpolated_inverted_cdf", "averaged_inverted_cdf", "inverted_cdf", "lower",
               "higher", "nearest", "closest_observation", "bad"],
    "num": [0, 1, 2, 5, -1, np.int64(3)], "endpoint": YES_OR_NO, "retstep": YES_OR_NO,
    "base": [2.0, 10, np.float64(0.5)], "sparse": YES_OR_NO, "indexing": ["xy", "ij", "bad"],
    "N": [None, 0, 1, 3], "increasing": YES_OR_NO, "return_index": YES_OR_NO,
    "return_inverse": YES_OR_NO, "return_counts": YES_OR_NO, "sorted": YES_OR_NO,
    "trim": ["f", "b", "fb", "BF", "bad"],
    "period": [1.5, 2 * np.pi, -2.0], "discont": [None, 0.0, 2.0], "left": [None, 0.5],
    "include_initial": YES_OR_NO, "to_end": [None, 1.0, [1.0, 2.0]], "to_begin": [None, 0.5],
    "edge_order": [1, 2, 3],
    "rowvar": YES_OR_NO, "bias": YES_OR_NO,
    "fweights": [None, Like(lambda a: np.ones(a.shape[-1], int))],
    "aweights": [None, Like(lambda a: np.linspace(1, 2, a.shape[-1]))], "minlength": [0, 2, 9, -1],
    "deg": [0, 1, 2, -1], "full": YES_OR_NO, "cov": [True, False, "unscaled"],
    "w": [None, Like(lambda a: np.linspace(1, 2, a.shape[0]))],
    "m": [0, 1, 2, 3, -1], "range": [None, (-1.0, 2.0), (0, 1), (1.0, 1.0), (1, 0)],
    "density": [None, True, False],
    "new_shape": [7, (), (2, 3), (0,), (2, -1), np.int64(4)],
    "other": [Like(lambda a: a), Like(lambda a: a.T), 2.0], "v": [0.0, np.array([0.5, 9.0]), []],
}

_OF_REDUCTIONS = ("keepdims", "initial", "where")
#: What a signature hides behind ``**kwargs``, by the function's name.
BEHIND = {"np.pad": ("constant_values", "end_values", "stat_length", "reflect_type"),
          "np.einsum": ("dtype", "order", "casting"),
          "np.clip": ("where", "casting", "order", "dtype", "subok"),
          **{f"x.{name}": _OF_REDUCTIONS for name in ("sum", "prod", "max", "min")},
          **{f"x.{name}": ("keepdims", "where") for name in ("mean", "var", "std")}}


class Entry(NamedTuple):
    """A function, or a method of arrays or of a ufunc, with NumPy's signature and sample calls."""

    name: str
    rule: Any
    function: Callable
    parameters: list
    bases: list  # pairs (values by parameter, what a ``*args`` takes)

    def names(self):
        """The parameters for which there are candidates."""
        named = [p.name for p in self.parameters]
        of_method = _OF_REDUCTIONS if self.name.endswith(".reduce") else ()
        behind = BEHIND.get(self.name, of_method)
        return [n for n in dict.fromkeys((*named, *behind)) if n in CANDIDATES]


class Call(NamedTuple):
    """A call in NumPy's signature, with arrays in it, of which some are to be traced."""

    entry: Entry
    args: tuple
    kwargs: dict
    traced: tuple  # positions among the arrays, as `arrays_in` lists them

    def __repr__(self):
        given = [*map(_shown, self.args), *(f"{k}={_shown(v)}" for k, v in self.kwargs.items())]
        return f"{self.entry.name}({', '.join(given)}), traced: {self.traced}"

    @property
    def arrays(self):
        found = arrays_in((self.args, self.kwargs))
        return [found[i] for i in self.traced]

    def program(self, *arrays):
        """The call as a function of the arrays that are to be traced."""
        instead, numbers = dict(zip(self.traced, arrays)), itertools.count()
        args, kwargs = changed((self.args, self.kwargs), lambda a: instead.get(next(numbers), a))
        return self.entry.function(*args, **kwargs)

    def given(self):
        """The arguments by name."""
        positional = [p.name for p in self.entry.parameters if p.kind is not p.KEYWORD_ONLY]
        return {**dict(zip(positional, self.args)), **self.kwargs}


def _shown(x):
    if isinstance(x, (list, tuple)):
        return f"{type(x).__name__}({', '.join(map(_shown, x))})"
    return f"{x.dtype}{x.shape}" if isinstance(x, np.ndarray) and x.size > 3 else repr(x)


def is_array(x):
    """What may be traced: a floating point array or number of NumPy's."""
    return isinstance(x, (np.ndarray, np.floating)) and x.dtype.kind == "f" and x is not OUT


def changed(x, change):
    """A nest with its arrays changed."""
    if isinstance(x, (list, tuple)):
        return type(x)(changed(v, change) for v in x)
    if isinstance(x, dict):
        return {k: changed(v, change) for k, v in x.items()}
    return change(x) if is_array(x) else x


def arrays_in(x):
    found = []
    changed(x, found.append)
    return found


# Bases


class Noted(np.ndarray):
    """An array that notes the calls of NumPy's functions on it, with plain arrays in them."""

    calls = []

    def __array_function__(self, function, types, args, kwargs):
        return self.note(function, args, kwargs)

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        return self.note(function, inputs, options)

    @staticmethod
    def note(function, args, kwargs):
        args, kwargs = _plain(args), _plain(kwargs)
        Noted.calls.append((function, args, kwargs))
        result = function(*args, **kwargs)
        return result.view(Noted) if isinstance(result, np.ndarray) else result


def _plain(x):
    if isinstance(x, (list, tuple)):
        return type(x)(map(_plain, x))
    if isinstance(x, dict):
        return {k: _plain(v) for k, v in x.items()}
    return np.array(x) if isinstance(x, Noted) else x


def sample_calls(rule):
    """The sample calls of a rule as NumPy sees them, as an Entry's bases."""
    rng = np.random.default_rng(seed_of(rule.name))
    for case in rule.cases:
        arrays = [a.view(Noted) for a in case.draw(rng)]
        Noted.calls.clear()
        with np.errstate(all="ignore"):
            case.program(rule.function)(*arrays)
        noted = [(args, kwargs) for function, args, kwargs in Noted.calls
                 if function is rule.function]
        for args, kwargs in noted or [(_plain(arrays), case.params)]:
            values, rest, args = dict(kwargs), (), list(args)
            for p in signature_of(rule.function).parameters.values():
                if p.kind is p.VAR_POSITIONAL:
                    args, rest = [], tuple(args)
                elif args and p.kind is not p.KEYWORD_ONLY:
                    values[p.name] = args.pop(0)
            yield values, rest


def seed_of(name):
    return zlib.crc32(name.encode())


def entries():
    """All that NumPy tells the signature of: functions of C and ufuncs from NumPy 2.4 on."""
    for rule in RULES:
        function = rule.function
        of_numpy = function is not None and rule.name.startswith("np.")
        if not of_numpy or signature_of(function) is None:
            continue
        bases = list(sample_calls(rule))
        yield entry(rule.name, rule, function, bases)
        name = rule.name.removeprefix("np.")
        for method in (name, "flatten") if name == "ravel" else (name,):
            refused = method in ("sort", "partition", "resize", "choose")  # most write in place
            if callable(getattr(np.ndarray, method, None)) and not refused:
                yield of_array(method, rule, bases)
        if isinstance(function, np.ufunc) and function.nin == 2 and function.signature is None:
            for method in ("reduce", "reduceat", "accumulate", "outer"):
                yield of_ufunc(method, rule, bases)


def entry(name, rule, function, bases, signature=None):
    signature = signature_of(signature or function)
    return signature and Entry(name, rule, function, list(signature.parameters.values()), bases)


def of_array(name, rule, bases):
    """x.name: the function's first array is x."""
    method = getattr(np.ndarray, name)
    taken = signature_of(method).parameters if signature_of(method) else ()
    return entry(f"x.{name}", rule, lambda x, *args, **kwargs: getattr(x, name)(*args, **kwargs), [
        ({"self": arrays_in(base)[0], **{k: v for k, v in base[0].items() if k in taken}}, ())
        for base in bases if arrays_in(base)], method)


def of_ufunc(name, rule, bases):
    names = ("A", "B") if name == "outer" else ("array",)
    return entry(f"{rule.name}.{name}", rule, getattr(rule.function, name), [
        (dict(zip(names, arrays_in(base))), ()) for base in bases if arrays_in(base)])


# Drawing


def variants(a):
    """Other arrays with a's sort of entries."""
    if not a.size:
        return [a]
    if not a.ndim:
        return [a, a[()]]
    return [a, np.asarray(a.ravel()[0]), a.ravel()[0], a[:0], a[..., :0], a[:1], a[..., :1], a.T,
            a[None], a[0], np.stack([a, a[::-1] * 0.875]), np.asfortranarray(a), a.ravel(), a[::-1],
            a.astype(np.float32)]


VARIANTS = len(variants(np.zeros(2)))


def pick(rng, options):
    return options[rng.integers(len(options))]


def drawn(entry, rng):
    """A call drawn at random."""
    values, rest = pick(rng, entry.bases)
    if rng.random() < 0.5:  # other arrays, each changed in the same way
        which = int(rng.integers(VARIANTS))
        values, rest = changed((values, rest), lambda a: dict(enumerate(variants(a))).get(which, a))
    last = len(arrays_in((values, rest))) - 1
    if last > 0 and rng.random() < 0.1:  # the last one as a list
        numbers = itertools.count()
        values, rest = changed((values, rest), lambda a: a.tolist() if next(numbers) == last else a)
    free = [n for n in entry.names() if n not in values or not arrays_in(values[n])]
    wanted = [str(n) for n in rng.permutation(free)[:pick(rng, [0, 1, 1, 1, 2, 2, 3])]]
    chosen = {n: pick(rng, CANDIDATES[n]) for n in [*wanted, *_needed(entry, values)]}
    return placed(entry, values, rest, chosen, pick(rng, [0, 1, 2, 9]), rng)


def each(entry):
    """Every candidate of every parameter alone, by name and by position."""
    rng = np.random.default_rng(0)
    for values, rest in entry.bases:
        needed = {n: CANDIDATES[n][0] for n in _needed(entry, values)}
        for name in entry.names():
            if not arrays_in(values.get(name)):
                for value, by_position in itertools.product(CANDIDATES[name], [0, 9]):
                    yield placed(entry, values, rest, {**needed, name: value}, by_position, rng)


def _needed(entry, values):
    return [p.name for p in entry.parameters
            if p.default is p.empty and p.name in CANDIDATES and p.name not in values]


def placed(entry, values, rest, chosen, by_position, rng):
    """The call with these values, `by_position` of them without a name if the signature allows."""
    first = next(iter(arrays_in((values, rest))), np.zeros(()))
    values = dict(values)
    for name, value in chosen.items():
        try:
            values[name] = value.make(first) if isinstance(value, Like) else value
        except (IndexError, ValueError):  # the array has no such axis
            pass
    args, kwargs = [], dict(values)
    last = max([k for k, p in enumerate(entry.parameters) if p.name in values], default=-1)
    for k, p in enumerate(entry.parameters):
        if p.kind is p.VAR_POSITIONAL:  # x.reshape(2, 3) or x.reshape((2, 3))
            value = kwargs.pop(p.name, rest)
            args += value if value is rest or by_position and isinstance(value, tuple) else [value]
            by_position = 0
        elif p.kind is p.POSITIONAL_ONLY or (
                p.kind is p.POSITIONAL_OR_KEYWORD and len(args) < by_position):
            if p.name in values:
                args.append(kwargs.pop(p.name))
            elif k < last and p.default is not p.empty and by_position:
                args.append(p.default)
            else:
                by_position = 0
        else:
            by_position = 0
    every = range(len(arrays_in((tuple(args), kwargs))))
    some = {i for i in every if rng.random() < 0.5 or not i and entry.name.startswith("x.")}
    traced = sorted(some) if some and rng.random() < 0.4 else every
    return Call(entry, tuple(args), kwargs, tuple(traced))


ENTRIES = {e.name: e for e in entries() if e and any(map(arrays_in, e.bases))}
