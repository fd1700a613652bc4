"""custom: the user's own primitives."""

import numpy as np
import pytest

import refgrad as rg

from . import checks

X = np.array([0.3, -1.2, 0.7])


def swish():
    @rg.custom
    def swish(x, beta):
        """x / (1 + e^(-beta x))"""
        return x / (1 + np.exp(-beta * x))

    def slopes(x, beta):
        s = 1 / (1 + np.exp(-beta * x))
        return s + beta * x * s * (1 - s), x * x * s * (1 - s)

    @swish.def_jvp
    def forward(tangents, y, x, beta):
        dx, dbeta = slopes(x, beta)
        return dx * tangents[0] + dbeta * tangents[1]

    @swish.def_vjp
    def reverse(g, y, x, beta):
        dx, dbeta = slopes(x, beta)
        return g * dx, g * dbeta

    return swish


def test_a_custom_function_is_like_any_other():
    f = swish()
    rng = np.random.default_rng(0)
    args = (X, np.array(1.5))
    checks.agrees_with_numpy(f, args)
    checks.is_dual(f, args, rng)
    checks.jacobians_agree(f, args)
    checks.matches_differences(f, args, rng)
    checks.second_derivatives_agree(f, args, rng)
    checks.owns_its_results(f, args, rng)
    checks.stays_in_float32(f, args, rng)
    assert f.__doc__ == "x / (1 + e^(-beta x))" and f.name == "swish"
    assert f not in rg.primitive.TABLE and "swish" not in dict(rg.functions())


def test_the_rules_are_used_in_place_of_the_function():
    @rg.custom
    def straight_through(x):
        return np.round(x)

    straight_through.def_vjp(lambda g, y, x: g)
    straight_through.def_jvp(lambda tangents, y, x: tangents[0])
    np.testing.assert_array_equal(rg.grad(lambda x: np.sum(straight_through(x) * 2))(X), [2, 2, 2])
    np.testing.assert_array_equal(rg.jvp(straight_through, (X,), (X,)), (np.round(X), X))


def test_parameters_are_keywords_and_none_is_zero():
    @rg.custom
    def scaled(x, index, *, factor):
        return x[index] * factor

    @scaled.def_vjp
    def _(g, y, x, index, *, factor):
        c = np.zeros_like(x)
        c[index] = g * factor
        return c, None

    np.testing.assert_array_equal(rg.grad(lambda x: scaled(x, 1, factor=3.0))(X), [0, 3, 0])
    assert scaled(X, 1, factor=3.0) == X[1] * 3
    np.testing.assert_array_equal(
        rg.grad(lambda s: np.sum(scaled(X * s, 1, factor=3.0) * 0 + s))(2.0), 1)


def test_broadcast_cotangents_are_summed():
    @rg.custom
    def add(x, y):
        return x + y

    add.def_vjp(lambda g, out, x, y: (g, g))
    gx, gy = rg.grad(lambda x, y: np.sum(add(x, y)), (0, 1))(X, 1.0)
    np.testing.assert_array_equal(gx, np.ones(3))
    assert gy == 3 and gy.shape == ()


def test_a_rule_may_return_an_array_that_it_keeps():
    kept = np.array([1.0, 2.0, 3.0])
    f = rg.custom(lambda x: x * kept)
    f.def_vjp(lambda g, y, x: kept)
    f.def_jvp(lambda tangents, y, x: kept)
    rg.vjp(f, X)[1](np.ones(3))[0][:] = 0
    rg.jvp(f, (X,), (np.ones(3),))[1][:] = 0
    g = rg.grad(lambda x: np.sum(f(x) + f(x)))(X)
    np.testing.assert_array_equal(g, [2, 4, 6])
    np.testing.assert_array_equal(kept, [1, 2, 3])


def test_a_rule_in_another_precision():
    wide = np.array([1.0, 2.0, 3.0])
    f = rg.custom(lambda x: x * 2)
    f.def_vjp(lambda g, y, x: g * wide)
    f.def_jvp(lambda tangents, y, x: tangents[0] * wide)
    x = X.astype(np.float32)
    g, (y, t) = rg.vjp(f, x)[1](x)[0], rg.jvp(f, (x,), (x,))
    assert g.dtype == y.dtype == t.dtype == np.float32
    np.testing.assert_array_equal(g, t)


def test_in_both_modes_of_every_order():
    f = swish()
    third = rg.grad(rg.grad(rg.grad(lambda x: f(x, 1.0))))(0.5)
    plain = rg.grad(rg.grad(rg.grad(lambda x: x / (1 + np.exp(-x)))))(0.5)
    assert float(third) == pytest.approx(float(plain), rel=1e-12)


def without_rules():
    return rg.custom(lambda x: x * 2)


def test_missing_rules():
    with pytest.raises(NotImplementedError, match=r"reverse mode needs its vjp.*def_vjp"):
        rg.grad(lambda x: np.sum(without_rules()(x)))(X)
    with pytest.raises(NotImplementedError, match=r"forward mode needs its jvp.*def_jvp"):
        rg.jvp(without_rules(), (X,), (X,))


def test_wrong_rules():
    def with_rules(vjp=None, jvp=None, f=lambda x, y: x * y):
        f.__name__ = "product"
        c = rg.custom(f)
        c.def_vjp(vjp)
        c.def_jvp(jvp)
        return lambda x: np.sum(c(x, X))

    with pytest.raises(ValueError,
                       match=r"custom product: its vjp returned 1 cotangents; expected 2"):
        rg.grad(with_rules(vjp=lambda g, y, *arrays: g))(X)
    with pytest.raises(ValueError, match=r"the vjp of product gave a cotangent of shape \(2,\) for "
                                         r"argument 0.*\(3,\)"):
        rg.grad(with_rules(vjp=lambda g, y, *arrays: (g[:2], g)))(X)
    with pytest.raises(ValueError,
                       match=r"custom product: its jvp returned shape \(2,\); expected \(3,\)"):
        rg.jvp(with_rules(jvp=lambda v, y, *arrays: v[0][:2]), (X,), (X,))
    with pytest.raises(TypeError, match=r"custom product: a rule is called as vjp\(g, y, "
                                        r"\*arrays.* the 2 that"):
        rg.grad(with_rules(vjp=lambda g, x, y: (g, g)))(X)
    with pytest.raises(TypeError, match=r"custom product: a rule is called as jvp\(tangents, y, "
                                        r"\*arrays.* the 2 that"):
        rg.jvp(with_rules(jvp=lambda v, x, y: v[0]), (X,), (X,))
    with pytest.raises(TypeError, match="^unsupported operand"):
        rg.grad(with_rules(vjp=lambda g, y, *arrays: None + 1))(X)
    with pytest.raises(TypeError, match=r"custom pair: .* returned tuple; expected one array"):
        pair = lambda x: (x, x)
        pair.__name__ = "pair"
        rg.grad(lambda x: np.sum(rg.custom(pair)(x)[0]))(X)
    with pytest.raises(TypeError, match="custom: expected a function, got float64"):
        rg.custom(X)


def test_a_traced_parameter_is_an_error():
    f = rg.custom(lambda x, *, beta: x * beta)
    f.def_vjp(lambda g, y, x, *, beta: g * beta)
    with pytest.raises(TypeError, match=r"the parameter beta= of <lambda> was given float64\[\]"):
        rg.grad(lambda b: np.sum(f(X, beta=b)))(2.0)
    with pytest.raises(TypeError, match=r"the parameter beta= of <lambda> was given float64\[\]"):
        rg.grad(lambda b: np.sum(f(X * b, beta=b)))(2.0)
