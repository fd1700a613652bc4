"""Sums, products, extremes and statistics along axes.

Axes are counted from the end (-1, -2, ...), so that a rule reads the same when tangents have one
more leading axis.
"""

import functools
import math

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..calls import as_called
from ..cases import Case, Fixed, Kink
from ..foreign import is_certain
from ..primitive import CONSTANT, KINKED, LINEAR, compose, declare, in_dtype_of, ndim_of, product, \
    shape_of, widened
from .arguments import as_array, as_dtype, as_number, axes_of, count, counted, everything, flag, \
    given, masked
from .constants import number
from .elementwise import quotient


#: Below this many entries a copy costs less than NumPy's code for a view.
FEW = 4096


def widen(g, axis, keepdims):
    """An array that has the shape of a reduction's result, with the reduced axes inserted as axes
    of size 1."""
    return g if keepdims or not axis or not ndim_of(g) else np.expand_dims(g, axis)


def repeated(g, shape):
    """np.broadcast_to; a copy for small plain arrays, which is faster than a view."""
    if math.prod(shape) < FEW and issubclass(type(g), (np.ndarray, np.generic)):
        y = np.empty(shape, g.dtype)
        y[...] = g
        return y
    return np.broadcast_to(g, shape)


def _arguments(function, a, axis, keepdims, where, initial, neutral, combine):
    """Arguments of a reduction.  `initial` is one entry more; then no axis is left to reduce."""
    axis, keepdims, a = axes_of(a, axis, scalar=True), flag(keepdims), masked(a, where, neutral)
    if not given(initial):
        return (a,), {"axis": axis, "keepdims": keepdims}
    y = function(a, axis=axis, keepdims=keepdims)
    return (combine(y, as_array(initial).astype(y.dtype)),), {"axis": (), "keepdims": False}


def reduction(function, neutral, combine):
    """The signature of np.sum and np.prod."""
    def call(a, axis=None, dtype=None, *, keepdims=False, initial=np._NoValue, where=True):
        a = as_dtype(a, dtype, integers=True)
        return _arguments(function, a, axis, keepdims, where, initial, neutral, combine)
    return call


def extreme(function, combine):
    """The signature of np.max and np.min."""
    def call(a, axis=None, *, keepdims=False, initial=np._NoValue, where=True):
        if not given(initial):
            if not everything(where):
                raise ValueError(f"np.{function.__name__} with where= needs initial= as well")
        else:
            initial = as_array(initial).astype(a.dtype)
            if not count(a, axes_of(a, axis, scalar=True)):  # then it is the only entry
                return _arguments(np.sum, a, axis, keepdims, True, initial, 0, np.add)
        return _arguments(function, a, axis, keepdims, where, initial, initial, combine)
    return call


def mean_of(a, axis=None, dtype=None, *, keepdims=False, where=True):
    a, keepdims = as_dtype(a, dtype), flag(keepdims)
    axis = axes_of(a, axis, scalar=not everything(where))
    if everything(where):
        return (a,), {"axis": axis, "keepdims": keepdims}
    total = np.sum(a, axis=axis, keepdims=keepdims, where=where)
    n = counted(a, axis, where, keepdims).astype(a.dtype)
    return (total / n,), {"axis": (), "keepdims": False}


REDUCTIONS = [Case((3, 4)), Case((3, 4), axis=0), Case((2, 3, 4), axis=(0, -1), keepdims=True),
              Case(()), Case((3, 1), axis=1)]



def _plain_mean(x, axis, keepdims):
    """np.mean of a plain array, without the overhead of NumPy's Python wrapper."""
    n = count(x, axis)
    if n and x.dtype.char in "fd":
        return np.add.reduce(x, axis=axis, keepdims=keepdims) / n
    return np.mean(x, axis=axis, keepdims=keepdims)


declare(np.sum, "s = <1, x>,  ds = <1, dx>;  <g, <1, dx>> = <g 1, dx>", kind=LINEAR, stacked=True,
        call=reduction(np.sum, 0, np.add), plain=np.add.reduce, takes="x axis keepdims",
        vjp=(lambda g, x_shape, axis, keepdims: repeated(widen(g, axis, keepdims), x_shape),),
        cases=[*REDUCTIONS, Case((0, 3), axis=0)])
declare(np.mean, "m = <1, x> / n,  dm = <1, dx> / n;  <g, dm> = <g 1 / n, dx>", kind=LINEAR,
        call=mean_of, plain=_plain_mean, stacked=True, takes="x axis keepdims",
        vjp=(lambda g, x_shape, axis, keepdims: repeated(
            widen(g, axis, keepdims) / math.prod(x_shape[k] for k in axis), x_shape),),
        cases=REDUCTIONS)



def mean(x, axis):
    """np.mean with keepdims=True; for a plain array without the overhead of NumPy's Python
    wrapper."""
    return (_plain_mean if type(x) is np.ndarray else np.mean)(x, axis=axis, keepdims=True)


def total(x, axis=None, keepdims=False):
    """np.sum; for a plain array np.add.reduce, without the overhead of NumPy's Python wrapper."""
    return (np.add.reduce if type(x) is np.ndarray else np.sum)(x, axis=axis, keepdims=keepdims)


def largest(x, initial):
    """np.max of all entries; for a plain array without the overhead of NumPy's Python wrapper."""
    return (np.maximum.reduce if type(x) is np.ndarray else np.max)(x, axis=None, initial=initial)


# Products


def _others(x, axis):
    """For each entry the product of all others along the axes: of those before it times those after
    it.

    It does not divide, so zeros need no special case.
    """
    moved = np.moveaxis(x, axis, range(-len(axis), 0)) if axis else x
    flat = np.reshape(moved, shape_of(moved)[:ndim_of(x) - len(axis)] + (count(x, axis),))
    one = np.ones_like(flat[..., :1])
    before = np.cumprod(np.concatenate([one, flat[..., :-1]], axis=-1), axis=-1)
    after = np.flip(np.cumprod(np.concatenate([one, np.flip(flat[..., 1:], -1)], axis=-1), axis=-1),
                    -1)
    rest = np.reshape(before * after, shape_of(moved))
    return np.moveaxis(rest, range(-len(axis), 0), axis) if axis else rest


declare(np.prod, "p = x_1 ... x_n,  dp = sum_i (prod_{j != i} x_j) dx_i", stacked=True,
        call=reduction(np.prod, 1, np.multiply), takes="x axis keepdims",
        jvp=(lambda v, x, axis, keepdims: np.sum(v * _others(x, axis), axis=axis,
                                                 keepdims=keepdims),),
        vjp=(lambda g, x, axis, keepdims: widen(g, axis, keepdims) * _others(x, axis),),
        cases=REDUCTIONS)


def running(a, axis=None, dtype=None):
    if axis is None or not ndim_of(a) and axis in (0, -1):
        a, axis = np.ravel(a), 0
    axis = normalize_axis_index(axis, ndim_of(a)) - ndim_of(a)
    return (as_dtype(a, dtype, integers=True),), {"axis": axis}


declare(np.cumsum, "y_k = sum_{i <= k} x_i;  <g, dy> = sum_i (sum_{k >= i} g_k) dx_i", kind=LINEAR,
        call=running, takes="x axis",
        vjp=(lambda g, axis: np.flip(np.cumsum(np.flip(g, axis), axis=axis), axis),), stacked=True,
        cases=[Case((3, 4), axis=1), Case((2, 3)), Case((2, 3), axis=0)])


def _cumprod_jvp(v, y, x, axis):
    """dy_k = dy_{k-1} x_k + y_{k-1} dx_k."""
    v, y, x = (np.moveaxis(a, axis, 0) for a in (v, y, x))
    terms = [v[:1]]
    for k in range(1, len(x)):
        terms.append(terms[-1] * x[k:k + 1] + y[k - 1:k] * v[k:k + 1])
    return np.moveaxis(np.concatenate(terms), 0, axis)


def _cumprod_vjp(g, y, x, axis):
    """<g, dy> = sum_i y_{i-1} s_i dx_i  with  s_i = g_i + x_{i+1} s_{i+1}."""
    g, y, x = (np.moveaxis(a, axis, 0) for a in (g, y, x))
    terms = [g[-1:]]
    for k in range(len(x) - 1, 0, -1):
        terms.append(g[k - 1:k] + x[k:k + 1] * terms[-1])
    before = np.concatenate([np.ones_like(y[:1]), y[:-1]])
    return np.moveaxis(before * np.concatenate(terms[::-1]), 0, axis)


declare(np.cumprod, "y_k = prod_{i <= k} x_i,  dy_k = dy_{k-1} x_k + y_{k-1} dx_k", call=running,
        takes="x axis", jvp=(_cumprod_jvp,), vjp=(_cumprod_vjp,),
        cases=[Case((3, 4), axis=1), Case((4,)), Case((2, 1), axis=1)])

# Extremes


def _share(x, y, axis, keepdims):
    """1 at the extreme entry; ties share evenly; nan where the result is."""
    chosen = np.where(x == widen(y, axis, keepdims), np.ones_like(widened(x)), 0)
    with np.errstate(invalid="ignore"):
        return chosen / np.sum(chosen, axis=axis, keepdims=True)


def extreme_traits(function, combine, rest):
    """The declaration that np.max and np.min share; `rest` is an entry that is never chosen."""
    return dict(
        derivation="y = x_k at the extreme entry k,  dy = dx_k", kind=KINKED, stacked=True,
        call=extreme(function, combine), takes="x axis keepdims",
        jvp=(lambda v, y, x, axis, keepdims: np.sum(
            v * _share(x, y, axis, keepdims), axis=axis, keepdims=keepdims),),
        vjp=(lambda g, y, x, axis, keepdims: widen(g, axis, keepdims)
                 * _share(x, y, axis, keepdims),),
        cases=REDUCTIONS,
        kinks=[Kink(([rest, 2.0, 2.0],), ([0.0, 0.5, 0.5],), "a tie is shared evenly")])


for _function, _combine, _rest in [(np.max, np.maximum, 1.0), (np.amax, np.maximum, 1.0),
                                   (np.min, np.minimum, 3.0), (np.amin, np.minimum, 3.0)]:
    declare(_function, **extreme_traits(_function, _combine, _rest))
compose(np.ptp, lambda a, axis=None, *, keepdims=False: np.max(a, axis=axis, keepdims=keepdims)
        - np.min(a, axis=axis, keepdims=keepdims), cases=[Case((3, 4), axis=1)], kind=KINKED,
        kinks=[Kink(([1.0, 2.0, 2.0],), ([-1.0, 0.5, 0.5],), "a tie is shared evenly")])

# Statistics


@functools.cache
def safe_sums(dtype):
    """The sizes between which a sum of powers has not under- or overflowed noticeably."""
    limits = np.finfo(dtype)
    return limits.tiny / limits.eps ** 2, limits.max


def _length(x, p, axis, keepdims):
    """The p-th root of the sum of |x_i|^p, times a power of two m and of x / m where the sum under-
    or overflows."""
    dtype, x = x.dtype, widened(x)
    least, most = safe_sums(x.dtype)
    with np.errstate(over="ignore", under="ignore", divide="ignore"):
        s = _sum_of_powers(x, p, axis, keepdims)
        n = _root(s, p)
        inside = (s > least) & (s < most)
        if not is_certain(inside.all()):
            largest = (np.max if p > 0 else np.min)(np.abs(x), axis=axis, keepdims=True,
                                                    initial=0 if p > 0 else np.inf)
            shift = np.where(np.isfinite(largest), np.frexp(largest)[1], 0)
            scaled = _root(_sum_of_powers(np.ldexp(x, -shift), p, axis, keepdims), p)
            n = np.where(inside, n, np.ldexp(scaled, np.reshape(shift, np.shape(s))))[()]
    return n if dtype is x.dtype else n.astype(dtype)


def _sum_of_powers(x, p, axis, keepdims):
    return np.sum(x * x if p == 2 else np.power(np.abs(x), p), axis=axis, keepdims=keepdims)


def _root(s, p):
    return np.sqrt(s) if p == 2 else np.power(s, 1 / number(p, s))


def _squares(x, axis, keepdims):
    return np.sum(x * x, axis=axis, keepdims=keepdims)


norm = declare(
    None, """n = sqrt <x, x>,  dn = <x, dx> / n = <u, dx>  with the direction u = x / n,
        and u = 0 at x = 0
    <g, dn> = <g u, dx>.  Squares that under- or overflow are those of x / m,
        for which n is 1 / m times as large.""",
    name="norm", kind=KINKED,
    forward=lambda x, axis, keepdims: _length(x, 2, axis, keepdims), stacked=True,
    square=_squares, formula=lambda x, axis, keepdims: np.sqrt(_squares(x, axis, keepdims)),
    jvp=(lambda v, y, x, axis, keepdims: np.sum(_direction(x, y, axis, keepdims) * v, axis=axis,
                                                keepdims=keepdims),),
    vjp=(lambda g, y, x, axis, keepdims: product(widen(g, axis, keepdims),
                                                 _direction(x, y, axis, keepdims)),),
    cases=[Case((3,), axis=(-1,), keepdims=False), Case((2, 3), axis=(-2,), keepdims=True)],
    kinks=[Kink(([0.0, 0.0],), ([0.0, 0.0],), "0 at 0", {"axis": (-1,), "keepdims": False})])


def _direction(x, y, axis, keepdims):
    return quotient(x, widen(y, axis, keepdims))


p_norm = declare(
    None, "n^p = sum |x_i|^p,  dn = sum sign x_i (|x_i| / n)^(p-1) dx_i, and 0 at x = 0;  "
          "computed as the norm is", name="p_norm", kind=KINKED,
    forward=lambda x, p, axis, keepdims: _length(x, p, axis, keepdims), stacked=True,
    formula=lambda x, p, axis, keepdims: np.power(
        np.sum(np.power(np.abs(x), p), axis=axis, keepdims=keepdims), 1 / number(p, x)),
    jvp=(lambda v, y, x, p, axis, keepdims: np.sum(
        _p_direction(x, y, p, axis, keepdims) * v, axis=axis, keepdims=keepdims),),
    vjp=(lambda g, y, x, p, axis, keepdims: product(widen(g, axis, keepdims),
                                                    _p_direction(x, y, p, axis, keepdims)),),
    cases=[Case((3,), p=3, axis=(-1,), keepdims=False),
           Case((2, 3), p=1.5, axis=(-2,), keepdims=True)],
    kinks=[Kink(([0.0, 0.0],), ([0.0, 0.0],), "0 at 0", {"p": 3, "axis": (-1,), "keepdims": False}),
           Kink(([0.0, 2.0],), ([0.0, 1.0],), "0 at an entry 0",
                {"p": 0.5, "axis": (-1,), "keepdims": False})])


def _p_direction(x, y, p, axis, keepdims):
    size = np.abs(_direction(x, y, axis, keepdims))
    return np.sign(x) * np.power(size if p > 1 else np.where(x == 0, 1, size), p - 1)


def _deviations(a, axis, dtype, ddof, where, mean, correction, keepdims):
    """(the deviations from the mean, the axes, n - ddof or 0 where that is negative)"""
    if given(correction):
        if ddof:
            raise ValueError("ddof and correction are two names of one argument: give one of them")
        ddof = correction
    a, axis = widened(a), axes_of(a, axis, scalar=not everything(where))
    m = mean if given(mean) else np.mean(a, axis=axis, dtype=dtype, keepdims=True, where=where)
    d = as_dtype(a - m, dtype)
    n = counted(a, axis, where, keepdims) - ddof
    n = np.maximum(n, 0).astype(d.dtype) if hasattr(n, "dtype") else max(n, 0)
    return masked(d, where, 0), axis, n


def _var(a, axis=None, dtype=None, *, ddof=0, keepdims=False, where=True, mean=np._NoValue,
         correction=np._NoValue):
    """s^2 = |x - mean|^2 / (n - ddof)"""
    keepdims = flag(keepdims)
    d, axis, n = _deviations(a, axis, dtype, ddof, where, mean, correction, keepdims)
    return in_dtype_of(as_dtype(a, dtype), np.sum(np.square(d), axis=axis, keepdims=keepdims) / n)


def _std(a, axis=None, dtype=None, *, ddof=0, keepdims=False, where=True, mean=np._NoValue,
         correction=np._NoValue):
    """s = |x - mean| / sqrt(n - ddof): the norm's derivative, and its convention at 0"""
    keepdims = flag(keepdims)
    d, axis, n = _deviations(a, axis, dtype, ddof, where, mean, correction, keepdims)
    n = n if hasattr(n, "dtype") else number(n, d)
    return in_dtype_of(as_dtype(a, dtype), norm(d, axis=axis, keepdims=keepdims) / np.sqrt(n))


def _average(a, axis=None, weights=None, returned=False, *, keepdims=False):
    keepdims = flag(keepdims)
    chosen = axes_of(a, axis) if axis is None else normalize_axis_tuple(axis, ndim_of(a))
    if weights is None:
        mean = np.mean(a, axis=chosen, keepdims=keepdims)
        total = np.full_like(mean, count(a, chosen))[()] if returned else None
    else:
        weights = _along(a, chosen, axis, as_array(weights))
        like = a * weights
        a, weights = widened(a), widened(weights)
        total = np.sum(weights, axis=chosen, keepdims=keepdims)
        if is_certain(np.any(total == 0)):
            raise ZeroDivisionError("np.average: the weights sum to 0")
        mean = in_dtype_of(like, np.sum(a * weights, axis=chosen, keepdims=keepdims) / total)
    if not returned:
        return mean
    total = in_dtype_of(mean, total)
    if shape_of(total) != shape_of(mean):
        total = np.copy(np.broadcast_to(total, shape_of(mean)))
    return mean, total


def _along(a, chosen, axis, weights):
    """Weights of all of a's entries, given for all or along the chosen axes, in their order."""
    shape = shape_of(a)
    if shape_of(weights) == shape:
        return weights
    if axis is None or shape_of(weights) != tuple(shape[k] for k in chosen):
        raise ValueError(f"np.average: weights of shape {shape_of(weights)} for an array of shape "
                         f"{shape} along axis={axis!r}")
    return np.reshape(np.transpose(weights, np.argsort(chosen)),
                      tuple(n if k in chosen else 1 for k, n in enumerate(shape)))


def in_a_row(a, axis):
    """The array with the chosen axes flattened to one, the last."""
    moved = np.moveaxis(a, axis, range(-len(axis), 0))
    return np.reshape(moved, shape_of(moved)[:ndim_of(a) - len(axis)] + (count(a, axis),))


def _median(a, axis=None, *, overwrite_input=False, keepdims=False):
    """The mean of the one or two entries in the middle; nan, which is sorted last, wins."""
    axis = axes_of(a, axis) if axis is None else normalize_axis_tuple(axis, ndim_of(a))
    n, flat = count(a, axis), in_a_row(a, axis)
    if n:
        ordered = np.sort(flat)
        last = ordered[..., -1]
        inner = ordered[..., (n - 1) // 2:n // 2 + 1]
        middle = np.where(np.isnan(last), last, np.mean(inner, axis=-1))
    else:
        middle = np.mean(flat, axis=-1)
    return np.expand_dims(middle, axis) if keepdims and given(keepdims) else as_number(middle)


STATISTICS = [Case((3, 4)), Case((3, 4), axis=0), Case((2, 3, 4), axis=(0, 2), keepdims=True),
              Case((3, 4), axis=1, ddof=1)]
compose(np.var, _var, cases=STATISTICS)
compose(np.std, _std, cases=STATISTICS, kind=KINKED, square=np.var,
        kinks=[Kink(([2.0, 2.0, 2.0],), ([0.0, 0.0, 0.0],), "0 where all entries are equal")])
compose(np.median, _median,
        cases=[Case((5,)), Case((3, 4), axis=1), Case((2, 3, 4), axis=(0, 2), keepdims=True)],
        kind=KINKED,
        kinks=[Kink(([2.0, 1.0, 2.0],), ([1.0, 0.0, 0.0],), "of equals the first is the smaller")])
compose(np.average, _average,
        cases=[Case((3, 4), axis=0), Case((3,), weights=np.array([1.0, 2.0, 1.0]))])

# Constant almost everywhere

for _function in (np.argmax, np.argmin, np.argsort, np.count_nonzero, np.nonzero, np.flatnonzero,
                  np.any, np.all, np.argwhere, np.isreal, np.iscomplex, np.isrealobj,
                  np.iscomplexobj, np.isposinf, np.isneginf, np.imag, np.shape, np.ndim, np.size,
                  np.zeros_like, np.ones_like, np.empty_like, np.array_str, np.array_repr):
    declare(_function, "constant almost everywhere: dy = 0", kind=CONSTANT,
            call=as_called(_function), cases=[Case((3, 4))])
declare(np.argpartition, "constant almost everywhere: dy = 0", kind=CONSTANT,
        call=as_called(np.argpartition), cases=[Case((5,), kth=2)])
for _function in (np.allclose, np.array_equal, np.array_equiv, np.isin, np.result_type):
    declare(_function, "constant almost everywhere: dy = 0", kind=CONSTANT,
            call=as_called(_function), cases=[Case((3,), (3,))])
declare(np.searchsorted, "constant almost everywhere: dy = 0", kind=CONSTANT,
        call=as_called(np.searchsorted), cases=[Case(Fixed(np.array([-1.0, 0.0, 1.0])), (4,))])
declare(np.digitize, "constant almost everywhere: dy = 0", kind=CONSTANT,
        call=as_called(np.digitize), cases=[Case((4,), Fixed(np.array([-1.0, 0.0, 1.0])))])
