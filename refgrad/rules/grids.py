"""Numbers in a row between two ends, and grids of several rows."""

import operator

import numpy as np

from ..cases import FOURTH, Case
from ..errors import NoRule
from ..foreign import is_certain
from ..primitive import LINEAR, compose, ndim_of, shape_of
from .arguments import as_array, in_memory


def shares(num, endpoint, like):
    """(w, 1 - w) for num numbers w from 0 to 1, in the arithmetic of `like`, before its axes."""
    parts = num - 1 if endpoint else num
    if num < 0:
        raise ValueError(f"num={num}; expected 0 or more")
    shape = (num,) + (1,) * ndim_of(like)
    k = np.reshape(np.arange(num), shape)
    both = (np.full_like(like, n, shape=shape) / max(parts, 1) for n in (k, max(parts, 1) - k))
    return *both, parts


def _as_written(y, dtype):
    """NumPy's argument dtype, where integers are rounded down."""
    if dtype is None:
        return y
    return np.astype(np.floor(y) if np.dtype(dtype).kind in "iu" else y, dtype)


def _floating(x):
    """An array or number as one of floating point numbers."""
    x = as_array(x) if isinstance(x, (list, tuple)) else x
    return x * 1.0


def _linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0, *,
              device=None):
    """y_k = (1 - w_k) start + w_k stop  with  w_k = k / n"""
    in_memory("np.linspace", device)
    start, stop = _floating(start), _floating(stop)
    delta = stop - start
    w, rest, parts = shares(operator.index(num), endpoint, delta)
    y = _as_written(np.moveaxis(rest * start + w * stop, 0, axis), dtype)
    return (y, delta / parts if parts > 0 else np.nan) if retstep else y


def _logspace(start, stop, num=50, endpoint=True, base=10.0, dtype=None, axis=0):
    """y_k = base^(x_k)  for the x_k of np.linspace"""
    if ndim_of(base):
        n = max(map(ndim_of, (start, stop, base)))
        start, stop, base = (np.reshape(a, (1,) * (n - ndim_of(a)) + shape_of(a))
                             for a in map(as_array, (start, stop, base)))
        base = np.expand_dims(base, axis)
    y = np.power(base, _linspace(start, stop, num, endpoint, axis=axis))
    return y if dtype is None else np.astype(y, dtype)


def _geomspace(start, stop, num=50, endpoint=True, dtype=None, axis=0):
    """y_k = start^(1 - w_k) stop^(w_k), with the sign of both; in float64 at least"""
    start, stop = as_array(start), as_array(stop)
    wide = np.result_type(start.dtype, stop.dtype, float if dtype is None else dtype, np.float16)
    start, stop = start.astype(wide), stop.astype(wide)
    if is_certain(np.any(start == 0)) or is_certain(np.any(stop == 0)):
        raise ValueError("np.geomspace: a geometric sequence cannot include 0")
    w, rest, _ = shares(operator.index(num), endpoint, stop - start)
    sign = np.sign(start)
    y = sign * (sign * start) ** rest * (sign * stop) ** w
    y = np.moveaxis(y, 0, axis)
    return y if dtype is None else np.astype(y, dtype)


def _meshgrid(*xi, copy=True, sparse=False, indexing="xy"):
    """Each array along an axis of its own; of 'xy' the first two axes change places."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f"np.meshgrid: indexing={indexing!r}; expected 'xy' or 'ij'")
    if not copy:
        raise NoRule("np.meshgrid", "with copy=False, which gives views, and")
    n, axes = len(xi), list(range(len(xi)))
    if indexing == "xy" and n > 1:
        axes[:2] = 1, 0
    rows = [np.reshape(as_array(x), tuple(-1 if k == axis else 1 for k in range(n)))
            for x, axis in zip(xi, axes)]
    return tuple(map(np.copy, rows if sparse else np.broadcast_arrays(*rows)))


def _ix(*args):
    """Each index along an axis of its own; truth values stand for the places that they mark."""
    rows = []
    for k, index in enumerate(args):
        if isinstance(index, (list, tuple)):
            index = np.asarray(index, None if len(index) else np.intp)
        if ndim_of(index) != 1:
            raise ValueError("np.ix_: expected arrays with one axis")
        if index.dtype == bool:
            index, = np.nonzero(index)
        rows.append(np.reshape(index, tuple(-1 if j == k else 1 for j in range(len(args)))))
    return tuple(rows)


def _vander(x, N=None, increasing=False):
    """The columns 1, x, x^2, ...: each is the last one times x"""
    x = as_array(x)
    if ndim_of(x) != 1:
        raise ValueError(f"np.vander: x has shape {shape_of(x)}; expected one axis")
    x = x.astype(np.promote_types(x.dtype, int))
    powers = [np.ones_like(x)]
    for _ in range(1, shape_of(x)[0] if N is None else N):
        powers.append(powers[-1] * x)
    if N == 0 or N is None and not shape_of(x)[0]:
        return np.copy(x[:, None][:, :0])
    return np.stack(powers if increasing else powers[::-1], axis=1)


compose(np.linspace, _linspace, kind=LINEAR, cases=[
    Case((), (), num=5), Case((2,), (3, 1), num=3, axis=-1),
    Case((3,), (3,), num=4, endpoint=False),
    Case((), (), call=lambda a, b: np.linspace(a, b, 1)),
    Case((2,), (2,), call=lambda a, b: np.linspace(a, b, 4, retstep=True)[1])])
compose(np.logspace, _logspace, cases=[
    Case((), (), num=4, scales=(-300, 0)),
    Case((2,), (2,), num=3, base=2.0, axis=1, scales=(-300, 0)),
    Case((2,), (), (2,), domain=(None, None, "positive"), scales=(-2, 0),
         call=lambda a, b, base: np.logspace(a, b, 3, base=base))])
compose(np.geomspace, _geomspace, cases=[
    Case((), (), num=4, domain="positive", scales=FOURTH),
    Case((2,), (2,), domain="positive", scales=FOURTH,
         call=lambda a, b: np.geomspace(-a, -b, 3, endpoint=False, axis=-1))])
compose(np.meshgrid, _meshgrid, kind=LINEAR, cases=[
    Case((3,), (2,), call=lambda a, b: np.meshgrid(a, b)[0]),
    Case((3,), (2,), call=lambda a, b: np.meshgrid(a, b, indexing="ij")[1]),
    Case((3,), (2,), call=lambda a, b: np.meshgrid(a, b, sparse=True)[1])])
compose(np.ix_, _ix, kind=LINEAR, cases=[Case((3,), (2,), call=lambda a, b: np.ix_(a, b)[0])])
compose(np.vander, _vander, cases=[
    Case((3,), scales=FOURTH), Case((3,), N=4, increasing=True, scales=FOURTH)])
