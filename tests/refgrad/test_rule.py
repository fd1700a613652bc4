"""Rules name what they read."""

import numpy as np
import pytest

import refgrad as rg
from refgrad.primitive import TABLE, Each, Primitive, elementwise

X = np.array([0.5, -1.5, 2.0])


def scaled(vjp):
    return Primitive(None, "y = k x", name="scaled", forward=lambda x, k: k * x, vjp=(vjp,))


@pytest.mark.parametrize("vjp, reads", [
    (lambda g: 3 * g, set()), (lambda g, k: k * g, set()), (lambda h, y, x: y / x * h, {0, 1}),
    (lambda g, k, y, x_shape, y_shape: k * g * np.ones(x_shape) + 0 * y * np.ones(y_shape), {0}),
    (lambda g, k, other=1: k * g * other, set())])
def test_a_rule_gets_what_it_names(vjp, reads):
    f = scaled(vjp)
    assert f.vjp[0].reads == reads
    np.testing.assert_array_equal(rg.grad(lambda x: np.sum(f(x, k=3.0)))(X), np.full(3, 3.0))


def test_what_is_kept_has_the_name_that_forward_gives_it():
    f = Primitive(None, "y = x^2 + 1", name="f", keep=lambda x: 2 * x,
                  forward=lambda double, x: x * x + 1, vjp=(lambda g, double: g * double,))
    np.testing.assert_array_equal(rg.grad(lambda x: np.sum(f(x)))(X), 2 * X)
    assert f.read_by([0], 1) == (True, False)


def test_any_number_of_arrays():
    f = Primitive(None, "y = a b c ...", name="f", forward=lambda *factors: np.prod(factors),
                  vjp=Each(lambda i, g, y, factors, factors_shape:
                           g * y / factors[i] * np.ones(factors_shape[i])))
    assert rg.grad(lambda a, b, c: f(a, b, c), (0, 2))(2.0, 3.0, 5.0) == (15, 6)
    assert f.read_by([1], 3) == (True, True, True, True)


@pytest.mark.parametrize("takes, vjp", [
    (None, lambda g, x: 2 * g * x), ("A", lambda g, A: 2 * g * A),
    ("A -> C", lambda g, A, C: 2 * g * C / A)])
def test_names_for_the_arguments_of_a_function_of_numpy(takes, vjp):
    f = Primitive(None, "y = x^2", name="f", forward=np.square, takes=takes, vjp=(vjp,))
    np.testing.assert_array_equal(rg.grad(lambda x: np.sum(f(x)))(X), 2 * X)


@pytest.mark.parametrize("vjp, name", [
    (lambda g, z: g, "z"), (lambda y, g: g, "g"), (lambda g, *arrays: g, "arrays"),
    (lambda g, **params: g, "params"), (lambda g, *, k: g, "k"), (lambda g, _x: g, "_x"),
    (lambda g, k_shape: g, "k_shape")])
def test_an_unknown_name_is_an_error_that_says_what_is_known(vjp, name):
    with pytest.raises(TypeError, match=f"scaled: a rule reads .*{name}; expected one of the names "
                                        "x, x_shape, k, y, y_shape"):
        scaled(vjp)


def test_a_parameter_that_calls_may_leave_out_has_the_default_of_forward():
    f = Primitive(None, "", name="f", forward=lambda x, k=2: k * x, vjp=(lambda g, k: g * k,))
    assert rg.grad(f)(1.0) == 2 and rg.grad(lambda x: f(x, k=5))(1.0) == 5
    with pytest.raises(TypeError, match="a rule reads k=3; expected one of the names x, x_sh"):
        Primitive(None, "", name="f", forward=lambda x, k=2: k * x, vjp=(lambda g, k=3: g * k,))


def test_an_argument_with_the_name_of_the_result_is_an_error():
    with pytest.raises(TypeError, match="f: two things that a rule may read are called y"):
        Primitive(None, "", name="f", forward=lambda x, y: x * y,
                  vjp=(lambda g, y: g * y, lambda g, x: g * x))
    f = Primitive(None, "", name="f", forward=lambda x, y: x * y, takes="x y -> z",
                  vjp=(lambda g, y: g * y, lambda g, x: g * x))
    assert rg.grad(f, (0, 1))(2.0, 3.0) == (3, 2)


def test_partial_derivatives_read_in_the_same_way():
    f = elementwise(None, "y = e^(k x)", lambda y, k: k * y, name="f",
                    forward=lambda x, k: np.exp(k * x))
    expected = 2 * np.exp(2 * X)
    np.testing.assert_array_equal(rg.grad(lambda x: np.sum(f(x, k=2)))(X), expected)
    np.testing.assert_array_equal(rg.jvp(lambda x: f(x, k=2), (X,), (np.ones(3),))[1], expected)
    np.testing.assert_array_equal(f.vjp[0].partial(np.exp(X), [X], {"k": 1}), np.exp(X))
    with pytest.raises(TypeError, match="a rule reads z"):
        elementwise(None, "", lambda z: z, name="f", forward=np.square)


def test_declaring_and_making_are_two_things():
    assert scaled(lambda g, k: k * g) not in TABLE


@pytest.mark.parametrize("varying", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)])
def test_what_a_rule_reads_is_as_it_was_whichever_arguments_vary(varying):
    product = Primitive(None, "y = a b c", name="product", forward=lambda a, b, c: a * b * c,
                        vjp=(lambda g, b, c: g * b * c, lambda g, a, c: g * a * c,
                             lambda g, a, b: g * a * b))
    arrays = [X, X + 1, X + 2]
    expected = [np.prod([a for k, a in enumerate(arrays) if k != i], axis=0) for i in varying]

    def f(*varied):
        given = [a.copy() for a in arrays]
        for i, x in zip(varying, varied):
            given[i] = x
        y = product(*given)
        for i, a in enumerate(given):
            if i not in varying:
                a[:] = np.nan
        return np.sum(y)

    for _ in range(2):
        found = rg.grad(f, tuple(range(len(varying))))(*(arrays[i] for i in varying))
        np.testing.assert_allclose(found, expected, rtol=1e-15)
