"""Products of matrices, decompositions, solving."""

from __future__ import annotations

import numpy as np

from refgrad.rules.elementwise import quotient
from refgrad.rules.linalg import T
from refgrad.rules.matrix_functions import expm

from .carrier import midpoints
from .table import NoLine, operation

# Products.
operation("mm", "bmm", "mv", "dot", np.matmul)
operation("vdot", np.vdot)
operation("linalg_cross", lambda a, b, *, dim=-1: np.cross(*np.broadcast_arrays(a, b), axis=dim))
operation("trace", np.trace)


def _added(product):
    """A line for beta x + alpha product; a beta of 0 leaves x out, whatever is in it."""
    def line(x, a, b, *, beta=1, alpha=1):
        y = alpha * product(a, b)
        return beta * x + y if beta else np.broadcast_to(y, np.broadcast_shapes(x.shape, y.shape))
    return line


operation("addmm", "addmv", "baddbmm", _added(np.matmul))
operation("addbmm", _added(lambda a, b: np.sum(np.matmul(a, b), axis=0)))
operation("addr", _added(np.outer))


@operation("block_diag")
def _(blocks):
    blocks = [np.atleast_2d(b) for b in blocks]
    ends = np.cumsum([b.shape for b in blocks], axis=0)
    return sum(np.pad(b, [(int(e - n), int(m - e)) for n, e, m in zip(b.shape, end, ends[-1])])
               for b, end in zip(blocks, ends))


# Functions of a square matrix.
def _fine(a):
    """The status 0 for each matrix of a stack: here failures raise errors instead."""
    return np.zeros(a.shape[:-2], np.int32)


operation("_linalg_det", lambda a: (np.linalg.det(a), None, None))
operation("_linalg_slogdet", lambda a: (*np.linalg.slogdet(a), None, None))
operation("linalg_matrix_exp", expm)
operation("linalg_inv_ex", lambda a, *, check_errors=False: (np.linalg.inv(a), _fine(a)))


@operation("cholesky")
def _cholesky(a, upper=False):
    """Of the triangle on the side of the result."""
    return T(np.linalg.cholesky(T(a))) if upper else np.linalg.cholesky(a)


operation("linalg_cholesky_ex",
          lambda a, *, upper=False, check_errors=False: (_cholesky(a, upper), _fine(a)))


# Solving.
def _solve(a, b, left=True):
    return np.linalg.solve(a, b) if left else T(np.linalg.solve(T(a), T(b)))


@operation("_linalg_solve_ex")
def _(a, b, *, left=True, check_errors=False):
    if b.ndim == 1 or b.shape == a.shape[:-1]:
        return np.linalg.solve(a, b[..., None])[..., 0], None, None, _fine(a)
    return _solve(a, b, left), None, None, _fine(a)


def _triangle(a, upper, unit=False):
    a = np.triu(a, int(unit)) if upper else np.tril(a, -int(unit))
    return a + np.eye(*a.shape[-2:]) if unit else a


@operation("linalg_solve_triangular")
def _(a, b, *, upper, left=True, unitriangular=False):
    return _solve(_triangle(a, upper, unitriangular), b, left)


@operation("triangular_solve")
def _(b, a, upper=True, transpose=False, unitriangular=False):
    half = _triangle(a, upper, unitriangular)
    return np.linalg.solve(T(half) if transpose else half, b), a


def _squared(L, upper):
    """The matrix whose Cholesky factor this is."""
    L = _triangle(L, upper)
    return T(L) @ L if upper else L @ T(L)


operation("cholesky_solve", lambda b, L, upper=False: np.linalg.solve(_squared(L, upper), b))
operation("cholesky_inverse", lambda L, upper=False: np.linalg.inv(_squared(L, upper)))


# L and U.
def _eliminated(a, pivot=True):
    """(L below the diagonal and U, the rows that were exchanged with each row, counted from 1)"""
    m, n = a.shape[-2:]
    rows = []
    for k in range(min(m, n)):
        column = a[..., k:, k]
        chosen = k + (np.argmax(np.abs(column), axis=-1) if pivot
                      else np.zeros(column.shape[:-1], int))
        rows.append(chosen)
        a = np.take_along_axis(a, _exchanged(k, chosen, m)[..., None], -2)
        factor = quotient(a[..., k + 1:, k:k + 1], a[..., k:k + 1, k:k + 1])
        rest = a[..., k + 1:, k + 1:] - factor * a[..., k:k + 1, k + 1:]
        below = np.concatenate([a[..., k + 1:, :k], factor, rest], axis=-1)
        a = np.concatenate([a[..., :k + 1, :], below], axis=-2)
    rows = np.stack(rows, axis=-1) if rows else np.zeros((*a.shape[:-2], 0), int)
    return a, (rows + 1).astype(np.int32)


def _exchanged(k, chosen, n):
    """The positions 0, …, n - 1 of which those of k and of a chosen one, for each of a stack, are
    exchanged."""
    places, chosen = np.arange(n), chosen[..., None]
    return np.where(places == k, chosen, np.where(places == chosen, k, places))


def _order(pivots, n):
    """The order in which the exchanges put the rows."""
    order = np.broadcast_to(np.arange(n), (*pivots.shape[:-1], n))
    for k in range(pivots.shape[-1]):
        order = np.take_along_axis(order, _exchanged(k, pivots[..., k] - 1, n), -1)
    return order


def _permutation(pivots, n):
    """The matrix P of A = P L U."""
    return T(np.eye(n)[_order(pivots, n)])


def _halves(lu):
    k = min(lu.shape[-2:])
    return _triangle(lu[..., :, :k], False, unit=True), np.triu(lu[..., :k, :])


@operation("linalg_lu_factor_ex")
def _(a, *, pivot=True, check_errors=False):
    return *_eliminated(a, pivot), _fine(a)


@operation("linalg_lu")
def _(a, *, pivot=True):
    lu, pivots = _eliminated(a, pivot)
    return _permutation(pivots, a.shape[-2]), *_halves(lu)


@operation("lu_unpack")
def _(lu, pivots, unpack_data=True, unpack_pivots=True):
    halves = _halves(lu) if unpack_data else (np.zeros(0), np.zeros(0))
    return _permutation(pivots, lu.shape[-2]) if unpack_pivots else np.zeros(0), *halves


@operation("linalg_lu_solve")
def _(lu, pivots, b, *, left=True, adjoint=False):
    L, U = _halves(lu)
    a = _permutation(pivots, lu.shape[-2]) @ L @ U
    return _solve(T(a) if adjoint else a, b, left)


# Orthogonal matrices.
def _no_further_vectors(a, asked):
    if asked:
        raise NoLine(f"all orthogonal vectors of a matrix of shape {a.shape[-2:]}: "
                     "some are any basis")


@operation("linalg_qr")
def _(a, mode="reduced"):
    _no_further_vectors(a, mode == "complete" and a.shape[-2] > a.shape[-1])
    return (np.zeros(0), np.linalg.qr(a, "r")) if mode == "r" else tuple(np.linalg.qr(a, mode))


def _reflected(a, tau, b, transpose=False):
    """Q b, or Q' b, with Q = H_1 … H_k of reflections H_i = 1 - tau_i v v' whose v are below a's
    diagonal."""
    steps = range(tau.shape[-1])
    for k in steps if transpose else reversed(steps):
        top = np.broadcast_to(np.eye(k + 1)[k], (*a.shape[:-2], k + 1))
        v = np.concatenate([top, a[..., k + 1:, k]], axis=-1)[..., None]
        b = b - tau[..., k, None, None] * v @ (T(v) @ b)
    return b


@operation("linalg_householder_product")
def _(a, tau):
    return _reflected(a, tau, np.eye(*a.shape[-2:]))


@operation("ormqr")
def _(a, tau, b, left=True, transpose=False):
    return _reflected(a, tau, b, transpose) if left else T(_reflected(a, tau, T(b), not transpose))


# Eigenvalues, singular values, pseudoinverses.
@operation("_linalg_eigh")
def _(a, UPLO="L", compute_v=True):
    return (tuple(np.linalg.eigh(a, UPLO)) if compute_v
            else (np.linalg.eigvalsh(a, UPLO), np.zeros(0)))


@operation("_linalg_svd")
def _(a, full_matrices=False, compute_uv=True, *, driver=None):
    if not compute_uv:
        return np.zeros(0), np.linalg.svdvals(a), np.zeros(0)
    _no_further_vectors(a, full_matrices and a.shape[-2] != a.shape[-1])
    return tuple(np.linalg.svd(a, full_matrices=False))


@operation("linalg_pinv.atol_rtol_tensor")
def _(a, *, atol=None, rtol=None, hermitian=False):
    """torch leaves out singular values up to a bound."""
    if rtol is None:
        rtol = 0 if atol is not None else max(a.shape[-2:]) * np.finfo(float).eps
    atol = 0 if atol is None else atol
    s = np.linalg.svd(midpoints(a), compute_uv=False, hermitian=hermitian)
    if np.all(s > _bound(s, atol, rtol)):
        return np.linalg.pinv(a, hermitian=hermitian)
    U, s, V = np.linalg.svd(a, full_matrices=False, hermitian=hermitian)
    inverse = np.where(s > _bound(s, atol, rtol), 1 / s, 0)
    return T(V) @ (inverse[..., None] * T(U))


def _bound(s, atol, rtol):
    largest = np.max(s, axis=-1) if s.shape[-1] else np.zeros(s.shape[:-1])
    return np.maximum(np.asarray(atol)[..., None], np.asarray(rtol)[..., None] * largest[..., None])


@operation("linalg_lstsq")
def _(a, b, rcond=None, *, driver=None):
    vector = b.ndim == 1 or b.shape == a.shape[:-1]
    b = b[..., None] if vector else b
    x = np.linalg.pinv(a) @ b
    m, n = a.shape[-2:]
    left = np.sum(np.square(b - a @ x), axis=-2) if m > n and driver != "gelsy" else np.zeros(0)
    rank = np.linalg.matrix_rank(a) if driver != "gels" else np.zeros(0, np.int64)
    s = np.linalg.svdvals(a) if driver in ("gelsd", "gelss") else np.zeros(0)
    return x[..., 0] if vector else x, left, rank, s


@operation("linalg_eig", "_linalg_eigvals", "linalg_eigvals", "_fft_r2c", "_fft_c2r", "_fft_c2c")
def _(*_, **__):
    raise NoLine("an operation with complex numbers")
