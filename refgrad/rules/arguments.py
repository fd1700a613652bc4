"""Arguments that many of NumPy's functions share: axis, keepdims, dtype, where, order, device.

Axes are counted from the end (-1, -2, ...), so that a rule reads the same when tangents have one
more leading axis.
"""

import numpy as np

from ..errors import NoRule
from ..primitive import ndim_of, shape_of


def axes_of(a, axis, scalar=False):
    """NumPy's axis argument (None, an int or a tuple) as a tuple of negative axes.

    Some functions let the axis of an array without axes (scalar) be 0 or -1.
    """
    n = ndim_of(a)
    if axis is None:
        return tuple(range(-n, 0))
    if scalar and not n and type(axis) is not tuple and axis in (0, -1):
        return ()
    chosen = axis if isinstance(axis, tuple) else (axis,)
    for k in chosen:
        if not -n <= k < n:
            raise np.exceptions.AxisError(k, n)
    if len(chosen) > 1 and len({k % n for k in chosen}) < len(chosen):
        raise ValueError(f"axis={axis!r} has an axis twice")
    return tuple(k % n - n for k in chosen)


def count(a, axis):
    """How many entries a reduction along these axes combines."""
    n = 1
    for k in axis:
        n *= shape_of(a)[k]
    return n


def as_dtype(a, dtype, integers=False):
    """NumPy's argument dtype: a reduction in another precision is one of the converted array."""
    if dtype is None:
        return a
    dtype = np.dtype(dtype)
    if dtype.kind in "biu" and not (integers and dtype.itemsize == 8):
        raise NoRule("a reduction", f"with dtype={dtype}, which is one of x.astype({dtype}),")
    return np.astype(a, dtype)


def flag(keepdims):
    """NumPy's argument keepdims as a bool; NumPy marks an argument that was not given by a special
    value."""
    return keepdims is not np._NoValue and bool(keepdims)


def given(value):
    """Whether an argument was given, where NumPy's default is a special value."""
    return value is not np._NoValue


def everything(where):
    """Whether NumPy's argument where leaves nothing out."""
    return where is True or where is np._NoValue


def masked(a, where, instead):
    """NumPy's argument where: the array with `instead` in the place of what is left out."""
    if everything(where):
        return a
    return np.where(np.broadcast_to(_truth(where), shape_of(a)), a, instead)


def counted(a, axis, where, keepdims=False):
    """How many entries a reduction combines; an array of counts with where=."""
    if everything(where):
        return count(a, axis)
    return np.sum(np.broadcast_to(_truth(where), shape_of(a)), axis=axis, keepdims=keepdims)


def _truth(where):
    if not np.can_cast(np.result_type(where), bool):
        raise TypeError(f"where= is {np.result_type(where)}; expected truth values")
    return where


def as_array(x):
    """A list or a number as an array; anything that has a dtype is returned unchanged."""
    return x if hasattr(x, "dtype") else np.asarray(x)


def as_number(y):
    """An array without axes as a number, where NumPy returns a number."""
    return y if ndim_of(y) else y[()]


def in_order(name, a, order, allowed="CFA"):
    """Whether a function traverses its array with the first index changing fastest."""
    if order is not None and order not in tuple(allowed):
        raise ValueError(f"{name}: order={order!r}; expected one of {', '.join(allowed)}")
    if order in ("A", "K") and ndim_of(a) > 1:
        raise NoRule(name, f"with order={order!r}, which depends on the memory of the array, and")
    return order == "F" and ndim_of(a) > 1


def in_memory(name, device):
    if device not in (None, "cpu"):
        raise ValueError(f"{name}: device={device!r}; NumPy has the CPU alone")
