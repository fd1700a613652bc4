"""Eigenvalues of symmetric matrices, singular values, Q and R, pseudoinverses.

Each is found for the midpoints of a matrix, and widened by what the theory of perturbations says of
A + E, where the norm e of E bounds the radii and, in bound mode, the backward error of LAPACK's
orthogonal transformations, gamma_cmn |A| with a small c (Higham, Accuracy and Stability of
Numerical Algorithms, theorem 19.4).

The eigenvalues and eigenvectors of the midpoints are flint's, which verifies approximate ones where
they are apart from each other.  Singular values and vectors are those of A'A, on balls of enough
bits; R is a Cholesky factor of A'A.  Signs of vectors are those that LAPACK gives the midpoints.

eigenvalues         |dw_i| <= e (Weyl)
their vectors       |dv_i| <= sqrt(2) e / (g_i - e), where g_i is the distance to the next
                    eigenvalue (Davis and Kahan)
singular values     the same of [0 A; A' 0], whose eigenvalues are s_i, -s_i and 0 and whose vectors
                    (u_i, v_i) / sqrt(2)
Q and R             |dQ| and |dR| / |R| <= (1 + sqrt(2)) r, r = |R^-1| e / (1 - |R^-1| e) (Sun 1991)
A^+                 |dX| <= sqrt(2) |X|^2 e / (1 - |X| e), for full rank (Wedin 1973)
"""

from __future__ import annotations

import numpy as np
from flint import acb, arb

from refgrad.primitive import TABLE
from refgrad.rules.decompositions import all_nonzero, nothing_is_cut, same_values

from .arithmetic import (
    ANY_OF_SEVERAL, ONE, ZERO, Undecided, as_cells, current_format, each, record, rounded,
    unbounded)
from .array import cells_of, register, wrap
from .linear import lower_factor, matrix, unknown
from .reading import INFINITE, floats

#: The factor c of the backward error.
STEPS = 8

#: An upper bound of the square root of 2.
ROOT = arb(1.4142135623730952)


def on_each(function, x):
    """A function of one matrix of cells, with several results, on each matrix of a stack."""
    cells = cells_of(x)
    batch = cells.shape[:-2]
    each_of = [function(cells[i]) for i in np.ndindex(batch)]
    parts = [np.array([as_cells(r[k]) for r in each_of], object) for k in range(len(each_of[0]))]
    return tuple(wrap(rounded(p.reshape(batch + p.shape[1:]))) for p in parts)


def parted(a):
    """The midpoints of a matrix of cells, and a bound of the norm of its difference from them."""
    form, mid = current_format(), as_cells(each(arb.mid)(a))
    error = length(each(arb.rad)(a))
    if form is not None:
        error += length(mid) * abs(form.spread(STEPS * sum(a.shape))).upper()
    return mid, error


def length(a):
    """An upper bound of the Frobenius norm."""
    return (a * a).sum(initial=ZERO).upper().sqrt().upper()


def ball(radius):
    """[0 ± radius], if that is positive and finite, else everything."""
    return arb(0, radius) if radius >= ZERO and radius.is_finite() else unbounded()


def turned(e, gaps):
    """How far unit vectors with these distances to the next ones may turn."""
    return np.array([ball((ROOT * e / (g - e)).upper()) if g > e else unbounded() for g in gaps],
                    object)


def turned_as(like, *vectors):
    """Matrices of columns, each turned around if the first's is not as that of a float matrix.

    The sign is LAPACK's choice, which may be another one beside x, where f jumps then: so it goes
    into the branch log, as the side of a plane in no special position on which the column is.
    """
    signs = np.array([1 if np.sum(floats(v) * q) > 0 else -1 for v, q in zip(vectors[0].T, like.T)],
                     object)
    record(ANY_OF_SEVERAL, np.cos(np.arange(1, 1 + len(like))) @ floats(vectors[0] * signs) > 0)
    return [columns * signs for columns in vectors]


def eigen(a):
    """Ascending eigenvalues of a symmetric matrix of cells, and its eigenvectors; None if open."""
    n = len(a)
    if n == 1:
        return a[0], np.array([[ONE]], object)
    scale = length(a).mid()  # entries of 1e-170, whose squares are no floats
    if scale == ZERO:
        return None
    try:
        values, right = matrix(a / scale).eig(right=True)
    except (ValueError, ZeroDivisionError):
        return None
    columns = np.array(right.entries(), object).reshape(n, n).T
    vectors = [_normal(column) for column in columns]
    order = sorted(range(n), key=lambda k: values[k].real.mid())
    return (np.array([values[k].real for k in order], object) * scale,
            np.array([vectors[k] for k in order], object).T)


def _normal(column):
    """An eigenvector to a real eigenvalue of a real matrix as real numbers, of length 1."""
    pivot = max(column, key=lambda c: float(abs(c).mid()))
    v = np.array([acb(c / pivot).real for c in column], object)
    return v / (v * v).sum().sqrt()


def open_or_unknown(name, a, *shapes):
    if current_format() is None:
        raise Undecided(name, (), tuple(a.flat)[:2])
    return tuple(unknown(shape) for shape in shapes)


def distances(values, others=()):
    """How far each value is from the next of all of them, at least."""
    everything = [*values, *others]
    return [min((abs(v - o).lower() for k, o in enumerate(everything) if k != i), default=INFINITE)
            for i, v in enumerate(values)]


def spectrum(a, UPLO):
    lower = np.tri(len(a), dtype=bool)
    mid, e = parted(np.where(lower if UPLO in "Ll" else lower.T, a, a.T))
    found = eigen(mid)
    if found is None:
        return open_or_unknown("eigh", a, a.shape[:1], a.shape)
    w, V = found
    V, = turned_as(np.linalg.eigh(floats(a), UPLO)[1], V)
    return w + ball(e), V + turned(e, distances(w))


@register(np.linalg.eigh)
def eigh(a, UPLO="L"):
    """(w, V), of matrices whose eigenvalues are apart; else Undecided."""
    return on_each(lambda m: spectrum(m, UPLO), a)


@register(np.linalg.eigvalsh)
def eigvalsh(a, UPLO="L"):
    return eigh(a, UPLO)[0]


def singular(a):
    """(U, s, V') of one matrix, reduced."""
    m, n = a.shape
    mid, e = parted(a if m >= n else a.T)
    found = eigen(mid.T.dot(mid))
    if found is None or not all(w > ZERO for w in found[0]):
        k = min(m, n)
        return open_or_unknown("svd", a, (m, k), (k,), (k, n))
    s, V = each(arb.sqrt)(found[0][::-1]), found[1][:, ::-1]
    U = mid.dot(V) / s
    turns = ROOT * turned(e, distances(s, [*-s, *([ZERO] if m != n else [])]))
    U, V = (U, V) if m >= n else (V, U)
    V, U = turned_as(np.linalg.svd(floats(a), full_matrices=False)[2].T, V, U)
    return U + turns, as_cells(s + ball(e)), (V + turns).T


@register(np.linalg.svd)
def svd(a, full_matrices=True, compute_uv=True, hermitian=False):
    """(U, s, V'), of matrices whose singular values are apart, and not 0; else Undecided."""
    if full_matrices and compute_uv and a.shape[-1] != a.shape[-2]:
        raise NotImplementedError("svd: Balls have no vectors beyond the singular values")
    if hermitian:
        return TABLE[np.linalg.svd].call(a, full_matrices, compute_uv, hermitian)
    parts = on_each(singular, a)
    return parts if compute_uv else parts[1]


@register(np.linalg.svdvals)
def svdvals(x, /):
    return svd(x, compute_uv=False)


def orthogonal(a):
    """(Q, R) of one matrix whose first columns have full rank: R = Q'A has the others."""
    (m, n), k = a.shape, min(a.shape)
    mid, e = parted(a)
    first = mid[:, :k]
    try:
        R = lower_factor(first.T.dot(first)).T
    except (np.linalg.LinAlgError, Undecided):
        return open_or_unknown("qr", a, (m, k), (k, n))
    signs = np.sign(np.diagonal(np.linalg.qr(floats(a))[1])).astype(int)
    record(ANY_OF_SEVERAL, signs)  # LAPACK's, too
    R = R * signs.astype(object)[:, None]
    Q = solved_right(first, R)
    inverse = length(solved_right(np.where(np.eye(k, dtype=bool), ONE, ZERO), R))
    r = (1 + ROOT) * e * inverse / (1 - e * inverse)
    others = Q.T.dot(mid[:, k:]) + ball((r * length(mid[:, k:]) + e).upper())
    upper = np.where(np.tri(k, dtype=bool).T, R + ball((r * length(R)).upper()), ZERO)
    return Q + ball(r.upper()), np.concatenate([upper, others], axis=1)


def solved_right(a, upper):
    """a upper^-1, by substitution."""
    columns = []
    for j in range(len(upper)):
        known = sum((columns[i] * upper[i, j] for i in range(j)), np.full(len(a), ZERO, object))
        columns.append((a[:, j] - known) / upper[j, j])
    return np.array(columns, object).T


@register(np.linalg.qr)
def qr(a, mode="reduced"):
    if mode not in ("reduced", "complete", "r") or mode == "complete" and a.shape[-2] > a.shape[-1]:
        raise NotImplementedError(f"qr: Balls do not have mode={mode!r}")
    parts = on_each(orthogonal, a)
    return parts[1] if mode == "r" else parts


def pseudoinverse(a):
    """A^+ of one matrix of full rank, (A'A)^-1 A' or its transpose."""
    if a.shape[0] < a.shape[1]:
        return pseudoinverse(a.T)[0].T,
    mid, e = parted(a)
    if np.linalg.matrix_rank(floats(a)) < a.shape[1]:
        return open_or_unknown("pinv", a, a.shape[::-1])
    square = mid.T.dot(mid)
    X = np.array(matrix(square).solve(matrix(mid.T)).entries(), object).reshape(mid.T.shape)
    return X + ball((ROOT * length(X) ** 2 * e / (1 - length(X) * e)).upper()),


@register(np.linalg.pinv)
def pinv(a, rcond=None, hermitian=False, *, rtol=None):
    """The pseudoinverse of matrices of full rank: else Undecided."""
    return on_each(pseudoinverse, a)[0]


@register(np.linalg.matrix_rank)
def matrix_rank(A, tol=None, hermitian=False, *, rtol=None):
    """The rank of the midpoints, where a singular value 0 is not in question."""
    rank = np.linalg.matrix_rank(A.mid(), tol, hermitian, rtol=rtol)
    if np.any(rank < min(A.shape[-2:])):
        raise Undecided("matrix_rank", (), tuple(A.cells.flat)[:2])
    return rank


@register(same_values)
def _(K, w, *like, both, message):
    """Eigenvalues that are enclosed are apart; each is equal to itself alone."""
    return np.broadcast_to(np.eye(w.shape[-1], dtype=bool), K.shape)


register(all_nonzero, lambda s, message: s > 0)
register(nothing_is_cut, lambda A, X, name: np.zeros(A.shape[:-2]))  # A has full rank
