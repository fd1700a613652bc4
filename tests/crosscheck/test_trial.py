"""The rules by which answers become findings; stubs stand for subjects and for what is known."""

from types import SimpleNamespace

import numpy as np
import pytest

from crosscheck import conduct
from crosscheck import examination as module
from crosscheck.ball import Ball, Undecided
from crosscheck.examination import Examination, _draw, _why_not_on_balls
from crosscheck.formats import format_named
from crosscheck.modes import ALL, Mode
from crosscheck.points import MIXED, Point
from crosscheck.subjects.subject import Misconduct, Subject, Unanswered
from crosscheck.trial import Finding, Trial
from crosscheck.value import value
from crosscheck.verdict import (
    MISCONDUCT, NO_ANSWER, NOT_FINITE, OK, RIGHT, UNDECIDED, VERDICTS, WRONG, Verdict)

X = {"a": np.array([1.0, 2.0]), "b": np.array(3.0)}
ANSWER = {"a": np.array([5.0, 6.0]), "b": np.array(7.0)}


class Stub(Subject):
    """A subject whose answers are put in: mode -> the answer, or an error."""

    def __init__(self, answers=None, on_balls=None, by_refgrad=False, declines=False,
                 has_a_value=True):
        arguments = SimpleNamespace(constants={}, names=list(X), chosen=list(X), values=X.values())
        super().__init__(lambda a, b: a * b, arguments, ("float32", "float64"), "f")
        self.answers, self.balls = answers or {}, on_balls
        self.by_refgrad, self.declines, self.has_a_value = by_refgrad, declines, has_a_value

    def may_decline(self, mode, error):
        return self.declines

    def works(self, x, dtype):
        return self.has_a_value

    finite = works

    def answer(self, mode, x, weights, u, v, dtype, layout=np.asarray):
        return self._or_raise(self.answers[mode])

    def on_balls(self, mode, x, weights, u, v):
        assert all(isinstance(b, Ball) for b in (*x.values(), *weights, *u.values(), *v.values()))
        return self._or_raise(self.balls)

    @staticmethod
    def _or_raise(found):
        if isinstance(found, Exception):
            raise found
        return found


def known(verdict=None, **changed):
    """What is known, with one verdict for all answers."""
    stub = dict(how="balls", on_trial=False, strict=False, another=True,
                weights=[np.array([2.0, 3.0])], u=X, v=X,
                covers=lambda mode: True, names=lambda mode: X, refuted=lambda mode, name: False,
                open=lambda: False, in_dtype=lambda dtype: None, vanishes=lambda *_: False,
                truth=SimpleNamespace(bits=400), judge=lambda *arguments: verdict,
                judge_on_balls=lambda mode, name, ball: (verdict, 41.0),
                eps=lambda dtype: 2.0 ** -52)
    return SimpleNamespace(**{**stub, **changed})


def trial_of(subject=None, knowledge=None, x=X, **point):
    point = {"label": "there", **point}
    return Trial(subject or Stub(), knowledge or known(), Point(x=x, **point))


def found_as(verdict, trial=None, **options):
    return (trial or trial_of()).finding("reverse", "a", "float64", verdict, **options)


# One finding


def test_a_finding_has_what_its_verdict_has():
    found = found_as(Verdict(WRONG, 1, 2, 3, 4, "proven", "off", 5))
    assert vars(found) == dict(
        check="reverse", point="there", argument="a", dtype="float64", verdict=WRONG, digits=5,
        ulps=1, rel_error=3, error_over_bound=4, bound="proven", note="off", failed=True)
    assert found_as(Verdict(RIGHT, known=5), digits=41.0).digits == 41.0


@pytest.mark.parametrize("verdict", VERDICTS)
def test_wrong_not_finite_and_misconduct_are_failures(verdict):
    fails = verdict in (WRONG, NOT_FINITE, MISCONDUCT)
    found = found_as(Verdict(verdict, bound="proven"))
    assert (found.verdict, found.failed) == (verdict, fails)
    for failed in (True, False):
        assert found_as(Verdict(verdict), failed=failed).failed == failed


def test_what_is_right_without_a_bound_is_conduct_and_ok():
    assert found_as(Verdict(RIGHT)).verdict == OK
    assert found_as(Verdict(RIGHT, bound="typical")).verdict == RIGHT


@pytest.mark.parametrize("by_refgrad, on_trial, strict, own", [
    (True, True, False, True), (True, False, True, True), (True, False, False, False),
    (False, True, True, False)])
def test_at_other_shapes_only_refgrads_own_rules_fail(by_refgrad, on_trial, strict, own):
    subject, knowledge = Stub(by_refgrad=by_refgrad), known(on_trial=on_trial, strict=strict)
    for foreign in (True, False):
        trial = trial_of(subject, knowledge, foreign=foreign)
        assert trial.own_rules == own
        assert found_as(Verdict(WRONG), trial).failed == (own or not foreign)


# Answers in floats


def answers(found, knowledge=None, modes=(Mode.REVERSE,), subject=None, dtype="float64",
            prove=(), **point):
    """Findings of one answer, or error, by each mode."""
    subject = subject or Stub(dict.fromkeys(modes, found))
    trial = trial_of(subject, knowledge, **point)
    trial.ask(modes, dtype)
    return list(trial.findings(dtype, prove))


def told(findings):
    return [(f.check, f.argument, f.verdict, f.failed) for f in findings]


def test_each_answer_is_judged_by_each_name():
    asked, both = [], (Mode.REVERSE, Mode.FORWARD)

    def judge(*arguments):
        asked.append(arguments)
        return Verdict(WRONG)
    found = answers(None, known(judge=judge, strict=True), both, prove=(Mode.REVERSE,),
                    subject=Stub(dict.fromkeys(both, ANSWER), by_refgrad=True))
    assert told(found) == [(mode, k, WRONG, True) for mode in both for k in X]
    given = {"float64": dict.fromkeys(both, ANSWER)}
    assert asked == [(mode, k, "float64", given, mode == Mode.REVERSE, True)
                     for mode in both for k in X]


def test_answers_by_some_modes_are_judged_alone():
    trial = trial_of(Stub(dict.fromkeys(Mode, ANSWER)), known(Verdict(WRONG)))
    trial.ask(Mode, "float64")
    found = trial.findings("float64", modes=[Mode.FORWARD])
    assert told(found) == [(Mode.FORWARD, k, WRONG, True) for k in X]


def test_what_is_not_known_or_said_already_is_not_judged():
    assert not answers(ANSWER, known(covers=lambda mode: False))
    refuted = dict(refuted=lambda mode, name: name == "a", judge=lambda *_: Verdict(WRONG))
    assert [f.argument for f in answers(ANSWER, known(on_trial=True, **refuted))] == ["b"]
    assert [f.argument for f in answers(ANSWER, known(**refuted))] == ["a", "b"]


def test_a_gradient_of_another_shape_is_misconduct_and_not_judged():
    bad = {**ANSWER, "b": np.array([7.0])}
    found = answers(bad)
    assert told(found) == [(Mode.REVERSE, "b", MISCONDUCT, True)]
    assert found[0].note == "shape (1,), expected ()"
    assert told(answers(bad, known(Verdict(RIGHT, bound="typical")), (Mode.FORWARD,))) == [
        (Mode.FORWARD, k, RIGHT, False) for k in X]


@pytest.mark.parametrize("how, on_trial, extreme, dtype, failed", [
    ("balls", False, False, "float32", True), ("balls", False, True, "float64", False),
    ("balls", True, True, "float64", True), ("differences", False, False, "float64", True),
    ("differences", False, False, "float32", False),
    ("differences", False, True, "float64", False)])
def test_nan_is_a_remark_where_overflow_on_the_way_may_be_no_fault(
        how, on_trial, extreme, dtype, failed):
    knowledge = dict(how=how, on_trial=on_trial)
    for verdict, fails in ((NOT_FINITE, failed), (WRONG, not extreme)):
        found = answers(ANSWER, known(Verdict(verdict), **knowledge), dtype=dtype, extreme=extreme)
        assert told(found) == [(Mode.REVERSE, k, verdict, fails) for k in X]


@pytest.mark.parametrize("works, finite, expected", [
    (True, True, NOT_FINITE), (True, False, UNDECIDED), (False, False, NOT_FINITE)])
def test_nan_tells_nothing_where_f_itself_is_nan(works, finite, expected):
    subject = Stub({Mode.REVERSE: ANSWER}, has_a_value=works)
    subject.finite = lambda x, dtype: finite
    found = answers(ANSWER, known(Verdict(NOT_FINITE)), subject=subject)
    assert told(found) == [(Mode.REVERSE, k, expected, expected == NOT_FINITE) for k in X]


def test_nan_of_a_program_of_its_own_is_a_failure_in_the_widest_dtype_alone():
    for dtype, fails in (("float64", True), ("float32", False)):
        found = answers(ANSWER, known(Verdict(NOT_FINITE), another=False), dtype=dtype)
        assert told(found) == [(Mode.REVERSE, k, NOT_FINITE, fails) for k in X]


def test_far_out_what_is_wrong_is_a_failure_of_refgrads_own_rules_alone():
    for own in (True, False):
        subject = Stub({Mode.REVERSE: ANSWER}, by_refgrad=own)
        found = answers(ANSWER, known(Verdict(WRONG), strict=True), subject=subject, extreme=True)
        assert told(found) == [(Mode.REVERSE, k, WRONG, own) for k in X]


def test_an_error_in_place_of_an_answer_is_a_failure_unless_it_may_be():
    error = ValueError("no\nmore")
    found = answers(error)
    assert told(found) == [(Mode.REVERSE, ALL, NO_ANSWER, True)]
    assert found[0].note == "ValueError: no"
    for excuse in (dict(extreme=True), dict(foreign=True),
                   dict(subject=Stub({Mode.REVERSE: error}, declines=True)),
                   dict(subject=Stub({Mode.REVERSE: error}, has_a_value=False))):
        assert told(answers(error, **excuse)) == [(Mode.REVERSE, ALL, NO_ANSWER, False)]
    found = answers(Misconduct("writes"), extreme=True)
    assert told(found) == [(Mode.REVERSE, ALL, MISCONDUCT, True)] and found[0].note == "writes"


# Answers on balls


def on_balls(found, knowledge=None, **subject):
    return list(trial_of(Stub(on_balls=found, **subject), knowledge).on_balls((Mode.REVERSE,)))


def test_answers_on_balls_are_judged_by_each_name():
    found = on_balls({"a": Ball([5.0, 6.0]), "b": 7.0}, known(Verdict(WRONG)))
    assert told(found) == [(Mode.REVERSE, k, WRONG, True) for k in X]
    assert {(f.dtype, f.digits) for f in found} == {("exact", 41.0)}
    bad = on_balls({"a": Ball([5.0]), "b": 7.0}, known(Verdict(WRONG)))
    assert told(bad) == [(Mode.REVERSE, "a", MISCONDUCT, True)]
    assert bad[0].note == "shape (1,), expected (2,)"
    assert not on_balls(ANSWER, known(covers=lambda mode: False))


def test_an_error_on_balls_is_told_of_refgrads_own_rules_alone():
    assert told(on_balls(Misconduct("writes"))) == [(Mode.REVERSE, ALL, MISCONDUCT, True)]
    assert not on_balls(Unanswered("not on balls"))
    own = on_balls(ValueError("fails"), known(strict=True), by_refgrad=True)
    assert told(own) == [(Mode.REVERSE, ALL, NO_ANSWER, False)]
    assert own[0].note == "ValueError: fails"


def test_without_a_result_its_weight_is_zero():
    weights, given = [np.array([1.0, 2.0]), np.array(3.0)], []

    def weighed_by(w):
        given.append(w)
        return known()
    trial = trial_of(knowledge=known(weights=weights, weighed_by=weighed_by))
    for k in (0, 1):
        assert trial.without_result(k).point is trial.point
        assert all(np.array_equal(w, weights[n] * (n != k)) for n, w in enumerate(given.pop()))


def test_weights_and_directions_have_both_signs_and_are_numbers_of_every_format():
    form = format_named("bfloat16")
    drawn = _draw(np.random.default_rng(0), (500, 2), form)
    assert drawn.shape == (500, 2) and np.array_equal(form.round(drawn), drawn)
    for part in (drawn[drawn > 0], -drawn[drawn < 0]):
        assert part.size > 400 and 0.5 <= part.min() < 0.52 and 1.98 < part.max() <= 2


# An examination


def examination(**fields):
    """One of which only these fields are set."""
    made = Examination.__new__(Examination)
    stubs = {"subject": Stub(), "x": X, "widest": "float64", "own_rules": False,
             "measured_by_another": True}
    vars(made).update({**stubs, **fields})
    return made


@pytest.mark.parametrize("many, number, label, wide, narrow", [
    (False, 3, "there", 6, 6), (True, 0, "as given", 6, 6), (True, 3, "there", 1, 1),
    (True, 3, MIXED, 2, 1)])
def test_with_many_entries_few_modes_are_asked_for_elsewhere(many, number, label, wide, narrow):
    modes = examination(many=many)._modes(number, Point(label, X))
    assert {d: len(m) for d, m in modes.items()} == {"float64": wide, "float32": narrow}
    assert all(list(m) == list(Mode)[:len(m)] for m in modes.values())


def test_with_many_entries_all_inputs_move_together_but_where_the_caller_stands(monkeypatch):
    monkeypatch.setattr(module, "ByDifferences", lambda *_, together, **options: together)
    for many in (False, True):
        examined = examination(
            many=many, why_floats="a box", measured="float64", natural=0.0, ordinary=0.0,
            unexplained=[])
        together = [examined.known_at(Point("there", X), [], X, X, number) for number in (0, 1, 2)]
        assert together == [False, many, many]


def test_where_a_function_has_no_value_no_other_shapes_are_looked_at():
    class Root(Stub):
        def value(self, x, dtype, layout=np.asarray):
            return [np.sqrt(x["a"] - 1)]
    examined = examination(subject=Root(), measured_by_another=False, program=None)
    assert examined._works(X, {})
    with np.errstate(invalid="ignore"):
        examined.x = {**X, "a": -X["a"]}
        assert not examined._works(examined.x, {}) and list(examined._elsewhere(0)) == []
        examined = examination(subject=Root(), measured_by_another=True,
                               program=lambda x: [np.sqrt(x["a"] - 2)])
        assert not examined._works(X, {})


@pytest.mark.parametrize("gradient, pads", [
    ([[0.0, 0.0], [1.0, 2.0]], True), ([[0.0, 1.0], [0.0, 0.0]], False), (0.0, False),
    (np.zeros((0, 3)), False), (ValueError("no vjp"), True)])
def test_an_input_without_gradient_at_index_0_may_be_padded(gradient, pads):
    class Padded(Stub):
        def pull(self, x, weights, dtype, layout):
            assert [w.tolist() for w in weights] == [[1.0, 1.0]]
            return {"a": self._or_raise(gradient), "b": np.ones(3)}, None, []
    assert examination(subject=Padded())._pads(Point("there", X), [np.zeros(2)]) == pads


def test_the_pattern_of_a_fault_is_looked_for_in_the_gradient_of_one_input(monkeypatch):
    monkeypatch.setattr(module, "pattern", lambda trial, name, dtype: f"{name} in {dtype}")
    trial = trial_of()
    trial.answers = {"float32": {Mode.REVERSE: ANSWER}, "float64": {Mode.REVERSE: ValueError()}}
    examined = examination(trials={"there": trial})

    def words(check="reverse", point="there", name="a", dtype="float32"):
        return examined.where(Finding(check, point, name, dtype, WRONG))
    assert words() == words(dtype="exact") == "a in float32" and words(name="b") == "b in float32"
    for nothing in (dict(check="forward"), dict(point="elsewhere"), dict(name=ALL),
                    dict(dtype="float64")):
        assert words(**nothing) == ""


def test_why_a_function_does_not_run_on_balls():
    def raises(x):
        raise ValueError("no\nmore")
    undecided = lambda x: [np.maximum(np.sqrt(x["b"]) ** 2, x["b"])]
    for program, why in ((lambda x: [1.0, x["a"]], ""), (undecided, ""), (raises, "ValueError: no"),
                         (lambda x: [1.0], "its result does not depend on the inputs as arrays")):
        assert _why_not_on_balls(program, X) == why
    many = {"a": np.zeros(10_000), "b": np.zeros(10_001)}
    assert _why_not_on_balls(raises, many) == "more than 20000 numbers would take too long"


@pytest.mark.parametrize("own, foreign, failed", [
    (True, False, True), (True, True, False), (False, False, False)])
def test_where_f_has_a_value_an_error_is_of_the_rules(own, foreign, failed):
    point = Point("there", X, foreign=foreign)
    found = examination(program=lambda x: [x["a"]], own_rules=own)._unknown(point, ValueError("no"))
    assert (found.check, found.verdict, found.failed) == (Mode.REVERSE, NO_ANSWER, failed)
    assert found.note == f"{'refgrad' if own else 'the reference'}'s rules raise ValueError: no"
    for program in (lambda x: [x["a"], x["a"] / (x["b"] - 3)], lambda x: [x["c"]],
                    lambda x: [x["a"] / (x["a"] - 1)]):  # of its two entries the second has a value
        found = examination(program=program, own_rules=own)._unknown(point, ValueError("no"))
        assert (found.check, found.verdict, found.failed) == ("differences", UNDECIDED, False)
        assert found.note == "f has no value: ValueError: no"


def test_what_the_subject_raises_on_the_way_is_a_finding_and_an_error_of_the_checker_is_raised():
    def stand(fails):
        def at(point, number):
            yield fails()
        return list(examination(points={}, _at=at)._stand(Point("there", X), 1))

    undecided = Undecided("maximum", (0,), ())

    def leave_open():
        raise undecided

    def by_the_subject():
        Subject.pull(Stub(), X, [], "float64", None)

    for fails, note in ((leave_open, str(undecided)),
                        (by_the_subject, "it could not be told: Unanswered: f has no vjp")):
        found, = stand(fails)
        assert (found.check, found.verdict, found.failed) == ("differences", UNDECIDED, False)
        assert (found.point, found.note) == ("there", note)
    with pytest.raises(ZeroDivisionError):
        stand(lambda: 1 / 0)


def looked_at(monkeypatch, verdict=RIGHT, number=1, label=MIXED, many=False, size=1,
              thorough=False):
    """What is looked at beside the answers, and how many modes are asked for."""
    class Valued(Stub):
        def value(self, x, dtype):
            return [x["a"]]

    asked = []
    for name in ("kinks", "conduct", "third_order"):
        monkeypatch.setattr(module, name, lambda *_, name=name: asked.append(name) or ())
    knowledge = known(Verdict(verdict), how="differences", undecided="", kinked=lambda: [])
    examined = examination(
        subject=Valued(dict.fromkeys(Mode, ANSWER)), seed=0, many=many, size=size,
        thorough=thorough, trials={}, varies=False, known_at=lambda *_: knowledge)
    found = list(examined._at(Point(label, X), number))
    return asked, len({f.check for f in found})


def test_what_is_looked_at_beside_the_answers(monkeypatch):
    whole = ["kinks", "conduct", "third_order"]
    for number, label, many, asked in (
            (0, "as given", False, whole), (0, "as given", True, whole[:2]),
            (1, MIXED, False, whole), (1, MIXED, True, whole[:1]), (1, "there", False, whole[:1])):
        assert looked_at(monkeypatch, number=number, label=label, many=many)[0] == asked
    assert looked_at(monkeypatch, WRONG)[0] == whole[:2]


def test_with_very_many_entries_nothing_more_is_looked_at_after_a_failure(monkeypatch):
    for size, verdict, thorough, modes in (
            (100_001, WRONG, False, 2), (100_001, RIGHT, False, 6), (100_001, WRONG, True, 6),
            (100_000, WRONG, False, 6)):
        asked, found = looked_at(monkeypatch, verdict, size=size, thorough=thorough)
        assert found == modes and bool(asked) == (modes == 6)


# The function beside its reference


def values(ys, exact, dtype="float64"):
    knowledge = known(value=[Ball(b) for b in exact], eps=lambda d: float(np.finfo(d).eps),
                      rounded=lambda d: [0.0] * len(exact))
    trial = trial_of(knowledge=knowledge)
    return list(value(trial, [np.asarray(y) for y in ys], dtype, True))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_function_is_another_one_when_half_of_the_digits_are_wrong(dtype):
    root = float(np.finfo(dtype).eps) ** 0.5
    for off, verdict in ((0.9, OK), (1.1, WRONG)):
        found = values([[1.0, 4 + 4 * off * root], 0.0], [[1.0, 4.0], 0.0], dtype)
        assert [(f.argument, f.verdict) for f in found] == [("result 0", verdict), ("result 1", OK)]
    assert found[0].note == ("the function and its reference differ, at most by "
                             f"{4.4 * root:.3g} where the largest result is 4")
    found, = values([[1.0]], [1.0])
    assert (found.argument, found.verdict) == (ALL, WRONG)
    assert found.note == "the results have the shapes [(1,)], the reference's have [()]"


# Layouts


def test_an_error_of_the_function_declines_a_layout_and_one_of_the_checker_does_not():
    class WithoutLayouts(Stub):
        def value(self, x, dtype):
            return [x["a"]]

    class Refusing(Stub):
        def call(self, x):
            raise TypeError("only contiguous arrays")

    asked = X, "float64", conduct.strided, 2.0 ** -52
    assert not conduct._takes(Refusing(), *asked)
    with pytest.raises(TypeError, match="positional"):
        conduct._takes(WithoutLayouts(), *asked)
