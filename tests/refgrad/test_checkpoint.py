"""checkpoint: the same derivatives, with the arguments kept alone."""

import numpy as np
import pytest

import refgrad as rg
from refgrad.reverse import Tape

from . import checks

X = np.array([0.3, -1.2, 0.7])
W = np.random.default_rng(4).standard_normal((3, 3))


def block(w, x):
    for _ in range(5):
        x = np.tanh(w @ x) + x
    return x


def test_same_derivatives_to_every_order():
    rng = np.random.default_rng(0)
    saved = rg.checkpoint(block)
    checks.agrees_with_numpy(saved, (W, X))
    checks.is_dual(saved, (W, X), rng)
    checks.jacobians_agree(saved, (W, X))
    checks.second_derivatives_agree(saved, (W, X), rng)
    checks.owns_its_results(saved, (W, X), rng)
    checks.stays_in_float32(saved, (W, X), rng)
    for wanted in (0, 1, (0, 1)):
        found, expected = (rg.grad(lambda *p: np.sum(f(*p)), wanted)(W, X) for f in (saved, block))
        for a, b in zip(found, expected):
            np.testing.assert_allclose(a, b, rtol=1e-13)
    nested = rg.checkpoint(lambda w, x: rg.checkpoint(block)(w, saved(w, x)))
    expected = rg.hessian(lambda x: np.sum(block(W, block(W, x))))(X)
    np.testing.assert_allclose(rg.hessian(lambda x: np.sum(nested(W, x)))(X), expected, rtol=1e-10)


def test_the_tape_holds_one_operation(monkeypatch):
    tapes = []
    monkeypatch.setattr(Tape, "__enter__", lambda self: tapes.append(self) or self)
    rg.vjp(lambda w: block(w, X), W)
    rg.vjp(lambda w: rg.checkpoint(block)(w, X), W)
    assert len(tapes[0].nodes) >= 15 and len(tapes[1].nodes) == 1


def test_nests_keywords_and_other_results():
    def f(p, scale, *, power):
        y = scale * p["a"] ** power
        return {"y": y, "index": np.argmax(y), "count": 3, "name": "f", "none": None}

    saved = rg.checkpoint(f)
    expected = f({"a": X}, 2.0, power=2)
    found = saved({"a": X}, 2.0, power=2)
    assert found["count"] == 3 and found["name"] == "f" and found["none"] is None

    def scalar(x, s):
        found = saved({"a": x}, s, power=s)
        assert type(found["index"]) is not type(x) and found["index"] == expected["index"]
        return np.sum(found["y"]) + x[found["index"]] ** found["count"]

    x = np.abs(X)
    plain = lambda x, s: np.sum(s * x ** s) + x[np.argmax(s * x ** s)] ** 3
    for a, b in zip(rg.grad(scalar, (0, 1))(x, 2.0), rg.grad(plain, (0, 1))(x, 2.0)):
        np.testing.assert_allclose(a, b, rtol=1e-13)


def test_unused_results_and_arguments():
    f = rg.checkpoint(lambda x, y: (x * 2, y * 3))
    np.testing.assert_array_equal(rg.grad(lambda x: np.sum(f(x, X)[0]))(X), np.full(3, 2))
    np.testing.assert_array_equal(rg.grad(lambda x: np.sum(f(x, X)[1]))(X), np.zeros(3))


def test_closing_over_arrays_of_an_outer_transform_is_allowed():
    inner = lambda w: rg.grad(rg.checkpoint(lambda y: np.sum(w * y ** 3)))
    expected = 3 * X ** 2
    np.testing.assert_allclose(rg.grad(lambda w: np.sum(inner(w)(X)))(X), expected)
    untraced = rg.grad(lambda w: rg.checkpoint(lambda y: np.sum(w * y ** 3))(X))(X)
    np.testing.assert_allclose(untraced, X ** 3)


@pytest.mark.parametrize("transform",
                         [lambda f: rg.grad(f), lambda f: lambda x: rg.jvp(f, (x,), (x,))])
def test_closing_over_arrays_of_the_same_transform_is_an_error(transform):
    with pytest.raises(TypeError, match="closes over a traced array.*pass it as an argument"):
        transform(lambda x: np.sum(rg.checkpoint(lambda y: x * y)(x * 2)))(X)
    with pytest.raises(TypeError, match="closes over a traced array.*pass it as an argument"):
        transform(lambda x: np.sum(
            rg.grad(lambda z: np.sum(rg.checkpoint(lambda y: x * y)(x * z)))(X)))(X)
