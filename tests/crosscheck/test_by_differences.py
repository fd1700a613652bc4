"""What differences in floats tell of a function whose slope is put in: the verdicts, by hand."""

import numpy as np
import pytest

from crosscheck.modes import ALL, Mode
from crosscheck.truth import estimated, nearby
from crosscheck.truth.by_differences import ByDifferences
from crosscheck.truth.estimated import Estimate
from crosscheck.truth.tableau import Interval
from crosscheck.verdict import (
    AGREES, KINK, LESS_ACCURATE, NOT_FINITE, RIGHT, UNDECIDED, WRONG)
from tests.crosscheck.test_trial import Stub

EPS, EPS32 = 2.0 ** -52, 2.0 ** -23
X, V, GRADIENT = np.array([3.0, -1.0]), np.array([1.0, 2.0]), np.array([6.0, -2.0])


class Squares(Stub):
    """a^2, of which s is 10 and its slope along v is 2; its gradient in float32 may be off."""

    off = 0.0

    def value(self, x, dtype):
        with np.errstate(over="ignore"):
            return [np.asarray(x["a"], dtype) ** 2]

    def answer(self, mode, x, weights, u, v, dtype, layout=np.asarray):
        gradient = 2 * x["a"] + self.off * (dtype == "float32")
        return {"a": gradient if mode == Mode.REVERSE else np.sum(gradient * v["a"])}


def known_of(slope=Estimate(2.0, 0.0), x=X, curvature=None, **options):
    v = {"a": V}
    known = ByDifferences(Squares(), {"a": x}, [np.ones(2)], v, v, "float64", **options)
    known.found[1, "a"] = slope
    if curvature is not None:
        known.found[2, ALL] = curvature
    return known


def judged(known, answer, dtype="float64", mode=Mode.REVERSE, **others):
    """The verdict on an answer beside those in other dtypes."""
    name = "a" if mode.order == 1 else ALL
    answers = {d: {mode: {name: np.asarray(a)}} for d, a in {**others, dtype: answer}.items()}
    return known.judge(mode, name, dtype, answers)


def test_an_answer_agrees_within_what_rounding_may_come_to():
    """The uncertainty of the difference, and 8 eps of the terms 6 + 4."""
    for width in (0.0, 2.0 ** -30):
        known = known_of(Estimate(2.0, width))
        found = judged(known, GRADIENT + [width + 72 * EPS, 0.0])
        assert (found.verdict, found.bound) == (AGREES, "differences")
        assert found.rel_error == pytest.approx((width + 72 * EPS) / 2, abs=EPS)
        assert found.known == (pytest.approx(np.log10(20 / width)) if width else np.inf)
        assert judged(known, GRADIENT + [width + 88 * EPS, 0.0]).verdict != AGREES
    assert judged(known_of(Estimate(2.0, 30.0)), GRADIENT).known == 0


def test_the_size_is_the_functions_where_the_caller_stands_if_that_is_more():
    assert known_of().size == 10.0 and known_of(natural=30.0).size == 30.0
    for natural, size in ((0.0, 20.0), (30.0, 60.0)):  # times v's largest entry 2
        found = judged(known_of(Estimate(2.0, 2.0 ** -30), natural=natural), GRADIENT)
        assert found.known == pytest.approx(np.log10(size * 2.0 ** 30))


def test_a_wrong_answer_is_told_with_the_entry_that_is_off():
    found = judged(known_of(), GRADIENT + [0.003, 0.0])
    assert found.verdict == WRONG
    assert found.note.startswith("along a direction 2.003, by differences 2 ± 0.0e+00; "
                                 "entry (0,) is 6.003, the function says 6 ± ")
    assert found.note.endswith(" (by the factor 1 +0.0005)")
    found = judged(known_of(), 2.003, mode=Mode.FORWARD)
    assert found.verdict == WRONG
    assert found.note == "along a direction 2.003, by differences 2 ± 0.0e+00"


def test_what_is_off_as_rounding_is_in_another_dtype_is_less_accurate():
    """Halfway, in powers of two, from 2^-12 in float32 is 2^-26.5 in float64."""
    for off, verdict in ((2.0 ** -27, LESS_ACCURATE), (2.0 ** -26, WRONG)):
        found = judged(known_of(), 2 + off, mode=Mode.FORWARD, float32=2 + 2.0 ** -12)
        assert found.verdict == verdict
    found = judged(known_of(), 2 + 2.0 ** -27, mode=Mode.FORWARD, float32=2 + 2.0 ** -12)
    assert found.note == "off by 3.7e-09, as rounding is"


@pytest.mark.parametrize("slope, verdict, note", [
    (Estimate(reason="too noisy"), UNDECIDED, "too noisy"),
    (Estimate(reason="too noisy", kink=True), UNDECIDED, "too noisy"),
    (Estimate(2.0, 1.0, left=Interval(1.0, 0.0), right=Interval(3.0, 0.0), kink=True), KINK,
     "left slope 1, right slope 3")])
def test_where_no_slope_is_known_nothing_is_judged(slope, verdict, note):
    found = judged(known_of(slope), GRADIENT)
    assert (found.verdict, found.note) == (verdict, note)
    assert known_of(slope).kinked() == (["a"] if slope.kink else [])


def test_the_second_order_is_judged_along_both_directions_and_not_at_a_kink():
    known = known_of(curvature=Estimate(10.0, 0.0))  # 2 (1 + 4)
    assert judged(known, 10.0, mode=Mode.FORWARD_OVER_FORWARD).verdict == AGREES
    answers = {"float64": {Mode.FORWARD_OVER_REVERSE: {"a": np.array([2.0, 4.0])}}}
    assert known.judge(Mode.FORWARD_OVER_REVERSE, ALL, "float64", answers).verdict == AGREES
    assert known.judge(Mode.FORWARD_OVER_REVERSE, ALL, "float64", answers).rel_error == 0
    assert judged(known, 10.5, mode=Mode.FORWARD_OVER_FORWARD).verdict == WRONG
    kinked = known_of(Estimate(2.0, 1.0, kink=True), curvature=Estimate(10.0, 0.0))
    found = judged(kinked, 10.0, mode=Mode.FORWARD_OVER_FORWARD)
    assert (found.verdict, found.note) == (KINK, "the second difference crosses a kink")


def test_where_values_tell_nothing_it_is_undecided():
    found = judged(known_of(extreme=True), GRADIENT)
    assert found.verdict == UNDECIDED
    assert found.note == "f's own value may be lost at entries of this size"
    kinked = known_of(Estimate(2.0, 1.0, kink=True), curvature=Estimate(10.0, 0.0), extreme=True)
    assert judged(kinked, 10.0, mode=Mode.FORWARD_OVER_FORWARD).note == found.note


def test_no_number_is_undecided_only_where_it_may_overflow_or_nothing_is_known():
    assert judged(known_of(), [np.nan, 1.0]).verdict == NOT_FINITE
    found = judged(known_of(Estimate(1e39, 0.0)), [np.nan, 1.0], "float32")
    assert (found.verdict, found.note) == (UNDECIDED, "float32 may overflow here")
    assert judged(known_of(Estimate(1e38, 0.0)), [np.nan, 1.0], "float32").verdict == NOT_FINITE
    found = judged(known_of(Estimate(2.0, reason="too noisy")), [np.nan, 1.0])
    assert (found.verdict, found.note) == (UNDECIDED, "nan or inf, and by differences too noisy")
    found = judged(known_of(x=np.array([1e200, 1.0]), extreme=True), [np.nan, 1.0])
    assert (found.verdict, found.note) == (UNDECIDED, "float64 may overflow here")
    assert judged(known_of(extreme=True), [np.nan, 1.0]).verdict == NOT_FINITE


# Beside the right answer in the widest dtype


def test_no_number_of_second_order_is_a_kink_where_the_slope_jumps_and_is_not_known():
    for kink, width, verdict in ((False, 3.0, NOT_FINITE), (True, 2.0, NOT_FINITE),
                                 (True, 3.0, KINK)):
        known = known_of(Estimate(2.0, width), curvature=Estimate(10.0, 0.0, kink=kink))
        assert judged(known, np.nan, mode=Mode.FORWARD_OVER_FORWARD).verdict == verdict
        assert judged(known, GRADIENT * np.nan).verdict == NOT_FINITE


def in_float32(off):
    known = known_of()
    known.subject.off = np.array(off)
    answer = np.asarray(GRADIENT + known.subject.off, np.float32)
    return judged(known, answer, "float32", float64=GRADIENT)


def test_typical_is_eight_roundings_and_what_a_change_of_x_by_one_does():
    """The gradient 2a moves as a does, by 6 and 2 eps; their root mean square is that of 20."""
    found = in_float32([48 * EPS32, 0.0])
    assert (found.verdict, found.bound, found.ulp_max) == (RIGHT, "typical", 12)
    assert found.rel_error == pytest.approx(48 * EPS32 / np.sqrt(40))
    for entry, limit in ((0, 48 + 48), (1, 16 + 8 * np.sqrt(20))):
        off = np.zeros(2)
        for units, verdict in ((np.floor(limit) - 4, RIGHT), (np.ceil(limit) + 4, LESS_ACCURATE)):
            off[entry] = units * EPS32
            assert in_float32(off).verdict == verdict


def test_where_the_derivative_is_zero_typical_is_eight_times_the_smallest_normal_number():
    for units, verdict in ((7.9, RIGHT), (8.1, LESS_ACCURATE)):
        known = known_of(Estimate(0.0, 0.0), x=np.zeros(2))
        answer = [units * np.finfo(np.float32).tiny, 0.0]
        assert judged(known, answer, "float32", float64=np.zeros(2)).verdict == verdict


def test_how_much_worse_in_a_coarser_dtype():
    found = in_float32([(96 + 40) * EPS32, 0.0])
    # by 40 eps, of 96 / 8
    assert found.note == "worse by 3.33 times the attainable error, condition number 1"
    # More than half of all digits beside the largest entry is another formula.
    half = 6 * np.sqrt(EPS32)
    assert in_float32([0.9 * half, 0.0]).verdict == LESS_ACCURATE
    assert in_float32([1.1 * half, 0.0]).verdict == WRONG
    found = in_float32([0.0, 0.0625])
    assert (found.verdict, found.note) == (WRONG, "entry (1,) is -1.9375, in float64 -2")


# Very near x


def beside(g):
    """What is known of g(t), where the first entry is 3 + t, and the direction of that entry."""
    known = known_of()
    known.scalar = lambda x: float(g(x["a"][0] - 3.0))
    return known, {"a": np.array([1.0, 0.0])}


def test_values_beside_x_at_two_steps_of_its_size():
    known, direction = beside(lambda t: t)
    far, near = 3 * 2.0 ** -30, 3 * 2.0 ** -40
    assert known._beside(direction) == [(far, -far), (near, -near)]
    assert known_of(x=np.array([0.5, 0.25]))._steps == (2.0 ** -30, 2.0 ** -40)


@pytest.mark.parametrize("g, jumps, steep", [
    (lambda t: t, False, False), (lambda t: t > 0, True, True), (lambda t: t < 0, True, True),
    (lambda t: np.sqrt(np.abs(t)), False, True), (lambda t: np.sqrt(max(t, 0)), False, True),
    (lambda t: np.sqrt(max(-t, 0)), False, True), (np.abs, False, False),
    (lambda t: 1e-14 * (t > 0), False, False)])  # of size 10 this is noise
def test_jumps_and_infinite_slopes_show_at_far_finer_steps(g, jumps, steep):
    known, direction = beside(g)
    assert known._jumps(direction) == jumps and known._steep(direction) == steep
    rough = "f jumps here" if jumps else "f is infinitely steep here" if steep else ""
    known.v = direction
    assert known._roughness(Mode.REVERSE, "a", Estimate(2.0, 0.0)) == rough


def test_what_is_zero_everywhere_does_not_jump():
    known, direction = beside(lambda t: 0.0)
    known.size = 0.0
    assert not known._jumps(direction) and not known._steep(direction)


def test_an_answer_that_agrees_with_finer_steps_alone():
    """The slope is 1 within 2^-25 and 5 as it was estimated."""
    known, known.v = beside(lambda t: t)
    assert known._agrees_closer("a", Estimate(5.0, 0.0), 1.0)
    assert not known._agrees_closer("a", Estimate(5.0, 0.0), 1.25)
    assert not known._agrees_closer("a", Estimate(1.0, 0.0), 1.0)


def test_slopes_on_both_sides():
    known, direction = beside(lambda t: 2 * t)
    left, right, width, smooth = known.slopes(direction)
    assert left == right == pytest.approx(2.0) and width < 1e-8 and smooth
    known, direction = beside(lambda t: 0.3 + 3 * abs(t))
    left, right, width, smooth = known.slopes(direction)
    assert (left, right) == pytest.approx((-3.0, 3.0)) and 0 < width < 1e-6 and not smooth
    for unknown in (lambda t: t > 0, lambda t: (t != 0) * 1.0, lambda t: 1 / 0 if t else 0.0):
        known, direction = beside(unknown)
        left, right, width, smooth = known.slopes(direction)
        assert np.isnan(left) and np.isnan(right) and width == np.inf and not smooth


def test_rises_of_each_result():
    rise, = known_of().rises({"a": V})
    assert rise == pytest.approx([6.0, -4.0], abs=1e-9)  # exact for squares, but for rounding
    known = known_of()
    known.subject.value = lambda x, dtype: [1 / 0 if x["a"][0] > 3 else x["a"]]
    rise, = known.rises({"a": V})
    assert np.isnan(rise).all() and rise.shape == (2,)
    assert known_of().same(1.0, 1 + 8 * 2.0 ** -26 * 11, 1.0)
    assert not known_of().same(1.0, 1 + 8 * 2.0 ** -26 * 11.1, 1.0)


def test_changes_by_one_rounding():
    known = known_of(x=np.array([3.0, -1.0]))
    assert nearby.rounded_at_random(known.x, 0.5, 0) is known.x
    for alike in (False, True):
        moved = {tuple(nearby.rounded_at_random(known.x, 0.5, seed, alike)["a"])
                 for seed in range(1, 20)}
        assert moved == {(a, b) for a in (1.5, 4.5) for b in (-0.5, -1.5)}
    tied = known_of(x=np.array([3.0, 3.0]))
    moved = {tuple(nearby.rounded_at_random(tied.x, 0.5, seed, True)["a"]) for seed in range(1, 20)}
    assert moved == {(1.5, 1.5), (4.5, 4.5)}
    moved = {tuple(nearby.rounded_at_random(tied.x, 0.5, seed)["a"]) for seed in range(1, 20)}
    assert moved == {(a, b) for a in (1.5, 4.5) for b in (1.5, 4.5)}


def test_second_differences_of_a_function_without_a_second_derivative_are_not_additive():
    """Of a^3 / b they are no bilinear form, of a^2 + a b they are."""
    known = known_of(x=np.zeros(2))
    known.u = known.v = {"a": np.array([1.0, 2.0])}
    for f, words in ((lambda a: a[0] ** 2 + a[0] * a[1], ""),
                     (lambda a: a[0] ** 3 / a[1] if a[1] else a[0] ** 2 * 3,
                      "f has no second derivative here: differences are not additive")):
        known.scalar = lambda x, f=f: float(f(x["a"]))
        e = estimated.curvature(known.scalar, known.x, known.u, known.v)
        assert not e.reason and known._roughness(Mode.FORWARD_OVER_REVERSE, ALL, e) == words
