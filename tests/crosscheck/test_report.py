"""What a report says: its outcome, what was decided, where the fault is; and what else can be asked
for."""

import numpy as np
import pytest
import torch

from crosscheck import GradientError, assert_gradient, check
from crosscheck.checker.report import STATUS
from crosscheck.modes import Mode
from tests.crosscheck.scenarios import function, measured

pytest_plugins = "pytester"

X = np.array([[0.5, -1.25, 2.0], [0.75, 3.5, -0.25]])
W = np.array([[1.0, -0.5, 0.25], [2.0, 0.75, -1.5], [0.5, 1.25, 3.0]])
T = torch.tensor(X)


def first_line(report):
    return " ".join(str(report).split("\n")[:2])


# Outcomes


def test_ok_says_what_was_decided_in_which_dtypes_and_how():
    report = check(np.tanh, X)
    assert report.outcome == "ok" and report.ok and not report.undecided
    assert first_line(report).startswith(
        "tanh(x: 2,3) ok: first and second derivatives are right in float64 and float32, "
        "proved in ball arithmetic")
    by_differences = check(measured(torch.tanh), T, order=1, dtypes="float64")
    assert ("ok: first derivatives are right in float64, by differences in floats"
            in first_line(by_differences))


def test_nothing_decided_is_not_ok():
    """A comparison that balls cannot decide leaves all open."""
    report = check(lambda x: np.maximum(np.sqrt(x) ** 2, x), np.abs(X))
    assert report.outcome == "undecided" and not report.ok and not report.failures
    assert report.undecided == [("x", "float64"), ("x", "float32")]
    assert ("undecided: nothing is known of the derivative with respect to x in float64; "
            "x in float32" in (first_line(report)))
    with pytest.raises(GradientError, match="undecided"):
        assert_gradient(lambda x: np.maximum(np.sqrt(x) ** 2, x), np.abs(X))


def test_a_gradient_that_is_never_given_is_undecided():
    """jvp alone tells nothing about an input whose tangents are refused."""
    report = check(np.sin, X, vjp=lambda g, x: g * np.cos(x), modes="forward")
    assert report.outcome == "undecided" and "no first derivative was given" in report.sentence()


def test_each_outcome_has_an_exit_status_of_its_own():
    assert sorted(STATUS.values()) == [0, 1, 3] and STATUS["ok"] == 0 and STATUS["wrong"] == 1


def test_how_code_behaves_is_ok_and_not_exact_to_rounding():
    frame = check(np.tanh, X).to_frame()
    assert set(frame.loc[frame["check"].isin(["mutation", "repeated calls", "linearity"]),
                         "verdict"]) == {"ok"}
    assert "exact to rounding" in set(frame.loc[frame["check"] == "reverse", "verdict"])


# Where is it?


def linear(x, w, b):
    return x @ w + b


def backward(g, x, w, b):
    return [g @ w.T, x.T @ g, g.sum(0)]


def says(spoil, *inputs):
    """name -> the words about the gradient with respect to it, of a linear layer with a spoilt
    gradient."""
    inputs = inputs or (X, W, np.array([0.5, -1.0, 2.0]))

    def vjp(g, *arrays):
        found = backward(g, *arrays)
        spoil(found)
        return tuple(found)

    report = check(linear, *inputs, vjp=vjp)
    assert report.outcome == "wrong"
    lines = [line.split(", ", 3) for line in report.lines() if line.startswith("reverse, ")]
    return {name: words for _, _, name, words in lines}


def put(k, change):
    def spoil(found):
        found[k] = change(found[k])
    return spoil


def column(a, at, value):
    a = np.array(a)
    a[at] = value
    return a


@pytest.mark.parametrize("spoil, name, words", [
    (put(1, lambda a: column(a, np.s_[:, -1], 0)), "w",
     "column 2 (the last) alone is wrong: it is 0"),
    (put(1, lambda a: column(a, 0, 2 * a[0])), "w", "row 0 alone is wrong"),
    (put(2, lambda a: 2 * a), "b", "off by the factor 2 everywhere: it is twice as large"),
    (put(2, lambda a: a / 5), "b",
     "off by the factor 0.2 everywhere: a factor of 5 is missing (a mean where a sum is due?)"),
    (put(0, lambda a: -a), "x", "off by the factor -1 everywhere: its sign is turned"),
    (put(1, lambda a: a.T), "w", "it is transposed"),
    (put(2, lambda a: 0 * a), "b", "it is 0 everywhere: nothing flows back"),
    (put(2, lambda a: column(a, -1, 7)), "b", "entry 2 (the last) alone is wrong"),
    (put(1, lambda a: column(column(a, (0, 0), 9), (1, 2), 9)), "w", "2 of 9 entries are wrong")])
def test_the_pattern_of_a_fault(spoil, name, words):
    said = says(spoil)
    assert set(said) == {name} and words in said[name]


def test_every_wrong_input_has_a_line_and_right_ones_have_none():
    def spoil(found):
        found[1], found[2] = 3 * found[1], 0 * found[2]
    assert set(says(spoil)) == {"w", "b"}


def test_the_other_inputs_gradient():
    report = check(lambda a, b: np.sum(a * a * b), X, X + 1, gradient=lambda a, b: (a * a, a * a))
    assert "it is the gradient with respect to b" in str(report)


def test_the_cotangent_of_a_result_is_ignored():
    f = lambda x: (np.sin(x), np.exp(x))
    report = check(f, X, vjp=lambda g, x: (g[0] * np.cos(x),))
    assert "the cotangent of result 1 is ignored" in str(report)


def test_a_large_array_is_looked_at_slice_by_slice():
    x = np.random.default_rng(0).standard_normal((20, 30))
    report = check(np.sin, x, vjp=lambda g, x: (column(g * np.cos(x), 19, 0),), quick=True)
    assert "row 19 (the last) alone is wrong: it is 0" in " ".join(str(report).split())
    report = check(np.sin, x, vjp=lambda g, x: (4 * g * np.cos(x),), quick=True)
    assert "off by the factor 4 everywhere" in " ".join(str(report).split())


def test_a_backward_that_is_not_differentiable_again_says_what_to_do():
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(2 * x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[0]

    text = " ".join(str(check(Square, T)).split())
    assert "once_differentiable" in text and "order=1" in text
    assert check(Square, T, order=1).ok


# What can be asked for


def test_parameters_in_nests():
    def f(p, x):
        return np.tanh(x @ p["layers"][0]["w"] + p["layers"][0]["b"]) @ p["w"]

    p = {"layers": [{"w": W, "b": W[0]}], "w": W[:, :2]}
    assert check(f, p, X, quick=True).ok
    assert check(f, p, X, argnums=0, quick=True).examination.subject.arguments.chosen == [
        "p['layers'][0]['w']", "p['layers'][0]['b']", "p['w']"]
    # a gradient in the same nest, whose keys come in another order
    loss = lambda p: np.sum(np.sin(p["a"]) * p["b"])
    gradient = lambda p: {"b": np.sin(p["a"]), "a": np.cos(p["a"]) * p["b"]}
    assert check(loss, {"a": X, "b": X + 1}, gradient=gradient).ok
    report = check(loss, {"a": X, "b": X + 1},
                   gradient=lambda p: {**gradient(p), "b": 2 * np.sin(p["a"])})
    assert {f.argument for f in report.failures if f.check == Mode.REVERSE} == {"p['b']"}
    with_other_keys = check(loss, {"a": X, "b": X + 1}, gradient=lambda p: {"a": X})
    assert "misconduct" in str(with_other_keys) and "of ['a']" in str(with_other_keys)


def test_tensors_in_nests_and_keywords():
    def f(p, *, scale):
        return torch.tanh(p["w"]) * scale
    assert check(f, {"w": T}, kwargs={"scale": T + 1}, quick=True).ok
    assert check(lambda x, k=1: x ** k, X, kwargs={"k": 2}, quick=True).ok


def test_value_and_gradient_together():
    both = lambda w: (np.sum((X @ w) ** 2), 2 * X.T @ (X @ w))
    assert check(both, W, gradient=True).ok
    half = lambda w: (np.sum((X @ w) ** 2), X.T @ (X @ w))
    assert "factor 0.5" in str(check(half, W, gradient=True))
    assert "gradient=True" in str(check(half, W, quick=True))
    with pytest.raises(TypeError, match="a function that returns .value, gradient."):
        check(lambda x: [np.sum(x)], X, gradient=True)


def test_none_for_a_gradient_is_zeros_and_said_where_they_are_wrong():
    f = lambda x, y: np.sum(np.sin(x))
    assert check(f, X, X + 1, gradient=lambda x, y: (np.cos(x), None)).ok
    report = check(lambda x, y: np.sum(x * y), X, X + 1, gradient=lambda x, y: (y, None))
    assert "returns None for y" in " ".join(str(report).split())


def test_modes_and_orders():
    assert ({f.check for f in check(np.tanh, X, modes=("reverse",)).verdicts} & set(Mode)
            == {Mode.REVERSE})
    assert not {f.check
                for f in check(np.tanh, X, order=1).verdicts} & {m for m in Mode if m.order == 2}
    quick = check(np.tanh, X, quick=True)
    assert quick.ok and len({f.point for f in quick.verdicts}) <= 3
    for options, message in (({"order": 3}, "expected 1 or 2"),
                             ({"modes": "backward"}, "expected some of 'reverse'"),
                             ({"symmetric": "w"}, "names of symmetric matrices"),
                             ({"surrogate": np.sin, "reference": np.sin}, "not both")):
        with pytest.raises(ValueError, match=message):
            check(np.tanh, X, **options)


def test_a_straight_through_estimator_is_measured_by_what_it_stands_for():
    rounded = function(lambda x: torch.round(4 * x).clamp(-4, 4) / 4,
                       lambda g, x: g * ((x >= -1) & (x <= 1)))
    x = torch.tensor([-1.7, -0.4, 0.2, 0.9, 1.3], dtype=torch.float64)
    assert check(rounded, x, surrogate=lambda x: np.clip(x, -1, 1), order=1).ok
    assert not check(rounded, x, surrogate=lambda x: x, order=1).ok


# Whose function is it?


def test_a_plain_function_that_calls_torch_is_torchs():
    def gelu(x):
        return torch.nn.functional.gelu(x)
    assert check(gelu, X, quick=True).ok
    assert not check(lambda x: torch.tensor(1.0) + x.clone().detach(), X, quick=True).verdicts == []


def test_a_jax_function_is_checked_through_jax():
    jax = pytest.importorskip("jax")
    jnp = jax.numpy

    @jax.custom_vjp
    def soft(x):
        return jnp.exp(x) / jnp.sum(jnp.exp(x))
    soft.defvjp(lambda x: (soft(x), soft(x)), lambda s, g: (s * g - s * jnp.sum(g),))
    x = np.array([0.3, -1.0, 0.7])
    report = check(soft, x, order=1, dtypes="float64", quick=True)
    assert report.outcome == "wrong" and "JAX" in str(report)
    assert check(lambda x: jnp.tanh(x), x, order=1, dtypes="float64", quick=True).ok


@pytest.mark.parametrize("call, message", [
    (lambda: check(lambda x, b: x + b, X, np.ones(5)),
     "raises ValueError at the inputs: operands could not be broadcast"),
    (lambda: check(lambda x, b: x + b, T, torch.ones(5)),
     "raises RuntimeError at the inputs: The size of tensor a"),
    (lambda: check(lambda x: 1 / 0, X), "raises ZeroDivisionError at the inputs")])
def test_a_function_that_raises_at_the_inputs_is_said_in_one_line(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_pytest_shows_the_call_and_not_the_checkers_insides(pytester):
    pytester.makepyfile("""
        import numpy as np
        from crosscheck import assert_gradient
        def test_wrong():
            assert_gradient(np.sin, np.ones(2), vjp=lambda g, x: g * np.cos(x) * 2)
    """)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *sin(x: 2) wrong: reverse*"])
    assert "raise GradientError" not in result.stdout.str()
