"""What is judged at kinks: entries by their slopes, smooth directions, one mode by another."""

import numpy as np
import pytest

from crosscheck import kinks
from crosscheck.modes import ALL, FIRST_ORDER, Mode
from crosscheck.verdict import KINK, NOT_FINITE, WRONG
from tests.crosscheck.test_trial import ANSWER, X, known, told, trial_of


def test_entries_that_are_zero_or_tied_are_tried_first():
    a = np.array([[7.0, 0.0, 5.0, 4.0], [5.0, 9.0, 8.0, 6.0]])
    assert kinks._special_entries(a) == [(0, 1), (0, 2), (1, 0), (0, 0), (0, 3), (1, 1)]


@pytest.mark.parametrize("off, inside", [
    (2.0 ** -20, True), (2.0 ** -18, False), (-2.0 ** -18, False)])
def test_the_slope_is_known_up_to_the_rounding_of_the_function(off, inside):
    """8 eps of its size 2^40 times the direction's largest entry 2^-10 are 2^-19."""
    knowledge = known(slopes=lambda d: (1.0, 1.0, 0.0, True), size=2.0 ** 40)
    gradient = {"a": np.array([2.0 ** 10 * (1 + off), 7.0])}
    direction = {"a": np.array([2.0 ** -10, 0.0])}
    found = kinks._slopes(trial_of(knowledge=knowledge), "float64", direction, gradient)
    assert found == (1.0, 1.0, True, 1 + off, inside)


@pytest.mark.parametrize("off, agree", [(0.0, True), (31.0, True), (34.0, False), (-34.0, False)])
def test_modes_agree_to_a_few_roundings_of_their_terms(off, agree):
    """Of the terms 3 and -1 with the sum 2: 8 (4 + 2) eps times the root of 2 entries, 67.9 eps."""
    found = {Mode.REVERSE: {"a": np.array([1.5, 1.0])},
             Mode.FORWARD: {"a": 2 + 2 * off * 2.0 ** -52}}
    notes = list(kinks._modes_agree(found, {"a": 0}, {"a": np.array([2.0, -1.0])}, 2.0 ** -52))
    words = "reverse mode gives 2 along a direction, forward mode 2"
    assert notes == ([] if agree else [("a", words)])
    lost = {Mode.REVERSE: {"a": np.array([-np.inf, 1.0])}, Mode.FORWARD: {"a": np.float64(2.0)}}
    assert (len(list(kinks._modes_agree(lost, {"a": 0}, {"a": np.array([2.0, -1.0])}, 2.0 ** -52)))
            == 1)
    lost[Mode.FORWARD] = {"a": np.float64(np.inf)}  # in both alike
    assert not list(kinks._modes_agree(lost, {"a": 0}, {"a": np.array([2.0, -1.0])}, 2.0 ** -52))
    assert not list(kinks._modes_agree({**found, Mode.FORWARD: ValueError()}, X, X, 2.0 ** -52))
    assert not list(kinks._modes_agree({**found, Mode.REVERSE: ValueError()}, X, X, 2.0 ** -52))


@pytest.mark.parametrize("kinked, opened, extreme, told_of", [
    ([], False, False, False), ([], True, False, True), ([], True, True, False),
    (["a"], False, False, True), (["a"], False, True, True)])
def test_modes_are_compared_at_kinks_and_where_a_kink_is_not_ruled_out(
        monkeypatch, kinked, opened, extreme, told_of):
    monkeypatch.setattr(kinks, "_against_slopes", lambda *_: ())
    trial = trial_of(knowledge=known(kinked=lambda: kinked, open=lambda: opened), extreme=extreme)
    forward = {"a": 1.0, "b": 21.0}  # 21 is the slope of b along 3, and 17 that of a along (1, 2)
    trial.answers = {"float64": {Mode.REVERSE: ANSWER, Mode.FORWARD: forward}}
    assert told(kinks.kinks(trial, "float64")) == [("kink", "a", KINK, True)] * told_of


@pytest.mark.parametrize("b, judged", [(7.0, True), (np.inf, False), ([7.0], False)])
def test_an_answer_that_is_no_gradient_is_not_judged_by_slopes(monkeypatch, b, judged):
    monkeypatch.setattr(kinks, "_against_slopes", lambda *_: ["slopes"])
    trial = trial_of(knowledge=known(kinked=lambda: ["a"]))
    trial.answers = {"float64": {Mode.REVERSE: {**ANSWER, "b": np.array(b)}}}
    assert list(kinks.kinks(trial, "float64")) == ["slopes"] * judged


def against(monkeypatch, slopes, nearby=lambda names: False):
    """What is said of the answer 5 and 6 by a and 7 by b, where a has a kink."""
    monkeypatch.setattr(kinks, "is_gradient_nearby", lambda known, x, names, *_: nearby(names))
    trial = trial_of(knowledge=known(slopes=lambda d: (*slopes(d), slopes(d)[0] == slopes(d)[1]),
                                     size=0.0))
    return list(kinks._against_slopes(trial, "float64", ["a"], ANSWER))


def by_entry(slopes):
    """Those slopes along the second entry of a, infinite ones along the first."""
    known = {(0.0, 1.0): slopes, (1.0, 0.0): (-np.inf, np.inf, 0.0)}
    return lambda d: known.get(tuple(d["a"]), (0.0, 1.0, 0.0))


@pytest.mark.parametrize("left, right, nearby, verdict, failed, words", [
    (2.0, 7.0, False, KINK, False, "between them"),
    (7.0, 9.0, False, KINK, True, "not between them, nor of points nearby"),
    (7.0, 7.0, False, WRONG, True, "not between them, nor of points nearby"),
    (7.0, 9.0, True, KINK, False, "that of points nearby"),
    (7.0, 9.0, None, KINK, False, "not between them, and more than this is open")])
def test_an_entry_at_a_kink_is_between_its_slopes_or_that_of_points_nearby(
        monkeypatch, left, right, nearby, verdict, failed, words):
    found, = against(monkeypatch, by_entry((left, right, 0.0)), lambda names: nearby)
    assert told([found]) == [("kink", "a", verdict, failed)]
    assert found.note == f"entry (1,): slopes {left:g} and {right:g}, the answer 6 is {words}"


def test_the_entries_of_an_array_that_jumps_are_not_judged(monkeypatch):
    """X["a"], (1, 2), is the direction by which the jump is seen, and the input itself."""
    jumps = lambda d: (0.0, np.inf, 0.0) if d["a"].tolist() == [1.0, 2.0] else (7.0, 9.0, 0.0)
    assert not against(monkeypatch, jumps)


@pytest.mark.parametrize("alone, together, failed", [
    (False, True, False), (False, None, False), (False, False, True), (None, False, False)])
def test_what_is_not_nearby_may_be_when_the_other_inputs_move_too(
        monkeypatch, alone, together, failed):
    found, = against(monkeypatch, by_entry((7.0, 9.0, 0.0)),
                     lambda names: together if len(names) > 1 else alone)
    assert found.failed == failed


def test_along_smooth_directions_the_answer_is_the_slope(monkeypatch):
    """Along ones it is 11 by a and 18 by both; along X 17 and 38."""
    def smooth(a, both):
        def slopes(d):
            slope = (both if "b" in d else a).get(tuple(d["a"]))
            return (0.0, 99.0, 0.0) if slope is None else (slope, slope, 0.0)
        failures = [f for f in against(monkeypatch, slopes) if f.failed]
        return [(f.argument, f.verdict, f.note[:23]) for f in failures]
    ones, itself = (1.0, 1.0), (1.0, 2.0)
    assert smooth({ones: 11.0, itself: 17.0}, {ones: 18.0, itself: 38.0}) == []
    assert smooth({ones: 12.0}, {itself: 39.0}) == [
        ("a", WRONG, "along all entries alike"), (ALL, WRONG, "along the input itself ")]
    assert smooth({ones: np.inf}, {}) == []


def lost(one, other, fits=True, opened=False, agree=True, smooth=True, value=True,
         modes=FIRST_ORDER, **point):
    """What is said of the answers by two modes."""
    knowledge = known(fits=lambda *_: fits, open=lambda: opened, smooth=lambda _: smooth)
    trial = trial_of(knowledge=knowledge, x={"a": X["a"]}, **point)
    trial.subject.modes_agree, trial.subject.has_a_value = agree, value
    trial.answers = {"float64": dict(zip(modes, (one, other)))}
    return told(kinks._lost_in_one_mode(trial))


def test_what_one_mode_of_first_order_loses_is_a_failure_where_the_value_fits():
    number, nan = {"a": np.array([1.0, 2.0])}, {"a": np.array([1.0, np.nan])}
    assert lost(nan, number) == [(Mode.REVERSE, "a", NOT_FINITE, True)]
    assert (lost(number, nan) == lost(number, nan, opened=True)
            == [(Mode.FORWARD, "a", NOT_FINITE, True)])
    for nothing in (lost(nan, nan), lost(number, number), lost(nan, number, fits=False),
                    lost(nan, number, extreme=True), lost(nan, number, opened=True, agree=False),
                    lost(nan, number, value=False),
                    lost(nan, ValueError()),
                    lost(ValueError(), number)):
        assert nothing == []


def test_what_one_mode_of_second_order_loses_is_a_failure_where_the_value_fits():
    number, nan = {"a": np.array([1.0, 2.0])}, {"a": np.array([1.0, np.nan])}
    twice = dict(modes=(Mode.REVERSE_OVER_REVERSE, Mode.REVERSE_OVER_FORWARD))
    assert lost(nan, number, **twice) == [(Mode.REVERSE_OVER_REVERSE, ALL, NOT_FINITE, True)]
    for nothing in (lost(nan, nan, **twice), lost(number, number, **twice),
                    lost(nan, ValueError(), **twice), lost(nan, number, fits=False, **twice),
                    lost(nan, number, extreme=True, **twice),
                    lost(nan, number, smooth=False, **twice),
                    lost(nan, number, value=False, **twice),
                    lost(nan, number, opened=True, **twice)):
        assert nothing == []
