"""grad, value_and_grad, vjp, jvp, jacobian, hessian, hvp: what they return, and that they nest in
every order."""

import itertools
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest

import refgrad as rg

from . import checks

RNG = np.random.default_rng(11)
X = RNG.standard_normal((4, 3))
W = RNG.standard_normal((3, 2))
Y = RNG.standard_normal((4, 2))


def loss(w, b, x=X, y=Y):
    return np.sum((np.tanh(x @ w) + b - y) ** 2) / 2


def loss_gradient(w, b):
    h = np.tanh(X @ w)
    r = h + b - Y
    return X.T @ (r * (1 - h * h)), np.sum(r, axis=0)


B = np.array([0.5, -1.0])

# What comes back


def test_grad_matches_the_formula():
    np.testing.assert_allclose(rg.grad(loss)(W, B), loss_gradient(W, B)[0], rtol=1e-13)
    np.testing.assert_allclose(rg.grad(loss, 1)(W, B), loss_gradient(W, B)[1], rtol=1e-13)


@pytest.mark.parametrize("argnums", [0, 1, -1, -2, np.int64(1), (0, 1), (1, 0), (1,), (-1, 0)])
def test_argnums(argnums):
    expected = loss_gradient(W, B)
    found = rg.grad(loss, argnums)(W, B)
    if isinstance(argnums, tuple):
        assert isinstance(found, tuple) and len(found) == len(argnums)
        for k, g in zip(argnums, found):
            np.testing.assert_allclose(g, expected[k], rtol=1e-13)
    else:
        np.testing.assert_allclose(found, expected[argnums], rtol=1e-13)


def test_value_and_grad_in_one_pass():
    calls = []

    def counted(w):
        calls.append(1)
        return loss(w, B)

    value, g = rg.value_and_grad(counted)(W)
    assert value == loss(W, B) and len(calls) == 1
    np.testing.assert_array_equal(g, rg.grad(loss)(W, B))


def test_keyword_arguments_are_passed_on():
    np.testing.assert_array_equal(rg.grad(loss)(W, b=B, y=Y * 2),
                                  rg.grad(lambda w: loss(w, B, y=Y * 2))(W))


def with_aux(x):
    return np.sum(x ** 3), {"square": x ** 2, "name": "aux", "count": 3, "input": x}


def test_has_aux():
    x = np.array([1.0, 2.0])
    value, gradient = np.sum(x ** 3), 3 * x ** 2
    results = [rg.grad(with_aux, has_aux=True)(x)]
    (v, aux), g = rg.value_and_grad(with_aux, has_aux=True)(x)
    results.append((g, aux))
    assert v == value
    v, pull, aux = rg.vjp(with_aux, x, has_aux=True)
    results.append((pull(1.0)[0], aux))
    assert v == value
    v, t, aux = rg.jvp(with_aux, (x,), (np.array([1.0, 0.0]),), has_aux=True)
    assert v == value and t == gradient[0]
    results.append((gradient, aux))
    for g, aux in results:
        np.testing.assert_array_equal(g, gradient)
        assert type(aux["square"]) is np.ndarray
        np.testing.assert_array_equal(aux["square"], x ** 2)
        assert (aux["name"], aux["count"]) == ("aux", 3)
        aux["input"][:] = 7  # a copy: the argument stays as it was
    np.testing.assert_array_equal(x, [1, 2])


def test_overwriting_aux_and_value_leaves_the_pull_alone():
    def f(x):
        y = np.exp(x)
        return y * 2, y

    x = np.array([0.0, 1.0])
    value, pull, aux = rg.vjp(f, x, has_aux=True)
    value[:] = aux[:] = x[:] = np.nan
    np.testing.assert_array_equal(pull(np.ones(2))[0], 2 * np.exp([0.0, 1.0]))


class Point(NamedTuple):
    x: np.ndarray
    y: np.ndarray


@dataclass
class Layer:
    weight: np.ndarray
    bias: list


def test_nests_of_arguments_and_results():
    params = {"layers": [Layer(W, [B, 2.0]), (np.ones(2), None)],
              "point": Point(np.array(1.5), np.array([2.0, 3.0]))}

    def f(p):
        layer, (scale, nothing) = p["layers"]
        assert nothing is None
        h = scale * (X @ layer.weight + layer.bias[0] * layer.bias[1])
        return {"h": h, "rest": Point(p["point"].x * p["point"].y, [np.sum(h)])}

    def scalar(p):
        y = f(p)
        return np.sum(y["h"] ** 2) + np.sum(y["rest"].x ** 3) + y["rest"].y[0]

    g = rg.grad(scalar)(params)
    assert (isinstance(g["layers"][0], Layer) and isinstance(g["point"], Point)
            and g["layers"][1][1] is None)
    np.testing.assert_allclose(g["point"].x, 3 * 1.5 ** 2 * np.sum(np.array([2.0, 3.0]) ** 3))
    assert g["layers"][0].bias[1].shape == ()

    v = rg.tree_map(lambda x: checks.like(np.random.default_rng(1), x), params)
    value, tangent = rg.jvp(f, (params,), (v,))
    assert isinstance(tangent["rest"], Point) and tangent["h"].shape == (4, 2)
    _, pull = rg.vjp(f, params)
    cotangent = rg.tree_map(lambda y: checks.like(np.random.default_rng(2), y), value)
    checks.close(checks.inner(pull(cotangent), (v,)), checks.inner(cotangent, tangent), "duality")

    for mode in ("reverse", "forward"):
        j = rg.jacobian(f, mode=mode)(params)
        assert j["h"]["layers"][0].weight.shape == (4, 2, 3, 2)
        assert j["rest"].y[0]["point"].y.shape == (2,)
        checks.close(j["rest"].x["point"].x, [2.0, 3.0], "Jacobian")


def test_dicts_may_list_their_keys_in_any_order():
    f = lambda p: {"sum": p["a"] + p["b"], "product": p["a"] * p["b"]}
    p = {"a": 2.0, "b": 3.0}
    assert rg.jvp(f, (p,), ({"b": 1.0, "a": 0.0},))[1] == {"sum": 1, "product": 2}
    assert rg.vjp(f, p)[1]({"product": 1.0, "sum": 0.0}) == ({"a": 3, "b": 2},)


def test_a_result_that_does_not_depend_on_the_argument():
    x = np.array([1.0, 2.0])
    constant = np.array([3.0, 4.0])
    np.testing.assert_array_equal(rg.grad(lambda x: np.sum(constant))(x), [0, 0])
    np.testing.assert_array_equal(rg.grad(lambda x: 5)(x), [0, 0])
    value, tangent = rg.jvp(lambda x: (constant, x), (x,), (x,))
    np.testing.assert_array_equal(tangent[0], [0, 0])
    np.testing.assert_array_equal(rg.jacobian(lambda x: constant)(x), np.zeros((2, 2)))
    np.testing.assert_array_equal(rg.jacobian(lambda x: constant, mode="forward")(x),
                                  np.zeros((2, 2)))


def test_the_identity():
    x = np.array([1.0, 2.0])
    value, pull = rg.vjp(lambda x: x, x)
    np.testing.assert_array_equal(pull(np.array([3.0, 4.0]))[0], [3, 4])
    np.testing.assert_array_equal(rg.jacobian(lambda x: x, mode="forward")(x), np.eye(2))


def test_an_argument_used_twice_and_a_result_returned_twice():
    x = np.array([1.0, 2.0])
    f = lambda x: (lambda y: [y, y])(x * x)
    np.testing.assert_array_equal(rg.vjp(f, x)[1]([np.ones(2), np.ones(2)])[0], 4 * x)
    np.testing.assert_array_equal(rg.grad(lambda a, b: np.sum(a * b), (0, 1))(x, x), (x, x))


def test_jacobian_and_hessian_of_known_functions():
    a = RNG.standard_normal((3, 3))
    x = RNG.standard_normal(3)
    for how in ({"mode": "reverse"}, {"mode": "forward"}, {"mode": "forward", "batched": False}):
        np.testing.assert_allclose(rg.jacobian(lambda x: a @ x, **how)(x), a, rtol=1e-14)
        j = rg.jacobian(lambda x, y: x * y, (0, 1), **how)(x, x + 1)
        np.testing.assert_allclose(j[0], np.diag(x + 1))
        np.testing.assert_allclose(j[1], np.diag(x))
        assert rg.jacobian(lambda x: np.sum(x), **how)(x).shape == (3,)
        assert rg.jacobian(lambda x: x[:0], **how)(x).shape == (0, 3)
        assert (rg.jacobian(lambda x: np.sum(x) * np.ones(2), **how)(np.ones((0, 4))).shape
                == (2, 0, 4))
    np.testing.assert_allclose(rg.hessian(lambda x: x @ a @ x)(x), a + a.T, rtol=1e-13)
    h = rg.hessian(lambda p: p["x"] @ a @ p["x"] * p["s"])({"x": x, "s": 2.0})
    np.testing.assert_allclose(h["x"]["s"], (a + a.T) @ x, rtol=1e-13)
    np.testing.assert_allclose(h["s"]["x"], (a + a.T) @ x, rtol=1e-13)
    h = rg.hessian(lambda x, y: np.sum(x * y * y), (0, 1))(x, x)
    np.testing.assert_allclose(h[1][0], np.diag(2 * x))


def test_hvp():
    a = RNG.standard_normal((3, 3))
    x, v = RNG.standard_normal((2, 3))
    np.testing.assert_allclose(rg.hvp(lambda x: x @ a @ x, (x,), (v,))[0], (a + a.T) @ v,
                               rtol=1e-13)
    hx, hy = rg.hvp(lambda x, y: np.sum(x * y), (x, x), (v, 2 * v))
    np.testing.assert_allclose(hx, 2 * v)
    np.testing.assert_allclose(hy, v)


def test_names_and_documentation():
    def mine(x):
        """My documentation."""
        return np.sum(x)

    for transform in (rg.grad, rg.value_and_grad, rg.jacobian, rg.checkpoint):
        assert transform(mine).__doc__ == "My documentation."
        assert transform(mine).__name__ == f"{transform.__name__}(mine)"


# Nesting


def d_reverse(f):
    return rg.grad(f)


def d_forward(f):
    return lambda x: rg.jvp(f, (x,), (np.ones_like(x),))[1]


def d_pull(f):
    return lambda x: rg.vjp(f, x)[1](np.ones_like(x))[0]


def d_jacobian(f):
    return rg.jacobian(f, mode="forward")


def d_checkpoint(f):
    return rg.grad(rg.checkpoint(f))


DERIVATIVES = [d_reverse, d_forward, d_pull, d_jacobian, d_checkpoint]
named = lambda d: "".join(x.__name__[2] for x in (d if isinstance(d, tuple) else (d,)))


@pytest.mark.parametrize("modes",
                         [m for n in (1, 2, 3) for m in itertools.product(DERIVATIVES, repeat=n)]
                         + list(itertools.product([d_reverse, d_forward], repeat=4)), ids=named)
def test_derivatives_of_all_orders_in_all_mixtures(modes):
    def nth(f):
        for d in modes:
            f = d(f)
        return f

    n, x = len(modes), 0.75
    assert float(nth(lambda x: np.exp(2 * x))(x)) == pytest.approx(2 ** n * math.exp(1.5),
                                                                   rel=1e-13)
    assert float(nth(lambda x: x ** 5)(x)) == pytest.approx(math.perm(5, n) * x ** (5 - n),
                                                            rel=1e-13)
    assert float(nth(np.sin)(x)) == pytest.approx(math.sin(x + n * math.pi / 2), rel=1e-13)
    assert float(nth(lambda x: 1 / x)(x)) == pytest.approx(
        (-1) ** n * math.factorial(n) / x ** (n + 1), rel=1e-13)
    assert float(nth(lambda x: x * np.log(x))(x)) == pytest.approx(
        {1: math.log(x) + 1}.get(n, (-1) ** n * math.factorial(max(n - 2, 0)) / x ** (n - 1)),
        rel=1e-13)


# The inner functions below close over the outer variable, which checkpoint forbids in the inner
# place.
@pytest.mark.parametrize("outer, inner", list(itertools.product(DERIVATIVES, DERIVATIVES[:-1])),
                         ids=named)
class TestPerturbationConfusion:
    """Siskind and Pearlmutter's traps: the inner derivative must not see the outer one's
    perturbation."""

    def test_product_with_the_derivative_of_a_sum(self, outer, inner):
        # d/dx x (d/dy (x + y)) = d/dx x = 1; confusion gives 2
        assert float(outer(lambda x: x * inner(lambda y: x + y)(1.0))(1.0)) == 1

    def test_constant_inner_function(self, outer, inner):
        assert float(outer(lambda x: x * inner(lambda y: x * 1.0)(2.0))(3.0)) == 0

    def test_inner_at_the_outer_point(self, outer, inner):
        # d/dx x d/dy (x y^2) at y = x: d/dx 2 x^3 = 6 x^2
        assert float(outer(lambda x: x * inner(lambda y: x * y * y)(x))(3.0)) == 54

    def test_inner_at_a_function_of_the_outer_point(self, outer, inner):
        # d/dx [d/dy sin(x y) at y = x^2] = d/dx x cos(x^3) = cos x^3 - 3 x^3 sin x^3
        found = outer(lambda x: inner(lambda y: np.sin(x * y))(x * x))(0.5)
        assert float(found) == pytest.approx(math.cos(0.125) - 0.375 * math.sin(0.125), rel=1e-14)

    def test_three_levels(self, outer, inner):
        # d/dx x d/dy y d/dz (x y z) = d/dx x 2 x y
        f = lambda x: x * inner(lambda y: y * inner(lambda z: x * y * z)(5.0))(2.0)
        assert float(outer(f)(3.0)) == 2 * 2 * 3 * 2

    def test_function_returning_a_closure(self, outer, inner):
        # Amazing bug: (d/dx)(x -> f -> f') keeps its perturbation while the inner derivative runs
        def shift(offset):
            return lambda f: lambda z: f(z + offset)

        def derivative_of_shift(f):
            return lambda z: inner(lambda offset: shift(offset)(f)(z))(0.0)

        twice = derivative_of_shift(derivative_of_shift(np.exp))
        assert float(twice(0.5)) == pytest.approx(math.exp(0.5), rel=1e-14)
        mixed = outer(derivative_of_shift(np.exp))
        assert float(mixed(0.5)) == pytest.approx(math.exp(0.5), rel=1e-14)

    def test_pull_inside_another_transform(self, outer, inner):
        def f(x):
            _, pull = rg.vjp(lambda y: y * y * x, x)   # pull(g) = 2 x y g = 2 x^2 g
            # d/dg 2 x^3 g^2 = 4 x^3 g at g = x: 4 x^4
            return inner(lambda g: pull(g * g)[0] * x)(x)

        assert float(outer(f)(2.0)) == 16 * 2 ** 3

    def test_pull_of_the_outer_argument_inside_the_inner_function(self, outer, inner):
        def f(x):
            return inner(lambda y: rg.vjp(lambda z: np.sin(z) * x * y, y)[1](x)[0])(x)

        # x^2 d/dy (y cos y) ... with y the parameter and z the variable:
        #     d/dz = cos(z) x y, times x, at z = y
        x = 0.7
        expected = lambda x: x * x * (math.cos(x) - x * math.sin(x))
        derivative = 2 * x * (math.cos(x) - x * math.sin(x)) + x * x * (
            -2 * math.sin(x) - x * math.cos(x))
        assert float(f(x)) == pytest.approx(expected(x), rel=1e-13)
        assert float(outer(f)(x)) == pytest.approx(derivative, rel=1e-13)


def test_a_level_opened_later_but_returned_from_earlier():
    """The tangent of an outer transform meets a tape that is already closed."""
    value, pull = rg.vjp(np.exp, 1.0)
    assert float(rg.grad(lambda g: pull(g * g)[0])(3.0)) == pytest.approx(6 * math.e)
    assert float(rg.jvp(lambda g: pull(g)[0] * g, (3.0,), (1.0,))[1]) == pytest.approx(6 * math.e)


def test_jacobian_of_jacobian():
    f = lambda x: np.array([1.0, 2.0, 3.0]) * np.sum(x ** 3)
    x = np.array([1.0, 2.0])
    expected = np.einsum("i,jk->ijk", [1.0, 2.0, 3.0], np.diag(6 * x))
    for a, b in itertools.product(("reverse", "forward"), repeat=2):
        for batched in (True, False):
            found = rg.jacobian(rg.jacobian(f, mode=a, batched=batched), mode=b, batched=batched)(x)
            np.testing.assert_allclose(found, expected)


def test_third_derivative_as_a_tensor():
    f = lambda x: np.prod(x) ** 2
    x = np.array([1.0, 2.0, 3.0])
    third = rg.jacobian(rg.hessian(f))(x)
    for i, j, k in itertools.permutations(range(3)):
        assert third[i, j, k] == pytest.approx(8 * np.prod(x))


def test_a_fixed_point_differentiated_through_its_own_gradient_steps():
    """A gradient inside a loop inside a gradient: one step of descent on (w - s)^2 / 2 with rate r,
    three times."""
    def train(r):
        w = np.array(4.0)
        for _ in range(3):
            w = w - r * rg.grad(lambda w: (w - 1) ** 2 / 2)(w)
        return w

    # w_3 - 1 = 3 (1 - r)^3
    assert float(rg.grad(train)(0.1)) == pytest.approx(-9 * 0.9 ** 2)
    assert float(rg.grad(rg.grad(train))(0.1)) == pytest.approx(18 * 0.9)


def test_levels_are_independent_of_data_dependent_branches():
    f = lambda x: x * x if x > 1 else 3 * x
    assert [float(rg.grad(f)(x)) for x in (0.5, 2.0)] == [3, 4]
    assert [float(rg.grad(rg.grad(f))(x)) for x in (0.5, 2.0)] == [0, 2]
