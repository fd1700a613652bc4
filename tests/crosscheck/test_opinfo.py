"""torch's own functions in the trial of false alarms: how they are called, and who is wrong."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from crosscheck import check
from crosscheck.modes import Mode
from crosscheck.studies.checkers import compare, opinfo
from crosscheck.studies.checkers.answer import ACCEPTED, REJECTED, Answer
from crosscheck.truth import estimated
from tests.crosscheck.scenarios import function

X = torch.tensor([[0.5, -1.25, 2.0], [0.75, 3.5, -0.25]], dtype=torch.float64)
DOUBLE = ("float64",)


def sample(first, *args, **kwargs):
    return SimpleNamespace(input=first, args=args, kwargs=kwargs,
                           output_process_fn_grad=lambda y: y)


class Both(torch.autograd.Function):
    """x^3, right in reverse mode and wrong in forward mode."""

    @staticmethod
    def forward(x):
        return x ** 3

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, g):
        return 3 * g * ctx.saved_tensors[0] ** 2

    @staticmethod
    def jvp(ctx, t):
        return 2 * t * ctx.saved_tensors[0] ** 2


class _Op:
    name = "op"

    def __init__(self, function):
        self.function = function

    def __call__(self, *args, **kwargs):
        return self.function(*args, **kwargs)

    @staticmethod
    def gradcheck_wrapper(op, *args, **kwargs):
        return op(*args, **kwargs)


def test_a_sample_is_called_as_torch_calls_it():
    leaf, scale = X.clone().requires_grad_(), torch.tensor(3.0, dtype=torch.float64)

    def op(parts, *, scale, power):
        return [parts[0] ** power * scale, torch.arange(2), torch.complex(parts[1], 2 * parts[1])]

    f, tensors = opinfo._split(_Op(op), sample([leaf, X], scale=scale, power=2))
    assert len(tensors) == 1 and torch.equal(tensors[0], X)
    first, pair = f(2 * X)
    assert torch.equal(first, 12 * X ** 2) and torch.equal(pair, torch.stack([X, 2 * X], -1))
    assert f(X.float())[0].dtype == torch.float32


def test_random_functions_are_called_with_one_seed():
    f, (x,) = opinfo._split(_Op(torch.nn.functional.dropout), sample(X.clone().requires_grad_()))
    assert torch.equal(f(x)[0], f(x)[0])


def test_what_cannot_be_differentiated_is_passed_over():
    whole, inf = X.clone().requires_grad_(), torch.full((2,), torch.inf, requires_grad=True)
    assert opinfo._fits(*opinfo._split(_Op(torch.sin), sample(whole)))
    assert not opinfo._fits(*opinfo._split(_Op(torch.sin), sample(X)))
    assert not opinfo._fits(*opinfo._split(_Op(torch.sin), sample(inf)))
    below = (-whole).detach().requires_grad_()
    assert not opinfo._fits(*opinfo._split(_Op(torch.log), sample(below)))
    assert not opinfo._fits(*opinfo._split(_Op(torch.argsort), sample(whole)))


@pytest.mark.parametrize("f, reason", [
    (Both.apply, "forward is not what torch itself gives in reverse"),
    (function(torch.sin, lambda g, x: g * torch.cos(x) * 1.001), "refuted by plain differences"),
    (function(torch.sin, lambda g, x: g * torch.cos(x) * torch.where(x == 0, torch.nan, 1.0)),
     "nan or inf"),
    # the slope of a kink where f has none
    (function(lambda x: 3 * x, lambda g, x: g * torch.where(x == 0, 0.0, 3.0)),
     "reverse is refuted by plain differences"),
])
def test_who_is_wrong_is_decided_by_plain_means(f, reason):
    report = check(f, X, dtypes=DOUBLE, order=1)
    assert report.failures and reason in opinfo.refuted(report)


def test_at_a_kink_plain_differences_refute_nobody():
    """Neither where the slopes of both sides are apart, nor where they turn with the direction."""
    for f in (torch.abs, torch.linalg.vector_norm, lambda x: torch.sort(x.flatten())[0],
              lambda x: torch.linalg.eigvals(x[:, :2]).abs()):
        trial = check(f, torch.zeros_like(X), dtypes=DOUBLE, order=1).examination.trials["as given"]
        trial.answers["float64"][Mode.REVERSE] = {k: a + 7.0 for k, a in trial.point.x.items()}
        failure = SimpleNamespace(dtype="float64", argument=next(iter(trial.point.x)))
        assert not opinfo._smooth_by_plain_differences(trial, failure)


def test_modes_that_are_apart_by_the_same_part_nearby_refute_each_other():
    """A factor of 1 + 1e-12 is seen, rounding of the same size is not."""
    def apart(part):
        f = function(lambda x: x ** 3, lambda g, x: 3 * g * x ** 2)
        trial = check(f, X, dtypes=DOUBLE, order=1).examination.trials["as given"]
        answer = trial.subject.answer

        def off(mode, x, weights, u, v, dtype):
            found = answer(Mode.REVERSE, x, weights, u, v, dtype)
            slope = np.sum(found["x"] * v["x"]) * (1 + part(x["x"]))
            return found if mode == Mode.REVERSE else {"x": slope}
        trial.subject.answer = off
        failure = SimpleNamespace(dtype="float64", argument="x")
        return opinfo._steadily_apart(trial, Mode.FORWARD, Mode.REVERSE, failure)

    assert apart(lambda x: 1e-12)
    assert not apart(lambda x: 1e-12 * float(np.sin(1e6 * x).sum()))
    assert not apart(lambda x: 1e-15)


def test_a_false_alarm_is_refuted_by_nothing(monkeypatch):
    slope = estimated.slope

    def astray(f, x, v, *eps):
        found = slope(f, x, v, *eps)
        found.value, found.uncertainty = found.value * 1.001, 0.0
        return found
    monkeypatch.setattr(estimated, "slope", astray)
    report = check(lambda x: torch.complex(torch.sin(x), x).real, X, dtypes=DOUBLE, order=1)
    assert report.how == "differences" and report.failures and not opinfo.refuted(report)


def test_differences_of_a_staircase_refute_nobody():
    """The gradient of a cast is right, whatever plain differences of its values say."""
    def cast(x):
        return (x / 3).to(torch.bfloat16).to(x.dtype)

    report = check(cast, X, dtypes=DOUBLE, order=1)
    assert not report.failures or not opinfo.refuted(report)


def test_a_right_function_counts_and_a_refuted_one_is_torchs_own(monkeypatch):
    monkeypatch.setattr(opinfo, "entries", lambda: {
        "sin": _Samples(torch.sin), "wrong": _Samples(Both.apply),
        "none": _Samples(torch.argsort)})
    rows = [row for name in ("sin", "wrong", "none")
            for row in compare.check_torch_function(opinfo.OpCase(name, 0))]
    assert [(r["subject"], r["verdict"]) for r in rows] == [
        ("torch function", ACCEPTED), ("torch", REJECTED)]
    assert rows[0]["subject"] in compare.COUNTED and rows[1]["subject"] not in compare.COUNTED
    assert rows[1]["message"].startswith("forward is not what torch itself gives")


class _Samples(_Op):
    def sample_inputs(self, device, dtype, requires_grad):
        yield sample(X.to(dtype).requires_grad_(requires_grad))


def test_all_entries_are_cases():
    pytest.importorskip(opinfo.NEEDS)
    cases = opinfo.op_cases()
    assert len(cases) > 500 and len({c.id for c in cases}) == len(cases)
    row = compare._right_row("torch", cases[0], "all", "crosscheck", Answer(ACCEPTED, 0))
    assert row["family"] == "OpInfo"
