"""Polynomials by their coefficients, the highest power first."""

import warnings

import numpy as np

from ..cases import FOURTH, Case, Fixed
from ..errors import NoRule, describe
from ..primitive import LINEAR, MULTILINEAR, compose, ndim_of, shape_of
from .arguments import as_array
from .sequences import convolution


def _coefficients(name, *polynomials):
    """Arrays of coefficients; np.poly1d is refused, for which NumPy returns another np.poly1d."""
    if any(isinstance(p, np.poly1d) for p in polynomials):
        raise NoRule(name, "of an np.poly1d (pass its p.coeffs)")
    return tuple(map(as_array, polynomials))


def _value(p, x):
    """Horner's rule"""
    p = as_array(p.coeffs if isinstance(p, np.poly1d) else p)
    x, = _coefficients("np.polyval", x)
    y = np.zeros_like(x)
    for c in p:
        y = y * x + c
    return y


def _derivative(p, m=1):
    p, = _coefficients("np.polyder", p)
    m = int(m)
    if m < 0 or not ndim_of(p):
        raise ValueError(f"np.polyder: m={m} derivatives of {describe(p)}; expected 0 or more, of "
                         f"an array with one axis")
    for _ in range(m):
        p = p[:-1] * np.arange(shape_of(p)[0] - 1, 0, -1)
    return p


def _integral(p, m=1, k=None):
    p, = _coefficients("np.polyint", p)
    m = int(m)
    if m < 0:
        raise ValueError(f"np.polyint: m={m}; expected 0 or more")
    k = np.atleast_1d(as_array(np.zeros(m) if k is None else k))
    if shape_of(k) == (1,) and m > 1:
        k = np.repeat(k, m)
    if shape_of(k)[0] < m:
        raise ValueError(f"np.polyint: {shape_of(k)[0]} constants k for m={m} integrals")
    for i in range(m):
        p = np.concatenate([p / np.arange(shape_of(p)[0], 0, -1), k[i:i + 1]])
    return p


def _aligned(name, combine):
    def call(a1, a2):
        a, b = map(np.atleast_1d, _coefficients(name, a1, a2))
        n = max(shape_of(a)[0], shape_of(b)[0])
        return combine(*(np.pad(p, (n - shape_of(p)[0], 0)) for p in (a, b)))
    return call


def _product(a1, a2):
    """A convolution, without leading zeros"""
    pair = []
    for p in map(np.atleast_1d, _coefficients("np.polymul", a1, a2)):
        if ndim_of(p) > 1:
            raise ValueError(f"np.polymul: coefficients of shape {shape_of(p)}; expected one axis")
        short = np.trim_zeros(p, "f")
        pair.append(short if shape_of(short)[0] else np.zeros_like(p, shape=(1,)))
    return convolution(*pair)


def _of_roots(seq_of_zeros):
    """The product of all (x - z)"""
    z = np.atleast_1d(as_array(seq_of_zeros))
    if ndim_of(z) == 2 and shape_of(z)[0] == shape_of(z)[1] != 0:
        raise NoRule("np.poly", "of a matrix (seq_of_zeros=), by its eigenvalues,")
    if ndim_of(z) != 1:
        raise ValueError(f"np.poly: zeros of shape {shape_of(z)}; expected one axis")
    if not shape_of(z)[0]:
        return 1.0
    a = np.ones_like(z, shape=(1,))
    for x in z:
        a = np.pad(a, (0, 1)) - x * np.pad(a, (1, 0))
    return a


compose(np.polyval, _value, cases=[
    Case((3,), (4,), scales=FOURTH), Case((4,), (), scales=FOURTH),
    Case((1,), (2, 2), scales=FOURTH)])
compose(np.polyder, _derivative, kind=LINEAR, cases=[Case((4,)), Case((4,), m=2), Case((2,), m=0)])
compose(np.polyint, _integral, kind=LINEAR, cases=[
    Case((3,)), Case((3,), (2,), call=lambda p, k: np.polyint(p, 2, k)), Case((2,), m=2, k=1.5)])
compose(np.polyadd, _aligned("np.polyadd", np.add), kind=LINEAR,
        cases=[Case((3,), (2,)), Case((2,), (3,))])
compose(np.polysub, _aligned("np.polysub", np.subtract), kind=LINEAR,
        cases=[Case((3,), (2,)), Case((), (3,))])
compose(np.polymul, _product, kind=MULTILINEAR, cases=[Case((3,), (2,)), Case((2,), (3,))])
compose(np.poly, _of_roots, cases=[Case((3,), scales=FOURTH), Case((1,))])


def _fit(x, y, deg, rcond=None, full=False, w=None, cov=False):
    """Least squares for the coefficients, with the columns of powers made equally long"""
    x, y, n = as_array(x) + 0.0, as_array(y) + 0.0, int(deg) + 1
    if deg < 0:
        raise ValueError(f"np.polyfit: deg={deg}; expected 0 or more")
    if ndim_of(x) != 1 or not shape_of(x)[0] or shape_of(y)[:1] != shape_of(x) or ndim_of(y) > 2:
        raise TypeError(f"np.polyfit: x has shape {shape_of(x)} and y {shape_of(y)}; expected one "
                        f"axis with an entry or more, and one or two that begin with it")
    if rcond is None:
        rcond = shape_of(x)[0] * np.finfo(x.dtype if x.dtype.kind == "f" else float).eps
    A, b = np.vander(x + np.zeros_like(y, shape=()), n), y  # in the arithmetic of both
    if w is not None:
        w = as_array(w) + 0.0
        if shape_of(w) != shape_of(x):
            raise TypeError(f"np.polyfit: w has shape {shape_of(w)} for {shape_of(x)[0]} points")
        A, b = A * w[:, None], b * (w if ndim_of(b) == 1 else w[:, None])
    scale = np.sqrt(np.sum(A * A, axis=0))
    A = A / scale
    c, left, rank, s = np.linalg.lstsq(A, b, rcond)
    c = np.transpose(np.transpose(c) / scale)
    if rank != n and not full:
        warnings.warn("Polyfit may be poorly conditioned", np.exceptions.RankWarning, stacklevel=2)
    if full:
        return c, left, rank, s, rcond
    if not cov:
        return c
    V = np.linalg.inv(np.dot(np.transpose(A), A)) / np.outer(scale, scale)
    if cov != "unscaled":
        if shape_of(x)[0] <= n:
            raise ValueError(f"np.polyfit: cov=True needs more than {n} points")
        left = left / (shape_of(x)[0] - n)
    else:
        left = 1
    return c, V * left if ndim_of(y) == 1 else V[:, :, None] * left


compose(np.polyfit, _fit, cases=[
    Case(Fixed(np.arange(4.0)), (4,), deg=1), Case((4,), (4,), deg=1, scales=(-20, 20)),
    Case(Fixed(np.arange(4.0)), (4, 2), (4,), domain=(None, None, "positive"),
         call=lambda x, y, w: np.polyfit(x, y, 1, w=w), scales=(-20, 20)),
    Case(Fixed(np.arange(5.0)), (5,), call=lambda x, y: np.polyfit(x, y, 1, cov=True)[1],
         scales=FOURTH)])
