"""SciPy's functions that are no ufuncs, so that they cannot be differentiated as they stand.

In SciPy's signatures; `polygamma` needs SciPy, the others NumPy alone.
"""

import sys

import numpy as np

from .cases import Case
from .nn.softmax import log_softmax_along, log_total, peak, softmax_along, sum_along
from .primitive import composed, declare, ndim_of, shape_of, widened
from .rules.arguments import as_array, axes_of


def _log_sum(x, axis):
    dtype, x = x.dtype, widened(x)
    top = peak(x, axis=axis)
    z = x - np.where(np.isfinite(top), top, 0)
    return np.squeeze(log_total(sum_along(np.exp(z), axis), z, axis=axis) + top,
                      axis=axis).astype(dtype, copy=False)


log_sum_exp = declare(
    None, """y = log <1, e^x>,  dy = <p, dx>  with  p = e^x / <1, e^x>, the softmax;
        <g, <p, dx>> = <g p, dx>
    Computed with x - max x, which takes max x from y.""", name="log_sum_exp", forward=_log_sum,
    stacked=True, jvp=(lambda v, x, axis: np.sum(softmax_along(x, axis=axis) * v, axis=axis),),
    vjp=(lambda g, x, axis: np.expand_dims(g, axis) * softmax_along(x, axis=axis),),
    cases=[Case((3, 4), axis=-1), Case((3, 4), axis=-2)])


def _with_axes_last(a, axis):
    """The array with its chosen axes last, flattened and not yet, the other axes, and the chosen
    ones."""
    axes = axes_of(a, axis, scalar=True)
    others = [k for k in range(-ndim_of(a), 0) if k not in axes]
    moved = np.transpose(a, [*others, *axes])
    shape = shape_of(moved)[:len(others)]
    return (np.reshape(moved, (*shape, int(np.prod(shape_of(moved)[len(others):])))), moved,
            others, axes)


def _in_place(function, a, axis):
    """A function of vectors, of those that lie along some axes."""
    a = as_array(a)
    if not np.size(a):
        return np.copy(a)
    flat, moved, others, axes = _with_axes_last(a, axis)
    return np.transpose(np.reshape(function(flat, axis=-1), shape_of(moved)),
                        np.argsort([*others, *axes]))


@composed(name="special.softmax",
          cases=[Case((3, 4)), Case((3, 4), axis=1), Case((2, 3, 2), axis=(0, 2)), Case(())])
def softmax(x, axis=None):
    """e^x / sum e^x over all entries, or those along some axes.  As scipy.special.softmax."""
    return _in_place(softmax_along, x, axis)


@composed(name="special.log_softmax", cases=[Case((3, 4)), Case((3, 4), axis=0)])
def log_softmax(x, axis=None):
    """x - log sum e^x over all entries, or those along some axes.  As scipy.special.log_softmax."""
    return _in_place(log_softmax_along, x, axis)


@composed(cases=[Case((3, 4)), Case((3, 4), axis=1, keepdims=True), Case((2, 3, 2), axis=(0, 2)),
                 Case((3, 4), (4,), domain=(None, "positive"), scales=(-1, 1),
                      call=lambda a, b: logsumexp(a, 1, b)), Case(())])
def logsumexp(a, axis=None, b=None, keepdims=False, return_sign=False):
    """log sum b e^a over all entries, or those along some axes, without overflow.

    b  weights, which broadcast with a: positive, or 0 if they are not differentiated; of negative
       ones nan
    As scipy.special.logsumexp; raises ValueError for return_sign=True.
    """
    if return_sign:
        raise ValueError("logsumexp: return_sign=True, for sums below 0, is not differentiated")
    a = as_array(a) if b is None else as_array(a) + np.log(as_array(b))
    flat, _, _, axes = _with_axes_last(a, axis)
    y = log_sum_exp(flat, axis=-1)
    return np.expand_dims(y, axes) if keepdims else y


def polygamma(n, x):
    """The n-th derivative of digamma, by x alone.  As scipy.special.polygamma, which it needs.

    n  a whole number, 0 or more
    Raises ValueError for any other n, ImportError where scipy.special is not imported.
    """
    if "scipy.special" not in sys.modules:
        raise ImportError("polygamma: it is computed by scipy.special; import scipy.special first")
    from .rules.scipy_special import polygamma as derivative, sp

    if np.ndim(n) or int(n) != n or n < 0:
        raise ValueError(f"polygamma: n={n!r}; expected one whole number, 0 or more")
    x = as_array(x)
    return derivative(x, n=int(n)) if n else sp.psi(x)
