"""Softmax and its logarithm, along one axis."""

import numpy as np

from ..cases import Case
from ..primitive import CONSTANT, Primitive
from .arguments import axis_of, refuse

peak = Primitive(
    None, """m = max x, taken as a constant: softmax(x - m) = softmax(x) for every m, so m is in no derivative.
    It keeps e^x from overflowing, and any number near the maximum would do.""",
    name="peak", kind=CONSTANT, forward=lambda x, axis: np.max(x, axis=axis, keepdims=True),
    cases=[Case((3, 4), axis=-1)])


#: Below this many entries NumPy reduces along the last axis of memory slower than across it.
SHORT = 64


def _across(x, axis):
    """x itself, but with a short axis as the first one in memory; its results are laid out like it."""
    if type(x) is not np.ndarray or x.ndim < 2 or x.shape[axis] >= SHORT:
        return x
    return x.swapaxes(0, axis).copy().swapaxes(0, axis)


def _exponentials(x, axis):
    x = _across(x, axis)
    e = np.exp(x - peak(x, axis=axis))
    return e / np.sum(e, axis=axis, keepdims=True)


def _logarithms(x, axis):
    x = _across(x, axis)
    z = x - peak(x, axis=axis)
    return z - np.log(np.sum(np.exp(z), axis=axis, keepdims=True))


def _along(v, y, _x, axis):
    """(diag(y) - y y') v"""
    return y * (v - np.sum(y * v, axis=axis, keepdims=True))


CASES = [Case((3, 4), axis=-1), Case((2, 3, 4), axis=-2), Case((3,), axis=-1), Case((2, 1), axis=-1)]

_softmax = Primitive(
    None, """y = e^x / <1, e^x>,  dy = y . dx - y <y, dx> = (diag(y) - y y') dx
    The matrix is symmetric: <g, dy> = <(diag(y) - y y') g, dx>.
    Computed with x - max x, which leaves y as it is: numerator and denominator share a factor.""",
    name="softmax", forward=_exponentials, jvp=(_along,), vjp=(_along,), stacked=True, cases=CASES)

_log_softmax = Primitive(
    None, """y = x - 1 log <1, e^x>,  dy = dx - 1 <p, dx> = (I - 1 p') dx  with  p = e^y
    <g, (I - 1 p') dx> = <(I - p 1') g, dx> = <g - p <1, g>, dx>
    Computed with x - max x, which leaves y as it is.""",
    name="log_softmax", forward=_logarithms, stacked=True, cases=CASES,
    jvp=(lambda v, y, x, axis: v - np.sum(np.exp(y) * v, axis=axis, keepdims=True),),
    vjp=(lambda g, y, _x, axis: g - np.exp(y) * np.sum(g, axis=axis, keepdims=True),))


def softmax(input, dim=None, _stacklevel=3, dtype=None):
    """e^x / sum e^x along the axis `dim`: positive numbers with sum 1, in the shape of the input.

    An entry -inf has probability 0.
    Raises ValueError for an axis that input does not have, and for dim=None, where torch guesses.
    As torch.nn.functional.softmax.
    """
    refuse("softmax", "dtype", dtype, "convert the input: softmax(input.astype(dtype), dim)")
    return _softmax(input, axis=axis_of("softmax", input, dim))


def log_softmax(input, dim=None, _stacklevel=3, dtype=None):
    """x - log sum e^x along the axis `dim`, in nats and in the shape of the input, without overflow.

    Raises ValueError for an axis that input does not have, and for dim=None, where torch guesses.
    As torch.nn.functional.log_softmax.
    """
    refuse("log_softmax", "dtype", dtype, "convert the input: log_softmax(input.astype(dtype), dim)")
    return _log_softmax(input, axis=axis_of("log_softmax", input, dim))
