"""What is multiplied by 0 contributes 0, also under an infinite slope; and the 0 may vary."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest

import refgrad as rg
from refgrad import primitive, recording
from refgrad.straight_line import references

from .test_jit_numbers import agrees

X = np.array([0.3, -1.2, 2.0])


ZEROS = {
    "x sqrt x": (lambda x: x * np.sqrt(x), 0.0), "x x^0.5": (lambda x: x * x ** 0.5, 0.0),
    "sqrt x^4": (lambda x: np.sqrt(x ** 4), 0.0), "sqrt(x x)": (lambda x: np.sqrt(x * x), 0.0),
    "where": (lambda x: np.where(x < 1, x, np.sqrt(x)), 1.0),
    "where log": (lambda x: np.where(x > 0, np.log(x), x), 1.0),
    "where /": (lambda x: np.where(x != 0, np.sin(x) / x, 1.0), 0.0),
    "select": (lambda x: np.select([x > 0], [np.log(x)], default=3 * x), 3.0),
    "norm": (lambda x: np.sqrt(np.sum(np.stack([x, x]) ** 2)), 0.0)}


@pytest.mark.parametrize("f, expected", ZEROS.values(), ids=ZEROS)
def test_a_cotangent_that_is_zero_contributes_zero(f, expected):
    with np.errstate(all="ignore"):
        assert rg.grad(f)(0.0) == expected
        assert rg.jit(rg.grad(f))(0.0) == expected
        of_two = rg.grad(lambda x: np.sum(f(x[1])) + x[0])
        np.testing.assert_array_equal(of_two(np.zeros(2)), [1, expected])


def test_what_is_left_out_may_be_nan():
    """Data with gaps: a slope that is nan under a cotangent that is 0."""
    d = np.array([1.0, np.nan, 3.0])
    known = ~np.isnan(d)
    programs = {
        "where": lambda x: np.sum(np.where(known, (x - d) ** 2, 0)),
        "mask": lambda x: np.sum(((x - d) ** 2)[known]),
        "positions": lambda x: np.sum(np.take((x - d) * (x - d), np.flatnonzero(known))),
        "product": lambda x: np.sum(np.where(known, x * d, x)),
        "log": lambda x: np.sum(np.where(known, np.log(d * x), 0))}
    filled = np.where(known, d, 0)
    for name, f in programs.items():
        expected = {"product": np.where(known, d, 1), "log": known / X}.get(
            name, 2 * known * (X - filled))
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(rg.grad(f)(X), expected, err_msg=name)
            np.testing.assert_allclose(rg.jit(rg.grad(f))(X), expected, err_msg=name)
            assert np.isfinite(rg.hessian(f)(X)).all(), name
    assert np.isnan(rg.grad(lambda x: np.sum((x - d) ** 2))(X)[1])


def test_what_an_index_leaves_out_may_be_nan_when_the_index_is_recorded():
    d = np.array([1.0, np.nan, 3.0])
    slope = rg.grad(lambda x, d: np.sum(((x - d) ** 2)[~np.isnan(d)]))
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(rg.jit(slope)(X, d), slope(X, d))
    np.testing.assert_allclose(slope(X, d), [2 * (X[0] - 1), 0, 2 * (X[2] - 3)])


LEFT_OUT = {
    "where": lambda x: np.sum(np.where(x > 0, np.log(x) ** 2, 3 * x)),
    "mask": lambda x: np.sum(np.sqrt(x)[x > 0]),
    "positions": lambda x: np.sum(np.take(np.sqrt(x), [1, 2])),
    "list": lambda x: np.sum(np.sqrt(x)[[1, 2]]),
    "list in a tuple": lambda x: np.sum(np.sqrt(x)[([1, 2],)]),
    "assigned": lambda x: np.sum(assigned(np.sqrt(x), x <= 0)),
    "fmax": lambda x: np.sum(np.fmax(np.sqrt(x), 0.5)),
    "fmin": lambda x: np.sum(np.fmin(9.0, np.sqrt(x))),
    "nan_to_num": lambda x: np.sum(np.nan_to_num(np.sqrt(x)))}


def assigned(y, where):
    y[where] = 0
    return y


@pytest.mark.parametrize("f", LEFT_OUT.values(), ids=LEFT_OUT)
def test_a_program_notices_that_what_is_left_out_is_nan_only_now(f):
    x = np.array([-0.6, 0.7, 2.3])
    transforms = (rg.grad, rg.hessian, lambda f: lambda x: rg.grad(f)(x) >= 0,
                  lambda f: lambda x: rg.jvp(rg.grad(f), (x,), (np.ones(3),))[1])
    with np.errstate(all="ignore"):
        for transform in transforms:
            expected, fast = transform(f)(x), rg.jit(transform(f))
            assert np.isfinite(expected).all()
            for point in (abs(x), x, abs(x), x + 1, x):
                np.testing.assert_allclose(fast(point), transform(f)(point))
            np.testing.assert_allclose(fast(x), expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_looking_for_nan_warns_of_nothing(dtype):
    x, g = np.ones(200, dtype), np.full(200, np.finfo(dtype).max / 8, dtype)

    def along_g(x):
        return rg.vjp(lambda x: np.where(x > 0, x * dtype(0.5), 0), x)[1](g)[0]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(along_g(x), g / 2)
        np.testing.assert_array_equal(rg.jit(along_g)(x), g / 2)


def test_a_tangent_that_is_zero_contributes_zero():
    with np.errstate(all="ignore"):
        for f in (np.sqrt, np.log, lambda x: x ** 0.5, lambda x: 1 / x):
            for mode in ("forward", "reverse"):
                J = rg.jacobian(f, mode=mode)(np.array([0.0, 1.0, 4.0]))
                assert np.isinf(J[0, 0]), (f, mode)
                assert np.array_equal(J == 0, ~np.eye(3, dtype=bool)), (f, mode)


def test_nan_stays_nan():
    with np.errstate(all="ignore"):
        assert np.isnan(rg.grad(lambda x: np.sqrt(x * np.nan))(1.0))
        assert np.isnan(rg.grad(lambda x: np.sqrt(np.sqrt(x) - np.sqrt(x) + x))(-1.0))
        assert np.isnan(rg.grad(lambda x: np.sqrt(x) - np.sqrt(x))(0.0))
        assert np.isnan(rg.grad(lambda x: np.sum(np.sqrt(x) - np.sqrt(x)))(np.zeros(3000))).all()


def test_what_numpy_does_about_errors_is_up_to_the_program():
    with np.errstate(invalid="raise", divide="ignore"):
        assert rg.grad(lambda x: x * np.sqrt(x))(0.0) == 0
        assert np.geterr()["invalid"] == "raise"


# Zeros that vary under another transform


def along(f):
    """The derivative of f along (1, 1, ...), forward."""
    return lambda *x: rg.jvp(f, x, tuple(map(np.ones_like, x)))[1]


#: The second derivatives at 0, all of which are what they are in every composition of the modes.
SECOND = {
    "where": (lambda x: np.where(x < 1, x, np.sqrt(x)), 0.0),
    "where x^2": (lambda x: np.where(x < 1, x * x, np.sqrt(x)), 2.0),
    "where /": (lambda x: np.where(x != 0, np.sin(x) / x, 1.0), 0.0),
    "x where": (lambda x: x * np.where(x < 1, x, np.sqrt(x)), 2.0),
    "x^1.5": (lambda x: x ** 1.5, np.inf), "sqrt(x x)": (lambda x: np.sqrt(x * x), np.inf),
    "norm": (lambda x: np.sqrt(np.sum(np.stack([x, x]) ** 2)), np.inf),
    "norm^2": (lambda x: np.linalg.norm(np.stack([x, x])) ** 2, 4.0),
    "hypot^2": (lambda x: np.hypot(x, 2 * x) ** 2, 10.0), "|x|^2": (lambda x: np.abs(x) ** 2, 2.0),
    "std^2": (lambda x: np.std(np.stack([x, -x])) ** 2, 2.0)}


@pytest.mark.parametrize("f, expected", SECOND.values(), ids=SECOND)
def test_second_derivatives_at_a_kink(f, expected):
    with np.errstate(all="ignore"):
        for outer in (rg.grad, along):
            for inner in (rg.grad, along):
                assert outer(inner(f))(0.0) == expected
                assert rg.jit(outer(inner(f)))(0.0) == expected
        assert rg.hessian(f)(0.0) == expected


def mixed(f):
    """d/da of df/dx at (0, 0) in the compositions with reverse mode inside."""
    zero, e = (0.0, 0.0), (1.0, 0.0)
    with np.errstate(all="ignore"):
        for wrap in (lambda f: f, rg.jit):
            yield wrap(lambda *x: rg.hvp(f, x, e))(*zero)[1]
            yield wrap(lambda *x: rg.hvp(f, x, (1.0, 1.0)))(*zero)[1]
            yield wrap(rg.hessian(f, (0, 1)))(*zero)[1][0]
            yield wrap(rg.grad(rg.grad(f, 1)))(*zero)
            yield wrap(along(rg.grad(f, 1)))(*zero)


#: a times something that is infinitely steep in x, by an elementwise rule and by others.
STEEP = {
    "a sqrt x": lambda a, x: a * np.sqrt(x), "a / 2 x^0.5": lambda a, x: a / 2 * x ** 0.5,
    "[a, a] @ [sqrt x, x]": lambda a, x: np.stack([a, a]) @ np.stack([np.sqrt(x), x]),
    "a C [x, x]": lambda a, x: np.sum(a * (np.array([[np.inf, 0.0]]) @ np.stack([x, x])))}


@pytest.mark.parametrize("name", STEEP)
def test_a_zero_that_varies_has_its_derivative(name):
    """d/da (df/dx) is infinite, though df/dx is 0 where a is."""
    assert [float(d) for d in mixed(STEEP[name])] == [np.inf] * 10


def test_third_derivatives_of_a_zero_that_varies():
    """d/da d/db of d/dx a b sqrt x, where a and b are 0."""
    f = lambda a, b, x: a * b * np.sqrt(x)
    zero = (0.0, 0.0, 0.0)
    with np.errstate(all="ignore"):
        slope = rg.grad(f, 2)
        assert rg.grad(slope)(*zero) == 0 and rg.grad(rg.grad(slope), 1)(*zero) == np.inf
        first = lambda a, b, x: rg.jvp(slope, (a, b, x), (1.0, 0.0, 0.0))[1]
        assert rg.jvp(first, zero, (0.0, 1.0, 0.0))[1] == np.inf
        assert rg.grad(first, 1)(*zero) == np.inf


@pytest.mark.parametrize("name, spoilt, instead", [
    ("a sqrt x", "product", lambda v, s: np.where((v == 0) & np.isnan(v * s), 0, v * s)),
    ("a sqrt x", "product", lambda v, s: np.zeros_like(v * s)),
    ("a C [x, x]", "linear_in", lambda g, c: np.zeros_like(c))])
def test_the_tests_find_a_zero_that_does_not_vary(monkeypatch, name, spoilt, instead):
    monkeypatch.setattr(primitive, spoilt, instead)
    assert [float(d) for d in mixed(STEEP[name])] != [np.inf] * 10


# What jit leaves out


def unread(f, *args):
    """The functions of a program's operations whose results nobody reads."""
    program = rg.jit(f).program(*args)
    read = set(references(program.outputs)).union(*(op.reads for op in program.operations))
    return [op.function for op in program.operations
            if op.check is None and not read.intersection(op.results)]


def energy(x, W):
    return np.sum(np.exp(np.tanh(x @ W) @ W) * np.log(np.sqrt(x * x + 1)))


def product_of_hessian(x, W):
    return rg.hvp(lambda x: energy(x, W), (x,), (X,))[0]


def test_a_program_has_no_operation_that_only_the_sweep_would_check(monkeypatch):
    W = np.linspace(-1, 1, 9).reshape(3, 3)
    assert unread(product_of_hessian, X, W) == []
    agrees(product_of_hessian, (X, W), (0 * X, W), (X, 0 * W), (X, np.where(W > 0, np.inf, W)),
           (np.nan * X, W))
    monkeypatch.setattr(recording, "WALKING", SimpleNamespace(get=lambda: False))
    assert unread(product_of_hessian, X, W) != []


@pytest.mark.parametrize("f", [
    lambda a, x: a * np.sqrt(x), lambda a, x: a / x, lambda a, x: a * np.log(x),
    lambda a, x: a * x ** 1.5, lambda a, x: np.where(x < 1, x * a, np.sqrt(x))])
@pytest.mark.parametrize("v", [(1.0, 0.0), (0.0, 1.0), (1.0, 2.0)])
def test_a_program_that_meets_a_kink_gives_what_the_function_gives(f, v):
    points = [(np.full(2, a), np.array([x, y]))
              for a in (3.0, 0.0) for x in (2.0, 0.0) for y in (2.0, 0.0)]
    whole = lambda *x: np.sum(f(*x))
    vectors = tuple(np.full(2, t) for t in v)
    agrees(lambda *x: rg.hvp(whole, x, vectors), *points)
    agrees(rg.grad(lambda *x: np.sum(rg.grad(whole)(*x)), (0, 1)), *points)


def branches_on_a_failure(x):
    with np.errstate(invalid="raise"):
        try:
            np.sqrt(x)
        except FloatingPointError:
            return -np.sum(x * x)
    return np.sum(x * x)


@rg.custom
def cube(x):
    return x ** 3


@cube.def_vjp
def _(g, y, x):
    sign = 1.0
    with np.errstate(invalid="raise"):
        try:
            np.sqrt(x)
        except FloatingPointError:
            sign = -1.0
    return sign * 3 * g * x * x,


OF_THE_PROGRAM = {
    "in the function": rg.grad(branches_on_a_failure),
    "in its gradient": lambda x: rg.hvp(branches_on_a_failure, (x,), (X,)),
    "in a rule": rg.grad(lambda x: np.sum(cube(x))),
    "in a checkpoint": rg.grad(lambda x: rg.checkpoint(branches_on_a_failure)(x) * x[0])}


@pytest.mark.parametrize("name", OF_THE_PROGRAM)
def test_a_failure_that_the_program_asks_for_decides(name):
    agrees(OF_THE_PROGRAM[name], (abs(X),), (X,), (-X,), (X * X,))


def test_the_tests_find_a_failure_that_is_left_out(monkeypatch):
    monkeypatch.setattr(recording, "WALKING", SimpleNamespace(get=lambda: True))
    for f in OF_THE_PROGRAM.values():
        with pytest.raises(AssertionError):
            agrees(f, (abs(X),), (X,))


def test_a_rule_of_the_programs_runs_once_and_under_its_own_errors():
    told = []
    same = rg.custom(lambda x: x)

    @same.def_vjp
    def _(g, y, x):
        told.append(np.geterr()["invalid"])
        return np.where(x == 0, 1, g * x / x),  # 0 / 0, which is left out

    with np.errstate(all="ignore"):
        assert rg.grad(lambda x: 3 * same(x))(0.0) == 1
    assert told == ["ignore"]


def norms(x):
    return np.linalg.vector_norm(x, axis=-1)


#: Beside a row of zeros the norm's second derivative is infinite or nan, and here not chosen.
NOT_CHOSEN = {
    "clip": lambda x: np.clip(norms(x), 1e-12, None),
    "maximum": lambda x: np.maximum(norms(x) - 1, 0), "relu": lambda x: rg.nn.relu(norms(x) - 1),
    "fmin": lambda x: np.fmin(-norms(x), -1e-12), "minimum": lambda x: np.minimum(-norms(x), -1),
    "fmax": lambda x: np.fmax(np.sin(x[..., 0]), norms(x) - 1),
    "hardtanh": lambda x: rg.nn.hardtanh(norms(x) - 2),
    "where": lambda x: np.where(norms(x) > 1, norms(x), np.cos(x[..., 0])),
    "normalize": rg.nn.normalize}


@pytest.mark.parametrize("name", NOT_CHOSEN)
def test_in_all_modes_what_is_not_chosen_does_not_count(name):
    f = lambda x: np.sum(np.cos(1 + np.arange(8)[:np.size(y(x))]) * np.ravel(y(x)))
    y, rng = NOT_CHOSEN[name], np.random.default_rng(0)
    x = np.array([[0.0, 0.0, 0.0], [1.0, -2.0, 3.0]])
    u, v = rng.standard_normal((2, *x.shape))
    u[0, 1] = 0
    with np.errstate(all="ignore"):
        curvature = rg.grad(lambda x: np.sum(rg.grad(f)(x) * v))(x)
        assert np.isfinite(curvature).all() and np.isfinite(rg.hessian(f)(x)).all()
        for other in (rg.hvp(f, (x,), (v,))[0], rg.grad(lambda x: rg.jvp(f, (x,), (v,))[1])(x),
                      rg.jit(lambda x: rg.hvp(f, (x,), (v,))[0])(x)):
            np.testing.assert_allclose(other, curvature, rtol=1e-12, atol=1e-12)
        forward = rg.jvp(lambda x: rg.jvp(f, (x,), (v,))[1], (x,), (u,))[1]
        np.testing.assert_allclose(forward, np.sum(curvature * u), rtol=1e-12)
        np.testing.assert_allclose(rg.jvp(f, (x,), (v,))[1], np.sum(rg.grad(f)(x) * v), rtol=1e-12)


def test_a_constant_factor_of_0_leaves_out_what_is_infinite_in_all_modes():
    f, x, v = lambda x: np.sum((x > 0) * np.sqrt(x) + (x > 0) * x), np.array([0.0, 4.0]), np.ones(2)
    with np.errstate(all="ignore"):
        assert rg.grad(f)(x).tolist() == [0, 1.25] and rg.jvp(f, (x,), (v,))[1] == 1.25
        for curvature in (rg.hvp(f, (x,), (v,))[0], rg.grad(lambda x: rg.jvp(f, (x,), (v,))[1])(x),
                          rg.grad(lambda x: np.sum(rg.grad(f)(x)))(x)):
            assert curvature.tolist() == [0, -1 / 32]
        assert rg.jvp(lambda x: rg.jvp(f, (x,), (v,))[1], (x,), (v,))[1] == -1 / 32


@pytest.mark.parametrize("left_out", [
    lambda x: x ** 1.5, lambda x: np.sqrt(x) * x, lambda x: np.power(x, 1.5) * np.cos(x),
    lambda x: np.float_power(x, 1.5) / np.exp(x)])
def test_a_cotangent_of_0_leaves_out_a_slope_whose_tangent_alone_is_infinite(left_out):
    f = lambda x: np.sum(np.exp(np.where(x > 1, left_out(x), x)))
    x, v = np.array([0.0, 2.0]), np.array([1.0, 0.5])
    with np.errstate(all="ignore"):
        curvature = rg.hvp(f, (x,), (v,))[0]
        assert curvature[0] == 1
        np.testing.assert_allclose(curvature, rg.grad(lambda x: np.sum(rg.grad(f)(x) * v))(x))


def test_a_tangent_that_is_chosen_stays_infinite_or_nan():
    with np.errstate(all="ignore"):
        assert rg.jvp(lambda x: np.maximum(np.sqrt(x), -1), (0.0,), (1.0,))[1] == np.inf
        assert rg.jvp(lambda x: np.clip(np.sqrt(x), 0.5, 1), (0.0,), (1.0,))[1] == 0
        assert np.isnan(rg.jvp(lambda x: np.clip(x, 0, 1), (0.5,), (np.nan,))[1])
        assert np.isnan(rg.jvp(lambda x: np.cos(np.sqrt(x)), (0.0,), (1.0,))[1])  # it is -1/2
