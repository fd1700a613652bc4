"""The steps by which differences in floats come to a verdict, one by one; what the others say is
put in."""

import numpy as np
import pytest

from crosscheck.formats import format_named
from crosscheck.modes import ALL, Mode
from crosscheck.truth import by_differences, nearby, switches, widest
from crosscheck.truth.by_differences import SMALL, STRIDE, ByDifferences
from crosscheck.truth.estimated import Estimate
from crosscheck.truth.precision import Precision
from crosscheck.truth.widest import THOUSANDTH
from crosscheck.verdict import AGREES, KINK, LESS_ACCURATE, NOT_FINITE, RIGHT, UNDECIDED, WRONG
from tests.crosscheck.test_by_differences import (
    EPS, GRADIENT, Squares, V, X, judged, known_of)

HALF = format_named("float16")


def known_of_two(**options):
    """Of the sum of a^2, weighed by 2 and 3, and an array b that does nothing."""
    x, v = {"a": X, "b": np.array([[0.5]])}, {"a": V, "b": np.array([[0.25]])}
    return ByDifferences(Squares(), x, [np.array([2.0, 3.0])], {k: 3 * d for k, d in v.items()}, v,
                         "float64", **options)


def said(value):
    return lambda *arguments: value


def test_the_size_is_that_of_the_weighed_results():
    assert known_of_two().size == 21.0 and known_of(x=X / 16).size == 10 / 256
    assert known_of_two().weighed_by([np.array([1.0, 0.0])]).scalar({"a": X}) == 9.0


def test_names_and_directions():
    known = known_of_two()
    assert known._along(ALL) is known.v and known._along("a") == {"a": V}
    assert known.names(Mode.REVERSE) == ["a", "b"]
    assert known.names(Mode.FORWARD_OVER_REVERSE) == [ALL]
    assert known_of_two(together=True).names(Mode.REVERSE) == [ALL]
    assert all(map(known.covers, Mode))


def test_estimates_are_made_once():
    known = known_of_two()
    e = known.estimate(Mode.REVERSE, "a")  # 2 * 6 - 2 * 3 * 2
    assert abs(e.value) <= e.uncertainty < 1e-6
    assert known.estimate(Mode.FORWARD, "a") is e
    e = known.estimate(Mode.FORWARD_OVER_REVERSE, ALL)  # 2 * (2 + 3 * 4) * 3
    assert e.value == pytest.approx(84, abs=1e-4)
    assert known.estimate(Mode.REVERSE_OVER_REVERSE, ALL) is e


def test_what_is_judged_and_its_terms():
    known, a, b = known_of_two(), np.array([1.0, 10.0]), np.array([[8.0]])
    answers = {Mode.REVERSE: {"a": a, "b": b}, Mode.FORWARD: {"a": 3.0, "b": 5.0},
               Mode.FORWARD_OVER_REVERSE: {"a": a, "b": b}, Mode.FORWARD_OVER_FORWARD: {ALL: 7.0}}
    for mode, name, derivative, terms in (
            (Mode.REVERSE, "a", [1, 10], [1, 20]), (Mode.REVERSE, ALL, [1, 10, 8], [1, 20, 2]),
            (Mode.FORWARD, "a", 3, [3]), (Mode.FORWARD, ALL, 8, [8]),
            (Mode.FORWARD_OVER_REVERSE, ALL, 69, [3, 60, 6]),
            (Mode.FORWARD_OVER_FORWARD, ALL, 7, [7])):
        assert known.derivative(answers[mode], mode, name).tolist() == derivative
        assert known._terms(answers[mode], mode, name).tolist() == terms


def test_the_widest_answer_is_asked_for_once_where_it_is_not_given():
    known, asked = known_of(), []
    known.answer = lambda mode, x: asked.append(mode) or {"a": GRADIENT}
    given = {"a": GRADIENT + 1}
    assert known.widest.answer(Mode.REVERSE, {"float64": {Mode.REVERSE: given}}) is given
    assert known.widest.answer(Mode.FORWARD, {"float64": {}}) is None and asked == []
    known.widest.answers.clear()
    for _ in range(2):
        assert known.widest.answer(Mode.REVERSE, {"float32": {}})["a"] is GRADIENT
    assert asked == [Mode.REVERSE]
    known.answer = lambda mode, x: 1 / 0
    assert known.widest.answer(Mode.FORWARD, {}) is None
    error = {"float64": {Mode.FORWARD_OVER_REVERSE: ValueError()}}
    assert known.widest.answer(Mode.FORWARD_OVER_REVERSE, error) is None


# No number


def test_no_number_where_one_result_of_two_has_none():
    known = known_of()
    known.subject.value = lambda x, dtype: [np.ones(2), np.array(np.inf)]
    assert judged(known, [np.nan, 1.0]).note == "float64 may overflow here"


def test_no_number_where_f_is_rough():
    known = known_of()
    known._roughness = said("rough")
    found = judged(known, [np.nan, 1.0])
    assert (found.verdict, found.note) == (KINK, "nan or inf; rough")
    known = known_of(extreme=True)
    known._roughness = said("rough")
    assert judged(known, [np.nan, 1.0]).verdict == NOT_FINITE
    assert judged(known, np.nan, mode=Mode.FORWARD_OVER_FORWARD).verdict == NOT_FINITE


    known = known_of(Estimate(2.0, 3.0, kink=True))  # of first order no slope is needed
    known._roughness = said("")
    assert judged(known, [np.nan, 1.0]).verdict == NOT_FINITE


def test_f_is_rough_of_second_order_where_it_jumps_along_either_direction():
    known = known_of_two()
    for jumps in (known.u, known.v):
        known._jumps = lambda d, jumps=jumps: d is jumps
        assert known._roughness(Mode.FORWARD_OVER_REVERSE, ALL, None) == "f jumps here"
        assert known._roughness(Mode.REVERSE, "a", None) == ""


# Beside a difference


def test_the_size_of_small_directions():
    known = known_of(Estimate(0.5, 2.0 ** -30))
    known.u, known.v = {"a": V / 8}, {"a": V / 4}
    assert judged(known, GRADIENT).known == pytest.approx(np.log10(10 * 0.5 * 2.0 ** 30))


@pytest.mark.parametrize("width", [0.0, 2.0 ** -47])
def test_what_rounding_loses_is_less_accurate(width):
    """The width, 8 eps of the term 2, and 8 times what rounding x by one loses."""
    for units, verdict in ((1.4, LESS_ACCURATE), (1.6, WRONG)):
        known = known_of(Estimate(2.0, width), unexplained=[1.0])
        known._lost_to_rounding = said(2.0 ** -50)
        found = judged(known, 2 + units * 2.0 ** -47 + width, mode=Mode.FORWARD)
        assert found.verdict == verdict


def test_a_coarser_answer_that_is_off_as_rounding_is_beside_a_finer_one():
    """Halfway, in powers of two, from 2^-12 in float32 is 2^-26.5 in float64."""
    for fine, verdict in ((2.0 ** -27, LESS_ACCURATE), (2.0 ** -26, WRONG)):
        known = known_of(unexplained=[1.0])
        known._agrees_closer = known._ties = said("")
        answers = {dtype: {Mode.FORWARD: {"a": np.array(2 + off)}}
                   for dtype, off in (("float32", 2.0 ** -12), ("float64", fine))}
        e = known.estimate(Mode.FORWARD, "a")
        found = known._against_difference(e, Mode.FORWARD, "a", "float32", answers)
        assert found.verdict == verdict


def test_what_is_off_by_exactly_what_rounding_loses_is_less_accurate():
    gap = 2.0 ** -40
    for gap_in_ulps, verdict in ((0, LESS_ACCURATE), (1, WRONG)):
        known = known_of(unexplained=[1.0])
        known._lost_to_rounding = said(gap / 8 - EPS * (2 + gap))
        assert judged(known, 2 + gap + 2 * EPS * gap_in_ulps, mode=Mode.FORWARD).verdict == verdict


def test_what_is_typical_by_itself_needs_no_other_points():
    known = known_of()
    known.widest._sensitivity = lambda *_: 1 / 0
    assert judged(known, GRADIENT, "float32", float64=GRADIENT).verdict == RIGHT


def test_between_float16_and_bfloat16_rounding_tells_nothing():
    """They are apart by 8 times an eps, which is typical within either."""
    known = known_of(unexplained=[1.0])
    known._agrees_closer, known._lost_to_rounding = said(False), said(0.0)
    answers = {dtype: {Mode.FORWARD: {"a": np.array(2 + off)}}
               for dtype, off in (("bfloat16", 0.5), ("float16", 0.1))}
    e = known.estimate(Mode.FORWARD, "a")
    assert known._against_difference(e, Mode.FORWARD, "a", "bfloat16", answers).verdict == WRONG


def test_no_entry_of_a_right_gradient_is_blamed():
    assert known_of()._entry("a", {"a": GRADIENT}) == ""


def test_a_tie_chooses_another_slope_and_none_that_is_nearly_the_same():
    for off, verdict in ((0.5, KINK), (2.0 ** -40, WRONG)):
        known = known_of(unexplained=[1.0], curvature=Estimate(10.0, 0.0))
        known._ties, known._lost_to_rounding = said("words"), said(0.0)
        found = judged(known, 2 + off, mode=Mode.FORWARD)
        assert found.verdict == verdict
        assert found.note == "words, the answer is 2.5" or off < 0.5
        known._roughness = said("")
        assert judged(known, 10 + off, mode=Mode.FORWARD_OVER_FORWARD).verdict == WRONG


@pytest.mark.parametrize("part, answer, verdict, note", [
    ("_switch", "a switch", AGREES, "a switch"), ("_roughness", "rough", KINK, "rough"),
    ("_agrees_closer", True, AGREES,
     "the slope is that of finer steps than those at which f is smooth")])
def test_what_explains_a_gap(part, answer, verdict, note):
    known = known_of()
    setattr(known, part, said(answer))
    found = judged(known, 2.5, mode=Mode.FORWARD)
    assert (found.verdict, found.note) == (verdict, note)


def test_a_small_gap_that_no_entry_explains_is_undecided():
    for off, entry, verdict in (
            (SMALL, "", UNDECIDED), (2 * SMALL, "", WRONG), (SMALL, "; e", WRONG)):
        known = known_of(unexplained=[1.0])
        known._entry = said(entry)
        found = judged(known, GRADIENT + [off, 0.0])
        assert found.verdict == verdict and entry in found.note
        assert ("no entry alone" in found.note) == (verdict == UNDECIDED)


def test_where_the_slope_is_zero_steps_are_mentioned_of_first_order_alone():
    for value in (0.0, 1.0):
        known = known_of(Estimate(value, 0.0), curvature=Estimate(value, 0.0))
        known._agrees_closer, known._roughness = said(False), said("")
        for mode in (Mode.FORWARD, Mode.FORWARD_OVER_FORWARD):
            note = judged(known, value + 0.5, mode=mode).note
            assert (by_differences.STEP in note) == (value == 0 and mode == Mode.FORWARD)


def test_an_answer_that_agrees_within_the_noise_of_finer_steps():
    """Noise of 80 eps over the step 3 * 2^-30 is 2^-17.3."""
    known = known_of()
    known.v, known.scalar = {"a": np.array([1.0, 0.0])}, lambda x: float(x["a"][0] - 3.0)
    assert known._agrees_closer("a", Estimate(5.0, 0.0), 1 + 2.0 ** -18)
    assert known._agrees_closer("a", Estimate(5.0, 0.0), 1 + 2.0 ** -8)  # at the finer one alone
    assert not known._agrees_closer("a", Estimate(5.0, 0.0), 1 + 2.0 ** -7)


# Ties


def ties(x, slopes, name="a", chosen=False):
    """(the words on ties at x, the names that tie, the values asked for) where s has the slope 2 by
    differences, and in turn these slopes along V at points aside.
    """
    known, asked, turns = known_of(x=np.array(x)), [], iter(slopes)
    known.weights, known.is_nearby = [np.array(3.0)], said(chosen)

    def rises(direction):
        asked.append(direction["a"])
        return [np.array((5 + nearby.ON * next(turns) if len(asked) % 2 else 5) / 3)]

    known.rises = rises
    return known._ties(name, Mode.REVERSE, Estimate(2.0, 0.0), None), known.tied, asked


TWELVE = by_differences.NEARBY


def test_ties_are_looked_for_where_entries_are_equal_or_zero():
    for x, looked in (
            ([3.0, -1.0], False), ([3.0, 3.0], True), ([3.0, 0.0], True), ([0.0, 0.0], True)):
        assert bool(ties(x, [2.0] * TWELVE)[2]) == looked


@pytest.mark.parametrize("name", ["a", ALL])
def test_ties_are_told_by_the_slopes_at_points_aside(name):
    words, tied, asked = ties([3.0, 3.0], [2.0, 1.0, 4.0] + [2.0] * 9, name)
    assert words == "the slope is 2, nearby it is from 1 to 4" and tied == {"a"}
    for on, aside in zip(asked[::2], asked[1::2], strict=True):
        assert on - aside == pytest.approx(nearby.ON * V) and np.all(np.abs(aside) < 1)
    for chosen in (True, False):
        words, tied, _ = ties([3.0, 3.0], [2.0] * 11 + [np.nan], name, chosen)
        assert words == ("the gradient of points nearby" if chosen else "") and tied == set()
    # known to 8 * 2^-26 of s = 18, twice, over 2^-7, and of the slope
    limit = 2.0 ** -23 * (18 / nearby.ON + 2 + 18)
    for off, tie in ((0.999, False), (1.0007, True)):
        words, _, _ = ties([3.0, 3.0], [2.0 + off * limit] * TWELVE, name)
        assert bool(words) == tie


def test_ties_of_other_arrays_do_not_count():
    known = known_of_two()
    known.x, known.rises = {"a": np.ones(2), "b": np.ones(1)}, lambda direction: 1 / 0
    assert known._ties("b", Mode.REVERSE, Estimate(2.0, 0.0), None) == ""


# A switch of f


def switch(gap, jump, monkeypatch, mode=Mode.REVERSE, value=2.0, noise=0.0, x=X, **options):
    """(the words, the gaps without an explanation, what was asked): f jumps by so much."""
    known, asked = known_of(x=x, **options), []

    def jump_along(f, slope, x, along, least):
        asked.append((slope(x), least))
        return jump

    monkeypatch.setattr(switches, "jump_along", jump_along)
    known._told_at, e = lambda mode, name, x: mode, Estimate(value, 0.0, noise=noise)
    words = known._switch(mode, "a", gap, e, 2.0)
    assert known._switch(mode, "a", gap, e, 2.0) == words
    return words, known.unexplained, asked


def test_a_gap_that_a_jump_of_f_explains(monkeypatch):
    """A gap of 2^-21 over the length 1, by directions up to 2, is a jump of 2^-25 at least."""
    gap, least = 2.0 ** -21, 2.0 ** -25
    words, unexplained, asked = switch(gap, 2 * least, monkeypatch)
    assert words == "off by 5e-07; f's own switch: it jumps by 6e-08 nearby" and unexplained == []
    assert asked == [(Mode.REVERSE, least)]  # once
    assert switch(gap, least, monkeypatch, Mode.FORWARD)[2] == [(Mode.FORWARD, least)]
    assert switch(gap, least, monkeypatch)[:2] == ("", [gap])
    words, _, asked = switch(gap, least, monkeypatch, Mode.FORWARD_OVER_FORWARD)
    assert words and asked == [(Mode.REVERSE, least / 2)]
    assert switch(gap, least, monkeypatch, noise=1.0)[2] == [(Mode.REVERSE, 64.0)]
    assert switch(gap, 2 * least, monkeypatch, x=X / 6)[2][0][1] == least / 2


def test_where_no_switch_is_looked_for(monkeypatch):
    gap = 2 * SMALL
    assert switch(gap, 1.0, monkeypatch)[2] and not switch(1.01 * gap, 1.0, monkeypatch)[2]
    assert not switch(gap, 1.0, monkeypatch, value=1.0)[2]
    assert switch(gap, 1.0, monkeypatch, Mode.FORWARD_OVER_FORWARD, value=1.0)[2]  # s is 10
    assert not switch(gap, 1.0, monkeypatch, unexplained=[1.0])[2]
    coarse = Precision("float64", format_named("float32"))
    assert not switch(gap, 1.0, monkeypatch, precision=said(coarse))[2]


# Roundings


def test_what_the_answer_moves_by_when_x_is_rounded():
    for form, many in (("float64", 1), ("float32", STRIDE)):
        it = Precision("float64", format_named(form))
        known, asked, told = known_of(precision=said(it)), [], iter([5.0, 6.0, 2.0, np.nan])
        known._told_at = lambda mode, name, x: asked.append(x) or next(told)
        assert known._lost_to_rounding(Mode.REVERSE, "a") == 3 / many
        assert asked[0]["a"] is X
        for x in asked[1:]:
            assert np.abs(x["a"] / X - 1) == pytest.approx(many * it.eps)
        known._told_at = said(np.nan)
        assert known._lost_to_rounding(Mode.REVERSE, "a") == 0


def test_what_has_no_number_beside_x_does_not_count_as_moved():
    known = known_of()
    known.widest.answers[Mode.REVERSE] = {"a": GRADIENT}
    known.answer = lambda mode, x: 1 / 0 if x is known.x else {
        "a": np.array([np.nan, x["a"][1] * 2])}
    assert known.widest._sensitivity(Mode.REVERSE, "a", EPS).tolist() == [np.sqrt(2) * EPS, 2 * EPS]


def test_how_an_error_scatters():
    """It is what the first entry moves by, an eps or a thousandth, in float16 up to 3 + 2^-8; where
    that entry is less than 3 it is nan.
    """
    known, asked = known_of(), []
    known.answer = lambda mode, x, dtype: {"a": np.zeros(2)} if dtype == "float64" else (
        asked.append(x["a"]) or {"a": np.array([x["a"][0] - 3 if x["a"][0] > 3 else np.nan, 0.0])})
    found = known.widest._scatter(Mode.REVERSE, "a", "float16", np.zeros(2))
    assert found.tolist() == [2.0 ** -8, 0.0] and len(asked) == 6
    asked.clear()
    known.widest._scatter(Mode.REVERSE, "a", "float32", np.zeros(2))
    steps = [np.abs(a / X - 1).max() for a in asked]
    assert steps[:3] == pytest.approx([4 / 3 * 2.0 ** -23] * 3)  # 3 moves by two units of 2^-22
    assert steps[3:] == pytest.approx([THOUSANDTH] * 3)


def test_a_gradient_in_few_bits_alone_is_held_to_the_values(monkeypatch):
    for dtype, mode, held in (("float16", Mode.REVERSE, True), ("float16", Mode.FORWARD, False),
                              ("float32", Mode.REVERSE, False)):
        known, calls = known_of(), []
        known.widest._hold_to_values = lambda *arguments: calls.append(arguments)
        answer, right = (GRADIENT, GRADIENT) if mode == Mode.REVERSE else (2.0, 2.0)
        assert judged(known, answer, dtype, mode, float64=right).verdict == RIGHT
        assert bool(calls) == held


@pytest.mark.parametrize("count, own, values, moved, less", [
    (8, 1.5, 0.25, 8, True), (7, 1.5, 0.25, 8, False), (8, 0.5, 0.125, 8, False),
    (8, 1.5, 0.5, 8, False), (8, 1.5, 0.046875, 8, False), (8, 1.5, 0.0625, 8, True),
    (8, 1.5, 0.25, 9, False)])
def test_typical_errors_of_a_gradient_and_of_the_values(count, own, values, moved, less):
    known, found, ones = known_of(), judged(known_of(), GRADIENT), np.ones(count)
    unit = ones * HALF.eps
    known.subject.value = lambda x, dtype: [ones + values * unit * (dtype == "float16"), ones]
    known.widest._hold_to_values(found, ones + own * unit, ones, moved * unit, "float16", HALF)
    assert found.verdict == (LESS_ACCURATE if less else AGREES)
    if less:
        assert found.note.startswith(
            f"typically off by 1.5 roundings of float16, f's own values by {values:.2g}: ")


def test_the_median_error_in_roundings_of_what_is_not_zero():
    right = np.array([1.0, 2.0, 4.0, 0.0, 1.0])
    off = np.array([1.0, 4.0, 12.0, 1.0, np.inf]) * HALF.eps
    assert widest._roundings(right + off, right, HALF) == 2.0
    assert widest._roundings(off[3:], right[3:], HALF) == 0.0


def test_another_function_in_another_dtype():
    known = known_of()
    for off, another in ((0.9, False), (1.1, True)):
        by = off * np.sqrt(HALF.eps) * 4 * np.array([1.0, 0.0])
        known.subject.value = lambda x, dtype: [
            np.zeros(0), np.array([1.0, -4.0]) + by * (dtype == "float16")]
        assert known.widest._is_another_function("float16", HALF) == another
    known = known_of()
    known.widest._is_another_function = said(True)
    assert judged(known, GRADIENT * 2, "float32", float64=GRADIENT).verdict == LESS_ACCURATE
