"""The tape, the tangents and the levels: length, memory, ownership, exceptions, threads."""

import gc
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import refgrad as rg
from refgrad.forward import Tangents
from refgrad.primitive import EVERY, Primitive
from refgrad.reverse import Tape
from refgrad.tracer import Level

from . import checks

LENGTH = 20_000


def long_chain(x):
    """x (1 + 1/n)^n, one operation after another: the derivative is that factor, nearly e."""
    for _ in range(LENGTH // 2):
        x = x * (1 + 2 / LENGTH) + 0.0
    return x


FACTOR = (1 + 2 / LENGTH) ** (LENGTH // 2)


def test_long_chains():
    """No recursion: the length of a program is bounded by memory alone."""
    assert float(rg.grad(long_chain)(0.5)) == pytest.approx(FACTOR, rel=1e-10)
    assert float(rg.jvp(long_chain, (0.5,), (1.0,))[1]) == pytest.approx(FACTOR, rel=1e-10)
    curved = lambda x: long_chain(x) * x
    assert float(rg.hvp(curved, (0.5,), (1.0,))[0]) == pytest.approx(2 * FACTOR, rel=1e-10)
    slope = lambda x: rg.jvp(curved, (x,), (np.array(1.0),))[1]
    assert float(rg.grad(slope)(0.5)) == pytest.approx(2 * FACTOR, rel=1e-10)
    assert float(rg.grad(rg.grad(curved))(0.5)) == pytest.approx(2 * FACTOR, rel=1e-10)


def test_a_wide_sum():
    """One array used very often: contributions are added up in place, without a copy for each."""
    x = np.ones(3)
    f = lambda x: sum(np.sum(x * k) for k in range(5000))
    np.testing.assert_allclose(rg.grad(f)(x), np.full(3, 5000 * 4999 / 2))


def test_an_array_that_is_used_by_many_and_a_chain_that_leads_nowhere():
    def f(x):
        unused = x
        for _ in range(100):
            unused = np.exp(unused) / 1e3
        y = np.sin(x)
        return np.sum(y * y + y * x - y)

    x = np.array([0.3, -2.0])
    s, c = np.sin(x), np.cos(x)
    np.testing.assert_allclose(rg.grad(f)(x), 2 * s * c + c * x + s - c, rtol=1e-14)


@pytest.fixture
def levels(monkeypatch):
    """Weak references to all levels that are opened."""
    opened = []
    created = Level.__init__

    def noted(self):
        created(self)
        opened.append(weakref.ref(self))

    monkeypatch.setattr(Level, "__init__", noted)
    return opened


@pytest.mark.parametrize("transform", [
    lambda f: rg.grad(f), lambda f: rg.hessian(f), lambda f: rg.jacobian(f),
    lambda f: rg.jacobian(f, mode="forward"), lambda f: lambda x: rg.jvp(f, (x,), (x,)),
    lambda f: lambda x: rg.vjp(f, x), lambda f: rg.grad(rg.checkpoint(f))],
    ids=["grad", "hessian", "reverse", "forward", "jvp", "vjp", "checkpoint"])
def test_an_exception_leaves_nothing_behind(transform, levels):
    kept = []

    def failing(x):
        kept.append(x * 2)
        raise RuntimeError("in the middle")

    x = np.ones(3)
    with pytest.raises(RuntimeError, match="in the middle"):
        transform(failing)(x)
    assert levels and not any(level().open for level in levels if level() is not None)
    kept.clear()
    gc.collect()  # the exception's traceback goes around in circles
    assert not any(level() for level in levels)
    np.testing.assert_array_equal(rg.grad(lambda x: np.sum(x * x))(x), 2 * x)


def test_an_exception_in_an_inner_transform_can_be_handled():
    def f(x):
        try:
            rg.grad(lambda y: np.linalg.inv(y * 0))(np.eye(2) * x)
        except np.linalg.LinAlgError:
            pass
        return x * rg.grad(lambda y: y * x)(1.0)

    assert float(rg.grad(f)(3.0)) == 6


def test_the_tape_lets_go_of_what_the_caller_drops():
    def f(x):
        y = np.exp(x)
        refs.append(weakref.ref(y.level))
        return np.sum(y)

    refs = []
    value, pull = rg.vjp(f, np.ones(3))
    gc.collect()
    assert refs[0]() is not None
    del pull
    gc.collect()
    assert refs[0]() is None


def test_pull_may_be_called_again_and_within_itself():
    x = np.array([1.0, 2.0])
    value, pull = rg.vjp(lambda x: x ** 3, x)
    for g in (np.ones(2), np.array([0.0, -2.0])):
        np.testing.assert_allclose(pull(g)[0], 3 * x ** 2 * g)
    np.testing.assert_allclose(pull(pull(np.ones(2))[0])[0], 9 * x ** 4)


def test_gradients_do_not_alias_each_other():
    x, y = np.ones(3), np.full(3, 2.0)
    for f in (lambda a, b: a + b, lambda a, b: (a + b) + (a + b),
              lambda a, b: np.concatenate([a, b])):
        value, pull = rg.vjp(f, x, y)
        g = np.ones_like(value)
        a, b = pull(g)
        expected = b.copy()
        a += 100
        np.testing.assert_array_equal(b, expected)
        np.testing.assert_array_equal(g, np.ones_like(value))


@pytest.mark.parametrize("keeps", [False, True])
def test_a_gradient_is_copied_only_if_something_else_holds_its_memory(keeps):
    made, kept = [], []

    def rule(g, a):
        product = a.T @ g
        made.append(product.__array_interface__["data"])
        kept.append(product if keeps else None)
        return product

    times = Primitive(None, "Y = A B", name="times", forward=np.matmul, vjp=(None, rule))
    gradient = rg.grad(lambda W: np.sum(times(np.ones((3, 5)), W.T)))(np.ones((4, 5)))
    assert (gradient.__array_interface__["data"] == made[0]) is not keeps


KEPT = np.array([1.0, 2.0, 3.0])


@pytest.mark.parametrize("vjp", [
    lambda g: g, lambda g, x: x, lambda g, kept: kept["inside"][0], lambda g, table: table,
    lambda g, kept: kept["inside"][0][::1]],
    ids=["cotangent", "argument", "kept", "parameter", "view"])
def test_a_rule_may_return_what_it_was_handed(vjp):
    """The caller gets a copy: what he does to it must not reach the tape."""
    handing = Primitive(None, "", name="handing",
                        keep=lambda x, table: {"inside": (np.array(KEPT),)},
                        forward=lambda kept, x, table: x * 2, vjp=(vjp,), jvp=(lambda v: v,))
    table = np.array(KEPT)
    checks.owns_its_results(lambda x: handing(x, table=table), (np.ones(3),),
                            np.random.default_rng(0))
    rg.vjp(lambda x: handing(x, table=table), np.ones(3))[1](np.ones(3))[0][:] = 0
    np.testing.assert_array_equal(table, KEPT)


class Shared(Primitive):
    """A primitive that computes one array for both of its arguments."""

    def pull(self, g, kept, arrays, params, wanted):
        return [g * 2] * len(wanted)


@pytest.mark.parametrize("f", [lambda both, a, b: both(a, b),
                               lambda both, a, b: both(a, b) + both(b, a)],
                         ids=["once", "twice"])
def test_a_rule_may_return_the_same_array_for_two_arguments(f):
    both = Shared(None, "", name="both", forward=lambda a, b: 2 * (a + b), vjp=EVERY)
    _, pull = rg.vjp(lambda a, b: f(both, a, b), np.ones(3), KEPT)
    first, second = pull(np.ones(3))
    expected = second.copy()
    np.testing.assert_array_equal(first, expected)
    first[:] = np.nan
    np.testing.assert_array_equal(second, expected)


def test_two_results_of_one_forward_pass_do_not_alias():
    f = lambda x: (lambda y: (y + 1, y + 2, y[::1], y))(np.sin(x))
    _, tangents = rg.jvp(f, (np.ones(3),), (np.ones(3),))
    for k, t in enumerate(tangents):
        t[:] = k
    assert [t[0] for t in tangents] == [0, 1, 2, 3]


# Threads


def network(seed):
    rng = np.random.default_rng(seed)
    w, x = rng.standard_normal((2, 20, 20))

    def f(w):
        h = x
        for _ in range(20):
            h = np.tanh(h @ w / 4)
        return np.sum(h * h)

    return f, w


def test_threads_do_not_disturb_each_other():
    programs = [network(seed) for seed in range(8)]
    work = lambda p: (rg.grad(p[0])(p[1]), rg.hvp(p[0], (p[1],), (p[1],))[0],
                      rg.jvp(p[0], (p[1],), (p[1],))[1])
    alone = [work(p) for p in programs]
    with ThreadPoolExecutor(8) as pool:
        for expected, found in zip(alone * 3, pool.map(work, programs * 3)):
            for e, f in zip(expected, found):
                np.testing.assert_array_equal(e, f)


@pytest.mark.parametrize("level", [Tape, Tangents])
def test_threads_may_share_a_level(level):
    """A differentiated function may use threads itself."""
    def f(x):
        gate = threading.Barrier(8)

        def part(k):
            gate.wait()
            y = x[k]
            for _ in range(50):
                y = np.sin(y) * 1.5 + x[k]
            return y

        with ThreadPoolExecutor(8) as pool:
            return sum(pool.map(part, range(8)))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        x = np.linspace(0.1, 1, 8)
        expected = np.array([rg.jvp(_alone, (v,), (1.0,))[1] for v in x])
        if level is Tape:
            found = rg.grad(f)(x)
        else:
            found = rg.jacobian(f, mode="forward")(x)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    finally:
        sys.setswitchinterval(interval)


def _alone(x):
    y = x
    for _ in range(50):
        y = np.sin(y) * 1.5 + x
    return y
