"""Other checkers on refgrad's functions: they see refgrad's derivatives, faults included, and are
counted fairly."""

import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

import refgrad as rg
from crosscheck.studies.faults.planting import Fault, planted
from crosscheck.studies.checkers import checkers, compare, frames, right, torch_peer, torch_seconds
from crosscheck.studies.checkers.answer import (ACCEPTED, ERROR, REJECTED, Answer, ask,
                                                refuse_unless_ok)
from crosscheck.studies.checkers.checkers import CHECKERS
from crosscheck.studies.checkers.plots import plot_checkers
from crosscheck.studies.checkers.program import Program
from crosscheck.studies.checkers.report import sections
from crosscheck.studies.checkers import FALSE_ALARMS, SECONDS
from refgrad import nn
from refgrad.primitive import CONSTANT, TABLE

from .figures import labels

X, W = (np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.5]]),
        np.array([[1.0, 2.0, -1.0], [0.5, -0.5, 0.25]]))
PEERS = [name for name in CHECKERS if name != "crosscheck"]
FIRST_ORDER = ["torch gradcheck slow", "torch gradcheck fast"]


def program(x, w):
    return np.tanh(nn.linear(x, w)) * np.sum(x)


# The same function under each framework


def total(x, w):
    return np.sum(program(x, w) ** 2)


def expected():
    """Value, gradient and a row of the Hessian, by refgrad."""
    value, gradient = rg.value_and_grad(total, (0, 1))(X, W)
    return value, gradient, rg.hvp(total, (X, W), (X, W)), rg.jvp(total, (X, W), (X, W))[1]


def agree(found):
    for a, b in zip(found, expected(), strict=True):
        for p, q in zip(*(x if isinstance(x, (tuple, list)) else [x] for x in (a, b)), strict=True):
            np.testing.assert_allclose(np.asarray(p), q, rtol=1e-13)


def test_torch_sees_refgrads_derivatives():
    f = torch_peer.function(total)
    x, w = (torch.tensor(a, requires_grad=True) for a in (X, W))
    value = f(x, w)
    gradient = torch.autograd.grad(value, (x, w), create_graph=True)
    slope = sum(torch.sum(g * torch.tensor(v)) for g, v in zip(gradient, (X, W)))
    product = torch.autograd.grad(slope, (x, w))
    with torch.autograd.forward_ad.dual_level():
        dual = f(*(torch.autograd.forward_ad.make_dual(a.detach(), a.detach()) for a in (x, w)))
        tangent = torch.autograd.forward_ad.unpack_dual(dual).tangent
    agree((value.detach(), [g.detach() for g in gradient], product, tangent))


def test_jax_sees_refgrads_derivatives():
    jax = pytest.importorskip("jax")
    from crosscheck.studies.checkers import jax_peer
    with jax.enable_x64():
        f = jax_peer.function(total, (X, W))
        value, gradient = jax.value_and_grad(f, (0, 1))(X, W)
        product = jax.jvp(jax.grad(f, (0, 1)), (X, W), (X, W))[1]
        agree((value, gradient, product, jax.jvp(f, (X, W), (X, W))[1]))
        slope = lambda *xw: sum((g * v).sum() for g, v in zip(jax.grad(f, (0, 1))(*xw), (X, W)))
        agree((value, gradient, jax.grad(slope, (0, 1))(X, W), jax.jvp(f, (X, W), (X, W))[1]))


def test_autograd_sees_refgrads_derivatives():
    autograd = pytest.importorskip("autograd")
    from crosscheck.studies.checkers import autograd_peer
    f = autograd_peer.function(total)
    gradient = [autograd.grad(f, k)(X, W) for k in (0, 1)]
    slope = lambda *xw: sum(autograd.numpy.sum(autograd.grad(f, k)(*xw) * v)
                            for k, v in enumerate((X, W)))
    product = [autograd.grad(slope, k)(X, W) for k in (0, 1)]
    tangent = autograd.core.make_jvp(lambda xw: f(*xw), (X, W))((X, W))[1]
    agree((f(X, W), gradient, product, tangent))


def test_a_program_is_differentiated_any_number_of_times():
    p = Program.of(np.sin, 1)
    third = p.tangent.tangent.tangent
    one, zero = np.ones(2), np.zeros(2)
    x = np.array([0.3, -1.2])
    np.testing.assert_allclose(third(x, one, one, zero, one, zero, zero, zero)[0], -np.cos(x),
                               rtol=1e-14)
    np.testing.assert_allclose(p.adjoint.adjoint(x, one, one)[0], -np.sin(x), rtol=1e-14)


# Checkers


@pytest.mark.parametrize("name", PEERS)
def test_peers_accept_what_is_right(name):
    for f, arrays in [(program, (X, W)), (np.flip, (X,)), (np.add, (np.zeros((0, 3)), np.ones(3))),
                      (np.linalg.inv, (X @ X.T,)), (np.sum, (np.array(2.0),))]:
        assert CHECKERS[name](f, arrays).verdict == ACCEPTED, (f, CHECKERS[name](f, arrays))


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("operator, which, blind", [
    ("sign turned", "vjp", []),
    ("sign turned", "jvp", [*FIRST_ORDER, "torch gradgradcheck"]),
    ("result detached", "vjp", [*FIRST_ORDER, "torch gradcheck with forward"]),
    ("factor 1 + 1e-9", "both", PEERS)])
def test_peers_notice_what_they_look_at(name, operator, which, blind):
    with planted("np.tanh", operator, which, 0):
        answer = CHECKERS[name](program, (X, W))
    assert answer.verdict == (ACCEPTED if name in blind else REJECTED), answer
    assert CHECKERS[name](program, (X, W)).verdict == ACCEPTED


@pytest.mark.parametrize("name", PEERS)
def test_faults_of_every_argument_are_looked_for(name):
    with planted("linear", "sign turned", "vjp", 1):
        assert CHECKERS[name](program, (X, W)).verdict == REJECTED


@pytest.mark.parametrize("name", PEERS)
def test_another_error_is_no_verdict(name):
    broken = rg.custom(lambda x: x)
    answer = CHECKERS[name](broken, (X,))
    assert (answer.verdict == ERROR
            and answer.message.startswith("NotImplementedError: custom <lambda>: "))


@pytest.mark.parametrize("name", PEERS)
def test_the_same_seed_gives_the_same_answer_and_leaves_generators_alone(name):
    with planted("np.tanh", "factor 2", "both", 0):
        np.random.seed(5), torch.manual_seed(5)
        first = CHECKERS[name](program, (X, W), 3)
        drawn = np.random.random(), float(torch.rand(()))
        second = CHECKERS[name](program, (X, W), 3)
    np.random.seed(5), torch.manual_seed(5)
    assert drawn == (np.random.random(), float(torch.rand(())))
    assert first.verdict == second.verdict == REJECTED and first.message == second.message


def test_a_checker_whose_package_is_missing_is_left_out():
    before = dict(CHECKERS)
    checkers.checker("nobody's", needs="no_such_package")(print)
    assert CHECKERS == before


def test_a_report_that_is_not_ok_is_a_refusal():
    class Report:
        ok, failures = False, [type("Finding", (),
                                    dict(check="reverse", point="as given", dtype="float64",
                                         argument="x", verdict="wrong", note="off"))]
    answer = ask(lambda: refuse_unless_ok(Report))
    assert (answer.verdict == REJECTED
            and answer.message == "reverse, as given, float64, x: wrong; off")
    Report.ok = True
    assert ask(lambda: refuse_unless_ok(Report)).verdict == ACCEPTED


# Right gradients


CASES = right.right_cases(0)


def test_right_cases_are_many_and_leave_nothing_out():
    assert len(CASES) > 1000
    assert len({c.id for c in CASES}) == len(CASES)
    assert {c.family for c in CASES} == set(right.FAMILIES)
    assert {c.name for c in CASES if c.source == "rule"} == {r.name for r in TABLE.values()
                                                             if r.kind is not CONSTANT}
    assert {c.name for c in CASES if c.source == "layer"} == {*right.LAYERS, *right.LOSSES}
    at_numbers = lambda rule: any(all(np.all(np.isfinite(a)) for a in kink.at)
                                  for kink in rule.kinks)
    assert {c.name for c in CASES if c.source == "kink"} == {r.name for r in TABLE.values()
                                                             if at_numbers(r)}
    scales = [c.size for c in CASES if c.family == "scaled"]
    assert 1e-7 < min(scales) < 1e-5 and 1e5 < max(scales) < 1e7


def test_right_cases_depend_on_the_seed_alone():
    assert right.right_cases(0, families=["scaled", "near a kink"]) == [
        c for c in CASES if c.family in ("scaled", "near a kink")]
    for a in CASES[::40]:
        for x, y in zip(right.realize(a)[1], right.realize(a)[1], strict=True):
            np.testing.assert_array_equal(x, y)
    others = right.right_cases(1, families=["scaled"])
    assert [c.size for c in others] != [c.size for c in CASES if c.family == "scaled"]


def test_right_cases_are_finite_and_float32_holds_them():
    for case in CASES[::7]:
        f, arrays = right.realize(case)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert np.all(np.isfinite(f(*arrays)))
        for a in arrays:
            assert a.dtype == np.float64 and np.array_equal(a, a.astype(np.float32))


def test_near_a_kink_is_not_on_it():
    for case in CASES:
        if case.source == "kink":
            rule = right._rule_named(case.name)
            for a, at in zip(right.realize(case)[1], rule.kinks[case.number % len(rule.kinks)].at):
                away = np.abs(a - np.asarray(at))
                assert np.all(away > 0) and np.all(away < 1)


def test_families_are_what_they_say():
    for case in CASES:
        if case.family == "nearly singular":
            assert max(np.linalg.cond(a).max() for a in right.realize(case)[1]
                       if a.ndim > 1 and a.shape[-1] == a.shape[-2]) > 50
        if case.family == "large sum":
            assert sum(a.size for a in right.realize(case)[1]) >= 9000


def test_internal_primitives_are_called_as_their_front_ends_call_them():
    case = next(c for c in CASES
                if c.source == "rule" and c.name == "linear" and c.family == "as drawn")
    f, (x, weight, bias) = right.realize(case)
    assert f(x[:2], weight, bias).shape == (2, 2)
    with pytest.raises(ValueError, match="expected such as"):
        f(x, weight[:, :1], bias)


def test_layers_of_torch_are_the_same_functions():
    for case in [c for c in CASES if c.source == "layer" and c.family == "as drawn"]:
        f, arrays = right.realize(case)
        y = torch_peer.layer(case)(*map(torch.tensor, arrays))
        np.testing.assert_allclose(y.numpy(), f(*arrays), rtol=1e-12, atol=0)


def test_crosscheck_calls_no_right_gradient_wrong():
    for case in CASES[5::100]:
        for row in compare.check_right(case, peers=False):
            assert row["verdict"] == ACCEPTED, row


# The comparison


def rows_of(*fault, cases=(0,)):
    rows = compare.check_faults((Fault(*fault, cases=cases),))
    return {r["checker"]: r for r in rows}


@pytest.mark.parametrize("fault, shows", [
    (("np.exp", "factor 2", "vjp", 0), "reverse"), (("np.exp", "factor 2", "both", 0), "reverse"),
    (("np.exp", "factor 2", "jvp", 0), "forward"),
    (("np.exp", "saved values detached", "vjp", 0), "second order"),
    (("np.exp", "wrong in float32 alone", "both", 0), "elsewhere")])
def test_faults_are_sorted_by_where_they_show(fault, shows):
    found = rows_of(*fault)
    assert {r["shows"] for r in found.values()} == {shows}
    assert found["torch gradcheck slow"]["verdict"] == (REJECTED if shows == "reverse"
                                                        else ACCEPTED)
    assert found["crosscheck"]["verdict"] == REJECTED


def test_a_fault_that_changes_nothing_is_not_counted():
    assert compare.check_faults((Fault("np.negative", "saved values detached", "vjp", 0,
                                       cases=(0,)),)) == []


def test_a_checker_that_blames_the_right_program_has_no_say(monkeypatch):
    def refuse(program, arrays, seed=0):
        return Answer(REJECTED, 0.0, "always")
    monkeypatch.setattr(compare, "CHECKERS", {"sceptic": refuse})
    compare._right_answer.cache_clear()
    assert rows_of("np.exp", "factor 2", "vjp", 0)["sceptic"]["verdict"] == compare.NOT_TAKEN
    compare._right_answer.cache_clear()


def test_the_rows_do_not_depend_on_the_number_of_workers():
    chosen = [partial(compare.check_right, c, peers=False) for c in CASES[:60:20]]
    one, two = (compare.compare(chosen, workers=n) for n in (1, 2))
    timeless = lambda rows: [{k: v for k, v in r.items() if k != "seconds"} for r in rows]
    assert timeless(one.right) == timeless(two.right)
    assert [r["case"] for r in one.right] == [t.args[0].id for t in chosen] and not one.stopped


def test_rows_of_faults_and_of_right_gradients_are_kept_apart():
    fault = Fault("np.exp", "factor 2", "jvp", 0, cases=(0,))
    found = compare.compare([partial(compare.check_faults, (fault,), 0),
                             partial(compare.check_right, CASES[0])], 1)
    assert [r["checker"] for r in found.faults] == list(CHECKERS)
    assert {(r["checker"], r["dtype"]) for r in found.right} == {("crosscheck", "all")} | {
        (name, dtype) for name in PEERS for dtype in compare.DTYPES}


def test_interrupted_it_keeps_what_is_finished():
    chosen = [partial(compare.check_right, c, peers=False) for c in CASES[:4]]
    ticks = []

    def tick(task):
        ticks.append(task)
        if len(ticks) == 2:
            raise KeyboardInterrupt

    found = compare.compare(chosen, workers=1, tick=tick)
    assert (found.stopped == "interrupted"
            and {r["case"] for r in found.right} == {t.args[0].id for t in chosen[:2]})


def test_every_operator_is_among_the_faults():
    from crosscheck.studies.faults.operators import OPERATORS
    for quick in (False, True):
        some = compare.some_faults(0, quick)
        assert {f.operator for f in some} == set(OPERATORS)
        assert len(some) <= compare.OF_EACH_OPERATOR[quick] * len(OPERATORS)


# Tables and plots


def fault_rows(checker, **verdicts):
    return [{"fault": f"f{n}", "operator": "sign turned", "shows": "reverse", "checker": checker,
             "verdict": v, "seconds": 0.5, "message": ""}
            for n, v in enumerate(v for v, count in verdicts.items() for _ in range(count))]


def right_rows(checker, dtype, subject="refgrad", **verdicts):
    return [{"subject": subject, "case": f"c{n}", "family": "scaled", "dtype": dtype, "scale": 2.0,
             "checker": checker, "verdict": v, "seconds": 0.25, "message": "because"}
            for n, v in enumerate(v for v, count in verdicts.items() for _ in range(count))]


FOUND = (right_rows("crosscheck", "all", accepted=4)
             + right_rows("crosscheck", "all", "torch", rejected=1) +
         right_rows("torch gradcheck slow", "float64", accepted=3, rejected=1, error=1) +
         right_rows("torch gradcheck slow", "float32", accepted=1, rejected=3),
         fault_rows("crosscheck", rejected=5) +
         fault_rows("torch gradcheck slow", accepted=2, rejected=1, error=1) +
         [{**r, "verdict": compare.NOT_TAKEN}
          for r in fault_rows("torch gradcheck slow", accepted=1)])


def test_checkers_table_counts():
    table = frames.checkers_table(*FOUND).set_index(["checker", "what", "group"])
    of_torch = lambda *key: table.loc[("torch gradcheck slow", *key)]
    row = of_torch("faults", "all")
    assert (row["cases"], row["rejected"], row["errors"], row["not_taken"]) == (4, 1, 1, 1)
    assert row["share"] == 0.5 and row["seconds"] == 0.5
    assert (of_torch("operator", "sign turned")["share"]
            == of_torch("shows in", "reverse")["share"] == 0.5)
    row = of_torch("right, dtype", "float64")
    assert (row["cases"], row["rejected"], row["errors"]) == (4, 1, 1) and row["share"] == 0.25
    assert of_torch("right, dtype", "float32")["share"] == 0.75
    assert of_torch("right, family", "scaled")["cases"] == 4  # float64 alone
    ours = table.loc[("crosscheck", "right, dtype", "all")]
    # Torch's derivatives are not refgrad's.
    assert (ours["cases"], ours["rejected"], ours["share"]) == (4, 0, 0)
    assert table.loc[("crosscheck", "faults", "all"), "share"] == 1


def test_false_alarms_table_says_who_accepted_what():
    frame = frames.false_alarms_table(FOUND[0])
    assert tuple(frame.columns) == FALSE_ALARMS.columns and len(frame) == len(FOUND[0])
    assert frame["accepted"].tolist() == [r["verdict"] == ACCEPTED for r in FOUND[0]]
    assert len(frames.false_alarms_table([])) == 0


def test_the_page_tells_torchs_own_faults_from_false_alarms(tmp_path):
    of_torch, section = sections(tmp_path, frames.checkers_table(*FOUND),
                                 frames.false_alarms_table(FOUND[0]), None)
    assert section["text"][-1].endswith("called none of them wrong.")
    assert of_torch["finding"] and of_torch["title"] == "Layers of torch that crosscheck refutes"
    assert [len(t["rows"]) for t in of_torch["tables"]] == [1]


def test_side_by_side_has_a_line_for_each_checker():
    lines = frames.side_by_side(frames.checkers_table(*FOUND)).set_index("checker")
    assert lines.index.tolist() == list(CHECKERS)
    columns = ["faults noticed", "in reverse", "right called wrong", "in float32", "seconds"]
    assert lines.loc["torch gradcheck slow", columns].tolist() == [50, 50, 25, 75, 0.5]
    # In all dtypes at once.
    assert lines.loc["crosscheck", columns].tolist() == [100, 100, 0, 0, 0.5]
    assert np.isnan(lines.loc["torch gradgradcheck", "faults noticed"])


@pytest.mark.parametrize("found", [FOUND, ([], []), (FOUND[0], [])])
def test_the_plot_is_drawn(found, tmp_path):
    table = frames.checkers_table(*found)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = plot_checkers(table, path=tmp_path / "checkers.png")
    assert (tmp_path / "checkers.png").read_bytes().startswith(b"\x89PNG")
    noticed, blamed, slow, *grid = figure.axes
    names = list(CHECKERS)[::-1]
    assert labels(noticed.yaxis) == names

    def shares(what, group):
        rows = table[(table["what"] == what)
                     & (table["group"] == group)].set_index("checker")["share"]
        return 100 * rows.reindex(names).to_numpy(float)
    np.testing.assert_array_equal([b.get_width() for b in noticed.containers[0]],
                                  shares("faults", "all"))
    in_double, all_at_once = shares("right, dtype", "float64"), shares("right, dtype", "all")
    np.testing.assert_array_equal([b.get_width() for b in blamed.containers[0]],
                                  np.where(np.isnan(all_at_once), in_double, all_at_once))
    seconds = table[table["what"] == "faults"].set_index("checker")["seconds"]
    np.testing.assert_array_equal(slow.collections[0].get_offsets()[:, 0].filled(np.nan),
                                  1e3 * seconds.reindex(names).to_numpy(float))
    operators = set(table.loc[table["what"] == "operator", "group"])
    assert len(grid) == bool(operators)
    for ax in grid:
        assert set(labels(ax.yaxis)) == operators and len(ax.images) == 1


def test_seconds_are_of_checks_that_agree(monkeypatch):
    small = {"linear": (lambda f: f.linear, [(2, 3), (4, 3), (4,)])}
    monkeypatch.setattr(torch_seconds, "LAYERS", small)
    frame = pd.DataFrame(torch_seconds.measure(quick=True))
    assert tuple(frame.columns) == SECONDS.columns
    assert set(frame["layer"]) == set(small) and frame["numbers"].tolist() == [22] * 4
    assert (frame["seconds"] > 0).all() and frame["accepted"].all()
    assert (frame.loc[frame["checker"] == torch_seconds.YARDSTICK, "ratio"] == 1).all()
