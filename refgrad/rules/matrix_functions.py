"""Functions of a square matrix that NumPy lacks; arrays may override them as they override
NumPy's."""

import numpy as np

from ..cases import FOURTH, Case
from ..primitive import declare, shape_of, widened
from .linalg import T

#: The degree of the polynomial that is e^A to the last digit where |A| <= 1/2.
DEGREE = 16


def _expm(A):
    """(e^(A / 2^s))^(2^s), with A / 2^s so small that few terms of the series are left."""
    dtype, A = A.dtype, widened(A)
    size = np.max(np.sum(np.abs(A), axis=-2), axis=-1, initial=0)
    if not np.all(np.isfinite(size)):
        return np.full_like(A, np.nan, dtype=dtype)
    shift = max(0, int(np.frexp(np.max(size, initial=0))[1]) + 1)
    B, one = np.ldexp(A, -shift), np.eye(A.shape[-1], dtype=A.dtype)
    Y = one
    for k in range(DEGREE, 0, -1):
        Y = one + B @ Y / k
    for _ in range(shift):
        Y = Y @ Y
    return np.broadcast_to(Y, A.shape).astype(dtype, copy=False)


def _slope(E, A):
    """The part of e^M above the diagonal, with M = [A E; 0 A]."""
    n = shape_of(A)[-1]
    A = A + np.zeros_like(E)
    rows = np.concatenate([A, E], axis=-1), np.concatenate([np.zeros_like(A), A], axis=-1)
    return expm(np.concatenate(rows, axis=-2))[..., :n, n:]


expm = declare(
    None, """Y = e^A = 1 + A + A^2 / 2 + ...,  dY = int_0^1 e^(t A) dA e^((1-t) A) dt = L(A, dA)
    which stands above the diagonal of e^M with M = [A dA; 0 A], as of every power of M
    <G, e^(t A) dA e^((1-t) A)> = <e^(t A') G e^((1-t) A'), dA>  so  G_A = L(A', G)""",
    name="expm", forward=_expm, takes="A", stacked=True,
    jvp=(lambda dA, A: _slope(dA, A),), vjp=(lambda G, A: _slope(G, T(A)),),
    cases=[Case((3, 3), scales=FOURTH), Case((2, 2, 2), scales=FOURTH)])
