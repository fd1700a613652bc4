"""Sizes in a program's arithmetic: formulas hold for all of them, or say for which they do."""

import math

import numpy as np
import pytest

import refgrad as rg
from refgrad.derive import SizeMismatch, derive

#: Numbers that a program computes from the sizes of X, m x n.
NUMBERS = {
    "m / 2": lambda X: X.shape[0] / 2, ".5 m": lambda X: .5 * X.shape[0],
    "1 / m": lambda X: 1 / X.shape[0], "m^2": lambda X: X.shape[0] ** 2,
    "m^-.5": lambda X: X.shape[0] ** -.5, "2^m": lambda X: 2. ** X.shape[0],
    "sqrt n": lambda X: np.sqrt(X.shape[1]), "log m": lambda X: np.log(X.shape[0]),
    "m / n": lambda X: X.shape[0] / X.shape[1], "exp(1/m)": lambda X: np.exp(1 / X.shape[0]),
    "np.float64 m": lambda X: np.float64(.3) * X.shape[0], "2.5 - m": lambda X: 2.5 - X.shape[0],
    "m log 2 pi": lambda X: np.log(2 * np.pi) * X.shape[0], "size": lambda X: 1 / X.size,
    "m (m - 1) / 2": lambda X: X.shape[0] * (X.shape[0] - 1) / 2,
    "m n // n": lambda X: X.size // X.shape[1] + 0., "sum of the shape": lambda X: sum(X.shape),
    "max": lambda X: np.maximum(X.shape[0], 3), "len": lambda X: len(X),
    "1 / len": lambda X: 1 / len(X), "1 / (len - 1)": lambda X: 1 / (len(X) - 1),
    "pairs": lambda X: len(X) * (len(X) - 1) / 2, "len / n": lambda X: len(X) / X.shape[1],
    "Xavier": lambda X: np.sqrt(2 / (len(X) + X.shape[1])),
    "math.sqrt": lambda X: 1 / math.sqrt(X.shape[1]), "math.log": lambda X: math.log(X.shape[1]),
    "np.prod": lambda X: 1 / np.prod(X.shape), "float": lambda X: float(X.shape[0]),
    "trace": lambda X: np.trace(np.eye(len(X))), "ones": lambda X: np.sum(np.ones(X.shape))}


def right_at_other_sizes(program, d):
    rng = np.random.default_rng(0)
    for shape in ((3, 2), (2, 6), (9, 4)):
        X = rng.standard_normal(shape)
        np.testing.assert_allclose(d.numpy()(X), rg.grad(program)(X), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS)
def test_a_number_that_comes_of_sizes_stays_one(number):
    for program in (lambda X: np.sum(np.tanh(X)) * number(X),
                    lambda X: np.sum(np.tanh(X / number(X)) + number(X)),
                    lambda X: np.sum(np.sin(number(X) - X))):
        d = derive(program, X=("m", "n"))
        assert not d.fixed and not d.notes
        right_at_other_sizes(program, d)


ARRAYS = {
    "uniform": lambda X: np.sum((np.full(X.shape[0], 1 / X.shape[0]) @ X) ** 2),
    "centring": lambda X: np.sum(((np.eye(X.shape[0]) - 1 / X.shape[0]) @ X) ** 2),
    "centring by len": lambda X: np.sum(
        ((np.eye(len(X)) - np.ones((len(X), len(X))) / len(X)) @ X) ** 2),
    "ridge": lambda X: np.sum(np.linalg.inv(X.T @ X + 0.1 * np.eye(X.shape[1]))),
    "variance": lambda X: np.sum((X - np.sum(X, axis=0) / len(X)) ** 2) / (len(X) - 1),
    "covariance": lambda X: np.linalg.slogdet(X.T @ X / len(X) + np.eye(X.shape[1]))[1],
    "flat": lambda X: np.sum(X.reshape(X.size) ** 3) / X.size}


@pytest.mark.parametrize("program", ARRAYS.values(), ids=ARRAYS)
def test_arrays_that_are_made_of_sizes_fit_all_sizes(program):
    d = derive(program, X=("m", "n"))
    assert not d.fixed
    right_at_other_sizes(program, d)


FIXED = {"halves": lambda X: np.sum(X ** 2) / (X.shape[0] // 2),
         "odd": lambda X: np.sum(X ** 2) * (len(X) % 2 + 1),
         "a loop": lambda X: sum(np.sum(X ** 2) for i in range(len(X))),
         "positions": lambda X: np.sum(X[::2] ** 2),
         "a branch": lambda X: np.sum(X ** 2) if len(X) > 6 else np.sum(X ** 3)}


@pytest.mark.parametrize("program", FIXED.values(), ids=FIXED)
def test_what_holds_for_its_sizes_alone_says_so_and_refuses_others(program):
    d = derive(program, X=("m", "n"))
    assert d.fixed and any("for m = 5, n = 7 alone" in note for note in d.notes)
    X = np.random.default_rng(0).standard_normal((5, 7))
    np.testing.assert_allclose(d.numpy()(X), rg.grad(program)(X), rtol=1e-12)
    with pytest.raises(ValueError, match="m = 5, n = 7 alone"):
        d.numpy()(X[:3])


CONDITIONS = [
    (lambda X: np.sum(X ** 2) if X.shape[0] > 100 else np.sum(X ** 3), "m <= 100"),
    (lambda X: np.sum(X ** 2) / max(X.shape), "n > m"),
    (lambda X: np.sum(X ** (2 + (X.size < 99))), "m * n < 99"),
    (lambda X: np.sum(X ** 2) if X.shape[0] != X.shape[1] else np.sum(X), "m != n")]


@pytest.mark.parametrize("program, says", CONDITIONS, ids=[says for _, says in CONDITIONS])
def test_a_comparison_of_sizes_is_a_condition(program, says):
    (note,) = derive(program, X=("m", "n")).notes
    assert note == f"sizes are compared: the formulas hold where {says}"


def test_what_does_not_depend_on_sizes_is_no_condition():
    def program(X, Y):
        assert X.shape == Y.shape and len(X.shape) == 2
        assert X.shape[0] * X.shape[1] == X.shape[1] * X.shape[0]
        return np.sum(X * Y) + np.sum(np.array([1., 2., 3.])) * np.sum(X)

    d = derive(program, X=("m", "n"), Y=("m", "n"))
    assert not d.notes and not d.fixed


def test_a_size_counts_like_an_integer():
    seen = []

    def program(X):
        m, n = X.shape
        seen.append((isinstance(m, int), isinstance(m / 2, float), m == 5, hash(m) == hash(5)))
        assert (f"{m:03d}", list(range(m)), np.arange(m).tolist(), np.zeros((m, n)).shape) == (
            "005", [0, 1, 2, 3, 4], [0, 1, 2, 3, 4], (5, 7))
        assert (int(m), float(n), divmod(n, m), -m, abs(m - n), +m) == (5, 7.0, (1, 2), -5, 2, 5)
        assert (np.less(m, n), np.minimum(m, 3), m % 2, 7 // m, [1, 2, 3, 4, 5, 6][m]) == (
            True, 3, 1, 1, 6)
        return np.sum(X)

    derive(program, X=("m", "n"))
    assert seen[0] == (True, True, True, True)


@pytest.mark.parametrize("shape", [
    (1,), ("m", 1), (1, "n"), (1, 1), ("b", 1, "n"), (1, "m", 1), ()], ids=str)
@pytest.mark.parametrize("program", [
    lambda X: 3.0, lambda X: 0 * X, lambda X: np.zeros_like(X), lambda X: X - X,
    lambda X: np.sum(X ** 2), lambda X: X.T,
    lambda X: X[..., None], lambda X: np.ravel(X), lambda X: np.stack([X, X ** 2]),
    lambda X: rg.nn.softmax(np.atleast_1d(X), -1),
    lambda X: np.max(np.atleast_1d(X), axis=-1, keepdims=True) * X,
    lambda X: np.prod(np.atleast_1d(X), axis=0, keepdims=True) + np.tanh(X),
    lambda X: np.max(X[..., None], axis=-1)])
def test_arrays_have_their_shapes_though_formulas_know_no_axes_of_size_1(program, shape):
    d = derive(program, X=shape)
    assert d.unconfirmed is None  # shapes are compared too
    X = np.ones([n if isinstance(n, int) else 4 for n in shape])
    if d.scalar:
        assert np.shape(d.numpy()(X)) == X.shape


KEEPDIMS = [lambda X, A: np.sum(A * np.exp(X - np.max(X, axis=1, keepdims=True))),
            lambda X, A: np.sum(A * X / np.max(np.abs(X), axis=-1, keepdims=True)),
            lambda X, A: np.sum(A * (X - np.min(X, axis=0, keepdims=True)) ** 2),
            lambda X, A: np.sum(A * X * np.prod(X, axis=(0, 1), keepdims=True)),
            lambda X, A: np.sum(A * np.max(X[:, None, :], axis=(0, 2), keepdims=True)[0])]


@pytest.mark.parametrize("program", KEEPDIMS)
def test_reductions_with_keepdims_keep_one_axis(program):
    rng = np.random.default_rng(0)
    X, A = rng.standard_normal((2, 4, 3))
    for sizes in (("m", "n"), (4, 3)):
        found = derive(program, "X", X=sizes, A=sizes).numpy()(X, A)
        np.testing.assert_allclose(found, rg.grad(program)(X, A), rtol=1e-12)


def test_a_size_may_be_a_product_of_others():
    program = lambda x, A: x @ A @ np.kron(x, x)
    d = derive(program, x=("n",), A=("n", "n*n"))
    rng = np.random.default_rng(0)
    x, A = rng.standard_normal(4), rng.standard_normal((4, 16))
    for name, place in (("x", 0), ("A", 1)):
        np.testing.assert_allclose(d.numpy()(x, A)[name], rg.grad(program, place)(x, A), rtol=1e-12)
    with pytest.raises(SizeMismatch):
        derive(program, x=("n",), A=("n", "n*m"))
    with pytest.raises(ValueError, match="the size q in the shape of A stands in products alone"):
        derive(lambda A: np.sum(A), A=("q*q",))
    assert derive(lambda A, x: A @ np.kron(x, x), "x", A=("q*q",), x=("q",)).numpy()(
        np.arange(9.), np.arange(3.)).shape == (3,)
