"""Planted faults: they are put in and taken out, mutants that change nothing are proved so, the
trial counts right."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from crosscheck.ball import Ball
from crosscheck.trial import Finding
from crosscheck.studies.faults import experiment as experiments
from crosscheck.studies.faults import planting, trial
from crosscheck.studies.faults.equivalence import MOVES, compare
from crosscheck.studies.faults.operators import OPERATORS, Call
from crosscheck.studies.faults.planting import (chosen, faults, planted, primitive_named,
                                                primitives, rules_of)
from crosscheck.report.tables import read_table, write_table
from crosscheck.studies.faults.plots import plot_faults
from crosscheck.studies.faults import TABLE
from refgrad import grad, jvp
from refgrad.primitive import Each
from refgrad.rules.decompositions import symmetric

from .figures import labels

QUICK = chosen("quick")


def fault(text):
    """The fault that is written so: 'np.sin vjp 0: sign turned'."""
    return next(f for f in faults() if str(f) == text)


# Operators and planting


def test_every_operator_says_what_it_stands_for_and_can_be_made_somewhere():
    made = {f.operator for f in faults()}
    for operator in OPERATORS.values():
        assert operator.stands_for.endswith(".")
        assert operator.name in made


def test_every_rule_of_every_primitive_is_met():
    met = {(f.primitive, f.which, f.argument) for f in faults()}
    for p in primitives():
        arguments = (range(1) if isinstance(p.vjp, Each)
                     else [i for i in range(len(p.vjp)) if p.vjp[i] is not None])
        assert {(p.name, which, i) for which in planting.SIDES for i in arguments} <= met


def test_there_are_hundreds_and_quick_has_each_primitive_and_operator():
    assert len(faults()) > 5000 and len(chosen("full")) > 2000 and len(QUICK) < 250
    assert {f.primitive for f in QUICK} == {p.name for p in primitives()}
    assert {f.operator for f in QUICK} == set(OPERATORS)
    assert {f.which for f in chosen("full")} == set(planting.SIDES)
    assert len({(f.primitive, f.operator) for f in chosen("full")}) == len(chosen("full"))
    with pytest.raises(ValueError, match="'fast'"):
        chosen("fast")


@pytest.mark.parametrize("name, which", [("np.sin", "vjp"), ("np.sin", "jvp"),
                                         ("einsum", "vjp"), ("np.add", "both"),
                                         ("np.sum", "jvp"), ("np.concatenate", "both")])
def test_a_fault_is_planted_and_taken_out_again(name, which):
    primitive = primitive_named(name)
    before = primitive.vjp, primitive.jvp
    with pytest.raises(KeyError, match="inside"):
        with planted(primitive, "sign turned", which, 0):
            after = primitive.vjp, primitive.jvp
            raise KeyError("inside")
    assert [a is not b for a, b in zip(after, before)] == [which != "jvp", which != "vjp"]
    assert primitive.vjp is before[0] and primitive.jvp is before[1]


def test_only_the_chosen_rule_and_argument_are_wrong():
    x, y = np.array([1.0, 2.0]), np.array([3.0, 5.0])
    f = lambda x, y: np.sum(np.subtract(x, y))
    with planted("np.subtract", "factor 2", "vjp", 1):
        assert (grad(f, (0, 1))(x, y)[0].tolist() == [1, 1]
                and grad(f, (0, 1))(x, y)[1].tolist() == [-2, -2])
        assert jvp(f, (x, y), (x, y))[1] == -5
    # A linear kind, whose jvp is the function.
    with planted("np.concatenate", "factor 2", "jvp", 1):
        assert jvp(lambda x, y: np.concatenate([x, y]), (x, y), (x, y))[1].tolist() == [1, 2, 6, 10]
    with pytest.raises(ValueError, match="'all'"), planted("np.sin", "factor 2", "all", 0):
        pass
    with pytest.raises(ValueError, match="'np.sine'"), planted("np.sine", "factor 2", "vjp", 0):
        pass


def faulty(text, v, *arrays, **params):
    """The right and the faulty result of one rule."""
    f = fault(text)
    primitive = primitive_named(f.primitive)
    kept = primitive.trace(arrays, params)[1]
    rules = rules_of(primitive, f.which)
    call = Call(primitive, f.which, f.argument, rules, {}, v, kept, arrays, params)
    return call.right(), OPERATORS[f.operator].apply(call)


def test_what_the_operators_do():
    x, ones = np.array([1.0, 5.0, -2.0, 2.0]), np.ones(4)
    assert (faulty("np.square vjp 0: one entry off by 1e-7", ones, x)[1].tolist()
            == [2, 10, -4, 4 * (1 + 1e-7)])
    assert faulty("np.square vjp 0: wrong beyond 3", ones, x)[1].tolist() == [2, 6, -4, 4]
    assert faulty("np.square vjp 0: wrong below 0", ones, x)[1].tolist() == [2, 10, 4, 4]
    assert faulty("np.square vjp 0: constant derivative", ones, x)[1].tolist() == [3, 3, 3, 3]
    assert faulty("np.square vjp 0: cotangent ignored", 2 * ones, x)[1].tolist() == [2, 10, -4, 4]
    assert faulty("np.square vjp 0: y for x", ones, x)[1].tolist() == [2, 50, 8, 8]
    assert faulty("np.exp vjp 0: x for y", ones, x)[1].tolist() == x.tolist()
    assert (faulty("np.multiply vjp 0: arguments swapped", ones, x, 3 * ones)[1].tolist()
            == x.tolist())
    assert (np.isnan(faulty("np.sin vjp 0: nan at 0", ones, x * [0, 1, 1, 1])[1]).tolist()
            == [True, False, False, False])
    assert (faulty("np.sin vjp 0: float32 inside float64", ones, x)[1].tolist()
            == np.float32(np.cos(x)).tolist())
    index, g = np.array([0, 2, 0]), np.array([1.0, 2.0, 4.0])
    assert (faulty("getitem vjp 0: accumulation overwritten", g, x, index=index)[1].tolist()
            == [4, 0, 2, 0])
    scattered = faulty("scatter_add jvp 0: accumulation overwritten", g, g, index=index,
                       shape=(4,))[1]
    assert scattered.tolist() == [4, 0, 2, 0]
    row, grid = np.ones(2), np.arange(6.0).reshape(3, 2)
    assert faulty("np.add vjp 1: broadcast sum missing", grid, grid, row)[1].tolist() == [0, 1]
    assert faulty("np.add vjp 1: accumulation overwritten", grid, grid, row)[1].tolist() == [4, 5]
    assert (np.sum(faulty("np.add vjp 1: broadcast averaged", grid, grid, row)[1], axis=0).tolist()
            == [2, 3])
    assert (faulty("np.add vjp 0: transpose missing", grid, grid, grid)[1].tolist()
            == [[0, 2], [4, 1], [3, 5]])
    assert faulty("np.max vjp 0: tie to both", np.array(1.0), row, axis=(-1,),
                  keepdims=False)[1].tolist() == [1, 1]
    assert sorted(faulty("np.max vjp 0: tie to one", np.array(1.0), row, axis=(-1,),
                         keepdims=False)[1]) == [0, 1]
    assert faulty("np.maximum jvp 0: tie to both", row, row, row)[1].tolist() == [1, 1]


def test_an_operator_that_has_nothing_to_spoil_leaves_the_rule_right():
    x = np.array([1.0, 2.0])
    with planted("np.sin", "arguments swapped", "both",
                 0), planted("np.cos", "eps forgotten", "vjp", 0):
        assert (grad(lambda x: np.sum(np.sin(x) + np.cos(x)))(x).tolist()
                == (np.cos(x) - np.sin(x)).tolist())


# Equivalence


@pytest.mark.parametrize("text", [
    "np.add vjp 0: arguments swapped", "np.sin vjp 0: wrong below 0",
    "np.sum both 0: saved values detached", "np.linalg.cholesky vjp 0: transpose missing",
    "np.exp jvp 0: y for x", "np.arctanh vjp 0: wrong beyond 3",
    "spectrum vjp 0: transpose missing", "scipy.special.kl_div both 1: wrong below 0",
    "np.nan_to_num jvp 0: y for x",
    "layer_norm vjp 2: wrong axis", "np.broadcast_to vjp 0: order reversed"])
def test_a_mutant_that_changes_nothing_is_proved_equivalent(text):
    comparison = compare(fault(text))
    assert comparison.equivalent and comparison.points >= 5


@pytest.mark.parametrize("text, difference", [
    ("np.cos vjp 0: wrong below 0", "the vjp differs in float64"),
    ("np.sin both 0: saved values detached", "vjp differs on balls, in its derivative"),
    ("np.sum jvp 0: result detached", "jvp differs on balls, in its derivative"),
    ("np.sin jvp 0: wrong in float32 alone", "jvp differs in float32"),
    ("np.tanh vjp 0: float32 inside float64", "vjp differs in float64"),
    ("matmul vjp 0: cotangent overwritten", "it writes into its argument"),
    ("np.sin vjp 0: strides ignored", "transposed in memory"),
    ("scatter_add vjp 0: strides ignored", "transposed"),
    ("np.max vjp 0: tie to one", "ties"), ("np.square both 0: wrong beyond 3", "times"),
    ("np.sin vjp 0: nan at 0", "zero"), ("tall_qr vjp 0: nan at 0", "one zero"),
    ("np.exp vjp 0: stale result", "vjp differs")])
def test_a_mutant_that_changes_something_is_not(text, difference):
    comparison = compare(fault(text))
    assert not comparison.equivalent and difference in comparison.difference


@pytest.mark.parametrize("text", ["quotient jvp 0: tie to one", "log_total both 0: wrong below 0",
                                  "deviation vjp 1: wrong below 0"])
def test_a_part_is_compared_where_its_function_brings_it(text):
    """The sum of exponentials is positive, probabilities do not vary where they are zero."""
    assert trial.try_fault(fault(text))["caught"] == "equivalent"


def test_a_factor_is_equivalent_only_where_the_derivative_is_zero():
    for f in chosen("full"):
        if f.operator in ("sign turned", "factor 2", "factor 1 + 1e-9", "gradient dropped",
                          "one entry nan"):
            assert not compare(f).equivalent, f


def test_every_fault_of_the_quick_profile_can_be_compared():
    for f in QUICK:
        comparison = compare(f)
        assert comparison.points > 0 or comparison.difference, f


def test_a_difference_at_one_kind_of_point_is_enough(monkeypatch):
    monkeypatch.setattr("crosscheck.studies.faults.equivalence.MOVES",
                        {"times 4": MOVES["times 4"]})
    # There is no zero among the numbers drawn.
    assert compare(fault("np.sin vjp 0: nan at 0")).equivalent


# The trial


SOME = ["np.multiply vjp 1: sign turned", "np.tanh jvp 0: factor 1 + 1e-9",
        "np.sin both 0: saved values detached",
        "np.linalg.inv vjp 0: transpose missing", "np.sum vjp 0: wrong below 0",
        "getitem vjp 0: accumulation overwritten"]


@pytest.fixture(scope="module")
def some():
    rows = [trial.try_fault(fault(text)) for text in SOME]
    return trial.faults_table(rows)


def test_faults_are_caught_and_pinned_on_their_primitive(some):
    assert some["caught"].tolist() == ["caught"] * 4 + ["equivalent", "caught"]
    assert [p is True for p in some["pinned"]] == [True] * 4 + [False, True]
    assert some["pinned_on"].tolist() == ["np.multiply", "np.tanh", "np.sin", "np.linalg.inv", "",
                                          "getitem"]
    assert some["by"].tolist()[:2] == ["reverse", "forward"] and " over " in some["by"][2]
    assert trial.summary(some) == {"planted": 6, "equivalent": 1, "false alarms": 0, "missed": 0,
                                   "caught": 5, "pinned": 5}
    assert trial.sentence(some) == ("6 faults planted, 1 proved to change nothing; of the other 5 "
                                    "caught 5, pinned on the right primitive 5")


@pytest.mark.parametrize("text", [
    "np.arctan2 vjp 1: tie to one", "np.arctan2 jvp 0: nan at 0", "np.clip vjp 2: strides ignored",
    "p_norm jvp 0: one entry nan", "np.linalg.cholesky both 0: nan at 0",
    "softmax jvp 0: cotangent overwritten", "log_softmax jvp 0: cotangent overwritten",
    "residual both 0: nan at 0", "scipy.special.xlogy vjp 0: tie to one"])
def test_a_fault_is_caught_that_shows_at_few_points(text):
    assert trial.try_fault(fault(text))["caught"] == "caught"


@pytest.mark.parametrize("text", [
    # What it is handed is no input of the program, but used again.
    "symmetric jvp 0: cotangent overwritten",
    # Open on balls: floats tell.
    "tall_qr vjp 0: constant derivative", "pseudoinverse both 0: constant derivative",
    "gamma_density vjp 0: wrong in float32 alone",
    "scipy.special.gammaincc vjp 1: wrong in float32 alone"])
def test_a_fault_is_pinned_on_a_primitive_that_a_program_calls_on_what_it_has_computed(text):
    row = trial.try_fault(fault(text))
    assert row["caught"] == "caught" and row["pinned_on"] == row["primitive"]


def test_right_rules_stay_when_a_trial_is_over(some):
    assert grad(lambda x: np.sum(np.tanh(x) * x))(np.zeros(2)).tolist() == [0, 0]


class Checker:
    """In the place of the checker: finds what it is told, each time the next."""

    def __init__(self, *found):
        self.found = iter(found)

    def __call__(self, subject, seed, thorough):
        return self

    def findings(self):
        found = next(self.found)
        if isinstance(found, Exception):
            raise found
        return iter(found)


def tried_by(checker, monkeypatch):
    monkeypatch.setattr(experiments, "Examination", checker)
    return experiments.Experiment(primitive_named("np.sin"), 0, experiments.bare, 0)


def test_what_the_checker_says_of_right_rules_is_not_a_fault_caught(monkeypatch):
    turned = fault("np.sin vjp 0: sign turned")
    one, other = (Finding(check, "as given", "x", "exact", "wrong", failed=True)
                  for check in ("reverse", "forward"))
    # First of the faulty program, then of the right one.
    assert tried_by(Checker([one, other], [one, other]), monkeypatch).first_failure(turned) is None
    assert tried_by(Checker([one, other], [one]), monkeypatch).first_failure(turned) is other
    assert tried_by(Checker([one, other], []), monkeypatch).first_failure(turned) is one


def test_an_error_of_the_checker_is_a_finding(monkeypatch):
    (finding,) = tried_by(Checker(ZeroDivisionError("here")), monkeypatch).findings()
    assert finding.failed and finding.check == "raises ZeroDivisionError"


def test_the_settings_keep_the_point_and_bring_a_curvature():
    x = (np.array([0.5, -1.5]),)
    identity = lambda x: x
    assert experiments.between(identity, x, None)(*x).tolist() == np.arcsinh(x[0]).tolist()
    slope = lambda y: grad(lambda y: np.sum(experiments.between(np.sinh, x, None)(y)))(y)
    curved = jvp(slope, x, (np.ones(2),))[1]
    assert np.allclose(curved, 0.5)
    assert experiments.between(identity, x, None)(x[0].astype(np.float32)).dtype == np.float32
    assert isinstance(experiments.between(identity, x, None)(Ball(x[0])), Ball)


def test_a_primitive_that_is_used_twice_sees_what_it_does_to_what_it_is_handed():
    x = np.array([[0.5, -1.5], [2.0, 1.0]])
    program = lambda x: symmetric(x + x.T)
    doubled = experiments.twice(program, (x,), symmetric)
    assert doubled(x).tolist() == program(x).tolist() and isinstance(doubled(Ball(x)), Ball)
    along = lambda f: jvp(f, (x,), (x,))[1].tolist()
    assert along(doubled) == along(program)
    with planted("symmetric", "cotangent overwritten", "jvp", 0):
        # The mean of it and its double.
        assert along(doubled) == (1.5 * np.array(along(program))).tolist()
    with planted("symmetric", "cotangent overwritten", "vjp", 0):
        slope = lambda f: grad(lambda x: np.sum(f(x) * x))(x).tolist()
        assert slope(doubled) != slope(program)


def comparable(result):
    return trial.faults_table(result.rows).drop(columns="seconds").to_csv()


def test_the_trial_gives_the_same_rows_for_any_number_of_workers(monkeypatch):
    few = [fault(text) for text in SOME[:4]]
    monkeypatch.setattr(trial, "chosen", lambda profile: few)
    met = []
    alone, shared = trial.trial(workers=1, tick=met.append), trial.trial(workers=2)
    assert met == few and not alone.stopped
    assert comparable(alone) == comparable(shared)


def test_an_interrupted_trial_keeps_what_is_finished(monkeypatch):
    few = [fault(text) for text in SOME[:4]]
    monkeypatch.setattr(trial, "chosen", lambda profile: few)

    def interrupt(f):
        if f is few[1]:
            raise KeyboardInterrupt
    result = trial.trial(workers=1, tick=interrupt)
    assert (result.stopped == "interrupted"
            and [r["operator"] for r in result.rows] == [f.operator for f in few[:2]])


# Table and plot


def frame(*kinds):
    rows = [{**dict.fromkeys(TABLE.columns, ""), "family": family,
             "operator": operator, "caught": caught,
             "pinned": pinned, "seconds": 0.1} for family, operator, caught, pinned in kinds]
    return trial.faults_table(rows)


def test_the_sentence_counts_what_is_missed_and_false_alarms():
    found = frame(("shape", "sign turned", "caught", True), ("shape", "factor 2", "caught", False),
                  ("linalg", "factor 2", "missed", ""), ("linalg", "tie to one", "equivalent", ""),
                  ("linalg", "tie to one", "false alarm", False))
    assert trial.sentence(found) == ("5 faults planted, 2 proved to change nothing (1 of them were "
                                     "called wrong); of the other 3 caught 2, pinned on the right "
                                     "primitive 1")


def test_the_table_survives_a_file_and_the_plot_is_drawn(tmp_path, some):
    write_table(some, tmp_path / "faults.csv.gz")
    again = pd.read_csv(tmp_path / "faults.csv.gz", keep_default_na=False)
    assert tuple(again.columns) == TABLE.columns
    assert trial.summary(read_table(tmp_path, TABLE, "faults")) == trial.summary(some)
    plot_faults(read_table(tmp_path, TABLE, "faults"), path=tmp_path / "faults.png")
    assert (tmp_path / "faults.png").read_bytes().startswith(b"\x89PNG")


def test_the_plot_counts_what_is_caught_missed_and_equivalent():
    found = frame(*[("shape", "sign turned", "caught", True)] * 2,
                  ("shape", "factor 2", "caught", False), ("shape", "factor 2", "missed", ""),
                  ("linalg", "tie to one", "equivalent", ""))
    figure = plot_faults(found)
    ax, = figure.axes
    rows, columns = labels(ax.yaxis), labels(ax.xaxis)
    assert set(rows) == {"sign turned", "factor 2", "tie to one"} and columns == ["shape", "linalg"]
    in_grid = {(rows[round(t.get_position()[1])], columns[round(t.get_position()[0])]): t.get_text()
               for t in ax.texts if t.get_position()[0] in (0, 1)}
    assert in_grid == {("sign turned", "shape"): "2", ("factor 2", "shape"): "1 of 2",
                       ("tie to one", "linalg"): "="}
    share = ax.images[0].get_array()
    expected = [[{"sign turned": 1.0, "factor 2": 0.5}.get(o, np.nan), np.nan] for o in rows]
    np.testing.assert_array_equal(np.ma.filled(share, np.nan), expected)
    assert "5 faults planted" in figure.get_suptitle()
    plt.close(figure)


@pytest.mark.parametrize("primitive", ["np.exp", "np.add"])
def test_a_rule_that_ignores_strides_is_pinned_on_its_primitive(primitive):
    """The rule on trial takes its arrays in every layout that its function takes."""
    fault = next(f for f in faults()
                 if (f.primitive, f.operator, f.which) == (primitive, "strides ignored", "jvp"))
    row = trial.try_fault(fault)
    assert row["caught"] == "caught" and row["pinned_on"] == primitive
