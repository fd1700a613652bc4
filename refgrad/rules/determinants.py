"""Determinants, whose derivatives keep their digits where a matrix is singular or nearly so."""

import numpy as np

from ..cases import FOURTH, Case
from ..primitive import CONSTANT, compose, declare, shape_of
from .constants import number
from .linalg import SQUARE, T


def _cofactors(y, A):
    """y A^-T where that keeps its digits; else from the cofactors of matrices round about A.

    Where a singular value is 0 or close to it, y A^-T is small times large, and its derivatives
    cancel.  With the k columns of U and V in the directions of such values, det(A + e U V') and all
    its derivatives by A are polynomials of degree k in e, and A + e U V' is far from singular at
    e = 1, -1, 2, -2, ...: from k + 1 of these or more follows the value at e = 0, by Lagrange's
    formula.
    """
    if is_normal(y):
        Y = np.linalg.inv(A)
        if is_inverse(Y, A):
            return y[..., None, None] * T(Y)
    shift, U, V = weak_directions(A)
    B = np.ldexp(A, -shift)
    pairs = shape_of(U)[-1] // 2 + 1
    total, weight = 0, number(1, A)
    for j in range(1, pairs + 1):
        weight = -weight * (pairs - j + 1) / (pairs + j)
        for e in (j, -j):
            M = B + e * U @ T(V)
            total = total - weight * np.linalg.det(M)[..., None, None] * T(np.linalg.inv(M))
    return np.ldexp(total, (shape_of(A)[-1] - 1) * shift)


def _is_normal(y):
    size, limits = np.abs(y), np.finfo(y.dtype)
    return not np.any((size <= limits.tiny / limits.eps) | (size == np.inf))


def _is_inverse(Y, A):
    condition = A.shape[-1] * _largest(Y) * _largest(A)
    return not np.any(condition > np.finfo(A.dtype).eps ** -0.25)


def _largest(A):
    return np.max(np.abs(A), axis=(-2, -1), keepdims=True, initial=0)


def _weak_directions(A):
    """A scale of A, and singular vectors of the singular values that are, or may be, 0.

    The scale is a power of two as large as the other singular values are in the mean.  The vectors,
    left and right, are those of the one singular value that is far below the others, or of all
    that are 0 up to rounding.  They are as long as the matrices of `_cofactors` need it: a step of
    twice the least other value for up to two of them; for more, whose cofactors are nearly 0 as
    they stand, one so short that it does not show.
    The matrices of a stack have as many columns as the most singular of them needs: a few more
    do no harm.
    """
    A = np.where(np.isfinite(A), A, 0)
    shift = np.frexp(_largest(A))[1]
    U, s, V = np.linalg.svd(np.ldexp(A, -shift))
    eps, n = np.finfo(s.dtype).eps, s.shape[-1]
    rounding = 8 * n * eps * s[..., :1]
    is_weak = s <= s[..., :1] * eps ** 0.25
    is_weak = is_weak & ((np.sum(is_weak, axis=-1, keepdims=True) == 1) | (s <= rounding))
    k = np.sum(is_weak, axis=-1, keepdims=True)
    strong = np.where(is_weak, 1, s)
    mean = np.sum(np.log2(strong), axis=-1, keepdims=True) / np.maximum(n - k, 1)
    mean = np.rint(mean).astype(int)
    least = np.min(strong, axis=-1, keepdims=True, initial=1, where=~is_weak)
    step = 2 * np.where(k < 3, least, np.maximum(least * eps ** 0.5, 8 * rounding))
    most = int(np.max(k, initial=0))
    length = np.sqrt(np.ldexp(step, -mean) / (most // 2 + 1))[..., None]
    return shift + mean[..., None], length * U[..., n - most:], length * T(V)[..., n - most:]


is_normal = declare(
    None, "whether no number is 0, or so small or large that it has lost digits", name="is_normal",
    kind=CONSTANT, forward=_is_normal, formula=lambda y: np.all(y != 0), cases=[Case((3,))])
is_inverse = declare(
    None, "whether Y = A^-1 is right to most of its digits", name="is_inverse", kind=CONSTANT,
    forward=_is_inverse, formula=lambda Y, A: True, cases=[Case((3, 3), (3, 3))])
weak_directions = declare(
    None, "a scale of A, and directions in which it is nearly singular, taken as constants: any do",
    name="weak_directions", kind=CONSTANT, forward=_weak_directions, multiple=True,
    cases=[Case((3, 3), domain="singular")])

det = declare(
    np.linalg.det, call=lambda a: ((a,), {}), takes="A",
    derivation="""y = det A,  dy = <C, dA> with the cofactors C
    A C' = y I, so C = y A^-T where A can be inverted;  <g, <C, dA>> = <g C, dA>
    Elsewhere C is the value at e = 0 of the cofactors of A + e U V', a polynomial in e.""",
    jvp=(lambda dA, y, A: np.sum(_cofactors(y, A) * dA, axis=(-2, -1)),),
    vjp=(lambda g, y, A: g[..., None, None] * _cofactors(y, A),), stacked=True,
    cases=[*SQUARE, *(Case(shape, domain="singular", scales=FOURTH)
                    for shape in ((3, 3), (2, 3, 3)))])

log_abs_det = declare(
    None, "y = log |det A|,  dy = tr(A^-1 dA) = <A^-T, dA>", name="log_abs_det",
    forward=lambda A: np.linalg.slogdet(A)[1],
    jvp=(lambda dA, A: np.trace(np.linalg.solve(A, dA), axis1=-2, axis2=-1),),
    vjp=(lambda g, A: g[..., None, None] * T(np.linalg.inv(A)),), cases=SQUARE, stacked=True)
sign_det = declare(
    None, "the sign of det A is constant where A can be inverted", name="sign_det", kind=CONSTANT,
    forward=lambda A: np.linalg.slogdet(A)[0], cases=SQUARE)
_SignAndLog = type(np.linalg.slogdet(np.eye(1)))
compose(np.linalg.slogdet, lambda a: _SignAndLog(sign_det(a), log_abs_det(a)), cases=[
    Case((3, 3), call=lambda a: np.linalg.slogdet(a)[1], domain="positive definite")])
