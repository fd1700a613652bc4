"""Cotangents and tangents in the shape and dtype of the arrays that they belong to."""

from __future__ import annotations

import functools

import numpy as np
from numpy import ndarray

HALF = np.dtype(np.float16)


def shape_of(x):
    """The shape of an array or a number; np.shape of a traced array would be traced as well."""
    try:
        return x.shape
    except AttributeError:
        return np.shape(x)


def ndim_of(x):
    return len(shape_of(x))


def fit(c, x, primitive, argument):
    """A cotangent in the shape and dtype of its primal: broadcasting is linear, and summing is its
    adjoint."""
    shape, have = shape_of(x), shape_of(c)
    if have != shape:
        axes = stretched(shape, have)
        if axes is None:
            raise ValueError(
                f"the vjp of {primitive.name} gave a cotangent of shape {have} for argument "
                f"{argument}, which has shape {shape}; a rule must return the argument's shape (or "
                "one that broadcasting made of it)")
        c = add_up(c, axes) if type(c) is ndarray else np.sum(c, axis=axes)
        if shape_of(c) != shape:
            c = np.reshape(c, shape)
    return in_dtype_of(x, c)


@functools.lru_cache(1 << 10)
def stretched(shape, to):
    """The axes that broadcasting adds or stretches; None if it does not make the one shape of the
    other."""
    extra = len(to) - len(shape)
    if extra < 0 or any(n != 1 and n != m for n, m in zip(shape, to[extra:])):
        return None
    return *range(extra), *(extra + k for k, n in enumerate(shape) if n == 1 and to[extra + k] != 1)


def add_up(c, axes):
    """The sum of an array along axes: NumPy's, but 1' C for the sum of a matrix' rows, which is
    faster."""
    if axes == (0,) and c.ndim == 2 and c.dtype.char in "fd":
        return _ones(len(c), c.dtype) @ c
    return np.add.reduce(c, axes)


@functools.lru_cache(64)
def _ones(n, dtype):
    return np.ones(n, dtype)


def in_dtype_of(x, c):
    """Mixed precision: a float32 argument gets a float32 (co)tangent.  What has no float dtype
    passes as it is."""
    have, want = getattr(c, "dtype", None), getattr(x, "dtype", None)
    return (c.astype(want)
            if have is not want and have != want and _is_float(have) and _is_float(want) else c)


def _is_float(dtype):
    return dtype is not None and dtype.kind == "f"


def widened(x):
    """float16 as float32, in which NumPy itself adds up halves: a sum or count of theirs soon
    exceeds 65504.

    Rules see (co)tangents so, and what they give is rounded to the dtype that it should have.
    """
    if type(x) is tuple:
        return tuple(map(widened, x))
    return x.astype(np.float32) if getattr(x, "dtype", None) is HALF else x


def spread(t, result, stack=()):
    """A tangent in the shape and dtype of the result (a term may lack the axes that broadcasting
    adds)."""
    if isinstance(result, tuple):
        return tuple(spread(u, r, stack) for u, r in zip(t, result))
    shape = stack + shape_of(result)
    return in_dtype_of(result, t if shape_of(t) == shape else np.broadcast_to(t, shape))


def align(v, axes):
    """Stacked tangents (N, *shape) with axes of size 1 after the first, which then broadcast like
    (N, ..., *shape)."""
    missing = axes + 1 - ndim_of(v)
    return v if missing <= 0 else np.reshape(v, v.shape[:1] + (1,) * missing + v.shape[1:])


def total(terms):
    result = terms[0]
    for t in terms[1:]:
        result = (tuple(a + b for a, b in zip(result, t)) if isinstance(result, tuple)
                  else result + t)
    return result
