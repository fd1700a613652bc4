"""In-place writes: traced arrays are overwritten as plain ones are, and buffers may be used
again."""

import numpy as np
import pytest

import refgrad as rg
from refgrad import nn, reverse, snapshots, transforms
from refgrad.errors import InPlaceWrite, Overwritten

from .programs import SHAPE, Program

X = np.array([0.3, -1.2, 2.0])


def slope(f, x, v, h=1e-6):
    return (f(x + h * v) - f(x - h * v)) / (2 * h)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_random_programs(full):
    """Value, reverse and forward mode, second order: those of the plain program."""
    rng = np.random.default_rng(0)
    for seed in range(4000 if full else 150):
        f, x, v = Program(seed), 0.8 * rng.standard_normal(SHAPE), rng.standard_normal(SHAPE)
        value, g = rg.value_and_grad(f)(x)
        size = max(1, np.abs(g).max())
        np.testing.assert_allclose(value, f(x.copy()), rtol=1e-10, err_msg=repr(f))
        np.testing.assert_allclose(np.sum(g * v), slope(f, x, v), rtol=1e-5, atol=1e-5 * size,
                                   err_msg=repr(f))
        np.testing.assert_allclose(rg.jvp(f, (x,), (v,))[1], np.sum(g * v), rtol=1e-9, atol=1e-9,
                                   err_msg=repr(f))
        if seed % 5 == 0:
            found, expected = rg.hvp(f, (x,), (v,))[0], slope(rg.grad(f), x, v, 1e-5)
            np.testing.assert_allclose(found, expected, rtol=1e-4,
                                       atol=1e-4 * max(1, np.abs(found).max()))


def test_the_programs_find_what_is_kept_by_reference(monkeypatch):
    monkeypatch.setattr(snapshots.Snapshots, "of", lambda self, x, reader: x)
    for module in (reverse, transforms, snapshots):
        monkeypatch.setattr(module, "REUSED", 0)
    with pytest.raises(AssertionError):
        test_random_programs(False)


def test_the_programs_find_views_that_are_not_followed(monkeypatch):
    monkeypatch.setattr("refgrad.writing.Writable.refresh", lambda self: None)
    with pytest.raises(AssertionError):
        test_random_programs(False)


def test_arguments_are_not_overwritten():
    def into(x):
        x[0] = 1.0
        return np.sum(x)

    def into_a_view(x):
        x[1:] *= 2
        return np.sum(x)

    for f in (into, into_a_view, lambda x: np.sum(np.add(x, 1, out=x)), lambda x: x.sort()):
        with pytest.raises(InPlaceWrite, match=r"argument of the function.*x = np\.copy\(x\)"):
            rg.grad(f)(X)
        with pytest.raises(InPlaceWrite):
            rg.jvp(f, (X,), (X,))
    np.testing.assert_array_equal(X, [0.3, -1.2, 2.0])


def test_numbers_are_never_overwritten():
    def f(x):
        s = t = x[0]
        s += x[1]
        s *= 2
        return s * t

    np.testing.assert_allclose(rg.grad(f)(X), [2 * (2 * X[0] + X[1]), 2 * X[0], 0])

    def assigned(x):
        s = np.sum(x)
        s[...] = 1.0

    with pytest.raises(TypeError, match="number"):
        rg.grad(assigned)(X)


@pytest.mark.parametrize("write, error", [
    (lambda h: h.__iadd__(np.ones((2, 3))), ValueError),        # does not fit
    (lambda h: np.broadcast_to(h, (2, 3)).__setitem__(0, 1.0), ValueError),  # read-only
    (lambda h: np.diagonal(np.outer(h, h)).__setitem__(0, 1.0), ValueError),
    (lambda h: h.__setitem__(7, 1.0), IndexError),
    (lambda h: h.__setitem__(0, [1.0, 2.0]), ValueError)])
def test_what_numpy_refuses_is_refused(write, error):
    with pytest.raises(error):
        write(np.ones(3))
    with pytest.raises(error):
        rg.grad(lambda x: write(np.tanh(x)))(X)


def test_several_values_for_one_entry():
    def f(x):
        y = np.zeros(3, like=x)
        y[[0, 0, 1]] = x
        return np.sum(y * np.array([2.0, 3.0, 5.0]))

    np.testing.assert_allclose(rg.grad(f)(X), [0, 2, 3])
    np.testing.assert_allclose(rg.jvp(f, (X,), (np.ones(3),))[1], 5)


@pytest.mark.parametrize("make", [
    lambda x: np.zeros((2, 2), like=x), lambda x: np.ones((2, 2), like=x),
    lambda x: np.empty((2, 2), like=x),
    lambda x: np.full((2, 2), x[0], like=x), lambda x: np.eye(2, like=x),
    lambda x: np.array([[x[0], 1.0], [2.0, x[1]]], like=x),
    lambda x: np.array(np.ones((2, 2)), like=x)])
def test_arrays_to_write_into(make):
    def f(x):
        y = make(x)
        y[0] = x[1:]
        y[1, 1] = x[0] * x[1]
        y[1, 0] = 0.5
        return np.sum(np.sin(y))

    v = np.array([1.0, -0.5, 0.25])
    for found in (rg.grad(f)(X) @ v, rg.jvp(f, (X,), (v,))[1]):
        np.testing.assert_allclose(found, slope(f, X, v), rtol=1e-8)
    np.testing.assert_allclose(rg.hessian(f)(X), rg.jacobian(rg.grad(f))(X), atol=1e-12)


def test_a_plain_array_with_another_name_is_not_left_behind():
    def alias(x):
        s = np.zeros(3)
        kept = [s]
        s += x
        return np.sum(kept[0])

    def view(x):
        s = np.zeros(3)
        part = s[:1]
        s += x
        return np.sum(part)

    def base(x):
        b = np.zeros((2, 3))
        s = b[0]
        s += x
        return np.sum(b)

    def elsewhere(x):
        s = np.zeros(3)
        np.add(s, x, out=s)
        return np.sum(s)

    for f in (alias, view, base, elsewhere):
        with pytest.raises(InPlaceWrite, match="like=x"):
            rg.grad(f)(X)

    def alone(x):
        s = np.zeros(3)
        s += x
        s *= x
        return np.sum(s)

    np.testing.assert_allclose(rg.grad(alone)(X), 2 * X)


# Buffers


LONG = np.linspace(-1, 1, snapshots.LARGE + 5)


def test_a_large_array_that_is_overwritten_is_an_error():
    def f(x):
        b = np.ones(LONG.size)
        y = np.sum(x * b)
        b[-3] = 7.0
        return y

    with pytest.raises(Overwritten, match=r"np\.multiply, argument x2, read float64\[32773\]"):
        rg.grad(f)(LONG)

    def moved(x):
        b = LONG.copy()
        y = np.sum(x * b)
        b[[0, 1]] = b[[1, 0]]
        return y

    with pytest.raises(Overwritten):
        rg.grad(moved)(LONG)

    def twice(x):
        b = LONG.copy()
        y = np.sum(x * b)
        b *= 2
        return y + np.sum(x * b)

    with pytest.raises(Overwritten):
        rg.grad(twice)(LONG)
    b = LONG.copy()
    value, pull = rg.vjp(lambda x: np.sum(x * b), LONG)
    np.testing.assert_allclose(pull(1.0)[0], LONG)
    b[0] = 3.0
    with pytest.raises(Overwritten):
        pull(1.0)
    a = LONG.copy()

    def itself(x):
        y = np.sum(x * x)
        a[5] += 9.0
        return y

    for transform in (rg.grad(itself), rg.jacobian(itself),
                      lambda a: rg.hvp(itself, (a,), (LONG,))):
        with pytest.raises(Overwritten, match="read float64"):
            transform(a)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int64, np.int8, bool])
@pytest.mark.parametrize("order", ["C", "F", "strided"])
def test_one_changed_entry_changes_the_fingerprint(dtype, order):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((181, 203)) * 5
    x = x > 0 if dtype is bool else x.astype(dtype)
    x = x[::2, 1::3] if order == "strided" else np.asarray(x, order=order)
    first = snapshots.fingerprint(x)
    assert snapshots.fingerprint(x.copy("K")) == first
    for _ in range(20):
        y, i = x.copy("K"), tuple(rng.integers(x.shape))
        y[i] = not y[i] if dtype is bool else y[i] + 1
        assert snapshots.fingerprint(y) != first
    y = x.copy("K")
    y[[0, 1]] = y[[1, 0]]
    assert snapshots.fingerprint(y) != first


def test_checkpoint_runs_again_in_the_same_state():
    count, rng, buffer, state = [0], np.random.default_rng(3), np.ones(3), {"k": 1.0}

    class Layer:
        scale = 1.0

        def __call__(self, z):
            self.scale += 1
            return z * self.scale

    layer = Layer()

    def f(z):
        count[0] += 1
        state["k"] *= 2
        buffer[0] += 1
        return layer(z) * count[0] * state["k"] * buffer * rng.random(3) * np.random.random()

    def twice(x):
        return rg.checkpoint(f)(x) + rg.checkpoint(f)(x)

    np.random.seed(0)
    value, pull = rg.vjp(twice, X)
    before = (count[0], state["k"], buffer.copy(), layer.scale, rng.bit_generator.state,
              np.random.get_state()[1].copy())
    for _ in range(2):
        np.testing.assert_allclose(pull(np.ones(3))[0], value / X)
    after = (count[0], state["k"], buffer, layer.scale, rng.bit_generator.state,
             np.random.get_state()[1])
    for a, b in zip(before, after):
        np.testing.assert_equal(a, b)
    value, tangent = rg.jvp(rg.checkpoint(f), (X,), (X,))
    np.testing.assert_allclose(tangent, value)


def test_checkpoint_of_a_dropout_in_a_module():
    np.random.seed(1)
    generator = np.random.default_rng(5)
    value, pull = rg.vjp(rg.checkpoint(lambda z: nn.dropout(z, 0.5, generator=generator)),
                         np.ones(20))
    np.testing.assert_array_equal(pull(np.ones(20))[0], value)


def test_checkpoint_says_so_where_it_cannot():
    numbers = iter([1.0, 2.0, 3.0])
    with pytest.raises(RuntimeError, match="checkpoint: the function computed other numbers"):
        rg.grad(lambda x: np.sum(rg.checkpoint(lambda z: z * next(numbers))(x)))(X)

    def overwrites(z):
        z *= 2
        return z

    with pytest.raises(InPlaceWrite, match=r"checkpoint.*x = np\.copy\(x\)"):
        rg.grad(lambda x: np.sum(rg.checkpoint(overwrites)(x)))(X)
