"""ndarray's face: its operators, attributes and methods, by the NumPy functions they stand for.

For arrays that speak NumPy's two protocols and know their shape, ndim, size and dtype.
"""

import functools

import numpy as np


@functools.cache
def reversed_axes(n):
    """(n - 1, ..., 0)."""
    return tuple(reversed(range(n)))


class Face(np.lib.mixins.NDArrayOperatorsMixin):
    __slots__ = ()
    _knows_primitives = True  # it is offered refgrad's own primitives, as it is NumPy's functions

    @property
    def itemsize(self): return self.dtype.itemsize
    @property
    def nbytes(self): return self.size * self.itemsize
    @property
    def real(self): return self
    @property
    def imag(self): return np.zeros_like(self)
    @property
    def T(self): return np.transpose(self)
    @property
    def mT(self): return self.T if self.ndim == 2 else np.swapaxes(self, -1, -2)

    def __len__(self):
        if self.ndim == 0:
            raise TypeError("len() of an array without axes")
        return self.shape[0]

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def astype(self, dtype, order="K", casting="unsafe", subok=True, copy=True):
        dtype = np.dtype(dtype)
        if not np.can_cast(self.dtype, dtype, casting):
            raise TypeError(f"x.astype: no {dtype} of {self.dtype} with casting={casting!r}")
        return np.astype(self, dtype, copy=copy)

    def copy(self, order="C"): return np.copy(self, order)
    def sum(self, *args, **kwargs): return np.sum(self, *args, **kwargs)
    def mean(self, *args, **kwargs): return np.mean(self, *args, **kwargs)
    def prod(self, *args, **kwargs): return np.prod(self, *args, **kwargs)
    def max(self, *args, **kwargs): return np.max(self, *args, **kwargs)
    def min(self, *args, **kwargs): return np.min(self, *args, **kwargs)
    def var(self, *args, **kwargs): return np.var(self, *args, **kwargs)
    def std(self, *args, **kwargs): return np.std(self, *args, **kwargs)
    def cumsum(self, *args, **kwargs): return np.cumsum(self, *args, **kwargs)
    def cumprod(self, *args, **kwargs): return np.cumprod(self, *args, **kwargs)
    def argmax(self, *args, **kwargs): return np.argmax(self, *args, **kwargs)
    def argmin(self, *args, **kwargs): return np.argmin(self, *args, **kwargs)
    def any(self, *args, **kwargs): return np.any(self, *args, **kwargs)
    def all(self, *args, **kwargs): return np.all(self, *args, **kwargs)
    def nonzero(self): return np.nonzero(self)
    def searchsorted(self, *args, **kwargs): return np.searchsorted(self, *args, **kwargs)
    def round(self, *args, **kwargs): return np.round(self, *args, **kwargs)
    def conj(self): return self
    def conjugate(self): return self
    def argsort(self, *args, **kwargs): return np.argsort(self, *args, **kwargs)
    def argpartition(self, *args, **kwargs): return np.argpartition(self, *args, **kwargs)
    def clip(self, min=None, max=None, out=None, **kwargs):
        return np.clip(self, min, max, out=out, **kwargs)

    def dot(self, *args, **kwargs): return np.dot(self, *args, **kwargs)
    def trace(self, *args, **kwargs): return np.trace(self, *args, **kwargs)
    def diagonal(self, *args, **kwargs): return np.diagonal(self, *args, **kwargs)
    def ravel(self, order="C"): return np.ravel(self, order)
    def flatten(self, order="C"): return np.ravel(np.copy(self), order)
    def squeeze(self, axis=None): return np.squeeze(self, axis)
    def swapaxes(self, axis1, axis2): return np.swapaxes(self, axis1, axis2)
    def repeat(self, repeats, axis=None): return np.repeat(self, repeats, axis)
    def take(self, *args, **kwargs): return np.take(self, *args, **kwargs)
    def compress(self, condition, axis=None, out=None):
        return np.compress(condition, self, axis, out=out)

    def reshape(self, *shape, order="C", copy=None):
        if not shape:
            raise TypeError("x.reshape: expected a shape")
        return np.reshape(self, shape[0] if len(shape) == 1 else shape, order=order, copy=copy)

    def transpose(self, *axes):
        if axes in ((), (None,)):
            return np.transpose(self)
        return np.transpose(self, axes[0] if len(axes) == 1 and np.ndim(axes[0]) else axes)
