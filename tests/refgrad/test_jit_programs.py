"""Random programs with control flow under jit: what the function itself gives, call by call."""

import math
import warnings

import numpy as np
import pytest

import refgrad as rg
from refgrad import nn, programs, recording, surroundings
from refgrad.tree import flatten

from .jit_programs import made, program


@rg.custom
def custom_square(x):
    return x * x if np.all(x > 0) else np.array([v * v for v in x.tolist()])


custom_square.def_vjp(lambda g, y, x: 2 * g * x)
custom_square.def_jvp(lambda v, y, x: 2 * x * v[0])
SCOPE = {"np": np, "nn": nn, "math": math, "custom_square": custom_square}

#: How a program is run: name -> function of the program, which gives a function of its four arguments.
DERIVATIVES = {
    "grad": rg.grad, "value_and_grad": rg.value_and_grad, "grad of two": lambda f: rg.grad(f, (1, 0)),
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
    """What is wrong with the outcome, or None.  A clear error is not wrong; and what cannot be differentiated may have a
    value once it is recorded."""
    if any(type(x) is tuple and x[0] in ("LostTrace", "InPlaceWrite") for x in (found, expected)):
        return None
    if type(found) is tuple or type(expected) is tuple:
        same = type(found) is tuple is type(expected) and found[0] == expected[0]
        return None if same else f"{found} instead of {expected}"
    if len(found) != len(expected):
        return f"{len(found)} results instead of {len(expected)}"
    for a, e in zip(found, expected):
        if type(a) is not type(e) and not np.ndim(e) == 0 == np.ndim(a) or not isinstance(e, (float, np.ndarray, np.generic)) and a != e:
            return f"{a!r} instead of {e!r}"
        a, e = np.asarray(a), np.asarray(e)
        if a.dtype != e.dtype or a.shape != e.shape:
            return f"{a.dtype}{a.shape} instead of {e.dtype}{e.shape}"
        tolerance = 1e-9 if dtype is np.float64 else 1e-3
        scale = np.max(np.abs(e[np.isfinite(e)]), initial=1) if e.dtype.kind == "f" else 0
        if e.dtype.kind == "f" and not np.allclose(a, e, tolerance, tolerance * scale, equal_nan=True):
            return f"{a!r} instead of {e!r}"
        if e.dtype.kind != "f" and not np.array_equal(a, e):
            return f"{a!r} instead of {e!r}"
    return None


def differences(seeds):
    """(what differs, how many calls were replayed, how many calls)"""
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
            refused += type(found) is tuple and found[0] in ("LostTrace", "InPlaceWrite")
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
