"""refgrad.nn against torch at the first samples of torch's op database; the comparison sees what is
planted."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import refgrad as rg
from crosscheck.report.tables import read_table, write_table
from crosscheck.studies.layers import TABLE, report, run
from crosscheck.studies.layers.comparison import BOTH, REFGRAD, TORCH, compare
from crosscheck.studies.layers.samples import Call
from refgrad import nn
from refgrad.primitive import declare
from tests.crosscheck.scenarios import function

X = torch.tensor([[0.5, -1.25, 2.0], [0.75, 3.5, -0.25]], dtype=torch.float64)


@pytest.fixture(scope="module")
def frame():
    pytest.importorskip("expecttest")
    return run.run_layers(quick=True)[0]


def test_the_first_samples_of_every_function_agree(frame):
    """Or refgrad is right.  What refgrad.nn lacks is missing, and no more is said of it."""
    wrong = frame[(frame["differ"] > 0) & (frame["right"] != REFGRAD)]
    assert not wrong[["name", "stage", "right"]].values.tolist(), wrong
    assert not frame.loc[frame["raised"] < frame["errors"], ["name", "accepted"]].values.tolist()
    here = frame[~frame["missing"]]
    assert {"relu", "pad", "interpolate", "grid_sample", "softmax"} <= set(here["name"])
    assert (here["passed"] + here["refused"] + here["differ"] == here["samples"]).all()
    assert here["forward"].all() and here["second"].all()


def test_table_and_section(frame, tmp_path):
    write_table(frame, tmp_path / TABLE.name)
    again = read_table(tmp_path, TABLE, "layers")
    *found, shown = report.sections(tmp_path, again)
    assert (run.sentence(again) == run.sentence(frame)
            and shown["text"][0].startswith(run.sentence(frame)))
    assert len(shown["tables"][-1]["rows"]) == (~frame["missing"]).sum()
    assert (sum(len(section["tables"][0]["rows"]) for section in found)
            == (frame["differ"] > 0).sum())


# What is planted


class Op:
    """An entry of the database, made here."""

    name, variant_test_name, supports_autograd, supports_gradgrad = "op", "", True, True

    def __init__(self, function):
        self.function = function

    def __call__(self, *args, **options):
        return self.function(*args, **options)


def found(theirs, mine, x=X, **options):
    sample = SimpleNamespace(input=x.clone().requires_grad_(), args=(), kwargs=options)
    return compare(Op(theirs), mine, Call.of(sample))


def cube(jvp=3, vjp=3):
    return declare(None, "y = x^3, dy = 3 x^2 dx", name="cube",
                   forward=lambda x: x * x * x, pointwise=True,
                   jvp=(lambda v, x: jvp * x * x * v,), vjp=(lambda g, x: vjp * x * x * g,))


@pytest.fixture
def declared(monkeypatch):
    """`cube`, out of the table when the test ends."""
    table = dict(rg.primitive.TABLE)
    yield cube
    rg.primitive.TABLE.clear()
    rg.primitive.TABLE.update(table)


def test_nothing_is_found_where_nothing_is_wrong(declared):
    assert found(lambda x: x ** 3, declared()).stage == ""


@pytest.mark.parametrize("jvp, vjp, stage", [(3, 2, "gradient"), (2, 3, "forward")])
def test_a_wrong_rule_is_found_and_torch_is_right(declared, jvp, vjp, stage):
    wrong = found(lambda x: x ** 3, declared(jvp, vjp))
    assert wrong.stage == stage and wrong.right == TORCH and wrong.how_far > 0.01


def test_a_wrong_value_of_torch_is_found():
    wrong = found(lambda x: x ** 2 * (1 + 1e-6), lambda x: x * x)
    assert (wrong.stage == "value" and wrong.right == REFGRAD
            and wrong.how_far == pytest.approx(1e-6, rel=1e-3))


#: x^3 whose second derivative torch does not get right.
ONCE = function(lambda x: x ** 3, lambda g, x: g * x * 3 * x.detach())


def test_a_wrong_second_derivative_of_torch_is_found():
    wrong = found(ONCE.apply, lambda x: x * x * x)
    assert wrong.stage == "reverse over reverse" and wrong.right == REFGRAD


def test_at_a_kink_both_are_right():
    wrong = found(torch.relu, lambda x: np.where(x >= 0, x, 0),
                  torch.tensor([0.0, 1.0], dtype=torch.float64))
    assert wrong.stage == "gradient" and wrong.right == BOTH


def test_where_the_slope_has_a_kink_both_are_right():
    """The second derivative of x |x| / 2 is to the left not what it is to the right."""
    wrong = found(lambda x: torch.where(x > 0, x * x / 2, -x * x / 2),
                  lambda x: np.where(x >= 0, x * x / 2, -x * x / 2),
                  torch.tensor([0.0, 1.0], dtype=torch.float64))
    assert wrong.stage == "reverse over reverse" and wrong.right == BOTH


def test_what_is_refused_says_why():
    refused = found(lambda x, p: x, nn.dropout, p=0.5)
    assert refused.stage == "refused" and "generator" in refused.reason


def test_a_crash_is_a_finding():
    def broken(x):
        if type(x) is not np.ndarray:
            raise RuntimeError("broken")
        return x
    assert found(lambda x: x, broken).right == "RuntimeError: broken"


def test_interrupted_it_keeps_what_is_finished(monkeypatch):
    def interrupted(name):
        if name == "elu":
            raise KeyboardInterrupt
    monkeypatch.setattr(run, "row_of", lambda op, *_: {"name": op})
    frame, stopped = run.run_layers(tick=interrupted, ops=["relu", "elu", "silu"])
    assert stopped == "interrupted" and list(frame["name"]) == ["relu", "elu"]


def test_without_the_database_it_says_so(monkeypatch):
    monkeypatch.setattr(report, "find_spec", lambda name: None)
    outcome = report.run(SimpleNamespace(seed=0, quick=True), None)
    assert not outcome.finished and "expecttest" in outcome.notes[0]
