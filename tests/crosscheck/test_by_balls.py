"""What ball arithmetic tells of a function: the verdicts, and each limit from both sides."""

import numpy as np
import pytest

from crosscheck.ball import Ball, arithmetic
from crosscheck.modes import ALL, Mode
from crosscheck.subjects.subject import Unanswered
from crosscheck.truth import notes
from crosscheck.truth.by_balls import ByBalls
from crosscheck.truth.exact import Agreement, Truth
from crosscheck.verdict import TYPICAL, KINK, NOT_FINITE, RIGHT, UNDECIDED, WRONG

X, V = np.array([2.0, -3.0]), np.array([1.0, 0.5])
RULES = "refgrad's rules agree with differences to "


def cubes(x):
    return [x["a"] ** 3]


def known_of(program=cubes, x=X, weights=(1.0, 1.0), agreement=None, condition=None, **options):
    """`ByBalls` of s = <weights, f>, with an agreement and a condition number put in its place."""
    names = {"a": np.asarray(x, float)}
    v = {"a": np.resize(V, names["a"].shape)}
    known = ByBalls(program, names, [np.asarray(weights, float)], v, v, 0, **options)
    if agreement is not None:
        known.truth.agreement |= {(1, "a"): agreement, (2, "a"): agreement, (2, ALL): agreement}
    if condition is not None:
        known.truth.condition = condition
    return known


def test_what_is_known_of_a_smooth_function():
    known = known_of(modes=(Mode.REVERSE, Mode.FORWARD))
    assert known.truth.gradient["a"].mid().tolist() == [12.0, 27.0] and known.size == 19.0
    assert known_of(natural=20.0).size == 20.0 and known_of(x=[0.5], weights=[1.0]).size == 0.125
    assert known.names(Mode.REVERSE) == ["a"] and known.names(Mode.FORWARD_OVER_FORWARD) == [ALL]
    assert known.covers(Mode.FORWARD) and not known.covers(Mode.FORWARD_OVER_REVERSE)
    assert not known.kinked() and not known.open() and not known.refuted(Mode.REVERSE, "a")
    assert [b.mid().tolist() for b in known.value] == [[8.0, -27.0]]
    assert known.slopes({"a": np.array([0.0, 1.0])}) == (27.0, 27.0, 0.0, True)
    assert known.weighed_by([np.array([0.0, 2.0])]).slopes({"a": V})[:2] == (27.0, 27.0)
    assert known.fits(Mode.REVERSE, "a", "float16")
    assert not known_of(weights=(1.0, 4096.0)).fits(Mode.REVERSE, "a", "float16")
    assert known_of(weights=(1.0, 4096.0)).fits(Mode.REVERSE, "a", "bfloat16")
    for largest, fits in ((65503.0, True), (65504.0, False)):
        assert known_of(lambda x: [largest * x["a"]]).fits(Mode.REVERSE, "a", "float16") == fits


def test_a_result_that_depends_on_nothing_is_a_value_all_the_same():
    x, v = {"a": np.asarray(X)}, {"a": np.resize(V, np.shape(X))}
    known = ByBalls(lambda x: [x["a"] ** 3, np.array([1.0, 0.5])], x,
                    [np.ones(2), np.ones(2)], v, v, 0)
    assert [b.mid().tolist() for b in known.value] == [[8.0, -27.0], [1.0, 0.5]]


def test_what_is_known_at_a_kink_and_at_a_jump():
    known = known_of(lambda x: [np.abs(x["a"])], x=[0.0, 1.0])
    assert known.kinked() == ["a"] and not known.open()
    assert known.slopes({"a": np.array([3.0, 0.0])}) == (-3.0, 3.0, 0.0, False)
    known = known_of(lambda x: [np.floor(x["a"])], x=[0.0, 1.5])
    assert known.open() and not known.kinked()
    assert np.isnan(known.slopes({"a": np.array([1.0, 0.0])})[0])
    assert known.slopes({"a": np.array([0.0, 1.0])}) == (0.0, 0.0, 0.0, True)


@pytest.mark.parametrize("error, known_why", [
    (ValueError, False), (np.linalg.LinAlgError, False), (NotImplementedError, True)])
def test_where_the_function_raises_a_step_aside_no_slope_is_known(error, known_why):
    def raises(x):
        raise error
    known = known_of()
    known.scalar = raises
    if known_why:
        with pytest.raises(error):
            known.slopes({"a": V})
    else:
        left, right, width, smooth = known.slopes({"a": V})
        assert np.isnan(left) and np.isnan(right) and width == np.inf and smooth is False


def test_what_is_not_decided_covers_all_modes_and_says_why():
    known = known_of(lambda x: [np.maximum(np.sqrt(x["a"]) ** 2, x["a"])], x=[2.0, 3.0])
    assert known.covers(Mode.FORWARD_OVER_FORWARD)
    found = known.judge(Mode.REVERSE, "a", "float64", {})
    assert found.verdict == UNDECIDED and found.note == known.undecided != ""


@pytest.mark.parametrize("digits, condition, right", [
    (14.8, 1.0, True), (14.7, 1.0, False),  # 8 roundings of float64 are 10^-14.75
    (11.8, 1e3, True), (11.7, 1e3, False), (14.7, 1e-3, False), (14.8, 1e-3, True),
    (10.0, 1e9, True), (9.9, 1e9, False), (np.nan, 1e9, False)])
def test_constants_that_were_rounded_excuse_what_the_condition_costs(digits, condition, right):
    known = known_of(agreement=Agreement(digits), condition=condition)
    assert known.refuted(Mode.REVERSE, "a") == (not right)
    strict = known_of(agreement=Agreement(digits), condition=condition, strict=True)
    assert strict.refuted(Mode.REVERSE, "a")


def test_without_a_rule_for_forward_mode_the_condition_excuses_nothing(monkeypatch):
    def condition(truth):
        raise NotImplementedError
    monkeypatch.setattr(Truth, "condition", property(condition))
    for digits, refuted in ((14.8, False), (14.7, True)):
        assert known_of(agreement=Agreement(digits)).refuted(Mode.REVERSE, "a") == refuted


def test_forty_digits_refute_nothing():
    for agreement in (Agreement(40.0), Agreement(5.0, "a kink"), Agreement(5.0, open="it ends")):
        assert not known_of(agreement=agreement, strict=True).refuted(Mode.REVERSE, "a")


# Answers in floats


def judged(known, answer, dtype="float64", mode=Mode.REVERSE, **options):
    return known.judge(mode, "a", dtype, {dtype: {mode: {"a": np.asarray(answer)}}}, **options)


def test_a_reference_that_differences_refute_decides_nothing_and_ones_own_rules_are_wrong():
    for known in (known_of(agreement=Agreement(7.04), condition=1.0),
                  known_of(agreement=Agreement(7.04), strict=True)):
        for own, verdict in ((False, UNDECIDED), (True, WRONG)):
            found = judged(known, [12.0, 27.0], own=own)
            assert (found.verdict, found.note) == (verdict, RULES + "7.0 digits only")


def test_where_modes_contradict_each_other_a_strict_verdict_says_so():
    for strict in (True, False):
        known = known_of(strict=strict)
        known.truth.held[Mode.REVERSE] = False
        for own, verdict in ((False, UNDECIDED), (True, WRONG)):
            found = judged(known, [12.0, 27.0], own=own)
            assert found.verdict == (verdict if strict else RIGHT)
    assert judged(known_of(strict=True), [12.0, 27.0]).verdict == RIGHT


def test_a_bound_is_computed_where_it_is_asked_for_or_known():
    known = known_of()
    assert judged(known, [12.0, 27.0]).bound == "typical"
    assert judged(known, [12.0, 27.0], prove=True).bound == "proven"
    assert judged(known, [12.0, 27.0]).bound == "proven"


def test_an_error_is_lost_beside_the_natural_size_unless_the_verdict_is_strict():
    """s is 2^-30 at x = 2^-30, where its derivative 1 cancels; natural is the size elsewhere."""
    small = dict(program=lambda x: [x["a"] ** 2], x=[2.0 ** -30], weights=[1.0], natural=2.0 ** 10)
    error = [2.0 ** -29 + 2.0 ** -39]
    assert judged(known_of(**small), error).verdict == "less accurate"
    assert judged(known_of(**small, strict=True), error).verdict == WRONG
    assert judged(known_of(**small, on_trial=True), error).verdict == WRONG


@pytest.mark.parametrize("options, first, second", [
    (dict(), 19.0, 19.0), (dict(another=False), 35.0 / TYPICAL, 35.0),
    (dict(strict=True), 0.0, 0.0), (dict(on_trial=True), 0.0, 0.0)])
def test_what_is_judged_by_bounds_has_no_natural_size(options, first, second):
    known = known_of(**options)
    for mode, natural in ((Mode.REVERSE, first), (Mode.FORWARD_OVER_REVERSE, second)):
        assert known._natural(mode) == natural


def test_where_the_slope_is_zero_steps_are_mentioned_of_first_order_alone():
    for program, mode, mentioned in (
            (lambda x: [x["a"] * 0], Mode.REVERSE, True), (lambda x: [x["a"]], Mode.REVERSE, False),
            (lambda x: [x["a"]], Mode.FORWARD_OVER_REVERSE, False)):
        found = judged(known_of(program), [0.5, 1.0], mode=mode)
        assert found.verdict == WRONG and (notes.STEP in found.note) == mentioned


def test_the_answer_in_another_dtype_tells_rounding_from_a_fault():
    known, right = known_of(), np.array([12.0, 27.0])
    off = {"float64": right * (1 + 2.0 ** -40), "float32": right * (1 + 2.0 ** -15)}
    answers = {d: {Mode.REVERSE: {"a": a.astype(d)}} for d, a in off.items()}
    assert known.judge(Mode.REVERSE, "a", "float64", answers).verdict == "less accurate"
    assert judged(known, off["float64"]).verdict == WRONG


def test_typical_is_what_the_reference_does_in_the_same_dtype():
    """(a + 2^30) - 2^30 loses digits; where rules are on trial, the exact value is typical."""
    def f(x):
        return [((x["a"] + 2.0 ** 30) - 2.0 ** 30) ** 2]
    x, off = [1 + 2.0 ** -40], [2 + 2.0 ** -39 + 2.0 ** -41]
    assert judged(known_of(f, x, [1.0]), off).bound == "typical"
    assert judged(known_of(f, x, [1.0], on_trial=True), off).bound == "proven"
    known = known_of(x=x, weights=[1.0])
    assert known._typical(Mode.REVERSE, "a", "bfloat16") is not None and not known.typical


# Answers on balls


def on_balls(known, found, mode=Mode.REVERSE):
    verdict, digits = known.judge_on_balls(mode, "a" if mode.order == 1 else ALL, found)
    return verdict.verdict, verdict.bound or verdict.note, digits


def test_a_formula_is_proven_right_up_to_its_constants_or_wrong():
    known = known_of(condition=1.0)
    right = known.truth.gradient["a"]
    assert on_balls(known, right)[:2] == (RIGHT, "proven")
    off = on_balls(known, right * Ball(1 + 2.0 ** -50))
    assert off == (RIGHT, "float64 constants", pytest.approx(15.0, abs=0.1))
    entry = "; entry (1,) is 27.00277151, the function says 27 (by the factor 1 +0.000103)"
    assert on_balls(known, right * Ball([1.0, 1 + 2.0 ** -13.25]))[1] == (
        "agrees with differences to 4.0 digits" + entry)
    note = on_balls(known, right * Ball([1.0, 200.0]))[1]
    assert note.startswith("agrees with differences to 0.0 digits")
    assert on_balls(known, Ball([12.0])) == (WRONG, "shape (1,), expected (2,)", -np.inf)


@pytest.mark.parametrize("digits, strict, verdict", [
    (39, True, WRONG), (42, True, RIGHT), (39, False, RIGHT), (42, False, RIGHT)])
def test_a_strict_verdict_allows_for_no_constants(digits, strict, verdict):
    known = known_of(strict=strict, condition=1.0)
    with arithmetic(400):
        off = known.truth.gradient["a"] * (1 + Ball(10.0 ** -digits))
    bound = "proven" if digits > 40 else "float64 constants"
    told = on_balls(known, off)
    assert told[0] == verdict and (told[1] == bound or verdict == WRONG)


def test_a_strict_verdict_needs_40_digits_beside_one_of_the_scales():
    """30 digits beside the gradient, 41 beside the value."""
    for strict, bound in ((True, "proven"), (False, "float64 constants")):
        known = known_of(strict=strict, condition=1.0)
        known.truth.value = 27e11
        off = known.truth.gradient["a"] + Ball([0.0, 0.0], [27e-30, 27e-30])
        assert on_balls(known, off)[:2] == (RIGHT, bound)


def test_the_worst_entry_counts_and_never_more_digits_than_the_differences_have():
    known = known_of(agreement=Agreement(41.0), condition=1.0)
    assert on_balls(known, known.truth.gradient["a"]) == (RIGHT, "proven", 41.0)
    known = known_of(agreement=Agreement(39.0), condition=1.0)
    assert on_balls(known, known.truth.gradient["a"]) == (RIGHT, "float64 constants", 39.0)
    known = known_of(agreement=Agreement(9.0), condition=1.0)  # refuted, and this with it
    verdict, note, digits = on_balls(known, known.truth.gradient["a"])
    assert (verdict, digits) == (WRONG, 9.0)
    assert note.startswith("agrees with differences to 9.0 digits")


def test_a_wrong_slope_or_second_derivative_has_no_entry():
    known = known_of(condition=1.0)
    for mode in (Mode.FORWARD, Mode.FORWARD_OVER_FORWARD):
        assert on_balls(known, Ball(-100.0), mode)[1] == "agrees with differences to 0.0 digits"


def test_the_entry_that_is_off_is_found_wherever_it_is():
    x = np.arange(1.0, 8.0)
    known = known_of(x=x, weights=np.ones(7), condition=1.0)
    for n in range(7):
        wrong = 3 * x ** 2
        wrong[n] *= 1.5
        note = on_balls(known, Ball(wrong))[1]
        assert note.endswith(f"; entry ({n},) is {wrong[n]:.10g}, the function says "
                             f"{3 * x[n] ** 2:.10g} (by the factor 1.5)")


def test_no_number_where_there_is_one():
    known = known_of(condition=1.0)
    lost = (NOT_FINITE, "entry (1,) is nan or inf, the slopes along it are 27 and 27", -np.inf)
    for no_number in (np.nan, np.inf):
        assert on_balls(known, Ball([12.0, no_number])) == lost
    nowhere = (NOT_FINITE, "no finite number, where differences give one", -np.inf)
    assert on_balls(known, Ball(np.inf), Mode.FORWARD) == nowhere
    verdict, digits = known.judge_on_balls(Mode.FORWARD_OVER_REVERSE, "a", Ball([np.nan, 1.0]))
    assert (verdict.verdict, verdict.note, digits) == nowhere
    kinked = known_of(agreement=Agreement(np.nan, "left slope 0, right slope 1"))
    found = (NOT_FINITE, "no finite number at a kink: left slope 0, right slope 1", -np.inf)
    for no_number in (np.nan, np.inf):
        assert on_balls(kinked, Ball(no_number), Mode.FORWARD) == found
        assert on_balls(kinked, Ball(no_number), Mode.FORWARD_OVER_FORWARD)[0] == KINK


def test_no_number_at_a_jump_is_no_fault():
    found = on_balls(known_of(lambda x: [np.floor(x["a"])], x=[0.0, 1.5]), Ball([np.nan, 0.0]))
    assert found[0] == UNDECIDED and "jumps" in found[1]


def test_at_a_kink_and_where_it_is_open_no_digits_are_told():
    for agreement, verdict in ((Agreement(np.nan, "a kink"), KINK),
                               (Agreement(5.0, open="it ends"), UNDECIDED)):
        found, note, digits = on_balls(known_of(agreement=agreement), Ball([0.0, 0.0]))
        assert (found, note) == (verdict, agreement.kink or agreement.open) and np.isnan(digits)


def test_what_cancels_beyond_all_bits_is_left_open_beside_itself():
    """A ball around 0 that is as wide as the function: it overlaps, and says nothing."""
    known = known_of(condition=1.0)
    right = known.truth.gradient["a"]
    wide = right + Ball([0.0, 0.0], [1.0, 1.0])
    assert on_balls(known, wide)[:2] == (UNDECIDED, "cancelled beyond 400 bits")
    assert on_balls(known, right + Ball([100.0, 0.0], [1.0, 1.0]))[0] == WRONG
    known.truth.value = 2.0 ** 60  # beside which the width is nothing
    assert on_balls(known, wide)[:2] == (RIGHT, "float64 constants")


# The words of notes


def test_the_nearest_other_dtype():
    answer = {Mode.REVERSE: {"a": 1.0}}
    answers = dict.fromkeys(("float16", "float32", "float64", "bfloat16"), answer)
    assert notes.another_dtype("float64", Mode.REVERSE, "a", answers) == "float32"
    assert notes.another_dtype("float32", Mode.REVERSE, "a", answers) == "float16"
    assert notes.another_dtype("bfloat16", Mode.REVERSE, "a", answers) == "float16"
    assert notes.another_dtype("bfloat16", Mode.REVERSE, ALL, answers) == "float16"
    assert notes.another_dtype("float64", Mode.REVERSE, "b", answers) is None
    assert notes.another_dtype("float64", Mode.FORWARD, "a", answers) is None
    for alone in ({"float64": answer}, {"float32": {Mode.REVERSE: Unanswered()}}):
        assert notes.another_dtype("float64", Mode.REVERSE, "a", alone) is None


def test_of_two_dtypes_equally_far_the_finer_is_nearest(monkeypatch):
    precision = {"middle": 24, "coarse": 11, "fine": 37}
    monkeypatch.setattr(notes, "format_named", lambda d: type("", (), {"precision": precision[d]}))
    for order in (("coarse", "fine"), ("fine", "coarse")):
        answers = dict.fromkeys(order, {Mode.REVERSE: {"a": 1.0}})
        assert notes.another_dtype("middle", Mode.REVERSE, "a", answers) == "fine"


@pytest.mark.parametrize("factor, words", [
    (1 + 0.9e-3, " (by the factor 1 +0.0009)"), (1 - 0.9e-3, " (by the factor 1 -0.0009)"),
    (1 + 1.1e-3, " (by the factor 1.0011)"), (-2.0, " (by the factor -2)"),
    (np.inf, ""), (np.nan, "")])
def test_an_entry_that_is_off(factor, words):
    note = notes.entry_note((np.int64(2), np.int64(0)), 0.123456789012, "0.5 ± 1e-9", factor)
    assert note == "; entry (2, 0) is 0.123456789, the function says 0.5 ± 1e-9" + words
