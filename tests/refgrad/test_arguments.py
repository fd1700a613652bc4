"""NumPy's signatures: a traced call does what NumPy's does, or is refused by the argument's name.

The sample of a usual run is small.  ``pytest tests/refgrad/test_arguments.py --full`` tries every
candidate value of every parameter, by name and by position, and many combinations.
"""

import functools
import itertools
import warnings

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import LostTrace, NoRule
from refgrad.primitive import TABLE, Kind, ndim_of
from refgrad.reverse import Tape
from refgrad.tracer import Tracer, bare
from refgrad.tree import flatten

from . import checks
from .arguments import ENTRIES, OUT, drawn, each, seed_of

SAMPLE, MANY = 12, 200

OF_CLIP_AND_EINSUM = ("np.clip", "np.einsum")
# Of ufuncs whose reduction is no function of its own.
FOLDED = (".reduce", ".accumulate", ".reduceat")

#: What is refused: from an argument to whether it is, given the function's name and the value.
REFUSED = {
    "out": lambda name, value: value is OUT,  # a plain array cannot hold traced numbers
    "where": lambda name, _: name == "np.clip" or name.endswith(".reduce") or is_ufunc(name),
    # complex numbers, and integers narrower than the result
    "dtype": lambda name, value: (name in OF_CLIP_AND_EINSUM or name.endswith(FOLDED)
                                  or np.dtype(value).kind in "cbiu"),
    "order": lambda name, value: name in OF_CLIP_AND_EINSUM or value in ("A", "K"),
    "casting": lambda name, value: name in OF_CLIP_AND_EINSUM,
    "subok": lambda name, value: name == "np.clip",
    "axis": lambda name, value: name == "np.unique" or (
        name.endswith(".reduce") and (value is None or type(value) is tuple)),
    "q": lambda name, value: name.startswith("np.nan") and np.ndim(value) == 2,
    "bins": lambda name, value: name == "np.histogram" and isinstance(value, str),
    "seq_of_zeros": lambda name, value: np.ndim(value) == 2,  # eigenvalues
    "xp": lambda name, value: value is not None and np.any(np.diff(value) < 0),
    "sorted": lambda name, value: not value,
    "weights": lambda name, value: name.endswith(("quantile", "percentile")),
    "axes": lambda name, value: is_ufunc(name),
    "initial": lambda name, value: name in ("np.logical_and.reduce", "np.logical_or.reduce"),
    "copy": lambda name, value: (name in ("np.nan_to_num", "np.meshgrid")
                                 or name.endswith("reshape") and value is False),
    "hermitian": lambda name, value: name == "np.linalg.pinv",  # of a matrix that is not square
    "full_matrices": lambda name, value: value,  # of matrices that are not square
    "rcond": lambda name, value: value == 0.1,  # which leaves out singular values that are not 0
    "rtol": lambda name, value: name == "np.linalg.pinv" and (
        isinstance(value, np.ndarray) or value == 0.5),
    # of vectors with two entries, of matrices that are not square
    "a": lambda name, value: name in ("np.cross", "np.linalg.svd"),
    # of these NumPy does not ask whether they are traced
    "default": lambda name, value: name == "np.select",
    "mode": lambda name, value: name in ("np.pad", "np.linalg.qr"),
    "reflect_type": lambda name, value: value == "odd",
    "everything": lambda name, value: name.endswith(FOLDED),
}

#: What NumPy says where it has no objection to a call, but trips over it.
STUMBLES = {"x.all": "return arrays must be of ArrayType",
            "x.any": "return arrays must be of ArrayType",
            **dict.fromkeys(["np.fft.fftshift", "np.fft.ifftshift"], "not enough values to unpack"),
            **dict.fromkeys(["np.cumulative_sum", "np.cumulative_prod"],
                            "list indices must be integers"),
            "np.polyder": "operands could not be broadcast",
            "np.average": "division by zero", "np.roll": "not enough values to unpack",
            "np.linalg.tensorinv": "takes exactly 1 argument"}


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


def on_two_tapes(program, arrays):
    """A program on arrays of which every other one is traced by another level."""
    results = []
    for first in (0, 1):
        with Tape() as outer, Tape() as inner:
            levels = (outer, inner) if first else (inner, outer)
            traced = [levels[i % 2].variable(x) for i, x in enumerate(arrays)]
            results.append(below(program(*traced)))
    return results


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
            assert a == e or a != a and e != e, f"{a!r}, NumPy's {e!r}"


# What must hold


def judged(call):
    """None if the traced call does what NumPy does, the argument if it is refused by name.

    Raises AssertionError if neither is so.
    """
    expected = outcome(lambda: call.program(*call.arrays))
    actual = outcome(lambda: on_a_tape(call.program, call.arrays))
    if isinstance(expected, Exception):
        stumbles = isinstance(expected, AttributeError) or (
            STUMBLES.get(call.entry.name, "no such error") in str(expected))
        if not stumbles and not any(v is OUT for v in call.given().values()):
            assert isinstance(actual, Exception), f"is {kind(actual)}; NumPy raises {expected!r}"
            ordinary = TypeError, ValueError, IndexError, ArithmeticError
            assert isinstance(actual, ordinary), f"raises {actual!r}"
        return None
    if isinstance(actual, Exception):
        inside = isinstance(actual, LostTrace) or "np.subtract with where=" in str(actual)
        if inside and 0 not in call.traced:
            return None  # from inside NumPy's own code, and not every such error can tell where
        return refused_argument(call, str(actual))
    assert kind(actual) == kind(expected), f"is {kind(actual)}, NumPy's {kind(expected)}"
    if call.entry.rule.function is not np.empty_like:
        same_numbers(actual, expected, call.arrays)
        for result in on_two_tapes(call.program, call.arrays) if len(call.arrays) > 1 else ():
            same_numbers(result, expected, call.arrays)
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
    """A view of an array shows what is written to it, and hands on what is written to the view."""
    for after_writing in shows, hands_on:
        program = lambda *arrays: after_writing(call, *arrays)
        actual = outcome(lambda: on_a_tape(program, call.arrays))
        expected = outcome(lambda: program(*call.arrays))
        refused = isinstance(actual, Exception) and after_writing is hands_on
        if isinstance(expected, Exception) or refused:
            read_only = isinstance(actual, ValueError) and "read-only" in str(actual)
            assert read_only, f"{actual!r}, NumPy's {expected!r}"
        else:
            assert not isinstance(actual, Exception), f"{after_writing.__name__}: {actual!r}"
            if call.entry.rule.function is not np.empty_like:
                same_numbers(actual, expected, call.arrays)


def has_the_derivative(call):
    """Both modes, against each other and against differences, where float64 can tell."""
    arrays, rng = call.arrays, np.random.default_rng(5)
    reads_one_half = np.linalg.cholesky, np.linalg.eigh, np.linalg.eigvalsh
    symmetric = call.entry.rule.function in reads_one_half or call.given().get("hermitian", False)
    numbers = [isinstance(x, np.generic) for x in arrays]

    def program(*drawn):
        drawn = [x if number or ndim_of(x) else np.copy(x) for x, number in zip(drawn, numbers)]
        if symmetric:
            drawn = [(x + np.swapaxes(x, -1, -2)) / 2 for x in drawn]
        result = call.program(*drawn)
        return [y for y in flatten(result)[0] if getattr(y, "dtype", None) == np.float64]

    value = program(*arrays)
    near_kinks = any(x.dtype != np.float64 or (abs(x) < 0.01).any() for x in arrays)
    if call.given().get("dtype") in (np.float32, "f4", np.dtype("f2")):
        return  # differences of what was computed with few digits
    if call.entry.rule.function is np.corrcoef and np.allclose(np.abs(value), 1) or (
            call.given().get("density") and max(x.size for x in arrays) == 1):
        return  # what is normalized is constant if there is no more than that
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
            known = REFUSED.get(argument, lambda name, value: False)
            assert known(entry.name, call.given().get(argument)), (
                f"{call!r} is refused for its {argument}=, which REFUSED does not know of")


@pytest.mark.parametrize("argument", REFUSED)
def test_what_is_refused_is_refused_still(argument):
    """REFUSED lists nothing that is taken by now."""
    def tried(entry):
        if argument not in (*entry.names(), "a", "seq_of_zeros", "xp", "everything"):
            return False
        listed = (call for call in calls(entry, True)
                  if (argument in call.given() or argument == "everything")
                  and REFUSED[argument](entry.name, call.given().get(argument)))
        return any(outcome(lambda: judged(call)) == argument for call in listed)

    assert any(map(tried, ENTRIES.values()))


# The test sees what it is there for: faults, as functions of the right call and its arguments


def ignores(argument, value):
    return lambda right, *args, **kwargs: right(*args, **{**kwargs, argument: value})


def ends_with(change):
    return lambda right, *args, **kwargs: change(right(*args, **kwargs))


def is_a_matrix_norm(right, x, /, *, axis=None, keepdims=False, ord=2):
    flat = axis is None and not keepdims
    return TABLE[np.linalg.norm].call(np.ravel(x) if flat else x, ord, axis, keepdims)


def counts_from_the_end(right, a, axis, start=0):
    return right(a, axis, start + (start < 0))


def sorts_the_axes(right, a, axis=None, **kwargs):
    return right(a, tuple(sorted(axis)) if isinstance(axis, tuple) else axis, **kwargs)


def loses_a_derivative(right, *args, constant_values=0, **kwargs):
    return right(*args, constant_values=bare(constant_values), **kwargs)


def shows_its_argument(right, a, shift, axis=None):
    return np.reshape(a, np.shape(a)) if np.ndim(shift) == 0 == shift else right(a, shift, axis)


def trades_places(right, a, axis=0, *others, **kwargs):
    return right(a, *others[:1], axis, *others[1:], **kwargs)


def takes_less(right, a, indices, axis=None, **others):
    if others:
        raise NoRule("np.take", f"with {', '.join(others)}=")
    return right(a, indices, axis)


FAULTS = {
    "vector norm over two axes": ("np.linalg.vector_norm", is_a_matrix_norm),
    "keepdims": ("np.sum", ignores("keepdims", False)), "ddof": ("np.var", ignores("ddof", 0)),
    "where": ("np.mean", ignores("where", True)), "start": ("np.rollaxis", counts_from_the_end),
    "weights": ("np.average", sorts_the_axes), "constant": ("np.pad", loses_a_derivative),
    "no number": ("np.dot", ends_with(np.copy)),
    "a number": ("np.squeeze", ends_with(lambda y: y[()])),
    "no view": ("np.expand_dims", ends_with(np.copy)), "a view": ("np.roll", shows_its_argument),
    "positions": ("np.trace", trades_places), "refused": ("np.take", takes_less),
}


def spoil(monkeypatch, rule, fault):
    """Let the rule's call, which keeps its signature, go through the fault."""
    right = rule.call
    monkeypatch.setattr(rule, "call", functools.wraps(right)(
        lambda *args, **kwargs: fault(right, *args, **kwargs)))


@pytest.mark.parametrize("name, fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_seen(name, fault, monkeypatch):
    spoil(monkeypatch, ENTRIES[name].rule, fault)
    with pytest.raises(AssertionError):
        test_a_traced_call_is_numpys(ENTRIES[name], True)


@pytest.mark.parametrize("name", {name: None for name, _ in FAULTS.values()})
def test_what_is_no_fault_is_not_seen(name, monkeypatch):
    spoil(monkeypatch, ENTRIES[name].rule, lambda right, *args, **kwargs: right(*args, **kwargs))
    test_a_traced_call_is_numpys(ENTRIES[name], True)


def test_a_fill_value_is_traced_where_the_array_is_not():
    x = np.array([1.0, 2.0, 3.0])
    inner = lambda c: lambda x: np.sum(np.full_like(x, c ** 2) * x ** 2)
    f = lambda c: np.sum(rg.grad(inner(c))(x))
    np.testing.assert_allclose(rg.grad(f)(2.0), 48.0)
    np.testing.assert_allclose(rg.hessian(f)(2.0), 24.0)
