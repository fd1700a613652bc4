"""Random programs with control flow under jit: what the function itself gives, call by call."""

import math
import warnings

import numpy as np
import pytest

import refgrad as rg
from refgrad import nn, programs, recording, straight_line, surroundings
from refgrad.operations import references
from refgrad.tree import flatten

from .jit_programs import made, program
from .programs import SHAPE, Program


@rg.custom
def custom_square(x):
    return x * x if np.all(x > 0) else np.array([v * v for v in x.tolist()])


custom_square.def_vjp(lambda g, y, x: 2 * g * x)
custom_square.def_jvp(lambda v, y, x: 2 * x * v[0])
SCOPE = {"np": np, "nn": nn, "math": math, "custom_square": custom_square}

#: How a program is run: from a function of its four arguments to another one.
DERIVATIVES = {
    "grad": rg.grad, "value_and_grad": rg.value_and_grad,
    "grad of two": lambda f: rg.grad(f, (1, 0)),
    "grad of a number": lambda f: rg.value_and_grad(f, (0, 2)), "hessian": rg.hessian,
    "jvp": lambda f: lambda x, y, c, n: rg.jvp(lambda x, y: f(x, y, c, n), (x, y), (y, x)),
    "hvp": lambda f: lambda x, y, c, n: rg.hvp(lambda x: f(x, y, c, n), (x,), (y,)),
    "reverse twice": lambda f: rg.grad(lambda x, y, c, n: np.sum(rg.grad(f)(x, y, c, n) * y)),
    "checkpoint": lambda f: rg.value_and_grad(rg.checkpoint(f))}


def inputs(rng, dtype):
    """Successive arguments: other numbers, those of before, and numbers at which branches turn."""
    draw = lambda: (rng.standard_normal(3).astype(dtype), rng.standard_normal(3).astype(dtype),
                    float(rng.choice([0.5, 0.25, 1.5, -1.0, 0.0])), int(rng.integers(0, 4)))
    first, second, third = draw(), draw(), draw()
    near = tuple(v * dtype(1.0625) for v in first[:2]) + first[2:]
    return [first, near, first, second, (*second[:2], third[2], second[3]), third, first]


def outcome(f, args):
    """What a call gives: its leaves, or the type of its error."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return flatten(f(*args))[0]
        except Exception as error:
            return type(error).__name__, str(error)


def differ(found, expected, dtype):
    """What is wrong with the outcome, or None.

    A clear error is not wrong, and what cannot be differentiated may have a value once recorded.
    """
    if any(is_refusal(x) for x in (found, expected)):
        return None
    what = f"{found} instead of {expected}"
    if type(found) is not type(expected) or len(found) != len(expected):
        return what
    if type(found) is tuple:
        return what if found[0] != expected[0] else None
    return None if all(alike(a, e, dtype) for a, e in zip(found, expected)) else what


def is_refusal(outcome):
    return type(outcome) is tuple and outcome[0] in ("LostTrace", "InPlaceWrite")


def alike(a, e, dtype):
    """Whether a result is what it should be: type and dtype, and the numbers but for rounding."""
    if not isinstance(e, (float, np.ndarray, np.generic)):
        return type(a) is type(e) and a == e
    if type(a) is not type(e) and (np.ndim(a) or np.ndim(e)):  # an array without axes, or a number
        return False
    a, e = np.asarray(a), np.asarray(e)
    if a.dtype != e.dtype or a.shape != e.shape:
        return False
    if e.dtype.kind != "f":
        return np.array_equal(a, e)
    tolerance = 1e-9 if dtype is np.float64 else 1e-3
    size = np.max(np.abs(e[np.isfinite(e)]), initial=1)
    return np.allclose(a, e, tolerance, tolerance * size, equal_nan=True)


def differences(seeds):
    """(what differs, how many calls were replayed, how many calls, how many were refused)"""
    wrong, replayed, calls, refused = [], 0, 0, 0
    for seed in seeds:
        rng = np.random.default_rng(seed)
        how = ["plain", *DERIVATIVES][seed % 2 and 1 + seed // 2 % len(DERIVATIVES)]
        source = program(seed, how != "plain")
        (f, change), (g, change_too) = made(source, SCOPE), made(source, SCOPE)
        transform = DERIVATIVES.get(how, lambda f: f)
        plain, kept = transform(f), programs.Replayed(transform(g))
        fast = lambda *args: kept.run(args, {})[0]
        dtype = np.float32 if seed % 10 == 7 else np.float64
        for step, args in enumerate(inputs(rng, dtype)):
            expected, found = outcome(plain, args), outcome(fast, args)
            refused += is_refusal(found)
            if problem := differ(found, expected, dtype):
                wrong.append((seed, how, step, problem))
                break
            if step % 2:
                change(step)
                change_too(step)
        replayed, calls = replayed + kept.used, calls + kept.used + kept.written
    return wrong, replayed, calls, refused


def test_random_programs(full):
    wrong, replayed, calls, refused = differences(range(5000 if full else 200))
    assert not wrong, wrong
    assert replayed > calls / 3 and refused < calls / 50  # else this would show little


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_random_programs_that_write_in_place(full):
    for seed in range(500 if full else 25):
        rng, f = np.random.default_rng(seed), Program(seed)
        x, y, v = 0.8 * rng.standard_normal((3, *SHAPE))
        for g in (f, rg.value_and_grad(f), lambda x: rg.hvp(f, (x,), (v,))):
            fast = rg.jit(g)
            for a in (x, y, x, y):
                for found, expected in zip(flatten(fast(a))[0], flatten(g(a))[0], strict=True):
                    np.testing.assert_allclose(found, expected, 1e-9, 1e-9, err_msg=repr(f))
            assert fast.program(y) is fast.program(y)


# The programs find what is wrong


def copied_in_place(self, op, position):
    """`Writer.copied`, though the array may be needed still."""
    self.last = {n: position for n in self.last}
    return COPIED(self, op, position)


COPIED = straight_line.Writer.copied
FAULTS = {
    "the state is not compared": (surroundings.Surroundings, "difference", lambda self: None),
    "numbers are not checked": (recording.Recording, "check", lambda *args: None),
    "failures are dropped": (straight_line.Program, "needed", lambda self, operations: [
        op for op in operations if op.check is not None or not op.may_fail or set(op.results) & set(
            n for other in operations for n in (*other.reads, *references(self.outputs)))]),
    "numbers of Python's are frozen": (
        recording.Recording, "python", lambda self, f, numbers: f(*map(self.strip, numbers))),
    "errors are not heeded": (straight_line.Writer, "heeding", lambda self, errors, lines: lines),
    "arrays are overwritten that are needed": (straight_line.Writer, "copied", copied_in_place),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault, monkeypatch):
    monkeypatch.setattr(*FAULTS[fault])
    for first in range(280, 600, 20):
        if differences(range(first, first + 20))[0]:
            return
    pytest.fail("no program differs")


def test_batch_norm_is_written_out_and_its_branch_is_checked():
    """Where squares overflow another program is written; later both are used."""
    x = np.random.default_rng(0).standard_normal((8, 3))
    f = rg.value_and_grad(lambda x: np.sum(np.tanh(nn.batch_norm(x, None, None, training=True))))
    fast = rg.jit(f)
    usual, huge = fast.program(x), fast.program(1e200 * x)
    assert usual is not huge and "inverse_size" not in usual.source + huge.source
    for a, written in [(x, usual), (1e200 * x, huge)]:
        assert fast.program(a) is written
        np.testing.assert_allclose(np.append(*fast(a)), np.append(*f(a)), rtol=1e-12, atol=1e-215)


def test_a_constant_of_equal_entries_is_written_as_one():
    same, other = np.full(4, 3.0), np.array([3.0, 3.0, 3.0, 4.0])
    x = np.arange(4.0)
    for constant, size in [(same, 1), (other, 4)]:
        fast = rg.jit(lambda x: x * constant)
        np.testing.assert_array_equal(fast(x), x * constant)
        assert [np.size(v) for v in fast.program(x).function.__globals__.values()
                if isinstance(v, (np.ndarray, np.generic))] == [size]
    fast = rg.jit(lambda x: x * np.ones((4, 1)))  # but not where it gives the result its shape
    assert fast(x).shape == fast(x).shape == (4, 4)
