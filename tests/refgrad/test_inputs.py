"""Inputs of every sort: nan and inf, no entries, every layout and precision, Python floats, huge
and tiny numbers."""

import warnings

import numpy as np
import pytest

import refgrad as rg
from refgrad.primitive import TABLE, Kind

from . import checks

inf, nan = np.inf, np.nan


def layer(w, x):
    return np.tanh(x @ w) @ np.ones_like(w[0]) + np.sum(w[::2, 0] ** 2)


# nan and inf


@pytest.mark.parametrize("f, x, expected", [
    (lambda x: x * 2, nan, 2), (lambda x: x * x, nan, nan), (lambda x: x * x, inf, inf),
    (np.exp, inf, inf), (np.exp, -inf, 0),
    (np.exp, nan, nan), (np.log, inf, 0), (np.log, 0.0, inf), (np.sqrt, 0.0, inf),
    (np.sqrt, nan, nan), (np.tanh, inf, 0),
    (np.tanh, nan, nan), (np.abs, nan, nan), (np.abs, -inf, -1), (lambda x: 1 / x, inf, 0),
    (lambda x: 1 / x, 0.0, -inf),
    (np.arctan, -inf, 0), (rg.erf, inf, 0), (lambda x: np.maximum(x, 0.0), nan, 1),
    (lambda x: np.maximum(x, 0.0), inf, 1),
    (lambda x: np.maximum(x, 0.0), -inf, 0), (lambda x: np.minimum(x, 0.0), nan, 1),
    (lambda x: np.fmax(x, 0.0), nan, 0),
    (lambda x: np.clip(x, -1, 1), nan, 1), (lambda x: np.clip(x, -1, 1), inf, 0),
    (lambda x: np.where(x > 0, x, 0.0), nan, 0),
    (lambda x: np.logaddexp(x, 0.0), inf, 1), (lambda x: np.logaddexp(x, 0.0), -inf, 0),
    (lambda x: np.logaddexp(x, 0.0), nan, nan),
    (lambda x: np.logaddexp(x, -inf), 1.0, 1), (lambda x: np.hypot(x, 1.0), inf, nan),
    (lambda x: np.nan_to_num(x), nan, 0),
    (lambda x: np.nan_to_num(x), inf, 0), (lambda x: x ** 0, nan, 0),
    (lambda x: x ** 2, -inf, -inf)])
def test_nan_and_inf(f, x, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        reverse = rg.grad(f)(x)
        value, forward = rg.jvp(f, (x,), (1.0,))
        plain = f(np.float64(x))
    np.testing.assert_array_equal(value, plain)
    np.testing.assert_array_equal(forward, expected)
    np.testing.assert_array_equal(reverse, expected)


def test_nan_stays_in_its_place():
    x = np.array([1.0, nan, -inf, 2.0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        g = rg.grad(lambda x: np.sum(x * x) + np.sum(np.sin(x[[0, 3]])))(x)
    np.testing.assert_array_equal(g[1:3], [nan, -inf])
    np.testing.assert_allclose(g[[0, 3]], 2 * x[[0, 3]] + np.cos(x[[0, 3]]))
    np.testing.assert_array_equal(rg.grad(lambda x: np.sum(np.where(np.isfinite(x), x, 0)))(x),
                                  [1, 0, 0, 1])
    np.testing.assert_array_equal(np.isnan(rg.grad(np.max)(x)), [True] * 4)
    np.testing.assert_array_equal(rg.grad(lambda x: np.max(x[[0, 2, 3]]))(x), [0, 0, 0, 1])
    np.testing.assert_array_equal(rg.grad(np.max)(np.array([inf, inf, 0.0])), [0.5, 0.5, 0])
    np.testing.assert_array_equal(rg.grad(np.median)(np.array([3.0, nan, 1.0])), [0, 1, 0])


@pytest.mark.parametrize("f", [np.tanh, np.arctan, lambda x: np.logaddexp(x, 1.0),
                               lambda x: np.hypot(x, 1.0)],
                         ids=["tanh", "arctan", "logaddexp", "hypot"])
def test_a_derivative_warns_only_where_the_value_warns(f):
    with np.errstate(all="raise", under="ignore"):
        found = rg.hvp(lambda x: np.sum(f(x)), (np.array([800.0, -800.0]),), (np.ones(2),))[0]
    np.testing.assert_allclose(found, 0, atol=1e-6)


# No entries, axes of size 1


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (1,), (1, 1), (1, 0, 2)])
def test_empty_and_single(shape):
    x = np.full(shape, 0.5)
    rng = np.random.default_rng(0)
    for f in (lambda x: np.sum(np.exp(x) * x), lambda x: x.reshape(-1)[::-1],
              lambda x: np.concatenate([x, x * 2], axis=-1),
              lambda x: x[..., None] @ x[..., None, :] if x.ndim == 1
                  else np.swapaxes(x, -1, -2) @ x,
              lambda x: np.sort(x),
              lambda x: np.tile(x, 2), lambda x: np.pad(x, 1), lambda x: np.cumsum(x),
              lambda x: np.where(x > 0, x, -x)):
        checks.agrees_with_numpy(f, (x,))
        checks.is_dual(f, (x,), rng)
        checks.jacobians_agree(f, (x,))
        checks.owns_its_results(f, (x,), rng)
    assert rg.grad(lambda x: np.sum(x ** 2))(x).shape == shape
    assert rg.hessian(lambda x: np.sum(x ** 3))(x).shape == shape + shape


# Layouts


LAYOUTS = {
    "C": lambda x: x, "Fortran": np.asfortranarray, "reversed": lambda x: x[::-1, ::-1][::-1, ::-1],
    "strided": lambda x: np.repeat(np.repeat(x, 2, 0), 3, 1)[::2, ::3],
    "transposed": lambda x: np.ascontiguousarray(x.T).T,
    "negative": lambda x: np.ascontiguousarray(x[::-1])[::-1], "unaligned": lambda x: unaligned(x),
    "byte-swapped": lambda x: x.astype(">f8"),
    "memory-mapped": lambda x: x.view(np.memmap),
}


def unaligned(x):
    raw = np.zeros(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    raw[...] = x
    return raw


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_layouts(layout):
    rng = np.random.default_rng(6)
    w, x = rng.standard_normal((4, 3)), rng.standard_normal((5, 4))
    expected = rg.grad(lambda w, x: np.sum(layer(w, x)), (0, 1))(w, x)
    laid = layout(w), layout(x)
    for a in laid:
        a.flags.writeable = False
    value, pull = rg.vjp(layer, *laid)
    for found in (pull(np.ones(5)), rg.grad(lambda w, x: np.sum(layer(w, x)), (0, 1))(*laid)):
        for g, e, a in zip(found, expected, laid):
            np.testing.assert_allclose(g, e, rtol=1e-13)
            assert g.dtype == a.dtype and g.flags.writeable
    checks.is_dual(layer, laid, rng)
    checks.jacobians_agree(layer, laid)


def test_an_overlapping_view_is_one_argument():
    base = np.arange(5.0)
    windows = np.lib.stride_tricks.sliding_window_view(base, 3)
    np.testing.assert_array_equal(rg.grad(lambda x: np.sum(x * x))(windows), 2 * windows)
    g = rg.grad(lambda x: np.sum(x))(np.broadcast_to(1.0, (2, 3)))
    g[0, 0] = 7
    assert g[1, 1] == 1


# Precisions


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_the_gradient_has_the_precision_of_its_argument(dtype):
    rng = np.random.default_rng(8)
    w, x = rng.standard_normal((4, 3)).astype(dtype), rng.standard_normal((5, 4)).astype(dtype)
    f = lambda w: np.mean(layer(w, x))
    value, g = rg.value_and_grad(f)(w)
    assert value.dtype == dtype and g.dtype == dtype
    assert rg.hessian(f)(w).dtype == dtype
    assert rg.hvp(f, (w,), (w,))[0].dtype == dtype
    value, t = rg.jvp(f, (w,), (w,))
    assert value.dtype == dtype and t.dtype == dtype
    for how in ({"mode": "reverse"}, {"mode": "forward"}, {"mode": "forward", "batched": False}):
        assert rg.jacobian(lambda w: layer(w, x), **how)(w).dtype == dtype
    exact = rg.grad(lambda w: np.mean(layer(w, x.astype(float))))(w.astype(float))
    np.testing.assert_allclose(g, exact, rtol=0, atol=8 * float(np.finfo(dtype).eps) + 1e-14)


def test_a_float32_network_stays_in_float32():
    rng = np.random.default_rng(9)

    def network(w, v, b, x):
        h = np.maximum(x @ w + b, 0) ** 2 / 3
        h = (h - h.mean(axis=0)) / np.sqrt(h.var(axis=0) + 1e-5)
        e = np.exp(h @ v - np.max(h @ v, axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        chosen = np.log(np.clip(p, 1e-7, 1))[np.arange(6), [0, 1, 0, 1, 0, 1]]
        return -np.mean(chosen) + 0.01 * np.sum(np.abs(w)) + np.linalg.norm(v)

    arrays = [rng.standard_normal(s).astype(np.float32) for s in [(4, 5), (5, 2), (5,), (6, 4)]]
    checks.stays_in_float32(network, arrays, rng)
    checks.is_dual(network, [a.astype(float) for a in arrays], rng)


@pytest.mark.parametrize("how", [{"mode": "reverse"}, {"mode": "forward"},
                                 {"mode": "forward", "batched": False}])
def test_a_float32_jacobian_is_computed_in_float32(how):
    with checks.Spy() as spy:
        x = spy.watch(np.ones((2, 3), np.float32))
        rg.jacobian(lambda x: [np.tanh(x @ x.T), np.sum(x * x, axis=0)], **how)(x)
        rg.hessian(lambda x: np.sum(np.tanh(x) ** 3))(x)
    assert {dtype for _, dtype in spy.seen} == {np.dtype(np.float32)}


def test_mixed_precisions():
    a, b = np.ones(3, np.float32), np.full(3, 2.0)
    ga, gb = rg.grad(lambda a, b: np.sum(a * b + np.sin(a) * np.float16(2)), (0, 1))(a, b)
    assert (ga.dtype, gb.dtype) == (np.float32, np.float64)
    np.testing.assert_allclose(ga, 2 + 2 * np.cos(1.0), rtol=1e-6)
    np.testing.assert_array_equal(gb, a)
    value, t = rg.jvp(lambda a, b: (a * b, a * 2), (a, b), (a, b))
    assert (t[0].dtype, t[1].dtype) == (np.float64, np.float32)
    value, t = rg.jvp(lambda a: a + b, (a,), (a,))
    assert value.dtype == t.dtype == np.float64
    _, pull = rg.vjp(lambda a: a * 2, a)
    assert pull(np.ones(3))[0].dtype == np.float32  # a float64 cotangent for a float32 result
    np.testing.assert_array_equal(pull(np.array([1, 2, 3]))[0], [2, 4, 6])  # and one of integers
    integers = np.arange(3)
    assert rg.grad(lambda a: np.sum(a * integers))(a).dtype == np.float32


# Scalars


@pytest.mark.parametrize("x", [3.0, np.float64(3), np.float32(3), np.array(3.0),
                               np.array(3.0, np.float32), np.array([3.0])], ids=repr)
def test_scalars(x):
    f = lambda x: np.sum(x * x * x)
    g = rg.grad(f)(x)
    assert isinstance(g, np.ndarray) and g.shape == np.shape(x) and g.dtype == np.asarray(x).dtype
    assert g == 27
    g += 1  # it is an array of its own
    assert rg.jvp(f, (x,), (np.ones_like(x),))[1] == 27
    assert rg.hessian(f)(x).reshape(()) == 18
    assert np.asarray(x) == 3


def test_python_numbers_as_tangents_and_cotangents():
    assert rg.jvp(lambda x, y: x * y, (2.0, 3.0), (1, 0))[1] == 3
    assert rg.vjp(lambda x, y: x * y, 2.0, 3.0)[1](1) == (3, 2)


# Scales: the derivative in float32 is that of float64, wherever float32 can hold it

POWERS_OF_TEN = [m * 10.0 ** e for e in range(-36, 38) for m in (1, 3.7)]
NEAR_THE_EDGES = [0.5, 0.99, 1.0, 1.01, 2, 20, 50, 87, 88, 89, 90, 100, 200]
SCALES = np.array([0.0] + [s * v for v in POWERS_OF_TEN + NEAR_THE_EDGES
                           for s in (1, -1)]).astype(np.float32)


def elementwise_rules(inputs):
    return [rule for rule in TABLE.values()
            if isinstance(rule.function, np.ufunc) and rule.function.signature is None
            and (rule.function.nin, rule.function.nout) == (inputs, 1)
            and rule.kind is not Kind.CONSTANT
            # Integers; x^(p-1) rounds p - 1.
            and rule.function not in (np.ldexp, np.power, np.float_power)]


def along_ones(f):
    return lambda x: rg.jvp(f, (x,), (np.ones_like(x),))[1]


def same_in_both_precisions(f, *arrays, rtol):
    with np.errstate(all="ignore"):
        small = f(*arrays)
        large = f(*(x.astype(float) for x in arrays)).astype(np.float32)
    assert small.dtype == np.float32
    np.testing.assert_allclose(small, large, rtol=rtol, atol=1e-37)


@pytest.mark.parametrize("rule", elementwise_rules(1), ids=lambda rule: rule.name)
def test_huge_and_tiny(rule):
    same_in_both_precisions(along_ones(rule.function), SCALES, rtol=1e-4)
    # The second derivative of these cancels near 0, where it is far smaller than the first: 1e-7 of
    # that may remain.
    cancels = rule.function in (np.arcsin, np.arccos, np.arctanh)
    points = SCALES[np.abs(SCALES) > 0.1] if cancels else SCALES[np.abs(SCALES) < 1e9]
    same_in_both_precisions(along_ones(along_ones(rule.function)), points, rtol=1e-4)


@pytest.mark.parametrize("rule", elementwise_rules(2), ids=lambda rule: rule.name)
def test_huge_and_tiny_of_two(rule):
    a, b = (x.ravel() for x in np.meshgrid(SCALES[::3], SCALES[::3]))
    # Where the quotient has no more digits than float32.
    if rule.function in (np.remainder, np.fmod):
        with np.errstate(all="ignore"):
            a, b = a[np.abs(a / b) < 1e6], b[np.abs(a / b) < 1e6]
    for k in range(2):
        if rule.differentiable(k):
            def slope(*args):
                f = lambda x: rule.function(*args[:k], x, *args[k + 1:])
                return along_ones(f)(args[k])

            same_in_both_precisions(slope, a, b, rtol=1e-4)
