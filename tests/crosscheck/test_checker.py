"""The checker: right derivatives pass, wrong ones are caught and named, and what it says can be
read."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import crosscheck
from crosscheck import GradientError, assert_gradient, check
from crosscheck.verdict import OK, NO_ANSWER, VERDICTS, WRONG
from refgrad import custom, nn
from tests.crosscheck.scenarios import (SCENARIOS, T, X, function, gelu, gelu_tanh_slope,
                                        measured, summed)
from tests.rules import negative, rule_named

SUMMED_PRODUCT = summed(lambda g, a, b: (g * b, g * a))


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name):
    scenario = SCENARIOS[name]
    assert scenario.holds(), str(scenario.run())


# What a report says


def test_a_wrong_entry_is_named_with_its_factor():
    def vjp(g, x):
        wrong = np.ones(x.shape)
        wrong[1, 2] = 1.5
        return g * np.cos(x) * wrong

    report = check(np.sin, X, vjp=vjp)
    first = report.failures[0]
    assert first.verdict == WRONG and "entry (1, 2)" in first.note and "factor 1.5" in first.note
    by_balls = check(lambda x: torch.sin(x) + 0, T)
    assert by_balls.ok and by_balls.how == "balls"


def test_differences_name_the_entry_too():
    mask = torch.tensor([[1.0, 1, 1], [1, 1, 0.5]])
    fault = function(measured(torch.sin), lambda g, x: (
        g * torch.cos(x) * (mask.to(x.dtype) if x.shape == mask.shape else 1)))
    note = check(fault, T).failures[0].note
    assert "entry (1, 2)" in note and "factor 0.5" in note and "±" in note


def test_a_report_prints_as_a_table_and_is_a_frame():
    report = check(gelu(gelu_tanh_slope), T)
    text = str(report)
    assert "wrong: reverse" in text.splitlines()[0] and "reverse" in text and "entry" in text
    assert max(map(len, text.splitlines())) <= 100
    frame = report.to_frame()
    assert len(frame) == len(report.verdicts) and set(frame["verdict"]) <= {OK, *VERDICTS}
    assert frame["failed"].sum() == len(report.failures) > 0


def test_assert_gradient_raises_with_the_table():
    assert assert_gradient(np.tanh, X).ok
    with pytest.raises(GradientError,
                       match="(?s)wrong.*agrees with differences to 9.0 digits") as caught:
        assert_gradient(np.sin, X, vjp=lambda g, x: g * np.cos(x) * (1 + 1e-9))
    assert isinstance(caught.value, AssertionError) and not caught.value.report.ok


def test_the_same_seed_finds_the_same_and_another_stands_elsewhere():
    reports = [check(nn.gelu, X, seed=s).to_frame() for s in (0, 0, 1)]
    assert reports[0].equals(reports[1]) and not reports[0].equals(reports[2])


def test_inputs_are_left_alone():
    x, t = X.copy(), T.clone().requires_grad_()
    x.flags.writeable = False
    check(np.tanh, x)
    check(torch.tanh, t)
    assert np.array_equal(x, X) and torch.equal(t.detach(), T) and t.grad is None


# What can be checked


def test_a_custom_primitive_whose_rule_is_wrong():
    sine = custom(np.sin)
    sine.def_vjp(lambda g, y, x: (g * np.cos(x),))
    sine.def_jvp(lambda tangents, y, x: tangents[0] * np.sin(x))
    failures = check(lambda x: sine(x) * x, X).failures
    assert ({f.check for f in failures} >= {"forward"}
            and not {f.check for f in failures} & {"reverse"})


@pytest.mark.parametrize("which, kind", [("vjp", "reverse"), ("jvp", "forward")])
@pytest.mark.parametrize("factor, ok", [(1, True), (1 + 1e-9, False)])
def test_a_primitive_with_one_rule_alone(which, kind, factor, ok):
    sine = custom(np.sin)
    if which == "vjp":
        sine.def_vjp(lambda g, y, x: (g * np.cos(x) * factor,))
    else:
        sine.def_jvp(lambda tangents, y, x: tangents[0] * np.cos(x) * factor)
    report = check(lambda x: sine(x) * 2, X)
    assert report.ok == ok, str(report)
    assert ok or {f.check for f in report.failures} >= {kind}
    answered = {f.check for f in report.verdicts if f.verdict != NO_ANSWER}
    assert kind in answered and not answered & {"reverse", "forward"} - {kind}


def test_the_primitive_at_fault_is_named(monkeypatch):
    tanh = rule_named("np.tanh")
    monkeypatch.setattr(tanh, "vjp", negative(tanh.vjp, 0))
    report = check(lambda x: np.sum(np.exp(np.tanh(x) * 2)), X)
    assert report.culprit.primitive == "np.tanh" and report.culprit.rule == "vjp"
    assert ("The vjp of argument 0 of np.tanh is wrong (operation 1 of the program"
            in " ".join(str(report).split()))


def test_integers_and_options_are_passed_on():
    for dtype in (np.int64, np.uint8):  # -100, the label that is ignored, is no uint8
        report = check(nn.cross_entropy, X, np.array([0, 2], dtype))
        assert report.ok and "repeated indices" in {f.point for f in report.verdicts}
    report = check(F.cross_entropy, T, torch.tensor([0, 2]), reference=nn.cross_entropy)
    assert (report.ok and report.how == "balls"
            and "repeated indices" in {f.point for f in report.verdicts})


def test_a_module_with_its_parameters_against_a_reference():
    linear = torch.nn.Linear(3, 2)
    report = check(linear, T, reference=nn.linear)
    assert report.ok and {f.argument for f in report.verdicts} >= {"input", "weight", "bias"}
    wrong = check(linear, T, reference=lambda x, weight, bias: nn.linear(x, weight, 2 * bias))
    assert ("value", WRONG) in {(f.check, f.verdict) for f in wrong.failures}


def test_running_statistics_of_a_module_are_left_alone():
    norm = torch.nn.BatchNorm1d(3)
    before = norm.running_mean.clone()
    check(norm, torch.tensor(np.vstack([X, 2 * X])), dtypes=("float64",))
    assert torch.equal(norm.running_mean, before)


def test_tensors_that_require_a_gradient_are_those_that_are_differentiated():
    a, b = T.clone().requires_grad_(), T + 1
    assert ({f.argument for f in check(torch.mul, a, b).verdicts} & {"argument 0", "argument 1"}
            == {"argument 0"})


def test_argnums_choose():
    found = {f.argument for f in check(np.multiply, X, X + 1, argnums=1).verdicts}
    assert ("x2" in found and "x1" not in found
            or "argument 1" in found and "argument 0" not in found)


def test_one_array_for_two_inputs():
    for report in (check(np.multiply, X, X + 1, vjp=SUMMED_PRODUCT), check(np.multiply, X, X + 1),
                   check(torch.mul, T, T + 1)):
        assert report.ok and "repeated inputs" in {f.check for f in report.verdicts}


def test_a_function_that_leaves_the_protocols_is_differenced_and_the_report_says_why():
    report = check(lambda x: np.float64(float(np.sum(x)) ** 2), X,
                   gradient=lambda x: np.full_like(x, 2 * np.sum(x)))
    assert report.ok and report.how == "differences" and "TypeError" in str(report)
    with pytest.raises(ValueError, match="reference does not run in ball arithmetic"):
        check(torch.sin, T, reference=lambda x: np.float64(float(np.sum(x))))


def test_several_results():
    assert check(lambda x: (np.sin(x), {"sum": np.sum(x * x)}), X).ok
    assert check(lambda x: (torch.sin(x), torch.argmax(x), {"sum": (x * x).sum()}), T).ok


def test_scalars_and_size_one_and_empty():
    assert check(np.tanh, 0.5).ok
    assert check(np.tanh, np.array([[0.5]])).ok
    assert check(np.tanh, np.zeros((0, 3))).ok


def test_a_function_for_one_dtype_alone():
    def single(x):
        if x.dtype != torch.float32:
            raise TypeError("float32 only")
        return torch.tanh(x)

    report = check(single, T.float())
    assert report.ok and {f.dtype for f in report.verdicts if f.verdict != NO_ANSWER} == {"float32"}


def test_torch_batch_norm_has_wrong_second_derivatives():
    x = torch.tensor(np.random.default_rng(0).standard_normal((5, 3)))
    checks = {f.check
              for f in check(lambda x: F.batch_norm(x, None, None, training=True), x).failures}
    assert checks == {"reverse over forward", "forward over forward"}


def test_at_the_inputs_as_given_bounds_are_proven_and_values_are_compared():
    report = check(np.sin, X, vjp=lambda g, x: g * np.cos(x))
    proven = {(f.point, f.dtype) for f in report.verdicts
              if f.check == "reverse" and f.bound == "proven" and f.dtype != "exact"}
    assert proven == {("as given", "float64"), ("as given", "float32")}
    assert {f.point for f in report.verdicts if f.check == "value"} == {"as given"}


# Functions as people write them


def test_a_once_differentiable_backward_has_no_second_order_and_that_is_no_fault():
    once = function(torch.sin, lambda g, x: g * torch.cos(x))
    once.backward = staticmethod(torch.autograd.function.once_differentiable(once.backward))
    report = check(once, T)
    assert report.ok and any("once_differentiable" in f.note for f in report.verdicts)


def test_results_that_are_declared_not_differentiable_and_floats_that_are_options():
    class Scaled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, factor):
            mean = x.mean()
            ctx.mark_non_differentiable(mean)
            ctx.factor = factor
            return x * factor, mean

        @staticmethod
        def backward(ctx, g, _):
            return g * ctx.factor, None

    report = check(Scaled, T, 0.5)
    assert report.ok and {f.argument for f in report.verdicts} <= {"x", "*", "result 0"}


def test_each_result_alone_and_each_input_alone(monkeypatch):
    class Both(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.set_materialize_grads(False)
            ctx.save_for_backward(x, w)
            return x * w, torch.sin(x)

        @staticmethod
        def backward(ctx, g, h):
            x, w = ctx.saved_tensors
            if not ctx.needs_input_grad[0]:
                return None, None          # w's gradient is lost when x wants none
            return g * w + h * torch.cos(x), g * x     # g and h may be None

    checks = {f.check for f in check(Both, T, T + 1).failures}
    assert {"each input alone", "each result alone"} <= checks


def test_a_modules_parameters_keep_their_shapes():
    lstm = torch.nn.LSTM(2, 3)
    state = torch.zeros(1, 1, 3), torch.zeros(1, 1, 3)
    points = {f.point for f in check(lambda x: lstm(x, state)[0], torch.randn(4, 1, 2),
                                     dtypes=("float32",)).verdicts}
    assert points
    named = {f.point for f in check(torch.nn.Linear(3, 2), T).verdicts}
    assert not [p for p in named if p.startswith(("weight of", "bias of"))]


def test_an_even_kink_is_seen_by_differences():
    """Of cosh x + |x| the central quotient at 0 is 0 at once; the slopes are -1 and 1."""
    sign = lambda x: torch.where(x >= 0, 1.0, -1.0).to(x.dtype)
    assert check(function(lambda x: torch.cosh(x) + x.abs(),
                          lambda g, x: g * (torch.sinh(x) + sign(x))), T).ok


def test_gradients_come_in_the_order_of_argnums():
    vjp = summed(lambda g, a, b: (2 * g * a * b, g * b * b))   # of b, then of a
    assert check(lambda a, b: a * b * b, X, X + 1, argnums=(1, 0), vjp=vjp).ok
    assert check(torch.mul, T, T + 1, argnums=0).ok


# Errors that teach


@pytest.mark.parametrize("call, error, message", [
    (lambda: check(3, X), TypeError, "f is int; expected a function"),
    (lambda: check(np.sin, np.arange(3)), TypeError,
     "no input of sin is an array of floats.*int64"),
    (lambda: check(np.sin), TypeError, r"there are no inputs.*check\(f, x, y\)"),
    (lambda: check(torch.mul, (T, T)), ValueError, "one input, a tuple or list"),
    (lambda: check(lambda a, b: a * b, [X, X]), ValueError, "one input, a tuple or list"),
    (lambda: check(np.sin, X + 1j), TypeError, "complex128.*expected real numbers"),
    (lambda: check(np.log, -np.abs(X)), ValueError, "log is nan or inf at the inputs"),
    (lambda: check(np.tanh, np.array([np.inf])), ValueError, "has nan or inf among its entries"),
    (lambda: check(np.multiply, X, X, argnums=(2,)), ValueError, "argnums=.2,.*input 2 of 2"),
    (lambda: check(torch.mul, T, T, argnums=(5,)), ValueError, "argnums=.5,.*input 5 of 2"),
    (lambda: check(np.multiply, X, X, argnums=(1, 1)), ValueError, "names an input twice"),
    (lambda: check(np.sin, X, dtypes=()), ValueError, "dtypes is empty"),
    (lambda: check(torch.nn.Linear, T), TypeError, "f is the class Linear; expected a Module"),
    (lambda: check(np.sin, X, reference=3), TypeError, "reference is int"),
    (lambda: check(torch.sin, T, vjp=lambda g, x: g), TypeError, "belong to a NumPy function"),
    (lambda: check(lambda x: x > 0, X), TypeError, "returns no array of floats"),
    (lambda: check(np.sin, X, dtypes=("int8",)), TypeError, "int8.*not one of float64"),
    (lambda: check(np.sin, X, gradient=np.cos), ValueError,
     "gradient= is for a function with one number"),
])
def test_bad_calls_say_what_is_wrong(call, error, message):
    with np.errstate(invalid="ignore"), pytest.raises(error, match=message):
        call()


def test_the_package_shows_its_names_only():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        crosscheck.nothing


# The plugin and the command

pytest_plugins = ["pytester"]


def test_the_fixture_fails_a_test_with_the_table(pytester):
    pytester.makepyfile("""
        import numpy as np
        def test_right(crosscheck):
            assert crosscheck(np.tanh, np.ones((2, 2)) / 2).ok and crosscheck.seed == 7
        def test_wrong(crosscheck):
            crosscheck(np.sin, np.ones(2), vjp=lambda g, x: g * np.cos(x) * 2)
    """)
    result = pytester.runpytest_subprocess("--crosscheck-seed", "7", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*wrong: reverse*"])
