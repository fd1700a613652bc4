"""Decompositions at equal eigenvalues and singular values, and in NumPy's other ways to call
them."""

import numpy as np
import pytest

import refgrad as rg
from refgrad.errors import NoRule

from . import checks

RNG = np.random.default_rng(3)
BASIS = np.linalg.qr(RNG.standard_normal((4, 4)))[0]
EQUAL = {"exactly": np.diag([1.0, 1.0, 2.0, 3.0]),
         "up to rounding": BASIS * [1.0, 1.0, 2.0, 3.0] @ BASIS.T}
EQUAL["up to rounding"] = (EQUAL["up to rounding"] + EQUAL["up to rounding"].T) / 2
G, DIRECTION = RNG.standard_normal((2, 4, 4))
DIRECTION = DIRECTION + DIRECTION.T
EVERY = pytest.mark.parametrize("A", EQUAL.values(), ids=list(EQUAL))


def slope(f, A):
    """A central difference along the direction."""
    h = 2.0 ** -14
    return (8 * (f(A + h * DIRECTION) - f(A - h * DIRECTION))
            - (f(A + 2 * h * DIRECTION) - f(A - 2 * h * DIRECTION))) / (12 * h)


def projection(A):
    V = np.linalg.eigh(A)[1][:, :2]
    return np.sum(G * (V @ V.T))


def polar(A):
    U, s, Vh = np.linalg.svd(A)
    return np.sum(G * (U @ Vh))


def left_space(A):
    U = np.linalg.svd(A)[0][:, 2:]
    return np.sum(G * (U @ U.T))


SPACES = [projection, polar, left_space]
SYMMETRIC = [lambda A: np.sum(np.linalg.eigvalsh(A) ** 3),
             lambda A: np.sum(np.sin(np.linalg.svdvals(A))),
             lambda A: np.linalg.norm(A, "nuc"), lambda A: np.linalg.norm(A, 2)]
SINGLE = [lambda A: np.sum(G[0] * np.linalg.eigh(A)[1][:, 0]),
          lambda A: np.sum(G[0] * np.linalg.svd(A)[0][:, 3]),
          lambda A: np.sum(G * np.linalg.svd(A)[2])]


def of_matrix(A):
    w, V = np.linalg.eigh(A)
    return np.sum(G * (V * w ** 2 @ V.T))


@EVERY
@pytest.mark.parametrize("f", SPACES + SYMMETRIC)
def test_what_depends_on_the_space_alone_is_right(f, A):
    checks.close(np.sum(rg.grad(f)(A) * DIRECTION), slope(f, A), rtol=1e-7, scale=10)


@EVERY
@pytest.mark.parametrize("f", SYMMETRIC[:3])
def test_symmetric_functions_are_right_in_forward_mode(f, A):
    checks.close(rg.jvp(f, (A,), (DIRECTION,))[1], slope(f, A), rtol=1e-7, scale=10)


@EVERY
def test_second_derivative_of_the_nuclear_norm(A):
    f = lambda A: np.linalg.norm(A, "nuc")
    second = rg.grad(lambda A: np.sum(rg.grad(f)(A) * DIRECTION))(A)
    expected = slope(lambda A: np.sum(np.linalg.svd(A)[0] @ np.linalg.svd(A)[2] * G), A)
    assert np.all(np.isfinite(second))
    found = rg.grad(lambda A: np.sum(rg.grad(f)(A) * G))(A)
    checks.close(np.sum(found * DIRECTION), expected, rtol=1e-7, scale=10)


@EVERY
@pytest.mark.parametrize("f", SINGLE + [of_matrix])
def test_what_does_not_exist_is_an_error(f, A):
    with pytest.raises(np.linalg.LinAlgError, match="has no derivative here"):
        rg.grad(f)(A)
    with pytest.raises(np.linalg.LinAlgError, match="has no derivative here"):
        rg.jvp(f, (A,), (DIRECTION + G,))


def test_the_square_at_the_unit_matrix_is_no_silent_zero():
    """Each entry off the diagonal has a cotangent of the values that is 0, as if they were not
    used."""
    def entry(A):
        w, V = np.linalg.eigh(A)
        return (V * w ** 2 @ V.T)[0, 1]
    with pytest.raises(np.linalg.LinAlgError):
        rg.grad(entry)(np.eye(3))


def test_vectors_of_no_singular_value_are_an_error():
    A = np.outer([1.0, 2.0, 3.0], [1.0, 1.0])
    with pytest.raises(np.linalg.LinAlgError):
        rg.grad(lambda A: np.sum(np.linalg.svd(A, full_matrices=False)[0] ** 3))(A)
    with pytest.raises(np.linalg.LinAlgError):
        rg.grad(lambda A: np.sum(np.linalg.qr(A)[0] ** 3))(np.zeros((3, 2)))


def test_one_singular_value_that_is_zero():
    """The left vectors of a square matrix move smoothly through it."""
    A = BASIS * [3.0, 2.0, 1.0, 0.0] @ np.roll(BASIS, 1, axis=1).T
    f = lambda A: np.sum(G * np.square(np.linalg.svd(A)[0]))
    checks.close(np.sum(rg.grad(f)(A) * DIRECTION), slope(f, A), rtol=1e-7, scale=10)


@pytest.mark.parametrize("call, message", [
    (np.linalg.eig, "np.linalg.eig .*complex.* np.linalg.eigh"),
    (np.linalg.eigvals, "np.linalg.eigvals .*complex.* np.linalg.eigvalsh"),
    (lambda A: np.linalg.svd(A[:2]), "full_matrices=False"),
    (lambda A: np.linalg.qr(A[:, :2], "complete"), "mode='reduced'"),
    (lambda A: np.linalg.pinv(A, 0.5), "rcond=0.5 .*not 0"),
    (lambda A: np.linalg.lstsq(A, A, rcond=0.5), "np.linalg.lstsq.*rcond=0.5 .*not 0"),
    (lambda A: np.linalg.qr(A, "raw"), "mode='raw'")])
def test_refused(call, message):
    with pytest.raises(NoRule, match=message):
        rg.vjp(call, G)


@pytest.mark.parametrize("call", [
    lambda A: np.linalg.eigh(A, "U"),
    lambda A: np.linalg.eigh(A, UPLO="l"), np.linalg.svd, np.linalg.qr,
    lambda A: np.linalg.svd(A[:3], False), lambda A: np.linalg.svd(A + A.T, hermitian=True),
    np.linalg.eigvalsh, lambda A: np.linalg.lstsq(A[:, :2], A[:, 2:]),
    lambda A: np.linalg.lstsq(A[:, :2], A[0], rcond=-1),
    lambda A: np.linalg.pinv(A, 1e-6), lambda A: np.linalg.pinv(A, rtol=None),
    lambda A: np.linalg.cholesky(A @ A.T + 4 * np.eye(4), upper=True), np.linalg.matrix_rank])
def test_values_are_numpys(call):
    """The result too: its names, and whole numbers among it."""
    expected, found = call(G), []

    def spied(A):
        found.append(call(A))
        return A[0, 0]

    rg.grad(spied)(G)
    many = expected if isinstance(expected, tuple) else (expected,)
    assert type(found[0]) is type(expected) or not isinstance(expected, tuple)
    values = rg.vjp(lambda A: [np.asarray(y, like=A)
                               for y in (call(A) if len(many) > 1 else [call(A)])], G)[0]
    for y, e in zip(values, many, strict=True):
        checks.close(y, e, rtol=1e-12)
