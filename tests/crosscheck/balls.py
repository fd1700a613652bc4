"""What the tests of the balls share: the formats, comparing with what NumPy computes, and the
samples."""

import numpy as np
from refgrad.primitive import TABLE
from flint import arb

from crosscheck.ball import FUNCTIONS, Ball, arithmetic

FORMATS = [np.float64, np.float32]
BITS = 300


# Comparing

def as_balls(x):
    """The same arguments, with Balls for float arrays."""
    if isinstance(x, np.ndarray) and x.dtype.kind == "f":
        return Ball(x)
    if isinstance(x, (list, tuple)):
        return type(x)(map(as_balls, x))
    return {k: as_balls(v) for k, v in x.items()} if isinstance(x, dict) else x


def in_format(x, dtype):
    if isinstance(x, np.ndarray) and x.dtype.kind == "f":
        return x.astype(dtype)
    if isinstance(x, (list, tuple)):
        return type(x)(in_format(part, dtype) for part in x)
    return {k: in_format(v, dtype) for k, v in x.items()} if isinstance(x, dict) else x


def leaves(x):
    return [leaf for part in x for leaf in leaves(part)] if isinstance(x, (list, tuple)) else [x]


def encloses(balls, values):
    """Are the shapes the same, and every value in its ball (plain outcomes: equal)?"""
    balls, values = leaves(balls), leaves(values)
    if len(balls) != len(values) or any(np.shape(b) != np.shape(v) for b, v in zip(balls, values)):
        return False
    return all(np.all(b.contains(v) if isinstance(b, Ball) else np.asarray(b) == v)
               for b, v in zip(balls, values))


def radius(balls):
    return max((float(np.max(b.radius() / np.maximum(b.abs_upper(), 1), initial=0))
                for b in leaves(balls) if isinstance(b, Ball)), default=0)


def check(function, args, kwargs):
    """One call in every arithmetic: containment, tightness, the bookkeeping of Balls."""
    with np.errstate(all="ignore"):
        with arithmetic(BITS):
            exact = function(*as_balls(args), **as_balls(kwargs))
        assert radius(exact) < 1e-80
        for leaf in leaves(exact):
            assert (not isinstance(leaf, Ball)
                    or (leaf.cells.dtype == object and not leaf.cells.flags.writeable
                        and all(type(c) is arb for c in leaf.cells.flat)))
        for dtype in FORMATS:
            floats = function(*in_format(args, dtype), **in_format(kwargs, dtype))
            with arithmetic(dtype):
                bound = function(*as_balls(args), **as_balls(kwargs))
                assert encloses(bound, floats), f"{bound} does not enclose {floats}"
                assert encloses(bound, exact)
                assert radius(bound) < 1e4 * np.finfo(dtype).eps
        with arithmetic(53):
            assert encloses(function(*as_balls(args), **as_balls(kwargs)), exact)


def bounded(program, args, dtype):
    """Does the ball model enclose what NumPy computes, and what is exact?"""
    floats = program(*in_format(args, dtype))
    with arithmetic(BITS):
        exact = program(*map(Ball, args))
    with arithmetic(dtype):
        balls = program(*map(Ball, args))
    return encloses(list(balls), list(floats)) and encloses(list(balls), list(exact))


# Samples: float32 numbers, so that every format sees the same point

def draw(*shape, low=-2.0, high=2.0, seed=0):
    rng = np.random.default_rng([seed, *shape])
    return rng.uniform(low, high, shape).astype(np.float32).astype(np.float64)


#: NumPy's; those of SciPy are tested in a file of their own.
UFUNCS = [f for f in FUNCTIONS if isinstance(f, np.ufunc) and not (
    f in TABLE and TABLE[f].name.startswith("scipy."))]
ON_TRUTHS = {np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert}
PRODUCTS = {np.matmul: ((2, 3), (3, 4)), np.vecdot: ((2, 3), (3,)), np.matvec: ((2, 3), (3,)),
            np.vecmat: ((3,), (3, 2))}

A, B, V, W, P = (draw(3, 4), draw(4, 5, seed=1), draw(4), draw(4, seed=2),
                 draw(3, 4, low=0.25, high=3))
T, E, S0 = draw(2, 3, 4), draw(0, 3), draw()
SQUARE = draw(2, 3, 3) + 4 * np.eye(3)
