"""Functions that only move cells: NumPy does it, on the object array, without rounding."""

from __future__ import annotations

import numpy as np

from refgrad.primitive import TABLE
from refgrad.rules.shape import setitem
from refgrad.rules.windows import windows

from .array import Ball, cells_of, filled, plain, register, wrap


def structural(*functions, arrays=1, fills=False):
    """Functions whose first `arrays` arguments (None: all) are data.

    The others are indices, shapes and axes.  `fills`: NumPy may put plain numbers into the result,
    which become cells.
    """
    for function in functions:
        def implementation(*args, _function=function, **kwargs):
            count = len(args) if arrays is None else arrays
            data = [cells_of(a) for a in args[:count]]
            others = {k: cells_of(v) if isinstance(v, Ball) else v for k, v in kwargs.items()}
            result = _function(*data, *map(plain, args[count:]), **others)
            if isinstance(result, (list, tuple)):
                return type(result)(map(wrap, result))
            return wrap(filled(result) if fills else result)
        register(function, implementation)


def joining(*functions):
    """Functions of a sequence of arrays."""
    for function in functions:
        def implementation(arrays, *args, _function=function, **kwargs):
            return wrap(_function([cells_of(a) for a in arrays], *args, **kwargs))
        register(function, implementation)


structural(
    np.reshape, np.ravel, np.transpose, np.matrix_transpose, np.swapaxes, np.moveaxis, np.squeeze,
    np.expand_dims, np.broadcast_to, np.split, np.array_split, np.hsplit, np.vsplit, np.dsplit,
    np.flip, np.fliplr, np.flipud, np.roll, np.rollaxis, np.rot90, np.tile, np.repeat, np.take,
    np.take_along_axis, np.diagonal, np.delete, np.unstack,
    np.lib.stride_tricks.sliding_window_view, windows)
structural(np.tril, np.triu, np.diag, np.diagflat, fills=True)
structural(np.broadcast_arrays, np.atleast_1d, np.atleast_2d, np.atleast_3d, np.meshgrid,
           arrays=None)
joining(np.concatenate, np.stack, np.vstack, np.hstack, np.dstack, np.column_stack)

PADDINGS = ("constant", "edge", "reflect", "symmetric", "wrap", "empty")


@register(np.pad)
def pad(array, pad_width, mode="constant", *, constant_values=0, **kwargs):
    if mode not in PADDINGS:
        return TABLE[np.pad].call(array, pad_width, mode, **kwargs)
    if mode in ("constant", "empty"):
        mode, kwargs["constant_values"] = "constant", cells_of(constant_values)
    return wrap(np.pad(cells_of(array), pad_width, mode, **kwargs))


@register(np.full_like)
def full_like(a, fill_value, dtype=None, order="K", subok=True, shape=None, *, device=None):
    """A Ball, unless the dtype asks for bools or integers."""
    shape = np.shape(a) if shape is None else shape
    if dtype is not None and np.dtype(dtype).kind not in "Of":
        return np.full(shape, fill_value, dtype)
    return wrap(np.full(shape, cells_of(fill_value), object))


for _function, _value in ((np.zeros_like, 0), (np.ones_like, 1), (np.empty_like, 0)):
    register(_function, lambda a, *args, _value=_value, **kwargs: full_like(
        a, _value, *args, **kwargs))

register(np.copy, lambda a, order="K", subok=False: a)
register(np.astype, lambda x, dtype, /, *, copy=True, device=None: x.astype(dtype))
register(np.shape, lambda a: a.shape)
register(np.ndim, lambda a: a.ndim)
register(np.size, lambda a, axis=None: np.size(a.cells, axis))
register(np.real, lambda val: val)
register(np.imag, lambda val: np.zeros_like(val))
register(np.isrealobj, lambda x: True)
register(np.iscomplexobj, lambda x: False)


@register(setitem)
def setitem_(x, value, index):
    """A copy of x with `value` at the index: what ``x[index] = value`` does to an array."""
    cells = np.array(cells_of(x), object)
    cells[plain(index)] = cells_of(value)
    return wrap(cells)
