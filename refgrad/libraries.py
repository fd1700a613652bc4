"""Where Dask and CuPy differ from NumPy, in-place operations above all.

Neither is imported here: a program that passes one of its arrays has imported it.  A program can
declare a library that is not in this file itself: ``refgrad.foreign.LIBRARIES[kind] =
Library(...)``.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import operator
import sys

import numpy as np

from .foreign import PACKAGES, Foreign, Library, bare
from .nn.convolution import conv, conv_input, conv_weight
from .nn.losses import residual
from .rules.determinants import is_inverse, is_normal, log_abs_det, sign_det
from .rules.linalg import solve
from .rules.shape import cast, getitem, scatter_add, setitem, truncate
from .rules.special import erf, erfc
from .rules.windows import interval_sums, overlap_add


def _by_formula(primitive):
    """A primitive whose forward writes in place, by its formula."""
    def way(*arrays, **params):
        return bare(primitive.formula(*map(Foreign, arrays), **params))
    return way


def _residual(logs, chosen, *, index):
    e = np.exp(Foreign(logs))
    return bare(setitem(e, np.expm1(Foreign(chosen)), index=(..., *index)))


#: What is the same for all libraries.
_COMMON = {
    np.shape: lambda a: a.shape,
    np.ndim: lambda a: a.ndim,
    np.size: lambda a, axis=None: np.size(np.broadcast_to(0, a.shape), axis),
    cast: lambda x, dtype: x.astype(dtype),
    truncate: lambda x, dtype: x.astype(dtype),
    **{p: _by_formula(p) for p in (overlap_add, interval_sums, conv, conv_input, conv_weight)},
    residual: _residual,
}


def _positions(index):
    """An index as a tuple, its masks of NumPy's as arrays of positions."""
    parts = []
    for i in index if type(index) is tuple else (index,):
        i = np.asarray(i) if type(i) is list else i
        if isinstance(i, np.ndarray) and i.dtype == bool:
            parts += np.nonzero(i)
        elif type(i) is np.ndarray and not i.ndim:
            parts.append(int(i))
        else:
            parts.append(i)
    return tuple(parts)


def _arrays_in(index):
    return [i for i in index if getattr(i, "shape", ())]


# Dask


def _dask():
    """Lazy arrays in blocks.  What Dask has not, and cannot do block by block, is one task of
    whole arrays: its result is one block."""
    da, core = sys.modules["dask.array"], sys.modules["dask.array.core"]

    def has(function):
        if isinstance(function, np.ufunc):
            return True
        module = da
        for name in function.__module__.split(".")[1:]:
            module = getattr(module, name, None)
        return getattr(module, getattr(function, "__name__", ""), function) is not function \
            or function in core._HANDLED_FUNCTIONS

    def at_once(function, *arrays, shape, dtype):
        """One task, which gets the arrays whole."""
        names = itertools.count()
        axes, given = tuple(next(names) for _ in shape), []
        for a in arrays:
            if isinstance(a, da.Array):
                given += a.rechunk((-1,) * a.ndim), tuple(next(names) for _ in a.shape)
            else:
                given += a, None
        return da.blockwise(function, axes, *given, new_axes=dict(zip(axes, shape)), dtype=dtype,
                            concatenate=True, meta=np.empty((0,) * len(shape), dtype))

    def known(index):
        if any(getattr(i, "dtype", None) == bool and isinstance(i, da.Array) for i in index):
            raise NotImplementedError("how many entries a mask takes is not known before it is "
                                      "computed; write np.where(mask, x, 0)")

    def taken(x, index):
        index = _positions(index)
        known(index)
        many = _arrays_in(index)
        if len(many) > 1 or any(i.ndim > 1 for i in many) or any(
                isinstance(i, da.Array) for i in index):
            places = tuple(np.zeros(i.shape, int) if isinstance(i, da.Array) else i for i in index)
            shape = np.broadcast_to(0, x.shape)[places].shape
            return at_once(lambda x, *index: x[index], x, *index, shape=shape, dtype=x.dtype)
        return x[index]

    def scattered(x, *, index, shape, distinct=False):
        index = _positions(index)
        known(index)
        return at_once(lambda x, *index: scatter_add.forward(
            x, index=index, shape=shape, distinct=distinct), x, *index, shape=shape, dtype=x.dtype)

    def put(x, v, *, index):
        index = _positions(index)
        known(index)
        return at_once(lambda x, v, *index: setitem.forward(x, v, index=index), x, v, *index,
                       shape=x.shape, dtype=x.dtype)

    def each(function):
        """A function of each element, block by block."""
        return lambda *arrays, **params: core.elemwise(
            functools.partial(function, **params), *arrays, dtype=arrays[0].dtype)

    def reshaped(a, shape):
        """Block by block where the blocks allow it."""
        shape = tuple(np.atleast_1d(shape).tolist())
        try:
            return a.reshape(shape)
        except (NotImplementedError, ValueError):
            return a.rechunk((-1,) * a.ndim).reshape(shape)

    def matrices(function, lost=0):
        """A function of each matrix in a stack; `lost`: how many axes the result lacks."""
        def way(a):
            whole = a.rechunk({a.ndim - 2: -1, a.ndim - 1: -1})
            dropped = list(range(a.ndim))[a.ndim - lost:]
            return da.map_blocks(function, whole, dtype=a.dtype, drop_axis=dropped,
                                 meta=np.empty((0,) * (a.ndim - lost), a.dtype))
        return way

    def solved(function):
        def way(a, b):
            shape = np.broadcast_shapes(a.shape[:-2], b.shape[:-2]) + b.shape[-2:]
            if b.ndim == 1:
                shape = a.shape[:-1]
            return at_once(function, a, b, shape=shape, dtype=np.result_type(a, b))
        return way

    def along(function, dtype=None):
        """A function along one axis, which becomes one block."""
        def way(a, axis=-1, **params):
            if axis is None:
                a, axis = a.ravel(), 0
            return da.map_blocks(function, a.rechunk({axis % a.ndim: -1}), axis=axis,
                                 dtype=dtype or a.dtype, **params)
        return way

    def filled(a, fill_value, dtype=None, shape=None, order="K", subok=True):
        shape, dtype = a.shape if shape is None else shape, dtype or a.dtype
        if not getattr(fill_value, "shape", ()) and not isinstance(fill_value, da.Array):
            return da.full(shape, fill_value, dtype=dtype)
        return da.broadcast_to(da.asarray(fill_value), shape).astype(dtype)

    def sought(a, v, side="left", sorter=None):
        """Dask writes into the place of a single number, which is none."""
        a, v = da.asarray(a), da.asarray(v)
        found = da.searchsorted(a, v if v.ndim else v[None], side=side, sorter=sorter)
        return found if v.ndim else found[0]

    ways = {
        np.copy: lambda a: a.copy(),
        np.reshape: reshaped,
        np.searchsorted: sought,
        np.nan_to_num: each(np.nan_to_num),
        np.full_like: filled,
        operator.getitem: taken,
        getitem: taken,
        scatter_add: scattered,
        setitem: put,
        erf: each(erf.plain),
        erfc: each(erfc.plain),
        np.linalg.inv: matrices(np.linalg.inv),
        np.linalg.cholesky: matrices(np.linalg.cholesky),
        np.linalg.det: matrices(np.linalg.det, 2),
        log_abs_det: matrices(log_abs_det.forward, 2),
        sign_det: matrices(sign_det.forward, 2),
        np.linalg.solve: solved(np.linalg.solve),
        solve: solved(solve.plain),
        # Whether a matrix is singular is not known before it is computed.
        is_normal: lambda y: True,
        is_inverse: lambda Y, A: True,
        np.argsort: along(np.argsort, np.dtype(int)),
    }
    return Library("Dask", _COMMON | ways, has=has, lazy=True)


# CuPy


def _cupy():
    special = importlib.import_module("cupyx.scipy.special")
    cupy = sys.modules["cupy"]
    return cupy_like(cupy, cupy.add.at, {erf: special.erf, erfc: special.erfc})


def cupy_like(cupy, add_at, functions):
    """The library of a module with CuPy's functions.

    add_at     ``add_at(array, index, values)`` adds in place, at repeated indices too
    functions  functions that NumPy has not
    """
    def scattered(x, *, index, shape, distinct=False):
        y = cupy.zeros(shape, x.dtype)
        index = bare(_positions(index), cupy.asarray)
        if distinct or not _arrays_in(index):
            y[index] = x
        else:
            add_at(y, index, x)
        return y

    def put(x, v, *, index):
        """Of several values for one entry the last, as NumPy has it; a GPU has no last one."""
        index = bare(_positions(index), cupy.asarray)
        y = x.copy()
        if _arrays_in(index):
            places = cupy.arange(x.size).reshape(x.shape)[index]
            values = cupy.broadcast_to(cupy.asarray(v), places.shape).ravel()
            places = places.ravel()
            # Of equal places the last one: behind its equals in a stable order, before another.
            order = np.argsort(places, kind="stable")
            ordered = places[order]
            is_last = np.concatenate([ordered[1:] != ordered[:-1], cupy.ones(1, bool)])
            flat = y.ravel()
            flat[ordered[is_last]] = values[order[is_last]]
            return flat.reshape(x.shape)
        y[index] = bare(v, cupy.asarray)
        return y

    def like(make):
        """cupy.zeros_like(x, shape=()) has the shape of x."""
        def way(a, *value, dtype=None, shape=None, order="K", subok=True):
            return make(a.shape if shape is None else shape, *value, dtype=dtype or a.dtype)
        return way

    def filled(shape, value, dtype):
        return cupy.zeros(shape, dtype) + bare(value, cupy.asarray).astype(dtype) if hasattr(
            value, "dtype") else cupy.full(shape, value, dtype)

    def solved(a, b):
        """One right-hand side for all matrices of a stack, or the other way round."""
        if b.ndim > 1:
            stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
            a = cupy.broadcast_to(a, stack + a.shape[-2:])
            b = cupy.broadcast_to(b, stack + b.shape[-2:])
        return cupy.linalg.solve(a, b)

    ways = {
        np.reshape: lambda a, shape: a.reshape(shape),
        np.copy: lambda a: a.copy(),
        np.zeros_like: like(cupy.zeros), np.ones_like: like(cupy.ones),
        np.full_like: like(filled),
        scatter_add: scattered,
        setitem: put,
        np.linalg.solve: solved,
        **functions,
    }
    return Library("CuPy", _COMMON | ways, give=cupy.asarray, writes=True)


PACKAGES |= {"dask": _dask, "cupy": _cupy}
