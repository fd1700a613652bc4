"""An array type that stands for CuPy's where there is no GPU.

It records every call, refuses to become an array of NumPy's, and is as strict as CuPy: no arrays
of NumPy's among its operands, no names for a shape, no ufunc.at, a shape of () is ignored by the
functions that fill an array like another one, and what CuPy lacks is not there.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from refgrad import foreign
from refgrad.libraries import cupy_like
from refgrad.rules.special import erf, erfc

#: What was called, by name.
CALLS = []

#: Functions of NumPy's that CuPy has not.
LACKS = {np.unstack, np.matvec, np.vecmat, np.vecdot, np.linalg.diagonal, np.linalg.matrix_norm,
         np.linalg.multi_dot, np.linalg.outer, np.linalg.tensordot, np.linalg.trace,
         np.linalg.vecdot, np.linalg.vector_norm, np.linalg.cross, np.linalg.matmul,
         np.linalg.matrix_transpose, np.astype}
#: Names of arguments that CuPy has not.
UNKNOWN = {np.reshape: {"shape", "copy"}, np.take: {"mode"}, np.clip: {"min", "max"},
           np.delete: {"obj"}, np.concatenate: {"casting"}}
LIKE = {np.zeros_like, np.ones_like, np.empty_like, np.full_like}


class Recording(np.lib.mixins.NDArrayOperatorsMixin):
    def __init__(self, data):
        self.data = np.array(data)

    shape = property(lambda self: self.data.shape)
    ndim = property(lambda self: self.data.ndim)
    size = property(lambda self: self.data.size)
    dtype = property(lambda self: self.data.dtype)
    T = property(lambda self: Recording(self.data.T))

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion to a NumPy array is not allowed")

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        if method not in ("__call__", "reduce", "accumulate") or ufunc in LACKS:
            return NotImplemented
        if any(hasattr(x, "_knows_primitives") for x in inputs):
            return NotImplemented
        return called(getattr(ufunc, method), inputs, options)

    def __array_function__(self, function, types, args, kwargs):
        if function in LACKS or any(hasattr(t, "_knows_primitives") for t in types):
            return NotImplemented
        unknown = UNKNOWN.get(function, set()) & kwargs.keys()
        if unknown:
            raise TypeError(f"{function.__name__}() got an unexpected keyword argument {unknown}")
        if function in LIKE and kwargs.get("shape") == ():
            kwargs = {**kwargs, "shape": None}
        return called(function, args, kwargs)

    def __getitem__(self, index):
        return called(np.ndarray.__getitem__, (self, index), {})

    def __setitem__(self, index, value):
        self.data[plain(index)] = plain(value)

    def astype(self, dtype, copy=True):
        return Recording(self.data.astype(dtype, copy=copy))

    def reshape(self, *shape): return called(np.ndarray.reshape, (self, *shape), {})
    def ravel(self): return Recording(self.data.ravel())
    def copy(self, order="C"): return Recording(self.data.copy(order))
    def __bool__(self): return bool(self.data)
    def __float__(self): return float(self.data)
    def __int__(self): return int(self.data)
    def item(self): return self.data.item()


def plain(x):
    """The numbers of operands, of which none may be an array of NumPy's."""
    if isinstance(x, Recording):
        return x.data
    if isinstance(x, np.ndarray):
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    if isinstance(x, (list, tuple)):
        return type(x)(map(plain, x))
    return x


def called(function, args, kwargs):
    CALLS.append(getattr(function, "__name__", repr(function)))
    result = function(*plain(args), **{k: plain(v) for k, v in kwargs.items()})
    return own(result)


def own(x):
    """NumPy's results as arrays of this type, numbers as arrays without axes."""
    if isinstance(x, tuple):
        return tuple(map(own, x))
    if isinstance(x, list):
        return list(map(own, x))
    return Recording(x) if isinstance(x, (np.ndarray, np.generic)) else x


def give(x):
    return x if isinstance(x, Recording) else Recording(x)


def take(x):
    return x.data


def _add_at(array, index, values):
    np.add.at(array.data, plain(index), plain(values))


def _made(function):
    return lambda *args, **kwargs: own(function(*plain(args), **kwargs))


MODULE = SimpleNamespace(
    asarray=give, arange=_made(np.arange), zeros=_made(np.zeros), ones=_made(np.ones),
    full=_made(np.full), where=np.where, broadcast_to=np.broadcast_to, linalg=np.linalg)

foreign.LIBRARIES[Recording] = cupy_like(MODULE, _add_at, {
    erf: lambda x: Recording(erf(x.data)), erfc: lambda x: Recording(erfc(x.data))})
