"""Points where a formula could go wrong although the function does not: 0, ties, branches,
removable singularities."""

import math
import tracemalloc

import numpy as np
import pytest

import refgrad as rg

pi = math.pi


def derivatives(f, x, modes="rrrr"):
    """The first, second, ... derivative at x."""
    found = []
    for mode in modes:
        f = (rg.grad(f) if mode == "r"
             else (lambda f: lambda x: rg.jvp(f, (x,), (np.ones_like(x),))[1])(f))
        found.append(float(f(x)))
    return found


@pytest.mark.parametrize("modes", ["rrrr", "ffff", "rfrf", "frfr"])
@pytest.mark.parametrize("f, x, expected", [
    (np.sinc, 0.0, [0, -pi ** 2 / 3, 0, pi ** 4 / 5]), (lambda x: x ** 2, 0.0, [0, 2, 0, 0]),
    (lambda x: x ** 3.0, 0.0, [0, 0, 6, 0]),
    (lambda x: x ** 1, 0.0, [1, 0, 0, 0]), (lambda x: x ** 0, 0.0, [0, 0, 0, 0]),
    (lambda x: x ** np.array(2.0), 0.0, [0, 2, 0, 0]),
    (lambda x: np.power(x, 3), -2.0, [12, -12, 6, 0]),
    (lambda x: np.float_power(x, 2), 0.0, [0, 2, 0, 0]),
    (lambda x: np.sqrt(x ** 2 + 1), 0.0, [0, 1, 0, -3]), (np.tanh, 0.0, [1, 0, -2, 0]),
    (np.arcsinh, 0.0, [1, 0, -1, 0]),
    (lambda x: np.hypot(x, 1.0), 0.0, [0, 1, 0, -3]),
    (lambda x: np.arctan2(x, 1.0), 0.0, [1, 0, -2, 0]),
    (lambda x: np.logaddexp(x, 0.0), 0.0, [1 / 2, 1 / 4, 0, -1 / 8]), (np.expm1, 0.0, [1, 1, 1, 1]),
    (np.log1p, 0.0, [1, -1, 2, -6]),
    (lambda x: np.prod(np.stack([x, x, np.cos(x)])), 0.0, [0, 2, 0, -12]),
    (lambda x: np.linalg.det(np.eye(2) * (1 + x)), 0.0, [2, 2, 0, 0]),
    (lambda x: np.var(np.stack([x, -x])), 0.0, [0, 2, 0, 0]),
    (rg.erf, 0.0, [2 / math.sqrt(pi), 0, -4 / math.sqrt(pi), 0]),
    (lambda x: np.abs(x) * x, 0.0, [0, 0, 0, 0]), (lambda x: np.tanh(x), 800.0, [0, 0, 0, 0]),
    (np.square, 0.0, [0, 2, 0, 0])])
def test_derivatives_to_fourth_order(f, x, expected, modes):
    np.testing.assert_allclose(derivatives(f, x, modes), expected, rtol=1e-13, atol=1e-15)


def test_products_with_zeros():
    for x, expected in [([0.0, 2.0, 3.0], [6, 0, 0]), ([0.0, 0.0, 3.0], [0, 0, 0]), ([2.0], [1]),
                        ([], [])]:
        np.testing.assert_array_equal(rg.grad(np.prod)(np.array(x)), expected)
    np.testing.assert_array_equal(rg.hessian(np.prod)(np.array([0.0, 0.0, 3.0])),
                                  [[0, 3, 0], [3, 0, 0], [0, 0, 0]])
    x = np.array([2.0, 0.0, 3.0])
    np.testing.assert_array_equal(rg.jacobian(np.cumprod)(x), [[1, 0, 0], [0, 2, 0], [0, 6, 0]])
    np.testing.assert_array_equal(rg.jacobian(np.cumprod, mode="forward")(x),
                                  [[1, 0, 0], [0, 2, 0], [0, 6, 0]])


def test_exponents():
    slope = lambda x, p: float(rg.grad(lambda p: x ** p)(p))
    assert slope(2.0, 3.0) == pytest.approx(8 * math.log(2))
    assert slope(0.0, 2.0) == 0 and slope(0.0, 0.0) == 0
    assert float(rg.grad(lambda p: 2 ** p)(3.0)) == pytest.approx(8 * math.log(2))
    assert float(rg.grad(lambda p: np.float64(2) ** p)(3.0)) == pytest.approx(8 * math.log(2))
    gx, gp = rg.grad(lambda x, p: np.sum(x ** p), (0, 1))(np.array([0.0, 0.0, 2.0]),
                                                          np.array([0.0, 1.0, -1.0]))
    np.testing.assert_allclose(gx, [0, 1, -0.25])
    np.testing.assert_allclose(gp, [0, 0, math.log(2) / 2])


def test_ties():
    x = np.array([[1.0, 3.0, 3.0, 3.0], [2.0, 2.0, 0.0, 1.0]])
    found = rg.grad(lambda x: np.sum(np.max(x, axis=1)))(x)
    np.testing.assert_allclose(found, [[0, 1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0, 0]])
    np.testing.assert_allclose(rg.grad(lambda x: np.max(x))(np.zeros((2, 2))),
                               np.full((2, 2), 0.25))
    a, b = rg.grad(lambda a, b: np.sum(np.maximum(a, b)), (0, 1))(np.array([1.0, 2.0, 3.0]), 2.0)
    np.testing.assert_array_equal(a, [0, 0.5, 1])
    assert b == 1.5
    assert rg.grad(lambda x: np.maximum(x, x))(2.0) == 1
    found = rg.grad(lambda x: np.sort(x) @ np.array([1.0, 2.0, 3.0]))(np.array([2.0, 1.0, 1.0]))
    np.testing.assert_array_equal(found, [3, 1, 2])


def test_at_the_bounds_of_clip():
    x = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    gx, low, high = rg.grad(lambda x, a, b: np.sum(np.clip(x, a, b)), (0, 1, 2))(x, -1.0, 1.0)
    np.testing.assert_array_equal(gx, [0, 1, 1, 1, 0])
    assert (low, high) == (1, 1)
    crossed = rg.grad(lambda x, a, b: np.clip(x, a, b), (0, 1, 2))(0.5, 2.0, 1.0)
    assert crossed == (0, 0, 1)  # the upper bound wins
    assert (rg.grad(lambda x: np.clip(x, None, 1.0))(2.0) == 0
            and rg.grad(lambda x: np.clip(x, 0.0, None))(2.0) == 1)


def test_norms_at_zero():
    for ord in (None, 2, 1, 3, 1.5, np.inf):
        for f in (lambda x: np.linalg.norm(x, ord),
                  lambda x: np.sum(np.linalg.norm(x[None], ord, axis=1))):
            np.testing.assert_array_equal(rg.grad(f)(np.zeros(3)), np.zeros(3))
            assert rg.jvp(f, (np.zeros(3),), (np.ones(3),))[1] == 0
    np.testing.assert_array_equal(rg.grad(np.std)(np.full(3, 7.0)), np.zeros(3))


def test_the_determinant_of_a_stack_and_its_logarithm():
    a = np.stack([np.diag([1.0, -2.0]), np.eye(2)])
    sign, log = rg.jvp(lambda a: np.linalg.slogdet(a)[1], (a,), (a,))
    np.testing.assert_allclose(log, [2, 2])
    np.testing.assert_allclose(rg.grad(lambda a: np.sum(np.linalg.det(a)))(a),
                               [np.diag([-2.0, 1.0]), np.eye(2)])
    pair = rg.vjp(np.linalg.slogdet, a)[0]
    np.testing.assert_array_equal(pair.sign, [-1, 1])


def test_the_gradient_of_cholesky_is_symmetric():
    a = np.array([[4.0, 1.0], [1.0, 3.0]])
    g = rg.grad(lambda a: np.sum(np.linalg.cholesky(a)))(a)
    np.testing.assert_array_equal(g, g.T)
    # L = [[2, 0], [1/2, sqrt 11 / 2]]
    assert (float(rg.jvp(lambda a: np.linalg.cholesky(a)[0, 0], (a,), (np.diag([1.0, 0.0]),))[1])
            == pytest.approx(0.25))


def test_einsum_in_all_its_forms():
    rng = np.random.default_rng(0)
    a, b, c = (rng.standard_normal((3, 3)), rng.standard_normal((3, 4)),
               rng.standard_normal((2, 3, 4)))
    forms = {
        "ii": (a,), "ii->i": (a,), "ij->": (b,), "ij->ji": (b,), "ij": (b,), "ji": (b,),
        "ij,jk": (a, b), "ij,ij->": (a, a), "i...,i...->...": (b, b), "...ij->...ji": (c,),
        "...ij,jk->...ik": (c, b.T), "bij,ij,jj->b": (c[..., :3], a, a), "i,j": (a[0], b[0]),
        "ij , jk -> ki": (a, b), "iij->j": (c[:, :2, :3],), "i->": (a[0],),
        ",i->i": (np.array(2.0), a[0]), "ij,ik,il->jkl": (a, b, b), "...,...": (a, a)}
    for subscripts, arrays in forms.items():
        for optimize in (False, True):
            f = lambda *x: np.einsum(subscripts, *x, optimize=optimize)
            np.testing.assert_allclose(rg.vjp(f, *arrays)[0], f(*arrays), rtol=1e-12, atol=1e-14,
                                       err_msg=subscripts)
            j = rg.jacobian(f, tuple(range(len(arrays))))(*arrays)
            for slope, x in zip(j, arrays):
                # f is linear in each array: its Jacobian, applied to the array itself, is f
                np.testing.assert_allclose(np.tensordot(slope, x, np.ndim(x)), f(*arrays),
                                           rtol=1e-11, atol=1e-13, err_msg=subscripts)


def test_the_slope_of_a_power_changes_with_the_exponent_also_at_0():
    """d/dp (p x^(p-1)) = x^(p-1) (1 + p log x), which is 1/x at p = 0."""
    slope = rg.grad(lambda x, p: x ** p)
    assert rg.grad(slope, 1)(np.array(2.0), np.array(0.0)) == 0.5
    assert rg.grad(slope, 1)(np.array(2.0), np.array(1.0)) == 1 + np.log(2.0)


@pytest.mark.parametrize("x, slopes", [(-1.0, (0, 1, 0)), (0.0, (1, 0, 0)), (1.0, (0, 0, 1))])
def test_between_equal_bounds_one_argument_alone_is_followed(x, slopes):
    """All three moved together, the result moves with them: the slopes add up to 1."""
    found = rg.grad(lambda x, low, high: np.clip(x, low, high),
                    (0, 1, 2))(np.array(x), np.array(0.0), np.array(0.0))
    assert tuple(map(float, found)) == slopes


@pytest.mark.parametrize("ord", [1, np.inf])
def test_norms_of_nothing_are_0(ord):
    value, (gradient,) = rg.vjp(lambda x: np.linalg.norm(x, ord), np.zeros((0, 3)))[0], rg.vjp(
        lambda x: np.linalg.norm(x, ord), np.zeros((0, 3)))[1](np.array(1.0))
    assert value == np.linalg.norm(np.zeros((0, 3)), ord) == 0 and gradient.shape == (0, 3)


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_the_determinant_of_a_singular_matrix_has_its_cofactors_as_slopes(mode):
    a = np.array([[[1.0, 2.0], [2.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]])
    slopes = rg.jacobian(np.linalg.det, mode=mode)(a)
    np.testing.assert_allclose(slopes[0, 0], [[4, -2], [-2, 1]], rtol=1e-14)
    assert not slopes[1, 1].any() and not slopes[1, 0].any() and not slopes[0, 1].any()
    flat = rg.hessian(lambda x: np.linalg.det(np.reshape(x, (2, 2))))(np.zeros(4))
    np.testing.assert_allclose(flat, np.fliplr(np.diag([1.0, -1.0, -1.0, 1.0])), rtol=1e-14)
    assert rg.grad(np.linalg.det)(np.zeros((1, 1))) == 1


SQUARES = {
    "norm ** 2": lambda x: np.linalg.norm(x) ** 2,
    "np.square(norm)": lambda x: np.square(np.linalg.norm(x)),
    "norm * norm": lambda x: (lambda n: n * n)(np.linalg.norm(x)),
    "np.power(norm, 2.0)": lambda x: np.power(np.linalg.norm(x), 2.0),
    "norms of rows": lambda x: np.sum(np.linalg.norm(x[None], axis=1, keepdims=True) ** 2),
    "Frobenius norm": lambda x: np.linalg.norm(x[:, None], "fro") ** 2,
    "hypot ** 2": lambda x: np.hypot(x[0], x[1]) ** 2, "abs ** 2": lambda x: np.sum(np.abs(x) ** 2),
    "1 - exp(-norm ** 2)": lambda x: 1 - np.exp(-np.linalg.norm(x) ** 2),
    "std ** 2": lambda x: np.sum(np.std(np.stack([x, -x]), axis=0) ** 2),
}


@pytest.mark.parametrize("name", SQUARES)
def test_squares_of_roots_are_smooth_at_the_kink(name):
    f, zero, v = SQUARES[name], np.zeros(2), np.array([1.0, 2.0])
    np.testing.assert_array_equal(rg.grad(f)(zero), 0)
    np.testing.assert_array_equal(rg.hessian(f)(zero), 2 * np.eye(2))
    np.testing.assert_array_equal(rg.jit(rg.hessian(f))(zero), 2 * np.eye(2))
    np.testing.assert_array_equal(rg.grad(lambda x: rg.grad(f)(x) @ v)(zero), 2 * v)
    np.testing.assert_array_equal(rg.grad(lambda x: rg.jvp(f, (x,), (v,))[1])(zero), 2 * v)
    assert rg.jvp(lambda x: rg.jvp(f, (x,), (v,))[1], (zero,), (v,))[1] == 10


def test_a_root_forgets_its_square_when_it_is_overwritten():
    def f(x):
        n = np.hypot(x, 1.0)
        n += x
        return np.sum(n ** 2)

    def g(x):
        n = np.abs(x)
        n[0] = 3.0 * x[0]
        return np.sum(n ** 2)

    x = np.array([2.0, 0.5])
    y = np.hypot(x, 1)
    np.testing.assert_allclose(rg.grad(f)(x), 2 * (y + x) * (x / y + 1))
    np.testing.assert_allclose(rg.grad(g)(x), [18 * 2.0, 1.0])


def test_a_root_keeps_its_square_when_its_argument_is_overwritten():
    def f(x):
        x = np.copy(x)
        n = np.linalg.norm(x)
        x *= 3
        return n ** 2

    np.testing.assert_array_equal(rg.grad(f)(np.array([1.0, -2.0])), [2, -4])


@pytest.mark.parametrize("f", [np.linalg.norm, lambda x: np.hypot(x[0], x[1]),
                               lambda x: np.linalg.norm(x[None], axis=1)[0]])
def test_a_root_itself_is_infinitely_curved_at_its_kink(f):
    """Not 0, which would be a wrong number without a warning; what does not move has no slope there
    all the same."""
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(rg.hessian(f)(np.zeros(2)), np.diag([np.inf, np.inf]))
        assert rg.hvp(f, (np.zeros(2),), (np.zeros(2),))[0].tolist() == [0, 0]
        rows = rg.hvp(lambda w: np.sum(np.linalg.norm(np.array([[0.0, 0.0], [3.0, 4.0]]) * w,
                                                      axis=1)),
                      (np.ones(2),), (np.array([1.0, 0.0]),))[0]
    np.testing.assert_allclose(rows, [9 / 5 - 81 / 125, -9 * 16 / 125])


def test_cofactors_to_any_order_of_matrices_that_are_nearly_singular():
    rng = np.random.default_rng(0)
    U, V = (np.linalg.qr(rng.standard_normal((5, 5)))[0] for _ in range(2))
    s, a, _ = np.array([2, 1.5, 1.25, 1]), *rng.standard_normal((2, 5, 5))
    for least in (0, 1e-13, 1e-9, 1e-5, 1e-2):
        A = U @ np.diag([*s, least]) @ V.T
        for scale in (1.0, 2.0 ** -160, 2.0 ** 180):  # of which the determinant under- or overflows
            sign = np.linalg.det(U) * np.linalg.det(V)
            wanted = sign * U @ np.diag([*(least * np.prod(s) / s), np.prod(s)]) @ V.T
            found = np.ldexp(rg.grad(np.linalg.det)(A * scale), -4 * int(np.log2(scale)))
            np.testing.assert_allclose(found, wanted, atol=1e-13)
        # A straight line through matrices: the determinant along it is a polynomial, known by its
        # values elsewhere.
        t = np.linspace(-1, 1, 12)
        line = np.polynomial.Polynomial.fit(t, [np.linalg.det(A + x * a) for x in t], 5,
                                            domain=[-1, 1])
        f = lambda x: np.linalg.det(A + x * a)
        for order in range(1, 5):
            f = rg.grad(f) if order % 2 else (lambda f: lambda x: rg.jvp(f, (x,), (1.0,))[1])(f)
            assert float(f(np.array(0.0))) == pytest.approx(line.deriv(order)(0.0), rel=1e-9)


def test_the_cofactors_of_a_large_singular_matrix_take_little_memory():
    A = np.ones((150, 150))
    tracemalloc.start()
    g = rg.grad(np.linalg.det)(A + np.diag(np.arange(150.0)) * 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert not g.any() or np.max(np.abs(g)) < 1e-9
    assert peak < 150 * 150 * 8 * 1000
