"""NumPy's ``like=``: np.zeros(shape, like=x), np.array([a, b], like=a), ... give traced arrays."""

from __future__ import annotations

import numpy as np

from .errors import NoRule, describe
from .primitive import shape_of


def created(function, args, kwargs, like):
    """The array that ``function(*args, **kwargs, like=like)`` makes, traced as `like` is."""
    if function in _OF_DATA:
        data, *rest = args
        dtype = rest[0] if rest else kwargs.get("dtype")
        array = assembled(data, like)
        if dtype is not None:
            array = array.astype(dtype)
        elif type(data) is type(like) and function in (np.array, np.copy):
            array = array.apart()
        return array
    if function is np.full:
        return _filled(like, *args, **kwargs)
    plain = function(*args, **kwargs)
    return constant(plain, like) if plain.dtype.kind == "f" else plain


def _filled(like, shape, fill_value, dtype=None, order="C", *, device=None):
    array = np.broadcast_to(assembled(fill_value, like), shape)
    return np.copy(array if dtype is None else array.astype(dtype))


def constant(plain, like):
    """A plain array as one that the levels of `like` trace, and that depends on nothing."""
    if type(like.value) is type(like):
        below = constant(plain, like.value)
    elif type(like.value) is np.ndarray or isinstance(like.value, np.generic):
        below = np.array(plain)
    else:  # an array of another kind, which makes numbers of its own
        below = np.zeros_like(like.value, shape=shape_of(plain)) + plain
    return like.level.constant(below)


def assembled(data, like):
    """Nested lists of numbers and traced arrays as one traced array."""
    if type(data) is type(like):
        return data
    if isinstance(data, (list, tuple)) and _holds(data, type(like)):
        return np.stack([assembled(part, like) for part in data])
    plain = np.asarray(data)
    if plain.dtype.kind not in "fbiu":
        raise NoRule("np.array(..., like=x)", f"of {describe(plain)}")
    return constant(plain.astype(float) if plain.dtype.kind != "f" else plain, like)


def _holds(data, kind):
    """Whether nested lists hold an array of that type."""
    return any(
        type(part) is kind or isinstance(part, (list, tuple)) and _holds(part, kind)
        for part in data
    )


_OF_DATA = {np.array, np.asarray, np.asanyarray, np.ascontiguousarray, np.asfortranarray}
#: The functions of NumPy that have ``like=``.
CREATORS = {*_OF_DATA, np.zeros, np.ones, np.empty, np.full, np.eye, np.identity, np.arange, np.tri}
