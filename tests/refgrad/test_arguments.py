"""NumPy's signatures: a traced call does what NumPy's own call does, or is refused by the argument's name.

The sample of a usual run is small.  ``pytest tests/refgrad/test_arguments.py --full`` tries every candidate value of
every parameter, by name and by position, and many combinations.
"""

import itertools
import warnings

import numpy as np
import pytest

from refgrad.errors import LostTrace
from refgrad.primitive import TABLE, Kind, ndim_of
from refgrad.reverse import Tape
from refgrad.tracer import Tracer, bare
from refgrad.tree import flatten

from . import checks
from .arguments import ENTRIES, OUT, drawn, each, seed_of

SAMPLE, MANY = 12, 200

OF_CLIP_AND_EINSUM = ("np.clip", "np.einsum")
FOLDED = (".reduce", ".accumulate")  # of ufuncs whose reduction is no function of its own

#: What is refused: from an argument to whether it is, given the function's name and the value.
REFUSED = {
    "out": lambda name, value: value is OUT,  # a plain array cannot hold traced numbers
    "where": lambda name, value: name == "np.clip" or name.endswith(".reduce") or is_ufunc(name),
    "dtype": lambda name, value: name in OF_CLIP_AND_EINSUM or name.endswith(FOLDED)
    or np.dtype(value).kind in "cbiu",  # complex numbers; integers narrower than the result
    "order": lambda name, value: name in OF_CLIP_AND_EINSUM or value in ("A", "K"),
    "casting": lambda name, value: name in OF_CLIP_AND_EINSUM,
    "subok": lambda name, value: name == "np.clip",
    "axis": lambda name, value: name.endswith(".reduce") and (value is None or type(value) is tuple),
    "axes": lambda name, value: is_ufunc(name),
    "initial": lambda name, value: name in ("np.logical_and.reduce", "np.logical_or.reduce"),
    "copy": lambda name, value: name == "np.nan_to_num" or name.endswith("reshape") and value is False,
    "upper": lambda name, value: name == "np.linalg.cholesky" and value,
    "ord": lambda name, value: value in (2, -2, "nuc"),  # of matrices
    "a": lambda name, value: name == "np.cross",  # of vectors with two entries
    "default": lambda name, value: name == "np.select",  # which NumPy does not ask
    "mode": lambda name, value: name == "np.pad",
    "stat_length": lambda name, value: name == "np.pad",
    "reflect_type": lambda name, value: value == "odd",
    "everything": lambda name, value: name.endswith(FOLDED),
}

#: What NumPy says where it has no objection to a call, but trips over it.
STUMBLES = {"x.all": "return arrays must be of ArrayType", "x.any": "return arrays must be of ArrayType",
            "np.average": "division by zero", "np.roll": "not enough values to unpack"}


def is_ufunc(name):
    return isinstance(ENTRIES[name].function, np.ufunc)


def calls(entry, full):
    rng = np.random.default_rng(seed_of(entry.name))
    found = (drawn(entry, rng) for _ in range(MANY if full else SAMPLE))
    return (call for call in itertools.chain(found, each(entry) if full else ()) if call.traced)


def outcome(f):
    """What f returns, or the error that it raises."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return f()
        except Exception as error:
            return error


def on_a_tape(program, arrays):
    """A program on traced arrays, down to what is below the trace."""
    with Tape() as tape:
        return below(program(*map(tape.variable, arrays)))


def below(x):
    while type(x) is Tracer:
        x = x.value
    if isinstance(x, (list, tuple)):
        return type(x)(*map(below, x)) if hasattr(x, "_fields") else type(x)(map(below, x))
    return x


def kind(x):
    """Nesting, shapes and dtypes, and whether something is a number or an array."""
    if isinstance(x, (list, tuple)):
        return f"{type(x).__name__}({', '.join(map(kind, x))})"
    if isinstance(x, (np.ndarray, np.generic)):
        return f"{'array' if isinstance(x, np.ndarray) else 'number'} {x.dtype}{list(x.shape)}"
    return type(x).__name__


def same_numbers(actual, expected, arrays):
    """Equal up to the rounding of the least precise array."""
    tolerance = {2: 5e-3, 4: 1e-5, 8: 1e-10}
    least = min(x.dtype.itemsize for x in arrays)
    for a, e in zip(flatten(actual)[0], flatten(expected)[0], strict=True):
        if isinstance(e, (np.ndarray, np.generic)) and e.dtype.kind == "f":
            checks.close(a, e, "value", tolerance[min(least, e.dtype.itemsize)])
        elif isinstance(e, np.ndarray):
            np.testing.assert_array_equal(a, e)
        else:
            assert a == e, f"{a!r}, NumPy's {e!r}"


# What must hold


def judged(call):
    """None if the traced call does what NumPy does; the argument, if it is refused by name; else an AssertionError."""
    expected = outcome(lambda: call.program(*call.arrays))
    actual = outcome(lambda: on_a_tape(call.program, call.arrays))
    if isinstance(expected, Exception):
        stumbles = isinstance(expected, AttributeError) or (
            STUMBLES.get(call.entry.name, "no such error") in str(expected))
        if not stumbles and not any(v is OUT for v in call.given().values()):
            assert isinstance(actual, Exception), f"is {kind(actual)}; NumPy raises {expected!r}"
            assert isinstance(actual, (TypeError, ValueError, IndexError, ArithmeticError)), f"raises {actual!r}"
        return None
    if isinstance(actual, Exception):
        if isinstance(actual, LostTrace) and 0 not in call.traced:
            return None  # NumPy's own code has met it, and not every such error can tell the function
        return refused_argument(call, str(actual))
    assert kind(actual) == kind(expected), f"is {kind(actual)}, NumPy's {kind(expected)}"
    if call.entry.rule.function is not np.empty_like:
        same_numbers(actual, expected, call.arrays)
    if "overwrite_input" not in call.given():  # which leaves anything in the array
        follows_views(call)
    if call.entry.rule.kind is not Kind.CONSTANT:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            has_the_derivative(call)
    return None


def refused_argument(call, message):
    """The argument by whose name a call is refused, by an error that names the function."""
    assert call.entry.rule.name in message, f"an error without the function's name: {message}"
    named = lambda text: [name for name in call.given() if f"{name}=" in text]
    names = named(message.partition("): ")[2]) or named(message)
    if not names and message.startswith(f"{call.entry.name} has no differentiation rule"):
        return "everything"
    assert names, f"an error that names no argument: {message}"
    return names[0]


def shows(call, *arrays):
    """What the result is once the arrays were overwritten: another one if it is a view."""
    arrays = [np.copy(x) for x in arrays]
    result = call.program(*arrays)
    for x in arrays:
        x[...] = 0.5 * x
    return result


def hands_on(call, *arrays):
    """What the arrays are once the result was overwritten: others if it is a view."""
    arrays = [np.copy(x) for x in arrays]
    for y in flatten(call.program(*arrays))[0]:
        if isinstance(y, np.ndarray) and y.dtype.kind == "f" and y.size:
            y[...] = 0.25
    return arrays


def follows_views(call):
    """A view of an array shows what is written to it, and hands on what is written there, unless it is read-only."""
    for after_writing in shows, hands_on:
        program = lambda *arrays: after_writing(call, *arrays)
        actual = outcome(lambda: on_a_tape(program, call.arrays))
        expected = outcome(lambda: program(*call.arrays))
        if isinstance(expected, Exception) or isinstance(actual, Exception) and after_writing is hands_on:
            assert isinstance(actual, ValueError) and "read-only" in str(actual), f"{actual!r}, NumPy's {expected!r}"
        else:
            assert not isinstance(actual, Exception), f"{after_writing.__name__}: {actual!r}"
            if call.entry.rule.function is not np.empty_like:
                same_numbers(actual, expected, call.arrays)


def has_the_derivative(call):
    """Both modes, against each other and against differences, where float64 can tell."""
    arrays, rng = call.arrays, np.random.default_rng(5)
    symmetric = call.entry.rule.function is np.linalg.cholesky  # which reads one half
    numbers = [isinstance(x, np.generic) for x in arrays]

    def program(*drawn):
        drawn = [x if number or ndim_of(x) else np.copy(x) for x, number in zip(drawn, numbers)]
        result = call.program(*((x + np.swapaxes(x, -1, -2)) / 2 for x in drawn) if symmetric else drawn)
        return [y for y in flatten(result)[0] if getattr(y, "dtype", None) == np.float64]

    value = program(*arrays)
    near_kinks = any(x.dtype != np.float64 or (abs(x) < 0.01).any() for x in arrays)
    if value and not near_kinks and all(np.isfinite(y).all() for y in value):
        checks.matches_differences(program, arrays, rng)
        checks.is_dual(program, arrays, rng)


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_a_traced_call_is_numpys(entry, full):
    for call in calls(entry, full):
        try:
            argument = judged(call)
        except Exception as error:
            raise AssertionError(repr(call)) from error
        if argument is not None:
            assert argument in REFUSED and REFUSED[argument](entry.name, call.given().get(argument)), (
                f"{call!r} is refused for its {argument}=, which REFUSED does not know of")


@pytest.mark.parametrize("argument", REFUSED)
def test_what_is_refused_is_refused_still(argument):
    """REFUSED lists nothing that is taken by now."""
    def tried(entry):
        return (argument in entry.names() or argument in ("a", "everything")) and any(
            REFUSED[argument](entry.name, call.given().get(argument)) and outcome(lambda: judged(call)) == argument
            for call in calls(entry, True) if argument in call.given() or argument == "everything")

    assert any(map(tried, ENTRIES.values()))


# The test sees what it is there for


def without(argument, value):
    """A fault: an argument that makes no difference."""
    return lambda right: lambda *args, **kwargs: right(*args, **{**kwargs, argument: value})


def along_two_axes(right):
    matrix_norm = TABLE[np.linalg.norm].call
    return lambda x, /, *, axis=None, keepdims=False, ord=2: matrix_norm(
        np.ravel(x) if axis is None and not keepdims else x, ord, axis, keepdims)


def changed(change):
    return lambda right: lambda *args, **kwargs: change(right(*args, **kwargs))


FAULTS = {
    "a vector norm over two axes is a matrix norm": ("np.linalg.vector_norm", along_two_axes),
    "keepdims makes no difference": ("np.sum", without("keepdims", False)),
    "ddof makes no difference": ("np.var", without("ddof", 0)),
    "where makes no difference to the mean": ("np.mean", without("where", True)),
    "a negative start counts from the end": ("np.rollaxis", lambda right: lambda a, axis, start=0: right(
        a, axis, start + (start < 0))),
    "weights in the order of the axes": ("np.average", lambda right: lambda a, axis=None, **kwargs: right(
        a, tuple(sorted(axis)) if isinstance(axis, tuple) else axis, **kwargs)),
    "a constant loses its derivative": ("np.pad", lambda right: lambda *args, constant_values=0, **kwargs: right(
        *args, constant_values=bare(constant_values), **kwargs)),
    "a number becomes an array": ("np.dot", changed(lambda y: np.reshape(y, np.shape(y)))),
    "an array becomes a number": ("np.squeeze", changed(lambda y: y[()])),
    "a view becomes a copy": ("np.expand_dims", changed(np.copy)),
    "a copy becomes a view": ("np.roll", lambda right: lambda a, shift, axis=None: np.reshape(a, np.shape(a)) if (
        shift == 0) is True else right(a, shift, axis)),
    "arguments trade places": ("np.std", lambda right: lambda a, axis=None, dtype=None, ddof=0, out=None, **kwargs: (
        right(a, axis, dtype, ddof=ddof, **kwargs))),
    "an argument is refused": ("np.take", lambda right: lambda a, indices, axis=None: right(a, indices, axis)),
}


@pytest.mark.parametrize("name, fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_seen(name, fault, monkeypatch):
    rule = ENTRIES[name].rule
    monkeypatch.setattr(rule, "call", fault(rule.call))
    with pytest.raises(AssertionError):
        test_a_traced_call_is_numpys(ENTRIES[name], True)
