"""Formulas of programs as a lecturer writes them in NumPy: in a book's form, however the program
computes them."""

import numpy as np
import pytest

from refgrad.derive import derive
from refgrad.derive.index import Index

m, n, k = "mnk"
X, w, y, W = (m, n), (n,), (m,), (n, k)
P = (n, n, "positive definite")


def sigma(z):
    return 1 / (1 + np.exp(-z))


def odds_over_one(z):
    return np.exp(z) / (1 + np.exp(z))


def entropy(y, p):
    return -np.sum(y * np.log(p) + (1 - y) * np.log(1 - p))


def columns(Z):
    return np.exp(Z) / np.sum(np.exp(Z), axis=0, keepdims=True)


def tanh(x):
    return (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x))


def log_det(A):
    return np.linalg.slogdet(A)[1]


GRADIENTS = [
    # exp(x) beside sigma(x)
    (lambda w, X, y: entropy(y, odds_over_one(X @ w)), dict(w=w, X=X, y=y),
     "X' (sigma(X w) - y)"),
    (lambda b, A, t, X, y: entropy(t, odds_over_one(A @ b)) / 2, dict(b=w, A=X, t=y, X=X, y=y),
     "1/2 A' (sigma(A b) - t)"),
    (lambda W, X, Y: entropy(Y, odds_over_one(X @ W)), dict(W=W, X=X, Y=(m, k)),
     "X' (sigma(X W) - Y)"),
    (lambda z, y: entropy(y, odds_over_one(z)), dict(z=(), y=()), "sigma(z) - y"),
    # exponentials in pairs
    (lambda x: np.sum(np.log(np.exp(x) + np.exp(-x))), dict(x=w), "tanh(x)"),
    (lambda W, X: np.sum(np.log((np.exp(W @ X) + np.exp(-W @ X)) / 2)), dict(W=(k, m), X=X),
     "tanh(W X) X'"),
    (lambda u: np.sum(np.exp(2 * u) - np.exp(-2 * u)), dict(u=w), "4 cosh(2 u)"),
    (lambda A: np.sum(tanh(A)), dict(A=X), "1 - tanh(A).^2"),
    (lambda x: np.sum(1 / np.cosh(x)), dict(x=w), "-tanh(x) / cosh(x)"),
    # slopes are factors
    (lambda w, X, y: np.sum((np.sinh(X @ w) / np.cosh(X @ w) - y) ** 2) / 2, dict(w=w, X=X, y=y),
     "X' ((tanh(X w) - y) . (1 - tanh(X w)^2))"),
    (lambda z: np.sum(sigma(z) * (1 - sigma(z))), dict(z=w),
     "sigma(z) . (1 - sigma(z)) . (1 - 2 sigma(z))"),
    (lambda b, A: np.sum(np.tanh(A @ b) ** 2) / 2, dict(b=w, A=X),
     "A' (tanh(A b) . (1 - tanh(A b)^2))"),
    # softmax along columns
    (lambda W, X, Y: -np.sum(Y * np.log(columns(W @ X))), dict(W=(k, n), X=(n, m), Y=(k, m)),
     "(softmax(W X, axis=0) diag(Y' 1) - Y) X'"),
    (lambda W, X, Y: np.sum(np.log(np.sum(np.exp(W @ X), axis=0))) - np.sum(Y * (W @ X)),
     dict(W=(k, n), X=(n, m), Y=(k, m)), "(softmax(W X, axis=0) - Y) X'"),
    (lambda Z: np.sum(np.log(np.sum(np.exp(Z), axis=0))), dict(Z=X), "softmax(Z, axis=0)"),
    (lambda Z: np.sum(columns(Z) ** 2) / 2, dict(Z=X),
     "softmax(Z, axis=0) . (softmax(Z, axis=0) - 1 1' softmax(Z, axis=0).^2)"),
    # residuals have one sign
    (lambda L, x, mu: np.sum((np.linalg.inv(L) @ (x - mu)) ** 2) / 2 + log_det(L),
     dict(L=(n, n), x=w, mu=w), "L^-T - L^-T L^-1 (mu - x) (mu - x)' L^-T"),
    (lambda A, a, b: np.sum((np.linalg.inv(A) @ (a - b)) ** 2), dict(A=(n, n), a=w, b=w),
     "-2 A^-T A^-1 (a - b) (a - b)' A^-T"),
    (lambda S, x, mu: (x - mu) @ np.linalg.inv(S) @ (x - mu) + np.log(np.linalg.det(2 * np.pi * S)),
     dict(S=P, x=w, mu=w), "S^-1 - S^-1 (mu - x) (mu - x)' S^-1"),
    (lambda P, x, mu: (x - mu) @ P @ (x - mu) - log_det(P), dict(P=(n, n), x=w, mu=w),
     "(mu - x) (mu - x)' - P^-T"),
    # an inverse of a multiple
    (lambda S, c: np.trace(np.linalg.inv(c * S)), dict(S=(n, n), c=()), "-(S^-2)' / c"),
    (lambda c, S: log_det(c * S), dict(c=(), S=(n, n, "symmetric")), "n / c"),
    (lambda A, c, x: x @ np.linalg.inv(A / c) @ x, dict(A=(n, n), c=(), x=w),
     "-c A^-T x x' A^-T"),
    # the diagonal of a product
    (lambda x, A, B: np.sum((A @ np.diag(x) @ A.T - B) ** 2), dict(x=w, A=X, B=(m, m)),
     "2 diag(A' (A diag(x) A' - B) A)"),
    (lambda s, A, U, V: np.sum((A - U @ np.diag(s) @ V.T) ** 2) / 2,
     dict(s=(k,), A=X, U=(m, k), V=(n, k)), "diag(U' (U diag(s) V' - A) V)"),
    (lambda s, A, U, V: np.sum((A - (U * s) @ V.T) ** 2), dict(s=(k,), A=X, U=(m, k), V=(n, k)),
     "2 diag(U' (U diag(s) V' - A) V)"),
    # roots of products
    (lambda x, y: x @ y / np.sqrt((x @ x) * (y @ y)), dict(x=w, y=w),
     "(y / |x| - (x' y)/|x|^3 x) / |y|"),
    (lambda x, A: np.sqrt((x @ x) * np.sum(A ** 2)), dict(x=w, A=X), "|A|/|x| x"),
    (lambda X, a: np.sqrt(np.sum(X ** 2) * (a @ a)), dict(X=X, a=y), "|a|/|X| X"),
    # arrays of three axes have a letter of their own
    (lambda Z, K: np.sum((np.sum((Z[:, None] - Z[None]) ** 2, axis=2) - K) ** 2) / 4,
     dict(Z=X, K=(m, m, "symmetric")),
     "2 (diag(R 1) - R) Z where R = 1 1' (Z.^2)' + Z.^2 1 1' - 2 Z Z' - K"),
]


@pytest.mark.parametrize("f, shapes, says", GRADIENTS, ids=[says for *_, says in GRADIENTS])
def test_gradients(f, shapes, says):
    d = derive(f, next(iter(shapes)), **shapes)
    assert str(d.gradient) == says and d.unconfirmed is None


HESSIANS = [
    (lambda x, A, b: np.log(np.sum(np.exp(A @ x + b))), dict(x=w, A=X, b=y),
     "A' (diag(softmax(A x + b)) - softmax(A x + b) softmax(A x + b)') A"),
    (lambda w, X: np.log(np.sum(np.exp(X @ w))), dict(w=w, X=X),
     "X' (diag(softmax(X w)) - softmax(X w) softmax(X w)') X"),
    (lambda x, B: np.max(B @ x) + np.log(np.sum(np.exp(B @ x - np.max(B @ x)))), dict(x=w, B=X),
     "B' (diag(softmax(B x)) - softmax(B x) softmax(B x)') B"),
    (lambda z: np.log(sigma(z)), dict(z=()), "-sigma(z) (1 - sigma(z))"),
    (lambda s, A: -np.sum(np.log(sigma(A @ s))), dict(s=w, A=X),
     "A' diag(sigma(A s) . (1 - sigma(A s))) A"),
    (lambda w, X, y: np.sum(np.log(1 + np.exp(-y * (X @ w)))), dict(w=w, X=X, y=y),
     "X' diag(sigma(X w . y) . (1 - sigma(X w . y)) . y^2) X"),
    (lambda w, X, y: entropy(y, odds_over_one(X @ w)), dict(w=w, X=X, y=y),
     "X' diag(sigma(X w) . (1 - sigma(X w))) X"),
]


@pytest.mark.parametrize("f, shapes, says", HESSIANS, ids=[says for *_, says in HESSIANS])
def test_hessians(f, shapes, says):
    d = derive(f, next(iter(shapes)), **shapes)
    assert str(d.hessian) == says and d.unconfirmed is None


def test_second_differences_know_among_how_many_they_are():
    d = derive(lambda x: np.sum(np.diff(x, n=2) ** 2), x=w)
    assert any("among n - 1" in note for note in d.notes)


def test_what_was_derived_before_does_not_matter():
    """Indices are numbered through a process: 99 and 100 are as good as 9 and 10."""
    f, shapes, says = GRADIENTS[-6]
    for _ in range(12):
        for _ in range(37):
            Index(3)
        assert str(derive(f, "s", check=False, **shapes).gradient) == says
