"""What an examination goes through: its points, what is known there, what makes it stop; stubs
stand for what is found."""

from types import SimpleNamespace

import numpy as np
import pytest

from crosscheck import examination as module
from crosscheck.ball import Ball, Undecided
from crosscheck.examination import Examination
from crosscheck.formats import format_named
from crosscheck.modes import ALL, FIRST_ORDER, Mode
from crosscheck.points import AS_GIVEN, Point
from crosscheck.trial import Finding
from crosscheck.truth.differences import BY_DIFFERENCES
from crosscheck.truth.precision import Precision, nominal
from crosscheck.value import entries_without_a_digit
from crosscheck.verdict import (
    KINK, LESS_ACCURATE, MISCONDUCT, NO_ANSWER, OK, RIGHT, UNDECIDED, WRONG, Verdict)
from tests.crosscheck.test_trial import ANSWER, X, Stub, answers, examination, known, told


class Valued(Stub):
    """A subject whose value is its first input, off by something more at each call."""

    off = 0.0
    calls = 0

    def value(self, x, dtype, layout=np.asarray):
        self.calls += 1
        return [np.asarray(x["a"], dtype) + self.calls * self.off]

    def program(self):
        return lambda x: [x["a"]]

    def overwrites(self, dtype):
        return []


# Not one digit


@pytest.mark.parametrize("exact, error, at", [
    ([1.0, 1.0], [0.0, 0.5], 1), ([1.0, 1.0], [0.5, 0.0], 0), ([1.0, 1.0], [0.0, 0.49], None),
    ([1.0, -1.0], [0.0, 0.5], 1), ([1.0, 0.0], [0.0, 1.0], None),
    ([1.0, np.finfo(float).tiny], [0.0, 1.0], None),
    ([1.0, 2 * np.finfo(float).tiny], [0.0, 1.0], 1)])
def test_an_entry_of_the_value_without_a_right_digit(exact, error, at):
    y = np.array([3.0, 5.0])
    found = entries_without_a_digit(y, Ball(exact), np.array(error))
    assert (found.verdict, found.note) == ((RIGHT, "") if at is None else (
        LESS_ACCURATE, f"entry ({at},) is {y[at]:g}, exact {exact[at]:.6g}: "
                       "not one digit of it is right"))


def test_an_entry_that_may_be_zero_has_no_digits():
    assert entries_without_a_digit(np.ones(1), Ball([1.0], [1.0]), np.ones(1)).verdict == RIGHT
    found = entries_without_a_digit(np.ones(1), Ball([1.0], [0.5]), np.full(1, 0.25))
    assert found.verdict == LESS_ACCURATE


def without_a_digit(verdict=LESS_ACCURATE, rel_error=0.5, mode=Mode.REVERSE, label=AS_GIVEN,
                    dtype="float64", how="balls", exact=1.0, condition=1e16, scale=1.0):
    derivatives = {mode: {k: Ball([exact, 0.0]) for k in X}}
    found = answers(ANSWER, known(Verdict(verdict, rel_error=rel_error, note="off"), how=how,
                                  smooth=lambda mode: True, condition=condition,
                                  truth=SimpleNamespace(derivatives=derivatives,
                                                        scale={1: scale})),
                    (mode,), dtype=dtype, label=label)
    assert len({f.failed for f in found}) == 1
    return found[0].failed, found[0].note


def test_a_derivative_without_a_right_digit_is_a_failure():
    for what in (dict(rel_error=0.5), dict(rel_error=np.nan), dict(rel_error=np.inf),
                 dict(mode=Mode.FORWARD_OVER_REVERSE), dict(verdict=RIGHT, condition=1.0),
                 dict(verdict=UNDECIDED, condition=1.0)):
        assert without_a_digit(**what) == (True, "not one digit of it is right; off")
    for but in (dict(verdict=RIGHT), dict(verdict=UNDECIDED), dict(verdict=KINK, condition=1.0),
                dict(rel_error=0.49), dict(label="there"), dict(dtype="float32"),
                dict(how="differences"), dict(exact=0.0),
                dict(verdict=RIGHT, condition=1.0, scale=1e17)):
        assert without_a_digit(**but) == (False, "off")


# What is known at a point


def known_at(monkeypatch, balls, number=0, why="", many=False, own=False, another=False):
    """(what was asked for in turn: modes and source, or the options of differences)."""
    asked, turns = [], iter(balls)

    def by_balls(program, x, weights, u, v, seed, modes, on_trial, natural, another, ordinary,
                 precision, by):
        asked.append((modes, by))
        undecided = next(turns)
        if undecided is None:
            raise NotImplementedError
        return SimpleNamespace(undecided=undecided, how="balls", without_rules=False)

    monkeypatch.setattr(module, "ByBalls", by_balls)
    monkeypatch.setattr(module, "ByDifferences", lambda *_, **options: SimpleNamespace(
        how="differences", together=options["together"]))
    examined = examination(program=None, why_floats=why, rounds_in_steps=False, seed=0,
                           many=many, own_rules=own, measured_by_another=another, natural=0.0,
                           ordinary=0.0, measured="float64", unexplained=[])
    found = examined.known_at(Point("there", X), [], X, X, number)
    assert next(turns, "none left") == "none left"
    return found.how, asked


RULES, EVERY = module.REFGRAD, tuple(dict.fromkeys([*FIRST_ORDER, *Mode]))
FIRST, LAST = (FIRST_ORDER, RULES), (FIRST_ORDER, BY_DIFFERENCES)


@pytest.mark.parametrize("balls, options, how, asked", [
    ([""], {}, "balls", [(EVERY, RULES)]),
    ([None, ""], {}, "balls", [(EVERY, RULES), FIRST]),
    ([None, None], {}, "differences", [(EVERY, RULES), FIRST]),
    (["open"], {}, "differences", [(EVERY, RULES)]),
    (["open"], dict(another=True), "balls", [(EVERY, RULES)]),
    ([None, "open"], {}, "differences", [(EVERY, RULES), FIRST]),
    (["open", ""], dict(own=True), "balls", [(EVERY, RULES), FIRST]),
    (["open", "open", ""], dict(own=True), "balls", [(EVERY, RULES), FIRST, LAST]),
    (["open"] * 3, dict(own=True), "balls", [(EVERY, RULES), FIRST, LAST]),
    (["open", "open"], dict(own=True, many=True), "balls", [(EVERY, RULES), FIRST]),
    (["open", None], dict(own=True), "differences", [(EVERY, RULES), FIRST]),
    ([], dict(why="a box"), "differences", [])])
def test_what_is_known_by_balls_or_else_by_differences(monkeypatch, balls, options, how, asked):
    assert known_at(monkeypatch, balls, **options) == (how, asked)


def test_with_many_entries_fewer_modes_are_known_elsewhere(monkeypatch):
    assert known_at(monkeypatch, [""], number=1, many=True)[1] == [FIRST]


# The examination itself


def test_what_an_examination_starts_from():
    for own in (True, False):
        made = Examination(Valued(by_refgrad=own))
        assert made.own_rules == own and not made.measured_by_another and made.why_floats == ""
        assert not (made.quick or made.thorough or made.natural or made.points or made.trials)
        made = Examination(Valued(by_refgrad=own), lambda x: [x["a"]])
        assert not made.own_rules and made.measured_by_another
    assert (made.size, made.many, made.widest, made.varies) == (3, False, "float64", False)
    subject = Valued()
    for size, many in ((297, False), (298, True)):
        subject.inputs = lambda: {"a": np.zeros((size, 1)), "b": np.zeros(3)}
        assert Examination(subject).many == many


def test_a_function_without_a_program_says_why_and_a_reference_must_run_on_balls():
    subject = Valued()
    subject.program = lambda: None
    assert Examination(subject).why_floats == subject.unproved
    box = lambda x: [float(x["b"])]
    with pytest.raises(ValueError, match=r"^check: the reference does not run in ball arithmetic"):
        Examination(Valued(), box)
    subject = Valued()
    subject.program = lambda: box
    assert Examination(subject).why_floats.startswith("TypeError: a Ball is not one number")
    subject.inputs = lambda: {"a": np.zeros(20_001)}
    assert Examination(subject, box).why_floats.startswith("more than 20000")


def test_the_precision_is_found_once_for_refgrads_own_rules_too(monkeypatch):
    asked, coarse = [], Precision("float64", format_named("float32"))
    monkeypatch.setattr(module, "precision_of",
                        lambda values, x, dtype: asked.append(values(x)) or coarse)
    examined = examination(subject=Valued(), precisions={})
    assert examined.works_in == ""
    for _ in range(2):
        assert examined.precision("float64") is coarse
    assert len(asked) == 1 and asked[0][0].tolist() == [1.0, 2.0]
    examined.precisions["float32"] = nominal("float32")
    assert examined.works_in == coarse.text
    assert (examination(subject=Valued(), own_rules=True, precisions={}).precision("float64")
            is coarse)
    assert len(asked) == 2


def run(monkeypatch, fails=(), off=0.0, quick=False, thorough=False, points=5, crash_prone=False,
        fork=True, on_cpu=True, end=""):
    """(findings, (label, number) of each point, how other shapes were looked at)."""
    subject, stood, others = Valued(), [], []
    subject.off, subject.crash_prone, subject.on_cpu = off, crash_prone, on_cpu
    monkeypatch.setattr(module, "around", lambda *_: [
        Point(f"point {n}", X) for n in range(points)])
    monkeypatch.setattr(module, "can_fork", lambda: fork)
    monkeypatch.setattr(module, "in_a_child",
                        lambda found: others.append("child") or (found, end))
    examined = examination(subject=subject, seed=0, quick=quick, thorough=thorough, here="")

    def stand(point, number):
        stood.append((point.label, number))
        yield Finding("reverse", point.label, "a", "float64", WRONG, failed=number in fails)

    def elsewhere(number):
        others.append(number)
        yield "other rows"
        yield Finding("reverse", "other rows", "a", "float64", RIGHT)

    examined._stand, examined._elsewhere = stand, elsewhere
    return list(examined.findings()), [n for _, n in stood], others


def test_all_points_are_looked_at_and_then_other_shapes(monkeypatch):
    found, stood, others = run(monkeypatch)
    assert stood == [0, 1, 2, 3, 4] and others == [4]
    assert [f.point for f in found] == [*(f"point {n}" for n in stood), "other rows"]


@pytest.mark.parametrize("options, stood, others", [
    (dict(fails=[0]), 1, []), (dict(fails=[0], thorough=True), 5, [4]), (dict(fails=[1]), 5, [4]),
    (dict(quick=True), 3, []), (dict(quick=True, points=2), 2, [1]),
    (dict(quick=True, thorough=True), 3, []), (dict(quick=True, fails=[0]), 1, []),
    (dict(crash_prone=True), 5, ["child", 4]), (dict(crash_prone=True, fork=False), 5, []),
    (dict(crash_prone=True, on_cpu=False), 5, [])])
def test_where_an_examination_stops(monkeypatch, options, stood, others):
    found = run(monkeypatch, **options)
    assert (len(found[1]), found[2]) == (stood, others)


def test_a_child_that_ends_is_a_remark_about_where_it_was(monkeypatch):
    found, _, _ = run(monkeypatch, crash_prone=True, end="it crashed")
    last = found[-1]
    assert told([last]) == [("other shapes", ALL, NO_ANSWER, False)]
    assert (last.point, last.note) == ("other rows", "it crashed, one of its own")
    assert found[-2].point == "other rows"


def test_a_function_that_gives_another_value_when_called_again(monkeypatch):
    found, stood, _ = run(monkeypatch, off=1.0)
    assert told(found) == [("repeated calls", ALL, MISCONDUCT, True)] and stood == []
    found, stood, _ = run(monkeypatch, off=2.0 ** -52)
    assert told(found[:1]) == [("repeated calls", ALL, RIGHT, False)]
    assert len(stood) == 5


def test_what_the_function_overwrites_is_a_failure_of_its_own(monkeypatch):
    monkeypatch.setattr(Valued, "overwrites", lambda self, dtype: ["b"])
    found, stood, _ = run(monkeypatch)
    assert told(found[:1]) == [("mutation", "b", MISCONDUCT, True)] and len(stood) == 5


def test_subspaces_are_told(monkeypatch):
    monkeypatch.setattr(module, "subspaces_of",
                        lambda *_: {"a": SimpleNamespace(words="symmetric")})
    found, _, _ = run(monkeypatch)
    assert told(found[:1]) == [("symmetric directions", "a", OK, False)]


# At other shapes


def elsewhere(monkeypatch, alternatives, works=lambda x: True, shares=True, pads=False, **entries):
    """(labels in turn, (label, number, whether it is foreign) of each point, the findings)."""
    stood = []
    monkeypatch.setattr(module, "elsewhere", lambda *_: alternatives)
    monkeypatch.setattr(module, "shares_rows", lambda *_: shares)
    monkeypatch.setattr(module, "no_entries", lambda *_: entries.items())
    examined = examination(subject=Valued(), here="", _works=lambda x, constants: works(x))
    examined._pads = lambda point, ys: pads

    def stand(point, number):
        stood.append((point.label, number, point.foreign))
        return ()

    examined._stand = stand
    found = list(examined._elsewhere(7))
    return ([f for f in found if isinstance(f, str)], stood,
            [f for f in found if not isinstance(f, str)])


def at(label, a=(1.0, 2.0), **options):
    return Point(label, {**X, "a": np.array(a)}, **options)


def test_of_alternatives_the_first_that_works_is_looked_at(monkeypatch):
    longer = lambda x: x["a"].size < 4
    found = elsewhere(monkeypatch, [
        [], [at("rows", np.ones(5)), at("rows", np.ones(3)), at("fewer", np.ones(1))],
        [at("columns", np.ones(6))], [at("ends")]], longer)
    labels, stood, _ = found
    assert labels == ["rows", "columns", "ends", "without entries"]
    assert stood == [("rows", 8, False), ("ends", 9, False)]
    assert elsewhere(monkeypatch, [[at("rows")]], lambda x: False) == ([], [], [])


@pytest.mark.parametrize("label, shares, pads, foreign", [
    ("rows", True, True, False), ("rows", False, False, True),
    (module.ENDS, True, True, True), (module.ENDS, False, False, False)])
def test_shapes_that_change_what_f_does_are_foreign(monkeypatch, label, shares, pads, foreign):
    _, stood, _ = elsewhere(monkeypatch, [[at(label, foreign=True)]], shares=shares, pads=pads)
    assert stood == [(label, 8, foreign)]
    _, stood, _ = elsewhere(monkeypatch, [[at(label)]], shares=shares, pads=pads)
    assert stood == [(label, 8, False)]


def test_what_is_found_without_entries(monkeypatch):
    _, _, found = elsewhere(monkeypatch, [], a=Verdict(RIGHT), b=Verdict(MISCONDUCT, note="bad"),
                            c=Verdict(NO_ANSWER))
    assert told(found) == [("no entries", "a", OK, False), ("no entries", "b", MISCONDUCT, True),
                           ("no entries", "c", NO_ANSWER, False)]
    assert [f.note for f in found] == ["", "bad", ""]
    assert {f.point for f in found} == {"without entries"}


# At one point


def at_point(monkeypatch, number=0, how="balls", point=None, kinked=False, undecided="",
             verdict=RIGHT, **fields):
    """(what was looked at in turn, the findings, the examination)."""
    looked, subject = [], Valued(dict.fromkeys(Mode, ANSWER), on_balls=ANSWER)
    subject.stands_in = fields.pop("stands_in", False)
    for name in ("kinks", "conduct", "third_order"):
        monkeypatch.setattr(module, name, lambda *_, name=name: looked.append(name) or ())

    def judged(mode, name, dtype, answers, prove, own):
        looked.append((mode, dtype, prove))
        return Verdict(verdict)

    def on_balls(mode, name, ball):
        looked.append((mode, "exact"))
        return Verdict(RIGHT, bound="proven"), 41.0

    knowledge = known(how=how, undecided=undecided, kinked=lambda: ["a"] * kinked, judge=judged,
                      judge_on_balls=on_balls, names=lambda mode: ["a"])
    examined = examination(**{"subject": subject, "seed": 0, "many": False, "size": 1,
                              "thorough": False, "trials": {}, "varies": False, "natural": 0.0,
                              "ordinary": 0.0,
                              "known_at": lambda *_: knowledge, **fields})
    monkeypatch.setattr(module, "value", lambda *_: looked.append("value") or ())
    found = list(examined._at(point or Point("as given", X), number))
    return list(dict.fromkeys(looked)), found, examined


def test_in_what_order_a_point_is_looked_at(monkeypatch):
    looked, found, examined = at_point(monkeypatch)
    first, second = ([m for m in Mode if m.order == order] for order in (1, 2))
    assert looked == [
        "value", *((m, "exact") for m in Mode),
        *((m, d, m == Mode.REVERSE) for of in (first, second) for d in ("float64", "float32")
          for m in of), "kinks", "conduct", "third_order"]
    assert {f.point for f in found} == {"as given"} == set(examined.trials)
    point = Point("narrow", X, dtypes=("float32",))
    looked, _, _ = at_point(monkeypatch, 1, "differences", point)
    assert looked == [*((m, "float32", False) for m in (*first, *second)), "kinks"]


@pytest.mark.parametrize("options, told_of", [
    (dict(), True), (dict(number=1), False), (dict(how="differences"), False),
    (dict(own_rules=True), False), (dict(stands_in=True), False)])
def test_the_value_is_held_to_its_reference_where_the_caller_stands(monkeypatch, options, told_of):
    assert ("value" in at_point(monkeypatch, **options)[0]) == told_of


def test_third_derivatives_and_conduct_where_there_is_nothing_against_it(monkeypatch):
    def beside(**options):
        return [name for name in ("conduct", "third_order")
                if name in at_point(monkeypatch, **options)[0]]

    mixed = dict(number=1, point=Point(module.MIXED, X))
    assert beside() == beside(**mixed) == ["conduct", "third_order"]
    for but in (dict(kinked=True), dict(verdict=WRONG), dict(point=Point("far", X, extreme=True)),
                dict(many=True)):
        assert beside(**but) == ["conduct"]
    narrow = Point(module.MIXED, X, dtypes=("float32",))
    assert beside(**{**mixed, "point": narrow}) == beside(**mixed, many=True) == []


def test_where_it_is_undecided_no_answer_is_asked_for(monkeypatch):
    looked, found, examined = at_point(monkeypatch, undecided="open")
    assert told(found) == [("differences", ALL, UNDECIDED, False)] and found[0].note == "open"
    assert looked == [] and examined.trials == {}


def test_an_error_on_the_way_to_what_is_known(monkeypatch):
    def raises(error):
        def known_at(*_):
            raise error
        return at_point(monkeypatch, known_at=known_at, _unknown=lambda point, e: (point.label, e))

    error = ValueError("no")
    assert raises(error)[1] == [("as given", error)]
    with pytest.raises(Undecided):
        raises(Undecided("maximum", (0,), ()))


def test_the_natural_size_is_that_where_the_caller_stands(monkeypatch):
    monkeypatch.setattr(module, "_draw", lambda rng, shape, form: np.full(shape, -3.0))
    assert at_point(monkeypatch)[2].natural == 9.0
    assert at_point(monkeypatch, 1)[2].natural == 0.0
    drawn = []
    monkeypatch.setattr(module, "_draw", lambda rng, shape, form: drawn.append(
        (rng.integers(1000), shape, form.name)) or np.ones(shape))
    at_point(monkeypatch)
    assert [(shape, form) for _, shape, form in drawn] == [
        ((2,), "float32"), *[((2,), "float32"), ((), "float32")] * 2]
    assert len({n for n, _, _ in drawn}) == 5
    again, other = (at_point(monkeypatch, number) and drawn[-5:] for number in (0, 1))
    assert again == drawn[:5] and not set(again) & set(other)
